//! Real players get pictures and sound for some seconds, out of every format that they know.

use anyhow::Result;
use e2e::players::{self, Watched};
use e2e::playlist::Playlist;
use e2e::wait::{Look, until};
use e2e::{Publisher, Server, clips, http};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// One server and broadcast, and one player several times at once.
fn plays(player: fn(&str) -> Result<Watched>, urls: impl Fn(&Server) -> Vec<String>) -> Result<()> {
    let clip = clips::long()?;
    let server = Server::demo(&[])?;
    let _publisher = Publisher::start(server.ports.rtmp, "x", &clip)?;
    server.wait_live("live/x")?;
    players::all(player, &urls(&server))
}

fn every_format(server: &Server) -> Vec<String> {
    let http = ["/live/x.flv", "/live/x/index.m3u8", "/live/x/ts/index.m3u8"].map(|path| server.http(path));
    http.into_iter().chain([server.rtmp("/live/x")]).collect()
}

#[test]
fn ffprobe_plays_every_format() -> Result<()> {
    plays(players::ffprobe, every_format)
}

#[test]
fn ffmpeg_plays_every_format() -> Result<()> {
    plays(players::ffmpeg, every_format)
}

#[test]
fn mpv_plays_every_format() -> Result<()> {
    plays(players::mpv, every_format)
}

#[test]
fn vlc_plays_every_format() -> Result<()> {
    plays(players::vlc, every_format)
}

/// GStreamer 1.22.0 loses a playlist that grows from its first segment ("could not synchronize new variant playlist"),
/// so this broadcast is some seconds old.
#[test]
fn gstreamer_plays_every_format() -> Result<()> {
    let clip = clips::long()?;
    let server = Server::demo(&[])?;
    let _publisher = Publisher::start(server.ports.rtmp, "x", &clip)?;
    server.wait_live("live/x")?;
    until(LIMIT, "three segments in TS", || {
        let list = http::fetch(server.ports.http, "/live/x/ts/index.m3u8", &[])?.text()?;
        let segments = Playlist::parse(&list)?.segments.len();
        Ok(if segments >= 3 { Look::Found(()) } else { Look::NotYet(list) })
    })?;
    players::all(players::gstreamer, &every_format(&server))
}

#[test]
fn rtmpdump_receives_rtmp() -> Result<()> {
    plays(players::rtmpdump, |server| vec![server.rtmp("/live/x")])
}
