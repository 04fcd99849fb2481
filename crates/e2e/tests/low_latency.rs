//! Answers of LL-HLS come when there is something to answer.

use anyhow::{Context, Result, ensure};
use e2e::http::Connection;
use e2e::playlist::{Part, Playlist};
use e2e::{Publisher, Server, clips, mp4};
use rtmp::MediaKind;
use std::time::{Duration, Instant};

const LATE_MAX: Duration = Duration::from_millis(30);
const PARTS: usize = 24;

/// A part, and where it is in the broadcast.
struct Place {
    msn: u64,
    number: usize,
    part: Part,
}

/// The newest part of a playlist.
fn newest(list: &Playlist) -> Option<Place> {
    let place = |msn, parts: &[Part]| {
        let part = parts.last()?.clone();
        Some(Place { msn, number: parts.len() - 1, part })
    };
    place(list.next_msn(), &list.growing)
        .or_else(|| list.segments.last().and_then(|segment| place(segment.msn, &segment.parts)))
}

/// A part is complete when the frame behind it arrives. So the time of an answer is compared with the time at which
/// the publisher sent that frame; its own timestamp says which it is.
#[test]
fn a_blocking_request_is_answered_within_30_ms_of_the_parts_completion() -> Result<()> {
    let server = Server::demo(&[("FLOODTIDE_HLS__PART", "300ms")])?;
    let publisher = Publisher::start(server.ports.rtmp, "x", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let mut lists = Connection::open(server.ports.http)?;
    let mut media = Connection::open(server.ports.http)?;
    let folder = "/live/x/video";
    let mut list = Playlist::parse(&lists.request("GET", &format!("{folder}/index.m3u8"), &[])?.text()?)?;
    let init = list.segments.last().and_then(|s| s.init.clone()).context("no init segment")?;
    let scale = mp4::timescale(&media.request("GET", &format!("{folder}/{init}"), &[])?.body)?;
    let first_ms = publisher.first_ms().context("nothing was sent")?;
    let mut late = Vec::new();
    while late.len() < PARTS {
        let seen = newest(&list).with_context(|| format!("no part in {list:?}"))?;
        // A number behind a segment's last part means the first part of the next one.
        let target = format!("{folder}/index.m3u8?_HLS_msn={}&_HLS_part={}", seen.msn, seen.number + 1);
        let answer = lists.request("GET", &target, &[])?;
        let answered = Instant::now();
        ensure!(answer.status == 200, "{target}: {answer:?}");
        list = Playlist::parse(&answer.text()?)?;
        let next = newest(&list).with_context(|| format!("no part in {list:?}"))?;
        ensure!((next.msn, next.number) != (seen.msn, seen.number), "{target} was answered with nothing new");
        let body = media.request("GET", &format!("{folder}/{}", next.part.uri), &[])?.body;
        let start = Duration::from_micros(mp4::decode_time(&body)? * 1_000_000 / scale);
        // Half a frame earlier, since times are rounded: the frame at the end of the part is found, not the one behind it.
        let end_ms = u32::try_from((start + next.part.duration).as_millis())? - 15;
        let sent = publisher
            .sent_at(MediaKind::Video, first_ms + end_ms)
            .context("the part's end was never sent")?;
        late.push(
            answered.checked_duration_since(sent).context("the answer came before the part was complete")?,
        );
    }
    late.sort_unstable();
    let p95 = late[PARTS * 95 / 100];
    println!("answers came {late:?} after their part was complete");
    ensure!(p95 <= LATE_MAX, "{p95:?} late at P95: {late:?}");
    Ok(())
}

#[test]
fn the_hinted_part_is_held_until_it_is_complete_and_is_the_one_listed_later() -> Result<()> {
    let server = Server::demo(&[])?;
    let _publisher = Publisher::start(server.ports.rtmp, "x", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let mut connection = Connection::open(server.ports.http)?;
    for folder in ["/live/x/video", "/live/x/audio"] {
        let target = format!("{folder}/index.m3u8");
        for _ in 0..4 {
            let list = Playlist::parse(&connection.request("GET", &target, &[])?.text()?)?;
            let hint = list.hint.context("no hint")?;
            let hinted = connection.request("GET", &format!("{folder}/{hint}"), &[])?;
            ensure!(hinted.status == 200, "{hint}: {} {:?}", hinted.status, hinted.text());
            let list = Playlist::parse(&connection.request("GET", &target, &[])?.text()?)?;
            let mut parts = list.segments.iter().flat_map(|s| &s.parts).chain(&list.growing);
            ensure!(parts.any(|part| part.uri == hint), "{hint} is not listed: {list:?}");
            let listed = connection.request("GET", &format!("{folder}/{hint}"), &[])?;
            ensure!(listed.body == hinted.body, "{hint} changed");
        }
    }
    Ok(())
}

#[test]
fn a_segment_is_the_sum_of_its_parts() -> Result<()> {
    let server = Server::demo(&[])?;
    let _publisher = Publisher::start(server.ports.rtmp, "x", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let mut connection = Connection::open(server.ports.http)?;
    for folder in ["/live/x/video", "/live/x/audio"] {
        let list =
            Playlist::parse(&connection.request("GET", &format!("{folder}/index.m3u8"), &[])?.text()?)?;
        let segment = list.segments.last().context("no segment")?;
        ensure!(!segment.parts.is_empty(), "the newest segment lists no parts: {list:?}");
        let whole = connection.request("GET", &format!("{folder}/{}", segment.uri), &[])?.body;
        let mut sum = Vec::new();
        for part in &segment.parts {
            sum.extend(connection.request("GET", &format!("{folder}/{}", part.uri), &[])?.body);
        }
        ensure!(sum == whole, "{folder}: parts have {} bytes, the segment {}", sum.len(), whole.len());
        let duration: Duration = segment.parts.iter().map(|p| p.duration).sum();
        let apart = duration.abs_diff(segment.duration);
        ensure!(apart < Duration::from_millis(1), "{folder}: {duration:?} of {:?}", segment.duration);
    }
    Ok(())
}

#[test]
fn what_never_comes_is_answered_with_503_in_time() -> Result<()> {
    let server = Server::demo(&[])?;
    let publisher = Publisher::start(server.ports.rtmp, "x", &clips::h264_aac()?)?;
    server.wait_live("live/x")?;
    let mut connection = Connection::open(server.ports.http)?;
    let target = "/live/x/video/index.m3u8";
    let list = Playlist::parse(&connection.request("GET", target, &[])?.text()?)?;
    drop(publisher);
    let began = Instant::now();
    let answer = connection.request("GET", &format!("{target}?_HLS_msn={}", list.next_msn() + 1), &[])?;
    let held = began.elapsed();
    ensure!(answer.status == 503, "{} after {held:?}: {:?}", answer.status, answer.text());
    // Three target durations of 2 s.
    ensure!(held > Duration::from_secs(5) && held < Duration::from_secs(8), "held for {held:?}");
    Ok(())
}
