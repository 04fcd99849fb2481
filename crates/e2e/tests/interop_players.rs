//! Real players get pictures and sound for some seconds, out of every format that they know.

use anyhow::Result;
use e2e::clips::{self, Clip};
use e2e::players::{self, Player, every_format};
use e2e::playlist::Playlist;
use e2e::wait::{Look, until};
use e2e::{Publisher, Server, Tool, http};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// One server and broadcast, and one player several times at once.
fn plays(player: Player, urls: impl Fn(&Server) -> Vec<String>) -> Result<()> {
    let clip = clips::long()?;
    let server = Server::demo(&[])?;
    let _publisher = Publisher::start(server.ports.rtmp, "x", &clip)?;
    server.wait_live("live/x")?;
    players::all(&[player], &urls(&server))
}

#[test]
fn ffprobe_plays_every_format() -> Result<()> {
    plays(players::FFPROBE, every_format)
}

#[test]
fn ffmpeg_plays_every_format() -> Result<()> {
    plays(players::FFMPEG, every_format)
}

#[test]
fn mpv_plays_every_format() -> Result<()> {
    plays(players::MPV, every_format)
}

#[test]
fn vlc_plays_every_format() -> Result<()> {
    plays(players::VLC, every_format)
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
    players::all(&[players::GSTREAMER], &every_format(&server))
}

#[test]
fn rtmpdump_receives_rtmp() -> Result<()> {
    plays(players::RTMPDUMP, |server| vec![server.rtmp("/live/x")])
}

/// Those who play HLS in fMP4, at the same time on one broadcast of a newer codec.
fn hls_players_play(clip: &Clip) -> Result<()> {
    let server = Server::demo(&[])?;
    let publisher =
        Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv").arg(server.rtmp("/live/x"));
    let _publisher = publisher.start()?;
    server.wait_live("live/x")?;
    let url = [server.http("/live/x/index.m3u8")];
    let those = [players::FFPROBE, players::FFMPEG, players::MPV, players::VLC, players::GSTREAMER];
    players::all(&those, &url)
}

#[test]
fn hls_of_hevc_plays_in_every_player() -> Result<()> {
    hls_players_play(&clips::hevc_aac()?)
}

#[test]
fn hls_of_av1_and_opus_plays_in_every_player() -> Result<()> {
    hls_players_play(&clips::av1_opus()?)
}

#[test]
fn hls_of_vp9_and_opus_plays_in_every_player() -> Result<()> {
    hls_players_play(&clips::vp9_opus()?)
}
