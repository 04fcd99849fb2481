//! VP8 (RFC 7741) and VP9 (RFC 9628): a descriptor, then a piece of the frame.

use super::{Assembled, Damaged, UNIT_BYTES_MAX};
use bytes::{BufMut, Bytes, BytesMut};
use media::codec::{vp8, vp9};

/// Puts pieces of frames together. Of VP9 only the lowest spatial layer is kept, which decodes alone.
#[derive(Debug)]
pub(super) struct Assembler {
    format: Format,
    frame: BytesMut,
    /// Of the last keyframe.
    config: Bytes,
}

/// Whose descriptors they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Vp8,
    Vp9,
}

/// What a descriptor says of the piece behind it.
#[derive(Debug, PartialEq, Eq)]
struct Piece<'a> {
    /// Whether a frame begins with it.
    starts: bool,
    /// Whether it is of the lowest spatial layer.
    is_lowest: bool,
    body: &'a [u8],
}

impl Assembler {
    pub(super) fn new(format: Format) -> Assembler {
        Assembler { format, frame: BytesMut::new(), config: Bytes::new() }
    }

    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), Damaged> {
        let piece = match self.format {
            Format::Vp8 => vp8_piece(payload),
            Format::Vp9 => vp9_piece(payload),
        };
        let piece = piece.ok_or(Damaged)?;
        if !piece.is_lowest {
            return Ok(());
        }
        // The first piece of a frame, and only that, starts it.
        if piece.starts != self.frame.is_empty() || self.frame.len() + piece.body.len() > UNIT_BYTES_MAX {
            return Err(Damaged);
        }
        self.frame.put_slice(piece.body);
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<Option<Assembled>, Damaged> {
        if self.frame.is_empty() {
            return Ok(None);
        }
        let payload = Bytes::copy_from_slice(&self.frame);
        self.frame.clear();
        let keyframe = match self.format {
            Format::Vp8 if payload[0] & 1 == 0 => {
                vp8::size(&payload).map(|_| Bytes::new()).ok_or(Damaged).map(Some)?
            }
            Format::Vp8 => None,
            Format::Vp9 => vp9::record(&payload),
        };
        let is_keyframe = keyframe.is_some();
        self.config = keyframe.unwrap_or_else(|| self.config.clone());
        Ok(Some(Assembled { keyframe: is_keyframe, payload, config: self.config.clone() }))
    }

    pub(super) fn lost(&mut self) {
        self.frame.clear();
    }
}

/// RFC 7741 §4.2. `None` if it is cut short.
fn vp8_piece(payload: &[u8]) -> Option<Piece<'_>> {
    let (&first, mut rest) = payload.split_first()?;
    // X: an extension tells which fields follow.
    if first & 0x80 != 0 {
        let fields = take(&mut rest, 1)?[0];
        // I: a picture id of 7 or 15 bits. L: TL0PICIDX. T, K: a byte of both.
        if fields & 0x80 != 0 {
            skip_picture_id(&mut rest)?;
        }
        take(&mut rest, usize::from(fields & 0x40 != 0) + usize::from(fields & 0x30 != 0))?;
    }
    // S: begin of a partition; of the first one (PID is zero), so begins the frame.
    Some(Piece { starts: first & 0x17 == 0x10, is_lowest: true, body: rest })
}

/// RFC 9628 §4.2. `None` if it is cut short.
fn vp9_piece(payload: &[u8]) -> Option<Piece<'_>> {
    let (&first, mut rest) = payload.split_first()?;
    let [has_id, predicted, has_layers, is_flexible, starts, _, has_structure, _] =
        std::array::from_fn(|i| first >> (7 - i) & 1 == 1);
    if has_id {
        skip_picture_id(&mut rest)?;
    }
    let mut spatial = 0;
    if has_layers {
        spatial = take(&mut rest, 1)?[0] >> 1 & 7;
        if !is_flexible {
            take(&mut rest, 1)?;
        }
    }
    if is_flexible && predicted {
        // Up to three reference differences; the lowest bit tells of another.
        for i in 0.. {
            let another = take(&mut rest, 1)?[0] & 1 == 1;
            match (another, i) {
                (false, _) => break,
                (true, 2) => return None,
                (true, _) => {}
            }
        }
    }
    if has_structure {
        skip_structure(&mut rest)?;
    }
    Some(Piece { starts, is_lowest: spatial == 0, body: rest })
}

/// RFC 9628 §4.2.1.
fn skip_structure(rest: &mut &[u8]) -> Option<()> {
    let head = take(rest, 1)?[0];
    let layers = usize::from(head >> 5) + 1;
    // Y: width and height of each layer.
    if head & 0x10 != 0 {
        take(rest, 4 * layers)?;
    }
    // G: a group of pictures, with up to three reference differences each.
    if head & 0x08 != 0 {
        for _ in 0..take(rest, 1)?[0] {
            let references = take(rest, 1)?[0] >> 2 & 3;
            take(rest, usize::from(references))?;
        }
    }
    Some(())
}

/// Passes over a picture id of one or two bytes, as its highest bit tells.
fn skip_picture_id(rest: &mut &[u8]) -> Option<()> {
    let is_long = rest.first()? & 0x80 != 0;
    take(rest, 1 + usize::from(is_long)).map(|_| ())
}

/// The next bytes.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    rest.split_off(..count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_rfc_7741_are_read() {
        let check = |payload: &[u8], starts, body: &[u8]| {
            assert_eq!(vp8_piece(payload), Some(Piece { starts, is_lowest: true, body }), "{payload:02x?}");
        };
        // §4.6: a key frame in one packet, with a picture id of 7 bits; the same in two.
        check(&[0x90, 0x80, 0x11, 1, 2], true, &[1, 2]);
        check(&[0x80, 0x80, 0x11, 3], false, &[3]);
        // Without extension; the second partition; a frame that nothing refers to.
        check(&[0x10, 7], true, &[7]);
        check(&[0x11, 7], false, &[7]);
        check(&[0x30, 7], true, &[7]);
        // §4.6.4: picture id of 15 bits, TL0PICIDX, temporal layer and key index.
        check(&[0x90, 0xf0, 0x92, 0x34, 5, 0x81, 7], true, &[7]);
        check(&[0x90, 0x20, 0x40, 7], true, &[7]);
        check(&[0x90, 0x10, 0x1f, 7], true, &[7]);
        for cut in [&[][..], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80], &[0x90, 0xf0, 1, 5]] {
            assert_eq!(vp8_piece(cut), None, "{cut:02x?}");
        }
    }

    #[test]
    fn descriptors_of_rfc_9628_are_read() {
        let check = |payload: &[u8], starts, is_lowest, body: &[u8]| {
            assert_eq!(vp9_piece(payload), Some(Piece { starts, is_lowest, body }), "{payload:02x?}");
        };
        check(&[0x08, 7], true, true, &[7]);
        check(&[0x04, 7], false, true, &[7]);
        // Non-flexible: id of 15 bits, layers with TL0PICIDX, of spatial layer 0 and 1.
        check(&[0xac, 0x92, 0x34, 0x00, 5, 7], true, true, &[7]);
        check(&[0xac, 0x12, 0x22, 5, 7], true, false, &[7]);
        // Flexible: layers alone, one and three references.
        check(&[0xbc, 0x12, 0x00, 7], true, true, &[7]);
        check(&[0xfc, 0x12, 0x00, 0x02, 7], true, true, &[7]);
        check(&[0xfc, 0x12, 0x00, 0x03, 0x05, 0x06, 7], true, true, &[7]);
        assert_eq!(vp9_piece(&[0xfc, 0x12, 0x00, 0x03, 0x05, 0x07, 0x02, 7]), None, "four references");
        // A structure of two layers with sizes and a group of two pictures, and one with nothing.
        let structure = [0x38, 0, 160, 0, 90, 1, 64, 0, 180, 2, 0x04, 1, 0x28, 1, 2, 7];
        check(&[&[0x0a][..], &structure].concat(), true, true, &[7]);
        check(&[0x0a, 0x00, 7], true, true, &[7]);
        for cut in 0..structure.len() - 1 {
            assert_eq!(vp9_piece(&[&[0x0a][..], &structure[..cut]].concat()), None, "{cut}");
        }
    }

    #[test]
    fn upper_spatial_layers_are_left_out() {
        let keyframe = [0x82, 0x49, 0x83, 0x42, 0x20, 0x09, 0xf0, 0x05, 0x98, 0x00];
        let mut assembler = Assembler::new(Format::Vp9);
        assert_eq!(assembler.push(&[&[0x28, 0, 9][..], &keyframe].concat()), Ok(()));
        assert_eq!(assembler.push(&[0x28, 3, 9, 1, 2, 3]), Ok(()));
        let assembled = assembler.finish().unwrap().unwrap();
        assert_eq!((assembled.keyframe, &assembled.payload[..]), (true, &keyframe[..]));
        assert_eq!(assembler.push(&[0x28, 3, 9, 1, 2, 3]), Ok(()));
        assert_eq!(assembler.finish(), Ok(None), "a picture of upper layers alone is none");
    }

    #[test]
    fn pieces_without_begin_and_begins_within_are_damage() {
        for (format, start, later) in [(Format::Vp8, 0x10, 0x00), (Format::Vp9, 0x08, 0x00)] {
            let mut assembler = Assembler::new(format);
            assert_eq!(assembler.push(&[later, 1]), Err(Damaged));
            assert_eq!(assembler.push(&[start, 1]), Ok(()));
            assert_eq!(assembler.push(&[start, 1]), Err(Damaged));
            assembler.lost();
            assert_eq!(assembler.push(&[start, 1]), Ok(()));
        }
        let mut assembler = Assembler::new(Format::Vp8);
        assert_eq!(assembler.push(&[0x10, 0, 1]), Ok(()));
        assert_eq!(assembler.finish(), Err(Damaged), "a VP8 keyframe that is none");
    }
}
