//! Containers to frames and back.
//!
//! - [`flv`] FLV tags and the tag bodies that RTMP carries, legacy and enhanced
//! - [`fmp4`] CMAF init segments and fragments
//! - [`rtp`] RTP payload formats
//! - [`ts`] MPEG transport streams
//! - [`timeline`] a publisher's 32-bit milliseconds to the broadcast's own timeline

mod error;
pub mod flv;
pub mod fmp4;
mod nal;
pub mod rtp;
pub mod timeline;
pub mod ts;

pub use error::{Error, Fault};
