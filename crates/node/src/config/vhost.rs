//! Vhosts and apps with rules of their own.

use super::{Access, BFrames, Collision};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What differs in one app. What isn't said is as in its vhost, and then as in `[publish]`, `[play]` and
/// `[webrtc]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct App {
    /// Who may publish: `"credential"` or `"nobody"`.
    pub publish: Option<PublishAccess>,
    /// A stream key for this app alone.
    pub stream_key: Option<String>,
    /// Who may play: `"anyone"`, `"credential"` or `"nobody"`.
    pub play: Option<Access>,
    /// What happens to a publisher who comes to an occupied path: `"reject"` or `"takeover"`.
    pub collision: Option<Collision>,
    /// What viewers by WebRTC get of B-frames: `"drop"`, `"transcode"` or `"refuse"`, as in `[webrtc]`.
    pub b_frames: Option<BFrames>,
}

/// One vhost. Its broadcasts are called `NAME/app/name`, and no other vhost sees them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vhost {
    /// Host names that mean it, such as `"live.example.com"` or `"*.example.com"`. Its own name always does.
    pub hosts: Vec<String>,
    /// Who may publish: `"credential"` or `"nobody"`.
    pub publish: Option<PublishAccess>,
    /// A stream key for this vhost alone.
    pub stream_key: Option<String>,
    /// Who may play: `"anyone"`, `"credential"` or `"nobody"`.
    pub play: Option<Access>,
    /// What happens to a publisher who comes to an occupied path: `"reject"` or `"takeover"`.
    pub collision: Option<Collision>,
    /// What viewers by WebRTC get of B-frames: `"drop"`, `"transcode"` or `"refuse"`, as in `[webrtc]`.
    pub b_frames: Option<BFrames>,
    /// Its apps. If there is none, every app name is one; if there is one, the others are unknown.
    pub app: BTreeMap<String, App>,
}

/// Who may publish. There is no `"anyone"`: only the demo lets strangers publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishAccess {
    /// Who has a key, token or signed URL.
    Credential,
    /// No one.
    Nobody,
}
