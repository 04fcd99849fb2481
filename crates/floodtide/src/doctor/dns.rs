//! Whether the names that matter can be looked up.

use super::finding::Finding;
use node::config::Config;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long one look-up may take.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// So many are looked up; the others will be as those are.
const NAMES_MAX: usize = 16;

/// Whose name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// One that people come by.
    Ours,
    /// One that the server goes to: a webhook's, or that of another server.
    Theirs,
}

/// `certified` are the names of the certificate.
pub(super) async fn check(config: &Config, certified: &[String]) -> Vec<Finding> {
    let names = names(config, certified);
    if names.is_empty() {
        return vec![Finding::ok("names", "no host names to look up")];
    }
    let mut findings = Vec::new();
    for (name, whose) in names.into_iter().take(NAMES_MAX) {
        let looked_up = tokio::time::timeout(ANSWER_MAX, tokio::net::lookup_host((name.as_str(), 0))).await;
        let addresses = match looked_up {
            Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("nobody answers; see /etc/resolv.conf".to_owned()),
        };
        findings.push(judge(&name, whose, addresses));
    }
    findings
}

/// The names that people come by, and those that the server goes to, once each.
fn names(config: &Config, certified: &[String]) -> BTreeMap<String, Whose> {
    let ours = certified.iter().chain(config.vhost.values().flat_map(|vhost| &vhost.hosts));
    let hooks = &config.webhook;
    let urls = [&hooks.publish, &hooks.play, &hooks.unpublish, &hooks.unplay, &hooks.record];
    let restreams = config.restream.iter().map(|restream| &restream.to);
    let pulls = config.pull.iter().map(|pull| &pull.from);
    let theirs = urls.into_iter().flatten().chain(restreams).chain(pulls).filter_map(|url| host(url));
    let all = ours.map(|name| (name.clone(), Whose::Ours)).chain(theirs.map(|name| (name, Whose::Theirs)));
    all.filter(|(name, _)| !name.starts_with('*') && name.parse::<IpAddr>().is_err()).collect()
}

/// The host of a URL.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit('@').next()?;
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next()?,
        None => authority.split(':').next()?,
    };
    Some(host.to_owned())
}

fn judge(name: &str, whose: Whose, addresses: Result<Vec<IpAddr>, String>) -> Finding {
    let check = format!("name {name}");
    match (addresses, whose) {
        (Ok(addresses), _) if !addresses.is_empty() => {
            let mut shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            shown.dedup();
            Finding::ok(check, shown.join(", "))
        }
        (found, Whose::Ours) => {
            let why = found.err().unwrap_or_else(|| "it has no address".to_owned());
            Finding::warning(check, format!("can't be looked up: {why}"))
                .advise("give it an A or AAAA record that leads here, or nobody comes by it")
        }
        (found, Whose::Theirs) => {
            let why = found.err().unwrap_or_else(|| "it has no address".to_owned());
            Finding::failure(
                check,
                format!("can't be looked up, but the configuration sends us there: {why}"),
            )
            .advise(
                "mend the name in [webhook], [[restream]] or [[pull]], or the resolver in /etc/resolv.conf",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn names_are_gathered_once_and_without_addresses_and_wildcards() {
        let config: Config = toml::from_str(
            "[vhost.tv]\nhosts = ['tv.example', '*.tv.example']\n\
             [[restream]]\npath = 'live/*'\nto = 'rtmps://u:p@cdn.example/live/{name}'\n\
             [webhook]\nplay = ['https://hooks.example:8443/a', 'http://127.0.0.1/b', 'http://[::1]:80/c']\n",
        )
        .expect("a good configuration");
        let certified = ["tv.example".to_owned(), "192.0.2.1".to_owned()];
        let found: Vec<_> = names(&config, &certified).into_iter().collect();
        assert_eq!(
            found,
            [
                ("cdn.example".to_owned(), Whose::Theirs),
                ("hooks.example".to_owned(), Whose::Theirs),
                ("tv.example".to_owned(), Whose::Ours)
            ]
        );
    }

    #[test]
    fn a_lost_name_of_theirs_is_worse_than_one_of_ours() {
        let lost = || Err("no such name".to_owned());
        assert_eq!(judge("h", Whose::Ours, lost()).verdict, Verdict::Warning);
        assert_eq!(judge("h", Whose::Theirs, lost()).verdict, Verdict::Failure);
        assert_eq!(judge("h", Whose::Theirs, Ok(Vec::new())).verdict, Verdict::Failure);
        assert_eq!(judge("h", Whose::Ours, Ok(vec![IpAddr::from([192, 0, 2, 1])])).verdict, Verdict::Ok);
    }
}
