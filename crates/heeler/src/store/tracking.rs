//! Which clients keep copies of which keys: CLIENT TRACKING.
//!
//! Keys are known by their names here, whatever database they are in: who has read `k` in one is
//! told of a change of `k` in any, as by Redis, whose messages do not name a database either.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use super::Store;
use super::view::View;
use crate::command::{Command, Flags};
use crate::limits;
use crate::pubsub::Tracker;

/// Clients that are told of all keys with a prefix, by prefix and number.
pub(super) type Prefixes = RwLock<BTreeMap<Box<[u8]>, BTreeMap<u64, Arc<Tracker>>>>;
/// All clients that keep copies, by number; whether each is told of prefixes.
pub(super) type Trackers = Mutex<BTreeMap<u64, (Arc<Tracker>, bool)>>;
/// Who has read each key since it last changed: of the shards with one number in all databases.
type Readers = Mutex<BTreeMap<Box<[u8]>, SmallVec<[Arc<Tracker>; 1]>>>;
/// Those of all numbers.
pub(super) type AllReaders = Box<[Arc<Readers>]>;

/// Nobody has read anything.
pub(super) fn all_readers() -> AllReaders {
    (0..limits::SHARDS).map(|_| Arc::default()).collect()
}

/// The client that a command comes from, if it keeps copies.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The client.
    pub tracker: &'a Arc<Tracker>,
    /// Whether it keeps copies of what this command reads.
    pub remembers: bool,
}

/// Who keeps copies of a shard's keys.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// Who has read them; `None` while nobody wants to know.
    readers: Option<Arc<Readers>>,
    /// Who is told of all changes; `None` while there is nobody.
    prefixes: Option<Arc<Prefixes>>,
    /// The client that makes the changes and shall not be told of them.
    pub(super) actor: Option<u64>,
}

impl Tracking {
    /// The same for another database.
    pub(super) fn sister(&self) -> Tracking {
        Tracking {
            readers: self.readers.clone(),
            prefixes: self.prefixes.clone(),
            actor: None,
        }
    }

    /// Whether nobody keeps copies.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_none() && self.prefixes.is_none()
    }

    /// A client has read a key. Past a limit the first of the others is taken for changed.
    fn remember(&mut self, key: &[u8], tracker: &Arc<Tracker>) {
        let Some(mut all) = self.readers.as_ref().map(|readers| readers.lock()) else {
            return;
        };
        let readers = match all.get_mut(key) {
            Some(readers) => readers,
            None => {
                if all.len() >= limits::TRACKED_KEYS / limits::SHARDS
                    && let Some((key, readers)) = all.pop_first()
                {
                    readers
                        .iter()
                        .for_each(|tracker| tracker.invalidate(Some(&key)));
                }
                all.entry(key.into()).or_default()
            }
        };
        if !readers.iter().any(|reader| Arc::ptr_eq(reader, tracker)) {
            readers.retain(|reader| reader.is_on());
            readers.push(tracker.clone());
        }
    }

    /// Tells those who keep a copy of a key that it has changed.
    pub(super) fn changed(&mut self, database: u32, key: &[u8]) {
        let is_told = |tracker: &Arc<Tracker>| {
            let is_own = self.actor.is_some_and(|actor| actor == tracker.id);
            !(is_own && tracker.ignores_own)
        };
        let tell = |tracker: &Arc<Tracker>| {
            if is_told(tracker) {
                tracker.invalidate(Some(key));
            }
        };
        let readers = self.readers.as_ref();
        if let Some(readers) = readers.and_then(|readers| readers.lock().remove(key)) {
            readers.iter().for_each(tell);
        }
        let Some(prefixes) = &self.prefixes else {
            return;
        };
        for (prefix, trackers) in prefixes.read().iter() {
            if key.starts_with(prefix) {
                let trackers = trackers.values();
                trackers
                    .filter(|tracker| tracker.cares_for(database))
                    .for_each(tell);
            }
        }
    }
}

impl Store {
    /// Tells a client of changes from now on: of all keys with these prefixes, or without any of
    /// those that it will have read.
    pub fn track(&self, tracker: &Arc<Tracker>, prefixes: &[Box<[u8]>]) {
        let by_prefix = !prefixes.is_empty();
        let of = (tracker.clone(), by_prefix);
        self.trackers.lock().insert(tracker.id, of);
        let mut all = self.prefixes.write();
        for prefix in prefixes {
            let trackers = all.entry(prefix.clone()).or_default();
            trackers.insert(tracker.id, tracker.clone());
        }
        drop(all);
        self.set_trackers();
    }

    /// Tells a client of no more changes.
    pub fn stop_tracking(&self, tracker: &Tracker) {
        tracker.stop();
        if self.trackers.lock().remove(&tracker.id).is_none() {
            return;
        }
        let mut all = self.prefixes.write();
        all.retain(|_, trackers| {
            trackers.remove(&tracker.id);
            !trackers.is_empty()
        });
        drop(all);
        self.set_trackers();
    }

    /// Has all shards know whether somebody keeps copies.
    fn set_trackers(&self) {
        let wanted = |spot: usize| {
            let has_readers = self
                .trackers
                .lock()
                .values()
                .any(|(_, by_prefix)| !by_prefix);
            let readers = has_readers.then(|| self.readers[spot % limits::SHARDS].clone());
            let has_prefixes = !self.prefixes.read().is_empty();
            (readers, has_prefixes.then(|| self.prefixes.clone()))
        };
        let making = self.databases.making();
        let (readers, prefixes) = wanted(0);
        let is_so = {
            let shard = self.databases.first()[0].lock();
            let has = (
                shard.tracking.readers.is_some(),
                shard.tracking.prefixes.is_some(),
            );
            has == (readers.is_some(), prefixes.is_some())
        };
        if is_so {
            return;
        }
        self.set_made(&making, |spot, shard| {
            let (readers, prefixes) = wanted(spot);
            if readers.is_none()
                && let Some(readers) = &shard.tracking.readers
            {
                readers.lock().clear();
            }
            (shard.tracking.readers, shard.tracking.prefixes) = (readers, prefixes);
        });
    }

    /// Tells all clients that keep copies that all keys of a database are gone, or all of all.
    pub(super) fn tell_of_clearing(&self, database: Option<u32>) {
        let trackers = self.trackers.lock();
        if trackers.is_empty() {
            return;
        }
        // First: whoever reads a key from now on has not been told yet.
        self.readers
            .iter()
            .for_each(|readers| readers.lock().clear());
        for (tracker, _) in trackers.values() {
            if database.is_none_or(|database| tracker.cares_for(database)) {
                tracker.invalidate(None);
            }
        }
    }

    /// Tells who looks at this database alone that it has other keys now. All others learn nothing
    /// of that, as from Redis.
    pub(super) fn tell_of_swap(&self, database: u32) {
        for (tracker, _) in self.trackers.lock().values() {
            if tracker.looks_at() == Some(database) {
                tracker.invalidate(None);
            }
        }
    }
}

impl View<'_> {
    /// Whose changes the next ones are.
    pub(super) fn set_actor(&mut self, reader: Option<Reader<'_>>) {
        let actor = reader.map(|reader| reader.tracker.id);
        self.each_held(|shard| shard.tracking.actor = actor);
    }

    /// Notes what a client has read.
    pub(super) fn remember(&mut self, command: &Command<'_>, reader: Reader<'_>) {
        if !reader.remembers || !command.spec.flags.has(Flags::READONLY) {
            return;
        }
        for i in command.keys().into_iter().flat_map(|keys| keys.iter()) {
            let key = command.arg(i);
            self.shard_of_key(key, |shard| shard.tracking.remember(key, reader.tracker));
        }
    }
}
