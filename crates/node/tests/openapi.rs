//! `docs/api/openapi.json` says what a running server says: `UPDATE=1 cargo test -p node --test openapi` writes it.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use node::config::Layers;
use node::{Coming, Node};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn served() -> String {
    let state = std::env::temp_dir().join(format!("floodtide-openapi-{}", std::process::id()));
    let mut layers = Layers::default();
    for section in ["rtmp", "http", "admin", "webrtc", "srt"] {
        layers.put(&[section, "listen"], "127.0.0.1:0");
    }
    layers.put(&["state", "folder"], &state.display().to_string());
    let node = Node::start(layers, Coming::Afresh).await.unwrap();
    let mut socket = TcpStream::connect(node.addresses().admin).await.unwrap();
    let request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    node.stop().await;
    std::fs::remove_dir_all(state).ok();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    format!("{body}\n")
}

#[tokio::test]
async fn the_description_in_the_documents_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api/openapi.json");
    let served = served().await;
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &served).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == served, "the API changed: UPDATE=1 cargo test -p node --test openapi");
}
