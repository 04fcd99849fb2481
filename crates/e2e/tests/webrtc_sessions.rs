//! The URL of a WebRTC session: who may use it, for what, and what pages of other origins see. RFC 9725 §4.

use anyhow::{Context, Result, ensure};
use e2e::{Folder, Server, Tool, project};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);
const CONFIG: &str = "[publish]\nstream_key = 's3cret'\n[[webrtc.turn]]\nurl = 'turn:turn.example.net'\n";
const FRAGMENT: &str = "-X PATCH -H Content-Type:application/trickle-ice-sdpfrag";
const NEW_SECRETS: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n";

/// A session of a browser that was answered.
struct Session {
    server: Server,
    /// What was said to the offer.
    said: String,
    location: String,
    folder: Folder,
}

/// Status, headers and body, as curl has them.
fn curl(words: &str, data: Option<&str>, url: &str) -> Result<String> {
    let mut tool = Tool::new("curl").words("--silent --show-error --max-time 10 -D -").words(words);
    if let Some(data) = data {
        tool = tool.arg("--data-binary").arg(data);
    }
    Ok(tool.arg(url).succeed(LIMIT)?.text())
}

fn says(found: &str, wanted: &[&str]) -> Result<()> {
    let found = found.to_ascii_lowercase();
    for text in wanted {
        ensure!(found.contains(&text.to_ascii_lowercase()), "{text:?} is not in {found}");
    }
    Ok(())
}

impl Session {
    fn begin() -> Result<Session> {
        let (server, folder) = (Server::serve(CONFIG)?, Folder::new()?);
        let offer = project().join("crates/node/src/gateway/webrtc/captures/chromium-publishes.sdp");
        let offer = format!("@{}", offer.display());
        let post = "-X POST -H Content-Type:application/sdp -H Origin:https://elsewhere.example";
        let said = curl(post, Some(&offer), &server.http("/live/w/whip?key=s3cret"))?;
        says(&said, &["http/1.1 201 created"])?;
        let mut session = Session { server, said, location: String::new(), folder };
        session.location = session.header("location")?;
        Ok(session)
    }

    fn header(&self, name: &str) -> Result<String> {
        let found = self.said.lines().find_map(|line| {
            let (head, value) = line.split_once(": ")?;
            head.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.with_context(|| format!("no {name} in {}", self.said))
    }

    /// Its name in its URL.
    fn name(&self) -> &str {
        self.location.rsplit('/').next().unwrap_or_default()
    }

    /// Changes it by a fragment, under this URL.
    fn patch(&self, path: &str, words: &str, fragment: &str) -> Result<String> {
        let file = self.folder.file("fragment");
        std::fs::write(&file, fragment)?;
        let data = format!("@{}", file.display());
        curl(&format!("{FRAGMENT} {words}"), Some(&data), &self.server.http(path))
    }

    fn delete(&self, path: &str) -> Result<String> {
        curl("-X DELETE", None, &self.server.http(path))
    }
}

#[test]
fn who_reads_the_checks_of_a_session_on_their_way_can_neither_read_change_nor_end_it() -> Result<()> {
    let session = Session::begin()?;
    // Every check has it in the clear.
    let user = session.said.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    let user = user.context("no ice-ufrag")?.trim();
    ensure!(user != session.name(), "its URL is no secret");
    let guess = format!("/live/w/whip/{user}");
    says(&session.delete(&guess)?, &["404 not found", "no such connection"])?;
    says(&session.patch(&guess, "-H If-Match:*", NEW_SECRETS)?, &["404 not found"])?;
    says(&curl("", None, &session.server.http(&guess))?, &["405 method not allowed"])?;
    // It is there as it was.
    says(&session.patch(&session.location, "", "a=end-of-candidates\r\n")?, &["204 no content"])?;
    says(&session.delete(&session.location)?, &["200 ok"])?;
    says(&session.delete(&session.location)?, &["404 not found"])
}

#[test]
fn the_name_of_a_session_names_nothing_at_another_broadcast_or_endpoint() -> Result<()> {
    let session = Session::begin()?;
    for elsewhere in ["/live/other/whip", "/live/w/whep", "/other/w/whip"] {
        let elsewhere = format!("{elsewhere}/{}", session.name());
        says(&session.delete(&elsewhere)?, &["404 not found"])?;
        says(&session.patch(&elsewhere, "-H If-Match:*", NEW_SECRETS)?, &["404 not found"])?;
    }
    says(&session.delete(&session.location)?, &["200 ok"])
}

#[test]
fn candidates_are_noted_and_a_restart_has_to_name_the_ice_session_that_it_ends() -> Result<()> {
    let session = Session::begin()?;
    let etag = session.header("etag")?;
    let candidate = "a=ice-ufrag:9pRl\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 UDP 2130706431 198.51.100.1 39132 typ host\r\n";
    let offered = project().join("crates/node/src/gateway/webrtc/captures/chromium-publishes.sdp");
    let offered = std::fs::read_to_string(offered)?;
    let user = offered.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).context("no ice-ufrag")?;
    let candidate = candidate.replace("9pRl", user.trim());
    for matched in [String::new(), format!("-H If-Match:{etag}"), "-H If-Match:*".to_owned()] {
        says(&session.patch(&session.location, &matched, &candidate)?, &["204 no content"])?;
    }
    says(&session.patch(&session.location, "", NEW_SECRETS)?, &["428 precondition required", "if-match"])?;
    says(
        &session.patch(&session.location, "-H If-Match:\"other\"", NEW_SECRETS)?,
        &["412 precondition failed"],
    )?;
    let restarted = session.patch(&session.location, &format!("-H If-Match:{etag}"), NEW_SECRETS)?;
    says(&restarted, &["200 ok", "etag: ", "a=ice-ufrag:", "a=ice-pwd:", "a=ice-lite"])?;
    ensure!(!restarted.contains(&format!("tag: {etag}")), "the ICE session is a new one: {restarted}");
    // The URL is as it was, and the tag of before is over.
    says(
        &session.patch(&session.location, &format!("-H If-Match:{etag}"), &candidate)?,
        &["412 precondition failed"],
    )?;
    says(&session.delete(&session.location)?, &["200 ok"])
}

#[test]
fn pages_of_other_origins_read_where_their_session_is_and_may_do_all_with_it() -> Result<()> {
    let session = Session::begin()?;
    says(&session.said, &["access-control-allow-origin: *", "\netag: ", "\nlocation: /live/w/whip/"])?;
    says(&session.header("link")?, &["<turn:turn.example.net>; rel=\"ice-server\""])?;
    let exposed = session.header("access-control-expose-headers")?;
    for name in ["ETag", "Link", "Location"] {
        ensure!(exposed.split(", ").any(|one| one == name), "{name} is not in {exposed}");
    }
    let endpoints = ["/live/w/whip", "/live/w/whep", &session.location];
    for (method, endpoint) in endpoints.iter().flat_map(|at| ["POST", "PATCH", "DELETE"].map(|m| (m, at))) {
        let asks = format!(
            "-X OPTIONS -H Origin:https://elsewhere.example -H Access-Control-Request-Method:{method} \
             -H Access-Control-Request-Headers:authorization,content-type,if-match"
        );
        let said = curl(&asks, None, &session.server.http(endpoint))?;
        says(&said, &["204 no content", "access-control-allow-origin: *"])?;
        let allowed = |name: &str| {
            let line = said.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            line.unwrap_or_default().to_owned()
        };
        says(&allowed("access-control-allow-methods: "), &[method])?;
        // The star stands for all but Authorization.
        says(&allowed("access-control-allow-headers: "), &["authorization", "*"])?;
    }
    Ok(())
}
