//! Which broadcast and which file a URL means.

use super::super::head::broadcast_path;
use hub::BroadcastPath;

/// A file of a broadcast.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Target<'a> {
    pub(in super::super) path: BroadcastPath,
    pub(in super::super) sound: Sound,
    /// The path below the broadcast: `index.m3u8`, `video/seg-7.m4s`.
    pub(in super::super) file: &'a str,
}

/// Which sound a player gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Sound {
    /// What the players of the broadcast's pictures know.
    #[default]
    Usual,
    /// Opus, from the folder of that name: everything below it is the same once more.
    Opus,
}

impl Sound {
    /// The target of the playlist that players begin with.
    pub(super) fn playlist(self, path: &BroadcastPath) -> String {
        match self {
            Sound::Usual => format!("/{path}/index.m3u8"),
            Sound::Opus => format!("/{path}/{OPUS}/index.m3u8"),
        }
    }
}

/// The folder of [`Sound::Opus`].
const OPUS: &str = "opus";
/// Folders below a broadcast.
const FOLDERS: [&str; 3] = ["video", "audio", "ts"];

/// The target of a URL path, if it can be one. A name that equals a folder (`/live/video/index.m3u8`) is still a
/// broadcast, since `/live` alone is none.
pub(in super::super) fn target(path: &str) -> Option<Target<'_>> {
    let (above, name) = path.rsplit_once('/')?;
    if !(name.ends_with(".m3u8") || name.ends_with(".m4s") || name.ends_with(".mp4") || name.ends_with(".ts"))
    {
        return None;
    }
    let in_folder = above.rsplit_once('/').filter(|(_, folder)| FOLDERS.contains(folder));
    let below_folder = in_folder.and_then(|(above, _)| with_sound(above, &path[above.len() + 1..]));
    below_folder.or_else(|| with_sound(above, name))
}

fn with_sound<'a>(above: &str, file: &'a str) -> Option<Target<'a>> {
    let opus = above.strip_suffix(OPUS).and_then(|above| broadcast_path(above.strip_suffix('/')?));
    match opus {
        Some(path) => Some(Target { path, sound: Sound::Opus, file }),
        None => Some(Target { path: broadcast_path(above)?, sound: Sound::Usual, file }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_and_file_are_told_apart() {
        let check = |path: &str, expect: Option<(&str, &str)>| {
            let found = target(path);
            assert_eq!(found.as_ref().map(|t| (t.path.as_str(), t.file)), expect, "{path}");
        };
        check("/live/x/index.m3u8", Some(("live/x", "index.m3u8")));
        check("/live/x/video/index.m3u8", Some(("live/x", "video/index.m3u8")));
        check("/live/x/video/part-7-2.m4s", Some(("live/x", "video/part-7-2.m4s")));
        check("/live/video/index.m3u8", Some(("live/video", "index.m3u8")));
        check("/live/%E7%9B%B4/ts/seg-1.ts", Some(("live/直", "ts/seg-1.ts")));
        check("/live/../video/index.m3u8", None);
        check("/live/x/opus/index.m3u8", Some(("live/x", "index.m3u8")));
        check("/live/opus/index.m3u8", Some(("live/opus", "index.m3u8")));
        check("/live/x.flv", None);
        check("/index.m3u8", None);
    }

    #[test]
    fn opus_is_a_folder_of_its_own() {
        let sound = |path| target(path).map(|target| (target.sound, target.file));
        assert_eq!(sound("/live/x/opus/video/seg-7.m4s"), Some((Sound::Opus, "video/seg-7.m4s")));
        assert_eq!(sound("/live/x/opus/index.m3u8"), Some((Sound::Opus, "index.m3u8")));
        assert_eq!(sound("/live/opus/video/seg-7.m4s"), Some((Sound::Usual, "video/seg-7.m4s")));
        assert_eq!(sound("/live/x/index.m3u8"), Some((Sound::Usual, "index.m3u8")));
    }
}
