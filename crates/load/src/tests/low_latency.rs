//! HLS viewers against a scripted origin: parts of 100 ms on a wall clock, blocking reloads, video and audio apart. The
//! origin is scripted so that it can be late and early on purpose.

use super::{audience, view};
use crate::stamp;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const PART: Duration = Duration::from_millis(100);
const PARTS_PER_SEGMENT: u32 = 5;

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Answers blocking requests when the part is there.
    Punctual,
    /// Every fourth connection hears of a part 80 ms after it is there.
    Late,
    /// Never blocks, though it says so.
    Early,
    /// Whole segments only, no blocking; and closes after each answer.
    Plain,
}

fn origin(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/live/x/index.m3u8?token=t", listener.local_addr().unwrap());
    let began = Instant::now() - Duration::from_secs(4);
    std::thread::spawn(move || {
        for (index, stream) in listener.incoming().enumerate() {
            let late = manner == Manner::Late && index % 4 == 3;
            std::thread::spawn(move || serve(&stream.unwrap(), manner, late, began));
        }
    });
    url
}

fn serve(stream: &TcpStream, manner: Manner, late: bool, began: Instant) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.by_ref().take(4096).read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let path = head.split(' ').nth(1).unwrap();
        let body = answer(path, manner, late, began);
        let (status, body) = body.map_or(("404 Not Found", vec![]), |body| ("200 OK", body));
        let close = if manner == Manner::Plain { "Connection: close\r\n" } else { "" };
        let mut out =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{close}\r\n", body.len()).into_bytes();
        out.extend(body);
        if (&*stream).write_all(&out).is_err() || manner == Manner::Plain {
            return;
        }
    }
}

fn answer(path: &str, manner: Manner, late: bool, began: Instant) -> Option<Vec<u8>> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let number = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.parse::<u32>().ok());
    if path.ends_with("index.m3u8") {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",URI=\"audio.m3u8\"\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nvideo.m3u8?token=t\n";
        return Some(text.into());
    }
    if path.ends_with(".m3u8") {
        assert!(
            path.contains("audio") || query.contains("token=t"),
            "the query of the variant is lost: {path}"
        );
        if let (Some(segment), true) = (number("_HLS_msn="), manner != Manner::Early) {
            let wanted = segment * PARTS_PER_SEGMENT + number("_HLS_part=").unwrap_or(0) + 1;
            let extra = if late { Duration::from_millis(80) } else { Duration::ZERO };
            std::thread::sleep((PART * wanted + extra).saturating_sub(began.elapsed()));
        }
        return Some(playlist(manner, (began.elapsed().as_millis() / PART.as_millis()) as u32).into_bytes());
    }
    let mut media = vec![0; 3000];
    media.extend(stamp::sei(crate::clock::now()));
    (path.ends_with(".mp4")).then_some(media)
}

fn playlist(manner: Manner, parts: u32) -> String {
    let segments = parts / PARTS_PER_SEGMENT;
    let first = segments.saturating_sub(6);
    let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n".to_owned();
    if manner != Manner::Plain {
        text.push_str("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.3\n");
    }
    write!(text, "#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-MAP:URI=\"init.mp4\"\n").unwrap();
    for segment in first..=segments {
        if manner != Manner::Plain && segment + 2 >= segments {
            for part in 0..PARTS_PER_SEGMENT.min(parts - segment * PARTS_PER_SEGMENT) {
                let independent = if part == 0 { ",INDEPENDENT=YES" } else { "" };
                writeln!(text, "#EXT-X-PART:DURATION=0.1,URI=\"{segment}.{part}.mp4\"{independent}").unwrap();
            }
        }
        if segment < segments {
            write!(text, "#EXTINF:0.5,\n{segment}.mp4\n").unwrap();
        }
    }
    text
}

#[test]
fn low_latency_viewers_follow_part_by_part() {
    let mut audience = audience(origin(Manner::Punctual), 8);
    audience.duration = Duration::from_secs(2);
    audience.late_after = Duration::from_millis(60);
    let measured = view(&audience);
    let tally = &measured.tallies[0];
    assert_eq!((tally.playing, tally.stalls, tally.silent), (8, 0, 0), "{tally:?}");
    assert!(tally.hls.errors.is_empty(), "{tally:?}");
    // 8 viewers, video and audio, 20 parts in 2 s each.
    assert!((250..=350).contains(&tally.hls.parts), "{tally:?}");
    assert!((250..=350).contains(&tally.hls.playlists), "{tally:?}");
    assert_eq!((tally.hls.segments, tally.hls.late), (0, 0), "{tally:?}");
    assert!(tally.frame_age.len() >= 30, "two probes saw every part: {tally:?}");
    assert_eq!(tally.first_media.len(), 8);
}

#[test]
fn a_late_answer_is_found_by_comparing_viewers() {
    let mut audience = audience(origin(Manner::Late), 8);
    audience.late_after = Duration::from_millis(60);
    let measured = view(&audience);
    let hls = &measured.tallies[0].hls;
    // A quarter of 16 connections, 15 parts each.
    assert!(hls.late >= 40 && hls.late < hls.playlists / 2, "{hls:?}");
}

#[test]
fn a_server_that_does_not_block_is_reported_and_not_asked_in_a_circle() {
    let audience = audience(origin(Manner::Early), 2);
    let measured = view(&audience);
    let hls = &measured.tallies[0].hls;
    assert!(hls.errors.keys().any(|reason| reason.contains("too early")), "{hls:?}");
    assert!(hls.playlists < 60, "{hls:?}");
}

#[test]
fn plain_hls_is_polled_and_played_in_segments() {
    let mut audience = audience(origin(Manner::Plain), 4);
    audience.duration = Duration::from_secs(3);
    let measured = view(&audience);
    let tally = &measured.tallies[0];
    assert_eq!((tally.playing, tally.stalls), (4, 0), "{tally:?}");
    assert!(tally.hls.errors.is_empty(), "{tally:?}");
    assert!((30..=60).contains(&tally.hls.segments), "{tally:?}");
    assert!((16..=40).contains(&tally.hls.playlists), "{tally:?}");
}
