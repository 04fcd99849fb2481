//! File, environment and flags to one checked tree.

use super::{Config, problems};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Why a configuration is refused. The text names the key and says what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value is not allowed, or a key is unknown.
    #[error("{origin}: {message}")]
    Invalid {
        /// Where it stands: the file, or the environment and flags.
        origin: String,
        /// What is wrong, with line and key.
        message: String,
    },
}

/// The layers, lowest first. Kept by a running server, which reads them again when the file changes.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    file: Option<PathBuf>,
    /// Environment and flags.
    over: Table,
    /// Where each value of them was found, by its path.
    named: BTreeMap<Vec<String>, Origin>,
    /// Anyone may publish.
    demo: bool,
}

/// Where a value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file.
    File,
    /// An environment variable.
    Environment(String),
    /// A flag, or what the command itself sets.
    Flag,
}

/// A value that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its sections and its key.
    pub path: Vec<String>,
    /// The value.
    pub value: Value,
    /// Where it is from.
    pub origin: Origin,
}

/// Environment variables of this prefix are settings: `FLOODTIDE_HTTP__LISTEN` is `http.listen`, one `__` per level.
const PREFIX: &str = "FLOODTIDE_";

impl Layers {
    /// A file as the lowest layer.
    pub fn file(path: &Path) -> Layers {
        Layers { file: Some(path.to_owned()), ..Layers::default() }
    }

    /// For the demo, where anyone may publish.
    pub fn demo() -> Layers {
        let mut layers = Layers { demo: true, ..Layers::default() };
        // Who tries it out doesn't want to wait for its end.
        layers.put(&["shutdown", "drain"], "0s");
        // It leaves nothing behind that anybody needs.
        let folder = std::env::temp_dir().join("floodtide-demo");
        layers.put(&["state", "folder"], &folder.to_string_lossy());
        layers
    }

    /// Whether it is the demo's.
    pub(crate) fn is_demo(&self) -> bool {
        self.demo
    }

    /// The file that is read, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Lays the environment on top.
    #[must_use]
    pub fn environment(mut self, variables: impl Iterator<Item = (String, String)>) -> Layers {
        for (name, value) in variables {
            if let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) {
                let path = key.to_lowercase();
                self.lay(&path.split("__").collect::<Vec<_>>(), &value, Origin::Environment(name.clone()));
            }
        }
        self
    }

    /// Lays one value on top; `path` is its sections and its key.
    pub fn put(&mut self, path: &[&str], value: &str) {
        self.lay(path, value, Origin::Flag);
    }

    fn lay(&mut self, path: &[&str], value: &str, origin: Origin) {
        let Some((key, sections)) = path.split_last() else { return };
        let value = typed(path, value);
        let mut table = &mut self.over;
        for section in sections {
            let below = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(below) = below else { return };
            table = below;
        }
        table.insert((*key).to_owned(), value);
        self.named.insert(path.iter().map(|part| (*part).to_owned()).collect(), origin);
    }

    /// The checked tree, from the file as it is now.
    ///
    /// # Errors
    /// When the file can't be read or isn't TOML, a key is unknown or a value isn't allowed.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.over(self.file.as_deref().map_or(Ok(Table::new()), read)?)
    }

    /// The checked tree, as if the file had this text.
    ///
    /// # Errors
    /// When it isn't TOML, a key is unknown or a value isn't allowed.
    pub(crate) fn load_text(&self, text: &str) -> Result<Config, ConfigError> {
        self.over(parse(text, "the given file")?)
    }

    /// Environment and flags, laid over a file.
    fn over(&self, mut table: Table) -> Result<Config, ConfigError> {
        lay(&mut table, &self.over);
        let invalid = |message| ConfigError::Invalid {
            origin: "settings from file, environment and flags".to_owned(),
            message,
        };
        let mut config: Config =
            Value::Table(table).try_into().map_err(|e: toml::de::Error| invalid(advised(&e)))?;
        config.publish.anyone = self.demo;
        config.check().map_err(invalid)?;
        Ok(config)
    }

    /// Every value that holds, with where it is from. A list is one value.
    ///
    /// # Errors
    /// As [`Layers::load`].
    pub fn settings(&self) -> Result<Vec<Setting>, ConfigError> {
        let tree = Table::try_from(self.load()?).unwrap_or_default();
        let file = self.file.as_deref().map_or(Ok(Table::new()), read)?;
        let mut settings = Vec::new();
        gather(&mut Vec::new(), tree, &mut settings);
        for setting in &mut settings {
            setting.origin = match self.named.get(&setting.path) {
                Some(origin) => origin.clone(),
                None if stands_in(&file, &setting.path) => Origin::File,
                None => Origin::Default,
            };
        }
        Ok(settings)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File => f.write_str("file"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag => f.write_str("flag"),
        }
    }
}

/// What the parser says, and what was meant.
fn advised(error: &toml::de::Error) -> String {
    let text = error.to_string().trim_end().to_owned();
    problems::hint(error.message(), None).map_or(text.clone(), |hint| format!("{text}; {hint}"))
}

/// The values of a tree with their paths.
fn gather(path: &mut Vec<String>, table: Table, settings: &mut Vec<Setting>) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(below) => gather(path, below, settings),
            value => settings.push(Setting { path: path.clone(), value, origin: Origin::Default }),
        }
        path.pop();
    }
}

fn stands_in(table: &Table, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    let rest = rest.iter().try_fold(table.get(first), |at, key| Some(at?.get(key)));
    rest.flatten().is_some()
}

/// The file's tree, checked alone so that errors have its lines.
fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, &path.display().to_string())
}

/// The tree of a text. `origin` is where it is from, for errors.
fn parse(text: &str, origin: &str) -> Result<Table, ConfigError> {
    let invalid = |message| ConfigError::Invalid { origin: origin.to_owned(), message };
    let found = problems::problems(text);
    if !found.is_empty() {
        let all: Vec<_> = found.iter().map(ToString::to_string).collect();
        return Err(invalid(all.join("\n")));
    }
    toml::from_str(text).map_err(|e| invalid(e.to_string()))
}

/// Lays a table over another, section by section.
fn lay(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay(below, above),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A number, a switch or a list where the default is one, else text: a stream key may look like a number.
fn typed(path: &[&str], text: &str) -> Value {
    let defaults = Value::try_from(Config::default()).unwrap_or(Value::Table(Table::new()));
    let found = match path.iter().try_fold(&defaults, |at, key| at.get(key)) {
        Some(Value::Integer(_)) => text.parse().ok().map(Value::Integer),
        Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
        Some(Value::Array(_)) => Some(list(text)),
        _ => None,
    };
    found.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A list as in the file, or its texts with commas between them.
fn list(text: &str) -> Value {
    let written =
        toml::from_str::<Table>(&format!("list = {text}")).ok().and_then(|mut table| table.remove("list"));
    written.filter(Value::is_array).unwrap_or_else(|| {
        let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
        Value::Array(texts.map(|text| Value::String(text.to_owned())).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_in_the_file_or_with_commas() {
        let of = |text: &str| {
            let layers = Layers::default().environment(variables(&[("FLOODTIDE_WEBRTC__ADDRESSES", text)]));
            layers.load().map(|config| config.webrtc.addresses)
        };
        let two: Vec<std::net::IpAddr> = vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        assert_eq!(of("[\"192.0.2.7\", '2001:db8::7']").unwrap(), two);
        assert_eq!(of("192.0.2.7, 2001:db8::7").unwrap(), two);
        assert_eq!(of("192.0.2.7").unwrap(), two[..1]);
        assert!(of("").unwrap().is_empty());
        assert!(of("nowhere").is_err());
    }

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn flags_lie_above_the_environment() {
        let mut layers = Layers::default().environment(variables(&[
            ("FLOODTIDE_HTTP__LISTEN", "127.0.0.1:1"),
            ("FLOODTIDE_EGRESS__WORKERS", "3"),
        ]));
        layers.put(&["http", "listen"], "127.0.0.1:2");
        let config = layers.load().unwrap();
        assert_eq!(config.http.listen.port(), 2);
        assert_eq!(config.egress.workers, 3);
    }

    #[test]
    fn a_stream_key_of_digits_stays_text() {
        let layers = Layers::default().environment(variables(&[("FLOODTIDE_PUBLISH__STREAM_KEY", "007")]));
        assert_eq!(layers.load().unwrap().publish.stream_key.as_deref(), Some("007"));
    }

    #[test]
    fn each_value_knows_where_it_is_from() {
        let file = std::env::temp_dir().join(format!("floodtide-layers-{}.toml", std::process::id()));
        std::fs::write(&file, "[http]\nlisten = '127.0.0.1:1'\ntls_listen = '127.0.0.1:2'\n").unwrap();
        let layers = Layers::file(&file).environment(variables(&[("FLOODTIDE_HTTP__LISTEN", "127.0.0.1:3")]));
        let settings = layers.settings().unwrap();
        std::fs::remove_file(&file).unwrap();
        let check = |path: [&str; 2], value: &str, origin: Origin| {
            let found = settings.iter().find(|setting| setting.path == path).unwrap();
            assert_eq!((found.value.as_str(), &found.origin), (Some(value), &origin));
        };
        check(["http", "listen"], "127.0.0.1:3", Origin::Environment("FLOODTIDE_HTTP__LISTEN".to_owned()));
        check(["http", "tls_listen"], "127.0.0.1:2", Origin::File);
        check(["rtmp", "listen"], "0.0.0.0:1935", Origin::Default);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named() {
        let check = |name: &str, value: &str, expect: &str| {
            let error = Layers::default().environment(variables(&[(name, value)])).load().unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        };
        check("FLOODTIDE_HTTP__LISTEM", "x", "listem");
        check("FLOODTIDE_HTTP__LISTEM", "x", "did you mean `listen`?");
        check("FLOODTIDE_EGRESS__MERGE_WINDOW", "9s", "merge window");
        check("FLOODTIDE_PUBLISH__GRACE", "10", "10s");
        check("FLOODTIDE_EGRESS__WORKERS", "many", "invalid type");
        check("FLOODTIDE_HLS__PART", "5s", "hls.part");
    }
}
