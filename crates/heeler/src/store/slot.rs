//! The place of one key in its locked shard: how commands read, write and remove what is there.

use super::entry::{Entry, Object, Text};
use super::errors::{Error, WRONG_TYPE};
use super::extras::{Extras, Recache, Stamp};
use super::shard::{Hashing, Shard};
use super::watch::Watched;

/// One key, looked up. It is absent if it has expired.
///
/// Every change goes through a method that keeps deadlines and watches right: after a change made
/// through [`entry_mut`](Slot::entry_mut), call [`changed`](Slot::changed).
pub(super) struct Slot<'s, 'k> {
    shard: &'s mut Shard,
    hashing: &'s Hashing,
    key: &'k [u8],
    hash: u64,
    now: u64,
    place: Option<usize>,
}

impl<'s, 'k> Slot<'s, 'k> {
    /// Looks a key up in its shard.
    #[inline]
    pub(super) fn new(
        shard: &'s mut Shard,
        hashing: &'s Hashing,
        key: &'k [u8],
        hash: u64,
        now: u64,
    ) -> Slot<'s, 'k> {
        let place = shard.find(hashing, hash, key, now);
        Slot {
            shard,
            hashing,
            key,
            hash,
            now,
            place,
        }
    }

    /// Whether the key is there.
    pub(super) fn exists(&self) -> bool {
        self.place.is_some()
    }

    /// What is there, without a trace of having been looked at.
    pub(super) fn peek(&self) -> Option<&Entry> {
        self.shard.bucket(self.place?)
    }

    /// What is there, counted as a hit or miss but not as an access: TTL, TYPE, EXISTS.
    pub(super) fn inspect(&mut self) -> Option<&Entry> {
        self.count();
        self.peek()
    }

    /// What is there, for a command that reads it.
    pub(super) fn read(&mut self) -> Option<&Entry> {
        self.count();
        if let Some(entry) = self.place.and_then(|place| self.shard.bucket_mut(place)) {
            entry.was_told(self.now);
        }
        self.peek()
    }

    /// The string that is there, for a command that reads it.
    ///
    /// # Errors
    /// `WRONGTYPE` if it is no string.
    #[inline]
    pub(super) fn read_text(&mut self) -> Result<Option<Text<'_>>, Error> {
        self.count();
        let Some(entry) = self.place.and_then(|place| self.shard.bucket_mut(place)) else {
            return Ok(None);
        };
        entry.was_told(self.now);
        entry
            .as_text()
            .map_or(Err(WRONG_TYPE.into()), |text| Ok(Some(text)))
    }

    /// The string that is there, for a command that goes on to write it.
    ///
    /// # Errors
    /// `WRONGTYPE` if it is no string.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Option<Text<'_>>, Error> {
        let Some(place) = self.place else {
            return Ok(None);
        };
        let Some(entry) = self.shard.bucket_mut(place) else {
            return Ok(None);
        };
        entry.touch(self.now);
        match entry.as_text() {
            Some(text) => Ok(Some(text)),
            None => Err(WRONG_TYPE.into()),
        }
    }

    /// Notes that a command has to do with the key that is there.
    pub(super) fn access(&mut self) {
        self.touch();
    }

    /// What is there, to change: then call [`changed`](Slot::changed).
    pub(super) fn entry_mut(&mut self) -> Option<&mut Entry> {
        self.touch();
        self.shard.bucket_mut(self.place?)
    }

    /// Notes that the value was changed through [`entry_mut`](Slot::entry_mut).
    pub(super) fn changed(&mut self) {
        if let Some(place) = self.place {
            self.shard.changed(place);
        }
    }

    /// Stores a string, whatever was there before, with this deadline or none.
    #[inline]
    pub(super) fn set_text(&mut self, text: Text<'_>, deadline: Option<u64>) {
        let Some(place) = self.place else {
            let entry = Entry::text(self.key, text, deadline, self.now);
            self.place = Some(self.shard.insert(self.hashing, self.hash, entry));
            return;
        };
        let now = self.now;
        self.replace(place, deadline, |entry| {
            entry.set_text(text, deadline, now);
        });
    }

    /// Stores a string in place of the one that is there, and keeps the deadline.
    pub(super) fn update_text(&mut self, text: Text<'_>) {
        let Some(place) = self.place else {
            return self.set_text(text, None);
        };
        let (now, deadline) = (self.now, self.deadline());
        self.replace(place, deadline, |entry| entry.update_text(text, now));
    }

    /// Stores an object, whatever was there before, with this deadline or none.
    pub(super) fn set_object(&mut self, object: Object, deadline: Option<u64>) {
        let Some(place) = self.place else {
            let entry = Entry::object(self.key, object, deadline, self.now);
            self.place = Some(self.shard.insert(self.hashing, self.hash, entry));
            return;
        };
        let now = self.now;
        self.replace(place, deadline, |entry| {
            entry.set_object(object, deadline, now);
        });
    }

    /// Stores an entry of this key, whatever was there before.
    pub(super) fn set_entry(&mut self, new: Entry) {
        debug_assert_eq!(new.key(), self.key);
        match self.place {
            Some(place) => self.replace(place, new.deadline(), |entry| *entry = new),
            None => self.place = Some(self.shard.insert(self.hashing, self.hash, new)),
        }
    }

    fn replace(&mut self, place: usize, deadline: Option<u64>, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.shard.bucket_mut(place) else {
            return;
        };
        let old = entry.deadline();
        change(entry);
        self.shard
            .deadline_changed(self.hashing, self.hash, old, deadline);
        self.shard.changed(place);
    }

    /// When the key expires, in milliseconds since 1970.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.peek().and_then(Entry::deadline)
    }

    /// Sets or clears the deadline of a key that is there.
    pub(super) fn set_deadline(&mut self, deadline: Option<u64>) {
        if let Some(place) = self.place {
            self.shard
                .set_deadline(self.hashing, self.hash, place, deadline);
        }
    }

    /// Removes the key; returns what was there.
    pub(super) fn remove(&mut self) -> Option<Entry> {
        let place = self.place.take()?;
        self.shard.remove(self.hashing, self.hash, place)
    }

    /// Watches the key for changes.
    pub(super) fn watch(self) -> Watched {
        Watched {
            key: self.key.into(),
            hash: self.hash,
            version: self.shard.watches.add(self.key),
        }
    }

    /// The time of the command, in milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    fn count(&mut self) {
        match self.place {
            Some(_) => self.shard.counters.hits += 1,
            None => self.shard.counters.misses += 1,
        }
    }

    fn touch(&mut self) {
        if let Some(entry) = self.place.and_then(|place| self.shard.bucket_mut(place)) {
            entry.touch(self.now);
        }
    }
}

#[allow(dead_code)]
impl Slot<'_, '_> {
    /// Which state of the key this is: see [`Extras`]. The key is given a version if it has none.
    /// `None` if it is absent.
    pub(super) fn ensure_version(&mut self) -> Option<u64> {
        self.shard.give_version(self.place?)
    }

    /// What is known of the key beside its value and deadline: nothing if it is absent.
    pub(super) fn extras(&self) -> Extras {
        self.peek().map(Entry::extras).unwrap_or_default()
    }

    /// Sets memcached's flags of a key that is there; this is no change of it.
    pub(super) fn set_marks(&mut self, marks: u32) {
        let extras = self.extras();
        self.set_extras(Extras { marks, ..extras });
    }

    /// Sets whether memcached's clients are to store another value of a key that is there; this is
    /// no change of it.
    pub(super) fn set_recache(&mut self, recache: Recache) {
        let extras = self.extras();
        if extras.recache != recache {
            self.set_extras(Extras { recache, ..extras });
        }
    }

    /// Sets the stamp of a key that is there; this is no change of it.
    pub(super) fn set_stamp(&mut self, stamp: Option<Stamp>) {
        let extras = self.extras();
        self.set_extras(Extras { stamp, ..extras });
    }

    /// Sets all that is known of a key that is there, its version too: for a copy of another
    /// node's.
    pub(super) fn set_extras(&mut self, extras: Extras) {
        if let Some(place) = self.place {
            self.shard.set_extras(place, extras);
        }
    }
}
