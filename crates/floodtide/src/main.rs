//! Live streaming for sudden crowds: one binary that takes broadcasts in and fans them out.

mod cli;
mod clip;
mod config;
mod ctl;
mod demo;
mod doctor;
mod manual;
mod serve;
mod system;
mod table;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("floodtide: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
