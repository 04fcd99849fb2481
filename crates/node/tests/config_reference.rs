//! `docs/config.md` and the sample file `deploy/floodtide.toml` say what the code says: they are written from the doc comments and
//! the defaults.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use node::config::Config;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const HEAD: &str = "# Configuration\n\n\
    `floodtide serve --config FILE` reads one TOML file. Every key is also an environment variable, `FLOODTIDE_SECTION__KEY`\n\
    (`FLOODTIDE_HTTP__LISTEN`), and the common ones are flags. Flags win over the environment, the environment over the file; an\n\
    unknown key is an error. Times are written `\"10s\"` or `\"500ms\"`, sizes `\"16MiB\"`. A section in double brackets may stand any\n\
    number of times; `NAME` in a section is a name of your choice. A list is written in a variable as in the file, or with commas:\n\
    `FLOODTIDE_WEBRTC__ADDRESSES=192.0.2.7,2001:db8::7`.\n\n\
    This page is generated from the code: `UPDATE=1 cargo test -p node --test config_reference`.\n";

const SAMPLE_HEAD: &str = "# Configuration of Floodtide: every key with its default. Take away the # of what you want to change, and try it by\n\
    # `floodtide config check FILE`. Keys without a value have no default. NAME is a name of your choice; a section in double\n\
    # brackets may stand any number of times.\n";

/// Longer lines of the sample are broken.
const SAMPLE_COLUMNS: usize = 110;

struct Field {
    name: String,
    about: String,
    kind: String,
}

/// The fields of all structs below `src/config`, by the struct's name.
struct Structs(BTreeMap<String, Vec<Field>>);

impl Structs {
    fn read() -> Structs {
        let folder = root().join("crates/node/src/config");
        let mut structs = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for part in text.split("pub struct ").skip(1) {
                if let Some((name, body)) = part.split_once(" {\n") {
                    structs.insert(name.to_owned(), fields(body.split("\n}").next().unwrap()));
                }
            }
        }
        Structs(structs)
    }

    /// The struct that a field's type means, and how its section is written.
    fn section(&self, path: &str, field: &Field) -> Option<(&str, String, String)> {
        let inner = field.kind.rsplit(['<', ' ']).next().unwrap().trim_end_matches('>');
        let (name, _) = self.0.get_key_value(inner)?;
        let path = format!("{path}{}", field.name);
        if field.kind.starts_with("Vec<") {
            return Some((name, format!("[[{path}]]"), path));
        }
        let path = if field.kind.starts_with("BTreeMap<") { format!("{path}.NAME") } else { path };
        Some((name, format!("[{path}]"), path))
    }

    fn describe(&self, name: &str, path: &str, defaults: &Value, out: &mut String) {
        let (sections, keys): (Vec<_>, Vec<_>) =
            self.0[name].iter().partition(|f| self.section("", f).is_some());
        if !keys.is_empty() {
            writeln!(out, "\n| Key | Default | Meaning |\n|---|---|---|").unwrap();
        }
        for key in keys {
            let default = defaults.get(&key.name).map_or_else(|| "–".to_owned(), |v| format!("`{v}`"));
            writeln!(out, "| `{path}{}` | {default} | {} |", key.name, key.about).unwrap();
        }
        let empty = Value::Table(Table::new());
        for field in sections {
            let (inner, title, below) = self.section(path, field).unwrap();
            writeln!(out, "\n## {title}\n\n{}", field.about).unwrap();
            let defaults = defaults.get(&field.name).filter(|v| v.is_table()).unwrap_or(&empty);
            self.describe(inner, &format!("{below}."), defaults, out);
        }
    }
}

impl Structs {
    /// The same as a file; sections that are there as often as you like are comments.
    fn sample(&self, name: &str, path: &str, defaults: &Value, out: &mut String) {
        let (sections, keys): (Vec<_>, Vec<_>) =
            self.0[name].iter().partition(|f| self.section("", f).is_some());
        for key in keys {
            comment(&key.about, out);
            let value = defaults.get(&key.name).map_or_else(String::new, |v| format!(" {v}"));
            writeln!(out, "#{} ={value}", key.name).unwrap();
        }
        let empty = Value::Table(Table::new());
        for field in sections {
            let (inner, title, below) = self.section(path, field).unwrap();
            let mark = if below.contains("NAME") || title.starts_with("[[") { "#" } else { "" };
            writeln!(out).unwrap();
            comment(&field.about, out);
            writeln!(out, "{mark}{title}").unwrap();
            let defaults = defaults.get(&field.name).filter(|v| v.is_table()).unwrap_or(&empty);
            self.sample(inner, &format!("{below}."), defaults, out);
        }
    }
}

/// A text as comment lines, without Markdown's links.
fn comment(text: &str, out: &mut String) {
    let mut line = "#".to_owned();
    for word in text.split(' ') {
        let word = word.replace("](", "\u{0}");
        let word = match word.split_once('\u{0}') {
            Some((shown, rest)) => {
                format!("{}{}", shown.replace('[', ""), rest.split_once(')').map_or("", |(_, end)| end))
            }
            None => word,
        };
        if line.chars().count() + word.chars().count() >= SAMPLE_COLUMNS {
            writeln!(out, "{line}").unwrap();
            line = "#".to_owned();
        }
        line = format!("{line} {word}");
    }
    writeln!(out, "{line}").unwrap();
}

/// Doc comments and types of a struct's fields.
fn fields(body: &str) -> Vec<Field> {
    let (mut found, mut about, mut hidden) = (Vec::new(), String::new(), false);
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            about = format!("{about} {text}").trim().to_owned();
        } else if line.starts_with("#[serde(skip") {
            hidden = true;
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|l| l.split_once(": ")) {
            if !hidden {
                let kind = kind.trim_end_matches(',').to_owned();
                found.push(Field { name: name.to_owned(), about, kind });
            }
            (about, hidden) = (String::new(), false);
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Writes what is generated if asked to, and compares.
fn same_as_generated(file: &str, generated: &str) {
    let path = root().join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, generated, "run UPDATE=1 cargo test -p node --test config_reference");
}

fn sample() -> String {
    let mut sample = SAMPLE_HEAD.to_owned();
    Structs::read().sample("Config", "", &Value::try_from(Config::default()).unwrap(), &mut sample);
    sample
}

#[test]
fn the_reference_is_what_the_code_says() {
    let mut reference = HEAD.to_owned();
    Structs::read().describe("Config", "", &Value::try_from(Config::default()).unwrap(), &mut reference);
    same_as_generated("docs/config.md", &reference);
}

#[test]
fn the_sample_is_what_the_code_says() {
    same_as_generated("deploy/floodtide.toml", &sample());
}

#[test]
fn the_sample_changes_nothing_and_shows_every_default() {
    let sample = sample();
    assert_eq!(toml::from_str::<Config>(&sample).unwrap(), Config::default());
    // Keys of sections that are comments have no default.
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.contains(" = ");
    let is_default = |line: &&str| line.starts_with('[') || is_key(line);
    let told: String =
        sample.lines().filter(is_default).map(|line| format!("{}\n", line.trim_start_matches('#'))).collect();
    let told: Table = toml::from_str(&told).unwrap_or_else(|error| panic!("{error}\n{told}"));
    assert_shows("", &Table::try_from(Config::default()).unwrap(), &told);
}

#[test]
fn what_is_documented_as_a_secret_is_masked() {
    let structs = Structs::read();
    let fields = structs.0.values().flatten();
    let secret =
        |field: &&Field| field.kind.contains("String") && field.about.to_lowercase().contains("secret");
    let secrets: Vec<_> = fields.filter(secret).map(|field| field.name.as_str()).collect();
    assert!(secrets.contains(&"stream_key") && secrets.contains(&"secret"), "{secrets:?}");
    for name in secrets {
        let shown = node::config::masked(name, &Value::String("plain".to_owned()));
        assert_eq!(shown.as_str(), Some(node::config::MASK), "{name} is shown: see config/secrets.rs");
    }
}

/// Each value of `defaults` that can be written down stands in `told`.
fn assert_shows(path: &str, defaults: &Table, told: &Table) {
    for (key, value) in defaults {
        match (value, told.get(key)) {
            (Value::Table(below), Some(Value::Table(told))) => {
                assert_shows(&format!("{path}{key}."), below, told);
            }
            // Sections that may stand any number of times: by default none is there.
            (Value::Table(none), None) if none.is_empty() => {}
            (Value::Array(none), None) if none.is_empty() => {}
            (value, told) => assert_eq!(Some(value), told, "{path}{key}"),
        }
    }
}
