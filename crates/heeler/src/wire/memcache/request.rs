//! Requests, read piece by piece as the bytes arrive.
//!
//! What is sent on to a server must be cut into requests there exactly as it was here, or replies
//! would reach the wrong clients. So everything that decides where a request ends is checked here,
//! and what one memcached reads in one way and another in another is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::table::{AtNode, Form, Spec, Way, find};
use super::{Fault, TOO_LARGE};
use crate::command::{Arg, Command, Id, item, meta};
use crate::limits;

const ERROR: &str = "ERROR\r\n";
const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";
const BAD_DATA: &str = "CLIENT_ERROR bad data chunk\r\n";
const BAD_BASE64: &str = "CLIENT_ERROR error decoding key\r\n";
const TOO_MANY_FLAGS: &str = "CLIENT_ERROR options flags too long\r\n";
const BAD_META: &str = "CLIENT_ERROR invalid or duplicate flag\r\n";

/// What there is no reply to, as memcached has none.
pub(super) const NO_HTTP: &str = "this port speaks no HTTP";

/// The first byte of memcached's other protocol, which ended with version 1.6.
const BINARY: u8 = 0x80;

/// Finds the requests of one connection in its bytes.
///
/// It remembers how far it has read the request at hand, so that no byte is looked at twice however
/// the bytes are cut, and it keeps the places of the words, not copies of them.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Requests are executed by this process, and not sent on.
    executes: bool,
    state: State,
    /// How many bytes of the line at hand have been searched for its end.
    searched: usize,
    /// Where the request that was found begins and ends.
    place: (usize, usize),
    found: Option<Found>,
    /// Places of the words, counted from the first word's first byte.
    words: Vec<Arg>,
    /// The request written again, where it cannot be sent to a server as it came, or executed so.
    rewritten: Vec<u8>,
    /// The key behind a meta command's base64.
    decoded: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In the line of a request.
    #[default]
    Line,
    /// In the data after a line of so many bytes: so many bytes, its CRLF not counted.
    Data { line: usize, length: usize },
    /// In so many bytes of data that nobody takes.
    Swallow(usize),
}

/// What is known of the request at hand.
#[derive(Clone, Copy, Debug)]
struct Found {
    spec: Option<&'static Spec>,
    refused: Option<&'static str>,
    quiet: Quiet,
}

/// Which replies a client does not want to a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quiet {
    /// It wants the reply.
    #[default]
    No,
    /// None, by `noreply`.
    All,
    /// Not the usual one, by a meta command's flag `q`: those that start with these words.
    Usual(&'static [&'static str]),
}

/// One request: what it is, and what to send to a server for it.
///
/// Servers are always asked for a reply, also where the client has said `noreply` or `q`: only a
/// reply tells that the server has come so far, so that every request counts against the limits
/// and times out as others do. And no error that a server sends all the same, as memcached does,
/// can be taken for the reply to a later request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What it is; `None`: a command that is not known, so that it is refused.
    pub spec: Option<&'static Spec>,
    /// It goes nowhere: this is the answer.
    pub refused: Option<&'static str>,
    /// Which replies the client does not want.
    pub quiet: Quiet,
    raw: &'a [u8],
    words: &'a [Arg],
    decoded: &'a [u8],
}

impl<'a> Request<'a> {
    /// The request for a server.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The words from `from` on; the name is word 0.
    pub fn words(&self, from: usize) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let raw = self.raw;
        self.words[from.min(self.words.len())..]
            .iter()
            .map(move |a| &raw[a.start as usize..a.end as usize])
    }

    /// What a node executes for it, if it executes something; of a request that its decoder has
    /// read for a node.
    pub fn command(&self) -> Option<Command<'a>> {
        let AtNode::Item(id) = self.spec?.at_node else {
            return None;
        };
        let id = match id {
            Id::ItemGet if self.words.len() > 2 => Id::ItemGetMany,
            Id::ItemMetaGet if self.words(2).any(meta::changes) => Id::ItemMetaTouch,
            id => id,
        };
        Some(Command::new(id.spec(), self.raw, self.words))
    }

    /// The one key; where it came in base64, what that stands for.
    pub fn key(&self) -> &'a [u8] {
        match self.decoded {
            [] => self.words(1).next().unwrap_or_default(),
            decoded => decoded,
        }
    }
}

impl Decoder {
    /// One for requests that are executed by this process: where data follows a line it is the last
    /// word, and a key that came in base64 is what that stands for.
    pub fn of_node() -> Decoder {
        Decoder {
            executes: true,
            ..Decoder::default()
        }
    }

    /// Reads on in `bytes`, which start with the request at hand. Returns how many bytes have been
    /// read once something is whole, then [`request`](Decoder::request) gives it; `None` where
    /// more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not the text protocol, or past a limit.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        match self.state {
            State::Line if bytes.is_empty() => {
                self.rest();
                Ok(None)
            }
            // What would be read as a line, and wait for its end: the first bytes of a TLS
            // handshake (RFC 8446, section 5.1).
            State::Line if bytes.starts_with(&[22, 3]) => Err(Fault("this port speaks no TLS")),
            State::Line => match self.line(bytes)? {
                Some((line, length)) => self.after_line(bytes, line, length),
                None => Ok(None),
            },
            State::Data { line, length } => self.data(bytes, line, length),
            State::Swallow(left) => Ok(self.swallow(bytes, left)),
        }
    }

    /// The request that [`decode`](Decoder::decode) has found at the start of the same `bytes`.
    /// `None` where it was data of a request that has been refused before.
    pub fn request<'a>(&'a self, bytes: &'a [u8]) -> Option<Request<'a>> {
        let found = self.found?;
        let raw = match self.rewritten.is_empty() {
            true => &bytes[self.place.0..self.place.1],
            false => &self.rewritten,
        };
        Some(Request {
            spec: found.spec,
            refused: found.refused,
            quiet: found.quiet,
            raw,
            words: &self.words,
            decoded: &self.decoded,
        })
    }

    /// How many bytes the request at hand has at least, as far as it is known.
    pub fn expects(&self) -> usize {
        match self.state {
            State::Line if self.searched == 0 => 0,
            State::Line => self.searched + 1,
            State::Data { line, length } => line + length + 2,
            State::Swallow(_) => 1,
        }
    }

    /// Between requests, large buffers are given back.
    fn rest(&mut self) {
        self.found = None;
        if self.words.capacity() * size_of::<Arg>() > limits::IDLE_BUFFER_BYTES {
            self.words = Vec::new();
        }
        if self.rewritten.capacity() > limits::IDLE_BUFFER_BYTES {
            self.rewritten = Vec::new();
        }
    }

    /// Looks for the end of the line. Returns how long it is and how much data belongs to it.
    fn line(&mut self, bytes: &[u8]) -> Result<Option<(usize, Data)>, Fault> {
        if bytes.first() == Some(&BINARY) {
            return Err(Fault("the binary protocol is not spoken here"));
        }
        let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) else {
            self.searched = bytes.len();
            return match bytes.len() > limits::KEYS_LINE_BYTES {
                true => Err(Fault("line too long")),
                false => Ok(None),
            };
        };
        let end = self.searched + found;
        self.searched = 0;
        let ended = bytes[..end].strip_suffix(b"\r");
        let line = ended.unwrap_or(&bytes[..end]);
        let data = self.read_line(line, ended.is_some());
        if self.found.is_some_and(|found| found.spec.is_none()) && self.speaks_http(line) {
            return Err(Fault(NO_HTTP));
        }
        Ok(Some((end + 1, data)))
    }

    fn after_line(
        &mut self,
        bytes: &[u8],
        line: usize,
        data: Data,
    ) -> Result<Option<usize>, Fault> {
        match data {
            Data::Taken(length) => {
                self.state = State::Data { line, length };
                self.data(bytes, line, length)
            }
            Data::Refused(length) => {
                self.state = State::Swallow(length + 2);
                self.place.1 = line;
                Ok(Some(line))
            }
            Data::None => {
                self.place.1 = line;
                Ok(Some(line))
            }
        }
    }

    fn data(&mut self, bytes: &[u8], line: usize, length: usize) -> Result<Option<usize>, Fault> {
        let end = line + length + 2;
        let Some(data) = bytes.get(line..end) else {
            return Ok(None);
        };
        // As memcached does: so many bytes were announced, so many are gone.
        if !data.ends_with(b"\r\n")
            && let Some(found) = &mut self.found
        {
            found.refused = Some(BAD_DATA);
        }
        if self.executes {
            let start = match self.rewritten.len() {
                0 => line - self.place.0,
                rewritten => rewritten,
            };
            self.words.push(Arg {
                start: start as u32,
                end: (start + length) as u32,
            });
        }
        if !self.rewritten.is_empty() {
            self.rewritten.extend_from_slice(data);
        }
        self.place.1 = end;
        self.state = State::Line;
        Ok(Some(end))
    }

    fn swallow(&mut self, bytes: &[u8], left: usize) -> Option<usize> {
        let count = left.min(bytes.len());
        self.found = None;
        self.state = match left - count {
            0 => State::Line,
            left => State::Swallow(left),
        };
        (count > 0).then_some(count)
    }

    /// Reads a whole line. Returns what data follows it.
    fn read_line(&mut self, line: &[u8], has_cr: bool) -> Data {
        self.decoded.clear();
        self.rewritten.clear();
        self.split(line);
        let start = self.place.0;
        let line = &line[start.min(line.len())..];
        let word = |arg: &Arg| &line[arg.start as usize..arg.end as usize];
        let spec = self.words.first().and_then(|name| find(word(name)));
        let spec = spec.filter(|spec| self.executes || spec.way != Way::Unknown);
        let mut found = Found {
            spec,
            refused: None,
            quiet: Quiet::No,
        };
        let Some(spec) = spec else {
            found.refused = Some(ERROR);
            self.found = Some(found);
            return Data::None;
        };
        let came = self.words.len();
        let has_sign = take_plus_signs(spec, line, &mut self.words);
        found.quiet = take_quiet(spec, line, &mut self.words);
        let length = data_length(spec, line, &self.words);
        let checked = check(spec, line, &self.words)
            .and_then(|()| decode_key(spec, line, &self.words, &mut self.decoded));
        found.refused = checked.err().or(match length {
            Some(length) if length > limits::BULK_BYTES => Some(TOO_LARGE),
            _ => None,
        });
        let is_refused = found.refused.is_some();
        let narrowed = narrowed_flags(spec, line, &self.words);
        self.found = Some(found);
        let goes_as_it_is = match self.executes {
            true => self.decoded.is_empty(),
            false => came == self.words.len() && has_cr && !has_sign && narrowed.is_none(),
        };
        if !is_refused && !goes_as_it_is {
            self.rewrite(line, narrowed);
        }
        match length {
            Some(length) if is_refused => Data::Refused(length),
            Some(length) => Data::Taken(length),
            None => Data::None,
        }
    }

    /// Whether a line that is no command ends as HTTP's do. Whoever has a browser send such a one
    /// shall not have the lines after it taken for commands.
    fn speaks_http(&self, line: &[u8]) -> bool {
        let last = self.words.last();
        last.is_some_and(|word| line[self.place.0 + word.start as usize..].starts_with(b"HTTP/"))
    }

    /// Finds the words, and where the first begins.
    fn split(&mut self, line: &[u8]) {
        self.words.clear();
        let first = line.iter().position(|&b| b != b' ');
        let start = first.unwrap_or(line.len());
        self.place = (start, start);
        let line = &line[start..];
        let mut at = 0;
        while at < line.len() {
            let end = memchr::memchr(b' ', &line[at..]).map_or(line.len(), |length| at + length);
            if end > at {
                self.words.push(Arg {
                    start: at as u32,
                    end: end as u32,
                });
            }
            at = end + 1;
        }
    }

    /// Writes the line again of the words that are left, with other flags if some are given.
    fn rewrite(&mut self, line: &[u8], flags: Option<u32>) {
        let mut digits = itoa::Buffer::new();
        let flags = flags.map(|flags| digits.format(flags).as_bytes());
        for (i, arg) in self.words.iter_mut().enumerate() {
            if i > 0 {
                self.rewritten.push(b' ');
            }
            let start = self.rewritten.len() as u32;
            let word = match i {
                1 if self.executes && !self.decoded.is_empty() => &self.decoded,
                2 if let Some(flags) = flags => flags,
                _ => &line[arg.start as usize..arg.end as usize],
            };
            self.rewritten.extend_from_slice(word);
            let end = self.rewritten.len() as u32;
            *arg = Arg { start, end };
        }
        self.rewritten.extend_from_slice(b"\r\n");
    }
}

/// What data follows a line.
enum Data {
    None,
    /// So many bytes, its CRLF not counted, that belong to the request.
    Taken(usize),
    /// So many bytes of a request that is refused.
    Refused(usize),
}

/// Takes out the words by which a client says that it wants no reply.
fn take_quiet(spec: &Spec, line: &[u8], words: &mut Vec<Arg>) -> Quiet {
    let word = |arg: &Arg| &line[arg.start as usize..arg.end as usize];
    match spec.form {
        Form::Plain => Quiet::No,
        // `delete noreply` deletes a key of that name.
        Form::Noreply | Form::Storage => {
            let first = match spec.way {
                Way::Every | Way::Unknown => 1,
                _ => 2,
            };
            let came = words.len();
            while words.len() > first && words.last().is_some_and(|w| word(w) == b"noreply") {
                words.pop();
            }
            match words.len() < came {
                true => Quiet::All,
                false => Quiet::No,
            }
        }
        Form::Meta | Form::MetaSet => {
            let usual: &[&str] = match spec.name {
                "mg" => &["EN"],
                "ms" | "md" => &["HD"],
                "ma" => &["HD", "VA"],
                _ => &[],
            };
            let first = if spec.form == Form::MetaSet { 3 } else { 2 };
            let came = words.len();
            let mut i = 0;
            words.retain(|arg| {
                i += 1;
                i <= first || line[arg.start as usize] != b'q'
            });
            match words.len() < came {
                true => Quiet::Usual(usual),
                false => Quiet::No,
            }
        }
    }
}

/// Takes the plus signs from the numbers before data, and says whether there were any. memcached
/// reads over them, so a length with one is a length, too.
fn take_plus_signs(spec: &Spec, line: &[u8], words: &mut [Arg]) -> bool {
    let numbers = match spec.form {
        Form::Storage if spec.name == "cas" => 2..6,
        Form::Storage => 2..5,
        Form::MetaSet => 2..3,
        _ => return false,
    };
    let mut taken = false;
    for arg in words.iter_mut().take(numbers.end).skip(numbers.start) {
        let word = &line[arg.start as usize..arg.end as usize];
        if let [b'+', b'0'..=b'9', ..] = word {
            arg.start += 1;
            taken = true;
        }
    }
    taken
}

/// What memcached takes a storage command's flags for, where they are not written as a number of 32
/// bits: the lowest 32 of 64 bits. Others that speak its protocol may refuse such a line, and would
/// then read the data after it as commands.
fn narrowed_flags(spec: &Spec, line: &[u8], words: &[Arg]) -> Option<u32> {
    let word = words.get(2).filter(|_| spec.form == Form::Storage)?;
    let text = &line[word.start as usize..word.end as usize];
    match number(text) {
        Some(flags) if u32::try_from(flags).is_ok() => None,
        _ => item::flags(text),
    }
}

/// How many bytes of data follow the line, if it says so.
fn data_length(spec: &Spec, line: &[u8], words: &[Arg]) -> Option<usize> {
    let place = match spec.form {
        Form::Storage => 4,
        Form::MetaSet => 2,
        _ => return None,
    };
    let word = words.get(place)?;
    // memcached's own limit: data and CRLF are a number of 31 bits.
    let most = i32::MAX as u64 - 2;
    number(&line[word.start as usize..word.end as usize])
        .filter(|&length| length <= most)
        .map(|length| length as usize)
}

/// Checks what decides where the request ends, and what a key may be.
fn check(spec: &Spec, line: &[u8], words: &[Arg]) -> Result<(), &'static str> {
    let word = |i: usize| &line[words[i].start as usize..words[i].end as usize];
    if !(spec.least..=spec.most).contains(&words.len()) {
        return Err(if spec.name == "me" { BAD_FORMAT } else { ERROR });
    }
    // A memcached ends the line at a NUL, so that it would take the data for commands.
    if memchr::memchr2(b'\r', 0, line).is_some() {
        return Err(BAD_FORMAT);
    }
    let keys = match spec.way {
        Way::Keys(first) => first..words.len(),
        Way::Key => 1..2,
        _ => 0..0,
    };
    if keys.clone().any(|i| word(i).len() > limits::KEY_BYTES) {
        return Err(BAD_FORMAT);
    }
    // A memcached closes the connection on long lines that are not full of keys.
    if !matches!(spec.way, Way::Keys(_)) && line.len() > limits::COMMAND_LINE_BYTES {
        return Err(BAD_FORMAT);
    }
    let is_well_formed = match spec.form {
        Form::Plain | Form::Noreply => true,
        Form::Storage => {
            let flags = item::flags(word(2)).is_some();
            let cas = spec.name != "cas" || number(word(5)).is_some();
            flags && is_time(word(3)) && data_length(spec, line, words).is_some() && cas
        }
        Form::Meta | Form::MetaSet if words.len() > 3 + limits::META_FLAGS => {
            return Err(TOO_MANY_FLAGS);
        }
        Form::Meta => true,
        Form::MetaSet => data_length(spec, line, words).is_some(),
    };
    is_well_formed.then_some(()).ok_or(BAD_FORMAT)
}

/// A key that comes in base64, by the flag `b`, lies where the same key lies that does not.
fn decode_key(
    spec: &Spec,
    line: &[u8],
    words: &[Arg],
    decoded: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let first = match spec.form {
        Form::Meta => 2,
        Form::MetaSet => 3,
        _ => return Ok(()),
    };
    let flags = words.get(first..).unwrap_or_default();
    if !flags.iter().any(|flag| line[flag.start as usize] == b'b') {
        return Ok(());
    }
    let key = &line[words[1].start as usize..words[1].end as usize];
    match (STANDARD.decode_vec(key, decoded), spec.name) {
        (Ok(()), _) => Ok(()),
        (Err(_), "md" | "ma") => Err(BAD_META),
        (Err(_), _) => Err(BAD_BASE64),
    }
}

/// A number without sign, of 64 bits.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > limits::LENGTH_DIGITS {
        return None;
    }
    text.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Seconds; negative: what is stored so is gone at once.
fn is_time(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    number(digits).is_some_and(|seconds| i64::try_from(seconds).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::memcache::TABLE;
    use crate::wire::pieces::in_pieces;

    /// What is known of a request: its bytes for a server or the refusal, and whether the client
    /// wants a reply.
    type Seen = (String, bool);

    /// Every request in the bytes, when they come in pieces of the given sizes.
    fn read(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Seen>, Fault> {
        let (mut decoder, mut requests) = (Decoder::default(), Vec::new());
        in_pieces(bytes, pieces, |buffer| {
            let mut expected = decoder.expects();
            while let Some(length) = decoder.decode(buffer)? {
                assert!(length > 0 && length >= expected, "{expected} of {length}");
                expected = 0;
                if let Some(request) = decoder.request(buffer) {
                    requests.push(seen(&request));
                }
                buffer.drain(..length);
            }
            Ok(())
        })?;
        Ok(requests)
    }

    fn seen(request: &Request<'_>) -> Seen {
        let shown = match request.refused {
            Some(refused) => refused.trim_end().to_owned(),
            None => request.raw().escape_ascii().to_string(),
        };
        (shown, request.quiet == Quiet::No)
    }

    #[test]
    fn a_tls_handshake_is_told_from_a_line() {
        for pieces in [&[1][..], &[100]] {
            let told = read(b"\x16\x03\x01\x02\x00\x01\x00", pieces).unwrap_err();
            assert_eq!(told, Fault("this port speaks no TLS"));
        }
    }

    #[test]
    fn requests_are_found() {
        let long = "k".repeat(limits::KEY_BYTES);
        for (bytes, requests) in [
            ("get a\r\nget b c\r\n", vec![r"get a\r\n", r"get b c\r\n"]),
            ("  get  a \r\n", vec![r"get  a \r\n"]),
            ("get a\ngets b\n", vec![r"get a\r\n", r"gets b\r\n"]),
            (
                "set a 0 -1 6\r\n\r\nget \r\nquit\r\n",
                vec![r"set a 0 -1 6\r\n\r\nget \r\n", r"quit\r\n"],
            ),
            (
                "set a 0 0 1 odd\r\nx\r\n",
                vec![r"set a 0 0 1 odd\r\nx\r\n"],
            ),
            ("cas a 1 2 0 9\r\n\r\n", vec![r"cas a 1 2 0 9\r\n\r\n"]),
            ("set a 0 0 1\nx\r\n", vec![r"set a 0 0 1\r\nx\r\n"]),
            ("delete noreply\r\n", vec![r"delete noreply\r\n"]),
            ("get noreply\r\n", vec![r"get noreply\r\n"]),
            ("ms a 2 T0\r\n\r\n\r\n", vec![r"ms a 2 T0\r\n\r\n\r\n"]),
            ("me a q\r\nmn\r\n", vec![r"me a\r\n", r"mn\r\n"]),
            (
                &format!("get {long}\r\n"),
                vec![&*format!(r"get {long}\r\n")],
            ),
        ] {
            for pieces in [&[][..], &[1], &[3]] {
                let found = read(bytes.as_bytes(), pieces).unwrap();
                let texts: Vec<&str> = found.iter().map(|(text, _)| &**text).collect();
                assert_eq!(texts, requests, "{bytes:?}");
            }
        }
    }

    #[test]
    fn servers_are_always_asked_for_a_reply() {
        for (bytes, sent) in [
            ("set a 0 0 1 noreply\r\nx\r\n", r"set a 0 0 1\r\nx\r\n"),
            ("set  a 0 0 1 noreply \nx\r\n", r"set a 0 0 1\r\nx\r\n"),
            (
                "set a 0 0 1 noreply noreply\r\nx\r\n",
                r"set a 0 0 1\r\nx\r\n",
            ),
            ("cas a 0 0 1 7 noreply\r\nx\r\n", r"cas a 0 0 1 7\r\nx\r\n"),
            ("delete a noreply\r\n", r"delete a\r\n"),
            ("delete a 0 noreply\r\n", r"delete a 0\r\n"),
            ("incr a 1 noreply\r\n", r"incr a 1\r\n"),
            ("touch a 1 noreply\r\n", r"touch a 1\r\n"),
            ("flush_all noreply\r\n", r"flush_all\r\n"),
            ("flush_all 5 noreply\r\n", r"flush_all 5\r\n"),
            ("verbosity 1 noreply\r\n", r"verbosity 1\r\n"),
            ("mg a v q k\r\n", r"mg a v k\r\n"),
            ("ms a 1 q\r\nx\r\n", r"ms a 1\r\nx\r\n"),
            ("md a q q\r\n", r"md a\r\n"),
            ("ma q qq\r\n", r"ma q\r\n"),
            // These would silence a server, if it saw them.
            ("incr a noreply\r\n", "ERROR"),
            ("verbosity noreply\r\n", "ERROR"),
            ("set a 0 0 noreply\r\n", "ERROR"),
            ("set a 0 0 1 2 noreply x\r\nx\r\n", "ERROR"),
        ] {
            let found = read(bytes.as_bytes(), &[2]).unwrap();
            let heard = bytes.contains("noreply x");
            assert_eq!(found, [(sent.to_owned(), heard)], "{bytes:?}");
        }
    }

    #[test]
    fn numbers_that_servers_may_read_in_several_ways_are_written_anew() {
        for (bytes, sent) in [
            ("set a 4294967295 0 1\r\nx\r\n", "set a 4294967295 0 1"),
            ("set a 4294967296 0 1\r\nx\r\n", "set a 0 0 1"),
            ("set a 4294967303 0 1\r\nx\r\n", "set a 7 0 1"),
            (
                "add a 18446744073709551615 0 1\r\nx\r\n",
                "add a 4294967295 0 1",
            ),
            (
                "set a -18446744073709551615 0 1 noreply\r\nx\r\n",
                "set a 1 0 1",
            ),
            ("set a -0 0 1\r\nx\r\n", "set a 0 0 1"),
            ("set a +5 +6 +1\r\nx\r\n", "set a 5 6 1"),
            ("set a +4294967296 0 1\r\nx\r\n", "set a 0 0 1"),
            ("cas a 1 2 1 +9\r\nx\r\n", "cas a 1 2 1 9"),
            ("set a 0 0 1 +9\r\nx\r\n", "set a 0 0 1 +9"),
            ("ms a +1 T+9\r\nx\r\n", "ms a 1 T+9"),
        ] {
            for pieces in [&[][..], &[1]] {
                let found = read(bytes.as_bytes(), pieces).unwrap();
                let heard = !bytes.contains("noreply");
                let sent = format!(r"{sent}\r\nx\r\n");
                assert_eq!(found, [(sent, heard)], "{bytes:?}");
            }
        }
    }

    #[test]
    fn refusals_are_named_and_the_next_request_is_found() {
        let key = "k".repeat(limits::KEY_BYTES + 1);
        let flags = "k ".repeat(30);
        let blanks = " ".repeat(limits::COMMAND_LINE_BYTES);
        for (bytes, refusal) in [
            ("\r\n", ERROR),
            ("GET a\r\n", ERROR),
            ("get\r\n", ERROR),
            ("gat 0\r\n", ERROR),
            ("get\ta\r\n", ERROR),
            ("slabs reassign 1 2\r\n", ERROR),
            ("set a 0 0\r\n", ERROR),
            ("cas a 0 0 1\r\nx\r\n", ERROR),
            ("incr a\r\n", ERROR),
            ("delete a 0 1 2\r\n", ERROR),
            (&format!("get a {key}\r\n"), BAD_FORMAT),
            (&format!("set {key} 0 0 6\r\nget a\n\r\n"), BAD_FORMAT),
            (&format!("mg {key} v\r\n"), BAD_FORMAT),
            (&format!("touch a {blanks} 0\r\n"), BAD_FORMAT),
            ("set a x 0 1\r\nx\r\n", BAD_FORMAT),
            ("set a -1 0 1\r\nx\r\n", BAD_FORMAT),
            ("set a 18446744073709551616 0 1\r\nx\r\n", BAD_FORMAT),
            ("set a -4294967295 0 1\r\nx\r\n", BAD_FORMAT),
            ("set a ++1 0 1\r\nx\r\n", BAD_FORMAT),
            ("set a 0 1.5 1\r\nx\r\n", BAD_FORMAT),
            ("set a 0 - 1\r\nx\r\n", BAD_FORMAT),
            ("set a 0 0 -1\r\n", BAD_FORMAT),
            ("set a 0 0 ++1\r\n", BAD_FORMAT),
            ("set a 0 0 +\r\n", BAD_FORMAT),
            ("set a 0 0 1x\r\n", BAD_FORMAT),
            ("set a 0 0 2147483646\r\n", BAD_FORMAT),
            ("set a 0 0 99999999999999999999999\r\n", BAD_FORMAT),
            ("set a\0 0 0 1\r\nx\r\n", BAD_FORMAT),
            ("set a\r 0 0 1\r\nx\r\n", BAD_FORMAT),
            ("cas a 0 0 1 x\r\nx\r\n", BAD_FORMAT),
            ("cas a 0 0 1 99999999999999999999\r\nx\r\n", BAD_FORMAT),
            ("ms a\r\n", BAD_FORMAT),
            ("ms a S1\r\n", BAD_FORMAT),
            (&format!("ms a 1 {flags}\r\nx\r\n"), TOO_MANY_FLAGS),
            ("mg ! b v\r\n", BAD_BASE64),
            ("ms a 1 b\r\nx\r\n", BAD_BASE64),
            ("set a 0 0 1\r\nxyz", BAD_DATA),
            ("ms a 1\r\nx\n\n", BAD_DATA),
        ] {
            let bytes = format!("{bytes}get a\r\n");
            let expected = [refusal.trim_end(), r"get a\r\n"].map(|text| (text.to_owned(), true));
            assert_eq!(read(bytes.as_bytes(), &[]).unwrap(), expected, "{bytes:?}");
            assert_eq!(read(bytes.as_bytes(), &[1]).unwrap(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn too_large_data_is_swallowed_as_it_comes() {
        let mut decoder = Decoder::default();
        let length = limits::BULK_BYTES + 1;
        let line = format!("set a 0 0 {length}\r\n");
        assert_eq!(decoder.decode(line.as_bytes()), Ok(Some(line.len())));
        let refused = decoder.request(line.as_bytes()).unwrap().refused;
        assert_eq!(refused, Some(TOO_LARGE));
        let piece = vec![b'x'; 1024 * 1024];
        let mut left = length + 2;
        while left > 0 {
            let count = left.min(piece.len());
            assert_eq!(decoder.decode(&piece[..count]), Ok(Some(count)));
            assert!(decoder.request(&piece[..count]).is_none());
            left -= count;
        }
        assert_eq!(decoder.decode(b"get a\r\n"), Ok(Some(7)));
        assert!(decoder.request(b"get a\r\n").is_some());
    }

    #[test]
    fn between_requests_large_buffers_are_given_back() {
        let keys = "k ".repeat(10_000);
        let value = "x".repeat(10_000);
        let mut decoder = Decoder::default();
        for bytes in [
            format!("get {keys}\r\n"),
            format!("set k 0 0 10000 noreply\r\n{value}\r\n"),
        ] {
            assert_eq!(decoder.decode(bytes.as_bytes()), Ok(Some(bytes.len())));
            assert_eq!(decoder.decode(b""), Ok(None));
            assert!(decoder.request(b"").is_none());
            assert!(decoder.words.capacity() * 8 <= limits::IDLE_BUFFER_BYTES);
            assert!(decoder.rewritten.capacity() <= limits::IDLE_BUFFER_BYTES);
        }
    }

    #[test]
    fn faults_are_named() {
        let binary = b"\x80\x00\x00\x00";
        let fault = Fault("the binary protocol is not spoken here");
        assert_eq!(read(binary, &[]), Err(fault));
        let line = vec![b'a'; limits::KEYS_LINE_BYTES + 1];
        assert_eq!(read(&line, &[10_000]), Err(Fault("line too long")));
    }

    #[test]
    fn a_key_in_base64_is_the_key_behind_it() {
        for (line, key) in [
            ("mg YWJj b v\r\n", "abc"),
            ("mg YWJj v\r\n", "YWJj"),
            ("get b\r\n", "b"),
        ] {
            let mut decoder = Decoder::default();
            decoder.decode(line.as_bytes()).unwrap();
            let request = decoder.request(line.as_bytes()).unwrap();
            assert_eq!(request.key(), key.as_bytes(), "{line:?}");
        }
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let name = (0..TABLE.len()).prop_map(|line| TABLE[line].name);
        let word = "[a-z0-9 -]{0,12}( noreply| q| b| 3| 99)?";
        prop_oneof![
            (name, word).prop_map(|(name, words)| format!("{name} {words}\r\n").into_bytes()),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|data| {
                let mut bytes = format!("set a 0 0 {}\r\n", data.len()).into_bytes();
                bytes.extend_from_slice(&data);
                bytes.extend_from_slice(b"\r\n");
                bytes
            }),
            prop::collection::vec(any::<u8>(), 0..20),
        ]
    }

    /// The hidden commands in the bytes, when they come in pieces of the given sizes: the name, the
    /// arguments, and whether the client wants the reply; or what refuses the request.
    fn commands(bytes: &[u8], pieces: &[usize]) -> Result<Vec<(String, bool)>, Fault> {
        let (mut decoder, mut found) = (Decoder::of_node(), Vec::new());
        in_pieces(bytes, pieces, |buffer| {
            while let Some(length) = decoder.decode(buffer)? {
                if let Some(request) = decoder.request(buffer) {
                    let shown = match (request.refused, request.command()) {
                        (Some(refused), _) => refused.trim_end().to_owned(),
                        (None, None) => request.spec.map_or("", |spec| spec.name).into(),
                        (None, Some(command)) => {
                            let args = command.args(1).map(|arg| arg.escape_ascii().to_string());
                            let name = command.spec.name.replace("memcached.", "");
                            format!("{name}({})", args.collect::<Vec<_>>().join("|"))
                        }
                    };
                    found.push((shown, request.quiet == Quiet::No));
                }
                buffer.drain(..length);
            }
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn requests_become_commands() {
        for (bytes, expected, heard) in [
            ("get a\r\n", "get(a)", true),
            ("  get  a \n", "get(a)", true),
            ("get a b a\r\n", "get-many(a|b|a)", true),
            ("gets a\r\n", "gets(a)", true),
            ("gat 5 a b\r\n", "gat(5|a|b)", true),
            ("set a 7 60 2\r\n\r\n\r\n", r"set(a|7|60|2|\r\n)", true),
            (" set  a 0 0 1 noreply\r\nx\r\n", "set(a|0|0|1|x)", false),
            ("set a 0 0 1 odd\r\nx\r\n", "set(a|0|0|1|odd|x)", true),
            ("cas a 0 0 0 9 noreply\r\n\r\n", "cas(a|0|0|0|9|)", false),
            (
                "set a +4294967296 +9 +1\r\nx\r\n",
                "set(a|4294967296|9|1|x)",
                true,
            ),
            ("append a 0 0 1\nx\r\n", "append(a|0|0|1|x)", true),
            ("delete a 0 noreply\r\n", "delete(a|0)", false),
            ("incr a 5\r\n", "incr(a|5)", true),
            ("touch a -1\r\n", "touch(a|-1)", true),
            ("flush_all 5 noreply\r\n", "flush_all(5)", false),
            ("mg a v k\r\n", "mg(a|v|k)", true),
            ("mg a v q T5\r\n", "mg-write(a|v|T5)", false),
            ("mg a N5\r\n", "mg-write(a|N5)", true),
            ("mg IAoNAP8= b v\r\n", r"mg( \n\r\x00\xff|b|v)", true),
            ("ms IAo= 2 b q\r\nhi\r\n", r"ms( \n|2|b|hi)", false),
            ("ms a 0\r\n\r\n", "ms(a|0|)", true),
            ("md a I\r\n", "md(a|I)", true),
            ("ma a N5\r\n", "ma(a|N5)", true),
            ("me a\r\n", "me(a)", true),
            ("stats items\r\n", "stats", true),
            ("watch\r\n", "watch", true),
            ("mg ! b\r\n", "CLIENT_ERROR error decoding key", true),
            ("md ! b\r\n", "CLIENT_ERROR invalid or duplicate flag", true),
            ("me\r\n", "CLIENT_ERROR bad command line format", true),
            ("set a 0 0 1\r\nxyz", "CLIENT_ERROR bad data chunk", true),
            ("shutdown_\r\n", "ERROR", true),
        ] {
            for pieces in [&[][..], &[1], &[3]] {
                let found = commands(bytes.as_bytes(), pieces).unwrap();
                let expected = (expected.to_owned(), heard);
                assert_eq!(found.first(), Some(&expected), "{bytes:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_split_changes_nothing(
            requests in prop::collection::vec(request(), 0..6),
            pieces in prop::collection::vec(1usize..30, 1..8),
        ) {
            let bytes = requests.concat();
            prop_assert_eq!(read(&bytes, &pieces), read(&bytes, &[]));
            prop_assert_eq!(commands(&bytes, &pieces), commands(&bytes, &[]));
        }

        #[test]
        fn what_is_sent_on_is_read_as_the_same_request(
            requests in prop::collection::vec(request(), 0..6),
        ) {
            let bytes = requests.concat();
            let mut decoder = Decoder::default();
            let mut rest = &bytes[..];
            while let Ok(Some(length)) = decoder.decode(rest) {
                if let Some(request) = decoder.request(rest).filter(|r| r.refused.is_none()) {
                    let mut again = Decoder::default();
                    prop_assert_eq!(again.decode(request.raw()), Ok(Some(request.raw().len())));
                    let sent = again.request(request.raw()).unwrap();
                    prop_assert!(sent.refused.is_none() && sent.quiet == Quiet::No);
                    prop_assert!(sent.raw() == request.raw() && sent.key() == request.key());
                }
                rest = &rest[length..];
            }
        }
    }
}
