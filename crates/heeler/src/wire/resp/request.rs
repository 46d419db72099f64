//! Requests, read piece by piece as the bytes arrive.

use std::collections::VecDeque;
use std::ops::Range;

use super::{Fault, inline};
use crate::command::{Arg, number};
use crate::limits;

/// Finds the requests of one connection in its bytes.
///
/// It remembers how far it has read the request at hand, so that no byte is looked at twice however
/// the bytes are cut, and it keeps the places of the arguments, not copies of them.
#[derive(Debug)]
pub struct Decoder {
    /// Places of the arguments found so far, counted from their request's first byte: those of the
    /// request at hand and of those that were found with it.
    args: Vec<Arg>,
    /// Which of them are the request's at hand, once it is whole.
    own: Range<usize>,
    /// Requests that have been found beyond it.
    ahead: VecDeque<Found>,
    /// How many bytes of the request have been read.
    at: usize,
    /// Arguments still to come.
    missing: usize,
    state: State,
    /// An inline request, written again as an array of bulk strings.
    rewritten: Vec<u8>,
    /// Longest bulk string.
    most: usize,
    /// Most arguments.
    most_arguments: i64,
    /// Whoever sends the bytes has still to say a password.
    wary: bool,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            args: Vec::new(),
            own: 0..0,
            ahead: VecDeque::new(),
            at: 0,
            missing: 0,
            state: State::Start,
            rewritten: Vec::new(),
            most: limits::BULK_BYTES,
            most_arguments: limits::ARGUMENTS,
            wary: false,
        }
    }
}

/// A request that lies whole in the bytes.
#[derive(Debug)]
struct Found {
    length: usize,
    /// Where its arguments are among those found.
    args: Range<usize>,
}

/// The first byte of a TLS handshake; the second is a 3 (RFC 8446, section 5.1).
const TLS: u8 = 22;
const NO_TLS: &str = "this port speaks no TLS";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first byte of a request.
    #[default]
    Start,
    /// In a line without a length in front.
    Inline,
    /// In the line `*N`.
    Count,
    /// In the line `$N`.
    Length,
    /// In the bytes of an argument of so many bytes.
    Argument(usize),
}

impl Decoder {
    /// One for requests that are passed on to servers.
    pub fn of_pool() -> Decoder {
        Decoder {
            most_arguments: limits::POOL_ARGUMENTS,
            ..Decoder::default()
        }
    }

    /// Bulk strings may have so many bytes from now on: at least [`limits::LEAST_LIMIT`], which no
    /// request is read past at once.
    pub fn set_most(&mut self, bytes: usize) {
        self.most = bytes;
    }

    /// Whether the requests are those of somebody who has still to say a password: then little
    /// memory is kept for them.
    pub fn set_wary(&mut self, wary: bool) {
        self.wary = wary;
    }

    /// Whether that is so.
    #[inline]
    pub fn is_wary(&self) -> bool {
        self.wary
    }

    /// Finds some of the whole requests that `bytes` start with, if what was found before has been
    /// read; returns how many. [`decode`](Decoder::decode) then gives one after the other: the
    /// bytes stay the same meanwhile, but for those that it has read.
    pub fn look_ahead(&mut self, bytes: &[u8]) -> usize {
        if self.wary || self.state != State::Start || !self.ahead.is_empty() {
            return 0;
        }
        self.args.clear();
        let mut at = 0;
        while self.ahead.len() < limits::REQUESTS_AHEAD
            && let Some(found) = whole(&bytes[at..], &mut self.args)
        {
            at += found.length;
            self.ahead.push_back(found);
        }
        self.ahead.len()
    }

    /// The requests that were found ahead in the same `bytes`: their raw bytes, and the places of
    /// their arguments.
    pub fn ahead<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [Arg])> {
        let mut at = 0;
        self.ahead.iter().map(move |found| {
            let raw = &bytes[at..at + found.length];
            at += found.length;
            (raw, &self.args[found.args.clone()])
        })
    }

    /// Reads on in `bytes`, which start with the request at hand. Returns the request's length once
    /// it is whole, then [`request`](Decoder::request) gives it; `None` where more bytes are
    /// needed. An empty line and an empty array are requests without arguments.
    ///
    /// # Errors
    /// The bytes are not RESP, or past a limit.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        if self.state == State::Start {
            if self.ahead.is_empty() && !self.wary {
                self.args.clear();
                self.ahead.extend(whole(bytes, &mut self.args));
            }
            if let Some(found) = self.ahead.pop_front() {
                self.rewritten.clear();
                (self.at, self.own) = (found.length, found.args);
                return Ok(Some(self.at));
            }
            match bytes.first() {
                None => return Ok(None),
                Some(b'*') => self.begin(State::Count, 1),
                // What would be read as a line, and wait for its end.
                Some(&TLS) if bytes.len() == 1 => return Ok(None),
                Some(&TLS) if bytes[1] == 3 => return Err(Fault::new(NO_TLS)),
                Some(_) => self.begin(State::Inline, 0),
            }
        }
        loop {
            let done = match self.state {
                State::Inline => self.inline(bytes)?,
                State::Count => self.count(bytes)?,
                State::Length => self.length(bytes)?,
                State::Argument(length) => self.argument(bytes, length)?,
                State::Start => break,
            };
            if !done {
                return Ok(None);
            }
        }
        self.own = 0..self.args.len();
        Ok(Some(self.at))
    }

    /// The raw bytes and the argument places of the request that [`decode`](Decoder::decode) has
    /// found at the start of the same `bytes`.
    pub fn request<'a>(&'a self, bytes: &'a [u8]) -> (&'a [u8], &'a [Arg]) {
        let raw = if self.rewritten.is_empty() {
            &bytes[..self.at]
        } else {
            &self.rewritten
        };
        (raw, &self.args[self.own.clone()])
    }

    /// How many bytes the request at hand has at least, as far as it is known.
    pub fn expects(&self) -> usize {
        match self.state {
            State::Start => 0,
            State::Argument(length) => self.at + length + 2,
            _ => self.at + 1,
        }
    }

    /// Bytes of memory that the places of arguments take.
    pub fn room(&self) -> usize {
        self.args.capacity() * size_of::<Arg>()
    }

    /// What was read is done with: keeps little room for the places of further arguments.
    pub fn rest(&mut self) {
        let is_between = self.state == State::Start && self.ahead.is_empty();
        if is_between && self.args.capacity() > limits::IDLE_ARGUMENTS {
            (self.args, self.own) = (Vec::new(), 0..0);
        }
    }

    fn begin(&mut self, state: State, at: usize) {
        self.args.clear();
        self.rewritten.clear();
        self.missing = 0;
        self.at = at;
        self.state = state;
    }

    fn count(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        let Some(line) = self.line(bytes, "too big mbulk count string")? else {
            return Ok(false);
        };
        let count = number::integer(line)
            .filter(|&n| n <= self.most_arguments)
            .ok_or_else(|| Fault::new("invalid multibulk length"))?;
        if self.wary && count > limits::STRANGERS_ARGUMENTS {
            return Err(Fault::new("unauthenticated multibulk length"));
        }
        self.missing = count.max(0) as usize;
        self.state = if self.missing == 0 {
            State::Start
        } else {
            State::Length
        };
        Ok(true)
    }

    fn length(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        match bytes.get(self.at) {
            None => return Ok(false),
            Some(b'$') => {}
            Some(&other) => {
                let shown = char::from(other).escape_default();
                return Err(Fault::new(format!("expected '$', got '{shown}'")));
            }
        }
        self.at += 1;
        let Some(line) = self.line(bytes, "too big bulk count string")? else {
            self.at -= 1;
            return Ok(false);
        };
        let length = number::integer(line)
            .filter(|n| (0..=self.most as i64).contains(n))
            .ok_or_else(|| Fault::new("invalid bulk length"))? as usize;
        if self.wary && length > limits::STRANGERS_BULK_BYTES {
            return Err(Fault::new("unauthenticated bulk length"));
        }
        if self.at + length > limits::REQUEST_BYTES {
            return Err(Fault::new("request too large"));
        }
        self.state = State::Argument(length);
        Ok(true)
    }

    fn argument(&mut self, bytes: &[u8], length: usize) -> Result<bool, Fault> {
        let end = self.at + length;
        match bytes.get(end..end + 2) {
            None => return Ok(false),
            Some(b"\r\n") => {}
            Some(_) => return Err(Fault::new("expected CRLF after bulk string")),
        }
        self.args.push(Arg {
            start: self.at as u32,
            end: end as u32,
        });
        self.at = end + 2;
        self.missing -= 1;
        self.state = if self.missing == 0 {
            State::Start
        } else {
            State::Length
        };
        Ok(true)
    }

    fn inline(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        let Some(found) = memchr::memchr(b'\n', &bytes[self.at..]) else {
            // The line so far stays unread: what was searched is not searched again.
            self.at = bytes.len();
            return match self.at > limits::LINE_BYTES {
                true => Err(Fault::new("too big inline request")),
                false => Ok(false),
            };
        };
        let end = self.at + found;
        let line = &bytes[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        inline::rewrite(line, &mut self.rewritten, &mut self.args)?;
        self.at = end + 1;
        self.state = State::Start;
        Ok(true)
    }

    /// The line from where reading stands, without its CRLF, which is then read too.
    fn line<'b>(&mut self, bytes: &'b [u8], too_big: &str) -> Result<Option<&'b [u8]>, Fault> {
        let rest = &bytes[self.at..];
        // Lengths have few digits: a loop beats a search that is made for long lines.
        let Some(end) = rest
            .iter()
            .take(limits::LENGTH_DIGITS)
            .position(|&b| b == b'\r')
        else {
            return match rest.len() > limits::LENGTH_DIGITS {
                true => Err(Fault::new(too_big)),
                false => Ok(None),
            };
        };
        match rest.get(end + 1) {
            None => Ok(None),
            Some(b'\n') => {
                self.at += end + 2;
                Ok(Some(&rest[..end]))
            }
            Some(_) => Err(Fault::new("expected LF after CR")),
        }
    }
}

/// The request at the start of the bytes if all of it is there, in the form in which clients write
/// it: then it is read without a step from state to state.
#[inline]
fn whole(bytes: &[u8], args: &mut Vec<Arg>) -> Option<Found> {
    let first = args.len();
    let length = whole_length(bytes, args);
    if length.is_none() {
        args.truncate(first);
    }
    let args = first..args.len();
    length.map(|length| Found { length, args })
}

#[inline]
fn whole_length(bytes: &[u8], args: &mut Vec<Arg>) -> Option<usize> {
    let (count, mut at) = short_number(bytes, b'*', 0)?;
    if count == 0 {
        return None;
    }
    for _ in 0..count {
        let (length, start) = short_number(bytes, b'$', at)?;
        let end = start + length;
        if bytes.get(end..end + 2)? != b"\r\n" || end > limits::REQUEST_BYTES {
            return None;
        }
        args.push(Arg {
            start: start as u32,
            end: end as u32,
        });
        at = end + 2;
    }
    Some(at)
}

/// The number of up to six digits in a line at `at` which begins with `mark`, and where the next
/// line begins. `None` if it is not there, not whole, or written in another way.
#[inline]
fn short_number(bytes: &[u8], mark: u8, at: usize) -> Option<(usize, usize)> {
    const DIGITS: usize = 6;
    let digit = |byte: u8| usize::from(byte.wrapping_sub(b'0'));
    let line = bytes.get(at..)?;
    let (&[first, second], rest) = line.split_first_chunk()?;
    let mut number = digit(second);
    if first != mark || number > 9 {
        return None;
    }
    for (i, &byte) in rest.iter().enumerate().take(DIGITS) {
        if byte == b'\r' {
            return (rest.get(i + 1) == Some(&b'\n')).then_some((number, at + i + 4));
        }
        if digit(byte) > 9 || number == 0 {
            return None;
        }
        number = number * 10 + digit(byte);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::pieces::in_pieces;

    type Requests = Vec<Vec<Vec<u8>>>;

    /// The arguments of every request in the bytes, when they come in pieces of the given sizes.
    fn read(bytes: &[u8], pieces: &[usize]) -> Result<Requests, Fault> {
        read_with(bytes, pieces, |_, _| ())
    }

    fn read_looking_ahead(bytes: &[u8], pieces: &[usize]) -> Result<Requests, Fault> {
        read_with(bytes, pieces, |decoder, bytes| {
            decoder.look_ahead(bytes);
        })
    }

    fn read_with(
        bytes: &[u8],
        pieces: &[usize],
        mut before_each: impl FnMut(&mut Decoder, &[u8]),
    ) -> Result<Requests, Fault> {
        let (mut decoder, mut requests) = (Decoder::default(), Vec::new());
        in_pieces(bytes, pieces, |buffer| {
            loop {
                before_each(&mut decoder, buffer);
                let Some(length) = decoder.decode(buffer)? else {
                    return Ok(());
                };
                let (raw, args) = decoder.request(buffer);
                let arg = |a: &Arg| raw[a.start as usize..a.end as usize].to_vec();
                requests.push(args.iter().map(arg).collect());
                buffer.drain(..length);
            }
        })?;
        Ok(requests)
    }

    fn texts(requests: Requests) -> Vec<Vec<String>> {
        let text = |b: Vec<u8>| String::from_utf8_lossy(&b).into_owned();
        requests
            .into_iter()
            .map(|r| r.into_iter().map(text).collect())
            .collect()
    }

    #[test]
    fn a_tls_handshake_is_told_from_a_line() {
        for pieces in [&[1][..], &[100]] {
            let told = read(b"\x16\x03\x01\x02\x00\x01\x00", pieces).unwrap_err();
            assert!(
                told.to_string().contains("this port speaks no TLS"),
                "{told}"
            );
            assert_eq!(read(b"\x16PING\n", pieces).unwrap(), [[b"\x16PING"]]);
        }
    }

    #[test]
    fn requests_are_found() {
        for (bytes, requests) in [
            ("*1\r\n$4\r\nPING\r\n", vec![vec!["PING"]]),
            ("*2\r\n$3\r\nGET\r\n$0\r\n\r\n", vec![vec!["GET", ""]]),
            (
                "*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\n",
                vec![vec!["GET", "\r\n\r\n"]],
            ),
            ("PING\r\nGET  a\n", vec![vec!["PING"], vec!["GET", "a"]]),
            (
                "*0\r\n*-1\r\n\r\nPING\r\n",
                vec![vec![], vec![], vec![], vec!["PING"]],
            ),
            (
                "set 'a b' \"\\x41\\n\"\r\n",
                vec![vec!["set", "a b", "A\n"]],
            ),
        ] {
            assert_eq!(
                texts(read(bytes.as_bytes(), &[]).unwrap()),
                requests,
                "{bytes:?}"
            );
            assert_eq!(
                texts(read(bytes.as_bytes(), &[1]).unwrap()),
                requests,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn faults_are_named() {
        for (bytes, fault) in [
            ("*x\r\n", "invalid multibulk length"),
            ("*01\r\n", "invalid multibulk length"),
            ("*2147483648\r\n", "invalid multibulk length"),
            ("*1\r\nPING\r\n", "expected '$', got 'P'"),
            ("*1\r\n$-1\r\n", "invalid bulk length"),
            ("*1\r\n$536870913\r\n", "invalid bulk length"),
            ("*1\r\n$4\r\nPINGxx", "expected CRLF after bulk string"),
            (
                "*1111111111111111111111111111111111111",
                "too big mbulk count string",
            ),
            (
                "*1\r\n$111111111111111111111111111111111",
                "too big bulk count string",
            ),
            ("get 'a\r\n", "unbalanced quotes in request"),
        ] {
            assert_eq!(
                read(bytes.as_bytes(), &[]),
                Err(Fault::new(fault)),
                "{bytes:?}"
            );
        }
        let long = vec![b'a'; limits::LINE_BYTES + 1];
        assert_eq!(
            read(&long, &[1000]),
            Err(Fault::new("too big inline request"))
        );
    }

    #[test]
    fn a_pool_takes_as_many_arguments_as_any_redis() {
        let mut decoder = Decoder::of_pool();
        assert_eq!(decoder.decode(b"*1048576\r\n"), Ok(None));
        let told = Decoder::of_pool().decode(b"*1048577\r\n");
        assert_eq!(told, Err(Fault::new("invalid multibulk length")));
    }

    #[test]
    fn memory_grows_with_what_comes_and_is_given_back() {
        let mut decoder = Decoder::default();
        let mut bytes = b"*2000000\r\n".to_vec();
        assert_eq!(decoder.decode(&bytes), Ok(None));
        assert!(decoder.room() < 1024, "{}", decoder.room());
        bytes.extend(b"$0\r\n\r\n".repeat(1_000_000));
        assert_eq!(decoder.decode(&bytes), Ok(None));
        decoder.rest();
        let room = decoder.room();
        assert!((8_000_000..=16_777_216).contains(&room), "{room}");
        bytes.extend(b"$0\r\n\r\n".repeat(1_000_000));
        assert_eq!(decoder.decode(&bytes), Ok(Some(bytes.len())));
        assert_eq!(decoder.request(&bytes).1.len(), 2_000_000);
        decoder.rest();
        assert_eq!(decoder.room(), 0);
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let arg = prop::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            prop::collection::vec(arg, 0..6).prop_map(|args| {
                let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
                for arg in args {
                    bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                    bytes.extend_from_slice(&arg);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes
            }),
            "[a-z'\" \\\\x0-9]{0,20}\r\n".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..20),
        ]
    }

    proptest! {
        #[test]
        fn a_split_changes_nothing(
            requests in prop::collection::vec(request(), 0..6),
            pieces in prop::collection::vec(1usize..30, 1..8),
        ) {
            let bytes = requests.concat();
            prop_assert_eq!(read(&bytes, &pieces), read(&bytes, &[]));
        }

        #[test]
        fn looking_ahead_changes_nothing(
            requests in prop::collection::vec(request(), 0..40),
            pieces in prop::collection::vec(1usize..300, 1..8),
        ) {
            let bytes = requests.concat();
            prop_assert_eq!(read_looking_ahead(&bytes, &pieces), read(&bytes, &[]));
        }
    }

    #[test]
    fn requests_are_known_ahead() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n\
            *3\r\n$3\r\nSET\r\n$2\r\nbc\r\n$0\r\n\r\n*2\r\n$3\r\nGET";
        let mut decoder = Decoder::default();
        assert_eq!(decoder.look_ahead(bytes), 3);
        let first = |(raw, args): (&[u8], &[Arg])| {
            let arg = args.get(1)?;
            Some(raw[arg.start as usize..arg.end as usize].to_vec())
        };
        let firsts: Vec<_> = decoder.ahead(bytes).map(first).collect();
        assert_eq!(firsts, [Some(b"a".to_vec()), None, Some(b"bc".to_vec())]);
        let length = decoder.decode(bytes).unwrap().unwrap();
        assert_eq!(decoder.look_ahead(&bytes[length..]), 0, "they are known");
    }
}
