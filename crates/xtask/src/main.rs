//! The project's own automation: ci, tidy.
fn main() {}
