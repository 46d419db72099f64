//! MEMORY but for USAGE, which the store answers.

use super::{Process, usage};
use crate::command::Reply;
use crate::store::Store;

/// MEMORY STATS: by Redis's names, what is known here.
pub(super) fn stats(process: &Process, now: u64, store: Option<&Store>) -> Reply {
    let (resident, peak) = (usage::resident_bytes(), usage::peak_bytes());
    let keys = store.map_or(0, |store| store.stats(now).keys) as u64;
    let data = resident.saturating_sub(process.resident_at_start);
    let share = |part: u64, whole: u64| match whole {
        0 => 0.0,
        whole => part as f64 * 100.0 / whole as f64,
    };
    let int = |name: &str, value: u64| (Reply::bulk(name), Reply::Int(value as i64));
    let double = |name: &str, value: f64| (Reply::bulk(name), Reply::Double(value));
    Reply::Map(vec![
        int("peak.allocated", peak),
        int("total.allocated", resident),
        int("startup.allocated", process.resident_at_start),
        int("keys.count", keys),
        int("keys.bytes-per-key", data.checked_div(keys).unwrap_or(0)),
        int("dataset.bytes", data),
        double("dataset.percentage", share(data, resident)),
        double("peak.percentage", share(resident, peak)),
    ])
}

/// MEMORY DOCTOR.
pub(super) fn doctor() -> Reply {
    let (resident, peak) = (usage::resident_bytes(), usage::peak_bytes());
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let mut text = format!(
        "{} MiB are in use, {} at most so far. ",
        mib(resident),
        mib(peak)
    );
    text.push_str(match peak > resident + resident / 2 && mib(peak) > 5 {
        true => "Much more was in use before: the peak was caused by a load that is over.\n",
        false => "There is nothing to complain about.\n",
    });
    Reply::Text(text)
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
