//! The figures of one broadcast at one moment.

use super::meter::GAP_MIN;
use std::time::Duration;

/// How a broadcast comes in. All that says "lately" is about the last 60 s.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// How long its publisher is there; `None` while the seat is vacant.
    pub publishing_for: Option<Duration>,
    /// Pictures.
    pub video: Flow,
    /// Sound.
    pub audio: Flow,
    /// The groups of pictures.
    pub groups: Groups,
    /// Whether pictures are sent in another order than they are shown (B-frames).
    pub b_frames: bool,
    /// The longest way from a picture's decode time to its presentation, in the last two groups.
    pub reorder: Duration,
    /// Timestamps that were mended since the broadcast began.
    pub repairs: u64,
    /// Of those, lately.
    pub repairs_lately: u64,
    /// How often a publisher came back or was replaced.
    pub reconnects: u64,
    /// Of those, lately.
    pub reconnects_lately: u64,
}

/// One kind of media as it comes in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// Whether it is there.
    pub presence: Presence,
    /// How long nothing of it came; `None` if nothing ever did, or nobody publishes.
    pub silent_for: Option<Duration>,
    /// Frames a second as they came in over the last ten whole seconds.
    pub frames_per_s: Option<f64>,
    /// Frames a second as the publisher says.
    pub frames_per_s_nominal: Option<f64>,
    /// Mean bits a second over the last minute of whole seconds.
    pub bits_per_s: Option<f64>,
    /// Standard deviation of the bits of each second, divided by their mean; needs ten seconds.
    pub variation: Option<f64>,
    /// Bits of each of the last whole seconds, oldest first, at most 60.
    pub seconds: Vec<u64>,
    /// Mean deviation of the gaps between arrivals from the gaps between decode times (as RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// The latest that a frame came, lately, compared with the most punctual ones.
    pub lateness: Duration,
    /// Frames that came more than half a second late, lately.
    pub late: u64,
}

/// Whether a kind of media is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// It was never promised and never came.
    #[default]
    Absent,
    /// It comes, or may still begin.
    Here,
    /// It was promised but never came.
    Promised,
    /// It came, and stopped.
    Silent,
}

/// The groups of pictures: from one keyframe to before the next. Lengths in media time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// Whole groups that were measured, at most the last 16.
    pub count: usize,
    /// Length of the last one.
    pub last: Option<Duration>,
    /// Pictures in the last one.
    pub last_frames: u32,
    /// Mean length.
    pub mean: Option<Duration>,
    /// Mean number of pictures.
    pub mean_frames: f64,
    /// Length of the longest.
    pub longest: Option<Duration>,
    /// Pictures in the longest one, by pictures.
    pub longest_frames: u32,
    /// How long the group lasts that is not over yet.
    pub open: Option<Duration>,
    /// Groups, lately, that lasted more than 4 s or more than twice the usual.
    pub gaps_lately: u64,
}

impl Groups {
    /// How far apart keyframes are: the mean, or the length of a group that is longer than any should be, since its end may be far.
    pub fn distance(&self) -> Option<Duration> {
        self.open.filter(|open| *open > GAP_MIN).max(self.mean)
    }
}

/// What a publisher says that it will send.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Promise {
    /// Pictures.
    pub video: bool,
    /// Sound.
    pub audio: bool,
    /// Pictures a second.
    pub frames_per_s: Option<f64>,
}
