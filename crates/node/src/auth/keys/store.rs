//! The file of keys that were made at run time.

use super::{Key, RANDOM_BYTES, Secret};
use crate::auth::pattern::Pattern;
use crate::config::Moment;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// `keys.json` in the state folder. Several processes may use it: writers hold a lock, and readers always find a whole
/// file, since a new one replaces the old one at once.
#[derive(Clone, Debug)]
pub struct KeyStore {
    folder: PathBuf,
}

/// What a new key shall be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What it is for.
    pub path: Pattern,
    /// When it ends.
    pub expires: Option<Moment>,
    /// What to remember about it.
    pub note: String,
}

/// Why keys can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refuses.
    #[error("can't {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It isn't what we wrote.
    #[error("{path} is damaged: {message}; restore it from a backup, or move it away to begin without keys")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// There is no such key.
    #[error("there is no key {0}; `floodtide ctl key list` shows them")]
    NoSuchKey(String),
    /// More than [`KEYS_MAX`].
    #[error("there are {KEYS_MAX} keys already; remove some")]
    Full,
}

/// Keys in a store; all are in memory.
pub const KEYS_MAX: usize = 100_000;
/// A note is shown in tables.
const NOTE_CHARS_MAX: usize = 200;
/// More than [`KEYS_MAX`] keys with long paths and notes need.
const FILE_BYTES_MAX: u64 = 128 << 20;

const FILE: &str = "keys.json";
/// Not the file itself, which is replaced while somebody waits for the lock.
const LOCK: &str = "keys.lock";
/// The form of the file.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    keys: Vec<Key>,
}

impl KeyStore {
    /// The store in a state folder, which may not be there yet.
    pub fn new(folder: &Path) -> KeyStore {
        KeyStore { folder: folder.to_owned() }
    }

    /// The file, for who follows its changes.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// All keys; none if there is no file yet.
    ///
    /// # Errors
    /// When the file can't be read, or isn't what a store wrote.
    pub fn read(&self) -> Result<Vec<Key>, StoreError> {
        let path = self.path();
        let mut text = String::new();
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &path)(error)),
            Ok(file) => file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed("read", &path))?,
        };
        parse(&text).map_err(|message| StoreError::Damaged { path, message })
    }

    /// Makes a key. Its secret is never to be had again.
    ///
    /// # Errors
    /// When the store can't be read or written, or is full.
    pub fn add(
        &self,
        mut new: NewKey,
        random: &[u8; RANDOM_BYTES],
        now: SystemTime,
    ) -> Result<(Key, Secret), StoreError> {
        new.note = new.note.chars().filter(|c| !c.is_control()).take(NOTE_CHARS_MAX).collect();
        let _lock = self.lock()?;
        let mut keys = self.read()?;
        if keys.len() >= KEYS_MAX {
            return Err(StoreError::Full);
        }
        let (key, secret) = Key::generate(new, random, now);
        keys.push(key.clone());
        self.write(keys)?;
        Ok((key, secret))
    }

    /// Removes a key.
    ///
    /// # Errors
    /// When there is no such key, or the store can't be read or written.
    pub fn remove(&self, id: &str) -> Result<Key, StoreError> {
        let _lock = self.lock()?;
        let mut keys = self.read()?;
        let at = position(&keys, id)?;
        let removed = keys.remove(at);
        self.write(keys)?;
        Ok(removed)
    }

    /// Enables or disables a key.
    ///
    /// # Errors
    /// When there is no such key, or the store can't be read or written.
    pub fn set_enabled(&self, id: &str, enabled: bool) -> Result<Key, StoreError> {
        let _lock = self.lock()?;
        let mut keys = self.read()?;
        let at = position(&keys, id)?;
        keys[at].enabled = enabled;
        let key = keys[at].clone();
        self.write(keys)?;
        Ok(key)
    }

    /// The writer's lock; dropping it unlocks. Waits for another writer, who needs milliseconds.
    fn lock(&self) -> Result<File, StoreError> {
        let make = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        make.map_err(failed("make the folder", &self.folder))?;
        let path = self.folder.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(file)
    }

    fn write(&self, keys: Vec<Key>) -> Result<(), StoreError> {
        let path = self.path();
        let mut text = serde_json::to_string_pretty(&Stored { version: VERSION, keys })
            .map_err(|error| failed("write", &path)(error.into()))?;
        text.push('\n');
        crate::state_file::replace(&path, text.as_bytes()).map_err(failed("replace", &path))
    }
}

/// What a store's file says.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, String> {
    let stored: Stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if stored.version != VERSION {
        return Err(format!("it has version {}, and this program knows version {VERSION}", stored.version));
    }
    Ok(stored.keys)
}

fn position(keys: &[Key], id: &str) -> Result<usize, StoreError> {
    keys.iter().position(|key| key.id == id).ok_or_else(|| StoreError::NoSuchKey(id.to_owned()))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
