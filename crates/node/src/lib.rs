//! The running server: gateways, egress plane, configuration, metrics.

mod egress;
mod metrics;

pub use egress::MergeWindow;
