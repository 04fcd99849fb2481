//! When pictures were taken, as publishers tell it with their packets and viewers are told
//! (<http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time>).

use hub::BroadcastPath;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// When a picture was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Captured {
    /// Microseconds since 1970 by the camera's clock.
    pub(super) micros: i64,
    /// By how many microseconds that clock is ahead of the sender's, if it is known.
    pub(super) ahead: Option<i64>,
}

/// What a broadcast's publisher tells: from times of the broadcast to those of its camera. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct CaptureClock(Arc<Cell>);

#[derive(Clone, Copy, Debug)]
struct Told {
    /// The camera's clock minus the broadcast's timeline, in microseconds.
    shift: i64,
    /// The camera's clock minus ours.
    ahead: Option<i64>,
}

/// The clocks of all broadcasts that have a publisher or viewers here. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct CaptureClocks(Arc<Mutex<HashMap<BroadcastPath, Weak<Cell>>>>);

/// What was told, if anything.
type Cell = Mutex<Option<Told>>;

/// By how much a publisher's clock is ahead of ours, as its sender reports tell it.
///
/// A report is as old as its way took, so the one that seems least behind is the best; a clock that runs otherwise is followed slowly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead(Option<i64>);

/// Of what a report seems further behind, this part is believed: half of it after a minute of reports.
const FOLLOW: i64 = 16;

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// A time since 1970 as seconds since 1900 and their 2³²nd parts. RFC 5905 §6.
pub(super) fn ntp(since: Duration) -> u64 {
    let parts = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (since.as_secs().wrapping_add(NTP_OFFSET) << 32) | parts
}

/// When a picture was taken, as it goes over the wire: by the camera's clock, and by how much that is ahead of ours. None of before 1970.
pub(super) fn told(captured: Captured) -> Option<Vec<u8>> {
    let time = ntp(Duration::from_micros(u64::try_from(captured.micros).ok()?));
    let ahead = captured.ahead.and_then(|micros| i64::try_from((i128::from(micros) << 32) / 1_000_000).ok());
    let ahead = ahead.map(i64::to_be_bytes);
    Some(time.to_be_bytes().into_iter().chain(ahead.into_iter().flatten()).collect())
}

impl CaptureClocks {
    /// The clock of a broadcast; who publishes it and who plays it have the same.
    pub(super) fn of(&self, path: &BroadcastPath) -> CaptureClock {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(path).and_then(Weak::upgrade) {
            return CaptureClock(known);
        }
        all.retain(|_, clock| clock.strong_count() > 0);
        let clock = CaptureClock::default();
        all.insert(path.clone(), Arc::downgrade(&clock.0));
        clock
    }
}

impl CaptureClock {
    /// A publisher told when the picture at `time` of the timeline, in microseconds, was taken. `ahead`: its clock and ours.
    pub(super) fn tell(&self, captured: Captured, time: i64, ahead: Ahead) {
        // Who says nothing of the camera's clock has the camera itself.
        let ahead = ahead.0.map(|sender| sender.saturating_add(captured.ahead.unwrap_or(0)));
        *self.lock() = Some(Told { shift: captured.micros.saturating_sub(time), ahead });
    }

    /// Another publisher comes, who may tell nothing.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    /// When the picture at `time` of the timeline was taken, if the publisher tells.
    pub(super) fn at(&self, time: i64) -> Option<Captured> {
        let told = (*self.lock())?;
        Some(Captured { micros: time.saturating_add(told.shift), ahead: told.ahead })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ahead {
    /// A report said `theirs` when it was `ours`, in microseconds.
    pub(super) fn learn(&mut self, theirs: i64, ours: i64) {
        let seen = theirs.saturating_sub(ours);
        self.0 = Some(match self.0 {
            Some(known) if seen < known => known.saturating_sub(known.saturating_sub(seen) / FOLLOW),
            _ => seen,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn viewers_learn_when_a_picture_was_taken_and_by_which_clock() {
        let clocks = CaptureClocks::default();
        let path = BroadcastPath::parse("live/x").unwrap();
        let (publisher, viewer) = (clocks.of(&path), clocks.of(&path));
        assert_eq!(viewer.at(0), None);
        let mut ahead = Ahead::default();
        ahead.learn(5_000_000, 4_000_000);
        publisher.tell(Captured { micros: 70_000_000, ahead: Some(-250) }, 1_000_000, ahead);
        let expect = Captured { micros: 70_040_000, ahead: Some(999_750) };
        assert_eq!(viewer.at(1_040_000), Some(expect));
        publisher.tell(Captured { micros: 70_000_000, ahead: None }, 1_000_000, Ahead::default());
        assert_eq!(viewer.at(1_000_000), Some(Captured { micros: 70_000_000, ahead: None }));
        clocks.of(&path).forget();
        assert_eq!(viewer.at(0), None);
        drop((publisher, viewer));
        assert_eq!(clocks.of(&BroadcastPath::parse("live/y").unwrap()).at(0), None);
        assert_eq!(clocks.0.lock().unwrap().len(), 1, "what nobody uses is forgotten");
    }

    #[test]
    fn the_report_that_was_quickest_is_believed_and_a_drift_is_followed() {
        let mut ahead = Ahead::default();
        for delay in [90, 30, 200, 30, 80] {
            ahead.learn(1_000_000 - delay, 0);
        }
        assert!((999_930..=999_970).contains(&ahead.0.unwrap()), "{ahead:?}");
        (0..200).for_each(|_| ahead.learn(900_000, 0));
        assert!(ahead.0.unwrap().abs_diff(900_000) < 100, "{ahead:?}");
        ahead.learn(i64::MIN, i64::MAX);
    }
}
