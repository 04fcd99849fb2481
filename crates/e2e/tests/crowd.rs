//! Slow viewers are their own problem.

use anyhow::{Result, ensure};
use e2e::{Publisher, Server, Tool, clips};
use std::time::Duration;

/// One in ten reads at a tenth of the rate, one in a hundred stops reading.
#[test]
fn slow_viewers_are_skipped_or_closed_and_nobody_else_stalls() -> Result<()> {
    let clip = clips::heavy()?;
    let server = Server::demo(&[("FLOODTIDE_EGRESS__STALL_MAX", "4s"), ("FLOODTIDE_EGRESS__LAG_MAX", "2s")])?;
    let _publisher = Publisher::start(server.ports.rtmp, "x", &clip)?;
    server.wait_live("live/x")?;
    let crowd =
        Tool::floodtide().words("load view --quiet -n 100 --ramp 200 --slow 10% --stopped 1% --duration 12s");
    let crowd = crowd.words("--max-stall-rate 0% --min-playing 100% --max-disconnects 0 --json - --url");
    let result = crowd.arg(server.http("/live/x.flv")).run(Duration::from_secs(60))?;
    let report = result.json()?;
    ensure!(result.status.success(), "{result}");
    let total = &report["total"];
    ensure!(total["slow_viewers"].as_u64() >= Some(11), "{total}");
    ensure!(total["stalls"] == 0 && total["silent"] == 0, "{total}");
    let skips = server.metric("floodtide_skipped_groups_total")?;
    ensure!(skips >= 10.0, "only {skips} skips: {total}");
    let closes = server.metric("floodtide_viewer_ends_total")?;
    let stalled = server.metric("floodtide_viewer_ends_total{reason=\"stalled\"}")?;
    ensure!(stalled >= 1.0, "{closes} closes, {stalled} because a viewer stopped reading: {total}");
    Ok(())
}
