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

/// Says that all that is sent belongs together: one media stream (RFC 8830 §2), one sender (RFC 3550 §6.5.1). The library names a stream
/// and a sender for each section, and what browsers get from several they don't show in time with each other.
pub(super) fn as_one_stream(answer: String) -> String {
    let streams = |line: &'static str| {
        move |text: &str| text.strip_prefix(line).map(|rest| first_word(rest).to_owned())
    };
    let senders =
        |line: &str| line.strip_prefix("a=ssrc:")?.split_once(" cname:").map(|(_, name)| name.to_owned());
    let mut answer = with_one(answer, streams("a=msid:"));
    answer = with_one(answer, senders);
    let Some(stream) = answer.lines().find_map(streams("a=msid:")) else { return answer };
    let semantic = |line: &str| line.starts_with("a=msid-semantic:");
    let lines = answer.lines().map(|line| {
        if semantic(line) { format!("a=msid-semantic: WMS {stream}\r\n") } else { format!("{line}\r\n") }
    });
    lines.collect()
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

/// Puts the first of the names that `named` finds in the place of the others. They are long and random, so they stand for nothing else.
fn with_one(text: String, named: impl Fn(&str) -> Option<String>) -> String {
    let mut names = text.lines().filter_map(named);
    let Some(first) = names.next() else { return text };
    let others: Vec<String> = names.filter(|name| *name != first && name.len() >= NAME_CHARS_MIN).collect();
    others.iter().fold(text, |text, other| text.replace(other.as_str(), &first))
}

/// The library's names have 20 characters and more.
const NAME_CHARS_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_sent_is_one_stream_of_one_sender() {
        let section = |kind: &str, number: u32| {
            format!(
                "m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=msid:stream-{number}-of-the-library track-{number}\r\n\
                 a=ssrc:{number} cname:sender-{number}-of-the-library\r\na=ssrc:{number} msid:stream-{number}-of-the-library track-{number}\r\n"
            )
        };
        let head = |streams: &str| format!("v=0\r\na=msid-semantic: WMS {streams}\r\n");
        let answer = head("stream-1-of-the-library stream-2-of-the-library")
            + &section("video", 1)
            + &section("audio", 2);
        let one = answer.replace("stream-2-", "stream-1-").replace("sender-2-", "sender-1-");
        let wanted =
            one.replacen("stream-1-of-the-library stream-1-of-the-library", "stream-1-of-the-library", 1);
        assert_eq!(as_one_stream(answer), wanted);
        assert_eq!(as_one_stream(wanted.clone()), wanted);
        assert_eq!(as_one_stream("v=0\r\n".to_owned()), "v=0\r\n");
    }

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
