//! nginx with its RTMP module: somebody else's server.

use crate::folder::Folder;
use crate::server::{self, Ports};
use crate::tool::{Running, Tool};
use crate::wait::{Look, until};
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// A running nginx on ports of its own; killed when it goes out of scope.
#[derive(Debug)]
pub struct Nginx {
    child: Running,
    ports: Ports,
    folder: Folder,
}

/// From start to ready.
const READY_MAX: Duration = Duration::from_secs(10);

impl Nginx {
    /// An RTMP server with the app `live`, and a proxy of HTTP before a server of ours: `/live/…` goes there,
    /// `/moved/…` redirects to `/live/…`.
    ///
    /// # Errors
    /// When it can't be started or isn't ready in time.
    pub fn start(behind_http: u16) -> Result<Nginx> {
        let (folder, ports) = (Folder::new()?, server::free_ports()?);
        let place = folder.file("");
        let place = place.display();
        let config = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
             daemon off; master_process off; worker_processes 1; user root;\n\
             pid {place}/pid; error_log {place}/log info;\n\
             events {{ worker_connections 256; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{}; chunk_size 4096; application live {{ live on; }} }} }}\n\
             http {{\n\
               access_log off; client_body_temp_path {place}/a; proxy_temp_path {place}/b;\n\
               fastcgi_temp_path {place}/c; uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
               server {{ listen 127.0.0.1:{};\n\
                 location /live/ {{ proxy_pass http://127.0.0.1:{behind_http}; proxy_buffering off; }}\n\
                 location ~ ^/moved/(.*)$ {{ return 302 /live/$1; }} }} }}\n",
            ports.rtmp, ports.http
        );
        std::fs::write(folder.file("nginx.conf"), config)?;
        let child = spawn(&folder)?;
        let mut nginx = Nginx { child, ports, folder };
        nginx.wait_ready()?;
        Ok(nginx)
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()
    }

    /// Starts it again, on the same ports.
    ///
    /// # Errors
    /// When it isn't ready in time.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.folder)?;
        self.wait_ready()
    }

    /// `rtmp://127.0.0.1:PORT` with this path.
    pub fn rtmp(&self, path: &str) -> String {
        format!("rtmp://127.0.0.1:{}{path}", self.ports.rtmp)
    }

    /// `http://127.0.0.1:PORT` with this path.
    pub fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.http)
    }

    fn wait_ready(&mut self) -> Result<()> {
        until(READY_MAX, "nginx takes connections", || {
            let log = || std::fs::read_to_string(self.folder.file("log")).unwrap_or_default();
            ensure!(self.child.is_running()?, "nginx ended: {}", log());
            Ok(match TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.rtmp)) {
                Ok(_) => Look::Found(()),
                Err(error) => Look::NotYet(error.to_string()),
            })
        })
    }
}

fn spawn(folder: &Folder) -> Result<Running> {
    let tool = Tool::new("/usr/sbin/nginx").words("-e").arg(folder.file("log"));
    let tool = tool.words("-p").arg(folder.file("")).words("-c").arg(folder.file("nginx.conf"));
    tool.start().context("apt-get install nginx libnginx-mod-rtmp")
}
