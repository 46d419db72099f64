//! Replies of servers: where one ends. What is in it is left as it is.

use super::{END, Fault};
use crate::limits;

/// Finds the replies of one server connection in its bytes, without looking at a byte twice
/// (lines excepted: a cut line is short and read again).
#[derive(Debug, Default)]
pub struct Scanner {
    /// How many bytes of the reply at hand have been read.
    at: usize,
    /// How many it has at least.
    expects: usize,
    /// Values, or lines of statistics, have come: an end is to come.
    open: bool,
}

/// What a line of a reply is.
enum Line {
    /// All of the reply, or the last of it.
    Last,
    /// One of several.
    One,
    /// One of several, with so many bytes of data.
    Value(usize),
    /// All of the reply, with so many bytes of data.
    LastValue(usize),
}

impl Scanner {
    /// Reads on in `bytes`, which start with the reply at hand. Returns the reply's length once it
    /// is whole, `None` where more bytes are needed.
    ///
    /// # Errors
    /// The bytes are no reply, or past a limit.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(line) = line(rest)? else {
                return Ok(None);
            };
            let (data, is_last) = match kind(line, self.open)? {
                Line::Last => (None, true),
                Line::One => (None, false),
                Line::Value(length) => (Some(length), false),
                Line::LastValue(length) => (Some(length), true),
            };
            let mut end = self.at + line.len() + 2;
            if let Some(length) = data {
                let data = end;
                end += length + 2;
                if end > limits::REPLY_BYTES {
                    return Err(Fault("reply too large"));
                }
                match bytes.get(data + length..end) {
                    None => {
                        self.expects = end;
                        return Ok(None);
                    }
                    Some(b"\r\n") => {}
                    Some(_) => return Err(Fault("expected CRLF after data")),
                }
            }
            if is_last {
                *self = Scanner::default();
                return Ok(Some(end));
            }
            (self.at, self.open) = (end, true);
        }
    }

    /// How many bytes the reply at hand has at least, as far as it is known.
    pub fn expects(&self) -> usize {
        self.expects.max(self.at)
    }
}

/// The line at the start, without its CRLF.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    let window = &bytes[..bytes.len().min(limits::LINE_BYTES)];
    match memchr::memchr(b'\n', window) {
        None if bytes.len() > limits::LINE_BYTES => Err(Fault("reply line too long")),
        None => Ok(None),
        Some(end) => match bytes[..end].strip_suffix(b"\r") {
            Some(line) => Ok(Some(line)),
            None => Err(Fault("expected CR before LF")),
        },
    }
}

fn kind(line: &[u8], open: bool) -> Result<Line, Fault> {
    let mut words = line.split(|&b| b == b' ');
    let first = words.next().unwrap_or_default();
    match first {
        b"VALUE" => Ok(Line::Value(length(words.nth(2))?)),
        b"STAT" => Ok(Line::One),
        b"END" | b"SERVER_ERROR" | b"CLIENT_ERROR" | b"ERROR" | b"ERROR:" => Ok(Line::Last),
        _ if open => Err(Fault("expected END after values")),
        b"VA" => Ok(Line::LastValue(length(words.next())?)),
        b"STORED" | b"NOT_STORED" | b"EXISTS" | b"NOT_FOUND" | b"DELETED" | b"TOUCHED" | b"OK"
        | b"VERSION" | b"HD" | b"EN" | b"NS" | b"EX" | b"NF" | b"MN" | b"ME" => Ok(Line::Last),
        number if !number.is_empty() && number.iter().all(u8::is_ascii_digit) => Ok(Line::Last),
        _ => Err(Fault("unknown reply")),
    }
}

fn length(word: Option<&[u8]>) -> Result<usize, Fault> {
    let text = std::str::from_utf8(word.unwrap_or_default()).unwrap_or_default();
    match text.parse() {
        Ok(length) if length <= limits::REPLY_BYTES && !text.starts_with('+') => Ok(length),
        _ => Err(Fault("invalid length in reply")),
    }
}

/// The values in a whole reply to a get: the key and all bytes of each.
#[derive(Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    /// Of a reply that a [`Scanner`] has found.
    pub fn of(reply: &'a [u8]) -> Items<'a> {
        Items { rest: reply }
    }

    /// What comes after the last value: `END`, or an error.
    pub fn end(mut self) -> &'a [u8] {
        while self.next().is_some() {}
        self.rest
    }

    /// Whether nothing but `END` is left.
    pub fn is_over(&self) -> bool {
        self.rest == END
    }

    /// The next value, which stays.
    pub fn peek(&self) -> Option<(&'a [u8], &'a [u8])> {
        let line = line(self.rest).ok()??;
        let Ok(Line::Value(length)) = kind(line, true) else {
            return None;
        };
        let key = line.split(|&b| b == b' ').nth(1)?;
        let item = self.rest.get(..line.len() + 2 + length + 2)?;
        Some((key, item))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, item) = self.peek()?;
        self.rest = &self.rest[item.len()..];
        Some((key, item))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::pieces::in_pieces;

    fn lengths(bytes: &[u8], piece: usize) -> Result<Vec<usize>, Fault> {
        let (mut scanner, mut found) = (Scanner::default(), Vec::new());
        in_pieces(bytes, &[piece], |buffer| {
            let mut expected = scanner.expects();
            while let Some(length) = scanner.scan(buffer)? {
                assert!(length >= expected, "{expected} of {length}");
                expected = 0;
                found.push(length);
                buffer.drain(..length);
            }
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn ends_are_found_however_the_bytes_are_cut() {
        for reply in [
            "STORED\r\n",
            "NOT_STORED\r\n",
            "EXISTS\r\n",
            "NOT_FOUND\r\n",
            "DELETED\r\n",
            "TOUCHED\r\n",
            "OK\r\n",
            "42\r\n",
            "18446744073709551615\r\n",
            "VERSION 1.6.18\r\n",
            "ERROR\r\n",
            "ERROR: shutdown not enabled\r\n",
            "ERROR Too many open connections\r\n",
            "CLIENT_ERROR bad command line format\r\n",
            "SERVER_ERROR object too large for cache\r\n",
            "END\r\n",
            "VALUE a 0 0\r\n\r\nEND\r\n",
            "VALUE a 0 5 17\r\nEND\r\n\r\nVALUE b 7 2\r\n\r\n\r\nEND\r\n",
            "VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory writing get response\r\n",
            "STAT pid 1\r\nSTAT version 1.6.18\r\nEND\r\n",
            "HD\r\n",
            "HD t30 O7\r\n",
            "VA 4 kabc t-1\r\n\r\n\r\n\r\n",
            "EN\r\n",
            "NS\r\n",
            "EX\r\n",
            "NF\r\n",
            "MN\r\n",
            "ME n exp=-1 la=0 cas=20 fetch=no cls=1 size=61\r\n",
        ] {
            let twice = [reply, reply].concat();
            for piece in [1, 2, 3, 5, 1000] {
                let expected = Ok(vec![reply.len(), reply.len()]);
                assert_eq!(
                    lengths(twice.as_bytes(), piece),
                    expected,
                    "{reply:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_a_fault() {
        let long = "VERSION ".repeat(limits::LINE_BYTES / 8) + "x";
        for (bytes, fault) in [
            ("stored\r\n", "unknown reply"),
            ("\r\n", "unknown reply"),
            ("-1\r\n", "unknown reply"),
            ("+OK\r\n", "unknown reply"),
            ("STORED\n", "expected CR before LF"),
            ("VALUE a 0\r\n", "invalid length in reply"),
            ("VALUE a 0 -1\r\n", "invalid length in reply"),
            ("VALUE a 0 +1\r\n", "invalid length in reply"),
            ("VA x\r\n", "invalid length in reply"),
            ("VA 99999999999\r\n", "invalid length in reply"),
            ("VALUE a 0 1\r\nxyz", "expected CRLF after data"),
            (
                "VALUE a 0 1\r\nx\r\nSTORED\r\n",
                "expected END after values",
            ),
            (&long, "reply line too long"),
        ] {
            assert_eq!(
                lengths(bytes.as_bytes(), 1000),
                Err(Fault(fault)),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn items_of_a_reply() {
        let reply = b"VALUE a 0 1\r\nx\r\nVALUE b 0 5 7\r\nEND\r\n\r\nEND\r\n";
        let items: Vec<_> = Items::of(reply).collect();
        let a: (&[u8], &[u8]) = (b"a", b"VALUE a 0 1\r\nx\r\n");
        let b: (&[u8], &[u8]) = (b"b", b"VALUE b 0 5 7\r\nEND\r\n\r\n");
        assert_eq!(items, [a, b]);
        assert_eq!(Items::of(reply).end(), END);
        assert!(Items::of(END).is_over());
        assert_eq!(Items::of(b"ERROR\r\n").end(), b"ERROR\r\n");
    }

    fn reply() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "(STORED|42|HD t1|ERROR|END|STAT a b|VALUE a 0 3|VA 2|VALUE a)\r\n"
                .prop_map(String::into_bytes),
            "[a-zEND \r\n]{0,12}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..20),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(replies in prop::collection::vec(reply(), 0..6)) {
            let bytes = replies.concat();
            let whole = lengths(&bytes, usize::MAX);
            prop_assert_eq!(lengths(&bytes, 1), whole);
            Items::of(&bytes).end();
        }
    }
}
