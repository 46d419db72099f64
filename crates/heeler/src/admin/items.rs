//! What memcached's `stats` tells of this process: its names, as far as they mean something here.

use std::fmt::Write;

use super::{Process, usage};
use crate::limits;
use crate::stats::{ITEM_STATS, ItemStat};
use crate::store::{Policy, Store};

/// The version of memcached whose protocol is spoken.
pub const MEMCACHED_VERSION: &str = "1.6.18";

const USAGE: &str = "CLIENT_ERROR usage: stats detail on|off|dump\r\n";
const NO_DUMP: &str = "CLIENT_ERROR stats cachedump not allowed\r\n";
const NO_SIZES: &str = "CLIENT_ERROR sizes of items are not counted\r\n";

/// The reply to `stats`, given the words behind it.
pub(super) fn stats(process: &Process, now: u64, store: &Store, words: &[&[u8]]) -> String {
    let lines = match words {
        [] => general(process, now, store),
        [b"settings", ..] => settings(process, store),
        [b"items", ..] => items(store, now),
        [b"slabs", ..] => slabs(process, store, now),
        [b"conns", ..] => process.clients.as_items(now),
        [b"sizes", ..] => vec![("sizes_status".into(), "disabled".into())],
        [b"reset", ..] => {
            process.items.reset();
            process.prefixes.reset();
            return "RESET\r\n".into();
        }
        [b"detail", b"dump", ..] => return process.prefixes.lines(),
        [b"detail", word @ (b"on" | b"off"), ..] => {
            process.prefixes.set(*word == b"on");
            return "OK\r\n".into();
        }
        [b"detail", ..] => return USAGE.into(),
        [b"cachedump", ..] => return NO_DUMP.into(),
        [b"sizes_enable" | b"sizes_disable", ..] => return NO_SIZES.into(),
        _ => return "ERROR\r\n".into(),
    };
    let mut text = String::new();
    for (name, value) in lines {
        let _ = write!(text, "STAT {name} {value}\r\n");
    }
    text + "END\r\n"
}

type Lines = Vec<(String, String)>;

fn general(process: &Process, now: u64, store: &Store) -> Lines {
    let (user, system) = usage::cpu_seconds();
    let of_store = store.stats_of(0, now);
    let connections = process.clients.len();
    let mut lines: Lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push((name.into(), value));
    line("pid", std::process::id().to_string());
    line(
        "uptime",
        (now.saturating_sub(process.started) / 1000).to_string(),
    );
    line("time", (now / 1000).to_string());
    line("version", MEMCACHED_VERSION.into());
    line("heeler_version", env!("CARGO_PKG_VERSION").into());
    line("pointer_size", usize::BITS.to_string());
    line("rusage_user", format!("{user:.6}"));
    line("rusage_system", format!("{system:.6}"));
    line("max_connections", process.clients.most().to_string());
    line("curr_connections", connections.to_string());
    line(
        "total_connections",
        process.sum(|c| &c.connections).to_string(),
    );
    let refused = process.refused.load(std::sync::atomic::Ordering::Relaxed);
    line("rejected_connections", refused.to_string());
    line("connection_structures", connections.to_string());
    let yields = process.sum(|c| &c.yields);
    line("conn_yields", yields.to_string());
    for ((stat, name), count) in ITEM_STATS.into_iter().zip(process.items.totals()) {
        if stat != ItemStat::TotalItems {
            line(name, count.to_string());
        }
    }
    line("bytes_read", process.sum(|c| &c.input).to_string());
    line("bytes_written", process.sum(|c| &c.output).to_string());
    line("limit_maxbytes", most_bytes(store).to_string());
    line("accepting_conns", "1".into());
    line("threads", process.counters.len().to_string());
    line("bytes", store.memory().to_string());
    line("curr_items", of_store.keys.to_string());
    let totals = process.items.totals();
    line(
        "total_items",
        totals[ItemStat::TotalItems as usize].to_string(),
    );
    line("evictions", of_store.evicted.to_string());
    line("reclaimed", of_store.expired.to_string());
    lines.extend(NEVER.map(|name| (name.into(), "0".into())));
    lines
}

/// What does not happen here: there are no slabs that move, no queues that a thread tends, no log
/// to watch, and who is too many is turned away. Tools that ask for them find them.
const NEVER: [&str; 17] = [
    "listen_disabled_num",
    "time_in_listen_disabled_us",
    "hash_is_expanding",
    "slab_reassign_running",
    "slabs_moved",
    "lru_crawler_running",
    "lru_crawler_starts",
    "lru_maintainer_juggles",
    "malloc_fails",
    "log_worker_dropped",
    "log_watchers",
    "slab_global_page_pool",
    "crawler_reclaimed",
    "crawler_items_checked",
    "lrutail_reflocked",
    "direct_reclaims",
    "lru_bumps_dropped",
];

/// 0 for any number.
fn most_bytes(store: &Store) -> u64 {
    store.memory_limit().most
}

fn settings(process: &Process, store: &Store) -> Lines {
    let most_bytes = most_bytes(store).to_string();
    let evicts = store.memory_limit().policy != Policy::NoEviction;
    let most = process.clients.most().to_string();
    let threads = process.counters.len().to_string();
    let item_size = limits::VALUE_BYTES.to_string();
    let backlog = limits::BACKLOG.to_string();
    let detail = if process.prefixes.is_on() {
        "yes"
    } else {
        "no"
    };
    [
        ("maxbytes", most_bytes.as_str()),
        ("maxconns", &most),
        ("udpport", "0"),
        ("verbosity", "0"),
        ("evictions", if evicts { "on" } else { "off" }),
        ("shutdown_command", "no"),
        ("num_threads", &threads),
        ("detail_enabled", detail),
        ("cas_enabled", "yes"),
        ("tcp_backlog", &backlog),
        ("binding_protocol", "ascii"),
        ("auth_enabled_sasl", "no"),
        ("item_size_max", &item_size),
        ("slab_reassign", "no"),
        ("lru_crawler", "no"),
        ("flush_enabled", "yes"),
        ("dump_enabled", "no"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into()
}

/// All keys are one class.
fn items(store: &Store, now: u64) -> Lines {
    let stats = store.stats_of(0, now);
    if stats.keys == 0 {
        return Vec::new();
    }
    [
        ("number", stats.keys as u64),
        ("evicted", stats.evicted),
        ("outofmemory", 0),
        ("reclaimed", stats.expired),
    ]
    .map(|(name, value)| (format!("items:1:{name}"), value.to_string()))
    .into()
}

fn slabs(process: &Process, store: &Store, now: u64) -> Lines {
    let keys = store.stats_of(0, now).keys;
    let mut lines: Lines = Vec::new();
    if keys > 0 {
        lines.push(("1:used_chunks".into(), keys.to_string()));
        let shown = |stat| {
            use ItemStat::{CasBadval, CasHits, CmdSet, DecrHits, DeleteHits, GetHits, IncrHits};
            let shown = [
                GetHits, CmdSet, DeleteHits, IncrHits, DecrHits, CasHits, CasBadval,
            ];
            shown.contains(&stat) || stat == ItemStat::TouchHits
        };
        for ((stat, name), count) in ITEM_STATS.into_iter().zip(process.items.totals()) {
            if shown(stat) {
                lines.push((format!("1:{name}"), count.to_string()));
            }
        }
    }
    lines.push(("active_slabs".into(), usize::from(keys > 0).to_string()));
    let resident = usage::resident_bytes().to_string();
    lines.push(("total_malloced".into(), resident));
    lines
}
