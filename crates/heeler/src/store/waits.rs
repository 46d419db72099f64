//! The keys of one shard that clients wait for, with who waits, in the order in which they came.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::waiting::Waiter;

/// Who waits for a key, by the time of arrival.
type Queue = BTreeMap<u64, Arc<Waiter>>;

/// The waiters of a shard.
#[derive(Debug, Default)]
pub(super) struct Waits {
    keys: BTreeMap<Box<[u8]>, Queue>,
    /// Keys that have changed while somebody waited for them, each with its place in the order of
    /// changes.
    ready: VecDeque<(u64, Box<[u8]>)>,
    /// Hashes of the keys to which waiters want an element moved.
    destinations: BTreeMap<u64, u64>,
    /// Counts changes in all shards of the store.
    changes: Arc<AtomicU64>,
}

impl Waits {
    /// No waiters; `changes` is shared by all shards of a store.
    pub(super) fn new(changes: Arc<AtomicU64>) -> Waits {
        Waits {
            changes,
            ..Waits::default()
        }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// One more waits for a key; `destination` is the hash of the key to which it moves an element.
    pub(super) fn add(&mut self, key: &[u8], waiter: &Arc<Waiter>, destination: Option<u64>) {
        let queue = match self.keys.get_mut(key) {
            Some(queue) => queue,
            None => self.keys.entry(key.into()).or_default(),
        };
        queue.insert(waiter.arrival, waiter.clone());
        if let Some(destination) = destination {
            self.destinations.insert(waiter.arrival, destination);
        }
    }

    /// One waits no more for a key.
    pub(super) fn remove(&mut self, key: &[u8], arrival: u64) {
        self.destinations.remove(&arrival);
        let Some(queue) = self.keys.get_mut(key) else {
            return;
        };
        queue.remove(&arrival);
        if queue.is_empty() {
            self.keys.remove(key);
        }
    }

    /// The first to wait for a key of those that did not come before `arrival`.
    pub(super) fn next(&self, key: &[u8], arrival: u64) -> Option<Arc<Waiter>> {
        let (_, waiter) = self.keys.get(key)?.range(arrival..).next()?;
        Some(waiter.clone())
    }

    /// Notes a change of a key.
    pub(super) fn changed(&mut self, key: &[u8]) {
        if self.keys.contains_key(key) {
            let order = self.next_change();
            self.ready.push_back((order, key.into()));
        }
    }

    /// Those who wait: one who waits for several comes several times.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.keys.values().flat_map(BTreeMap::values)
    }

    /// The keys that are waited for.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.keys().map(|key| &**key)
    }

    /// The next place in the order of changes.
    pub(super) fn next_change(&self) -> u64 {
        self.changes.fetch_add(1, Ordering::Relaxed)
    }

    /// When the first key changed that has not been taken out since.
    pub(super) fn first_change(&self) -> Option<u64> {
        self.ready.front().map(|(order, _)| *order)
    }

    /// Takes out the key that changed first.
    pub(super) fn take_changed(&mut self) -> Option<Box<[u8]>> {
        self.ready.pop_front().map(|(_, key)| key)
    }

    /// Counts the changes of these waiters' keys.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        self.changes.clone()
    }

    /// The hashes of the keys to which an element may be moved.
    pub(super) fn destinations(&self) -> impl Iterator<Item = u64> {
        self.destinations.values().copied()
    }

    /// Whether elements may be moved to other keys.
    pub(super) fn has_destinations(&self) -> bool {
        !self.destinations.is_empty()
    }
}
