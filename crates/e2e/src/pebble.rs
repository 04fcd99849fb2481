//! Pebble, an authority of ACME for tests. Every name is on 127.0.0.1 to it.

use crate::certificate::Certificate;
use crate::folder::Folder;
use crate::server::{self, Ports};
use crate::tool::{Running, Tool};
use crate::wait::{Look, until};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::time::Duration;

/// A running Pebble on ports of its own; killed when it goes out of scope.
#[derive(Debug)]
pub struct Pebble {
    authority: Running,
    _names: Running,
    ports: Ports,
    folder: Folder,
}

/// From start to ready, and for one request.
const LIMIT: Duration = Duration::from_secs(10);

impl Pebble {
    /// An authority that asks for challenges at this port of 127.0.0.1.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn start(http: u16) -> Result<Pebble> {
        let (folder, ports) = (Folder::new()?, server::free_ports()?);
        let Certificate { chain: certificate, key } = Certificate::make(folder.path(), "cert", "localhost")?;
        let config = format!(
            "{{\"pebble\": {{\"listenAddress\": \"127.0.0.1:{}\", \"managementListenAddress\": \"127.0.0.1:{}\", \
             \"certificate\": {certificate:?}, \"privateKey\": {key:?}, \"httpPort\": {http}, \"tlsPort\": 1, \
             \"ocspResponderURL\": \"\", \"externalAccountBindingRequired\": false}}}}",
            ports.https, ports.admin
        );
        std::fs::write(folder.file("config.json"), config)?;
        let names =
            Tool::new("pebble-challtestsrv").words("-defaultIPv6").arg("").words("-defaultIPv4 127.0.0.1");
        let names = names.arg("-dns01").arg(format!("127.0.0.1:{}", ports.rtmp));
        let names = names.arg("-management").arg(format!("127.0.0.1:{}", ports.http));
        let names = names.words("-http01").arg("").words("-https01").arg("").words("-tlsalpn01").arg("");
        let names = names.start()?;
        let authority = Tool::new("pebble").env("PEBBLE_VA_NOSLEEP", "1").words("-config");
        let authority = authority.arg(folder.file("config.json")).arg("-dnsserver");
        let authority = authority.arg(format!("127.0.0.1:{}", ports.rtmp)).start()?;
        let mut pebble = Pebble { authority, _names: names, ports, folder };
        until(LIMIT, "pebble answers", || {
            ensure!(pebble.authority.is_running()?, "pebble ended");
            let answer = pebble.curl(&pebble.directory())?;
            Ok(if answer.is_some() { Look::Found(()) } else { Look::NotYet("no answer".to_owned()) })
        })?;
        Ok(pebble)
    }

    /// Where orders begin.
    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.ports.https)
    }

    /// The certificate that it is trusted by itself.
    pub fn ca(&self) -> PathBuf {
        self.folder.file("cert.pem")
    }

    /// The certificate that those which it gives are trusted by.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn root(&self) -> Result<PathBuf> {
        let path = self.folder.file("root.pem");
        let root = self.curl(&format!("https://127.0.0.1:{}/roots/0", self.ports.admin))?;
        std::fs::write(&path, root.unwrap_or_default())?;
        Ok(path)
    }

    fn curl(&self, url: &str) -> Result<Option<Vec<u8>>> {
        let curl = Tool::new("curl").words("--silent --fail --cacert").arg(self.ca()).arg(url).run(LIMIT)?;
        Ok(curl.status.success().then_some(curl.out))
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        // Test runners show this when the test failed.
        println!("pebble's log:\n{}", self.authority.text_so_far());
    }
}
