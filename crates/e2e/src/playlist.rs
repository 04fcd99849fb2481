//! Media playlists as far as tests compare them. Strict parsers read the same playlists elsewhere.

use anyhow::{Context, Result, ensure};
use std::time::Duration;

/// A media playlist.
#[derive(Clone, Debug, Default)]
pub struct Playlist {
    /// Media sequence number of the first segment.
    pub first_msn: u64,
    /// Complete segments.
    pub segments: Vec<Segment>,
    /// Parts of the segment that grows.
    pub growing: Vec<Part>,
    /// `#EXT-X-DISCONTINUITY` before the segment that grows.
    pub growing_discontinuity: bool,
    /// The part that is announced.
    pub hint: Option<String>,
    /// `#EXT-X-ENDLIST`.
    pub ended: bool,
}

/// A complete segment.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its media sequence number.
    pub msn: u64,
    /// Its name.
    pub uri: String,
    /// `#EXTINF`.
    pub duration: Duration,
    /// `#EXT-X-DISCONTINUITY` before it.
    pub discontinuity: bool,
    /// `#EXT-X-PROGRAM-DATE-TIME` as it is.
    pub date: Option<String>,
    /// The init segment in force.
    pub init: Option<String>,
    /// Its parts, if listed.
    pub parts: Vec<Part>,
}

/// A part.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name.
    pub uri: String,
    /// Its duration.
    pub duration: Duration,
    /// `INDEPENDENT=YES`.
    pub independent: bool,
}

impl Playlist {
    /// Reads a playlist without delta updates.
    ///
    /// # Errors
    /// When a line that matters can't be read.
    pub fn parse(text: &str) -> Result<Playlist> {
        ensure!(text.starts_with("#EXTM3U\n"), "no playlist: {text:?}");
        let mut list = Playlist::default();
        let (mut duration, mut date, mut init) = (None, None, None);
        for line in text.lines() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-MEDIA-SEQUENCE" => list.first_msn = value.parse().context(line.to_owned())?,
                "#EXT-X-DISCONTINUITY" => list.growing_discontinuity = true,
                "#EXT-X-PROGRAM-DATE-TIME" => date = Some(value.to_owned()),
                "#EXT-X-MAP" => init = Some(attribute(value, "URI").context(line.to_owned())?),
                "#EXT-X-PART" => list.growing.push(Part::parse(value).context(line.to_owned())?),
                "#EXT-X-PRELOAD-HINT" => list.hint = attribute(value, "URI"),
                "#EXTINF" => duration = Some(seconds(value.trim_end_matches(',')).context(line.to_owned())?),
                "#EXT-X-ENDLIST" => list.ended = true,
                _ if !line.starts_with('#') && !line.is_empty() => list.segments.push(Segment {
                    msn: list.first_msn + list.segments.len() as u64,
                    uri: line.to_owned(),
                    duration: duration.take().with_context(|| format!("no duration of {line}"))?,
                    discontinuity: std::mem::take(&mut list.growing_discontinuity),
                    date: date.take(),
                    init: init.clone(),
                    parts: std::mem::take(&mut list.growing),
                }),
                _ => {}
            }
        }
        Ok(list)
    }

    /// The media sequence number that grows or comes next.
    pub fn next_msn(&self) -> u64 {
        self.first_msn + self.segments.len() as u64
    }
}

impl Part {
    fn parse(value: &str) -> Option<Part> {
        Some(Part {
            uri: attribute(value, "URI")?,
            duration: seconds(&attribute(value, "DURATION")?).ok()?,
            independent: attribute(value, "INDEPENDENT").as_deref() == Some("YES"),
        })
    }
}

/// An attribute without its quotes. RFC 8216 §4.2.
pub fn attribute(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        if key == name {
            return Some(value.to_owned());
        }
        rest = after.trim_start_matches(',');
    }
    None
}

fn seconds(text: &str) -> Result<Duration> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}
