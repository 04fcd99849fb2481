//! What ffmpeg publishes as H.264 and AAC comes out of every door as it went in.

use anyhow::{Context, Result, anyhow, ensure};
use e2e::compare::{RECORDED_SECONDS, publish, same_frames, same_frames_of, same_kinds, same_tracks};
use e2e::frames::Of;
use e2e::{Publisher, Server, Tool, clips, flv, http, websocket};
use rtmp::MediaKind;
use std::io::Write;
use std::time::{Duration, Instant};

/// ffmpeg's start.
const LIMIT: Duration = Duration::from_secs(20);

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
        Ok(if publishes > 0.0 {
            e2e::wait::Look::Found(())
        } else {
            e2e::wait::Look::NotYet("nobody".to_owned())
        })
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
    let kinds = if kind == MediaKind::Audio { ["audio"] } else { ["video"] };
    // In TS the coded bytes are written differently.
    let doors = [
        (server.http("/live/x.flv"), Of::Coded),
        (server.rtmp("/live/x"), Of::Coded),
        (server.http("/live/x/index.m3u8"), Of::Coded),
        (server.http("/live/x/ts/index.m3u8"), Of::Picture),
    ];
    let as_it_went_in = |(url, of): &(String, Of)| {
        same_kinds(&clip.path.to_string_lossy(), url, &kinds)?;
        same_frames_of(Tool::ffmpeg, &clip, url, *of, &kinds)
    };
    // At the same time: one after the other would take longer than the clip.
    std::thread::scope(|scope| {
        let looks: Vec<_> = doors.iter().map(|door| scope.spawn(|| as_it_went_in(door))).collect();
        looks.into_iter().try_for_each(|look| look.join().map_err(|_| anyhow!("a look panicked"))?)
    })?;
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

#[test]
fn a_wrap_of_the_32_bit_clock_is_not_seen() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    // The clock wraps 4 s after the start; before it does, every chunk has an extended timestamp.
    let _publisher = Publisher::start_at(server.ports.rtmp, "x", &clip, u32::MAX - 4000)?;
    server.wait_live("live/x")?;
    same_frames(&clip, &server.http("/live/x.flv"), Of::Coded)?;
    let repairs = server.metric("floodtide_timestamp_repairs_total")?;
    ensure!(repairs >= 2.0, "{repairs} repairs: the clock did not wrap");
    Ok(())
}
