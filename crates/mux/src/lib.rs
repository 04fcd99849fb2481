//! Containers to frames and back.
//!
//! - [`flv`] FLV tags and the tag bodies that RTMP carries, legacy and enhanced
//! - [`timeline`] a publisher's 32-bit milliseconds to the broadcast's own timeline

mod error;
pub mod flv;
pub mod timeline;

pub use error::{Error, Fault};
