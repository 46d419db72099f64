//! Passwords are cut out of every source line and every quotation that an error shows.
//!
//! A file with a mistake in it cannot be trusted to say where its passwords are: the mistake may
//! be in the very key. So whatever follows a word that looks like a password's key is hidden.

use std::ops::Range;

/// What is shown in place of a password.
const HIDDEN: &str = "(hidden)";
/// The key whose value is a password.
const SECRET_KEY: &str = "redis_auth";
/// Bytes of a quoted value that are shown.
const QUOTED_BYTES: usize = 80;
/// Bytes of a source line that are shown.
const LINE_BYTES: usize = 2048;

/// The line of `text` that holds byte `at`, without what is secret: `secrets` are the places of
/// known passwords in `text`. `is_key` tells the known keys.
pub(super) fn line(
    text: &str,
    at: usize,
    secrets: &[Range<usize>],
    is_key: impl Fn(&str) -> bool,
) -> String {
    let start = line_start(text, at);
    let line = text[start..].split(['\n', '\r']).next().unwrap_or_default();
    let goes_on = inside_password(&text[..start], indent(line), is_key);
    let mut shown = if goes_on && !is_pool_header(line) {
        format!("{}{HIDDEN}", &line[..indent(line)])
    } else {
        words_hidden(line)
    };
    let secret = secrets
        .iter()
        .find(|s| s.start < start + line.len() && s.end > start);
    if let Some(secret) = secret {
        let kept = secret.start.saturating_sub(start);
        shown = format!("{}{HIDDEN}", &line[..kept]);
    }
    truncated(shown, LINE_BYTES)
}

/// A value in single quotes, on one line and of bounded length, as messages show it.
pub(super) fn quoted(value: &str) -> String {
    let shown: String = words_hidden(value)
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
    let header = text[..start].lines().rev().find(|line| is_pool_header(line))?;
    let name = header.split(" #").next().unwrap_or_default().trim_end().trim_end_matches(':');
    Some(name.trim_matches(['"', '\'', '\u{feff}']).trim_end().to_owned())
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

/// True if a line of this indentation may go on with the password of a line before it.
fn inside_password(before: &str, indentation: usize, is_key: impl Fn(&str) -> bool) -> bool {
    for line in before.lines().rev() {
        let word = first_word(line);
        if is_secret_key(word) {
            return indentation > indent(line) || !ends_on_its_line(line);
        }
        if is_pool_header(line) || is_key(word) {
            return false;
        }
    }
    false
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// True for `key: value` where the value cannot go on over the next line of the same indentation.
fn ends_on_its_line(line: &str) -> bool {
    let value = line.split_once(':').map_or("", |(_, value)| value.trim());
    match value.chars().next() {
        None | Some('|' | '>' | '#') => false,
        Some(quote @ ('"' | '\'')) => value.len() > 1 && value.ends_with(quote),
        Some(_) => true,
    }
}

/// `name:` at the left margin and nothing behind it.
fn is_pool_header(line: &str) -> bool {
    let line = line.split(" #").next().unwrap_or_default().trim_end();
    line.ends_with(':') && !line.starts_with([' ', '\t']) && !looks_secret(first_word(line))
}

fn words_hidden(line: &str) -> String {
    let is_item = line.trim_start().starts_with("- ");
    let mut first = !is_item && !is_pool_header(line);
    let mut from = 0;
    for word in line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-') {
        let end = from + word.len();
        let secret = looks_secret(word) || (first && is_secret_key(word));
        first &= word.is_empty();
        if secret && end < line.trim_end().len() {
            let (end, rest) = match line[end..].strip_prefix(':') {
                Some(rest) => (end + 1, rest),
                None => (end, &line[end..]),
            };
            let blank = if rest.starts_with([' ', '	']) { " " } else { "" };
            return format!("{}{blank}{HIDDEN}", &line[..end]);
        }
        from = end + line[end..].chars().next().map_or(0, char::len_utf8);
    }
    line.to_owned()
}

/// True for a key that may well hold a password.
fn is_secret_key(word: &str) -> bool {
    let lower = word.to_lowercase();
    ["auth", "pass", "secret"]
        .iter()
        .any(|part| lower.contains(part))
        || looks_secret(word)
}

/// True for `redis_auth` and what a slip of the keyboard makes of it.
fn looks_secret(word: &str) -> bool {
    let lower = word.to_lowercase();
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

    fn shown(text: &str, needle: &str) -> String {
        let at = text.find(needle).unwrap();
        line(text, at, &[], |word| matches!(word, "hash" | "redis_auth"))
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
                let shown = line(&text, 0, &[], |_| false);
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
        assert_eq!(
            line(text, secret, &[known], |_| false),
            "  \"redis\\x5fa\": (hidden)"
        );
    }

    #[test]
    fn quotations_are_short_and_on_one_line() {
        assert_eq!(quoted("a\nb\u{1b}"), r"'a\nb\u{1b}'");
        assert!(quoted(&"é".repeat(1000)).len() < 100);
    }
}
