//! Users who publish by name and password, when they connect. What they may publish is decided when they ask for it.

use super::logins::NONCE_BYTES;
use super::{Action, Ask, Auth, Refusal, agent};
use crate::gateway::random_bytes;
use crate::sessions::Protocol;
use hub::BroadcastPath;
use rtmp::Connect;
use rtmp::adobe::{self, Answer, Challenge, Login};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::display;

/// Why somebody may not connect yet, or at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("it is asked for its user")]
    Unnamed,
    #[error("{user} is asked for its password")]
    Unproven { user: String, opaque: String },
    #[error("user or password of {user} is wrong")]
    Wrong { user: String },
}

impl Denied {
    /// As the client is told.
    pub(crate) fn description(&self) -> String {
        let refusal = match self {
            Denied::Unnamed => adobe::Refusal::NameUser,
            Denied::Unproven { user, opaque } => match Challenge::new(opaque) {
                Some(challenge) => adobe::Refusal::Answer { user, challenge },
                None => adobe::Refusal::Failed { user },
            },
            Denied::Wrong { user } => adobe::Refusal::Failed { user },
        };
        refusal.description()
    }
}

impl Auth {
    /// Which user a client showed to be that connects; `None` if it need not be one.
    pub(crate) fn log_in(
        &self,
        connect: &Connect,
        host: Option<String>,
        peer: SocketAddr,
    ) -> Result<Option<Answer>, Denied> {
        let rules = self.rules.load();
        if !rules.has_users() {
            return Ok(None);
        }
        match &connect.login {
            Login::Silent => {
                let demanded = connect.publishes
                    && ask_within(connect, host, peer).is_some_and(|ask| rules.demands_user(&ask));
                if demanded { Err(Denied::Unnamed) } else { Ok(None) }
            }
            // Users who don't exist get a challenge, too, so that nobody learns who does.
            Login::User(user) => Err(self.challenge(user)),
            Login::Answer(answer) => {
                let (opaque, user, now) = (answer.opaque(), answer.user(), seconds());
                let Some(given) = self.logins.given(opaque, user, now) else {
                    return Err(self.challenge(user));
                };
                if rules.user(answer).is_ok() && self.logins.use_up(opaque, given, now) {
                    return Ok(Some(answer.clone()));
                }
                let peer = self.sessions.access().shown(peer.ip()).map(display);
                tracing::warn!(%user, peer, "a login failed");
                self.metrics.refused(&Refusal::User);
                Err(Denied::Wrong { user: user.to_owned() })
            }
        }
    }

    fn challenge(&self, user: &str) -> Denied {
        let user = user.to_owned();
        match random_bytes::<NONCE_BYTES>() {
            Ok(nonce) => Denied::Unproven { opaque: self.logins.challenge(&user, seconds(), nonce), user },
            Err(_) => Denied::Wrong { user },
        }
    }
}

/// Seconds since 1970, wrapping in 2106, which differences don't see.
fn seconds() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32
}

/// The question for some name within the app, as the name isn't known yet. Without an app it comes with the name; until then the
/// usual one stands for it.
fn ask_within(connect: &Connect, host: Option<String>, peer: SocketAddr) -> Option<Ask> {
    let app = if connect.app.is_empty() { "live" } else { &connect.app };
    Some(Ask {
        action: Action::Publish,
        path: BroadcastPath::new(app, "any").ok()?,
        host,
        query: connect.query.clone(),
        bearer: None,
        login: None,
        agent: agent(&connect.flash_ver),
        peer,
        protocol: Protocol::Rtmp,
    })
}
