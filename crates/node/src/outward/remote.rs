//! URLs of other servers, and URLs with places for app and name.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hub::BroadcastPath;
use std::fmt;

/// What a URL may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    /// The port of URLs that name none.
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// Whether a user and a password can be sent.
    pub(crate) users: bool,
}

/// A checked URL. Its text for people hides user, password, last element and query: one of them is often a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `user:password`.
    user_info: Option<String>,
    /// Without the slash that it begins with; two elements or more.
    pub(crate) path: String,
    /// Without its question mark; may be empty.
    pub(crate) query: String,
}

/// Places that a broadcast's names go to.
const PLACES: [&str; 2] = ["{app}", "{name}"];

/// Names go behind the host: nobody who publishes may choose another server.
const PLACES_BEGIN: char = '{';

impl Remote {
    /// From a URL with one of these schemes. The error is for whoever wrote it.
    pub(crate) fn parse(url: &str, schemes: &[Scheme]) -> Result<Remote, String> {
        let shape = || {
            let names: Vec<_> = schemes.iter().map(|s| format!("{}://host/app/name", s.name)).collect();
            format!("a URL is {}", names.join(" or "))
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(shape)?;
        let scheme = schemes.iter().find(|s| scheme.eq_ignore_ascii_case(s.name)).ok_or_else(shape)?;
        let (authority, target) = rest.split_once('/').ok_or_else(shape)?;
        let (user_info, address) = match authority.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info.to_owned()), address),
            None => (None, authority),
        };
        let (host, port) = host_and_port(address).ok_or_else(shape)?;
        let port = match port {
            None => scheme.port,
            Some(port) => port.parse().map_err(|_| format!("{port:?} is no port"))?,
        };
        if user_info.is_some() && !scheme.users {
            return Err(format!("{}:// URLs can't have a user and a password", scheme.name));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let is_safe = |text: &str| !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if path.split('/').count() < 2 || path.split('/').any(str::is_empty) || !is_safe(url) {
            return Err(shape());
        }
        let (host, path, query) = (host.to_owned(), path.to_owned(), query.to_owned());
        Ok(Remote { scheme: *scheme, host, port, user_info, path, query })
    }

    /// Whether a URL with places can be one for every broadcast.
    pub(crate) fn check_template(template: &str, schemes: &[Scheme]) -> Result<(), String> {
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let known = PLACES.iter().find(|place| rest[at..].starts_with(*place));
            let Some(place) = known else {
                let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
                return Err(format!("{} means nothing; {{app}} and {{name}} do", &rest[at..end]));
            };
            rest = &rest[at + place.len()..];
        }
        Remote::parse(template, schemes).map(|_| ())
    }

    /// The URL for one broadcast. The app is all but the last element, a vhost before it included.
    pub(crate) fn of_template(
        template: &str,
        path: &BroadcastPath,
        schemes: &[Scheme],
    ) -> Result<Remote, String> {
        let (app, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let mut remote = Remote::parse(template, schemes)?;
        for text in [&mut remote.path, &mut remote.query] {
            *text = text.replace(PLACES[0], app).replace(PLACES[1], name);
        }
        Ok(remote)
    }

    /// Where an answer sends us: a URL, or a path on the same server (RFC 3986 §4.2).
    pub(crate) fn redirected(&self, to: &str, schemes: &[Scheme]) -> Result<Remote, String> {
        match to.strip_prefix('/').filter(|rest| !rest.starts_with('/')) {
            None => Remote::parse(to, schemes),
            Some(target) => {
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                Ok(Remote { path: path.to_owned(), query: query.to_owned(), ..self.clone() })
            }
        }
    }

    /// Host and port, as in `Host` (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.port { host } else { format!("{host}:{}", self.port) }
    }

    /// All elements but the last, and the last with the query.
    pub(crate) fn app_and_name(&self) -> (&str, String) {
        let (app, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        if self.query.is_empty() { (app, name.to_owned()) } else { (app, format!("{name}?{}", self.query)) }
    }

    /// Path and query as a request's target; what isn't ASCII is percent-encoded (RFC 3986 §2.1).
    pub(crate) fn target(&self) -> String {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let mut target = String::from("/");
        for byte in format!("{}{query}", self.path).bytes() {
            match byte {
                b'!'..=b'~' => target.push(char::from(byte)),
                other => target.push_str(&format!("%{other:02X}")),
            }
        }
        target
    }

    /// User and password as in `Authorization` (RFC 7617 §2).
    pub(crate) fn basic(&self) -> Option<String> {
        Some(format!("Basic {}", BASE64_STANDARD.encode(self.user_info.as_ref()?)))
    }
}

/// `host`, `host:port`, `[::1]:port`.
fn host_and_port(address: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    (!host.is_empty() && !host.contains(PLACES_BEGIN)).then_some((host, port))
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = self.app_and_name().0;
        write!(f, "{}://{}/{app}/…", self.scheme.name, self.authority())
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::Random;

    const SCHEMES: [Scheme; 2] = [
        Scheme { name: "a", port: 1, tls: false, users: false },
        Scheme { name: "as", port: 2, tls: true, users: true },
    ];

    fn parse(url: &str) -> Result<Remote, String> {
        Remote::parse(url, &SCHEMES)
    }

    #[test]
    fn parts_are_found() {
        let remote = parse("AS://u:p@q@h.example:99/live/eu/x?key=s&b=c").unwrap();
        assert_eq!((remote.host.as_str(), remote.port, remote.scheme.tls), ("h.example", 99, true));
        assert_eq!(remote.app_and_name(), ("live/eu", "x?key=s&b=c".to_owned()));
        assert_eq!(remote.target(), "/live/eu/x?key=s&b=c");
        assert_eq!(remote.basic().as_deref(), Some("Basic dTpwQHE="));
        let plain = parse("a://[::1]/live/直").unwrap();
        assert_eq!((plain.authority().as_str(), plain.port), ("[::1]", 1));
        assert_eq!(plain.target(), "/live/%E7%9B%B4");
        assert_eq!(parse("a://[::1]:7/l/x").unwrap().authority(), "[::1]:7");
    }

    #[test]
    fn secrets_are_not_shown() {
        let remote = parse("as://user:word@h:5/live/stream-key?token=t").unwrap();
        assert_eq!(format!("{remote} {remote:?}"), "as://h:5/live/… as://h:5/live/…");
    }

    #[test]
    fn what_is_no_url_is_refused_with_its_shape() {
        for url in ["", "h/a/b", "b://h/a/b", "a://h", "a://h/x", "a:///a/b", "a://h/a//b", "a://h/a/b c"] {
            let error = parse(url).unwrap_err();
            assert!(error.contains("a://host/app/name or as://host/app/name"), "{url}: {error}");
        }
        assert!(parse("a://{app}/a/b").is_err());
        assert!(parse("a://u:p@h/a/b").unwrap_err().contains("user"));
        assert!(parse("a://h:99999/a/b").unwrap_err().contains("no port"));
    }

    #[test]
    fn places_take_the_broadcasts_names() {
        let path = BroadcastPath::parse("v/live/alice").unwrap();
        let remote = Remote::of_template("a://h/{app}/{name}-2?of={name}", &path, &SCHEMES).unwrap();
        assert_eq!(remote.app_and_name(), ("v/live", "alice-2?of=alice".to_owned()));
        let check = |template: &str| Remote::check_template(template, &SCHEMES);
        assert_eq!(check("a://h/{app}/{name}"), Ok(()));
        assert_eq!(check("a://h/x/{nam}"), Err("{nam} means nothing; {app} and {name} do".to_owned()));
        assert!(check("a://h/x/{name").is_err());
        assert!(check("a://h/{name}").is_err());
    }

    #[test]
    fn redirects_are_urls_or_paths() {
        let remote = parse("a://h:5/live/x?k").unwrap();
        let to =
            |to: &str| remote.redirected(to, &SCHEMES).map(|r| format!("{}{}", r.authority(), r.target()));
        assert_eq!(to("as://g/b/c").as_deref(), Ok("g/b/c"));
        assert_eq!(to("/b/c?d").as_deref(), Ok("h:5/b/c?d"));
        assert!(to("//g/b/c").is_err());
    }

    #[test]
    fn fuzz_urls() {
        let mut random = Random::seeded(12);
        for _ in 0..5000 {
            let url = random.mutate("as://u:p@[::1]:99/{app}/{name}?x=é".as_bytes());
            let url = String::from_utf8_lossy(&url);
            let _ = Remote::check_template(&url, &SCHEMES);
            if let Ok(remote) = parse(&url) {
                assert!(remote.target().is_ascii());
            }
        }
    }
}
