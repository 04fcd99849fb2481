//! Whether the listeners' ports are free, or who has them.

use super::finding::Finding;
use super::kernel;
use crate::config::{datagram_ports, listeners};
use node::config::Config;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

/// A program that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    name: String,
    pid: u32,
}

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let tcp = listeners(config).into_iter().map(|(key, address)| port(key, address, Wire::Tcp));
    let udp = datagram_ports(config).into_iter().map(|(key, address)| port(key, address, Wire::Udp));
    tcp.chain(udp).collect()
}

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Tcp,
    Udp,
}

impl Wire {
    fn bind(self, address: SocketAddr) -> std::io::Result<()> {
        match self {
            Wire::Tcp => TcpListener::bind(address).map(drop),
            Wire::Udp => UdpSocket::bind(address).map(drop),
        }
    }

    /// An address, as a person reads it.
    fn shown(self, address: SocketAddr) -> String {
        match self {
            Wire::Tcp => address.to_string(),
            Wire::Udp => format!("{address}/udp"),
        }
    }

    /// The tables of sockets, and the state of those that wait for whoever comes (proc_net_tcp.txt in the kernel's
    /// documentation; for UDP it is that of a closed connection).
    fn tables(self) -> ([&'static str; 2], &'static str) {
        match self {
            Wire::Tcp => (["/proc/net/tcp", "/proc/net/tcp6"], "0A"),
            Wire::Udp => (["/proc/net/udp", "/proc/net/udp6"], "07"),
        }
    }
}

fn port(key: &str, address: SocketAddr, wire: Wire) -> Finding {
    let check = format!("port of {key}");
    let shown = wire.shown(address);
    let error = match wire.bind(address) {
        Ok(()) => return free(key, &check, address, &shown),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::AddrInUse => taken(key, &check, &shown, owner(address.port(), wire).as_ref()),
        ErrorKind::PermissionDenied => Finding::failure(
            &check,
            format!("{shown} is for the system's programs only"),
        )
        .advise(format!(
            "let the unit have AmbientCapabilities=CAP_NET_BIND_SERVICE, or setcap cap_net_bind_service=+ep \
                 the binary, or set {key} to a port from 1024 on"
        )),
        ErrorKind::AddrNotAvailable => {
            Finding::failure(&check, format!("{} is no address of this machine", address.ip()))
                .advise(format!("set {key} to one that `ip address` shows, or to 0.0.0.0"))
        }
        _ => Finding::failure(&check, format!("can't listen on {shown}: {error}"))
            .advise(format!("set {key} to another address")),
    }
}

fn free(key: &str, check: &str, address: SocketAddr, shown: &str) -> Finding {
    match kernel::client_ports() {
        Some((first, last)) if (first..=last).contains(&address.port()) => Finding::warning(
            check,
            format!("{shown} is free, but the system gives ports {first} to {last} to clients"),
        )
        .advise(format!("set {key} to a port below {first}, or keep it by net.ipv4.ip_local_reserved_ports")),
        _ => Finding::ok(check, format!("{shown} is free")),
    }
}

fn taken(key: &str, check: &str, shown: &str, owner: Option<&Owner>) -> Finding {
    match owner {
        Some(Owner { name, pid }) if name == "floodtide" => {
            Finding::ok(check, format!("{shown} is used by floodtide, process {pid}"))
        }
        Some(Owner { name, pid }) => {
            Finding::failure(check, format!("{shown} is used by {name}, process {pid}"))
                .advise(format!("stop {name}, or set {key} to another address"))
        }
        None => Finding::failure(check, format!("{shown} is used by another program")).advise(format!(
            "stop it (as root, ss -tulnp shows which it is), or set {key} to another address"
        )),
    }
}

/// Who listens on a port, as far as we may see.
fn owner(port: u16, wire: Wire) -> Option<Owner> {
    let (tables, state) = wire.tables();
    let tables = tables.map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let wanted: Vec<String> = tables
        .iter()
        .flat_map(|table| listening(table, port, state))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if holds(&process.path(), &wanted) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(Owner { name: name.trim().to_owned(), pid });
        }
    }
    None
}

/// Whether a process has one of these descriptors.
fn holds(process: &Path, wanted: &[String]) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else { return false };
    descriptors
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .any(|target| wanted.iter().any(|wanted| target.as_os_str() == wanted.as_str()))
}

/// The inodes of sockets that are in that state on a port.
fn listening(table: &str, port: u16, state: &str) -> Vec<u64> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let here = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == state;
        here.then(|| fields.get(9)?.parse().ok())?
    };
    table.lines().skip(1).filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_by_port_and_state() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             \x20  0: 0100007F:078F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
             \x20  1: 0100007F:078F 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n\
             broken\n";
        assert_eq!(listening(table, 1935, "0A"), [4711]);
        assert_eq!(listening(table, 1936, "0A"), Vec::<u64>::new());
        assert_eq!(listening("", 1935, "0A"), Vec::<u64>::new());
    }

    #[test]
    fn who_has_a_port_is_named() {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        let owner = owner(address.port(), Wire::Tcp).expect("we see our own sockets");
        assert_eq!(owner.pid, std::process::id());
        let told = port("http.listen", address, Wire::Tcp);
        assert!(told.found.contains(&format!("process {}", std::process::id())), "{told:?}");
        assert!(told.advice.is_some_and(|advice| advice.contains("http.listen")));
    }

    #[test]
    fn our_own_server_is_no_failure() {
        let address = "127.0.0.1:1935";
        let owner = Owner { name: "floodtide".to_owned(), pid: 7 };
        assert_eq!(taken("rtmp.listen", "port", address, Some(&owner)).verdict, super::super::Verdict::Ok);
        assert_eq!(taken("rtmp.listen", "port", address, None).verdict, super::super::Verdict::Failure);
    }
}
