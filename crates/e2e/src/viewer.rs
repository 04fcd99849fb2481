//! A viewer of HTTP-FLV.

use crate::server::Server;
use crate::{flv, http};
use anyhow::{Result, ensure};
use rtmp::MediaKind;
use std::io::BufReader;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// An FLV viewer that checks that time never goes back.
#[derive(Debug)]
pub struct Viewer {
    reader: flv::Reader<BufReader<TcpStream>>,
    /// Time of the last frame: sound, pictures.
    pub last_ms: [Option<u32>; 2],
    /// Longest step between two pictures.
    pub steps_max_ms: u32,
    /// Keyframes that came; may be set back.
    pub keyframes: u32,
    /// Decoder configurations of pictures that came.
    pub configurations: u32,
}

impl Viewer {
    /// Asks for an HTTP-FLV target.
    ///
    /// # Errors
    /// When the answer isn't 200 and FLV.
    pub fn open(server: &Server, target: &str) -> Result<Viewer> {
        Viewer::on(server.ports.http, target)
    }

    /// The same, of whoever listens on a port.
    ///
    /// # Errors
    /// As [`Viewer::open`].
    pub fn on(port: u16, target: &str) -> Result<Viewer> {
        Viewer::over(http::Connection::open(port)?, target)
    }

    /// The same with a small receive buffer, so that the server soon sees when it doesn't read.
    ///
    /// # Errors
    /// As [`Viewer::open`].
    pub fn open_narrow(server: &Server, target: &str) -> Result<Viewer> {
        Viewer::over(http::Connection::open_narrow(server.ports.http)?, target)
    }

    fn over(connection: http::Connection, target: &str) -> Result<Viewer> {
        let (head, body) = connection.endless(target, &[])?;
        ensure!(head.status == 200, "{head:?}");
        Ok(Viewer {
            reader: flv::Reader::new(body)?,
            last_ms: [None; 2],
            steps_max_ms: 0,
            keyframes: 0,
            configurations: 0,
        })
    }

    /// Reads a tag; false at the end of the broadcast.
    ///
    /// # Errors
    /// When time goes back, nothing comes for long, or what comes is no FLV.
    pub fn one(&mut self) -> Result<bool> {
        let Some(tag) = self.reader.tag()? else { return Ok(false) };
        let last = match tag.kind {
            MediaKind::Audio => &mut self.last_ms[0],
            MediaKind::Video => &mut self.last_ms[1],
            MediaKind::Data => return Ok(true),
        };
        if let Some(last) = *last {
            ensure!(tag.time_ms >= last, "{:?} goes back from {last} to {} ms", tag.kind, tag.time_ms);
        }
        if tag.is_header() {
            self.configurations += u32::from(tag.kind == MediaKind::Video);
            return Ok(true);
        }
        if let (Some(last), MediaKind::Video) = (*last, tag.kind) {
            self.steps_max_ms = self.steps_max_ms.max(tag.time_ms - last);
        }
        *last = Some(tag.time_ms);
        self.keyframes += u32::from(tag.is_keyframe());
        Ok(true)
    }

    /// Reads for so long.
    ///
    /// # Errors
    /// As [`Viewer::one`], and when the broadcast ends.
    pub fn watch(&mut self, span: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < span {
            ensure!(self.one()?, "the broadcast ended after {:?} of {span:?}", began.elapsed());
        }
        Ok(())
    }
}
