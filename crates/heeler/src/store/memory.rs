//! MEMORY USAGE: about how many bytes a key and its value take.

use std::mem::size_of;

use super::entry::{Entry, Object};
use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::view::View;
use crate::command::{Command, Reply};

/// A bucket of the table of keys, with its share of the buckets that are free.
const BUCKET: usize = size_of::<Entry>() * 4 / 3 + 1;

pub(super) fn usage(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    check_samples(command)?;
    let slot = view.slot(command.arg(2));
    let bytes = slot
        .peek()
        .map(|entry| BUCKET + entry.allocated() + entry.as_object().map_or(0, Object::allocated));
    Ok(bytes.map_or(Reply::Null, |bytes| Reply::Int(bytes as i64)))
}

/// Checks the number of elements to look at, which need not be looked at here.
fn check_samples(command: &Command<'_>) -> Result<(), Error> {
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
