//! Players of others, watched while they play. Each says in its own words what it decoded; here that becomes
//! [`Watched`]. A player is ended when it has shown enough: how long that takes is its own matter, up to a limit.

use crate::flv;
use crate::frames::Frames;
use crate::server::Server;
use crate::tool::{Running, Tool};
use crate::wait::{Look, until};
use anyhow::{Context, Result, ensure};
use rtmp::MediaKind;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// What a player has decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watched {
    /// Pictures.
    pub pictures: usize,
    /// Seconds from the first picture to the last, in media time.
    pub shown_s: f64,
    /// Seconds of sound.
    pub heard_s: f64,
}

/// One of them: its name, and how it is watched with a URL.
pub type Player = (&'static str, fn(&str) -> Result<Watched>);

/// ffprobe decodes and counts.
pub const FFPROBE: Player = ("ffprobe", ffprobe);
/// ffmpeg decodes and lists what it decoded.
pub const FFMPEG: Player = ("ffmpeg", ffmpeg);
/// mpv plays in real time and shows its position with every picture.
pub const MPV: Player = ("mpv", mpv);
/// VLC plays in real time and is asked for its statistics.
pub const VLC: Player = ("VLC", vlc);
/// rtmpdump writes what it gets as FLV. It decodes nothing.
pub const RTMPDUMP: Player = ("rtmpdump", rtmpdump);
/// GStreamer plays in real time; its sinks tell every buffer.
pub const GSTREAMER: Player = ("GStreamer", gstreamer);

/// Seconds of pictures and of sound that every player must get.
pub const WATCHED_S: f64 = 4.0;
/// From a player's start to that; several players start at the same time on two cores.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two questions to a player.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// Picture frames a second of the slowest clip; a player on a busy machine may leave some out.
const PICTURES_A_SECOND_MIN: f64 = 15.0;

impl Watched {
    /// Whether pictures and sound came for [`WATCHED_S`].
    pub fn is_enough(&self) -> bool {
        self.shown_s >= WATCHED_S && self.heard_s >= WATCHED_S
    }

    /// Pictures came about as often as they were sent.
    ///
    /// # Errors
    /// When they didn't, or when too little was seen or heard.
    pub fn check(self) -> Result<Watched> {
        ensure!(self.is_enough(), "too little: {self:?}");
        ensure!(self.pictures as f64 >= PICTURES_A_SECOND_MIN * self.shown_s, "it stutters: {self:?}");
        Ok(self)
    }
}

fn ffprobe(url: &str) -> Result<Watched> {
    let probe = Tool::ffprobe()
        .words("-of json -show_entries frame=media_type,best_effort_timestamp_time,duration_time");
    let found =
        probe.words(&format!("-read_intervals %+{}", WATCHED_S + 1.0)).arg(url).succeed(LIMIT)?.json()?;
    let times = |kind: &str| -> Vec<f64> {
        let of_kind = found["frames"].as_array().into_iter().flatten().filter(|f| f["media_type"] == kind);
        of_kind.filter_map(|f| f["best_effort_timestamp_time"].as_str()?.parse().ok()).collect()
    };
    Watched::of(&times("video"), &times("audio")).check()
}

fn ffmpeg(url: &str) -> Result<Watched> {
    let tool =
        Tool::ffmpeg().words("-i").arg(url).words(&format!("-t {} -fps_mode passthrough", WATCHED_S + 1.0));
    let finished = tool.words("-c:v rawvideo -c:a pcm_s16le -f framemd5 -").succeed(LIMIT)?;
    let frames = Frames::parse(&finished)?;
    let times = |of: &[crate::frames::Frame]| of.iter().map(|f| f.pts as f64 / 1e6).collect::<Vec<_>>();
    Watched::of(&times(&frames.video), &times(&frames.audio)).check()
}

fn mpv(url: &str) -> Result<Watched> {
    let mpv =
        Tool::new("mpv").words("--no-config --vo=null --ao=null --msg-level=all=warn,statusline=status");
    let player = mpv.arg("--term-status-msg=AT ${=time-pos} ${=audio-pts} END").arg(url).start()?;
    watch(player, |player| {
        let text = player.text_so_far();
        let mut lines: Vec<(f64, f64)> = text.split("AT ").filter_map(mpv_line).collect();
        lines.dedup_by_key(|(picture, _)| *picture);
        let (pictures, sounds): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
        Ok(Watched::of(&pictures, &sounds))
    })
}

fn mpv_line(line: &str) -> Option<(f64, f64)> {
    let mut words = line.split_once(" END")?.0.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// It doesn't run as root.
fn vlc(url: &str) -> Result<Watched> {
    let is_root = std::fs::metadata("/proc/self")?.uid() == 0;
    let vlc = match is_root {
        true => Tool::new("setpriv").words("--reuid=65534 --regid=65534 --clear-groups vlc"),
        false => Tool::new("vlc"),
    };
    // There is no display and no message bus to disappoint it; its pictures go nowhere.
    let vlc = vlc.words("--intf oldrc --rc-fake-tty --no-dbus --vout dummy --aout dummy --no-lua").arg(url);
    let player = vlc.env("HOME", "/nonexistent").start_to_talk()?;
    watch(player, |player| {
        std::thread::sleep(ASK_EVERY);
        // When it is gone, `watch` says so.
        let _ = player.say("stats");
        let text = player.text_so_far();
        let answers = text.rsplit("begin of statistical info").next().unwrap_or_default();
        let count = |name: &str| {
            let line = answers.lines().find(|line| line.contains(name))?;
            line.rsplit(':').next()?.trim().parse::<usize>().ok()
        };
        let pictures = count("frames displayed").unwrap_or_default();
        let sounds = count("buffers played").unwrap_or_default();
        Ok(Watched {
            pictures,
            // It counts, and shows no times. The clips have 25 pictures a second, and no codec's packets of sound are
            // shorter than Opus's 20 ms.
            shown_s: pictures as f64 / 25.0,
            heard_s: sounds as f64 * 0.02,
        })
    })
}

fn rtmpdump(url: &str) -> Result<Watched> {
    let player = Tool::new("rtmpdump").words("--quiet --live -o - -r").arg(url).start()?;
    watch(player, |player| {
        let bytes = player.out_so_far();
        let Ok(mut reader) = flv::Reader::new(&bytes[..]) else { return Ok(Watched::default()) };
        let mut times = [Vec::new(), Vec::new()];
        // The last tag is not whole yet.
        while let Ok(Some(tag)) = reader.tag() {
            let of_kind = match tag.kind {
                _ if tag.is_header() => continue,
                MediaKind::Video => &mut times[0],
                MediaKind::Audio => &mut times[1],
                MediaKind::Data => continue,
            };
            of_kind.push(f64::from(tag.time_ms) / 1000.0);
        }
        Ok(Watched::of(&times[0], &times[1]))
    })
}

/// RTMP by an element of its own, all else by `playbin3`.
fn gstreamer(url: &str) -> Result<Watched> {
    let gstreamer = Tool::new("gst-launch-1.0").words("-v");
    let sink = |name: &str| format!("fakesink name={name} silent=false sync=true");
    let player = if url.starts_with("rtmp:") {
        let pipeline = format!(
            "rtmp2src location={url} ! flvdemux name=d \
             d. ! queue ! video/x-h264 ! h264parse ! avdec_h264 ! {} \
             d. ! queue ! audio/mpeg ! aacparse ! avdec_aac ! {}",
            sink("pictures"),
            sink("sound")
        );
        gstreamer.words(&pipeline).start()?
    } else {
        let playbin = gstreamer.words("playbin3").arg(format!("uri={url}"));
        let playbin = playbin.arg(format!("video-sink={}", sink("pictures")));
        playbin.arg(format!("audio-sink={}", sink("sound"))).start()?
    };
    watch(player, |player| {
        let text = player.text_so_far();
        Ok(Watched::of(&gstreamer_times(&text, "pictures"), &gstreamer_times(&text, "sound")))
    })
}

/// `…:pictures: last-message = chain ******* (…) (345600 bytes, dts: none, pts: 0:01:47.354000000, duration: …`
fn gstreamer_times(text: &str, sink: &str) -> Vec<f64> {
    let begin = format!(":{sink}: last-message = chain");
    let time = |line: &str| {
        let text = line.split_once("pts: ")?.1.split(',').next()?;
        text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
    };
    text.lines().filter(|line| line.contains(&begin)).filter_map(time).collect()
}

impl Watched {
    /// From the times of pictures and sounds in seconds.
    fn of(pictures: &[f64], sounds: &[f64]) -> Watched {
        let span = |times: &[f64]| {
            let first = times.iter().copied().reduce(f64::min).unwrap_or_default();
            times.iter().copied().reduce(f64::max).unwrap_or_default() - first
        };
        Watched { pictures: pictures.len(), shown_s: span(pictures), heard_s: span(sounds) }
    }
}

/// Looks until it is enough, then ends the player.
fn watch(mut player: Running, mut look: impl FnMut(&mut Running) -> Result<Watched>) -> Result<Watched> {
    let watched = until(LIMIT, "pictures and sound", || {
        let runs = player.is_running()?;
        let watched = look(&mut player)?;
        if watched.is_enough() {
            return Ok(Look::Found(watched));
        }
        ensure!(runs, "the player ended after {watched:?}: {}", ending(&player));
        Ok(Look::NotYet(format!("{watched:?}; {}", ending(&player))))
    });
    watched.and_then(Watched::check)
}

/// The end of what a player wrote.
fn ending(player: &Running) -> String {
    const SHOWN_CHARS: usize = 1500;
    let text = player.text_so_far();
    let from = text.char_indices().rev().nth(SHOWN_CHARS).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}

/// `live/x` as HTTP-FLV, HLS, HLS in TS, and RTMP.
pub fn every_format(server: &Server) -> Vec<String> {
    let http = ["/live/x.flv", "/live/x/index.m3u8", "/live/x/ts/index.m3u8"].map(|path| server.http(path));
    http.into_iter().chain([server.rtmp("/live/x")]).collect()
}

/// All of `players` play all of `urls` at the same time; says of each that failed why.
///
/// # Errors
/// When one failed.
pub fn all(players: &[Player], urls: &[String]) -> Result<()> {
    let results: Vec<_> = std::thread::scope(|scope| {
        let each = players.iter().flat_map(|player| urls.iter().map(move |url| (player, url)));
        let watching: Vec<_> =
            each.map(|((name, play), url)| (name, url, scope.spawn(move || play(url)))).collect();
        watching.into_iter().map(|(name, url, thread)| (name, url, thread.join())).collect()
    });
    let mut failed = Vec::new();
    for (name, url, result) in results {
        match result.ok().context("the test's thread panicked").and_then(|watched| watched) {
            Ok(watched) => println!("{name} {url}: {watched:?}"),
            Err(error) => failed.push(format!("{name} {url}: {error:#}")),
        }
    }
    ensure!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}
