//! What a shard remembers of keys that are gone, so that an older copy does not bring them back.

use std::collections::{HashMap, VecDeque};

use crate::limits;

/// Most of them in one shard: the oldest are forgotten first.
const MOST: usize = limits::TOMBSTONES / limits::SHARDS;

/// Keys that are gone, each with the version that went last. Nothing is kept until
/// [`keep`](Tombstones::keep) is called.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    kept: bool,
    dead: HashMap<Box<[u8]>, Dead>,
    /// In the order of their deaths. Those that have died again, or live, are here still.
    order: VecDeque<(u64, Box<[u8]>)>,
    /// All that is not newer than this was cleared away.
    cleared: u64,
}

#[derive(Clone, Copy, Debug)]
struct Dead {
    version: u64,
    at: u64,
}

impl Tombstones {
    /// From now on, or no more.
    pub(super) fn keep(&mut self, kept: bool) {
        self.kept = kept;
        if !kept {
            self.dead = HashMap::new();
            self.order = VecDeque::new();
        }
    }

    /// Sets whether they are kept without losing any; returns whether they were.
    pub(super) fn pause(&mut self, kept: bool) -> bool {
        std::mem::replace(&mut self.kept, kept)
    }

    /// Whether they are kept.
    #[inline]
    pub(super) fn are_kept(&self) -> bool {
        self.kept
    }

    /// A key is gone, with this version, at this time.
    pub(super) fn bury(&mut self, key: &[u8], version: u64, at: u64) {
        if !self.kept {
            return;
        }
        self.dead.insert(key.into(), Dead { version, at });
        self.order.push_back((at, key.into()));
        while self.dead.len() > MOST || self.order.len() > 2 * MOST {
            let Some((at, key)) = self.order.pop_front() else {
                return;
            };
            self.forget(&key, at);
        }
    }

    /// A key is there (again).
    #[inline]
    pub(super) fn lives(&mut self, key: &[u8]) {
        if !self.dead.is_empty() {
            self.dead.remove(key);
        }
    }

    /// The version with which a key went.
    pub(super) fn version(&self, key: &[u8]) -> Option<u64> {
        self.dead.get(key).map(|dead| dead.version)
    }

    /// All: keys and the versions with which they went.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.dead.iter().map(|(key, dead)| (&**key, dead.version))
    }

    /// Forgets those that died before.
    pub(super) fn forget_before(&mut self, before: u64) {
        while self.order.front().is_some_and(|(at, _)| *at < before) {
            if let Some((at, key)) = self.order.pop_front() {
                self.forget(&key, at);
            }
        }
    }

    fn forget(&mut self, key: &[u8], at: u64) {
        if self.dead.get(key).is_some_and(|dead| dead.at <= at) {
            self.dead.remove(key);
        }
    }

    /// All keys up to a version were removed at once.
    pub(super) fn clear(&mut self, version: u64) {
        self.cleared = self.cleared.max(version);
        self.dead.retain(|_, dead| dead.version > version);
        if self.dead.is_empty() {
            self.dead = HashMap::new();
            self.order = VecDeque::new();
        }
    }

    /// The version up to which all keys were removed at once.
    pub(super) fn cleared(&self) -> u64 {
        self.cleared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut tombstones = Tombstones::default();
        tombstones.bury(b"unkept", 1, 1);
        assert_eq!(tombstones.version(b"unkept"), None);
        tombstones.keep(true);
        for i in 0..=MOST as u64 {
            tombstones.bury(&i.to_le_bytes(), i, i);
        }
        assert_eq!(tombstones.version(&0u64.to_le_bytes()), None);
        assert_eq!(tombstones.version(&1u64.to_le_bytes()), Some(1));
        assert_eq!(tombstones.iter().count(), MOST);
        tombstones.bury(&1u64.to_le_bytes(), 9000, 9000);
        tombstones.forget_before(10);
        assert_eq!(tombstones.version(&9u64.to_le_bytes()), None);
        assert_eq!(tombstones.version(&10u64.to_le_bytes()), Some(10));
        assert_eq!(
            tombstones.version(&1u64.to_le_bytes()),
            Some(9000),
            "it died again"
        );
        tombstones.lives(&10u64.to_le_bytes());
        assert_eq!(tombstones.version(&10u64.to_le_bytes()), None);
    }

    #[test]
    fn what_is_cleared_is_not_remembered_and_what_died_later_is() {
        let mut tombstones = Tombstones::default();
        tombstones.keep(true);
        (1..=9).for_each(|i: u64| tombstones.bury(&i.to_le_bytes(), i, i));
        tombstones.clear(5);
        assert_eq!(tombstones.cleared(), 5);
        assert_eq!(tombstones.version(&5u64.to_le_bytes()), None);
        assert_eq!(tombstones.version(&6u64.to_le_bytes()), Some(6));
        tombstones.clear(3);
        assert_eq!(tombstones.cleared(), 5, "it does not go back");
        tombstones.clear(9);
        assert_eq!((tombstones.dead.len(), tombstones.order.len()), (0, 0));
    }

    #[test]
    fn one_key_that_comes_and_goes_takes_bounded_room() {
        let mut tombstones = Tombstones::default();
        tombstones.keep(true);
        for i in 0..10 * MOST as u64 {
            tombstones.bury(b"key", i, i);
            tombstones.lives(b"key");
        }
        assert!(tombstones.order.len() <= 2 * MOST);
    }
}
