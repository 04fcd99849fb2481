//! Credentials in playlists: a player loads what a playlist lists without the query of the playlist's own URL, so the
//! credentials in it are written behind every URL.

/// The part of a query that has to go on, if there is one.
pub(super) fn credentials(query: Option<&str>) -> Option<String> {
    let carried = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| is_carried(name));
    let query = query?;
    let mut kept = String::with_capacity(query.len());
    for pair in query.split('&').filter(carried) {
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.push_str(pair);
    }
    (!kept.is_empty() && kept.bytes().all(|byte| SAFE[usize::from(byte)])).then_some(kept)
}

/// Parameters that say who asks and for which vhost.
fn is_carried(name: &str) -> bool {
    matches!(name, "token" | "vhost" | "sig" | "kid" | "expires" | "act" | "path" | "ip" | "key")
}

/// Bytes that can't end a line or a quoted string of the playlist. A token is long, and looked at with every playlist.
const SAFE: [bool; 256] = {
    let (mut safe, mut byte) = ([false; 256], 0);
    while byte < 256 {
        let graphic = b' ' < byte as u8 && byte < 0x7f;
        safe[byte] = graphic && !matches!(byte as u8, b'"' | b'#' | b'<' | b'>' | b'\\' | b'?');
        byte += 1;
    }
    safe
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_are_carried_and_nothing_that_breaks_a_playlist() {
        assert_eq!(
            credentials(Some("_HLS_msn=7&token=abc&x=y&vhost=v")).as_deref(),
            Some("token=abc&vhost=v")
        );
        assert_eq!(credentials(Some("_HLS_msn=7")), None);
        assert_eq!(credentials(None), None);
        assert_eq!(credentials(Some("token=a\"b")), None);
        assert_eq!(credentials(Some("token=a\nb")), None);
        assert_eq!(credentials(Some("token=直")), None);
    }

    #[test]
    fn fuzz_queries_never_break_a_line() {
        let mut random = testkit::Random::seeded(11);
        for _ in 0..5000 {
            let query = random.mutate(b"_HLS_msn=7&token=abc.def&sig=0");
            if let Some(kept) = credentials(Some(&String::from_utf8_lossy(&query))) {
                assert!(!kept.contains(['\n', '\r', '"', '?', '#']), "{kept:?}");
            }
        }
    }
}
