//! Whether the clock can be trusted: tokens, signed URLs and playlists have dates.

use super::finding::Finding;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::process::Command;

/// 2026-01-01: nothing of this program is older.
const OLDEST: Duration = Duration::from_secs(1_767_225_600);
/// 2100-01-01: later is a mistake.
const NEWEST: Duration = Duration::from_secs(4_102_444_800);
/// The clock may be corrected by so much while we look.
const STEP_MAX: Duration = Duration::from_millis(250);
/// How long `timedatectl` may take.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// `began` is when the looking began, by both clocks.
pub(super) async fn check(began: (Instant, SystemTime)) -> Vec<Finding> {
    let synchronised = synchronised().await;
    vec![sane(began.0.elapsed(), began.1, SystemTime::now()), kept(synchronised)]
}

/// Whether the date can be right, and whether it goes on as time does.
fn sane(passed: Duration, before: SystemTime, now: SystemTime) -> Finding {
    let date = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let shown = humantime::format_rfc3339_seconds(now);
    let advice = "set it right: timedatectl set-ntp true, or date -s";
    if !(OLDEST..NEWEST).contains(&date) {
        return Finding::failure("clock", format!("{shown} can't be right")).advise(advice);
    }
    let step = match now.duration_since(before) {
        Ok(shown) => shown.abs_diff(passed),
        Err(back) => back.duration() + passed,
    };
    match step > STEP_MAX {
        true => Finding::warning("clock", format!("it jumped by {} ms while we looked", step.as_millis()))
            .advise(advice),
        false => Finding::ok("clock", shown.to_string()),
    }
}

fn kept(synchronised: Option<bool>) -> Finding {
    match synchronised {
        Some(true) => Finding::ok("clock's source", "kept by NTP"),
        Some(false) => {
            Finding::warning("clock's source", "not kept by NTP: tokens end too early or too late")
                .advise("timedatectl set-ntp true, or install chrony")
        }
        None => Finding::ok(
            "clock's source",
            "unknown: no systemd here that could say (in a container, ask its host)",
        ),
    }
}

/// Whether systemd says that the clock is kept; none where there is no systemd.
async fn synchronised() -> Option<bool> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Some(true);
    }
    let mut command = Command::new("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]).kill_on_drop(true);
    let output = tokio::time::timeout(ANSWER_MAX, command.output()).await.ok()?.ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_cannot_be_right_fails_and_one_that_jumps_warns() {
        let good = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let second = Duration::from_secs(1);
        let verdict = |before, now| sane(second, before, now).verdict;
        assert_eq!(verdict(good, good + second), Verdict::Ok);
        assert_eq!(verdict(good, good + 3 * second), Verdict::Warning);
        assert_eq!(verdict(good, good - second), Verdict::Warning);
        assert_eq!(verdict(UNIX_EPOCH, UNIX_EPOCH + second), Verdict::Failure);
    }

    #[test]
    fn a_clock_that_nobody_keeps_warns() {
        assert_eq!(kept(Some(false)).verdict, Verdict::Warning);
        assert_eq!(kept(Some(true)).verdict, Verdict::Ok);
        assert_eq!(kept(None).verdict, Verdict::Ok);
    }
}
