//! Packaging goes on in a process that takes over from another. Players come over at once, so they have to find something to
//! load, with numbers above those that they know; times stay as they were, since what is fetched from the old process keeps
//! them.

use super::packaging::{Packaging, Packagings};
use super::target::target;
use bytes::Bytes;
use hls::Request;
use hub::Hub;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What players have from the process before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited<'a> {
    /// Playlists that players begin with, of what is packaged there.
    pub(crate) playlists: &'a [String],
    /// Above the numbers of its segments.
    pub(crate) numbers_end: u32,
    /// Where it still answers, and what opens everything there.
    pub(crate) media: Option<&'a (SocketAddr, String)>,
}

/// The process before, while players still have its playlists.
#[derive(Debug)]
pub(super) struct Before {
    media: SocketAddr,
    secret: String,
    until: Instant,
}

/// How long a takeover waits for first segments, which last as long as keyframes are apart. Who watches something with rarer
/// ones waits a moment.
const READY_MAX: Duration = Duration::from_secs(5);
/// Segments that the old process still makes meanwhile, and while this one starts; none is shorter than half a second.
const SEGMENTS_AHEAD: u32 = 16;
/// How long what an old playlist lists is fetched from where it is. Players reload every few seconds, and some pause.
const BEFORE_MAX: Duration = Duration::from_secs(60);
/// How long that may take; it is on this machine.
const FETCH_MAX: Duration = Duration::from_secs(2);
/// A segment of ten seconds at 25 Mbit/s has as many.
const FETCH_BYTES_MAX: u64 = 32 << 20;
/// Header lines of our own answers; there are about ten.
const HEADERS_MAX: usize = 32;

impl Packagings {
    /// Packages what the process before packages. Returns once there is something to load of each.
    pub(crate) async fn take_up(self: &Arc<Self>, inherited: Inherited<'_>, hub: &Hub) {
        let Inherited { playlists, numbers_end, media } = inherited;
        if let Some((media, secret)) = media.cloned().filter(|_| !playlists.is_empty()) {
            // Nobody takes over twice, so that it is empty.
            let _ = self.before.set(Before { media, secret, until: Instant::now() + BEFORE_MAX });
        }
        if numbers_end > 0 {
            self.begin_at(numbers_end.saturating_add(SEGMENTS_AHEAD));
        }
        let all_ready = async {
            let mut begun = Vec::with_capacity(playlists.len());
            for target in playlists.iter().filter_map(|playlist| target(playlist)) {
                let demand = hub.demand(&target.path);
                let broadcast = match hub.broadcast(&target.path) {
                    Some(broadcast) => Some(broadcast),
                    None => hub.arrival(&demand).await,
                };
                begun.extend(broadcast.map(|broadcast| self.of(&broadcast, target.sound)));
            }
            for packaging in begun {
                // An error means that the broadcast is over already.
                let _ = packaging.snapshots().wait_for(|snapshot| snapshot.is_ready()).await;
            }
        };
        if tokio::time::timeout(READY_MAX, all_ready).await.is_err() {
            tracing::debug!("not everything that players watch is packaged yet");
        }
    }

    /// A file that an old playlist lists, which a player asks for over a new connection.
    pub(super) async fn fetched_before(
        &self,
        packaging: &Packaging,
        request: &Request,
        file: &str,
    ) -> Option<Bytes> {
        let is_media = matches!(
            request,
            Request::Init { .. } | Request::Segment { .. } | Request::Part { .. } | Request::TsSegment { .. }
        );
        let before = self.before.get().filter(|before| is_media && Instant::now() < before.until)?;
        let target = packaging.target(file);
        tokio::time::timeout(FETCH_MAX, before.fetch(&target)).await.ok()?.ok()?
    }
}

impl Before {
    /// The file; none if it isn't there either.
    async fn fetch(&self, target: &str) -> std::io::Result<Option<Bytes>> {
        let mut socket = TcpStream::connect(self.media).await?;
        let (target, secret) = (escaped(target), &self.secret);
        let request =
            format!("GET {target}?token={secret} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.take(FETCH_BYTES_MAX).read_to_end(&mut answer).await?;
        Ok(body(answer.into()))
    }
}

/// The body of an answer, if it is all there and good.
fn body(mut answer: Bytes) -> Option<Bytes> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(end) = head.parse(&answer).ok()? else { return None };
    let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"))?;
    let length: usize = std::str::from_utf8(length.value).ok()?.parse().ok()?;
    let is_good = head.code == Some(200) && answer.len() - end == length;
    is_good.then(|| answer.split_off(end))
}

/// A path as it stands in a request. RFC 3986 §2.3.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_and_good_answer_has_a_body() {
        let check = |answer: &'static str, expect: Option<&'static str>| {
            assert_eq!(body(Bytes::from(answer)), expect.map(Bytes::from), "{answer:?}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Some("abc"));
        check("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", None);
        check("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc", None);
        check("HTTP/1.1 200 OK\r\n\r\nabc", None);
        check("HTTP/1.1 200 OK\r\nContent-Le", None);
    }

    #[test]
    fn a_path_is_asked_for_as_a_url_has_it() {
        assert_eq!(escaped("/live/直 x/video/seg-7.m4s"), "/live/%E7%9B%B4%20x/video/seg-7.m4s");
    }

    #[test]
    fn fuzz_answers_never_panic() {
        let mut random = testkit::Random::seeded(12);
        for _ in 0..5000 {
            body(Bytes::from(random.mutate(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").to_vec()));
        }
    }
}
