//! A web service that webhooks ask and tell.

use anyhow::Result;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers every request with the same text, and keeps what it was sent. Its thread ends with the test's process.
#[derive(Debug)]
pub struct Hook {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    /// One that answers 200 with this body.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(answer: &'static str) -> Result<Hook> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hook = Hook { port, seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                // A client that goes away ends its thread.
                std::thread::spawn(move || serve(socket, answer, &seen));
            }
        });
        Ok(hook)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// The bodies that came, of this event.
    pub fn seen(&self, event: &str) -> Vec<Value> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|body| body["event"] == event).cloned().collect()
    }
}

fn serve(socket: TcpStream, answer: &str, seen: &Mutex<Vec<Value>>) -> Result<()> {
    let mut reader = BufReader::new(socket);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(serde_json::from_slice(&body)?);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        reader.get_mut().write_all((head + answer).as_bytes())?;
    }
}
