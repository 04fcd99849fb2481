//! `/v1/keys`: stream keys, those of the configuration and those made at run time.

use super::extract::{Body, Id};
use super::guards::Guards;
use super::problem::Problem;
use super::{Api, Shared, blocking};
use crate::auth::keys::{Key, KeyStore, NewKey, RANDOM_BYTES, StoreError};
use crate::auth::pattern::Pattern;
use crate::config::Moment;
use crate::gateway::random_bytes;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A stream key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
struct KeyView {
    id: String,
    /// The paths that it is for, such as `live/alice` or `live/*`.
    path: String,
    enabled: bool,
    /// When it ends, in RFC 3339; null if it doesn't.
    expires: Option<String>,
    /// When it was made, in RFC 3339.
    created: Option<String>,
    note: String,
    /// `configuration`, where it can only be changed there, or `store`.
    from: &'static str,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
struct MadeKey {
    #[serde(flatten)]
    key: KeyView,
    /// Publishers present it as `?key=…`. It is never shown again.
    secret: String,
}

/// What a new key shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "path": "live/alice", "note": "camera 2" }))]
struct Wanted {
    /// The paths that it is for: `live/alice`, `live/*` (one element) or `live/**` (all behind it); a vhost stands first.
    path: String,
    /// When it ends, in RFC 3339; never if not said.
    expires: Option<String>,
    /// What to remember about it.
    #[serde(default)]
    note: String,
}

/// What shall change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "enabled": false }))]
struct Change {
    enabled: bool,
}

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let all = OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(change, remove));
    guards.admin(all)
}

/// All stream keys, never their secrets.
#[utoipa::path(get, path = "/v1/keys", tag = "keys",
    responses((status = 200, description = "Keys", body = [KeyView]),
        (status = 503, description = "The store of keys can't be used; the log says why")))]
async fn list(State(api): State<Shared>) -> Result<Json<Vec<KeyView>>, Problem> {
    let config = api.reloader.running();
    let configured = config.publish.key.iter().filter_map(Key::from_config);
    let mut keys: Vec<KeyView> = configured.map(|key| KeyView::of(&key, "configuration")).collect();
    let stored = stored(&api, KeyStore::read).await?;
    keys.extend(stored.iter().map(|key| KeyView::of(key, "store")));
    Ok(Json(keys))
}

/// Makes a key. Its secret is in this answer, and nowhere else ever.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = Wanted,
    responses((status = 201, description = "The key", body = MadeKey),
        (status = 409, description = "Stored, but not in use, or the store is full"), (status = 503, description = "The store of keys can't be used; the log says why")))]
async fn add(
    State(api): State<Shared>,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let path: Pattern = wanted.path.parse().map_err(|error| Problem::bad_field("path", error))?;
    let expires = wanted.expires.map(|text| text.parse::<Moment>()).transpose();
    let expires = expires.map_err(|error| Problem::bad_field("expires", error))?;
    let random: [u8; RANDOM_BYTES] =
        random_bytes().map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let new = NewKey { path, expires, note: wanted.note };
    let made = changed(&api, move |store| store.add(new, &random, SystemTime::now())).await?;
    let made = MadeKey { key: KeyView::of(&made.0, "store"), secret: made.1.as_str().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Enables or disables a key. Sessions that a disabled key allowed end.
#[utoipa::path(patch, path = "/v1/keys/{id}", tag = "keys", request_body = Change,
    params(("id" = String, Path, description = "Its id", example = "k_64056696d7580c89")),
    responses((status = 200, description = "The key", body = KeyView),
        (status = 409, description = "Stored, but not in use, or the store is full"), (status = 503, description = "The store of keys can't be used; the log says why")))]
async fn change(
    State(api): State<Shared>,
    Id(id): Id,
    Body(change): Body<Change>,
) -> Result<Json<KeyView>, Problem> {
    let key = changed(&api, move |store| store.set_enabled(&id, change.enabled)).await?;
    Ok(Json(KeyView::of(&key, "store")))
}

/// Removes a key for ever. Sessions that it allowed end.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys",
    params(("id" = String, Path, description = "Its id", example = "k_64056696d7580c89")),
    responses((status = 204, description = "It is gone"),
        (status = 409, description = "Stored, but not in use, or the store is full"), (status = 503, description = "The store of keys can't be used; the log says why")))]
async fn remove(State(api): State<Shared>, Id(id): Id) -> Result<StatusCode, Problem> {
    changed(&api, move |store| store.remove(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks the store, which waits for a disk.
async fn stored<T: Send + 'static>(
    api: &Api,
    ask: impl FnOnce(&KeyStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let store = api.reloader.keys();
    Ok(blocking(move || ask(&store)).await??)
}

/// The same, and takes in what changed.
async fn changed<T: Send + 'static>(
    api: &Api,
    change: impl FnOnce(&KeyStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let made = stored(api, change).await?;
    let reloader = api.reloader.clone();
    let taken = blocking(move || reloader.take_keys()).await?;
    taken.map_err(|error| Problem::new(StatusCode::CONFLICT, format!("stored, but not in use: {error}")))?;
    Ok(made)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match &error {
            StoreError::NoSuchKey(id) => {
                Problem::not_found(format!("there is no key {id} in the store; GET /v1/keys shows them"))
            }
            StoreError::Full => Problem::new(StatusCode::CONFLICT, error.to_string()),
            StoreError::Io { .. } | StoreError::Damaged { .. } => {
                tracing::error!(%error, "the store of stream keys can't be used");
                Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the store of keys can't be used; the log says why",
                )
            }
        }
    }
}

impl KeyView {
    fn of(key: &Key, from: &'static str) -> KeyView {
        KeyView {
            id: key.id.clone(),
            path: key.path.to_string(),
            enabled: key.enabled,
            expires: key.expires.map(|moment| moment.to_string()),
            created: key.created.map(|moment| moment.to_string()),
            note: key.note.clone(),
            from,
        }
    }
}
