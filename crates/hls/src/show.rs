//! A broadcast that tests package.

use crate::{Answer, Config, Packager, Request, Role, Snapshot};
use bytes::Bytes;
use media::{Codec, Frame, Timestamp, Track, TrackId};
use quick_m3u8::config::ParsingOptions;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// 640x360, Main.
pub(crate) const AVCC: &[u8] = &[1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, 2, 0x67, 0x4d, 1, 0, 2, 0x68, 0xeb];

pub(crate) fn video() -> Track {
    Track::new(TrackId::VIDEO, Codec::H264, Bytes::from_static(AVCC))
}

pub(crate) fn audio() -> Track {
    Track::new(TrackId::AUDIO, Codec::Aac, Bytes::from_static(&[0x11, 0x90]))
}

/// A broadcast of `fps` frames a second with a keyframe every `group` of them, and sound.
pub(crate) struct Show {
    pub(crate) packager: Packager,
    pub(crate) fps: i64,
    pub(crate) group: i64,
    pub(crate) next_video: i64,
    pub(crate) next_audio: i64,
    pub(crate) snapshots: Vec<Arc<Snapshot>>,
    /// What was before comes all at once then, in seconds; later frames come when they are made.
    pub(crate) joined_at: i64,
}

impl Show {
    pub(crate) fn new(fps: i64, group: i64) -> Show {
        Show::of(&[video(), audio()], fps, group)
    }

    /// The same of these tracks, of which one may be missing.
    pub(crate) fn of(tracks: &[Track], fps: i64, group: i64) -> Show {
        let mut packager = Packager::new(Config::default());
        packager.tracks(tracks);
        Show { packager, fps, group, next_video: 0, next_audio: 0, snapshots: Vec::new(), joined_at: 0 }
    }

    /// Goes on until the video has the time `until`, in seconds; keeps every snapshot.
    pub(crate) fn play(mut self, until: i64) -> Show {
        loop {
            // Times have milliseconds, as RTMP gives them.
            let video_at = Timestamp::from_millis(self.next_video * 1000 / self.fps);
            let audio_at = Timestamp::from_millis(self.next_audio * 1024 * 1000 / 48_000);
            let seen_ms = video_at.min(audio_at).as_millis().max(self.joined_at * 1000);
            let wall = UNIX_EPOCH + Duration::from_millis(1_795_392_000_000 + seen_ms as u64);
            if video_at.as_millis() >= until * 1000 {
                return self;
            }
            let news = if audio_at < video_at {
                self.next_audio += 1;
                let payload = Bytes::from_static(&[7; 100]);
                let frame = Frame { dts: audio_at, pts: audio_at, keyframe: true, payload };
                self.packager.frame(TrackId::AUDIO, &frame, wall)
            } else {
                let keyframe = self.next_video % self.group == 0;
                self.next_video += 1;
                let payload = picture(keyframe);
                self.packager.frame(
                    TrackId::VIDEO,
                    &Frame { dts: video_at, pts: video_at, keyframe, payload },
                    wall,
                )
            };
            if news {
                self.snapshots.push(self.packager.snapshot());
            }
        }
    }
}

/// An access unit of one slice.
fn picture(keyframe: bool) -> Bytes {
    let length: u32 = if keyframe { 5000 } else { 900 };
    let mut payload = length.to_be_bytes().to_vec();
    payload.push(if keyframe { 0x65 } else { 0x41 });
    payload.resize(4 + length as usize, 3);
    payload.into()
}

pub(crate) fn playlist(snapshot: &Snapshot, role: Role, skip: bool) -> String {
    match snapshot.answer(&Request::Playlist { role, block: None, skip }) {
        Answer::Playlist { text, .. } => String::from_utf8(text.plain.to_vec()).unwrap(),
        other => panic!("no playlist: {other:?}"),
    }
}

/// Fails at a line that a strict parser doesn't know, and at durations beyond what is announced.
pub(crate) fn check_playlist(text: &str) {
    let mut reader = quick_m3u8::Reader::from_str(text, ParsingOptions::default());
    while let Some(line) = reader.read_line().expect("a playlist that parses") {
        assert!(!format!("{line:?}").contains("Unknown"), "{line:?}");
    }
    let number = |line: &str| line.split([',', '\n']).next().unwrap().parse::<f64>().unwrap();
    let all = |tag: &str| text.split(tag).skip(1).map(number).collect::<Vec<f64>>();
    let first = |tag: &str| all(tag).first().copied();
    if let Some(target) = first("#EXT-X-TARGETDURATION:") {
        assert!(all("#EXTINF:").iter().all(|d| d.round() <= target), "{text}");
    }
    if let Some(part_target) = first("#EXT-X-PART-INF:PART-TARGET=") {
        assert!(all("#EXT-X-PART:DURATION=").iter().all(|d| *d <= part_target), "{text}");
        assert!(first("PART-HOLD-BACK=").unwrap() >= 3.0 * part_target - 1e-9, "{text}");
        assert!(part_target <= first("#EXT-X-TARGETDURATION:").unwrap(), "{text}");
    }
}

/// Checks every playlist that a snapshot has; how many there are.
pub(crate) fn check_snapshot(snapshot: &Snapshot) -> usize {
    let list = |role, skip| Request::Playlist { role, block: None, skip };
    let requests = [
        Request::Multivariant,
        list(Role::Video, false),
        list(Role::Video, true),
        list(Role::Audio, false),
        list(Role::Audio, true),
        Request::TsPlaylist,
    ];
    let answers = requests.iter().map(|request| snapshot.answer(request));
    let texts = answers.filter_map(|answer| match answer {
        Answer::Playlist { text, .. } => Some(text),
        _ => None,
    });
    texts.map(|text| check_playlist(std::str::from_utf8(&text.plain).unwrap())).count()
}
