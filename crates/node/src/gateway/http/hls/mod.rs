//! HLS and LL-HLS: who packages a broadcast, and what a request is answered with.
//!
//! - [`mod@target`] which broadcast and which file a URL means
//! - [`audience`] how many watch, told from what they ask for
//! - [`mod@credentials`] which of a playlist's URL is written behind the URLs in it
//! - [`packaging`] one task per broadcast that somebody watches by HLS
//! - [`succession`] how packaging goes on in a process that takes over
//! - [`files`] segments that a crowd loads, sent without a copy
//! - [`mod@answer`] playlists, parts and segments as HTTP responses, held until they exist

mod answer;
mod audience;
mod credentials;
mod files;
mod packaging;
mod succession;
mod target;

pub(super) use answer::{
    Content, FileAnswer, FileAsk, Wishes, about_to_end, absent, accepts_gzip, answer, come_over, forbidden,
    is_playlist,
};
pub(crate) use packaging::{Cutting, Packagings};
pub(crate) use succession::Inherited;
pub(super) use target::{Target, target};
