//! The project's own automation. `cargo xtask ci` is the one definition of "checked".

mod ci;
mod floors;
mod sources;
mod tidy;

use anyhow::{Result, bail};

const USAGE: &str =
    "cargo xtask ci      format, lints, tests, docs and tidy: all that must hold before a commit lands
cargo xtask tidy    only the floors: dependencies, clocks, sizes, names, links";

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("ci") => ci::run(),
        Some("tidy") => tidy::run(),
        _ => bail!("{USAGE}"),
    }
}
