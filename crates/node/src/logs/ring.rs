//! The newest lines, for who looks from elsewhere.

use super::access::REQUESTS;
use crate::ring::Ring;
use std::fmt::{self, Write};
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The newest lines. Clones share.
pub(crate) type LogRing = Ring<Line>;

/// A line of the log.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) at: SystemTime,
    pub(crate) level: Level,
    pub(crate) text: String,
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// Puts lines into a ring.
#[derive(Debug)]
pub(super) struct Keep(pub(super) LogRing);

/// Lines that are kept.
pub(crate) const LINES_MAX: usize = 1000;
/// Longest text or field of a line; the rest is cut off.
const TEXT_BYTES_MAX: usize = 1024;
/// Fields of a line.
const FIELDS_MAX: usize = 16;

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // They would push everything else out within a second.
        if event.metadata().target() == REQUESTS {
            return;
        }
        let mut line = Line {
            at: SystemTime::now(),
            level: *event.metadata().level(),
            text: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        self.0.push(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, format_args!("{value}"));
    }
}

impl Line {
    fn note(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let mut text = Short(String::new());
        // An error means that it was cut off.
        let _ = text.write_fmt(value);
        if field.name() == "message" {
            self.text = text.0;
        } else if self.fields.len() < FIELDS_MAX {
            self.fields.push((field.name(), text.0));
        }
    }
}

/// Text that ends where it gets too long.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = TEXT_BYTES_MAX - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn lines_are_kept_with_their_fields_and_not_longer_than_is_useful() {
        let ring = LogRing::new(LINES_MAX, 0);
        let subscriber = tracing_subscriber::registry().with(Keep(ring.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(path = "live/x", count = 3, "it fails");
            tracing::info!(long = %"直播".repeat(1000), "cut");
            (0..LINES_MAX).for_each(|_| tracing::info!(target: REQUESTS, "answered"));
        });
        let lines = ring.all();
        assert_eq!(lines.len(), 2, "requests have their lines elsewhere");
        let (first, second) = (&lines[0].1, &lines[1].1);
        assert_eq!((first.text.as_str(), first.level), ("it fails", Level::WARN));
        assert_eq!(first.fields, [("path", "live/x".to_owned()), ("count", "3".to_owned())]);
        assert_eq!(second.fields[0].1.len(), 1023, "a whole number of characters");
    }
}
