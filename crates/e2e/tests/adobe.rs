//! Users who publish by name and password, as encoders ask for them (RTMP `authmod=adobe`).

use anyhow::{Context, Result, ensure};
use e2e::compare::publish;
use e2e::{Obs, Peer, Publisher, Server, Tool, clips};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const USERS: &str = "
[[publish.user]]
name = 'alice'
password = 'of-alice-1'
path = 'live/*'
[[publish.user]]
name = 'bob'
password = 'of-bob-22'
path = 'studio/bob'
";

/// Where a user publishes, as ffmpeg wants it.
fn url(server: &Server, user: &str, path: &str) -> String {
    server.rtmp(path).replace("rtmp://", &format!("rtmp://{user}@"))
}

fn ffmpeg_is_refused(server: &Server, url: &str, expect: &str) -> Result<()> {
    let refused = publish(&clips::h264_aac()?, "", url)?.finish(LIMIT)?;
    ensure!(!refused.status.success() && refused.log.contains(expect), "{url}: {refused}");
    ensure!(server.metric("floodtide_publishes_total")? == 0.0, "{url} published");
    Ok(())
}

fn ffmpeg_is_let_in(server: &Server, url: &str, path: &str) -> Result<()> {
    let mut publisher = publish(&clips::long()?, "", url)?;
    server.wait_live(path).with_context(|| publisher.text_so_far())?;
    ensure!(publisher.is_running()?, "{}", publisher.finish(LIMIT)?);
    publisher.kill()
}

#[test]
fn ffmpeg_publishes_by_user_and_password_where_the_user_may() -> Result<()> {
    let server = Server::serve(USERS)?;
    ffmpeg_is_let_in(&server, &url(&server, "alice:of-alice-1", "/live/x"), "live/x")?;
    ffmpeg_is_let_in(&server, &url(&server, "bob:of-bob-22", "/studio/bob"), "studio/bob")
}

#[test]
fn a_wrong_user_or_password_is_refused_in_words_that_ffmpeg_knows() -> Result<()> {
    let server = Server::serve(USERS)?;
    for user in ["alice:of-alice-2", "alice:of-bob-22", "carol:of-alice-1"] {
        ffmpeg_is_refused(&server, &url(&server, user, "/live/x"), "Incorrect username/password")?;
    }
    ffmpeg_is_refused(&server, &server.rtmp("/live/x"), "No credentials set")?;
    let elsewhere = url(&server, "bob:of-bob-22", "/studio/x");
    ffmpeg_is_refused(&server, &elsewhere, "the user may not publish here")?;
    let refusals = server.metric("floodtide_refusals_total{reason=\"user_wrong\"}")?;
    ensure!(refusals == 4.0, "{refusals} refusals are counted");
    ensure!(!server.log().contains("of-alice-1"), "a password is in the log");
    Ok(())
}

/// Who can't log in is told what is needed; who only plays isn't asked.
#[test]
fn players_are_not_asked_and_other_publishers_are_told_what_is_needed() -> Result<()> {
    let server = Server::serve(USERS)?;
    let publisher = publish(&clips::long()?, "", &url(&server, "alice:of-alice-1", "/live/x"))?;
    server.wait_live("live/x").with_context(|| publisher.text_so_far())?;
    let player = Tool::ffmpeg().words("-i").arg(server.rtmp("/live/x")).words("-t 1 -c copy -f null -");
    player.succeed(LIMIT)?;
    let asked = publish(&clips::h264_aac()?, "", &server.rtmp("/other/x"))?.finish(LIMIT)?;
    ensure!(asked.log.contains("user and password are needed"), "{asked}");
    Ok(())
}

#[test]
fn keys_hold_beside_users_who_are_then_asked_only_if_the_configuration_says_so() -> Result<()> {
    let keyed = format!("[publish]\nstream_key = 's3cret'\n{USERS}");
    let server = Server::serve(&keyed)?;
    let _by_key = Publisher::start(server.ports.rtmp, "k?key=s3cret", &clips::long()?)?;
    server.wait_live("live/k")?;
    let (_, answer) = Peer::publish(server.ports.rtmp, "x")?;
    ensure!(answer.refusal()?.contains("key"), "told something else");
    drop(server);
    let server = Server::serve(&keyed.replace("[publish]", "[publish]\ndemand_user = true"))?;
    ffmpeg_is_let_in(&server, &url(&server, "alice:of-alice-1", "/live/x"), "live/x")?;
    // In the app's query, a key is seen in time.
    let by_key = server.rtmp("/live?key=s3cret");
    let mut publisher = Tool::ffmpeg().words("-re -i").arg(clips::long()?.path).words("-c copy -f flv");
    publisher = publisher.words("-rtmp_app live?key=s3cret -rtmp_playpath y").arg(by_key);
    let publisher = publisher.start()?;
    server.wait_live("live/y").with_context(|| publisher.text_so_far())
}

/// As an encoder does whose server is `rtmp://HOST` and whose stream key is `live/x`.
#[test]
fn a_server_without_an_app_takes_it_from_the_name() -> Result<()> {
    let server = Server::serve(USERS)?;
    let clip = clips::long()?;
    let publisher = Tool::ffmpeg()
        .words("-re -i")
        .arg(&clip.path)
        .words("-c copy -f flv -rtmp_app / -rtmp_playpath live/x");
    let publisher = publisher.arg(url(&server, "alice:of-alice-1", "/")).start()?;
    server.wait_live("live/x").with_context(|| publisher.text_so_far())
}

#[test]
fn a_publisher_ends_when_its_password_changes() -> Result<()> {
    let server = Server::serve(USERS)?;
    let publisher = publish(&clips::long()?, "", &url(&server, "alice:of-alice-1", "/live/x"))?;
    server.wait_live("live/x").with_context(|| publisher.text_so_far())?;
    server.configure(&USERS.replace("of-alice-1", "of-alice-2"))?;
    server.wait_logged("revoked")
}

#[test]
fn gstreamer_publishes_by_user_and_password() -> Result<()> {
    let server = Server::serve(USERS)?;
    let video = "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=180,framerate=25/1 \
                 ! x264enc speed-preset=ultrafast tune=zerolatency key-int-max=50 bitrate=200 \
                 ! h264parse ! flvmux streamable=true ! rtmp2sink username=alice password=of-alice-1";
    let tool = Tool::new("gst-launch-1.0").words(video);
    let publisher = tool.arg(format!("location={}", server.rtmp("/live/x"))).start()?;
    server.wait_live("live/x").with_context(|| publisher.text_so_far())
}

#[test]
fn obs_publishes_by_user_and_password_and_not_by_a_wrong_one() -> Result<()> {
    let server = Server::serve(USERS)?;
    let clip = clips::long()?;
    let mut obs = Obs::start_as(&server, "x", Some(("alice", "of-alice-1")), &clip)?;
    obs.publish()?;
    server.wait_live("live/x")?;
    obs.stop()?;
    drop(obs);
    let mut obs = Obs::start_as(&server, "y", Some(("alice", "of-alice-2")), &clip)?;
    ensure!(obs.publish().is_err(), "{}", obs.log());
    Ok(())
}
