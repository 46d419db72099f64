//! DEBUG, as far as tests of clients need it: it tells of keys, makes them, sleeps, and answers
//! with any type of reply. It has to be allowed when the store is started, as with Redis.

use std::sync::Arc;

use super::{Caller, Door};
use crate::admin::Debugging;
use crate::command::number::integer;
use crate::command::{Command, Id, OwnedCommand, Reply};
use crate::limits;
use crate::store::Store;
use crate::waiting::Waiter;
use crate::wire::resp::Protocol;

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
            3 if is(b"error") => error(command.arg(2)),
            3 if is(b"log") => {
                let text = String::from_utf8_lossy(command.arg(2));
                tracing::warn!("DEBUG LOG: {text}");
                Reply::OK
            }
            3 if is(b"protocol") => protocol(caller.session.protocol, command.arg(2)),
            2 if is(b"digest") => status(store.digest(now)),
            2.. if is(b"digest-value") => Reply::Array(
                command
                    .args(2)
                    .map(|key| status(store.digest_of(caller.session.database, now, key)))
                    .collect(),
            ),
            3..=5 if is(b"populate") => {
                self.populate(now, (store, caller.session.database), command)
            }
            2.. if is(b"reload") || is(b"loadaof") => {
                Reply::error("ERR This server keeps nothing on disk: there is no file to read")
            }
            3 if is(b"object") => store
                .describe(caller.session.database, now, command.arg(2))
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

    /// DEBUG POPULATE count \[prefix\] \[size\]: strings `prefix:0`, `prefix:1` …, where there are
    /// none of these names.
    fn populate(&self, now: u64, (store, database): (&Store, u32), command: &Command<'_>) -> Reply {
        if self.ring.is_some() {
            return Reply::error("ERR DEBUG POPULATE is not for nodes of a ring: keys have owners");
        }
        let mut words = command.args(2);
        let number = |word| integer(word).and_then(|n| usize::try_from(n).ok());
        let count = words.next().and_then(number);
        let prefix = words.next().unwrap_or(b"key");
        let size = words.next().map_or(Some(0), number);
        let (Some(count), Some(size @ ..=limits::VALUE_BYTES)) = (count, size) else {
            return Reply::error("ERR value is out of range, must be positive");
        };
        for i in 0..count {
            let name = [prefix, b":", i.to_string().as_bytes()].concat();
            let mut value = format!("value:{i}").into_bytes();
            if size > 0 {
                value.resize(size, 0);
            }
            let set = OwnedCommand::new(Id::Setnx.spec(), [&b"setnx"[..], &name, &value]);
            let reply = store.execute_in(database, now, &set.as_command());
            if reply.is_error() {
                return reply;
            }
        }
        Reply::OK
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

/// Whether this is DEBUG SLEEP, and not for no time.
pub(super) fn sleeps(command: &Command<'_>) -> bool {
    let is_sleep = command.len() == 3 && command.arg(1).eq_ignore_ascii_case(b"sleep");
    is_sleep && milliseconds(command.arg(2)) > 0
}

/// A text made on the spot that is no data.
fn status(text: impl std::fmt::Display) -> Reply {
    Reply::Raw(format!("+{text}\r\n").into())
}

/// Seconds, as milliseconds.
fn milliseconds(seconds: &[u8]) -> u64 {
    let seconds: Option<f64> = std::str::from_utf8(seconds)
        .ok()
        .and_then(|s| s.parse().ok());
    seconds.filter(|s| *s > 0.0).map_or(0.0, |s| s * 1000.0) as u64
}

/// An error with the client's own text.
fn error(text: &[u8]) -> Reply {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let shown = text
        .iter()
        .map(|byte| if is_break(byte) { b' ' } else { *byte });
    let line = [b'-'].into_iter().chain(shown).chain(*b"\r\n");
    Reply::Raw(line.collect::<Vec<u8>>().into())
}

/// A reply of a type, as it is in this version of the protocol.
fn protocol(protocol: Protocol, name: &[u8]) -> Reply {
    let is_new = protocol == Protocol::Resp3;
    let raw = |newer: &'static str, older: &'static str| {
        Reply::Raw(if is_new { newer } else { older }.into())
    };
    let ints = || (0..3).map(Reply::Int);
    match name.to_ascii_lowercase().as_slice() {
        b"string" => Reply::bulk("Hello World"),
        b"integer" => Reply::Int(12345),
        b"double" => Reply::Double(3141.0 / 1000.0),
        b"null" => Reply::Null,
        b"array" => Reply::Array(ints().collect()),
        b"set" => Reply::Set(ints().collect()),
        b"map" => Reply::Map(
            (0..3)
                .map(|i| (Reply::Int(i), Reply::Bool(i == 1)))
                .collect(),
        ),
        b"attrib" => raw(
            "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply \
             following the attribute\r\n",
            "$39\r\nSome real reply following the attribute\r\n",
        ),
        b"push" => raw(
            ">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n$40\r\nSome real reply following the push \
             reply\r\n",
            "-ERR RESP2 is not supported by this command\r\n",
        ),
        b"verbatim" => Reply::Text("This is a verbatim\nstring".into()),
        b"true" => Reply::Bool(true),
        b"false" => Reply::Bool(false),
        b"bignum" => raw(
            "(1234567999999999999999999999999999999\r\n",
            "$37\r\n1234567999999999999999999999999999999\r\n",
        ),
        _ => Reply::error(
            "ERR Wrong protocol type name. Please use one of the following: string|integer|double|\
             bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ),
    }
}

fn help() -> Reply {
    const HELP: [&str; 24] = [
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DIGEST",
        "    Output a hex signature representing the content of all databases: that of a Redis 7.0",
        "    that holds the same. Of a ring's node, of the keys that it holds.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "OBJECT <key>",
        "    Show low level info about <key> and associated value.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>. If <prefix> is specified then",
        "    it is used instead of the 'key' prefix. Not for nodes of a ring.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim, true,",
        "    false.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background.",
        "SLEEP <seconds>",
        "    Answer after <seconds>. Decimals allowed.",
    ];
    let end = ["HELP", "    Prints this help."];
    Reply::Array(HELP.into_iter().chain(end).map(Reply::Status).collect())
}
