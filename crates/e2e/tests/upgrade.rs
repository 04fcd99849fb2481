//! A new process takes over from a running one: nobody new is refused, and nobody is cut who can go on.

use anyhow::{Context, Result, bail, ensure};
use e2e::http::{Connection, Response, fetch};
use e2e::mp4::{decode_time, timescale};
use e2e::playlist::{Playlist, Segment};
use e2e::wait::{Look, until};
use e2e::{Answer, Peer, Ports, Publisher, Server, Tool, Viewer, clips, project};
use rtmp::{ClientEvent, MediaKind};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

/// Those who are left behind have eight seconds.
const CONFIG: &str = "[publish]\nstream_key = 'k'\n[shutdown]\nhandover = '8s'\n";

/// How everybody watches who is there, and who joins meanwhile.
const MIX: &str = "60% flv, 20% ws, 15% rtmp, 5% hls";

/// Joins `live/x` once, and gets media.
type Join = fn(Ports) -> Result<()>;

fn join_by_flv(ports: Ports) -> Result<()> {
    ensure!(Viewer::on(ports.http, "/live/x.flv")?.one()?, "it got nothing");
    Ok(())
}

fn join_by_rtmp(ports: Ports) -> Result<()> {
    let (mut peer, answer) = Peer::play(ports.rtmp, "x")?;
    ensure!(answer == Answer::Ready, "{answer:?}");
    loop {
        match peer.event()? {
            Some(ClientEvent::Media { kind: MediaKind::Video, .. }) => return Ok(()),
            Some(_) => {}
            None => bail!("it was closed before a picture came"),
        }
    }
}

/// A playlist. Whose connection the old process took, and whose request it reads once it has handed over, is sent to the new one.
fn load(ports: Ports, target: &str) -> Result<Response> {
    let answer = fetch(ports.http, target, &[])?;
    if answer.status != 307 {
        return Ok(answer);
    }
    ensure!(answer.header("location") == target.rsplit('/').next(), "{answer:?}");
    fetch(ports.http, target, &[])
}

/// By the first playlist and one of a rendition, each over a connection of its own, so that they may come from two processes.
fn join_by_hls(ports: Ports) -> Result<()> {
    let multivariant = load(ports, "/live/x/index.m3u8")?;
    ensure!(multivariant.status == 200, "{multivariant:?}");
    let video = load(ports, "/live/x/video/index.m3u8")?;
    ensure!(video.status == 200 && !Playlist::parse(&video.text()?)?.segments.is_empty(), "{video:?}");
    Ok(())
}

/// Joins one after the other, until told to stop.
fn join_again_and_again(join: Join, ports: Ports, stop: &AtomicBool) -> Result<u32> {
    let mut joins = 0;
    while !stop.load(Ordering::Relaxed) {
        join(ports).with_context(|| format!("join {joins}"))?;
        joins += 1;
    }
    Ok(joins)
}

#[test]
fn a_thousand_viewers_go_on_and_nobody_new_is_refused() -> Result<()> {
    let mut server = Server::serve(CONFIG)?;
    let clip = clips::long()?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clip)?;
    server.wait_live("live/x")?;
    let crowd = Tool::floodtide()
        .words("load view --quiet -n 1000 --ramp 1000 --warmup 1s --duration 6s --json -")
        .words("--max-stall-rate 0.7% --min-playing 100% --max-disconnects 0 --mix")
        .arg(MIX)
        .arg("--rtmp-port")
        .arg(server.ports.rtmp.to_string())
        .arg("--url")
        .arg(server.http("/live/x.flv"));
    let watching = std::thread::spawn(move || crowd.run(Duration::from_secs(60)));
    until(LIMIT, "the crowd is there", || {
        let viewers = server.metric("floodtide_viewers")?;
        // Those by HLS are counted a second later, by what they ask for.
        Ok(if viewers >= 950.0 { Look::Found(()) } else { Look::NotYet(viewers.to_string()) })
    })?;
    let stop = &AtomicBool::new(false);
    let ports = server.ports;
    let (joins, mut old) = std::thread::scope(|scope| -> Result<_> {
        let joining = [join_by_flv as Join, join_by_rtmp, join_by_hls]
            .map(|join| scope.spawn(move || join_again_and_again(join, ports, stop)));
        let old = server.succeed();
        // Some more, of the new process alone.
        let late =
            Viewer::on(ports.http, "/live/x.flv").and_then(|mut viewer| viewer.watch(Duration::from_secs(2)));
        stop.store(true, Ordering::Relaxed);
        let mut joins = Vec::new();
        for joiner in joining {
            joins.push(joiner.join().map_err(|_| anyhow::anyhow!("a joiner panicked"))??);
        }
        late?;
        Ok((joins, old?))
    })?;
    ensure!(joins.iter().all(|joins| *joins > 20), "only {joins:?} joins by FLV, RTMP and HLS");
    ensure!(old.runs()?, "the old process is gone before its viewers");
    let result = watching.join().map_err(|_| anyhow::anyhow!("the crowd panicked"))??;
    ensure!(result.status.success(), "{result}");
    // The publisher is with the old process until its deadline.
    publisher.ended(Duration::from_secs(15))?;
    let _back = Publisher::start(server.ports.rtmp, "x?key=k", &clip)?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    until(LIMIT, "the old process ends", || {
        Ok(if old.runs()? { Look::NotYet("it runs".to_owned()) } else { Look::Found(()) })
    })?;
    viewer.watch(Duration::from_secs(1))
}

#[test]
fn viewers_by_webrtc_go_on_with_the_old_process_and_new_ones_join_the_new_one() -> Result<()> {
    // Longer than both crowds stay, also on a busy machine.
    let mut server = Server::serve(&CONFIG.replace("'8s'", "'12s'"))?;
    let publisher =
        Tool::ffmpeg().words("-v error -re -stream_loop -1 -i").arg(project().join("demo/clip.flv"));
    let _publisher = publisher.words("-c copy -f flv").arg(server.rtmp("/live/x?key=k")).start()?;
    server.wait_live("live/x")?;
    let crowd = |count: u32, seconds: u32| {
        Tool::floodtide()
            .words("load view --quiet --ramp 100 --warmup 1s --json - --duration")
            .arg(format!("{seconds}s"))
            .words("--max-stall-rate 0% --min-playing 100% --max-disconnects 0 -n")
            .arg(count.to_string())
            .arg("--url")
            .arg(server.http("/live/x/whep"))
    };
    let (early, late) = (crowd(50, 6), crowd(10, 3));
    let watching = std::thread::spawn(move || early.run(Duration::from_secs(60)));
    // Until media flows, nobody has sent anything by which the old process would know its address.
    until(LIMIT, "the viewers have media", || {
        let sessions = fetch(server.ports.admin, "/v1/sessions?role=viewer&limit=100", &[])?.json()?;
        let of = |s: &&serde_json::Value| s["protocol"] == "whep" && s["bytes"].as_u64() > Some(0);
        let with_media = sessions.as_array().into_iter().flatten().filter(of).count();
        Ok(if with_media >= 50 { Look::Found(()) } else { Look::NotYet(with_media.to_string()) })
    })?;
    let mut old = server.succeed()?;
    let joined = late.run(Duration::from_secs(60))?;
    ensure!(joined.status.success(), "{joined}");
    let stayed = watching.join().map_err(|_| anyhow::anyhow!("the crowd panicked"))??;
    ensure!(stayed.status.success() && stayed.json()?["total"]["packets_lost"] == 0, "{stayed}");
    until(LIMIT, "the old process ends", || {
        Ok(if old.runs()? { Look::NotYet("it runs".to_owned()) } else { Look::Found(()) })
    })
}

/// When a segment begins on the broadcast's timeline, in seconds.
fn begins(fetch: &mut dyn FnMut(&str) -> Result<Response>, segment: &Segment) -> Result<f64> {
    let init = fetch(&format!("/live/x/video/{}", segment.init.as_deref().context("no init segment")?))?;
    let media = fetch(&format!("/live/x/video/{}", segment.uri))?;
    ensure!(init.status == 200 && media.status == 200, "{segment:?}: {init:?} {media:?}");
    Ok(decode_time(&media.body)? as f64 / timescale(&init.body)? as f64)
}

/// The new process packages by itself: what it lists has other numbers, and the times that it had.
#[test]
fn players_by_hls_come_over_with_their_next_playlist_to_numbers_that_grow_and_times_that_go_on() -> Result<()>
{
    const VIDEO: &str = "/live/x/video/index.m3u8";
    let mut server = Server::serve(CONFIG)?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clips::long()?)?;
    server.wait_live("live/x")?;
    let mut player = Connection::open(server.ports.http)?;
    let before = until(LIMIT, "three segments", || {
        let list = Playlist::parse(&player.request("GET", VIDEO, &[])?.text()?)?;
        Ok(if list.segments.len() >= 3 { Look::Found(list) } else { Look::NotYet(format!("{list:?}")) })
    })?;
    let mut idle = Connection::open(server.ports.http)?;
    ensure!(idle.request("GET", VIDEO, &[])?.status == 200);
    let asked = Instant::now();
    let _old = server.succeed()?;
    // What the last playlist lists is still there for it.
    let last = before.segments.last().context("no segment")?;
    let last_begins = begins(&mut |target| player.request("GET", target, &[]), last)?;
    let next = format!("{VIDEO}?_HLS_msn={}&token=t", before.next_msn());
    let told = player.request("GET", &next, &[])?;
    let over = (told.status, told.header("location"), told.header("connection"));
    ensure!(over == (307, Some("index.m3u8?token=t"), Some("close")), "{told:?}");
    // The new one has segments already, so that nobody waits for them.
    let wanted = Instant::now();
    let after = Playlist::parse(&fetch(server.ports.http, VIDEO, &[])?.text()?)?;
    ensure!(wanted.elapsed() < Duration::from_millis(500), "it took {:?}", wanted.elapsed());
    ensure!(after.first_msn > before.next_msn(), "from {} to {}", before.next_msn(), after.first_msn);
    let port = server.ports.http;
    let first = after.segments.first().context("no segment")?;
    let first_begins = begins(&mut |target| fetch(port, target, &[]), first)?;
    let expected = last_begins..last_begins + asked.elapsed().as_secs_f64() + 4.0;
    ensure!(expected.contains(&first_begins), "from {last_begins} s to {first_begins} s: {after:?}");
    // Browsers use whichever connection is open: files of either process are found over connections to both.
    let of_old = fetch(port, &format!("/live/x/video/{}", last.uri), &[])?;
    ensure!(of_old.status == 200 && !of_old.body.is_empty(), "{}: {}", last.uri, of_old.status);
    let of_new = idle.request("GET", &format!("/live/x/video/{}", first.uri), &[])?;
    ensure!((of_new.status, of_new.header("location")) == (307, Some(&*first.uri)), "{of_new:?}");
    Ok(())
}

#[test]
fn a_publisher_that_can_is_asked_to_come_over_and_takes_its_broadcast_back() -> Result<()> {
    let mut server = Server::serve(CONFIG)?;
    let clip = clips::long()?;
    let (mut peer, _) = Peer::publish(server.ports.rtmp, "y?key=k")?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clip)?;
    server.wait_live("live/x")?;
    let _old = server.succeed()?;
    let began = Instant::now();
    while peer.event()? != Some(ClientEvent::Reconnect) {
        ensure!(began.elapsed() < LIMIT, "nobody asked it to come over");
    }
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    // It comes over while the old process still has its first connection, and what is only fetched makes way.
    let _over = Publisher::start(server.ports.rtmp, "x?key=k", &clip)?;
    viewer.watch(Duration::from_secs(2))
}

#[test]
fn without_a_running_server_there_is_nothing_to_take_over() -> Result<()> {
    let folder = e2e::Folder::new()?;
    let tool = Tool::floodtide().words(
        "serve --take-over --rtmp 127.0.0.1:0 --http 127.0.0.1:0 --admin 127.0.0.1:0 --webrtc 127.0.0.1:0 --srt 127.0.0.1:0",
    );
    let done = tool.env("FLOODTIDE_STATE__FOLDER", folder.file("state")).run(LIMIT)?;
    ensure!(
        !done.status.success() && done.to_string().contains("no running server to take over from"),
        "{done}"
    );
    Ok(())
}

#[test]
fn a_new_process_that_fails_leaves_the_old_one_as_it_was() -> Result<()> {
    let server = Server::serve(CONFIG)?;
    let publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clips::long()?)?;
    server.wait_live("live/x")?;
    let port = server.ports.rtmp;
    // Asks for everything, and goes away without being ready.
    let mut socket = std::os::unix::net::UnixStream::connect(server.state().join("handover.sock"))?;
    std::io::Write::write_all(&mut socket, b"floodtide take-over 1\n")?;
    std::io::Read::read(&mut socket, &mut [0; 64])?;
    drop(socket);
    until(LIMIT, "the log says so", || {
        let log = server.log();
        Ok(if log.contains("didn't take over; this one goes on") {
            Look::Found(())
        } else {
            Look::NotYet(log)
        })
    })?;
    Viewer::open(&server, "/live/x.flv")?.watch(Duration::from_secs(1))?;
    ensure!(TcpStream::connect(("127.0.0.1", port)).is_ok() && publisher.failure().is_none());
    Ok(())
}
