//! What an answer has to say differently from how the library says it.

/// Puts the candidates into the first section that isn't rejected. The library puts them into the very first, and a browser doesn't
/// read those of a section that is not to be: it would never find the way to us. RFC 9143 §7.3.3.
pub(super) fn with_candidates_in_use(answer: String) -> String {
    let is_candidate =
        |line: &&str| line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates");
    let is_section = |line: &str| line.starts_with("m=");
    let in_use = |line: &str| is_section(line) && line.split(' ').nth(1) != Some("0");
    if answer.lines().find(|line| is_section(line)).is_none_or(in_use) || !answer.lines().any(in_use) {
        return answer;
    }
    let candidates: Vec<&str> = answer.lines().filter(is_candidate).collect();
    let mut out = String::with_capacity(answer.len());
    let mut push = |line: &str| {
        out.push_str(line);
        out.push_str("\r\n");
    };
    // Attributes come behind all other lines of a section (RFC 8866 §5), so they stand at its end.
    let (mut reached, mut told) = (false, false);
    for line in answer.lines().filter(|line| !is_candidate(line)) {
        if is_section(line) && reached && !told {
            candidates.iter().for_each(|line| push(line));
            told = true;
        }
        reached |= in_use(line);
        push(line);
    }
    if !told {
        candidates.iter().for_each(|line| push(line));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const REJECTED: &str = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=candidate:1 1 udp 1 192.0.2.1 8000 typ host\r\na=end-of-candidates\r\na=mid:0\r\n";
    const SOUND: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n";
    const CANDIDATES: &str = "a=candidate:1 1 udp 1 192.0.2.1 8000 typ host\r\na=end-of-candidates\r\n";

    #[test]
    fn candidates_stand_in_a_section_that_is_used() {
        let without = REJECTED.replace(CANDIDATES, "");
        let answer = format!("v=0\r\n{REJECTED}{SOUND}");
        assert_eq!(with_candidates_in_use(answer), format!("v=0\r\n{without}{SOUND}{CANDIDATES}"));
        let three = format!("v=0\r\n{REJECTED}{SOUND}{SOUND}");
        assert_eq!(with_candidates_in_use(three), format!("v=0\r\n{without}{SOUND}{CANDIDATES}{SOUND}"));
    }

    #[test]
    fn an_answer_whose_first_section_is_used_or_that_has_none_stays_as_it_is() {
        let used = format!("v=0\r\n{}{SOUND}", REJECTED.replace("video 0", "video 9"));
        for answer in [used, format!("v=0\r\n{REJECTED}"), "v=0\r\n".to_owned()] {
            assert_eq!(with_candidates_in_use(answer.clone()), answer);
        }
    }
}
