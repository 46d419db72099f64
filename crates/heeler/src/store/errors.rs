//! Redis's error texts, and what a command's function returns.

use std::borrow::Cow;

use crate::command::{Command, Reply};

/// What a command comes to: a reply, or the text of an error.
pub(super) type Outcome = Result<Reply, Error>;
/// An error's code and text.
pub(super) type Error = Cow<'static, str>;

pub(super) const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const NOT_AN_INT: &str =
    "ERR value is out of range, value must between -2147483648 and 2147483647";
pub(super) const NOT_A_FLOAT: &str = "ERR value is not a valid float";
pub(super) const NO_SUCH_KEY: &str = "ERR no such key";
pub(super) const OVERFLOW: &str = "ERR increment or decrement would overflow";
pub(super) const DECREMENT_OVERFLOW: &str = "ERR decrement would overflow";
pub(super) const NOT_FINITE: &str = "ERR increment would produce NaN or Infinity";
pub(super) const OFFSET: &str = "ERR offset is out of range";
pub(super) const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
pub(super) const DB_INDEX: &str = "ERR DB index is out of range";
pub(super) const SAME_OBJECT: &str = "ERR source and destination objects are the same";

/// The command's name as Redis writes it in an error.
pub(super) fn name(command: &Command<'_>) -> &'static str {
    command.spec.name
}

/// A deadline that makes no sense: zero, negative, or past what 64 bits hold.
pub(super) fn invalid_expire_time(command: &Command<'_>) -> Error {
    format!("ERR invalid expire time in '{}' command", name(command)).into()
}

/// Too few or too many arguments, where the table's arity does not tell.
pub(super) fn wrong_arguments(command: &Command<'_>) -> Error {
    let name = name(command);
    format!("ERR wrong number of arguments for '{name}' command").into()
}

/// A client's word in an error text: up to its first zero byte, on one line.
pub(super) fn shown(word: &[u8]) -> String {
    let word = word.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(word).replace(['\r', '\n'], " ")
}
