//! The addresses that count as one.

use ipnet::IpNet;
use std::net::IpAddr;

/// The first bits of an address; the rest is zero. IPv4 as in `::ffff:1.2.3.4` (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix([u8; 16]);

impl Prefix {
    /// So many bits of an IPv4 or IPv6 address.
    pub(crate) fn of(address: IpAddr, ipv4_bits: u8, ipv6_bits: u8) -> Prefix {
        let (bits, kept) = match address.to_canonical() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), 96 + u32::from(ipv4_bits.min(32))),
            IpAddr::V6(v6) => (v6.to_bits(), u32::from(ipv6_bits.min(128))),
        };
        let mask = u128::MAX.checked_shl(128 - kept).unwrap_or(0);
        Prefix((bits & mask).to_be_bytes())
    }

    /// Picks one of `count` places to keep it.
    pub(super) fn place(self, count: usize) -> usize {
        let sum =
            self.0.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
        sum % count
    }
}

/// Whether one of the networks has the address.
pub(super) fn within(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_count_as_one_and_mapped_addresses_as_what_they_stand_for() {
        let of = |text: &str, v4, v6| Prefix::of(text.parse().unwrap(), v4, v6);
        assert_eq!(of("1.2.3.4", 24, 64), of("1.2.3.250", 24, 64));
        assert_ne!(of("1.2.3.4", 32, 64), of("1.2.3.5", 32, 64));
        assert_ne!(of("1.2.3.4", 1, 64), of("::", 1, 64));
        assert_eq!(of("::ffff:1.2.3.4", 32, 64), of("1.2.3.4", 32, 64));
        assert_eq!(of("2001:db8:1:2:3::4", 32, 64), of("2001:db8:1:2:ffff::", 32, 64));
        assert_ne!(of("2001:db8:1:2::", 32, 64), of("2001:db8:1:3::", 32, 64));
        assert_ne!(of("2001:db8::1", 32, 128), of("2001:db8::2", 32, 128));
        let networks = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        assert!(within(&networks, "::ffff:10.1.1.1".parse().unwrap()));
        assert!(!within(&networks, "11.0.0.1".parse().unwrap()));
    }
}
