//! The store: an in-memory keyspace that executes commands. Pure: the time is an argument, there
//! is no socket, thread or global randomness, and the same calls give the same replies.
//!
//! Keys are spread over [`SHARDS`](crate::limits::SHARDS) shards by a seeded hash; each shard is a
//! table behind its own lock, so any thread executes any command directly. A command locks the
//! shards of its keys in the order of their indices, each once, and runs on that [`View`].
//!
//! # To add a command
//! 1. Its line in the command table says [`Room::Store`](crate::command::Room).
//! 2. A function `fn name(view: &mut View<'_>, command: &Command<'_>) -> Outcome` in the file of
//!    its noun: `view.slot(key)` looks a key up (expired keys are absent) and the [`Slot`] reads,
//!    writes and removes. It may ask only for keys that the table names; those are locked. The
//!    arity has been checked; syntax, ranges and types are checked there, with Redis's texts from
//!    `errors`. Arguments are checked before anything is changed.
//! 3. Its arm in `dispatch`, and rows in the tests: the oracle test compares replies with a real
//!    redis-server.
//!
//! A new type of value is an arm of [`Object`](entry::Object) and of [`Kind`](entry::Kind); the
//! generic commands (TYPE, RENAME, COPY, SCAN ... TYPE, OBJECT ENCODING) then know it. One that
//! has elements is also named in `collection`, which gives slots the methods that read and change
//! it: `collection_changed` removes a collection that has become empty.

mod aging;
mod ahead;
mod allocation;
mod bitfield;
mod bits;
mod blocking;
mod collection;
mod collection_scan;
mod compact;
mod copies;
mod deadlines;
mod digest;
mod dispatch;
pub mod documents;
mod dump;
mod encodings;
mod entries;
mod entry;
mod errors;
mod eviction;
mod expiry;
mod extras;
mod hashes;
mod hyperloglog;
mod index;
mod items;
mod journal;
mod keys;
mod keyspace;
mod lcs;
mod lists;
mod long_double;
mod memory;
mod multi_pop;
mod notices;
mod numbers;
mod objects;
mod packed;
mod policy;
mod prefetch;
mod quicklist;
mod random;
mod ranking;
mod s3fifo;
mod scan;
mod scores;
mod sets;
mod shard;
mod shard_set;
mod slabs;
mod slot;
mod sort;
mod sorted_set;
mod strings;
#[cfg(test)]
mod tests;
mod tombstones;
mod tracking;
mod versions;
mod view;
mod waits;
mod watch;
mod zset_operations;
mod zsets;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::command::{Command, Keys, OwnedCommand, Reply};
use crate::limits;
pub use blocking::wait_deadline;
pub use copies::{Copy, CopyValue, Imported, Surveyed};
pub use encodings::Limit;
use encodings::{Encodings, Limits};
use entries::Entries;
use entry::Object;
pub use extras::Stamp;
pub use hyperloglog::self_test as test_sketches;
pub use journal::{Applied, Step, Written};
pub use policy::{Policy, Settings as MemoryLimit, bytes as memory_bytes};
use shard::{Hashing, Shard};
pub use tracking::Reader;
pub use versions::Guarded;
use view::View;
pub use watch::Watched;

/// An in-memory keyspace, used by any number of threads at once.
pub struct Store {
    hashing: Hashing,
    random: AtomicU64,
    /// How small collections are kept.
    encodings: Encodings,
    /// What is told of changes.
    notices: notices::Notices,
    /// What is noted of changes.
    journal: journal::Journal,
    /// Whether keys are removed in the background once their time is up.
    expires_actively: AtomicBool,
    /// Clients that keep copies of values.
    trackers: tracking::Trackers,
    /// Those of them that are told of all keys with a prefix.
    prefixes: Arc<tracking::Prefixes>,
    /// Of how many keys it is remembered who has read them; 0 for any number.
    most_tracked: AtomicUsize,
    /// How many clients have come to wait.
    arrivals: AtomicU64,
    /// Where [`expire_due`](Store::expire_due) goes on.
    expiring: AtomicUsize,
    /// When all keys are to be removed, in milliseconds since 1970; zero for never.
    flush_at: AtomicU64,
    /// What FLUSHALL ASYNC left to be freed.
    discarded: Mutex<Vec<Entries>>,
    /// What UNLINK left to be freed.
    unlinked: Mutex<Vec<Object>>,
    /// Bytes that are allocated for the keys of all shards.
    memory: AtomicIsize,
    /// Bytes that [`expire_due`](Store::expire_due) has freed since that was last asked.
    freed_behind: AtomicUsize,
    /// How many they may be; 0 for any number. It is that of the settings.
    most: AtomicU64,
    settings: Mutex<MemoryLimit>,
    /// Where [`evict`](Store::evict) goes on.
    evicting: AtomicUsize,
    /// Keys of a shard, on average of those that it has looked at.
    mean_keys: AtomicU64,
    shards: Box<[Mutex<Shard>]>,
}

/// Bytes that a store takes without a key.
const AT_START: usize = limits::SHARDS * size_of::<Mutex<Shard>>();

/// What INFO and the metrics say of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Keys, those included whose deadline has passed unnoticed.
    pub keys: usize,
    /// Keys with a deadline.
    pub expiring_keys: usize,
    /// Mean time that those have left, in milliseconds.
    pub average_ttl: u64,
    /// Keys removed since the start because their deadline had passed.
    pub expired: u64,
    /// Keys removed since the start because memory was full.
    pub evicted: u64,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
}

impl Store {
    /// An empty store. The seed chooses its hash function and its random choices: give each
    /// process another, one that nobody can guess.
    pub fn new(seed: u64) -> Store {
        let changes = Arc::default();
        let shard = |_| Mutex::new(Shard::new(Arc::clone(&changes)));
        let shards = (0..limits::SHARDS).map(shard).collect();
        Store {
            hashing: Hashing::new(seed),
            random: AtomicU64::new(seed),
            encodings: Encodings::new(seed.rotate_left(17)),
            notices: notices::Notices::default(),
            journal: journal::Journal::default(),
            expires_actively: AtomicBool::new(true),
            trackers: Mutex::default(),
            prefixes: Arc::default(),
            most_tracked: limits::TRACKED_KEYS.into(),
            arrivals: AtomicU64::new(0),
            expiring: AtomicUsize::new(0),
            flush_at: AtomicU64::new(0),
            discarded: Mutex::default(),
            unlinked: Mutex::default(),
            freed_behind: AtomicUsize::new(0),
            most: AtomicU64::new(0),
            settings: Mutex::default(),
            evicting: AtomicUsize::new(0),
            mean_keys: AtomicU64::new(0),
            memory: AtomicIsize::new(AT_START as isize),
            shards,
        }
    }

    /// Executes one command whose arity has been checked, at a time in milliseconds since 1970.
    #[inline]
    pub fn execute(&self, now: u64, command: &Command<'_>) -> Reply {
        if let Some(refusal) = self.refuses(now, command) {
            return refusal;
        }
        let mut view = self.view(now, command);
        let reply = view.run(command);
        view.tell(command);
        blocking::serve(&mut view);
        reply
    }

    /// The same for a client that keeps copies of values.
    pub fn execute_for(&self, now: u64, command: &Command<'_>, reader: Reader<'_>) -> Reply {
        if let Some(refusal) = self.refuses(now, command) {
            return refusal;
        }
        let mut view = self.view(now, command);
        view.set_actor(Some(reader));
        let reply = view.run(command);
        view.remember(command, reader);
        view.set_actor(None);
        view.tell(command);
        blocking::serve(&mut view);
        reply
    }

    /// Locks what a command needs, and what those need who may have waited for it.
    #[inline]
    fn view(&self, now: u64, command: &Command<'_>) -> View<'_> {
        let view = match command.spec.keys {
            Keys::Range(first, last, _) if i32::from(first) == i32::from(last) => {
                View::of_key(self, now, command.arg(usize::from(first)))
            }
            _ => self.view_of_keys(now, command),
        };
        match command.spec.is_write() {
            true => view.with_destinations(),
            false => view,
        }
    }

    /// Locks what a command needs that has not just one key.
    fn view_of_keys(&self, now: u64, command: &Command<'_>) -> View<'_> {
        if dispatch::needs_all_shards(command) {
            return View::of_all(self, now);
        }
        match command.keys() {
            Ok(keys) if keys.is_empty() => View::of_none(self, now),
            Ok(keys) if keys.len() == 1 => {
                View::of_key(self, now, command.arg(keys.iter().next().unwrap_or(1)))
            }
            Ok(keys) => {
                let hashes = keys.iter().map(|i| self.hashing.hash(command.arg(i)));
                View::of_hashes(self, now, hashes)
            }
            // The command's own check of its arguments words the error.
            Err(_) => View::of_all(self, now),
        }
    }

    /// Executes commands as one: nothing else happens to their keys meanwhile. `None`, and nothing
    /// is done, if a watched key has changed since it was watched.
    ///
    /// All commands are ones that the store answers, with their arity checked.
    pub fn transaction(
        &self,
        now: u64,
        watched: &[Watched],
        commands: &[OwnedCommand],
    ) -> Option<Vec<Reply>> {
        self.transaction_for(now, watched, commands, None, |_, _| ())
    }

    /// The same for a client that may keep copies of values; tells after each command what it has
    /// answered: `done(command, reply)`.
    pub fn transaction_for(
        &self,
        now: u64,
        watched: &[Watched],
        commands: &[OwnedCommand],
        reader: Option<Reader<'_>>,
        done: impl FnMut(&Command<'_>, &Reply),
    ) -> Option<Vec<Reply>> {
        let view = self.transaction_view(now, watched, std::iter::empty(), commands);
        self.transaction_in(view, watched, commands, reader, done)
    }

    fn transaction_in(
        &self,
        mut view: View<'_>,
        watched: &[Watched],
        commands: &[OwnedCommand],
        reader: Option<Reader<'_>>,
        mut done: impl FnMut(&Command<'_>, &Reply),
    ) -> Option<Vec<Reply>> {
        if !watched.iter().all(|watched| view.is_unchanged(watched)) {
            return None;
        }
        if reader.is_some() {
            view.set_actor(reader);
        }
        let run = |c: &OwnedCommand| {
            let command = c.as_command();
            let reply = view.run(&command);
            view.tell(&command);
            if let Some(reader) = reader {
                view.remember(&command, reader);
            }
            done(&command, &reply);
            reply
        };
        let replies = commands.iter().map(run).collect();
        if reader.is_some() {
            view.set_actor(None);
        }
        blocking::serve(&mut view);
        Some(replies)
    }

    fn transaction_view(
        &self,
        now: u64,
        watched: &[Watched],
        others: impl Iterator<Item = u64>,
        commands: &[OwnedCommand],
    ) -> View<'_> {
        let watched = watched.iter().map(|watched| watched.hash);
        let mut hashes: Vec<u64> = watched.chain(others).collect();
        for command in commands {
            let command = command.as_command();
            match command.keys() {
                Ok(keys) if !dispatch::is_whole_keyspace(&command) => {
                    hashes.extend(keys.iter().map(|i| self.hashing.hash(command.arg(i))));
                }
                _ => return View::of_all(self, now),
            }
        }
        View::of_hashes(self, now, hashes.into_iter()).with_destinations()
    }

    /// From now on each key that is written has a version, which each change raises.
    pub fn keep_versions(&self) {
        for shard in &self.shards {
            shard.lock().keep_versions();
        }
    }

    /// Watches a key for changes until the result is given to [`unwatch`](Store::unwatch).
    pub fn watch(&self, key: &[u8], now: u64) -> Watched {
        let mut view = View::of_key(self, now, key);
        view.watch(key)
    }

    /// Ends a watch.
    pub fn unwatch(&self, watched: Watched) {
        let mut view = View::of_hashes(self, 0, std::iter::once(watched.hash));
        view.unwatch(&watched);
    }

    /// Removes keys whose deadline has passed, keys that are too many for the memory they may take,
    /// and frees the memory of those that FLUSHALL ASYNC removed: about `budget` keys in all.
    /// Returns how many they were; fewer than the budget means that nothing is left to do. The cost
    /// grows with that, not with the number of keys.
    pub fn expire_due(&self, now: u64, budget: usize) -> usize {
        self.flush_due(now);
        self.forget_some_readers();
        let mut done = self.free_discarded(budget);
        done += self.evict_some(now, budget.saturating_sub(done));
        if !self.expires_actively.load(Ordering::Relaxed) {
            return done;
        }
        for _ in 0..limits::SHARDS {
            if done >= budget {
                break;
            }
            let index = self.expiring.load(Ordering::Relaxed) % limits::SHARDS;
            let mut shard = self.shards[index].lock();
            let before = shard.bytes();
            done += shard.expire_due(&self.hashing, now, budget - done);
            let freed = before.saturating_sub(shard.bytes());
            self.freed_behind.fetch_add(freed, Ordering::Relaxed);
            if let Some(log) = shard.log.as_mut().filter(|log| !log.is_empty()) {
                self.tell(std::mem::take(log), None);
            }
            let garbage = self.settle(&mut shard);
            drop(shard);
            drop(garbage);
            if done < budget {
                self.expiring.store(index + 1, Ordering::Relaxed);
            }
        }
        done
    }

    /// Bytes that [`expire_due`](Store::expire_due) has freed since this was last asked: on its
    /// thread, of what other threads have allocated.
    pub fn freed_behind(&self) -> usize {
        self.freed_behind.swap(0, Ordering::Relaxed)
    }

    /// Removes all keys at a time in milliseconds since 1970, in place of any time said before.
    fn flush_at(&self, time: Option<u64>) {
        self.flush_at.store(time.unwrap_or(0), Ordering::Relaxed);
    }

    /// Removes all keys if the time for that has come.
    fn flush_due(&self, now: u64) {
        let time = self.flush_at.load(Ordering::Relaxed);
        if time == 0 || time > now {
            return;
        }
        // Unless another time has been said meanwhile.
        let taken = self
            .flush_at
            .compare_exchange(time, 0, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() {
            View::of_all(self, now).clear(true);
        }
    }

    /// Whether keys are removed in the background once their time is up: they are unless it was
    /// said otherwise. Who asks for such a key never finds it.
    pub fn expire_actively(&self, active: bool) {
        self.expires_actively.store(active, Ordering::Relaxed);
    }

    /// How the value of a key is kept, in Redis's words.
    pub fn describe(&self, now: u64, key: &[u8]) -> Option<String> {
        let mut view = View::of_key(self, now, key);
        let limits = Limits::of(&view);
        let slot = view.slot(key);
        let entry = slot.peek()?;
        // Neither its type nor the footer counts.
        let length = dump::payload(entry, limits, limits.compresses()).len() - 11;
        let (encoding, idle) = (entry.encoding(), entry.idle_seconds(now));
        let address = entry.key().as_ptr();
        Some(format!(
            "Value at:{address:p} refcount:1 encoding:{encoding} serializedlength:{length} lru:{} \
             lru_seconds_idle:{idle}",
            (now / 1000).saturating_sub(u64::from(idle)) & 0xff_ffff,
        ))
    }

    /// Frees tables that were cleared, until about that many keys are freed.
    fn free_discarded(&self, budget: usize) -> usize {
        let mut freed = 0;
        while freed < budget {
            let Some(table) = self.discarded.lock().pop() else {
                break;
            };
            freed += table.len();
        }
        while freed < budget {
            let Some(object) = self.unlinked.lock().pop() else {
                break;
            };
            freed += 1;
            drop(object);
        }
        freed
    }

    /// Tells of a shard's memory; returns what is to be dropped once it is unlocked.
    fn settle(&self, shard: &mut Shard) -> Vec<Object> {
        if !shard.is_unsettled() {
            return Vec::new();
        }
        let (grown, garbage) = shard.settle();
        if grown != 0 {
            self.memory.fetch_add(grown, Ordering::Relaxed);
        }
        garbage
    }

    /// Bytes that are allocated for keys and their values.
    pub fn memory(&self) -> usize {
        usize::try_from(self.memory.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Bytes that are allocated where there are no keys.
    pub fn memory_at_start(&self) -> usize {
        AT_START
    }

    /// Objects and tables that wait to be freed.
    pub fn discarded(&self) -> usize {
        self.discarded.lock().len() + self.unlinked.lock().len()
    }

    /// Counts, for INFO and the metrics.
    pub fn stats(&self, now: u64) -> Stats {
        let mut stats = Stats::default();
        let mut deadlines = 0u128;
        for shard in &self.shards {
            let shard = shard.lock();
            stats.keys += shard.len();
            stats.expiring_keys += shard.deadlines.live();
            deadlines += shard.deadlines.sum();
            stats.expired += shard.counters.expired;
            stats.evicted += shard.counters.evicted;
            stats.hits += shard.counters.hits;
            stats.misses += shard.counters.misses;
        }
        if let Some(mean) = deadlines.checked_div(stats.expiring_keys as u128) {
            stats.average_ttl = (mean as u64).saturating_sub(now);
        }
        stats
    }

    fn next_arrival(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed)
    }

    /// A pseudo-random number from the store's seed.
    fn random(&self) -> u64 {
        random::mix(self.random.fetch_add(random::STEP, Ordering::Relaxed))
    }
}
