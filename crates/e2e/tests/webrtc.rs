//! WHIP and WHEP as HTTP, and a real encoder over WHIP. Browsers are in `e2e/browser/tests/webrtc.test.js`.

use anyhow::{Context, Result, ensure};
use e2e::clips::Clip;
use e2e::compare::{probe, publish, track};
use e2e::frames::{self, Of};
use e2e::sync::all_together;
use e2e::wait::{Look, until};
use e2e::{Finished, Folder, Running, Server, Tool, clips, http, project};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);
const KEY: &str = "[publish]\nstream_key = 's3cret'\n";

/// H.264 without B-frames and Opus, 20 s: what a WHIP encoder sends.
fn clip(folder: &Folder) -> Result<Clip> {
    let path = folder.file("whip.mkv");
    let tool = Tool::ffmpeg9().words("-f lavfi -i testsrc2=size=320x180:rate=30:duration=20");
    let tool = tool.words("-f lavfi -i anoisesrc=sample_rate=48000:duration=20:seed=7 -ac 2");
    let tool = tool.words(
        "-c:v libx264 -profile:v baseline -preset ultrafast -bf 0 -g 30 -sc_threshold 0 -pix_fmt yuv420p",
    );
    tool.words("-b:v 300k -c:a libopus -b:a 64k").arg(&path).succeed(LIMIT)?;
    Ok(Clip { path })
}

fn whip(clip: &Clip, server: &Server, secret: &str) -> Result<Running> {
    let tool =
        Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f whip -authorization").arg(secret);
    tool.arg(server.http("/live/w/whip")).start()
}

/// What curl says to a request: status, a line, body.
fn curl(words: &str, url: &str) -> Result<String> {
    let tool = Tool::new("curl")
        .words("--silent --show-error --max-time 10 -w")
        .arg("\n%{http_code} %{content_type}");
    Ok(tool.words(words).arg(url).succeed(LIMIT)?.text())
}

fn says(found: &str, wanted: &[&str]) -> Result<()> {
    for text in wanted {
        ensure!(found.contains(text), "{text:?} is not in {found:?}");
    }
    Ok(())
}

#[test]
fn what_ffmpeg_publishes_by_whip_comes_out_of_flv_and_hls_as_it_went_in() -> Result<()> {
    let folder = Folder::new()?;
    let as_it_is = format!("{KEY}[transcode]\naudio_for_flv = 'off'\n");
    let (clip, server) = (clip(&folder)?, Server::serve(&as_it_is)?);
    let _publisher = whip(&clip, &server, "s3cret")?;
    server.wait_live("live/w")?;
    let whole = frames::read(Tool::ffmpeg9(), &clip.path.to_string_lossy(), Of::Coded, None, LIMIT)?;
    let flv = frames::read(Tool::ffmpeg9(), &server.http("/live/w.flv"), Of::Coded, Some(4), LIMIT)?;
    ensure!(
        flv.video.len() >= 60 && flv.audio.len() >= 100,
        "{} pictures, {} sounds",
        flv.video.len(),
        flv.audio.len()
    );
    frames::contiguous(&flv.video, &whole.video).context("pictures by FLV")?;
    frames::contiguous(&flv.audio, &whole.audio).context("sound by FLV")?;
    let hls = Tool::ffprobe().words("-v error -show_entries stream=codec_name -of csv=p=0");
    let hls = hls.arg(server.http("/live/w/index.m3u8")).succeed(LIMIT)?.text();
    says(&hls, &["h264"])
}

#[test]
fn opus_published_by_whip_is_heard_as_aac_in_time_with_its_pictures_over_flv_hls_and_rtmp() -> Result<()> {
    let server = Server::serve(KEY)?;
    let _publisher = whip(&clips::click_and_flash()?, &server, "s3cret")?;
    server.wait_live("live/w")?;
    let urls = [server.http("/live/w.flv"), server.http("/live/w/index.m3u8"), server.rtmp("/live/w")];
    for url in &urls {
        let tracks = probe(url)?;
        let codecs = ["video", "audio"].map(|kind| track(&tracks, kind).map(|track| &track["codec_name"]));
        ensure!(
            matches!(codecs, [Ok(video), Ok(audio)] if video == "h264" && audio == "aac"),
            "{url}: {tracks}"
        );
    }
    all_together(&urls)
}

#[test]
fn the_end_of_a_whip_session_ends_the_publisher() -> Result<()> {
    let folder = Folder::new()?;
    let (clip, server) = (clip(&folder)?, Server::serve(KEY)?);
    let mut publisher = whip(&clip, &server, "s3cret")?;
    server.wait_live("live/w")?;
    publisher.kill()?;
    // Killed, it says nothing; it is given up after a while of silence.
    until(LIMIT, "the publisher is given up", || {
        let log = server.log();
        Ok(if log.contains("publisher left") { Look::Found(()) } else { Look::NotYet(log) })
    })
}

#[test]
fn who_may_not_publish_is_told_why() -> Result<()> {
    let server = Server::serve(KEY)?;
    let offer = "-X POST -H Content-Type:application/sdp --data v=0";
    let url = server.http("/live/w/whip");
    says(&curl(offer, &url)?, &["a stream key is needed", "403"])?;
    says(&curl(&format!("{offer} --oauth2-bearer wrong"), &url)?, &["the stream key is wrong", "403"])?;
    says(&curl(offer, &format!("{url}?key=wrong"))?, &["the stream key is wrong", "403"])?;
    let wrong: Finished = Tool::ffmpeg9()
        .words("-v error -f lavfi -i testsrc2=size=320x180:rate=30 -t 5 -c:v libx264 -profile:v baseline -bf 0 -an -f whip")
        .words("-authorization wrong")
        .arg(&url)
        .run(LIMIT)?;
    ensure!(!wrong.status.success(), "{wrong}");
    Ok(())
}

#[test]
fn bad_requests_get_a_reason_and_never_a_server_error() -> Result<()> {
    let server = Server::serve(KEY)?;
    let (whip, whep) = (server.http("/live/w/whip?key=s3cret"), server.http("/live/w/whep"));
    let offer = "-X POST -H Content-Type:application/sdp --data";
    says(&curl(&format!("{offer} v=0"), &whip)?, &["the offer", "400"])?;
    says(&curl("-X POST --data v=0", &whip)?, &["application/sdp", "415"])?;
    says(&curl(&format!("{offer} v=0"), &whep)?, &["nobody publishes live/w", "404"])?;
    says(&curl("", &whip)?, &["OPTIONS, POST", "405"])?;
    let folder = Folder::new()?;
    let large = folder.file("large");
    std::fs::write(&large, "a=x\r\n".repeat(40_000))?;
    says(&curl(&format!("{offer} @{}", large.display()), &whip)?, &["too large", "413"])?;
    // A second peer that guesses a connection's name can neither read nor end it.
    for method in ["DELETE", "PATCH"] {
        let guess = server.http("/live/w/whep/00112233445566778899aabbccddeeff");
        let fragment = "-H Content-Type:application/trickle-ice-sdpfrag --data a=ice-ufrag:abcd";
        says(&curl(&format!("-X {method} {fragment}"), &guess)?, &["no such connection", "404"])?;
    }
    says(&curl("-X GET", &server.http("/live/w/whep/0011"))?, &["405"])?;
    says(&curl("-X OPTIONS -D -", &whip)?, &["accept-post: application/sdp", "POST", "204"])?;
    Ok(())
}

#[test]
fn who_finds_no_room_is_sent_to_another_server_if_there_is_one() -> Result<()> {
    let full = format!("{KEY}[limits]\nconnections = 1\n[webrtc]\noverflow = 'https://edge2.example.net/'\n");
    let server = Server::serve(&full)?;
    let offer = "-X POST -D - -H Content-Type:application/sdp --data v=0";
    let there = "location: https://edge2.example.net/live/w/whep?token=t";
    says(&curl(offer, &server.http("/live/w/whep?token=t"))?, &[there, "another server", "307"])?;
    let server = Server::serve(&format!("{KEY}[limits]\nconnections = 1\n"))?;
    says(&curl(offer, &server.http("/live/w/whep"))?, &["retry-after", "503"])
}

#[test]
fn a_broadcast_that_webrtc_cannot_carry_is_refused_with_what_to_do() -> Result<()> {
    let server = Server::serve(KEY)?;
    let clip = clips::hevc_aac()?;
    let publisher = Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv");
    let _publisher = publisher.arg(server.rtmp("/live/w?key=s3cret")).start()?;
    server.wait_live("live/w")?;
    let offer = "-X POST -H Content-Type:application/sdp --data v=0";
    says(&curl(offer, &server.http("/live/w/whep"))?, &["LL-HLS", "406"])
}

#[test]
fn webrtc_can_be_turned_off() -> Result<()> {
    let server = Server::serve(&format!("{KEY}[webrtc]\nenabled = false\n"))?;
    let _publisher = publish(&clips::h264_aac()?, "", &server.rtmp("/live/w?key=s3cret"))?;
    says(&curl("-X POST", &server.http("/live/w/whep"))?, &["webrtc.enabled", "404"])
}

#[test]
fn fifty_viewers_get_every_packet_in_time() -> Result<()> {
    let server = Server::serve(KEY)?;
    let clip = project().join("demo/clip.flv");
    let load = Tool::floodtide().words("load run --quiet -n 50 --ramp 50 --duration 5s --json -");
    let load = load.words("--max-stall-rate 0% --min-playing 100% --max-disconnects 0 --max-age-p99 1s");
    let load = load.words("--file").arg(clip).words("--publish-url").arg(server.rtmp("/live/w?key=s3cret"));
    let seen = load.words("--url").arg(server.http("/live/w/whep")).succeed(Duration::from_secs(60))?;
    let report: serde_json::Value = serde_json::from_slice(&seen.out)?;
    let total = &report["total"];
    ensure!(total["packets"].as_u64() > Some(10_000) && total["packets_lost"] == 0, "{total}");
    ensure!(total["frame_age_ms"]["count"].as_u64() > Some(100), "{total}");
    Ok(())
}

#[test]
fn five_publishers_of_the_generator_by_whip_are_each_seen_in_time() -> Result<()> {
    const BROADCASTS: u32 = 5;
    let server = Server::serve(KEY)?;
    let clip = project().join("demo/clip.flv");
    let load = Tool::floodtide().words("load run --quiet -n 10 --ramp 50 --probe 10 --duration 3s --json -");
    let load = load.words("--max-stall-rate 0% --min-playing 100% --max-disconnects 0 --max-age-p99 1s");
    let load = load.words("--broadcasts").arg(BROADCASTS.to_string()).words("--file").arg(clip);
    let load = load.words("--publish-url").arg(server.http("/live/x{i}/whip?key=s3cret"));
    let seen =
        load.words("--url").arg(server.http("/live/x{i}/whep")).succeed(Duration::from_secs(60))?.json()?;
    let total = &seen["total"];
    ensure!(total["playing"] == 2 * BROADCASTS && total["packets_lost"] == 0, "{total}");
    // Ten viewers who look at every frame, 30 a second for 3 s.
    ensure!(total["frame_age_ms"]["count"].as_u64() > Some(700), "{total}");
    for number in 0..BROADCASTS {
        server.wait_logged(&format!("publisher left path=live/x{number} protocol=\"whip\""))?;
    }
    Ok(())
}

/// The demo's programme, coded anew at a lower rate: 320x180, the same 12 s.
fn lower(folder: &Folder) -> Result<Clip> {
    let path = folder.file("lower.flv");
    let tool = Tool::ffmpeg().words("-i").arg(project().join("demo/clip.flv"));
    let tool = tool
        .words("-vf scale=320:180 -c:v libx264 -preset ultrafast -tune zerolatency -g 30 -sc_threshold 0");
    tool.words("-b:v 150k -maxrate 150k -bufsize 150k -c:a copy").arg(&path).succeed(LIMIT)?;
    Ok(Clip { path })
}

#[test]
fn a_publisher_of_two_qualities_by_the_generator_is_seen_with_both_and_its_viewers_lose_nothing() -> Result<()>
{
    let (folder, server) = (Folder::new()?, Server::serve(KEY)?);
    let load = Tool::floodtide().words("load publish --quiet --file").arg(project().join("demo/clip.flv"));
    let load = load.words("--lower").arg(&lower(&folder)?.path).words("--url");
    let mut publisher = load.arg(server.http("/live/w/whip?key=s3cret")).start()?;
    let renditions = until(LIMIT, "both qualities are measured", || {
        let told =
            http::fetch(server.ports.admin, "/v1/broadcasts/live%2Fw", &[])?.json()?["renditions"].take();
        // Whichever came first is the base until the better one came for a while.
        let settled = told[1]["width"].is_number() && told[1]["base"] == true;
        Ok(if settled { Look::Found(told) } else { Look::NotYet(told.to_string()) })
    })?;
    let [m, h] = [&renditions[0], &renditions[1]];
    ensure!(
        (&m["name"], &m["width"], &m["base"]) == (&"m".into(), &320.into(), &false.into()),
        "{renditions}"
    );
    ensure!(
        (&h["name"], &h["width"], &h["base"]) == (&"h".into(), &640.into(), &true.into()),
        "{renditions}"
    );
    let [low, high] = [m, h].map(|rendition| rendition["kbit_s"].as_f64().unwrap_or_default());
    ensure!((50.0..300.0).contains(&low) && (400.0..1200.0).contains(&high), "{renditions}");
    let load = Tool::floodtide().words("load view --quiet -n 5 --ramp 50 --duration 5s --json -");
    let load = load.words("--min-playing 100% --max-disconnects 0 --url").arg(server.http("/live/w/whep"));
    let total = load.succeed(Duration::from_secs(60))?.json()?["total"].take();
    ensure!(total["packets"].as_u64() > Some(1000) && total["packets_lost"] == 0, "{total}");
    ensure!(total["frame_age_ms"]["count"].as_u64() > Some(100), "{total}");
    ensure!(publisher.is_running()?, "the publisher went on");
    Ok(())
}

#[test]
fn several_qualities_by_rtmp_are_refused_with_what_to_do() -> Result<()> {
    let clip = project().join("demo/clip.flv");
    let load = Tool::floodtide().words("load publish --url rtmp://127.0.0.1:1/live/w --file").arg(&clip);
    let refused = load.words("--lower").arg(&clip).run(LIMIT)?;
    ensure!(!refused.status.success(), "{refused}");
    says(&refused.to_string(), &["only publishers by WHIP", "/whip"])
}
