//! What is wrong in a file: every mistake with its line and key, and what was meant.

use super::Config;
use std::ops::Range;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// Something that is wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1, if it stands somewhere.
    pub line: Option<usize>,
    /// The key, as `section.key`, if it is known.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What was meant, perhaps.
    pub hint: Option<String>,
}

/// Where something stands in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// A key or a value, and which bytes of the text it has.
#[derive(Debug)]
struct Place {
    path: Vec<Step>,
    at: Range<usize>,
}

/// So many are told at once; who made more has the wrong file.
const PROBLEMS_MAX: usize = 50;

/// Everything that is wrong with a file of this text; empty when it is good.
pub fn problems(text: &str) -> Vec<Problem> {
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => return vec![Problem::new(text, error.span(), None, error.message())],
    };
    let mut places = Vec::new();
    gather(table.get_ref(), &[], &mut places);
    let mut found = Vec::new();
    let mut wrong: Vec<Vec<Step>> = Vec::new();
    // Serde stops at the first mistake: it is taken out, and the rest is looked at again.
    while found.len() < PROBLEMS_MAX {
        let mut rest = table.clone();
        for path in &wrong {
            remove(rest.get_mut(), path);
        }
        let (path, error) = match serde::Deserialize::deserialize(toml::Deserializer::from(rest)) {
            Ok(config) => {
                found.extend(check(text, &places, &config).filter(|_| wrong.is_empty()));
                break;
            }
            Err(error) => (error.span().and_then(|span| locate(&places, &span)), error),
        };
        found.push(Problem::new(text, error.span(), path.as_deref(), error.message()));
        match path {
            Some(path) if !wrong.contains(&path) => wrong.push(path),
            _ => break,
        }
    }
    found.sort_by_key(|problem| problem.line);
    found
}

/// What a type alone can't say.
fn check(text: &str, places: &[Place], config: &Config) -> Option<Problem> {
    let message = config.check().err()?;
    let key = message.split([' ', ':', ',']).next().unwrap_or_default();
    let place = places.iter().find(|place| name(&place.path) == key);
    let line = place.map(|place| line_of(text, place.at.start));
    Some(Problem { line, key: None, message, hint: None })
}

impl Problem {
    fn new(text: &str, span: Option<Range<usize>>, path: Option<&[Step]>, message: &str) -> Problem {
        let key = path.map(name);
        let hint = hint(message, key.as_deref());
        Problem {
            line: span.map(|span| line_of(text, span.start)),
            key,
            message: message.trim().replace('\n', ", "),
            hint,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// What was meant by an unknown key or value, or how a value of another type is written.
pub(super) fn hint(message: &str, key: Option<&str>) -> Option<String> {
    if message.contains("unknown field") || message.contains("unknown variant") {
        let mut words = message.split('`').skip(1).step_by(2);
        let given = words.next()?;
        let near = nearest(given, words);
        return near.map(|near| format!("did you mean `{near}`?")).or_else(|| elsewhere(given));
    }
    if message.contains("invalid type") {
        let key = key?;
        let defaults = Value::try_from(Config::default()).ok()?;
        let value = key.split('.').try_fold(&defaults, |at, key| at.get(key)).filter(|v| !v.is_table())?;
        return Some(format!("write it as in {} = {value}", key.rsplit('.').next()?));
    }
    None
}

/// The name that somebody meant who wrote `given`: a third of its letters may be wrong.
fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = |name: &str| strsim::damerau_levenshtein(&given.to_lowercase(), name);
    let most = (given.chars().count() / 3).max(1);
    names.map(|name| (far(name), name)).filter(|(far, _)| *far <= most).min().map(|(_, name)| name)
}

/// A known key under the wrong section.
fn elsewhere(given: &str) -> Option<String> {
    let Ok(Value::Table(sections)) = Value::try_from(Config::default()) else { return None };
    let section = sections.iter().find(|(_, section)| section.get(given).is_some())?.0;
    Some(format!("`{given}` is a key of [{section}]"))
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// `section.key`, with the place in a list in brackets, from 1.
fn name(path: &[Step]) -> String {
    let mut name = String::new();
    for step in path {
        match step {
            Step::Key(key) if name.is_empty() => name.push_str(key),
            Step::Key(key) => name = format!("{name}.{key}"),
            Step::Item(at) => name = format!("{name}[{}]", at + 1),
        }
    }
    name
}

/// The smallest key or value around `span`.
fn locate(places: &[Place], span: &Range<usize>) -> Option<Vec<Step>> {
    let around = places.iter().filter(|place| place.at.start <= span.start && span.end <= place.at.end);
    // Of two that are as small, the inner one comes later.
    around.rev().min_by_key(|place| place.at.len()).map(|place| place.path.clone())
}

/// Every key's and every value's place, from the outside in.
fn gather(table: &DeTable<'_>, path: &[Step], places: &mut Vec<Place>) {
    for (key, value) in table {
        let path = [path, &[Step::Key(key.get_ref().to_string())]].concat();
        places.push(Place { path: path.clone(), at: key.span() });
        gather_value(value, &path, places);
    }
}

fn gather_value(value: &toml::Spanned<DeValue<'_>>, path: &[Step], places: &mut Vec<Place>) {
    places.push(Place { path: path.to_vec(), at: value.span() });
    match value.get_ref() {
        DeValue::Table(below) => gather(below, path, places),
        DeValue::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                gather_value(item, &[path, &[Step::Item(at)]].concat(), places);
            }
        }
        _ => {}
    }
}

/// Takes a key out. An item of a list stays as an empty place would move the others: its list goes.
fn remove(table: &mut DeTable<'_>, path: &[Step]) {
    let Some((Step::Key(key), rest)) = path.split_first() else { return };
    match (rest, table.get_mut(key.as_str()).map(toml::Spanned::get_mut)) {
        ([], _) | ([Step::Item(_)], _) => {
            table.remove(key.as_str());
        }
        ([Step::Key(_), ..], Some(DeValue::Table(below))) => remove(below, rest),
        ([Step::Item(at), below @ ..], Some(DeValue::Array(items))) => {
            if let Some(DeValue::Table(item)) = items.get_mut(*at).map(toml::Spanned::get_mut) {
                remove(item, below);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let told: Vec<String> = problems(text).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), expect.len(), "{told:#?}");
        for (told, expect) in told.iter().zip(expect) {
            for part in expect.split('|') {
                assert!(told.contains(part), "{part:?} is missing in {told:?}");
            }
        }
    }

    #[test]
    fn each_mistake_has_its_line_and_key() {
        check("", &[]);
        check("[http]\nlisten = 'x", &["line 2: "]);
        check(
            "[http]\nlistem = '127.0.0.1:1'\n[publish]\ngrace = 10\ncollision = 'rejct'\n[htp]\n",
            &[
                "line 2: http.listem: unknown field|did you mean `listen`?",
                "line 4: publish.grace: invalid type|write it as in grace = \"10s\"",
                "line 5: publish.collision: unknown variant|did you mean `reject`?",
                "line 6: htp: unknown field|did you mean `http`?",
            ],
        );
        check("[hls]\npart = '5s'", &["line 2: hls.part is 5s; it must be"]);
        check("[rtmp]\ngrace = '5s'", &["`grace` is a key of [publish]"]);
    }

    #[test]
    fn lists_and_named_sections_are_looked_into() {
        check(
            "[[publish.key]]\nid = 'a'\nsecret = 'long enough'\npath = 'live/*'\nexpired = '2027'\n\
             [app.live]\npublish = 'credental'\n",
            &[
                "line 5: publish.key[1].expired: unknown field|`expires`?",
                "line 7: app.live.publish|`credential`?",
            ],
        );
        check("[[publish.key]]\nid = 'a'\n", &["missing field `path`"]);
    }

    #[test]
    fn a_far_name_is_nobodys_slip() {
        assert_eq!(nearest("listem", ["listen", "tls_listen"].into_iter()), Some("listen"));
        assert_eq!(nearest("zebra", ["listen"].into_iter()), None);
        assert_eq!(nearest("GRACE", ["grace"].into_iter()), Some("grace"));
    }

    #[test]
    fn fuzz_any_text_ends_in_an_answer() {
        let good = include_str!("../../../../deploy/floodtide.toml").replace("\n#", "\n");
        let mut random = testkit::Random::seeded(7);
        for _ in 0..2000 {
            let told = problems(&String::from_utf8_lossy(&random.mutate(&good.as_bytes()[..900])));
            assert!(told.len() <= PROBLEMS_MAX);
        }
    }
}
