//! The URL of a WebRTC session: who may use it, for what, and what pages of other origins see. RFC 9725 §4.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Folder, Server, Tool, knock, project};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);
const CONFIG: &str = "[publish]\nstream_key = 's3cret'\n[[webrtc.turn]]\nurl = 'turn:turn.example.net'\n";
const FRAGMENT: &str = "-X PATCH -H Content-Type:application/trickle-ice-sdpfrag";
const NEW_SECRETS: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n";

/// A session of a browser that was answered.
struct Session {
    server: Server,
    /// What was said to the offer.
    said: String,
    location: String,
    folder: Folder,
}

/// Status, headers and body, as curl has them.
fn curl(words: &str, data: Option<&str>, url: &str) -> Result<String> {
    let mut tool = Tool::new("curl").words("--silent --show-error --max-time 10 -D -").words(words);
    if let Some(data) = data {
        tool = tool.arg("--data-binary").arg(data);
    }
    Ok(tool.arg(url).succeed(LIMIT)?.text())
}

fn says(found: &str, wanted: &[&str]) -> Result<()> {
    let found = found.to_ascii_lowercase();
    for text in wanted {
        ensure!(found.contains(&text.to_ascii_lowercase()), "{text:?} is not in {found}");
    }
    Ok(())
}

impl Session {
    fn begin() -> Result<Session> {
        let (server, folder) = (Server::serve(CONFIG)?, Folder::new()?);
        let offer = project().join("crates/node/src/gateway/webrtc/captures/chromium-publishes.sdp");
        let offer = format!("@{}", offer.display());
        let post = "-X POST -H Content-Type:application/sdp -H Origin:https://elsewhere.example";
        let said = curl(post, Some(&offer), &server.http("/live/w/whip?key=s3cret"))?;
        says(&said, &["http/1.1 201 created"])?;
        let mut session = Session { server, said, location: String::new(), folder };
        session.location = session.header("location")?;
        Ok(session)
    }

    fn header(&self, name: &str) -> Result<String> {
        let found = self.said.lines().find_map(|line| {
            let (head, value) = line.split_once(": ")?;
            head.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.with_context(|| format!("no {name} in {}", self.said))
    }

    /// Its name in its URL.
    fn name(&self) -> &str {
        self.location.rsplit('/').next().unwrap_or_default()
    }

    /// Changes it by a fragment, under this URL.
    fn patch(&self, path: &str, words: &str, fragment: &str) -> Result<String> {
        let file = self.folder.file("fragment");
        std::fs::write(&file, fragment)?;
        let data = format!("@{}", file.display());
        curl(&format!("{FRAGMENT} {words}"), Some(&data), &self.server.http(path))
    }

    fn delete(&self, path: &str) -> Result<String> {
        curl("-X DELETE", None, &self.server.http(path))
    }
}

#[test]
fn who_reads_the_checks_of_a_session_on_their_way_can_neither_read_change_nor_end_it() -> Result<()> {
    let session = Session::begin()?;
    // Every check has it in the clear.
    let user = session.said.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    let user = user.context("no ice-ufrag")?.trim();
    ensure!(user != session.name(), "its URL is no secret");
    let guess = format!("/live/w/whip/{user}");
    says(&session.delete(&guess)?, &["404 not found", "no such connection"])?;
    says(&session.patch(&guess, "-H If-Match:*", NEW_SECRETS)?, &["404 not found"])?;
    says(&curl("", None, &session.server.http(&guess))?, &["405 method not allowed"])?;
    // It is there as it was.
    says(&session.patch(&session.location, "", "a=end-of-candidates\r\n")?, &["204 no content"])?;
    says(&session.delete(&session.location)?, &["200 ok"])?;
    says(&session.delete(&session.location)?, &["404 not found"])
}

#[test]
fn the_name_of_a_session_names_nothing_at_another_broadcast_or_endpoint() -> Result<()> {
    let session = Session::begin()?;
    for elsewhere in ["/live/other/whip", "/live/w/whep", "/other/w/whip"] {
        let elsewhere = format!("{elsewhere}/{}", session.name());
        says(&session.delete(&elsewhere)?, &["404 not found"])?;
        says(&session.patch(&elsewhere, "-H If-Match:*", NEW_SECRETS)?, &["404 not found"])?;
    }
    says(&session.delete(&session.location)?, &["200 ok"])
}

#[test]
fn candidates_are_noted_and_a_restart_has_to_name_the_ice_session_that_it_ends() -> Result<()> {
    let session = Session::begin()?;
    let etag = session.header("etag")?;
    let candidate = "a=ice-ufrag:9pRl\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 UDP 2130706431 198.51.100.1 39132 typ host\r\n";
    let offered = project().join("crates/node/src/gateway/webrtc/captures/chromium-publishes.sdp");
    let offered = std::fs::read_to_string(offered)?;
    let user = offered.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).context("no ice-ufrag")?;
    let candidate = candidate.replace("9pRl", user.trim());
    for matched in [String::new(), format!("-H If-Match:{etag}"), "-H If-Match:*".to_owned()] {
        says(&session.patch(&session.location, &matched, &candidate)?, &["204 no content"])?;
    }
    says(&session.patch(&session.location, "", NEW_SECRETS)?, &["428 precondition required", "if-match"])?;
    says(
        &session.patch(&session.location, "-H If-Match:\"other\"", NEW_SECRETS)?,
        &["412 precondition failed"],
    )?;
    let restarted = session.patch(&session.location, &format!("-H If-Match:{etag}"), NEW_SECRETS)?;
    says(&restarted, &["200 ok", "etag: ", "a=ice-ufrag:", "a=ice-pwd:", "a=ice-lite"])?;
    ensure!(!restarted.contains(&format!("tag: {etag}")), "the ICE session is a new one: {restarted}");
    // The URL is as it was, and the tag of before is over.
    says(
        &session.patch(&session.location, &format!("-H If-Match:{etag}"), &candidate)?,
        &["412 precondition failed"],
    )?;
    says(&session.delete(&session.location)?, &["200 ok"])
}

#[test]
fn pages_of_other_origins_read_where_their_session_is_and_may_do_all_with_it() -> Result<()> {
    let session = Session::begin()?;
    says(&session.said, &["access-control-allow-origin: *", "\netag: ", "\nlocation: /live/w/whip/"])?;
    says(&session.header("link")?, &["<turn:turn.example.net>; rel=\"ice-server\""])?;
    let exposed = session.header("access-control-expose-headers")?;
    for name in ["ETag", "Link", "Location"] {
        ensure!(exposed.split(", ").any(|one| one == name), "{name} is not in {exposed}");
    }
    let endpoints = ["/live/w/whip", "/live/w/whep", &session.location];
    for (method, endpoint) in endpoints.iter().flat_map(|at| ["POST", "PATCH", "DELETE"].map(|m| (m, at))) {
        let asks = format!(
            "-X OPTIONS -H Origin:https://elsewhere.example -H Access-Control-Request-Method:{method} \
             -H Access-Control-Request-Headers:authorization,content-type,if-match"
        );
        let said = curl(&asks, None, &session.server.http(endpoint))?;
        says(&said, &["204 no content", "access-control-allow-origin: *"])?;
        let allowed = |name: &str| {
            let line = said.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            line.unwrap_or_default().to_owned()
        };
        says(&allowed("access-control-allow-methods: "), &[method])?;
        // The star stands for all but Authorization.
        says(&allowed("access-control-allow-headers: "), &["authorization", "*"])?;
    }
    Ok(())
}

/// What is said to the offer of a browser that comes from this address.
fn offer_from(source: [u8; 4], server: &Server, path: &str) -> Result<String> {
    let offer = std::fs::read_to_string(
        project().join("crates/node/src/gateway/webrtc/captures/chromium-publishes.sdp"),
    )?;
    let mut socket = knock(Ipv4Addr::from(source), server.ports.http)?;
    let head = "Host: x\r\nConnection: close\r\nContent-Type: application/sdp";
    write!(socket, "POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{offer}", offer.len())?;
    let mut said = String::new();
    socket.read_to_string(&mut said)?;
    Ok(said)
}

#[test]
fn one_address_does_not_take_the_room_of_all_who_wait_for_their_first_datagram() -> Result<()> {
    const MOST: usize = 256;
    let server = Server::serve("[publish]\nstream_key = 's3cret'\n[limits]\nexempt = []\n")?;
    let path = |n: usize| format!("/live/n{n}/whip?key=s3cret");
    for n in 0..MOST {
        says(&offer_from([127, 9, 1, 1], &server, &path(n))?, &["201 created"])?;
    }
    let refused = offer_from([127, 9, 1, 1], &server, &path(MOST))?;
    says(&refused, &["429 too many requests", "retry-after: 5", "from your address wait to begin"])?;
    let counted = server.metric("floodtide_limited_total{limit=\"offers_per_address\"}")?;
    ensure!(counted == 1.0, "{counted}");
    let neighbour = offer_from([127, 9, 1, 2], &server, &path(MOST + 1))?;
    says(&neighbour, &["201 created"])
}

/// The UDP sockets of a process by IPv4. proc(5): `/proc/net/udp` has them with the numbers of their sockets.
fn udp_addresses(pid: u32) -> Result<Vec<SocketAddrV4>> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd"))?;
    let links: Vec<String> = fds
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.to_string_lossy().into_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = rows.filter(|row| {
        row.get(9).is_some_and(|inode| links.iter().any(|link| *link == format!("socket:[{inode}]")))
    });
    let address = |row: Vec<&str>| {
        let (ip, port) = row.get(1)?.split_once(':')?;
        let (ip, port) = (u32::from_str_radix(ip, 16).ok()?, u16::from_str_radix(port, 16).ok()?);
        // As it stands in memory, which is the order of the network.
        Some(SocketAddrV4::new(Ipv4Addr::from(ip.to_ne_bytes()), port))
    };
    Ok(own.filter_map(address).collect())
}

/// Begin of a DTLS record, RTP, and RTCP, none of which opens.
const JUNK: [&[u8]; 3] = [
    &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4],
    &[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    &[0x80, 201, 0, 6, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20],
];

#[test]
fn junk_from_the_address_of_a_viewer_that_left_keeps_no_media_flowing_there() -> Result<()> {
    let server = Server::demo_clip()?;
    server.wait_live("live/demo")?;
    let viewer = Tool::floodtide().words("load view --quiet -n 1 --duration 60s --url");
    let mut viewer = viewer.arg(server.http("/live/demo/whep")).start()?;
    until(LIMIT, "it watches", || {
        let sent = server.metric("floodtide_egress_bytes_total{protocol=\"whep\"}")?;
        Ok(if sent > 100_000.0 { Look::Found(()) } else { Look::NotYet(sent.to_string()) })
    })?;
    let addresses = udp_addresses(viewer.pid())?;
    ensure!(!addresses.is_empty(), "it has no UDP socket");
    // Killed, it says nothing; from now on somebody else sends from where it was.
    viewer.kill()?;
    let sockets = addresses.iter().map(|at| Ok(UdpSocket::bind(at)?)).collect::<Result<Vec<_>>>()?;
    let to = ("127.0.0.1", server.ports.webrtc);
    until(LIMIT, "it is let go", || {
        for (socket, junk) in sockets.iter().flat_map(|socket| JUNK.map(|junk| (socket, junk))) {
            socket.send_to(junk, to)?;
        }
        let ends = server.metric("floodtide_viewer_ends_total{reason=\"stalled\"}")?;
        Ok(if ends == 1.0 { Look::Found(()) } else { Look::NotYet(ends.to_string()) })
    })
}
