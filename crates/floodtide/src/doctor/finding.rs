//! What a check answers, and how it is shown.

use crate::table::table;
use serde::Serialize;

/// What is to be said about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// What was looked at.
    pub(super) check: String,
    /// What was found.
    pub(super) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Nothing to do.
    Ok,
    /// A server runs, but not as well as it could.
    Warning,
    /// A server doesn't start, or somebody is turned away.
    Failure,
}

impl Finding {
    pub(super) fn ok(check: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Ok, check: check.into(), found: found.into(), advice: None }
    }

    pub(super) fn warning(check: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Warning, ..Finding::ok(check, found) }
    }

    pub(super) fn failure(check: impl Into<String>, found: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Failure, ..Finding::ok(check, found) }
    }

    /// Adds what to do.
    #[must_use]
    pub(super) fn advise(self, advice: impl Into<String>) -> Finding {
        Finding { advice: Some(advice.into()), ..self }
    }
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failure => "FAILURE",
        }
    }
}

/// A table, what to do, and a line that counts.
pub(super) fn as_text(findings: &[Finding]) -> String {
    let row = |f: &Finding| [f.verdict.as_str().to_owned(), f.check.clone(), f.found.clone()];
    let rows: Vec<_> = findings.iter().map(row).collect();
    let mut lines = vec![table(["STATE", "CHECK", "FOUND"], &rows)];
    let advice = findings.iter().filter_map(|f| Some(format!("  {}: {}", f.check, f.advice.as_ref()?)));
    let advice: Vec<String> = advice.collect();
    if !advice.is_empty() {
        lines.push("\nWhat to do:".to_owned());
        lines.extend(advice);
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    lines.push(format!("\n{} warnings, {} failures", count(Verdict::Warning), count(Verdict::Failure)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_table() {
        let findings =
            [Finding::ok("clock", "good"), Finding::failure("port", "taken").advise("take another")];
        assert_eq!(
            as_text(&findings),
            "STATE    CHECK  FOUND\nok       clock  good\nFAILURE  port   taken\n\nWhat to do:\n  port: take another\n\n\
             0 warnings, 1 failures"
        );
    }
}
