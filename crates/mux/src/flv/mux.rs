//! Frames to tag bodies.

use super::fourcc::fourcc;
use super::script::write_metadata;
use super::{TagBody, TagType};
use bytes::{Bytes, BytesMut};
use media::{Codec, Frame, Kind, Track};

/// Packet types of enhanced RTMP.
pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
pub(super) const CODED_FRAMES_X: u8 = 3;
/// First byte of an enhanced audio body: sound format 9, packet type below.
pub(super) const EX_AUDIO: u8 = 0x90;
/// Set in the first byte of an enhanced video body.
pub(super) const EX_VIDEO: u8 = 0x80;
/// Frame types. FLV §E.4.3.1.
const KEY: u8 = 1;
const INTER: u8 = 2;

/// `onMetaData` for these tracks.
pub fn metadata(tracks: &[Track], encoder: &str) -> TagBody {
    let mut numbers = Vec::new();
    for track in tracks {
        match track.kind {
            Kind::Video => {
                if let Some((width, height)) = track.video_size() {
                    numbers.extend([("width", f64::from(width)), ("height", f64::from(height))]);
                }
                numbers.push(("videocodecid", codec_number(track.codec)));
            }
            Kind::Audio => {
                let format = track.audio_format();
                numbers.extend([
                    ("audiocodecid", codec_number(track.codec)),
                    ("audiosamplerate", f64::from(format.sample_rate)),
                    ("audiochannels", f64::from(format.channels)),
                ]);
            }
        }
    }
    let mut body = BytesMut::new();
    write_metadata(&mut body, &numbers, encoder);
    TagBody::new(TagType::Script, 0, &[], body.freeze())
}

/// The legacy number, or the FourCC as a number, as enhanced RTMP asks for.
fn codec_number(codec: Codec) -> f64 {
    match codec {
        Codec::H264 => 7.0,
        Codec::Aac => 10.0,
        Codec::Mp3 => 2.0,
        other => f64::from(u32::from_be_bytes(fourcc(other).unwrap_or_default())),
    }
}

/// The body that carries a track's decoder configuration at a time in milliseconds; `None` if its codec needs none or
/// FLV can't carry it.
pub fn sequence_header(track: &Track, at_ms: u32) -> Option<TagBody> {
    let config = || track.config.clone();
    Some(match track.codec {
        Codec::H264 => TagBody::new(TagType::Video, at_ms, &[KEY << 4 | 7, 0, 0, 0, 0], config()),
        Codec::Aac => TagBody::new(TagType::Audio, at_ms, &[0xaf, 0], config()),
        Codec::Mp3 | Codec::Vp8 => return None,
        Codec::Opus => {
            TagBody::new(TagType::Audio, at_ms, &named(EX_AUDIO | SEQUENCE_START, track)?, config())
        }
        Codec::H265 | Codec::Av1 | Codec::Vp9 => TagBody::new(
            TagType::Video,
            at_ms,
            &named(EX_VIDEO | KEY << 4 | SEQUENCE_START, track)?,
            config(),
        ),
    })
}

/// The body that carries a frame; `None` if FLV can't carry the codec.
pub fn frame(track: &Track, frame: &Frame) -> Option<TagBody> {
    // FLV time wraps at 32 bits, as RTMP time does.
    let time = frame.dts.as_millis() as u32;
    let kind = if frame.keyframe { KEY } else { INTER };
    let offset = composition_offset(frame);
    let payload: Bytes = frame.payload.clone();
    let body = |tag, head: &[u8]| Some(TagBody::new(tag, time, head, payload.clone()));
    match track.codec {
        Codec::H264 => body(TagType::Video, &[kind << 4 | 7, 1, offset[0], offset[1], offset[2]]),
        Codec::Aac => body(TagType::Audio, &[0xaf, 1]),
        Codec::Mp3 => body(TagType::Audio, &[0x2f]),
        Codec::Opus => body(TagType::Audio, &named(EX_AUDIO | CODED_FRAMES, track)?),
        Codec::H265 if offset == [0; 3] => {
            body(TagType::Video, &named(EX_VIDEO | kind << 4 | CODED_FRAMES_X, track)?)
        }
        Codec::H265 => {
            let n = named(EX_VIDEO | kind << 4 | CODED_FRAMES, track)?;
            body(TagType::Video, &[n[0], n[1], n[2], n[3], n[4], offset[0], offset[1], offset[2]])
        }
        Codec::Av1 | Codec::Vp9 => body(TagType::Video, &named(EX_VIDEO | kind << 4 | CODED_FRAMES, track)?),
        Codec::Vp8 => None,
    }
}

fn named(first: u8, track: &Track) -> Option<[u8; 5]> {
    let [a, b, c, d] = fourcc(track.codec)?;
    Some([first, a, b, c, d])
}

/// Milliseconds from decoding to showing, as a signed 24-bit number.
fn composition_offset(frame: &Frame) -> [u8; 3] {
    let offset = frame.pts.as_millis() - frame.dts.as_millis();
    let bytes = (offset.clamp(-0x80_0000, 0x7f_ffff) as i32).to_be_bytes();
    [bytes[1], bytes[2], bytes[3]]
}
