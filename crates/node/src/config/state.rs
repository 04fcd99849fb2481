//! What outlives a restart.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What outlives a restart: stream keys made by `floodtide ctl key` or the API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// The folder for it. Without it, systemd's `$STATE_DIRECTORY`; else `/var/lib/floodtide` for root, and
    /// `$XDG_STATE_HOME/floodtide` or `~/.local/state/floodtide` for others.
    pub folder: Option<PathBuf>,
}

/// What the choice of a folder depends on, beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `$STATE_DIRECTORY`, which systemd sets for `StateDirectory=`; folders parted by colons.
    pub state_directory: Option<String>,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// Whether this is root.
    pub root: bool,
}

/// For root, and for everybody without a home. Filesystem Hierarchy Standard 3.0 §5.8.
const SYSTEM_FOLDER: &str = "/var/lib/floodtide";

impl State {
    /// The folder, which may not be there yet.
    pub fn folder(&self, around: &Surroundings) -> PathBuf {
        if let Some(folder) = &self.folder {
            return folder.clone();
        }
        let first = around.state_directory.as_deref().and_then(|list| list.split(':').next());
        if let Some(folder) = first.filter(|folder| !folder.is_empty()) {
            return folder.into();
        }
        // XDG Base Directory Specification 0.8: relative paths are ignored.
        let xdg = around.xdg_state_home.clone().filter(|path| path.is_absolute());
        let home = || around.home.as_ref().filter(|p| p.is_absolute()).map(|home| home.join(".local/state"));
        match xdg.or_else(home) {
            Some(state) if !around.root => state.join("floodtide"),
            _ => SYSTEM_FOLDER.into(),
        }
    }
}

impl Surroundings {
    /// Those of this process.
    pub fn here() -> Surroundings {
        Surroundings {
            state_directory: std::env::var("STATE_DIRECTORY").ok(),
            xdg_state_home: std::env::var_os("XDG_STATE_HOME").map(PathBuf::from),
            home: std::env::var_os("HOME").map(PathBuf::from),
            root: rustix::process::geteuid().is_root(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_folder_is_the_first_that_somebody_named() {
        let user = Surroundings { home: Some("/u".into()), ..Surroundings::default() };
        let root = Surroundings { root: true, home: Some("/root".into()), ..Surroundings::default() };
        let xdg = Surroundings { xdg_state_home: Some("/x".into()), ..user.clone() };
        let relative = Surroundings { xdg_state_home: Some("x".into()), ..user.clone() };
        let unit = Surroundings { state_directory: Some("/var/lib/a:/var/lib/b".into()), ..xdg.clone() };
        let unset = State::default();
        assert_eq!(unset.folder(&root), Path::new(SYSTEM_FOLDER));
        assert_eq!(unset.folder(&user), Path::new("/u/.local/state/floodtide"));
        assert_eq!(unset.folder(&xdg), Path::new("/x/floodtide"));
        assert_eq!(unset.folder(&relative), Path::new("/u/.local/state/floodtide"));
        assert_eq!(unset.folder(&unit), Path::new("/var/lib/a"));
        assert_eq!(unset.folder(&Surroundings::default()), Path::new(SYSTEM_FOLDER));
        let set = State { folder: Some("/srv/f".into()) };
        assert_eq!(set.folder(&unit), Path::new("/srv/f"));
    }
}
