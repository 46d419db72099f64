//! MEMORY USAGE: about how many bytes a key and its value take.

use super::entry::Entry;
use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::view::View;
use crate::command::{Command, Reply};

/// What the index takes for a key, its share of the free places included.
const INDEXED: usize = 7;

pub(super) fn usage(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    check_options(command)?;
    let slot = view.slot(command.arg(2));
    let bytes = slot.peek().map(|entry| footprint(&entry));
    Ok(bytes.map_or(Reply::Null, |bytes| Reply::Int(bytes as i64)))
}

/// Bytes that a key and its value take.
pub(super) fn footprint(entry: &Entry<'_>) -> usize {
    INDEXED + entry.bytes()
}

/// How many elements are to be looked at says nothing here: all are always counted.
fn check_options(command: &Command<'_>) -> Result<(), Error> {
    let mut words = command.args(3);
    while let Some(word) = words.next() {
        let argument = words.next().ok_or(SYNTAX)?;
        if !word.eq_ignore_ascii_case(b"samples") {
            return Err(SYNTAX.into());
        }
        let given = numbers::integer_argument(argument)?;
        usize::try_from(given).map_err(|_| SYNTAX)?;
    }
    Ok(())
}
