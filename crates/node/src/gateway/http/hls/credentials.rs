//! Credentials in playlists: a player loads what a playlist lists without the query of the playlist's own URL, so the
//! credentials in it are written behind every URL.

/// Parameters that say who asks and for which vhost.
const CARRIED: [&str; 9] = ["token", "vhost", "sig", "kid", "expires", "act", "path", "ip", "key"];

/// The part of a query that has to go on, if there is one.
pub(super) fn credentials(query: Option<&str>) -> Option<String> {
    let carried = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| CARRIED.contains(&name));
    let query = query?;
    let mut kept = String::with_capacity(query.len());
    for pair in query.split('&').filter(carried) {
        if !kept.is_empty() {
            kept.push('&');
        }
        kept.push_str(pair);
    }
    // Nothing that could end a line or a quoted string of the playlist.
    let safe =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'?');
    (!kept.is_empty() && kept.bytes().all(safe)).then_some(kept)
}

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
