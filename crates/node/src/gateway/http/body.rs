//! FLV as a hyper body: for HTTP/2, and for connections that carried another request before.
//!
//! Each viewer muxes for itself here, which costs more than the egress plane; a viewer that is slow loses
//! whole groups in the hub, since hyper asks for no more than it can send.

use super::flv::FlvMuxer;
use crate::auth::Playing;
use crate::egress::Muxer;
use crate::metrics::{CloseReason, Metrics};
use crate::sessions::{Protocol, SessionGuard};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use hub::{Batch, Catalog, Consumer, Item};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// An endless FLV body.
#[derive(Debug)]
pub(super) struct FlvBody {
    consumer: Consumer,
    muxer: FlvMuxer,
    catalog: Option<Arc<Catalog>>,
    batch: Batch,
    ended: bool,
    sent: u64,
    session: SessionGuard,
    metrics: Arc<Metrics>,
}

impl FlvBody {
    pub(super) fn new(playing: Playing, metrics: &Arc<Metrics>) -> FlvBody {
        FlvBody {
            consumer: playing.broadcast.consumer(),
            muxer: FlvMuxer::default(),
            catalog: None,
            batch: Batch::default(),
            ended: false,
            sent: 0,
            session: playing.session,
            metrics: Arc::clone(metrics),
        }
    }
}

impl Body for FlvBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let me = &mut *self;
        while !me.ended {
            ready!(me.consumer.poll_batch(cx, &mut me.batch));
            let ending = me.session.session().ending(Instant::now());
            me.ended = me.batch.ended || ending.is_some();
            if me.ended {
                me.session.ends(ending.map_or(CloseReason::Ended, Into::into));
            }
            let mut out = BytesMut::new();
            for item in me.batch.items.drain(..) {
                match item {
                    Item::Catalog(catalog) => {
                        match me.catalog {
                            None => me.muxer.head(&catalog, &mut out),
                            Some(_) => me.muxer.catalog(&catalog, &mut out),
                        }
                        me.catalog = Some(catalog);
                    }
                    Item::Resumed => {}
                    Item::Frame { track, frame, .. } => {
                        if let Some(track) = me.catalog.as_ref().and_then(|c| c.track(track)) {
                            me.muxer.frame(track, &frame, &mut out);
                        }
                    }
                }
            }
            if !out.is_empty() {
                me.consumer.broadcast().add_egress_bytes(out.len() as u64);
                me.metrics.here().egress(Protocol::Flv, out.len() as u64);
                me.sent += out.len() as u64;
                me.session.session().report(me.sent, 0);
                return Poll::Ready(Some(Ok(Frame::data(out.freeze()))));
            }
        }
        Poll::Ready(None)
    }
}
