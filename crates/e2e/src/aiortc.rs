//! aiortc as a publisher by WHIP and as a viewer by WHEP: a WebRTC client that is no browser.

use crate::clips::Clip;
use crate::folder::project;
use crate::tool::{Running, Tool};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::time::Duration;

/// What a client says beside the URL.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer {
    /// The only codec of pictures that is offered, `H264` or `VP8`; without it all that aiortc knows.
    pub codec: Option<&'static str>,
    /// The candidates in it.
    pub candidates: Candidates,
    /// A stream key.
    pub key: Option<&'static str>,
}

/// The candidates in an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Candidates {
    /// The client's addresses.
    #[default]
    All,
    /// None: those of OBS since 30.2.
    None,
    /// Only names that nobody but a local network could look up (mDNS): those of browsers without a camera's permission.
    Local,
}

/// A publisher; killed when it goes out of scope.
#[derive(Debug)]
pub struct AiortcPublisher(Running);

/// What a viewer decoded.
#[derive(Debug, Deserialize)]
pub struct Seen {
    /// The codec of the pictures.
    pub codec: String,
    /// Pictures.
    pub pictures: u32,
    /// Pieces of sound, of 20 ms.
    pub sounds: u32,
    /// Size of the last picture.
    pub width: u32,
    /// Size of the last picture.
    pub height: u32,
    /// By how much each click of the clip was later than its flash, on the clock that the server told.
    pub offsets_ms: Vec<f64>,
}

/// To connect, to get the first media, to say goodbye: what the script itself allows, and room for a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Publishes a clip in real time.
///
/// # Errors
/// When it isn't installed.
pub fn publish(clip: &Clip, url: &str, offer: Offer) -> Result<AiortcPublisher> {
    let tool = client("publish").arg(url).arg(&clip.path);
    Ok(AiortcPublisher(with(tool, offer).start_to_talk()?))
}

/// Plays for so long from the first picture on.
///
/// # Errors
/// When it is refused, doesn't connect, or gets no pictures or no sound; with its words.
pub fn play(url: &str, span: Duration, offer: Offer) -> Result<Seen> {
    let tool = client("play").arg(url).arg(format!("--seconds={}", span.as_secs_f64()));
    let finished = with(tool, offer).succeed(LIMIT)?;
    serde_json::from_slice(&finished.out).with_context(|| format!("what aiortc saw: {finished}"))
}

/// Tries to publish what the server doesn't want: what it is told.
///
/// # Errors
/// When it isn't refused.
pub fn refused(clip: &Clip, url: &str, offer: Offer) -> Result<String> {
    let finished = publish(clip, url, offer)?.0.finish(LIMIT)?;
    ensure!(finished.status.code() == Some(REFUSED), "{finished}");
    Ok(finished.log)
}

impl AiortcPublisher {
    /// Ends it as its user would, by `DELETE`; the codec that it sent.
    ///
    /// # Errors
    /// When it had ended before, or sent nothing.
    pub fn end(mut self) -> Result<String> {
        self.0.say("end")?;
        let finished = self.0.finish(LIMIT)?;
        ensure!(finished.status.success(), "{finished}");
        let told = finished.json()?;
        ensure!(told["packets"].as_u64() > Some(0), "{finished}");
        Ok(told["codec"].as_str().context("no codec")?.to_owned())
    }

    /// What it wrote so far.
    pub fn text_so_far(&self) -> String {
        self.0.text_so_far()
    }
}

/// The exit code of who was refused.
const REFUSED: i32 = 2;

fn client(command: &str) -> Tool {
    let python = project().join("target/test-tools/venv/bin/python");
    Tool::new(python).arg(project().join("crates/e2e/peers/aiortc_peer.py")).arg(command)
}

fn with(tool: Tool, offer: Offer) -> Tool {
    let candidates = match offer.candidates {
        Candidates::All => "all",
        Candidates::None => "none",
        Candidates::Local => "local",
    };
    let tool = tool.arg(format!("--candidates={candidates}"));
    let tool = offer.codec.map(|codec| format!("--codec={codec}")).into_iter().fold(tool, Tool::arg);
    offer.key.map(|key| format!("--key={key}")).into_iter().fold(tool, Tool::arg)
}
