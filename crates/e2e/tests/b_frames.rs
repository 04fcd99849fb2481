//! Pictures that are shown in another order than they are coded, and HEVC, for viewers by WebRTC: coded anew by ffmpeg, or refused
//! with what to do. Browsers are in `e2e/browser/tests/webrtc.test.js`.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Running, Server, Tool, clips, http};
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);
const TRANSCODE: &str =
    "[publish]\nstream_key = 's3cret'\n[webrtc]\nb_frames = 'transcode'\n[transcode]\nidle = '500ms'\n";

/// As encoders do it by default: B-frames, and others that build on them.
fn publish(server: &Server) -> Result<Running> {
    let tool = Tool::ffmpeg().words("-re -f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=r=48000");
    let tool = tool.words("-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 -bf 2 -b_strategy 0");
    let tool = tool.words("-x264-params b-pyramid=normal:ref=3 -b:v 300k -c:a aac -f flv");
    let publisher = tool.arg(server.rtmp("/live/b?key=s3cret")).start()?;
    server.wait_live("live/b")?;
    Ok(publisher)
}

/// Two viewers by WebRTC for a while, who have to get pictures from beginning to end.
fn watch(server: &Server, seconds: u32) -> Tool {
    let load = Tool::floodtide().words("load view --quiet -n 2 --ramp 50 --warmup 1s --json -");
    let load = load.words("--min-playing 100% --max-disconnects 0 --stall-after 3s --duration");
    load.arg(format!("{seconds}s")).words("--url").arg(server.http("/live/b/whep"))
}

/// What a viewer by WebRTC is told.
fn refused(server: &Server) -> Result<String> {
    let curl = Tool::new("curl")
        .words("--silent --max-time 10 -X POST -H Content-Type:application/sdp --data v=0 -w");
    Ok(curl.arg("%{http_code}").arg(server.http("/live/b/whep")).succeed(LIMIT)?.text())
}

/// What the API says of the broadcast.
fn view(server: &Server) -> Result<Value> {
    http::fetch(server.ports.admin, "/v1/broadcasts/live%2Fb", &[])?.json()
}

/// Processes that the server began and that still run.
fn children(server: &Server) -> Result<Vec<u32>> {
    children_of(server.pid())
}

fn children_of(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may end while we look.
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let words: Vec<&str> =
            status.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        if words.get(1) == Some(&parent.to_string().as_str()) && words[0] != "Z" {
            found.push(pid);
        }
    }
    Ok(found)
}

fn program(server: &Server) -> Result<u32> {
    until(LIMIT, "a program runs", || {
        Ok(children(server)?.pop().map_or(Look::NotYet(server.log()), Look::Found))
    })
}

fn nothing_runs(server: &Server) -> Result<()> {
    until(LIMIT, "all is over", || {
        let (jobs, children) = (server.metric("floodtide_transcodes")?, children(server)?);
        Ok(if jobs == 0.0 && children.is_empty() {
            Look::Found(())
        } else {
            Look::NotYet(format!("{jobs} jobs, processes {children:?}"))
        })
    })
}

fn seen(watching: Running) -> Result<Value> {
    let finished = watching.finish(LIMIT)?;
    ensure!(finished.status.success(), "{finished}");
    let report: Value = serde_json::from_slice(&finished.out)?;
    Ok(report["total"].clone())
}

#[test]
fn b_frames_are_coded_anew_for_as_long_as_somebody_watches() -> Result<()> {
    let server = Server::serve(TRANSCODE)?;
    let _publisher = publish(&server)?;
    let said = || -> Result<Value> { Ok(view(&server)?["webrtc"].clone()) };
    until(LIMIT, "the API says what happens", || {
        let said = said()?;
        let wanted = json!({ "b_frames": "transcoded", "policy": "transcode", "why": null });
        Ok(if said == wanted { Look::Found(()) } else { Look::NotYet(said.to_string()) })
    })?;
    ensure!(children(&server)?.is_empty(), "nobody watches yet");
    let watching = watch(&server, 4).start()?;
    program(&server)?;
    until(LIMIT, "both are told", || {
        let told = view(&server)?["transcoded"].clone();
        Ok(if told == json!(["opus", "h264"]) { Look::Found(()) } else { Look::NotYet(told.to_string()) })
    })?;
    let total = seen(watching)?;
    ensure!(total["packets"].as_u64() > Some(400) && total["packets_lost"] == 0, "{total}");
    ensure!(server.metric("floodtide_transcode_restarts_total")? == 0.0, "{}", server.log());
    nothing_runs(&server)
}

#[test]
fn a_program_that_is_killed_is_started_again_and_viewers_stay() -> Result<()> {
    let server = Server::serve(TRANSCODE)?;
    let _publisher = publish(&server)?;
    let watching = watch(&server, 6).start()?;
    let first = program(&server)?;
    until(LIMIT, "pictures and sound come", || {
        let frames = server.metric("floodtide_transcoded_frames_total")?;
        Ok(if frames > 60.0 { Look::Found(()) } else { Look::NotYet(frames.to_string()) })
    })?;
    Tool::new("kill").words("-9").arg(first.to_string()).succeed(LIMIT)?;
    until(LIMIT, "another one", || {
        let now = children(&server)?;
        let other = now.iter().any(|pid| *pid != first);
        Ok(if other { Look::Found(()) } else { Look::NotYet(server.log()) })
    })?;
    let total = seen(watching)?;
    ensure!(total["packets_lost"] == 0, "{total}");
    ensure!(server.metric("floodtide_transcode_restarts_total")? == 1.0, "{}", server.log());
    ensure!(server.log().contains("it is started again"), "{}", server.log());
    nothing_runs(&server)
}

#[test]
fn a_server_that_is_killed_leaves_no_program_behind() -> Result<()> {
    let mut server = Server::serve(TRANSCODE)?;
    let _publisher = publish(&server)?;
    let _watching = watch(&server, 10).start()?;
    let pid = program(&server)?;
    Tool::new("kill").words("-9").arg(server.pid().to_string()).succeed(LIMIT)?;
    server.exit(LIMIT)?;
    until(LIMIT, "the program is gone", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let gone = status.is_empty() || status.contains(") Z");
        Ok(if gone { Look::Found(()) } else { Look::NotYet(status) })
    })
}

#[test]
fn hevc_is_coded_anew_too() -> Result<()> {
    let server = Server::serve(TRANSCODE)?;
    let clip = clips::hevc_aac()?;
    let publisher = Tool::ffmpeg9().words("-re -i").arg(&clip.path).words("-c copy -f flv");
    let _publisher = publisher.arg(server.rtmp("/live/b?key=s3cret")).start()?;
    server.wait_live("live/b")?;
    let total = seen(watch(&server, 3).start()?)?;
    ensure!(total["packets"].as_u64() > Some(300), "{total}");
    Ok(())
}

#[test]
fn without_ffmpeg_and_by_policy_a_viewer_is_told_why_and_what_plays() -> Result<()> {
    let with = |policy: &str, more: &str| {
        let key = "[publish]\nstream_key = 's3cret'\n[transcode]\nffmpeg = '/no/such/ffmpeg'\n";
        format!("{key}[webrtc]\nb_frames = '{policy}'\n{more}")
    };
    let server = Server::serve(&with("transcode", ""))?;
    let _publisher = publish(&server)?;
    let told = refused(&server)?;
    ensure!(told.contains("/no/such/ffmpeg") && told.contains("LL-HLS") && told.ends_with("406"), "{told}");
    let said = view(&server)?["webrtc"].clone();
    ensure!(said["b_frames"] == "refused", "{said}");
    ensure!(said["why"].as_str().context("no reason")?.contains("/no/such/ffmpeg"), "{said}");
    let turns = |toml: &str, text: &str, policy: &str| -> Result<()> {
        server.configure(toml)?;
        until(LIMIT, "the new policy", || {
            let (told, said) = (refused(&server)?, view(&server)?["webrtc"].clone());
            let holds = told.contains(text) && told.contains("LL-HLS") && told.ends_with("406");
            let holds = holds && said["policy"] == policy && said["b_frames"] == "refused";
            Ok(if holds { Look::Found(()) } else { Look::NotYet(format!("{told}; {said}")) })
        })
    };
    turns(&with("drop", ""), "B-frames that others build on", "drop")?;
    turns(&with("drop", "[app.live]\nb_frames = 'refuse'\n"), "B-frames", "refuse")
}
