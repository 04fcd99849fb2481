//! What a stranger sees first.

use anyhow::{Context, Result, ensure};
use e2e::compare::{probe, track};
use e2e::http::Connection;
use e2e::wait::{Look, until};
use e2e::{Server, Tool, Viewer, clips};
use std::time::Duration;

#[test]
fn the_demos_clip_plays_on_through_its_loops() -> Result<()> {
    let server = Server::demo_clip()?;
    server.wait_live("live/demo")?;
    let mut viewer = Viewer::open(&server, "/live/demo.flv")?;
    viewer.watch(Duration::from_secs(25))?;
    ensure!(viewer.steps_max_ms <= 100, "the picture stood still for {} ms", viewer.steps_max_ms);
    // The clip begins anew every twelve seconds, and nothing about its time has to be mended.
    let repairs = server.metric("floodtide_timestamp_repairs_total")?;
    ensure!(repairs == 0.0, "{repairs} repairs");
    for url in [
        server.http("/live/demo/index.m3u8"),
        server.http("/live/demo/ts/index.m3u8"),
        server.rtmp("/live/demo"),
    ] {
        let tracks = probe(&url)?;
        let codecs = (&track(&tracks, "video")?["codec_name"], &track(&tracks, "audio")?["codec_name"]);
        ensure!(codecs.0 == "h264" && codecs.1 == "aac", "{url} has {codecs:?}");
    }
    Ok(())
}

/// What the demo prints, when it has printed all of it.
fn printed(server: &Server) -> Result<String> {
    until(Duration::from_secs(10), "what the demo prints", || {
        let text = std::fs::read_to_string(server.file("out"))?;
        Ok(if text.contains("Stop with Ctrl-C") { Look::Found(text) } else { Look::NotYet(text) })
    })
}

/// What stands behind these words.
fn behind(text: &str, words: &str) -> Result<String> {
    let mut lines = text.lines().filter_map(|l| l.trim().strip_prefix(words));
    lines.next().map(|l| l.trim().to_owned()).with_context(|| format!("no {words} in {text}"))
}

#[test]
fn every_url_that_the_demo_prints_plays() -> Result<()> {
    let server = Server::demo_clip()?;
    server.wait_live("live/demo")?;
    let text = printed(&server)?;
    for words in ["HTTP-FLV", "LL-HLS", "HLS (TS)", "RTMP", "SRT"] {
        let tracks = probe(&behind(&text, words)?)?;
        track(&tracks, "video").and(track(&tracks, "audio")).with_context(|| words.to_owned())?;
    }
    let flv = behind(&text, "HTTP-FLV")?;
    ensure!(behind(&text, "WS-FLV")?.strip_prefix("ws") == flv.strip_prefix("http"), "{text}");
    let status = |url: &str, method: &str| {
        let target = url.strip_prefix(&server.http("")).with_context(|| format!("{url} is elsewhere"))?;
        Ok::<_, anyhow::Error>(Connection::open(server.ports.http)?.request(method, target, &[])?.status)
    };
    ensure!(status(&behind(&text, "Watch ")?, "GET")? == 200, "no page");
    // There is something that takes offers, and nothing else.
    let whep = behind(&text, "WHEP")?;
    ensure!((status(&whep, "GET")?, status(&whep, "POST")?) == (405, 415), "no WHEP at {whep}");
    Ok(())
}

#[test]
fn the_command_that_the_demo_prints_publishes() -> Result<()> {
    let server = Server::demo(&[])?;
    let text = printed(&server)?;
    ensure!(!text.contains("live/demo"), "there is no clip: {text}");
    let command = behind(&text, "ffmpeg -re")?;
    let clip = clips::h264_aac()?;
    let words = command
        .split_whitespace()
        .map(|word| if word == "FILE" { clip.path.as_os_str() } else { word.as_ref() });
    let ffmpeg = words.fold(Tool::ffmpeg().arg("-re"), Tool::arg);
    let _publisher = ffmpeg.start()?;
    server.wait_live("live/mine")?;
    let tracks = probe(&server.http("/live/mine.flv"))?;
    ensure!(
        track(&tracks, "video")?["pix_fmt"] == "yuv420p" && track(&tracks, "audio")?["codec_name"] == "aac"
    );
    Ok(())
}
