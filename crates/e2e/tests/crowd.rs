//! Slow viewers are their own problem.

use anyhow::{Context, Result, ensure};
use e2e::wait::{Look, until};
use e2e::{Certificate, Folder, Publisher, Server, Tool, clips};
use std::time::Duration;

const MIB: f64 = (1 << 20) as f64;
/// Of the log of a broadcast, and of what a feed keeps for its viewers; three seconds of the clip.
const BUDGET_MIB: f64 = 2.0;
/// FLV over HTTP, in messages of a WebSocket, and RTMP; FLV over TLS is the first of these.
const FEEDS: f64 = 3.0;
/// What a hundred viewers may cost beside the budgets, and what an allocator keeps.
const SPARE_MIB: f64 = 32.0;
const LIMIT: Duration = Duration::from_secs(60);

/// The most that was seen of each, in MiB.
#[derive(Clone, Copy, Debug, Default)]
struct Peaks {
    hub: f64,
    queue: f64,
    resident: f64,
}

impl Peaks {
    fn look(&mut self, server: &Server) -> Result<()> {
        let now = |name: &str| Ok::<_, anyhow::Error>(server.metric(name)? / MIB);
        self.hub = self.hub.max(now("floodtide_hub_bytes")?);
        self.queue = self.queue.max(now("floodtide_queue_bytes")?);
        self.resident = self.resident.max(now("process_resident_memory_bytes")?);
        Ok(())
    }
}

/// One in ten reads at a tenth of the rate, one in a hundred stops reading, by every protocol and beside a viewer over TLS.
#[test]
fn slow_viewers_are_skipped_or_closed_nobody_else_stalls_and_memory_stays_inside_the_budgets() -> Result<()> {
    let (clip, folder) = (clips::heavy()?, Folder::new()?);
    let certificate = Certificate::make(folder.path(), "one", "localhost")?;
    let server = Server::serve(&format!(
        "[publish]\nstream_key = 'k'\nlog = '{BUDGET_MIB}MiB'\n\
         [egress]\nstall_max = '4s'\nlag_max = '2s'\nqueue = '{BUDGET_MIB}MiB'\nworkers = 1\n[tls]\n{}",
        certificate.toml()
    ))?;
    let _publisher = Publisher::start(server.ports.rtmp, "x?key=k", &clip)?;
    server.wait_live("live/x")?;
    let mut before = Peaks::default();
    before.look(&server)?;
    let over_tls = Tool::new("curl").words("--silent --max-time 12 --output /dev/null --cacert");
    let over_tls = over_tls.arg(&certificate.chain).arg("-w").arg("%{exitcode} %{size_download}");
    let over_tls = over_tls.arg(server.https("/live/x.flv")).start()?;
    let crowd = Tool::floodtide()
        .words("load view --quiet -n 120 --ramp 200 --slow 10% --stopped 2% --duration 12s --json -")
        .words("--max-stall-rate 0% --min-playing 100% --max-disconnects 0 --mix")
        .arg("40% flv, 30% ws, 30% rtmp")
        .arg("--rtmp-port")
        .arg(server.ports.rtmp.to_string())
        .arg("--url")
        .arg(server.http("/live/x.flv"));
    let mut crowd = crowd.start()?;
    let mut peaks = Peaks::default();
    until(LIMIT, "the crowd has seen enough", || {
        peaks.look(&server)?;
        Ok(if crowd.is_running()? { Look::NotYet(format!("{peaks:?}")) } else { Look::Found(()) })
    })?;
    let result = crowd.finish(LIMIT)?;
    let report = result.json()?;
    ensure!(result.status.success(), "{result}\n{report:#}");
    let total = &report["total"];
    ensure!(total["slow_viewers"].as_u64() >= Some(13), "{total}");
    ensure!(total["stalls"] == 0 && total["silent"] == 0, "{total}");
    for profile in report["profiles"].as_array().context("no profiles")? {
        ensure!(profile["slow_viewers"].as_u64() >= Some(1), "none is slow by this: {profile}");
    }
    let skips = server.metric("floodtide_skipped_groups_total")?;
    ensure!(skips >= 10.0, "only {skips} skips: {total}");
    let closes = server.metric("floodtide_viewer_ends_total")?;
    let stalled = server.metric("floodtide_viewer_ends_total{reason=\"stalled\"}")?;
    ensure!(stalled >= 1.0, "{closes} closes, {stalled} because a viewer stopped reading: {total}");
    // 28: curl's own time was over. The clip has 4 Mbit/s, so twelve seconds of it are 6 MB.
    let over_tls = over_tls.finish(LIMIT)?.text();
    let bytes: f64 = over_tls.strip_prefix("28 ").with_context(|| over_tls.clone())?.parse()?;
    ensure!(bytes > 5e6, "the viewer over TLS got {bytes} bytes");
    println!("before {before:?}, at most {peaks:?}");
    ensure!(peaks.hub > 0.2 && peaks.hub <= BUDGET_MIB, "of {BUDGET_MIB} MiB: {peaks:?}");
    ensure!(
        peaks.queue > 0.2 && peaks.queue <= FEEDS * BUDGET_MIB,
        "of {FEEDS} times {BUDGET_MIB} MiB: {peaks:?}"
    );
    let resident_max = before.resident + (1.0 + FEEDS) * BUDGET_MIB + SPARE_MIB;
    ensure!(peaks.resident < resident_max, "{before:?}, then {peaks:?}");
    Ok(())
}
