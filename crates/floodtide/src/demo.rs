//! `floodtide demo`: a server, and a broadcast published through its real RTMP port.

use crate::cli::Common;
use crate::clip::Clip;
use crate::system;
use anyhow::{Context, Result, bail};
use clap::Args;
use node::config::{Config, Layers};
use node::{Addresses, Coming, Node};
use rtmp::{ClientConfig, ClientEvent, ClientOutput, ClientSession};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Flags of `floodtide demo`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Don't publish the built-in clip; only take what others publish.
    #[arg(long)]
    no_clip: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

pub(crate) fn run(layers: Layers, options: &Options) -> Result<()> {
    let config = layers.load()?;
    let logs = system::logs(&config.log)?;
    system::run(async {
        let node = Node::start(layers, Coming::Afresh).await?;
        node.reloader().set_logs(logs.control());
        explain(node.addresses(), &config, options.no_clip);
        let ended = if options.no_clip {
            system::asked_to_stop().await
        } else {
            tokio::select! {
                stopped = system::asked_to_stop() => stopped,
                failed = publish(node.addresses().rtmp) => failed.context("the demo broadcast ended"),
            }
        };
        node.stop().await;
        ended
    })
}

fn explain(at: Addresses, config: &Config, no_clip: bool) {
    let (rtmp, http) = (at.rtmp, at.http);
    println!("Floodtide demo\n");
    if !no_clip {
        for (how, url) in ways(at, config) {
            println!("  {how:<10} {url}");
        }
        println!();
    }
    println!("  Publish with ffmpeg:");
    println!(
        "    ffmpeg -re -i FILE -c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 0 -g 60 -c:a aac -f flv rtmp://{rtmp}/live/mine"
    );
    println!(
        "  Publish with OBS (Settings > Stream): service Custom, server rtmp://{rtmp}/live, stream key mine;"
    );
    println!("    Settings > Output: keyframe interval 2 s");
    println!("  Watch it   http://{http}/?path=live/mine\n");
    println!("  Metrics    http://{}/metrics", at.admin);
    println!("  Stop with Ctrl-C");
}

/// Every way to watch the clip that is served.
fn ways(at: Addresses, config: &Config) -> Vec<(&'static str, String)> {
    let (rtmp, http) = (at.rtmp, at.http);
    let mut ways = vec![("Watch", format!("http://{http}/?path=live/demo"))];
    if config.webrtc.enabled {
        ways.push(("WHEP", format!("http://{http}/live/demo/whep")));
    }
    ways.extend([
        ("HTTP-FLV", format!("http://{http}/live/demo.flv")),
        ("WS-FLV", format!("ws://{http}/live/demo.flv")),
        ("LL-HLS", format!("http://{http}/live/demo/index.m3u8")),
        ("HLS (TS)", format!("http://{http}/live/demo/ts/index.m3u8")),
        ("RTMP", format!("rtmp://{rtmp}/live/demo")),
    ]);
    // A port that the system chose is not known here.
    if config.srt.enabled && config.srt.listen.port() != 0 {
        let secret = if config.srt.passphrase.is_empty() { "" } else { "&passphrase=YOUR_PASSPHRASE" };
        ways.push(("SRT", format!("srt://{}?streamid=play:live/demo{secret}", config.srt.listen)));
    }
    ways
}

/// Publishes the clip as `live/demo` in a loop with continuous timestamps.
async fn publish(server: SocketAddr) -> Result<()> {
    let clip = Clip::built_in()?;
    let mut socket = TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    let config =
        ClientConfig { app: "live".into(), name: "demo".into(), tc_url: format!("rtmp://{server}/live") };
    let mut session = ClientSession::publish(config, &[0x5a; rtmp::handshake::PACKET_BYTES]);
    let mut buffer = vec![0; 4096];
    while !send(&mut session, &mut socket).await? {
        let count = socket.read(&mut buffer).await?;
        if count == 0 {
            bail!("the server closed the connection");
        }
        session.handle_input(&buffer[..count])?;
    }
    let (mut reader, mut writer) = socket.split();
    let write = loop_clip(&clip, &mut session, &mut writer);
    let read = async {
        // Acknowledgements come in; they must be read, or the server's socket fills up.
        while reader.read(&mut buffer).await? > 0 {}
        bail!("the server closed the connection")
    };
    tokio::select! {
        ended = write => ended,
        ended = read => ended,
    }
}

/// Sends what the session has; true once media may flow.
async fn send(session: &mut ClientSession, socket: &mut TcpStream) -> Result<bool> {
    let mut ready = false;
    while let Some(output) = session.poll_output() {
        match output {
            ClientOutput::Send(bytes) => socket.write_all(&bytes).await?,
            ClientOutput::Event(ClientEvent::Ready) => ready = true,
            ClientOutput::Event(ClientEvent::Rejected(code, why)) => bail!("refused: {code}: {why}"),
            ClientOutput::Event(_) => {}
        }
    }
    Ok(ready)
}

async fn loop_clip(
    clip: &Clip,
    session: &mut ClientSession,
    writer: &mut (impl AsyncWriteExt + Unpin),
) -> Result<()> {
    let start = Instant::now();
    for tag in &clip.headers {
        session.send_media(tag.kind, 0, &[&tag.body]);
    }
    for (time_ms, tag) in (0..).flat_map(|number| clip.frames(number)) {
        tokio::time::sleep_until(start + Duration::from_millis(time_ms)).await;
        // RTMP's milliseconds wrap after 49 days.
        session.send_media(tag.kind, time_ms as u32, &[&tag.body]);
        while let Some(output) = session.poll_output() {
            if let ClientOutput::Send(bytes) = output {
                writer.write_all(&bytes).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_served_is_not_offered() {
        let at = Addresses {
            rtmp: "127.0.0.1:1935".parse().unwrap(),
            http: "127.0.0.1:8080".parse().unwrap(),
            admin: "127.0.0.1:9090".parse().unwrap(),
        };
        let offered = |config: &Config| ways(at, config).iter().map(|(how, _)| *how).collect::<Vec<_>>();
        let mut config = Config::default();
        let always = ["HTTP-FLV", "WS-FLV", "LL-HLS", "HLS (TS)", "RTMP"];
        assert_eq!(offered(&config), [&["Watch", "WHEP"], &always[..], &["SRT"]].concat());
        config.webrtc.enabled = false;
        config.srt.enabled = false;
        assert_eq!(offered(&config), [&["Watch"], &always[..]].concat());
    }
}
