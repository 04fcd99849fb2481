//! Credentials in playlists: a player loads what a playlist lists without the query of the playlist's own URL, so the
//! credentials in it are written behind every URL.

/// Parameters that say who asks and for which vhost.
const CARRIED: [&str; 9] = ["token", "vhost", "sig", "kid", "expires", "act", "path", "ip", "key"];

/// The part of a query that has to go on, if there is one.
pub(super) fn credentials(query: Option<&str>) -> Option<String> {
    let carried = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| CARRIED.contains(&name));
    let kept: Vec<&str> = query?.split('&').filter(carried).collect();
    // Nothing that could end a line or a quoted string of the playlist.
    let safe = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '#' | '<' | '>' | '\\' | '?');
    let kept = kept.join("&");
    (!kept.is_empty() && kept.chars().all(safe)).then_some(kept)
}

/// The playlist with `credentials` behind every URL. RFC 8216bis §4.1 and §4.2.
pub(super) fn carry(playlist: &str, credentials: &str) -> String {
    let mut out = String::with_capacity(playlist.len() * 2);
    for line in playlist.lines() {
        match line.split_once("URI=\"") {
            Some((before, rest)) if line.starts_with('#') => match rest.split_once('"') {
                Some((uri, after)) => out.extend([before, "URI=\"", &with(uri, credentials), "\"", after]),
                None => out.push_str(line),
            },
            _ if line.is_empty() || line.starts_with('#') => out.push_str(line),
            _ => out.push_str(&with(line, credentials)),
        }
        out.push('\n');
    }
    out
}

fn with(uri: &str, credentials: &str) -> String {
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{credentials}")
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
    }

    #[test]
    fn every_url_of_a_playlist_gets_them() {
        let playlist = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-PART:DURATION=0.5,URI=\"p.m4s\",INDEPENDENT=YES\n\
                        #EXTINF:2,\nseg.m4s\n#EXT-X-RENDITION-REPORT:URI=\"../a.m3u8?x=1\",LAST-MSN=1\n";
        let expect = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4?token=t\"\n\
                      #EXT-X-PART:DURATION=0.5,URI=\"p.m4s?token=t\",INDEPENDENT=YES\n#EXTINF:2,\nseg.m4s?token=t\n\
                      #EXT-X-RENDITION-REPORT:URI=\"../a.m3u8?x=1&token=t\",LAST-MSN=1\n";
        assert_eq!(carry(playlist, "token=t"), expect);
    }

    #[test]
    fn fuzz_queries_never_break_a_line() {
        let mut random = testkit::Random::seeded(11);
        for _ in 0..5000 {
            let query = random.mutate(b"_HLS_msn=7&token=abc.def&sig=0");
            if let Some(kept) = credentials(Some(&String::from_utf8_lossy(&query))) {
                assert_eq!(carry("seg.m4s\n", &kept).lines().count(), 1);
            }
        }
    }
}
