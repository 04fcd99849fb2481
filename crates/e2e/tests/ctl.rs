//! `floodtide ctl` without a running server.

use anyhow::{Context, Result, ensure};
use e2e::{Finished, Folder, Tool};
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
const SECRET: &str = "a secret of thirty-two bytes, as it must be";

fn ctl(folder: &Folder, words: &str) -> Tool {
    let tool = Tool::floodtide().words("ctl --state").arg(folder.file("state")).arg("--config");
    tool.arg(folder.file("floodtide.toml")).words(words)
}

fn folder(config: &str) -> Result<Folder> {
    let folder = Folder::new()?;
    std::fs::write(folder.file("floodtide.toml"), config)?;
    Ok(folder)
}

fn ok(folder: &Folder, words: &str) -> Result<Finished> {
    ctl(folder, words).succeed(LIMIT)
}

/// What is said when it is refused.
fn refused(folder: &Folder, words: &str) -> Result<String> {
    let finished = ctl(folder, words).run(LIMIT)?;
    ensure!(!finished.status.success(), "{words} succeeded");
    Ok(finished.log)
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("no {name} in {value}"))
}

#[test]
fn a_key_is_made_shown_once_disabled_and_removed() -> Result<()> {
    let folder = folder("[[publish.key]]\nid = 'house'\npath = 'live/*'\nsecret = 'correct horse'\n")?;
    let made = ok(&folder, "--json key add --path live/alice --ttl 30d --note camera")?.json()?;
    let (id, secret) = (text(&made, "id")?, text(&made, "secret")?);
    ensure!(id.starts_with("k_") && secret.len() == 32, "{made}");
    let listed = ok(&folder, "key list")?.text();
    ensure!(listed.contains(id) && listed.contains("house") && listed.contains("good"), "{listed}");
    let json = ok(&folder, "key list --json")?.text();
    let stored = std::fs::read_to_string(folder.file("state/keys.json"))?;
    for shown in [&listed, &json, &stored] {
        ensure!(!shown.contains(secret) && !shown.contains("correct horse"), "a secret is shown: {shown}");
    }
    ok(&folder, &format!("key disable {id}"))?;
    ensure!(ok(&folder, "key list")?.text().contains("disabled"));
    ok(&folder, &format!("key enable {id}"))?;
    ok(&folder, &format!("key remove {id}"))?;
    ensure!(ok(&folder, "key list --json")?.json()?.as_array().is_some_and(|keys| keys.len() == 1));
    ensure!(refused(&folder, "key remove k_0")?.contains("there is no key k_0"));
    ensure!(refused(&folder, "key disable house")?.contains("stands in the configuration"));
    ensure!(refused(&folder, "key add --path live")?.contains("\"live/*\""));
    ensure!(refused(&folder, "key add --path live/a --ttl soon")?.contains("30d"));
    Ok(())
}

#[test]
fn tokens_and_urls_are_signed_by_the_configured_secrets() -> Result<()> {
    let folder = folder(&format!(
        "[[auth.jwt]]\nsecret = '{SECRET}'\n[[auth.url]]\nkid = 'a'\nsecret = '{SECRET}'\n"
    ))?;
    let token = ok(&folder, "token play --path live/* --ttl 6h --ip 192.0.2.7")?.text();
    ensure!(token.trim().split('.').count() == 3, "{token}");
    let refusal = refused(&folder, "token admin --ttl 1d")?;
    ensure!(refusal.contains("admin = true"), "{refusal}");
    let url = ok(&folder, "url play --path live/x --ttl 1h --base https://h/live/x.m3u8?a=b")?.text();
    ensure!(url.starts_with("https://h/live/x.m3u8?a=b&act=play&path=live%2Fx&expires="), "{url}");
    ensure!(refused(&folder, "url play --path live/x --ttl 1h --kid z")?.contains("--kid"));
    let none = self::folder("")?;
    ensure!(refused(&none, "token play --path live/x --ttl 1h")?.contains("[[auth.jwt]]"));
    ensure!(refused(&none, "url play --path live/x --ttl 1h")?.contains("[[auth.url]]"));
    Ok(())
}

#[test]
fn a_token_of_ours_is_one_for_others() -> Result<()> {
    let folder = folder(&format!("[[auth.jwt]]\nkid = 'k'\nsecret = '{SECRET}'\naudience = 'us'\n"))?;
    let token = ok(&folder, "token publish --path live/x --ttl 1h --subject alice")?.text();
    // RFC 7515 §5.2, by other people's code.
    let script = "import base64, hashlib, hmac, json, sys\n\
        head, claims, signature = sys.argv[1].split('.')\n\
        pad = lambda text: base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))\n\
        right = hmac.new(sys.argv[2].encode(), f'{head}.{claims}'.encode(), hashlib.sha256).digest()\n\
        assert hmac.compare_digest(right, pad(signature))\n\
        print(json.dumps([json.loads(pad(head)), json.loads(pad(claims))]))";
    let checked =
        Tool::new("python3").arg("-c").arg(script).arg(token.trim()).arg(SECRET).succeed(LIMIT)?.json()?;
    let (head, claims) = (&checked[0], &checked[1]);
    ensure!((text(head, "alg")?, text(head, "kid")?) == ("HS256", "k"), "{head}");
    ensure!((text(claims, "act")?, text(claims, "path")?) == ("publish", "live/x"), "{claims}");
    ensure!((text(claims, "aud")?, text(claims, "sub")?) == ("us", "alice"), "{claims}");
    ensure!(claims["exp"].is_u64(), "{claims}");
    Ok(())
}
