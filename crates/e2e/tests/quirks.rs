//! What real encoders do that no specification says, played by hand where no encoder here does it.

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use e2e::compare::{probe, same_frames, same_tracks, track};
use e2e::flv::{self, Tag};
use e2e::frames::Of;
use e2e::http::{Connection, fetch};
use e2e::playlist::Playlist;
use e2e::wait::{Look, until};
use e2e::{Answer, Peer, Publisher, Server, Viewer, clips};
use rtmp::MediaKind;
use rtmp::amf::Value;
use std::io::Write;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const VIDEO: &str = "/live/x/video/index.m3u8";

fn metadata(codec: Value) -> Tag {
    let mut body = BytesMut::new();
    Value::from("onMetaData").write(&mut body);
    let members = vec![("width".to_owned(), 320.0.into()), ("videocodecid".to_owned(), codec)];
    Value::Object(members).write(&mut body);
    Tag { kind: MediaKind::Data, time_ms: 0, body: body.to_vec() }
}

/// Some say 7 (AVC) whatever they send, enhanced RTMP says a FourCC as a number, others say it as text, or nothing.
#[test]
fn hevc_is_hevc_whatever_the_metadata_calls_it() -> Result<()> {
    let server = Server::demo(&[])?;
    let tags = clips::hevc_aac()?.to_flv(server.file("hevc.flv"))?.tags()?;
    let fourcc = f64::from(u32::from_be_bytes(*b"hvc1"));
    let names: [(&str, Value); 5] = [
        ("seven", 7.0.into()),
        ("twelve", 12.0.into()),
        ("number", fourcc.into()),
        ("text", "hvc1".into()),
        ("none", Value::Null),
    ];
    let mut publishers = Vec::new();
    for (name, codec) in names.clone() {
        let media = tags.iter().filter(|tag| tag.kind != MediaKind::Data).cloned();
        let tags = std::iter::once(metadata(codec)).chain(media).collect();
        publishers.push(Publisher::send(server.ports.rtmp, name, tags, 0)?);
    }
    for (name, _) in names {
        server.wait_live(&format!("live/{name}"))?;
        let (_, body) = Connection::open(server.ports.http)?.endless(&format!("/live/{name}.flv"), &[])?;
        ensure!(flv::Reader::new(body)?.promises == (true, true), "{name}: FLV promises too little");
        let tracks = probe(&server.http(&format!("/live/{name}/index.m3u8")))?;
        ensure!(track(&tracks, "video")?["codec_name"] == "hevc", "{name}: {tracks}");
    }
    Ok(())
}

/// An enhanced tag of HEVC as encoders of before wrote it: a codec number, whether it is a header, an offset.
fn legacy(tag: &Tag, codec: u8) -> Tag {
    // Enhanced RTMP: the flag and the frame type, the packet type, a FourCC, and with type 1 an offset.
    let (frame_type, packet) = (tag.body[0] & 0x70, tag.body[0] & 0x0f);
    let (header, offset, payload) = match packet {
        0 => (0, [0; 3], &tag.body[5..]),
        1 => (1, [tag.body[5], tag.body[6], tag.body[7]], &tag.body[8..]),
        _ => (1, [0; 3], &tag.body[5..]),
    };
    let body = [&[frame_type | codec, header][..], &offset, payload].concat();
    Tag { body, ..tag.clone() }
}

/// OBS before 29.1 labels HEVC as codec 7, which is AVC; much used in China is 12, which nobody has registered.
#[test]
fn hevc_under_an_old_codec_number_comes_out_as_hevc() -> Result<()> {
    let server = Server::demo(&[])?;
    let clip = clips::hevc_aac()?.to_flv(server.file("hevc.flv"))?;
    let tags = clip.tags()?;
    let mut publishers = Vec::new();
    for (name, codec) in [("seven", 7), ("twelve", 12)] {
        let relabel = |tag: &Tag| match tag.kind {
            // What ends a sequence has no old form.
            MediaKind::Video => (tag.body[0] & 0x0f != 2).then(|| legacy(tag, codec)),
            _ => Some(tag.clone()),
        };
        let tags = tags.iter().filter_map(relabel).collect();
        publishers.push(Publisher::send(server.ports.rtmp, name, tags, 0)?);
    }
    for name in ["seven", "twelve"] {
        server.wait_live(&format!("live/{name}"))?;
        same_tracks(
            &clips::hevc_aac()?.path.to_string_lossy(),
            &server.http(&format!("/live/{name}/index.m3u8")),
        )?;
    }
    Ok(())
}

/// As encoders do that send their configuration with every keyframe.
#[test]
fn repeated_sequence_headers_change_nothing() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    let mut configurations: Vec<Tag> = Vec::new();
    let mut tags = Vec::new();
    for tag in clip.tags()? {
        if tag.is_header() && tag.kind != MediaKind::Data {
            configurations.push(tag.clone());
        } else if tag.is_keyframe() {
            tags.extend(configurations.iter().map(|c| Tag { time_ms: tag.time_ms, ..c.clone() }));
        }
        tags.push(tag);
    }
    ensure!(configurations.len() == 2, "the clip has {} configurations", configurations.len());
    let _publisher = Publisher::send(server.ports.rtmp, "x", tags, 0)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    same_frames(&clip, &server.http("/live/x.flv"), Of::Coded)?;
    let list = until(LIMIT, "three segments", || {
        let list = Playlist::parse(&fetch(server.ports.http, VIDEO, &[])?.text()?)?;
        Ok(if list.segments.len() >= 3 { Look::Found(list) } else { Look::NotYet(format!("{list:?}")) })
    })?;
    ensure!(list.segments.iter().all(|s| !s.discontinuity), "{list:?}");
    ensure!(list.segments.iter().all(|s| s.init == list.segments[0].init), "{list:?}");
    viewer.watch(Duration::from_secs(1))?;
    ensure!(viewer.configurations == 1, "{} configurations went to a viewer", viewer.configurations);
    Ok(())
}

/// As OBS's users do who change the resolution without a reconnect, and as mobile encoders do when a phone is turned.
#[test]
fn a_sequence_header_that_changes_in_a_session_is_a_discontinuity() -> Result<()> {
    const FIRST_MS: u32 = 5000;
    let server = Server::demo(&[])?;
    let mut tags: Vec<Tag> =
        clips::h264_aac()?.tags()?.into_iter().take_while(|tag| tag.time_ms < FIRST_MS).collect();
    let second = clips::long()?.tags()?.into_iter().filter(|tag| tag.kind != MediaKind::Data);
    tags.extend(second.map(|tag| Tag { time_ms: tag.time_ms + FIRST_MS, ..tag }));
    let _publisher = Publisher::send(server.ports.rtmp, "x", tags, 0)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open(&server, "/live/x.flv")?;
    let list = until(LIMIT, "segments of both sizes", || {
        let list = Playlist::parse(&fetch(server.ports.http, VIDEO, &[])?.text()?)?;
        let changed = list.segments.first().map(|s| &s.init) != list.segments.last().map(|s| &s.init);
        Ok(if changed { Look::Found(list) } else { Look::NotYet(format!("{list:?}")) })
    })?;
    ensure!(list.segments.iter().filter(|s| s.discontinuity).count() == 1, "{list:?}");
    let tracks = probe(&server.http("/live/x.flv"))?;
    ensure!(track(&tracks, "video")?["width"] == 160, "{tracks}");
    viewer.watch(Duration::from_secs(1))?;
    while viewer.configurations < 2 {
        ensure!(viewer.one()?, "the viewer was ended: {viewer:?}");
    }
    Ok(())
}

/// Sends one message in chunks of 128 bytes, as a client that never sets a chunk size, with a time beyond 24 bits.
fn chunked(chunk_stream: u8, tag: &Tag, time_ms: u32, repeats_time: bool) -> Vec<u8> {
    const CHUNK_BYTES: usize = 128;
    let kind = if tag.kind == MediaKind::Audio { 8 } else { 9 };
    let mut bytes = vec![chunk_stream, 0xff, 0xff, 0xff];
    bytes.extend(&(tag.body.len() as u32).to_be_bytes()[1..]);
    bytes.push(kind);
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(time_ms.to_be_bytes());
    for (n, chunk) in tag.body.chunks(CHUNK_BYTES).enumerate() {
        if n > 0 {
            bytes.push(0xc0 | chunk_stream);
            if repeats_time {
                bytes.extend(time_ms.to_be_bytes());
            }
        }
        bytes.extend(chunk);
    }
    bytes
}

/// RTMP 1.0 §5.3.1.3 wants it repeated; librtmp and others leave it out.
#[test]
fn type_3_chunks_with_and_without_the_extended_timestamp_are_understood() -> Result<()> {
    const BEGIN_MS: u32 = 0x0100_0000;
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    for (name, repeats_time) in [("with", true), ("without", false)] {
        let (peer, answer) = Peer::publish(server.ports.rtmp, name)?;
        ensure!(answer == Answer::Ready, "{answer:?}");
        let mut socket = peer.socket()?;
        // The session told another chunk size before; this is the message that sets it back.
        socket.write_all(&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 128])?;
        // Not in real time: all of it is read while it comes.
        let tags: Vec<Tag> = clip.tags()?.into_iter().filter(|tag| tag.kind != MediaKind::Data).collect();
        let mut viewer = None;
        let mut sent = 0;
        for tag in tags.iter().take_while(|tag| tag.time_ms < 4000) {
            let chunk_stream = if tag.kind == MediaKind::Audio { 4 } else { 6 };
            socket.write_all(&chunked(chunk_stream, tag, BEGIN_MS + tag.time_ms, repeats_time))?;
            sent += u32::from(tag.kind == MediaKind::Video && !tag.is_header());
            if viewer.is_none() && tag.time_ms > 1000 {
                server.wait_live(&format!("live/{name}"))?;
                viewer = Some(Viewer::open(&server, &format!("/live/{name}.flv"))?);
            }
        }
        let mut viewer = viewer.context("the clip is short")?;
        while viewer.last_ms[1] < Some(3900) {
            ensure!(viewer.one()?, "{name}: the broadcast ended at {:?}", viewer.last_ms);
        }
        ensure!(viewer.steps_max_ms <= 40, "{name}: of {sent} pictures some are lost: {viewer:?}");
    }
    let repairs = server.metric("floodtide_timestamp_repairs_total")?;
    ensure!(repairs == 0.0, "{repairs} timestamps were repaired");
    Ok(())
}

/// ffmpeg takes all but the last element of a path for the app.
#[test]
fn a_path_of_three_elements_is_the_same_for_ffmpeg_and_for_http() -> Result<()> {
    let clip = clips::h264_aac()?;
    let server = Server::demo(&[])?;
    let _publisher = e2e::compare::publish(&clip, "", &server.rtmp("/live/room/x"))?;
    server.wait_live("live/room/x")?;
    for url in
        [server.rtmp("/live/room/x"), server.http("/live/room/x.flv"), server.http("/live/room/x/index.m3u8")]
    {
        let tracks = probe(&url)?;
        ensure!(track(&tracks, "video")?["width"] == 320, "{url}: {tracks}");
    }
    Ok(())
}

/// mpegts.js doesn't read while a page sleeps. What it missed then would stay as delay for ever.
#[test]
fn a_viewer_who_paused_is_brought_back_to_the_present() -> Result<()> {
    const PAUSE: Duration = Duration::from_secs(9);
    let server = Server::demo(&[("FLOODTIDE_EGRESS__LAG_MAX", "2s")])?;
    let publisher = Publisher::start(server.ports.rtmp, "x", &clips::heavy()?)?;
    server.wait_live("live/x")?;
    let mut viewer = Viewer::open_narrow(&server, "/live/x.flv")?;
    viewer.watch(Duration::from_secs(1))?;
    viewer.steps_max_ms = 0;
    std::thread::sleep(PAUSE);
    viewer.watch(Duration::from_secs(2))?;
    let shown = viewer.last_ms[1].context("no picture came")?;
    let late = publisher.sent_at(MediaKind::Video, shown).context("a picture of the future")?.elapsed();
    ensure!(viewer.steps_max_ms >= 1000, "no group was dropped: {viewer:?}");
    ensure!(late < Duration::from_secs(1), "{late:?} behind after a pause of {PAUSE:?}");
    Ok(())
}
