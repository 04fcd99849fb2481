//! Real players get pictures and sound for some seconds, out of every format that they know.

use anyhow::Result;
use e2e::players::{self, Watched};
use e2e::{Publisher, Server, clips};

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

#[test]
fn gstreamer_plays_every_format() -> Result<()> {
    plays(players::gstreamer, every_format)
}

#[test]
fn rtmpdump_receives_rtmp() -> Result<()> {
    plays(players::rtmpdump, |server| vec![server.rtmp("/live/x")])
}
