//! What a gateway has to say about its format; the plane itself knows none.

use crate::sessions::Protocol;
use bytes::{Bytes, BytesMut};
use hub::Catalog;
use media::{Frame, Track};

/// A format that the plane can fan out. One static value per format.
pub(crate) trait Format: Sync + std::fmt::Debug {
    /// Whom it is for; one format per protocol.
    fn protocol(&self) -> Protocol;

    /// A muxer for one broadcast.
    fn muxer(&self) -> Box<dyn Muxer>;

    /// What a viewer's own bytes mean. Stateless: they are looked at as they come.
    fn input(&self, bytes: &[u8]) -> Input;
}

/// What a viewer's bytes ask of the plane.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing.
    Ignore,
    /// To be sent at the next boundary between frames.
    Reply(Bytes),
    /// The viewer leaves.
    Close,
}

/// Writes one broadcast in one format. What it appends is shared by all viewers of a worker.
pub(crate) trait Muxer: Send + std::fmt::Debug {
    /// What a joining viewer gets before the newest group.
    fn head(&mut self, catalog: &Catalog, out: &mut BytesMut);

    /// The tracks changed within the broadcast.
    fn catalog(&mut self, catalog: &Catalog, out: &mut BytesMut);

    /// One frame.
    fn frame(&mut self, track: &Track, frame: &Frame, out: &mut BytesMut);

    /// The broadcast is over.
    fn end(&mut self, out: &mut BytesMut);
}
