//! INFO: the state of the process in sections of `name:value` lines, by Redis's names.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use super::memory::{Memory, share};
use super::{Process, REDIS_VERSION, persistence, usage};
use crate::command::{Command, Flags, Reply, TABLE};
use crate::pubsub::Topic;
use crate::stats::most_micros;
use crate::store::Store;

/// In Redis's order, and whether each is shown if none is asked for.
const SECTIONS: [(&str, bool); 13] = [
    ("server", true),
    ("clients", true),
    ("memory", true),
    ("persistence", true),
    ("stats", true),
    ("replication", true),
    ("cpu", true),
    ("commandstats", false),
    ("errorstats", true),
    ("latencystats", false),
    ("cluster", true),
    ("keyspace", true),
    ("ring", true),
];

/// INFO [section …].
pub(super) fn info(
    process: &Process,
    now: u64,
    command: &Command<'_>,
    store: Option<&Store>,
) -> Reply {
    let asked = |name: &str| {
        let mut words = command.args(1);
        words.any(|word| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let usual = command.len() == 1 || asked("default");
    let all = asked("all") || asked("everything");
    let wanted = |(name, is_usual): &(&str, bool)| asked(name) || all || (usual && *is_usual);
    let mut text = String::new();
    let in_ring = process.ring.get().is_some();
    let known = |(name, _): &(&str, bool)| match *name {
        "ring" => in_ring,
        "persistence" => store.is_some(),
        _ => true,
    };
    for (section, _) in SECTIONS.into_iter().filter(wanted).filter(known) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let title = section[..1].to_uppercase() + &section[1..];
        let title = if section == "cpu" {
            "CPU".into()
        } else {
            title
        };
        let _ = write!(text, "# {title}\r\n");
        match section {
            "commandstats" => {
                commands(process, &mut text);
                continue;
            }
            "errorstats" => {
                errors(process, &mut text);
                continue;
            }
            "latencystats" => {
                latencies(process, &mut text);
                continue;
            }
            "keyspace" => {
                keyspace(now, store, &mut text);
                continue;
            }
            _ => {}
        }
        for (name, value) in lines(section, process, now, store) {
            let _ = write!(text, "{name}:{value}\r\n");
        }
    }
    Reply::Text(text)
}

fn lines(
    section: &str,
    process: &Process,
    now: u64,
    store: Option<&Store>,
) -> Vec<(&'static str, String)> {
    match section {
        "server" => server(process, now, store.is_some()),
        "clients" => clients(process, store),
        "memory" => memory(process, now, store),
        "persistence" => persistence::lines(process),
        "stats" => stats(process, now, store),
        "replication" => replication(process),
        "cpu" => cpu(),
        // Nodes of a ring are none of a Redis Cluster.
        "cluster" => vec![("cluster_enabled", "0".into())],
        _ => process.ring.get().map_or_else(Vec::new, |ring| (ring.0)()),
    }
}

/// There are no replicas in Redis's sense, and never were: nothing was told to any.
fn replication(process: &Process) -> Vec<(&'static str, String)> {
    vec![
        ("role", "master".into()),
        ("connected_slaves", "0".into()),
        ("master_failover_state", "no-failover".into()),
        ("master_replid", process.run_id.clone()),
        ("master_repl_offset", "0".into()),
        ("repl_backlog_active", "0".into()),
    ]
}

fn server(process: &Process, now: u64, is_store: bool) -> Vec<(&'static str, String)> {
    let up = now.saturating_sub(process.started) / 1000;
    let executable = std::env::current_exe().unwrap_or_default();
    let mut found = vec![
        ("redis_version", REDIS_VERSION.into()),
        ("heeler_version", env!("CARGO_PKG_VERSION").into()),
        ("heeler_role", process.role.into()),
        ("redis_mode", "standalone".into()),
        ("os", std::env::consts::OS.into()),
        ("arch_bits", usize::BITS.to_string()),
        ("multiplexing_api", "epoll".into()),
        ("process_id", std::process::id().to_string()),
        ("run_id", process.run_id.clone()),
        ("tcp_port", process.port.to_string()),
        ("server_time_usec", (now * 1000).to_string()),
        ("uptime_in_seconds", up.to_string()),
        ("uptime_in_days", (up / 86_400).to_string()),
        ("threads", process.counters.len().to_string()),
    ];
    if is_store {
        let hz = process.settings.hz().to_string();
        found.extend([
            ("hz", hz.clone()),
            ("configured_hz", hz),
            ("lru_clock", ((now / 1000) & 0xff_ffff).to_string()),
        ]);
    }
    found.push(("executable", executable.display().to_string()));
    if is_store {
        found.push(("config_file", String::new()));
    }
    found
}

fn clients(process: &Process, store: Option<&Store>) -> Vec<(&'static str, String)> {
    let tracked = store.map(Store::tracked).unwrap_or_default();
    vec![
        ("connected_clients", process.clients.len().to_string()),
        ("maxclients", process.clients.most().to_string()),
        ("blocked_clients", process.clients.waiting().to_string()),
        ("tracking_clients", tracked.clients.to_string()),
    ]
}

/// What is used is what keys and values take, which is what `maxmemory` limits; the rest of what is
/// resident is the program, its connections, and what the allocator keeps.
fn memory(process: &Process, now: u64, store: Option<&Store>) -> Vec<(&'static str, String)> {
    let memory = Memory::of(process, now, store);
    let (used, resident) = (memory.used, memory.resident);
    let limit = store.map(Store::memory_limit).unwrap_or_default();
    let ratio = resident as f64 / used.max(1) as f64;
    let machine = usage::machine_bytes();
    let sized = |name, bytes: u64| (name, bytes.to_string());
    let percent = |name, percent: f64| (name, format!("{percent:.2}%"));
    vec![
        sized("used_memory", used),
        ("used_memory_human", human(used)),
        sized("used_memory_rss", resident),
        ("used_memory_rss_human", human(resident)),
        sized("used_memory_peak", memory.peak),
        ("used_memory_peak_human", human(memory.peak)),
        percent("used_memory_peak_perc", share(used, memory.peak)),
        sized("used_memory_overhead", used.saturating_sub(memory.data)),
        sized("used_memory_startup", memory.startup),
        sized("used_memory_dataset", memory.data),
        percent("used_memory_dataset_perc", share(memory.data, memory.net())),
        sized("total_system_memory", machine),
        ("total_system_memory_human", human(machine)),
        ("maxmemory", limit.most.to_string()),
        ("maxmemory_human", human(limit.most)),
        ("maxmemory_policy", limit.policy.name().into()),
        ("mem_fragmentation_ratio", format!("{ratio:.2}")),
        (
            "mem_fragmentation_bytes",
            (resident as i64 - used as i64).to_string(),
        ),
        ("mem_not_counted_for_evict", "0".into()),
        sized("mem_clients_normal", process.memory_of_clients()),
        ("mem_allocator", "mimalloc".into()),
        (
            "lazyfree_pending_objects",
            store.map_or(0, Store::discarded).to_string(),
        ),
        (
            "lazyfreed_objects",
            store.map_or(0, Store::freed_later).to_string(),
        ),
    ]
}

fn stats(process: &Process, now: u64, store: Option<&Store>) -> Vec<(&'static str, String)> {
    let stats = store.map(|s| s.stats(now)).unwrap_or_default();
    let tracked = store.map(Store::tracked).unwrap_or_default();
    let told: u64 = process.commands.error_codes().values().sum();
    let rates = process.rates.told();
    let kilobytes = |bytes: f64| format!("{:.2}", bytes / 1024.0);
    let stale = share(stats.overdue as u64, stats.expiring_keys as u64).min(100.0);
    vec![
        (
            "total_connections_received",
            process.sum(|c| &c.connections).to_string(),
        ),
        (
            "total_commands_processed",
            process.sum(|c| &c.requests).to_string(),
        ),
        ("instantaneous_ops_per_sec", format!("{:.0}", rates[0])),
        (
            "total_net_input_bytes",
            process.sum(|c| &c.input).to_string(),
        ),
        (
            "total_net_output_bytes",
            process.sum(|c| &c.output).to_string(),
        ),
        ("instantaneous_input_kbps", kilobytes(rates[1])),
        ("instantaneous_output_kbps", kilobytes(rates[2])),
        (
            "rejected_connections",
            process.refused.load(Relaxed).to_string(),
        ),
        ("expired_keys", stats.expired.to_string()),
        ("expired_stale_perc", format!("{stale:.2}")),
        ("evicted_keys", stats.evicted.to_string()),
        (
            "evicted_clients",
            process.client_memory.evicted().to_string(),
        ),
        ("keyspace_hits", stats.hits.to_string()),
        ("keyspace_misses", stats.misses.to_string()),
        (
            "pubsub_channels",
            process.exchange.count(Topic::Channel).to_string(),
        ),
        (
            "pubsub_patterns",
            process.exchange.count(Topic::Pattern).to_string(),
        ),
        (
            "pubsubshard_channels",
            process.exchange.count(Topic::ShardChannel).to_string(),
        ),
        ("tracking_total_keys", tracked.keys.to_string()),
        ("tracking_total_items", tracked.items.to_string()),
        ("tracking_total_prefixes", tracked.prefixes.to_string()),
        ("total_error_replies", told.to_string()),
    ]
}

fn cpu() -> Vec<(&'static str, String)> {
    let (user, system) = usage::cpu_seconds();
    vec![
        ("used_cpu_sys", format!("{system:.6}")),
        ("used_cpu_user", format!("{user:.6}")),
    ]
}

/// The commands that a store was asked for. Not all are timed: how long they took in all is told as
/// if the others had taken as long as those on average.
fn commands(process: &Process, text: &mut String) {
    let totals = process.commands.totals();
    for (spec, [calls, rejected, failed]) in TABLE.iter().zip(totals.calls) {
        if calls + rejected > 0 {
            let mean = process.commands.mean_micros(spec.id as usize);
            let all = (mean * calls as f64).round() as u64;
            let _ = write!(
                text,
                "cmdstat_{}:calls={calls},usec={all},usec_per_call={mean:.2},\
                 rejected_calls={rejected},failed_calls={failed}\r\n",
                spec.name,
            );
        }
    }
}

/// The errors that clients got, by code.
fn errors(process: &Process, text: &mut String) {
    let codes = process.commands.error_codes();
    for (code, count) in codes.iter().filter(|(code, _)| !code.is_empty()) {
        let _ = write!(text, "errorstat_{code}:count={count}\r\n");
    }
}

/// Of commands that were timed, how long so many of a hundred took at most, as LATENCY HISTOGRAM
/// knows it.
fn latencies(process: &Process, text: &mut String) {
    let percentiles = process.latency.percentiles();
    let shown = TABLE.iter().filter(|s| !s.flags.has(Flags::HIDDEN));
    for spec in shown {
        let Some(counts) = process.commands.times(spec.id as usize) else {
            continue;
        };
        let all: u64 = counts.iter().sum();
        let micros = |percent: f64| {
            let wanted = (all as f64 * percent / 100.0).ceil() as u64;
            let mut sum = 0;
            let step = counts.iter().position(|count| {
                sum += count;
                sum >= wanted
            });
            most_micros(step.unwrap_or(counts.len() - 1))
        };
        let told = percentiles
            .iter()
            .map(|p| format!("p{p}={}.000", micros(*p)));
        let told = told.collect::<Vec<_>>().join(",");
        let _ = write!(text, "latency_percentiles_usec_{}:{told}\r\n", spec.name);
    }
}

/// A line for each database that has keys.
fn keyspace(now: u64, store: Option<&Store>, text: &mut String) {
    let Some(store) = store else {
        return;
    };
    for database in 0..store.databases() {
        let stats = store.stats_of(database, now);
        let (keys, expires, ttl) = (stats.keys, stats.expiring_keys, stats.average_ttl);
        if keys > 0 {
            let _ = write!(
                text,
                "db{database}:keys={keys},expires={expires},avg_ttl={ttl}\r\n"
            );
        }
    }
}

/// Bytes with a unit, as Redis shows them.
fn human(bytes: u64) -> String {
    let units = [
        (1u64 << 40, "T"),
        (1 << 30, "G"),
        (1 << 20, "M"),
        (1 << 10, "K"),
    ];
    match units.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.2}{unit}", bytes as f64 / size as f64),
        None => format!("{bytes}B"),
    }
}
