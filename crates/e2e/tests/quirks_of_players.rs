//! What players do that no specification says, played by hand where no player here does it.

use anyhow::{Context, Result, ensure};
use e2e::compare::probe;
use e2e::http::Connection;
use e2e::playlist::{Playlist, attribute};
use e2e::{Publisher, Server, clips};
use std::time::{Duration, Instant};

const VIDEO: &str = "/live/x/video/index.m3u8";
const AUDIO: &str = "/live/x/audio/index.m3u8";

fn live(server: &Server, clip: &clips::Clip) -> Result<(Publisher, Connection)> {
    let publisher = Publisher::start(server.ports.rtmp, "x", clip)?;
    server.wait_live("live/x")?;
    Ok((publisher, Connection::open(server.ports.http)?))
}

fn text(connection: &mut Connection, target: &str) -> Result<String> {
    let answer = connection.request("GET", target, &[])?;
    ensure!(answer.status == 200, "{target}: {answer:?}");
    answer.text()
}

/// Where a playlist ends: the number of its growing segment, and that segment's parts.
fn end(text: &str) -> Result<(u64, usize)> {
    let list = Playlist::parse(text)?;
    Ok((list.next_msn(), list.growing.len()))
}

/// Media3 asks again at once when a playlist promises to block. Each answer must have something new, so that it asks
/// as often as parts come.
#[test]
fn a_player_that_asks_again_at_once_asks_once_a_part() -> Result<()> {
    const ASKED: Duration = Duration::from_secs(5);
    let server = Server::demo(&[])?;
    let (_publisher, mut connection) = live(&server, &clips::h264_aac()?)?;
    for target in [VIDEO, AUDIO] {
        let mut at = end(&text(&mut connection, target)?)?;
        let (began, mut requests) = (Instant::now(), 0);
        while began.elapsed() < ASKED {
            let asked = format!("{target}?_HLS_msn={}&_HLS_part={}", at.0, at.1);
            let now = end(&text(&mut connection, &asked)?)?;
            ensure!(now > at, "{asked}: nothing new, {at:?} became {now:?}");
            (at, requests) = (now, requests + 1);
        }
        // Parts of 500 ms, and a few more where a segment ends.
        ensure!((8..=16).contains(&requests), "{target}: {requests} requests in {ASKED:?}");
    }
    Ok(())
}

/// hls.js stalls when PART-HOLD-BACK comes without CAN-BLOCK-RELOAD; old players must see neither.
#[test]
fn hold_back_is_promised_with_blocking_reload_or_not_at_all() -> Result<()> {
    let server = Server::demo(&[])?;
    let (_publisher, mut connection) = live(&server, &clips::h264_aac()?)?;
    for target in [VIDEO, AUDIO] {
        for query in ["", "?_HLS_skip=YES"] {
            let list = text(&mut connection, &format!("{target}{query}"))?;
            let line = |tag: &str| {
                list.lines().find_map(|l| l.strip_prefix(tag)).with_context(|| format!("no {tag}"))
            };
            let control = line("#EXT-X-SERVER-CONTROL:")?;
            ensure!(attribute(control, "CAN-BLOCK-RELOAD").as_deref() == Some("YES"), "{list}");
            let number = |line: &str, name| -> Result<f64> {
                Ok(attribute(line, name).with_context(|| format!("no {name} in {line}"))?.parse()?)
            };
            let part = number(line("#EXT-X-PART-INF:")?, "PART-TARGET")?;
            ensure!(number(control, "PART-HOLD-BACK")? >= 3.0 * part, "{list}");
        }
    }
    let old = text(&mut connection, "/live/x/ts/index.m3u8")?;
    ensure!(!old.contains("SERVER-CONTROL") && !old.contains("EXT-X-PART"), "{old}");
    Ok(())
}

/// What a multivariant playlist says of its only variant.
fn variant(connection: &mut Connection) -> Result<String> {
    let list = text(connection, "/live/x/index.m3u8")?;
    let line = list.lines().find_map(|line| line.strip_prefix("#EXT-X-STREAM-INF:"));
    line.map(str::to_owned).with_context(|| list.clone())
}

/// Safari plays HEVC as `hvc1` only, and takes CODECS at its word.
#[test]
fn hevc_is_called_hvc1_and_codecs_are_those_of_the_decoder_configuration() -> Result<()> {
    let server = Server::demo(&[])?;
    let clip = clips::hevc_aac()?.to_flv(server.file("hevc.flv"))?;
    let (_publisher, mut connection) = live(&server, &clip)?;
    let codecs = attribute(&variant(&mut connection)?, "CODECS").context("no CODECS")?;
    let list = Playlist::parse(&text(&mut connection, VIDEO)?)?;
    let init = list.segments.last().and_then(|s| s.init.clone()).context("no init segment")?;
    let init = connection.request("GET", &format!("/live/x/video/{init}"), &[])?.body;
    let at = |name: &[u8]| init.windows(4).position(|window| window == name);
    ensure!(at(b"hvc1").is_some() && at(b"hev1").is_none(), "the sample entry is not hvc1");
    // ISO 14496-15 §8.3.3.1.2: version, then profile space, tier and profile, compatibility, constraints, level.
    let record = &init[at(b"hvcC").context("no hvcC")? + 4..];
    let (profile, level) = (record[1] & 0x1f, record[12]);
    let compatibility = u32::from_be_bytes([record[2], record[3], record[4], record[5]]).reverse_bits();
    let begin = format!("hvc1.{profile}.{compatibility:X}.L{level}.");
    ensure!(codecs.starts_with(&begin) && codecs.ends_with(",mp4a.40.2"), "{codecs} instead of {begin}…");
    let tracks = probe(&server.http("/live/x/index.m3u8"))?;
    let levels: Vec<_> =
        tracks.as_array().into_iter().flatten().filter_map(|t| t["level"].as_u64()).collect();
    ensure!(levels.contains(&u64::from(level)), "ffprobe reads levels {levels:?} and not {level}");
    Ok(())
}

/// Safari chooses by BANDWIDTH and refuses a variant that goes beyond it. RFC 8216bis §4.4.6.2: the largest sum of
/// bits a second of any segment, and the average.
#[test]
fn bandwidth_is_what_segments_need() -> Result<()> {
    let server = Server::demo(&[])?;
    let (_publisher, mut connection) = live(&server, &clips::h264_aac()?)?;
    text(&mut connection, VIDEO)?;
    let mut at = end(&text(&mut connection, VIDEO)?)?;
    let first = at.0;
    while at.0 < first + 4 {
        at = end(&text(&mut connection, &format!("{VIDEO}?_HLS_msn={}&_HLS_part={}", at.0, at.1))?)?;
    }
    let (mut most, mut total) = (0.0, 0.0);
    for folder in [VIDEO, AUDIO] {
        let list = Playlist::parse(&text(&mut connection, folder)?)?;
        let (mut peak, mut bits, mut seconds) = (0.0_f64, 0.0, 0.0);
        for segment in &list.segments {
            let target = folder.replace("index.m3u8", &segment.uri);
            let size = 8.0 * connection.request("GET", &target, &[])?.body.len() as f64;
            peak = peak.max(size / segment.duration.as_secs_f64());
            bits += size;
            seconds += segment.duration.as_secs_f64();
        }
        most += peak;
        total += bits / seconds;
    }
    let variant = variant(&mut connection)?;
    let said = |name| -> Result<f64> { Ok(attribute(&variant, name).context(name)?.parse()?) };
    let (bandwidth, average) = (said("BANDWIDTH")?, said("AVERAGE-BANDWIDTH")?);
    ensure!(
        bandwidth >= most && bandwidth < most * 1.1,
        "BANDWIDTH={bandwidth}, but segments need {most:.0}"
    );
    ensure!((average / total - 1.0).abs() < 0.1, "AVERAGE-BANDWIDTH={average}, but it is {total:.0}");
    Ok(())
}
