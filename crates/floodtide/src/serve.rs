//! `floodtide serve`.

use crate::system;
use anyhow::Result;
use node::config::Layers;
use node::{Coming, Node};

pub(crate) fn run(layers: Layers, coming: Coming) -> Result<()> {
    let logs = system::logs(&layers.load()?.log)?;
    system::run(async {
        let node = Node::start(layers, coming).await?;
        node.reloader().set_logs(logs.control());
        let at = node.addresses();
        tracing::info!(rtmp = %at.rtmp, http = %at.http, admin = %at.admin, "floodtide is ready");
        if !node.somebody_may_publish() {
            tracing::warn!("nobody can publish yet: set publish.stream_key, or give --stream-key SECRET");
        }
        tokio::select! {
            asked = system::serve_until_asked_to_stop(node.reloader()) => {
                asked?;
                node.drain(system::asked_to_stop()).await;
            }
            () = node.taken_over() => node.leave_to_successor(system::asked_to_stop()).await,
        }
        Ok(())
    })
}
