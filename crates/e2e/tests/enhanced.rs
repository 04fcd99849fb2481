//! HEVC, AV1, VP9 and Opus by enhanced RTMP, published by ffmpeg 9.

use anyhow::{Context, Result, ensure};
use e2e::clips::{self, Clip};
use e2e::compare::{RECORDED_SECONDS, probe, same_tracks, track};
use e2e::frames::{self, Of};
use e2e::{Server, Tool};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);

fn comes_out(clip: &Clip, codecs: [&str; 2]) -> Result<()> {
    let server = Server::demo(&[])?;
    let publisher =
        Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv").arg(server.rtmp("/live/x"));
    let mut publisher = publisher.start()?;
    server.wait_live("live/x")?;

    let whole = frames::read(Tool::ffmpeg9(), &clip.path.to_string_lossy(), Of::Coded, None, LIMIT)?;
    for url in [server.http("/live/x.flv"), server.rtmp("/live/x")] {
        let out = frames::read(Tool::ffmpeg9(), &url, Of::Coded, Some(RECORDED_SECONDS), LIMIT)?;
        ensure!(out.codecs == codecs, "{url} has {:?}", out.codecs);
        frames::contiguous(&out.video, &whole.video).with_context(|| format!("video of {url}"))?;
        frames::contiguous(&out.audio, &whole.audio).with_context(|| format!("audio of {url}"))?;
    }

    let hls = server.http("/live/x/index.m3u8");
    let tracks = probe(&hls)?;
    for (kind, codec) in ["video", "audio"].into_iter().zip(codecs) {
        let name = &track(&tracks, kind)?["codec_name"];
        ensure!(name == codec, "HLS has {kind} of {name}");
    }
    same_tracks(&clip.path.to_string_lossy(), &hls)?;
    ensure!(publisher.is_running()?, "the publisher ended early: {}", publisher.finish(LIMIT)?);
    Ok(())
}

#[test]
fn hevc_and_aac_come_out_of_flv_rtmp_and_hls() -> Result<()> {
    comes_out(&clips::hevc_aac()?, ["hevc", "aac"])
}

#[test]
fn av1_and_opus_come_out_of_flv_rtmp_and_hls() -> Result<()> {
    comes_out(&clips::av1_opus()?, ["av1", "opus"])
}

#[test]
fn vp9_and_opus_come_out_of_flv_rtmp_and_hls() -> Result<()> {
    comes_out(&clips::vp9_opus()?, ["vp9", "opus"])
}

#[test]
fn hevc_comes_out_of_hls_in_ts() -> Result<()> {
    let clip = clips::hevc_aac()?;
    let server = Server::demo(&[])?;
    let publisher =
        Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv").arg(server.rtmp("/live/x"));
    let _publisher = publisher.start()?;
    server.wait_live("live/x")?;
    same_tracks(&clip.path.to_string_lossy(), &server.http("/live/x/ts/index.m3u8"))
}
