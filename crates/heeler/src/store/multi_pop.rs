//! The arguments of LMPOP, ZMPOP, BLMPOP and BZMPOP: `numkeys key … where [COUNT count]`.

use super::errors::{Error, SYNTAX};
use super::numbers;
use crate::command::Command;

/// Which keys to pop from, at which end, and how many elements at most.
pub(super) struct MultiPop<E> {
    /// Where the first key stands.
    pub(super) first: usize,
    /// Number of keys.
    pub(super) keys: usize,
    /// The end.
    pub(super) from: E,
    /// Most elements.
    pub(super) count: usize,
}

impl<E> MultiPop<E> {
    /// Reads the arguments from the number of keys on, which stands at `at`.
    pub(super) fn parse(
        command: &Command<'_>,
        at: usize,
        end: impl Fn(&[u8]) -> Result<E, Error>,
    ) -> Result<MultiPop<E>, Error> {
        let keys = at_least_one(command.arg(at), "ERR numkeys should be greater than 0")?;
        let place = keys.saturating_add(at + 1);
        if place >= command.len() {
            return Err(SYNTAX.into());
        }
        let from = end(command.arg(place))?;
        let mut count = None;
        let mut words = command.args(place + 1);
        while let Some(word) = words.next() {
            let argument = words.next().ok_or(SYNTAX)?;
            if count.is_some() || !word.eq_ignore_ascii_case(b"count") {
                return Err(SYNTAX.into());
            }
            count = Some(at_least_one(
                argument,
                "ERR count should be greater than 0",
            )?);
        }
        Ok(MultiPop {
            first: at + 1,
            keys,
            from,
            count: count.unwrap_or(1),
        })
    }
}

fn at_least_one(bytes: &[u8], error: &'static str) -> Result<usize, Error> {
    match numbers::integer(bytes).map(usize::try_from) {
        Some(Ok(number)) if number > 0 => Ok(number),
        _ => Err(error.into()),
    }
}
