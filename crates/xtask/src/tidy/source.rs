//! Just enough of Rust's grammar to count code lines and to see names: comments and the insides of strings are
//! blanked, the rest is cut into tokens.

/// One Rust file, without comments and without the text inside strings.
pub(super) struct Source {
    masked: String,
    tokens: Vec<Token>,
}

/// A name, a number or one punctuation character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
}

impl Source {
    pub(super) fn read(text: &str) -> Source {
        let masked = mask(text);
        let tokens = tokens(&masked);
        Source { masked, tokens }
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Lines that hold code: neither blank nor only comment.
    pub(super) fn code_lines(&self) -> usize {
        self.masked.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// `(first line, code lines)` of each module within this file that is compiled for tests only.
    pub(super) fn inline_tests(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let texts: Vec<&str> = self.tokens.iter().map(|t| t.text.as_str()).collect();
        for start in 0..texts.len() {
            if !texts[start..].starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) {
                continue;
            }
            let body = &texts[start + 7..];
            let Some(open) = body.iter().position(|t| matches!(*t, "{" | ";")) else { continue };
            if body[open] == ";" || !body[..open].contains(&"mod") {
                continue;
            }
            let first = self.tokens[start].line;
            let end = self.closing_line(start + 7 + open);
            let code = self.masked.lines().take(end).skip(first - 1).filter(|line| !line.trim().is_empty());
            found.push((first, code.count()));
        }
        found
    }

    /// The line of the brace that closes the one at `open`.
    fn closing_line(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for token in &self.tokens[open..] {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return token.line;
            }
        }
        self.masked.lines().count()
    }
}

/// Blanks comments; fills strings and characters with quotes, so that their lines still count. Newlines stay.
fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (length, fill) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), Some(' '))
        } else if rest.starts_with("/*") {
            (block_comment(rest), Some(' '))
        } else if let Some(length) = string(rest, &out) {
            (length, Some('"'))
        } else {
            (c.len_utf8(), None)
        };
        let (taken, left) = rest.split_at(length);
        match fill {
            Some(fill) => out.extend(taken.chars().map(|c| if c == '\n' { c } else { fill })),
            None => out.push_str(taken),
        }
        rest = left;
    }
    out
}

/// Length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of the string, raw string or character literal that `text` begins with.
fn string(text: &str, before: &str) -> Option<usize> {
    let in_name = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let prefix = if in_name {
        0
    } else {
        ["br", "cr", "b", "c", "r"].iter().find(|p| opens(text, p)).map_or(0, |p| p.len())
    };
    let raw = text[..prefix].ends_with('r');
    let body = &text[prefix..];
    if raw {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let from = hashes + 1;
        return Some(
            body.get(from..)?.find(&close).map_or(text.len(), |at| prefix + from + at + close.len()),
        );
    }
    match body.chars().next()? {
        '"' => Some(prefix + quoted(body, '"')),
        '\'' => character(body).map(|length| prefix + length),
        _ => None,
    }
}

fn opens(text: &str, prefix: &str) -> bool {
    let Some(rest) = text.strip_prefix(prefix) else { return false };
    let rest = if prefix.ends_with('r') { rest.trim_start_matches('#') } else { rest };
    rest.starts_with('"') || (prefix == "b" && rest.starts_with('\''))
}

/// Length up to and with the closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// A character, unless it is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.chars().skip(1);
    let (first, second) = (chars.next()?, chars.next()?);
    (first == '\\' || second == '\'').then(|| quoted(text, '\''))
}

fn tokens(masked: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for (index, text) in masked.lines().enumerate() {
        let line = index + 1;
        let mut name = String::new();
        for c in text.chars().chain([' ']) {
            if c.is_alphanumeric() || c == '_' {
                name.push(c);
                continue;
            }
            if !name.is_empty() {
                found.push(Token { text: std::mem::take(&mut name), line });
            }
            if !c.is_whitespace() {
                found.push(Token { text: c.to_string(), line });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> String {
        let source = Source::read(text);
        let names = source.tokens.iter().map(|t| t.text.as_str());
        names.filter(|t| t.chars().all(|c| c.is_alphanumeric() || c == '_')).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_strings_have_no_names() {
        let check = |text, expect| assert_eq!(names(text), expect, "{text}");
        check("a // b\nc", "a c");
        check("a /* b /* c */ d */ e", "a e");
        check("a(\"b \\\" c\", d)", "a d");
        check("a(r#\"b \" c\"#, d)", "a d");
        check("a(b'\"', '\\'', 'x', d)", "a d");
        check("fn a<'b>(c: &'b str)", "fn a b c b str");
        check("br\"a\" c\"b\" r\"c\" four\"d\"", "four");
        check("\"// no comment\" a", "a");
    }

    #[test]
    fn only_code_lines_count() {
        let check = |text, expect| assert_eq!(Source::read(text).code_lines(), expect, "{text}");
        check("//! a\n\nfn a() {\n    // b\n}\n", 2);
        check("/* a\n b */ c\n", 1);
        check("let a = \"one\ntwo\nthree\";\n", 3);
    }

    #[test]
    fn inline_tests_are_measured_and_tests_in_files_of_their_own_are_not() {
        let inline =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if c {} }\n\n    // d\n}\nfn e() {}\n";
        assert_eq!(Source::read(inline).inline_tests(), [(2, 4)]);
        assert_eq!(Source::read("#[cfg(test)]\nmod tests;\nfn a() {}\n").inline_tests(), []);
        assert_eq!(Source::read("#[cfg(test)]\nfn a() {}\n").inline_tests(), []);
    }
}
