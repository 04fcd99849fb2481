//! What ffmpeg publishes as H.264 and AAC comes out of every door as it went in.

use anyhow::{Context, Result, ensure};
use e2e::frames::{self, Frame, Of};
use e2e::{Running, Server, Tool, clips, flv, http, websocket};
use rtmp::MediaKind;
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, Instant};

/// One look of ffprobe, or a few seconds of recording.
const LIMIT: Duration = Duration::from_secs(40);
const RECORDED_SECONDS: u32 = 5;

/// ffmpeg sends the clip in real time, as it is.
fn publish(clip: &clips::Clip, more: &str, url: &str) -> Result<Running> {
    Tool::ffmpeg().words("-re -i").arg(&clip.path).words("-c copy").words(more).words("-f flv").arg(url).start()
}

/// What ffprobe says of a file or broadcast: its tracks by kind.
fn probe(input: &str) -> Result<Value> {
    let found = Tool::ffprobe().words("-of json -show_streams").arg(input).succeed(LIMIT)?.json()?;
    Ok(found["streams"].clone())
}

fn track<'a>(tracks: &'a Value, kind: &str) -> Result<&'a Value> {
    let mut found = tracks.as_array().into_iter().flatten().filter(|t| t["codec_type"] == kind);
    found.next().with_context(|| format!("no {kind} in {tracks}"))
}

/// The tracks that come out have what the clip's have.
fn same_tracks(input: &str, output: &str) -> Result<()> {
    let (before, after) = (probe(input)?, probe(output)?);
    let facts = [
        ("video", &["codec_name", "profile", "level", "width", "height", "pix_fmt", "has_b_frames"][..]),
        ("audio", &["codec_name", "profile", "sample_rate", "channels", "channel_layout"][..]),
    ];
    for (kind, names) in facts {
        let (before, after) = (track(&before, kind)?, track(&after, kind)?);
        for name in names {
            ensure!(before[name] == after[name], "{output}: {kind} {name}: {} became {}", before[name], after[name]);
        }
    }
    Ok(())
}

/// A few seconds out of a broadcast are a stretch of the clip without a gap, in pictures and in sound.
fn same_frames(clip: &clips::Clip, output: &str, of: Of) -> Result<()> {
    let whole = frames::read(Tool::ffmpeg(), &clip.path.to_string_lossy(), of, None, LIMIT)?;
    let out = frames::read(Tool::ffmpeg(), output, of, Some(RECORDED_SECONDS), LIMIT)?;
    for (kind, out, whole) in [("video", &out.video, &whole.video), ("audio", &out.audio, &whole.audio)] {
        let start = frames::contiguous(out, whole).with_context(|| format!("{kind} of {output}"))?;
        let enough = frames_in(whole, i64::from(RECORDED_SECONDS) - 1);
        ensure!(out.len() >= enough, "{kind} of {output}: only {} frames from the clip's {start} on", out.len());
        same_steps(out, &whole[start..]).with_context(|| format!("{kind} of {output}"))?;
    }
    Ok(())
}

fn frames_in(whole: &[Frame], seconds: i64) -> usize {
    whole.iter().take_while(|f| f.dts < whole[0].dts + seconds * 1_000_000).count()
}

/// Times between frames are the clip's, within the milliseconds of the wire.
fn same_steps(out: &[Frame], whole: &[Frame]) -> Result<()> {
    for (n, (out_frame, frame)) in out.iter().zip(whole).enumerate() {
        let moved = |f: fn(&Frame) -> i64| (f(out_frame) - f(&out[0])) - (f(frame) - f(&whole[0]));
        let (pts, dts) = (moved(|f| f.pts), moved(|f| f.dts));
        ensure!(pts.abs() <= 2000, "frame {n} is shown {pts} microseconds off");
        ensure!(dts.abs() <= 2000, "frame {n} is decoded {dts} microseconds off");
    }
    Ok(())
}

fn comes_out(url: impl Fn(&Server) -> String, of: Of) -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    let _publisher = publish(&clip, "", &server.rtmp("/live/x"))?;
    server.wait_live("live/x")?;
    let url = url(&server);
    same_tracks(&clip.path.to_string_lossy(), &url)?;
    same_frames(&clip, &url, of)
}

#[test]
fn h264_with_b_frames_comes_out_of_http_flv_as_it_went_in() -> Result<()> {
    comes_out(|server| server.http("/live/x.flv"), Of::Coded)
}

#[test]
fn h264_with_b_frames_comes_out_of_rtmp_as_it_went_in() -> Result<()> {
    comes_out(|server| server.rtmp("/live/x"), Of::Coded)
}

#[test]
fn h264_with_b_frames_comes_out_of_hls_as_it_went_in() -> Result<()> {
    comes_out(|server| server.http("/live/x/index.m3u8"), Of::Coded)
}

#[test]
fn h264_with_b_frames_comes_out_of_hls_in_ts_as_it_went_in() -> Result<()> {
    comes_out(|server| server.http("/live/x/ts/index.m3u8"), Of::Picture)
}

#[test]
fn h264_with_b_frames_comes_out_of_a_websocket_as_it_went_in() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    let _publisher = publish(&clip, "", &server.rtmp("/live/x"))?;
    server.wait_live("live/x")?;
    let mut payload = websocket::open(server.ports.http, "/live/x.flv")?;
    let recorded = server.file("recorded.flv");
    let mut file = std::fs::File::create(&recorded)?;
    let until = Instant::now() + Duration::from_secs(u64::from(RECORDED_SECONDS));
    let mut buffer = [0; 4096];
    while Instant::now() < until {
        let count = std::io::Read::read(&mut payload, &mut buffer)?;
        ensure!(count > 0, "the server closed the WebSocket");
        file.write_all(&buffer[..count])?;
    }
    let recorded = recorded.to_string_lossy();
    same_tracks(&clip.path.to_string_lossy(), &recorded)?;
    same_frames(&clip, &recorded, Of::Coded)
}

/// From the publisher's first byte to the first frame of a viewer who asks all the time.
fn live_within_two_seconds(dropped: &str, promises: (bool, bool), kind: MediaKind) -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    let url = server.rtmp("/live/x");
    let publisher = publish(&clip, dropped, &url)?;
    // ffmpeg takes a while to start, which is not the server's.
    e2e::wait::until(LIMIT, "ffmpeg publishes", || {
        let publishes = server.metric("floodtide_publishes_total")?;
        Ok(if publishes > 0.0 { e2e::wait::Look::Found(()) } else { e2e::wait::Look::NotYet("nobody".to_owned()) })
    })?;
    let began = Instant::now();
    let (head, body) = http::Connection::open(server.ports.http)?.endless("/live/x.flv", &[])?;
    ensure!(head.status == 200, "{head:?}");
    let mut reader = flv::Reader::new(body)?;
    ensure!(reader.promises == promises, "sound and pictures are promised as {:?}", reader.promises);
    loop {
        let tag = reader.tag()?.context("the broadcast ended")?;
        if !tag.is_header() {
            ensure!(tag.kind == kind, "a frame of {:?}", tag.kind);
            break;
        }
    }
    let after = began.elapsed();
    ensure!(after < Duration::from_secs(2), "the first frame came after {after:?}");
    let expected = if kind == MediaKind::Audio { "aac" } else { "h264" };
    for url in [server.http("/live/x.flv"), server.rtmp("/live/x"), server.http("/live/x/index.m3u8")] {
        let tracks = probe(&url)?;
        let codecs: Vec<_> = tracks.as_array().into_iter().flatten().map(|t| &t["codec_name"]).collect();
        ensure!(codecs == [expected], "{url} has {codecs:?}");
    }
    drop(publisher);
    Ok(())
}

#[test]
fn sound_alone_goes_live_within_two_seconds() -> Result<()> {
    live_within_two_seconds("-vn", (true, false), MediaKind::Audio)
}

#[test]
fn pictures_alone_go_live_within_two_seconds() -> Result<()> {
    live_within_two_seconds("-an", (false, true), MediaKind::Video)
}
