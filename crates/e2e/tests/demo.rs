//! What a stranger sees first.

use anyhow::{Result, ensure};
use e2e::compare::{probe, track};
use e2e::{Server, Viewer};
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
