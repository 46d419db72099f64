//! A few elements in order, or the bounds of a node's children.
//!
//! Their scores lie side by side, so that a search compares many at a time and looks at members
//! only where scores are the same. Their members lie in any order beside: one that comes or goes
//! moves two bytes for each one behind it, and touches few cache lines, most of which have to come
//! from memory.

use std::ops::Range;

use super::Scored;
use crate::store::allocation;
use crate::store::collection::Element;
use crate::store::prefetch::{prefetch, prefetch_all};

/// Most elements of a list.
pub(super) const MOST: usize = 64;
/// Room is made for so many more at a time, and scores are compared so many at a time.
const STEP: usize = 16;

/// Up to so many members are prefetched one by one; if they are more, the whole list is.
const FEW: usize = 4;

/// Elements in order.
#[derive(Clone, Debug)]
pub(super) struct Elements {
    /// Up to a multiple of [`STEP`] NaN, which is neither less than a score nor the same.
    scores: Vec<f64>,
    /// Where the member of each score is.
    slots: [u8; MOST],
    members: Vec<Element>,
}

impl Default for Elements {
    fn default() -> Elements {
        Elements {
            scores: Vec::new(),
            slots: [0; MOST],
            members: Vec::new(),
        }
    }
}

impl Elements {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Bytes that so many take.
    pub(super) fn allocated(len: usize) -> usize {
        let scores = len.next_multiple_of(STEP) * size_of::<f64>();
        let members = match len {
            0 => 0,
            1..=STEP => len.next_power_of_two().max(4),
            _ => len.next_multiple_of(STEP),
        };
        allocation::size(scores) + allocation::size(members * size_of::<Element>())
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> (f64, &Element) {
        (self.scores[at], &self.members[usize::from(self.slots[at])])
    }

    pub(super) fn range(
        &self,
        range: Range<usize>,
    ) -> impl DoubleEndedIterator<Item = (f64, &Element)> + ExactSizeIterator {
        range.map(|at| self.get(at))
    }

    /// Prefetches all that a search looks at: it would wait for one cache line after the other.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_all(&self.scores, usize::MAX);
    }

    /// Prefetches what is touched when an element is added to or removed from those of its score,
    /// which are at `same`.
    #[inline]
    pub(super) fn prefetch_change(&self, same: &Range<usize>) {
        if same.len() > FEW {
            return prefetch_all(&self.members, usize::MAX);
        }
        let slots = &self.slots[same.clone()];
        let members = slots.iter().map(|slot| &self.members[usize::from(*slot)]);
        members.chain(self.members.last()).for_each(prefetch);
    }

    /// Number of elements before this one.
    #[inline]
    pub(super) fn before(&self, score: f64, member: &[u8]) -> usize {
        self.before_among(&self.same(score), member)
    }

    /// Number of elements before this one; those of its score are at `same`.
    #[inline]
    pub(super) fn before_among(&self, same: &Range<usize>, member: &[u8]) -> usize {
        self.count(same, |other| other < member)
    }

    /// Number of elements before this one, itself included.
    #[inline]
    pub(super) fn up_to(&self, score: f64, member: &[u8]) -> usize {
        self.count(&self.same(score), |other| other <= member)
    }

    #[inline]
    fn count(&self, same: &Range<usize>, holds: impl Fn(&[u8]) -> bool) -> usize {
        let (mut least, mut most) = (same.start, same.end);
        while least < most {
            let middle = least.midpoint(most);
            if holds(self.get(middle).1) {
                least = middle + 1;
            } else {
                most = middle;
            }
        }
        least
    }

    /// The places of the elements of a score, an empty range where they would be if there is none.
    #[inline]
    pub(super) fn same(&self, score: f64) -> Range<usize> {
        let is_same = |at| self.scores.get(at) == Some(&score);
        // Where all have the same score none needs counting; a node's first bound is the least.
        let first = usize::from(self.scores.first().is_some_and(|first| *first < score));
        let less = match is_same(first) {
            true => first,
            false => count(&self.scores, |other| other < score),
        };
        if !is_same(less) {
            return less..less;
        }
        let same = if !is_same(less + 1) {
            1
        } else if is_same(self.len() - 1) {
            self.len() - less
        } else {
            count(&self.scores, |other| other == score)
        };
        less..less + same
    }

    /// Number of elements at the start for which this holds: it holds for none after one for
    /// which it does not.
    pub(super) fn count_while(&self, holds: impl Fn(f64, &Element) -> bool) -> usize {
        let (mut least, mut most) = (0, self.len());
        while least < most {
            let middle = least.midpoint(most);
            let (score, member) = self.get(middle);
            match holds(score, member) {
                true => least = middle + 1,
                false => most = middle,
            }
        }
        least
    }

    /// Where a member is whose score those at `same` have.
    #[inline]
    pub(super) fn find(&self, same: &Range<usize>, member: &[u8]) -> Option<usize> {
        let at = match same.len() {
            // Most scores are one member's: nothing waits for it to be compared.
            1 => same.start,
            _ => self.before_among(same, member),
        };
        let is_there = same.contains(&at) && self.get(at).1.as_slice() == member;
        is_there.then_some(at)
    }

    /// Adds an element to fewer than [`MOST`].
    pub(super) fn insert(&mut self, at: usize, new: Scored) {
        let len = self.len();
        if len == self.scores.len() {
            self.scores.reserve_exact(STEP);
            self.scores.resize(len + STEP, f64::NAN);
            if len > 0 {
                self.members.reserve_exact(STEP);
            }
        }
        self.scores.copy_within(at..len, at + 1);
        self.scores[at] = new.score;
        self.slots.copy_within(at..len, at + 1);
        self.slots[at] = len as u8;
        self.members.push(new.member);
    }

    pub(super) fn remove(&mut self, at: usize) -> Scored {
        let (score, slot, last) = (self.scores[at], self.slots[at], self.len() - 1);
        self.scores.copy_within(at + 1..=last, at);
        self.scores[last] = f64::NAN;
        self.slots.copy_within(at + 1..=last, at);
        // The last member moves to the place of this one.
        let moved = last as u8;
        for other in &mut self.slots {
            *other = if *other == moved { slot } else { *other };
        }
        let member = self.members.swap_remove(usize::from(slot));
        Scored { score, member }
    }

    /// Gives an element another score, with which it is to stand before the one that is at `to`.
    pub(super) fn rescore(&mut self, from: usize, to: usize, score: f64) {
        let slot = self.slots[from];
        let to = if from < to {
            self.scores.copy_within(from + 1..to, from);
            self.slots.copy_within(from + 1..to, from);
            to - 1
        } else {
            self.scores.copy_within(to..from, to + 1);
            self.slots.copy_within(to..from, to + 1);
            to
        };
        (self.scores[to], self.slots[to]) = (score, slot);
    }

    /// Another bound in the place of one; returns it.
    pub(super) fn replace(&mut self, at: usize, new: Scored) -> Scored {
        let member = &mut self.members[usize::from(self.slots[at])];
        Scored {
            score: std::mem::replace(&mut self.scores[at], new.score),
            member: std::mem::replace(member, new.member),
        }
    }

    /// Takes the elements from a place on.
    pub(super) fn split_off(&mut self, at: usize) -> Elements {
        let mut right = Elements::with_room(self.len() - at);
        if at < self.len() {
            let left = Elements::with_room(at);
            let all = std::mem::replace(self, left).into_order();
            for (i, element) in all.enumerate() {
                let part = if i < at { &mut *self } else { &mut right };
                part.push(element);
            }
        }
        right
    }

    /// Adds elements that come after all of these; both together are at most [`MOST`].
    pub(super) fn append(&mut self, right: Elements) {
        right.into_order().for_each(|new| self.push(new));
    }

    fn push(&mut self, new: Scored) {
        self.insert(self.len(), new);
    }

    fn with_room(len: usize) -> Elements {
        let room = len.next_multiple_of(STEP);
        Elements {
            scores: Vec::with_capacity(room),
            members: Vec::with_capacity(room),
            ..Elements::default()
        }
    }

    fn into_order(mut self) -> impl Iterator<Item = Scored> {
        (0..self.len()).map(move |at| Scored {
            score: self.scores[at],
            member: std::mem::take(&mut self.members[usize::from(self.slots[at])]),
        })
    }
}

/// Number of scores for which this holds, without a branch that could be guessed wrong.
#[inline]
fn count(scores: &[f64], holds: impl Fn(f64) -> bool) -> usize {
    let counts = scores.iter().map(|score| u64::from(holds(*score)));
    counts.sum::<u64>() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Elements {
        /// Checks what must always hold.
        pub(in super::super) fn check(&self) {
            let len = self.len();
            assert!(len <= self.scores.len() && self.scores.len() <= MOST);
            assert!(self.scores.len().is_multiple_of(STEP));
            assert!(self.scores[..len].iter().all(|score| !score.is_nan()));
            assert!(self.scores[len..].iter().all(|score| score.is_nan()));
            let mut slots: Vec<_> = self.slots[..len].iter().copied().map(usize::from).collect();
            slots.sort_unstable();
            assert!(slots.into_iter().eq(0..len));
            assert!(self.members.capacity() <= MOST && self.scores.capacity() <= MOST);
        }
    }
}
