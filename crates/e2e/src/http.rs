//! A small blocking HTTP/1.1 client, for what other clients hide: when bytes come, and which.

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// One connection, used for several requests.
#[derive(Debug)]
pub struct Connection {
    host: String,
    reader: BufReader<TcpStream>,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// Its body as it came.
    pub body: Vec<u8>,
}

/// A server that is silent for longer has failed the test.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// No response of ours is larger.
const BODY_BYTES_MAX: usize = 64 << 20;

/// One GET on a connection of its own.
///
/// # Errors
/// When there is no proper response in time.
pub fn fetch(port: u16, target: &str, headers: &[(&str, &str)]) -> Result<Response> {
    Connection::open(port)?.request("GET", target, headers)
}

impl Connection {
    /// Connects to 127.0.0.1.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(port: u16) -> Result<Connection> {
        Connection::open_as(port, &format!("127.0.0.1:{port}"))
    }

    /// The same, with another `Host`.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open_as(port: u16, host: &str) -> Result<Connection> {
        let socket =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}"))?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        socket.set_write_timeout(Some(SILENCE_MAX))?;
        socket.set_nodelay(true)?;
        Ok(Connection { host: host.to_owned(), reader: BufReader::new(socket) })
    }

    /// The same with a receive buffer that holds a moment of video only.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open_narrow(port: u16) -> Result<Connection> {
        const BYTES: usize = 64 << 10;
        let connection = Connection::open(port)?;
        rustix::net::sockopt::set_socket_recv_buffer_size(connection.reader.get_ref(), BYTES)?;
        Ok(connection)
    }

    /// A request, and its whole response.
    ///
    /// # Errors
    /// When there is no proper response in time.
    pub fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Response> {
        self.exchange(method, target, headers).with_context(|| format!("{method} {target}"))
    }

    /// A GET whose body never ends: the head, and the connection to read the body from.
    ///
    /// # Errors
    /// When there is no proper head in time.
    pub fn endless(
        mut self,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<(Response, BufReader<TcpStream>)> {
        self.send("GET", target, headers)?;
        let head = self.head().with_context(|| format!("GET {target}"))?;
        Ok((head, self.reader))
    }

    fn exchange(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Response> {
        self.send(method, target, headers)?;
        let mut response = self.head()?;
        if method != "HEAD" && response.status != 204 && response.status != 304 {
            response.body = self.body(&response)?;
        }
        Ok(response)
    }

    fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Result<()> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("\r\n");
        self.reader.get_mut().write_all(head.as_bytes())?;
        Ok(())
    }

    fn head(&mut self) -> Result<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|s| s.parse().ok());
        let status = status.with_context(|| format!("no status in {status_line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').with_context(|| format!("no header: {line:?}"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, response: &Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let size =
                    usize::from_str_radix(line.trim(), 16).with_context(|| format!("chunk {line:?}"))?;
                self.take(size, &mut body)?;
                ensure!(self.line()?.is_empty(), "a chunk is longer than it said");
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match response.header("content-length") {
            Some(length) => self.take(length.parse()?, &mut body)?,
            None => bail!("neither a length nor chunks: {response:?}"),
        }
        Ok(body)
    }

    fn take(&mut self, size: usize, body: &mut Vec<u8>) -> Result<()> {
        ensure!(body.len() + size <= BODY_BYTES_MAX, "a body of more than {BODY_BYTES_MAX} bytes");
        let start = body.len();
        body.resize(start + size, 0);
        self.reader.read_exact(&mut body[start..]).with_context(|| format!("{size} bytes of a body"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.reader.read_line(&mut line)? > 0, "the server closed the connection");
        Ok(line.trim_end().to_owned())
    }
}

impl Response {
    /// A header's value; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text, decompressed.
    ///
    /// # Errors
    /// When it is no UTF-8, or no gzip although it says so.
    pub fn text(&self) -> Result<String> {
        if self.header("content-encoding") != Some("gzip") {
            return Ok(String::from_utf8(self.body.clone())?);
        }
        let mut text = String::new();
        GzDecoder::new(&self.body[..]).read_to_string(&mut text).context("the body is no gzip")?;
        Ok(text)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {:?}", self.text()))
    }
}
