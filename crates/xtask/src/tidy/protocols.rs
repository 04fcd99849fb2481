//! No gateway names another: every protocol is two hops from every other, wire to mux to hub.

use super::tree::Tree;
use super::violation::Violation;
use std::path::Path;

/// `(gateway's folder, words that only it may say)`. FLV is a container, not a wire, and so nobody's own.
const GATEWAYS: [(&str, &[&str]); 5] = [
    ("rtmp", &["rtmp", "rtmps"]),
    ("http", &["http", "https", "hyper", "hls", "websocket"]),
    ("srt", &["srt"]),
    ("webrtc", &["webrtc", "str0m", "whip", "whep", "rtp"]),
    ("moq", &["moq", "quinn"]),
];

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    let gateways = Path::new("crates/node/src/gateway");
    for (file, source) in tree.rust() {
        let Ok(inside) = file.path.strip_prefix(gateways) else { continue };
        // The table of contents names them all.
        if inside == Path::new("mod.rs") {
            continue;
        }
        let mut seen: Vec<&str> = GATEWAYS
            .iter()
            .filter(|(folder, _)| inside.starts_with(folder))
            .map(|(folder, _)| *folder)
            .collect();
        for token in source.tokens() {
            // The one library of that family which is about sockets alone.
            if token.text == "quinn_udp" {
                continue;
            }
            let words = words(&token.text);
            let spoken =
                GATEWAYS.iter().find(|(_, own)| words.iter().any(|word| own.contains(&word.as_str())));
            let Some((protocol, _)) = spoken else { continue };
            if seen.is_empty() {
                seen.push(protocol);
            }
            if !seen.contains(protocol) {
                found.push(Violation {
                    path: file.path.clone(),
                    line: token.line,
                    rule: "protocols",
                    what: format!("{} names {protocol} beside {}", token.text, seen[0]),
                    instead: "meet in the hub: each gateway turns its wire into frames and back".to_owned(),
                });
                seen.push(protocol);
            }
        }
    }
}

/// The words of `snake_case`, `CamelCase` and `SCREAMING_CASE`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && previous_lower) {
            words.push(String::new());
        }
        previous_lower = c.is_lowercase() || c.is_numeric();
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn names_are_cut_into_words() {
        let check = |name, expect: &[&str]| assert_eq!(words(name), expect, "{name}");
        check("rtmp_gateway", &["rtmp", "gateway"]);
        check("RtmpGateway", &["rtmp", "gateway"]);
        check("HTTP_MAX", &["http", "max"]);
        check("str0m", &["str0m"]);
    }
}
