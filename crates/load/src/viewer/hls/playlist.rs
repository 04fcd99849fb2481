//! Playlists as a player reads them (draft-pantos-hls-rfc8216bis). Unknown tags are skipped.

/// A playlist.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Playlist {
    /// The first variant, and the audio that belongs to it when that is apart.
    Multivariant {
        video: String,
        audio: Option<String>,
    },
    Media(MediaPlaylist),
}

/// What is on offer of one rendition.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MediaPlaylist {
    /// Seconds.
    pub(crate) target_duration: f64,
    pub(crate) can_block: bool,
    pub(crate) can_skip: bool,
    /// How far behind the end a player starts, in seconds.
    pub(crate) hold_back: f64,
    /// The newest init segment.
    pub(crate) init: Option<String>,
    pub(crate) entries: Vec<Entry>,
    /// What comes after the last entry.
    pub(crate) next: Position,
    pub(crate) ended: bool,
    /// Older segments were left out.
    pub(crate) delta: bool,
}

/// A part, or a segment that is listed without parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) at: Position,
    pub(crate) uri: String,
    /// Offset and length within the resource.
    pub(crate) range: Option<(u64, u64)>,
    /// Seconds.
    pub(crate) duration: f64,
    /// Begins with a keyframe.
    pub(crate) independent: bool,
}

/// A place in the programme: media sequence number and part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    pub(crate) part: u32,
    /// A whole segment; it counts as its own first part.
    pub(crate) whole: bool,
}

impl Position {
    fn part(segment: u64, part: u32) -> Self {
        Self { segment, part, whole: false }
    }

    /// The entry behind this one, as far as it can be known.
    pub(crate) fn after(self) -> Self {
        if self.whole {
            Self::part(self.segment.saturating_add(1), 0)
        } else {
            Self::part(self.segment, self.part + 1)
        }
    }
}

/// Reads a playlist.
///
/// # Errors
/// What is missing, in a few words.
pub(crate) fn parse(text: &str) -> Result<Playlist, &'static str> {
    if !text.starts_with("#EXTM3U") {
        return Err("not a playlist");
    }
    if text.contains("#EXT-X-STREAM-INF:") { multivariant(text) } else { media(text).map(Playlist::Media) }
}

fn multivariant(text: &str) -> Result<Playlist, &'static str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let variant = lines.find_map(|line| line.strip_prefix("#EXT-X-STREAM-INF:")).ok_or("no variant")?;
    let video = lines.find(|line| !line.starts_with('#')).ok_or("a variant without URI")?;
    let audio = attribute(variant, "AUDIO").and_then(|group| {
        text.lines().filter_map(|line| line.strip_prefix("#EXT-X-MEDIA:")).find_map(|media| {
            let ours =
                attribute(media, "TYPE") == Some("AUDIO") && attribute(media, "GROUP-ID") == Some(group);
            attribute(media, "URI").filter(|_| ours)
        })
    });
    Ok(Playlist::Multivariant { video: video.to_owned(), audio: audio.map(str::to_owned) })
}

fn media(text: &str) -> Result<MediaPlaylist, &'static str> {
    let mut list = MediaPlaylist::default();
    let (mut segment, mut part) = (0u64, 0u32);
    let (mut duration, mut parts_from, mut part_hold_back, mut hold_back) = (0.0, 0, None, None);
    // Where in its resource the last range ended, for a BYTERANGE without offset.
    let mut range_end = 0u64;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-TARGETDURATION" => list.target_duration = value.parse().unwrap_or(0.0),
            "#EXT-X-SERVER-CONTROL" => {
                list.can_block = attribute(value, "CAN-BLOCK-RELOAD") == Some("YES");
                list.can_skip = attribute(value, "CAN-SKIP-UNTIL").is_some();
                part_hold_back = seconds(value, "PART-HOLD-BACK");
                hold_back = seconds(value, "HOLD-BACK");
            }
            "#EXT-X-MEDIA-SEQUENCE" => segment = value.parse().map_err(|_| "broken EXT-X-MEDIA-SEQUENCE")?,
            "#EXT-X-SKIP" => {
                let skipped =
                    attribute(value, "SKIPPED-SEGMENTS").and_then(|count| count.parse::<u32>().ok());
                segment = segment.saturating_add(skipped.ok_or("broken EXT-X-SKIP")?.into());
                list.delta = true;
            }
            "#EXT-X-MAP" => list.init = attribute(value, "URI").map(str::to_owned),
            "#EXT-X-PART" => {
                let entry = part_entry(value, Position::part(segment, part), &mut range_end);
                list.entries.push(entry.ok_or("broken EXT-X-PART")?);
                part += 1;
            }
            "#EXTINF" => duration = value.split(',').next().and_then(|s| s.parse().ok()).unwrap_or(0.0),
            "#EXT-X-ENDLIST" => list.ended = true,
            _ if !line.starts_with('#') => {
                if parts_from == list.entries.len() {
                    let at = Position { segment, part: 0, whole: true };
                    let uri = line.to_owned();
                    list.entries.push(Entry { at, uri, range: None, duration, independent: true });
                }
                (segment, part, parts_from) = (segment.saturating_add(1), 0, list.entries.len());
            }
            _ => {}
        }
    }
    if list.target_duration <= 0.0 {
        return Err("no EXT-X-TARGETDURATION");
    }
    // rfc8216bis §4.4.3.8: without a hold-back, three target durations.
    let low_latency = list.entries.iter().any(|entry| !entry.at.whole);
    let chosen = if low_latency { part_hold_back.or(hold_back) } else { hold_back };
    list.hold_back = chosen.unwrap_or(3.0 * list.target_duration);
    list.next = Position::part(segment, part);
    Ok(list)
}

fn part_entry(attributes: &str, at: Position, range_end: &mut u64) -> Option<Entry> {
    let range = match attribute(attributes, "BYTERANGE") {
        None => None,
        Some(text) => {
            let (length, offset) =
                text.split_once('@').map_or((text, None), |(length, offset)| (length, Some(offset)));
            let length: u64 = length.parse().ok().filter(|length| *length > 0)?;
            let offset = offset.map_or(Some(*range_end), |offset| offset.parse().ok())?;
            *range_end = offset.checked_add(length)?;
            Some((offset, length))
        }
    };
    Some(Entry {
        at,
        uri: attribute(attributes, "URI")?.to_owned(),
        range,
        duration: seconds(attributes, "DURATION")?,
        independent: attribute(attributes, "INDEPENDENT") == Some("YES"),
    })
}

fn seconds(attributes: &str, name: &str) -> Option<f64> {
    attribute(attributes, name)?.parse().ok().filter(|seconds: &f64| (0.0..1e6).contains(seconds))
}

/// An attribute's value without quotes (rfc8216bis §4.2). Commas within quotes separate nothing.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.strip_prefix(',').unwrap_or(next))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim() == name {
            return Some(value);
        }
        rest = next;
    }
}

impl MediaPlaylist {
    /// Where a player begins: the last keyframe that leaves the hold-back between itself and the end.
    pub(crate) fn start(&self, every_part_independent: bool) -> Option<Position> {
        let total: f64 = self.entries.iter().map(|entry| entry.duration).sum();
        let mut begins = 0.0;
        let mut chosen = None;
        for entry in &self.entries {
            let usable = entry.independent || every_part_independent;
            if usable && (chosen.is_none() || begins <= total - self.hold_back) {
                chosen = Some(entry.at);
            }
            begins += entry.duration;
        }
        chosen
    }
}

/// Resolves a reference against the path of the playlist that holds it (RFC 3986 §5.2, as far as playlists use it).
pub(crate) fn resolve(base: &str, reference: &str) -> String {
    if let Some((_, rest)) = reference.split_once("://") {
        return rest.find('/').map_or("/", |at| &rest[at..]).to_owned();
    }
    let path = base.split('?').next().unwrap_or_default();
    if reference.starts_with('/') {
        return reference.to_owned();
    }
    let mut folder = &path[..path.rfind('/').map_or(0, |at| at + 1)];
    let mut reference = reference;
    while let Some(above) = reference.strip_prefix("../") {
        reference = above;
        folder = folder.trim_end_matches('/').rfind('/').map_or("/", |at| &folder[..=at]);
    }
    format!("{folder}{}", reference.trim_start_matches("./"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    const LOW_LATENCY: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=12\n#EXT-X-PART-INF:PART-TARGET=0.5\n\
        #EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2.0,\ns7.mp4\n\
        #EXT-X-PART:DURATION=0.5,URI=\"p8.0.mp4\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"p8.1.mp4\"\n\
        #EXT-X-PART:DURATION=0.5,URI=\"p8.2.mp4\"\n#EXT-X-PART:DURATION=0.5,URI=\"p8.3.mp4\"\n#EXTINF:2.0,\ns8.mp4\n\
        #EXT-X-PART:DURATION=0.5,URI=\"a,b.mp4\",BYTERANGE=\"10@20\",INDEPENDENT=YES\n\
        #EXT-X-PART:DURATION=0.5,URI=\"a,b.mp4\",BYTERANGE=\"5\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p9.2.mp4\"\n";

    fn low_latency() -> MediaPlaylist {
        let Playlist::Media(list) = parse(LOW_LATENCY).unwrap() else { panic!("not media") };
        list
    }

    #[test]
    fn parts_and_segments_are_in_their_places() {
        let list = low_latency();
        let places: Vec<_> = list.entries.iter().map(|e| (e.at.segment, e.at.part, e.at.whole)).collect();
        let expected = [(7, 0, true), (8, 0, false), (8, 1, false), (8, 2, false), (8, 3, false)];
        assert_eq!(places[..5], expected);
        assert_eq!((list.next.segment, list.next.part), (9, 2));
        assert!(list.can_block && list.can_skip);
        let ranges: Vec<_> =
            list.entries[5..].iter().map(|entry| (entry.uri.as_str(), entry.range)).collect();
        assert_eq!(ranges, [("a,b.mp4", Some((20, 10))), ("a,b.mp4", Some((30, 5)))]);
    }

    #[test]
    fn a_player_starts_at_a_keyframe_behind_the_hold_back() {
        let mut list = low_latency();
        assert_eq!(list.start(false), Some(Position::part(8, 0)));
        assert_eq!(list.start(true), Some(Position::part(8, 3)), "audio starts anywhere");
        list.hold_back = 100.0;
        assert_eq!(list.start(false).map(|at| at.segment), Some(7));
    }

    #[test]
    fn a_delta_update_counts_what_it_skips() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n#EXTINF:2,\nx\n";
        let Playlist::Media(list) = parse(text).unwrap() else { panic!("not media") };
        assert!(list.delta);
        assert_eq!((list.entries[0].at.segment, list.next.segment), (15, 16));
    }

    #[test]
    fn a_multivariant_playlist_names_video_and_its_audio() {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",URI=\"audio.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\",AUDIO=\"a\"\nvideo.m3u8\n";
        let video = "video.m3u8".to_owned();
        assert_eq!(parse(text), Ok(Playlist::Multivariant { video, audio: Some("audio.m3u8".to_owned()) }));
    }

    #[test]
    fn references_resolve() {
        assert_eq!(resolve("/live/x/index.m3u8?a=1", "v/p.mp4?b=2"), "/live/x/v/p.mp4?b=2");
        assert_eq!(resolve("/live/x/i.m3u8", "/y"), "/y");
        assert_eq!(resolve("/live/x/i.m3u8", "../y"), "/live/y");
        assert_eq!(resolve("/i.m3u8", "../../y"), "/y");
        assert_eq!(resolve("/i", "http://h:1/a/b"), "/a/b");
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = Seeded(9);
        for _ in 0..3000 {
            let mut bytes = LOW_LATENCY.as_bytes().to_vec();
            for _ in 0..1 + random.below(12) {
                let at = random.below(bytes.len());
                bytes[at] = b"0=,\"\n:#9@-"[random.below(10)];
            }
            if let Ok(Playlist::Media(list)) = parse(&String::from_utf8_lossy(&bytes)) {
                let _ = (list.start(false), list.next.after());
            }
        }
    }
}
