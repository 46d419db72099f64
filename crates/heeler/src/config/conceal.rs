//! Passwords are cut out of every source line and every quotation that an error shows.
//!
//! A file with a mistake in it cannot be trusted to say where its passwords are: the mistake may
//! be in the very key. So whatever follows a word that looks like a password's key is hidden.

use std::ops::Range;

/// What is shown in place of a password.
const HIDDEN: &str = "(hidden)";
/// The key whose value is a password.
const SECRET_KEY: &str = "redis_auth";
/// The keys whose values say where a password is.
const REFERENCE_KEYS: [&str; 2] = ["redis_auth_file", "redis_auth_env"];
/// A key that looks like a password's.
const OPEN_KEY: &str = "tls_client_auth";
/// Bytes of a quoted value that are shown.
const QUOTED_BYTES: usize = 80;
/// Bytes of a source line that are shown.
const LINE_BYTES: usize = 2048;

/// The lines of a text as they may be shown.
pub(super) struct Lines {
    /// Where each line begins, and what may be shown of it.
    lines: Vec<(usize, String)>,
    /// The words that may not be shown.
    hidden: Vec<String>,
}

impl Lines {
    /// Cuts out what is secret: `secrets` are the places of known passwords in `text`, in their
    /// order, and `is_key` tells the known keys.
    pub(super) fn new(
        text: &str,
        secrets: &[Range<usize>],
        is_key: impl Fn(&str) -> bool,
    ) -> Lines {
        let mut lines = Lines {
            lines: Vec::new(),
            hidden: Vec::new(),
        };
        let mut open: Option<Open> = None;
        let mut start = 0;
        for line in text.split(['\n', '\r']) {
            open = open.filter(|open| !open.closes(line, &is_key));
            let mut kept = match &open {
                Some(open) if open.holds(line) => indent(line),
                _ => before_secret(line).unwrap_or(line.len()),
            };
            open = Open::at(line).or(open);
            let next = secrets.partition_point(|secret| secret.end <= start);
            if let Some(secret) = secrets.get(next).filter(|s| s.start < start + line.len()) {
                kept = kept.min(secret.start.saturating_sub(start));
            }
            lines.push(start, line, kept);
            start += line.len() + 1;
        }
        lines
            .hidden
            .sort_by_key(|word| std::cmp::Reverse(word.len()));
        lines.hidden.dedup();
        lines
    }

    fn push(&mut self, start: usize, line: &str, kept: usize) {
        let (shown, hidden) = line.split_at(line.floor_char_boundary(kept));
        if hidden.trim().is_empty() {
            self.lines.push((start, line.to_owned()));
            return;
        }
        // A comment ends a value that has no quotes.
        let value = match hidden.trim_start().starts_with(['"', '\'']) {
            true => hidden,
            false => hidden.split(" #").next().unwrap_or_default(),
        };
        let words = value
            .split([' ', '\t', '"', '\''])
            .map(|word| word.trim_matches(':'));
        let words = words.filter(|word| !word.is_empty());
        self.hidden.extend(words.map(str::to_owned));
        self.lines.push((start, format!("{shown}{HIDDEN}")));
    }

    /// The line that holds byte `at`: where it begins, and what is shown of it.
    pub(super) fn line(&self, at: usize) -> (usize, String) {
        let index = self
            .lines
            .partition_point(|(start, _)| *start <= at)
            .saturating_sub(1);
        match self.lines.get(index) {
            Some((start, line)) => (*start, truncated(line.clone(), LINE_BYTES)),
            None => (0, String::new()),
        }
    }

    /// A message without the words that may not be shown: a slip can make a password a key, or
    /// the name of a pool. Words that are too short to tell from others go where they are quoted.
    pub(super) fn scrub(&self, message: String) -> String {
        self.hidden
            .iter()
            .fold(message, |message, word| match word.len() {
                0..4 => message.replace(&format!("'{word}'"), HIDDEN),
                _ => message.replace(word, HIDDEN),
            })
    }
}

/// A password's key has come, and the lines below it may belong to the password.
struct Open {
    indentation: usize,
    /// False if even a line with a key may belong to it.
    ends_on_its_line: bool,
}

impl Open {
    fn holds(&self, line: &str) -> bool {
        let has_key = line.contains(": ") || line.trim_end().ends_with(':');
        !self.ends_on_its_line || indent(line) > self.indentation || !has_key
    }

    /// True for a line that begins something else.
    fn closes(&self, line: &str, is_key: impl Fn(&str) -> bool) -> bool {
        is_key(first_word(line)) || (self.ends_on_its_line && is_pool_header(line))
    }

    /// The password's key in a line.
    fn at(line: &str) -> Option<Open> {
        let value = before_secret(line)?;
        let ends_on_its_line = ends_on_its_line(&line[value..]);
        Some(Open {
            indentation: indent(line),
            ends_on_its_line,
        })
    }
}

/// A value in single quotes, on one line and of bounded length, as messages show it.
pub(super) fn quoted(value: &str) -> String {
    let shown: String = without_secret(value)
        .chars()
        .flat_map(|c| match c.is_control() {
            true => c.escape_default().collect::<Vec<char>>(),
            false => vec![c],
        })
        .collect();
    format!("'{}'", truncated(shown, QUOTED_BYTES))
}

/// The name of the pool whose indented lines byte `at` is in.
pub(super) fn pool_around(text: &str, at: usize) -> Option<String> {
    let start = line_start(text, at);
    if !text[start..].starts_with([' ', '\t']) {
        return None;
    }
    let header = text[..start]
        .lines()
        .rev()
        .find(|line| is_pool_header(line))?;
    let name = header
        .split(" #")
        .next()
        .unwrap_or_default()
        .trim_end()
        .trim_end_matches(':');
    Some(
        name.trim_matches(['"', '\'', '\u{feff}'])
            .trim_end()
            .to_owned(),
    )
}

/// Where the line that holds byte `at` begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at]
        .rfind(['\n', '\r'])
        .map_or(0, |newline| newline + 1)
}

/// The first word of a line of a file: its key, if it has one.
pub(super) fn first_word(line: &str) -> &str {
    let line = line.trim_start_matches([' ', '\t', '?', '"', '\'', '\u{feff}']);
    line.split([':', ' ', '\t', '"', '\''])
        .next()
        .unwrap_or_default()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// True for a value that cannot go on over the next line of the same indentation as its key.
fn ends_on_its_line(value: &str) -> bool {
    let value = value.trim();
    let last = value.split([' ', '\t']).next_back().unwrap_or_default();
    match value.chars().next() {
        None | Some('#') => false,
        Some(quote @ ('"' | '\'')) => value.len() > 1 && value.ends_with(quote),
        Some(_) => !last.starts_with(['|', '>']),
    }
}

/// `name:` at the left margin and nothing behind it.
fn is_pool_header(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    line.ends_with(':') && !line.starts_with([' ', '\t']) && !looks_secret(first_word(line))
}

/// A value up to the first password in it.
pub(super) fn without_secret(value: &str) -> String {
    match before_secret(value) {
        Some(kept) if !value[kept..].trim().is_empty() => format!("{}{HIDDEN}", &value[..kept]),
        _ => value.to_owned(),
    }
}

/// How much of a line comes before the value of a password's key, if there is such a key.
fn before_secret(line: &str) -> Option<usize> {
    let is_item = line.trim_start().starts_with("- ");
    let mut first = !is_item && !is_pool_header(line);
    let mut from = 0;
    for word in line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-') {
        let end = from + word.len();
        let secret = looks_secret(word) || (first && is_secret_key(word));
        let secret = secret && !is_reference(word, &line[end..]);
        first &= word.is_empty();
        if secret {
            // What is stuck to the key is the password.
            let key = word.to_ascii_lowercase().find(SECRET_KEY);
            let key = key.filter(|_| !REFERENCE_KEYS.contains(&word));
            let end = key.map_or(end, |key| from + key + SECRET_KEY.len());
            let value = line[end..]
                .trim_start_matches(':')
                .trim_start_matches([' ', '\t']);
            return Some(line.len() - value.len());
        }
        from = end + line[end..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

/// True for a key that says where the password is, alone or with a value that can be no password.
fn is_reference(word: &str, rest: &str) -> bool {
    if rest.is_empty() {
        return REFERENCE_KEYS.contains(&word);
    }
    let value = rest.strip_prefix(':').unwrap_or_default().trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    match word {
        "redis_auth_file" => value.starts_with('/'),
        "redis_auth_env" => {
            let end = value.find([' ', '\t', '"', '\'']).unwrap_or(value.len());
            is_variable(&value[..end])
        }
        _ => false,
    }
}

/// True for what variables of the environment are usually called.
pub(super) fn is_variable(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_') && name.chars().all(is_letter)
}

/// True for a key that may well hold a password.
fn is_secret_key(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let mut parts = ["auth", "pass", "secret"].iter();
    (lower != OPEN_KEY && parts.any(|part| lower.contains(part))) || looks_secret(word)
}

/// True for `redis_auth` and what a slip of the keyboard makes of it.
fn looks_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    lower.contains(SECRET_KEY)
        || (word.len() <= SECRET_KEY.len() + 3
            && strsim::damerau_levenshtein(&lower, SECRET_KEY) <= 3)
}

fn truncated(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, secrets: &[Range<usize>]) -> Lines {
        Lines::new(text, secrets, |word| matches!(word, "hash" | "redis_auth"))
    }

    fn shown(text: &str, needle: &str) -> String {
        lines(text, &[]).line(text.find(needle).unwrap()).1
    }

    #[test]
    fn lines_without_passwords_are_shown_whole() {
        let text = "a:\n  hash: md5\r\n   - auth.example.com:6379:1 x # y\n";
        assert_eq!(shown(text, "a:"), "a:");
        assert_eq!(shown(text, "md5"), "  hash: md5");
        assert_eq!(shown(text, "6379"), "   - auth.example.com:6379:1 x # y");
    }

    #[test]
    fn what_follows_a_password_key_is_hidden() {
        for key in [
            "redis_auth",
            "redis_auht",
            "Redis-Auth",
            "edis_auth",
            "password",
            "auth",
        ] {
            for text in [
                format!("  {key}: S3"),
                format!("  {key}:S3"),
                format!("  {key} S3"),
            ] {
                let shown = shown(&text, key);
                assert!(
                    shown.contains(key) && !shown.contains("S3"),
                    "{text} {shown}"
                );
            }
        }
        assert_eq!(
            shown("a: {redis_auth: S3}", "a"),
            "a: {redis_auth: (hidden)"
        );
        assert_eq!(shown("  # redis_auth: S3", "#"), "  # redis_auth: (hidden)");
        assert_eq!(quoted("md5 redis_auth:S3"), "'md5 redis_auth:(hidden)'");
    }

    #[test]
    fn where_a_password_is_found_is_shown() {
        for line in [
            "  redis_auth_file: /run/password # x",
            "  redis_auth_file: \"/run/password\"",
            "  redis_auth_env: REDIS_PASSWORD",
            "  tls_client_auth: required",
        ] {
            assert_eq!(shown(line, line.trim()), line);
        }
        for line in [
            "  redis_auth_file: S3",
            "  redis_auth_env: s3S3",
            "  redis_auth_env:S3-",
            "  redis_auth_fiel: /S3",
        ] {
            assert!(!shown(line, "redis").contains("S3"), "{line}");
        }
    }

    #[test]
    fn a_password_may_go_on_over_lines() {
        let text = "a:\n  redis_auth: |\n    S3\n    S4\n  hash: md5\nb:\n";
        assert_eq!(shown(text, "S3"), "    (hidden)");
        assert_eq!(shown(text, "S4"), "    (hidden)");
        assert_eq!(shown(text, "md5"), "  hash: md5");
        assert_eq!(shown(text, "b:"), "b:");
        let text = "a:\n  redis_auth: \"S3\n  S4\"\n";
        assert_eq!(shown(text, "S4"), "  (hidden)");
        let text = "a:\n  redis_auth:\nS3\n";
        assert_eq!(shown(text, "S3"), "(hidden)");
    }

    #[test]
    fn the_key_after_a_password_is_shown() {
        let text = "a:\n  redis_auth: S3\n  hahs: md5\n";
        assert_eq!(shown(text, "hahs"), "  hahs: md5");
    }

    #[test]
    fn known_places_of_passwords_are_hidden() {
        let text = "a:\n  \"redis\\x5fa\": S3\n";
        let secret = text.find("S3").unwrap();
        let known = secret..secret + 2;
        let lines = lines(text, &[known]);
        assert_eq!(lines.line(secret).1, "  \"redis\\x5fa\": (hidden)");
        assert_eq!(lines.scrub("not 'S3'".to_owned()), "not (hidden)");
    }

    #[test]
    fn quotations_are_short_and_on_one_line() {
        assert_eq!(quoted("a\nb\u{1b}"), r"'a\nb\u{1b}'");
        assert!(quoted(&"é".repeat(1000)).len() < 100);
    }
}
