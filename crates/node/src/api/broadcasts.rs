//! `/v1/broadcasts`: what is live.

use super::extract::{MaybeBody, Named, Parameters};
use super::guards::Guards;
use super::health::{HealthBrief, HealthFull, rounded, seconds};
use super::problem::Problem;
use super::samples::{Sample, lately};
use super::sessions::{ESTIMATED, SessionView, limit};
use super::webrtc::{RenditionView, WebrtcView};
use super::{Api, Shared};
use crate::sessions::{Ending, Role, Session, Sessions};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hub::health::Health;
use hub::{Broadcast, BroadcastPath, Catalog};
use media::{Codec, Kind, Track};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A broadcast: live, or waiting for its publisher to come back.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct BroadcastView {
    /// How it is named in this API: `app/name`, with the vhost before it unless that is the default one.
    path: String,
    vhost: String,
    app: String,
    name: String,
    /// Whether somebody publishes now.
    live: bool,
    /// When it began, in RFC 3339.
    since: String,
    age_s: f64,
    viewers: u64,
    /// The same by protocol; those of `hls` are an estimate.
    viewers_by_protocol: BTreeMap<&'static str, u64>,
    ingest: Ingest,
    egress: Egress,
    video: Option<Video>,
    audio: Option<Audio>,
    /// Codecs that the sound is converted to now, for viewers who need it, such as `aac`; `h264`: its pictures are coded anew.
    transcoded: Vec<String>,
    /// How its pictures are shown by WebRTC; null where that is turned off, and of sound alone.
    webrtc: Option<WebrtcView>,
    /// The last minute, a second each, oldest first.
    history: Vec<Moment>,
}

/// A broadcast as it is listed.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct BroadcastBrief {
    #[serde(flatten)]
    broadcast: BroadcastView,
    health: HealthBrief,
}

/// A broadcast with everything that is known about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct BroadcastFull {
    #[serde(flatten)]
    broadcast: BroadcastView,
    health: HealthFull,
    tracks: Vec<TrackView>,
    /// The qualities of a publisher who sends several (simulcast), the one with the fewest bits first. Viewers by WebRTC get the one that
    /// their network carries.
    renditions: Vec<RenditionView>,
    /// Its publisher's session; null while nobody publishes.
    publisher: Option<SessionView>,
    /// Sessions of its viewers, the first hundred. Viewers by HLS have none.
    sessions: Vec<SessionView>,
    /// Bytes of frames that are kept for new and slow viewers.
    queue_bytes: u64,
}

/// What comes in.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Ingest {
    /// Media bytes since it began.
    bytes: u64,
    /// Over the last four seconds.
    kbit_s: f64,
    /// `rtmp`; null while nobody publishes.
    protocol: Option<&'static str>,
    /// Address and port of the publisher.
    peer: Option<String>,
}

/// What goes out.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Egress {
    /// Bytes since it began.
    bytes: u64,
    /// Over the last four seconds.
    kbit_s: f64,
}

/// Pictures.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Video {
    /// Such as `h264`.
    codec: String,
    width: Option<u32>,
    height: Option<u32>,
    /// Frames a second, as they come.
    fps: Option<f64>,
}

/// Sound.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Audio {
    /// Such as `aac`.
    codec: String,
    sample_rate: u32,
    channels: u8,
}

/// One track.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct TrackView {
    id: u8,
    /// `video` or `audio`.
    kind: &'static str,
    codec: String,
    width: Option<u32>,
    height: Option<u32>,
    sample_rate: Option<u32>,
    channels: Option<u8>,
}

/// One second.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Moment {
    /// When, in RFC 3339.
    t: String,
    /// In.
    kbit_s: u32,
    /// Out.
    egress_kbit_s: u32,
    viewers: u32,
}

/// Which broadcasts are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// How many at most; 1000 if not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those whose paths come after this one.
    after: Option<String>,
    /// `false` leaves the last minute out.
    history: Option<bool>,
}

/// Who is kicked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Kick {
    /// All viewers as well.
    viewers: bool,
}

/// How many were asked to end.
#[derive(Debug, Serialize, ToSchema)]
struct Kicked {
    sessions: usize,
}

/// Sessions of one broadcast.
type ByPath = HashMap<BroadcastPath, Vec<Arc<Session>>>;

/// Viewers in one answer.
const SESSIONS_SHOWN_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 1000;
/// How long a seat stays open for who shall take over.
const TAKEOVER_TIME: Duration = Duration::from_secs(60);

pub(super) fn routes(guards: &Guards) -> OpenApiRouter<Shared> {
    let look = OpenApiRouter::new().routes(routes!(list)).routes(routes!(one));
    let act = OpenApiRouter::new().routes(routes!(end)).routes(routes!(kick)).routes(routes!(takeover));
    guards.viewer(look).merge(guards.operator(act))
}

/// Broadcasts by path.
#[utoipa::path(get, path = "/v1/broadcasts", tag = "broadcasts", params(Which),
    responses((status = 200, description = "Broadcasts now", body = [BroadcastBrief])))]
async fn list(
    State(api): State<Shared>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<Vec<BroadcastBrief>>, Problem> {
    let limit = limit(which.limit, LIMIT_DEFAULT)?;
    let mut broadcasts = api.hub.broadcasts();
    broadcasts.retain(|b| which.after.as_deref().is_none_or(|after| b.path().as_str() > after));
    broadcasts.sort_by(|a, b| a.path().cmp(b.path()));
    broadcasts.truncate(limit);
    let mut sessions = ByPath::new();
    for session in api.sessions.list() {
        sessions.entry(session.path.clone()).or_default().push(session);
    }
    let now = Instant::now();
    let brief = |broadcast: &Arc<Broadcast>| {
        let of_it = sessions.get(broadcast.path()).map_or(&[][..], Vec::as_slice);
        let health = broadcast.health(now);
        let mut view = api.view(broadcast, of_it, &health, now);
        if which.history == Some(false) {
            view.history.clear();
        }
        BroadcastBrief { broadcast: view, health: HealthBrief::of(&health) }
    };
    Ok(Json(broadcasts.iter().map(brief).collect()))
}

/// One broadcast, with tracks, health and sessions.
#[utoipa::path(get, path = "/v1/broadcasts/{path}", tag = "broadcasts",
    params(("path" = String, Path, description = "Its path in one element: slashes are written %2F", example = "live/show",
        pattern = "^[^/]+(/[^/]+)+$")),
    responses((status = 200, description = "The broadcast", body = BroadcastFull)))]
async fn one(State(api): State<Shared>, Named(path): Named) -> Result<Json<BroadcastFull>, Problem> {
    let broadcast = api.broadcast(&path)?;
    let (now, sessions) = (Instant::now(), api.sessions_of(&path));
    let health = broadcast.health(now);
    let view = |session: &Arc<Session>| SessionView::of(session, &api, now);
    let viewers = sessions.iter().filter(|s| s.role == Role::Viewer);
    Ok(Json(BroadcastFull {
        broadcast: api.view(&broadcast, &sessions, &health, now),
        health: HealthFull::of(&health),
        tracks: broadcast.catalog().map(|c| c.tracks.iter().map(TrackView::of).collect()).unwrap_or_default(),
        renditions: api
            .webrtc
            .iter()
            .flat_map(|plane| plane.told_renditions(&path))
            .map(RenditionView::of)
            .collect(),
        publisher: publisher(&sessions).map(view),
        sessions: viewers.take(SESSIONS_SHOWN_MAX).map(view).collect(),
        queue_bytes: broadcast.queue_bytes() as u64,
    }))
}

/// Ends a broadcast at once: its publisher is kicked, its viewers see the end, and nobody waits for anybody.
#[utoipa::path(delete, path = "/v1/broadcasts/{path}", tag = "broadcasts",
    params(("path" = String, Path, description = "Its path in one element: slashes are written %2F", example = "live/show",
        pattern = "^[^/]+(/[^/]+)+$")),
    responses((status = 204, description = "It is over")))]
async fn end(State(api): State<Shared>, Named(path): Named) -> Result<StatusCode, Problem> {
    api.broadcast(&path)?;
    let sessions = api.sessions_of(&path);
    sessions.iter().filter(|s| s.role == Role::Publisher).for_each(|s| Sessions::end(s, Ending::Kicked));
    api.hub.end(&path);
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the publisher's session. It may come back, and the broadcast waits for it as long as `publish.grace` says.
#[utoipa::path(post, path = "/v1/broadcasts/{path}/kick", tag = "broadcasts", request_body = Option<Kick>,
    params(("path" = String, Path, description = "Its path in one element: slashes are written %2F", example = "live/show",
        pattern = "^[^/]+(/[^/]+)+$")),
    responses((status = 200, description = "How many sessions end within a second", body = Kicked)))]
async fn kick(
    State(api): State<Shared>,
    Named(path): Named,
    MaybeBody(kick): MaybeBody<Kick>,
) -> Result<Json<Kicked>, Problem> {
    api.broadcast(&path)?;
    let sessions = api.sessions_of(&path);
    let meant = sessions.iter().filter(|s| s.role == Role::Publisher || kick.viewers);
    Ok(Json(Kicked { sessions: meant.map(|session| Sessions::end(session, Ending::Kicked)).count() }))
}

/// Lets the next publisher who is allowed to publish take the broadcast over within 60 s, whatever `publish.collision` says.
/// Viewers stay.
#[utoipa::path(post, path = "/v1/broadcasts/{path}/takeover", tag = "broadcasts",
    params(("path" = String, Path, description = "Its path in one element: slashes are written %2F", example = "live/show",
        pattern = "^[^/]+(/[^/]+)+$")),
    responses((status = 204, description = "The seat is open")))]
async fn takeover(State(api): State<Shared>, Named(path): Named) -> Result<StatusCode, Problem> {
    api.broadcast(&path)?.open_seat(Instant::now() + TAKEOVER_TIME);
    Ok(StatusCode::NO_CONTENT)
}

impl Api {
    fn broadcast(&self, path: &BroadcastPath) -> Result<Arc<Broadcast>, Problem> {
        self.hub.broadcast(path).ok_or_else(|| Problem::not_found(format!("{path} isn't live")))
    }

    fn sessions_of(&self, path: &BroadcastPath) -> Vec<Arc<Session>> {
        let mut all = self.sessions.list();
        all.retain(|session| session.path == *path);
        all
    }

    fn view(
        &self,
        broadcast: &Arc<Broadcast>,
        sessions: &[Arc<Session>],
        health: &Health,
        now: Instant,
    ) -> BroadcastView {
        let (vhost, app, name) = self.parts(broadcast.path());
        let samples = self.samples.of(broadcast.path());
        let publisher = publisher(sessions);
        let (viewers, by_protocol) = viewers(broadcast, sessions);
        let catalog = broadcast.catalog().unwrap_or_default();
        BroadcastView {
            path: broadcast.path().to_string(),
            vhost,
            app,
            name,
            live: broadcast.is_published(),
            since: self.anchor.text(broadcast.created()),
            age_s: seconds(now.saturating_duration_since(broadcast.created())),
            viewers,
            viewers_by_protocol: by_protocol,
            ingest: Ingest {
                bytes: broadcast.ingest_totals().1,
                kbit_s: rounded(lately(&samples, |s| f64::from(s.ingest_kbit_s))),
                protocol: publisher.map(|p| p.ask.protocol.as_str()),
                peer: publisher.map(|p| p.ask.peer.to_string()),
            },
            egress: Egress {
                bytes: broadcast.egress_bytes(),
                kbit_s: rounded(lately(&samples, |s| f64::from(s.egress_kbit_s))),
            },
            video: Video::of(&catalog, health),
            audio: Audio::of(&catalog),
            transcoded: self.transcoded(broadcast.path()).map(codec).collect(),
            webrtc: WebrtcView::of(broadcast, &catalog, health, &self.reloader),
            history: samples.iter().map(|sample| self.moment(sample)).collect(),
        }
    }

    fn transcoded(&self, path: &BroadcastPath) -> impl Iterator<Item = Codec> {
        let recoded = self.reloader.pictures().is_running(path).then_some(Codec::H264);
        self.transcodes.running(path).into_iter().chain(recoded)
    }

    /// Vhost, app and name; the vhosts are those of the configuration.
    fn parts(&self, path: &BroadcastPath) -> (String, String, String) {
        const DEFAULT: &str = "default";
        let (whole, config) = (path.as_str(), self.reloader.running());
        let of_vhost = whole.split_once('/').filter(|(first, rest)| {
            *first != DEFAULT && config.vhost.contains_key(*first) && rest.contains('/')
        });
        let (vhost, rest) = of_vhost.unwrap_or((DEFAULT, whole));
        let (app, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        (vhost.to_owned(), app.to_owned(), name.to_owned())
    }

    fn moment(&self, sample: &Sample) -> Moment {
        Moment {
            t: self.anchor.text(sample.at),
            kbit_s: sample.ingest_kbit_s,
            egress_kbit_s: sample.egress_kbit_s,
            viewers: sample.viewers,
        }
    }
}

/// The newest: one that was taken over may still be on its way out.
fn publisher(sessions: &[Arc<Session>]) -> Option<&Arc<Session>> {
    sessions.iter().rev().find(|session| session.role == Role::Publisher)
}

/// How many watch, and by what.
fn viewers(broadcast: &Broadcast, sessions: &[Arc<Session>]) -> (u64, BTreeMap<&'static str, u64>) {
    let mut by_protocol = BTreeMap::new();
    for session in sessions.iter().filter(|s| s.role == Role::Viewer) {
        *by_protocol.entry(session.ask.protocol.as_str()).or_default() += 1;
    }
    let polling = broadcast.polling_viewers();
    if polling > 0 {
        *by_protocol.entry(ESTIMATED).or_default() += polling;
    }
    (by_protocol.values().sum(), by_protocol)
}

impl Video {
    fn of(catalog: &Catalog, health: &Health) -> Option<Video> {
        let track = catalog.first(Kind::Video)?;
        let size = track.video_size();
        let fps = health.video.frames_per_s.or(health.video.frames_per_s_nominal).map(rounded);
        Some(Video { codec: codec(track.codec), width: size.map(|s| s.0), height: size.map(|s| s.1), fps })
    }
}

impl Audio {
    fn of(catalog: &Catalog) -> Option<Audio> {
        let track = catalog.first(Kind::Audio)?;
        let format = track.audio_format();
        Some(Audio { codec: codec(track.codec), sample_rate: format.sample_rate, channels: format.channels })
    }
}

impl TrackView {
    fn of(track: &Track) -> TrackView {
        let size = track.video_size();
        let format = (track.kind == Kind::Audio).then(|| track.audio_format());
        TrackView {
            id: track.id.0,
            kind: match track.kind {
                Kind::Video => "video",
                Kind::Audio => "audio",
            },
            codec: codec(track.codec),
            width: size.map(|s| s.0),
            height: size.map(|s| s.1),
            sample_rate: format.map(|f| f.sample_rate),
            channels: format.map(|f| f.channels),
        }
    }
}

/// Its name in this API, such as `h264`.
pub(super) fn codec(codec: Codec) -> String {
    format!("{codec:?}").to_lowercase()
}
