//! Source files as the rules look at them: with their text, and as code alone.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold no sources of ours.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", "corpus", "artifacts"];

/// One file.
pub struct Source {
    /// From the root of the workspace, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
    /// The text with blanks where comments, strings and characters were; its lines are the same.
    pub code: String,
}

/// A function's place in a file.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, counted from 1.
    pub line: usize,
    /// From the line of its `fn` to that of its closing brace.
    pub lines: usize,
}

impl Source {
    /// A file of this text.
    pub fn new(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.into(),
            code: code_of(text),
        }
    }

    /// The code's lines, counted from 1.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Lines where a path starts with `root::`, and the next names in it: `std::{fs, net::X}`
    /// gives `fs` and `net`.
    pub fn names_after(&self, root: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for at in word_places(&self.code, root) {
            let line = self.line_of(at);
            if let Some(rest) = self.code[at + root.len()..].strip_prefix("::") {
                found.extend(first_names(rest).into_iter().map(|name| (line, name)));
            }
        }
        found
    }

    /// Lines with this word in their code.
    pub fn lines_with_word(&self, word: &str) -> Vec<usize> {
        word_places(&self.code, word)
            .map(|at| self.line_of(at))
            .collect()
    }

    /// Every function with a body. Sources are formatted, so a body ends with a brace that stands
    /// as far right as the function's first line.
    pub fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.code.lines().collect();
        let mut found = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else {
                continue;
            };
            let indent = &line[..line.len() - line.trim_start().len()];
            let head = lines[i..]
                .iter()
                .position(|l| l.contains(['{', ';']))
                .unwrap_or(0);
            let opening = lines[i + head].trim_end();
            let body = if opening.ends_with('{') {
                let closing = format!("{indent}}}");
                lines[i..]
                    .iter()
                    .position(|l| l.trim_end() == closing)
                    .unwrap_or(head)
            } else {
                head
            };
            found.push(Function {
                name,
                line: i + 1,
                lines: body + 1,
            });
        }
        found
    }

    fn line_of(&self, at: usize) -> usize {
        1 + self.code[..at].matches('\n').count()
    }
}

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// All files of ours that are text, whatever their kind.
pub fn texts() -> Vec<Source> {
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    assert!(
        found.iter().any(|s| s.path == "Cargo.toml"),
        "the root is elsewhere"
    );
    found
}

/// All Rust sources.
pub fn sources() -> Vec<Source> {
    let found: Vec<Source> = texts()
        .into_iter()
        .filter(|s| s.path.ends_with(".rs"))
        .collect();
    assert!(
        found.iter().any(|s| s.path == "crates/heeler/src/lib.rs"),
        "no sources"
    );
    found
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            if !NOT_OURS.contains(&name.as_str()) {
                walk(root, &path, found);
            }
        } else if name != ".git"
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.push(Source::new(path, &text));
        }
    }
}

/// Byte offsets of a word that is no part of a longer one.
fn word_places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            !part(code[..at].chars().next_back()) && !part(code[at + word.len()..].chars().next())
        })
}

/// `a::b` gives `a`; `{a::b, c::{d, e}}` gives `a` and `c`.
fn first_names(rest: &str) -> Vec<String> {
    let name = |s: &str| -> String {
        s.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let mut names = vec![name(group)];
    let mut depth = 1;
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&group[i + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let qualifiers = ["const", "async", "unsafe", "extern", "pub"];
    let word =
        words.find(|w| !qualifiers.contains(w) && !w.starts_with("pub(") && !w.ends_with(')'))?;
    if word != "fn" {
        return None;
    }
    let rest = words.next()?;
    Some(
        rest.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect(),
    )
}

/// Blanks in place of comments, strings and character literals.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = match first {
            '/' => comment_len(rest),
            '"' => string_len(rest),
            'r' | 'b' | 'c' if !after_word => prefixed_string_len(rest),
            '\'' => char_len(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(
                rest[..skipped]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[skipped..];
        }
    }
    code
}

fn comment_len(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if !rest.starts_with("/*") {
        return 0;
    }
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `b"…"`, `c"…"`, `b'…'`, and raw strings with any number of `#`.
fn prefixed_string_len(rest: &str) -> usize {
    let after = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - after.len();
    if prefix > 1 {
        return 0;
    }
    if let Some(raw) = after.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let Some(body) = raw[hashes..].strip_prefix('"') else {
            return 0;
        };
        let end = format!("\"{}", "#".repeat(hashes));
        let head = rest.len() - body.len();
        return body
            .find(&end)
            .map_or(rest.len(), |at| head + at + end.len());
    }
    let len = match after.chars().next() {
        Some('"') => string_len(after),
        Some('\'') => char_len(after),
        _ => return 0,
    };
    if len == 0 { 0 } else { prefix + len }
}

/// A character literal's length; 0 for a lifetime.
fn char_len(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let escape = chars.next().map_or(rest.len(), |(i, c)| i + c.len_utf8());
            rest[escape..]
                .find('\'')
                .map_or(rest.len(), |at| escape + at + 1)
        }
        Some((_, _)) => chars
            .next()
            .map_or(0, |(i, c)| if c == '\'' { i + 1 } else { 0 }),
        None => 0,
    }
}

#[test]
fn code_is_told_from_comments_and_strings() {
    let cases = [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        ("f(\"b\\\"c\", d)", "f(      , d)"),
        ("r\"\\\" x", "     x"),
        ("r#\"a\"b\"# x", "         x"),
        ("br\"a\" x b\"c\" y", "      x      y"),
        ("bar\"a\" x", "bar    x"),
        ("'\"' x '\\'' y", "    x      y"),
        ("b'\\\\' x", "      x"),
        ("&'a str, 'b: loop", "&'a str, 'b: loop"),
        ("\"a\nb\" c", "  \n   c"),
    ];
    for (text, code) in cases {
        assert_eq!(code_of(text), code, "{text}");
    }
}

#[test]
fn names_in_paths_are_found() {
    let found = |text| Source::new("x.rs", text).names_after("std");
    assert_eq!(
        found("use std::fs;\n std::net::X"),
        [(1, "fs".into()), (2, "net".into())]
    );
    assert_eq!(
        found("use std::{\n    fs::{A, B},\n    io, // net\n};"),
        [(1, "fs".into()), (1, "io".into())]
    );
    assert_eq!(found("nostd::fs; std_fs::x; \"std::fs\"; // std::fs"), []);
}

#[test]
fn functions_are_measured() {
    let text = [
        "pub(crate) const fn a() {}",
        "impl X {",
        "    async fn b(",
        "        x: u8,",
        "    ) {",
        "        if x {",
        "        }",
        "    }",
        "    fn c();",
        "}",
        "fn d<T>(x: [u8; 2]) {",
        "}",
    ];
    let text = &text.join("\n");
    let found = Source::new("x.rs", text).functions();
    let found: Vec<_> = found
        .iter()
        .map(|f| (f.name.as_str(), f.line, f.lines))
        .collect();
    assert_eq!(found, [("a", 1, 1), ("b", 3, 6), ("c", 9, 1), ("d", 11, 2)]);
}
