//! What is counted while requests pass by.

mod commands;
mod items;
mod pools;
mod prefixes;
mod times;

pub use commands::{Call, CommandCounters, CommandStats, CommandTotals, ErrorKind};
pub use items::{ITEM_STATS, ItemCounters, ItemStat, ItemStats};
pub use pools::{
    Field, ONE_LESS, POOL_FIELDS, PoolCounters, PoolStat, PoolStats, PoolTotals, SERVER_FIELDS,
    ServerStat, Traffic, WAITS_US,
};
pub use prefixes::Prefixes;
pub use times::most_micros;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one worker. Only it adds to them, so that no two threads fight over a line of
/// cache; whoever wants the whole adds them up.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Requests taken.
    pub requests: AtomicU64,
    /// How often a connection that sends much has let others have their turn.
    pub yields: AtomicU64,
    /// Bytes read from clients.
    pub input: AtomicU64,
    /// Bytes written to clients.
    pub output: AtomicU64,
}

impl Counters {
    /// Adds to a counter of the calling worker.
    pub fn add(counter: &AtomicU64, count: usize) {
        // A load and a store are cheaper than an addition that other threads may share.
        counter.store(counter.load(Relaxed).wrapping_add(count as u64), Relaxed);
    }

    /// Sets all to zero: `CONFIG RESETSTAT`.
    pub fn reset(&self) {
        let Counters {
            connections,
            requests,
            yields,
            input,
            output,
        } = self;
        for counter in [connections, requests, yields, input, output] {
            counter.store(0, Relaxed);
        }
    }
}
