//! CONFIG GET and SET.

use super::{Process, encodings};
use crate::command::number::integer;
use crate::command::pattern::matches;
use crate::command::{Command, Reply};
use crate::config::Secret;
use crate::limits;
use crate::store::Store;

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
    let mut found = vec![
        ("appendonly", text("no")),
        ("bind", process.bind.clone()),
        ("databases", text("1")),
        ("io-threads", process.counters.len().to_string()),
        ("list-compress-depth", text("0")),
        ("maxclients", process.clients.most().to_string()),
        ("maxmemory", text("0")),
        ("maxmemory-policy", text("noeviction")),
        (
            "notify-keyspace-events",
            store.map(Store::notified).unwrap_or_default(),
        ),
        ("port", process.port.to_string()),
        ("proto-max-bulk-len", limits::BULK_BYTES.to_string()),
        (
            "requirepass",
            process
                .password
                .secret()
                .map_or_else(String::new, |secret| secret.expose().to_owned()),
        ),
        ("save", String::new()),
        ("slowlog-log-slower-than", slower_than(process).to_string()),
        (
            "slowlog-max-len",
            process.slowlog.settings().length.to_string(),
        ),
        ("timeout", text("0")),
    ];
    found.extend(encodings::parameters(store));
    found.sort_unstable();
    found
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
            () if changes.iter().any(|(other, _)| is_same(other, name)) => {
                Some("duplicate parameter".into())
            }
            () => refuses(name, old, value),
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

/// Whether these are two names of one parameter.
fn is_same(name: &str, other: &str) -> bool {
    let limit = encodings::named(name);
    name == other || limit.is_some() && limit == encodings::named(other)
}

/// What is wrong with a value for a parameter, if something is.
fn refuses(name: &str, old: &str, value: &[u8]) -> Option<String> {
    if let Some(limit) = encodings::named(name) {
        return encodings::value(limit, value).err();
    }
    match name {
        "maxclients" => match integer(value) {
            Some(1..=0xffff_ffff) => None,
            Some(_) => Some("argument must be between 1 and 4294967295 inclusive".into()),
            None => Some("argument couldn't be parsed into an integer".into()),
        },
        "notify-keyspace-events" => {
            let is_known = |letter: &u8| b"Ag$lshzxetdnKE".contains(letter);
            let text = "Invalid event class character. Use 'Ag$lshzxetdnKE'.";
            (!value.iter().all(is_known)).then(|| text.into())
        }
        // Others than UTF-8 no file and no variable could hold either.
        "requirepass" => match std::str::from_utf8(value) {
            Ok(_) => None,
            Err(_) => Some("argument must be UTF-8".into()),
        },
        _ if old.as_bytes().eq_ignore_ascii_case(value) => None,
        _ => Some(format!("it is always '{old}' here")),
    }
}

fn change(process: &Process, store: Option<&Store>, name: &str, value: &[u8]) {
    if let (Some(store), Some(limit)) = (store, encodings::named(name)) {
        if let Ok(value) = encodings::value(limit, value) {
            store.set_encoding_limit(limit, value);
        }
        return;
    }
    match (name, store) {
        ("maxclients", _) => {
            let most = integer(value).and_then(|most| usize::try_from(most).ok());
            process
                .clients
                .set_most(most.unwrap_or(limits::CLIENTS).min(limits::CLIENTS));
        }
        ("requirepass", _) => {
            let text = String::from_utf8_lossy(value);
            let secret = (!text.is_empty()).then(|| Secret::new(text));
            process.password.set(secret);
        }
        ("notify-keyspace-events", Some(store)) => store.notify(value, &process.exchange),
        _ => {}
    }
}

/// In microseconds, -1 for never.
fn slower_than(process: &Process) -> i64 {
    let threshold = process.slowlog.threshold();
    threshold.map_or(-1, |micros| i64::try_from(micros).unwrap_or(i64::MAX))
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
