//! Certificates that sign themselves.

use crate::tool::Tool;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A certificate of its own, and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// PEM; clients trust it by naming this file.
    pub chain: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

const LIMIT: Duration = Duration::from_secs(30);

impl Certificate {
    /// A new one for a name and for 127.0.0.1, in `FOLDER/FILE.pem` and `FOLDER/FILE.key`.
    ///
    /// # Errors
    /// When openssl fails.
    pub fn make(folder: &Path, file: &str, name: &str) -> Result<Certificate> {
        let (chain, key) = (folder.join(format!("{file}.pem")), folder.join(format!("{file}.key")));
        let openssl = Tool::new("openssl").words("req -x509 -newkey rsa:2048 -nodes -days 2 -subj");
        let openssl = openssl.arg(format!("/CN={name}")).arg("-addext");
        let openssl = openssl.arg(format!("subjectAltName=DNS:{name},IP:127.0.0.1"));
        // rustls takes no authority's certificate for a server's own.
        let openssl = openssl.words("-addext basicConstraints=critical,CA:FALSE -keyout").arg(&key);
        openssl.arg("-out").arg(&chain).succeed(LIMIT)?;
        Ok(Certificate { chain, key })
    }

    /// The two keys of the configuration that name it, for a section such as `[tls]`.
    pub fn toml(&self) -> String {
        format!("certificate = {:?}\nkey = {:?}\n", self.chain, self.key)
    }
}
