//! DEBUG, as far as tests of clients need it: SLEEP, OBJECT, SET-ACTIVE-EXPIRE. It has to be
//! allowed when the store is started, as with Redis.

use std::sync::Arc;

use super::{Caller, Door};
use crate::admin::Debugging;
use crate::command::{Command, Reply};
use crate::store::Store;
use crate::waiting::Waiter;

impl Door {
    /// Answers DEBUG; `None` if the answer comes later.
    pub(super) fn debug(
        &self,
        now: u64,
        caller: &mut Caller,
        store: &Store,
        command: &Command<'_>,
    ) -> Option<Reply> {
        if !self.allows_debugging(caller) {
            return Some(Reply::error(
                "ERR DEBUG command not allowed. If the enable-debug-command option is set to \
                 \"local\", you can run it from a local connection, otherwise you need to set \
                 this option in the configuration file, and then restart the server.",
            ));
        }
        let is = |name: &[u8]| command.arg(1).eq_ignore_ascii_case(name);
        Some(match command.len() {
            2 if is(b"help") => help(),
            3 if is(b"sleep") => return self.sleep(now, caller, command),
            3 if is(b"object") => store
                .describe(now, command.arg(2))
                .map_or(Reply::error("ERR no such key"), Reply::Text),
            3 if is(b"set-active-expire") => {
                store.expire_actively(command.arg(2) != b"0");
                Reply::OK
            }
            _ => {
                let word = String::from_utf8_lossy(command.arg(1)).into_owned();
                Reply::error(format!(
                    "ERR unknown subcommand or wrong number of arguments for '{word}'. \
                     Try DEBUG HELP."
                ))
            }
        })
    }

    fn allows_debugging(&self, caller: &Caller) -> bool {
        let address = caller.origin.address();
        match self.process.debugging {
            Debugging::No => false,
            Debugging::Yes => true,
            Debugging::Local => ["127.", "[::1]", "/"]
                .iter()
                .any(|a| address.starts_with(a)),
        }
    }

    /// Answers so many seconds later. Other clients are not held up, as Redis would.
    fn sleep(&self, now: u64, caller: &mut Caller, command: &Command<'_>) -> Option<Reply> {
        let millis = milliseconds(command.arg(2));
        if millis == 0 || caller.session.transaction.is_some() {
            return Some(Reply::OK);
        }
        let until = Some(now.saturating_add(millis));
        // Nobody who waits in the store arrives that late.
        let (arrival, command) = (u64::MAX, command.to_owned());
        let waiter = Waiter::for_element(arrival, command, until, Reply::OK, caller.task.clone());
        self.start_waiting(caller, Arc::new(waiter));
        None
    }

    /// DEBUG SLEEP is over: it took as long as it was asked to.
    pub(super) fn has_slept(&self, now: u64, caller: &Caller, command: &Command<'_>) {
        let took = milliseconds(command.arg(2)).saturating_mul(1000);
        self.note(now, &caller.origin, command, took);
    }
}

/// Seconds, as milliseconds.
fn milliseconds(seconds: &[u8]) -> u64 {
    let seconds: Option<f64> = std::str::from_utf8(seconds)
        .ok()
        .and_then(|s| s.parse().ok());
    seconds.filter(|s| *s > 0.0).map_or(0.0, |s| s * 1000.0) as u64
}

fn help() -> Reply {
    const HELP: [&str; 9] = [
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "OBJECT <key>",
        "    Show low level info about <key> and associated value.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background.",
        "SLEEP <seconds>",
        "    Answer after <seconds>. Decimals allowed.",
        "HELP",
        "    Prints this help.",
    ];
    Reply::Array(HELP.map(Reply::Status).to_vec())
}
