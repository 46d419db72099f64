//! Bytes to values. Whatever is wrong with the bytes, nothing comes out.

use super::super::collection::Collection;
use super::super::compact::element::Piece;
use super::super::encodings::Limits;
use super::super::hashes::Hash;
use super::super::lists::{End, List};
use super::super::scores::strtod;
use super::super::sets::Set;
use super::super::sorted_set::SortedSet;
use super::{
    HASH, HASH_LISTPACK, HASH_ZIPLIST, INT8, INT16, INT32, LIST, LIST_QUICKLIST, LIST_QUICKLIST_2,
    LIST_ZIPLIST, LZF, SET, SET_INTSET, STRING, Value, ZSET, ZSET_2, ZSET_LISTPACK, ZSET_ZIPLIST,
    listpack, lzf, ziplist,
};

/// Bytes that are read from their start on.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// Bytes that may still be unfolded.
    budget: usize,
    limits: Limits<'a>,
}

/// A length, or how the string is kept that follows.
enum Length {
    Plain(u64),
    Form(u8),
}

impl<'a> Reader<'a> {
    /// Reads these bytes, and unfolds so many at most.
    pub(super) fn new(bytes: &'a [u8], budget: usize, limits: Limits<'a>) -> Reader<'a> {
        Reader {
            bytes,
            budget,
            limits,
        }
    }

    /// A value with its type.
    pub(super) fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            STRING => Value::Text(self.string()?),
            LIST => of(self.plain_list()?)?,
            LIST_ZIPLIST => of(self.old_list(1)?)?,
            LIST_QUICKLIST => {
                let nodes = self.count()?;
                of(self.old_list(nodes)?)?
            }
            LIST_QUICKLIST_2 => of(self.list()?)?,
            SET => of(self.set()?)?,
            SET_INTSET => {
                let blob = self.string()?;
                of(self.intset(&blob)?)?
            }
            HASH => of(self.hash()?)?,
            HASH_LISTPACK => of(self.hash_of(listpack::each)?)?,
            HASH_ZIPLIST => of(self.hash_of(ziplist::each)?)?,
            kind @ (ZSET | ZSET_2) => of(self.sorted_set(kind)?)?,
            ZSET_LISTPACK => of(self.ranked(listpack::each)?)?,
            ZSET_ZIPLIST => of(self.ranked(ziplist::each)?)?,
            _ => return None,
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        Some(match first {
            0..0x40 => Length::Plain(u64::from(first)),
            0x40..0x80 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            0x82..0xc0 => return None,
            _ => Length::Form(first & 0x3f),
        })
    }

    fn count(&mut self) -> Option<usize> {
        match self.length()? {
            Length::Plain(count) => usize::try_from(count).ok(),
            Length::Form(_) => None,
        }
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let digits = |number: i32| itoa::Buffer::new().format(number).as_bytes().to_vec();
        Some(match self.length()? {
            Length::Plain(length) => {
                let length = usize::try_from(length).ok()?;
                self.unfold(length)?;
                self.take(length)?.to_vec()
            }
            Length::Form(INT8) => digits(i32::from(self.byte()? as i8)),
            Length::Form(INT16) => digits(i32::from(i16::from_le_bytes(self.array()?))),
            Length::Form(INT32) => digits(i32::from_le_bytes(self.array()?)),
            Length::Form(LZF) => {
                let (packed, length) = (self.count()?, self.count()?);
                self.unfold(length)?;
                lzf::unpack(self.take(packed)?, length)?
            }
            Length::Form(_) => return None,
        })
    }

    fn unfold(&mut self, count: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(count)?;
        Some(())
    }

    fn plain_list(&mut self) -> Option<List> {
        let mut list = List::default();
        for _ in 0..self.count()? {
            list.push(End::Right, &self.string()?, self.limits);
        }
        Some(list)
    }

    fn old_list(&mut self, nodes: usize) -> Option<List> {
        let mut list = List::default();
        for _ in 0..nodes {
            ziplist::each(&self.string()?, &mut |element| {
                list.push(End::Right, element, self.limits)
            })?;
        }
        Some(list)
    }

    fn list(&mut self) -> Option<List> {
        let mut list = List::default();
        for _ in 0..self.count()? {
            let (container, bytes) = (self.count()?, self.string()?);
            let mut push = |element: &[u8]| list.push(End::Right, element, self.limits);
            match container {
                1 => push(&bytes),
                2 => listpack::each(&bytes, &mut push)?,
                _ => return None,
            }
        }
        Some(list)
    }

    fn set(&mut self) -> Option<Set> {
        let mut set = Set::default();
        for _ in 0..self.count()? {
            let member = self.string()?;
            set.add(Piece::of(&member), self.limits).then_some(())?;
        }
        Some(set)
    }

    fn hash(&mut self) -> Option<Hash> {
        let mut hash = Hash::default();
        for _ in 0..self.count()? {
            let (field, value) = (self.string()?, self.string()?);
            hash.set(&field, &value, self.limits).then_some(())?;
        }
        Some(hash)
    }

    fn sorted_set(&mut self, kind: u8) -> Option<SortedSet> {
        let mut set = SortedSet::default();
        for _ in 0..self.count()? {
            let member = self.string()?;
            let score = match kind {
                ZSET_2 => f64::from_le_bytes(self.array()?),
                _ => self.decimal()?,
            };
            self.add(&mut set, &member, score)?;
        }
        Some(set)
    }

    fn hash_of(&mut self, each: Each) -> Option<Hash> {
        let mut hash = Hash::default();
        for (field, value) in pairs(&self.string()?, each)? {
            hash.set(&field, &value, self.limits).then_some(())?;
        }
        Some(hash)
    }

    fn ranked(&mut self, each: Each) -> Option<SortedSet> {
        let mut set = SortedSet::default();
        for (member, score) in pairs(&self.string()?, each)? {
            self.add(&mut set, &member, strtod(&score)?)?;
        }
        Some(set)
    }

    fn add(&self, set: &mut SortedSet, member: &[u8], score: f64) -> Option<()> {
        (!score.is_nan() && set.set(Piece::of(member), score, self.limits)).then_some(())
    }

    /// A set of numbers of the same width.
    fn intset(&self, bytes: &[u8]) -> Option<Set> {
        let (width, rest) = bytes.split_first_chunk::<4>()?;
        let (count, numbers) = rest.split_first_chunk::<4>()?;
        let width = match u32::from_le_bytes(*width) {
            width @ (2 | 4 | 8) => width as usize,
            _ => return None,
        };
        if numbers.len() != (u32::from_le_bytes(*count) as usize).checked_mul(width)? {
            return None;
        }
        let mut set = Set::default();
        for number in numbers.chunks_exact(width) {
            let mut bytes = [0; 8];
            bytes[8 - width..].copy_from_slice(number);
            let number = i64::from_le_bytes(bytes) >> (64 - 8 * width);
            set.add(Piece::Int(number), self.limits).then_some(())?;
        }
        Some(set)
    }

    /// A score in decimal.
    fn decimal(&mut self) -> Option<f64> {
        match self.byte()? {
            253 => None,
            254 => Some(f64::INFINITY),
            255 => Some(f64::NEG_INFINITY),
            length => std::str::from_utf8(self.take(usize::from(length))?)
                .ok()?
                .parse()
                .ok(),
        }
    }
}

/// A collection as a value: there is none without an element.
fn of<C: Collection>(collection: C) -> Option<Value> {
    (!collection.is_empty()).then(|| Value::Object(collection.into_object()))
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What tells the elements of a listpack or ziplist.
type Each = fn(&[u8], &mut dyn FnMut(&[u8])) -> Option<()>;

/// The elements of a listpack or ziplist two by two.
fn pairs(bytes: &[u8], each: Each) -> Option<Pairs> {
    let (mut pairs, mut first) = (Pairs::new(), None);
    each(bytes, &mut |element| match first.take() {
        None => first = Some(element.to_vec()),
        Some(first) => pairs.push((first, element.to_vec())),
    })?;
    first.is_none().then_some(pairs)
}
