//! Words that mean nothing here (see docs/vocabulary.md), channels without a bound, tasks that nobody waits for.

use super::source::Token;
use super::tree::{File, Tree};
use super::violation::Violation;

/// Where the wire's own words are at home: an RTMP stream, a TS packet, an RTP packet.
const WIRE_FOLDERS: [&str; 4] = ["crates/rtmp", "crates/srt", "crates/mux/src/ts", "crates/mux/src/rtp"];
const EMPTY_MODULES: [&str; 6] = ["util", "utils", "helper", "helpers", "manager", "misc"];

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for (file, source) in tree.rust() {
        let tokens = source.tokens();
        for at in 0..tokens.len() {
            let texts: Vec<&str> = tokens[at..].iter().take(4).map(|t| t.text.as_str()).collect();
            for (rule, what, instead) in
                [refused_type(file, &texts), refused_fn(&texts), stub(&texts), boundless(&tokens[at..])]
                    .into_iter()
                    .chain([detached(at.checked_sub(1).map(|before| &tokens[before]), &tokens[at..])])
                    .flatten()
            {
                found.push(violation(file, tokens[at].line, rule, what, instead));
            }
        }
        let stem = file.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if EMPTY_MODULES.contains(&stem) {
            let what = format!("a module called {stem} says nothing");
            found.push(violation(file, 1, "names", what, "name it after what it is about"));
        }
    }
}

type Finding = Option<(&'static str, String, &'static str)>;

fn refused_type(file: &File, tokens: &[&str]) -> Finding {
    let &["struct" | "enum" | "trait" | "type" | "union", name, ..] = tokens else { return None };
    let at_home = WIRE_FOLDERS.iter().any(|folder| file.path.starts_with(folder));
    match name {
        "Stream" if !at_home => Some((
            "names",
            "a type called Stream can mean anything".to_owned(),
            "say broadcast, track, viewer or connection",
        )),
        "Packet" if !at_home => Some((
            "names",
            "a type called Packet can mean anything".to_owned(),
            "say frame, message or datagram",
        )),
        _ if name.ends_with("Manager") || name.ends_with("Util") || name.ends_with("Utils") => Some((
            "names",
            format!("{name} does not say what it is"),
            "name the thing it owns or the question it answers",
        )),
        _ => None,
    }
}

fn refused_fn(tokens: &[&str]) -> Finding {
    let &["fn", name, ..] = tokens else { return None };
    let instead = if name.starts_with("get_") {
        "drop the prefix: `fn size()`, not a getter's name"
    } else if name.starts_with("do_") || name == "process" || name.starts_with("process_") {
        "name what it does"
    } else {
        return None;
    };
    Some(("names", format!("fn {name}"), instead))
}

fn stub(tokens: &[&str]) -> Finding {
    let &[name @ ("todo" | "unimplemented"), "!", ..] = tokens else { return None };
    Some(("stubs", format!("{name}! stands where work should"), "finish it, or leave the whole feature out"))
}

/// `unbounded…`, and std's `mpsc::channel()`, which takes no bound.
fn boundless(tokens: &[Token]) -> Finding {
    let name = tokens[0].text.as_str();
    let refused = match name {
        "unbounded_channel" | "unbounded" | "UnboundedSender" | "UnboundedReceiver" => true,
        "channel" => called_without_arguments(&tokens[1..]),
        _ => false,
    };
    let what = format!("{name} has no bound");
    refused.then_some((
        "bounds",
        what,
        "give it a capacity with a name, and say what happens when it is full",
    ))
}

/// `()` or `::<T>()` follows.
fn called_without_arguments(tokens: &[Token]) -> bool {
    let mut texts = tokens.iter().map(|t| t.text.as_str()).peekable();
    if texts.peek() == Some(&":") {
        let mut depth = 0usize;
        for text in texts.by_ref() {
            match text {
                "<" => depth += 1,
                ">" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if text == ">" && depth == 0 {
                break;
            }
        }
    }
    texts.next() == Some("(") && texts.next() == Some(")")
}

/// `tokio::spawn(…)` or `thread::spawn(…)` as a statement: its handle is lost.
fn detached(before: Option<&Token>, tokens: &[Token]) -> Finding {
    let statement = before.is_none_or(|token| matches!(token.text.as_str(), ";" | "{" | "}"));
    let call: Vec<&str> = tokens.iter().take(5).map(|t| t.text.as_str()).collect();
    let refused = statement
        && matches!(call[..], ["tokio" | "thread", ":", ":", "spawn", "("])
        && ends_as_statement(&tokens[4..]);
    let what = "a task that nobody waits for".to_owned();
    refused.then_some(("tasks", what, "keep its handle, or spawn into a JoinSet that shutdown drains"))
}

/// The call that opens at the first token is followed by `;`: nobody takes what it returns.
fn ends_as_statement(tokens: &[Token]) -> bool {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return tokens.get(at + 1).is_some_and(|next| next.text == ";");
        }
    }
    false
}

fn violation(file: &File, line: usize, rule: &'static str, what: String, instead: &str) -> Violation {
    Violation { path: file.path.clone(), line, rule, what, instead: instead.to_owned() }
}
