//! WHIP and WHEP: offers and answers over HTTP. RFC 9725; draft-ietf-wish-whep.

use super::engine::{self, OfferError, Offered};
use super::member::{Arriving, Part};
use super::order::{Order, Outcome};
use super::plane::Plane;
use super::play::sendable;
use super::publish::Intake;
use super::registry::{self, Overloaded};
use crate::auth::{Action, Auth, Refusal};
use crate::limits::{Limit, Limits, TooMuch};
use crate::metrics::Metrics;
use crate::sessions::Protocol;
use crate::transcode::{Audible, Pictures, Transcodes, Unavailable};
use hub::{Batch, Broadcast, BroadcastPath, Item};
use media::{Codec, Kind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) path: BroadcastPath,
    pub(crate) protocol: Protocol,
    /// The connection that it names.
    pub(crate) connection: Option<String>,
}

impl Target {
    /// What the client wants to do.
    pub(crate) fn action(&self) -> Action {
        if self.protocol == Protocol::Whip { Action::Publish } else { Action::Play }
    }

    /// The URL of the connection that it names. A connection has one: its name at another broadcast names nothing.
    fn url(&self) -> Option<String> {
        self.connection.as_deref().map(|name| self.url_of(name))
    }

    fn url_of(&self, connection: &str) -> String {
        format!("/{}/{}/{connection}", self.path.as_str(), self.protocol.as_str())
    }
}

/// What WHIP and WHEP need.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) auth: Arc<Auth>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) transcodes: Transcodes,
    pub(crate) pictures: Pictures,
    pub(crate) plane: Plane,
    /// What clients are told of TURN servers.
    pub(crate) links: Vec<String>,
    /// Where clients are sent when there is no room here.
    pub(crate) overflow: Option<String>,
}

/// What the client gets for its offer.
#[derive(Debug)]
pub(crate) struct Created {
    /// `Location`: the connection's own URL, relative to the host.
    pub(crate) location: String,
    /// `ETag` of its ICE session. RFC 9725 §4.3.1.
    pub(crate) etag: String,
    pub(crate) answer: String,
    /// `Link`s: the TURN servers to use, if need be. RFC 9725 §4.6.
    pub(crate) links: Vec<String>,
}

/// What came of a `PATCH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Nothing had to be done.
    Noted,
    /// ICE begins anew; the fragment is for the client.
    Restarted { etag: String, fragment: String },
    /// There is no such connection.
    Gone,
    /// It has no `If-Match`, so it may be about another ICE session.
    Unconditional,
    /// It is about another ICE session than the one that there is.
    Other,
    /// New secrets are announced, but not whole.
    Unreadable,
}

/// Why an offer is refused; the text is for its user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCreated {
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("{0}")]
    Offer(#[from] OfferError),
    #[error("{0}")]
    TooMuch(#[from] TooMuch),
    #[error("nobody publishes {0}")]
    NotLive(BroadcastPath),
    #[error(
        "{0} has no pictures and sound that WebRTC can carry; watch it by LL-HLS at /{0}/index.m3u8, or by HTTP-FLV"
    )]
    NothingToSend(BroadcastPath),
    #[error(
        "the pictures of {0} are shown in another order than they are coded (B-frames that others build on), which WebRTC can't \
         carry: watch it by LL-HLS at /{0}/index.m3u8, or turn B-frames off in the encoder (OBS: Settings → Output, x264 options `bframes=0`)"
    )]
    Reordered(BroadcastPath),
    #[error(
        "the pictures of {0} are shown in another order than they are coded (B-frames), which WebRTC can't carry and is refused here: \
         watch it by LL-HLS at /{0}/index.m3u8, or turn B-frames off in the encoder (OBS: Settings → Output, x264 options `bframes=0`)"
    )]
    Unwanted(BroadcastPath),
    #[error(
        "the pictures of {0} are shown in another order than they are coded (B-frames), or in a codec that browsers don't know, which \
         WebRTC can't carry; {1}: watch it by LL-HLS at /{0}/index.m3u8"
    )]
    NotRecoded(BroadcastPath, Unavailable),
    #[error("too many connections wait to begin; try again")]
    Overloaded,
}

/// When to come again to where too many wait: they come soon, or are given up.
const WAITING_RETRY: Duration = Duration::from_secs(5);
/// How long a viewer waits for the tracks of a broadcast that just began.
const TRACKS_WAIT: Duration = Duration::from_secs(3);

/// Reads the path of a URL: `/live/NAME/whip`, `/live/NAME/whep`, each with `/CONNECTION` behind it or not.
pub(crate) fn target(path: &str) -> Option<Target> {
    let path = path.strip_prefix('/')?;
    let (front, connection) = match path.rsplit_once('/')? {
        (front, name) if matches!(name, "whip" | "whep") => (front.to_owned() + "/" + name, None),
        (front, name) => (front.to_owned(), Some(name.to_owned())),
    };
    let (broadcast, endpoint) = front.rsplit_once('/')?;
    let protocol = match endpoint {
        "whip" => Protocol::Whip,
        "whep" => Protocol::Whep,
        _ => return None,
    };
    Some(Target { path: BroadcastPath::parse(broadcast).ok()?, protocol, connection })
}

impl Gateway {
    /// Takes an offer. `url` is the path that it came to.
    pub(crate) async fn create(
        &self,
        target: &Target,
        ask: crate::auth::Ask,
        offer: &str,
        peer: SocketAddr,
    ) -> Result<Created, NotCreated> {
        let asked = Instant::now();
        let mut admission = self.limits.enter()?;
        admission.identify(peer.ip())?;
        let (key, wire, answer, part, session) = if target.protocol == Protocol::Whip {
            let grant = self.auth.publish(ask).await?;
            // The offer first: a bad one takes nobody's seat.
            let (key, wire, answer) = self.plane.answer(offer, Offered::Publish)?;
            let muting = grant.muting();
            let (producer, session) = grant.publish(Instant::now())?;
            let tracks = [Kind::Video, Kind::Audio].into_iter().filter(|kind| wire.has(*kind)).count();
            let several = wire.has_qualities().then(|| self.plane.renditions().publish(&target.path));
            let captures = self.plane.captures().of(producer.broadcast().path());
            let hints = (several, captures, muting);
            let intake = Intake::new(producer, hints, &self.metrics, tracks, Instant::now());
            (key, wire, answer, Part::Publish(Box::new(intake)), session)
        } else {
            let playing = self.auth.play(ask).await?.play().await;
            let playing = playing.map_err(|demand| NotCreated::NotLive(demand.path().clone()))?;
            let audible = self.transcodes.opus(&playing.broadcast).await;
            let audible = self.in_order(audible, &playing.broadcast, &target.path).await?;
            let there = what_is_there(&audible.broadcast).await;
            if audible.recoded && there.items.is_empty() {
                return Err(NotCreated::NotRecoded(target.path.clone(), Unavailable::NotYet));
            }
            let (video, audio) = sendable_of(&there, &target.path)?;
            let measured = !audible.recoded && self.plane.renditions().of(&target.path).is_some();
            let (key, wire, answer) = self.plane.answer(offer, Offered::Play { video, audio, measured })?;
            audible.transcoded.inspect(|codec| playing.session.session().hears(*codec));
            (key, wire, answer, Part::Play(audible), playing.session)
        };
        let name = registry::secret().map_err(|error| OfferError::Local(error.to_string()))?;
        let location = target.url_of(&name);
        let arriving = Arriving { key, peer: wire, part, session, admission, asked };
        let remote_user = engine::user(offer).unwrap_or_default();
        let ice = self.plane.expect(arriving, (&location, remote_user)).map_err(|full| self.full(full))?;
        Ok(Created { location, etag: ice.tag, answer, links: self.links.clone() })
    }

    /// The broadcast with pictures in the order in which they are shown, as its policy says.
    async fn in_order(
        &self,
        audible: Audible,
        source: &Arc<Broadcast>,
        named: &BroadcastPath,
    ) -> Result<Audible, NotCreated> {
        let policy = self.auth.b_frames(source.path());
        let order = Order::of(source).await;
        match Outcome::of(order, policy) {
            Outcome::Whole | Outcome::Dropped => Ok(audible),
            Outcome::Transcoded => {
                self.pictures.recoded(audible).map_err(|why| NotCreated::NotRecoded(named.clone(), why))
            }
            Outcome::Refused => Err(match order {
                Order::Foreign => NotCreated::NothingToSend(named.clone()),
                Order::Droppable => NotCreated::Unwanted(named.clone()),
                Order::Shown | Order::Needed => NotCreated::Reordered(named.clone()),
            }),
        }
    }

    fn full(&self, full: Overloaded) -> NotCreated {
        match full {
            Overloaded::All => NotCreated::Overloaded,
            Overloaded::Address => self.limits.too_much(Limit::OffersPerAddress, WAITING_RETRY).into(),
        }
    }

    /// Ends a connection. False if there is none of that name there.
    pub(crate) fn end(&self, target: &Target) -> bool {
        target.url().is_some_and(|url| self.plane.end(&url))
    }

    /// Takes what a client tells of its ICE session: more candidates, which aren't needed (it is seen where its datagrams come from),
    /// or new secrets. RFC 9725 §4.3. `matched`: the `If-Match` of the request.
    pub(crate) fn change(&self, target: &Target, matched: Option<&str>, fragment: &str) -> Changed {
        let Some(url) = target.url() else { return Changed::Gone };
        let Some(ice) = self.plane.ice(&url) else { return Changed::Gone };
        let restarts = engine::user(fragment).is_some_and(|user| user != ice.remote_user);
        match matched {
            // Older clients send candidates without it.
            None if restarts => return Changed::Unconditional,
            Some(tags) if tags != "*" && !tags.split(',').any(|tag| tag.trim() == ice.tag) => {
                return Changed::Other;
            }
            _ if !restarts => return Changed::Noted,
            _ => {}
        }
        let Some(remote) = engine::credentials(fragment) else { return Changed::Unreadable };
        match self.plane.restart(&url, &remote) {
            Some((ice, fragment)) => Changed::Restarted { etag: ice.tag, fragment },
            None => Changed::Gone,
        }
    }
}

/// Tracks of a broadcast and its newest group, waited for a little while.
async fn what_is_there(broadcast: &Arc<Broadcast>) -> Batch {
    let (mut consumer, mut batch) = (broadcast.consumer(), Batch::default());
    // Without tracks by then, there is nothing to send.
    let _ = tokio::time::timeout(TRACKS_WAIT, consumer.batch(&mut batch)).await;
    batch
}

/// The codecs of it that WebRTC can carry: pictures and sound.
fn sendable_of(batch: &Batch, path: &BroadcastPath) -> Result<(Option<Codec>, Option<Codec>), NotCreated> {
    let catalog = batch.items.iter().rev().find_map(|item| match item {
        Item::Catalog(catalog) => Some(catalog),
        _ => None,
    });
    let (video, audio) = catalog.map(|catalog| sendable(catalog)).unwrap_or_default();
    // Sound alone of what has pictures would be a black screen.
    let has_pictures = catalog.is_some_and(|catalog| catalog.first(Kind::Video).is_some());
    if video.is_none() && (has_pictures || audio.is_none()) {
        return Err(NotCreated::NothingToSend(path.clone()));
    }
    Ok((video, audio))
}

/// A TURN server as a `Link`. RFC 9725 §4.6.
pub(crate) fn link(url: &str, username: &str, password: &str) -> String {
    // What could end the value is left out; it has no place in any of them.
    let clean = |text: &str| text.replace(['"', '\\', '<', '>', '\r', '\n'], "");
    let mut link = format!("<{}>; rel=\"ice-server\"", clean(url));
    if !username.is_empty() || !password.is_empty() {
        let (user, secret) = (clean(username), clean(password));
        link += &format!("; username=\"{user}\"; credential=\"{secret}\"; credential-type=\"password\"");
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_broadcast_and_a_connection() {
        let whep = target("/live/x/whep").unwrap();
        assert_eq!((whep.path.as_str(), whep.protocol, whep.connection), ("live/x", Protocol::Whep, None));
        let whip = target("/live/a/b/whip/0011").unwrap();
        assert_eq!((whip.path.as_str(), whip.protocol), ("live/a/b", Protocol::Whip));
        assert_eq!(whip.connection.as_deref(), Some("0011"));
        for other in ["/", "/whip", "/live/x.flv", "/live/x/whop", "/live/../whip"] {
            assert_eq!(target(other), None, "{other}");
        }
    }

    #[test]
    fn a_turn_server_is_told_with_its_password() {
        let told = link("turn:turn.example.net?transport=udp", "u", "p\"");
        let wanted = "<turn:turn.example.net?transport=udp>; rel=\"ice-server\"; username=\"u\"; credential=\"p\"; credential-type=\"password\"";
        assert_eq!(told, wanted);
        assert_eq!(link("stun:s.example.net", "", ""), "<stun:s.example.net>; rel=\"ice-server\"");
    }
}
