//! Version, cores, memory, descriptors.

use super::finding::Finding;
use rustix::process::{Resource, getrlimit};

/// Fewer open files turn viewers away at once.
const DESCRIPTORS_FEW: u64 = 1024;
/// A crowd needs more.
const DESCRIPTORS_GOOD: u64 = 65_536;
/// The server's own files and listeners.
const DESCRIPTORS_OWN: u64 = 100;
/// Less is used up by a handful of broadcasts at their budgets (publish.log, egress.queue, hls.memory).
const MEMORY_GOOD_BYTES: u64 = 512 << 20;

pub(super) fn check() -> Vec<Finding> {
    let system = rustix::system::uname();
    let kernel = format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy());
    let version = format!("floodtide {} on {kernel}, {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"].map(read);
    let mut findings = vec![Finding::ok("version", version), Finding::ok("cores", cores.to_string())];
    findings.extend(memory(&read("/proc/meminfo"), &limits));
    // The server raises its limit as far as it may.
    findings.push(descriptors(getrlimit(Resource::Nofile).maximum));
    findings
}

fn descriptors(limit: Option<u64>) -> Finding {
    let Some(limit) = limit else { return Finding::ok("open files", "no limit") };
    let viewers = limit.saturating_sub(DESCRIPTORS_OWN);
    let found = format!("at most {limit}: {viewers} publishers and viewers at a time");
    let advice = format!(
        "raise it to {DESCRIPTORS_GOOD} or more: LimitNOFILE= in the unit, or ulimit -Hn in the shell that starts it"
    );
    match limit {
        limit if limit < DESCRIPTORS_FEW => Finding::failure("open files", found).advise(advice),
        limit if limit < DESCRIPTORS_GOOD => Finding::warning("open files", found).advise(advice),
        _ => Finding::ok("open files", found),
    }
}

/// From `/proc/meminfo`, and the limits of the control group in either version.
fn memory(meminfo: &str, limits: &[String]) -> Option<Finding> {
    let line = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    };
    let (total, free) = (line("MemTotal")?, line("MemAvailable")?);
    let limit =
        limits.iter().filter_map(|text| text.trim().parse::<u64>().ok()).filter(|limit| *limit < total).min();
    let usable = limit.unwrap_or(total).min(free);
    let mib = |bytes: u64| bytes >> 20;
    let mut found = format!("{} of {} MiB free", mib(free), mib(total));
    if let Some(limit) = limit {
        found += &format!(", {} MiB for this control group", mib(limit));
    }
    Some(match usable < MEMORY_GOOD_BYTES {
        true => Finding::warning("memory", found)
            .advise("give it 512 MiB or more, or make publish.log, egress.queue and hls.memory smaller"),
        false => Finding::ok("memory", found),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn few_descriptors_fail_and_not_many_warn() {
        let verdict = |limit| descriptors(limit).verdict;
        assert_eq!(verdict(Some(256)), Verdict::Failure);
        assert_eq!(verdict(Some(20_000)), Verdict::Warning);
        assert_eq!(verdict(Some(1 << 20)), Verdict::Ok);
        assert_eq!(verdict(None), Verdict::Ok);
    }

    #[test]
    fn memory_is_what_the_machine_and_the_group_leave() {
        let meminfo = "MemTotal:        8388608 kB\nMemFree:          100 kB\nMemAvailable:    4194304 kB\n";
        let check = |limit: &str, verdict: Verdict, text: &str| {
            let told = memory(meminfo, &[limit.to_owned()]).expect("memory");
            assert_eq!(told.verdict, verdict, "{told:?}");
            assert!(told.found.contains(text), "{told:?}");
        };
        check("max\n", Verdict::Ok, "4096 of 8192 MiB free");
        check("268435456\n", Verdict::Warning, "256 MiB for this control group");
        check("9223372036854771712\n", Verdict::Ok, "4096 of 8192 MiB free");
        assert_eq!(memory("", &[]), None);
    }
}
