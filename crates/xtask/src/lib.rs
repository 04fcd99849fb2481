//! The project's own automation.
//!
//! - [`tidy`] what the compiler can't enforce: floors, sizes, names, links
//! - `ci` the one definition of "checked"

mod ci;
mod command;
pub mod tidy;

pub use command::run;
