//! Which paths a key, token or signed URL is for.

use hub::BroadcastPath;
use hub::path::{PATH_BYTES_MAX, PathError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Paths of broadcasts: `live/alice` is one, `live/*` all with one element behind `live`, `live/**` all behind `live`,
/// `**` all. It is compared with the whole path as it stands in lists and logs, so the vhost comes first where it isn't
/// the default one: `VHOST/live/*`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It would match nothing.
    #[error("a pattern is app/name, as in \"live/*\" or \"live/**\"; \"**\" is everything")]
    Short,
    /// `live/a*`.
    #[error("a * stands for one whole element, as in \"live/*\"")]
    PartOfElement,
    /// `**/x`.
    #[error("** stands only at the end, as in \"live/**\"")]
    RestNotLast,
    /// What no path can have.
    #[error("{0}")]
    Path(#[from] PathError),
}

/// One whole element.
const ONE: &str = "*";
/// One or more elements.
const REST: &str = "**";

impl Pattern {
    /// All paths.
    pub fn everything() -> Pattern {
        Pattern(REST.into())
    }

    /// Whether a broadcast is meant.
    pub fn matches(&self, path: &BroadcastPath) -> bool {
        let mut given = path.as_str().split('/');
        for wanted in self.0.split('/') {
            match given.next() {
                None => return false,
                Some(_) if wanted == REST => return true,
                Some(element) if wanted != ONE && wanted != element => return false,
                Some(_) => {}
            }
        }
        given.next().is_none()
    }

    /// Whether a broadcast within this app, which may be `vhost/app`, could be meant.
    pub(crate) fn reaches(&self, app: &str) -> bool {
        let mut wanted = self.0.split('/');
        for element in app.split('/') {
            match wanted.next() {
                Some(REST) => return true,
                Some(one) if one == ONE || one == element => {}
                _ => return false,
            }
        }
        wanted.next().is_some()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Pattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong.into());
        }
        let mut elements = text.split('/').peekable();
        let mut count = 0;
        while let Some(element) = elements.next() {
            count += 1;
            match element {
                ONE => {}
                REST if elements.peek().is_some() => return Err(PatternError::RestNotLast),
                REST => return Ok(Pattern(text.into())),
                _ if element.contains('*') => return Err(PatternError::PartOfElement),
                // Two elements, since one alone is no path.
                _ => drop(BroadcastPath::new("app", element_of(element)?)?),
            }
        }
        if count < 2 { Err(PatternError::Short) } else { Ok(Pattern(text.into())) }
    }
}

fn element_of(element: &str) -> Result<&str, PathError> {
    if element.is_empty() { Err(PathError::Empty) } else { Ok(element) }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    #[track_caller]
    fn check(pattern: &str, path: &str, expect: bool) {
        let path = BroadcastPath::parse(path).unwrap();
        assert_eq!(pattern.parse::<Pattern>().unwrap().matches(&path), expect, "{pattern} {path}");
    }

    #[test]
    fn elements_are_compared_whole() {
        check("live/alice", "live/alice", true);
        check("live/alice", "live/alicex", false);
        check("live/alice", "live/alice/x", false);
        check("live/alice", "live/Alice", false);
        check("live/*", "live/alice", true);
        check("live/*", "lives/alice", false);
        check("live/*", "live/alice/x", false);
        check("live/*/x", "live/alice/x", true);
        check("live/**", "live/alice", true);
        check("live/**", "live/a/b/c", true);
        check("live/**", "other/a", false);
        check("**", "live/alice", true);
        check("*/*", "live/alice", true);
    }

    #[test]
    fn a_vhost_is_the_first_element() {
        check("v/live/*", "v/live/alice", true);
        check("live/*", "v/live/alice", false);
    }

    #[test]
    fn what_could_match_nothing_is_refused() {
        let refused = |text: &str| text.parse::<Pattern>().unwrap_err();
        assert_eq!(refused("live"), PatternError::Short);
        assert_eq!(refused("*"), PatternError::Short);
        assert_eq!(refused("live/a*"), PatternError::PartOfElement);
        assert_eq!(refused("**/x"), PatternError::RestNotLast);
        for text in ["", "live/", "/live/x", "live//x"] {
            assert_eq!(refused(text), PatternError::Path(PathError::Empty), "{text}");
        }
        for text in ["live/../x", "live/a b", "live/%2e", "live/a?b"] {
            assert_eq!(refused(text), PatternError::Path(PathError::Character), "{text}");
        }
        assert_eq!(refused(&"a/".repeat(200)), PatternError::Path(PathError::TooLong));
    }

    #[test]
    fn fuzz_patterns() {
        let path = BroadcastPath::parse("live/alice/x").unwrap();
        let mut random = Random::seeded(7);
        for _ in 0..5000 {
            let text = random.mutate(b"live/*/alice/**");
            if let Ok(pattern) = String::from_utf8_lossy(&text).parse::<Pattern>() {
                assert_eq!(pattern.to_string().parse(), Ok(pattern.clone()));
                assert!(
                    !pattern.matches(&path)
                        || pattern.as_str().contains('*')
                        || pattern.as_str() == path.as_str()
                );
            }
        }
    }

    #[test]
    fn a_pattern_reaches_the_apps_that_its_paths_are_in() {
        let reaches = |pattern: &str, app| pattern.parse::<Pattern>().unwrap().reaches(app);
        assert!(reaches("live/alice", "live") && reaches("live/*", "live") && reaches("**", "live"));
        assert!(reaches("live/**", "live/eu") && reaches("*/eu/x", "live/eu"));
        assert!(!reaches("live/alice", "live/alice") && !reaches("live/*", "studio"));
        assert!(reaches("live/eu/x", "live"), "a name may have several elements");
    }
}
