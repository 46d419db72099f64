//! Sorted sets: the score of each member, and the members in the order of their scores.

use std::ops::Range;

use indexmap::IndexMap;

use super::collection::{Element, Hashing, LISTPACK_BYTES, outside, room_to_shrink, table_bytes};
use super::ranking::{Ranking, Scored};

/// Most members of a sorted set that Redis keeps in a listpack.
const LISTPACK_MEMBERS: usize = 128;

/// A sorted set: a table of members with their scores, and a tree of the same elements in order.
#[derive(Clone, Debug)]
pub(super) struct SortedSet {
    scores: IndexMap<Element, f64, Hashing>,
    ranking: Ranking,
    /// Bytes that members have allocated, once for the table.
    outside: usize,
    /// Whether Redis would still keep it in a listpack: once it does not, it never does again.
    is_listpack: bool,
}

impl Default for SortedSet {
    fn default() -> SortedSet {
        SortedSet {
            scores: IndexMap::default(),
            ranking: Ranking::default(),
            outside: 0,
            is_listpack: true,
        }
    }
}

impl SortedSet {
    /// Number of members.
    pub(super) fn len(&self) -> usize {
        self.ranking.len()
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        if self.is_listpack {
            "listpack"
        } else {
            "skiplist"
        }
    }

    /// Whether Redis would keep it in a listpack.
    pub(super) fn is_listpack(&self) -> bool {
        self.is_listpack
    }

    /// Redis keeps it in a skip list from now on.
    pub(super) fn leave_listpack(&mut self) {
        self.is_listpack = false;
    }

    /// The elements in order.
    pub(super) fn ranking(&self) -> &Ranking {
        &self.ranking
    }

    /// A member's score.
    #[inline]
    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Number of elements before a member.
    pub(super) fn rank(&self, member: &[u8]) -> Option<usize> {
        self.score(member)
            .map(|score| self.ranking.rank(score, member))
    }

    /// A member by its place in the table, which changes when members are removed: see
    /// [`Scan`](super::collection_scan::Scan).
    pub(super) fn at_index(&self, index: usize) -> Option<(&[u8], f64)> {
        self.scores
            .get_index(index)
            .map(|(member, score)| (member.as_slice(), *score))
    }

    /// Sets a member's score, which is not NaN; whether the member is new.
    pub(super) fn set(&mut self, member: &[u8], score: f64) -> bool {
        let old = self.score(member);
        self.is_listpack &=
            old.is_some() || member.len() <= LISTPACK_BYTES && self.scores.len() < LISTPACK_MEMBERS;
        // A listpack keeps whole scores as integers, and loses the sign of a zero.
        let score = if self.is_listpack { score + 0.0 } else { score };
        match old {
            Some(old) if old == score => return false,
            Some(old) => {
                self.ranking.remove(old, member);
                if let Some(old) = self.scores.get_mut(member) {
                    *old = score;
                }
            }
            None => {
                let member = Element::from_slice(member);
                self.outside += outside(&member);
                self.scores.insert(member, score);
            }
        }
        self.ranking.insert(Scored {
            score,
            member: Element::from_slice(member),
        });
        old.is_none()
    }

    /// Removes a member; whether it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((element, score)) = self.scores.swap_remove_entry(member) else {
            return false;
        };
        self.outside -= outside(&element);
        self.ranking.remove(score, member);
        self.shrink();
        true
    }

    /// Takes the element of a rank.
    pub(super) fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        let removed = self.ranking.remove_at(rank)?;
        if let Some((element, _)) = self.scores.swap_remove_entry(removed.member.as_slice()) {
            self.outside -= outside(&element);
        }
        self.shrink();
        Some(removed)
    }

    /// Removes the elements of these ranks.
    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) {
        for _ in ranks.clone() {
            self.remove_at(ranks.start);
        }
    }

    /// Bytes that it has allocated.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        let table = table_bytes(self.scores.capacity(), size_of::<(Element, f64)>());
        table + self.ranking.allocated() + 2 * self.outside
    }

    fn shrink(&mut self) {
        if let Some(room) = room_to_shrink(self.scores.len(), self.scores.capacity()) {
            self.scores.shrink_to(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_ranking_have_the_same_elements() {
        let mut set = SortedSet::default();
        for i in 0..5_000u32 {
            let member = (i.wrapping_mul(2_654_435_761) % 1_000).to_string();
            match i % 7 {
                0..4 => drop(set.set(member.as_bytes(), f64::from(i % 13))),
                4 | 5 => drop(set.remove(member.as_bytes())),
                _ => drop(set.remove_at(i as usize % (set.len() + 1))),
            }
            assert_eq!(set.scores.len(), set.ranking.len());
        }
        assert!(set.len() > 100);
        for (rank, e) in set.ranking.ascending(0..set.len()).enumerate() {
            assert_eq!(set.score(&e.member), Some(e.score));
            assert_eq!(set.rank(&e.member), Some(rank));
        }
        set.remove_ranks(1..set.len());
        assert_eq!((set.len(), set.scores.len()), (1, 1));
        assert!(set.scores.capacity() < 200);
    }
}
