//! Prefetching: the processor is asked for what several commands look up before the first of them
//! is executed. Otherwise each of them waits for memory several times, one after the other.

use std::ops::Deref;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::Store;
use super::databases::spot;
use super::prefetch::prefetch_to_write;
use super::shard::Shard;
use super::view::shard_of;
use crate::command::Arg;
use crate::limits;

/// Words of a request up to which the first one after the name is taken for its key.
const FEW_WORDS: usize = 4;

impl Store {
    /// Prefetches what these requests for a database look up: their raw bytes, and the places of
    /// their arguments. A hint, which changes nothing.
    pub fn prefetch<'r>(
        &self,
        database: u32,
        requests: impl Iterator<Item = (&'r [u8], &'r [Arg])>,
    ) {
        if self.memory.load(Ordering::Relaxed) < limits::PREFETCH_FROM_BYTES as isize {
            return;
        }
        let hashes = self.hashes_of(requests);
        if hashes.len() < 2 {
            return;
        }
        let made = |hash| self.databases.made(spot(database, shard_of(hash)));
        hashes
            .iter()
            .filter_map(|hash| made(*hash))
            .for_each(prefetch_to_write);
        prefetch_keys(&hashes, |hash| made(hash)?.try_lock());
    }

    /// The hashes of the keys of these requests, without those that are equal to the one before.
    fn hashes_of<'r>(
        &self,
        requests: impl Iterator<Item = (&'r [u8], &'r [Arg])>,
    ) -> SmallVec<[u64; limits::REQUESTS_AHEAD]> {
        let mut hashes = SmallVec::new();
        let mut add = |key: &[u8]| {
            let hash = self.hashing.hash(key);
            if hashes.last() != Some(&hash) {
                hashes.push(hash);
            }
        };
        for (raw, args) in requests {
            // A command of many keys prefetches them itself.
            if let [_, key, ..] = args
                && args.len() <= FEW_WORDS
            {
                add(&raw[key.start as usize..key.end as usize]);
            }
        }
        hashes
    }
}

/// Prefetches what keys with these hashes are looked up by, for all of them at the same time: their
/// parts of the index, then their entries.
#[inline]
pub(super) fn prefetch_keys<S: Deref<Target = Shard>>(
    hashes: &[u64],
    shard: impl Fn(u64) -> Option<S>,
) {
    let keys = || {
        let of_hash = |hash: &u64| Some((shard(*hash)?, *hash));
        hashes.iter().filter_map(of_hash)
    };
    keys().for_each(|(shard, hash)| shard.prefetch_index(hash));
    keys().for_each(|(shard, hash)| shard.prefetch_entry(hash));
}
