//! Which clients keep copies of the keys of one shard: CLIENT TRACKING.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use super::Store;
use super::view::View;
use crate::command::{Command, Flags};
use crate::limits;
use crate::pubsub::Tracker;

/// Clients that are told of all keys with a prefix, by prefix and number.
pub(super) type Prefixes = RwLock<BTreeMap<Box<[u8]>, BTreeMap<u64, Arc<Tracker>>>>;
/// All clients that keep copies, by number.
pub(super) type Trackers = Mutex<BTreeMap<u64, Arc<Tracker>>>;

/// The client that a command comes from, if it keeps copies.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The client.
    pub tracker: &'a Arc<Tracker>,
    /// Whether it keeps copies of what this command reads.
    pub remembers: bool,
}

/// The copies of a shard.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// Who has read each key since it last changed.
    readers: BTreeMap<Box<[u8]>, SmallVec<[Arc<Tracker>; 1]>>,
    /// Who is told of all changes; `None` while there is nobody.
    prefixes: Option<Arc<Prefixes>>,
    /// The client that makes the changes and shall not be told of them.
    pub(super) actor: Option<u64>,
}

impl Tracking {
    /// Whether nobody keeps copies.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.prefixes.is_none()
    }

    /// A client has read a key. Past so many keys the first of the others is taken for changed.
    fn remember(&mut self, key: &[u8], tracker: &Arc<Tracker>, most: usize) {
        let readers = match self.readers.get_mut(key) {
            Some(readers) => readers,
            None => {
                self.keep(most.saturating_sub(1));
                self.readers.entry(key.into()).or_default()
            }
        };
        if !readers.iter().any(|reader| Arc::ptr_eq(reader, tracker)) {
            readers.retain(|reader| reader.is_on());
            readers.push(tracker.clone());
        }
    }

    /// Remembers so many keys at most: the others are taken for changed.
    fn keep(&mut self, most: usize) {
        while self.readers.len() > most
            && let Some((key, readers)) = self.readers.pop_first()
        {
            let told = readers.iter();
            told.for_each(|tracker| tracker.invalidate(Some(&key)));
        }
    }

    /// Tells those who keep a copy of a key that it has changed.
    pub(super) fn changed(&mut self, key: &[u8]) {
        let is_told = |tracker: &Arc<Tracker>| {
            self.actor
                .is_none_or(|actor| !tracker.ignores_own || actor != tracker.id)
        };
        let tell = |tracker: &Arc<Tracker>| {
            if is_told(tracker) {
                tracker.invalidate(Some(key));
            }
        };
        if let Some(readers) = self.readers.remove(key) {
            readers.iter().for_each(tell);
        }
        let Some(prefixes) = &self.prefixes else {
            return;
        };
        for (prefix, trackers) in prefixes.read().iter() {
            if key.starts_with(prefix) {
                trackers.values().for_each(tell);
            }
        }
    }

    /// All keys are gone, of which the clients are told in one.
    pub(super) fn cleared(&mut self) {
        self.readers.clear();
    }
}

/// What INFO says of clients that keep copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// The clients.
    pub clients: usize,
    /// Keys that they have read.
    pub keys: usize,
    /// Pairs of such a key and a client.
    pub items: usize,
    /// Prefixes of which somebody is told of all keys.
    pub prefixes: usize,
}

impl Store {
    /// Of how many keys it is remembered who has read them; 0 for any number.
    pub fn most_tracked(&self) -> usize {
        self.most_tracked.load(Ordering::Relaxed)
    }

    /// They may be so many from now on; 0 for any number. Those that are too many go with the next
    /// [`expire_due`](Store::expire_due).
    pub fn track_at_most(&self, keys: usize) {
        self.most_tracked.store(keys, Ordering::Relaxed);
    }

    /// Takes keys for changed until no more are remembered than may be.
    pub(super) fn forget_some_readers(&self) {
        let mut left = self.most_tracked();
        if left == 0 || self.trackers.lock().is_empty() {
            return;
        }
        for shard in &self.shards {
            let tracking = &mut shard.lock().tracking;
            tracking.keep(left);
            left -= tracking.readers.len();
        }
    }

    /// What INFO says of clients that keep copies.
    pub fn tracked(&self) -> Tracked {
        let mut all = Tracked {
            clients: self.trackers.lock().len(),
            prefixes: self.prefixes.read().len(),
            ..Tracked::default()
        };
        if all.clients > 0 {
            for shard in &self.shards {
                let readers = &shard.lock().tracking.readers;
                all.keys += readers.len();
                all.items += readers.values().map(SmallVec::len).sum::<usize>();
            }
        }
        all
    }

    /// Tells a client of changes from now on: of all keys with these prefixes, or without any of
    /// those that it will have read.
    pub fn track(&self, tracker: &Arc<Tracker>, prefixes: &[Box<[u8]>]) {
        self.trackers.lock().insert(tracker.id, tracker.clone());
        if prefixes.is_empty() {
            return;
        }
        let mut all = self.prefixes.write();
        for prefix in prefixes {
            let trackers = all.entry(prefix.clone()).or_default();
            trackers.insert(tracker.id, tracker.clone());
        }
        drop(all);
        for shard in &self.shards {
            shard.lock().tracking.prefixes = Some(self.prefixes.clone());
        }
    }

    /// Tells a client of no more changes.
    pub fn stop_tracking(&self, tracker: &Tracker) {
        tracker.stop();
        self.trackers.lock().remove(&tracker.id);
        let mut all = self.prefixes.write();
        if all.is_empty() {
            return;
        }
        all.retain(|_, trackers| {
            trackers.remove(&tracker.id);
            !trackers.is_empty()
        });
        let none_left = all.is_empty();
        drop(all);
        if none_left {
            for shard in &self.shards {
                let mut shard = shard.lock();
                if self.prefixes.read().is_empty() {
                    shard.tracking.prefixes = None;
                }
            }
        }
    }

    /// Tells all clients that keep copies that all keys are gone.
    pub(super) fn tell_of_clearing(&self) {
        let trackers = self.trackers.lock();
        trackers
            .values()
            .for_each(|tracker| tracker.invalidate(None));
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
        let most = match self.store().most_tracked() {
            0 => usize::MAX,
            most => most.div_ceil(limits::SHARDS),
        };
        for i in command.keys().into_iter().flat_map(|keys| keys.iter()) {
            let key = command.arg(i);
            self.shard_of_key(key, |shard| {
                shard.tracking.remember(key, reader.tracker, most);
            });
        }
    }
}
