//! Where the entry of a key lies, found by the key's hash: an open hash table of 4-byte places that
//! grows and shrinks a little with each change, never at once.
//!
//! A group is one cache line: 12 places, for each of them a tag of 8 bits of the hash, and how
//! many places were passed on to other groups because this one was full (the layout of F14,
//! "Open-sourcing F14 for faster, more memory-efficient hash tables", 2019). The number of groups
//! need not be a power of two: a table that is seven eighths full grows by a third or by half.

use std::ops::Range;

use super::prefetch::prefetch;

/// Places of a group.
const LANES: usize = 12;
/// The byte of a group's tags that counts what has passed it: see [`Group`].
const PASSED: usize = LANES;
/// The count that is never lowered, because it may have been higher.
const MANY: u8 = u8::MAX;
/// Groups up to which a table is laid out anew at once: some 300 places.
const AT_ONCE: usize = 32;
/// Groups that a change moves to the new table while there is an old one.
const STEP: usize = 2;

/// The bits of a hash that say in which group a place lies.
const HOME: u64 = 0xff_ffff;

/// Number of homes: see [`Home`].
pub(super) const HOMES: u32 = 1 << 24;

/// The part of a hash by whose order places lie in the table, about. It stays what it is however
/// the table changes, so that walks can go by it.
pub(super) type Home = u32;

/// The home of a hash.
pub(super) fn home_of(hash: u64) -> Home {
    (hash & HOME) as Home
}

/// The bits of a hash by which a place is found: 24 for its group, 8 for its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token(pub(super) u32);

impl Token {
    /// The token of a hash.
    pub(super) fn of(hash: u64) -> Token {
        Token((hash >> 56 << 24 | hash & HOME) as u32)
    }

    /// A hash that finds what the hash finds that it is the token of.
    pub(super) fn hash(self) -> u64 {
        u64::from(self.0) >> 24 << 56 | u64::from(self.0) & HOME
    }
}

/// A cache line of the table: four words of tags, and the places. A tag is a byte of the place's
/// hash, 0 where the place is free; the byte after the tags counts how many places passed.
///
/// It is made of plain words because those are zero without being written where the allocator has
/// memory that was never used: so a large table costs nothing before its groups are filled.
type Group = [u32; TAG_WORDS + LANES];

const TAG_WORDS: usize = 4;

/// The places that have this tag, as ones in every eighth bit.
#[inline]
fn matches(group: &Group, tag: u8) -> Lanes {
    const LOW: u128 = u128::from_ne_bytes([0x7f; 16]);
    const ALL: u128 = (1 << (8 * LANES)) - 1;
    let wanted = u128::from_ne_bytes([tag; 16]);
    let word = |at: usize| u128::from(group[at]) << (32 * at);
    let differs = (word(0) | word(1) | word(2) | word(3)) ^ wanted;
    let is_zero = !(((differs & LOW) + LOW) | differs | LOW);
    Lanes(is_zero & ALL)
}

#[inline]
fn tag_of(group: &Group, lane: usize) -> u8 {
    group[lane / 4].to_le_bytes()[lane % 4]
}

#[inline]
fn set_tag(group: &mut Group, lane: usize, tag: u8) {
    let mut bytes = group[lane / 4].to_le_bytes();
    bytes[lane % 4] = tag;
    group[lane / 4] = u32::from_le_bytes(bytes);
}

#[inline]
fn place_of(group: &Group, lane: usize) -> u32 {
    group[TAG_WORDS + lane]
}

#[inline]
fn set_place(group: &mut Group, lane: usize, place: u32) {
    group[TAG_WORDS + lane] = place;
}

/// Some places of a group.
struct Lanes(u128);

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let lane = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(lane)
    }
}

/// The bits of a hash that are compared before the key is.
#[inline]
fn tag(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

/// Groups of one size.
#[derive(Debug, Default)]
struct Table(Vec<Group>);

impl Table {
    fn with_groups(groups: usize) -> Table {
        Table(vec![[0; TAG_WORDS + LANES]; groups])
    }

    /// Places that it takes before it is too full.
    fn room(&self) -> usize {
        self.0.len() * LANES * 7 / 8
    }

    /// The group in which a place with this hash lies if there is room.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash & HOME) * self.0.len() as u64) >> 24) as usize
    }

    #[inline]
    fn next(&self, group: usize) -> usize {
        if group + 1 == self.0.len() {
            0
        } else {
            group + 1
        }
    }

    #[inline]
    fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<(usize, usize)> {
        let wanted = tag(hash);
        let mut at = self.home(hash);
        for _ in 0..self.0.len() {
            let group = &self.0[at];
            for lane in matches(group, wanted) {
                if is_it(place_of(group, lane)) {
                    return Some((at, lane));
                }
            }
            if tag_of(group, PASSED) == 0 {
                return None;
            }
            at = self.next(at);
        }
        None
    }

    /// Adds a place; there is room for it.
    fn insert(&mut self, hash: u64, place: u32) {
        let mut at = self.home(hash);
        for _ in 0..self.0.len() {
            let group = &mut self.0[at];
            if let Some(lane) = matches(group, 0).next() {
                set_tag(group, lane, tag(hash));
                set_place(group, lane, place);
                return;
            }
            set_tag(group, PASSED, tag_of(group, PASSED).saturating_add(1));
            at = self.next(at);
        }
        debug_assert!(false, "a table with room has a free place");
    }

    /// Frees a place that [`find`](Table::find) has found.
    fn remove(&mut self, hash: u64, (found, lane): (usize, usize)) {
        set_tag(&mut self.0[found], lane, 0);
        let mut at = self.home(hash);
        while at != found {
            let group = &mut self.0[at];
            let passed = tag_of(group, PASSED);
            if passed != MANY {
                set_tag(group, PASSED, passed - 1);
            }
            at = self.next(at);
        }
    }

    /// Calls `f` with each place that has one of these homes, and with some others.
    fn visit(&self, homes: &Range<Home>, f: &mut impl FnMut(u32)) {
        if self.0.is_empty() || homes.is_empty() {
            return;
        }
        let mut at = self.home(u64::from(homes.start));
        let last = self.home(u64::from(homes.end - 1));
        let mut is_past = false;
        for _ in 0..self.0.len() {
            let group = &self.0[at];
            let taken = (0..LANES).filter(|lane| tag_of(group, *lane) != 0);
            taken.for_each(|lane| f(place_of(group, lane)));
            is_past |= at == last;
            if is_past && tag_of(group, PASSED) == 0 {
                return;
            }
            at = self.next(at);
        }
    }

    fn at(&self, bucket: usize) -> Option<u32> {
        let group = self.0.get(bucket / LANES)?;
        let lane = bucket % LANES;
        (tag_of(group, lane) != 0).then(|| place_of(group, lane))
    }
}

/// Groups with room for so many places: a power of two, or one and a half, which are sizes that
/// allocators have.
fn size_for(places: usize) -> usize {
    let groups = (places * 8).div_ceil(LANES * 7);
    let power = groups.next_power_of_two();
    if power >= 4 && groups <= power / 4 * 3 {
        power / 4 * 3
    } else {
        power
    }
}

/// The places of a shard's entries by the hashes of their keys. What each search looks at lies in
/// front.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Index {
    table: Table,
    /// What the table was before, while it moves; its groups up to `moved` are empty.
    old: Table,
    len: usize,
    moved: usize,
}

impl Index {
    /// Number of places.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that it has allocated.
    pub(super) fn bytes(&self) -> usize {
        (self.table.0.capacity() + self.old.0.capacity()) * size_of::<Group>()
    }

    /// Number of buckets; each holds one place or none.
    pub(super) fn buckets(&self) -> usize {
        (self.table.0.len() + self.old.0.len()) * LANES
    }

    /// The place in a bucket.
    pub(super) fn bucket(&self, bucket: usize) -> Option<u32> {
        let first_old = self.table.0.len() * LANES;
        match bucket.checked_sub(first_old) {
            None => self.table.at(bucket),
            Some(bucket) => self.old.at(bucket),
        }
    }

    /// All places.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.buckets()).filter_map(|bucket| self.bucket(bucket))
    }

    /// Calls `f` with each place that has one of these homes, and with some others.
    pub(super) fn visit(&self, homes: &Range<Home>, mut f: impl FnMut(u32)) {
        self.table.visit(homes, &mut f);
        self.old.visit(homes, &mut f);
    }

    /// The place with this hash that it is.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        if let Some((group, lane)) = self.table.find(hash, &mut is_it) {
            return Some(place_of(&self.table.0[group], lane));
        }
        if self.old.0.is_empty() {
            return None;
        }
        let (group, lane) = self.old.find(hash, is_it)?;
        Some(place_of(&self.old.0[group], lane))
    }

    /// Prefetches the group in which a search for this hash begins.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(group) = self.table.0.get(self.table.home(hash)) {
            prefetch(group);
        }
    }

    /// The place that is looked at first for this hash, if it is where most are.
    #[inline]
    pub(super) fn first(&self, hash: u64) -> Option<u32> {
        let group = self.table.0.get(self.table.home(hash))?;
        let lane = matches(group, tag(hash)).next()?;
        Some(place_of(group, lane))
    }

    /// Adds a place. `hash_of` gives the hash of one that is there.
    pub(super) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        if self.len == self.table.room() {
            self.settle(usize::MAX, &hash_of);
            self.lay_out(size_for(self.len + 1), &hash_of);
        }
        self.settle(STEP, hash_of);
        self.table.insert(hash, place);
        self.len += 1;
    }

    /// Puts another place where `old` is.
    pub(super) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        for table in [&mut self.table, &mut self.old] {
            if let Some((group, lane)) = table.find(hash, |place| place == old) {
                set_place(&mut table.0[group], lane, new);
                return;
            }
        }
        debug_assert!(false, "a place that is replaced is there");
    }

    /// Removes a place that is there. `hash_of` gives the hash of any other.
    pub(super) fn remove(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        for table in [&mut self.table, &mut self.old] {
            if let Some(found) = table.find(hash, |there| there == place) {
                table.remove(hash, found);
                self.len -= 1;
                break;
            }
        }
        if self.len == 0 {
            *self = Index::default();
            return;
        }
        self.settle(STEP, &hash_of);
        let is_wide = self.table.0.len() > 2 && self.len < self.table.room() / 4;
        if is_wide && self.old.0.is_empty() {
            self.lay_out(size_for(self.len + self.len / 4 + 1), hash_of);
        }
    }

    /// Whether places are still moving from one table to another.
    pub(super) fn is_moving(&self) -> bool {
        !self.old.0.is_empty()
    }

    /// Begins a table with so many groups.
    fn lay_out(&mut self, groups: usize, hash_of: impl Fn(u32) -> u64) {
        self.old = std::mem::replace(&mut self.table, Table::with_groups(groups));
        self.moved = 0;
        if self.old.0.len() <= AT_ONCE {
            self.settle(usize::MAX, hash_of);
        }
    }

    /// Moves the places of so many groups of the old table, if there is one.
    pub(super) fn settle(&mut self, groups: usize, hash_of: impl Fn(u32) -> u64) {
        if self.old.0.is_empty() {
            return;
        }
        let end = self.moved.saturating_add(groups).min(self.old.0.len());
        for group in &mut self.old.0[self.moved..end] {
            for lane in 0..LANES {
                if tag_of(group, lane) != 0 {
                    // What was passed on is still looked for beyond this group.
                    set_tag(group, lane, 0);
                    let place = place_of(group, lane);
                    self.table.insert(hash_of(place), place);
                }
            }
        }
        self.moved = end;
        if end == self.old.0.len() {
            self.old = Table::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::random::mix;
    use super::*;

    /// Hashes of which some are alike.
    fn hash_of(place: u32) -> u64 {
        mix(u64::from(place) / 2)
    }

    #[test]
    fn a_token_finds_what_its_hash_finds() {
        let mut index = Index::default();
        (0..10_000).for_each(|place| index.insert(hash_of(place), place, hash_of));
        for place in 0..10_000 {
            let token = Token::of(hash_of(place));
            assert_eq!(Token::of(token.hash()), token);
            assert_eq!(index.find(token.hash(), |p| p == place), Some(place));
        }
    }

    #[test]
    fn tables_are_as_large_as_they_need_to_be() {
        for places in 1..100_000 {
            let table = Table::with_groups(size_for(places));
            assert!(table.room() >= places, "{places}");
            assert!(
                table.0.len() < 3 || table.room() / 3 * 2 <= places + LANES,
                "{places}"
            );
        }
    }

    #[test]
    fn a_group_is_a_cache_line() {
        assert_eq!(size_of::<Group>(), 64);
    }

    #[test]
    fn places_of_one_hash_are_told_apart_beyond_a_group() {
        let mut index = Index::default();
        (0..1_000).for_each(|place| index.insert(7, place, |_| 7));
        for place in 0..1_000 {
            assert_eq!(index.find(7, |p| p == place), Some(place));
            index.replace(7, place, place + 10_000);
        }
        assert_eq!(index.find(7, |p| p < 10_000), None);
        (0..1_000).for_each(|place| index.remove(7, place + 10_000, |_| 7));
        assert_eq!((index.len(), index.bytes()), (0, 0));
    }

    /// Each change moves so few that the longest of them is short: what a table moves in one change
    /// does not grow with it.
    #[test]
    fn a_large_table_grows_little_by_little() {
        let mut index = Index::default();
        let mut most = 0;
        for place in 0..100_000 {
            let asked = std::cell::Cell::new(0);
            index.insert(hash_of(place), place, |place| {
                asked.set(asked.get() + 1);
                hash_of(place)
            });
            most = asked.get().max(most);
        }
        assert!(most <= AT_ONCE * LANES, "{most}");
        let bytes = index.bytes() as f64 / 100_000.0;
        assert!(bytes < 10.0, "{bytes}");
        (0..99_000).for_each(|place| index.remove(hash_of(place), place, hash_of));
        assert!(index.bytes() < 40_000, "{}", index.bytes());
        (99_000..100_000).for_each(|place| {
            assert_eq!(index.find(hash_of(place), |p| p == place), Some(place));
        });
    }

    proptest! {
        #[test]
        fn an_index_is_a_set_of_places(steps in vec((0..3u8, 0..700u32), 1..2_000)) {
            let mut index = Index::default();
            let mut model = BTreeMap::new();
            for (what, place) in steps {
                let hash = hash_of(place);
                let is_there = model.contains_key(&place);
                match what {
                    0 | 1 if !is_there => {
                        index.insert(hash, place, hash_of);
                        model.insert(place, ());
                    }
                    2 if is_there => {
                        index.remove(hash, place, hash_of);
                        model.remove(&place);
                    }
                    _ => {
                        let found = index.find(hash, |p| p == place);
                        prop_assert_eq!(found.is_some(), is_there);
                    }
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for homes in [0..HOMES / 3, HOMES / 3..HOMES / 3 + 7, HOMES / 3 + 7..HOMES] {
                let mut met = Vec::new();
                index.visit(&homes, |place| met.push(place));
                let wanted = model.keys().filter(|p| homes.contains(&home_of(hash_of(**p))));
                for place in wanted {
                    let times = met.iter().filter(|met| *met == place).count();
                    prop_assert_eq!(times, 1);
                }
            }
            let mut all: Vec<u32> = index.iter().collect();
            all.sort_unstable();
            prop_assert_eq!(all, model.keys().copied().collect::<Vec<u32>>());
            index.settle(usize::MAX, hash_of);
            for place in model.keys() {
                prop_assert_eq!(index.find(hash_of(*place), |p| p == *place), Some(*place));
            }
        }
    }
}
