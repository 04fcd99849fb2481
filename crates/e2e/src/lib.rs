//! End-to-end tests: the real binary with real clients.
