//! SSCAN, HSCAN, ZSCAN: walks through one collection, in parts. What is kept in one run is visited
//! all at once, as Redis does with what is small.

use super::compact::element::Piece;
use super::compact::pages::Pages;
use super::errors::{Error, Outcome};
use super::scan::{self, Options};
use crate::command::{Blob, Command, Reply, pattern};

/// One call of SSCAN, HSCAN or ZSCAN.
pub(super) struct Scan<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    found: Vec<Reply>,
}

impl<'a> Scan<'a> {
    /// The cursor given, which is read before the key is looked up.
    pub(super) fn cursor(command: &Command<'a>) -> Result<u64, Error> {
        scan::cursor_number(command.arg(2))
    }

    /// Reads the options.
    pub(super) fn parse(command: &Command<'a>) -> Result<Scan<'a>, Error> {
        let options = Options::parse(command, 3, false)?;
        Ok(Scan {
            pattern: options.pattern,
            count: options.count,
            found: Vec::new(),
        })
    }

    /// Notes an element, with its value or score.
    pub(super) fn visit(&mut self, element: Piece<'_>, value: Option<&[u8]>) {
        let element = element.blob();
        if self
            .pattern
            .is_none_or(|wanted| pattern::matches(wanted, &element, false))
        {
            self.found.push(Reply::Bulk(element));
            self.found.extend(value.map(Reply::bulk));
        }
    }

    /// Visits about as many records of a table as were asked for, from a cursor on; returns the one
    /// to go on with. `value` makes the text of a value from its bytes.
    pub(super) fn visit_table<const W: usize>(
        &mut self,
        mut cursor: u64,
        table: &Pages<W>,
        value: impl Fn(&[u8]) -> Blob,
    ) -> u64 {
        let mut visited = 0;
        loop {
            cursor = table.scan(cursor, |(element, bytes)| {
                visited += 1;
                let text = (!bytes.is_empty()).then(|| value(bytes));
                self.visit(element, text.as_deref());
            });
            if cursor == 0 || visited >= self.count {
                return cursor;
            }
        }
    }

    /// The reply, with the cursor to go on with.
    pub(super) fn reply(self, next: u64) -> Outcome {
        let next = Reply::bulk(itoa::Buffer::new().format(next));
        Ok(Reply::Array(vec![next, Reply::Array(self.found)]))
    }
}

/// The reply if the key is absent.
pub(super) fn no_elements() -> Reply {
    Reply::Array(vec![Reply::bulk("0"), Reply::Array(Vec::new())])
}
