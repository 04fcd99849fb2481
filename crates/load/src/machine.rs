//! What a process costs, from `/proc`: CPU and memory of the server under load and of its children.

use std::fs;

/// CPU and memory of a process and its living descendants at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cost {
    /// User and system time so far, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Of it, user time.
    pub(crate) user_seconds: f64,
    /// Resident memory in KiB.
    pub(crate) rss_kib: u64,
    /// Threads.
    pub(crate) threads: u64,
}

/// Samples process `pid` with its descendants. `None` when it is gone.
pub(crate) fn sample(pid: u32) -> Option<Cost> {
    let mut all = Vec::new();
    family(pid, &mut all);
    let mut sum = Cost::default();
    let mut found = false;
    for member in all {
        if let Some(cost) = sample_one(member) {
            found |= member == pid;
            sum.cpu_seconds += cost.cpu_seconds;
            sum.user_seconds += cost.user_seconds;
            sum.rss_kib += cost.rss_kib;
            sum.threads += cost.threads;
        }
    }
    found.then_some(sum)
}

fn sample_one(pid: u32) -> Option<Cost> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    parse(&stat, &status, rustix::param::clock_ticks_per_second() as f64)
}

/// proc(5): the command's name ends at the last `)`; utime, stime and num_threads are fields 14, 15 and 20.
fn parse(stat: &str, status: &str, ticks_per_second: f64) -> Option<Cost> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let (user, system) = (field(14)? as f64, field(15)? as f64);
    let rss_kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    Some(Cost {
        cpu_seconds: (user + system) / ticks_per_second,
        user_seconds: user / ticks_per_second,
        rss_kib,
        threads: field(20)?,
    })
}

fn family(pid: u32, out: &mut Vec<u32>) {
    if out.len() >= FAMILY_MAX || out.contains(&pid) {
        return;
    }
    out.push(pid);
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for task in tasks.flatten() {
        let Ok(children) = fs::read_to_string(task.path().join("children")) else { continue };
        for child in children.split_whitespace().filter_map(|text| text.parse().ok()) {
            family(child, out);
        }
    }
}

/// A server with more processes than this is not sampled whole.
const FAMILY_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_spaces_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 3 0 100 1 2";
        let cost = parse(stat, "Name:\tx\nVmRSS:\t  2048 kB\n", 100.0).unwrap();
        assert_eq!(cost, Cost { cpu_seconds: 3.0, user_seconds: 2.5, rss_kib: 2048, threads: 3 });
    }

    #[test]
    fn this_process_can_be_sampled_and_a_free_pid_cannot() {
        assert!(sample(std::process::id()).unwrap().rss_kib > 0);
        assert_eq!(sample(u32::MAX), None);
    }
}
