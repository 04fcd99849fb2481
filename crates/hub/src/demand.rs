//! Somebody wants what nobody has.

use crate::path::BroadcastPath;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Paths that are wanted and absent, with how many want each.
#[derive(Debug, Default)]
pub(crate) struct Demands(Mutex<HashMap<BroadcastPath, usize>>);

impl Demands {
    pub(crate) fn list(&self) -> Vec<(BroadcastPath, usize)> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.iter().map(|(path, n)| (path.clone(), *n)).collect()
    }

    pub(crate) fn add(self: &Arc<Self>, path: &BroadcastPath) -> Demand {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default() += 1;
        Demand { path: path.clone(), demands: Arc::clone(self) }
    }
}

/// A wish for a broadcast that is not here; whoever can fetch it (a relay) reads the wishes from the hub.
/// Dropping it takes the wish back.
#[derive(Debug)]
pub struct Demand {
    path: BroadcastPath,
    demands: Arc<Demands>,
}

impl Demand {
    /// What is wanted.
    pub fn path(&self) -> &BroadcastPath {
        &self.path
    }
}

impl Drop for Demand {
    fn drop(&mut self) {
        let mut map = self.demands.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = map.get_mut(&self.path) {
            *count -= 1;
            if *count == 0 {
                map.remove(&self.path);
            }
        }
    }
}
