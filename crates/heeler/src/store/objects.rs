//! The values of a shard that are too big or too rich to lie beside their keys, without holes: when
//! one goes, the last takes its place, and its owner is told of its new number.

use super::entry::Object;
use super::slabs::Place;

/// Most objects of a page.
const PAGE: usize = 64;

/// An object.
#[derive(Debug)]
struct Cell {
    /// The entry whose value it is.
    owner: Place,
    /// What it had allocated when that was last counted, in bytes.
    counted: usize,
    object: Object,
}

/// The objects of a shard, by their numbers: 24 bits of the page, 8 bits of the place in it.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pages: Vec<Vec<Cell>>,
    /// Bytes of the pages, and of what the objects have allocated.
    bytes: usize,
}

fn place(number: u32) -> (usize, usize) {
    ((number >> 8) as usize, number as usize & 0xff)
}

impl Objects {
    /// Bytes that are allocated, those of the objects included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// An object.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &Object {
        let (page, cell) = place(number);
        &self.pages[page][cell].object
    }

    /// An object, to change: then call [`recount`](Objects::recount).
    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> &mut Object {
        let (page, cell) = place(number);
        &mut self.pages[page][cell].object
    }

    /// Counts anew what an object has allocated; whether that has changed.
    #[inline]
    pub(super) fn recount(&mut self, number: u32) -> bool {
        let (page, cell) = place(number);
        let cell = &mut self.pages[page][cell];
        let bytes = cell.object.allocated();
        let changed = bytes != cell.counted;
        self.bytes = self.bytes - cell.counted + bytes;
        cell.counted = bytes;
        changed
    }

    /// An object is now the value of the entry at another place.
    pub(super) fn set_owner(&mut self, number: u32, owner: Place) {
        let (page, cell) = place(number);
        self.pages[page][cell].owner = owner;
    }

    /// Adds an object, and returns its number.
    pub(super) fn add(&mut self, owner: Place, object: Object) -> u32 {
        if self
            .pages
            .last()
            .is_none_or(|page| page.len() == page.capacity())
        {
            let before: usize = self.pages.iter().map(Vec::len).sum();
            let page = Vec::with_capacity((before / 4).clamp(1, PAGE));
            self.bytes += page.capacity() * size_of::<Cell>();
            self.pages.push(page);
        }
        let page = self.pages.len() - 1;
        let counted = object.allocated();
        self.bytes += counted;
        self.pages[page].push(Cell {
            owner,
            counted,
            object,
        });
        (page << 8 | (self.pages[page].len() - 1)) as u32
    }

    /// Takes an object out, and returns it. Another may have this number from now on: then its
    /// owner is returned, too.
    pub(super) fn remove(&mut self, number: u32) -> Option<(Object, Option<Place>)> {
        let last = self.pages.last_mut()?;
        let cell = last.pop()?;
        let last_number = ((self.pages.len() - 1) << 8 | self.pages.last()?.len()) as u32;
        let (taken, moved) = if last_number == number {
            (cell, None)
        } else {
            let owner = cell.owner;
            let (page, place) = place(number);
            (
                std::mem::replace(&mut self.pages[page][place], cell),
                Some(owner),
            )
        };
        self.bytes -= taken.counted;
        self.give_back();
        Some((taken.object, moved))
    }

    fn give_back(&mut self) {
        while let Some(page) = self.pages.pop_if(|page| page.is_empty()) {
            self.bytes -= page.capacity() * size_of::<Cell>();
        }
        if self.pages.capacity() > 16 && self.pages.len() * 4 < self.pages.capacity() {
            self.pages.shrink_to(self.pages.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> Object {
        Object::Text(vec![b'v'; number])
    }

    #[test]
    fn objects_are_kept_without_holes_and_their_owners_told() {
        let mut objects = Objects::default();
        let mut numbers: Vec<u32> = Vec::new();
        for owner in 0..500 {
            numbers.push(objects.add(Place(owner), text(owner as usize)));
        }
        for owner in (0..500).filter(|owner| owner % 3 != 0) {
            let number = numbers[owner];
            let (object, moved) = objects.remove(number).unwrap();
            assert!(matches!(object, Object::Text(bytes) if bytes.len() == owner));
            if let Some(Place(moved)) = moved {
                numbers[moved as usize] = number;
            }
        }
        for owner in (0..500).filter(|owner| owner % 3 == 0) {
            let object = objects.get(numbers[owner]);
            assert!(matches!(object, Object::Text(bytes) if bytes.len() == owner));
            *objects.get_mut(numbers[owner]) = text(0);
            assert_eq!(objects.recount(numbers[owner]), owner > 0);
        }
        assert!(objects.pages.iter().map(Vec::capacity).sum::<usize>() < 167 + PAGE);
        let cells = objects.pages.iter().map(Vec::capacity).sum::<usize>();
        assert_eq!(objects.bytes(), cells * size_of::<Cell>());
    }
}
