//! H.264 (RFC 6184, packetization-mode 1) and H.265 (RFC 7798, without decoding order numbers): units alone, several in
//! one payload, or one in several payloads.

use super::payloads::{Payloads, pieces};
use crate::Error;
use crate::rtp::family::{FRAGMENT_END, FRAGMENT_START, Family, LENGTH_BYTES};
use bytes::Bytes;
use media::Frame;
use media::codec::h264::{self, AvcConfig, nal_units};
use media::codec::h265::{self, HevcConfig};

/// The parameter sets of the configuration that was seen last.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    config: Bytes,
    sets: Vec<Bytes>,
}

pub(super) fn packetize(
    family: Family,
    sets: &mut ParameterSets,
    config: &Bytes,
    frame: &Frame,
    out: &mut Payloads,
) -> Result<(), Error> {
    let mut units: Vec<&[u8]> = Vec::with_capacity(8);
    if frame.keyframe {
        sets.update(family, config)?;
        units.extend(sets.sets.iter().map(|set| &set[..]));
    }
    let mut has_units = false;
    for unit in nal_units(&frame.payload) {
        has_units = true;
        if family.is_carried(unit) {
            units.push(unit);
        }
    }
    if !has_units {
        return Err(Error::NotNormal(family.codec()));
    }
    let mut rest = &units[..];
    while let Some(first) = rest.first() {
        let together = family.fit_together(rest, out.mtu());
        if together > 1 {
            family.put_aggregate(&rest[..together], out);
        } else if first.len() <= out.mtu() {
            out.put(first);
            out.end();
        } else {
            family.put_fragments(first, out);
        }
        rest = &rest[together..];
    }
    Ok(())
}

impl ParameterSets {
    fn update(&mut self, family: Family, config: &Bytes) -> Result<(), Error> {
        if self.config == config && !self.sets.is_empty() {
            return Ok(());
        }
        let sets = match family {
            Family::H264 => AvcConfig::parse(config).map(|c| [c.sps, c.pps].concat()),
            Family::H265 => HevcConfig::parse(config).map(|c| [c.vps, c.sps, c.pps].concat()),
        };
        self.sets = sets.ok_or(Error::Config(family.codec()))?;
        self.config = config.clone();
        Ok(())
    }
}

impl Family {
    /// Whether a unit goes onto the wire: not types that payloads use for themselves, and neither delimiters nor filler.
    fn is_carried(self, unit: &[u8]) -> bool {
        let kind = self.kind(unit);
        unit.len() >= self.header_bytes()
            && match self {
                // 10 to 12: end of sequence, end of stream, filler. ITU-T H.264 table 7-1.
                Family::H264 => {
                    (1..=self.unit_kind_max()).contains(&kind) && !matches!(kind, h264::nal::AUD..=12)
                }
                // 36 to 38: end of sequence, end of bitstream, filler. ITU-T H.265 table 7-1.
                Family::H265 => kind <= self.unit_kind_max() && !matches!(kind, h265::nal::AUD..=38),
            }
    }

    /// How many of the first units fit into one aggregate; one if only the first does, or not even that.
    fn fit_together(self, units: &[&[u8]], mtu: usize) -> usize {
        let mut bytes = self.header_bytes();
        let fits = |unit: &&&[u8]| {
            bytes += LENGTH_BYTES + unit.len();
            bytes <= mtu
        };
        units.iter().take_while(fits).count().max(1)
    }

    fn put_aggregate(self, units: &[&[u8]], out: &mut Payloads) {
        match self {
            Family::H264 => {
                // The forbidden bit if one has it, the highest nal_ref_idc. RFC 6184 §5.7.
                let forbidden = units.iter().fold(0, |f, u| f | u[0] & 0x80);
                let reference = units.iter().map(|u| u[0] & 0x60).max().unwrap_or(0);
                out.put(&[forbidden | reference | self.aggregate()]);
            }
            Family::H265 => {
                // The lowest layer and temporal id. RFC 7798 §4.4.2.
                let layer = units.iter().map(|u| (u[0] & 1) << 5 | u[1] >> 3).min().unwrap_or(0);
                let temporal = units.iter().map(|u| u[1] & 7).min().unwrap_or(1);
                out.put(&[self.aggregate() << 1 | layer >> 5, layer << 3 | temporal]);
            }
        }
        for unit in units {
            // A unit of an aggregate is shorter than the limit of payloads.
            out.put(&(unit.len() as u16).to_be_bytes());
            out.put(unit);
        }
        out.end();
    }

    fn put_fragments(self, unit: &[u8], out: &mut Payloads) {
        let (header, body) = unit.split_at(self.header_bytes());
        let kind = self.kind(unit);
        let fragments = pieces(body, out.mtu() - header.len() - 1);
        let last = fragments.len() - 1;
        for (i, piece) in fragments.enumerate() {
            match self {
                Family::H264 => out.put(&[header[0] & 0xe0 | self.fragment()]),
                Family::H265 => out.put(&[header[0] & 0x81 | self.fragment() << 1, header[1]]),
            }
            let start = if i == 0 { FRAGMENT_START } else { 0 };
            let end = if i == last { FRAGMENT_END } else { 0 };
            out.put(&[start | end | kind]);
            out.put(piece);
            out.end();
        }
    }
}
