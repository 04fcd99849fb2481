//! An HTTP-FLV viewer's bytes.

use super::{MediaWatch, STAMP_WITHIN_BYTES, Seen};
use crate::flv::{Scanned, TagScanner, VIDEO};
use crate::http::{BodyEnd, Chunks, HeadReader};
use crate::stamp;

/// Reads the answer's head, then tags.
#[derive(Debug)]
pub(crate) struct FlvViewer {
    state: State,
    tags: Tags,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Plain,
    Chunked(Chunks),
}

impl FlvViewer {
    pub(super) fn new(probe: bool) -> Self {
        Self { state: State::Head(HeadReader::default()), tags: Tags::new(probe) }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) -> Result<(), String> {
        let mut rest = bytes;
        if let State::Head(reader) = &mut self.state {
            let Some(head) = reader.read(&mut rest)? else { return Ok(()) };
            match (head.status, head.location) {
                (200, _) => {}
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    seen.push(Seen::Redirect(location));
                    return Ok(());
                }
                _ => return Err(format!("HTTP {}", head.status_text)),
            }
            self.state =
                if head.body == BodyEnd::Chunked { State::Chunked(Chunks::default()) } else { State::Plain };
        }
        let State::Chunked(chunks) = &mut self.state else { return self.tags.feed(rest, seen) };
        while let Some(data) = chunks.next(&mut rest)? {
            self.tags.feed(data, seen)?;
        }
        if chunks.is_done() { Err(ENDED.to_owned()) } else { Ok(()) }
    }
}

/// Looks at FLV tags as they come.
#[derive(Debug)]
pub(super) struct Tags {
    scanner: TagScanner,
    media: MediaWatch,
    probe: bool,
}

impl Tags {
    pub(super) fn new(probe: bool) -> Self {
        let keep = if probe { STAMP_WITHIN_BYTES } else { 2 };
        Self { scanner: TagScanner::new(keep), media: MediaWatch::default(), probe }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], seen: &mut Vec<Seen>) -> Result<(), String> {
        let mut rest = bytes;
        while let Some(found) = self.scanner.next(&mut rest) {
            match found.map_err(|error| error.to_string())? {
                Scanned::Begun(start) => {
                    if self.media.begins(start) {
                        seen.push(Seen::Media);
                    }
                }
                Scanned::Whole(tag) if self.probe && tag.is_frame() => seen.push(Seen::Frame {
                    video: tag.kind == VIDEO,
                    timestamp: tag.timestamp,
                    stamp: stamp::find(&tag.body).map(|(sent, _)| sent),
                }),
                Scanned::Whole(_) => {}
            }
        }
        Ok(())
    }
}

/// The broadcast's orderly end.
pub(super) const ENDED: &str = "ended by the server";
