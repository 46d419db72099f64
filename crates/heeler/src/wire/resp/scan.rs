//! Replies of servers: where one ends. What is in it is left as it is.

use super::Fault;
use crate::command::number;
use crate::limits;

/// Finds the replies of one server connection in its bytes, without looking at a byte twice
/// (lines excepted: a cut line is short and read again).
#[derive(Debug, Default)]
pub struct Scanner {
    /// How many bytes of the reply at hand have been read.
    at: usize,
    /// Values still to come on each level of nesting; empty before a reply starts.
    open: Vec<usize>,
}

impl Scanner {
    /// Reads on in `bytes`, which start with the reply at hand. Returns the reply's length once it
    /// is whole, `None` where more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not RESP, or past a limit.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        if self.open.is_empty() {
            self.open.push(1);
            self.at = 0;
        }
        while let Some(level) = self.open.last_mut() {
            if *level == 0 {
                self.open.pop();
                continue;
            }
            let Some((length, inner)) = value(&bytes[self.at..])? else {
                return Ok(None);
            };
            self.at += length;
            if self.at > limits::REPLY_BYTES {
                return Err(Fault::new("reply too large"));
            }
            *level -= 1;
            if inner > 0 {
                if self.open.len() == limits::REPLY_DEPTH {
                    return Err(Fault::new("reply nested too deeply"));
                }
                self.open.push(inner);
            }
        }
        Ok(Some(self.at))
    }

    /// How many bytes the reply at hand has at least, as far as it is known.
    pub fn expects(&self, bytes: &[u8]) -> usize {
        // Between two replies the place is still the end of the last.
        let at = if self.open.is_empty() { 0 } else { self.at };
        match bytes.get(at..) {
            Some([b'$' | b'=' | b'!', rest @ ..]) => {
                let line = rest
                    .iter()
                    .take(limits::LENGTH_DIGITS)
                    .position(|&b| b == b'\r');
                let length = line
                    .and_then(|end| number::integer(&rest[..end]))
                    .unwrap_or(0);
                at + length.clamp(0, limits::REPLY_BYTES as i64) as usize
            }
            _ => at,
        }
    }
}

/// The length of the value at the start of `bytes`, and how many values belong to it that follow:
/// of an aggregate, its first line is the value.
fn value(bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let Some(&kind) = bytes.first() else {
        return Ok(None);
    };
    let Some(line) = line(kind, bytes)? else {
        return Ok(None);
    };
    let after = line.len() + 3;
    match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Ok(Some((after, 0))),
        b'$' | b'=' | b'!' => match length(line)? {
            None => Ok(Some((after, 0))),
            Some(length) => match bytes.get(after + length..after + length + 2) {
                None => Ok(None),
                Some(b"\r\n") => Ok(Some((after + length + 2, 0))),
                Some(_) => Err(Fault::new("expected CRLF after bulk string")),
            },
        },
        b'*' | b'~' | b'>' => Ok(Some((after, length(line)?.unwrap_or(0)))),
        b'%' => Ok(Some((after, 2 * length(line)?.unwrap_or(0)))),
        other => {
            let shown = char::from(other).escape_default();
            Err(Fault::new(format!("unknown reply type '{shown}'")))
        }
    }
}

/// The first line without its type and its CRLF.
fn line(kind: u8, bytes: &[u8]) -> Result<Option<&[u8]>, Fault> {
    let rest = &bytes[1..];
    let short = !matches!(kind, b'+' | b'-' | b'(');
    let limit = if short {
        limits::LENGTH_DIGITS
    } else {
        limits::LINE_BYTES
    };
    let window = &rest[..rest.len().min(limit)];
    let end = match short {
        true => window.iter().position(|&b| b == b'\r'),
        false => memchr::memchr(b'\r', window),
    };
    match end {
        None if rest.len() > limit => Err(Fault::new("reply line too long")),
        None => Ok(None),
        Some(end) => match rest.get(end + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(&rest[..end])),
            Some(_) => Err(Fault::new("expected LF after CR")),
        },
    }
}

/// A length; `-1` is the null of RESP2.
fn length(line: &[u8]) -> Result<Option<usize>, Fault> {
    match number::integer(line) {
        Some(-1) => Ok(None),
        Some(length) if (0..=limits::REPLY_BYTES as i64).contains(&length) => {
            Ok(Some(length as usize))
        }
        _ => Err(Fault::new("invalid length in reply")),
    }
}

/// The elements of an array reply that is whole: their bytes one by one.
#[derive(Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Elements<'a> {
    /// `None` where the reply is not an array.
    pub fn of(reply: &'a [u8]) -> Option<Elements<'a>> {
        if !matches!(reply.first(), Some(b'*' | b'~')) {
            return None;
        }
        let head = line(b'*', reply).ok()??;
        let left = length(head).ok()??;
        Some(Elements {
            rest: &reply[head.len() + 3..],
            left,
        })
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let length = Scanner::default().scan(self.rest).ok()??;
        let (element, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(element)
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
            while !buffer.is_empty()
                && let Some(length) = scanner.scan(buffer)?
            {
                found.push(length);
                buffer.drain(..length);
            }
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn what_is_expected_starts_with_the_reply_at_hand() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(b"*2\r\n:1\r\n$100\r\nabc"), Ok(None));
        assert_eq!(scanner.expects(b"*2\r\n:1\r\n$100\r\nabc"), 108);
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(b":1\r\n$100\r\nabc"), Ok(Some(4)));
        assert_eq!(scanner.expects(b"$100\r\nabc"), 100);
    }

    #[test]
    fn ends_are_found_however_the_bytes_are_cut() {
        for reply in [
            "+OK\r\n",
            "-ERR no\r\n",
            ":1\r\n",
            "$-1\r\n",
            "$3\r\na\r\n\r\n",
            "*-1\r\n",
            "*0\r\n",
            "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
            "%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n",
            "~2\r\n#t\r\n,1.5\r\n",
            "=7\r\ntxt:abc\r\n",
            "_\r\n",
            "(3492890328409238509324850943850943825024385\r\n",
        ] {
            let twice = [reply, reply].concat();
            for piece in [1, 2, 3, 5, 100] {
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
        let deep = "*1\r\n".repeat(limits::REPLY_DEPTH + 1);
        for (bytes, fault) in [
            ("x\r\n", "unknown reply type 'x'"),
            ("$x\r\n", "invalid length in reply"),
            ("$-2\r\n", "invalid length in reply"),
            ("$1\r\nabc", "expected CRLF after bulk string"),
            (deep.as_str(), "reply nested too deeply"),
        ] {
            assert_eq!(
                lengths(bytes.as_bytes(), 100),
                Err(Fault::new(fault)),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn elements_of_an_array() {
        let reply = b"*3\r\n$1\r\na\r\n$-1\r\n*1\r\n:1\r\n";
        let elements: Vec<&[u8]> = Elements::of(reply).unwrap().collect();
        assert_eq!(elements, [&b"$1\r\na\r\n"[..], b"$-1\r\n", b"*1\r\n:1\r\n"]);
        assert!(Elements::of(b":1\r\n").is_none());
        assert!(Elements::of(b"*-1\r\n").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let whole = lengths(&bytes, usize::MAX);
            if whole.is_ok() {
                prop_assert_eq!(lengths(&bytes, 1), whole);
            }
        }
    }
}
