//! Any channels to one or two.

use super::Sound;

/// Where a channel is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Left,
    Right,
    Center,
    /// Beside or behind, left.
    SideLeft,
    /// Beside or behind, right.
    SideRight,
    Behind,
    /// The low effects: not for small loudspeakers.
    Low,
}

/// -3 dB.
const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;

impl Place {
    /// How loud it is left and right of two channels. ITU-R BS.775-3 annex 4.
    fn gains(self) -> [f32; 2] {
        match self {
            Place::Left => [1.0, 0.0],
            Place::Right => [0.0, 1.0],
            Place::Center => [HALF_POWER; 2],
            Place::SideLeft => [HALF_POWER, 0.0],
            Place::SideRight => [0.0, HALF_POWER],
            Place::Behind => [0.5; 2],
            Place::Low => [0.0; 2],
        }
    }
}

/// Mixes `sound` into as many planes as `mixed` has (one or two), never louder than full scale where the channels weren't.
pub(super) fn mix(sound: &Sound, mixed: &mut [Vec<f32>]) {
    mixed.iter_mut().for_each(|plane| {
        plane.clear();
        plane.resize(sound.samples(), 0.0);
    });
    let gains: Vec<[f32; 2]> = match sound.places.as_slice() {
        // One channel is heard everywhere.
        [_] => vec![[1.0; 2]],
        places => places.iter().map(|place| place.gains()).collect(),
    };
    let is_mono = mixed.len() == 1;
    let shares: Vec<[f32; 2]> =
        gains.into_iter().map(|[l, r]| if is_mono { [(l + r) / 2.0; 2] } else { [l, r] }).collect();
    for (side, plane) in mixed.iter_mut().enumerate() {
        let loudest: f32 = shares.iter().map(|share| share[side.min(1)]).sum();
        let scale = 1.0 / loudest.max(1.0);
        for (share, source) in shares.iter().zip(&sound.planes) {
            let gain = share[side.min(1)] * scale;
            if gain > 0.0 {
                plane.iter_mut().zip(source).for_each(|(out, sample)| *out += gain * sample);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(places: &[Place], samples: &[f32], expect: &[f32]) {
        let planes = samples.iter().map(|s| vec![*s]).collect();
        let sound = Sound { rate: 48_000, places: places.to_vec(), planes };
        let mut mixed = vec![Vec::new(); expect.len()];
        mix(&sound, &mut mixed);
        for (plane, expect) in mixed.iter().zip(expect) {
            assert!((plane[0] - expect).abs() < 0.001, "{mixed:?}, not {expect}");
        }
    }

    #[test]
    fn channels_are_folded_without_getting_louder() {
        use Place::{Center, Left, Low, Right, SideLeft, SideRight};
        check(&[Center], &[0.5], &[0.5, 0.5]);
        check(&[Left, Right], &[0.2, 0.6], &[0.2, 0.6]);
        check(&[Left, Right], &[0.2, 0.6], &[0.4]);
        let surround = [Left, Right, Center, Low, SideLeft, SideRight];
        check(&surround, &[1.0; 6], &[1.0, 1.0]);
        check(&surround, &[1.0; 6], &[1.0]);
        check(&surround, &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0], &[0.2929, 0.2929]);
        check(&surround, &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0], &[0.2929, 0.0]);
    }
}
