//! The arguments of commands, for `COMMAND DOCS`: what they are called and how they go together, so
//! that clients can show and complete them.
//!
//! `arguments.txt` says what redis-server 7.0.15 says. A command stands at the beginning of a line,
//! its arguments behind it and on lines that are set in:
//!
//! ```text
//! name=type          of the types `key`, `string`, `integer`, `double`, `pattern`, `unix-time`,
//!                    `pure-token`, `oneof` and `block`
//! @0                 which of the command's key specifications finds it
//! `TOKEN`            the word before it, or in place of it
//! ^6.2.0 ~7.0.0      the versions of Redis that had it first, and that advise against it
//! ? * +              it may be left out; it may come again; so may its token
//! {…}                those of which it consists
//! ```

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Reply;

const TEXT: &str = include_str!("arguments.txt");

static COMMANDS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let mut found = HashMap::new();
    let mut rest = TEXT;
    while !rest.is_empty() {
        let breaks = rest.match_indices('\n').map(|(at, _)| at + 1);
        let mut ends = breaks.filter(|at| !rest[*at..].starts_with(' '));
        let (command, more) = rest.split_at(ends.next().unwrap_or(rest.len()));
        found.extend(command.split_once(' '));
        rest = more;
    }
    found
});

/// The arguments of a command; `None` if it has none.
pub(super) fn arguments(name: &str) -> Option<Reply> {
    let mut text = *COMMANDS.get(name)?;
    Some(list(&mut text))
}

/// The arguments up to a closing brace, or to the end.
fn list(text: &mut &'static str) -> Reply {
    let mut found = Vec::new();
    loop {
        *text = text.trim_ascii_start();
        match text.split_once('=') {
            Some((name, rest)) if !text.starts_with('}') => {
                *text = rest;
                found.push(argument(name, text));
            }
            _ => return Reply::Array(found),
        }
    }
}

fn argument(name: &str, text: &mut &'static str) -> Reply {
    let kind = word(text, |c| c.is_ascii_lowercase() || c == '-');
    let mut facts = vec![("name", Reply::bulk(name)), ("type", Reply::bulk(kind))];
    let (mut flags, mut parts) = (Vec::new(), None);
    let is_of_version = |c: char| c.is_ascii_digit() || c == '.';
    while let Some(mark) = text.chars().next().filter(|c| "@`^~?*+{".contains(*c)) {
        *text = &text[1..];
        match mark {
            '@' => {
                let index = word(text, |c| c.is_ascii_digit()).parse().unwrap_or(0);
                facts.push(("key_spec_index", Reply::Int(index)));
            }
            '`' => {
                facts.push(("token", Reply::bulk(word(text, |c| c != '`'))));
                *text = text.strip_prefix('`').unwrap_or(text);
            }
            '^' => facts.push(("since", Reply::bulk(word(text, is_of_version)))),
            '~' => facts.push(("deprecated_since", Reply::bulk(word(text, is_of_version)))),
            '?' => flags.push(Reply::Status("optional")),
            '*' => flags.push(Reply::Status("multiple")),
            '+' => flags.push(Reply::Status("multiple_token")),
            _ => {
                parts = Some(list(text));
                *text = text.strip_prefix('}').unwrap_or(text);
            }
        }
    }
    if !flags.is_empty() {
        facts.push(("flags", Reply::Set(flags)));
    }
    facts.extend(parts.map(|parts| ("arguments", parts)));
    let facts = facts.into_iter();
    Reply::Map(
        facts
            .map(|(name, fact)| (Reply::bulk(name), fact))
            .collect(),
    )
}

/// The characters of a kind that come first.
fn word(text: &mut &'static str, is_of_it: impl Fn(char) -> bool) -> &'static str {
    let end = text.find(|c| !is_of_it(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    *text = rest;
    word
}
