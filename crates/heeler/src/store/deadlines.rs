//! When the keys of one shard expire: a heap of deadlines that is allowed to be stale.
//!
//! Each key that expires has at least one element whose deadline is at or before its own; a key
//! whose life is only prolonged costs nothing here. An element that comes due too early is put
//! back with the key's true deadline, one whose key is gone is dropped.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::allocation;

/// Stale elements that are kept before the heap is rebuilt, whatever the number of live ones.
const SLACK: usize = 64;

/// Deadlines of a shard's keys.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    /// The first deadline that is noted, here for who looks often.
    soonest: Option<u64>,
    live: usize,
    sum: u128,
}

impl Deadlines {
    /// Notes that the deadline of the key with this hash changed, came or went.
    pub(super) fn change(&mut self, hash: u64, old: Option<u64>, new: Option<u64>) {
        if let Some(old) = old {
            self.live -= 1;
            self.sum -= u128::from(old);
        }
        let Some(new) = new else {
            return;
        };
        self.live += 1;
        self.sum += u128::from(new);
        if old.is_none_or(|old| new < old) {
            self.put_back(new, hash);
        }
    }

    /// Number of keys that expire.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Bytes that it has allocated.
    pub(super) fn bytes(&self) -> usize {
        allocation::size(self.heap.capacity() * size_of::<Reverse<(u64, u64)>>())
    }

    /// Number of deadlines that are noted, those included that are not true any more.
    pub(super) fn noted(&self) -> usize {
        self.heap.len()
    }

    /// How many deadlines have passed, those included that are not true any more.
    pub(super) fn overdue(&self, now: u64) -> usize {
        // What comes below a place of a heap is no sooner.
        let (heap, mut found, mut places) = (self.heap.as_slice(), 0, vec![0]);
        while let Some(place) = places.pop() {
            if heap
                .get(place)
                .is_some_and(|Reverse((time, _))| *time < now)
            {
                found += 1;
                places.extend([2 * place + 1, 2 * place + 2]);
            }
        }
        found
    }

    /// The hash of a key whose deadline was noted; which, by a number below
    /// [`noted`](Deadlines::noted).
    pub(super) fn hash_at(&self, index: usize) -> Option<u64> {
        let noted = self.heap.as_slice().get(index);
        noted.map(|Reverse((_, hash))| *hash)
    }

    /// The first deadline that is noted, with its key's hash.
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        self.heap.peek().map(|Reverse(first)| *first)
    }

    /// The first deadline that is noted.
    #[inline]
    pub(super) fn soonest(&self) -> Option<u64> {
        self.soonest
    }

    /// Sum of all deadlines, for their average.
    pub(super) fn sum(&self) -> u128 {
        self.sum
    }

    /// Takes the hash of a key that may be due, or `None` if none is.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<u64> {
        if self.soonest? >= now {
            return None;
        }
        let popped = self.heap.pop().map(|Reverse((_, hash))| hash);
        self.soonest = self.first().map(|(deadline, _)| deadline);
        if self.heap.capacity() > SLACK && self.heap.len() * 4 < self.heap.capacity() {
            self.heap.shrink_to(self.heap.len() * 2);
        }
        popped
    }

    /// Puts back a key that was taken before its time.
    pub(super) fn put_back(&mut self, deadline: u64, hash: u64) {
        self.heap.push(Reverse((deadline, hash)));
        self.soonest = Some(
            self.soonest
                .map_or(deadline, |soonest| soonest.min(deadline)),
        );
    }

    /// Whether stale elements outnumber live ones so far that a rebuild pays.
    pub(super) fn is_stale(&self) -> bool {
        self.heap.len() > 2 * self.live + SLACK
    }

    /// The hashes that the heap knows, each once; the heap is empty afterwards.
    pub(super) fn take_hashes(&mut self) -> Vec<u64> {
        let mut hashes: Vec<u64> = self.heap.drain().map(|Reverse((_, hash))| hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        self.soonest = None;
        self.heap.shrink_to(hashes.len());
        hashes
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Deadlines::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_due_once_it_has_passed() {
        let mut deadlines = Deadlines::default();
        deadlines.change(7, None, Some(10));
        assert_eq!(deadlines.pop_due(10), None);
        assert_eq!(deadlines.pop_due(11), Some(7));
        assert_eq!(deadlines.pop_due(11), None);
    }

    #[test]
    fn a_prolonged_life_adds_no_element() {
        let mut deadlines = Deadlines::default();
        deadlines.change(7, None, Some(10));
        for at in 10..1_000 {
            deadlines.change(7, Some(at), Some(at + 1));
        }
        assert_eq!(deadlines.heap.len(), 1);
        assert_eq!((deadlines.live(), deadlines.sum()), (1, 1_000));
    }

    #[test]
    fn shortened_lives_make_it_stale() {
        let mut deadlines = Deadlines::default();
        deadlines.change(7, None, Some(1_000));
        for at in (1..1_000).rev() {
            deadlines.change(7, Some(at + 1), Some(at));
        }
        assert!(deadlines.is_stale());
        assert_eq!(deadlines.take_hashes(), [7]);
        assert!(!deadlines.is_stale());
    }
}
