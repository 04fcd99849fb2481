use super::*;
use std::path::Path;
use std::process::Command;
use testkit::Random;

const SECRET: &str = "a secret of thirty-two bytes, as it must be";
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn rule(kid: &str, secret: &str, path: &str) -> SignedUrl {
    SignedUrl { kid: kid.into(), secret: secret.into(), path: path.parse().unwrap() }
}

fn keys() -> UrlKeys {
    UrlKeys::new(&[rule("a", SECRET, "**"), rule("b", "another secret of thirty-two bytes or more", "**")])
}

fn right() -> UrlRight {
    UrlRight { publish: false, path: "live/*".parse().unwrap(), expires: at(NOW + 60), ip: None }
}

fn verify(keys: &UrlKeys, query: &str) -> Result<VerifiedUrl, UrlError> {
    verify_for(keys, query, Action::Play, "live/alice", "192.0.2.7")
}

fn verify_for(
    keys: &UrlKeys,
    query: &str,
    action: Action,
    path: &str,
    peer: &str,
) -> Result<VerifiedUrl, UrlError> {
    let path = BroadcastPath::parse(path).unwrap();
    keys.verify(query, action, &path, peer.parse().unwrap(), at(NOW))
}

#[test]
fn a_signed_url_is_good_for_what_it_says_and_nothing_else() {
    let keys = keys();
    let query = keys.sign(None, &right()).unwrap();
    assert!(is_signed(&query) && !is_signed("key=x&asig=1"));
    let good = VerifiedUrl { kid: "a".into(), expires: at(NOW + 60) };
    assert_eq!(verify(&keys, &query), Ok(good.clone()));
    assert_eq!(verify(&keys, &format!("vhost=v&{query}&_HLS_msn=7")), Ok(good), "others are free");
    let refused = |action, path| verify_for(&keys, &query, action, path, "::1").unwrap_err();
    assert_eq!(refused(Action::Publish, "live/alice"), UrlError::Action);
    assert_eq!(refused(Action::Play, "other/alice"), UrlError::Path);
    assert_eq!(refused(Action::Play, "v/live/alice"), UrlError::Path);
    let old = keys.sign(None, &UrlRight { expires: at(NOW), ..right() }).unwrap();
    assert_eq!(verify(&keys, &old), Err(UrlError::Expired));
}

#[test]
fn a_url_may_be_bound_to_an_address_or_network() {
    let keys = keys();
    let bound = |ip: &str| keys.sign(None, &UrlRight { ip: ip.parse().ok(), ..right() }).unwrap();
    let play = |query: &str, peer| verify_for(&keys, query, Action::Play, "live/x", peer).map(|_| ());
    assert_eq!(play(&bound("192.0.2.0/24"), "192.0.2.7"), Ok(()));
    assert_eq!(play(&bound("192.0.2.0/24"), "::ffff:192.0.2.7"), Ok(()));
    assert_eq!(play(&bound("192.0.2.0/24"), "192.0.3.7"), Err(UrlError::Address));
    assert_eq!(play(&bound("2001:db8::/64"), "2001:db8::1"), Ok(()));
    assert_eq!(play(&bound("2001:db8::/64"), "192.0.2.7"), Err(UrlError::Address));
}

#[test]
fn a_key_can_be_changed_while_old_urls_hold_and_can_be_held_to_some_paths() {
    let keys = keys();
    let new = keys.sign(Some("b"), &right()).unwrap();
    assert_eq!(verify(&keys, &new).map(|v| v.kid).as_deref(), Ok("b"));
    let only_b = UrlKeys::new(&[rule("b", "another secret of thirty-two bytes or more", "live/bob")]);
    assert_eq!(verify(&only_b, &new), Err(UrlError::Path));
    assert_eq!(verify(&only_b, &keys.sign(None, &right()).unwrap()), Err(UrlError::Signature), "a is gone");
    assert_eq!(keys.sign(Some("c"), &right()), None);
}

#[test]
fn forged_urls_are_refused() {
    let keys = keys();
    let query = keys.sign(None, &right()).unwrap();
    let changed = |from: &str, to: &str| {
        let forged = query.replace(from, to);
        assert_ne!(forged, query);
        verify(&keys, &forged).unwrap_err()
    };
    assert_eq!(changed("expires=1800000060", "expires=1900000060"), UrlError::Signature);
    assert_eq!(changed("expires=1800000060", "expires=01800000060"), UrlError::Signature);
    assert_eq!(changed("live%2F*", "**"), UrlError::Signature);
    assert_eq!(changed("act=play", "act=publish"), UrlError::Signature);
    assert_eq!(changed("kid=a", "kid=b"), UrlError::Signature);
    assert_eq!(changed("kid=a", "kid=a&ip=192.0.2.7"), UrlError::Signature);
    assert_eq!(changed("kid=a", "kid=a&path=**"), UrlError::Malformed("a parameter stands twice"));
    assert_eq!(changed("&kid=a", "%0A&kid=a"), UrlError::Malformed("a value has a line feed"));
    assert_eq!(changed("kid=a&", ""), UrlError::Malformed("it has no kid"));
    assert_eq!(changed("&kid=a&", "&kid=a&x="), UrlError::Malformed("it has no sig"));
    assert_eq!(verify(&UrlKeys::default(), &query), Err(UrlError::Signature));
}

/// The documented way is what the code does.
#[test]
fn the_examples_of_the_documentation_sign_what_we_accept() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/auth.md");
    let document = std::fs::read_to_string(document).unwrap();
    for (mark, program) in [("```sh\n# sign a URL", "bash"), ("```python\n# sign a URL", "python3")] {
        let begin = document.find(mark).unwrap() + mark.find('#').unwrap();
        let script = document[begin..].split("```").next().unwrap();
        let script = script.replace("SECRET_OF_KID_A", SECRET).replace("1893456000", &(NOW + 60).to_string());
        let ran = Command::new(program).arg("-c").arg(script).output().unwrap();
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
        let query = String::from_utf8(ran.stdout).unwrap();
        assert!(verify(&keys(), query.trim()).is_ok(), "{program}: {query}");
    }
}

#[test]
fn a_thousand_mutations_of_a_url_are_refused() {
    let keys = keys();
    let query = keys.sign(None, &UrlRight { ip: "192.0.2.0/24".parse().ok(), ..right() }).unwrap();
    // What the URL says, so that `%2F` and `/` are the same.
    let said = |query: &str| {
        let mut pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let known = ["act", "path", "expires", "ip", "kid", "sig"];
        pairs.retain(|(name, _)| known.contains(&name.as_str()));
        pairs.sort();
        pairs
    };
    let mut random = Random::seeded(5);
    let mut seen = 0;
    while seen < 1000 {
        let mutated = String::from_utf8_lossy(&random.mutate(query.as_bytes())).into_owned();
        if said(&mutated) != said(&query) {
            seen += 1;
            assert!(verify(&keys, &mutated).is_err(), "{mutated}");
        }
    }
}

#[test]
fn fuzz_signed_values() {
    // Signed anew after the damage, so that the values are reached.
    let keys = keys();
    let mut random = Random::seeded(6);
    let mut text = |good: &str| String::from_utf8_lossy(&random.mutate(good.as_bytes())).into_owned();
    for _ in 0..3000 {
        let (path, expires, ip) = (text("live/*"), text("1800000060"), text("192.0.2.0/24"));
        let signature = keys.keys[0].sign("play", &path, &expires, &ip);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("act", "play").append_pair("path", &path).append_pair("expires", &expires);
        let query =
            query.append_pair("ip", &ip).append_pair("kid", "a").append_pair("sig", &signature).finish();
        if let Ok(found) = verify(&keys, &query) {
            assert!(found.expires > at(NOW));
        }
    }
}
