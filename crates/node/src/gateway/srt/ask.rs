//! What a caller wants, and whether it may.

use super::listen::Gateway;
use super::publish::Intake;
use crate::auth::{Action, Ask, Refusal, agent};
use crate::limits::Admission;
use crate::sessions::{Protocol, SessionGuard};
use hub::path::PathError;
use hub::{Batch, Broadcast, BroadcastPath, Item};
use media::Kind;
use srt::{Mode, Request, StreamId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A caller about whom is decided.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) request: Request,
    pub(super) admission: Admission,
    pub(super) asked: Instant,
    pub(super) verdict: Result<Granted, Refused>,
}

/// What a caller may do.
#[derive(Debug)]
pub(super) enum Granted {
    Publish(Box<Intake>, SessionGuard),
    Play(Arc<Broadcast>, SessionGuard),
}

/// Why a caller may not.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Unclear(#[from] srt::Error),
    #[error("{0}")]
    Path(#[from] PathError),
    #[error("{0}")]
    Refusal(#[from] Refusal),
    #[error("nobody publishes {0}")]
    NotLive(BroadcastPath),
    #[error(
        "MPEG-TS can't carry the pictures and sound of {0}; watch it by LL-HLS at /{0}/index.m3u8, or by HTTP-FLV"
    )]
    NothingToSend(BroadcastPath),
}

/// How long a viewer waits for the tracks of a broadcast that just began.
const TRACKS_WAIT: Duration = Duration::from_secs(2);

/// Decides about a caller.
pub(super) async fn decide(gateway: Arc<Gateway>, request: Request, admission: Admission) -> Decided {
    let asked = Instant::now();
    let verdict = verdict(&gateway, &request).await;
    Decided { request, admission, asked, verdict }
}

async fn verdict(gateway: &Gateway, request: &Request) -> Result<Granted, Refused> {
    let id = StreamId::parse(request.stream_id())?;
    let ask = ask(&id, request)?;
    match ask.action {
        Action::Publish => {
            let (producer, session) = gateway.auth.publish(ask).await?.publish(Instant::now())?;
            tracing::info!(path = %session.session().path, "publisher accepted");
            gateway.metrics.publishes.inc();
            Ok(Granted::Publish(Box::new(Intake::new(producer, &gateway.metrics)), session))
        }
        Action::Play => {
            let path = ask.path.clone();
            let playing = gateway.auth.play(ask).await?.play().await;
            let playing = playing.map_err(|demand| Refused::NotLive(demand.path().clone()))?;
            if !is_playable(&playing.broadcast).await {
                return Err(Refused::NothingToSend(path));
            }
            Ok(Granted::Play(playing.broadcast, playing.session))
        }
    }
}

fn ask(id: &StreamId, request: &Request) -> Result<Ask, PathError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(&id.fields);
    Ok(Ask {
        action: match id.mode {
            Mode::Publish => Action::Publish,
            Mode::Request => Action::Play,
        },
        path: BroadcastPath::parse(&id.resource)?,
        host: id.host.clone(),
        query: query.finish(),
        bearer: None,
        login: None,
        agent: agent(&format!("SRT {}", request.version())),
        peer: request.name().0,
        protocol: Protocol::Srt,
    })
}

/// Whether TS can carry the pictures of a broadcast, or its sound if it has none. Tracks are waited for a little while.
async fn is_playable(broadcast: &Arc<Broadcast>) -> bool {
    let (mut consumer, mut batch) = (broadcast.consumer(), Batch::default());
    // Without tracks by then, there is nothing to send.
    let _ = tokio::time::timeout(TRACKS_WAIT, consumer.batch(&mut batch)).await;
    let catalog = batch.items.iter().rev().find_map(|item| match item {
        Item::Catalog(catalog) => Some(catalog),
        _ => None,
    });
    let Some(catalog) = catalog else { return false };
    let first = catalog.first(Kind::Video).or(catalog.first(Kind::Audio));
    first.is_some_and(mux::ts::can_carry)
}

impl Refused {
    /// What the caller is told.
    pub(super) fn code(&self) -> srt::Refusal {
        match self {
            Refused::Unclear(_) | Refused::Path(_) => srt::Refusal::BAD_REQUEST,
            Refused::NotLive(_) => srt::Refusal::NOT_FOUND,
            Refused::NothingToSend(_) => srt::Refusal::UNSUPPORTED,
            Refused::Refusal(refusal) => match refusal {
                Refusal::Hub(_) => srt::Refusal::CONFLICT,
                Refusal::UnknownVhost(_) | Refusal::UnknownApp(_) => srt::Refusal::NOT_FOUND,
                Refusal::NobodyMay
                | Refusal::PublishClosed
                | Refusal::PlayClosed
                | Refusal::UserPath
                | Refusal::Hook(_) => srt::Refusal::FORBIDDEN,
                Refusal::Path(_) => srt::Refusal::BAD_REQUEST,
                _ => srt::Refusal::UNAUTHORIZED,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_codes_that_the_documents_say() {
        let check = |refused: Refused, code: u32| assert_eq!(refused.code().0, code, "{refused}");
        check(srt::Error::NoResource.into(), 2400);
        check(Refusal::KeyMissing.into(), 2401);
        check(Refusal::TokenMissing.into(), 2401);
        check(Refusal::PlayClosed.into(), 2403);
        check(Refusal::UnknownApp("x".to_owned()).into(), 2404);
        check(Refusal::Hub(hub::Error::Occupied).into(), 2409);
        let path = BroadcastPath::parse("live/x").unwrap();
        check(Refused::NotLive(path.clone()), 2404);
        check(Refused::NothingToSend(path), 2415);
    }
}
