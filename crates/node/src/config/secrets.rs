//! What must not be shown.

use toml::Value;

/// What stands in the place of a secret.
pub const MASK: &str = "********";

/// Words in the names of keys whose values are secrets.
const WORDS: [&str; 5] = ["secret", "stream_key", "password", "passphrase", "token"];

/// A value as anybody may see it: secrets, and what is secret in URLs, are masked. `key` is its name, without its section.
#[must_use]
pub fn masked(key: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if !text.is_empty() && is_secret(key) => Value::String(MASK.to_owned()),
        Value::String(text) => Value::String(masked_url(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| masked(key, item)).collect()),
        Value::Table(table) => {
            Value::Table(table.iter().map(|(key, value)| (key.clone(), masked(key, value))).collect())
        }
        other => other.clone(),
    }
}

fn is_secret(key: &str) -> bool {
    WORDS.iter().any(|word| key.contains(word))
}

/// A URL without its user and password, the values of its query, and the stream key at an RTMP URL's end.
fn masked_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host.to_owned(), |(_, host)| format!("{MASK}@{host}"));
    let path = match path.rsplit_once('/') {
        Some((app, name)) if scheme.starts_with("rtmp") && !app.is_empty() && !name.contains('{') => {
            format!("{app}/{MASK}")
        }
        _ => path.to_owned(),
    };
    let values = |query: &str| {
        let pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').map_or(MASK.to_owned(), |(name, _)| format!("{name}={MASK}")));
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    };
    format!("{scheme}://{host}{path}{}", query.map(values).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, value: &str, expect: &str) {
        assert_eq!(masked(key, &Value::String(value.to_owned())), Value::String(expect.to_owned()));
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        check("stream_key", "abc", MASK);
        check("secret_sha256", "00ff", MASK);
        check("key", "/etc/floodtide/key.pem", "/etc/floodtide/key.pem");
        check("listen", "0.0.0.0:1935", "0.0.0.0:1935");
        check(
            "publish",
            "https://h.example/hook?token=abc&x",
            "https://h.example/hook?token=********&********",
        );
        check("to", "rtmps://u:p@h:4433/live/my-key", "rtmps://********@h:4433/live/********");
        check("to", "rtmp://h/live/{name}", "rtmp://h/live/{name}");
        let list = toml::from_str::<Value>("[[key]]\nid = 'a'\nsecret = 'b'").expect("TOML");
        assert_eq!(masked("key", &list)["key"][0]["secret"].as_str(), Some(MASK));
    }
}
