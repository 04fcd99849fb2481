//! What a client says that it is: an HTTP `User-Agent` (RFC 9110 §10.1.5), or the `flashVer` of an RTMP peer.

/// Longer ones are cut: browsers and encoders need half of it.
const CHARS_MAX: usize = 200;

/// The same, fit to be shown and stored: cut, and without characters that steer a terminal or turn text around. Nothing if
/// that leaves nothing.
pub(crate) fn agent(said: &str) -> Option<String> {
    let shown: String = said.chars().filter(|c| !steers(*c)).take(CHARS_MAX).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

/// Control characters, line separators, and marks of direction (Unicode Standard Annex 9).
fn steers(c: char) -> bool {
    let turns = ['\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    c.is_control() || turns.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_cut_and_cleaned() {
        let check = |said: &str, expect: Option<&str>| assert_eq!(agent(said).as_deref(), expect);
        check("OBS 30.1", Some("OBS 30.1"));
        check(" a\u{1b}[2Jb\r\nc\u{202e}d\u{9b} ", Some("a[2Jbcd"));
        check("直播", Some("直播"));
        check("\u{0} \u{7f}", None);
        check("", None);
        assert_eq!(agent(&"播".repeat(5000)).unwrap().chars().count(), CHARS_MAX);
    }

    #[test]
    fn fuzz_any_text_becomes_a_short_one() {
        let mut random = testkit::Random::seeded(31);
        for _ in 0..3000 {
            let length = random.below(600);
            let said: String =
                (0..length).filter_map(|_| char::from_u32(random.below(0x3000) as u32)).collect();
            let shown = agent(&said).unwrap_or_default();
            assert!(shown.chars().count() <= CHARS_MAX && !shown.chars().any(steers), "{shown:?}");
        }
    }
}
