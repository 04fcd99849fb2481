//! Which vhost and app a request means, and their rules.

use super::{Ask, Refusal};
use crate::config::{Access, App, BFrames, Collision, Config, PublishAccess, Vhost};
use hub::BroadcastPath;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// All vhosts and apps with their rules.
#[derive(Debug)]
pub(super) struct Vhosts {
    by_name: HashMap<String, Apps>,
    /// Host names to vhost names; one that begins with a dot is an ending.
    hosts: HashMap<String, String>,
    /// Whether hosts that nobody claims belong to the default vhost.
    default_takes_all: bool,
}

/// The rules of one vhost.
#[derive(Debug)]
struct Apps {
    name: Arc<str>,
    all: Policy,
    by_name: BTreeMap<String, Policy>,
}

/// The rules of one app.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Policy {
    pub(super) publish: Publishers,
    pub(super) stream_key: Option<String>,
    pub(super) play: Access,
    pub(super) collision: hub::Collision,
    pub(super) b_frames: BFrames,
}

/// What a request means.
#[derive(Debug)]
pub(super) struct Resolved<'a> {
    /// With the vhost, unless it is the default one.
    pub(super) path: BroadcastPath,
    pub(super) vhost: Arc<str>,
    pub(super) policy: &'a Policy,
}

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishers {
    /// The demo.
    Anyone,
    Credential,
    Nobody,
}

/// The vhost of everybody who names no other.
pub(super) const DEFAULT: &str = "default";

impl Vhosts {
    pub(super) fn new(config: &Config) -> Vhosts {
        let top = Policy {
            publish: if config.publish.anyone { Publishers::Anyone } else { Publishers::Credential },
            stream_key: config.publish.stream_key.clone().filter(|k| !k.is_empty()),
            play: config.play.access,
            collision: collision(config.publish.collision),
            b_frames: config.webrtc.b_frames,
        };
        let mut vhosts = Vhosts { by_name: HashMap::new(), hosts: HashMap::new(), default_takes_all: true };
        let none = Vhost::default();
        let default = config.vhost.get(DEFAULT).unwrap_or(&none);
        vhosts.add(DEFAULT, default, &config.app, &top);
        vhosts.default_takes_all = default.hosts.is_empty();
        for (name, vhost) in config.vhost.iter().filter(|(name, _)| *name != DEFAULT) {
            vhosts.add(name, vhost, &BTreeMap::new(), &top);
        }
        vhosts
    }

    fn add(&mut self, name: &str, vhost: &Vhost, apps: &BTreeMap<String, App>, top: &Policy) {
        let of_it = (vhost.play, vhost.b_frames);
        let all = top.with(vhost.publish, &vhost.stream_key, of_it, vhost.collision);
        let by_name = apps.iter().chain(&vhost.app).map(|(app, rules)| {
            let of_it = (rules.play, rules.b_frames);
            (app.clone(), all.with(rules.publish, &rules.stream_key, of_it, rules.collision))
        });
        for host in &vhost.hosts {
            let host = host.to_lowercase();
            self.hosts.insert(host.strip_prefix('*').unwrap_or(&host).to_owned(), name.to_owned());
        }
        self.hosts.insert(name.to_lowercase(), name.to_owned());
        self.by_name.insert(name.to_owned(), Apps { name: name.into(), by_name: by_name.collect(), all });
    }

    /// The whole path of what is asked for, and the rules for it.
    pub(super) fn resolve(&self, ask: &Ask) -> Result<Resolved<'_>, Refusal> {
        let name = self.vhost_of(ask.host.as_deref(), &ask.query)?;
        let Some(apps) = self.by_name.get(name) else { return Err(Refusal::UnknownVhost(name.to_owned())) };
        let (app, _) = ask.path.as_str().rsplit_once('/').unwrap_or((ask.path.as_str(), ""));
        let first = app.split('/').next().unwrap_or(app);
        // Else the path of one vhost would spell that of another.
        let is_foreign = name == DEFAULT && first != DEFAULT && self.by_name.contains_key(first);
        let policy = apps.policy(ask.path.as_str()).filter(|_| !is_foreign);
        let policy = policy.ok_or_else(|| Refusal::UnknownApp(app.to_owned()))?;
        let path = if name == DEFAULT {
            ask.path.clone()
        } else {
            BroadcastPath::new(name, ask.path.as_str()).map_err(Refusal::Path)?
        };
        Ok(Resolved { path, vhost: apps.name.clone(), policy })
    }

    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.by_name.values().flat_map(|apps| std::iter::once(&apps.all).chain(apps.by_name.values()))
    }

    /// How a broadcast is called within a vhost, if it is one of its and anyone may play it.
    pub(super) fn shown(&self, vhost: &str, path: &BroadcastPath) -> Option<BroadcastPath> {
        let (owner, shown, policy) = self.of_path(path)?;
        (owner == vhost && policy.play == Access::Anyone).then(|| BroadcastPath::parse(shown).ok())?
    }

    /// Whose a whole path is: the vhost, how the broadcast is called within it, and the rules.
    pub(super) fn of_path<'a>(&'a self, path: &'a BroadcastPath) -> Option<(&'a str, &'a str, &'a Policy)> {
        let (first, rest) = path.as_str().split_once('/')?;
        let is_named = first != DEFAULT && self.by_name.contains_key(first) && rest.contains('/');
        let (owner, shown) = if is_named { (first, rest) } else { (DEFAULT, path.as_str()) };
        Some((owner, shown, self.by_name.get(owner)?.policy(shown)?))
    }

    pub(super) fn vhost_of<'a>(&'a self, host: Option<&str>, query: &'a str) -> Result<&'a str, Refusal> {
        let by_host = host.map(host_name);
        let claimed = by_host.as_deref().and_then(|host| self.claimed(host));
        match (super::query_value(query, "vhost"), claimed) {
            (Some(asked), Some(host)) if asked != host => Err(Refusal::UnknownVhost(asked.to_owned())),
            (Some(asked), _) => Ok(asked),
            (None, Some(host)) => Ok(host),
            (None, None) => match by_host {
                Some(host) if !self.default_takes_all && !is_address(&host) => {
                    Err(Refusal::UnknownVhost(host))
                }
                _ => Ok(DEFAULT),
            },
        }
    }

    /// The vhost that claims a host name; longer endings win.
    fn claimed(&self, host: &str) -> Option<&str> {
        let endings = host.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| &host[at..]);
        std::iter::once(host).chain(endings).find_map(|h| self.hosts.get(h)).map(String::as_str)
    }
}

impl Apps {
    /// The rules for `app/name`.
    fn policy(&self, path: &str) -> Option<&Policy> {
        let (app, _) = path.rsplit_once('/')?;
        if self.by_name.is_empty() {
            return Some(&self.all);
        }
        prefixes(app).find_map(|prefix| self.by_name.get(prefix))
    }
}

impl Policy {
    fn with(
        &self,
        publish: Option<PublishAccess>,
        stream_key: &Option<String>,
        (play, b_frames): (Option<Access>, Option<BFrames>),
        collides: Option<Collision>,
    ) -> Policy {
        Policy {
            publish: match publish {
                None => self.publish,
                Some(PublishAccess::Credential) => Publishers::Credential,
                Some(PublishAccess::Nobody) => Publishers::Nobody,
            },
            stream_key: stream_key.clone().filter(|k| !k.is_empty()).or_else(|| self.stream_key.clone()),
            play: play.unwrap_or(self.play),
            collision: collides.map_or(self.collision, collision),
            b_frames: b_frames.unwrap_or(self.b_frames),
        }
    }
}

fn collision(policy: Collision) -> hub::Collision {
    match policy {
        Collision::Reject => hub::Collision::Reject,
        Collision::Takeover => hub::Collision::Takeover,
    }
}

/// `a/b/c`, `a/b`, `a`.
fn prefixes(app: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(app), |a| a.rsplit_once('/').map(|(before, _)| before))
}

/// A `Host` without its port, in lower case. RFC 9110 §7.2.
fn host_name(host: &str) -> String {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    };
    name.trim_end_matches('.').to_lowercase()
}

/// Whoever comes by an address has no name to tell vhosts by.
fn is_address(host: &str) -> bool {
    host.is_empty() || host == "localhost" || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vhosts(toml: &str) -> Vhosts {
        Vhosts::new(&toml::from_str(toml).unwrap())
    }

    #[track_caller]
    fn check(vhosts: &Vhosts, host: &str, path: &str, query: &str, expect: Result<&str, &str>) {
        let ask = Ask { host: Some(host.to_owned()), query: query.to_owned(), ..Ask::for_test(path) };
        let found = vhosts.resolve(&ask).map(|found| found.path.to_string()).map_err(|e| e.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn without_vhosts_every_host_and_app_is_the_default_one() {
        let plain = vhosts("");
        check(&plain, "anything.example:8080", "live/x", "", Ok("live/x"));
        check(&plain, "[::1]:1935", "other/a/b", "", Ok("other/a/b"));
        check(&plain, "h", "live/x", "vhost=nope", Err("unknown vhost nope"));
    }

    #[test]
    fn hosts_tell_vhosts_apart_and_longer_endings_win() {
        let two = vhosts(
            "[vhost.one]\nhosts = ['live.one.com', '*.one.org']\n[vhost.two]\nhosts = ['*.eu.one.org']\n",
        );
        check(&two, "LIVE.one.com:1935", "live/x", "", Ok("one/live/x"));
        check(&two, "a.one.org", "live/x", "", Ok("one/live/x"));
        check(&two, "a.eu.one.org", "live/x", "", Ok("two/live/x"));
        check(&two, "one.org", "live/x", "", Ok("live/x"));
        check(&two, "127.0.0.1:80", "live/x", "vhost=two", Ok("two/live/x"));
    }

    #[test]
    fn nobody_reaches_a_foreign_vhost() {
        let two = vhosts("[vhost.one]\nhosts = ['one.com']\n[vhost.two]\n[vhost.default]\nhosts=['d.com']");
        check(&two, "one.com", "live/x", "vhost=two", Err("unknown vhost two"));
        check(&two, "d.com", "two/live/x", "", Err("unknown app two/live"));
        check(&two, "evil.com", "live/x", "", Err("unknown vhost evil.com"));
        check(&two, "127.0.0.1", "live/x", "", Ok("live/x"));
        check(&two, "one.com", "two/live/x", "", Ok("one/two/live/x"));
    }

    #[test]
    fn a_vhost_with_apps_has_no_others() {
        let apps = vhosts("[app.live]\n[app.'live/eu']\nplay = 'nobody'\n[vhost.v.app.show]\n");
        check(&apps, "h", "live/x", "", Ok("live/x"));
        check(&apps, "h", "liver/x", "", Err("unknown app liver"));
        check(&apps, "v", "show/x", "", Ok("v/show/x"));
        check(&apps, "v", "live/x", "", Err("unknown app live"));
        let eu = apps.resolve(&Ask::for_test("live/eu/x")).map(|found| found.policy.play).ok();
        assert_eq!(eu, Some(Access::Nobody));
    }

    #[test]
    fn an_app_has_its_vhosts_rules_where_it_says_nothing() {
        let rules = vhosts(
            "[publish]\nstream_key='top'\n[vhost.v]\nplay='credential'\n[vhost.v.app.a]\nstream_key='mine'\n\
             [vhost.v.app.b]\nplay='anyone'\n",
        );
        let policy = |path: &str| {
            let ask = Ask { host: Some("v".into()), ..Ask::for_test(path) };
            rules.resolve(&ask).map(|found| found.policy.clone()).unwrap()
        };
        assert_eq!(policy("a/x").stream_key.as_deref(), Some("mine"));
        assert_eq!(policy("a/x").play, Access::Credential);
        assert_eq!(policy("b/x").stream_key.as_deref(), Some("top"));
        assert_eq!(policy("b/x").play, Access::Anyone);
    }

    #[test]
    fn what_happens_to_b_frames_is_said_by_the_app_then_the_vhost_then_the_server() {
        let rules = vhosts(
            "[webrtc]\nb_frames='refuse'\n[app.live]\n[app.cam]\nb_frames='drop'\n\
             [vhost.v]\nb_frames='transcode'\n[vhost.v.app.a]\n[vhost.v.app.b]\nb_frames='drop'\n",
        );
        let policy = |path: &str| {
            let path = BroadcastPath::parse(path).unwrap();
            rules.of_path(&path).map(|(_, _, policy)| policy.b_frames)
        };
        assert_eq!(policy("live/x"), Some(BFrames::Refuse));
        assert_eq!(policy("cam/x"), Some(BFrames::Drop));
        assert_eq!(policy("v/a/x"), Some(BFrames::Transcode));
        assert_eq!(policy("v/b/x"), Some(BFrames::Drop));
        assert_eq!(policy("v/c/x"), None, "no such app");
    }
}
