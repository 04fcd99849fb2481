//! How all broadcasts come in: so many in each range of a figure. What one of them does, the API says.

use super::scrape::Page;
use hub::health::{Health, Presence};
use std::fmt::Error;

/// A figure of a live broadcast, and the ranges that it is counted in.
struct Figure {
    name: &'static str,
    help: &'static str,
    /// Upper bounds with their names; the last range has none.
    bounds: &'static [(f64, &'static str)],
    beyond: &'static str,
    of: fn(&Health) -> Option<f64>,
}

/// The bounds are those of the advice where it has some, with what is usual below and between them.
const FIGURES: [Figure; 4] = [
    Figure {
        name: "input_keyframe_interval",
        help: "Live broadcasts by how far apart their keyframes are",
        bounds: &[(0.5, "to 0.5 s"), (1.0, "to 1 s"), (2.5, "to 2.5 s"), (4.0, "to 4 s"), (10.0, "to 10 s")],
        beyond: "beyond 10 s",
        of: |health| Some(health.groups.distance()?.as_secs_f64()),
    },
    Figure {
        name: "input_frame_rate",
        help: "Live broadcasts by the pictures that came each second of the last ten",
        bounds: &[(5.0, "to 5"), (16.0, "to 16"), (26.0, "to 26"), (31.0, "to 31"), (61.0, "to 61")],
        beyond: "beyond 61",
        of: |health| health.video.frames_per_s.filter(|_| health.video.presence != Presence::Absent),
    },
    Figure {
        name: "input_bit_rate",
        help: "Live broadcasts by their bits a second in the last minute, pictures and sound together",
        bounds: &[
            (0.5e6, "to 0.5 Mbit/s"),
            (2e6, "to 2 Mbit/s"),
            (6e6, "to 6 Mbit/s"),
            (12e6, "to 12 Mbit/s"),
            (25e6, "to 25 Mbit/s"),
        ],
        beyond: "beyond 25 Mbit/s",
        of: |health| match (health.video.bits_per_s, health.audio.bits_per_s) {
            (None, None) => None,
            (video, audio) => Some(video.unwrap_or(0.0) + audio.unwrap_or(0.0)),
        },
    },
    Figure {
        name: "input_bit_rate_variation",
        help: "Live broadcasts by the standard deviation of the bits of each second of the last minute, divided by their mean; of pictures",
        bounds: &[(0.1, "to 0.1"), (0.3, "to 0.3"), (0.6, "to 0.6"), (1.0, "to 1")],
        beyond: "beyond 1",
        of: |health| health.video.variation,
    },
];

/// Writes them. Broadcasts without a publisher, or without the figure, are in no range.
pub(super) fn encode(page: &mut Page<'_, '_>, healths: &[Health]) -> Result<(), Error> {
    for figure in &FIGURES {
        page.gauges(figure.name, figure.help, None, "range", &figure.count(healths))?;
    }
    Ok(())
}

impl Figure {
    /// How many are in each range.
    fn count(&self, healths: &[Health]) -> Vec<(&'static str, u64)> {
        let mut ranges: Vec<_> = self.bounds.iter().map(|(_, name)| (*name, 0)).collect();
        ranges.push((self.beyond, 0));
        let live = healths.iter().filter(|health| health.publishing_for.is_some());
        for value in live.filter_map(self.of) {
            ranges[self.bounds.partition_point(|(bound, _)| *bound < value)].1 += 1;
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub::health::{Flow, Groups};
    use std::time::Duration;

    /// A broadcast with keyframes so far apart and so many bits of pictures and sound a second.
    fn health(apart: Option<f64>, video: Option<f64>, audio: Option<f64>) -> Health {
        let presence = if video.is_some() { Presence::Here } else { Presence::Absent };
        let frames_per_s = Some(video.map_or(0.0, |_| 25.0));
        Health {
            publishing_for: Some(Duration::from_secs(20)),
            video: Flow { presence, frames_per_s, bits_per_s: video, ..Flow::default() },
            audio: Flow { bits_per_s: audio, ..Flow::default() },
            groups: Groups { mean: apart.map(Duration::from_secs_f64), ..Groups::default() },
            ..Health::default()
        }
    }

    /// The ranges of a figure that somebody is in.
    fn counted(name: &str, healths: &[Health]) -> Vec<(&'static str, u64)> {
        let figure = FIGURES.iter().find(|figure| figure.name == name).unwrap();
        figure.count(healths).into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn each_broadcast_that_has_a_figure_is_in_one_of_its_ranges() {
        let usual = health(Some(2.0), Some(4e6), Some(0.1e6));
        let rare = health(Some(10.5), Some(0.4e6), Some(0.2e6));
        let sound = health(None, None, Some(0.1e6));
        let vacant = Health { publishing_for: None, ..usual.clone() };
        let all = [usual.clone(), usual, rare, sound, vacant];
        assert_eq!(counted("input_keyframe_interval", &all), [("to 2.5 s", 2), ("beyond 10 s", 1)]);
        assert_eq!(counted("input_frame_rate", &all), [("to 26", 3)], "sound alone has no pictures");
        let rates = [("to 0.5 Mbit/s", 1), ("to 2 Mbit/s", 1), ("to 6 Mbit/s", 2)];
        assert_eq!(counted("input_bit_rate", &all), rates);
        assert_eq!(counted("input_bit_rate_variation", &all), [], "not before ten seconds");
    }
}
