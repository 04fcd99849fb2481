//! Datagrams of nobody on the WebRTC port: nothing comes back, nothing is kept, and viewers go on.

use anyhow::{Context, Result, ensure};
use e2e::{Server, Storm, Tool, dropped, project};
use std::time::Duration;

const VIEWERS: u64 = 20;
const PER_SECOND: u32 = 200_000;
/// What has to be sent at least, of what is asked for: the storm, the server, its viewers and whatever else runs share the machine's cores.
const SENT_PERCENT_MIN: u64 = 50;
/// And of that, what the server has to have looked at: the system drops what comes while its buffers are full.
const TAKEN_PERCENT_MIN: u64 = 75;
const TIME: Duration = Duration::from_secs(10);
/// Allocators keep what they once had; what a datagram cost would be hundreds of megabytes by now.
const GROWTH_KIB_MAX: u64 = 16 << 10;

fn rss_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS")
}

#[test]
fn two_hundred_thousand_datagrams_a_second_of_nobody_cost_nobody_anything() -> Result<()> {
    let server = Server::serve("[publish]\nstream_key = 's3cret'\n")?;
    let load = Tool::floodtide().words("load run --quiet --warmup 4s --duration 12s --ramp 20 --json -");
    let load = load.words(&format!("-n {VIEWERS} --max-disconnects 0 --min-playing 100%"));
    let load = load.words("--file").arg(project().join("demo/clip.flv"));
    let load = load.words("--publish-url").arg(server.rtmp("/live/w?key=s3cret"));
    let load = load.words("--url").arg(server.http("/live/w/whep")).start()?;
    server.wait_live("live/w")?;
    // Viewers come 3 s after the publisher, and are all there after another.
    std::thread::sleep(Duration::from_secs(5));
    let before = rss_kib(server.pid())?;
    let port = ([127, 0, 0, 1], server.ports.webrtc).into();
    let blown = Storm::blow(port, PER_SECOND, TIME).over()?;
    let (after, dropped) = (rss_kib(server.pid())?, dropped(server.ports.webrtc)?);
    let seen = load.finish(Duration::from_secs(60))?;
    ensure!(seen.status.success(), "{seen}");
    let total = &seen.json()?["total"];
    let (came, lost) = (total["packets"].as_u64(), total["packets_lost"].as_u64());
    let (came, lost) = (came.context("no packets")?, lost.context("no packets_lost")?);
    let seconds = blown.time.as_secs_f64();
    println!(
        "{} datagrams, {:.0} a second, of which {dropped} found the server's buffers full; {} bytes, {} bytes back; \
         {before} KiB, then {after}; {lost} of {came} packets lost",
        blown.datagrams,
        blown.datagrams as f64 / seconds,
        blown.bytes,
        blown.answered,
    );
    let asked = (f64::from(PER_SECOND) * seconds) as u64;
    ensure!(blown.datagrams * 100 >= asked * SENT_PERCENT_MIN, "it hardly blew: {blown:?} of {asked}");
    let taken = blown.datagrams.saturating_sub(dropped);
    ensure!(taken * 100 >= blown.datagrams * TAKEN_PERCENT_MIN, "{dropped} of {blown:?} were not looked at");
    ensure!(blown.answered == 0, "{} bytes came back", blown.answered);
    ensure!(after < before + GROWTH_KIB_MAX, "from {before} to {after} KiB");
    ensure!(lost * 100 < came, "{lost} of {came} packets were lost");
    Ok(())
}
