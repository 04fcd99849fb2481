//! Every listener has a TLS twin.

use anyhow::{Context, Result, ensure};
use e2e::compare::{publish, same_frames, same_tracks};
use e2e::frames::Of;
use e2e::wait::{Look, until};
use e2e::websocket::Payload;
use e2e::{Certificate, Flood, Folder, Publisher, Running, Server, Tool, clips, flv};
use rtmp::MediaKind;
use std::io::Read;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// A server with a certificate of its own, and a publisher who comes by RTMPS.
fn live(clip: &clips::Clip) -> Result<(Server, Running, Folder)> {
    let folder = Folder::new()?;
    let certificate = Certificate::make(folder.path(), "cert", "localhost")?;
    let server =
        Server::serve(&format!("[publish]\nstream_key = \"s3cret\"\n[tls]\n{}", certificate.toml()))?;
    let publisher = publish(clip, "", &server.rtmps("/live/x?key=s3cret"))?;
    server.wait_live("live/x")?;
    Ok((server, publisher, folder))
}

#[test]
fn what_is_published_by_rtmps_comes_out_of_rtmps_and_https_as_it_went_in() -> Result<()> {
    let clip = clips::h264_aac()?;
    let (server, _publisher, _folder) = live(&clip)?;
    for url in [server.rtmps("/live/x"), server.https("/live/x.flv")] {
        same_tracks(&clip.path.to_string_lossy(), &url)?;
        same_frames(&clip, &url, Of::Coded)?;
    }
    Ok(())
}

#[test]
fn hls_by_https_is_as_it_went_in() -> Result<()> {
    let clip = clips::h264_aac()?;
    let (server, _publisher, _folder) = live(&clip)?;
    let hls = server.https("/live/x/index.m3u8");
    same_tracks(&clip.path.to_string_lossy(), &hls)?;
    same_frames(&clip, &hls, Of::Coded)
}

#[test]
fn https_speaks_http_2_and_1_1_and_the_certificate_is_the_configured_one() -> Result<()> {
    let clip = clips::h264_aac()?;
    let (server, _publisher, folder) = live(&clip)?;
    for (version, shown) in [("--http2", "2 200"), ("--http1.1", "1.1 200")] {
        for target in ["/live/x/index.m3u8", "/live/x/video/index.m3u8", "/live/x/ts/index.m3u8", "/"] {
            let curl = Tool::new("curl").words("--silent --show-error --cacert").arg(folder.file("cert.pem"));
            let curl =
                curl.words("-w").arg("%{http_version} %{http_code}").arg("-o").arg(folder.file("body"));
            let found = curl.arg(version).arg(server.https(target)).succeed(LIMIT)?.text();
            ensure!(found == shown, "{target} with {version}: {found}");
        }
    }
    Ok(())
}

/// A viewer of `live/x` over TLS whose bytes are kept as they come; `headers` end with CR and LF each.
fn watch(server: &Server, folder: &Folder, headers: &str) -> Result<Running> {
    let openssl = Tool::new("openssl").words("s_client -quiet -verify_quiet -verify_return_error -CAfile");
    let openssl = openssl.arg(folder.file("cert.pem")).arg("-connect");
    let mut viewer = openssl.arg(format!("127.0.0.1:{}", server.ports.https)).start_to_talk()?;
    viewer.say(&format!("GET /live/x.flv HTTP/1.1\r\nHost: localhost\r\n{headers}\r"))?;
    Ok(viewer)
}

/// What came so far: the head as text, and the body.
fn came(viewer: &Running) -> Result<(String, Vec<u8>)> {
    let bytes = viewer.out_so_far();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").context("no head yet")?;
    Ok((String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes[end + 4..].to_vec()))
}

/// Times of the pictures in an FLV file that breaks off somewhere.
fn pictures(bytes: impl Read) -> Result<Vec<u32>> {
    let mut reader = flv::Reader::new(bytes)?;
    let mut times = Vec::new();
    let (mut configured, mut started) = (false, false);
    while let Ok(Some(tag)) = reader.tag() {
        if tag.kind == MediaKind::Video && tag.is_header() {
            configured = true;
        } else if tag.kind == MediaKind::Video {
            started |= tag.is_keyframe();
            ensure!(configured && started, "a picture of {} ms comes before what it needs", tag.time_ms);
            times.push(tag.time_ms);
        }
    }
    ensure!(times.is_sorted(), "time goes back: {times:?}");
    Ok(times)
}

#[test]
fn flv_in_messages_of_a_websocket_over_tls_has_every_picture() -> Result<()> {
    let clip = clips::long()?;
    let (server, _publisher, folder) = live(&clip)?;
    // The key and its answer are those of RFC 6455 §1.3.
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let viewer = watch(&server, &folder, upgrade)?;
    let times = until(LIMIT, "four seconds of pictures", || {
        let seen = came(&viewer).and_then(|(_, body)| pictures(Payload::behind_head(&body[..])));
        Ok(match seen {
            Ok(times) if times.len() > 100 => Look::Found(times),
            other => Look::NotYet(format!("{other:?}")),
        })
    })?;
    let (head, _) = came(&viewer)?;
    ensure!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    ensure!(times.windows(2).all(|pair| pair[1] - pair[0] == 40), "a picture is missing: {times:?}");
    Ok(())
}

/// What was encrypted for it and waits is sent first, so that its session is whole; then it skips as others do.
#[test]
fn a_viewer_over_tls_that_stops_for_a_while_skips_and_goes_on_in_the_same_session() -> Result<()> {
    let folder = Folder::new()?;
    let certificate = Certificate::make(folder.path(), "cert", "localhost")?;
    let egress = "[publish]\nstream_key = 's3cret'\n[egress]\nlag_max = '2s'\nstall_max = '30s'\n[tls]\n";
    let server = Server::serve(&format!("{egress}{}", certificate.toml()))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=s3cret", &clips::heavy()?)?;
    server.wait_live("live/x")?;
    let viewer = watch(&server, &folder, "")?;
    let signal = |name| Tool::new("kill").arg(name).arg(viewer.pid().to_string()).succeed(LIMIT);
    let seen = |count: usize| {
        until(LIMIT, "pictures", || {
            let times = came(&viewer).and_then(|(_, body)| pictures(&body[..]));
            Ok(match times {
                Ok(times) if times.len() >= count => Look::Found(times),
                other => Look::NotYet(format!("{:?}", other.map(|times| times.len()))),
            })
        })
    };
    let before = seen(25)?.len();
    signal("-STOP")?;
    until(LIMIT, "it is skipped", || {
        let skips = server.metric("floodtide_skipped_groups_total")?;
        Ok(if skips >= 2.0 { Look::Found(()) } else { Look::NotYet(format!("{skips} skips")) })
    })?;
    signal("-CONT")?;
    let skips = |times: &[u32]| times.windows(2).filter(|pair| pair[1] - pair[0] > 900).count();
    let times = until(LIMIT, "pictures behind the gap", || {
        let times = seen(before + 50)?;
        let last_step = times.windows(2).rposition(|pair| pair[1] - pair[0] > 900);
        let behind = last_step.map_or(0, |at| times.len() - at);
        Ok(if behind > 50 { Look::Found(times) } else { Look::NotYet(format!("{behind} behind the gap")) })
    })?;
    ensure!(skips(&times) >= 1, "it was to skip groups: {times:?}");
    ensure!(server.metric("floodtide_viewer_ends_total")? == 0.0, "it was ended");
    Ok(())
}

/// The time for a handshake is the same at both doors.
#[test]
fn connections_that_never_shake_hands_are_closed_in_time_and_counted() -> Result<()> {
    const EACH: usize = 50;
    const TIME: Duration = Duration::from_secs(2);
    let folder = Folder::new()?;
    let certificate = Certificate::make(folder.path(), "cert", "localhost")?;
    let limits = "[publish]\nstream_key = 'k'\n[limits]\ntls_handshake = '2s'\n[tls]\n";
    let server = Server::serve(&format!("{limits}{}", certificate.toml()))?;
    for (door, port) in [("rtmps", server.ports.rtmps), ("https", server.ports.https)] {
        let before = server.metric("floodtide_limited_total{limit=\"tls_handshake\"}")?;
        // Nothing at all, and the head of a record (RFC 8446 §5.1) whose rest never comes.
        for hello in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
            let began = Instant::now();
            let mut silent = Flood::open(EACH, port, hello)?;
            let early = silent.closed_within(Duration::from_millis(500))?;
            // On a busy machine it may be the time of the first ones before all have been looked at.
            ensure!(early == 0 || began.elapsed() > TIME, "{door}: {early} were closed before their time");
            let closed = silent.closed_within(Duration::from_secs(10))?;
            ensure!(closed == EACH, "{door}: {closed} of {EACH} were closed");
        }
        // A connection is closed just before it is counted.
        until(LIMIT, &format!("those at {door} are counted"), || {
            let counted = server.metric("floodtide_limited_total{limit=\"tls_handshake\"}")? - before;
            let all = counted == 2.0 * EACH as f64;
            Ok(if all { Look::Found(()) } else { Look::NotYet(counted.to_string()) })
        })?;
    }
    let played = Tool::new("curl").words("--silent --cacert").arg(&certificate.chain).arg(server.https("/"));
    ensure!(played.run(LIMIT)?.status.success(), "who shakes hands is served");
    Ok(())
}
