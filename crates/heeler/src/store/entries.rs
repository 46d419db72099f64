//! The entries of one shard: an index of places, slabs of bytes, and the objects that do not lie
//! beside their keys. This is where the three are kept in step when something moves.

use std::ops::Range;

use super::entry::{Entry, New, Object, Text};
use super::index::{Home, Index, home_of};
use super::objects::Objects;
use super::packed::{self, Header, Packing, Value};
use super::shard::Hashing;
use super::slabs::{Place, Slabs};

/// Entries, each found by its key. Each search begins at the fields in front.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Entries {
    index: Index,
    slabs: Slabs,
    objects: Objects,
}

impl Entries {
    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Bytes that are allocated for them.
    pub(super) fn bytes(&self) -> usize {
        self.index.bytes() + self.data_bytes()
    }

    /// Bytes that are allocated for keys and values.
    pub(super) fn data_bytes(&self) -> usize {
        self.slabs.bytes() + self.objects.bytes()
    }

    /// Number of buckets; each holds one entry or none.
    pub(super) fn buckets(&self) -> usize {
        self.index.buckets()
    }

    /// The place of the entry in a bucket.
    pub(super) fn bucket(&self, bucket: usize) -> Option<Place> {
        self.index.bucket(bucket).map(Place)
    }

    /// All entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.index.iter().map(|place| self.get(Place(place)))
    }

    /// The entries with these homes, each with its own, in no order.
    pub(super) fn with_homes(
        &self,
        hashing: &Hashing,
        homes: &Range<Home>,
    ) -> Vec<(Home, Entry<'_>)> {
        let mut found = Vec::new();
        self.index.visit(homes, |place| {
            let entry = self.get(Place(place));
            let home = home_of(hashing.hash(entry.key()));
            if homes.contains(&home) {
                found.push((home, entry));
            }
        });
        found
    }

    /// The place of a key with this hash, and the bytes of its entry.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<(Place, &[u8])> {
        let mut found: &[u8] = &[];
        let place = self.index.find(hash, |place| {
            found = self.slabs.get(Place(place));
            packed::key(found) == key
        })?;
        Some((Place(place), found))
    }

    /// Prefetches the part of the index that a key with this hash is looked up by.
    #[inline]
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Prefetches the entry of a key with this hash, once its part of the index is there.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u64) {
        if let Some(place) = self.index.first(hash) {
            self.slabs.prefetch(Place(place));
        }
    }

    /// The place of an entry with this hash that it is.
    pub(super) fn find_if(
        &self,
        hash: u64,
        mut is_it: impl FnMut(Entry<'_>) -> bool,
    ) -> Option<Place> {
        let found = self.index.find(hash, |place| is_it(self.get(Place(place))));
        found.map(Place)
    }

    /// The entry at a place.
    #[inline]
    pub(super) fn get(&self, place: Place) -> Entry<'_> {
        Entry::new(self.slabs.get(place), &self.objects)
    }

    /// The bytes of an entry: see [`packed`].
    #[inline]
    pub(super) fn slot(&self, place: Place) -> &[u8] {
        self.slabs.get(place)
    }

    /// The bytes of an entry, to change what does not change its length.
    #[inline]
    pub(super) fn slot_mut(&mut self, place: Place) -> &mut [u8] {
        self.slabs.get_mut(place)
    }

    /// The entry at a place, once `change` has changed what does not change its length.
    #[inline]
    pub(super) fn get_changed(
        &mut self,
        place: Place,
        change: impl FnOnce(&mut [u8]),
    ) -> Entry<'_> {
        let slot = self.slabs.get_mut(place);
        change(slot);
        Entry::new(slot, &self.objects)
    }

    /// The bytes of an entry, and its object, to change: then call [`recount`](Entries::recount).
    #[inline]
    pub(super) fn parts_mut(&mut self, place: Place) -> (&mut [u8], Option<&mut Object>) {
        let slot = self.slabs.get_mut(place);
        let number = packed::object_number(slot);
        (slot, number.map(|number| self.objects.get_mut(number)))
    }

    /// Counts anew what the object of an entry has allocated, if it has one; whether that changed.
    /// Returns the bytes of the entry, too.
    #[inline]
    pub(super) fn recount(&mut self, place: Place) -> (bool, &mut [u8]) {
        let slot = self.slabs.get_mut(place);
        let changed = match packed::object_number(slot) {
            Some(number) => self.objects.recount(number),
            None => false,
        };
        (changed, slot)
    }

    /// Adds an entry whose key is absent.
    pub(super) fn insert(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        key: &[u8],
        header: Header,
        new: New<'_>,
    ) -> Place {
        let mut packing = Packing {
            key,
            header,
            value: Value::Object(0),
        };
        let place = match new {
            New::Text(text) => {
                packing.value = Value::Text(text);
                self.slabs.take(packing.len())
            }
            New::Object(object) => {
                let place = self.slabs.take(packing.len());
                packing.value = Value::Object(self.objects.add(place, object));
                place
            }
        };
        packing.write(self.slabs.get_mut(place));
        let slabs = &self.slabs;
        let hash_of = |place| hashing.hash(packed::key(slabs.get(Place(place))));
        self.index.insert(hash, place.0, hash_of);
        place
    }

    /// Replaces all of an entry but its key; returns where it is now, and the object that it had.
    pub(super) fn replace(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: Place,
        key: &[u8],
        header: Header,
        new: New<'_>,
    ) -> (Place, Option<Object>) {
        let number = packed::object_number(self.slabs.get(place));
        let (value, old) = match (new, number) {
            (New::Text(text), None) => (Value::Text(text), None),
            (New::Text(text), Some(number)) => (Value::Text(text), self.take_object(number)),
            (New::Object(object), None) => (Value::Object(self.objects.add(place, object)), None),
            (New::Object(object), Some(number)) => {
                let old = std::mem::replace(self.objects.get_mut(number), object);
                self.objects.recount(number);
                (Value::Object(number), Some(old))
            }
        };
        let packing = Packing { key, header, value };
        (self.rewrite(hashing, hash, place, &packing), old)
    }

    /// Replaces what an entry says before its key; returns where it is now.
    pub(super) fn set_header(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: Place,
        header: Header,
    ) -> Place {
        let slot: smallvec::SmallVec<[u8; 256]> = self.slabs.get(place).into();
        let packing = Packing {
            key: packed::key(&slot),
            header,
            value: packed::value(&slot),
        };
        self.rewrite(hashing, hash, place, &packing)
    }

    /// The bytes of the string at a place, `len` or more of them: new ones are zero. From now on
    /// the value is one that was built piece by piece. `None` if it is no string. Then call
    /// [`recount`](Entries::recount).
    pub(super) fn grow(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: Place,
        len: usize,
    ) -> (Place, Option<&mut [u8]>) {
        if packed::object_number(self.slabs.get(place)).is_some() {
            let bytes = self.parts_mut(place).1.and_then(|object| object.grow(len));
            return (place, bytes);
        }
        if packed::raw_mut(self.slabs.get_mut(place), len).is_some() {
            return (place, packed::raw_mut(self.slabs.get_mut(place), len));
        }
        let slot: smallvec::SmallVec<[u8; 256]> = self.slabs.get(place).into();
        let mut buffer = itoa::Buffer::new();
        let old = match packed::value(&slot) {
            Value::Text(text) => text.bytes(&mut buffer),
            Value::Object(_) => b"",
        };
        let mut bytes = Vec::with_capacity(len.max(old.len()));
        bytes.extend_from_slice(old);
        bytes.resize(len.max(old.len()), 0);
        let new = match Object::from_bytes(bytes) {
            Ok(object) => New::Object(object),
            Err(ref short) => return self.make_raw(hashing, hash, place, &slot, short),
        };
        let (key, header) = (packed::key(&slot), packed::header(&slot));
        let (place, _) = self.replace(hashing, hash, place, key, header, new);
        let bytes = self.parts_mut(place).1.and_then(|object| object.grow(len));
        (place, bytes)
    }

    fn make_raw(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: Place,
        slot: &[u8],
        bytes: &[u8],
    ) -> (Place, Option<&mut [u8]>) {
        let packing = Packing {
            key: packed::key(slot),
            header: packed::header(slot),
            value: Value::Text(Text::Raw(bytes)),
        };
        let place = self.rewrite(hashing, hash, place, &packing);
        (
            place,
            packed::raw_mut(self.slabs.get_mut(place), bytes.len()),
        )
    }

    /// Removes an entry; returns the object that it had.
    pub(super) fn remove(&mut self, hashing: &Hashing, hash: u64, place: Place) -> Option<Object> {
        let number = packed::object_number(self.slabs.get(place));
        let object = number.and_then(|number| self.take_object(number));
        let slabs = &self.slabs;
        let hash_of = |place| hashing.hash(packed::key(slabs.get(Place(place))));
        self.index.remove(hash, place.0, hash_of);
        self.free(hashing, place);
        object
    }

    /// Forgets all entries, and returns them to be dropped.
    pub(super) fn clear(&mut self) -> Entries {
        std::mem::take(self)
    }

    /// Whether a move of the index has begun.
    #[inline]
    pub(super) fn is_moving(&self) -> bool {
        self.index.is_moving()
    }

    /// Goes on with a move of the index that has begun; whether there was one.
    pub(super) fn settle(&mut self, hashing: &Hashing, groups: usize) -> bool {
        if !self.index.is_moving() {
            return false;
        }
        let slabs = &self.slabs;
        let hash_of = |place| hashing.hash(packed::key(slabs.get(Place(place))));
        self.index.settle(groups, hash_of);
        true
    }

    /// Writes an entry anew, in a longer or shorter slot if need be; returns where it is now.
    fn rewrite(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: Place,
        packing: &Packing<'_>,
    ) -> Place {
        let slot = self.slabs.get_mut(place);
        if Slabs::slot_len(packing.len()) == slot.len() {
            packing.write(slot);
            return place;
        }
        let new = self.slabs.take(packing.len());
        packing.write(self.slabs.get_mut(new));
        self.index.replace(hash, place.0, new.0);
        if let Value::Object(number) = packing.value {
            self.objects.set_owner(number, new);
        }
        // Freeing the old slot may move the new one into it.
        match self.free(hashing, place) {
            Some(moved) if moved == new => place,
            _ => new,
        }
    }

    /// Frees a slot that the index does not know any more; returns where the entry was that is
    /// there now.
    fn free(&mut self, hashing: &Hashing, place: Place) -> Option<Place> {
        let moved = self.slabs.free(place)?;
        let slot = self.slabs.get(place);
        let hash = hashing.hash(packed::key(slot));
        self.index.replace(hash, moved.0, place.0);
        if let Some(number) = packed::object_number(slot) {
            self.objects.set_owner(number, place);
        }
        Some(moved)
    }

    /// Takes an object out, and tells the owner of the one that has its number now.
    fn take_object(&mut self, number: u32) -> Option<Object> {
        let (object, moved) = self.objects.remove(number)?;
        if let Some(owner) = moved {
            packed::set_object_number(self.slabs.get_mut(owner), number);
        }
        Some(object)
    }
}
