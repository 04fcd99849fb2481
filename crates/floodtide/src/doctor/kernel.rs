//! What the kernel lets a server of many connections have.

use super::finding::Finding;

/// A setting, and from which value on a crowd is served well.
struct Setting {
    /// As `sysctl` calls it.
    name: &'static str,
    /// Which of its values.
    column: usize,
    least: u64,
    /// What is short otherwise.
    why: &'static str,
}

/// The server asks for a backlog of 4096.
const SETTINGS: [Setting; 5] = [
    Setting {
        name: "net.core.somaxconn",
        column: 0,
        least: 4096,
        why: "connections that come at once are dropped",
    },
    Setting {
        name: "net.ipv4.tcp_max_syn_backlog",
        column: 0,
        least: 512,
        why: "connections that come at once are dropped",
    },
    Setting {
        name: "net.ipv4.tcp_wmem",
        column: 2,
        least: 1 << 20,
        why: "viewers far away don't get the full bitrate",
    },
    Setting {
        name: "net.core.wmem_max",
        column: 0,
        least: 212_992,
        why: "viewers far away don't get the full bitrate",
    },
    // Only there if the firewall tracks connections.
    Setting {
        name: "net.netfilter.nf_conntrack_max",
        column: 0,
        least: 65_536,
        why: "the firewall drops connections beyond it",
    },
];

/// Memory for all TCP buffers together.
const TCP_MEMORY_BYTES: u64 = 256 << 20;
/// Outgoing connections: restreams, pulls, webhooks.
const CLIENT_PORTS: u16 = 10_000;

pub(super) fn check() -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        SETTINGS.iter().filter_map(|setting| setting.judge(&read(setting.name)?)).collect();
    let page = rustix::param::page_size() as u64;
    findings.extend(read("net.ipv4.tcp_mem").and_then(|text| tcp_memory(&text, page)));
    findings.extend(client_ports().map(port_range));
    findings
}

/// The ports that the system gives to clients.
pub(super) fn client_ports() -> Option<(u16, u16)> {
    let text = read("net.ipv4.ip_local_port_range")?;
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some((first.parse().ok()?, last.trim().parse().ok()?))
}

/// A setting of this network namespace; none where it isn't shown.
fn read(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()
}

impl Setting {
    fn judge(&self, text: &str) -> Option<Finding> {
        let Setting { name, column, least, why } = *self;
        let values: Vec<&str> = text.split_whitespace().collect();
        let value: u64 = values.get(column)?.parse().ok()?;
        if value >= least {
            return Some(Finding::ok(name, value.to_string()));
        }
        let wanted: Vec<String> = (0..values.len())
            .map(|at| if at == column { least.to_string() } else { values[at].to_owned() })
            .collect();
        let wanted = wanted.join(" ");
        let found = format!("{value} is less than {least}: {why}");
        let advice = format!("sysctl -w {name}='{wanted}', and the same in /etc/sysctl.d/60-floodtide.conf");
        Some(Finding::warning(name, found).advise(advice))
    }
}

/// `tcp_mem` is in pages (tcp(7)).
fn tcp_memory(text: &str, page_bytes: u64) -> Option<Finding> {
    let pages: u64 = text.split_whitespace().nth(2)?.parse().ok()?;
    let bytes = pages.saturating_mul(page_bytes);
    let found = format!("{} MiB for all TCP buffers", bytes >> 20);
    Some(match bytes < TCP_MEMORY_BYTES {
        true => Finding::warning("net.ipv4.tcp_mem", format!("{found}; beyond it viewers stall"))
            .advise("give the machine more memory, or raise net.ipv4.tcp_mem (it is in pages)"),
        false => Finding::ok("net.ipv4.tcp_mem", found),
    })
}

fn port_range((first, last): (u16, u16)) -> Finding {
    let name = "net.ipv4.ip_local_port_range";
    let found = format!("{first} to {last}");
    match last.saturating_sub(first) < CLIENT_PORTS {
        true => Finding::warning(name, format!("{found}: few outgoing connections (webhooks, restreams)"))
            .advise("sysctl -w net.ipv4.ip_local_port_range='32768 60999'"),
        false => Finding::ok(name, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_low_setting_is_told_with_the_command_that_raises_it() {
        let told = SETTINGS[0].judge("128\n").expect("a value");
        assert_eq!(told.verdict, Verdict::Warning);
        assert!(told.advice.is_some_and(|advice| advice.contains("sysctl -w net.core.somaxconn='4096'")));
        let told = SETTINGS[2].judge("4096\t16384\t65536\n").expect("a value");
        assert!(told.advice.is_some_and(|advice| advice.contains("tcp_wmem='4096 16384 1048576'")));
        assert_eq!(SETTINGS[0].judge("4096").map(|told| told.verdict), Some(Verdict::Ok));
        assert_eq!(SETTINGS[0].judge("what?"), None);
    }

    #[test]
    fn tcp_memory_is_counted_in_pages() {
        let verdict = |text| tcp_memory(text, 4096).map(|told| told.verdict);
        assert_eq!(verdict("1 2 65536"), Some(Verdict::Ok));
        assert_eq!(verdict("1 2 65535"), Some(Verdict::Warning));
        assert_eq!(verdict("1 2"), None);
    }

    #[test]
    fn a_narrow_range_of_client_ports_warns() {
        assert_eq!(port_range((32_768, 60_999)).verdict, Verdict::Ok);
        assert_eq!(port_range((50_000, 51_000)).verdict, Verdict::Warning);
    }
}
