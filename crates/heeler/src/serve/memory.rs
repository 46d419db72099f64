//! What keys may take of memory, and what is given back of it.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::{EVICTION_CYCLE, EXPIRE_CYCLE, Process};
use crate::allocator::Watermark;
use crate::store::{MemoryLimit, Store};
use crate::{clock, limits};

/// Limits what a new store may take. As Redis does, it says so where that is hardly meant.
pub fn limit(store: &Store, limit: MemoryLimit) {
    let (most, empty) = (limit.most, store.memory());
    if (1..limits::SMALL_STORE_BYTES).contains(&most) {
        tracing::warn!(
            "--maxmemory {most} is less than a megabyte, of which the empty store takes {empty} \
             bytes: is a unit missing (kb, mb, gb)?"
        );
    }
    store.limit_memory(limit);
}

/// Removes keys whose time is up and which nobody asks for, and gives memory back, as long as the
/// process lives.
pub async fn expire(store: Arc<Store>, process: Arc<Process>) {
    let giving = process.clone();
    let _giving = tokio::spawn(async move { giving.allocator.give_back().await });
    let mut mark = Watermark::default();
    loop {
        process.look_after(&store);
        let evict = || store.evict_some(clock::now(), limits::EXPIRE_BUDGET);
        process.latency.watch(EVICTION_CYCLE, evict);
        let round = || store.expire_due(clock::now(), limits::EXPIRE_BUDGET);
        let removed = process.latency.watch(EXPIRE_CYCLE, round);
        if removed >= limits::EXPIRE_BUDGET {
            // More may be due: others get their turn in between, then it goes on.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        if mark.has_fallen(store.memory(), store.freed_behind()) {
            process.allocator.ask();
        }
        tokio::time::sleep(Duration::from_millis(1000 / process.settings.hz())).await;
    }
}
