//! MEMORY but for USAGE, which the store answers.

use super::{Process, usage};
use crate::allocator::Allocator;
use crate::command::Reply;
use crate::store::{Policy, Store};

/// How much memory is used for what. Where there is no store, all that is resident is used.
pub(super) struct Memory {
    /// Bytes for keys and values, and what finds them.
    pub used: u64,
    /// The most that they were.
    pub peak: u64,
    /// Bytes that are used where there are no keys.
    pub startup: u64,
    /// Bytes of keys and values alone.
    pub data: u64,
    /// How many keys there are.
    pub keys: u64,
    /// Bytes of the whole process.
    pub resident: u64,
}

impl Memory {
    pub fn of(process: &Process, now: u64, store: Option<&Store>) -> Memory {
        let resident = usage::resident_bytes();
        match store {
            Some(store) => {
                let stats = store.stats(now);
                Memory {
                    used: store.memory() as u64,
                    peak: store.note_peak() as u64,
                    startup: store.memory_at_start() as u64,
                    data: stats.data_bytes as u64,
                    keys: stats.keys as u64,
                    resident,
                }
            }
            None => Memory {
                used: resident,
                peak: usage::peak_bytes(),
                startup: process.resident_at_start,
                data: 0,
                keys: 0,
                resident,
            },
        }
    }

    /// What is used for keys, one way or another.
    pub fn net(&self) -> u64 {
        self.used.saturating_sub(self.startup).max(1)
    }
}

impl Process {
    /// Bytes that its connections take.
    pub(super) fn memory_of_clients(&self) -> u64 {
        self.clients.memory(|id| self.exchange.state_of(id).1)
    }
}

/// So many of a hundred are a part of the whole.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 * 100.0 / whole as f64,
    }
}

/// MEMORY STATS: by Redis's names, what is known here. What connections take is no part of the
/// total, nor of what is more than data.
pub(super) fn stats(process: &Process, now: u64, store: Option<&Store>) -> Reply {
    let memory = Memory::of(process, now, store);
    let (used, resident) = (memory.used, memory.resident);
    let ratio = resident as f64 / used.max(1) as f64;
    let int = |name: &str, value: u64| (Reply::bulk(name), Reply::Int(value as i64));
    let double = |name: &str, value: f64| (Reply::bulk(name), Reply::Double(value));
    let mut found = vec![
        int("peak.allocated", memory.peak),
        int("total.allocated", used),
        int("startup.allocated", memory.startup),
        int("clients.normal", process.memory_of_clients()),
    ];
    found.extend(store.into_iter().flat_map(|store| databases(now, store)));
    found.extend([
        int("overhead.total", used.saturating_sub(memory.data)),
        int("keys.count", memory.keys),
        int(
            "keys.bytes-per-key",
            memory.net().checked_div(memory.keys).unwrap_or(0),
        ),
        int("dataset.bytes", memory.data),
        double("dataset.percentage", share(memory.data, memory.net())),
        double("peak.percentage", share(used, memory.peak)),
        int("allocator.resident", resident),
        double("fragmentation", ratio),
        int("fragmentation.bytes", resident.saturating_sub(used)),
    ]);
    Reply::Map(found)
}

/// What each database that has keys takes beside them.
fn databases(now: u64, store: &Store) -> impl Iterator<Item = (Reply, Reply)> {
    let numbers = 0..store.databases();
    numbers.filter_map(move |number| {
        let stats = store.stats_of(number, now);
        let int = |name: &str, value: usize| (Reply::bulk(name), Reply::Int(value as i64));
        let told = Reply::Map(vec![
            int("overhead.hashtable.main", stats.index_bytes),
            int("overhead.hashtable.expires", stats.deadline_bytes),
            int("overhead.hashtable.slot-to-keys", 0),
        ]);
        (stats.keys > 0).then(|| (Reply::bulk(format!("db.{number}")), told))
    })
}

/// MEMORY DOCTOR.
pub(super) fn doctor(store: Option<&Store>) -> Reply {
    let (resident, peak) = (usage::resident_bytes(), usage::peak_bytes());
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let used = store.map_or(0, Store::memory) as u64;
    let limit = store.map(Store::memory_limit).unwrap_or_default();
    let mut text = format!(
        "{} MiB are in use, {} at most so far; keys take {}. ",
        mib(resident),
        mib(peak),
        mib(used)
    );
    let before = text.len();
    if limit.most > 0 && used > limit.most {
        text.push_str("Keys take more than maxmemory: ");
        text.push_str(match limit.policy {
            Policy::NoEviction => "commands that need memory are refused, until some are deleted. ",
            _ => "some are being evicted, or none may be. ",
        });
    }
    if peak > resident + resident / 2 && mib(peak) > 5 {
        text.push_str("Much more was in use before: the peak was caused by a load that is over. ");
    }
    if used > 5 << 20 && resident > used + used / 2 + (32 << 20) {
        text.push_str(
            "Much that is resident is not of keys: connections take it, or it was freed and is \
             not given back; MEMORY PURGE does that. ",
        );
    }
    if text.len() == before {
        text.push_str("There is nothing to complain about.");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    Reply::Text(text)
}

/// MEMORY PURGE.
pub(super) fn purge(allocator: &Allocator) -> Reply {
    allocator.ask();
    Reply::OK
}

/// MEMORY MALLOC-STATS.
pub(super) fn allocator() -> Reply {
    Reply::Text("Stats not supported for the current allocator".into())
}

pub(super) fn help() -> Reply {
    super::lines(&[
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
        "HELP",
        "    Prints this help.",
    ])
}
