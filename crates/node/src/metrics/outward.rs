//! What connections to other servers count: restreams and pulls, each a set of its own.

use crate::outward::{Failure, State};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

type Label = [(&'static str, &'static str); 1];

/// One set. Clones share.
#[derive(Clone, Debug)]
pub(crate) struct OutwardMetrics {
    states: Family<Label, Gauge>,
    failures: Family<Label, Counter>,
    pub(crate) attempts: Counter,
    pub(crate) bytes: Counter,
}

impl OutwardMetrics {
    /// Registered as `restreams`, `restream_attempts` and so on for `"restream"`.
    pub(super) fn registered(registry: &mut Registry, name: &str, what: &str) -> OutwardMetrics {
        let metrics = OutwardMetrics {
            states: Family::default(),
            failures: Family::default(),
            attempts: Counter::default(),
            bytes: Counter::default(),
        };
        for state in State::ALL {
            metrics.state(state);
        }
        for label in Failure::LABELS {
            // Seen before the first one of its kind.
            drop(metrics.failures.get_or_create(&[("reason", label)]));
        }
        let help = format!("{what} now, by state");
        registry.register(format!("{name}s"), help, metrics.states.clone());
        let help = format!("{what}: attempts to connect");
        registry.register(format!("{name}_attempts"), help, metrics.attempts.clone());
        let help = format!("{what}: attempts that failed or ended, by reason");
        registry.register(format!("{name}_failures"), help, metrics.failures.clone());
        let help = format!("{what}: media that went through");
        registry.register_with_unit(name, help, Unit::Bytes, metrics.bytes.clone());
        metrics
    }

    /// How many have that state.
    pub(crate) fn state(&self, state: State) -> Gauge {
        self.states.get_or_create(&[("state", state.as_str())]).clone()
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&[("reason", reason)]).inc();
    }
}
