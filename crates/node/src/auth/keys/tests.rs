use super::*;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use testkit::Random;

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("floodtide-keys-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn store(&self) -> KeyStore {
        KeyStore::new(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn random(seed: u64) -> [u8; RANDOM_BYTES] {
    Random::seeded(seed).bytes(RANDOM_BYTES).try_into().unwrap()
}

fn new_key(path: &str) -> NewKey {
    NewKey { path: path.parse().unwrap(), expires: None, note: String::new() }
}

fn path(text: &str) -> BroadcastPath {
    BroadcastPath::parse(text).unwrap()
}

#[test]
fn a_key_is_good_for_its_paths_until_it_ends_or_is_disabled() {
    let new = NewKey { expires: Some(Moment(at(100))), ..new_key("live/*") };
    let (key, secret) = Key::generate(new, &random(1), at(1));
    assert!(key.id.starts_with("k_") && secret.as_str().len() == 32);
    let keys = Keys::new([key.clone()]);
    let ok = Accepted { id: key.id.clone(), expires: Some(at(100)) };
    assert_eq!(keys.check(secret.as_str(), &path("live/x"), at(99)), Ok(ok));
    assert_eq!(keys.check(secret.as_str(), &path("live/x"), at(100)), Err(KeyError::Expired));
    assert_eq!(keys.check(secret.as_str(), &path("other/x"), at(99)), Err(KeyError::Path));
    assert_eq!(keys.check("wrong", &path("live/x"), at(99)), Err(KeyError::Unknown));
    assert_eq!(keys.check("", &path("live/x"), at(99)), Err(KeyError::Unknown));
    let hash = key.secret_sha256.to_string();
    assert_eq!(keys.check(&hash, &path("live/x"), at(99)), Err(KeyError::Unknown), "the hash is no secret");
    let disabled = Keys::new([Key { enabled: false, ..key }]);
    assert_eq!(disabled.check(secret.as_str(), &path("live/x"), at(99)), Err(KeyError::Disabled));
}

#[test]
fn keys_of_the_configuration_hold_by_secret_or_hash() {
    let config: crate::config::Config = toml::from_str(
        "[[publish.key]]\nid='a'\npath='live/a'\nsecret='correct horse'\n\
         [[publish.key]]\nid='b'\npath='live/b'\n\
         secret_sha256='1B16B1DF538BA12DC3F97EDBB85CAA7050D46C148134290FEBA80F8236C83DB9'\n\
         [[publish.key]]\nid='c'\npath='live/c'\nsecret='correct horse'\n",
    )
    .unwrap();
    let keys = Keys::new(config.publish.key.iter().filter_map(Key::from_config));
    let id = |secret: &str, to: &str| keys.check(secret, &path(to), at(1)).map(|accepted| accepted.id);
    assert_eq!(id("correct horse", "live/a").as_deref(), Ok("a"));
    assert_eq!(id("correct horse", "live/c").as_deref(), Ok("c"), "two keys may share a secret");
    // echo -n n | sha256sum
    assert_eq!(id("n", "live/b").as_deref(), Ok("b"));
    assert_eq!(id("correct horse", "live/b"), Err(KeyError::Path));
    assert!(!format!("{keys:?}").contains("1b16"), "no hash in logs");
}

#[test]
fn the_store_keeps_hashes_only_and_is_readable_by_its_owner_only() {
    let folder = Folder::new("keeps");
    let store = folder.store();
    assert_eq!(store.read().unwrap(), []);
    let note = NewKey { note: "for\nAlice".into(), ..new_key("live/alice") };
    let (key, secret) = store.add(note, &random(2), at(1_800_000_000)).unwrap();
    assert_eq!(key.note, "forAlice");
    assert_eq!(store.read().unwrap(), std::slice::from_ref(&key));
    let text = std::fs::read_to_string(store.path()).unwrap();
    assert!(!text.contains(secret.as_str()), "{text}");
    assert!(text.contains("2027-01-15T08:00:00Z"), "{text}");
    let mode = std::fs::metadata(store.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    assert!(!store.set_enabled(&key.id, false).unwrap().enabled);
    assert!(!store.read().unwrap()[0].enabled);
    assert!(store.set_enabled(&key.id, true).unwrap().enabled);
    assert_eq!(store.remove(&key.id).unwrap().id, key.id);
    assert_eq!(store.read().unwrap(), []);
    assert!(matches!(store.remove(&key.id), Err(StoreError::NoSuchKey(_))));
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let folder = Folder::new("writers");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let store = folder.store();
            scope.spawn(move || {
                for n in 0..8 {
                    store.add(new_key("live/*"), &random(writer * 100 + n), at(1)).unwrap();
                    store.read().unwrap();
                }
            });
        }
    });
    let keys = folder.store().read().unwrap();
    assert_eq!(keys.iter().map(|key| &key.id).collect::<HashSet<_>>().len(), 32);
}

#[test]
fn what_a_crash_left_is_no_harm_and_a_damaged_store_says_so() {
    let folder = Folder::new("crash");
    let store = folder.store();
    store.add(new_key("live/*"), &random(3), at(1)).unwrap();
    std::fs::write(folder.0.join("keys.json.new"), "half of").unwrap();
    assert_eq!(store.read().unwrap().len(), 1);
    store.add(new_key("live/*"), &random(4), at(1)).unwrap();
    assert_eq!(store.read().unwrap().len(), 2);

    std::fs::write(store.path(), "{\"version\":1,\"keys\":[{}]}").unwrap();
    let error = store.add(new_key("live/*"), &random(5), at(1)).unwrap_err().to_string();
    assert!(error.contains("keys.json is damaged: missing field"), "{error}");
    std::fs::write(store.path(), "{\"version\":2,\"keys\":[]}").unwrap();
    assert!(store.read().unwrap_err().to_string().contains("version 2"));
}

#[test]
fn fuzz_store() {
    let (key, _) = Key::generate(new_key("live/*"), &random(6), at(1_800_000_000));
    let text = format!("{{\"version\":1,\"keys\":[{}]}}", serde_json::to_string(&key).unwrap());
    assert_eq!(store::parse(&text), Ok(vec![key]));
    let mut random = Random::seeded(8);
    for _ in 0..3000 {
        let damaged = random.mutate(text.as_bytes());
        let _ = store::parse(&String::from_utf8_lossy(&damaged));
    }
}
