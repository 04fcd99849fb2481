//! Live streaming for sudden crowds.
fn main() {}
