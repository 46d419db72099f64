//! Records one after the other in one allocation, in the order in which they were put there.
//!
//! ```text
//! records 2 │ record …            record: one element, or two: a key and its value
//! ```

use std::ops::Range;

use super::element::{Code, Piece, read, size};
use super::splice;
use crate::store::allocation;
use crate::store::prefetch::prefetch_all;

const HEADER: usize = 2;
/// Bytes that are prefetched before a search begins.
const NEAR: usize = 1024;

/// Records of `W` elements; the first one of a record is its key, and no two have the same.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Run<const W: usize>(Box<[u8]>);

/// A record: its key, and the bytes of its value.
pub(in crate::store) type Record<'a> = (Piece<'a>, &'a [u8]);

/// Most records of a run.
pub(in crate::store) const MOST_RECORDS: usize = u16::MAX as usize;

/// Bytes of the first record of these.
#[inline]
fn record_size<const W: usize>(bytes: &[u8]) -> usize {
    let key = size(bytes);
    match W {
        1 => key,
        _ => key + size(&bytes[key..]),
    }
}

/// A record from its bytes.
#[inline]
pub(super) fn record(bytes: &[u8]) -> Record<'_> {
    let (key, value) = bytes.split_at(size(bytes));
    (read(key), value)
}

impl<const W: usize> Run<W> {
    /// A run of records that are already written one after the other.
    pub(super) fn of_records(count: usize, records: &[u8]) -> Run<W> {
        if count == 0 {
            return Run::default();
        }
        let count = (count as u16).to_le_bytes();
        Run([&count, records].concat().into_boxed_slice())
    }

    /// Number of records.
    #[inline]
    pub(in crate::store) fn len(&self) -> usize {
        let count = self.0.first_chunk::<HEADER>();
        count.map_or(0, |count| usize::from(u16::from_le_bytes(*count)))
    }

    /// Bytes allocated.
    #[inline]
    pub(in crate::store) fn allocated(&self) -> usize {
        allocation::size(self.0.len())
    }

    /// The places of the records, in order.
    fn places(&self) -> impl Iterator<Item = Range<usize>> {
        let mut next = HEADER;
        std::iter::from_fn(move || {
            let start = next;
            let rest = self.0.get(start..).filter(|rest| !rest.is_empty())?;
            next += record_size::<W>(rest);
            Some(start..next)
        })
    }

    /// The records in order.
    pub(in crate::store) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.places().map(|place| record(&self.0[place]))
    }

    /// The bytes of the records, in order.
    pub(super) fn raw_records(&self) -> impl Iterator<Item = &[u8]> {
        self.places().map(|place| &self.0[place])
    }

    /// The record in a place.
    #[inline]
    pub(in crate::store) fn at(&self, place: Range<usize>) -> Record<'_> {
        record(&self.0[place])
    }

    /// Where the record with this key is.
    #[inline]
    pub(in crate::store) fn find(&self, key: &Code<'_>) -> Option<Range<usize>> {
        prefetch_all(&self.0, NEAR);
        let mut at = HEADER;
        while at < self.0.len() {
            let rest = &self.0[at..];
            let end = at + record_size::<W>(rest);
            if key.is_at(rest) {
                return Some(at..end);
            }
            at = end;
        }
        None
    }

    /// Where the record with this index is.
    pub(in crate::store) fn nth(&self, index: usize) -> Option<Range<usize>> {
        self.places().nth(index)
    }

    /// Where the first record begins for which this holds, or all end.
    pub(in crate::store) fn place_where(&self, holds: impl Fn(Record<'_>) -> bool) -> usize {
        let mut places = self.places();
        let place = places.find(|place| holds(record(&self.0[place.clone()])));
        place.map_or(self.end(), |place| place.start)
    }

    /// One past the last byte.
    pub(in crate::store) fn end(&self) -> usize {
        self.0.len().max(HEADER)
    }

    /// Adds a record before the byte `at`, where one begins or all end.
    pub(in crate::store) fn insert(&mut self, at: usize, parts: &[&[u8]]) {
        if self.0.is_empty() {
            self.0 = Box::new([0; HEADER]);
        }
        splice(&mut self.0, at..at, parts);
        self.count(1);
    }

    /// Puts a record in the place of one.
    pub(in crate::store) fn replace(&mut self, place: Range<usize>, parts: &[&[u8]]) {
        splice(&mut self.0, place, parts);
    }

    /// Removes the record in a place.
    pub(in crate::store) fn remove(&mut self, place: Range<usize>) {
        if self.len() == 1 {
            self.0 = Box::default();
            return;
        }
        splice(&mut self.0, place, &[]);
        self.count(-1);
    }

    fn count(&mut self, change: i16) {
        if let Some(count) = self.0.first_chunk_mut::<HEADER>() {
            let new = u16::from_le_bytes(*count).wrapping_add_signed(change);
            *count = new.to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(piece: Piece<'_>) -> String {
        piece.blob().escape_ascii().to_string()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(String, String),
        Remove(String),
        RemoveNth(usize),
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[a-c]{0,2}",
            2 => (-200..200i64).prop_map(|n| n.to_string()),
            1 => any::<i64>().prop_map(|n| n.to_string()),
            1 => (60..70usize, "[a-c]").prop_map(|(n, letter)| letter.repeat(n)),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (word(), word()).prop_map(|(k, v)| Step::Set(k, v)),
            2 => word().prop_map(Step::Remove),
            1 => any::<usize>().prop_map(Step::RemoveNth),
        ]
    }

    fn set(run: &mut Run<2>, key: &str, value: &str) {
        let code = Code::of(Piece::of(key.as_bytes()));
        let value = Code::of(Piece::of(value.as_bytes()));
        let parts = [code.parts(), value.parts()].concat();
        match run.find(&code) {
            Some(place) => run.replace(place, &parts),
            None => run.insert(run.end(), &parts),
        }
    }

    proptest! {
        #[test]
        fn it_is_a_vector_of_pairs(steps in prop::collection::vec(step(), 0..60)) {
            let mut run = Run::<2>::default();
            let mut model: Vec<(String, String)> = Vec::new();
            for step in steps {
                match step {
                    Step::Set(key, value) => {
                        set(&mut run, &key, &value);
                        match model.iter_mut().find(|(k, _)| *k == key) {
                            Some(pair) => pair.1 = value,
                            None => model.push((key, value)),
                        }
                    }
                    Step::Remove(key) => {
                        let place = run.find(&Code::of(Piece::of(key.as_bytes())));
                        let at = model.iter().position(|(k, _)| *k == key);
                        assert_eq!(place.is_some(), at.is_some());
                        place.into_iter().for_each(|place| run.remove(place));
                        at.into_iter().for_each(|at| drop(model.remove(at)));
                    }
                    Step::RemoveNth(index) => {
                        let index = index % (model.len() + 1);
                        let place = run.nth(index);
                        assert_eq!(place.is_some(), index < model.len());
                        if let Some(place) = place {
                            assert_eq!(text(run.at(place.clone()).0), model[index].0);
                            run.remove(place);
                            model.remove(index);
                        }
                    }
                }
                let pairs = run.records().map(|(k, v)| (text(k), text(read(v))));
                assert_eq!(pairs.collect::<Vec<_>>(), model);
                assert_eq!(run.len(), model.len());
                assert_eq!(run.allocated() == 0, model.is_empty());
            }
        }
    }
}
