//! SLOWLOG.

use crate::command::number::integer;
use crate::command::{Command, Id, Reply};
use crate::slowlog::{Entry, SlowLog, Whose};

/// How many entries SLOWLOG GET shows if it is not said.
const USUAL: usize = 10;

/// Answers a subcommand: about the commands of one pool, or of the store.
pub(super) fn answer(log: &SlowLog, command: &Command<'_>, pool: Option<&str>) -> Reply {
    let whose = Whose::Of(pool);
    match command.spec.id {
        Id::SlowlogGet => get(log, command, whose),
        Id::SlowlogLen => Reply::Int(log.len(whose) as i64),
        Id::SlowlogReset => {
            log.reset(whose);
            Reply::OK
        }
        _ => help(),
    }
}

/// SLOWLOG GET \[count\]: the newest entries, each in Redis's six fields.
fn get(log: &SlowLog, command: &Command<'_>, whose: Whose<'_>) -> Reply {
    let count = match command.len() {
        2 => USUAL,
        3 => match integer(command.arg(2)).filter(|&count| count >= -1) {
            // All of them.
            Some(-1) => usize::MAX,
            Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
            None => return Reply::error("ERR count should be greater than or equal to -1"),
        },
        _ => {
            let word = String::from_utf8_lossy(command.arg(1));
            return Reply::error(format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try SLOWLOG \
                 HELP."
            ));
        }
    };
    Reply::Array(log.latest(whose, count).iter().map(|e| told(e)).collect())
}

fn told(entry: &Entry) -> Reply {
    let words = entry.slow.words.iter().map(Reply::bulk).collect();
    Reply::Array(vec![
        Reply::Int(entry.id as i64),
        Reply::Int((entry.time / 1000) as i64),
        Reply::Int(i64::try_from(entry.slow.took).unwrap_or(i64::MAX)),
        Reply::Array(words),
        Reply::bulk(&entry.address),
        Reply::bulk(&entry.name),
    ])
}

fn help() -> Reply {
    super::lines(&[
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
        "HELP",
        "    Prints this help.",
    ])
}
