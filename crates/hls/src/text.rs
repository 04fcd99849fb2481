//! The text of a playlist, made once for everybody.

use crate::splice::Splice;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::{Arc, OnceLock};

/// A playlist, plain and compressed.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// As it is.
    pub plain: Bytes,
    /// For clients that accept gzip.
    pub gzip: Bytes,
    /// Its URLs, in their order.
    ends: Arc<[UrlEnd]>,
    /// Made when it is first wanted.
    splice: Arc<OnceLock<Splice>>,
}

/// Where a URL ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UrlEnd {
    pub(crate) at: usize,
    /// It has a query of its own.
    has_query: bool,
}

impl Text {
    /// Both forms of a playlist.
    pub(crate) fn new(text: String) -> Text {
        let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 3), Compression::fast());
        // Writing to a vector can't fail.
        let _ = encoder.write_all(text.as_bytes());
        let gzip = encoder.finish().unwrap_or_default();
        let ends = url_ends(&text).into();
        Text { ends, plain: text.into(), gzip: gzip.into(), splice: Arc::default() }
    }

    /// The playlist for one viewer, with `query` behind every URL in it: a player loads what a playlist lists without
    /// the query of the playlist's own URL. Its places are known, so this costs little more than a copy.
    pub fn with_query(&self, query: &str) -> Bytes {
        let mut out = Vec::with_capacity(self.plain.len() + self.ends.len() * (query.len() + 1));
        let mut done = 0;
        for end in &*self.ends {
            out.extend_from_slice(&self.plain[done..end.at]);
            out.push(end.joint());
            out.extend_from_slice(query.as_bytes());
            done = end.at;
        }
        out.extend_from_slice(&self.plain[done..]);
        out.into()
    }

    /// The same compressed by gzip, for some times less than compressing it anew would take.
    pub fn with_query_gzip(&self, query: &str) -> Bytes {
        let splice = self.splice.get_or_init(|| Splice::new(&self.plain, &self.ends));
        splice.gzip(&self.plain, query.as_bytes(), &self.with_query(query)).into()
    }
}

impl UrlEnd {
    /// What joins a query to the URL.
    pub(crate) fn joint(self) -> u8 {
        if self.has_query { b'&' } else { b'?' }
    }
}

/// The URLs of a playlist stand in lines of their own, and in the attribute `URI` of tags. RFC 8216bis §4.1 and §4.2.
fn url_ends(playlist: &str) -> Vec<UrlEnd> {
    let mut ends = Vec::new();
    let mut begin = 0;
    for whole in playlist.split_inclusive('\n') {
        let line = whole.trim_end_matches(['\r', '\n']);
        let url = if line.starts_with('#') {
            line.find(URI).and_then(|at| {
                let from = at + URI.len();
                Some(from..from + line[from..].find('"')?)
            })
        } else {
            (!line.is_empty()).then_some(0..line.len())
        };
        ends.extend(url.map(|url| UrlEnd { at: begin + url.end, has_query: line[url].contains('?') }));
        begin += whole.len();
    }
    ends
}

const URI: &str = "URI=\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(playlist: &str, query: &str) -> String {
        String::from_utf8(Text::new(playlist.to_owned()).with_query(query).to_vec()).unwrap()
    }

    #[test]
    fn every_url_of_a_playlist_gets_the_query() {
        let playlist = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXT-X-PART:DURATION=0.5,URI=\"p.m4s\",INDEPENDENT=YES\n\
                        #EXTINF:2,\nseg.m4s\n\n#EXT-X-RENDITION-REPORT:URI=\"../a.m3u8?x=1\",LAST-MSN=1\n";
        let expect = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4?token=t\"\n\
                      #EXT-X-PART:DURATION=0.5,URI=\"p.m4s?token=t\",INDEPENDENT=YES\n#EXTINF:2,\nseg.m4s?token=t\n\n\
                      #EXT-X-RENDITION-REPORT:URI=\"../a.m3u8?x=1&token=t\",LAST-MSN=1\n";
        assert_eq!(carried(playlist, "token=t"), expect);
        assert_eq!(carried("", "token=t"), "");
        assert_eq!(carried("a\r\nb", "t=1"), "a?t=1\r\nb?t=1", "whatever ends a line, and the last one too");
        assert_eq!(carried("#EXT-X-MAP:URI=\"open\n", "t=1"), "#EXT-X-MAP:URI=\"open\n");
    }
}
