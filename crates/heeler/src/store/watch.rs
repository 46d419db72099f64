//! The keys of one shard that WATCH guards, with a version that each change raises.

use std::collections::BTreeMap;

use super::databases::{Spot, spot};
use super::view::shard_of;

/// A watched key at the version that it had. Give it back with `Store::unwatch`.
#[derive(Debug)]
#[must_use = "a watch stays in the store until it is given to `Store::unwatch`"]
pub struct Watched {
    pub(super) database: u32,
    pub(super) key: Box<[u8]>,
    pub(super) hash: u64,
    pub(super) version: u64,
}

impl Watched {
    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The database of the key.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// Where the shard of the key stands.
    pub(super) fn spot(&self) -> Spot {
        spot(self.database, shard_of(self.hash))
    }
}

/// The watched keys of a shard.
#[derive(Debug, Default)]
pub(super) struct Watches(BTreeMap<Box<[u8]>, Watch>);

#[derive(Debug)]
struct Watch {
    version: u64,
    holders: usize,
}

impl Watches {
    /// One more holder of the key; returns its version.
    pub(super) fn add(&mut self, key: &[u8]) -> u64 {
        if let Some(watch) = self.0.get_mut(key) {
            watch.holders += 1;
            return watch.version;
        }
        let watch = Watch {
            version: 0,
            holders: 1,
        };
        self.0.insert(key.into(), watch);
        0
    }

    /// One holder less.
    pub(super) fn drop(&mut self, key: &[u8]) {
        let Some(watch) = self.0.get_mut(key) else {
            return;
        };
        watch.holders -= 1;
        if watch.holders == 0 {
            self.0.remove(key);
        }
    }

    /// Notes a change of the key.
    pub(super) fn changed(&mut self, key: &[u8]) {
        if self.0.is_empty() {
            return;
        }
        if let Some(watch) = self.0.get_mut(key) {
            watch.version += 1;
        }
    }

    /// Whether the key has changed since it had that version.
    pub(super) fn is_unchanged(&self, key: &[u8], version: u64) -> bool {
        self.0.get(key).is_some_and(|w| w.version == version)
    }

    /// The keys that are watched.
    pub(super) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.keys().map(|key| &**key)
    }

    /// Whether no key is watched.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_by_those_who_watched_before_it() {
        let mut watches = Watches::default();
        let first = watches.add(b"k");
        watches.changed(b"k");
        let second = watches.add(b"k");
        assert!(!watches.is_unchanged(b"k", first));
        assert!(watches.is_unchanged(b"k", second));
        watches.drop(b"k");
        watches.drop(b"k");
        assert!(watches.is_empty());
    }
}
