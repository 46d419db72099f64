//! Requests to a cache, and how many of them a policy of eviction answers. All is seeded, and time
//! is a count of requests, so that the same numbers come every time.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;
use heeler::command::{OwnedCommand, Reply};
use heeler::store::{MemoryLimit, Policy, Store};

/// Which keys are asked for, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Some keys much more often than others: the n-th most wanted 1/n times as often as the first.
    Zipf,
    /// The same, and in between, every other request, keys that are asked for once and never again:
    /// what a scan through a table does, or a crawler.
    Scans,
}

/// How large a run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Keys that are asked for again and again.
    pub keys: usize,
    /// Requests; the first half only fills the cache.
    pub requests: usize,
    /// Bytes of memory for keys beyond those of an empty store.
    pub memory: u64,
}

impl Trace {
    /// Calls `ask` with each key.
    pub fn play(self, size: Size, mut ask: impl FnMut(u64)) {
        let mut sum = 0.0;
        let weight = |n: usize| 1.0 / n as f64;
        let upto: Vec<f64> = (1..=size.keys)
            .map(|n| {
                sum += weight(n);
                sum
            })
            .collect();
        let (mut random, mut once) = (Rng::with_seed(7), size.keys as u64);
        for request in 0..size.requests {
            if self == Trace::Scans && request % 2 == 1 {
                once += 1;
                ask(once);
            } else {
                let at = random.f64() * sum;
                ask(upto.partition_point(|upto| *upto < at) as u64);
            }
        }
    }
}

/// Requests that were answered of those of the second half, and how many keys there were room for.
#[derive(Clone, Copy, Debug)]
pub struct Hits {
    pub ratio: f64,
    pub room: usize,
}

/// Asks a store for each key, and stores it where it was absent.
pub fn with_policy(trace: Trace, size: Size, policy: Policy) -> Hits {
    let store = Store::new(1);
    store.limit_memory(MemoryLimit {
        most: store.memory() as u64 + size.memory,
        policy,
        ..MemoryLimit::default()
    });
    let (mut now, mut hits, mut counted) = (0, 0, 0);
    let value = "v".repeat(64);
    trace.play(size, |key| {
        now += 1;
        let key = format!("key:{key:012}");
        let is_hit = run(&store, now, &["GET", &key]) != Reply::Null;
        if !is_hit {
            assert_eq!(run(&store, now, &["SET", &key, &value]), Reply::OK);
        }
        if now as usize > size.requests / 2 {
            counted += 1;
            hits += usize::from(is_hit);
        }
    });
    Hits {
        ratio: hits as f64 / f64::from(counted),
        room: store.stats(now).keys,
    }
}

fn run(store: &Store, now: u64, words: &[&str]) -> Reply {
    let command = OwnedCommand::resolve(words).expect("a command of the table");
    store.execute(now, &command.as_command())
}

/// A cache that always evicts the key that was used least lately of all.
pub fn with_exact_lru(trace: Trace, size: Size, room: usize) -> Hits {
    let (mut last, mut order) = (HashMap::new(), BTreeMap::new());
    let (mut now, mut hits, mut counted) = (0usize, 0, 0);
    trace.play(size, |key| {
        now += 1;
        let before = last.insert(key, now);
        let is_hit = before.is_some_and(|before| order.remove(&before).is_some());
        order.insert(now, key);
        if order.len() > room
            && let Some((_, evicted)) = order.pop_first()
        {
            last.remove(&evicted);
        }
        if now > size.requests / 2 {
            counted += 1;
            hits += usize::from(is_hit);
        }
    });
    Hits {
        ratio: hits as f64 / f64::from(counted),
        room,
    }
}
