//! A bad network for tests in other languages: `relay LISTEN SERVER` passes datagrams on. Lines on the standard input change it:
//! `rebind`, or `delay_ms jitter_ms loss_permille bits_per_second`. It ends with its standard input.

use anyhow::{Context, Result};
use e2e::Relay;
use std::io::BufRead;

fn main() -> Result<()> {
    let mut addresses = std::env::args().skip(1);
    let mut address =
        || addresses.next().context("usage: relay LISTEN SERVER")?.parse().context("an address");
    let relay = Relay::start(address()?, address()?)?;
    println!("{}", relay.address());
    for line in std::io::stdin().lock().lines() {
        relay.change(line?.trim().parse()?);
    }
    Ok(())
}
