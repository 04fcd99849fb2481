//! `floodtide config show`: the tree that holds, as TOML, each value with where it is from.

use anyhow::Result;
use clap::Args;
use node::config::{Layers, Setting, masked};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use toml::Value;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "FLOODTIDE_CONFIG")]
    config: Option<PathBuf>,
    /// Show secrets as they are.
    #[arg(long)]
    secrets: bool,
    /// Only what somebody set.
    #[arg(long)]
    changed: bool,
    /// Answer with JSON instead of TOML.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let layers = options.config.as_deref().map_or_else(Layers::default, Layers::file);
    let mut settings = layers.environment(std::env::vars()).settings()?;
    settings.retain(|setting| !options.changed || setting.origin != node::config::Origin::Default);
    if !options.secrets {
        for setting in &mut settings {
            let key = setting.path.last().map_or("", String::as_str);
            setting.value = masked(key, &setting.value);
        }
    }
    if options.json {
        let one = |s: &Setting| json!({ "key": s.path.join("."), "value": s.value, "origin": s.origin.to_string() });
        println!("{:#}", json!(settings.iter().map(one).collect::<Vec<_>>()));
    } else {
        print!("{}", as_toml(&settings));
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that says the same; where each value is from stands behind it.
fn as_toml(settings: &[Setting]) -> String {
    let mut out = String::new();
    // What stands in no section comes first, or it would be in the one before it.
    let mut sections: Vec<&[String]> = vec![&[]];
    for setting in settings {
        let Some((_, section)) = setting.path.split_last() else { continue };
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    for section in sections {
        let inside: Vec<_> =
            settings.iter().filter(|s| s.path.split_last().is_some_and(|(_, of)| of == section)).collect();
        let (lists, values): (Vec<&Setting>, Vec<&Setting>) =
            inside.into_iter().partition(|s| is_list(&s.value));
        if !values.is_empty() && !section.is_empty() {
            writeln!(out, "{}[{}]", gap(&out), dotted(section)).ok();
        }
        for Setting { path, value, origin } in values {
            let key = dotted(path.last().map(std::slice::from_ref).unwrap_or_default());
            writeln!(out, "{key} = {value}  # {origin}").ok();
        }
        for Setting { path, value, origin } in lists {
            for item in value.as_array().into_iter().flatten() {
                let item = toml::to_string(item).unwrap_or_default();
                write!(out, "{}[[{}]]  # {origin}\n{item}", gap(&out), dotted(path)).ok();
            }
        }
    }
    out
}

/// Sections are apart.
fn gap(out: &str) -> &'static str {
    if out.is_empty() { "" } else { "\n" }
}

/// Lists of sections, which stand in double brackets.
fn is_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.first().is_some_and(Value::is_table))
}

/// A path as TOML writes it: names that are more than letters, digits, `-` and `_` are quoted.
fn dotted(path: &[String]) -> String {
    let bare = |name: &String| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let name =
        |name: &String| if bare(name) { name.clone() } else { Value::String(name.clone()).to_string() };
    path.iter().map(name).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::config::{Config, Origin};

    #[test]
    fn what_is_shown_is_a_configuration_that_says_the_same() {
        let text = "[[restream]]\npath = 'live/*'\nto = 'rtmp://h.example/live/{name}'\n[publish]\nstream_key = 'long enough'\n[[publish.key]]\nid = 'a'\nsecret = 'long enough'\npath = 'live/*'\n\
                    [vhost.\"tv.example\"]\nhosts = ['tv.example', '*.tv.example']\n[vhost.\"tv.example\".app.live]\nplay = 'nobody'\n";
        let config: Config = toml::from_str(text).expect("a good configuration");
        let mut settings = Vec::new();
        flatten(&mut Vec::new(), &toml::Table::try_from(&config).expect("a tree"), &mut settings);
        let shown = as_toml(&settings);
        assert!(shown.contains("[vhost.\"tv.example\".app.live]\nplay = \"nobody\"  # file"), "{shown}");
        assert_eq!(toml::from_str::<Config>(&shown).expect("what is shown"), config, "{shown}");
    }

    fn flatten(path: &mut Vec<String>, table: &toml::Table, settings: &mut Vec<Setting>) {
        for (key, value) in table {
            path.push(key.clone());
            match value {
                Value::Table(below) => flatten(path, below, settings),
                value => {
                    settings.push(Setting { path: path.clone(), value: value.clone(), origin: Origin::File });
                }
            }
            path.pop();
        }
    }
}
