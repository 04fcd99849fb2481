//! By how much sound and pictures of the clip of clicks and flashes ([`crate::clips::click_and_flash`]) come apart.

use crate::folder::Folder;
use crate::tool::Tool;
use anyhow::{Context, Result, anyhow, ensure};
use std::path::Path;
use std::time::Duration;

/// Further apart than this, it is seen.
pub const OFFSET_MAX_S: f64 = 0.040;
/// Fewer show nothing.
const OFFSETS_MIN: usize = 4;
/// Recorded of each format.
const SECONDS: u32 = 8;
const LIMIT: Duration = Duration::from_secs(60);

/// Plays `url` with the system's ffmpeg, which must not complain: by how many seconds sound is later than pictures, for each flash.
///
/// # Errors
/// When it can't be played, or not cleanly.
pub fn offsets(url: &str) -> Result<Vec<f64>> {
    let folder = Folder::new()?;
    let (pictures, sound) = (folder.file("pictures"), folder.file("sound"));
    let video = format!("signalstats,metadata=print:key=lavfi.signalstats.YAVG:file={}", pictures.display());
    // One millisecond at a time.
    let peak = "lavfi.astats.Overall.Peak_level";
    let audio = format!(
        "asetnsamples=48,astats=metadata=1:reset=1,ametadata=print:key={peak}:file={}",
        sound.display()
    );
    let tool = Tool::ffmpeg().words("-i").arg(url).words("-t").arg(SECONDS.to_string());
    let played = tool.words("-vf").arg(video).words("-af").arg(audio).words("-f null -").succeed(LIMIT)?;
    let complaints: Vec<&str> = played
        .log
        .lines()
        .filter(|line| ["aac", "Error", "Invalid"].iter().any(|w| line.contains(w)))
        .collect();
    ensure!(complaints.is_empty(), "{url} isn't decoded cleanly: {complaints:#?}");
    let flashes = rises(&pictures, "lavfi.signalstats.YAVG", 128.0)?;
    let clicks = rises(&sound, peak, -12.0)?;
    let beside =
        |flash: f64| clicks.iter().map(|click| click - flash).min_by(|a, b| a.abs().total_cmp(&b.abs()));
    // The first may be cut off, the last lack its click.
    Ok(flashes
        .into_iter()
        .filter(|at| *at > 0.5 && *at < f64::from(SECONDS) - 0.5)
        .filter_map(beside)
        .collect())
}

/// Plays all of them at once; in each, clicks are heard within 40 ms of their flashes.
///
/// # Errors
/// When not, or one can't be played.
pub fn all_together(urls: &[String]) -> Result<()> {
    std::thread::scope(|scope| {
        let played: Vec<_> = urls.iter().map(|url| (url, scope.spawn(|| offsets(url)))).collect();
        for (url, offsets) in played {
            together(url, &offsets.join().map_err(|_| anyhow!("it panicked"))??)?;
        }
        Ok(())
    })
}

/// Each click is heard within 40 ms of its flash, and there are enough of them.
///
/// # Errors
/// When not; `what` is what was played.
pub fn together(what: &str, offsets_s: &[f64]) -> Result<()> {
    println!("{what}: sound is later than pictures by {offsets_s:.3?} s");
    ensure!(offsets_s.len() >= OFFSETS_MIN, "{what}: only {} flashes with clicks", offsets_s.len());
    ensure!(offsets_s.iter().all(|offset| offset.abs() <= OFFSET_MAX_S), "{what}: {offsets_s:?}");
    Ok(())
}

/// Times, in seconds, at which a value that ffmpeg's filters wrote to a file rises above `threshold`, and didn't for half a second.
fn rises(file: &Path, key: &str, threshold: f64) -> Result<Vec<f64>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("no {}", file.display()))?;
    let (mut time, mut above_at, mut found) = (0.0, f64::MIN, Vec::new());
    for line in text.lines() {
        if let Some((_, at)) = line.split_once("pts_time:") {
            time = at.trim().parse()?;
        } else if let Some(value) = line.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')) {
            // Silence is "-inf".
            if value.trim().parse::<f64>().is_ok_and(|value| value > threshold) {
                if time - above_at > 0.5 {
                    found.push(time);
                }
                above_at = time;
            }
        }
    }
    Ok(found)
}
