//! SSCAN, HSCAN, ZSCAN: walks through one collection, in parts.
//!
//! The cursor is the number of elements, by their places in the collection's table, that are still
//! to be visited: the walk goes from the last place down to the first. A removed element's place is
//! taken by the last one, so that an element that stays only ever moves down, and none is missed;
//! one that was visited may come again.

use std::ops::Range;

use super::errors::{Error, Outcome};
use super::scan::{self, Options};
use crate::command::{Command, Reply, pattern};

/// One call of SSCAN, HSCAN or ZSCAN.
pub(super) struct Scan<'a> {
    pattern: Option<&'a [u8]>,
    places: Range<usize>,
    found: Vec<Reply>,
}

impl<'a> Scan<'a> {
    /// The cursor given, which is read before the key is looked up.
    pub(super) fn cursor(command: &Command<'a>) -> Result<u64, Error> {
        scan::cursor_number(command.arg(2))
    }

    /// Reads the options of a walk through `len` elements; through all of them at once if they are
    /// few, as Redis does.
    pub(super) fn parse(
        command: &Command<'a>,
        cursor: u64,
        len: usize,
        are_few: bool,
    ) -> Result<Scan<'a>, Error> {
        let options = Options::parse(command, 3, false)?;
        let end = usize::try_from(cursor).unwrap_or(usize::MAX);
        let end = if are_few || end == 0 {
            len
        } else {
            end.min(len)
        };
        let start = if are_few {
            0
        } else {
            end.saturating_sub(options.count)
        };
        Ok(Scan {
            pattern: options.pattern,
            places: start..end,
            found: Vec::new(),
        })
    }

    /// The places to visit.
    pub(super) fn places(&self) -> Range<usize> {
        self.places.clone()
    }

    /// Notes the element of a place, with its value or score.
    pub(super) fn visit(&mut self, element: &[u8], value: Option<&[u8]>) {
        if self
            .pattern
            .is_none_or(|wanted| pattern::matches(wanted, element, false))
        {
            self.found.push(Reply::bulk(element));
            self.found.extend(value.map(Reply::bulk));
        }
    }

    /// The reply, with the cursor to go on with.
    pub(super) fn reply(self) -> Outcome {
        let next = Reply::bulk(itoa::Buffer::new().format(self.places.start));
        Ok(Reply::Array(vec![next, Reply::Array(self.found)]))
    }
}

/// The reply if the key is absent.
pub(super) fn no_elements() -> Reply {
    Reply::Array(vec![Reply::bulk("0"), Reply::Array(Vec::new())])
}
