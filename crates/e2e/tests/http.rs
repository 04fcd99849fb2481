//! HTTP as browsers, caches and old players use it.

use anyhow::{Context, Result, ensure};
use e2e::http::{Connection, Response, fetch};
use e2e::playlist::Playlist;
use e2e::{Publisher, Server, Tool, clips, flv};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const VIDEO: &str = "/live/x/video/index.m3u8";

/// A server with `live/x` on it.
fn live() -> Result<(Server, Publisher)> {
    let server = Server::demo(&[])?;
    let publisher = Publisher::start(server.ports.rtmp, "x", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    Ok((server, publisher))
}

fn header<'a>(answer: &'a Response, name: &str) -> Result<&'a str> {
    answer.header(name).with_context(|| format!("no {name} in {answer:?}"))
}

/// The newest complete segment of the pictures.
fn segment(connection: &mut Connection) -> Result<String> {
    let list = Playlist::parse(&connection.request("GET", VIDEO, &[])?.text()?)?;
    let segment = list.segments.last().with_context(|| format!("no segment in {list:?}"))?;
    Ok(format!("/live/x/video/{}", segment.uri))
}

/// curl over HTTP/2 without TLS; `-w` text on standard output.
fn curl(server: &Server, arguments: &str, write_out: &str, path: &str) -> Result<String> {
    let curl =
        Tool::new("curl").words("--silent --show-error --http2-prior-knowledge -o").arg(server.file("body"));
    let curl = curl.words(arguments).arg("-w").arg(write_out).arg(server.http(path));
    Ok(curl.succeed(LIMIT)?.text())
}

#[test]
fn head_says_what_get_would_say() -> Result<()> {
    let (server, _publisher) = live()?;
    let mut connection = Connection::open(server.ports.http)?;
    let segment = segment(&mut connection)?;
    let init = "/live/x/index.m3u8".to_owned();
    for target in [segment, init] {
        let get = connection.request("GET", &target, &[])?;
        let head = connection.request("HEAD", &target, &[])?;
        ensure!((get.status, head.status) == (200, 200), "{get:?} {head:?}");
        ensure!(head.body.is_empty(), "{target}: HEAD has a body");
        for name in ["content-type", "cache-control", "accept-ranges", "access-control-allow-origin"] {
            ensure!(get.header(name) == head.header(name), "{target} {name}: {get:?} {head:?}");
        }
        if target.ends_with(".m4s") {
            ensure!(get.header("content-length") == head.header("content-length"), "{target}: {head:?}");
        }
    }
    let flv = connection.request("HEAD", "/live/x.flv", &[])?;
    ensure!(flv.status == 200 && header(&flv, "content-type")? == "video/x-flv", "{flv:?}");
    Ok(())
}

#[test]
fn a_range_is_that_part_of_the_segment() -> Result<()> {
    let (server, _publisher) = live()?;
    let mut connection = Connection::open(server.ports.http)?;
    let segment = segment(&mut connection)?;
    let whole = connection.request("GET", &segment, &[])?.body;
    let size = whole.len();
    let cases = [
        ("bytes=0-99".to_owned(), 0..100),
        ("bytes=100-".to_owned(), 100..size),
        ("bytes=-50".to_owned(), size - 50..size),
        (format!("bytes=10-{}", size * 2), 10..size),
    ];
    for (range, expected) in cases {
        let part = connection.request("GET", &segment, &[("Range", &range)])?;
        ensure!(part.status == 206, "{range}: status {}", part.status);
        let shown = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
        ensure!(header(&part, "content-range")? == shown, "{range}: {:?}", part.header("content-range"));
        ensure!(part.body == whole[expected], "{range}: other bytes");
    }
    let outside = connection.request("GET", &segment, &[("Range", &format!("bytes={size}-"))])?;
    ensure!(outside.status == 416, "{outside:?}");
    ensure!(header(&outside, "content-range")? == format!("bytes */{size}"), "{outside:?}");
    // The same by HTTP/2, which goes another way through the server.
    let shown = curl(&server, "-r 0-99", "%{http_code} %{size_download}", &segment)?;
    ensure!(shown == "206 100", "{shown}");
    ensure!(std::fs::read(server.file("body"))? == whole[..100], "other bytes by HTTP/2");
    Ok(())
}

#[test]
fn playlists_are_compressed_for_those_who_ask() -> Result<()> {
    let (server, _publisher) = live()?;
    let mut connection = Connection::open(server.ports.http)?;
    for target in ["/live/x/index.m3u8", VIDEO, "/live/x/audio/index.m3u8", "/live/x/ts/index.m3u8"] {
        let zipped = connection.request("GET", target, &[("Accept-Encoding", "gzip, deflate, br")])?;
        ensure!(zipped.header("content-encoding") == Some("gzip"), "{target}: {zipped:?}");
        ensure!(header(&zipped, "vary")?.eq_ignore_ascii_case("accept-encoding"), "{target}: {zipped:?}");
        ensure!(header(&zipped, "content-type")? == "application/vnd.apple.mpegurl", "{target}: {zipped:?}");
        ensure!(zipped.text()?.starts_with("#EXTM3U\n"), "{target}: {:?}", zipped.text());
        // What opens its files is in it, for this viewer alone.
        let own = format!("{target}?token=abc.def");
        let (zipped, plain) = (
            connection.request("GET", &own, &[("Accept-Encoding", "gzip")])?,
            connection.request("GET", &own, &[])?,
        );
        ensure!(zipped.header("content-encoding") == Some("gzip"), "{own}: {zipped:?}");
        ensure!(zipped.text()?.contains("?token=abc.def"), "{own}: {:?}", zipped.text());
        ensure!(plain.header("content-encoding").is_none() && plain.body.len() > zipped.body.len(), "{own}");
        for plain in [None, Some("identity"), Some("gzip;q=0")] {
            let headers: Vec<_> = plain.map(|value| ("Accept-Encoding", value)).into_iter().collect();
            let plain = connection.request("GET", target, &headers)?;
            ensure!(plain.header("content-encoding").is_none(), "{target}: {plain:?}");
            ensure!(plain.body.starts_with(b"#EXTM3U\n"), "{target}: {:?}", plain.text());
        }
    }
    Ok(())
}

#[test]
fn caches_are_told_how_long_each_file_lasts() -> Result<()> {
    let (server, _publisher) = live()?;
    let mut connection = Connection::open(server.ports.http)?;
    let segment = segment(&mut connection)?;
    for (target, kind, cache) in [
        (segment.as_str(), "video/mp4", "public, max-age=1800, immutable"),
        (VIDEO, "application/vnd.apple.mpegurl", "public, max-age=1"),
        ("/live/x/index.m3u8", "application/vnd.apple.mpegurl", "public, max-age=5"),
    ] {
        let answer = connection.request("GET", target, &[])?;
        ensure!(header(&answer, "content-type")? == kind, "{target}: {:?}", answer.header("content-type"));
        ensure!(header(&answer, "cache-control")? == cache, "{target}: {:?}", answer.header("cache-control"));
    }
    let (flv, _) =
        Connection::open(server.ports.http)?.endless("/live/x.flv", &[("Accept-Encoding", "gzip")])?;
    ensure!(
        header(&flv, "cache-control")? == "no-store" && flv.header("content-encoding").is_none(),
        "{flv:?}"
    );
    Ok(())
}

#[test]
fn pages_of_other_origins_may_read_everything() -> Result<()> {
    let (server, _publisher) = live()?;
    let mut connection = Connection::open(server.ports.http)?;
    let segment = segment(&mut connection)?;
    let origin = [("Origin", "https://example.com")];
    let absent = ["/live/nobody/index.m3u8", "/live/x/video/seg-0.m4s", "/api/broadcasts"];
    for target in [&segment, VIDEO, "/live/x/index.m3u8"].into_iter().chain(absent) {
        let answer = connection.request("GET", target, &origin)?;
        ensure!(header(&answer, "access-control-allow-origin")? == "*", "{target}: {answer:?}");
        let exposed = header(&answer, "access-control-expose-headers")?;
        for name in ["Age", "Content-Length", "Date"] {
            ensure!(exposed.contains(name), "{target} does not expose {name}: {exposed}");
        }
    }
    for target in ["/live/x.flv", "/live/nobody.flv"] {
        let (head, _) = Connection::open(server.ports.http)?.endless(target, &origin)?;
        ensure!(header(&head, "access-control-allow-origin")? == "*", "{target}: {head:?}");
    }
    Ok(())
}

#[test]
fn a_preflight_is_answered_on_every_path() -> Result<()> {
    let (server, _publisher) = live()?;
    let asks = [
        ("Origin", "https://example.com"),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "range"),
    ];
    for target in ["/live/x/index.m3u8", "/live/x/video/seg-1.m4s", "/live/x.flv", "/live/nobody.flv"] {
        let answer = Connection::open(server.ports.http)?.request("OPTIONS", target, &asks)?;
        ensure!(answer.status == 204, "{target}: {answer:?}");
        ensure!(header(&answer, "access-control-allow-origin")? == "*", "{target}: {answer:?}");
        ensure!(header(&answer, "access-control-allow-methods")?.contains("GET"), "{target}: {answer:?}");
        ensure!(
            header(&answer, "access-control-allow-headers")? == "Authorization, *",
            "{target}: {answer:?}"
        );
    }
    Ok(())
}

#[test]
fn what_is_not_there_is_said_in_words() -> Result<()> {
    let (server, _publisher) = live()?;
    for (target, status, text) in [
        ("/live/nobody.flv", 404, "nobody publishes live/nobody\n"),
        ("/live/nobody/index.m3u8", 404, "nobody publishes live/nobody\n"),
        ("/live/nobody/ts/index.m3u8", 404, "nobody publishes live/nobody\n"),
        ("/live/x/video/seg-1.m4s", 404, "no such playlist or segment, or it is gone already\n"),
        ("/live/x/text/index.m3u8", 404, "nobody publishes live/x/text\n"),
        ("/no/such/page", 404, "there is nothing here; the player is at /\n"),
        ("/live/x/video/index.m3u8?_HLS_msn=x", 400, "_HLS_msn is no number\n"),
        ("/live/x/video/index.m3u8?_HLS_part=1", 400, "_HLS_part needs _HLS_msn\n"),
        ("/live/x/video/index.m3u8?_HLS_msn=999999999999", 400, "_HLS_msn is too far ahead\n"),
    ] {
        let answer = fetch(server.ports.http, target, &[])?;
        ensure!(
            answer.status == status && answer.text()? == text,
            "{target}: {} {:?}",
            answer.status,
            answer.text()
        );
        let shown = curl(&server, "", "%{http_code}", target)?;
        let body = std::fs::read_to_string(server.file("body"))?;
        ensure!(shown == status.to_string() && body == text, "{target} by HTTP/2: {shown} {body:?}");
    }
    let refused = Connection::open(server.ports.http)?.request("DELETE", "/live/x/index.m3u8", &[])?;
    ensure!(refused.status == 405 && header(&refused, "allow")?.contains("GET"), "{refused:?}");
    Ok(())
}

#[test]
fn everything_is_there_by_http_2() -> Result<()> {
    let (server, _publisher) = live()?;
    let segment = segment(&mut Connection::open(server.ports.http)?)?;
    for target in ["/", "/api/broadcasts", "/live/x/index.m3u8", VIDEO, "/live/x/ts/index.m3u8", &segment] {
        let shown = curl(&server, "", "%{http_version} %{http_code}", target)?;
        ensure!(shown == "2 200", "{target}: {shown}");
    }
    let plain = fetch(server.ports.http, &segment, &[])?;
    ensure!(std::fs::read(server.file("body"))? == plain.body, "the segment differs by HTTP/2");
    let curl = Tool::new("curl")
        .words("--silent --http2-prior-knowledge --max-time 3")
        .arg(server.http("/live/x.flv"));
    let endless = curl.run(LIMIT)?;
    let mut reader = flv::Reader::new(&endless.out[..])?;
    let mut frames = 0;
    // The last tag is cut by the end of the time.
    while let Ok(Some(tag)) = reader.tag() {
        frames += u32::from(!tag.is_header());
    }
    ensure!(frames > 100, "{frames} frames of FLV in 3 s by HTTP/2");
    Ok(())
}
