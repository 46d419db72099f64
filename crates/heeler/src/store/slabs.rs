//! The bytes of a shard's entries, side by side in pages, without holes.
//!
//! Entries of about the same length form a class: its slots are of one size and fill pages from the
//! front. When a slot is freed, the last one of its class moves into its place, so that there is
//! never anything between the entries, and the last page goes when it is empty. Whoever keeps a
//! [`Place`] is told which entry has moved.
//!
//! Pages grow with their class, up to 4 KiB for most: a class of few entries takes little, one of
//! many wastes little. An entry beyond the largest class has a page of its own.

use std::ops::Range;

use super::allocation;
use super::prefetch::prefetch;

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

/// Where an entry lies: 24 bits of its page, 8 of its slot in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub(super) u32);

impl Place {
    fn new(page: u32, slot: usize) -> Place {
        debug_assert!(page < 1 << 24 && slot < SLOTS);
        Place(page << 8 | slot as u32)
    }

    #[inline]
    fn page(self) -> usize {
        (self.0 >> 8) as usize
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

/// Slots of one size, side by side; none where a page is not there.
#[derive(Debug, Default)]
struct Page {
    bytes: Box<[u8]>,
    /// Bytes of a slot.
    size: u32,
    /// Number of slots.
    slots: u16,
    /// The class of its entries.
    class: u8,
}

impl Page {
    fn slot(&self, slot: usize) -> Range<usize> {
        let size = self.size as usize;
        slot * size..(slot + 1) * size
    }
}

/// Entries of about the same length.
#[derive(Debug, Default)]
struct Class {
    /// The numbers of its pages.
    pages: Vec<u32>,
    /// Pages before the one that is being filled; those are full.
    full: u32,
    /// Slots that are taken in that page.
    filled: u16,
    /// Which class it is.
    number: u8,
}

/// The bytes of a shard's entries. Each look at one begins at the field in front.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Slabs {
    pages: Vec<Page>,
    /// The numbers of pages that are not there.
    free: Vec<u32>,
    classes: Vec<Class>,
    /// For each class its place in the list of those that have entries.
    numbers: [u8; SINGLE],
    /// Bytes of all pages.
    bytes: usize,
    /// Bytes of the classes' lists of pages.
    lists: usize,
}

/// Stands for the place of a class that has no entry.
const NONE: u8 = u8::MAX;

impl Default for Slabs {
    fn default() -> Slabs {
        Slabs {
            pages: Vec::new(),
            free: Vec::new(),
            classes: Vec::new(),
            numbers: [NONE; SINGLE],
            bytes: 0,
            lists: 0,
        }
    }
}

impl Slabs {
    /// Bytes that it has allocated.
    pub(super) fn bytes(&self) -> usize {
        let classes = allocation::size(self.classes.capacity() * size_of::<Class>());
        let pages = allocation::size(self.pages.capacity() * size_of::<Page>());
        let free = allocation::size(self.free.capacity() * size_of::<u32>());
        self.bytes + self.lists + classes + pages + free
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
        let page = &self.pages[place.page()];
        &page.bytes[page.slot(place.slot())]
    }

    /// Prefetches the first and the last line of a slot.
    #[inline]
    pub(super) fn prefetch(&self, place: Place) {
        if let [first, .., last] = self.get(place) {
            prefetch(first);
            prefetch(last);
        }
    }

    /// The bytes of a slot, to change.
    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> &mut [u8] {
        let page = &mut self.pages[place.page()];
        let slot = page.slot(place.slot());
        &mut page.bytes[slot]
    }

    /// Takes a slot for an entry of `len` bytes; what it holds means nothing.
    pub(super) fn take(&mut self, len: usize) -> Place {
        let number = class_of(len);
        let Some((_, most)) = CLASSES.get(number) else {
            return Place::new(self.add_page(number, len, 1), 0);
        };
        let at = self.class(number);
        let class = &mut self.classes[at];
        let current = class.pages.get(class.full as usize);
        if current.is_some_and(|page| class.filled == self.pages[*page as usize].slots) {
            (class.full, class.filled) = (class.full + 1, 0);
        }
        if class.full as usize == class.pages.len() {
            let slots = class.next_page(*most, &self.pages);
            let page = self.add_page(number, size_of_class(number), slots);
            self.lists += self.classes[at].list(page);
        }
        let class = &mut self.classes[at];
        class.filled += 1;
        Place::new(
            class.pages[class.full as usize],
            usize::from(class.filled) - 1,
        )
    }

    /// The place of a class in the list.
    fn class(&mut self, number: usize) -> usize {
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
        usize::from(self.numbers[number])
    }

    /// Allocates a page; returns its number.
    fn add_page(&mut self, class: usize, size: usize, slots: usize) -> u32 {
        let bytes = vec![0; size * slots].into_boxed_slice();
        self.bytes += allocation::size(bytes.len());
        let page = Page {
            bytes,
            size: size as u32,
            slots: slots as u16,
            class: class as u8,
        };
        if let Some(number) = self.free.pop() {
            self.pages[number as usize] = page;
            return number;
        }
        if self.pages.len() == self.pages.capacity() {
            self.pages.reserve_exact(2 + self.pages.len() / 4);
        }
        self.pages.push(page);
        self.pages.len() as u32 - 1
    }

    /// Gives a page back.
    fn drop_page(&mut self, number: u32) {
        let page = std::mem::take(&mut self.pages[number as usize]);
        self.bytes -= allocation::size(page.bytes.len());
        self.free.push(number);
        if self.free.len() == self.pages.len() {
            (self.pages, self.free) = (Vec::new(), Vec::new());
        }
    }

    /// Frees a slot. The entry that was at the place returned is now at this one.
    pub(super) fn free(&mut self, place: Place) -> Option<Place> {
        let number = usize::from(self.pages[place.page()].class);
        if number == SINGLE {
            self.drop_page(place.page() as u32);
            return None;
        }
        let at = usize::from(self.numbers[number]);
        let last = self.move_last_to(place, at);
        while let Some(page) = self.classes[at].take_back(&self.pages) {
            self.drop_page(page);
        }
        self.lists -= self.classes[at].shorten();
        if self.classes[at].pages.is_empty() {
            self.forget(number);
        }
        (last != place).then_some(last)
    }

    /// Moves the last entry of a class to a place that is free; returns where it was.
    fn move_last_to(&mut self, place: Place, class: usize) -> Place {
        let class = &mut self.classes[class];
        class.filled -= 1;
        let last = Place::new(class.pages[class.full as usize], usize::from(class.filled));
        if class.filled == 0 && class.full > 0 {
            class.full -= 1;
            class.filled = self.pages[class.pages[class.full as usize] as usize].slots;
        }
        let page = &mut self.pages[last.page()];
        let (from, to) = (page.slot(last.slot()), page.slot(place.slot()));
        if place.page() == last.page() {
            page.bytes.copy_within(from, to.start);
        } else if let Ok([to_page, page]) = self.pages.get_disjoint_mut([place.page(), last.page()])
        {
            to_page.bytes[to].copy_from_slice(&page.bytes[from]);
        }
        last
    }

    /// Takes a class out of the list that has no entry any more.
    fn forget(&mut self, number: usize) {
        let at = std::mem::replace(&mut self.numbers[number], NONE);
        let class = self.classes.swap_remove(usize::from(at));
        self.lists -= class.list_bytes();
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
        let single = |page: &(usize, &Page)| usize::from(page.1.class) == SINGLE;
        let singles = self.pages.iter().enumerate().filter(single);
        let singles = singles.filter(|(_, page)| page.slots > 0);
        let mut places: Vec<Place> = singles.map(|(n, _)| Place::new(n as u32, 0)).collect();
        for class in &self.classes {
            for (at, page) in class.pages.iter().enumerate() {
                let slots = match at.cmp(&(class.full as usize)) {
                    std::cmp::Ordering::Less => self.pages[*page as usize].slots,
                    std::cmp::Ordering::Equal => class.filled,
                    std::cmp::Ordering::Greater => 0,
                };
                let slots = 0..usize::from(slots);
                places.extend(slots.map(|slot| Place::new(*page, slot)));
            }
        }
        places
    }
}

impl Class {
    /// Slots of the next page: a quarter of what there is, so that the last page is never more than
    /// a fifth of all.
    fn next_page(&self, most: usize, pages: &[Page]) -> usize {
        let slots_of = |page: &u32| usize::from(pages[*page as usize].slots);
        if self.pages.last().is_some_and(|page| slots_of(page) == most) {
            return most;
        }
        let before: usize = self.pages.iter().map(slots_of).sum();
        let slots = (before / 4).clamp(1, most);
        let size = size_of_class(usize::from(self.number));
        // What the allocator would give beyond is used, where that wastes less.
        let wasted = |slots: &usize| {
            let given = allocation::size(slots * size);
            (given - slots * size) * 1000 / given
        };
        let longest = (slots + slots / 3).min(most);
        (slots..=longest).min_by_key(wasted).unwrap_or(slots)
    }

    /// Adds a page to the list; returns by how many bytes that has grown.
    fn list(&mut self, page: u32) -> usize {
        let before = self.list_bytes();
        if self.pages.len() == self.pages.capacity() {
            self.pages.reserve_exact(4 + self.pages.len() / 4);
        }
        self.pages.push(page);
        self.list_bytes() - before
    }

    fn list_bytes(&self) -> usize {
        allocation::size(self.pages.capacity() * size_of::<u32>())
    }

    /// Takes out a page that is to be given back. One that is empty stays until the one before it
    /// is half empty, so that a class that goes up and down around a page's end does not allocate.
    fn take_back(&mut self, pages: &[Page]) -> Option<u32> {
        let full = self.full as usize;
        let in_page = pages[*self.pages.get(full)? as usize].slots;
        let keep = match self.filled {
            0 => 0,
            filled if filled * 2 > in_page => full + 2,
            _ => full + 1,
        };
        match self.pages.len() > keep {
            true => self.pages.pop(),
            false => None,
        }
    }

    /// Gives back room for the numbers of pages; returns how many bytes.
    fn shorten(&mut self) -> usize {
        let (before, room) = (self.list_bytes(), self.pages.capacity());
        if room > 16 && self.pages.len() * 4 < room {
            self.pages.shrink_to(self.pages.len() * 2);
        }
        before - self.list_bytes()
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
            slabs.bytes
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
        assert_eq!((slabs.bytes, slabs.lists, slabs.pages.len()), (0, 0, 0));
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
            let bytes = slabs.pages.iter().map(|page| allocation::size(page.bytes.len()));
            prop_assert_eq!(slabs.bytes, bytes.sum::<usize>());
            let lists = slabs.classes.iter().map(Class::list_bytes);
            prop_assert_eq!(slabs.lists, lists.sum::<usize>());
            for (place, (number, len)) in places {
                let slot = slabs.get(place);
                prop_assert_eq!(slot.len(), Slabs::slot_len(len));
                let expected = number.to_le_bytes().into_iter().cycle();
                prop_assert!(slot.iter().zip(expected).all(|(slot, byte)| *slot == byte));
            }
        }
    }
}
