//! File, environment and flags to one checked tree.

use super::Config;
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

/// Collects the layers, lowest first.
#[derive(Debug, Default)]
pub struct Layers {
    table: Table,
}

/// Environment variables of this prefix are settings: `FLOODTIDE_HTTP__LISTEN` is `http.listen`, one `__` per level.
const PREFIX: &str = "FLOODTIDE_";

impl Layers {
    /// The file's tree, checked alone so that errors have its line.
    ///
    /// # Errors
    /// When it can't be read, isn't TOML, or has a key or value that isn't allowed.
    pub fn file(path: &Path) -> Result<Layers, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let invalid = |e: toml::de::Error| ConfigError::Invalid {
            origin: path.display().to_string(),
            message: e.to_string(),
        };
        toml::from_str::<Config>(&text).map_err(invalid)?;
        Ok(Layers { table: toml::from_str(&text).map_err(invalid)? })
    }

    /// Lays the environment on top.
    #[must_use]
    pub fn environment(mut self, variables: impl Iterator<Item = (String, String)>) -> Layers {
        for (name, value) in variables {
            if let Some(key) = name.strip_prefix(PREFIX).filter(|key| key.contains("__")) {
                self.put(&key.to_lowercase().split("__").collect::<Vec<_>>(), &value);
            }
        }
        self
    }

    /// Lays one value on top; `path` is its sections and its key.
    pub fn put(&mut self, path: &[&str], value: &str) {
        let Some((key, sections)) = path.split_last() else { return };
        let value = typed(path, value);
        let mut table = &mut self.table;
        for section in sections {
            let below = table.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(below) = below else { return };
            table = below;
        }
        table.insert((*key).to_owned(), value);
    }

    /// The checked tree.
    ///
    /// # Errors
    /// When a key is unknown or a value isn't allowed.
    pub fn finish(self) -> Result<Config, ConfigError> {
        let invalid = |message| ConfigError::Invalid {
            origin: "settings from file, environment and flags".to_owned(),
            message,
        };
        let config: Config =
            Value::Table(self.table).try_into().map_err(|e: toml::de::Error| invalid(e.to_string()))?;
        config.check().map_err(invalid)?;
        Ok(config)
    }
}

/// A number or a switch where the default is one, else text: a stream key may look like a number.
fn typed(path: &[&str], text: &str) -> Value {
    let defaults = Value::try_from(Config::default()).unwrap_or(Value::Table(Table::new()));
    let found = match path.iter().try_fold(&defaults, |at, key| at.get(key)) {
        Some(Value::Integer(_)) => text.parse().ok().map(Value::Integer),
        Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
        _ => None,
    };
    found.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let config = layers.finish().unwrap();
        assert_eq!(config.http.listen.port(), 2);
        assert_eq!(config.egress.workers, 3);
    }

    #[test]
    fn a_stream_key_of_digits_stays_text() {
        let layers = Layers::default().environment(variables(&[("FLOODTIDE_PUBLISH__STREAM_KEY", "007")]));
        assert_eq!(layers.finish().unwrap().publish.stream_key.as_deref(), Some("007"));
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named() {
        let check = |name: &str, value: &str, expect: &str| {
            let error = Layers::default().environment(variables(&[(name, value)])).finish().unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        };
        check("FLOODTIDE_HTTP__LISTEM", "x", "listem");
        check("FLOODTIDE_EGRESS__MERGE_WINDOW", "9s", "merge window");
        check("FLOODTIDE_PUBLISH__GRACE", "10", "10s");
        check("FLOODTIDE_EGRESS__WORKERS", "many", "invalid type");
        check("FLOODTIDE_HLS__PART", "5s", "hls.part");
    }
}
