//! The place of one key in its locked shard: how commands read, write and remove what is there.

use super::aging::{Aging, Use};
use super::entry::{Entry, New, Object, OwnedEntry, Text};
use super::errors::{Error, WRONG_TYPE};
use super::extras::{Extras, Recache, Stamp};
use super::shard::{At, Hashing, Shard, Used};
use super::slabs::Place;
use super::watch::Watched;

/// One key, looked up. It is absent if it has expired.
///
/// Every change goes through a method that keeps deadlines and watches right: after a change made
/// through [`object_mut`](Slot::object_mut) or [`grow`](Slot::grow), call
/// [`changed`](Slot::changed).
pub(super) struct Slot<'s, 'k> {
    shard: &'s mut Shard,
    hashing: &'s Hashing,
    key: &'k [u8],
    hash: u64,
    now: u64,
    place: Option<Place>,
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
    pub(super) fn peek(&self) -> Option<Entry<'_>> {
        Some(self.shard.entry(self.place?))
    }

    /// What is there, counted as a hit or miss but not as an access: TTL, TYPE, EXISTS.
    pub(super) fn inspect(&mut self) -> Option<Entry<'_>> {
        self.count();
        self.peek()
    }

    /// What is there, for a command that reads it.
    pub(super) fn read(&mut self) -> Option<Entry<'_>> {
        self.count();
        Some(self.shard.used(self.place?, Use::Read))
    }

    /// The string that is there, for a command that reads it.
    ///
    /// # Errors
    /// `WRONGTYPE` if it is no string.
    #[inline]
    pub(super) fn read_text(&mut self) -> Result<Option<Text<'_>>, Error> {
        self.count();
        self.text_for(Use::Read)
    }

    /// The string that is there, for a command that goes on to write it.
    ///
    /// # Errors
    /// `WRONGTYPE` if it is no string.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Option<Text<'_>>, Error> {
        self.text_for(Use::Changed)
    }

    #[inline]
    fn text_for(&mut self, using: Use) -> Result<Option<Text<'_>>, Error> {
        let Some(place) = self.place else {
            return Ok(None);
        };
        match self.shard.used(place, using).as_text() {
            Some(text) => Ok(Some(text)),
            None => Err(WRONG_TYPE.into()),
        }
    }

    /// The object that is there, to change: then call [`changed`](Slot::changed).
    pub(super) fn object_mut(&mut self) -> Option<&mut Object> {
        self.shard.used_object(self.place?)
    }

    /// The bytes of the string that is there, `len` or more of them, to change: then call
    /// [`changed`](Slot::changed). New ones are zero. From now on the value is one that was built
    /// piece by piece.
    pub(super) fn grow(&mut self, len: usize) -> Option<&mut [u8]> {
        let at = self.at()?;
        self.touch(Use::Stored);
        let (place, bytes) = self.shard.grow(at, len);
        self.place = Some(place);
        bytes
    }

    /// Notes that the value was changed.
    pub(super) fn changed(&mut self) {
        if let Some(at) = self.at() {
            self.place = Some(self.shard.changed(at));
        }
    }

    /// Does something of which only those hear who keep a copy of the value, or ask for new keys:
    /// no transaction that watches the key, and nobody who listens to events of the command.
    pub(super) fn quietly<T>(&mut self, something: impl FnOnce(&mut Self) -> T) -> T {
        self.shard.is_quiet = true;
        let done = something(self);
        self.shard.is_quiet = false;
        done
    }

    /// Notes that the key was used so.
    pub(super) fn set_use(&mut self, used: Used) {
        if let Some(place) = self.place {
            self.shard.set_use(place, used);
        }
    }

    /// How the use of keys is noted.
    pub(super) fn aging(&self) -> Aging {
        self.shard.aging()
    }

    /// Notes that the key is used now.
    pub(super) fn touch(&mut self, using: Use) {
        if let Some(place) = self.place {
            self.shard.touch(place, using);
        }
    }

    /// Stores a string, whatever was there before, with this deadline or none.
    #[inline]
    pub(super) fn set_text(&mut self, text: Text<'_>, deadline: Option<u64>) {
        self.place = Some(match self.at() {
            Some(at) => self.shard.set_text(at, text, deadline),
            None => self.insert(deadline, Extras::default(), text.to_store()),
        });
    }

    /// The same with memcached's flags.
    pub(super) fn set_marked_text(&mut self, text: Text<'_>, deadline: Option<u64>, marks: u32) {
        if marks == 0 {
            return self.set_text(text, deadline);
        }
        let extras = Extras {
            marks,
            ..self.extras().renewed()
        };
        self.set_known(text.to_store(), deadline, extras);
    }

    /// Stores a value, whatever was there before, with this deadline or none, and what is known of
    /// it beside: version and stamp are those before the change, which raises them.
    pub(super) fn set_known(&mut self, new: New<'_>, deadline: Option<u64>, extras: Extras) {
        self.place = Some(match self.at() {
            Some(at) => self.shard.set_known(at, new, deadline, extras),
            None => self.insert(deadline, extras, new),
        });
    }

    /// Stores a string in place of the one that is there, and keeps the deadline.
    #[inline]
    pub(super) fn update_text(&mut self, text: Text<'_>) {
        self.place = Some(match self.at() {
            Some(at) => self.shard.update_text(at, text),
            None => self.insert(None, Extras::default(), text.to_store()),
        });
    }

    /// Stores an object, whatever was there before, with this deadline or none.
    pub(super) fn set_object(&mut self, object: Object, deadline: Option<u64>) {
        self.place = Some(match self.at() {
            Some(at) => self.shard.set_object(at, object, deadline),
            None => self.insert(deadline, Extras::default(), New::Object(object)),
        });
    }

    /// Puts a value there, under a key that is absent, which is to be completed: then call
    /// [`changed`](Slot::changed) or [`remove`](Slot::remove).
    pub(super) fn begin(&mut self, new: New<'_>) {
        let place = self.shard.begin(self.hashing, self.hash, self.key, new);
        self.place = Some(place);
    }

    #[inline]
    fn insert(&mut self, deadline: Option<u64>, extras: Extras, new: New<'_>) -> Place {
        let header = self.shard.fresh(deadline, extras);
        self.shard
            .insert(self.hashing, self.hash, self.key, header, new)
    }

    /// Stores an entry under this key, whatever was there before.
    pub(super) fn set_entry(&mut self, new: OwnedEntry) {
        let place = self
            .shard
            .set_entry(self.hashing, self.hash, self.key, self.place, new);
        self.place = Some(place);
        self.touch(Use::Changed);
    }

    /// When the key expires, in milliseconds since 1970.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.peek().and_then(|entry| entry.deadline())
    }

    /// Sets or clears the deadline of a key that is there.
    pub(super) fn set_deadline(&mut self, deadline: Option<u64>) {
        if let Some(at) = self.at() {
            self.place = Some(self.shard.set_deadline(at, deadline));
        }
    }

    /// Removes the key; whether it was there.
    pub(super) fn remove(&mut self) -> bool {
        let Some(place) = self.place.take() else {
            return false;
        };
        self.shard.remove(self.hashing, self.hash, place);
        true
    }

    /// Removes the key; returns what was there.
    pub(super) fn take(&mut self) -> Option<OwnedEntry> {
        let at = self.at()?;
        self.place = None;
        Some(self.shard.take(at))
    }

    /// Watches the key, which is one of this database, for changes.
    pub(super) fn watch(self, database: u32) -> Watched {
        Watched {
            database,
            key: self.key.into(),
            hash: self.hash,
            version: self.shard.watches.add(self.key),
        }
    }

    /// The time of the command, in milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    fn at<'a>(&self) -> Option<At<'a>>
    where
        's: 'a,
        'k: 'a,
    {
        Some(At {
            hashing: self.hashing,
            hash: self.hash,
            key: self.key,
            place: self.place?,
        })
    }

    fn count(&mut self) {
        match self.place {
            Some(_) => self.shard.counters.hits += 1,
            None => {
                self.shard.counters.misses += 1;
                if self.shard.logs_misses {
                    self.shard.missed(self.key);
                }
            }
        }
    }
}

impl Slot<'_, '_> {
    /// Which state of the key this is: see [`Extras`]. The key is given a version if it has none.
    /// `None` if it is absent.
    pub(super) fn ensure_version(&mut self) -> Option<u64> {
        let (place, version) = self.shard.give_version(self.at()?);
        self.place = Some(place);
        Some(version)
    }

    /// What is known of the key beside its value and deadline: nothing if it is absent.
    pub(super) fn extras(&self) -> Extras {
        self.peek().map(|entry| entry.extras()).unwrap_or_default()
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
        if let Some(at) = self.at() {
            self.place = Some(self.shard.set_extras(at, extras));
        }
    }
}
