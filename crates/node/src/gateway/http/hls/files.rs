//! Segments that a crowd loads. What is asked for a second time is put into a memory file.

use crate::memory_file::MemoryFile;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The memory files of one broadcast. Beyond [`FILES_MAX`] the oldest go; responses under way keep theirs.
#[derive(Debug, Default)]
pub(super) struct Files {
    entries: Mutex<VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    /// `None` until somebody asks again.
    file: Option<Arc<MemoryFile>>,
}

/// Memory files of one broadcast: the last few segments of video and sound.
const FILES_MAX: usize = 8;
/// Smaller ones are copied: the file would cost more.
const BYTES_MIN: usize = 64 << 10;

impl Files {
    /// The file of that name, if it is worth one. `bytes` is its content.
    pub(super) fn file(&self, name: &str, bytes: &Bytes) -> Option<Arc<MemoryFile>> {
        if bytes.len() < BYTES_MIN {
            return None;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.iter_mut().find(|e| *e.name == *name) else {
            if entries.len() >= FILES_MAX {
                entries.pop_front();
            }
            entries.push_back(Entry { name: name.into(), file: None });
            return None;
        };
        if entry.file.is_none() {
            entry.file = MemoryFile::holding(bytes).map(Arc::new);
        }
        entry.file.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_when_a_large_segment_is_asked_for_again() {
        let (files, large) = (Files::default(), Bytes::from(vec![7; BYTES_MIN]));
        assert!(files.file("seg-1.m4s", &large).is_none());
        let file = files.file("seg-1.m4s", &large).expect("asked for twice");
        let mut back = vec![0; BYTES_MIN];
        rustix::io::pread(file.descriptor(), &mut back, 0).unwrap();
        assert_eq!(back, large);
        assert!(files.file("part-1-0.m4s", &large.slice(1..)).is_none());
        assert!(files.file("part-1-0.m4s", &large.slice(1..)).is_none());
    }

    #[test]
    fn only_the_newest_files_are_kept() {
        let (files, large) = (Files::default(), Bytes::from(vec![7; BYTES_MIN]));
        for n in 0..3 * FILES_MAX {
            files.file(&n.to_string(), &large);
            files.file(&n.to_string(), &large);
        }
        assert_eq!(files.entries.lock().unwrap().len(), FILES_MAX);
        assert!(files.file("0", &large).is_none());
    }
}
