//! Co-host stages and matches.

use super::values::Span;
use crate::stage::{Limits, MEMBERS_MAX};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Co-host stages and matches. See docs/stage.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stage {
    /// Stages at a time.
    pub stages_max: usize,
    /// Seats of a stage, at most 12: each member plays all others. People who are invited have one.
    pub members_max: usize,
    /// Matches at a time.
    pub matches_max: usize,
    /// How long an invitation holds, if whoever invites doesn't say.
    pub invitation: Span,
    /// How long who accepted may stay and come back.
    pub pass: Span,
    /// The longest match.
    pub match_max: Span,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            stages_max: 100,
            members_max: MEMBERS_MAX,
            matches_max: 100,
            invitation: Span(Duration::from_secs(3600)),
            pass: Span(Duration::from_secs(12 * 3600)),
            match_max: Span(Duration::from_secs(2 * 3600)),
        }
    }
}

/// Shorter ones are over before a person has read them; longer ones are forgotten.
const HOLD_RANGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30 * 24 * 3600));

impl Stage {
    /// What a type alone can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=MEMBERS_MAX).contains(&self.members_max) {
            let members = self.members_max;
            return Err(format!("stage.members_max is {members}; it must be from 1 to {MEMBERS_MAX}"));
        }
        let spans = [
            ("stage.invitation", self.invitation),
            ("stage.pass", self.pass),
            ("stage.match_max", self.match_max),
        ];
        let wrong = spans.into_iter().find(|(_, span)| !(HOLD_RANGE.0..=HOLD_RANGE.1).contains(&span.0));
        wrong.map_or(Ok(()), |(key, span)| Err(format!("{key} is {span}; it must be from 1s to 720h")))
    }

    /// How many there may be.
    pub(crate) fn limits(&self) -> Limits {
        let Stage { stages_max, members_max, matches_max, .. } = *self;
        Limits { stages_max, members_max, matches_max }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn seats_and_times_have_limits() {
        let check = |toml: &str| toml::from_str::<Config>(toml).unwrap().check().err();
        assert_eq!(check("[stage]\nmembers_max = 12\npass = '24h'"), None);
        for (toml, expect) in [
            ("[stage]\nmembers_max = 13", "stage.members_max is 13; it must be from 1 to 12"),
            ("[stage]\nmembers_max = 0", "stage.members_max is 0; it must be from 1 to 12"),
            ("[stage]\ninvitation = '0s'", "stage.invitation is 0s; it must be from 1s to 720h"),
        ] {
            assert_eq!(check(toml).as_deref(), Some(expect));
        }
    }
}
