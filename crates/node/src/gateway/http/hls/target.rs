//! Which broadcast and which file a URL means.

use super::super::head::broadcast_path;
use hub::BroadcastPath;

/// A file of a broadcast.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Target<'a> {
    pub(in super::super) path: BroadcastPath,
    /// The path below the broadcast: `index.m3u8`, `video/seg-7.m4s`.
    pub(in super::super) file: &'a str,
}

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
    let below_folder = in_folder
        .and_then(|(above, _)| Some(Target { path: broadcast_path(above)?, file: &path[above.len() + 1..] }));
    below_folder.or_else(|| Some(Target { path: broadcast_path(above)?, file: name }))
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
        check("/live/x.flv", None);
        check("/index.m3u8", None);
    }
}
