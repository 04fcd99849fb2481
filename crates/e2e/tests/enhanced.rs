//! HEVC, AV1, VP9 and Opus by enhanced RTMP, published by ffmpeg 9.

use anyhow::{Result, ensure};
use e2e::clips::{self, Clip};
use e2e::compare::{BOTH, probe, same_frames_of, same_tracks, track};
use e2e::frames::Of;
use e2e::{Server, Tool};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);

fn comes_out(clip: &Clip, codecs: [&str; 2]) -> Result<()> {
    let server = Server::demo(&[])?;
    let publisher =
        Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv").arg(server.rtmp("/live/x"));
    let mut publisher = publisher.start()?;
    server.wait_live("live/x")?;

    let hls = server.http("/live/x/index.m3u8");
    for url in [&server.http("/live/x.flv"), &server.rtmp("/live/x"), &hls] {
        same_frames_of(Tool::ffmpeg9, clip, url, Of::Coded, &BOTH)?;
    }
    // ffprobe 5.1 knows no enhanced RTMP, so what tracks are is read from HLS.
    let tracks = probe(&hls)?;
    for (kind, codec) in BOTH.into_iter().zip(codecs) {
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
    let hls = server.http("/live/x/ts/index.m3u8");
    same_tracks(&clip.path.to_string_lossy(), &hls)?;
    same_frames_of(Tool::ffmpeg9, &clip, &hls, Of::Picture, &BOTH)
}
