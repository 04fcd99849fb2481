//! aiortc, a WebRTC client that is no browser, publishes by WHIP and plays by WHEP.

use anyhow::{Context, Result, ensure};
use e2e::aiortc::{self, Candidates, Offer, Seen};
use e2e::clips::{self, Clip};
use e2e::compare::{probe, track};
use e2e::sync::together;
use e2e::{Obs, Running, Server, Tool};
use std::time::Duration;

const KEY: &str = "s3cret";
const KEYED: &str = "[publish]\nstream_key = 's3cret'\n";
const WATCHED: Duration = Duration::from_secs(5);
/// Flashes and clicks come once a second.
const WATCHED_FOR_FLASHES: Duration = Duration::from_secs(7);

fn offer(codec: &'static str) -> Offer {
    Offer { codec: Some(codec), key: Some(KEY), ..Offer::default() }
}

/// Pictures of this codec and size came, at least so many a second, and sound without a gap of half a second.
fn decoded(seen: &Seen, codec: &str, size: (u32, u32), fps: u64, span: Duration) -> Result<()> {
    let seconds = span.as_secs();
    ensure!(seen.codec == codec && (seen.width, seen.height) == size, "{seen:?}");
    ensure!(u64::from(seen.pictures) >= fps * seconds, "{} pictures in {seconds} s", seen.pictures);
    ensure!(u64::from(seen.sounds) >= 50 * seconds - 25, "{} pieces of sound in {seconds} s", seen.sounds);
    Ok(())
}

/// Clicks are heard within 40 ms of their flashes.
fn in_time(what: &str, seen: &Seen) -> Result<()> {
    together(what, &seen.offsets_ms.iter().map(|ms| ms / 1000.0).collect::<Vec<_>>())
}

/// Publishes and waits until it is live.
fn publish(server: &Server, clip: &Clip, offer: Offer) -> Result<aiortc::AiortcPublisher> {
    let publisher = aiortc::publish(clip, &server.http("/live/x/whip"), offer)?;
    server.wait_live("live/x").with_context(|| publisher.text_so_far())?;
    Ok(publisher)
}

#[test]
fn h264_and_opus_of_aiortc_come_out_of_whep_flv_and_hls() -> Result<()> {
    let (clip, server) = (clips::click_and_flash()?, Server::serve(KEYED)?);
    let publisher = publish(&server, &clip, offer("H264"))?;
    let seen = aiortc::play(&server.http("/live/x/whep"), WATCHED, Offer::default())?;
    decoded(&seen, "H264", (160, 90), 40, WATCHED)?;
    server.wait_logged("viewer left").context("its DELETE")?;
    for target in ["/live/x.flv", "/live/x/index.m3u8"] {
        let tracks = probe(&server.http(target))?;
        ensure!(track(&tracks, "video")?["codec_name"] == "h264", "{target}: {tracks}");
        ensure!(track(&tracks, "audio")?["codec_name"] == "aac", "{target}: {tracks}");
    }
    ensure!(publisher.end()? == "H264", "another codec");
    server.wait_logged("publisher left")
}

#[test]
fn vp8_and_opus_of_aiortc_are_decoded_by_aiortc() -> Result<()> {
    let (clip, server) = (clips::click_and_flash()?, Server::serve(KEYED)?);
    let publisher = publish(&server, &clip, offer("VP8"))?;
    let seen = aiortc::play(&server.http("/live/x/whep"), WATCHED, Offer::default())?;
    decoded(&seen, "VP8", (160, 90), 40, WATCHED)?;
    ensure!(publisher.end()? == "VP8", "another codec");
    Ok(())
}

#[test]
fn offers_without_candidates_and_with_local_names_only_connect_by_udp() -> Result<()> {
    let (clip, server) = (clips::click_and_flash()?, Server::serve(KEYED)?);
    for candidates in [Candidates::None, Candidates::Local] {
        let span = Duration::from_secs(2);
        let publisher = publish(&server, &clip, Offer { candidates, ..offer("VP8") })?;
        let viewer = Offer { candidates, ..Offer::default() };
        let seen = aiortc::play(&server.http("/live/x/whep"), span, viewer)?;
        decoded(&seen, "VP8", (160, 90), 35, span).with_context(|| format!("{candidates:?}"))?;
        publisher.end()?;
    }
    Ok(())
}

#[test]
fn who_has_a_wrong_key_is_refused_in_words() -> Result<()> {
    let (clip, server) = (clips::click_and_flash()?, Server::serve(KEYED)?);
    let wrong = Offer { key: Some("wrong"), ..Offer::default() };
    let told = aiortc::refused(&clip, &server.http("/live/x/whip"), wrong)?;
    ensure!(told.contains("403") && told.contains("the stream key is wrong"), "{told}");
    Ok(())
}

/// ffmpeg 9 sends the clip of clicks and flashes with its sound coded so.
fn ffmpeg(server: &Server, coding: &str, format: &str) -> Result<Running> {
    let clip = clips::click_and_flash()?;
    let tool = Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c:v copy -c:a").words(coding);
    let url = match format {
        "whip" => server.http(&format!("/live/x/whip?key={KEY}")),
        _ => server.rtmp(&format!("/live/x?key={KEY}")),
    };
    let publisher = tool.arg("-f").arg(format).arg(url).start()?;
    server.wait_live("live/x").with_context(|| publisher.text_so_far())?;
    Ok(publisher)
}

#[test]
fn what_ffmpeg_publishes_by_whip_is_seen_and_heard_together_by_whep() -> Result<()> {
    let server = Server::serve(KEYED)?;
    let _publisher = ffmpeg(&server, "copy", "whip")?;
    let seen = aiortc::play(&server.http("/live/x/whep"), WATCHED_FOR_FLASHES, Offer::default())?;
    decoded(&seen, "H264", (160, 90), 45, WATCHED_FOR_FLASHES)?;
    in_time("WHIP to WHEP", &seen)
}

#[test]
fn what_ffmpeg_publishes_by_rtmp_with_aac_is_seen_and_heard_together_by_whep() -> Result<()> {
    let server = Server::serve(KEYED)?;
    let _publisher = ffmpeg(&server, "aac", "flv")?;
    let seen = aiortc::play(&server.http("/live/x/whep"), WATCHED_FOR_FLASHES, Offer::default())?;
    decoded(&seen, "H264", (160, 90), 45, WATCHED_FOR_FLASHES)?;
    in_time("RTMP with AAC to WHEP", &seen)
}

#[test]
fn what_obs_publishes_by_rtmp_is_seen_and_heard_together_by_whep() -> Result<()> {
    let server = Server::serve(KEYED)?;
    let mut obs = Obs::start_without_b_frames(&server, &format!("x?key={KEY}"), &clips::click_and_flash()?)?;
    obs.publish()?;
    server.wait_live("live/x")?;
    let seen = aiortc::play(&server.http("/live/x/whep"), WATCHED_FOR_FLASHES, Offer::default());
    let seen = seen.with_context(|| obs.log())?;
    decoded(&seen, "H264", (320, 180), 25, WATCHED_FOR_FLASHES)?;
    in_time("OBS to WHEP", &seen)?;
    obs.stop()
}
