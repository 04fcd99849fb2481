//! Which of a publisher's qualities a viewer gets: one that its network carries. No clock, no connection.

use std::time::{Duration, Instant};

/// What decides, for one viewer.
#[derive(Debug)]
pub(super) struct Chooser {
    /// The shortest time at one quality before a better one.
    stay: Duration,
    switched: Option<Instant>,
    /// When it last went up, and when down.
    risen: Option<Instant>,
    fallen: Option<Instant>,
    /// A better quality that the network didn't carry is not tried again before.
    failed_until: Option<Instant>,
    /// Until then measurements say little.
    unsettled: Option<Instant>,
    /// The viewer told that it loses more than chance takes.
    losing: bool,
    /// What it is sent waits in its network.
    held_up: bool,
    /// Bits per second that the network carries, as far as it is known.
    estimate: Option<u64>,
    /// When it was last to be tried out whether the network carries a better quality, and how often since the last change.
    tried: Option<Instant>,
    tries: u32,
}

/// A quality is kept while the estimate is not below this share of its rate, in percent: estimates swing.
const KEEP_PERCENT: u64 = 85;
/// A network that takes less than is sent loses the rest, long before the estimate has come down to what it takes. Bad radio loses
/// less than this, and that is sent again.
pub(super) const LOSS_FULL: f32 = 0.15;
/// How long measurements are not believed after a burst.
const SETTLE: Duration = Duration::from_millis(1200);
/// For so many stays a better quality that was left again within one isn't tried: a network that swings around what one quality needs
/// makes two switches in a minute at most, with a stay of 30 s.
const FAILED_STAYS: u32 = 2;
/// Whether the network carries a better quality is found out before its time: in so long it can be tried out twice.
const AHEAD: Duration = Duration::from_millis(2500);
/// How often it is tried out, and how often when that was of no use some times: it fills a narrow network for a moment.
const TRY_EVERY: Duration = Duration::from_secs(2);
const OFTEN_TRIES: u32 = 5;
const TRY_RARELY_EVERY: Duration = Duration::from_secs(8);
/// More than a quality needs is tried, in percent.
const TRY_MORE_PERCENT: u64 = 15;
/// Room that a quality needs above its rate to be chosen, in percent: pictures that move need more for a while.
const ROOM_PERCENT: u64 = 115;
/// The same for so long after a quality was left: a network that swings by a fifth around what a quality needs is measured at no more.
const CAUTIOUS_ROOM_PERCENT: u64 = 150;
const CAUTIOUS: Duration = Duration::from_secs(180);

impl Chooser {
    pub(super) fn new(stay: Duration) -> Chooser {
        Chooser {
            stay,
            switched: None,
            risen: None,
            fallen: None,
            failed_until: None,
            unsettled: None,
            losing: false,
            held_up: false,
            estimate: None,
            tried: None,
            tries: 0,
        }
    }

    /// The network was measured.
    pub(super) fn learn(&mut self, bits_per_second: u64) {
        self.estimate = Some(bits_per_second);
    }

    /// The viewer told which share of what was sent it lost.
    pub(super) fn lost(&mut self, share: f32) {
        self.losing = share >= LOSS_FULL;
    }

    /// Whether what it is sent waits in its network. True when that changed.
    pub(super) fn held_up(&mut self, held_up: bool) -> bool {
        std::mem::replace(&mut self.held_up, held_up) != held_up
    }

    /// Much was sent at once, which looks like a full network for a while.
    pub(super) fn burst(&mut self, now: Instant) {
        self.unsettled = Some(now + SETTLE);
    }

    /// The quality to be at, of those that there are: `rates` in bits per second, the lowest first. `None` when there is no reason
    /// to leave `current`. Down at once; up after a stay. Without an estimate (the viewer sends no reports) the best one.
    pub(super) fn choose(&self, rates: &[u64], current: Option<usize>, now: Instant) -> Option<usize> {
        let best = rates.len().checked_sub(1)?;
        let carried = |percent: u64| {
            let Some(estimate) = self.estimate else { return best };
            let fits = |rate: &u64| rate.saturating_mul(percent) / 100 <= estimate;
            rates.iter().rposition(fits).unwrap_or(0)
        };
        let Some(current) = current.filter(|at| *at <= best) else { return Some(carried(ROOM_PERCENT)) };
        let settled = self.unsettled.is_none_or(|until| now >= until);
        if settled && carried(KEEP_PERCENT) < current {
            return Some(carried(ROOM_PERCENT));
        }
        if settled && (self.losing || self.held_up) && current > 0 {
            return Some(current - 1);
        }
        let better = carried(self.room_percent(now));
        (better > current && self.rested(now) && !self.losing && !self.held_up).then_some(better)
    }

    /// The room that a better quality needs above its rate, in percent.
    fn room_percent(&self, now: Instant) -> u64 {
        let cautious = self.fallen.is_some_and(|at| now.saturating_duration_since(at) < CAUTIOUS);
        if cautious { CAUTIOUS_ROOM_PERCENT } else { ROOM_PERCENT }
    }

    /// Whether it stayed long enough for a better quality.
    fn rested(&self, now: Instant) -> bool {
        self.switched.is_none_or(|at| now.saturating_duration_since(at) >= self.stay)
            && self.failed_until.is_none_or(|until| now >= until)
    }

    /// The rate to try out on the network, bits per second, when it is about time for a better quality of which it isn't known yet that
    /// the network carries it. Once for each time.
    pub(super) fn try_out(&mut self, better: u64, now: Instant) -> Option<u64> {
        let known =
            self.estimate.is_some_and(|rate| rate >= better.saturating_mul(self.room_percent(now)) / 100);
        let every = if self.tries < OFTEN_TRIES { TRY_EVERY } else { TRY_RARELY_EVERY };
        let rested = self.tried.is_none_or(|at| now.saturating_duration_since(at) >= every);
        let calm = self.rested(now + AHEAD) && !self.losing && !self.held_up;
        (rested && calm && !known).then(|| {
            (self.tried, self.tries) = (Some(now), self.tries + 1);
            better.saturating_mul(self.room_percent(now) + TRY_MORE_PERCENT) / 100
        })
    }

    /// The quality was changed, to a better one or not.
    pub(super) fn switched(&mut self, up: bool, now: Instant) {
        let risen = std::mem::replace(&mut self.risen, up.then_some(now));
        if !up && risen.is_some_and(|at| now.saturating_duration_since(at) < self.stay) {
            self.failed_until = Some(now + self.stay * FAILED_STAYS);
        }
        if !up {
            self.fallen = Some(now);
        }
        (self.switched, self.losing, self.held_up, self.tries) = (Some(now), false, false, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    const RATES: [u64; 3] = [150_000, 500_000, 1_500_000];
    const STAY: Duration = Duration::from_secs(30);

    /// A viewer at the best quality, and the beginning of its time.
    fn at_the_best() -> (Chooser, Instant) {
        let (mut chooser, now) = (Chooser::new(STAY), Instant::now());
        chooser.learn(3_000_000);
        chooser.switched(true, now);
        (chooser, now)
    }

    #[test]
    fn a_better_quality_is_tried_out_when_its_time_comes_and_nothing_is_lost() {
        let (mut chooser, now) = at_the_best();
        let (known, unknown, early) = (2_000_000, 4_000_000, now + STAY - AHEAD);
        assert_eq!([now, now + STAY / 2].map(|at| chooser.try_out(unknown, at)), [None; 2]);
        assert_eq!(chooser.try_out(known, early), None);
        assert_eq!(chooser.try_out(unknown, early), Some(5_200_000), "30 % more");
        let millis = |millis: u64| early + Duration::from_millis(millis);
        let tried = |chooser: &mut Chooser| -> Vec<u64> {
            (1..30_000).step_by(100).filter(|at| chooser.try_out(unknown, millis(*at)).is_some()).collect()
        };
        assert_eq!(tried(&mut chooser), [2001, 4001, 6001, 8001, 16_001, 24_001]);
        chooser.lost(LOSS_FULL);
        assert_eq!(chooser.try_out(unknown, millis(60_000)), None);
    }

    #[test]
    fn without_reports_it_is_the_best() {
        assert_eq!(Chooser::new(STAY).choose(&RATES, None, Instant::now()), Some(2));
        assert_eq!(Chooser::new(STAY).choose(&[], None, Instant::now()), None);
    }

    #[test]
    fn down_goes_at_once_and_as_far_as_it_has_to() {
        let (mut chooser, now) = at_the_best();
        for (estimate, wanted) in
            [(1_400_000, None), (1_000_000, Some(1)), (400_000, Some(0)), (10_000, Some(0))]
        {
            chooser.learn(estimate);
            assert_eq!(chooser.choose(&RATES, Some(2), now), wanted, "{estimate}");
        }
    }

    #[test]
    fn up_goes_after_the_stay_and_only_with_room() {
        let (mut chooser, now) = at_the_best();
        chooser.learn(1_600_000);
        assert_eq!(chooser.choose(&RATES, Some(1), now + STAY), None, "no room above 1.5 Mbit/s");
        chooser.learn(1_800_000);
        assert_eq!(chooser.choose(&RATES, Some(1), now + STAY - Duration::from_millis(1)), None);
        assert_eq!(chooser.choose(&RATES, Some(1), now + STAY), Some(2));
    }

    #[test]
    fn heavy_loss_goes_down_whatever_the_estimate_says_and_light_loss_does_not() {
        let (mut chooser, now) = at_the_best();
        chooser.lost(0.05);
        assert_eq!(chooser.choose(&RATES, Some(2), now), None);
        chooser.lost(0.3);
        assert_eq!(chooser.choose(&RATES, Some(2), now), Some(1));
        chooser.switched(false, now);
        assert_eq!(chooser.choose(&RATES, Some(1), now), None, "that was of the quality before");
        chooser.lost(0.3);
        assert_eq!(chooser.choose(&RATES, Some(0), now + STAY), None, "there is nothing below");
    }

    #[test]
    fn what_waits_in_the_network_goes_down_by_one_and_not_up() {
        let (mut chooser, now) = at_the_best();
        chooser.held_up(true);
        assert_eq!(chooser.choose(&RATES, Some(2), now), Some(1));
        assert_eq!(chooser.choose(&RATES, Some(0), now + STAY), None);
        chooser.held_up(false);
        assert_eq!(chooser.choose(&RATES, Some(0), now + STAY), Some(2));
    }

    #[test]
    fn a_burst_does_not_count_for_a_while() {
        let (mut chooser, now) = at_the_best();
        chooser.burst(now);
        chooser.learn(400_000);
        assert_eq!(chooser.choose(&RATES, Some(2), now), None);
        assert_eq!(chooser.choose(&RATES, Some(2), now + SETTLE), Some(0));
    }

    #[test]
    fn a_quality_that_is_gone_is_left() {
        let (chooser, now) = at_the_best();
        assert_eq!(chooser.choose(&RATES[..1], Some(2), now), Some(0));
    }

    #[test]
    fn a_better_quality_that_is_left_soon_is_tried_again_later_than_usual() {
        let (mut chooser, now) = at_the_best();
        let (later, rest) = (now + Duration::from_secs(10), STAY * FAILED_STAYS);
        chooser.switched(false, later);
        assert_eq!(chooser.choose(&RATES, Some(1), later + STAY), None);
        let unknown = 4_000_000;
        assert!(chooser.try_out(unknown, later + STAY).is_none());
        assert!(chooser.try_out(unknown, later + rest - AHEAD).is_some());
        assert_eq!(chooser.choose(&RATES, Some(1), later + rest), Some(2));
    }

    #[test]
    fn a_quality_that_was_left_needs_more_room_for_some_minutes() {
        let (mut chooser, now) = at_the_best();
        chooser.switched(false, now + STAY);
        for (after, room, wanted) in
            [(STAY, 1_800_000, None), (STAY, 2_300_000, Some(2)), (CAUTIOUS, 1_800_000, Some(2))]
        {
            chooser.learn(room);
            assert_eq!(chooser.choose(&RATES, Some(1), now + STAY + after), wanted, "{after:?}, {room}");
        }
    }

    #[test]
    fn a_network_that_was_good_for_a_stay_is_tried_again_after_one() {
        let (mut chooser, now) = at_the_best();
        chooser.switched(false, now + STAY);
        assert_eq!(chooser.choose(&RATES, Some(1), now + 2 * STAY), Some(2));
    }

    /// 20 % of noise, a measurement every 100 ms for ten minutes, around rates near every border. What is sent waits while the
    /// network carries less.
    #[test]
    fn noise_switches_at_most_twice_in_any_minute() {
        for mean in
            [130_000, 150_000, 170_000, 450_000, 500_000, 550_000, 600_000, 1_300_000, 1_500_000, 1_800_000]
        {
            let (mut chooser, began) = at_the_best();
            let (mut random, mut current, mut switches) = (Random::seeded(mean), 2, Vec::new());
            for step in 0..6_000 {
                let now = began + Duration::from_millis(100 * step);
                let carries = mean * (80 + random.below(41) as u64) / 100;
                chooser.learn(carries);
                chooser.held_up(carries < RATES[current] * 9 / 10);
                if let Some(next) = chooser.choose(&RATES, Some(current), now) {
                    chooser.switched(next > current, now);
                    current = next;
                    switches.push(now);
                }
            }
            // It begins two qualities too high.
            let switches = &switches[switches.len().min(2)..];
            let crowded = switches.windows(3).find(|three| three[2] - three[0] < Duration::from_secs(60));
            assert_eq!(crowded, None, "around {mean}");
        }
    }
}
