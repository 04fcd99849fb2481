//! Opus comes in; players that know only AAC hear AAC, in time with the pictures.

use anyhow::{Context, Result, ensure};
use e2e::clips;
use e2e::compare::{probe, track};
use e2e::sync::all_together;
use e2e::wait::{Look, until};
use e2e::{Folder, Publisher, Running, Server, Tool, Viewer, http};
use rtmp::MediaKind;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// ffmpeg 9 sends the clip of clicks and flashes by enhanced RTMP.
fn publish(server: &Server) -> Result<Running> {
    let clip = clips::click_and_flash()?;
    let tool = Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv");
    let publisher = tool.arg(server.rtmp("/live/x")).start()?;
    server.wait_live("live/x")?;
    Ok(publisher)
}

#[test]
fn h264_with_opus_is_heard_as_aac_in_time_with_its_pictures_over_every_format() -> Result<()> {
    let server = Server::demo(&[])?;
    let _publisher = publish(&server)?;
    let targets = ["/live/x.flv", "/live/x/index.m3u8", "/live/x/ts/index.m3u8"];
    let urls: Vec<_> =
        targets.map(|target| server.http(target)).into_iter().chain([server.rtmp("/live/x")]).collect();
    for url in &urls {
        let tracks = probe(url)?;
        let sound = track(&tracks, "audio")?;
        ensure!(sound["codec_name"] == "aac" && sound["sample_rate"] == "48000", "{url}: {sound}");
        ensure!(track(&tracks, "video")?["codec_name"] == "h264", "{url}: {tracks}");
    }
    all_together(&urls)
}

/// As it came, or made of AAC, from a folder of its own.
#[test]
fn hls_offers_opus_beside_aac_whatever_the_publisher_sends() -> Result<()> {
    let server = Server::demo(&[])?;
    let _with_opus = publish(&server)?;
    let clip = clips::click_and_flash()?;
    let tool = Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c:v copy -c:a aac -f flv");
    let _with_aac = tool.arg(server.rtmp("/live/y")).start()?;
    server.wait_live("live/y")?;
    for name in ["x", "y"] {
        let codec = |folder: &str| -> Result<String> {
            let tracks = probe(&server.http(&format!("/live/{name}/{folder}index.m3u8")))?;
            ensure!(track(&tracks, "video")?["codec_name"] == "h264", "{name}: {tracks}");
            Ok(track(&tracks, "audio")?["codec_name"].as_str().unwrap_or_default().to_owned())
        };
        ensure!(codec("opus/")? == "opus" && codec("")? == "aac", "{name}");
    }
    all_together(&["x", "y"].map(|name| server.http(&format!("/live/{name}/opus/index.m3u8"))))?;
    let list = http::fetch(server.ports.admin, "/v1/broadcasts", &[])?.json()?;
    let converted = |at: usize| list[at]["transcoded"].clone();
    ensure!([converted(0), converted(1)].contains(&serde_json::json!(["opus"])), "{list}");
    Ok(())
}

#[test]
fn two_viewers_share_one_job_which_ends_after_the_last_left() -> Result<()> {
    let server = Server::demo(&[("FLOODTIDE_TRANSCODE__IDLE", "500ms")])?;
    let _publisher = publish(&server)?;
    let jobs = |count: f64| {
        until(LIMIT, &format!("{count} jobs"), || {
            let running = server.metric("floodtide_transcodes")?;
            Ok(if running == count { Look::Found(()) } else { Look::NotYet(format!("{running} jobs")) })
        })
    };
    ensure!(server.metric("floodtide_transcodes")? == 0.0, "nobody listens yet");
    let mut first = Viewer::open(&server, "/live/x.flv")?;
    let mut second = Viewer::open(&server, "/live/x.flv")?;
    first.watch(Duration::from_secs(1))?;
    second.watch(Duration::from_secs(1))?;
    ensure!(server.metric("floodtide_transcodes")? == 1.0, "they share one");
    let list = http::fetch(server.ports.admin, "/v1/broadcasts", &[])?.json()?;
    ensure!(list.as_array().is_some_and(|all| all.len() == 1), "the derived one is not listed: {list}");
    ensure!(list[0]["transcoded"] == serde_json::json!(["aac"]), "{list}");
    ensure!(list[0]["audio"]["codec"] == "opus" && list[0]["viewers"] == 2, "{list}");
    let sessions = http::fetch(server.ports.admin, "/v1/sessions?role=viewer", &[])?.json()?;
    let all = sessions.as_array().context("no list")?;
    ensure!(all.len() == 2 && all.iter().all(|s| s["transcoded"] == "aac"), "{sessions}");
    drop(first);
    second.watch(Duration::from_secs(2))?;
    jobs(1.0)?;
    drop(second);
    jobs(0.0)?;
    ensure!(server.metric("floodtide_transcoded_frames_total")? > 100.0, "frames are counted");
    // And once more.
    Viewer::open(&server, "/live/x.flv")?.watch(Duration::from_secs(2))
}

#[test]
fn broken_sound_does_not_end_what_viewers_hear() -> Result<()> {
    let server = Server::demo(&[])?;
    let folder = Folder::new()?;
    let mut tags = clips::click_and_flash()?.to_flv(folder.file("x.flv"))?.tags()?;
    let mut sounds = 0;
    for tag in tags.iter_mut().filter(|tag| tag.kind == MediaKind::Audio && tag.body.len() > 8) {
        sounds += 1;
        // Enhanced RTMP: a byte of kind, `Opus`, then the frame.
        if sounds > 100 && sounds % 20 == 0 {
            tag.body[5..].fill(0xff);
        }
    }
    let publisher = Publisher::send(server.ports.rtmp, "x", tags, 0)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(8))?;
    let [sound, pictures] = viewer.last_ms.map(Option::unwrap_or_default);
    ensure!(sound.abs_diff(pictures) < 500, "sound is at {sound} ms, pictures at {pictures}");
    ensure!(server.metric("floodtide_transcode_errors_total")? >= 2.0, "broken frames are counted");
    ensure!(publisher.failure().is_none(), "{:?}", publisher.failure());
    Ok(())
}
