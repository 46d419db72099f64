//! CONFIG GET and SET.

use super::{Process, client_memory, encodings, settings, upheld};
use crate::command::number::integer;
use crate::command::pattern::matches;
use crate::command::{Command, Reply};
use crate::config::Secret;
use crate::limits;
use crate::log::REDIS_LEVELS;
use crate::store::{Lazy, Limit, MemoryLimit, Policy, Store, memory_bytes};

/// CONFIG GET pattern …: the parameters by Redis's names, so that tools find what they look for.
pub(super) fn get(process: &Process, store: Option<&Store>, command: &Command<'_>) -> Reply {
    let wanted = |name: &str| command.args(2).any(|p| matches(p, name.as_bytes(), true));
    let pairs = parameters(process, store)
        .into_iter()
        .filter(|(name, _)| wanted(name));
    Reply::Map(
        pairs
            .map(|(name, value)| (Reply::bulk(name), Reply::bulk(value)))
            .collect(),
    )
}

fn parameters(process: &Process, store: Option<&Store>) -> Vec<(&'static str, String)> {
    let text = String::from;
    let memory = store.map(Store::memory_limit).unwrap_or_default();
    let mut found = vec![
        ("appendonly", text("no")),
        ("bind", process.bind.clone()),
        ("databases", store.map_or(1, Store::databases).to_string()),
        ("io-threads", process.counters.len().to_string()),
        (
            "latency-monitor-threshold",
            process.latency.threshold().to_string(),
        ),
        ("latency-tracking", yes_no(process.latency.tracks())),
        (
            "latency-tracking-info-percentiles",
            told_percentiles(&process.latency.percentiles()),
        ),
        ("lfu-decay-time", memory.lfu_decay_minutes.to_string()),
        ("lfu-log-factor", memory.lfu_log_factor.to_string()),
        ("list-compress-depth", text("0")),
        ("maxclients", process.clients.most().to_string()),
        ("maxmemory", memory.most.to_string()),
        ("maxmemory-eviction-tenacity", memory.tenacity.to_string()),
        ("maxmemory-policy", text(memory.policy.name())),
        ("maxmemory-samples", memory.samples.to_string()),
        (
            "notify-keyspace-events",
            store.map(Store::notified).unwrap_or_default(),
        ),
        ("port", process.port.to_string()),
        (
            "rdbcompression",
            yes_no(store.is_none_or(Store::compresses)),
        ),
        ("proto-max-bulk-len", process.settings.bulk().to_string()),
        (
            "requirepass",
            process
                .password
                .secret()
                .map_or_else(String::new, |secret| secret.expose().to_owned()),
        ),
        ("save", String::new()),
        (
            "slowlog-log-slower-than",
            process.slowlog.slower_than().to_string(),
        ),
        ("slowlog-max-len", process.slowlog.length().to_string()),
    ];
    found.push(("timeout", process.settings.timeout().to_string()));
    found.extend(encodings::parameters(store));
    found.extend(store.into_iter().flat_map(|store| of_store(process, store)));
    found.sort_unstable();
    found
}

/// Those that a store alone has.
fn of_store(process: &Process, store: &Store) -> Vec<(&'static str, String)> {
    let (text, settings) = (String::from, &process.settings);
    let mut found = vec![
        ("activedefrag", text("no")),
        ("client-output-buffer-limit", settings.outputs()),
        ("client-query-buffer-limit", settings.query().to_string()),
        ("hz", settings.hz().to_string()),
        ("maxmemory-clients", process.client_memory.told()),
        ("protected-mode", text("no")),
        ("tcp-keepalive", settings.keepalive().to_string()),
        ("tracking-table-max-keys", store.most_tracked().to_string()),
    ];
    let log = process.log.iter();
    found.extend(log.map(|log| ("loglevel", text(log.redis_level()))));
    found.extend(process.upheld.parameters());
    let lazy = |lazy: Lazy| (lazy.name(), yes_no(store.is_lazy(lazy)));
    found.extend(Lazy::ALL.map(lazy));
    found
}

pub(super) fn yes_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.into()
}

/// Whether a value says yes or no, in whatever letters.
pub(super) fn said(value: &[u8]) -> Option<bool> {
    match value {
        v if v.eq_ignore_ascii_case(b"yes") => Some(true),
        v if v.eq_ignore_ascii_case(b"no") => Some(false),
        _ => None,
    }
}

/// What is wrong with what says neither yes nor no.
pub(super) fn no_answer(value: &[u8]) -> Option<String> {
    match said(value) {
        Some(_) => None,
        None => Some("argument must be 'yes' or 'no'".into()),
    }
}

/// The lazyfree parameter with a name.
fn lazy(name: &str) -> Option<Lazy> {
    Lazy::ALL.into_iter().find(|lazy| lazy.name() == name)
}

/// Parameters that Redis cannot change while it runs either.
const IMMUTABLE: [&str; 2] = ["databases", "io-threads"];

/// CONFIG SET parameter value …: all of them, or none.
pub(super) fn set(process: &Process, store: Option<&Store>, command: &Command<'_>) -> Reply {
    if !command.len().is_multiple_of(2) {
        return Reply::error("ERR syntax error");
    }
    let known = parameters(process, store);
    let mut changes: Vec<(&str, &[u8])> = Vec::new();
    let mut words = command.args(2);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let is_it = |(known, _): &&(&str, _)| name.eq_ignore_ascii_case(known.as_bytes());
        let Some((name, old)) = known.iter().find(is_it) else {
            let name = String::from_utf8_lossy(name);
            let what = "Unknown option or number of arguments for CONFIG SET";
            return Reply::error(format!("ERR {what} - '{name}'"));
        };
        let fault = match () {
            () if IMMUTABLE.contains(name) => Some("can't set immutable config".to_owned()),
            () if changes.iter().any(|(other, _)| other == name) => {
                Some("duplicate parameter".into())
            }
            () if store.is_none() => is_always(old, value),
            () => refuses(process, name, old, value),
        };
        if let Some(fault) = fault {
            return Reply::error(format!(
                "ERR CONFIG SET failed (possibly related to argument '{name}') - {fault}"
            ));
        }
        changes.push((name, value));
    }
    for (name, value) in changes {
        change(process, store, name, value);
    }
    Reply::OK
}

/// What is wrong with a value for a parameter, if something is.
fn refuses(process: &Process, name: &str, old: &str, value: &[u8]) -> Option<String> {
    if let Some(limit) = encodings::named(name) {
        // The bytes of a sketch can be read: those of copies at other nodes must be the same.
        return match limit == Limit::SketchBytes && process.ring.get().is_some() {
            true => is_always(old, value),
            false => encodings::value(limit, value).err(),
        };
    }
    if let Some(fault) = upheld::refuses(name, value) {
        return fault;
    }
    match name {
        "latency-monitor-threshold" => out_of_range(value, 0, i64::MAX),
        "rdbcompression" | "latency-tracking" => no_answer(value),
        _ if lazy(name).is_some() => no_answer(value),
        "activedefrag" => never(value, NO_DEFRAG),
        "protected-mode" => never(value, NO_PROTECTED_MODE),
        "loglevel" => {
            let levels = REDIS_LEVELS.map(|(level, _)| level);
            let is_known = |level: &&str| value.eq_ignore_ascii_case(level.as_bytes());
            none_of(levels.iter().any(is_known), &levels)
        }
        "hz" => out_of_range(value, 0, i64::from(i32::MAX)),
        "maxmemory-eviction-tenacity" => out_of_range(value, 0, 100),
        "latency-tracking-info-percentiles" => percentiles(value).err().map(str::to_owned),
        "slowlog-log-slower-than" => out_of_range(value, -1, i64::MAX),
        "slowlog-max-len" => out_of_range(value, 0, i64::MAX)
            .or_else(|| out_of_range(value, 0, i64::from(limits::SLOWLOG_MOST))),
        "maxclients" => out_of_range(value, 1, 0xffff_ffff)
            .or_else(|| process.clients.cannot_be(integer(value)?)),
        "maxmemory-clients" => client_memory::parse(value).err(),
        "tracking-table-max-keys" => out_of_range(value, 0, i64::MAX),
        "timeout" | "tcp-keepalive" => out_of_range(value, 0, i64::from(i32::MAX)),
        "proto-max-bulk-len" => no_memory_within(value, limits::BULK_BYTES),
        "client-query-buffer-limit" => no_memory_within(value, limits::REQUEST_BYTES),
        "client-output-buffer-limit" => settings::outputs(value).err(),
        "maxmemory-samples" => out_of_range(value, 1, i64::from(i32::MAX)),
        "lfu-decay-time" | "lfu-log-factor" => out_of_range(value, 0, i64::from(i32::MAX)),
        "maxmemory" => match memory_of(value) {
            Some(_) => None,
            None => Some("argument must be a memory value".into()),
        },
        "maxmemory-policy" => none_of(policy_of(value).is_some(), &POLICIES.map(Policy::name)),
        "notify-keyspace-events" => {
            let is_known = |letter: &u8| b"Ag$lshzxeKEtmdn".contains(letter);
            let text = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
            (!value.iter().all(is_known)).then(|| text.into())
        }
        // Others than UTF-8 no file and no variable could hold either.
        "requirepass" => match std::str::from_utf8(value) {
            Ok(_) => None,
            Err(_) => Some("argument must be UTF-8".into()),
        },
        _ => is_always(old, value),
    }
}

/// What is wrong with what is not known among some words.
fn none_of(is_known: bool, words: &[&str]) -> Option<String> {
    let told = || {
        format!(
            "argument(s) must be one of the following: {}",
            words.join(", ")
        )
    };
    (!is_known).then(told)
}

/// In Redis's words: our allocator is not that one.
const NO_DEFRAG: &str = "Active defragmentation cannot be enabled: it requires a Redis server \
                         compiled with a modified Jemalloc like the one shipped by default with \
                         the Redis source distribution";
const NO_PROTECTED_MODE: &str = "there is no protected mode here: set a password (requirepass, \
                                 --requirepass-file), or listen where only friends come in";

/// What is wrong with a yes where there is only no.
fn never(value: &[u8], why: &str) -> Option<String> {
    match said(value) {
        Some(false) => None,
        Some(true) => Some(why.into()),
        None => no_answer(value),
    }
}

/// Percentiles, parted by blanks; none are none.
fn percentiles(value: &[u8]) -> Result<Vec<f64>, &'static str> {
    let text = String::from_utf8_lossy(value);
    let mut told = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let percentile: f64 = word
            .parse()
            .map_err(|_| "Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&percentile) {
            return Err(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
            );
        }
        told.push(percentile);
    }
    Ok(told)
}

fn told_percentiles(percentiles: &[f64]) -> String {
    let told = percentiles.iter().map(f64::to_string);
    told.collect::<Vec<_>>().join(" ")
}

/// What is wrong with another value of what cannot be changed.
fn is_always(old: &str, value: &[u8]) -> Option<String> {
    let is_it = old.as_bytes().eq_ignore_ascii_case(value);
    (!is_it).then(|| format!("it is always '{old}' here"))
}

/// What is wrong with a number of bytes that is one megabyte at least.
fn no_memory_within(value: &[u8], most: usize) -> Option<String> {
    let least = limits::LEAST_LIMIT;
    match memory_of(value) {
        Some(bytes) if (least as u64..=most as u64).contains(&bytes) => None,
        Some(_) => Some(format!(
            "argument must be between {least} and {most} inclusive"
        )),
        None => Some("argument must be a memory value".into()),
    }
}

/// In the order in which Redis lists them.
const POLICIES: [Policy; 9] = [
    Policy::VolatileLru,
    Policy::VolatileLfu,
    Policy::VolatileRandom,
    Policy::VolatileTtl,
    Policy::AllkeysLru,
    Policy::AllkeysLfu,
    Policy::AllkeysRandom,
    Policy::NoEviction,
    Policy::AllkeysS3fifo,
];

fn policy_of(value: &[u8]) -> Option<Policy> {
    std::str::from_utf8(value).ok().and_then(Policy::named)
}

fn memory_of(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok().and_then(memory_bytes)
}

pub(super) fn out_of_range(value: &[u8], least: i64, most: i64) -> Option<String> {
    match integer(value) {
        Some(number) if (least..=most).contains(&number) => None,
        Some(_) => Some(format!(
            "argument must be between {least} and {most} inclusive"
        )),
        None => Some("argument couldn't be parsed into an integer".into()),
    }
}

/// Changes one parameter of the limit that memory has; whether it is one.
fn change_memory(limit: &mut MemoryLimit, name: &str, value: &[u8]) -> bool {
    let number = || integer(value).and_then(|number| u32::try_from(number).ok());
    match name {
        "maxmemory" => limit.most = memory_of(value).unwrap_or(limit.most),
        "maxmemory-policy" => limit.policy = policy_of(value).unwrap_or(limit.policy),
        "maxmemory-samples" => limit.samples = number().unwrap_or(limit.samples),
        "maxmemory-eviction-tenacity" => limit.tenacity = number().unwrap_or(limit.tenacity),
        "lfu-log-factor" => limit.lfu_log_factor = number().unwrap_or(limit.lfu_log_factor),
        "lfu-decay-time" => limit.lfu_decay_minutes = number().unwrap_or(limit.lfu_decay_minutes),
        _ => return false,
    }
    true
}

/// Changes one parameter of how connections are kept; whether it is one.
fn change_connections(process: &Process, store: Option<&Store>, name: &str, value: &[u8]) -> bool {
    let settings = &process.settings;
    let number = || {
        integer(value)
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(0)
    };
    let bytes = || memory_of(value).map_or(usize::MAX, |n| n as usize);
    match name {
        "maxclients" => process.clients.set_most(number() as usize),
        "timeout" => settings.set_timeout(number()),
        "hz" => settings.set_hz(number()),
        "tcp-keepalive" => settings.set_keepalive(number()),
        "proto-max-bulk-len" => {
            settings.set_bulk(bytes());
            store
                .into_iter()
                .for_each(|store| store.limit_strings(bytes()));
        }
        "client-query-buffer-limit" => settings.set_query(bytes()),
        "client-output-buffer-limit" => {
            for (class, limit) in settings::outputs(value).into_iter().flatten() {
                settings.set_output(class, limit);
                if class == settings::Class::Pubsub {
                    process.exchange.most_unread().set(limit.hard);
                }
            }
        }
        _ => return false,
    }
    true
}

/// As Redis does.
fn warn_if_used(store: &Store, most: u64) {
    let used = store.memory() as u64;
    if (1..used).contains(&most) {
        tracing::warn!(
            "maxmemory is {most} bytes from now on, and {used} are used: keys go, or writes are \
             refused"
        );
    }
}

fn change(process: &Process, store: Option<&Store>, name: &str, value: &[u8]) {
    if let Some(store) = store {
        let mut limit = store.memory_limit();
        if change_memory(&mut limit, name, value) {
            if name == "maxmemory" {
                warn_if_used(store, limit.most);
            }
            return store.limit_memory(limit);
        }
    }
    if let (Some(store), Some(limit)) = (store, encodings::named(name)) {
        if let Ok(value) = encodings::value(limit, value) {
            store.set_encoding_limit(limit, value);
        }
        return;
    }
    if let (Some(store), Some(lazy)) = (store, lazy(name)) {
        return store.set_lazy(lazy, said(value).unwrap_or(false));
    }
    if process.upheld.set(name, value) || change_connections(process, store, name, value) {
        return;
    }
    match (name, store) {
        ("slowlog-log-slower-than", _) => {
            let micros = integer(value);
            micros
                .into_iter()
                .for_each(|n| process.slowlog.set_slower_than(n));
        }
        ("slowlog-max-len", _) => {
            let length = integer(value).and_then(|length| usize::try_from(length).ok());
            let most = limits::SLOWLOG_MOST as usize;
            process.slowlog.set_length(length.unwrap_or(most));
        }
        ("latency-monitor-threshold", _) => {
            let millis = integer(value).and_then(|millis| u64::try_from(millis).ok());
            process.latency.set_threshold(millis.unwrap_or(0));
        }
        ("loglevel", _) => {
            let level = String::from_utf8_lossy(value);
            let log = process.log.iter();
            log.for_each(|log| log.set_redis_level(&level));
        }
        ("latency-tracking", _) => process.latency.track(said(value).unwrap_or(true)),
        ("latency-tracking-info-percentiles", _) => {
            percentiles(value)
                .into_iter()
                .for_each(|told| process.latency.tell_percentiles(told));
        }
        ("requirepass", _) => {
            let text = String::from_utf8_lossy(value);
            let secret = (!text.is_empty()).then(|| Secret::new(text));
            process.password.set(secret);
        }
        ("maxmemory-clients", _) => {
            let most = client_memory::parse(value);
            most.into_iter()
                .for_each(|most| process.client_memory.set(most));
        }
        ("tracking-table-max-keys", Some(store)) => {
            let most = integer(value).and_then(|keys| usize::try_from(keys).ok());
            store.track_at_most(most.unwrap_or(0));
        }
        ("rdbcompression", Some(store)) => store.compress(said(value).unwrap_or(true)),
        ("notify-keyspace-events", Some(store)) => store.notify(value, &process.exchange),
        _ => {}
    }
}

pub(super) fn help() -> Reply {
    super::lines(&[
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
        "HELP",
        "    Prints this help.",
    ])
}
