//! The bytes of one element: those of an entry in Redis's listpacks, without the length that stands
//! behind it there (<https://github.com/antirez/listpack/blob/master/listpack.md>).
//!
//! ```text
//! 0nnnnnnn                 a number of 7 bits
//! 10llllll bytes           a string of fewer than 64 bytes
//! 110nnnnn n8              a number of 13 bits
//! 1110llll l8 bytes        a string of fewer than 4096 bytes
//! f0 l32 bytes             a longer string
//! f1, f2, f3, f4 number    a number of 16, 24, 32, 64 bits
//! f5 float                 a score that is no whole number; listpacks do not have it
//! ```
//!
//! A string that is a number in its shortest decimal form is always kept as a number, and always in
//! the first form that holds it: so two elements are the same if their bytes are.

use std::hash::Hash;

use crate::command::number::integer;
use crate::command::{Blob, Grouping, Reply, Strings};

const FLOAT: u8 = 0xf5;
/// Most bytes before those of a string.
const HEAD: usize = 9;

/// An element as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::store) enum Piece<'a> {
    /// A number in its shortest decimal form.
    Int(i64),
    /// Any other bytes.
    Bytes(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// The element with these bytes.
    #[inline]
    pub(in crate::store) fn of(bytes: &'a [u8]) -> Piece<'a> {
        match integer(bytes) {
            Some(number) => Piece::Int(number),
            None => Piece::Bytes(bytes),
        }
    }

    /// Its bytes; a number is written into `buffer`.
    #[inline]
    pub(in crate::store) fn bytes<'b>(self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Piece::Int(number) => buffer.format(number).as_bytes(),
            Piece::Bytes(bytes) => bytes,
        }
    }

    /// Its bytes, copied.
    #[inline]
    pub(in crate::store) fn blob(self) -> Blob {
        match self {
            Piece::Bytes(bytes) => Blob::from_slice(bytes),
            Piece::Int(number) => Blob::from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// Its bytes as a reply.
    #[inline]
    pub(in crate::store) fn reply(self) -> Reply {
        Reply::Bulk(self.blob())
    }

    /// Adds its bytes to those of a reply.
    #[inline]
    pub(in crate::store) fn add_to(self, strings: &mut Strings) {
        strings.push(self.bytes(&mut itoa::Buffer::new()));
    }

    /// Many of them as one reply.
    pub(in crate::store) fn replies(
        grouping: Grouping,
        all: impl Iterator<Item = Piece<'a>>,
    ) -> Reply {
        let mut strings = Strings::new(grouping);
        all.for_each(|piece| piece.add_to(&mut strings));
        Reply::Strings(strings)
    }

    /// Number of bytes.
    pub(in crate::store) fn len(self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Int(number) => itoa::Buffer::new().format(number).len(),
        }
    }
}

/// An element, or a score, as it is written.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Code<'a> {
    head: [u8; HEAD],
    /// Bytes of the head.
    width: u8,
    body: &'a [u8],
}

impl<'a> Code<'a> {
    #[inline]
    pub(in crate::store) fn of(piece: Piece<'a>) -> Code<'a> {
        match piece {
            Piece::Int(number) => Code::number(number),
            Piece::Bytes(bytes) => Code::text(bytes),
        }
    }

    fn new(head: &[u8], body: &'a [u8]) -> Code<'a> {
        let mut bytes = [0; HEAD];
        bytes[..head.len()].copy_from_slice(head);
        Code {
            head: bytes,
            width: head.len() as u8,
            body,
        }
    }

    fn number(number: i64) -> Code<'a> {
        let bytes = number.to_le_bytes();
        match number {
            0..=127 => Code::new(&bytes[..1], &[]),
            -4096..=4095 => Code::new(&(number as u16 & 0x1fff | 0xc000).to_be_bytes(), &[]),
            -0x8000..=0x7fff => Code::wide(0xf1, &bytes[..2]),
            -0x80_0000..=0x7f_ffff => Code::wide(0xf2, &bytes[..3]),
            -0x8000_0000..=0x7fff_ffff => Code::wide(0xf3, &bytes[..4]),
            _ => Code::wide(0xf4, &bytes),
        }
    }

    fn wide(first: u8, bytes: &[u8]) -> Code<'a> {
        let mut head = [first; HEAD];
        head[1..=bytes.len()].copy_from_slice(bytes);
        Code {
            head,
            width: 1 + bytes.len() as u8,
            body: &[],
        }
    }

    #[inline]
    fn text(text: &'a [u8]) -> Code<'a> {
        match text.len() {
            length @ 0..64 => Code::new(&[0x80 | length as u8], text),
            length @ 64..4096 => Code::new(&(length as u16 | 0xe000).to_be_bytes(), text),
            length => Code {
                body: text,
                ..Code::wide(0xf0, &(length as u32).to_le_bytes())
            },
        }
    }

    /// A score: as a number where that is the same.
    pub(in crate::store) fn score(score: f64) -> Code<'a> {
        const WHOLE: f64 = (1u64 << 53) as f64;
        let is_whole = score.trunc() == score && score.abs() <= WHOLE;
        if is_whole && (score != 0.0 || score.is_sign_positive()) {
            return Code::number(score as i64);
        }
        Code::wide(FLOAT, &score.to_le_bytes())
    }

    /// Number of bytes.
    #[inline]
    pub(in crate::store) fn len(&self) -> usize {
        usize::from(self.width) + self.body.len()
    }

    /// The bytes.
    #[inline]
    pub(in crate::store) fn parts(&self) -> [&[u8]; 2] {
        [&self.head[..usize::from(self.width)], self.body]
    }

    /// Whether this is the first element of these bytes.
    #[inline]
    pub(in crate::store) fn is_at(&self, bytes: &[u8]) -> bool {
        if bytes.first() != Some(&self.head[0]) {
            return false;
        }
        let [head, body] = self.parts();
        // The ends are compared first: words that begin alike are common.
        if let Some(end) = body.last_chunk::<8>()
            && bytes.get(self.len() - 8..self.len()) != Some(end)
        {
            return false;
        }
        bytes.starts_with(head) && bytes[head.len()..].starts_with(body)
    }
}

/// Bytes of the first element of these.
#[inline(always)]
pub(in crate::store) fn size(bytes: &[u8]) -> usize {
    match bytes[0] {
        0..=0x7f => 1,
        first @ 0x80..=0xbf => 1 + usize::from(first & 0x3f),
        _ => long_size(bytes),
    }
}

#[inline(never)]
fn long_size(bytes: &[u8]) -> usize {
    match bytes[0] {
        0xc0..=0xdf => 2,
        first @ 0xe0..=0xef => 2 + (usize::from(first & 0x0f) << 8 | usize::from(bytes[1])),
        0xf0 => 5 + u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize,
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        _ => HEAD,
    }
}

/// The element that these bytes are.
#[inline(always)]
pub(in crate::store) fn read(bytes: &[u8]) -> Piece<'_> {
    match bytes[0] {
        first @ 0..=0x7f => Piece::Int(i64::from(first)),
        0x80..=0xbf => Piece::Bytes(&bytes[1..]),
        _ => read_long(bytes),
    }
}

#[inline(never)]
fn read_long(bytes: &[u8]) -> Piece<'_> {
    match bytes[0] {
        first @ 0xc0..=0xdf => {
            let value = u16::from(first & 0x1f) << 8 | u16::from(bytes[1]);
            Piece::Int(i64::from((value << 3) as i16 >> 3))
        }
        0xe0..=0xef => Piece::Bytes(&bytes[2..]),
        0xf0 => Piece::Bytes(&bytes[5..]),
        _ => {
            let mut value = [0; 8];
            let width = bytes.len() - 1;
            value[8 - width..].copy_from_slice(&bytes[1..]);
            Piece::Int(i64::from_le_bytes(value) >> (64 - 8 * width))
        }
    }
}

/// The score that these bytes are.
#[inline]
pub(in crate::store) fn read_score(bytes: &[u8]) -> f64 {
    match (bytes, read(bytes)) {
        ([FLOAT, rest @ ..], _) => f64::from_le_bytes(*rest.first_chunk().unwrap_or(&[0; 8])),
        (_, Piece::Int(number)) => number as f64,
        (_, Piece::Bytes(_)) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(code: &Code<'_>) -> Vec<u8> {
        code.parts().concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut numbers = vec![0, 5, -5, i64::MIN, i64::MAX];
        for bits in [7, 12, 15, 23, 31, 53, 62] {
            numbers.extend((-2..3).map(|i| (1i64 << bits) + i));
            numbers.extend((-2..3).map(|i| -(1i64 << bits) + i));
        }
        let mut elements: Vec<Vec<u8>> = numbers.iter().map(|n| n.to_string().into()).collect();
        elements.extend([0, 1, 63, 64, 127, 4095, 4096, 70_000].map(|n| vec![b'x'; n]));
        elements.extend([b"007".to_vec(), b"-0".to_vec(), b"+1".to_vec()]);
        for element in &elements {
            let code = Code::of(Piece::of(element));
            let mut bytes = bytes_of(&code);
            assert_eq!(code.len(), bytes.len());
            assert_eq!(size(&bytes), bytes.len());
            assert_eq!(read(&bytes).blob().as_slice(), element);
            assert_eq!(read(&bytes).len(), element.len());
            bytes.push(7);
            assert!(code.is_at(&bytes));
            for other in &elements {
                let other = Code::of(Piece::of(other));
                assert_eq!(other.is_at(&bytes), bytes_of(&other) == bytes_of(&code));
            }
        }
    }

    #[test]
    fn scores_keep_all_their_bits() {
        for (score, width) in [
            (0.0, 1),
            (-0.0, 9),
            (100.0, 1),
            (-7.0, 2),
            (0.5, 9),
            (1e15, 9),
            (1e300, 9),
            (f64::INFINITY, 9),
            (f64::NEG_INFINITY, 9),
            (f64::MIN_POSITIVE, 9),
        ] {
            let code = bytes_of(&Code::score(score));
            assert_eq!((code.len(), size(&code)), (width, width), "{score}");
            assert_eq!(read_score(&code).to_bits(), score.to_bits());
        }
    }
}
