use super::annex_b;
use super::*;
use crate::flv::{self, VIDEO};
use crate::stamp;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

/// The decoder configuration that x264 writes for 640x360, Main.
const AVCC: [u8; 40] = [
    0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc,
    0xb8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00,
    0x05, 0x68, 0xeb, 0xe3, 0xcb, 0x20,
];

/// Two pictures, a keyframe and one that is shown so many ms after it is decoded.
fn clip(shown_later_ms: u8) -> Clip {
    let mut bytes = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    flv::write_tag(VIDEO, 0, &[&[0x17, 0, 0, 0, 0][..], &AVCC[..]].concat(), &mut bytes);
    flv::write_tag(VIDEO, 0, &[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0xaa], &mut bytes);
    flv::write_tag(VIDEO, 40, &[0x27, 1, 0, 0, shown_later_ms, 0, 0, 0, 2, 0x41, 0xbb], &mut bytes);
    Clip::parse(&bytes).unwrap()
}

#[test]
fn a_keyframe_brings_its_parameter_sets_and_every_picture_its_stamp() {
    let clip = clip(0);
    let sets = annex_b::parameter_sets(&clip).unwrap();
    let pictures: Vec<_> = clip.frames.iter().map(|tag| annex_b::picture(tag, &sets, Some(77))).collect();
    let kinds = |picture: &[u8]| -> Vec<u8> {
        let starts = picture.windows(4).enumerate().filter(|(_, window)| *window == [0, 0, 0, 1]);
        starts.map(|(at, _)| picture[at + 4] & 0x1f).collect()
    };
    assert_eq!(kinds(&pictures[0]), [7, 8, 6, 5]);
    assert_eq!(kinds(&pictures[1]), [6, 1]);
    assert!(pictures.iter().all(|picture| stamp::find(picture).is_some_and(|(sent, _)| sent == 77)));
    assert_eq!(annex_b::picture(&clip.frames[1], &sets, None), [0, 0, 0, 1, 0x41, 0xbb]);
}

#[test]
fn a_clip_that_webrtc_cannot_carry_is_refused_with_what_to_do() {
    let refused = annex_b::parameter_sets(&clip(40)).unwrap_err().to_string();
    assert!(refused.contains("-bf 0"), "{refused}");
    let pictures_alone = Clip { headers: vec![], ..clip(0) };
    assert!(annex_b::parameter_sets(&pictures_alone).is_err());
}

#[test]
fn a_place_goes_round_and_the_timeline_goes_on() {
    let (clip, mut place) = (clip(0), Place::default());
    let due: Vec<_> = std::iter::from_fn(|| place.due(&clip, 130)).collect();
    assert_eq!(due, [(0, 0), (1, 40), (0, 80), (1, 120)]);
}

#[test]
fn a_refused_offer_is_counted_with_its_reason() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/live/x{{i}}/whip?key=k", server.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let mut asked = String::new();
        for _ in 0..2 {
            let mut stream = server.accept().unwrap().0;
            let mut buffer = [0; 16 << 10];
            let count = stream.read(&mut buffer).unwrap();
            asked.push_str(&String::from_utf8_lossy(&buffer[..count]));
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        asked
    });
    let clip = clip(0);
    let plan = PublishPlan {
        target: Target::parse(&url).unwrap(),
        whip: Some(WhipSource::of([(Path::new("x.flv"), &clip)]).unwrap()),
        clip,
        lower: vec![],
        publishers: 2,
        ramp: 1000.0,
        stamp: true,
        sources: 1,
        deadline: None,
    };
    let published = publish(&plan, &AtomicBool::new(false), true).unwrap();
    assert_eq!(published.lost.get("HTTP 403 Forbidden"), Some(&2), "{published:?}");
    assert_eq!((published.accepted, published.publishing), (0, 0));
    let asked = answering.join().unwrap();
    assert!(
        asked.contains("POST /live/x0/whip?key=k ") && asked.contains("POST /live/x1/whip?key=k "),
        "{asked}"
    );
    assert!(
        asked.contains("a=sendonly") && asked.contains("H264/90000") && asked.contains("opus/48000/2"),
        "{asked}"
    );
}
