//! `floodtide serve`.

use crate::system;
use anyhow::Result;
use node::Node;
use node::config::Layers;

pub(crate) fn run(layers: Layers) -> Result<()> {
    let logs = system::logs(&layers.load()?.log)?;
    system::run(async {
        let node = Node::start(layers).await?;
        node.reloader().set_logs(logs.control());
        let at = node.addresses();
        tracing::info!(rtmp = %at.rtmp, http = %at.http, admin = %at.admin, "floodtide is ready");
        if !node.somebody_may_publish() {
            tracing::warn!("nobody can publish yet: set publish.stream_key, or give --stream-key SECRET");
        }
        system::serve_until_asked_to_stop(node.reloader()).await?;
        node.drain(system::asked_to_stop()).await;
        Ok(())
    })
}
