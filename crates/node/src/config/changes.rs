//! What differs between two configurations, and what of it needs a restart.

use super::{Config, masked};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// A key whose value differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The key, as `section.key`.
    pub key: String,
    /// Its value before, if it had one.
    pub from: Option<Value>,
    /// Its value afterwards, if it has one.
    pub to: Option<Value>,
    /// Whether a running server takes it only at its next start.
    pub needs_restart: bool,
}

impl Change {
    /// The same, without secrets.
    #[must_use]
    pub fn without_secrets(self) -> Change {
        let name = self.key.rsplit('.').next().unwrap_or_default().to_owned();
        let hide = |value: Option<Value>| value.map(|value| masked(&name, &value));
        Change { from: hide(self.from), to: hide(self.to), ..self }
    }
}

impl Config {
    /// What changes when `next` takes the place of this one in a running server.
    pub fn changes_to(&self, next: &Config) -> Vec<Change> {
        let (before, after) = (self.values(), next.values());
        let held_back = next.difference(&next.clone().at_run_time(self));
        let change = |key: String| Change {
            from: before.get(&key).cloned(),
            to: after.get(&key).cloned(),
            needs_restart: held_back.contains(&key),
            key,
        };
        self.difference(next).into_iter().map(change).collect()
    }

    /// Every value by its key, as `section.key`. A list is one value.
    pub fn values(&self) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        if let Ok(table) = Table::try_from(self) {
            gather("", &table, &mut values);
        }
        values
    }
}

fn gather(prefix: &str, table: &Table, values: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        match value {
            Value::Table(below) => gather(&format!("{prefix}{name}."), below, values),
            value => drop(values.insert(format!("{prefix}{name}"), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_needs_a_restart_and_a_key_does_not() {
        let before = Config::default();
        let mut after = before.clone();
        after.http.listen.set_port(81);
        after.publish.stream_key = Some("s3cret-key".to_owned());
        let changes = before.changes_to(&after);
        let told: Vec<_> = changes.iter().map(|c| (c.key.as_str(), c.needs_restart)).collect();
        assert_eq!(told, [("http.listen", true), ("publish.stream_key", false)]);
        assert_eq!(changes[0].from, Some(Value::String("0.0.0.0:8080".to_owned())));
        assert_eq!(changes[1].from, None);
        assert_eq!(before.changes_to(&before), []);
    }
}
