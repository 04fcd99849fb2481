//! An FLV file, as it comes, to tags.

use super::TagType;
use crate::Error;
use bytes::{Buf, Bytes, BytesMut};

/// One tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it carries.
    pub tag: TagType,
    /// Milliseconds, wrapping at 32 bits.
    pub timestamp_ms: u32,
    /// The tag body.
    pub body: Bytes,
}

/// Cuts a file that comes in pieces of any size into tags. At most one tag is kept, [`TAG_BYTES_MAX`].
#[derive(Debug, Default)]
pub struct TagReader {
    bytes: BytesMut,
    /// Bytes to be thrown away before the next tag.
    skip: usize,
    started: bool,
}

/// Longest tag body that is taken in; one picture at 100 Mbit/s and 2 frames a second has less.
pub const TAG_BYTES_MAX: usize = 8 << 20;
/// Bytes of a tag before its body. FLV §E.4.1.
const HEAD_BYTES: usize = 11;
/// Bytes of PreviousTagSize. FLV §E.3.
const SIZE_BYTES: usize = 4;
/// Bytes of the file header, and the most that it may claim to have. FLV §E.2.
const FILE_HEAD_BYTES: usize = 9;
const FILE_HEAD_BYTES_MAX: usize = 1024;
/// Set for encrypted tags. FLV §E.4.1.
const FILTER: u8 = 0x20;

impl TagReader {
    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole tag, if it is here. Tags of unknown types are left out.
    ///
    /// # Errors
    /// When it isn't FLV, or a tag is encrypted or too long.
    pub fn tag(&mut self) -> Result<Option<Tag>, Error> {
        loop {
            let skipped = self.skip.min(self.bytes.len());
            self.bytes.advance(skipped);
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(None);
            }
            if !self.started {
                let Some(head) = self.bytes.get(..FILE_HEAD_BYTES) else { return Ok(None) };
                let length = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize;
                if !head.starts_with(b"FLV") || !(FILE_HEAD_BYTES..=FILE_HEAD_BYTES_MAX).contains(&length) {
                    return Err(Error::NotFlv);
                }
                self.started = true;
                self.skip = length + SIZE_BYTES;
                continue;
            }
            let Some(head) = self.bytes.get(..HEAD_BYTES) else { return Ok(None) };
            let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let timestamp_ms = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
            let kind = head[0];
            if kind & FILTER != 0 {
                return Err(Error::Encrypted);
            }
            if length > TAG_BYTES_MAX {
                return Err(Error::TagTooLong(length));
            }
            if self.bytes.len() < HEAD_BYTES + length {
                self.bytes.reserve(HEAD_BYTES + length + SIZE_BYTES - self.bytes.len());
                return Ok(None);
            }
            self.bytes.advance(HEAD_BYTES);
            let body = self.bytes.split_to(length).freeze();
            self.skip = SIZE_BYTES;
            let tag = match kind {
                8 => TagType::Audio,
                9 => TagType::Video,
                18 => TagType::Script,
                _ => continue,
            };
            return Ok(Some(Tag { tag, timestamp_ms, body }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{TagBody, file_header, write_tag};
    use super::*;
    use testkit::Random;

    fn file() -> (Vec<u8>, Vec<Tag>) {
        let mut out = BytesMut::from(&file_header(true, true)[..]);
        let bodies = [
            TagBody::new(TagType::Script, 0, b"\x02", Bytes::from_static(b"meta")),
            TagBody::new(TagType::Video, 0xff12_3456, &[0x17, 1, 0, 0, 0], vec![5; 70_000].into()),
            TagBody::new(TagType::Audio, 7, &[0xaf, 1], Bytes::from_static(b"a")),
        ];
        bodies.iter().for_each(|body| write_tag(&mut out, body));
        let tags =
            bodies.iter().map(|b| Tag { tag: b.tag, timestamp_ms: b.timestamp_ms, body: b.to_bytes() });
        (out.to_vec(), tags.collect())
    }

    fn read(bytes: &[u8], step: usize) -> Result<Vec<Tag>, Error> {
        let (mut reader, mut tags) = (TagReader::default(), Vec::new());
        for piece in bytes.chunks(step) {
            reader.push(piece);
            while let Some(tag) = reader.tag()? {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    #[test]
    fn what_is_written_is_read_whatever_the_sizes_of_its_pieces() {
        let (bytes, tags) = file();
        for step in [1, 7, 1460, 1 << 20] {
            assert_eq!(read(&bytes, step).as_ref(), Ok(&tags), "{step}");
        }
    }

    #[test]
    fn what_is_no_flv_is_refused() {
        assert_eq!(read(b"<!DOCTYPE html>", 4), Err(Error::NotFlv));
        assert_eq!(read(b"FLV\x01\x05\xff\xff\xff\xff", 9), Err(Error::NotFlv));
        let with = |tag: &[u8]| [&file_header(true, true)[..], tag].concat();
        let long = with(&[9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&long, 100), Err(Error::TagTooLong(0xff_ffff)));
        assert_eq!(read(&with(&[0x29, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 100), Err(Error::Encrypted));
    }

    #[test]
    fn fuzz_tags() {
        let mut random = Random::seeded(9);
        let (bytes, _) = file();
        for _ in 0..3000 {
            // Errors are fine, panics and endless memory are not.
            let _ = read(&random.mutate(&bytes[..200]), 50);
        }
    }
}
