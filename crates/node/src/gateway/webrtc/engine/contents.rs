//! How much of everything an offer may have. The library keeps something for each of it, and an offer of 64 KiB has room for thousands.

use std::collections::HashSet;

/// What an offer has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} {what}; at most {most} are taken")]
pub(crate) struct Excess {
    what: &'static str,
    count: usize,
    most: usize,
}

/// A publisher has two sections, and an encoder of screen and camera three.
const SECTIONS_MAX: usize = 4;
/// A receiver is made for each. Browsers name 3: pictures, pictures again, sound. Three qualities without names are 6, in each section.
const SENDERS_MAX: usize = 32;
/// Names of qualities (RFC 8851): browsers send 3, and 4 are taken of one publisher. In each section.
const QUALITIES_MAX: usize = 16;
/// Chromium names 18 in two sections; 24 in each leave room for what browsers learn.
const EXTENSIONS_MAX: usize = 96;
/// Not needed here, but kept: a machine with ten addresses has some 40, and tells them in each section unless all share one way.
const CANDIDATES_MAX: usize = 256;

/// What an offer has too much of, if anything. It isn't parsed for that.
pub(super) fn excess(offer: &str) -> Option<Excess> {
    let lines_with = |start: &'static str| offer.lines().filter(move |line| line.starts_with(start)).count();
    let counts = [
        ("media sections", lines_with("m="), SECTIONS_MAX),
        ("senders (a=ssrc)", senders(offer), SENDERS_MAX),
        ("qualities (a=rid)", lines_with("a=rid:").max(qualities(offer)), QUALITIES_MAX),
        ("header extensions (a=extmap)", lines_with("a=extmap:"), EXTENSIONS_MAX),
        ("candidates (a=candidate)", lines_with("a=candidate:"), CANDIDATES_MAX),
    ];
    let found = counts.into_iter().find(|(_, count, most)| count > most);
    found.map(|(what, count, most)| Excess { what, count, most })
}

/// Each has several lines: its names, its stream, its groups. RFC 5576 §4.
fn senders(offer: &str) -> usize {
    let first = offer.lines().filter_map(|line| line.strip_prefix("a=ssrc:")?.split(' ').next());
    let groups = offer.lines().filter_map(|line| line.strip_prefix("a=ssrc-group:"));
    let grouped = groups.flat_map(|group| group.split_whitespace().skip(1));
    first.chain(grouped).collect::<HashSet<&str>>().len()
}

/// Those of `a=simulcast`, alternatives too. RFC 8853 §5.1.
fn qualities(offer: &str) -> usize {
    let lists = offer.lines().filter_map(|line| line.strip_prefix("a=simulcast:"));
    let names = lists.flat_map(|list| list.split([' ', ';', ',']));
    names.filter(|name| !matches!(*name, "" | "send" | "recv")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHES: &str = include_str!("../captures/chromium-publishes.sdp");

    /// What is said to the offer of a browser with more in it.
    fn says(more: impl Iterator<Item = String>) -> Option<String> {
        excess(&(PUBLISHES.to_owned() + &more.collect::<String>())).map(|excess| excess.to_string())
    }

    #[test]
    fn what_clients_offer_is_not_too_much() {
        assert_eq!(excess(PUBLISHES), None);
        assert_eq!(excess(include_str!("../captures/chromium-plays.sdp")), None);
        // Four sections of six senders, each with four lines and in groups.
        let lines = |n: u32| {
            let names = ["cname:a", "msid:b c", "mslabel:b", "label:c"];
            names.map(|name| format!("a=ssrc:{} {name}\r\n", 1000 + n)).concat()
                + &format!("a=ssrc-group:FID {} {}\r\n", 1000 + n, 1000 + (n + 1) % 24)
        };
        assert_eq!(says((0..24).map(lines)), None);
    }

    #[test]
    fn senders_are_counted_once_wherever_they_are_named() {
        let named = says((0..3000).map(|n| format!("a=ssrc:{n} cname:x\r\n"))).unwrap();
        assert!(named.ends_with(" senders (a=ssrc); at most 32 are taken"), "{named}");
        let grouped = says((0..300).map(|n| format!("a=ssrc-group:FID {} {}\r\n", 2 * n, 2 * n + 1)));
        assert!(grouped.is_some_and(|text| text.contains("senders")));
    }

    #[test]
    fn qualities_extensions_and_candidates_have_a_number_each() {
        let said = |line: fn(u32) -> String| says((0..300).map(line)).unwrap_or_default();
        assert!(said(|n| format!("a=rid:{n} send\r\n")).starts_with("303 qualities (a=rid)"));
        assert!(said(|n| format!("a=simulcast:recv {n};x{n},y{n}\r\n")).contains("qualities (a=rid)"));
        assert!(said(|n| format!("a=extmap:{n} urn:x\r\n")).contains("header extensions (a=extmap)"));
        let candidate = |n: u32| format!("a=candidate:{n} 1 udp 1 192.0.2.1 9 typ host\r\n");
        assert!(said(candidate).contains("candidates (a=candidate); at most 256 are taken"));
    }
}
