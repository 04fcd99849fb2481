//! Fragmented MP4 as CMAF has it (ISO 23000-19): one track per file, an init segment, then fragments.

mod boxes;
mod entry;
mod fragment;
mod init;

pub use fragment::fragment;
pub use init::init_segment;
