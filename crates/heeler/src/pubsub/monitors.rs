//! MONITOR: who is told of every command that clients have executed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::RwLock;

use super::Subscriber;

/// The connections that monitor.
#[derive(Debug, Default)]
pub struct Monitors {
    /// How many there are, for those who only want to know whether there is one.
    count: AtomicUsize,
    all: RwLock<BTreeMap<u64, Arc<Subscriber>>>,
}

impl Monitors {
    /// Whether anybody monitors: most of the time nobody does.
    #[inline]
    pub fn any(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// A connection monitors from now on.
    pub fn join(&self, subscriber: &Arc<Subscriber>) {
        let mut all = self.all.write();
        all.insert(subscriber.id, subscriber.clone());
        self.count.store(all.len(), Relaxed);
    }

    /// It does not any more.
    pub fn leave(&self, id: u64) {
        let mut all = self.all.write();
        all.remove(&id);
        self.count.store(all.len(), Relaxed);
    }

    /// Whether this connection does.
    pub fn has(&self, id: u64) -> bool {
        self.any() && self.all.read().contains_key(&id)
    }

    /// Gives up those who have left more than so many bytes unread for so many milliseconds.
    pub fn close_slow(&self, now: u64, most: usize, millis: u64) {
        if self.any() {
            for subscriber in self.all.read().values() {
                subscriber.give_up_if_slow(now, most, millis);
            }
        }
    }

    /// Puts a line, with all that belongs to it as a reply, into the inbox of each. One who has
    /// read too little is told nothing more.
    pub fn tell(&self, line: &[u8]) {
        for subscriber in self.all.read().values() {
            subscriber.put_bytes(line);
        }
    }
}
