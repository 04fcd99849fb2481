//! What players ask for.

use crate::rendition::Role;

/// A place in a rendition: media sequence number and part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Media sequence number.
    pub msn: u64,
    /// Part within the segment; `None` is the whole segment.
    pub part: Option<u32>,
}

/// One request below a broadcast's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `index.m3u8`
    Multivariant,
    /// `video/index.m3u8`, with its delivery directives (RFC 8216bis §6.2.5).
    Playlist {
        /// Which rendition.
        role: Role,
        /// Hold the answer until this is in the playlist.
        block: Option<Position>,
        /// A delta update is welcome.
        skip: bool,
    },
    /// `video/init-3.mp4`
    Init {
        /// Which rendition.
        role: Role,
        /// Revision of the decoder configuration.
        revision: u32,
    },
    /// `video/seg-7.m4s`
    Segment {
        /// Which rendition.
        role: Role,
        /// Media sequence number.
        msn: u64,
    },
    /// `video/part-7-2.m4s`
    Part {
        /// Which rendition.
        role: Role,
        /// Media sequence number.
        msn: u64,
        /// Part within the segment.
        part: u32,
    },
    /// `ts/index.m3u8`: sound and pictures together, for old players.
    TsPlaylist,
    /// `ts/seg-7.ts`
    TsSegment {
        /// Media sequence number.
        msn: u64,
    },
}

/// The folder of the TS variant.
const TS_FOLDER: &str = "ts";

/// Why a request is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// No such file: 404.
    Unknown,
    /// Directives that contradict each other or are no numbers: 400. RFC 8216bis §6.2.5.2.
    Directives(&'static str),
}

impl Request {
    /// From the path below the broadcast and the query.
    ///
    /// # Errors
    /// When the path names no file, or a directive is wrong.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Request, BadRequest> {
        if path == "index.m3u8" {
            return Ok(Request::Multivariant);
        }
        let (folder, file) = path.split_once('/').ok_or(BadRequest::Unknown)?;
        if folder == TS_FOLDER {
            return ts(file).ok_or(BadRequest::Unknown);
        }
        let role = Role::from_name(folder).ok_or(BadRequest::Unknown)?;
        if file == "index.m3u8" {
            return directives(role, query.unwrap_or_default());
        }
        let numbered = |prefix: &str, suffix: &str| file.strip_prefix(prefix)?.strip_suffix(suffix);
        let found = if let Some(n) = numbered("init-", ".mp4") {
            n.parse().ok().map(|revision| Request::Init { role, revision })
        } else if let Some(n) = numbered("seg-", ".m4s") {
            n.parse().ok().map(|msn| Request::Segment { role, msn })
        } else {
            numbered("part-", ".m4s").and_then(|n| n.split_once('-')).and_then(|(msn, part)| {
                Some(Request::Part { role, msn: msn.parse().ok()?, part: part.parse().ok()? })
            })
        };
        found.ok_or(BadRequest::Unknown)
    }
}

/// Old players know no directives.
fn ts(file: &str) -> Option<Request> {
    if file == "index.m3u8" {
        return Some(Request::TsPlaylist);
    }
    let msn = file.strip_prefix("seg-")?.strip_suffix(".ts")?;
    Some(Request::TsSegment { msn: msn.parse().ok()? })
}

fn directives(role: Role, query: &str) -> Result<Request, BadRequest> {
    let (mut msn, mut part, mut skip) = (None, None, false);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "_HLS_msn" => {
                msn = Some(value.parse().map_err(|_| BadRequest::Directives("_HLS_msn is no number"))?);
            }
            "_HLS_part" => {
                part = Some(value.parse().map_err(|_| BadRequest::Directives("_HLS_part is no number"))?);
            }
            "_HLS_skip" => skip = matches!(value, "YES" | "v2"),
            _ => {}
        }
    }
    match (msn, part) {
        (None, Some(_)) => Err(BadRequest::Directives("_HLS_part needs _HLS_msn")),
        (msn, part) => Ok(Request::Playlist { role, block: msn.map(|msn| Position { msn, part }), skip }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directives_are_read() {
        let check = |path, query, expect| assert_eq!(Request::parse(path, query), expect, "{path} {query:?}");
        let role = Role::Video;
        let playlist = |block, skip| Ok(Request::Playlist { role, block, skip });
        check("index.m3u8", Some("token=1"), Ok(Request::Multivariant));
        check("video/index.m3u8", None, playlist(None, false));
        let at = Position { msn: 7, part: Some(2) };
        check("video/index.m3u8", Some("_HLS_msn=7&_HLS_part=2&_HLS_skip=YES"), playlist(Some(at), true));
        check("video/part-7-2.m4s", None, Ok(Request::Part { role, msn: 7, part: 2 }));
        check("audio/seg-7.m4s", None, Ok(Request::Segment { role: Role::Audio, msn: 7 }));
        check("video/init-0.mp4", None, Ok(Request::Init { role, revision: 0 }));
        check("ts/index.m3u8", Some("_HLS_msn=7"), Ok(Request::TsPlaylist));
        check("ts/seg-7.ts", None, Ok(Request::TsSegment { msn: 7 }));
        check("ts/seg-7.m4s", None, Err(BadRequest::Unknown));
        check("video/seg-x.m4s", None, Err(BadRequest::Unknown));
        check("text/index.m3u8", None, Err(BadRequest::Unknown));
        check(
            "video/index.m3u8",
            Some("_HLS_part=2"),
            Err(BadRequest::Directives("_HLS_part needs _HLS_msn")),
        );
        check("video/index.m3u8", Some("_HLS_msn=-1"), Err(BadRequest::Directives("_HLS_msn is no number")));
    }

    #[test]
    fn fuzz_requests_never_panic() {
        let mut random = testkit::Random::seeded(6);
        for _ in 0..10_000 {
            let path = random.mutate(b"video/part-18446744073709551615-4294967295.m4s");
            let query = random.mutate(b"_HLS_msn=7&_HLS_part=2&_HLS_skip=YES");
            let _ = Request::parse(&String::from_utf8_lossy(&path), Some(&String::from_utf8_lossy(&query)));
            let segment = random.mutate(b"ts/seg-18446744073709551615.ts");
            let _ = Request::parse(&String::from_utf8_lossy(&segment), None);
            let _ = Request::parse("video/index.m3u8", Some(&String::from_utf8_lossy(&query)));
        }
    }
}
