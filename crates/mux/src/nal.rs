//! H.264 and HEVC access units in normal form: 4-byte lengths, parameter sets only in the configuration.
//!
//! Encoders repeat delimiters and parameter sets in band; some change them only there. Access units that have
//! nothing to take out, or only at their start, are not copied.

use bytes::{BufMut, Bytes, BytesMut};
use media::Codec;
use media::codec::h264::{self, AvcConfig};
use media::codec::h265::{self, HevcConfig};

/// Brings the access units of one track to normal form.
#[derive(Debug)]
pub(crate) struct Normaliser {
    record: Bytes,
    sets: Sets,
    length_bytes: usize,
}

/// An access unit in normal form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Normal {
    /// Empty if there were only delimiters and parameter sets.
    pub(crate) payload: Bytes,
    /// Whether the configuration changed with it.
    pub(crate) reconfigured: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sets {
    Avc(AvcConfig),
    Hevc(HevcConfig),
}

/// What a unit is to normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Part of the picture.
    Picture,
    /// A parameter set that the configuration has not.
    New,
    /// A delimiter, or a parameter set that the configuration has.
    Repeated,
}

/// What the units of one access unit are.
#[derive(Debug)]
struct Walk {
    has_picture: bool,
    has_new: bool,
    /// All that is stripped stands before the pictures.
    is_prefix: bool,
    /// Where the last unit ends that is stripped.
    stripped_until: usize,
}

impl Normaliser {
    /// For a track of that configuration record; `None` for other codecs, and if the record can't be read.
    pub(crate) fn new(codec: Codec, record: &Bytes) -> Option<Normaliser> {
        let (sets, length_at) = match codec {
            Codec::H264 => (Sets::Avc(AvcConfig::parse(record)?), 4),
            Codec::H265 => (Sets::Hevc(HevcConfig::parse(record)?), h265::RECORD_HEAD_BYTES - 2),
            _ => return None,
        };
        // lengthSizeMinusOne. ISO 14496-15 §5.3.3.1.2, §8.3.3.1.3.
        let length_bytes = usize::from(record.get(length_at)? & 3) + 1;
        let mut record = record.clone();
        if length_bytes != 4 {
            let mut own = BytesMut::from(&record[..]);
            own[length_at] |= 3;
            record = own.freeze();
        }
        Some(Normaliser { record, sets, length_bytes })
    }

    /// The configuration as it is now, for 4-byte lengths.
    pub(crate) fn record(&self) -> &Bytes {
        &self.record
    }

    /// Brings an access unit to normal form. Parameter sets that the configuration has not are taken over by a
    /// keyframe, or when nothing else is there; before other pictures, and if they can't be read, they stay.
    pub(crate) fn normal(&mut self, keyframe: bool, payload: &Bytes) -> Normal {
        let mut walk = Walk::default();
        for (end, unit) in units(payload, self.length_bytes) {
            walk.see(self.sets.place(unit), end);
        }
        if self.length_bytes == 4 && !walk.has_new && walk.is_prefix {
            return Normal { payload: payload.slice(walk.stripped_until..), reconfigured: false };
        }
        let takes_over = keyframe || !walk.has_picture;
        let mut sets = None;
        let mut out = BytesMut::with_capacity(payload.len());
        for (_, unit) in units(payload, self.length_bytes) {
            let stays = match self.sets.place(unit) {
                Place::Picture => true,
                Place::Repeated => false,
                Place::New => !(takes_over && sets.get_or_insert_with(|| self.sets.clone()).take_over(unit)),
            };
            if stays {
                out.put_u32(unit.len() as u32);
                out.put_slice(unit);
            }
        }
        Normal { payload: out.freeze(), reconfigured: sets.is_some_and(|sets| self.reconfigure(sets)) }
    }

    /// Takes the sets for the configuration, if they make a new record.
    fn reconfigure(&mut self, sets: Sets) -> bool {
        let Some(record) = sets.to_record().filter(|_| sets != self.sets) else { return false };
        self.sets = sets;
        self.record = record;
        true
    }
}

/// Collects parameter sets that come in band, until there is one of each kind.
#[derive(Debug)]
pub(crate) struct Learner {
    codec: Codec,
    sets: Sets,
}

impl Learner {
    /// For H.264; HEVC otherwise.
    pub(crate) fn new(codec: Codec) -> Learner {
        let sets = match codec {
            Codec::H264 => Sets::Avc(AvcConfig { profile: [0; 3], sps: vec![], pps: vec![] }),
            _ => Sets::Hevc(HevcConfig::default()),
        };
        Learner { codec, sets }
    }

    /// Takes over the parameter sets of an access unit with 4-byte lengths; a normaliser as soon as there is one of each
    /// kind.
    pub(crate) fn learn(&mut self, payload: &[u8]) -> Option<Normaliser> {
        for (_, unit) in units(payload, 4) {
            // One that can't be read changes nothing.
            if self.sets.place(unit) == Place::New
                && let Some(sets) = self.sets.with(unit).or_else(|| self.sets.with_unread(unit))
            {
                self.sets = sets;
            }
        }
        let is_whole = match &self.sets {
            Sets::Avc(config) => !config.sps.is_empty() && !config.pps.is_empty(),
            Sets::Hevc(config) => !config.vps.is_empty() && !config.pps.is_empty(),
        };
        let record = if is_whole { self.sets.to_record()? } else { return None };
        Normaliser::new(self.codec, &record)
    }
}

impl Default for Walk {
    fn default() -> Walk {
        Walk { has_picture: false, has_new: false, is_prefix: true, stripped_until: 0 }
    }
}

impl Walk {
    fn see(&mut self, place: Place, end: usize) {
        match place {
            Place::Picture => self.has_picture = true,
            Place::New => self.has_new = true,
            Place::Repeated => {
                self.is_prefix &= !self.has_picture;
                self.stripped_until = end;
            }
        }
    }
}

impl Sets {
    fn place(&self, unit: &[u8]) -> Place {
        let (delimiter, set, held) = match self {
            Sets::Avc(config) => {
                let kind = unit[0] & 0x1f;
                let set = matches!(kind, h264::nal::SPS | h264::nal::PPS);
                (kind == h264::nal::AUD, set, set && config.holds(unit))
            }
            Sets::Hevc(config) => {
                let kind = h265::nal::kind(unit[0]);
                let set = matches!(kind, h265::nal::VPS..=h265::nal::PPS);
                (kind == h265::nal::AUD, set, set && config.holds(unit))
            }
        };
        match (delimiter || held, set) {
            (true, _) => Place::Repeated,
            (false, true) => Place::New,
            (false, false) => Place::Picture,
        }
    }

    /// False if the set can't be read, or not be put into a record.
    fn take_over(&mut self, unit: &[u8]) -> bool {
        let with = self.with(unit).filter(|sets| sets.to_record().is_some());
        let is_readable = with.is_some();
        if let Some(sets) = with {
            *self = sets;
        }
        is_readable
    }

    /// `None` if the set can't be read.
    fn with(&self, unit: &[u8]) -> Option<Sets> {
        let unit = Bytes::copy_from_slice(unit);
        match self {
            Sets::Avc(config) => config.with(&unit).map(Sets::Avc),
            Sets::Hevc(config) => config.with(&unit).map(Sets::Hevc),
        }
    }

    /// The first sequence parameter set of H.264, though it can't be read: decoders may know more than we do.
    fn with_unread(&self, unit: &[u8]) -> Option<Sets> {
        let Sets::Avc(config) = self else { return None };
        let is_first = config.sps.is_empty() && unit[0] & 0x1f == h264::nal::SPS;
        let [_, profile, constraints, level] = *unit.first_chunk::<4>().filter(|_| is_first)?;
        u16::try_from(unit.len()).ok()?;
        let sps = vec![Bytes::copy_from_slice(unit)];
        Some(Sets::Avc(AvcConfig { profile: [profile, constraints, level], sps, pps: config.pps.clone() }))
    }

    fn to_record(&self) -> Option<Bytes> {
        match self {
            Sets::Avc(config) => Some(config.to_record()),
            Sets::Hevc(config) => config.to_record(),
        }
    }
}

/// The NAL units of an access unit and where each ends; stops at the first length that overruns.
fn units(payload: &[u8], length_bytes: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let (unit, later) = tail.split_at_checked(length)?;
        rest = later;
        Some((payload.len() - rest.len(), unit))
    })
    .filter(|(_, unit)| !unit.is_empty())
}

#[cfg(test)]
mod tests;
