//! One shard of the keyspace: a table of entries with the deadlines and watches of their keys.

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use hashbrown::HashTable;

use super::deadlines::Deadlines;
use super::entry::Entry;
use super::extras::{Extras, VersionClock};
use super::notices::{Change, Logged};
use super::tombstones::Tombstones;
use super::tracking::Tracking;
use super::waits::Waits;
use super::watch::Watches;

/// Buckets below which a table is never made smaller.
const SMALL_TABLE: usize = 64;

/// Width of [`Shard::layout`].
pub(super) const LAYOUT_BITS: u32 = 22;

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
}

/// A part of the keyspace that is locked as a whole. Aligned so that no two share a cache line.
#[repr(align(64))]
#[derive(Debug, Default)]
pub(super) struct Shard {
    table: HashTable<Entry>,
    /// Raised whenever entries may move to other buckets: see [`Shard::layout`].
    layout: u32,
    pub(super) deadlines: Deadlines,
    pub(super) watches: Watches,
    pub(super) waits: Waits,
    pub(super) tracking: Tracking,
    /// What has happened to entries since it was last told; `None` while nobody wants to know.
    pub(super) log: Option<Vec<Logged>>,
    pub(super) counters: Counters,
    /// Versions of its keys.
    pub(super) versions: VersionClock,
    /// Keys that are gone.
    pub(super) tombstones: Tombstones,
    /// Whether each key has a version, asked for or not.
    keeps_versions: bool,
    /// When the command runs that has it locked.
    now: u64,
}

impl Shard {
    /// An empty shard; `changes` is shared by all shards of a store.
    pub(super) fn new(changes: Arc<AtomicU64>) -> Shard {
        Shard {
            waits: Waits::new(changes),
            ..Shard::default()
        }
    }

    /// Number of keys, those included that have expired and not been met since.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Number of buckets; each holds one entry or none.
    pub(super) fn buckets(&self) -> usize {
        self.table.num_buckets()
    }

    /// The entry in a bucket.
    pub(super) fn bucket(&self, place: usize) -> Option<&Entry> {
        self.table.get_bucket(place)
    }

    /// The entry in a bucket, to change. Its deadline is changed by
    /// [`set_deadline`](Shard::set_deadline) alone.
    pub(super) fn bucket_mut(&mut self, place: usize) -> Option<&mut Entry> {
        self.table.get_bucket_mut(place)
    }

    /// A number of [`LAYOUT_BITS`] bits that changes whenever an entry that stays may have moved
    /// to another bucket.
    pub(super) fn layout(&self) -> u32 {
        self.layout & ((1 << LAYOUT_BITS) - 1)
    }

    /// All entries, those included that have expired.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    /// The bucket of a key. An expired key is removed, and is absent.
    #[inline]
    pub(super) fn find(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        key: &[u8],
        now: u64,
    ) -> Option<usize> {
        self.now = now;
        let place = self.table.find_bucket_index(hash, |e| e.key() == key)?;
        if self.table.get_bucket(place)?.is_expired(now) {
            self.take_out(hashing, hash, place, Change::Expired);
            self.counters.expired += 1;
            return None;
        }
        Some(place)
    }

    /// The entry of a key. It may have expired unless [`find`](Shard::find) was called before.
    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<&Entry> {
        self.table.find(hash, |e| e.key() == key)
    }

    /// Adds an entry whose key is absent.
    pub(super) fn insert(&mut self, hashing: &Hashing, hash: u64, mut entry: Entry) -> usize {
        self.renew(&mut entry);
        self.tombstones.lives(entry.key());
        if self.table.len() == self.table.capacity() {
            self.layout = self.layout.wrapping_add(1);
        }
        self.deadlines.change(hash, None, entry.deadline());
        if !self.waits.is_empty() {
            self.waits.changed(entry.key());
        }
        if !self.tracking.is_empty() {
            self.tracking.changed(entry.key());
        }
        if let Some(log) = &mut self.log {
            log.push((self.waits.next_change(), entry.key().into(), Change::New));
        }
        self.watches.changed(entry.key());
        let inserted = self
            .table
            .insert_unique(hash, entry, |e| hashing.hash(e.key()));
        inserted.bucket_index()
    }

    /// Notes that the value of the entry in a bucket has changed.
    #[inline]
    pub(super) fn changed(&mut self, place: usize) {
        self.note(place, Change::Value);
        if self.keeps_versions {
            self.give_version(place);
        }
        let (now, versions) = (self.now, &mut self.versions);
        if let Some(entry) = self.table.get_bucket_mut(place) {
            entry.renew(now, || versions.next(now));
        }
    }

    /// Gives a new entry its version.
    fn renew(&mut self, entry: &mut Entry) {
        if self.keeps_versions && entry.extras().version.is_none() {
            let version = Some(0);
            let extras = entry.extras();
            entry.set_extras(Extras { version, ..extras });
        }
        let (now, versions) = (self.now, &mut self.versions);
        entry.renew(now, || versions.next(now));
    }

    /// The version of the entry in a bucket; it is given one if it has none.
    pub(super) fn give_version(&mut self, place: usize) -> Option<u64> {
        let extras = self.table.get_bucket(place)?.extras();
        if extras.version.is_some() {
            return extras.version;
        }
        let version = Some(self.versions.next(self.now));
        self.set_extras(place, Extras { version, ..extras });
        version
    }

    /// Replaces what is known of the entry in a bucket beside its value. This is no change of it.
    pub(super) fn set_extras(&mut self, place: usize, extras: Extras) {
        if let Some(version) = extras.version {
            self.versions.saw(version);
        }
        if let Some(entry) = self.table.get_bucket_mut(place) {
            entry.set_extras(extras);
        }
    }

    /// From now on each key that is written has a version, asked for or not.
    pub(super) fn keep_versions(&mut self) {
        self.keeps_versions = true;
    }

    fn note(&mut self, place: usize, change: Change) {
        if let (Some(log), Some(entry)) = (&mut self.log, self.table.get_bucket(place)) {
            log.push((self.waits.next_change(), entry.key().into(), change));
        }
        if self.watches.is_empty() && self.waits.is_empty() && self.tracking.is_empty() {
            return;
        }
        if let Some(entry) = self.table.get_bucket(place) {
            self.watches.changed(entry.key());
            self.waits.changed(entry.key());
            self.tracking.changed(entry.key());
        }
    }

    /// Notes that the entry with this hash had its deadline changed from `old` to `new`.
    pub(super) fn deadline_changed(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        old: Option<u64>,
        new: Option<u64>,
    ) {
        if old.is_none() && new.is_none() {
            return;
        }
        self.deadlines.change(hash, old, new);
        if self.deadlines.is_stale() {
            self.rebuild_deadlines(hashing);
        }
    }

    /// Sets or clears the deadline of the entry in a bucket.
    pub(super) fn set_deadline(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: usize,
        deadline: Option<u64>,
    ) {
        let Some(entry) = self.table.get_bucket_mut(place) else {
            return;
        };
        let old = entry.deadline();
        entry.set_deadline(deadline);
        if self.keeps_versions {
            // What memcached's clients call cas stays as it is where nobody else needs it.
            let (now, versions) = (self.now, &mut self.versions);
            entry.renew(now, || versions.next(now));
        }
        self.deadline_changed(hashing, hash, old, deadline);
        self.note(place, Change::Deadline(deadline.is_some()));
    }

    /// Takes the entry out of a bucket.
    pub(super) fn remove(&mut self, hashing: &Hashing, hash: u64, place: usize) -> Option<Entry> {
        self.take_out(hashing, hash, place, Change::Removed)
    }

    fn take_out(
        &mut self,
        hashing: &Hashing,
        hash: u64,
        place: usize,
        change: Change,
    ) -> Option<Entry> {
        let occupied = self.table.get_bucket_entry(place).ok()?;
        let (entry, _) = occupied.remove();
        if self.tombstones.are_kept() {
            self.bury(&entry, change);
        }
        if !self.tracking.is_empty() {
            self.tracking.changed(entry.key());
        }
        if let Some(log) = &mut self.log {
            log.push((self.waits.next_change(), entry.key().into(), change));
        }
        self.watches.changed(entry.key());
        self.deadline_changed(hashing, hash, entry.deadline(), None);
        if self.buckets() > SMALL_TABLE && self.len() * 8 < self.buckets() {
            self.layout = self.layout.wrapping_add(1);
            let room = self.len() * 2;
            self.table.shrink_to(room, |e| hashing.hash(e.key()));
        }
        Some(entry)
    }

    /// Remembers that a key is gone. One whose time is up went with the version that it had: nodes
    /// whose clocks differ find that at different times, and none of them has changed anything.
    #[cold]
    fn bury(&mut self, entry: &Entry, change: Change) {
        let version = match (change, entry.extras().version) {
            (Change::Expired, Some(version)) => version,
            _ => self.versions.next(self.now),
        };
        self.tombstones.bury(entry.key(), version, self.now);
    }

    /// Removes the entry in a bucket of which others take care: nothing is remembered or told of it
    /// but to clients that keep copies.
    pub(super) fn forget(&mut self, hashing: &Hashing, hash: u64, place: usize) {
        let log = self.log.take();
        let kept = self.tombstones.pause(false);
        self.take_out(hashing, hash, place, Change::Removed);
        self.tombstones.pause(kept);
        self.log = log;
    }

    /// Removes keys whose deadline has passed, `budget` at most; returns how many.
    pub(super) fn expire_due(&mut self, hashing: &Hashing, now: u64, budget: usize) -> usize {
        self.now = now;
        let mut removed = 0;
        while removed < budget {
            let Some(hash) = self.deadlines.pop_due(now) else {
                break;
            };
            removed += self.expire_hash(hashing, hash, now);
        }
        self.counters.expired += removed as u64;
        removed
    }

    /// Removes the keys with this hash that are due, and puts those back that are not.
    fn expire_hash(&mut self, hashing: &Hashing, hash: u64, now: u64) -> usize {
        let mut removed = 0;
        let is_due = |e: &Entry| e.is_expired(now) && hashing.hash(e.key()) == hash;
        while let Some(place) = self.table.find_bucket_index(hash, is_due) {
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
        let alike = self.table.iter_hash(hash);
        alike
            .filter_map(|e| e.deadline().map(|deadline| (e, deadline)))
            .filter(|(e, _)| hashing.hash(e.key()) == hash)
            .map(|(_, deadline)| deadline)
            .min()
    }

    /// Replaces all elements of the deadlines' heap by what the entries say.
    fn rebuild_deadlines(&mut self, hashing: &Hashing) {
        for hash in self.deadlines.take_hashes() {
            if let Some(deadline) = self.soonest(hashing, hash) {
                self.deadlines.put_back(deadline, hash);
            }
        }
    }

    /// Forgets all keys and returns their table, to be dropped when the shard is unlocked.
    pub(super) fn clear(&mut self, now: u64) -> HashTable<Entry> {
        self.tombstones.clear(self.versions.next(now));
        if !self.watches.is_empty() {
            for entry in &self.table {
                self.watches.changed(entry.key());
            }
        }
        self.tracking.cleared();
        self.layout = self.layout.wrapping_add(1);
        self.deadlines.clear();
        std::mem::take(&mut self.table)
    }
}
