//! What a broadcast is called.

use std::fmt;
use std::sync::Arc;

/// Longest path in bytes; it stands in logs, maps and URLs.
pub const PATH_BYTES_MAX: usize = 256;

/// The name of a broadcast: `app/name`, with a vhost before it where it isn't the default one.
///
/// Parsed once at the edge; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BroadcastPath(Arc<str>);

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Empty, or an empty element.
    #[error("a path is app/name, both parts not empty")]
    Empty,
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("a path has at most {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// A character that is not safe in URLs and logs, or an element `.` or `..`.
    #[error("a path has letters, digits and - _ . ~ @ + only")]
    Character,
}

impl BroadcastPath {
    /// From an app and a name; either may have several elements, and one may be empty if the other has them all: encoders differ in
    /// where they cut a URL.
    ///
    /// # Errors
    /// When an element is empty, too long, or has characters that are unsafe in URLs or logs.
    pub fn new(app: &str, name: &str) -> Result<Self, PathError> {
        match (app.trim_matches('/'), name.trim_matches('/')) {
            ("", whole) | (whole, "") => Self::parse(whole),
            (app, name) => Self::parse(&format!("{app}/{name}")),
        }
    }

    /// From `app/name`.
    ///
    /// # Errors
    /// As [`BroadcastPath::new`].
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let mut elements = 0;
        for element in path.split('/') {
            if element.is_empty() {
                return Err(PathError::Empty);
            }
            if element == "." || element == ".." || !element.chars().all(allowed) {
                return Err(PathError::Character);
            }
            elements += 1;
        }
        if elements < 2 { Err(PathError::Empty) } else { Ok(BroadcastPath(Arc::from(path))) }
    }

    /// As text, `app/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters and digits of any script, and the unreserved marks of RFC 3986 §2.3 plus `@` and `+`.
fn allowed(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '@' | '+')
}

impl fmt::Display for BroadcastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BroadcastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expect: Result<&str, PathError>) {
        assert_eq!(
            BroadcastPath::parse(path).as_ref().map(BroadcastPath::as_str),
            expect.as_ref().map(|p| *p)
        );
    }

    #[test]
    fn paths_are_app_and_name_with_safe_characters() {
        check("live/x", Ok("live/x"));
        check("live/a/b", Ok("live/a/b"));
        check("live/直播", Ok("live/直播"));
        check("live", Err(PathError::Empty));
        check("live//x", Err(PathError::Empty));
        check("live/../etc", Err(PathError::Character));
        check("live/a b", Err(PathError::Character));
        check("live/a?b", Err(PathError::Character));
        check(&format!("live/{}", "x".repeat(300)), Err(PathError::TooLong));
    }

    #[test]
    fn a_url_may_be_cut_anywhere_between_app_and_name() {
        for (app, name) in [("live", "x"), ("", "live/x"), ("/", "live/x"), ("live/x", ""), ("/live/", "/x")]
        {
            assert_eq!(
                BroadcastPath::new(app, name).as_ref().map(BroadcastPath::as_str),
                Ok("live/x"),
                "{app} {name}"
            );
        }
        assert_eq!(BroadcastPath::new("", "x"), Err(PathError::Empty));
        assert_eq!(BroadcastPath::new("", ""), Err(PathError::Empty));
    }
}
