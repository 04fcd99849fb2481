//! The qualities of a publisher by WHIP (simulcast, RFC 8853): clips of one programme that go round together.

use crate::flv::Clip;
use crate::profile::Protocol;
use crate::webrtc::QUALITIES_MAX;
use anyhow::ensure;
use std::path::PathBuf;

/// Clips of one programme are as long as each other, but for the last sound and picture.
const LENGTHS_APART_MAX_MS: u32 = 500;

/// Reads the clips of lower rates, and has all of them go round together with the best.
///
/// # Errors
/// A sentence for the user, when they can't be sent beside it.
pub(crate) fn lower_qualities(
    paths: &[PathBuf],
    best: &mut Clip,
    protocol: Protocol,
) -> anyhow::Result<Vec<Clip>> {
    ensure!(
        paths.is_empty() || protocol == Protocol::Whip,
        "--lower: only publishers by WHIP send several qualities; write http://HOST:8080/live/NAME/whip"
    );
    ensure!(
        paths.len() < QUALITIES_MAX,
        "--lower {} times, beside --file: the server takes at most {QUALITIES_MAX} qualities of a publisher",
        paths.len()
    );
    let mut lower = paths.iter().map(|path| Clip::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    for (clip, path) in lower.iter().zip(paths) {
        ensure!(
            clip.span_ms.abs_diff(best.span_ms) <= LENGTHS_APART_MAX_MS,
            "--lower {} takes {} ms, and --file {} ms: qualities of one programme are as long as each other",
            path.display(),
            clip.span_ms,
            best.span_ms
        );
    }
    go_round_together(best, &mut lower);
    Ok(lower)
}

/// All take as long as the longest, or their pictures would be further apart with each round.
fn go_round_together(best: &mut Clip, lower: &mut [Clip]) {
    let longest = lower.iter().map(|clip| clip.span_ms).fold(best.span_ms, u32::max);
    lower.iter_mut().chain([best]).for_each(|clip| clip.span_ms = longest);
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;
    use crate::flv::tests::tiny_clip;

    fn refusal(paths: usize, protocol: Protocol) -> String {
        let mut best = Clip::parse(&tiny_clip(50, 10)).unwrap();
        let nowhere = vec![PathBuf::from("/nowhere/x.flv"); paths];
        lower_qualities(&nowhere, &mut best, protocol).unwrap_err().to_string()
    }

    #[test]
    fn several_qualities_need_whip_and_are_four_at_most() {
        assert!(refusal(1, Protocol::Rtmp).contains("only publishers by WHIP"));
        assert!(refusal(4, Protocol::Whip).contains("at most 4 qualities"));
        assert!(refusal(3, Protocol::Whip).contains("/nowhere/x.flv"), "three are read");
    }

    #[test]
    fn qualities_of_another_rhythm_begin_each_round_at_the_same_time() {
        let mut best = Clip::parse(&tiny_clip(50, 10)).unwrap();
        let mut lower = [Clip { span_ms: best.span_ms + 27, ..best.clone() }];
        lower[0].frames.truncate(7);
        go_round_together(&mut best, &mut lower);
        let begins = |clip: &Clip| -> Vec<u64> {
            let mut place = Place::default();
            let due = std::iter::from_fn(|| place.due(clip, 10_000));
            due.filter(|(frame, _)| *frame == 0).map(|(_, at)| at).collect()
        };
        assert!(begins(&best).len() > 3);
        assert_eq!(begins(&best), begins(&lower[0]));
    }

    #[test]
    fn a_clip_of_another_programme_is_refused_by_its_length() {
        let folder = std::env::temp_dir().join(format!("floodtide-load-lower-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("short.flv");
        std::fs::write(&path, tiny_clip(10, 10)).unwrap();
        let mut best = Clip::parse(&tiny_clip(100, 10)).unwrap();
        let refused = lower_qualities(&[path], &mut best, Protocol::Whip).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(refused.contains("as long as each other") && refused.contains("short.flv"), "{refused}");
    }
}
