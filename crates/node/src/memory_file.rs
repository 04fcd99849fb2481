//! Bytes from which the kernel sends to many sockets without a copy.
//!
//! A copy of some ten thousand bytes costs more than everything else about sending them. So what goes to a crowd is
//! written once into a memory file (`memfd_create`), and `sendfile` passes its pages to every socket. The pages live until
//! the last socket has sent them, so a file is never written to again.

use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, memfd_create};
use std::io::{Result, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// One memory file. Each is a descriptor, so the process counts them.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    descriptor: OwnedFd,
}

/// Memory files of a process; most of its descriptors belong to viewers.
const OPEN_MAX: usize = 2000;

static OPEN: AtomicUsize = AtomicUsize::new(0);

impl MemoryFile {
    /// A file with this content; `None` when there are too many, or the system gives none.
    pub(crate) fn holding(bytes: &[u8]) -> Option<MemoryFile> {
        if OPEN.load(Ordering::Relaxed) >= OPEN_MAX {
            return None;
        }
        MemoryFile::fill(bytes).ok()
    }

    fn fill(bytes: &[u8]) -> Result<MemoryFile> {
        let descriptor = memfd_create("media", MemfdFlags::CLOEXEC)?;
        OPEN.fetch_add(1, Ordering::Relaxed);
        let file = MemoryFile { descriptor };
        std::fs::File::from(file.descriptor.try_clone()?).write_all(bytes)?;
        Ok(file)
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}
