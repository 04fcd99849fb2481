//! Real encoders publish, and real players see it. ffmpeg has its own files: `h264.rs`, `enhanced.rs`.

use anyhow::{Context, Result, ensure};
use e2e::compare::{probe, track};
use e2e::players::{self, every_format};
use e2e::wait::{Look, until};
use e2e::{Obs, Running, Server, Tool, Viewer, clips, http};
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const KEYED: &str = "[publish]\nstream_key = \"s3cret\"\n";

/// H.264 and AAC of this profile come out, and the clock needed no repair.
fn comes_out(server: &Server, profile: &str) -> Result<()> {
    let tracks = probe(&server.http("/live/x.flv"))?;
    let (video, audio) = (track(&tracks, "video")?, track(&tracks, "audio")?);
    let found = ["codec_name", "profile", "width", "height"].map(|name| &video[name]);
    ensure!(json!(found) == json!(["h264", profile, 320, 180]), "{found:?}");
    ensure!(audio["codec_name"] == "aac", "{audio}");
    players::all(&[players::FFMPEG], &every_format(server))?;
    let repairs = server.metric("floodtide_timestamp_repairs_total")?;
    ensure!(repairs == 0.0, "{repairs} timestamps were repaired");
    Ok(())
}

fn wait_publishes(server: &Server, count: f64) -> Result<()> {
    until(LIMIT, "it publishes again", || {
        let publishes = server.metric("floodtide_publishes_total")?;
        Ok(if publishes >= count { Look::Found(()) } else { Look::NotYet(format!("{publishes} publishes")) })
    })
}

/// Its stream key carries parameters of its own, as users write them.
#[test]
fn obs_publishes_is_watched_stops_and_publishes_again() -> Result<()> {
    let server = Server::serve(KEYED)?;
    let mut obs = Obs::start(&server, "x?a=b&key=s3cret", &clips::long()?)?;
    obs.publish()?;
    server.wait_live("live/x")?;
    comes_out(&server, "High")?;
    let tracks = probe(&server.http("/live/x.flv"))?;
    let b_frames = &track(&tracks, "video")?["has_b_frames"];
    ensure!(b_frames.as_u64() > Some(0), "OBS sends B-frames, but {b_frames} came out");
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    let status = obs.status()?;
    ensure!(status["outputActive"] == true && status["outputSkippedFrames"] == 0, "{status}");

    obs.stop()?;
    until(LIMIT, "the server hears of the end", || {
        let log = server.log();
        Ok(if log.contains("reason=\"broadcast ended\"") { Look::Found(()) } else { Look::NotYet(log) })
    })?;
    obs.publish()?;
    wait_publishes(&server, 2.0)?;
    // Within the grace window: whoever stayed goes on.
    viewer.keyframes = 0;
    while viewer.keyframes == 0 {
        ensure!(viewer.one()?, "the viewer was ended");
    }
    obs.stop()
}

#[test]
fn obs_is_refused_with_a_wrong_key_and_says_so() -> Result<()> {
    let server = Server::serve(KEYED)?;
    let mut obs = Obs::start(&server, "x?key=wrong", &clips::long()?)?;
    ensure!(obs.publish().is_err(), "it publishes: {}", obs.log());
    // It says so by its socket first, and then in its log.
    until(LIMIT, "its log says why", || {
        let log = obs.log();
        Ok(if log.contains("the stream key is wrong") { Look::Found(()) } else { Look::NotYet(log) })
    })
}

/// First its connection is cut on both sides, then the server is killed and another one is there.
#[test]
fn obs_reconnects_after_a_cut_and_to_a_server_that_was_restarted() -> Result<()> {
    let mut server = Server::serve(KEYED)?;
    let mut obs = Obs::start(&server, "x?key=s3cret", &clips::long()?)?;
    obs.publish()?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    let before = viewer.last_ms[1].context("no picture came")?;

    let publisher = format!("dport = :{}", server.ports.rtmp);
    Tool::new("ss").words("--kill --no-header --tcp dst 127.0.0.1").words(&publisher).succeed(LIMIT)?;
    obs.wait("RECONNECTING")?;
    obs.wait("RECONNECTED")?;
    wait_publishes(&server, 2.0)?;
    viewer.keyframes = 0;
    while viewer.keyframes == 0 {
        ensure!(viewer.one()?, "the viewer was ended");
    }
    ensure!(viewer.last_ms[1] > Some(before), "{before} ms went on to {:?}", viewer.last_ms);

    server.restart()?;
    obs.wait("RECONNECTING")?;
    obs.wait("RECONNECTED")?;
    server.wait_live("live/x")?;
    players::all(&[players::FFMPEG], &[server.http("/live/x.flv")])?;
    obs.stop()
}

fn gstreamer(sink: &str, url: &str) -> Result<Running> {
    let video = "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=180,framerate=25/1 \
                 ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=50 bitrate=200 \
                 ! h264parse ! flvmux name=mux streamable=true";
    let audio = "audiotestsrc is-live=true ! audio/x-raw,rate=44100,channels=2 ! avenc_aac ! aacparse ! mux.";
    let tool = Tool::new("gst-launch-1.0").words(video).words("!").words(sink).arg(format!("location={url}"));
    tool.words(audio).start()
}

fn gstreamer_comes_out(sink: &str, suffix: &str) -> Result<()> {
    let server = Server::serve(KEYED)?;
    let url = format!("{}{suffix}", server.rtmp("/live/x?key=s3cret"));
    let mut publisher = gstreamer(sink, &url)?;
    server.wait_live("live/x").with_context(|| publisher.text_so_far())?;
    comes_out(&server, "Constrained Baseline")?;
    ensure!(publisher.is_running()?, "{}", publisher.text_so_far());
    publisher.kill()?;
    let answer = http::fetch(server.ports.http, "/live/x/index.m3u8", &[])?;
    ensure!(answer.status == 200, "the grace window did not begin: {answer:?}");
    Ok(())
}

#[test]
fn gstreamer_publishes_by_rtmp2sink() -> Result<()> {
    gstreamer_comes_out("rtmp2sink", "")
}

/// The older element, which is librtmp; `live=1` is for that library.
#[test]
fn gstreamer_publishes_by_librtmp() -> Result<()> {
    gstreamer_comes_out("rtmpsink", " live=1")
}
