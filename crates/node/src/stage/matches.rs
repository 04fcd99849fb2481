//! A match ("PK"): two broadcasts show each other for a while.

use hub::BroadcastPath;
use std::time::SystemTime;

/// One match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) id: u64,
    pub(crate) between: [BroadcastPath; 2],
    pub(crate) began: SystemTime,
    pub(crate) ends: SystemTime,
    /// Another one for every match, and never that of a stage.
    pub(crate) version: u64,
}

impl Match {
    /// Whom a broadcast is matched with, if it is in this match.
    pub(crate) fn other(&self, path: &BroadcastPath) -> Option<&BroadcastPath> {
        let [a, b] = &self.between;
        match path {
            path if path == a => Some(b),
            path if path == b => Some(a),
            _ => None,
        }
    }
}
