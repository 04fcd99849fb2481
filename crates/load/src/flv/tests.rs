use super::*;
use crate::testing::Seeded;

/// A clip of H.264-like and AAC-like tags: 25 frames a second, a keyframe each `group` frames.
pub(crate) fn tiny_clip(frames: u32, group: u32) -> Vec<u8> {
    let mut out = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    write_tag(VIDEO, 0, &[0x17, 0, 0, 0, 0, 1, 100, 0, 31, 0xff, 0xe1, 0, 0, 1, 0, 0], &mut out);
    write_tag(AUDIO, 0, &[0xaf, 0, 0x11, 0x90], &mut out);
    for index in 0..frames {
        let key = index % group == 0;
        let payload = vec![index as u8; if key { 900 } else { 200 }];
        let mut body = vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
        body.extend_from_slice(&(payload.len() as u32 + 1).to_be_bytes());
        body.push(if key { 0x65 } else { 0x41 });
        body.extend_from_slice(&payload);
        write_tag(VIDEO, index * 40, &body, &mut out);
        write_tag(AUDIO, index * 40, &[0xaf, 1, 1, 2, 3], &mut out);
    }
    out
}

#[test]
fn a_clip_knows_its_length_and_its_headers() {
    let clip = Clip::parse(&tiny_clip(50, 25)).unwrap();
    assert_eq!((clip.frames.len(), clip.headers.len(), clip.span_ms), (100, 2, 2000));
    assert_eq!(clip.frames.iter().filter(|frame| frame.is_keyframe()).count(), 2);
    assert_eq!(clip.nal_length_size, Some(4));
    let again = Clip::parse(&clip.preamble());
    assert!(again.is_err(), "a preamble has no frames");
}

#[test]
fn a_file_that_is_not_flv_is_refused_and_a_cut_one_is_not() {
    assert!(Clip::parse(b"RIFFxxxxWAVE").is_err());
    assert!(Clip::parse(b"").is_err());
    let whole = tiny_clip(10, 5);
    let cut = Clip::parse(&whole[..whole.len() - 3]).unwrap();
    assert_eq!(cut.frames.len(), 20, "only the back pointer is missing");
    assert_eq!(Clip::parse(&whole[..whole.len() - 7]).unwrap().frames.len(), 19);
}

#[test]
fn the_scanner_finds_the_same_tags_however_the_bytes_are_cut() {
    let bytes = tiny_clip(20, 5);
    let whole = scan(&bytes, usize::MAX, 64);
    let mut random = Seeded(7);
    for _ in 0..200 {
        let step = 1 + random.below(300);
        assert_eq!(scan(&bytes, step, 64), whole);
    }
}

#[test]
fn a_keyframe_is_announced_at_its_first_bytes() {
    let bytes = tiny_clip(1, 1);
    let at = bytes.windows(5).position(|w| w == [0x17, 1, 0, 0, 0]).unwrap();
    let mut scanner = TagScanner::new(2);
    let mut rest = &bytes[..at + 2];
    let mut key = false;
    while let Some(found) = scanner.next(&mut rest) {
        key |= matches!(found.unwrap(), Scanned::Begun(start) if start.keyframe);
    }
    assert!(key);
}

#[test]
fn garbage_never_panics_and_keeps_little() {
    let mut random = Seeded(11);
    for _ in 0..3000 {
        let mut bytes = tiny_clip(3, 1);
        for _ in 0..1 + random.below(20) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        let mut scanner = TagScanner::new(64);
        let mut rest = &bytes[..];
        while let Some(Ok(_)) = scanner.next(&mut rest) {}
        assert!(scanner.body.len() <= 64 && scanner.fixed.len() <= FILE_HEADER_BYTES);
        let _ = Clip::parse(&bytes);
    }
}

#[test]
fn extended_headers_are_understood() {
    let hevc_key = Start::parse(VIDEO, &[0x90 | 1, b'h']).unwrap();
    assert!(hevc_key.keyframe && hevc_key.frame);
    let hevc_start = Start::parse(VIDEO, &[0x90, b'h']).unwrap();
    assert!(hevc_start.configuration && !hevc_start.frame);
    assert!(Start::parse(AUDIO, &[0x91, b'O']).unwrap().frame);
}

fn scan(bytes: &[u8], step: usize, keep: usize) -> Vec<Tag> {
    let mut scanner = TagScanner::new(keep);
    let mut tags = vec![];
    for piece in bytes.chunks(step.min(bytes.len())) {
        let mut rest = piece;
        while let Some(found) = scanner.next(&mut rest) {
            if let Scanned::Whole(tag) = found.unwrap() {
                tags.push(tag);
            }
        }
    }
    tags
}
