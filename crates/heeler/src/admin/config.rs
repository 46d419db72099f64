//! CONFIG GET.

use super::Process;
use crate::command::pattern::matches;
use crate::command::{Command, Reply};
use crate::limits;

/// CONFIG GET pattern …: the parameters by Redis's names, so that tools find what they look for.
pub(super) fn get(process: &Process, command: &Command<'_>) -> Reply {
    let wanted = |name: &str| command.args(2).any(|p| matches(p, name.as_bytes(), true));
    let pairs = parameters(process)
        .into_iter()
        .filter(|(name, _)| wanted(name));
    Reply::Map(
        pairs
            .map(|(name, value)| (Reply::bulk(name), Reply::bulk(value)))
            .collect(),
    )
}

fn parameters(process: &Process) -> Vec<(&'static str, String)> {
    let text = String::from;
    vec![
        ("appendonly", text("no")),
        ("bind", process.bind.clone()),
        ("databases", text("1")),
        ("hash-max-listpack-entries", text("128")),
        ("hash-max-listpack-value", text("64")),
        ("io-threads", process.counters.len().to_string()),
        ("list-max-listpack-size", text("-2")),
        ("maxclients", process.clients.most().to_string()),
        ("maxmemory", text("0")),
        ("maxmemory-policy", text("noeviction")),
        ("port", process.port.to_string()),
        ("proto-max-bulk-len", limits::BULK_BYTES.to_string()),
        ("requirepass", String::new()),
        ("save", String::new()),
        ("set-max-intset-entries", text("512")),
        ("slowlog-log-slower-than", slower_than(process).to_string()),
        (
            "slowlog-max-len",
            process.slowlog.settings().length.to_string(),
        ),
        ("timeout", text("0")),
        ("zset-max-listpack-entries", text("128")),
        ("zset-max-listpack-value", text("64")),
    ]
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
        "RESETSTAT",
        "    Reset the counters of INFO.",
        "HELP",
        "    Print this help.",
    ])
}
