//! `docs/config.md` says what the code says: it is written from the doc comments and the defaults.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use node::config::Config;
use std::fmt::Write;
use std::path::Path;
use toml::{Table, Value};

const SECTIONS: &str = include_str!("../src/config/sections.rs");
const HEAD: &str = "# Configuration\n\n\
    `floodtide serve --config FILE` reads one TOML file. Every key is also an environment variable, `FLOODTIDE_SECTION__KEY`\n\
    (`FLOODTIDE_HTTP__LISTEN`), and the common ones are flags. Flags win over the environment, the environment over the file; an\n\
    unknown key is an error. Times are written `\"10s\"` or `\"500ms\"`, sizes `\"16MiB\"`.\n\n\
    This page is generated from the code: `UPDATE=1 cargo test -p node --test config_reference`.\n";

/// Doc comments of the fields of `struct name`: (field, text).
fn fields(name: &str) -> Vec<(String, String)> {
    let body = SECTIONS.split(&format!("pub struct {name} {{")).nth(1).unwrap().split("\n}").next().unwrap();
    let (mut found, mut doc, mut hidden) = (Vec::new(), String::new(), false);
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc = format!("{doc} {text}").trim().to_owned();
        } else if line.starts_with("#[serde(skip)]") {
            hidden = true;
        } else if let Some(field) = line.strip_prefix("pub ").and_then(|l| l.split(':').next()) {
            if !hidden {
                found.push((field.to_owned(), doc.clone()));
            }
            (doc, hidden) = (String::new(), false);
        }
    }
    found
}

fn reference() -> String {
    let defaults = Value::try_from(Config::default()).unwrap();
    let empty = Value::Table(Table::new());
    let mut out = HEAD.to_owned();
    for (section, about) in fields("Config") {
        let name = section[..1].to_uppercase() + &section[1..];
        writeln!(out, "\n## [{section}]\n\n{about}\n\n| Key | Default | Meaning |\n|---|---|---|").unwrap();
        for (key, meaning) in fields(&name) {
            let default = defaults.get(&section).unwrap_or(&empty).get(&key);
            let default = default.map_or_else(|| "–".to_owned(), |v| format!("`{v}`"));
            writeln!(out, "| `{section}.{key}` | {default} | {meaning} |").unwrap();
        }
    }
    out
}

#[test]
fn the_reference_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, reference(), "run UPDATE=1 cargo test -p node --test config_reference");
}
