//! Script tags: `onMetaData` as far as a server needs it.

use bytes::{BufMut, BytesMut};

/// What a publisher says of its broadcast. Every field may be missing, wrong or late.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Whether a video codec is named.
    pub has_video: bool,
    /// Whether an audio codec is named.
    pub has_audio: bool,
    /// Width in pixels.
    pub width: Option<f64>,
    /// Height in pixels.
    pub height: Option<f64>,
    /// Frames a second.
    pub framerate: Option<f64>,
    /// The publishing program.
    pub encoder: Option<String>,
}

/// Members of one script object that are looked at.
const MEMBERS_MAX: usize = 256;

impl Metadata {
    /// Reads the body of a script tag; `None` if it isn't `onMetaData`.
    ///
    /// Reading stops at the first member that is no number, boolean or string; what came before counts.
    pub fn parse(body: &[u8]) -> Option<Metadata> {
        let mut rest = body;
        if take(&mut rest, 1)? != [2] || text(&mut rest)? != b"onMetaData" {
            return None;
        }
        match take(&mut rest, 1)? {
            [8] => take(&mut rest, 4).map(|_| ())?,
            [3] => {}
            _ => return None,
        }
        let mut metadata = Metadata::default();
        for _ in 0..MEMBERS_MAX {
            if metadata.member(&mut rest).is_none() {
                break;
            }
        }
        Some(metadata)
    }

    fn member(&mut self, rest: &mut &[u8]) -> Option<()> {
        let name = text(rest)?;
        match take(rest, 1)? {
            [0] => {
                let number = f64::from_be_bytes(take(rest, 8)?.try_into().ok()?);
                match name {
                    b"width" => self.width = Some(number),
                    b"height" => self.height = Some(number),
                    b"framerate" => self.framerate = Some(number),
                    // Number or FourCC text: both only tell that the track exists.
                    b"videocodecid" => self.has_video = number != 0.0,
                    b"audiocodecid" => self.has_audio = number != 0.0,
                    _ => {}
                }
            }
            [1] => {
                take(rest, 1)?;
            }
            [2] => {
                let value = text(rest)?;
                match name {
                    b"encoder" => self.encoder = Some(String::from_utf8_lossy(value).into_owned()),
                    b"videocodecid" => self.has_video = !value.is_empty(),
                    b"audiocodecid" => self.has_audio = !value.is_empty(),
                    _ => {}
                }
            }
            _ => return None,
        }
        Some(())
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (now, later) = rest.split_at_checked(count)?;
    *rest = later;
    Some(now)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take(rest, 2)?;
    take(rest, usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// Appends `onMetaData` with these numbers.
pub(super) fn write_metadata(out: &mut BytesMut, numbers: &[(&str, f64)], encoder: &str) {
    put_text(out, Some(2), "onMetaData");
    out.put_u8(8);
    out.put_u32(numbers.len() as u32 + 1);
    for (name, number) in numbers {
        put_text(out, None, name);
        out.put_u8(0);
        out.put_f64(*number);
    }
    put_text(out, None, "encoder");
    put_text(out, Some(2), encoder);
    out.put_slice(&[0, 0, 9]);
}

fn put_text(out: &mut BytesMut, marker: Option<u8>, text: &str) {
    if let Some(marker) = marker {
        out.put_u8(marker);
    }
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}
