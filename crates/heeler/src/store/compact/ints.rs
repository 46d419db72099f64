//! Integers in order, each once, in one allocation: all as wide as the widest needs.
//!
//! ```text
//! width 1 │ number width …
//! ```

use super::splice;
use crate::store::allocation;

/// A set of integers.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Ints(Box<[u8]>);

fn width_of(number: i64) -> usize {
    match number {
        -0x8000..=0x7fff => 2,
        -0x8000_0000..=0x7fff_ffff => 4,
        _ => 8,
    }
}

impl Ints {
    /// Bytes of each number.
    pub(in crate::store) fn width(&self) -> usize {
        self.0.first().map_or(2, |width| usize::from(*width))
    }

    /// Number of numbers.
    #[inline]
    pub(in crate::store) fn len(&self) -> usize {
        self.0.len().saturating_sub(1) / self.width()
    }

    /// Bytes allocated.
    pub(in crate::store) fn allocated(&self) -> usize {
        allocation::size(self.0.len())
    }

    /// The numbers, each with so many of its little-endian bytes as all have.
    pub(in crate::store) fn bytes(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    /// The number with this index; zero if there is none.
    #[inline]
    pub(in crate::store) fn get(&self, index: usize) -> i64 {
        let numbers = self.bytes();
        match self.width() {
            2 => chunk(numbers, index).map_or(0, |b| i16::from_le_bytes(b).into()),
            4 => chunk(numbers, index).map_or(0, |b| i32::from_le_bytes(b).into()),
            _ => chunk(numbers, index).map_or(0, i64::from_le_bytes),
        }
    }

    /// The numbers in order.
    pub(in crate::store) fn iter(&self) -> impl ExactSizeIterator<Item = i64> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Whether a number is there.
    #[inline]
    pub(in crate::store) fn contains(&self, number: i64) -> bool {
        self.find(number).is_ok()
    }

    /// The index of a number, or the one that it would have.
    fn find(&self, number: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Numbers that come in order are added at the end.
        if high > 0 && self.get(high - 1) < number {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle) {
                found if found < number => low = middle + 1,
                found if found > number => high = middle,
                _ => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Adds a number; whether it is new.
    pub(in crate::store) fn insert(&mut self, number: i64) -> bool {
        let Err(index) = self.find(number) else {
            return false;
        };
        let width = width_of(number);
        if self.0.is_empty() {
            self.0 = Box::new([width as u8]);
        } else if width > self.width() {
            self.widen(width);
        }
        let width = self.width();
        let at = 1 + index * width;
        splice(&mut self.0, at..at, &[&number.to_le_bytes()[..width]]);
        true
    }

    fn widen(&mut self, width: usize) {
        let mut wide = Vec::with_capacity(1 + (self.len() + 1) * width);
        wide.push(width as u8);
        for number in self.iter() {
            wide.extend_from_slice(&number.to_le_bytes()[..width]);
        }
        self.0 = wide.into_boxed_slice();
    }

    /// Removes a number; whether it was there.
    pub(in crate::store) fn remove(&mut self, number: i64) -> bool {
        let found = self.find(number);
        found.map(|index| self.remove_at(index)).is_ok()
    }

    /// Removes the number with this index.
    pub(in crate::store) fn remove_at(&mut self, index: usize) {
        let width = self.width();
        let at = 1 + index * width;
        splice(&mut self.0, at..at + width, &[]);
        if self.0.len() == 1 {
            self.0 = Box::default();
        }
    }
}

fn chunk<const N: usize>(bytes: &[u8], index: usize) -> Option<[u8; N]> {
    bytes.get(index * N..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = i64> {
        let edge = |n: i64| (n - 2..n + 3).boxed();
        prop_oneof![
            6 => -20..20i64,
            1 => edge(0x7fff),
            1 => edge(-0x8000),
            1 => edge(0x7fff_ffff),
            1 => edge(-0x8000_0000),
            1 => any::<i64>(),
        ]
    }

    proptest! {
        #[test]
        fn they_are_a_sorted_set(steps in prop::collection::vec((any::<bool>(), number()), 0..80)) {
            let (mut ints, mut model) = (Ints::default(), BTreeSet::new());
            for (adds, number) in steps {
                match adds {
                    true => assert_eq!(ints.insert(number), model.insert(number)),
                    false => assert_eq!(ints.remove(number), model.remove(&number)),
                }
                assert!(ints.iter().eq(model.iter().copied()));
                assert_eq!((ints.len(), ints.contains(number)), (model.len(), adds));
                assert_eq!(ints.allocated() == 0, model.is_empty());
            }
        }
    }
}
