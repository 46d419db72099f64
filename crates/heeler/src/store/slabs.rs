//! The bytes of a shard's entries, side by side in pages, without holes.
//!
//! Entries of about the same length form a class: its slots are of one size and fill pages from the
//! front. When a slot is freed, the last one of its class moves into its place, so that there is
//! never anything between the entries, and the last page goes when it is empty. Whoever keeps a
//! [`Place`] is told which entry has moved.
//!
//! Pages grow with their class, up to 4 KiB for most: a class of few entries takes little, one of
//! many wastes little. An entry beyond the largest class has a page of its own.

use super::allocation;

/// Entries up to this length are packed into classes, in bytes.
const LARGEST: usize = 4096;
/// Classes whose slots grow by 8 bytes: up to 128.
const FINE: usize = 16;
/// Classes between one power of two and the next, beyond.
const STEPS: usize = 8;
/// The class of entries that have a page each.
const SINGLE: usize = FINE + 5 * STEPS;
/// Most slots of a page: what the slot's number in a [`Place`] can tell.
const SLOTS: usize = 256;
/// Bytes of a full-grown page, about, and at most.
const PAGE: usize = 4096;
const LARGEST_PAGE: usize = 16 * 1024;

/// Where an entry lies: 6 bits of its class, 18 of its page, 8 of its slot in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u32);

impl Place {
    fn new(class: usize, page: usize, slot: usize) -> Place {
        debug_assert!(class < 64 && page < 1 << 18 && slot < SLOTS);
        Place((class << 26 | page << 8 | slot) as u32)
    }

    #[inline]
    fn class(self) -> usize {
        (self.0 >> 26) as usize
    }

    #[inline]
    fn page(self) -> usize {
        (self.0 >> 8) as usize & 0x3_ffff
    }

    #[inline]
    fn slot(self) -> usize {
        self.0 as usize & (SLOTS - 1)
    }
}

/// The class of entries that are so long.
#[inline]
fn class_of(len: usize) -> usize {
    if len <= 8 * FINE {
        return len.saturating_sub(1) / 8;
    }
    if len > LARGEST {
        return SINGLE;
    }
    let power = (len - 1).ilog2();
    let within = (len - 1) >> (power - STEPS.trailing_zeros());
    FINE + (power as usize - 7) * STEPS + within - STEPS
}

/// The size of a class's slots.
const fn size_of_class(class: usize) -> usize {
    if class < FINE {
        return (class + 1) * 8;
    }
    let (power, step) = ((class - FINE) / STEPS, (class - FINE) % STEPS);
    (128 << power) / STEPS * (STEPS + step + 1)
}

/// Slots of a full-grown page: as many as waste little of what the allocator gives for a page.
const fn slots_of_page(size: usize) -> usize {
    let (mut best, mut least) = (1, usize::MAX);
    let mut slots = 1;
    while slots <= SLOTS && slots * size <= LARGEST_PAGE {
        // In thousandths; a larger page must be clearly better.
        let given = allocation::size(slots * size);
        let wasted = (given - slots * size) * 1000 / given;
        let is_small = (slots + 1) * size <= PAGE && slots < SLOTS;
        if !is_small && (least == usize::MAX || wasted + 10 < least) {
            (best, least) = (slots, wasted);
        }
        slots += 1;
    }
    best
}

/// For each class the size of its slots, and how many a full-grown page has.
const CLASSES: [(usize, usize); SINGLE] = {
    let mut classes = [(0, 0); SINGLE];
    let mut class = 0;
    while class < SINGLE {
        let size = size_of_class(class);
        classes[class] = (size, slots_of_page(size));
        class += 1;
    }
    classes
};

/// Entries of about the same length.
#[derive(Debug, Default)]
struct Class {
    pages: Vec<Box<[u8]>>,
    /// Pages before the one that is being filled; those are full.
    full: u32,
    /// Slots that are taken in that page.
    filled: u16,
    /// Which class it is.
    number: u8,
}

/// The bytes of a shard's entries.
#[derive(Debug)]
pub(super) struct Slabs {
    /// For each class its place in the list of those that have entries.
    numbers: [u8; SINGLE + 1],
    classes: Vec<Class>,
    /// Bytes of all pages.
    pages: usize,
    /// Bytes of the classes' lists of pages.
    lists: usize,
}

/// Stands for the place of a class that has no entry.
const NONE: u8 = u8::MAX;

impl Default for Slabs {
    fn default() -> Slabs {
        Slabs {
            numbers: [NONE; SINGLE + 1],
            classes: Vec::new(),
            pages: 0,
            lists: 0,
        }
    }
}

impl Slabs {
    /// Bytes that it has allocated.
    pub(super) fn bytes(&self) -> usize {
        let classes = allocation::size(self.classes.capacity() * size_of::<Class>());
        self.pages + self.lists + classes
    }

    /// The length of the slot in which an entry of `len` bytes is kept.
    #[inline]
    pub(super) fn slot_len(len: usize) -> usize {
        match CLASSES.get(class_of(len)) {
            Some((size, _)) => *size,
            None => len,
        }
    }

    /// The bytes of a slot.
    #[inline]
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let class = place.class();
        let page = &self.classes[usize::from(self.numbers[class])].pages[place.page()];
        match CLASSES.get(class) {
            Some((size, _)) => &page[place.slot() * size..][..*size],
            None => page,
        }
    }

    /// The bytes of a slot, to change.
    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> &mut [u8] {
        let class = place.class();
        let page = &mut self.classes[usize::from(self.numbers[class])].pages[place.page()];
        match CLASSES.get(class) {
            Some((size, _)) => &mut page[place.slot() * size..][..*size],
            None => page,
        }
    }

    /// Takes a slot for an entry of `len` bytes; what it holds means nothing.
    pub(super) fn take(&mut self, len: usize) -> Place {
        let number = class_of(len);
        if self.numbers[number] == NONE {
            self.numbers[number] = self.classes.len() as u8;
            if self.classes.len() == self.classes.capacity() {
                self.classes.reserve_exact(1 + self.classes.len() / 2);
            }
            self.classes.push(Class {
                number: number as u8,
                ..Class::default()
            });
        }
        let class = &mut self.classes[usize::from(self.numbers[number])];
        let Some(&(size, most)) = CLASSES.get(number) else {
            class.full += 1;
            let place = Place::new(number, class.pages.len(), 0);
            self.add_page(number, len);
            return place;
        };
        let (mut page, mut slot) = (class.full as usize, usize::from(class.filled));
        if class
            .pages
            .get(page)
            .is_some_and(|p| slot == p.len() / size)
        {
            (page, slot) = (page + 1, 0);
        }
        (class.full, class.filled) = (page as u32, slot as u16 + 1);
        if page == class.pages.len() {
            let len = class.next_page(size, most) * size;
            self.add_page(number, len);
        }
        Place::new(number, page, slot)
    }

    fn add_page(&mut self, number: usize, len: usize) {
        let pages = &mut self.classes[usize::from(self.numbers[number])].pages;
        let before = pages.capacity();
        if pages.len() == before {
            pages.reserve_exact(2 + before / 4);
        }
        pages.push(vec![0; len].into());
        self.lists += (pages.capacity() - before) * size_of::<Box<[u8]>>();
        self.pages += allocation::size(len);
    }

    /// Frees a slot. The entry that was at the place returned is now at this one.
    pub(super) fn free(&mut self, place: Place) -> Option<Place> {
        let number = place.class();
        let class = &mut self.classes[usize::from(self.numbers[number])];
        let last = match CLASSES.get(number) {
            Some((size, _)) => {
                let last = class.move_last_to(place, *size);
                self.pages -= class.give_back(*size);
                last
            }
            None => {
                let freed = class.pages.swap_remove(place.page());
                self.pages -= allocation::size(freed.len());
                class.full -= 1;
                Place::new(number, class.pages.len(), 0)
            }
        };
        self.lists -= class.shorten() * size_of::<Box<[u8]>>();
        if class.pages.is_empty() {
            self.forget(number);
        }
        (last != place).then_some(last)
    }

    /// Takes a class out of the list that has no entry any more.
    fn forget(&mut self, number: usize) {
        let at = std::mem::replace(&mut self.numbers[number], NONE);
        let class = self.classes.swap_remove(usize::from(at));
        self.lists -= class.pages.capacity() * size_of::<Box<[u8]>>();
        if let Some(moved) = self.classes.get(usize::from(at)) {
            self.numbers[usize::from(moved.number)] = at;
        }
        if self.classes.capacity() > 8 && self.classes.len() * 4 < self.classes.capacity() {
            self.classes.shrink_to(self.classes.len() * 2);
        }
    }

    /// The places of all entries.
    #[cfg(test)]
    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for class in &self.classes {
            let number = usize::from(class.number);
            let size = CLASSES.get(number).map(|(size, _)| *size);
            for (page, bytes) in class.pages.iter().enumerate() {
                let slots = match (size, page.cmp(&(class.full as usize))) {
                    (None, _) => 1,
                    (Some(size), std::cmp::Ordering::Less) => bytes.len() / size,
                    (_, std::cmp::Ordering::Equal) => usize::from(class.filled),
                    _ => 0,
                };
                places.extend((0..slots).map(|slot| Place::new(number, page, slot)));
            }
        }
        places
    }
}

impl Class {
    /// Slots of the next page: a quarter of what there is, so that the last page is never more than
    /// a fifth of all.
    fn next_page(&self, size: usize, most: usize) -> usize {
        let slots_of = |page: &[u8]| page.len() / size;
        if self.pages.last().is_some_and(|page| slots_of(page) == most) {
            return most;
        }
        let before: usize = self.pages.iter().map(|page| slots_of(page)).sum();
        let slots = (before / 4).clamp(1, most);
        // What the allocator would give beyond is used, where that wastes less.
        let wasted = |slots: &usize| {
            let given = allocation::size(slots * size);
            (given - slots * size) * 1000 / given
        };
        let longest = (slots + slots / 3).min(most);
        (slots..=longest).min_by_key(wasted).unwrap_or(slots)
    }

    /// Moves the last entry to a place that is free; returns where it was.
    fn move_last_to(&mut self, place: Place, size: usize) -> Place {
        let last = Place::new(
            place.class(),
            self.full as usize,
            usize::from(self.filled) - 1,
        );
        let (to, from) = (place.slot() * size, last.slot() * size);
        if place.page() == last.page() {
            self.pages[last.page()].copy_within(from..from + size, to);
        } else {
            let (before, after) = self.pages.split_at_mut(last.page());
            before[place.page()][to..to + size].copy_from_slice(&after[0][from..from + size]);
        }
        last
    }

    /// The last slot is free; returns how many bytes of pages were given back. A page that is
    /// empty stays until the one before it is half empty, so that a class that goes up and down
    /// around a page's end does not allocate.
    fn give_back(&mut self, size: usize) -> usize {
        self.filled -= 1;
        if self.filled == 0 && self.full > 0 {
            self.full -= 1;
            self.filled = (self.pages[self.full as usize].len() / size) as u16;
        }
        let full = self.full as usize;
        let in_page = self.pages[full].len() / size;
        let keep = match usize::from(self.filled) {
            0 => 0,
            filled if filled * 2 > in_page => full + 2,
            _ => full + 1,
        };
        let mut bytes = 0;
        while self.pages.len() > keep {
            bytes += self.pages.pop().map_or(0, |p| allocation::size(p.len()));
        }
        bytes
    }

    /// Makes the list of pages shorter if it is much too long; returns by how many.
    fn shorten(&mut self) -> usize {
        let before = self.pages.capacity();
        if before > 16 && self.pages.len() * 4 < before {
            self.pages.shrink_to(self.pages.len() * 2);
        }
        before - self.pages.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    #[test]
    fn classes_are_as_fine_as_they_are_said_to_be() {
        for len in 1..=LARGEST {
            let (class, size) = (class_of(len), Slabs::slot_len(len));
            assert_eq!(size, size_of_class(class), "{len}");
            assert!(
                size >= len && size - len < 8.max(len / 8 + 1),
                "{len} in {size}"
            );
            assert!(class == 0 || size_of_class(class - 1) < len, "{len}");
        }
        assert_eq!(class_of(LARGEST), SINGLE - 1);
        assert_eq!(class_of(LARGEST + 1), SINGLE);
        assert_eq!(Slabs::slot_len(100_000), 100_000);
    }

    #[test]
    fn full_pages_waste_little() {
        for (size, slots) in CLASSES {
            assert!((1..=SLOTS).contains(&slots), "{size}");
            let bytes = size * slots;
            assert!(
                size < 16 || allocation::size(bytes) * 100 <= bytes * 110,
                "{slots} of {size}"
            );
        }
    }

    #[test]
    fn few_entries_take_small_pages() {
        let mut slabs = Slabs::default();
        let mut slabs_of = |entries: std::ops::Range<usize>| {
            entries.for_each(|_| {
                slabs.take(88);
            });
            slabs.pages
        };
        assert_eq!(slabs_of(0..4), 4 * allocation::size(88));
        let bytes = slabs_of(4..1_000);
        assert!(bytes <= 1_060 * 88, "{bytes}");
    }

    #[test]
    fn memory_goes_back_as_entries_go() {
        let mut slabs = Slabs::default();
        for len in [88, 300, 4_000, 10_000] {
            for _ in 0..1_000 {
                slabs.take(len);
            }
        }
        while let Some(place) = slabs.places().first() {
            slabs.free(*place);
        }
        assert_eq!((slabs.pages, slabs.lists, slabs.classes.len()), (0, 0, 0));
    }

    /// What an entry with this number holds.
    fn fill(slabs: &mut Slabs, place: Place, number: usize) {
        let slot = slabs.get_mut(place);
        let bytes = number.to_le_bytes().into_iter().cycle();
        slot.iter_mut()
            .zip(bytes)
            .for_each(|(slot, byte)| *slot = byte);
    }

    proptest! {
        #[test]
        fn slabs_keep_what_they_are_given(
            steps in vec((0..5u8, 1..6_000usize, any::<Index>()), 1..400),
            narrow in any::<bool>(),
        ) {
            let mut slabs = Slabs::default();
            let mut places: BTreeMap<Place, (usize, usize)> = BTreeMap::new();
            for (number, (what, len, choice)) in steps.into_iter().enumerate() {
                let len = if narrow { 80 + len % 40 } else { len };
                if what < 3 || places.is_empty() {
                    let place = slabs.take(len);
                    fill(&mut slabs, place, number);
                    prop_assert!(places.insert(place, (number, len)).is_none());
                    continue;
                }
                let place = *places.keys().nth(choice.index(places.len())).unwrap();
                places.remove(&place);
                if let Some(moved) = slabs.free(place) {
                    let entry = places.remove(&moved);
                    prop_assert!(entry.is_some());
                    places.extend(entry.map(|entry| (place, entry)));
                }
            }
            let mut all = slabs.places();
            all.sort_unstable();
            prop_assert_eq!(all, places.keys().copied().collect::<Vec<_>>());
            let pages = slabs.classes.iter().flat_map(|class| &class.pages);
            let bytes: usize = pages.map(|page| allocation::size(page.len())).sum();
            prop_assert_eq!(slabs.pages, bytes);
            for (place, (number, len)) in places {
                let slot = slabs.get(place);
                prop_assert_eq!(slot.len(), Slabs::slot_len(len));
                let expected = number.to_le_bytes().into_iter().cycle();
                prop_assert!(slot.iter().zip(expected).all(|(slot, byte)| *slot == byte));
            }
        }
    }
}
