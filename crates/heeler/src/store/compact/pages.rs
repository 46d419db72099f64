//! A table of records that grows by one page at a time (Litwin's linear hashing, VLDB 1980), so
//! that no change of it ever takes long, however big it is. A page is a run of a few records.
//!
//! With `n` pages and `m` the least power of two that is not below `n`, a record is in the page
//! that the low bits of its key's hash say, `hash % m`, or `hash % (m / 2)` where that is not there
//! yet. When pages have become full on average, page `n` is added, and takes its part of the
//! records of the page `n - m / 2`.

use std::hash::Hasher;
use std::ops::Range;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use smallvec::SmallVec;

use super::element::{Code, Piece, read, size};
use super::run::{Record, Run, record};
use crate::store::allocation;

/// Records for each page, on average, beyond which a page is added.
const FULL: usize = 8;
/// Records for each page, on average, below which one is taken away.
const EMPTY: usize = 3;
/// Bytes for each page, on average, beyond which a page is added if it has a record then.
const PAGE_BYTES: usize = 512;
/// Longest record in bytes that lies in a run with others.
const LONG: usize = 512;
/// Greatest number of a page's records that the directory has.
const MANY: usize = u8::MAX as usize;
/// Pages that lie one after the other: the directory grows without moving more than so many.
const BLOCK: usize = 4096;

/// Records of `W` elements; the first one of a record is its key, and no two have the same.
#[derive(Clone, Debug)]
pub(in crate::store) struct Pages<const W: usize> {
    /// All blocks but the last have [`BLOCK`] pages.
    blocks: Vec<Block<W>>,
    pages: usize,
    len: usize,
    /// Bytes of the runs.
    packed: usize,
    /// Bytes of the records that are too long for a run.
    long: usize,
    /// Most records that a page has had.
    widest: usize,
    seed: u64,
    shared: SharedSeed,
}

#[derive(Clone, Debug, Default)]
struct Block<const W: usize> {
    pages: Vec<Page<W>>,
    /// Number of records of each page, for who draws lots; [`MANY`] stands for that many or more.
    counts: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Page<const W: usize> {
    run: Run<W>,
    long: Option<Box<Long>>,
}

/// Where a key is or belongs: its page, and its place in the page's run if it is there.
#[derive(Debug)]
pub(in crate::store) struct Spot {
    page: usize,
    place: Option<Range<usize>>,
}

/// Records each in an allocation of its own.
#[derive(Clone, Debug, Default)]
struct Long(Vec<Box<[u8]>>);

impl<const W: usize> Default for Page<W> {
    fn default() -> Page<W> {
        Page {
            run: Run::default(),
            long: None,
        }
    }
}

impl<const W: usize> Page<W> {
    fn long(&self) -> &[Box<[u8]>] {
        self.long.as_ref().map_or(&[], |long| &long.0)
    }

    fn len(&self) -> usize {
        self.run.len() + self.long().len()
    }

    fn find_long(&self, key: &Code<'_>) -> Option<usize> {
        self.long().iter().position(|record| key.is_at(record))
    }

    fn raw_records(&self) -> impl Iterator<Item = &[u8]> {
        let long = self.long().iter().map(|record| &**record);
        self.run.raw_records().chain(long)
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.raw_records().map(record)
    }

    fn get(&self, key: &Code<'_>) -> Option<&[u8]> {
        if let Some(place) = self.run.find(key) {
            return Some(self.run.at(place).1);
        }
        let long = &self.long()[self.find_long(key)?];
        Some(&long[key.len()..])
    }

    fn add(&mut self, parts: &[&[u8]]) {
        if parts.iter().map(|part| part.len()).sum::<usize>() > LONG {
            let long = self.long.get_or_insert_default();
            long.0.push(parts.concat().into_boxed_slice());
        } else {
            self.run.insert(self.run.end(), parts);
        }
    }

    fn remove(&mut self, key: &Code<'_>) -> bool {
        if let Some(place) = self.run.find(key) {
            self.run.remove(place);
            return true;
        }
        let found = self.find_long(key);
        found.and_then(|at| self.remove_long(at)).is_some()
    }

    fn remove_long(&mut self, at: usize) -> Option<Box<[u8]>> {
        let long = self.long.as_mut()?;
        let record = long.0.swap_remove(at);
        if long.0.is_empty() {
            self.long = None;
        }
        Some(record)
    }

    /// Takes the record with an index that is there; its key is told to `taken`.
    fn take<T>(&mut self, index: usize, taken: impl FnOnce(Piece<'_>) -> T) -> Option<T> {
        if let Some(place) = self.run.nth(index) {
            let taken = taken(self.run.at(place.clone()).0);
            self.run.remove(place);
            return Some(taken);
        }
        let record = self.remove_long(index - self.run.len())?;
        Some(taken(read(&record[..size(&record)])))
    }

    /// Bytes of the run, and of the records that are not in it.
    #[inline]
    fn bytes(&self) -> (usize, usize) {
        let long = self.long().iter();
        let long = long.map(|record| allocation::size(record.len()));
        (self.run.allocated(), long.sum())
    }
}

impl<const W: usize> Pages<W> {
    /// An empty table. The seed chooses how keys are hashed: one that nobody can guess, so that
    /// nobody can choose keys that collide.
    pub(in crate::store) fn new(seed: u64) -> Pages<W> {
        Pages {
            blocks: vec![Block {
                pages: vec![Page::default()],
                counts: vec![0],
            }],
            pages: 1,
            len: 0,
            packed: 0,
            long: 0,
            widest: 0,
            seed,
            shared: SharedSeed::from_u64(seed.rotate_left(32)),
        }
    }

    /// Number of records.
    #[inline]
    pub(in crate::store) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated.
    pub(in crate::store) fn allocated(&self) -> usize {
        let directory = self.pages.next_power_of_two().min(BLOCK).max(self.pages);
        let each = size_of::<Page<W>>() + size_of::<u8>();
        size_of::<Pages<W>>() + directory * each + self.packed + self.long
    }

    #[inline]
    fn hash(&self, key: Piece<'_>) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        match key {
            Piece::Int(number) => hasher.write_i64(number),
            Piece::Bytes(bytes) => hasher.write(bytes),
        }
        // The low bits choose the page, and a product's are its weakest.
        let hash = hasher.finish();
        hash ^ hash >> 32
    }

    /// The page of keys with this hash.
    #[inline]
    fn address(&self, hash: u64) -> usize {
        address(hash, self.pages)
    }

    #[inline]
    fn page(&self, index: usize) -> &Page<W> {
        &self.blocks[index / BLOCK].pages[index % BLOCK]
    }

    /// Changes a page, and keeps the sums right.
    #[inline]
    fn change<T>(&mut self, index: usize, change: impl FnOnce(&mut Page<W>) -> T) -> T {
        let block = &mut self.blocks[index / BLOCK];
        let page = &mut block.pages[index % BLOCK];
        let before = page.bytes();
        let changed = change(page);
        let (after, count) = (page.bytes(), page.len());
        block.counts[index % BLOCK] = count.min(MANY) as u8;
        self.widest = self.widest.max(count);
        self.packed = self.packed - before.0 + after.0;
        self.long = self.long - before.1 + after.1;
        changed
    }

    /// Number of records of a page.
    #[inline]
    fn count(&self, index: usize) -> usize {
        match usize::from(self.blocks[index / BLOCK].counts[index % BLOCK]) {
            MANY => self.page(index).len(),
            count => count,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Page<W>> {
        self.blocks.iter().flat_map(|block| &block.pages)
    }

    /// The records, in no order that means something.
    pub(in crate::store) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.all().flat_map(Page::records)
    }

    /// The value of a key.
    #[inline]
    pub(in crate::store) fn get(&self, key: Piece<'_>) -> Option<&[u8]> {
        let page = self.page(self.address(self.hash(key)));
        page.get(&Code::of(key))
    }

    /// Sets the value of a key; whether it is new.
    #[inline]
    pub(in crate::store) fn set(&mut self, key: Piece<'_>, value: Option<&Code<'_>>) -> bool {
        self.set_parts(key, value.map_or([&[][..]; 2], Code::parts))
    }

    /// The same, with a value that is written already.
    pub(in crate::store) fn set_raw(&mut self, key: Piece<'_>, value: &[u8]) -> bool {
        self.set_parts(key, [value, &[]])
    }

    #[inline]
    fn set_parts(&mut self, key: Piece<'_>, value: [&[u8]; 2]) -> bool {
        let (page, code) = (self.address(self.hash(key)), Code::of(key));
        let place = self.page(page).run.find(&code);
        self.set_code(Spot { page, place }, &code, value)
    }

    /// The value of a key, and where it is: for [`set_at`](Pages::set_at).
    #[inline]
    pub(in crate::store) fn find(&self, key: Piece<'_>) -> (Spot, Option<&[u8]>) {
        let (index, code) = (self.address(self.hash(key)), Code::of(key));
        let page = self.page(index);
        let place = page.run.find(&code);
        let value = match place.clone() {
            Some(place) => Some(page.run.at(place).1),
            None => page
                .find_long(&code)
                .map(|at| &page.long()[at][code.len()..]),
        };
        (Spot { page: index, place }, value)
    }

    /// Sets the value of a key that was looked for, if nothing has changed since.
    #[inline]
    pub(in crate::store) fn set_at(&mut self, spot: Spot, key: Piece<'_>, value: &Code<'_>) {
        self.set_code(spot, &Code::of(key), value.parts());
    }

    #[inline]
    fn set_code(&mut self, spot: Spot, code: &Code<'_>, [first, second]: [&[u8]; 2]) -> bool {
        let [head, body] = code.parts();
        let parts = [head, body, first, second];
        let fits = parts.iter().map(|part| part.len()).sum::<usize>() <= LONG;
        let new = self.change(spot.page, |page| match spot.place {
            Some(place) if fits => {
                page.run.replace(place, &parts);
                false
            }
            None if fits && page.long.is_none() => {
                page.run.insert(page.run.end(), &parts);
                true
            }
            _ => {
                let removed = page.remove(code);
                page.add(&parts);
                !removed
            }
        });
        if new {
            self.len += 1;
            self.grow();
        }
        new
    }

    /// Removes a key; whether it was there.
    pub(in crate::store) fn remove(&mut self, key: Piece<'_>) -> bool {
        let index = self.address(self.hash(key));
        let removed = self.change(index, |page| page.remove(&Code::of(key)));
        if removed {
            self.len -= 1;
            self.shrink();
        }
        removed
    }

    fn grow(&mut self) {
        let is_full = self.len > FULL * self.pages
            || self.packed > PAGE_BYTES * self.pages && self.len > self.pages;
        if is_full {
            self.split();
        }
    }

    /// Adds a page.
    fn split(&mut self) {
        let new = self.pages;
        let old = new - (1 << new.ilog2());
        let page = self.change(old, std::mem::take);
        self.pages += 1;
        if new.is_multiple_of(BLOCK) {
            self.blocks.push(Block::default());
        }
        if let Some(block) = self.blocks.last_mut() {
            block.pages.push(Page::default());
            block.counts.push(0);
        }
        let goes = |raw: &[u8]| self.address(self.hash(record(raw).0)) == new;
        let [stays, moved] = divided(page, goes);
        self.change(old, |page| *page = stays);
        self.change(new, |page| *page = moved);
    }

    fn shrink(&mut self) {
        let is_empty = self.len < EMPTY * self.pages && self.packed < PAGE_BYTES / 2 * self.pages;
        if self.pages > 1 && (is_empty || self.len < self.pages / 4) {
            self.merge();
        }
    }

    /// Takes the last page away.
    fn merge(&mut self) {
        let page = self.change(self.pages - 1, std::mem::take);
        self.pages -= 1;
        if self.pages.is_multiple_of(BLOCK) {
            self.blocks.pop();
        } else if let Some(block) = self.blocks.last_mut() {
            block.pages.pop();
            block.counts.pop();
            if block.pages.len() < block.pages.capacity() / 4 {
                block.pages.shrink_to(block.pages.len() * 2);
                block.counts.shrink_to(block.pages.len() * 2);
            }
        }
        let index = self.pages - (1 << self.pages.ilog2());
        self.change(index, |into| {
            page.raw_records().for_each(|record| into.add(&[record]));
        });
    }

    /// Visits some records from a cursor on; returns the cursor to go on with, zero at the end.
    /// What is there from the first call to the last is visited, however pages come and go
    /// meanwhile.
    ///
    /// The pages are visited in the order of their numbers' bits read backwards: a page that is
    /// split is visited where both its halves would be, or the halves one after the other.
    pub(in crate::store) fn scan(&self, cursor: u64, mut visit: impl FnMut(Record<'_>)) -> u64 {
        let index = self.address(cursor);
        let most = self.pages.next_power_of_two();
        // The bits that all keys of this page have in common.
        let is_split = self.pages == most || index >= most / 2 || index + most / 2 < self.pages;
        let mask = match is_split {
            true => most - 1,
            false => most / 2 - 1,
        };
        self.page(index).records().for_each(&mut visit);
        let beyond = (cursor | !(mask as u64)).reverse_bits();
        beyond.wrapping_add(1).reverse_bits()
    }

    /// The page and the index there of a random record; all are equally likely. `random(n)` is a
    /// number below `n`.
    fn draw(&self, mut random: impl FnMut(usize) -> usize) -> Option<(usize, usize)> {
        if self.len == 0 {
            return None;
        }
        if self.pages == 1 {
            return Some((0, random(self.len)));
        }
        loop {
            let (page, index) = (random(self.pages), random(self.widest));
            if index < self.count(page) {
                return Some((page, index));
            }
        }
    }

    /// A random record.
    pub(in crate::store) fn random(
        &self,
        random: impl FnMut(usize) -> usize,
    ) -> Option<Record<'_>> {
        let (page, index) = self.draw(random)?;
        self.page(page).records().nth(index)
    }

    /// Takes a random record, told to `taken`.
    pub(in crate::store) fn pop<T>(
        &mut self,
        random: impl FnMut(usize) -> usize,
        taken: impl FnOnce(Piece<'_>) -> T,
    ) -> Option<T> {
        let (index, nth) = self.draw(random)?;
        let popped = self.change(index, |page| page.take(nth, taken))?;
        self.len -= 1;
        self.shrink();
        Some(popped)
    }
}

/// The page of keys with this hash in a table of so many pages.
#[inline]
fn address(hash: u64, pages: usize) -> usize {
    let most = pages.next_power_of_two();
    let index = hash as usize & (most - 1);
    match index < pages {
        true => index,
        false => index & (most / 2 - 1),
    }
}

/// A page in two: what stays, and what goes.
fn divided<const W: usize>(page: Page<W>, goes: impl Fn(&[u8]) -> bool) -> [Page<W>; 2] {
    let mut counts = [0; 2];
    let mut bytes: [SmallVec<[u8; PAGE_BYTES]>; 2] = Default::default();
    for record in page.run.raw_records() {
        let side = usize::from(goes(record));
        counts[side] += 1;
        bytes[side].extend_from_slice(record);
    }
    let runs = [0, 1].map(|side| Run::of_records(counts[side], &bytes[side]));
    let mut pages = runs.map(|run| Page { run, long: None });
    for record in page.long.into_iter().flat_map(|long| long.0) {
        let side = usize::from(goes(&record));
        pages[side].long.get_or_insert_default().0.push(record);
    }
    pages
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    impl<const W: usize> Pages<W> {
        fn check(&self) {
            assert_eq!(self.all().count(), self.pages);
            assert_eq!(self.records().count(), self.len);
            let bytes = self.all().map(Page::bytes);
            let sum = bytes.fold((0, 0), |sum, page| (sum.0 + page.0, sum.1 + page.1));
            assert_eq!(sum, (self.packed, self.long));
            for (index, page) in self.all().enumerate() {
                assert!(
                    page.records()
                        .all(|(k, _)| self.address(self.hash(k)) == index)
                );
                assert_eq!(self.count(index), page.len());
                assert!(page.len() <= self.widest);
            }
        }
    }

    fn text(piece: Piece<'_>) -> String {
        piece.blob().escape_ascii().to_string()
    }

    fn set(pages: &mut Pages<2>, key: &str, value: &str) -> bool {
        let value = Code::of(Piece::of(value.as_bytes()));
        pages.set(Piece::of(key.as_bytes()), Some(&value))
    }

    /// The same, looked for first.
    fn set_at(pages: &mut Pages<2>, key: &str, value: &str) -> bool {
        let value = Code::of(Piece::of(value.as_bytes()));
        let key = Piece::of(key.as_bytes());
        let (spot, old) = pages.find(key);
        assert_eq!(old, pages.get(key));
        let new = old.is_none();
        pages.set_at(spot, key, &value);
        new
    }

    fn fill(pages: &mut Pages<2>, len: usize) {
        for i in 0..len {
            set(pages, &i.to_string(), "v");
        }
    }

    /// Numbers below a bound, from a seed.
    fn chances(mut state: u64) -> impl FnMut(usize) -> usize {
        move |bound| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % bound
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, usize),
        Remove(u32),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = prop_oneof![9 => 0..20usize, 1 => 400..1_000usize];
        prop_oneof![
            8 => (0..400u32, length).prop_map(|(k, l)| Step::Set(k, l)),
            3 => (0..400u32).prop_map(Step::Remove),
            2 => Just(Step::Pop),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn they_are_a_map(
            steps in prop::collection::vec(step(), 0..1_500),
            drained in any::<bool>(),
        ) {
            let mut pages = Pages::<2>::new(7);
            let mut model: HashMap<String, String> = HashMap::new();
            let mut random = chances(3);
            let key = |k: u32| match k.is_multiple_of(3) {
                true => k.to_string(),
                false => format!("key {k}"),
            };
            for step in steps {
                match step {
                    Step::Set(k, length) => {
                        let (key, value) = (key(k), "v".repeat(length));
                        let new = model.insert(key.clone(), value.clone()).is_none();
                        let set = if k % 2 == 0 { set } else { set_at };
                        assert_eq!(set(&mut pages, &key, &value), new);
                    }
                    Step::Remove(k) => {
                        let removed = pages.remove(Piece::of(key(k).as_bytes()));
                        assert_eq!(removed, model.remove(&key(k)).is_some());
                    }
                    Step::Pop => {
                        let popped = pages.pop(&mut random, text);
                        assert_eq!(popped.is_some(), !model.is_empty());
                        popped.into_iter().for_each(|key| drop(model.remove(&key).unwrap()));
                    }
                }
            }
            while drained && pages.pop(&mut random, |key| model.remove(&text(key))).is_some() {}
            pages.check();
            let found = pages.records().map(|(k, v)| (text(k), text(read(v))));
            assert_eq!(found.collect::<HashMap<_, _>>(), model);
            for k in 0..400 {
                let value = pages.get(Piece::of(key(k).as_bytes())).map(|v| text(read(v)));
                assert_eq!(value.as_ref(), model.get(&key(k)));
            }
        }

        /// Pages come and go while a walk is under way.
        #[test]
        fn a_walk_meets_all_that_stay(sizes in prop::collection::vec(0..200usize, 1..20)) {
            let mut pages = Pages::<2>::new(7);
            let staying: HashSet<String> = (0..50).map(|i| format!("stays {i}")).collect();
            for key in &staying {
                set(&mut pages, key, "");
            }
            let (mut seen, mut cursor, mut sizes) = (HashSet::new(), 0, sizes.into_iter().cycle());
            for calls in 0.. {
                cursor = pages.scan(cursor, |(key, _)| {
                    seen.insert(text(key));
                });
                if cursor == 0 {
                    break;
                }
                assert!(calls < 1_000, "it comes to its end");
                for i in (0..calls % 4 * 3).flat_map(|_| sizes.next()) {
                    let range = 0..200;
                    range.for_each(|k| if k < i {
                        set(&mut pages, &format!("passes {k}"), "");
                    } else {
                        pages.remove(Piece::of(format!("passes {k}").as_bytes()));
                    });
                }
            }
            assert!(staying.is_subset(&seen));
        }
    }

    #[test]
    fn a_walk_meets_each_once_while_nothing_changes() {
        for len in [0, 1, 9, 100, 1_000, 1_777] {
            let mut pages = Pages::<2>::new(7);
            fill(&mut pages, len);
            let (mut seen, mut cursor) = (Vec::new(), 0);
            loop {
                cursor = pages.scan(cursor, |(key, _)| seen.push(text(key)));
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), len);
            assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), len);
        }
    }

    #[test]
    fn all_records_are_drawn_equally_often() {
        let mut pages = Pages::<2>::new(7);
        fill(&mut pages, 300);
        let (mut random, mut counts) = (chances(5), HashMap::new());
        for _ in 0..300_000 {
            let (key, _) = pages.random(&mut random).unwrap();
            *counts.entry(text(key)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 300);
        assert!(counts.values().all(|count| (850..1_150).contains(count)));
    }

    #[test]
    fn pages_are_given_back() {
        let mut pages = Pages::<2>::new(7);
        fill(&mut pages, 40_000);
        assert!(pages.pages > 2 * BLOCK / 2 && pages.blocks.len() > 1);
        assert!(pages.allocated() < 40_000 * 16);
        (10..40_000).for_each(|i| assert!(pages.remove(Piece::Int(i))));
        pages.check();
        assert!(pages.allocated() < 1_000, "{}", pages.allocated());
    }
}
