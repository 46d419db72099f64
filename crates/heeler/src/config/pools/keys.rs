//! The keys of a pool: one line for each, with what it allows.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use heeler_ring::{Distribution, Hash, HashTag, by_name};

use super::address::{self, ServerLine};
use super::password::{self, Source};
use super::{CrossSlot, Listen, Pool, Server, tls, warnings};
use crate::config::conceal::quoted;
use crate::config::diagnostic::{Finding, Findings};
use crate::config::document::{self, Block, Entry, Scalar};
use crate::config::secret::Secret;
use crate::config::tls::{Accept, Connect};
use crate::limits;

/// A key of a pool.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What to write: the allowed values.
    pub(super) allowed: &'static str,
    pub(super) set: fn(&mut Draft, &Scalar<'_>) -> Result<(), Fault>,
}

/// What is wrong with a value.
pub(super) struct Fault {
    pub(super) message: String,
    /// The part of the file that is meant.
    pub(super) at: Range<usize>,
    /// What to write instead, if that is more exact than what the key allows.
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>) -> Fault {
        Fault {
            message: message.into(),
            at,
            help: None,
        }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Fault {
        Fault {
            help: Some(help.into()),
            ..self
        }
    }
}

/// A pool while its keys are read: `None` is a key that has not come.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) listen: Option<Listen>,
    hash: Option<Hash>,
    hash_tag: Option<HashTag>,
    distribution: Option<Distribution>,
    timeout: Option<u32>,
    backlog: Option<u32>,
    client_connections: Option<u32>,
    tcpkeepalive: Option<bool>,
    reuseport: Option<bool>,
    redis: Option<bool>,
    redis_auth: Option<Secret>,
    redis_auth_from: Option<Source>,
    pub(super) tls: tls::Draft,
    redis_db: Option<u32>,
    preconnect: Option<bool>,
    auto_eject_hosts: Option<bool>,
    server_connections: Option<u32>,
    cross_slot: Option<CrossSlot>,
    server_retry_timeout: Option<u32>,
    server_failure_limit: Option<u32>,
    probe_interval: Option<u32>,
    probe_timeout: Option<u32>,
    resolve_interval: Option<u32>,
    pub(super) servers: Vec<ServerLine>,
    /// What is allowed, but not meant. The key's name is added where it is read.
    pub(super) warnings: Vec<Fault>,
}

const COUNT: &str = "a whole number from 0 to 2147483647";
const MILLISECONDS: &str = "a whole number of milliseconds from 0 to 2147483647";
const SWITCH: &str = "write true or false";

const KEYS: [Key; 24] = [
    Key {
        name: "listen",
        allowed: address::LISTEN,
        set: address::listen,
    },
    Key {
        name: "hash",
        allowed: "write one of one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, fnv1a_64, \
                  fnv1_32, fnv1a_32, hsieh, murmur, jenkins",
        set: |draft, value| named(value, Hash::from_name, "a hash function", &mut draft.hash),
    },
    Key {
        name: "hash_tag",
        allowed: "write the two characters that enclose the part to hash, in quotes: \"{}\"",
        set: |draft, value| {
            named(
                value,
                HashTag::from_name,
                "a pair of ASCII characters",
                &mut draft.hash_tag,
            )
        },
    },
    Key {
        name: "distribution",
        allowed: "write one of ketama, modula, random",
        set: |draft, value| {
            named(
                value,
                Distribution::from_name,
                "a distribution",
                &mut draft.distribution,
            )
        },
    },
    Key {
        name: "timeout",
        allowed: "write a whole number of milliseconds from 0 (no timeout) to 2147483647",
        set: |draft, value| number(value, MILLISECONDS, &mut draft.timeout),
    },
    Key {
        name: "backlog",
        allowed: "write a whole number from 0 to 2147483647, such as 512",
        set: |draft, value| number(value, COUNT, &mut draft.backlog),
    },
    Key {
        name: "client_connections",
        allowed: "write a whole number from 0 (no limit) to 2147483647",
        set: |draft, value| number(value, COUNT, &mut draft.client_connections),
    },
    Key {
        name: "tcpkeepalive",
        allowed: SWITCH,
        set: |draft, value| switch(value, &mut draft.tcpkeepalive),
    },
    Key {
        name: "reuseport",
        allowed: SWITCH,
        set: |draft, value| switch(value, &mut draft.reuseport),
    },
    Key {
        name: "redis",
        allowed: SWITCH,
        set: |draft, value| switch(value, &mut draft.redis),
    },
    Key {
        name: "redis_auth",
        allowed: "write the servers' password, or leave the key out",
        set: |draft, value| {
            draft.redis_auth = Some(Secret::new(value.text.clone()));
            Ok(())
        },
    },
    Key {
        name: "redis_auth_file",
        allowed: "write the path from the root of the file that holds the password, such as \
                  /etc/heeler/password",
        set: |draft, value| {
            draft.redis_auth_from = Some(Source::File(tls::file(value)?));
            Ok(())
        },
    },
    Key {
        name: "redis_auth_env",
        allowed: "write the name of the environment variable that holds the password, such as \
                  REDIS_PASSWORD",
        set: |draft, value| {
            draft.redis_auth_from = Some(Source::variable(value)?);
            Ok(())
        },
    },
    Key {
        name: "redis_db",
        allowed: "write the number of a database, such as 0",
        set: |draft, value| number(value, COUNT, &mut draft.redis_db),
    },
    Key {
        name: "preconnect",
        allowed: SWITCH,
        set: |draft, value| switch(value, &mut draft.preconnect),
    },
    Key {
        name: "auto_eject_hosts",
        allowed: SWITCH,
        set: |draft, value| switch(value, &mut draft.auto_eject_hosts),
    },
    Key {
        name: "server_connections",
        allowed: "write a whole number from 1 to 2147483647",
        set: |draft, value| {
            number(
                value,
                "a whole number from 1 to 2147483647",
                &mut draft.server_connections,
            )?;
            match draft.server_connections {
                Some(0) => Err(Fault::new(value.at.clone(), "a server needs a connection")),
                _ => Ok(()),
            }
        },
    },
    Key {
        name: "cross_slot",
        allowed: "write refuse, or first_key for twemproxy's way",
        set: |draft, value| named(value, CrossSlot::from_name, "known", &mut draft.cross_slot),
    },
    Key {
        name: "server_retry_timeout",
        allowed: "write a whole number of milliseconds from 0 to 2147483647, such as 30000",
        set: |draft, value| number(value, MILLISECONDS, &mut draft.server_retry_timeout),
    },
    Key {
        name: "server_failure_limit",
        allowed: "write a whole number from 0 to 2147483647, such as 2",
        set: |draft, value| number(value, COUNT, &mut draft.server_failure_limit),
    },
    Key {
        name: "probe_interval",
        allowed: "write a whole number of milliseconds from 0 (no probes) to 2147483647, such as \
                  1000",
        set: |draft, value| number(value, MILLISECONDS, &mut draft.probe_interval),
    },
    Key {
        name: "probe_timeout",
        allowed: "write a whole number of milliseconds from 1 to 2147483647, such as 1000",
        set: |draft, value| {
            number(value, MILLISECONDS, &mut draft.probe_timeout)?;
            match draft.probe_timeout {
                Some(0) => Err(Fault::new(value.at.clone(), "a probe needs time")),
                _ => Ok(()),
            }
        },
    },
    Key {
        name: "resolve_interval",
        allowed: "write a whole number of milliseconds from 0 (look names up only to connect) to \
                  2147483647, such as 30000",
        set: |draft, value| number(value, MILLISECONDS, &mut draft.resolve_interval),
    },
    Key {
        name: "servers",
        allowed: address::SERVER,
        set: address::server,
    },
];

fn keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(&tls::KEYS)
}

/// True for the name of a key.
pub(super) fn is_key(name: &str) -> bool {
    keys().any(|key| key.name == name)
}

/// The pool of a block, or `None` if what makes it a pool is missing. Every error is in `findings`.
pub(super) fn pool(block: &Block<'_>, text: &str, findings: &mut Findings<'_>) -> Option<Pool> {
    if !block.is_mapping {
        return None;
    }
    let mut draft = Draft::default();
    let mut places = HashMap::new();
    for entry in &block.entries {
        if let Err(finding) = set(&mut draft, entry, &mut places, findings) {
            push(finding, entry, block, text, findings);
        }
        for Fault { at, message, help } in draft.warnings.drain(..) {
            let warning = Finding::warning(at, message).pool(&block.name.text);
            let warning = warning.key(&entry.key.text);
            findings.push(help.into_iter().fold(warning, Finding::help));
        }
    }
    missing(&draft, &places, block, findings);
    let tls = std::mem::take(&mut draft.tls);
    let tls = tls::finish(tls, &draft.servers, &places, block, findings);
    let servers = servers(&mut draft, block, findings);
    let pool = finish(draft, &block.name.text, servers, tls)?;
    references(block, findings);
    warnings::report(&pool, block, findings);
    Some(pool)
}

/// Sets one key. `places` are those of the keys that have come.
fn set<'e>(
    draft: &mut Draft,
    entry: &'e Entry<'_>,
    places: &mut HashMap<&'e str, Range<usize>>,
    findings: &mut Findings<'_>,
) -> Result<(), Finding> {
    let name = &*entry.key.text;
    let at = entry.key.at.clone();
    let Some(key) = keys().find(|key| key.name == name) else {
        return Err(unknown(name, at));
    };
    if name == "redis_auth" {
        findings.hide(entry.value.at.clone());
    }
    let is_item = |first: &Range<usize>| document::LISTS.contains(&name) && *first == at;
    if let Some(first) = places.insert(key.name, at.clone())
        && name != "servers"
        && !is_item(&first)
    {
        let line = findings.line_of(&first);
        let fault = format!("the key is given twice, first on line {line}");
        return Err(Finding::error(at, fault)
            .key(name)
            .help("remove one of the two"));
    }
    if entry.value.text.is_empty() {
        let at = if entry.value.at.is_empty() {
            at
        } else {
            entry.value.at.clone()
        };
        return Err(Finding::error(at, "the value is missing")
            .key(name)
            .help(key.allowed));
    }
    (key.set)(draft, &entry.value).map_err(|Fault { message, at, help }| {
        let help = help.unwrap_or_else(|| key.allowed.to_owned());
        Finding::error(at, message).key(name).help(help)
    })
}

/// Adds what is wrong with an entry, or the missing blank that made a key part of a value.
fn push(
    fault: Finding,
    entry: &Entry<'_>,
    block: &Block<'_>,
    text: &str,
    findings: &mut Findings<'_>,
) {
    let blanks = document::missing_blanks(text, entry.value.at.clone(), is_key);
    match blanks.is_empty() {
        true => findings.push(fault.pool(&block.name.text)),
        false => blanks
            .into_iter()
            .for_each(|f| findings.push(f.pool(&block.name.text))),
    }
}

fn unknown(name: &str, at: Range<usize>) -> Finding {
    if name.is_empty() {
        return Finding::error(at, "the key is missing before the colon")
            .help("write 'key: value'");
    }
    let finding = Finding::error(at, "the key is unknown").key(name);
    let plain = name.to_lowercase().replace(['-', ' '], "_");
    let distance = |key: &Key| strsim::damerau_levenshtein(&plain, key.name);
    // A key of a thousand bytes is near none, and is not worth the comparison.
    let near = keys()
        .filter(|_| name.len() < 40)
        .min_by_key(|key| distance(key));
    match near.filter(|key| distance(key) <= 1 + key.name.len() / 4) {
        Some(key) => finding.help(format!("did you mean '{}'?", key.name)),
        None => {
            let known: Vec<&str> = keys().map(|key| key.name).collect();
            finding.help(format!("known keys are {}", known.join(", ")))
        }
    }
}

pub(super) fn named<T>(
    value: &Scalar<'_>,
    from_name: fn(&str) -> Option<T>,
    what: &str,
    slot: &mut Option<T>,
) -> Result<(), Fault> {
    match from_name(&value.text) {
        Some(known) => *slot = Some(known),
        None => {
            let message = format!("{} is not {what}", quoted(&value.text));
            let lower = value.text.trim().to_lowercase();
            let fault = Fault::new(value.at.clone(), message);
            return Err(match from_name(&lower) {
                Some(_) => fault.help(format!("write {lower}")),
                None => fault,
            });
        }
    }
    Ok(())
}

pub(super) fn switch(value: &Scalar<'_>, slot: &mut Option<bool>) -> Result<(), Fault> {
    *slot = Some(match &*value.text {
        "true" => true,
        "false" => false,
        other => {
            let message = format!("{} is not true or false", quoted(other));
            let fault = Fault::new(value.at.clone(), message);
            return Err(match other.trim().to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" | "y" => fault.help("write true"),
                "false" | "no" | "off" | "0" | "n" => fault.help("write false"),
                _ => fault,
            });
        }
    });
    Ok(())
}

fn number(value: &Scalar<'_>, what: &str, slot: &mut Option<u32>) -> Result<(), Fault> {
    match digits(&value.text) {
        Some(number) => *slot = Some(number),
        None => {
            let message = format!("{} is not {what}", quoted(&value.text));
            return Err(Fault::new(value.at.clone(), message));
        }
    }
    Ok(())
}

/// Digits only, as twemproxy reads a number: no sign, blank or base. `None` past 2147483647.
pub(super) fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|&number| number <= i32::MAX as u32)
}

/// Reports keys that a pool needs, or that need another.
fn missing(
    draft: &Draft,
    places: &HashMap<&str, Range<usize>>,
    block: &Block<'_>,
    findings: &mut Findings<'_>,
) {
    for (name, allowed) in [("listen", address::LISTEN), ("servers", address::SERVER)] {
        let reported = block.reported.iter().any(|key| key.text == name);
        if !places.contains_key(name) && !reported {
            let fault = Finding::error(
                block.name.at.clone(),
                format!("the key '{name}' is missing"),
            );
            findings.push(fault.pool(&block.name.text).help(allowed));
        }
    }
    if let Some(at) = places.get("servers").filter(|_| block.list.is_none()) {
        let first = block
            .entries
            .iter()
            .find(|entry| entry.key.text == "servers");
        // An empty value has its own error.
        if let Some(entry) = first.filter(|entry| !entry.value.text.is_empty()) {
            let help = match entry.value.text.starts_with('-') {
                true => "write a blank after the dash: '- host:port:weight name'",
                false => "write each on a line of its own: '- host:port:weight name'",
            };
            let fault = Finding::error(at.clone(), "the servers are not a list").key("servers");
            findings.push(fault.pool(&block.name.text).help(help));
        }
    }
    // A value of `redis` that is neither has its own error.
    let not_redis = draft.redis == Some(false) || !places.contains_key("redis");
    let passwords = password::KEYS.map(|key| (key, places.get(key)));
    let mut passwords = passwords
        .into_iter()
        .filter_map(|(key, at)| Some((key, at?)));
    for (key, at) in passwords.clone().filter(|_| not_redis) {
        let fault = Finding::error(at.clone(), "the key is only for Redis pools");
        let help = "write 'redis: true' in this pool, or remove the key";
        findings.push(fault.pool(&block.name.text).key(key).help(help));
    }
    if let (Some((first, at)), Some((second, again))) = (passwords.next(), passwords.next()) {
        let line = findings.line_of(at);
        let fault = format!("the password is given twice, by '{first}' on line {line}, too");
        let fault = Finding::error(again.clone(), fault).pool(&block.name.text);
        findings.push(fault.key(second).help("remove one of the two"));
    }
}

/// Keeps the places of keys that name what lies outside the file: it may turn out to be wrong.
fn references(block: &Block<'_>, findings: &mut Findings<'_>) {
    let names = |entry: &&Entry<'_>| {
        let key = &*entry.key.text;
        password::KEYS[1..].contains(&key) || tls::KEYS.iter().any(|known| known.name == key)
    };
    for entry in block.entries.iter().filter(names) {
        let place = Finding::error(entry.value.at.clone(), "");
        let place = place.pool(&block.name.text).key(&entry.key.text);
        // Only files are looked for by their names, and a variable's may be a password.
        let is_file = entry.key.text != "redis_auth_env";
        findings.refer(place, if is_file { &entry.value.text } else { "" });
    }
}

/// The servers in twemproxy's order. Names that are given twice are reported.
fn servers(draft: &mut Draft, block: &Block<'_>, findings: &mut Findings<'_>) -> Vec<Server> {
    let lines = std::mem::take(&mut draft.servers);
    let mut names: HashMap<&str, &Range<usize>> = HashMap::new();
    for ServerLine { server, at } in &lines {
        if let Some(first) = names.insert(&server.name, at) {
            let line = findings.line_of(first);
            let name = quoted(&server.name);
            let fault = format!("the server's name {name} is already that of line {line}");
            let fault = Finding::error(at.clone(), fault)
                .pool(&block.name.text)
                .key("servers");
            findings.push(fault.help("give each a name of its own: '- host:port:weight name'"));
        }
    }
    let placed: Vec<_> = lines.iter().map(|line| line.server.placed()).collect();
    by_name(&placed)
        .into_iter()
        .map(|i| lines[i].server.clone())
        .collect()
}

fn finish(
    draft: Draft,
    name: &str,
    servers: Vec<Server>,
    (tls, server_tls): (Option<Accept>, Option<Connect>),
) -> Option<Pool> {
    let milliseconds = |number: u32| Duration::from_millis(number.into());
    Some(Pool {
        name: name.to_owned(),
        listen: draft.listen?,
        hash: draft.hash.unwrap_or(Hash::Fnv1a64),
        hash_tag: draft.hash_tag,
        distribution: draft.distribution.unwrap_or(Distribution::Ketama),
        timeout: draft.timeout.filter(|&number| number > 0).map(milliseconds),
        backlog: draft.backlog.unwrap_or(512),
        client_connections: draft.client_connections.filter(|&number| number > 0),
        tcpkeepalive: draft.tcpkeepalive.unwrap_or(false),
        reuseport: draft.reuseport.unwrap_or(false),
        redis: draft.redis.unwrap_or(false),
        redis_auth: draft.redis_auth,
        redis_auth_from: draft.redis_auth_from,
        redis_db: draft.redis_db.unwrap_or(0),
        cross_slot: draft.cross_slot.unwrap_or_default(),
        preconnect: draft.preconnect.unwrap_or(false),
        auto_eject_hosts: draft.auto_eject_hosts.unwrap_or(false),
        server_connections: draft.server_connections.unwrap_or(1),
        server_retry_timeout: milliseconds(draft.server_retry_timeout.unwrap_or(30_000)),
        server_failure_limit: draft.server_failure_limit.unwrap_or(2),
        probe_interval: draft.probe_interval.map(milliseconds),
        probe_timeout: milliseconds(draft.probe_timeout.unwrap_or(limits::PROBE_TIMEOUT_MS)),
        resolve_interval: Some(
            draft
                .resolve_interval
                .unwrap_or(limits::RESOLVE_INTERVAL_MS),
        )
        .filter(|&number| number > 0)
        .map(milliseconds),
        tls,
        server_tls,
        servers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(name: &str) -> &'static str {
        KEYS.iter().find(|key| key.name == name).unwrap().allowed
    }

    #[test]
    fn the_allowed_values_are_all_there_are() {
        let hashes = Hash::ALL.map(Hash::name).join(", ");
        assert_eq!(allowed("hash"), format!("write one of {hashes}"));
        let distributions = Distribution::ALL.map(Distribution::name).join(", ");
        assert_eq!(
            allowed("distribution"),
            format!("write one of {distributions}")
        );
    }

    #[test]
    fn numbers_are_digits_up_to_an_int() {
        for (text, number) in [("0", 0), ("0400", 400), ("2147483647", 2147483647)] {
            assert_eq!(digits(text), Some(number));
        }
        for text in [
            "",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.5",
            "0x1",
            "2147483648",
            "4294967296",
            "٣",
        ] {
            assert_eq!(digits(text), None, "{text}");
        }
    }
}
