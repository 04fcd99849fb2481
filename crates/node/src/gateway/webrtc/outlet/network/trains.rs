//! What a network carries, by how far apart packets come that were sent all at once: what is narrow on the way lets them through one after
//! the other, however much it is used. A keyframe is such a train, and so is what a viewer is sent when it joins.

/// What a network carries, learned from one train after the other.
#[derive(Debug)]
pub(super) struct Trains {
    train: Option<Train>,
    bits_per_second: u64,
}

/// Packets that were sent at once and came one after the other, as far as it is known.
#[derive(Clone, Copy, Debug)]
struct Train {
    packets: u32,
    /// When the last one was sent and came, by two clocks, µs.
    sent: i64,
    came: i64,
    /// From the first to the last of them.
    micros: i64,
    /// Behind the first one.
    bytes: u64,
    /// The longest time between two, and the bytes that came after it.
    pause: (i64, u64),
}

/// Before anything is known: most networks carry more, and the first group tells.
const FIRST_BITS_PER_SECOND: u64 = 1_500_000;
/// Sent no further apart than that, packets are of one train, µs.
const TOGETHER_MICROS_MAX: i64 = 1_000;
/// Fewer packets say little.
pub(in super::super) const PACKETS_MIN: u32 = 5;
/// Ticks of a report are 250 µs, and a receiver takes what came meanwhile at once.
const MICROS_MIN: i64 = 1_000;

impl Default for Trains {
    fn default() -> Trains {
        Trains { train: None, bits_per_second: FIRST_BITS_PER_SECOND }
    }
}

impl Trains {
    /// A packet of so many bytes was sent and came at these times, µs, each by a clock of its own. In the order of the packets.
    pub(super) fn came(&mut self, sent: i64, came: i64, bytes: u64) {
        let joins = |train: &&mut Train| {
            (0..=TOGETHER_MICROS_MAX).contains(&(sent - train.sent)) && came >= train.came
        };
        if let Some(train) = self.train.as_mut().filter(joins) {
            train.append(sent, came, bytes);
            return;
        }
        let first = Train { packets: 1, sent, came, micros: 0, bytes: 0, pause: (0, 0) };
        if let Some((least, most)) = self.train.replace(first).and_then(|train| train.carries()) {
            self.learn(least, most);
        }
    }

    /// The network is full with what comes now.
    pub(super) fn full_at(&mut self, bits_per_second: u64) {
        self.bits_per_second = self.bits_per_second.min(bits_per_second);
    }

    pub(super) fn bits_per_second(&self) -> u64 {
        self.bits_per_second
    }

    /// Halfway, by factors, to what is nearest of what one train told: one may be held up by something else, or come by the dozen.
    fn learn(&mut self, least: u64, most: u64) {
        let nearest = self.bits_per_second.clamp(least, most.max(least));
        self.bits_per_second = (self.bits_per_second as f64 * nearest as f64).sqrt() as u64;
    }
}

impl Train {
    fn append(&mut self, sent: i64, came: i64, bytes: u64) {
        let pause = came - self.came;
        self.packets += 1;
        self.bytes += bytes;
        self.micros += pause;
        if pause >= self.pause.0 {
            self.pause = (pause, bytes);
        }
        (self.sent, self.came) = (sent, came);
    }

    /// What the network carries at least and at most, bits per second. A receiver that did something else for a moment looks like a
    /// narrow network, and one that gets packets by the dozen like a wide one, so the longest pause is counted in one of both only.
    fn carries(&self) -> Option<(u64, u64)> {
        let rate = |bytes: u64, micros: i64| bytes * 8_000_000 / micros.max(MICROS_MIN).unsigned_abs();
        let (pause, after) = self.pause;
        (self.packets >= PACKETS_MIN)
            .then(|| (rate(self.bytes, self.micros), rate(self.bytes - after, self.micros - pause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    const BYTES: u64 = 1000;

    /// Trains of so many packets, two a second, through a network of that rate; `late`: how much later a packet comes, µs.
    fn after(trains: &mut Trains, count: i64, rate: u64, mut late: impl FnMut(i64) -> i64) -> u64 {
        for train in 0..count {
            let sent = train * 500_000;
            for packet in 0..10 {
                let passes = packet * i64::try_from(BYTES * 8_000_000 / rate).unwrap();
                trains.came(sent, sent + passes + late(packet), BYTES);
            }
        }
        // The last one is over when another begins.
        trains.came(i64::MAX / 2, i64::MAX / 2, BYTES);
        trains.bits_per_second()
    }

    fn is_near(found: u64, rate: u64, percent: u64) {
        assert!(found.abs_diff(rate) * 100 <= rate * percent, "{found}, not {rate}");
    }

    #[test]
    fn few_trains_tell_what_a_network_carries() {
        for rate in [350_000, 1_000_000, 5_000_000, 40_000_000] {
            is_near(after(&mut Trains::default(), 6, rate, |_| 0), rate, 10);
        }
        let (mut trains, narrow) = (Trains::default(), 350_000);
        after(&mut trains, 8, narrow, |_| 0);
        assert!(
            after(&mut trains, 2, 1_600_000, |_| 0) > 920_000,
            "two are enough to know that it is wide again"
        );
    }

    #[test]
    fn a_network_that_shakes_is_known_too() {
        let mut random = Random::seeded(1);
        let mut late = 0;
        let shaken = |packet: i64| {
            let more = random.below(5_000) as i64;
            // Packets keep their order.
            late = if packet == 0 { more } else { more.max(late - 8_000) };
            late
        };
        is_near(after(&mut Trains::default(), 20, 1_000_000, shaken), 1_000_000, 20);
    }

    #[test]
    fn a_receiver_that_did_something_else_for_a_moment_has_no_narrow_network() {
        let mut trains = Trains::default();
        after(&mut trains, 8, 5_000_000, |_| 0);
        let found = after(&mut trains, 3, 5_000_000, |packet| if packet >= 6 { 60_000 } else { 0 });
        is_near(found, 5_000_000, 20);
    }

    #[test]
    fn packets_by_the_dozen_do_not_make_a_network_wide() {
        let mut trains = Trains::default();
        after(&mut trains, 8, 1_000_000, |_| 0);
        // Five at once, and five at once when those of before are through.
        let found = after(&mut trains, 3, 1_000_000, |packet| (packet / 5 * 5 - packet) * 8_000);
        assert!(found < 1_800_000, "{found}");
    }

    #[test]
    fn a_few_packets_and_a_full_network_say_what_they_can() {
        let mut trains = Trains::default();
        for packet in 0..i64::from(PACKETS_MIN) - 1 {
            trains.came(0, packet * 100_000, BYTES);
        }
        trains.came(i64::MAX / 2, 0, BYTES);
        assert_eq!(trains.bits_per_second(), FIRST_BITS_PER_SECOND);
        trains.full_at(400_000);
        trains.full_at(900_000);
        assert_eq!(trains.bits_per_second(), 400_000);
    }

    #[test]
    fn fuzz_any_times_are_taken() {
        let (mut random, mut trains) = (Random::seeded(7), Trains::default());
        for _ in 0..20_000 {
            let mut time = || random.below(1 << 40) as i64 >> random.below(40);
            trains.came(time(), time() - (1 << 30), 1 << 11);
        }
    }
}
