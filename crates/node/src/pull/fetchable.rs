//! Which paths a viewer may wait for, since they are fetched on demand.

use crate::auth::pattern::Pattern;
use arc_swap::ArcSwap;
use hub::BroadcastPath;
use std::sync::Arc;

/// The patterns of all pulls on demand. Clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetchable(Arc<ArcSwap<Vec<Pattern>>>);

impl Fetchable {
    /// Whether somebody would fetch that path.
    pub(crate) fn covers(&self, path: &BroadcastPath) -> bool {
        self.0.load().iter().any(|pattern| pattern.matches(path))
    }

    /// Takes other patterns.
    pub(crate) fn set(&self, patterns: Vec<Pattern>) {
        self.0.store(Arc::new(patterns));
    }
}
