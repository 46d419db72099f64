//! Sorted points on the circle of 32-bit hashes, and the search for the owner of a hash.
//!
//! A point is one `u64`: the hash in the upper half, the owner in the lower. So points sort by
//! (hash, owner) as plain numbers, and a lookup finds hash and owner in one cache line.
//!
//! An index over the top bits of the hash holds the first point of each bucket. It has at least as
//! many buckets as there are points, so that a lookup seldom steps over more than two points from
//! there, where a binary search mispredicts a branch at every other level. `benches/ring.rs`
//! measures both.

/// Points in ascending order of (hash, owner), with a bucket index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Points {
    /// The points, then, if there are any, a sentinel: the greatest hash, owned by the owner of
    /// the first point. It ends every search and is where the circle wraps.
    points: Vec<u64>,
    /// For each value of the hash's top bits, the position of the first point at or after it.
    index: Vec<u32>,
    /// How far to shift a hash right to get its bucket.
    shift: u32,
}

/// A point as it is stored.
#[inline]
pub(crate) fn point(hash: u32, owner: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(owner)
}

/// Where on the circle a point lies.
#[inline]
pub(crate) fn hash_of(point: u64) -> u32 {
    (point >> 32) as u32
}

/// Whose point it is.
#[inline]
pub(crate) fn owner_of(point: u64) -> u32 {
    point as u32
}

impl Points {
    /// Takes points whose hashes ascend.
    pub(crate) fn new(mut points: Vec<u64>) -> Points {
        debug_assert!(points.is_sorted_by_key(|&point| hash_of(point)));
        let Some(&first) = points.first() else {
            return Points::default();
        };
        let bits = points.len().next_power_of_two().ilog2();
        let shift = u32::BITS - bits.clamp(1, MAX_INDEX_BITS);
        let index = index(&points, shift);
        points.push(point(u32::MAX, owner_of(first)));
        Points {
            points,
            index,
            shift,
        }
    }

    /// The points, in order.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u64] {
        match self.points.split_last() {
            Some((_sentinel, points)) => points,
            None => &[],
        }
    }

    /// The owner of the first point at or after `hash`, around the circle. `None` if there are no
    /// points.
    #[inline]
    pub(crate) fn owner(&self, hash: u32) -> Option<u32> {
        if self.points.is_empty() {
            return None;
        }
        Some(owner_of(self.points[self.position(hash)]))
    }

    /// All points in the order in which a search from `hash` meets them, once around the circle.
    pub(crate) fn from(&self, hash: u32) -> impl Iterator<Item = u64> {
        let points = self.as_slice();
        let start = if points.is_empty() {
            0
        } else {
            self.position(hash)
        };
        points[start..].iter().chain(&points[..start]).copied()
    }

    /// The position of the first point at or after `hash`; that of the sentinel if there is none.
    #[inline]
    fn position(&self, hash: u32) -> usize {
        let target = point(hash, 0);
        let mut at = self.index[(hash >> self.shift) as usize] as usize;
        // Few buckets hold more than two points. Counting instead of branching spares a
        // misprediction, and the sentinel is never less than the target.
        at += usize::from(self.points[at] < target);
        at += usize::from(self.points[at] < target);
        if self.points[at] < target {
            // A crowded bucket. A search of what follows keeps crowding from being an attack.
            at += self.points[at..].partition_point(|&point| point < target);
        }
        at
    }
}

/// The index grows no further than this: 64 MiB.
const MAX_INDEX_BITS: u32 = 24;

/// For each bucket, the position of the first point in it or after it.
fn index(points: &[u64], shift: u32) -> Vec<u32> {
    let mut index = vec![0; 1 << (u32::BITS - shift)];
    for &point in points {
        index[(hash_of(point) >> shift) as usize] += 1;
    }
    let mut before = 0;
    for entry in &mut index {
        let inside = std::mem::replace(entry, before);
        before += inside;
    }
    index
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(raw: &[(u32, u32)]) -> Vec<u64> {
        let mut sorted: Vec<u64> = raw
            .iter()
            .map(|&(hash, owner)| point(hash, owner))
            .collect();
        sorted.sort_unstable();
        sorted
    }

    /// What a lookup means, without any cleverness.
    fn linear(points: &[u64], hash: u32) -> Option<u32> {
        let at_or_after = points.iter().find(|&&point| hash_of(point) >= hash);
        at_or_after.or(points.first()).map(|&point| owner_of(point))
    }

    /// Hashes that crowd, repeat and touch both ends of the circle.
    fn hashes() -> impl Strategy<Value = u32> {
        prop_oneof![
            4 => any::<u32>(),
            2 => 0u32..8,
            2 => (u32::MAX - 8)..=u32::MAX,
            2 => (0u32..16).prop_map(|n| n << 28),
            1 => 0x1234_5678u32..0x1234_56ff,
        ]
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_linear_scan_finds(
            raw in prop::collection::vec((hashes(), 0u32..9), 0..300),
            probes in prop::collection::vec(hashes(), 1..50),
        ) {
            let sorted = sorted(&raw);
            let points = Points::new(sorted.clone());
            let of_points = raw.iter().map(|&(hash, _)| hash);
            for hash in of_points.chain(probes).chain([0, 1, u32::MAX - 1, u32::MAX]) {
                for near in [hash.wrapping_sub(1), hash, hash.wrapping_add(1)] {
                    prop_assert_eq!(points.owner(near), linear(&sorted, near), "hash {}", near);
                }
            }
        }

        #[test]
        fn a_walk_meets_every_point_once_and_starts_at_the_owner(
            raw in prop::collection::vec((hashes(), 0u32..9), 0..100),
            hash in hashes(),
        ) {
            let sorted = sorted(&raw);
            let points = Points::new(sorted.clone());
            let mut walk: Vec<u64> = points.from(hash).collect();
            prop_assert_eq!(walk.first().map(|&point| owner_of(point)), points.owner(hash));
            walk.sort_unstable();
            prop_assert_eq!(walk, sorted);
        }
    }

    #[test]
    fn of_points_with_one_hash_the_first_owns_it() {
        let points = Points::new(vec![point(7, 3), point(7, 5), point(7, 8), point(9, 1)]);
        assert_eq!(points.owner(7), Some(3));
        assert_eq!(points.owner(8), Some(1));
        assert_eq!(points.owner(10), Some(3));
    }

    #[test]
    fn both_ends_of_the_circle() {
        let points = Points::new(vec![point(0, 1), point(u32::MAX, 2)]);
        assert_eq!(points.owner(0), Some(1));
        assert_eq!(points.owner(1), Some(2));
        assert_eq!(points.owner(u32::MAX), Some(2));
        let points = Points::new(vec![point(5, 4)]);
        assert_eq!(points.owner(u32::MAX), Some(4));
        assert_eq!(Points::default().owner(0), None);
    }
}
