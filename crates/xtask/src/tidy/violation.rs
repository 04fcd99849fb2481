//! What tidy answers.

use std::fmt;
use std::path::PathBuf;

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The file, relative to the project.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What stands there.
    pub what: String,
    /// What to do instead.
    pub instead: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { path, line, rule, what, instead } = self;
        write!(f, "{}:{line}: {rule}: {what}\n    instead: {instead}", path.display())
    }
}
