//! The store: an in-memory keyspace that executes commands. Pure: the time is an argument, there
//! is no socket, thread or global randomness, and the same calls give the same replies.
//!
//! Keys are spread over [`SHARDS`](crate::limits::SHARDS) shards by a seeded hash; each shard is a
//! table behind its own lock, so any thread executes any command directly. A command locks the
//! shards of its keys in the order of their places, each once, and runs on that [`View`]. Databases
//! have shards of their own, and share all else; what takes no number of a database is about 0.
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
mod clearing;
mod collection;
mod collection_scan;
mod compact;
mod copies;
mod databases;
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
mod freeing;
mod hashes;
mod hyperloglog;
mod index;
mod items;
mod journal;
mod keys;
mod keyspace;
mod lcs;
mod listing;
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
mod upkeep;
mod versions;
mod view;
mod waits;
mod wanted;
mod watch;
mod zset_operations;
mod zsets;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::command::{Command, Keys, OwnedCommand, Reply};
use crate::limits;
pub use blocking::{gives_up_at, timeout_at, wait_deadline};
pub use clearing::{Clearing, Wipe};
pub use copies::{Copy, CopyValue, Imported, Surveyed};
use databases::Databases;
pub use databases::Numbering;
pub use encodings::Limit;
use encodings::{Encodings, Limits};
pub use extras::Stamp;
pub use freeing::Lazy;
use freeing::{Garbage, Removing};
pub use hyperloglog::self_test as test_sketches;
pub use journal::{Applied, Step, Written};
pub use policy::{Policy, Settings as MemoryLimit, bytes as memory_bytes};
use shard::{Hashing, Locked, Shard};
pub use tracking::Reader;
use upkeep::Notice;
pub use versions::Guarded;
use view::View;
use wanted::Wanted;
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
    prefixes: Arc<tracking::AllPrefixes>,
    /// Of how many keys it is remembered who has read them; 0 for any number.
    most_tracked: AtomicUsize,
    /// Who has read which keys.
    readers: tracking::AllReaders,
    /// How many clients have come to wait.
    arrivals: AtomicU64,
    /// Where [`expire_due`](Store::expire_due) goes on.
    expiring: AtomicUsize,
    /// What of database 0 was or is to be cleared away.
    clearings: clearing::Clearings,
    /// What is left to be freed.
    freeing: freeing::Freeing,
    /// Bytes that are allocated for the keys of all shards.
    memory: AtomicIsize,
    /// Bytes that [`expire_due`](Store::expire_due) has freed since that was last asked.
    freed_behind: AtomicUsize,
    /// The most that they ever were, as far as [`note_peak`](Store::note_peak) has seen.
    peak: AtomicUsize,
    /// How many they may be; 0 for any number. It is that of the settings.
    most: AtomicU64,
    /// Keys that a command evicts at most. It follows from the settings.
    evictions: AtomicUsize,
    settings: Mutex<MemoryLimit>,
    /// Where [`evict`](Store::evict) goes on.
    evicting: AtomicUsize,
    /// Keys of a shard, on average of those that it has looked at.
    mean_keys: AtomicU64,
    databases: Databases,
}

/// What INFO and the metrics say of a store, or of one of its databases.
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
    /// Deadlines that have passed unnoticed.
    pub overdue: usize,
    /// Bytes of keys and values, those included that are kept free for others.
    pub data_bytes: usize,
    /// Bytes by which keys are found, and the next to be evicted.
    pub index_bytes: usize,
    /// Bytes by which keys are found whose time is up.
    pub deadline_bytes: usize,
}

impl Store {
    /// An empty store with 16 databases. The seed chooses its hash function and its random
    /// choices: give each process another, one that nobody can guess.
    pub fn new(seed: u64) -> Store {
        Store::with_databases(seed, Numbering::Upto(limits::DATABASES))
    }

    /// The same with so many databases.
    pub fn with_databases(seed: u64, numbering: Numbering) -> Store {
        let changes = Arc::default();
        let upkeep = Arc::default();
        let shard = |i| Shard::new(Arc::clone(&changes), Notice::new(&upkeep, i));
        let shards = (0..limits::SHARDS).map(shard).map(Locked::new).collect();
        let databases = Databases::new(numbering, shards, upkeep);
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
            readers: tracking::all_readers(),
            arrivals: AtomicU64::new(0),
            expiring: AtomicUsize::new(0),
            clearings: clearing::Clearings::default(),
            freeing: freeing::Freeing::default(),
            freed_behind: AtomicUsize::new(0),
            peak: AtomicUsize::new(databases.bytes_at_start()),
            most: AtomicU64::new(0),
            evictions: limits::EVICTIONS.into(),
            settings: Mutex::default(),
            evicting: AtomicUsize::new(0),
            mean_keys: AtomicU64::new(0),
            memory: AtomicIsize::new(databases.bytes_at_start() as isize),
            databases,
        }
    }

    /// Executes one command whose arity has been checked, at a time in milliseconds since 1970, in
    /// database 0.
    #[inline]
    pub fn execute(&self, now: u64, command: &Command<'_>) -> Reply {
        self.execute_in(0, now, command)
    }

    /// The same in any database.
    #[inline]
    pub fn execute_in(&self, database: u32, now: u64, command: &Command<'_>) -> Reply {
        if let Some(refusal) = self.refuses(now, command) {
            return refusal;
        }
        let mut view = self.view(database, now, command);
        let reply = view.run(command);
        view.tell(command);
        blocking::serve(&mut view);
        reply
    }

    /// The same for a client that keeps copies of values.
    pub fn execute_for(
        &self,
        database: u32,
        now: u64,
        command: &Command<'_>,
        reader: Reader<'_>,
    ) -> Reply {
        if let Some(refusal) = self.refuses(now, command) {
            return refusal;
        }
        let mut view = self.view(database, now, command);
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
    fn view(&self, database: u32, now: u64, command: &Command<'_>) -> View<'_> {
        match command.spec.keys {
            Keys::Range(first, last, _) if i32::from(first) == i32::from(last) => {
                let key = command.arg(usize::from(first));
                let view = View::of_key(self, database, now, key);
                match command.spec.is_write() {
                    true => view.with_destinations(None),
                    false => view,
                }
            }
            _ => self.view_of_keys(database, now, command),
        }
    }

    /// Locks what a command needs that has not just one key.
    fn view_of_keys(&self, database: u32, now: u64, command: &Command<'_>) -> View<'_> {
        let wants_more =
            dispatch::needs_all_shards(command) || dispatch::reaches_elsewhere(command);
        let keys = command.keys();
        let view = match &keys {
            Ok(keys) if !wants_more && keys.is_empty() => View::of_none(self, database, now),
            Ok(keys) if !wants_more && keys.len() == 1 => {
                let key = command.arg(keys.iter().next().unwrap_or(1));
                View::of_key(self, database, now, key)
            }
            Ok(keys) if !wants_more => {
                let hashes = keys.iter().map(|i| self.hashing.hash(command.arg(i)));
                View::of_hashes(self, database, now, hashes)
            }
            _ => {
                let mut wanted = Wanted::default();
                wanted.command(self, database, command);
                let view = View::of(self, database, now, &wanted);
                return view.with_destinations(Some(&wanted));
            }
        };
        match command.spec.is_write() {
            true => view.with_destinations(None),
            false => view,
        }
    }

    /// Executes commands as one: nothing else happens to their keys meanwhile. `None`, and nothing
    /// is done, if a watched key has changed since it was watched.
    ///
    /// All commands are ones that the store answers, with their arity checked; they are for
    /// database 0.
    pub fn transaction(
        &self,
        now: u64,
        watched: &[Watched],
        commands: &[OwnedCommand],
    ) -> Option<Vec<Reply>> {
        let commands = commands.iter().map(|command| (0, command.as_command()));
        self.transaction_for(now, watched, commands, None, |_, _, _| ())
    }

    /// The same with commands for any databases, for a client that may keep copies of values; tells
    /// after each command what it has answered: `done(database, command, reply)`.
    pub fn transaction_for<'a>(
        &self,
        now: u64,
        watched: &[Watched],
        commands: impl Iterator<Item = (u32, Command<'a>)> + Clone,
        reader: Option<Reader<'_>>,
        done: impl FnMut(u32, &Command<'_>, &Reply),
    ) -> Option<Vec<Reply>> {
        let view = self.transaction_view(now, watched, std::iter::empty(), commands.clone());
        self.transaction_in(view, watched, commands, reader, done)
    }

    fn transaction_in<'a>(
        &self,
        mut view: View<'_>,
        watched: &[Watched],
        commands: impl Iterator<Item = (u32, Command<'a>)>,
        reader: Option<Reader<'_>>,
        mut done: impl FnMut(u32, &Command<'_>, &Reply),
    ) -> Option<Vec<Reply>> {
        if !watched.iter().all(|watched| view.is_unchanged(watched)) {
            return None;
        }
        if reader.is_some() {
            view.set_actor(reader);
        }
        let run = |(database, command): (u32, Command<'a>)| {
            view.select(database);
            let reply = view.run(&command);
            view.tell(&command);
            if let Some(reader) = reader {
                view.remember(&command, reader);
            }
            done(database, &command, &reply);
            reply
        };
        let replies = commands.map(run).collect();
        if reader.is_some() {
            view.set_actor(None);
        }
        blocking::serve(&mut view);
        Some(replies)
    }

    /// `others` are hashes of keys of database 0.
    fn transaction_view<'a>(
        &self,
        now: u64,
        watched: &[Watched],
        others: impl Iterator<Item = u64>,
        commands: impl Iterator<Item = (u32, Command<'a>)>,
    ) -> View<'_> {
        let mut wanted = Wanted::default();
        watched
            .iter()
            .for_each(|watched| wanted.hash(watched.database, watched.hash));
        others.for_each(|hash| wanted.hash(0, hash));
        commands.for_each(|(database, command)| wanted.command(self, database, &command));
        View::of(self, 0, now, &wanted).with_destinations(Some(&wanted))
    }

    /// From now on each key that is written has a version, which each change raises.
    pub fn keep_versions(&self) {
        self.set_all(|_, shard| shard.keep_versions());
    }

    /// Watches a key of database 0 for changes until the result is given to
    /// [`unwatch`](Store::unwatch).
    pub fn watch(&self, key: &[u8], now: u64) -> Watched {
        self.watch_in(0, key, now)
    }

    /// The same in any database.
    pub fn watch_in(&self, database: u32, key: &[u8], now: u64) -> Watched {
        let mut view = View::of_key(self, database, now, key);
        view.watch(key)
    }

    /// Ends a watch.
    pub fn unwatch(&self, watched: Watched) {
        let mut view = View::of_hash(self, watched.database, 0, watched.hash);
        view.unwatch(&watched);
    }

    /// Removes keys whose deadline has passed, keys that are too many for the memory they may take,
    /// and frees the memory of those that FLUSHALL ASYNC removed: about `budget` keys in all.
    /// Returns how many they were; fewer than the budget means that nothing is left to do. The cost
    /// grows with that, not with the number of keys.
    pub fn expire_due(&self, now: u64, budget: usize) -> usize {
        self.clear_due(now);
        self.forget_some_readers();
        let mut done = self.free_discarded(budget);
        done += self.evict_some(now, budget.saturating_sub(done));
        if !self.expires_actively.load(Ordering::Relaxed) {
            return done;
        }
        done + self.keep_up(now, budget.saturating_sub(done))
    }

    fn expire_of(&self, shard: &Locked, now: u64, budget: usize) -> usize {
        let mut shard = shard.lock();
        let before = shard.bytes();
        let done = shard.expire_due(&self.hashing, now, budget);
        let freed = before.saturating_sub(shard.bytes());
        self.freed_behind.fetch_add(freed, Ordering::Relaxed);
        if shard.log.as_ref().is_some_and(|log| !log.is_empty()) {
            self.tell(shard.take_log().collect(), None);
        }
        let garbage = self.settle(&mut shard);
        drop(shard);
        self.free(garbage, Removing::default());
        done
    }

    /// Bytes that [`expire_due`](Store::expire_due) has freed since this was last asked: on its
    /// thread, of what other threads have allocated.
    pub fn freed_behind(&self) -> usize {
        self.freed_behind.swap(0, Ordering::Relaxed)
    }

    /// Whether keys are removed in the background once their time is up: they are unless it was
    /// said otherwise. Who asks for such a key never finds it.
    pub fn expire_actively(&self, active: bool) {
        self.expires_actively.store(active, Ordering::Relaxed);
    }

    /// How the value of a key is kept, in Redis's words.
    pub fn describe(&self, database: u32, now: u64, key: &[u8]) -> Option<String> {
        let mut view = View::of_key(self, database, now, key);
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

    /// Tells of a shard's memory; returns what is to be dropped once it is unlocked.
    fn settle(&self, shard: &mut Shard) -> Garbage {
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

    /// Bytes that were ever allocated for keys and their values at most, as far as this was called
    /// then.
    pub fn note_peak(&self) -> usize {
        let memory = self.memory();
        self.peak.fetch_max(memory, Ordering::Relaxed).max(memory)
    }

    /// Bytes that are allocated where there are no keys.
    pub fn memory_at_start(&self) -> usize {
        self.databases.bytes_at_start()
    }

    /// Counts, for INFO and the metrics.
    pub fn stats(&self, now: u64) -> Stats {
        self.counted(now, self.databases.all_made())
    }

    /// The same of one database.
    pub fn stats_of(&self, database: u32, now: u64) -> Stats {
        self.counted(now, self.databases.made_in(database))
    }

    fn counted<'a>(&self, now: u64, shards: impl Iterator<Item = (usize, &'a Locked)>) -> Stats {
        let mut stats = Stats::default();
        let mut deadlines = 0u128;
        for (_, shard) in shards {
            let shard = shard.lock();
            stats.keys += shard.len();
            stats.expiring_keys += shard.deadlines.live();
            deadlines += shard.deadlines.sum();
            stats.expired += shard.counters.expired;
            stats.evicted += shard.counters.evicted;
            stats.hits += shard.counters.hits;
            stats.misses += shard.counters.misses;
            stats.overdue += shard.deadlines.overdue(now);
            stats.deadline_bytes += shard.deadlines.bytes();
            let data = shard.data_bytes();
            stats.data_bytes += data;
            stats.index_bytes += shard.bytes() - shard.deadlines.bytes() - data;
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
