//! Publishing and playing by SRT with the peers that people have: ffmpeg, `srt-live-transmit`, GStreamer.

use anyhow::{Context, Result, ensure};
use e2e::clips::{self, Clip};
use e2e::compare::{publish, same_frames, same_tracks};
use e2e::frames::{self, Of};
use e2e::wait::{Look, until};
use e2e::{Folder, Running, Server, Tool, http};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);
const KEY: &str = "[publish]\nstream_key = 's3cret'\n";
const SECRET: &str = "correct-horse-battery";

/// ffmpeg sends a clip in real time as MPEG-TS.
fn send(tool: Tool, clip: &Clip, url: &str) -> Result<Running> {
    tool.words("-re -i").arg(&clip.path).words("-c copy -f mpegts").arg(url).start()
}

/// `[srt]` with a passphrase, beside the stream key.
fn encrypted() -> String {
    format!("{KEY}[srt]\npassphrase = '{SECRET}'\n")
}

/// A passphrase in a URL, for AES with keys of so many bytes.
fn secret(text: &str, bytes: u32) -> String {
    format!("&passphrase={text}&pbkeylen={bytes}")
}

/// The sessions of one role.
fn sessions(server: &Server, role: &str) -> Result<Vec<Value>> {
    let list = http::fetch(server.ports.admin, &format!("/v1/sessions?role={role}"), &[])?.json()?;
    Ok(list.as_array().cloned().unwrap_or_default())
}

/// Waits until the log says something.
fn logged(server: &Server, text: &str) -> Result<()> {
    until(LIMIT, text, || {
        let log = server.log();
        Ok(if log.contains(text) { Look::Found(()) } else { Look::NotYet(log) })
    })
}

#[test]
fn what_ffmpeg_publishes_by_srt_comes_out_of_srt_flv_rtmp_and_hls() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(KEY)?);
    let _publisher = send(Tool::ffmpeg(), &clip, &server.srt("live/x?key=s3cret", ""))?;
    server.wait_live("live/x")?;
    for url in [server.srt("#!::r=live/x,m=request", ""), server.http("/live/x.flv"), server.rtmp("/live/x")]
    {
        same_frames(&clip, &url, Of::Picture).with_context(|| url.clone())?;
    }
    same_tracks(&clip.path.to_string_lossy(), &server.http("/live/x/index.m3u8"))
}

#[test]
fn what_comes_by_rtmp_is_played_by_srt() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(KEY)?);
    let _publisher = publish(&clip, "", &server.rtmp("/live/x?key=s3cret"))?;
    server.wait_live("live/x")?;
    let url = server.srt("play:live/x", "");
    same_frames(&clip, &url, Of::Picture)?;
    same_tracks(&clip.path.to_string_lossy(), &url)
}

#[test]
fn stream_ids_with_fields_publish_and_hevc_passes() -> Result<()> {
    let (clip, server) = (clips::hevc_aac()?, Server::serve(KEY)?);
    let id = "#!::r=live/x,m=publish,key=s3cret";
    let _publisher = send(Tool::ffmpeg9(), &clip, &server.srt(id, ""))?;
    server.wait_live("live/x")?;
    let whole = frames::read(Tool::ffmpeg9(), &clip.path.to_string_lossy(), Of::Picture, None, LIMIT)?;
    let out = frames::read(Tool::ffmpeg9(), &server.srt("#!::r=live/x", ""), Of::Picture, Some(4), LIMIT)?;
    ensure!(out.video.len() >= 40 && out.audio.len() >= 80, "{} and {}", out.video.len(), out.audio.len());
    frames::contiguous(&out.video, &whole.video).context("pictures")?;
    frames::contiguous(&out.audio, &whole.audio).context("sound").map(drop)
}

#[test]
fn opus_and_mp3_pass() -> Result<()> {
    for coding in ["libopus -ar 48000", "libmp3lame"] {
        let server = Server::serve(KEY)?;
        let source = Tool::ffmpeg9().words("-re -f lavfi -i testsrc2=size=160x90:rate=25:duration=20");
        let source = source.words("-f lavfi -i sine=sample_rate=48000:duration=20 -ac 2");
        let source = source.words("-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a").words(coding);
        let _publisher = source.words("-f mpegts").arg(server.srt("live/x?key=s3cret", "")).start()?;
        server.wait_live("live/x")?;
        let out = frames::read(Tool::ffmpeg9(), &server.srt("play:live/x", ""), Of::Coded, Some(3), LIMIT)?;
        let codec = if coding.starts_with("libopus") { "opus" } else { "mp3" };
        ensure!(out.codecs == ["h264", codec], "{:?}", out.codecs);
        ensure!(
            out.video.len() >= 50 && out.audio.len() >= 80,
            "{} and {}",
            out.video.len(),
            out.audio.len()
        );
    }
    Ok(())
}

#[test]
fn what_is_not_supported_is_left_out_and_the_rest_is_live() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(KEY)?);
    let with_ac3 = |more: &str, path: &str| {
        let to = server.srt(&format!("{path}?key=s3cret"), "");
        Tool::ffmpeg().words("-re -i").arg(&clip.path).words(more).words("-c:a ac3 -f mpegts").arg(to).start()
    };
    let _publisher = with_ac3("-c:v copy", "live/x")?;
    server.wait_live("live/x")?;
    logged(&server, "stream type 0x81 (AC-3)")?;
    let out = frames::read(Tool::ffmpeg(), &server.http("/live/x.flv"), Of::Coded, Some(2), LIMIT)?;
    ensure!(out.video.len() > 25 && out.audio.is_empty(), "{} {}", out.video.len(), out.audio.len());
    let _refused = with_ac3("-vn", "live/y")?;
    logged(&server, "nothing in the transport stream is supported: stream type 0x81 (AC-3) isn't")
}

#[test]
fn media_is_encrypted_by_aes_128_and_256_both_ways() -> Result<()> {
    for bytes in [16, 32] {
        let (clip, server) = (clips::h264_aac()?, Server::serve(&encrypted())?);
        let more = secret(SECRET, bytes);
        let _publisher = send(Tool::ffmpeg(), &clip, &server.srt("live/x?key=s3cret", &more))?;
        server.wait_live("live/x")?;
        // The clip may be over by the time that its frames are compared.
        until(LIMIT, "its link is measured", || {
            let publishers = sessions(&server, "publisher")?;
            let is_encrypted = publishers.first().is_some_and(|session| session["link"]["encrypted"] == true);
            Ok(if is_encrypted { Look::Found(()) } else { Look::NotYet(format!("{publishers:?}")) })
        })?;
        same_frames(&clip, &server.srt("play:live/x", &more), Of::Picture)?;
    }
    Ok(())
}

#[test]
fn who_does_not_know_the_passphrase_is_refused() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(&encrypted())?);
    for more in [secret("another-horse-battery", 16), String::new()] {
        let refused = send(Tool::ffmpeg(), &clip, &server.srt("live/x?key=s3cret", &more))?.finish(LIMIT)?;
        ensure!(!refused.status.success(), "{refused}");
    }
    logged(&server, "the passphrase is wrong")?;
    logged(&server, "one side has a passphrase and the other has none")?;
    ensure!(sessions(&server, "publisher")?.is_empty(), "nobody publishes");
    Ok(())
}

#[test]
fn who_may_not_is_refused_and_the_log_says_why() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(KEY)?);
    let reasons = [
        ("live/x?key=wrong", "the stream key is wrong"),
        ("live/x", "a stream key is needed"),
        ("play:live/nobody", "nobody publishes live/nobody"),
        ("#!::m=publish", "names no broadcast"),
    ];
    for (id, reason) in reasons {
        let refused = send(Tool::ffmpeg(), &clip, &server.srt(id, ""))?.finish(LIMIT)?;
        ensure!(!refused.status.success(), "{refused}");
        logged(&server, reason)?;
    }
    Ok(())
}

/// ffmpeg sends a transport stream by UDP to srt-live-transmit, which publishes it.
fn transmit(clip: &Clip, server: &Server, more: &str) -> Result<[Running; 2]> {
    let feed = format!("udp://127.0.0.1:{}", server.ports.beside);
    let transmitter = Tool::new("srt-live-transmit").words("-loglevel:error").arg(&feed);
    let transmitter = transmitter.arg(server.srt("live/x?key=s3cret", more)).start()?;
    let source = send(Tool::ffmpeg(), clip, &format!("{feed}?pkt_size=1316"))?;
    server.wait_live("live/x").with_context(|| transmitter.text_so_far())?;
    Ok([transmitter, source])
}

#[test]
fn srt_live_transmit_publishes_without_a_passphrase() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(KEY)?);
    let _publisher = transmit(&clip, &server, "")?;
    same_frames(&clip, &server.http("/live/x.flv"), Of::Picture)
}

#[test]
fn srt_live_transmit_publishes_with_a_passphrase() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(&encrypted())?);
    let _publisher = transmit(&clip, &server, &secret(SECRET, 32))?;
    until(LIMIT, "its link is measured and encrypted", || {
        let publishers = sessions(&server, "publisher")?;
        let is_encrypted = publishers.first().is_some_and(|session| session["link"]["encrypted"] == true);
        Ok(if is_encrypted { Look::Found(()) } else { Look::NotYet(format!("{publishers:?}")) })
    })?;
    same_frames(&clip, &server.http("/live/x.flv"), Of::Picture)
}

#[test]
fn srt_live_transmit_carries_what_is_played_to_a_file() -> Result<()> {
    let (clip, server, folder) = (clips::h264_aac()?, Server::serve(&encrypted())?, Folder::new()?);
    let more = secret(SECRET, 32);
    let _publisher = send(Tool::ffmpeg9(), &clip, &server.srt("live/x?key=s3cret", &more))?;
    server.wait_live("live/x")?;
    let tool = Tool::new("srt-live-transmit").words("-quiet -to:8 -a:no");
    let url = server.srt("play:live/x", &format!("&passphrase={SECRET}"));
    let player = tool.arg(url).arg("file://con").start()?;
    until(LIMIT, "a viewer by SRT got half a megabyte", || {
        let viewers = sessions(&server, "viewer")?;
        let bytes = viewers.first().and_then(|viewer| viewer["bytes"].as_u64());
        Ok(if bytes.is_some_and(|bytes| bytes > 300_000) {
            Look::Found(())
        } else {
            Look::NotYet(format!("{viewers:?}"))
        })
    })?;
    let path = folder.file("out.ts");
    std::fs::write(&path, player.out_so_far())?;
    let whole = frames::read(Tool::ffmpeg(), &clip.path.to_string_lossy(), Of::Picture, None, LIMIT)?;
    let out = frames::read(Tool::ffmpeg(), &path.to_string_lossy(), Of::Picture, Some(4), LIMIT)?;
    ensure!(out.video.len() > 40, "{} pictures", out.video.len());
    frames::contiguous(&out.video, &whole.video).map(drop)
}

#[test]
fn gstreamer_publishes_and_plays() -> Result<()> {
    let server = Server::serve(KEY)?;
    let publisher = Tool::new("gst-launch-1.0")
        .words("-q videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1");
    let publisher = publisher
        .words("! x264enc tune=zerolatency key-int-max=25 ! h264parse ! mpegtsmux alignment=7 ! srtsink");
    let _publisher = publisher.arg(format!("uri={}", server.srt("live/x?key=s3cret", ""))).start()?;
    server.wait_live("live/x")?;
    let player =
        Tool::new("gst-launch-1.0").words("-v srtsrc").arg(format!("uri={}", server.srt("play:live/x", "")));
    let player =
        player.words("! tsdemux ! h264parse ! avdec_h264 ! fakesink num-buffers=50 silent=false sync=false");
    let played = player.run(LIMIT)?;
    ensure!(played.status.success(), "{played}");
    Ok(())
}

#[test]
fn a_publisher_is_seen_measured_and_kicked() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(KEY)?);
    let publisher = send(Tool::ffmpeg(), &clip, &server.srt("live/x?key=s3cret", "&latency=300000"))?;
    server.wait_live("live/x")?;
    let session = until(LIMIT, "its link is measured", || {
        let found = sessions(&server, "publisher")?;
        let session = found.first().cloned().unwrap_or_default();
        let measured = session["link"]["bits_per_s"].as_u64().is_some_and(|bits| bits > 100_000);
        Ok(if measured { Look::Found(session) } else { Look::NotYet(session.to_string()) })
    })?;
    ensure!(session["protocol"] == "srt" && session["link"]["latency_ms"] == 300.0, "{session}");
    ensure!(session["link"]["lost"] == 0, "{session}");
    let id = session["id"].as_str().context("an id")?;
    let url = format!("http://127.0.0.1:{}/v1/sessions/{id}", server.ports.admin);
    Tool::new("curl").words("--silent --show-error --fail -X DELETE").arg(url).succeed(LIMIT)?;
    publisher.finish(LIMIT)?;
    logged(&server, "ended by an operator")
}

#[test]
fn the_second_publisher_is_refused_and_the_first_goes_on() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(KEY)?);
    let mut first = send(Tool::ffmpeg(), &clip, &server.srt("live/x?key=s3cret", ""))?;
    server.wait_live("live/x")?;
    let second = send(Tool::ffmpeg(), &clip, &server.srt("live/x?key=s3cret", ""))?.finish(LIMIT)?;
    ensure!(!second.status.success(), "{second}");
    ensure!(first.is_running()?, "the first ended");
    same_frames(&clip, &server.http("/live/x.flv"), Of::Picture)
}

#[test]
fn srt_can_be_turned_off() -> Result<()> {
    let (clip, server) = (clips::h264_aac()?, Server::serve(&format!("{KEY}[srt]\nenabled = false\n"))?);
    let refused = send(Tool::ffmpeg(), &clip, &server.srt("live/x?key=s3cret", "&connect_timeout=500"))?
        .finish(LIMIT)?;
    ensure!(!refused.status.success(), "{refused}");
    Ok(())
}
