//! MEMORY but for USAGE, which the store answers.

use super::{Process, usage};
use crate::allocator::Allocator;
use crate::command::Reply;
use crate::store::{Policy, Store};

/// MEMORY STATS: by Redis's names, what is known here.
pub(super) fn stats(process: &Process, now: u64, store: Option<&Store>) -> Reply {
    let (resident, peak) = (usage::resident_bytes(), usage::peak_bytes());
    let keys = store.map_or(0, |store| store.stats(now).keys) as u64;
    let used = store.map_or(0, Store::memory) as u64;
    let data = store.map_or(0, |store| {
        used.saturating_sub(store.memory_at_start() as u64)
    });
    let share = |part: u64, whole: u64| match whole {
        0 => 0.0,
        whole => part as f64 * 100.0 / whole as f64,
    };
    let ratio = resident as f64 / used.max(1) as f64;
    let int = |name: &str, value: u64| (Reply::bulk(name), Reply::Int(value as i64));
    let double = |name: &str, value: f64| (Reply::bulk(name), Reply::Double(value));
    Reply::Map(vec![
        int("peak.allocated", peak),
        int("total.allocated", used),
        int("startup.allocated", process.resident_at_start),
        int("keys.count", keys),
        int("keys.bytes-per-key", data.checked_div(keys).unwrap_or(0)),
        int("dataset.bytes", data),
        double("dataset.percentage", share(data, resident)),
        double("peak.percentage", share(resident, peak)),
        int("allocator.resident", resident),
        double("fragmentation", ratio),
        int("fragmentation.bytes", resident.saturating_sub(used)),
    ])
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
