//! OBS Studio on a display that nobody sees, driven over obs-websocket 5. Its settings are those of a new
//! installation but for size, bitrate and the delay before it reconnects: B-frames, and a keyframe when the encoder
//! likes.

use crate::clips::Clip;
use crate::folder::Folder;
use crate::server::Server;
use crate::tool::{Running, Tool};
use crate::wait::{Look, until};
use anyhow::{Context, Result, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// A running OBS with a clip in its scene.
#[derive(Debug)]
pub struct Obs {
    socket: WebSocket<TcpStream>,
    requests: u32,
    /// States of the output that nobody has waited for.
    states: VecDeque<String>,
    obs: Running,
    _display: Running,
    _folder: Folder,
}

/// Programs start, outputs change: seconds at most, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// It listens on all addresses, so it asks for a password.
const PASSWORD: &str = "for-this-test";

const GLOBAL: &str =
    "[General]\nFirstRun=true\nEnableAutoUpdates=false\n[Basic]\nProfile=test\nProfileDir=test\n";
const PROFILE: &str = "[General]\nName=test\n\
    [Output]\nMode=Simple\nReconnect=true\nRetryDelay=1\nMaxRetries=25\n\
    [SimpleOutput]\nVBitrate=600\nABitrate=96\nStreamEncoder=x264\n\
    [Video]\nBaseCX=320\nBaseCY=180\nOutputCX=320\nOutputCY=180\nFPSCommon=30\n\
    [Audio]\nSampleRate=48000\nChannelSetup=Stereo\n";

impl Obs {
    /// Starts OBS, set up to publish as `live/KEY` and to show a clip. It doesn't publish yet.
    ///
    /// # Errors
    /// When it isn't there in time.
    pub fn start(server: &Server, key: &str, clip: &Clip) -> Result<Obs> {
        Obs::start_as(server, key, None, clip)
    }

    /// The same with B-frames turned off in its settings, as WebRTC needs it, and a smooth 60 pictures a second.
    ///
    /// # Errors
    /// When it isn't there in time.
    pub fn start_without_b_frames(server: &Server, key: &str, clip: &Clip) -> Result<Obs> {
        let profile = PROFILE.replace(
            "StreamEncoder=x264\n",
            "StreamEncoder=x264\nUseAdvanced=true\nx264Settings=bframes=0\n",
        );
        Obs::start_with(server, key, None, clip, &profile.replace("FPSCommon=30", "FPSCommon=60"))
    }

    /// The same as a user with a password ("Use authentication").
    ///
    /// # Errors
    /// When it isn't there in time.
    pub fn start_as(server: &Server, key: &str, user: Option<(&str, &str)>, clip: &Clip) -> Result<Obs> {
        Obs::start_with(server, key, user, clip, PROFILE)
    }

    fn start_with(
        server: &Server,
        key: &str,
        user: Option<(&str, &str)>,
        clip: &Clip,
        profile: &str,
    ) -> Result<Obs> {
        let folder = Folder::new()?;
        let home = folder.file("");
        let port = server.ports.beside;
        let (name, password) = user.unwrap_or_default();
        let settings = json!({
            "server": server.rtmp("/live"), "key": key,
            "use_auth": user.is_some(), "username": name, "password": password,
        });
        configure(&home, port, profile, &settings)?;
        let display = Tool::new("Xvfb").words("-displayfd 1 -screen 0 640x480x24 -nolisten tcp").start()?;
        let number = until(LIMIT, "a display", || {
            let shown = String::from_utf8_lossy(&display.out_so_far()).into_owned();
            Ok(if shown.ends_with('\n') { Look::Found(shown) } else { Look::NotYet(display.text_so_far()) })
        })?;
        let obs = Tool::new("obs").words("--multi --minimize-to-tray --disable-updater");
        let obs = obs.env("HOME", &home).env("XDG_CONFIG_HOME", &home).env("XDG_RUNTIME_DIR", &home);
        let obs = obs.env("DISPLAY", format!(":{}", number.trim())).env("LIBGL_ALWAYS_SOFTWARE", "1");
        let mut obs = obs.start()?;
        let socket = until(LIMIT, "OBS listens", || {
            ensure!(obs.is_running()?, "OBS ended:\n{}", obs.text_so_far());
            Ok(match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                Ok(socket) => Look::Found(socket),
                Err(error) => Look::NotYet(format!("{error}:\n{}", obs.text_so_far())),
            })
        })?;
        socket.set_read_timeout(Some(LIMIT))?;
        let (socket, _) = tungstenite::client(format!("ws://127.0.0.1:{port}/"), socket)
            .map_err(|error| anyhow::anyhow!("obs-websocket: {error}"))?;
        let states = VecDeque::new();
        let mut obs = Obs { socket, requests: 0, states, obs, _display: display, _folder: folder };
        obs.identify()?;
        obs.show(clip)?;
        Ok(obs)
    }

    /// Presses "Start Streaming", and waits until OBS says that it does. Like a user it presses again when nothing
    /// happens: OBS 29 takes the request but ignores it while it still tidies up after the stream before.
    ///
    /// # Errors
    /// When it doesn't in time, or OBS gives up.
    pub fn publish(&mut self) -> Result<()> {
        const PRESS_AGAIN: Duration = Duration::from_secs(5);
        let began = Instant::now();
        while !self.press_start(PRESS_AGAIN)? {
            ensure!(began.elapsed() < LIMIT, "OBS doesn't start:\n{}", self.log());
        }
        self.wait("STARTED")
    }

    /// False when its output hasn't changed after this time.
    fn press_start(&mut self, patience: Duration) -> Result<bool> {
        if self.status()?["outputActive"] != true {
            self.request("StartStream", &json!({}))?;
        }
        self.socket.get_ref().set_read_timeout(Some(patience))?;
        let changed = !self.states.is_empty() || self.note_event().is_ok();
        self.socket.get_ref().set_read_timeout(Some(LIMIT))?;
        Ok(changed)
    }

    /// Presses "Stop Streaming", and waits until it is over.
    ///
    /// # Errors
    /// When it isn't in time.
    pub fn stop(&mut self) -> Result<()> {
        self.request("StopStream", &json!({}))?;
        self.wait("STOPPED")
    }

    /// Waits for a state of the output, `OBS_WEBSOCKET_OUTPUT_…`; those that come before are forgotten.
    ///
    /// # Errors
    /// When it doesn't come in time, or OBS gives up before.
    pub fn wait(&mut self, state: &str) -> Result<()> {
        let began = Instant::now();
        let wanted = format!("OBS_WEBSOCKET_OUTPUT_{state}");
        let mut seen = Vec::new();
        loop {
            while let Some(state) = self.states.pop_front() {
                if state == wanted {
                    return Ok(());
                }
                let stopped = state.ends_with("_STOPPED");
                seen.push(state);
                ensure!(!stopped, "no {wanted} but {seen:?}:\n{}", self.log());
            }
            ensure!(began.elapsed() < LIMIT, "no {wanted} but {seen:?}:\n{}", self.log());
            self.note_event().with_context(|| format!("no {wanted} but {seen:?}:\n{}", self.log()))?;
        }
    }

    /// What OBS says of its output: `outputActive`, `outputSkippedFrames` and others.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn status(&mut self) -> Result<Value> {
        self.request("GetStreamStatus", &json!({}))
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.obs.text_so_far()
    }

    /// obs-websocket protocol §"Connecting to obs-websocket": Hello, Identify, Identified.
    fn identify(&mut self) -> Result<()> {
        const OUTPUT_EVENTS: u32 = 1 << 6;
        let hello = self.read(0)?;
        let asked = &hello["authentication"];
        let text = |name: &str| asked[name].as_str().with_context(|| format!("no {name} in {hello}"));
        let hash = |text: String| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
        let secret = hash(format!("{PASSWORD}{}", text("salt")?));
        let authentication = hash(format!("{secret}{}", text("challenge")?));
        let identify =
            json!({ "rpcVersion": 1, "eventSubscriptions": OUTPUT_EVENTS, "authentication": authentication });
        self.write(1, &identify)?;
        self.read(2).map(|_| ())
    }

    fn show(&mut self, clip: &Clip) -> Result<()> {
        let scenes = self.request("GetSceneList", &json!({}))?;
        let input = json!({
            "sceneName": scenes["currentProgramSceneName"],
            "inputName": "clip",
            "inputKind": "ffmpeg_source",
            "inputSettings": { "local_file": clip.path, "looping": true },
        });
        self.request("CreateInput", &input).map(|_| ())
    }

    fn request(&mut self, kind: &str, data: &Value) -> Result<Value> {
        self.requests += 1;
        let id = self.requests.to_string();
        self.write(6, &json!({ "requestType": kind, "requestId": id, "requestData": data }))?;
        let answer = self.read(7)?;
        ensure!(answer["requestId"] == *id, "{kind}: {answer}");
        ensure!(answer["requestStatus"]["result"] == true, "{kind}: {answer}:\n{}", self.log());
        Ok(answer["responseData"].clone())
    }

    fn write(&mut self, op: u8, data: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(json!({ "op": op, "d": data }).to_string()))?)
    }

    /// The next message of this kind; events before it are noted.
    fn read(&mut self, op: u8) -> Result<Value> {
        loop {
            let (found, data) = self.message()?;
            if found == op {
                return Ok(data);
            }
            ensure!(self.note(found, &data), "a message {found} instead of {op}: {data}");
        }
    }

    fn note_event(&mut self) -> Result<()> {
        let (op, data) = self.message()?;
        ensure!(self.note(op, &data), "not an event but {op}: {data}");
        Ok(())
    }

    /// Remembers an event; false when it is none.
    fn note(&mut self, op: u8, data: &Value) -> bool {
        self.states.extend(data["eventData"]["outputState"].as_str().map(str::to_owned));
        op == 5
    }

    fn message(&mut self) -> Result<(u8, Value)> {
        loop {
            match self.socket.read().context("obs-websocket")? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text)?;
                    let op = message["op"].as_u64().and_then(|op| u8::try_from(op).ok());
                    return Ok((op.with_context(|| format!("no op in {message}"))?, message["d"].clone()));
                }
                Message::Close(why) => bail!("OBS closed: {why:?}:\n{}", self.log()),
                _ => {}
            }
        }
    }
}

/// Writes the files of a new installation whose user has entered server and key.
fn configure(home: &Path, port: u16, profile: &str, settings: &Value) -> Result<()> {
    let folder = home.join("obs-studio/basic/profiles/test");
    std::fs::create_dir_all(&folder)?;
    // A folder for sockets must be the user's alone.
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700))?;
    let remote = format!(
        "[OBSWebSocket]\nFirstLoad=false\nServerEnabled=true\nServerPort={port}\nAlertsEnabled=false\n\
         AuthRequired=true\nServerPassword={PASSWORD}\n"
    );
    std::fs::write(home.join("obs-studio/global.ini"), format!("{GLOBAL}{remote}"))?;
    std::fs::write(folder.join("basic.ini"), profile)?;
    let service = json!({ "type": "rtmp_custom", "settings": settings });
    std::fs::write(folder.join("service.json"), service.to_string())?;
    Ok(())
}
