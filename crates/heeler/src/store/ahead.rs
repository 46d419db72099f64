//! What several commands look up is brought near before the first of them is executed: else each
//! waits for memory as often as its key is searched, one after the other.

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
    /// Commands for a database follow that are these requests: their raw bytes, and the places of
    /// their arguments. A hint, which changes nothing.
    pub fn expect<'r>(&self, database: u32, requests: impl Iterator<Item = (&'r [u8], &'r [Arg])>) {
        if self.memory.load(Ordering::Relaxed) < limits::NEAR_BYTES as isize {
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
        bring_near(&hashes, |hash| made(hash)?.try_lock());
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
            // One of many keys brings them near itself.
            if let [_, key, ..] = args
                && args.len() <= FEW_WORDS
            {
                add(&raw[key.start as usize..key.end as usize]);
            }
        }
        hashes
    }
}

/// Brings near what keys with these hashes are looked up by, of all of them at the same time: their
/// parts of the index, then their entries.
#[inline]
pub(super) fn bring_near<S: Deref<Target = Shard>>(
    hashes: &[u64],
    shard: impl Fn(u64) -> Option<S>,
) {
    let expected = || {
        let of_hash = |hash: &u64| Some((shard(*hash)?, *hash));
        hashes.iter().filter_map(of_hash)
    };
    expected().for_each(|(shard, hash)| shard.expect(hash));
    expected().for_each(|(shard, hash)| shard.expect_entry(hash));
}
