//! The circle of 32-bit positions, cut into ranges.

/// Positions from `first` to `last`, both included. It does not go around the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first position.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl Range {
    /// All positions.
    pub const ALL: Range = Range {
        first: 0,
        last: u32::MAX,
    };

    /// What two ranges share.
    pub fn shared(self, other: Range) -> Option<Range> {
        let first = self.first.max(other.first);
        let last = self.last.min(other.last);
        (first <= last).then_some(Range { first, last })
    }
}

/// Ranges in order, without gaps of nothing between them and without overlaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// The same positions, in order. Ranges of which the first position comes after the last are
    /// left out.
    pub fn new(mut ranges: Vec<Range>) -> Ranges {
        ranges.retain(|range| range.first <= range.last);
        ranges.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(before) if u64::from(range.first) <= u64::from(before.last) + 1 => {
                    before.last = before.last.max(range.last);
                }
                _ => merged.push(range),
            }
        }
        Ranges(merged)
    }

    /// Whether a position is in one of them.
    pub fn contain(&self, position: u32) -> bool {
        let after = self.0.partition_point(|range| range.last < position);
        self.0
            .get(after)
            .is_some_and(|range| range.first <= position)
    }

    /// They, in order.
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A value for each position. Neighbours that are equal are one range.
#[derive(Clone, Debug)]
pub struct RangeMap<T> {
    /// The last position of each range, ascending; the last of all is the greatest.
    parts: Vec<(u32, T)>,
}

impl<T: Clone + PartialEq> RangeMap<T> {
    /// The same value for all.
    pub fn new(value: T) -> RangeMap<T> {
        RangeMap {
            parts: vec![(u32::MAX, value)],
        }
    }

    /// Values by the last positions of their ranges, ascending; the last value goes to the end.
    pub fn from_ends(ends: Vec<(u32, T)>) -> Option<RangeMap<T>> {
        let mut parts: Vec<(u32, T)> = Vec::with_capacity(ends.len());
        for (end, value) in ends {
            match parts.last_mut() {
                Some((before, same)) if *same == value => *before = end,
                _ => parts.push((end, value)),
            }
        }
        parts.last_mut()?.0 = u32::MAX;
        Some(RangeMap { parts })
    }

    /// The value at a position.
    #[inline]
    pub fn at(&self, position: u32) -> &T {
        let place = self.parts.partition_point(|(last, _)| *last < position);
        // The last range goes to the end.
        &self.parts[place.min(self.parts.len() - 1)].1
    }

    /// All ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Range, &T)> {
        let mut first = 0;
        self.parts.iter().map(move |(last, value)| {
            let range = Range { first, last: *last };
            first = last.wrapping_add(1);
            (range, value)
        })
    }

    /// The ranges that touch `range`, cut to it.
    pub fn inside(&self, range: Range) -> impl Iterator<Item = (Range, &T)> {
        let from = self.parts.partition_point(|(last, _)| *last < range.first);
        let mut first = range.first;
        let touched = self.parts[from..].iter();
        touched.map_while(move |(last, value)| {
            let here = Range { first, last: *last }.shared(range)?;
            first = last.wrapping_add(1);
            Some((here, value))
        })
    }

    /// Changes all values.
    pub fn update_all(&mut self, mut change: impl FnMut(Range, &mut T)) {
        let old = std::mem::take(&mut self.parts);
        let mut first = 0;
        for (last, mut value) in old {
            change(Range { first, last }, &mut value);
            first = last.wrapping_add(1);
            self.push(last, value);
        }
    }

    /// Changes the values of some ranges only.
    pub fn update(&mut self, ranges: &Ranges, mut change: impl FnMut(Range, &mut T)) {
        if ranges.is_empty() {
            return;
        }
        let old = std::mem::take(&mut self.parts);
        let mut wanted = ranges.as_slice().iter().copied().peekable();
        let mut first = 0u64;
        for (last, value) in old {
            let end = u64::from(last);
            while first <= end {
                while wanted
                    .next_if(|range| u64::from(range.last) < first)
                    .is_some()
                {}
                let here = wanted.peek().filter(|range| u64::from(range.first) <= end);
                let Some(range) = here else {
                    self.push(last, value.clone());
                    break;
                };
                if u64::from(range.first) > first {
                    self.push(range.first - 1, value.clone());
                    first = u64::from(range.first);
                }
                let until = range.last.min(last);
                let mut changed = value.clone();
                let touched = Range {
                    first: first as u32,
                    last: until,
                };
                change(touched, &mut changed);
                self.push(until, changed);
                first = u64::from(until) + 1;
            }
            first = end + 1;
        }
    }

    /// A value for each position made of those of two maps.
    pub fn zip<U: Clone + PartialEq, V: Clone + PartialEq>(
        &self,
        other: &RangeMap<U>,
        mut combine: impl FnMut(Range, &T, &U) -> V,
    ) -> RangeMap<V> {
        let mut zipped = RangeMap { parts: Vec::new() };
        let (mut a, mut b, mut first) = (0, 0, 0u32);
        while let (Some((last_a, left)), Some((last_b, right))) =
            (self.parts.get(a), other.parts.get(b))
        {
            let last = *last_a.min(last_b);
            zipped.push(last, combine(Range { first, last }, left, right));
            a += usize::from(*last_a == last);
            b += usize::from(*last_b == last);
            first = last.wrapping_add(1);
        }
        zipped
    }

    fn push(&mut self, last: u32, value: T) {
        match self.parts.last_mut() {
            Some((before, same)) if *same == value => *before = last,
            _ => self.parts.push((last, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: u32, last: u32) -> Range {
        Range { first, last }
    }

    #[test]
    fn ranges_are_put_in_order_and_joined() {
        let ranges = Ranges::new(vec![
            range(20, 30),
            range(5, 9),
            range(9, 3),
            range(10, 12),
            range(25, u32::MAX),
        ]);
        assert_eq!(ranges.as_slice(), [range(5, 12), range(20, u32::MAX)]);
        assert!(ranges.contain(5) && ranges.contain(12) && ranges.contain(u32::MAX));
        assert!(!ranges.contain(4) && !ranges.contain(13));
    }

    #[test]
    fn the_inside_of_a_range_is_cut_to_it() {
        let map = RangeMap::from_ends(vec![(9, 'a'), (19, 'b'), (29, 'c')]).unwrap();
        let inside: Vec<_> = map.inside(range(5, 25)).collect();
        let all = [
            (range(5, 9), &'a'),
            (range(10, 19), &'b'),
            (range(20, 25), &'c'),
        ];
        assert_eq!(inside, all);
        let end: Vec<_> = map.inside(range(u32::MAX, u32::MAX)).collect();
        assert_eq!(end, [(range(u32::MAX, u32::MAX), &'c')]);
        assert_eq!(map.inside(Range::ALL).count(), 3);
    }

    fn positions() -> impl Strategy<Value = u32> {
        prop_oneof![0u32..40, (u32::MAX - 20)..=u32::MAX]
    }

    proptest! {
        #[test]
        fn a_map_is_what_it_says_at_each_position(
            changes in prop::collection::vec(
                (prop::collection::vec((positions(), positions()), 0..4), 0u8..4), 0..12),
        ) {
            let (mut map, mut other) = (RangeMap::new(0u8), RangeMap::new(0u8));
            let probes: Vec<u32> = (0..45).chain((u32::MAX - 25)..=u32::MAX).collect();
            let mut plain = vec![0u8; probes.len()];
            for (i, (raw, value)) in changes.into_iter().enumerate() {
                let raw = raw.into_iter().map(|(first, last)| range(first, last)).collect();
                let ranges = Ranges::new(raw);
                map.update(&ranges, |_, it| *it = it.wrapping_mul(3).wrapping_add(value));
                if i % 2 == 0 {
                    other.update(&ranges, |_, it| *it = value);
                }
                for (probe, it) in probes.iter().zip(&mut plain) {
                    if ranges.contain(*probe) {
                        *it = it.wrapping_mul(3).wrapping_add(value);
                    }
                }
                let seen: Vec<u8> = probes.iter().map(|probe| *map.at(*probe)).collect();
                prop_assert_eq!(&seen, &plain);
                prop_assert_eq!(map.parts.last().unwrap().0, u32::MAX);
                prop_assert!(map.parts.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1));
                let zipped = map.zip(&other, |_, a, b| (*a, *b));
                for probe in &probes {
                    prop_assert_eq!(zipped.at(*probe), &(*map.at(*probe), *other.at(*probe)));
                }
            }
        }
    }
}
