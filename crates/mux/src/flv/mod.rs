//! FLV tags (Adobe FLV 10.1 annex E) and the tag bodies that RTMP carries, legacy and enhanced
//! (Enhanced RTMP v1, and v2 as far as its audio FourCCs).

mod demux;
mod fourcc;
mod mux;
mod read;
mod script;
mod tag;

pub use demux::{Demuxer, Event};
pub use mux::{frame, metadata, sequence_header};
pub use read::{TAG_BYTES_MAX, Tag, TagReader};
pub use script::Metadata;
pub use tag::{HEAD_BYTES_MAX, TagBody, TagType, file_header, write_tag};
