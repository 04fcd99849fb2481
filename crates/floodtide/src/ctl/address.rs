//! Where a running server's API is, and by which credential it is asked.

use super::client::Client;
use anyhow::{Context, Result, bail};
use clap::Args;
use node::config::Layers;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Address {
    /// Where the API of the running server is; from admin.listen of the configuration if not said.
    #[arg(long, value_name = "URL", global = true, env = "FLOODTIDE_CTL_URL")]
    url: Option<String>,
    /// A file with the credential for it: an admin.token, or an administrator's JWT. The variable FLOODTIDE_CTL_TOKEN may
    /// hold the credential itself; a flag may not, since everybody on a machine sees the flags of all its programs.
    #[arg(long, value_name = "FILE", global = true, env = "FLOODTIDE_CTL_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// The variable with the credential itself.
const TOKEN: &str = "FLOODTIDE_CTL_TOKEN";

impl Address {
    /// Who asks the server of this configuration.
    ///
    /// # Errors
    /// When neither URL nor configuration says where it is, or the credential can't be read.
    pub(crate) fn client(&self, config: Option<&Path>) -> Result<Client> {
        Client::new(&self.url(config)?, self.token()?)
    }

    /// Whoever listens on all addresses listens on this machine's own.
    fn url(&self, config: Option<&Path>) -> Result<String> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let layers = config.map_or_else(Layers::default, Layers::file).environment(std::env::vars());
        let unknown = "where is the server? give --url, or a --config that can be read";
        let mut listen = layers.load().context(unknown)?.admin.listen;
        if listen.ip().is_unspecified() {
            let own: IpAddr =
                if listen.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            listen.set_ip(own);
        }
        Ok(format!("http://{listen}"))
    }

    fn token(&self) -> Result<Option<String>> {
        let (token, origin) = match (&self.token_file, std::env::var(TOKEN)) {
            (Some(file), _) => {
                let shown = file.display().to_string();
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("can't read the credential in {shown}"))?;
                (text, shown)
            }
            (None, Ok(token)) => (token, TOKEN.to_owned()),
            (None, Err(_)) => return Ok(None),
        };
        let token = token.trim();
        if token.is_empty() || token.chars().any(|c| c.is_control() || c.is_whitespace()) {
            bail!("{origin} holds no credential: it is one word");
        }
        Ok(Some(token.to_owned()))
    }
}
