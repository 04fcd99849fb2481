//! What the rules of a configuration would be, without a server.

use super::keys::KeyStore;
use super::rules::{Rules, RulesError};
use crate::config::Config;
use std::path::Path;

/// Whether anybody could publish by the keys, tokens and signed URLs of a configuration and by the stream keys in its state folder.
///
/// # Errors
/// When a file that the rules name, or the stream keys in the state folder, can't be read or used.
pub fn somebody_may_publish(config: &Config, state: &Path) -> Result<bool, RulesError> {
    Ok(Rules::new(config, &KeyStore::new(state))?.somebody_may_publish())
}
