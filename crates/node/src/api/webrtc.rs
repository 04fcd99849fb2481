//! What viewers by WebRTC get of a broadcast's pictures.

use super::broadcasts::codec;
use super::health::rounded;
use crate::gateway::webrtc::{Order, Outcome, Rendition};
use crate::reload::Reloader;
use hub::health::Health;
use hub::{Broadcast, Catalog};
use media::{Codec, Kind};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How pictures are shown by WebRTC, which can't carry those that are shown in another order than they are coded (B-frames), nor
/// HEVC.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct WebrtcView {
    /// What viewers get: `none`: the pictures as they come, since there are no B-frames; `dropped`: without them; `transcoded`: all
    /// pictures, coded anew; `refused`: nothing.
    b_frames: &'static str,
    /// What `webrtc.b_frames` says for it: `drop`, `transcode` or `refuse`.
    policy: &'static str,
    /// Why it is refused.
    why: Option<String>,
}

/// One quality of the same content.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RenditionView {
    /// What its publisher calls it.
    name: String,
    codec: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    kbit_s: f64,
    /// Whether players of every other protocol get this one.
    base: bool,
}

impl RenditionView {
    pub(super) fn of(rendition: Rendition) -> RenditionView {
        let catalog = rendition.broadcast.catalog();
        let pictures = catalog.as_ref().and_then(|catalog| catalog.first(Kind::Video));
        let size = pictures.and_then(media::Track::video_size);
        RenditionView {
            name: rendition.name,
            codec: pictures.map(|track| codec(track.codec)),
            width: size.map(|size| size.0),
            height: size.map(|size| size.1),
            kbit_s: rounded(rendition.bits_per_second as f64 / 1000.0),
            base: rendition.is_base,
        }
    }
}

impl WebrtcView {
    pub(super) fn of(
        broadcast: &Arc<Broadcast>,
        catalog: &Catalog,
        health: &Health,
        reloader: &Reloader,
    ) -> Option<WebrtcView> {
        let pictures = catalog.first(Kind::Video).filter(|_| reloader.running().webrtc.enabled)?;
        let policy = reloader.b_frames(broadcast.path());
        // The meter sees every picture, and so spares looking at most groups.
        let order = match health.b_frames || pictures.codec == Codec::H265 {
            true => Order::at_a_glance(broadcast),
            false => Order::Shown,
        };
        let (b_frames, why) = match Outcome::of(order, policy) {
            Outcome::Whole => ("none", None),
            Outcome::Dropped => ("dropped", None),
            Outcome::Transcoded => match reloader.pictures().available(broadcast.path()) {
                Ok(()) => ("transcoded", None),
                Err(why) => ("refused", Some(why.to_string())),
            },
            Outcome::Refused => ("refused", Some(refusal(order).to_owned())),
        };
        Some(WebrtcView { b_frames, policy: policy.as_str(), why })
    }
}

/// Why viewers by WebRTC are refused.
fn refusal(order: Order) -> &'static str {
    match order {
        Order::Foreign => "browsers don't know HEVC by WebRTC",
        Order::Needed => "other pictures build on B-frames, so that they can't be left out",
        Order::Shown | Order::Droppable => "B-frames are refused here",
    }
}
