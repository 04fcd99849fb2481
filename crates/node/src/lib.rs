//! The running server: gateways, egress plane, configuration, metrics.
