//! Packets back in order.

use super::Received;
use std::collections::BTreeMap;

/// Packets that wait for one before them: more than a second of 8 Mbit/s, longer than any retransmission takes. With more,
/// the missing one is given up.
pub const REORDER_PACKETS_MAX: usize = 1024;
/// Bytes of the packets that wait, jumbo datagrams being thought of. With more, the missing one is given up.
pub const REORDER_BYTES_MAX: usize = 4 << 20;

/// Holds packets back while one before them is missing. Beyond its bounds it gives up the missing one; beyond them by one
/// packet, because nobody takes anything out, the oldest packet.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    /// The one whose turn it is.
    next: Option<u64>,
    /// What is missing before this one won't come any more.
    given_up: u64,
    held: BTreeMap<u64, Received>,
    bytes: usize,
}

/// What follows in the sequence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Received(Received),
    /// So many that won't come any more.
    Lost(u64),
}

impl Reorder {
    pub(super) fn push(&mut self, packet: Received) {
        let sequence = packet.sequence;
        let next = *self.next.get_or_insert(sequence);
        if sequence < next || self.held.contains_key(&sequence) {
            return;
        }
        self.bytes += packet.payload.len();
        self.held.insert(sequence, packet);
        while self.is_over(1) {
            let Some((oldest, packet)) = self.held.pop_first() else { break };
            self.bytes -= packet.payload.len();
            self.give_up_before(oldest.saturating_add(1));
        }
        if self.is_over(0)
            && let Some((&oldest, _)) = self.held.first_key_value()
        {
            self.give_up_before(oldest);
        }
    }

    /// Whether more is held than the bounds, and so many packets more.
    fn is_over(&self, packets: usize) -> bool {
        self.held.len() > REORDER_PACKETS_MAX + packets
            || (self.bytes > REORDER_BYTES_MAX && self.held.len() > packets)
    }

    pub(super) fn give_up_before(&mut self, sequence: u64) {
        self.given_up = self.given_up.max(sequence);
    }

    pub(super) fn missing(&self) -> Option<u64> {
        let next = self.next?;
        self.held.first_key_value().filter(|(first, _)| **first > next.max(self.given_up)).map(|_| next)
    }

    pub(super) fn next(&mut self) -> Option<Next> {
        let next = self.next?;
        if let Some(packet) = self.held.remove(&next) {
            self.bytes -= packet.payload.len();
            self.next = Some(next.saturating_add(1));
            return Some(Next::Received(packet));
        }
        let first = self.held.first_key_value().map_or(u64::MAX, |(first, _)| *first);
        let from = self.given_up.min(first);
        if from <= next {
            return None;
        }
        self.next = Some(from);
        Some(Next::Lost(from - next))
    }
}
