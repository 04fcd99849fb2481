//! What is published: made once by ffmpeg, kept below `target/`. Every frame of a clip is unlike all others, so that a
//! hash tells which it is: the picture counts, the sound is noise.

use crate::flv::{Reader, Tag};
use crate::folder::project;
use crate::tool::Tool;
use anyhow::{Context, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

/// A file to publish.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Where it is.
    pub path: PathBuf,
}

impl Clip {
    /// The tags of a clip that is FLV.
    ///
    /// # Errors
    /// When it is something else.
    pub fn tags(&self) -> Result<Vec<Tag>> {
        Reader::new(&std::fs::read(&self.path)?[..])?.rest()
    }

    /// The same frames as FLV, by ffmpeg 9.
    ///
    /// # Errors
    /// When FLV can't have them.
    pub fn to_flv(&self, path: PathBuf) -> Result<Clip> {
        let tool = Tool::ffmpeg9().words("-i").arg(&self.path).words("-c copy -f flv").arg(&path);
        tool.succeed(MAKE_MAX)?;
        Ok(Clip { path })
    }
}

/// The slowest clip takes some seconds; other tests run beside.
const MAKE_MAX: Duration = Duration::from_secs(120);

/// H.264 main profile with B-frames, 320x180 at 30 a second, a keyframe every second; AAC 44.1 kHz stereo; 30 s, FLV.
///
/// # Errors
/// When ffmpeg fails.
pub fn h264_aac() -> Result<Clip> {
    let video = "-c:v libx264 -preset ultrafast -bf 2 -g 30 -sc_threshold 0 -b:v 300k -pix_fmt yuv420p";
    make(
        Tool::ffmpeg,
        "h264-aac.flv",
        &picture("320x180", 30, 30),
        &noise(44_100, 30),
        &format!("{video} {AAC}"),
    )
}

/// The same for 80 s and half the size: for what shows only after a while.
///
/// # Errors
/// When ffmpeg fails.
pub fn long() -> Result<Clip> {
    let video = "-c:v libx264 -preset ultrafast -bf 2 -g 50 -sc_threshold 0 -b:v 100k -pix_fmt yuv420p";
    make(Tool::ffmpeg, "long.flv", &picture("160x90", 25, 80), &noise(44_100, 80), &format!("{video} {AAC}"))
}

/// H.264 at 4 Mbit/s, steady: fills the buffers of whoever doesn't read.
///
/// # Errors
/// When ffmpeg fails.
pub fn heavy() -> Result<Clip> {
    let video = "-c:v libx264 -preset ultrafast -bf 0 -g 25 -sc_threshold 0 -b:v 4M -minrate 4M -maxrate 4M -bufsize 400k \
                 -x264-params nal-hrd=cbr:filler=1 -pix_fmt yuv420p";
    make(
        Tool::ffmpeg,
        "heavy.flv",
        &picture("320x180", 25, 40),
        &noise(44_100, 40),
        &format!("{video} {AAC}"),
    )
}

/// HEVC and AAC, by ffmpeg 9.
///
/// # Errors
/// When ffmpeg fails.
pub fn hevc_aac() -> Result<Clip> {
    let video =
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:scenecut=0 -pix_fmt yuv420p";
    make(
        Tool::ffmpeg9,
        "hevc-aac.mp4",
        &picture("320x180", 25, 20),
        &noise(48_000, 20),
        &format!("{video} {AAC}"),
    )
}

/// A white flash of 100 ms and a click begin together every second; H.264 at 50 pictures a second and Opus, by ffmpeg 9.
///
/// # Errors
/// When ffmpeg fails.
pub fn click_and_flash() -> Result<Clip> {
    let flash = "nullsrc=size=160x90:rate=50:duration=40,geq=lum='16+219*lt(mod(T,1),0.1)':cb=128:cr=128";
    let click = "aevalsrc=0.8*sin(2000*PI*t)*lt(mod(t\\,1)\\,0.03):sample_rate=48000:duration=40,aformat=channel_layouts=stereo";
    let coding =
        "-c:v libx264 -preset ultrafast -bf 0 -g 50 -sc_threshold 0 -pix_fmt yuv420p -c:a libopus -b:a 96k";
    make(Tool::ffmpeg9, "click-and-flash.mp4", flash, click, coding)
}

/// AV1 and Opus, by ffmpeg 9.
///
/// # Errors
/// When ffmpeg fails.
pub fn av1_opus() -> Result<Clip> {
    let video =
        "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 25 -b:v 200k -pix_fmt yuv420p -c:a libopus -b:a 64k";
    make(Tool::ffmpeg9, "av1-opus.mp4", &picture("320x180", 25, 20), &noise(48_000, 20), video)
}

/// VP9 and Opus, by ffmpeg 9.
///
/// # Errors
/// When ffmpeg fails.
pub fn vp9_opus() -> Result<Clip> {
    let video = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -b:v 200k -pix_fmt yuv420p -c:a libopus -b:a 64k";
    make(Tool::ffmpeg9, "vp9-opus.mp4", &picture("320x180", 25, 20), &noise(48_000, 20), video)
}

const AAC: &str = "-c:a aac -b:a 64k";

fn picture(size: &str, rate: u32, seconds: u32) -> String {
    format!("testsrc2=size={size}:rate={rate}:duration={seconds}")
}

fn noise(rate: u32, seconds: u32) -> String {
    let source = format!("anoisesrc=color=pink:seed=1:amplitude=0.3:sample_rate={rate}:duration={seconds}");
    format!("{source},aformat=channel_layouts=stereo")
}

/// Makes a clip unless it is there. Two tests may make the same one; the last to finish renames over the other's.
fn make(tool: fn() -> Tool, name: &str, picture: &str, noise: &str, coding: &str) -> Result<Clip> {
    let mut hasher = DefaultHasher::new();
    (picture, noise, coding).hash(&mut hasher);
    let folder = project().join("target/e2e-clips");
    let path = folder.join(format!("{:08x}-{name}", hasher.finish() as u32));
    if path.exists() {
        return Ok(Clip { path });
    }
    std::fs::create_dir_all(&folder)?;
    let unfinished = folder.join(format!("{}-{name}", std::process::id()));
    tool()
        .words("-f lavfi -i")
        .arg(picture)
        .words("-f lavfi -i")
        .arg(noise)
        .words(coding)
        .arg(&unfinished)
        .succeed(MAKE_MAX)
        .with_context(|| format!("can't make the clip {name}"))?;
    std::fs::rename(&unfinished, &path)?;
    Ok(Clip { path })
}
