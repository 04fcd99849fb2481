//! Whether the state folder can be written and has room.

use super::finding::Finding;
use node::config::{Config, Surroundings};
use rustix::fs::{Access, access, statvfs};
use std::path::Path;

/// Less may be used up by the next log file.
const FREE_GOOD_BYTES: u64 = 1 << 30;
/// With less, keys that are made can't be kept.
const FREE_LEAST_BYTES: u64 = 16 << 20;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let folder = config.state.folder(&Surroundings::here());
    let writable = writable(&folder);
    let good = writable.verdict == super::Verdict::Ok;
    // Of a folder that can't be used nobody wants to know the room.
    let space = nearest(&folder).filter(|_| good).and_then(space);
    std::iter::once(writable).chain(space).collect()
}

/// The folder, or the nearest one above it that is there.
fn nearest(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|path| path.exists())
}

fn writable(folder: &Path) -> Finding {
    let shown = folder.display();
    let advice = format!("make {shown} a folder that the server's user may write, or set state.folder");
    let Some(there) = nearest(folder) else {
        return Finding::failure("state folder", format!("{shown}: no such place")).advise(advice);
    };
    if !there.is_dir() {
        let found = format!("{} is a file, not a folder", there.display());
        return Finding::failure("state folder", found).advise(advice);
    }
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if there == folder => Finding::ok("state folder", format!("{shown} can be written")),
        Ok(()) => Finding::ok("state folder", format!("{shown} can be made")),
        Err(error) => {
            let found = format!("{} can't be written: {}", there.display(), std::io::Error::from(error));
            Finding::failure("state folder", found).advise(advice)
        }
    }
}

fn space(folder: &Path) -> Option<Finding> {
    let disk = statvfs(folder).ok()?;
    Some(room(disk.f_bavail.saturating_mul(disk.f_frsize)))
}

fn room(free: u64) -> Finding {
    let found = format!("{} MiB free for the state folder", free >> 20);
    let advice = "make room, or set state.folder to another disk";
    match free {
        free if free < FREE_LEAST_BYTES => Finding::failure("disk", found).advise(advice),
        free if free < FREE_GOOD_BYTES => Finding::warning("disk", found).advise(advice),
        _ => Finding::ok("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_file_in_the_place_of_the_folder_fails() {
        let file = std::env::current_exe().expect("this test");
        let told = writable(&file);
        assert_eq!(told.verdict, Verdict::Failure);
        assert!(told.found.contains("is a file"), "{told:?}");
        assert_eq!(writable(&file.join("state")).verdict, Verdict::Failure);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_can_be_made() {
        let folder = std::env::temp_dir();
        assert_eq!(writable(&folder).verdict, Verdict::Ok);
        let below = folder.join("floodtide-not-there/state");
        assert!(writable(&below).found.contains("can be made"));
        assert!(!below.exists(), "a doctor changes nothing");
    }

    #[test]
    fn little_room_warns_and_none_fails() {
        assert_eq!(room(10 << 30).verdict, Verdict::Ok);
        assert_eq!(room(100 << 20).verdict, Verdict::Warning);
        assert_eq!(room(1 << 20).verdict, Verdict::Failure);
    }
}
