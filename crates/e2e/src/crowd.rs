//! Viewers who must not notice what others do.

use crate::server::Server;
use crate::tool::{Finished, Running, Tool};
use anyhow::{Result, ensure};
use std::time::Duration;

/// Healthy viewers of `live/x` by HTTP-FLV, WebSocket, RTMP and HLS, from a process of their own.
#[derive(Debug)]
pub struct Crowd {
    tool: Running,
    length: Duration,
}

/// From the last join to the measured window.
const WARMUP: Duration = Duration::from_secs(3);
/// Joining, and ending.
const SPARE: Duration = Duration::from_secs(40);

impl Crowd {
    /// Fifty of them, from 127.0.1.1, who watch for `length`.
    ///
    /// # Errors
    /// When the load generator can't be started.
    pub fn watch(server: &Server, length: Duration) -> Result<Crowd> {
        let tool = Tool::floodtide()
            .words("load view --quiet -n 50 --ramp 200 --sources 1 --json - --max-stall-rate 0%")
            .words("--min-playing 100% --max-disconnects 0 --warmup")
            .arg(format!("{}s", WARMUP.as_secs()))
            .arg("--duration")
            .arg(format!("{}s", length.as_secs()))
            .words("--mix")
            .arg("50% flv, 20% ws, 20% rtmp, 10% hls")
            .words("--rtmp-port")
            .arg(server.ports.rtmp.to_string())
            .arg("--url")
            .arg(server.http("/live/x.flv"))
            .start()?;
        Ok(Crowd { tool, length })
    }

    /// Waits for their end: all of them played on, without a stall.
    ///
    /// # Errors
    /// When one of them stalled, was cut, or never played.
    pub fn was_calm(self) -> Result<Finished> {
        let finished = self.tool.finish(self.length + WARMUP + SPARE)?;
        ensure!(finished.status.success(), "{finished}\n{}", finished.text());
        Ok(finished)
    }
}
