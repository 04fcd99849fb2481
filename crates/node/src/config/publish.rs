//! Publishing.

use super::values::{Size, Span};
use super::{PublishUser, StreamKey};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who may publish, and what happens when a publisher comes or goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// The secret that every publisher presents as `?key=…`. Without one nobody can publish.
    pub stream_key: Option<String>,
    /// Lets anyone publish. Only the demo sets it.
    #[serde(skip)]
    pub anyone: bool,
    /// What happens to a publisher who comes to an occupied path.
    pub collision: Collision,
    /// How long a broadcast waits for a publisher who left.
    pub grace: Span,
    /// A publisher that sends nothing for so long is closed.
    pub idle: Span,
    /// Broadcasts at a time.
    pub broadcasts_max: usize,
    /// Bytes of frames kept per broadcast.
    pub log: Size,
    /// A stream key for some paths. More can be made at run time by `floodtide ctl key` and the API.
    pub key: Vec<StreamKey>,
    /// A user who publishes by name and password.
    pub user: Vec<PublishUser>,
    /// Whether RTMP publishers into the apps of users are asked for name and password although they could have a key, a token or
    /// something for a webhook behind the stream name, which comes too late to be seen. Without any of these they are always asked.
    pub demand_user: bool,
}

impl Default for Publish {
    fn default() -> Self {
        Publish {
            stream_key: None,
            anyone: false,
            collision: Collision::Reject,
            grace: Span(Duration::from_secs(10)),
            idle: Span(Duration::from_secs(20)),
            broadcasts_max: 10_000,
            log: Size(8 << 20),
            key: Vec::new(),
            user: Vec::new(),
            demand_user: false,
        }
    }
}

/// What happens to a publisher who comes to an occupied path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Collision {
    /// The newcomer is refused.
    #[default]
    Reject,
    /// The newcomer replaces the one who is there; viewers stay.
    Takeover,
}
