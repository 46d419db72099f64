//! Questions and answers as bytes. Numbers are little-endian.
//!
//! ```text
//!   format 1 │ life 8 │ time 8 │ cleared 16 │ sender: length 2, text │ kind 1 │ what belongs to it
//! ```
//!
//! An answer has no sender. Lists are a count of 4 bytes and their elements; keys and values a
//! length of 4 bytes and their bytes, addresses one of 2.

use super::message::{Ack, Answer, Ask, Grant, Known, Letter, Offered, Update};
use super::part::Node;
use super::ranges::Range;
use crate::store::{Clearing, Copy, CopyValue, Stamp, Step};

/// The format that is written, and the only one that is read.
const FORMAT: u8 = 3;
/// Longest address, in bytes.
const ADDRESS_BYTES: usize = 1024;

const CLAIM: u8 = 1;
const SURVEY: u8 = 2;
const FETCH: u8 = 3;
const OFFER: u8 = 4;
const LEVEL: u8 = 5;
const KEEP: u8 = 6;
const COMPARE: u8 = 7;

const GRANTED: u8 = 129;
const SURVEYED: u8 = 130;
const FETCHED: u8 = 131;
const RELEASED: u8 = 132;
const KEPT: u8 = 133;
const DONE: u8 = 134;
const LATER: u8 = 135;

/// A question of the node with this address.
pub fn encode_ask(from: &str, ask: &Letter<Ask>) -> Vec<u8> {
    let mut out = Writer::new(ask);
    out.address(from);
    match &ask.body {
        Ask::Claim { claim, ranges } => {
            out.byte(CLAIM);
            out.long(*claim);
            out.list(ranges, Writer::range);
        }
        Ask::Survey {
            ranges,
            cursor,
            level,
        } => {
            out.byte(SURVEY);
            out.list(ranges, Writer::range);
            out.long(*cursor);
            out.byte(u8::from(*level));
        }
        Ask::Fetch(keys) => {
            out.byte(FETCH);
            out.list(keys, |out, key| out.bytes(key));
        }
        Ask::Offer(offered) => {
            out.byte(OFFER);
            out.list(offered, |out, offer| {
                out.range(&offer.range);
                out.optional(offer.claim);
                out.byte(u8::from(offer.owned));
            });
        }
        Ask::Level(ranges) => {
            out.byte(LEVEL);
            out.list(ranges, Writer::range);
        }
        Ask::Keep(copies) => {
            out.byte(KEEP);
            out.list(copies, Writer::update);
        }
        Ask::Compare { ranges, anew } => {
            out.byte(COMPARE);
            out.list(ranges, Writer::range);
            out.byte(u8::from(*anew));
        }
    }
    out.0
}

/// Who asks, and what. `None` if the bytes are none that [`encode_ask`] writes.
pub fn decode_ask(bytes: &[u8]) -> Option<(Node, Letter<Ask>)> {
    let mut read = Reader(bytes);
    let letter = read.head()?;
    let from = read.address()?.into();
    let body = match read.byte()? {
        CLAIM => Ask::Claim {
            claim: read.long()?,
            ranges: read.list(8, Reader::range)?,
        },
        SURVEY => Ask::Survey {
            ranges: read.list(8, Reader::range)?,
            cursor: read.long()?,
            level: read.flag()?,
        },
        FETCH => Ask::Fetch(read.list(4, Reader::key)?),
        OFFER => Ask::Offer(read.list(10, |read| {
            Some(Offered {
                range: read.range()?,
                claim: read.optional()?,
                owned: read.flag()?,
            })
        })?),
        LEVEL => Ask::Level(read.list(8, Reader::range)?),
        KEEP => Ask::Keep(read.list(14, Reader::update)?),
        COMPARE => Ask::Compare {
            ranges: read.list(8, Reader::range)?,
            anew: read.flag()?,
        },
        _ => return None,
    };
    read.end((from, letter.with(body)))
}

/// An answer.
pub fn encode_answer(answer: &Letter<Answer>) -> Vec<u8> {
    let mut out = Writer::new(answer);
    match &answer.body {
        Answer::Granted(grants) => {
            out.byte(GRANTED);
            out.list(grants, |out, grant| {
                out.range(&grant.range);
                out.byte(u8::from(grant.whole));
                out.byte(u8::from(grant.has_keys));
                out.list(&grant.also, |out, node| out.address(node));
            });
        }
        Answer::Surveyed { keys, next } => {
            out.byte(SURVEYED);
            out.list(keys, |out, known| {
                out.bytes(&known.key);
                out.long(known.version);
                out.int(known.bytes);
            });
            out.optional(*next);
        }
        Answer::Fetched { copies, covered } => {
            out.byte(FETCHED);
            out.list(copies, Writer::copy);
            out.int(*covered);
        }
        Answer::Released(ranges) => {
            out.byte(RELEASED);
            out.list(ranges, Writer::range);
        }
        Answer::Kept(kept) => {
            out.byte(KEPT);
            out.list(kept, |out, kept| out.byte(*kept as u8));
        }
        Answer::Done => out.byte(DONE),
        Answer::Later => out.byte(LATER),
    }
    out.0
}

/// The answer. `None` if the bytes are none that [`encode_answer`] writes.
pub fn decode_answer(bytes: &[u8]) -> Option<Letter<Answer>> {
    let mut read = Reader(bytes);
    let letter = read.head()?;
    let body = match read.byte()? {
        GRANTED => Answer::Granted(read.list(14, |read| {
            Some(Grant {
                range: read.range()?,
                whole: read.flag()?,
                has_keys: read.flag()?,
                also: read.list(2, |read| read.address().map(str::to_owned))?,
            })
        })?),
        SURVEYED => Answer::Surveyed {
            keys: read.list(16, |read| {
                Some(Known {
                    key: read.key()?,
                    version: read.long()?,
                    bytes: read.int()?,
                })
            })?,
            next: read.optional()?,
        },
        FETCHED => Answer::Fetched {
            copies: read.list(13, Reader::copy)?,
            covered: read.int()?,
        },
        RELEASED => Answer::Released(read.list(8, Reader::range)?),
        KEPT => Answer::Kept(read.list(1, |read| {
            let all = [
                Ack::Kept,
                Ack::Refused,
                Ack::Broken,
                Ack::Behind,
                Ack::Cleared,
            ];
            let kept = read.byte()?;
            all.into_iter().find(|it| *it as u8 == kept)
        })?),
        DONE => Answer::Done,
        LATER => Answer::Later,
        _ => return None,
    };
    read.end(letter.with(body))
}

impl Letter<()> {
    fn with<T>(self, body: T) -> Letter<T> {
        Letter {
            life: self.life,
            wall_ms: self.wall_ms,
            clearing: self.clearing,
            body,
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn new<T>(letter: &Letter<T>) -> Writer {
        let mut out = Writer(vec![FORMAT]);
        out.long(letter.life);
        out.long(letter.wall_ms);
        out.long(letter.clearing.heard);
        out.long(letter.clearing.done);
        out
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn int(&mut self, int: u32) {
        self.0.extend_from_slice(&int.to_le_bytes());
    }

    fn long(&mut self, long: u64) {
        self.0.extend_from_slice(&long.to_le_bytes());
    }

    fn optional(&mut self, long: Option<u64>) {
        self.byte(u8::from(long.is_some()));
        if let Some(long) = long {
            self.long(long);
        }
    }

    /// Nothing that a store holds is longer than its length can say.
    fn bytes(&mut self, bytes: &[u8]) {
        self.int(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }

    fn address(&mut self, address: &str) {
        let bytes = &address.as_bytes()[..address.len().min(ADDRESS_BYTES)];
        self.0
            .extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn range(&mut self, range: &Range) {
        self.int(range.first);
        self.int(range.last);
    }

    fn copy(&mut self, copy: &Copy) {
        self.bytes(&copy.key);
        self.long(copy.version);
        self.byte(u8::from(copy.value.is_some()));
        let Some(value) = &copy.value else {
            return;
        };
        self.optional(value.deadline);
        self.int(value.marks);
        self.byte(value.recache);
        self.byte(u8::from(value.stamp.is_some()));
        if let Some(stamp) = value.stamp {
            self.int(stamp.index);
            self.byte(u8::from(stamp.is_json));
            self.long(stamp.created);
            self.long(stamp.updated);
        }
        self.bytes(&value.payload);
    }

    fn update(&mut self, update: &Update) {
        match update {
            Update::Copy(copy) => {
                self.byte(0);
                self.copy(copy);
            }
            Update::Steps { key, base, steps } => {
                self.byte(1);
                self.bytes(key);
                self.long(*base);
                self.list(steps, |out, step| {
                    out.long(step.version);
                    out.long(step.now);
                    out.bytes(&step.words);
                });
            }
        }
    }

    fn list<T>(&mut self, all: &[T], write: impl Fn(&mut Writer, &T)) {
        self.int(all.len() as u32);
        all.iter().for_each(|one| write(self, one));
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// What all letters begin with.
    fn head(&mut self) -> Option<Letter<()>> {
        let format = self.byte()?;
        let letter = Letter {
            life: self.long()?,
            wall_ms: self.long()?,
            clearing: Clearing {
                heard: self.long()?,
                done: self.long()?,
            },
            body: (),
        };
        (format == FORMAT).then_some(letter)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn int(&mut self) -> Option<u32> {
        let taken = self.take(4)?.first_chunk()?;
        Some(u32::from_le_bytes(*taken))
    }

    fn long(&mut self) -> Option<u64> {
        let taken = self.take(8)?.first_chunk()?;
        Some(u64::from_le_bytes(*taken))
    }

    fn optional(&mut self) -> Option<Option<u64>> {
        match self.flag()? {
            false => Some(None),
            true => self.long().map(Some),
        }
    }

    fn key(&mut self) -> Option<Box<[u8]>> {
        let length = self.int()? as usize;
        self.take(length).map(Into::into)
    }

    fn address(&mut self) -> Option<&'a str> {
        let length = u16::from_le_bytes(*self.take(2)?.first_chunk()?);
        let length = Some(usize::from(length)).filter(|length| *length <= ADDRESS_BYTES)?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn range(&mut self) -> Option<Range> {
        Some(Range {
            first: self.int()?,
            last: self.int()?,
        })
    }

    fn copy(&mut self) -> Option<Copy> {
        let (key, version) = (self.key()?, self.long()?);
        let value = match self.flag()? {
            false => None,
            true => Some(CopyValue {
                deadline: self.optional()?,
                marks: self.int()?,
                recache: self.byte()?,
                stamp: match self.flag()? {
                    false => None,
                    true => Some(Stamp {
                        index: self.int()?,
                        is_json: self.flag()?,
                        created: self.long()?,
                        updated: self.long()?,
                    }),
                },
                payload: self.key()?,
            }),
        };
        Some(Copy {
            key,
            version,
            value,
        })
    }

    fn update(&mut self) -> Option<Update> {
        if !self.flag()? {
            return self.copy().map(Update::Copy);
        }
        Some(Update::Steps {
            key: self.key()?,
            base: self.long()?,
            steps: self.list(20, |read| {
                Some(Step {
                    version: read.long()?,
                    now: read.long()?,
                    words: read.key()?.into(),
                })
            })?,
        })
    }

    /// Reads a list whose elements have `least` bytes each, at least: so a count that the bytes do
    /// not bear out takes no memory.
    fn list<T>(
        &mut self,
        least: usize,
        mut one: impl FnMut(&mut Reader<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = self.int()? as usize;
        if count > self.0.len() / least {
            return None;
        }
        (0..count).map(|_| one(self)).collect()
    }

    /// Nothing may follow.
    fn end<T>(self, read: T) -> Option<T> {
        self.0.is_empty().then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn range(first: u32, last: u32) -> Range {
        Range { first, last }
    }

    fn copies() -> Vec<Copy> {
        let stamp = Stamp {
            index: 3,
            is_json: true,
            created: 4,
            updated: u64::MAX,
        };
        let value = |deadline, stamp| CopyValue {
            deadline,
            marks: 7,
            recache: 2,
            stamp,
            payload: Box::from(*b"payload"),
        };
        let values = [
            None,
            Some(value(None, None)),
            Some(value(Some(9), Some(stamp))),
        ];
        let copy = |value| Copy {
            key: Box::from(*b"key\0\xff"),
            version: u64::MAX - 1,
            value,
        };
        values.map(copy).into()
    }

    fn updates() -> Vec<Update> {
        let step = |version| Step {
            version,
            now: 5,
            words: Arc::from(*b"words\0"),
        };
        let steps = |steps| Update::Steps {
            key: Box::from(*b"key"),
            base: u64::MAX,
            steps,
        };
        let changes = [steps(vec![step(1), step(u64::MAX)]), steps(Vec::new())];
        let copies = copies().into_iter().map(Update::Copy);
        copies.chain(changes).collect()
    }

    fn asks() -> Vec<Ask> {
        let ranges = vec![range(0, 5), range(9, u32::MAX)];
        vec![
            Ask::Claim {
                claim: 5,
                ranges: ranges.clone(),
            },
            Ask::Survey {
                ranges: ranges.clone(),
                cursor: 1023,
                level: true,
            },
            Ask::Fetch(vec![Box::from(*b"a"), Box::default()]),
            Ask::Offer(vec![Offered {
                range: range(1, 2),
                claim: Some(8),
                owned: true,
            }]),
            Ask::Level(Vec::new()),
            Ask::Keep(updates()),
            Ask::Compare {
                ranges,
                anew: false,
            },
        ]
    }

    fn answers() -> Vec<Answer> {
        vec![
            Answer::Granted(vec![Grant {
                range: range(3, 4),
                whole: true,
                has_keys: false,
                also: vec!["127.0.0.1:1".into(), String::new()],
            }]),
            Answer::Surveyed {
                keys: vec![Known {
                    key: Box::from(*b"k"),
                    version: 1,
                    bytes: 2,
                }],
                next: Some(7),
            },
            Answer::Fetched {
                copies: copies(),
                covered: 9,
            },
            Answer::Released(vec![range(7, 8)]),
            Answer::Kept(vec![
                Ack::Kept,
                Ack::Refused,
                Ack::Broken,
                Ack::Behind,
                Ack::Cleared,
            ]),
            Answer::Done,
            Answer::Later,
        ]
    }

    fn letter<T>(life: u64, body: T) -> Letter<T> {
        Letter {
            life,
            wall_ms: 1_800_000_000_000,
            clearing: Clearing {
                heard: u64::MAX,
                done: 5,
            },
            body,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for body in asks() {
            let ask = letter(77, body);
            let read = decode_ask(&encode_ask("127.0.0.1:3000", &ask));
            assert_eq!(read, Some(("127.0.0.1:3000".into(), ask)));
        }
        for body in answers() {
            let answer = letter(78, body);
            assert_eq!(decode_answer(&encode_answer(&answer)), Some(answer));
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        let asks = asks()
            .into_iter()
            .map(|body| encode_ask("a:1", &letter(1, body)));
        for bytes in asks {
            for end in 0..bytes.len() {
                assert_eq!(decode_ask(&bytes[..end]), None, "{end} of {bytes:?}");
            }
            assert_eq!(decode_ask(&[&bytes[..], b"x"].concat()), None);
        }
        for body in answers() {
            let bytes = encode_answer(&letter(1, body));
            for end in 0..bytes.len() {
                assert_eq!(decode_answer(&bytes[..end]), None, "{end} of {bytes:?}");
            }
        }
    }

    #[test]
    fn other_formats_and_counts_without_elements_are_refused() {
        let ask = letter(1, Ask::Fetch(Vec::new()));
        let mut bytes = encode_ask("a:1", &ask);
        let count = bytes.len() - 4;
        bytes[count..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode_ask(&bytes), None);
        let mut bytes = encode_ask("a:1", &ask);
        bytes[0] = 1;
        assert_eq!(decode_ask(&bytes), None);
    }
}
