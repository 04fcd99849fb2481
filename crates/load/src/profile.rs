//! Who watches what: a URL chooses the protocol, shares mix the protocols, and every viewer has a place in the mix.

use crate::quantity::Share;
use anyhow::{Context, bail, ensure};
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// How a viewer watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protocol {
    /// FLV over HTTP.
    Flv,
    /// FLV in WebSocket messages.
    Ws,
    /// RTMP play.
    Rtmp,
    /// HLS, with low latency where the playlist offers it.
    Hls,
    /// WebRTC.
    Whep,
    /// Publishing by WebRTC; nobody watches by it.
    Whip,
}

impl Protocol {
    /// As in reports and in `--mix`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flv => "flv",
            Self::Ws => "ws",
            Self::Rtmp => "rtmp",
            Self::Hls => "hls",
            Self::Whep => "whep",
            Self::Whip => "whip",
        }
    }

    /// Sockets of one client: an HLS player loads video and audio side by side, WebRTC asks by TCP and has media by UDP.
    pub(crate) fn connections(self) -> usize {
        if matches!(self, Self::Hls | Self::Whep | Self::Whip) { 2 } else { 1 }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "flv" => Ok(Self::Flv),
            "ws" | "ws-flv" => Ok(Self::Ws),
            "rtmp" => Ok(Self::Rtmp),
            "hls" | "ll-hls" => Ok(Self::Hls),
            "whep" | "webrtc" => Ok(Self::Whep),
            _ => Err(format!("`{text}` is none of flv, ws, rtmp, hls, whep")),
        }
    }
}

/// Where viewers or publishers of one kind go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) protocol: Protocol,
    /// The address behind `host`.
    pub(crate) address: SocketAddr,
    /// Host and port as the URL has them.
    pub(crate) host: String,
    /// Path and query; `{i}` stands for the broadcast's index.
    pub(crate) path: String,
}

impl Target {
    /// Reads a URL; scheme and ending choose the protocol.
    ///
    /// # Errors
    /// A sentence for the user, when nothing we speak is meant or the host has no address.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        let parts = Url::split(url)?;
        let path_alone = parts.path.split('?').next().unwrap_or_default();
        let protocol = match parts.scheme {
            "rtmp" => Protocol::Rtmp,
            "ws" => Protocol::Ws,
            "http" if path_alone.ends_with(".m3u8") => Protocol::Hls,
            "http" if path_alone.ends_with(".flv") => Protocol::Flv,
            "http" if path_alone.ends_with("/whep") => Protocol::Whep,
            "http" if path_alone.ends_with("/whip") => Protocol::Whip,
            "http" => {
                bail!(
                    "{url}: a path that ends in .flv, .m3u8, /whep or /whip chooses between FLV, HLS and WebRTC"
                )
            }
            "https" | "wss" | "rtmps" => {
                bail!("{url}: TLS viewers are not simulated; use the plain port of the same server")
            }
            other => bail!("{url}: `{other}` is not one of http, ws, rtmp"),
        };
        let (host, port) = parts.host_and_port(if protocol == Protocol::Rtmp { 1935 } else { 80 })?;
        let address = (host, port)
            .to_socket_addrs()
            .with_context(|| format!("{url}: looking up `{host}`"))?
            .min_by_key(SocketAddr::is_ipv6)
            .with_context(|| format!("{url}: `{host}` has no address"))?;
        let path = if parts.path.is_empty() { "/" } else { parts.path };
        Ok(Self { protocol, address, host: parts.host.to_owned(), path: path.to_owned() })
    }

    /// The path to one of several broadcasts.
    pub(crate) fn path_of(&self, broadcast: usize) -> String {
        self.path.replace("{i}", &broadcast.to_string())
    }
}

/// One URL and the share of viewers that use it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    pub(crate) target: Target,
    /// Relative to the other profiles' weights.
    pub(crate) weight: f64,
}

/// Builds profiles from the command line's URLs, shares and mix.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn profiles(
    urls: &[String],
    shares: &[f64],
    mix: Option<&str>,
    rtmp_port: u16,
) -> anyhow::Result<Vec<Profile>> {
    ensure!(
        !urls.is_empty(),
        "no --url: say what to watch, for example --url http://127.0.0.1:8080/live/demo.flv"
    );
    if let Some(mix) = mix {
        ensure!(urls.len() == 1 && shares.is_empty(), "--mix wants exactly one --url and no --share");
        return mixed(&urls[0], mix, rtmp_port);
    }
    ensure!(
        shares.is_empty() || shares.len() == urls.len(),
        "{} --url but {} --share: give each URL a share, or none",
        urls.len(),
        shares.len()
    );
    let weight = |index: usize| shares.get(index).copied().unwrap_or(1.0);
    let profiles: Vec<Profile> = urls
        .iter()
        .enumerate()
        .map(|(index, url)| Ok(Profile { target: Target::parse(url)?, weight: weight(index) }))
        .collect::<anyhow::Result<_>>()?;
    checked(profiles)
}

/// `70% flv, 20% ws, 10% hls` over one broadcast's URL, with the paths of this server.
fn mixed(url: &str, mix: &str, rtmp_port: u16) -> anyhow::Result<Vec<Profile>> {
    let parts = Url::split(url)?;
    let (path, query) =
        parts.path.split_once('?').map_or((parts.path, String::new()), |(p, q)| (p, format!("?{q}")));
    let base = ["/ts/index.m3u8", "/index.m3u8", ".m3u8", ".flv", "/whep"]
        .iter()
        .find_map(|ending| path.strip_suffix(ending))
        .unwrap_or(path);
    let (name, _) = parts.host_and_port(80)?;
    let bracketed = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
    let profiles = mix
        .split(',')
        .map(|entry| {
            let (share, protocol) = entry
                .trim()
                .split_once(char::is_whitespace)
                .with_context(|| format!("--mix: `{}` should read like `70% flv`", entry.trim()))?;
            let share = Share::from_str(share).map_err(anyhow::Error::msg).context("--mix")?;
            let protocol =
                Protocol::from_str(protocol.trim()).map_err(anyhow::Error::msg).context("--mix")?;
            let url = match protocol {
                Protocol::Flv => format!("http://{}{base}.flv{query}", parts.host),
                Protocol::Ws => format!("ws://{}{base}.flv{query}", parts.host),
                Protocol::Hls => format!("http://{}{base}/index.m3u8{query}", parts.host),
                Protocol::Whep => format!("http://{}{base}/whep{query}", parts.host),
                Protocol::Rtmp => format!("rtmp://{bracketed}:{rtmp_port}{base}{query}"),
                Protocol::Whip => bail!("--mix: nobody watches by whip"),
            };
            Ok(Profile { target: Target::parse(&url)?, weight: share.0 })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let sum: f64 = profiles.iter().map(|profile| profile.weight).sum();
    ensure!((sum - 1.0).abs() < 0.001, "--mix adds up to {:.1} %, not to 100 %", sum * 100.0);
    checked(profiles)
}

fn checked(profiles: Vec<Profile>) -> anyhow::Result<Vec<Profile>> {
    ensure!(
        profiles.iter().all(|profile| profile.weight >= 0.0 && profile.weight.is_finite()),
        "a share is negative"
    );
    ensure!(profiles.iter().any(|profile| profile.weight > 0.0), "all shares are zero");
    ensure!(profiles.len() <= PROFILES_MAX, "more than {PROFILES_MAX} profiles");
    let whip = profiles.iter().find(|profile| profile.target.protocol == Protocol::Whip);
    ensure!(whip.is_none(), "a URL in /whip is where publishers go; viewers by WebRTC go to /whep");
    Ok(profiles)
}

/// How a viewer treats what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Reads all of it at once.
    Steady,
    /// Reads a tenth of what the steady ones receive.
    Slow,
    /// Stops reading after its first media.
    Stopped,
}

/// One viewer's place in the crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Number in the whole crowd, over all processes; decides when and from which address it joins.
    pub(crate) number: usize,
    /// Index of its profile.
    pub(crate) profile: usize,
    /// Index of the broadcast it watches.
    pub(crate) broadcast: usize,
    pub(crate) temper: Temper,
    /// It parses all it receives.
    pub(crate) probe: bool,
}

/// The whole crowd's make-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Makeup {
    pub(crate) viewers: usize,
    pub(crate) broadcasts: usize,
    /// Probes in each profile.
    pub(crate) probes: usize,
    pub(crate) slow: Share,
    pub(crate) stopped: Share,
}

/// Seats every viewer. The shares are met at every moment of the ramp, not only at its end, and the same arguments give
/// the same seats in every process.
pub(crate) fn seats(makeup: Makeup, profiles: &[Profile]) -> Vec<Seat> {
    let total: f64 = profiles.iter().map(|profile| profile.weight).sum();
    let mut taken = vec![0usize; profiles.len()];
    let (mut slow, mut stopped) = (0usize, 0usize);
    (0..makeup.viewers)
        .map(|number| {
            let due =
                |index: usize| (number + 1) as f64 * profiles[index].weight / total - taken[index] as f64;
            let profile =
                (0..profiles.len()).max_by(|a, b| due(*a).total_cmp(&due(*b)).then(b.cmp(a))).unwrap_or(0);
            let place = taken[profile];
            taken[profile] += 1;
            let probe = place < makeup.probes;
            // Half a viewer early: round shares of both kinds then seldom ask for the same seat.
            let behind =
                |share: Share, count: usize| share.0 * (number + 1) as f64 - count as f64 >= 0.5 - 1e-9;
            // HTTP polling has no connection to be slow on, and neither have datagrams.
            let bodied =
                !probe && !matches!(profiles[profile].target.protocol, Protocol::Hls | Protocol::Whep);
            let temper = if bodied && behind(makeup.stopped, stopped) {
                stopped += 1;
                Temper::Stopped
            } else if bodied && behind(makeup.slow, slow) {
                slow += 1;
                Temper::Slow
            } else {
                Temper::Steady
            };
            Seat { number, profile, broadcast: place % makeup.broadcasts.max(1), temper, probe }
        })
        .collect()
}

/// A URL's parts, as far as we look.
#[derive(Debug)]
struct Url<'a> {
    scheme: &'a str,
    host: &'a str,
    path: &'a str,
}

impl<'a> Url<'a> {
    fn split(url: &'a str) -> anyhow::Result<Self> {
        let (scheme, rest) = url.split_once("://").with_context(|| format!("`{url}` is not a URL"))?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(at);
        ensure!(!host.is_empty() && !host.contains('@'), "`{url}` has no host, or a user name in it");
        ensure!(!path.contains(char::is_control) && !path.contains(' '), "`{url}` has blanks in it");
        Ok(Self { scheme, host, path })
    }

    fn host_and_port(&self, default: u16) -> anyhow::Result<(&'a str, u16)> {
        let (name, port) = match self.host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, port.parse().with_context(|| format!("`{port}` is not a port"))?)
            }
            _ => (self.host, default),
        };
        Ok((name.trim_start_matches('[').trim_end_matches(']'), port))
    }
}

/// A report with more rows is not read by anyone.
const PROFILES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(url: &str) -> anyhow::Result<Protocol> {
        Target::parse(url).map(|target| target.protocol)
    }

    #[test]
    fn the_url_chooses_the_protocol() {
        assert_eq!(protocol("http://127.0.0.1:8080/live/x.flv?token=a").unwrap(), Protocol::Flv);
        assert_eq!(protocol("ws://127.0.0.1:8080/live/x.flv").unwrap(), Protocol::Ws);
        assert_eq!(protocol("http://127.0.0.1:8080/live/x/index.m3u8").unwrap(), Protocol::Hls);
        assert_eq!(protocol("http://127.0.0.1:8080/live/x/whep").unwrap(), Protocol::Whep);
        assert_eq!(protocol("http://127.0.0.1:8080/live/x/whip?key=a").unwrap(), Protocol::Whip);
        let rtmp = Target::parse("rtmp://127.0.0.1/live/x{i}").unwrap();
        assert_eq!(
            (rtmp.protocol, rtmp.address.port(), rtmp.path_of(3)),
            (Protocol::Rtmp, 1935, "/live/x3".to_owned())
        );
        assert_eq!(Target::parse("ws://[::1]:81/a.flv").unwrap().address.to_string(), "[::1]:81");
        for wrong in
            ["x", "http://127.0.0.1/live/x", "https://127.0.0.1/x.flv", "ftp://127.0.0.1/x", "http:///x.flv"]
        {
            assert!(protocol(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nobody_watches_where_publishers_go() {
        let refused = profiles(&["http://127.0.0.1:1/live/x/whip".to_owned()], &[], None, 1935).unwrap_err();
        assert!(refused.to_string().contains("/whep"), "{refused}");
    }

    #[test]
    fn a_mix_writes_the_urls_itself() {
        let url = ["http://127.0.0.1:8080/live/x{i}.flv?t=1".to_owned()];
        let mixed = profiles(&url, &[], Some("70% flv, 20% ws, 5% rtmp, 5% hls"), 1935).unwrap();
        let paths: Vec<&str> = mixed.iter().map(|profile| profile.target.path.as_str()).collect();
        let expected =
            ["/live/x{i}.flv?t=1", "/live/x{i}.flv?t=1", "/live/x{i}?t=1", "/live/x{i}/index.m3u8?t=1"];
        assert_eq!(paths, expected);
        assert!(profiles(&url, &[], Some("70% flv, 20% ws"), 1935).is_err(), "90 %");
        assert!(profiles(&url, &[], Some("flv"), 1935).is_err());
    }

    #[test]
    fn seats_follow_the_shares_from_the_first_viewer_on() {
        let urls = ["http://127.0.0.1:1/a.flv".to_owned(), "rtmp://127.0.0.1/live/a".to_owned()];
        let profiles = profiles(&urls, &[70.0, 30.0], None, 1935).unwrap();
        let makeup =
            Makeup { viewers: 1000, broadcasts: 4, probes: 2, slow: Share(0.1), stopped: Share(0.01) };
        let seats = seats(makeup, &profiles);
        for part in [10, 100, 1000] {
            let flv = seats[..part].iter().filter(|seat| seat.profile == 0).count();
            assert!(flv.abs_diff(part * 7 / 10) <= 1, "{flv} of {part}");
        }
        let count = |temper| seats.iter().filter(|seat| seat.temper == temper).count();
        assert_eq!((count(Temper::Slow), count(Temper::Stopped)), (100, 10));
        assert_eq!(seats.iter().filter(|seat| seat.probe).count(), 4);
        assert!(seats.iter().all(|seat| !seat.probe || seat.temper == Temper::Steady));
        for broadcast in 0..4 {
            let watching = seats.iter().filter(|seat| seat.broadcast == broadcast).count();
            assert!(watching.abs_diff(250) <= 2);
        }
    }

    #[test]
    fn a_tenth_slow_of_a_single_viewer_is_none() {
        let profiles = profiles(&["http://127.0.0.1:1/a.flv".to_owned()], &[], None, 1935).unwrap();
        let makeup = Makeup { viewers: 1, broadcasts: 1, probes: 0, slow: Share(0.1), stopped: Share(0.0) };
        assert_eq!(seats(makeup, &profiles)[0].temper, Temper::Steady);
    }
}
