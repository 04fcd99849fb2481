//! `floodtide serve`.

use crate::system;
use anyhow::Result;
use node::Node;
use node::config::Config;

pub(crate) fn run(config: &Config) -> Result<()> {
    system::run(async {
        let node = Node::start(config).await?;
        let at = node.addresses();
        tracing::info!(rtmp = %at.rtmp, http = %at.http, admin = %at.admin, "floodtide is ready");
        if config.publish.stream_key.is_none() {
            tracing::warn!("nobody can publish yet: set publish.stream_key, or give --stream-key SECRET");
        }
        system::asked_to_stop().await?;
        tracing::info!("shutting down");
        node.stop().await;
        Ok(())
    })
}
