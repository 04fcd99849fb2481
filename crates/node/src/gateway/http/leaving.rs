//! What is still answered while a server drains: files of broadcasts that are packaged already, since their players have no
//! connection that lasts, and the ends of what came by offers. Nothing else begins.
//!
//! When a successor has taken over, players of such files come over to it with their next playlist. What the last one lists they
//! still load from here, over the connection that they have.

use super::listen::Gateway;
use super::service::{Answer, Service, text};
use super::{hls, refusal};
use crate::gateway::{Io, offer_target};
use crate::life::{Life, Phase};
use crate::logs::access::{Answered, RequestKind};
use http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use http::{Request, StatusCode, Version};
use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Whether a connection is one of a player that polls: the last request was for a file, or there was none yet. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Polls(Arc<AtomicU8>);

/// Over such a connection, a response may ask to close it.
const BY_HTTP_1: u8 = 0;
/// There is one connection for all, which is told by GOAWAY.
const BY_HTTP_2: u8 = 1;
const NOT: u8 = 2;

/// What is said to who wants more.
pub(super) const REASON: &str = "this server is about to end; come again\n";
/// When to come again: soon somebody else listens here, or a balancer has heard that nobody does.
pub(super) const RETRY_AFTER_S: u64 = 5;
/// How often is looked whether anybody watches by polling.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Polls {
    /// A request came; for a file, or for something else.
    pub(super) fn note(&self, file: bool, version: Version) {
        let by = if version < Version::HTTP_2 { BY_HTTP_1 } else { BY_HTTP_2 };
        self.0.store(if file { by } else { NOT }, Ordering::Relaxed);
    }

    /// Waits until a connection that rests has nothing to wait for.
    pub(super) async fn leave(&self, life: &mut Life, gateway: &Gateway) {
        life.draining().await;
        match self.0.load(Ordering::Relaxed) {
            BY_HTTP_1 if gateway.packagings.any() => life.stopping().await,
            BY_HTTP_2 if gateway.packagings.any() => life.handed_over().await,
            _ => {}
        }
    }
}

impl Gateway {
    /// Waits until nobody may connect any more: players that poll open new connections, so long as there are any.
    pub(super) async fn closing(&self, life: &mut Life) {
        life.draining().await;
        while life.phase() == Phase::Draining && self.packagings.any() {
            let _ = tokio::time::timeout(LOOK_EVERY, life.handed_over()).await;
        }
    }

    /// Says no to somebody who wants to play.
    pub(super) async fn refuse_player(&self, io: &mut Io, path: &str, peer: SocketAddr) -> Result<()> {
        let (kind, status, after) = (RequestKind::Flv, StatusCode::SERVICE_UNAVAILABLE, Duration::ZERO);
        self.answered(&Answered {
            kind,
            method: "GET",
            path,
            status: status.as_u16(),
            bytes: None,
            after,
            peer,
        });
        refusal::refuse(io, status, &format!("Retry-After: {RETRY_AFTER_S}\r\n"), REASON).await
    }
}

impl Service {
    /// The answer to a request that comes too late.
    pub(super) fn too_late<B>(&self, request: &Request<B>) -> Option<Answer> {
        let path = request.uri().path();
        let file = hls::target(path).is_some();
        self.polls.note(file, request.version());
        let goes_on = file || offer_target(path).is_some_and(|target| target.connection.is_some());
        if self.life.phase() != Phase::Draining || goes_on {
            return None;
        }
        let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, REASON);
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        if request.version() < Version::HTTP_2 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Some(answer)
    }
}
