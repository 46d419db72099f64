//! Lists: the elements of a small one in one allocation, those of a big one in chunks.

use std::ops::Range;

use super::allocation;
use super::compact::chunks::Chunks;
use super::compact::element::{Code, Piece};
use super::compact::strip::{Strip, width, write};
use super::encodings::Limits;
use super::errors::{Error, SYNTAX};
use crate::command::Blob;

/// Bytes beyond which a list is kept in chunks.
const SMALL: usize = 1024;
/// Bytes at which a list that has become shorter is kept in one allocation again.
const SMALL_AGAIN: usize = 512;
const HEADER: usize = 2;

/// A list of elements with fast ends.
#[derive(Clone, Debug)]
pub(super) enum List {
    /// `elements 2 │ strip`, or nothing.
    Small(Box<[u8]>),
    Big(Box<Chunks>),
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The head: index 0.
    Left,
    /// The tail.
    Right,
}

impl End {
    pub(super) fn parse(word: &[u8]) -> Result<End, Error> {
        match word {
            w if w.eq_ignore_ascii_case(b"left") => Ok(End::Left),
            w if w.eq_ignore_ascii_case(b"right") => Ok(End::Right),
            _ => Err(SYNTAX.into()),
        }
    }
}

impl Default for List {
    fn default() -> List {
        List::Small(Box::default())
    }
}

/// Number of elements of a small list.
#[inline]
fn count(small: &[u8]) -> usize {
    let count = small.first_chunk::<HEADER>();
    count.map_or(0, |count| usize::from(u16::from_le_bytes(*count)))
}

#[inline]
fn strip(small: &[u8]) -> &[u8] {
    small.get(HEADER..).unwrap_or_default()
}

fn set_count(small: &mut [u8], count: usize) {
    small[..HEADER].copy_from_slice(&(count as u16).to_le_bytes());
}

/// Adds an element to a small list.
fn push_small(small: &mut Box<[u8]>, end: End, code: &Code<'_>) {
    let (width, count) = (width(code), count(small));
    let mut bytes = std::mem::take(small).into_vec();
    let old = bytes.len().max(HEADER);
    bytes.reserve_exact(old + width - bytes.len());
    bytes.resize(old + width, 0);
    let at = match end {
        End::Left => {
            bytes.copy_within(HEADER..old, HEADER + width);
            HEADER
        }
        End::Right => old,
    };
    write(code, &mut bytes[at..at + width]);
    set_count(&mut bytes, count + 1);
    *small = bytes.into_boxed_slice();
}

/// Takes an element of a small list, told to `taken`.
fn pop_small<T>(small: &mut Box<[u8]>, end: End, taken: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
    let mut elements = Strip(strip(small));
    let popped = taken(match end {
        End::Left => elements.next()?,
        End::Right => elements.next_back()?,
    });
    let (left, count) = (elements.0.len(), count(small) - 1);
    if count == 0 {
        *small = Box::default();
        return Some(popped);
    }
    let mut bytes = std::mem::take(small).into_vec();
    if end == End::Left {
        let first = bytes.len() - left;
        bytes.copy_within(first.., HEADER);
    }
    bytes.truncate(HEADER + left);
    set_count(&mut bytes, count);
    *small = bytes.into_boxed_slice();
    Some(popped)
}

impl List {
    /// Number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            List::Small(small) => count(small),
            List::Big(chunks) => chunks.len(),
        }
    }

    /// Bytes allocated.
    pub(super) fn allocated(&self) -> usize {
        match self {
            List::Small(small) => allocation::size(small.len()),
            List::Big(chunks) => chunks.allocated(),
        }
    }

    /// The elements from head to tail.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Piece<'_>> {
        let (small, big) = match self {
            List::Small(small) => (strip(small), None),
            List::Big(chunks) => (&[][..], Some(chunks)),
        };
        Strip(small).chain(big.into_iter().flat_map(|chunks| chunks.iter()))
    }

    /// Visits the elements with these indices, which are there.
    pub(super) fn visit(&self, indices: Range<usize>, mut visit: impl FnMut(Piece<'_>)) {
        match self {
            List::Small(small) => {
                let strip = Strip(strip(small)).skip(indices.start);
                strip.take(indices.len()).for_each(visit);
            }
            List::Big(chunks) => chunks.visit(indices, &mut visit),
        }
    }

    /// The element with this index.
    pub(super) fn get(&self, index: usize) -> Option<Piece<'_>> {
        match self {
            List::Small(_) if index >= self.len() => None,
            List::Small(small) if index > self.len() / 2 => {
                Strip(strip(small)).nth_back(self.len() - 1 - index)
            }
            List::Small(small) => Strip(strip(small)).nth(index),
            List::Big(chunks) => chunks.get(index),
        }
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        "quicklist"
    }

    /// Adds an element at an end.
    #[inline]
    pub(super) fn push(&mut self, end: End, element: &[u8], limits: Limits<'_>) {
        let element = Piece::of(element);
        match self {
            List::Small(small) => {
                let code = Code::of(element);
                if small.len() + width(&code) <= SMALL {
                    push_small(small, end, &code);
                } else {
                    self.chunks().push(end, element, limits.list());
                }
            }
            List::Big(chunks) => chunks.push(end, element, limits.list()),
        }
    }

    /// Takes the element at an end.
    #[inline]
    pub(super) fn pop(&mut self, end: End) -> Option<Blob> {
        match self {
            List::Small(small) => pop_small(small, end, |popped| popped.blob()),
            List::Big(chunks) => {
                let popped = chunks.pop(end, |popped| popped.blob());
                self.settle();
                popped
            }
        }
    }

    /// The elements in chunks from now on.
    fn chunks(&mut self) -> &mut Chunks {
        if let List::Small(small) = self {
            let chunks = Chunks::of_strip(count(small), strip(small));
            *self = List::Big(Box::new(chunks));
        }
        match self {
            List::Big(chunks) => chunks,
            List::Small(_) => unreachable!("it has just been made a big one"),
        }
    }

    /// Puts the elements in one allocation again if they have become few.
    #[inline]
    fn settle(&mut self) {
        if let List::Big(chunks) = self
            && let Some(strip) = chunks.only_strip()
            && strip.len() <= SMALL_AGAIN
        {
            let count = (chunks.len() as u16).to_le_bytes();
            *self = match strip {
                [] => List::default(),
                strip => List::Small([&count, strip].concat().into_boxed_slice()),
            };
        }
    }

    /// Replaces the element with this index, which is there.
    pub(super) fn set(&mut self, index: usize, element: &[u8], limits: Limits<'_>) {
        self.chunks().set(index, Piece::of(element), limits.list());
        self.settle();
    }

    /// Adds an element before the one with this index, or at the end.
    pub(super) fn insert(&mut self, index: usize, element: &[u8], limits: Limits<'_>) {
        if index >= self.len() {
            return self.push(End::Right, element, limits);
        }
        self.chunks()
            .insert(index, Piece::of(element), limits.list());
        self.settle();
    }

    /// Removes elements that equal this one: so many from that end on. Returns how many.
    pub(super) fn remove(&mut self, element: &[u8], from: End, most: usize) -> usize {
        let removed = self.chunks().remove(Piece::of(element), from, most);
        self.settle();
        removed
    }

    /// Keeps the elements with these indices.
    pub(super) fn keep(&mut self, indices: Range<usize>) {
        self.chunks().keep(indices);
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn all(list: &List) -> String {
        let text = |piece: Piece<'_>| piece.blob().escape_ascii().to_string();
        list.iter().map(text).collect()
    }

    #[test]
    fn elements_are_removed_from_the_end_asked_for() {
        for (from, most, left, removed) in [
            (End::Left, 1, "bacada", 1),
            (End::Left, 2, "bcada", 2),
            (End::Left, 9, "bcd", 4),
            (End::Right, 1, "abacad", 1),
            (End::Right, 2, "abacd", 2),
            (End::Right, 9, "bcd", 4),
        ] {
            let (mut list, limits) = (List::default(), Limits::default());
            let mut push = |b| list.push(End::Right, &[b], limits);
            "abacada".bytes().for_each(&mut push);
            assert_eq!(list.remove(b"a", from, most), removed);
            assert_eq!(all(&list), left);
            assert_eq!(list.remove(b"x", from, most), 0);
        }
    }

    #[test]
    fn an_emptied_list_gives_its_memory_back() {
        let (mut list, limits) = (List::default(), Limits::default());
        (0..100_000).for_each(|_| list.push(End::Left, b"x", limits));
        assert!(list.allocated() < 100_000 * 4);
        while list.len() > 10 {
            list.pop(End::Right);
        }
        assert_eq!(list.allocated(), allocation::size(HEADER + 10 * 3));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(End, usize, usize),
        Pop(End, usize),
        Set(usize, usize),
        Insert(usize, usize),
        Remove(usize),
        Keep(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let end = || prop_oneof![Just(End::Left), Just(End::Right)];
        prop_oneof![
            6 => (end(), 0..70usize, 1..40usize).prop_map(|(e, n, t)| Step::Push(e, n, t)),
            4 => (end(), 0..60usize).prop_map(|(e, t)| Step::Pop(e, t)),
            1 => (any::<usize>(), 0..300usize).prop_map(|(i, n)| Step::Set(i, n)),
            1 => (any::<usize>(), 0..300usize).prop_map(|(i, n)| Step::Insert(i, n)),
            1 => (0..70usize).prop_map(Step::Remove),
            1 => (0..30usize, 0..30usize).prop_map(|(a, b)| Step::Keep(a, b)),
        ]
    }

    fn apply(list: &mut List, model: &mut VecDeque<Blob>, step: Step) {
        let limits = Limits::default();
        let word = |length: usize| match length % 3 {
            0 => Blob::from_slice(length.to_string().as_bytes()),
            _ => Blob::from_elem(b'x', length),
        };
        match step {
            Step::Push(end, length, times) => (0..times).for_each(|_| {
                list.push(end, &word(length), limits);
                match end {
                    End::Left => model.push_front(word(length)),
                    End::Right => model.push_back(word(length)),
                }
            }),
            Step::Pop(end, times) => (0..times).for_each(|_| {
                let popped = match end {
                    End::Left => model.pop_front(),
                    End::Right => model.pop_back(),
                };
                assert_eq!(list.pop(end), popped);
            }),
            Step::Set(index, length) if !model.is_empty() => {
                let index = index % model.len();
                list.set(index, &word(length), limits);
                model[index] = word(length);
            }
            Step::Set(..) => {}
            Step::Insert(index, length) => {
                let index = index % (model.len() + 1);
                list.insert(index, &word(length), limits);
                model.insert(index, word(length));
            }
            Step::Remove(length) => {
                let before = model.len();
                model.retain(|w| *w != word(length));
                let removed = list.remove(&word(length), End::Left, usize::MAX);
                assert_eq!(removed, before - model.len());
            }
            Step::Keep(before, after) => {
                let start = before.min(model.len());
                let end = (model.len() - after.min(model.len())).max(start);
                list.keep(start..end);
                *model = model.drain(start..end).collect();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_deque_of_any_size(
            steps in prop::collection::vec(step(), 0..60),
            first in 0..900usize,
            len in 0..900usize,
        ) {
            let (mut list, mut model) = (List::default(), VecDeque::new());
            for step in steps {
                apply(&mut list, &mut model, step);
                assert_eq!(list.len(), model.len());
                assert!(list.iter().map(Piece::blob).eq(model.iter().cloned()));
            }
            assert!(list.iter().rev().map(Piece::blob).eq(model.iter().rev().cloned()));
            let range = first.min(model.len())..(first + len).min(model.len());
            let mut found = Vec::new();
            list.visit(range.clone(), |piece| found.push(piece.blob()));
            assert!(found.iter().eq(model.range(range)));
            for index in 0..=model.len() {
                assert_eq!(list.get(index).map(Piece::blob), model.get(index).cloned());
            }
        }
    }
}
