//! The tracks of a broadcast.

use media::{Kind, Track, TrackId};

/// The tracks of a broadcast at one moment. Never changed in place: a change is a new catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Video first, then audio, by id.
    pub tracks: Vec<Track>,
}

impl Catalog {
    /// The track of that id.
    pub fn track(&self, id: TrackId) -> Option<&Track> {
        self.tracks.iter().find(|t| t.id == id)
    }

    /// The first track of that kind.
    pub fn first(&self, kind: Kind) -> Option<&Track> {
        self.tracks.iter().find(|t| t.kind == kind)
    }

    /// This catalog with no other tracks than `ids`.
    #[must_use]
    pub fn only(&self, ids: &[TrackId]) -> Catalog {
        Catalog { tracks: self.tracks.iter().filter(|t| ids.contains(&t.id)).cloned().collect() }
    }

    /// This catalog with `track` added, or in the place of the one with the same id.
    #[must_use]
    pub fn with(&self, track: Track) -> Catalog {
        let mut tracks: Vec<Track> = self.tracks.iter().filter(|t| t.id != track.id).cloned().collect();
        tracks.push(track);
        tracks.sort_by_key(|t| (t.kind, t.id));
        Catalog { tracks }
    }
}
