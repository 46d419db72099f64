//! What is counted of memcached's requests to a node, as `stats` tells it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;

use super::pools::{Row, add};

/// Something that is counted; each in memcached's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum ItemStat {
    CmdGet,
    CmdSet,
    CmdFlush,
    CmdTouch,
    CmdMeta,
    GetHits,
    GetMisses,
    DeleteMisses,
    DeleteHits,
    IncrMisses,
    IncrHits,
    DecrMisses,
    DecrHits,
    CasMisses,
    CasHits,
    CasBadval,
    TouchHits,
    TouchMisses,
    StoreTooLarge,
    StoreNoMemory,
    AuthCmds,
    AuthErrors,
    TotalItems,
}

/// All, in order, with the names that `stats` shows.
pub const ITEM_STATS: [(ItemStat, &str); 23] = [
    (ItemStat::CmdGet, "cmd_get"),
    (ItemStat::CmdSet, "cmd_set"),
    (ItemStat::CmdFlush, "cmd_flush"),
    (ItemStat::CmdTouch, "cmd_touch"),
    (ItemStat::CmdMeta, "cmd_meta"),
    (ItemStat::GetHits, "get_hits"),
    (ItemStat::GetMisses, "get_misses"),
    (ItemStat::DeleteMisses, "delete_misses"),
    (ItemStat::DeleteHits, "delete_hits"),
    (ItemStat::IncrMisses, "incr_misses"),
    (ItemStat::IncrHits, "incr_hits"),
    (ItemStat::DecrMisses, "decr_misses"),
    (ItemStat::DecrHits, "decr_hits"),
    (ItemStat::CasMisses, "cas_misses"),
    (ItemStat::CasHits, "cas_hits"),
    (ItemStat::CasBadval, "cas_badval"),
    (ItemStat::TouchHits, "touch_hits"),
    (ItemStat::TouchMisses, "touch_misses"),
    (ItemStat::StoreTooLarge, "store_too_large"),
    (ItemStat::StoreNoMemory, "store_no_memory"),
    (ItemStat::AuthCmds, "auth_cmds"),
    (ItemStat::AuthErrors, "auth_errors"),
    (ItemStat::TotalItems, "total_items"),
];

/// The counters of all threads.
#[derive(Debug, Default)]
pub struct ItemStats(Mutex<Vec<Arc<ItemCounters>>>);

/// Those of one thread, that only it adds to.
#[derive(Debug, Default)]
pub struct ItemCounters(Row<{ ITEM_STATS.len() }>);

impl ItemStats {
    /// Counters for one thread.
    pub fn join(&self) -> Arc<ItemCounters> {
        let counters = Arc::<ItemCounters>::default();
        self.0.lock().push(counters.clone());
        counters
    }

    /// What all threads have counted together, in the order of [`ITEM_STATS`].
    pub fn totals(&self) -> [u64; ITEM_STATS.len()] {
        let mut totals = [0; ITEM_STATS.len()];
        for thread in &*self.0.lock() {
            thread.0.add_to(&mut totals);
        }
        totals
    }

    /// Sets all to zero: `stats reset`.
    pub fn reset(&self) {
        for thread in &*self.0.lock() {
            thread
                .0
                .0
                .iter()
                .for_each(|counter| counter.store(0, Relaxed));
        }
    }
}

impl ItemCounters {
    /// Counts one.
    #[inline]
    pub fn count(&self, stat: ItemStat) {
        add(&self.0.0[stat as usize], 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_of_all_threads_until_it_is_reset() {
        let stats = ItemStats::default();
        for thread in [stats.join(), stats.join()] {
            thread.count(ItemStat::CmdGet);
            thread.count(ItemStat::TotalItems);
        }
        let totals = stats.totals();
        assert_eq!((totals[0], totals[22], totals[1]), (2, 2, 0));
        stats.reset();
        assert_eq!(stats.totals(), [0; ITEM_STATS.len()]);
        for (place, (stat, _)) in ITEM_STATS.into_iter().enumerate() {
            assert_eq!(stat as usize, place);
        }
    }
}
