//! One shard of the keyspace: a table of entries with the deadlines and watches of their keys.

use std::hash::Hasher;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use parking_lot::Mutex;

use super::aging::{Aging, Use};
use super::deadlines::Deadlines;
use super::entries::Entries;
use super::entry::{Entry, New, Object, OwnedEntry, Text};
use super::eviction::{Choice, Chooser};
use super::extras::{Extras, VersionClock};
use super::freeing::Garbage;
use super::index::Home;
use super::notices::{Change, Happened, Logged};
use super::packed::{self, Header};
use super::policy::Settings;
use super::random;
use super::slabs::Place;
use super::tombstones::Tombstones;
use super::tracking::Tracking;
use super::upkeep::{self, Notice};
use super::waits::Waits;
use super::watch::Watches;

/// Groups of a growing index that the background moves in a row.
const SETTLED_GROUPS: usize = 64;

/// How keys are hashed: seeded, so that nobody outside can choose keys that collide.
pub(super) struct Hashing {
    seed: u64,
    shared: SharedSeed,
}

impl Hashing {
    pub(super) fn new(seed: u64) -> Hashing {
        Hashing {
            seed,
            shared: SharedSeed::from_u64(seed.rotate_left(32)),
        }
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(key);
        hasher.finish()
    }
}

/// What a shard has counted since it was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    /// Reads that found their key.
    pub(super) hits: u64,
    /// Reads that did not.
    pub(super) misses: u64,
    /// Keys removed because their deadline had passed.
    pub(super) expired: u64,
    /// Keys removed because memory was full.
    pub(super) evicted: u64,
}

/// A shard behind its lock. Aligned so that no two share a cache line: what nearly each command
/// writes lies in that of the lock, so that one thread takes it over from another in one go.
#[repr(align(64))]
#[derive(Debug)]
pub(super) struct Locked(Mutex<Shard>);

impl Locked {
    pub(super) fn new(shard: Shard) -> Locked {
        Locked(Mutex::new(shard))
    }
}

impl Deref for Locked {
    type Target = Mutex<Shard>;

    #[inline]
    fn deref(&self) -> &Mutex<Shard> {
        &self.0
    }
}

/// A part of the keyspace that is locked as a whole. Its fields lie in this order: first those that
/// nearly each command writes, then those that it reads.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// When the command runs that has it locked.
    now: u64,
    /// Bytes that the store has been told of.
    told: usize,
    pub(super) counters: Counters,
    /// The number of its database.
    database: u32,
    /// Whether memory may have come or gone since [`settle`](Shard::settle).
    unsettled: bool,
    /// Whether each key has a version, asked for or not.
    keeps_versions: bool,
    /// Whether keys that are asked for and absent belong there.
    pub(super) logs_misses: bool,
    /// What happens now breaks no transaction and is no event: see [`Slot::quietly`].
    ///
    /// [`Slot::quietly`]: super::slot::Slot::quietly
    pub(super) is_quiet: bool,
    entries: Entries,
    /// How the use of keys is noted.
    aging: Aging,
    /// What has happened to entries since it was last told; `None` while nobody wants to know.
    pub(super) log: Option<Vec<Logged>>,
    pub(super) watches: Watches,
    pub(super) tracking: Tracking,
    /// Versions of its keys.
    pub(super) versions: VersionClock,
    pub(super) waits: Waits,
    pub(super) deadlines: Deadlines,
    /// Keys that are gone.
    pub(super) tombstones: Tombstones,
    /// Values that take long to free: to be taken out, and dropped once the shard is unlocked.
    garbage: Garbage,
    /// Where it tells of what it has to do.
    notice: Notice,
    /// Who goes when memory is full.
    chooser: Chooser,
    random: u64,
}

impl Shard {
    /// An empty shard of database 0; `changes` is shared by all shards of a store.
    pub(super) fn new(changes: Arc<AtomicU64>, notice: Notice) -> Shard {
        Shard {
            waits: Waits::new(changes),
            notice,
            ..Shard::default()
        }
    }

    /// An empty shard of another database, which is set up as this one.
    pub(super) fn sister(&self, hashing: &Hashing, database: u32, notice: Notice) -> Shard {
        let mut sister = Shard {
            database,
            log: self.log.as_ref().map(|_| Vec::new()),
            logs_misses: self.logs_misses,
            tracking: self.tracking.sister(),
            keeps_versions: self.keeps_versions,
            ..Shard::new(self.waits.counter(), notice)
        };
        // A key that comes by SWAPDB shall not have the version that another had here: those of
        // database 0 count up from 0, these are far from that.
        sister.versions.salt(!database as u16);
        sister.set_policy(hashing, self.chooser.settings());
        sister
    }

    /// The number of its database.
    pub(super) fn database(&self) -> u32 {
        self.database
    }

    /// Takes out what has happened, with the number of the database.
    pub(super) fn take_log(&mut self) -> impl Iterator<Item = Happened> {
        let database = self.database;
        let log = self.log.iter_mut().flat_map(|log| log.drain(..));
        log.map(move |(order, key, change)| (order, database, key, change))
    }

    /// Exchanges its keys with those of another database's shard. Who waits, watches or keeps
    /// copies stays, and learns of the keys that are there now.
    pub(super) fn exchange(&mut self, other: &mut Shard, hashing: &Hashing, now: u64) {
        let touched = [
            self.touched_by(other, hashing, now),
            other.touched_by(self, hashing, now),
        ];
        std::mem::swap(&mut self.entries, &mut other.entries);
        std::mem::swap(&mut self.deadlines, &mut other.deadlines);
        std::mem::swap(&mut self.chooser, &mut other.chooser);
        VersionClock::meet(&mut self.versions, &mut other.versions);
        for (shard, touched) in [self, other].into_iter().zip(touched) {
            shard.unsettled = true;
            touched.iter().for_each(|key| shard.watches.changed(key));
            let awaited: Vec<Box<[u8]>> = shard.waits.keys().map(Box::from).collect();
            for key in awaited {
                if shard.find(hashing, hashing.hash(&key), &key, now).is_some() {
                    shard.waits.changed(&key);
                }
            }
        }
    }

    /// Watched keys that are here now, or will be once the keys of `other` are.
    fn touched_by(&mut self, other: &mut Shard, hashing: &Hashing, now: u64) -> Vec<Box<[u8]>> {
        let mut keys: Vec<Box<[u8]>> = self.watches.keys().map(Box::from).collect();
        keys.retain(|key| {
            let hash = hashing.hash(key);
            let is_here = self.find(hashing, hash, key, now).is_some();
            other.find(hashing, hash, key, now).is_some() || is_here
        });
        keys
    }

    /// Number of keys, those included that have expired and not been met since.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of buckets; each holds one entry or none.
    pub(super) fn buckets(&self) -> usize {
        self.entries.buckets()
    }

    /// The entry in a bucket.
    pub(super) fn bucket(&self, bucket: usize) -> Option<Entry<'_>> {
        let place = self.entries.bucket(bucket)?;
        Some(self.entries.get(place))
    }

    /// The entries with these homes, each with its own, those included that have expired.
    pub(super) fn with_homes(
        &self,
        hashing: &Hashing,
        homes: &Range<Home>,
    ) -> Vec<(Home, Entry<'_>)> {
        self.entries.with_homes(hashing, homes)
    }

    /// All entries, those included that have expired.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter()
    }

    /// See [`Entries::prefetch_index`].
    #[inline]
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.entries.prefetch_index(hash);
    }

    /// See [`Entries::prefetch_entry`].
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u64) {
        self.entries.prefetch_entry(hash);
    }

    /// The place of a key. An expired key is removed, and is absent.
    #[inline]
    pub(super) fn find(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        key: &[u8],
        now: u64,
    ) -> Option<Place> {
        self.now = now;
        let (place, slot) = self.entries.find(hash, key)?;
        let deadline = packed::deadline(slot);
        if deadline.is_some_and(|deadline| now > deadline) {
            self.take_out(hashing, hash, place, Change::Expired);
            self.counters.expired += 1;
            return None;
        }
        Some(place)
    }

    /// The place of a key, which may have expired unless [`find`](Shard::find) was called before.
    pub(super) fn place(&self, hash: u64, key: &[u8]) -> Option<Place> {
        Some(self.entries.find(hash, key)?.0)
    }

    /// The entry at a place.
    #[inline]
    pub(super) fn entry(&self, place: Place) -> Entry<'_> {
        self.entries.get(place)
    }

    /// Notes that an entry is used now.
    #[inline]
    pub(super) fn touch(&mut self, place: Place, using: Use) {
        self.used(place, using);
    }

    /// The entry at a place, which is noted to be used now.
    #[inline]
    pub(super) fn used(&mut self, place: Place, using: Use) -> Entry<'_> {
        let touch = touch(self.aging, using, self.now, &mut self.random);
        self.entries.get_changed(place, touch)
    }

    /// The object of an entry, to change, which is noted; then call [`changed`](Shard::changed).
    #[inline]
    pub(super) fn used_object(&mut self, place: Place) -> Option<&mut Object> {
        let touch = touch(self.aging, Use::Changed, self.now, &mut self.random);
        let (slot, object) = self.entries.parts_mut(place);
        touch(slot);
        object
    }

    /// Notes that an entry was used so many seconds ago, or so often.
    pub(super) fn set_use(&mut self, place: Place, used: Used) {
        let access = match used {
            Used::SecondsAgo(idle) => self.aging.idle(self.now, idle),
            Used::Often(count) => self.aging.counted(self.now, count),
        };
        packed::set_access(self.entries.slot_mut(place), access);
    }

    /// How the use of keys is noted from now on, and who goes when memory is full.
    pub(super) fn set_policy(&mut self, hashing: &Hashing, settings: &Settings) {
        self.aging = settings.aging();
        self.chooser.set(settings, &self.entries, hashing);
        self.unsettled = true;
    }

    /// Evicts a key, if one may go; whether one went.
    pub(super) fn evict(&mut self, hashing: &Hashing, now: u64) -> bool {
        self.now = now;
        let chosen = self.chooser.choose(&mut Choice {
            entries: &mut self.entries,
            deadlines: &mut self.deadlines,
            hashing,
            now,
            random: &mut self.random,
        });
        let Some(place) = chosen else {
            return false;
        };
        let hash = hashing.hash(packed::key(self.entries.slot(place)));
        self.take_out(hashing, hash, place, Change::Evicted);
        self.counters.evicted += 1;
        true
    }

    /// How the use of keys is noted.
    pub(super) fn aging(&self) -> Aging {
        self.aging
    }

    /// What an entry that is stored now says before its key.
    #[inline]
    pub(super) fn fresh(&self, deadline: Option<u64>, extras: Extras) -> Header {
        Header {
            deadline,
            access: self.aging.fresh(self.now),
            extras,
        }
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
        let place = self.put_in(hashing, hash, key, header, new);
        self.tell(key, Change::New);
        place
    }

    /// The same with a value that is not complete: who keeps copies of values is told once it is,
    /// by the change that completes it.
    pub(super) fn begin(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        key: &[u8],
        new: New<'_>,
    ) -> Place {
        let header = self.fresh(None, Extras::default());
        let place = self.put_in(hashing, hash, key, header, new);
        self.tell_here(key, Change::New);
        place
    }

    fn put_in(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        key: &[u8],
        mut header: Header,
        new: New<'_>,
    ) -> Place {
        if self.keeps_versions {
            header.extras.version.get_or_insert(0);
        }
        let (now, versions) = (self.now, &mut self.versions);
        header.extras.renew(now, || versions.next(now));
        self.unsettled = true;
        self.deadlines.change(hash, None, header.deadline);
        self.tombstones.lives(key);
        let place = self.entries.insert(hashing, hash, key, header, new);
        self.chooser.came(hash);
        place
    }

    /// Stores a string in place of the value of an entry, with this deadline or none; returns where
    /// the entry is now. Of what is known beside the value, what belongs to the old value goes.
    #[inline]
    pub(super) fn set_text(&mut self, at: At<'_>, text: Text<'_>, deadline: Option<u64>) -> Place {
        let touch = touch(self.aging, Use::Stored, self.now, &mut self.random);
        let slot = self.entries.slot_mut(at.place);
        touch(slot);
        let old = packed::deadline(slot);
        if !packed::has_marks(slot) && packed::overwrite(slot, text, deadline) {
            self.deadline_changed(at.hashing, at.hash, old, deadline);
            return self.changed(at);
        }
        let extras = packed::extras(slot).renewed();
        self.replace(at, deadline, extras, text.to_store())
    }

    /// Stores a value in place of that of an entry, with this deadline or none, and what is known
    /// of it beside; returns where the entry is now. It is a change: version and stamp are raised.
    pub(super) fn set_known(
        &mut self,
        at: At<'_>,
        new: New<'_>,
        deadline: Option<u64>,
        extras: Extras,
    ) -> Place {
        self.touch(at.place, Use::Stored);
        let slot = self.entries.slot_mut(at.place);
        let old = packed::header(slot);
        if let New::Text(text) = new
            && old.extras == extras
            && packed::overwrite(slot, text, deadline)
        {
            self.deadline_changed(at.hashing, at.hash, old.deadline, deadline);
            return self.changed(at);
        }
        self.replace(at, deadline, extras, new)
    }

    /// Stores what has become of a string: whatever is known of it beside stays.
    #[inline]
    pub(super) fn update_text(&mut self, at: At<'_>, text: Text<'_>) -> Place {
        let slot = self.entries.slot_mut(at.place);
        let deadline = packed::deadline(slot);
        if packed::overwrite(slot, text, deadline) {
            return self.changed(at);
        }
        let extras = packed::extras(slot);
        self.replace(at, deadline, extras, text.to_store())
    }

    /// Stores an object in place of the value of an entry.
    pub(super) fn set_object(
        &mut self,
        at: At<'_>,
        object: Object,
        deadline: Option<u64>,
    ) -> Place {
        self.touch(at.place, Use::Stored);
        let extras = packed::extras(self.entries.slot(at.place)).renewed();
        self.replace(at, deadline, extras, New::Object(object))
    }

    /// Stores all but the key of an entry, whatever was there before.
    pub(super) fn set_entry(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        key: &[u8],
        place: Option<Place>,
        entry: OwnedEntry,
    ) -> Place {
        let header = entry.header;
        match place {
            None => entry.with_value(|new| self.insert(hashing, hash, key, header, new)),
            Some(place) => {
                let at = At {
                    hashing,
                    hash,
                    key,
                    place,
                };
                packed::set_access(self.entries.slot_mut(place), header.access);
                entry.with_value(|new| self.replace(at, header.deadline, header.extras, new))
            }
        }
    }

    /// Puts a value in the place of another, and notes that as a change.
    fn replace(
        &mut self,
        at: At<'_>,
        deadline: Option<u64>,
        extras: Extras,
        new: New<'_>,
    ) -> Place {
        let old = packed::header(self.entries.slot(at.place));
        let header = Header {
            deadline,
            extras,
            ..old
        };
        self.unsettled = true;
        let (place, object) = self
            .entries
            .replace(at.hashing, at.hash, at.place, at.key, header, new);
        self.discard(object, Change::Value);
        self.deadline_changed(at.hashing, at.hash, old.deadline, deadline);
        self.changed(At { place, ..at })
    }

    /// The bytes of a string, to change: see [`Entries::grow`].
    pub(super) fn grow(&mut self, at: At<'_>, len: usize) -> (Place, Option<&mut [u8]>) {
        self.unsettled = true;
        self.entries.grow(at.hashing, at.hash, at.place, len)
    }

    /// Notes that the value of an entry has changed; returns where the entry is now.
    #[inline]
    pub(super) fn changed(&mut self, at: At<'_>) -> Place {
        self.tell(at.key, Change::Value);
        let (resized, slot) = self.entries.recount(at.place);
        self.unsettled |= resized;
        if self.keeps_versions && !packed::has_version(slot) {
            let place = self.give_version(at).0;
            self.renew(place);
            return place;
        }
        let (now, versions) = (self.now, &mut self.versions);
        packed::renew(slot, now, || versions.next(now));
        at.place
    }

    /// Gives an entry a new version and stamp, as far as it has them.
    fn renew(&mut self, place: Place) {
        let (now, versions) = (self.now, &mut self.versions);
        packed::renew(self.entries.slot_mut(place), now, || versions.next(now));
    }

    /// Where an entry is now, and its version; it is given one if it has none.
    pub(super) fn give_version(&mut self, at: At<'_>) -> (Place, u64) {
        let extras = self.entry(at.place).extras();
        if let Some(version) = extras.version {
            return (at.place, version);
        }
        let version = self.versions.next(self.now);
        let extras = Extras {
            version: Some(version),
            ..extras
        };
        (self.set_extras(at, extras), version)
    }

    /// Replaces what is known of an entry beside its value; returns where it is now. This is no
    /// change of it.
    pub(super) fn set_extras(&mut self, at: At<'_>, extras: Extras) -> Place {
        if let Some(version) = extras.version {
            self.versions.saw(version);
        }
        let header = packed::header(self.entries.slot(at.place));
        if header.extras == extras {
            return at.place;
        }
        self.unsettled = true;
        let header = Header { extras, ..header };
        self.entries
            .set_header(at.hashing, at.hash, at.place, header)
    }

    /// From now on each key that is written has a version, asked for or not.
    pub(super) fn keep_versions(&mut self) {
        self.keeps_versions = true;
    }

    /// Tells who wants to know that a key was asked for and is absent.
    #[cold]
    pub(super) fn missed(&mut self, key: &[u8]) {
        if let Some(log) = &mut self.log {
            log.push((self.waits.next_change(), key.into(), Change::Missed));
        }
    }

    /// Tells all who want to know of a change.
    #[inline]
    fn tell(&mut self, key: &[u8], change: Change) {
        self.tell_here(key, change);
        if !self.tracking.is_empty() {
            self.tracking.changed(self.database, key);
        }
    }

    /// Tells all but those who keep copies.
    #[inline]
    fn tell_here(&mut self, key: &[u8], change: Change) {
        if let Some(log) = &mut self.log {
            let told = match change {
                Change::New if self.is_quiet => Some(Change::Placed),
                change => (!self.is_quiet).then_some(change),
            };
            log.extend(told.map(|told| (self.waits.next_change(), key.into(), told)));
        }
        if self.watches.is_empty() && self.waits.is_empty() {
            return;
        }
        if !self.is_quiet {
            self.watches.changed(key);
        }
        if matches!(change, Change::New | Change::Value) {
            self.waits.changed(key);
        }
    }

    /// Notes that the entry with this hash had its deadline changed from `old` to `new`.
    #[inline]
    fn deadline_changed(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        old: Option<u64>,
        new: Option<u64>,
    ) {
        if old.is_none() && new.is_none() {
            return;
        }
        self.unsettled = true;
        self.deadlines.change(hash, old, new);
        if self.deadlines.is_stale() {
            self.rebuild_deadlines(hashing);
        }
    }

    /// Sets or clears the deadline of an entry; returns where it is now.
    pub(super) fn set_deadline(&mut self, at: At<'_>, deadline: Option<u64>) -> Place {
        let slot = self.entries.slot_mut(at.place);
        let old = packed::header(slot);
        let place = match packed::set_deadline(slot, deadline) {
            true => at.place,
            false => {
                let header = Header { deadline, ..old };
                self.entries
                    .set_header(at.hashing, at.hash, at.place, header)
            }
        };
        if self.keeps_versions {
            // What memcached's clients call cas stays as it is where nobody else needs it.
            let (now, versions) = (self.now, &mut self.versions);
            packed::renew_version(self.entries.slot_mut(place), || versions.next(now));
        }
        self.deadline_changed(at.hashing, at.hash, old.deadline, deadline);
        self.tell(at.key, Change::Deadline(deadline.is_some()));
        place
    }

    /// Removes the entry at a place.
    pub(super) fn remove(&mut self, hashing: &Hashing, hash: u64, place: Place) {
        self.take_out(hashing, hash, place, Change::Removed);
    }

    /// Removes the entry at a place, and returns it.
    pub(super) fn take(&mut self, at: At<'_>) -> OwnedEntry {
        let slot: smallvec::SmallVec<[u8; 256]> = self.entries.slot(at.place).into();
        let object = self.lift(at.hashing, at.hash, at.place, Change::Removed);
        OwnedEntry::new(&slot, object)
    }

    /// Removes the entry at a place, and frees its value.
    fn take_out(&mut self, hashing: &Hashing, hash: u64, place: Place, change: Change) {
        let object = self.lift(hashing, hash, place, change);
        self.discard(object, change);
    }

    /// Removes the entry at a place, as far as all but its value goes; returns an object that was
    /// its value.
    fn lift(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: Place,
        change: Change,
    ) -> Option<Object> {
        let deadline = packed::deadline(self.entries.slot(place));
        if self.tombstones.are_kept() && change != Change::Evicted {
            self.bury(place, change);
        }
        let wanted = self.log.is_some() || !self.watches.is_empty() || !self.tracking.is_empty();
        if wanted {
            let key: smallvec::SmallVec<[u8; 64]> = packed::key(self.entries.slot(place)).into();
            self.tell(&key, change);
        }
        self.unsettled = true;
        let object = self.entries.remove(hashing, hash, place);
        self.chooser.went(&self.entries, hashing);
        self.deadline_changed(hashing, hash, deadline, None);
        object
    }

    /// Frees a value, or leaves that for later if it takes long.
    fn discard(&mut self, object: Option<Object>, change: Change) {
        if let Some(object) = object.filter(Object::is_heavy) {
            self.garbage.push((change, object));
        }
    }

    /// Remembers that a key is gone. One whose time is up went with the version that it had: nodes
    /// whose clocks differ find that at different times, and none of them has changed anything.
    #[cold]
    fn bury(&mut self, place: Place, change: Change) {
        let entry = self.entries.get(place);
        let version = match (change, entry.extras().version) {
            (Change::Expired, Some(version)) => version,
            _ => self.versions.next(self.now),
        };
        self.tombstones.bury(entry.key(), version, self.now);
    }

    /// Removes the entry in a bucket of which others take care: nothing is remembered or told of it
    /// but to clients that keep copies.
    pub(super) fn forget(&mut self, hashing: &Hashing, hash: u64, place: Place) {
        let log = self.log.take();
        let kept = self.tombstones.pause(false);
        self.take_out(hashing, hash, place, Change::Removed);
        self.tombstones.pause(kept);
        self.log = log;
    }

    /// Removes keys whose deadline has passed, `budget` at most; returns how many.
    pub(super) fn expire_due(&mut self, hashing: &Hashing, now: u64, budget: usize) -> usize {
        let mut removed = 0;
        self.now = now;
        while removed < budget {
            let Some(hash) = self.deadlines.pop_due(now) else {
                break;
            };
            removed += self.expire_hash(hashing, hash, now);
        }
        self.counters.expired += removed as u64;
        self.entries.settle(hashing, SETTLED_GROUPS);
        // Also where a deadline was noted that is not true any more.
        self.unsettled = true;
        removed
    }

    /// Removes the keys with this hash that are due, and puts those back that are not.
    fn expire_hash(&mut self, hashing: &Hashing, hash: u64, now: u64) -> usize {
        let mut removed = 0;
        let is_due = |e: Entry<'_>| e.is_expired(now) && hashing.hash(e.key()) == hash;
        while let Some(place) = self.entries.find_if(hash, is_due) {
            self.take_out(hashing, hash, place, Change::Expired);
            removed += 1;
        }
        if let Some(deadline) = self.soonest(hashing, hash) {
            self.deadlines.put_back(deadline, hash);
        }
        removed
    }

    /// The first deadline of the keys with this hash: one key, but for a collision of all 64 bits.
    fn soonest(&self, hashing: &Hashing, hash: u64) -> Option<u64> {
        let mut soonest: Option<u64> = None;
        self.entries.find_if(hash, |e| {
            if let Some(deadline) = e.deadline().filter(|_| hashing.hash(e.key()) == hash) {
                soonest = Some(soonest.map_or(deadline, |other| other.min(deadline)));
            }
            false
        });
        soonest
    }

    /// Replaces all elements of the deadlines' heap by what the entries say.
    fn rebuild_deadlines(&mut self, hashing: &Hashing) {
        for hash in self.deadlines.take_hashes() {
            if let Some(deadline) = self.soonest(hashing, hash) {
                self.deadlines.put_back(deadline, hash);
            }
        }
    }

    /// Forgets all keys and returns their entries, to be dropped when the shard is unlocked.
    pub(super) fn clear(&mut self, now: u64) -> Entries {
        let version = self.versions.next(now);
        self.empty(version)
    }

    /// Removes the keys up to a version; all later versions are above it. Returns entries that are
    /// to be dropped when the shard is unlocked. If no key has a version above it, that is done
    /// without looking at them.
    pub(super) fn clear_up_to(&mut self, hashing: &Hashing, version: u64) -> Option<Entries> {
        if self.tombstones.cleared() >= version {
            return None;
        }
        if self.versions.last() <= version {
            self.versions.saw(version);
            return Some(self.empty(version));
        }
        // A key from before versions were kept is older than all others.
        let is_cleared = |entry: &Entry<'_>| entry.extras().version.unwrap_or(1) <= version;
        let cleared = self.entries.iter().filter(is_cleared);
        let keys: Vec<Box<[u8]>> = cleared.map(|entry| entry.key().into()).collect();
        for key in keys {
            let hash = hashing.hash(&key);
            if let Some(place) = self.place(hash, &key) {
                self.forget(hashing, hash, place);
            }
        }
        self.tombstones.clear(version);
        None
    }

    fn empty(&mut self, version: u64) -> Entries {
        self.tombstones.clear(version);
        if !self.watches.is_empty() {
            for entry in self.entries.iter() {
                self.watches.changed(entry.key());
            }
        }
        self.deadlines.clear();
        self.chooser.cleared();
        self.unsettled = true;
        self.entries.clear()
    }

    /// Bytes that are allocated for its keys.
    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes() + self.deadlines.bytes() + self.chooser.bytes()
    }

    /// Those of keys and values alone.
    pub(super) fn data_bytes(&self) -> usize {
        self.entries.data_bytes()
    }

    /// Whether [`settle`](Shard::settle) has something to do.
    #[inline]
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// When it has something to do that nobody asks for; `None` for never.
    #[inline]
    fn next_due(&self) -> Option<u64> {
        match self.entries.is_moving() {
            true => Some(upkeep::NOW),
            false => self.deadlines.soonest(),
        }
    }

    /// By how many bytes it has grown since this was last asked, and what is to be dropped once it
    /// is unlocked. Tells of what it has to do.
    pub(super) fn settle(&mut self) -> (isize, Garbage) {
        self.unsettled = false;
        let due = self.next_due();
        self.notice.tell(due);
        let bytes = self.bytes();
        let grown = bytes as isize - self.told as isize;
        self.told = bytes;
        (grown, std::mem::take(&mut self.garbage))
    }
}

/// What notes in the bytes of an entry that it is used now.
#[inline]
fn touch(aging: Aging, using: Use, now: u64, random: &mut u64) -> impl FnOnce(&mut [u8]) {
    move |slot| {
        let access = packed::access(slot);
        let access = aging.touched(access, using, now, || random::draw(random));
        packed::set_access(slot, access);
    }
}

/// An entry of a shard, with all that it takes to change it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) hashing: &'a Hashing,
    pub(super) hash: u64,
    pub(super) key: &'a [u8],
    pub(super) place: Place,
}

/// How a key was used, as RESTORE tells it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Used {
    /// So many seconds before.
    SecondsAgo(u64),
    /// As often as this counter says.
    Often(u8),
}
