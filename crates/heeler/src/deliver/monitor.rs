//! MONITOR: each command that clients of this node have executed is told to whoever asks, as Redis
//! tells it:
//!
//! ```text
//!   +1339518083.107412 [0 127.0.0.1:60866] "set" "key" "value"
//! ```
//!
//! Before the address stands the database that is selected once the command has run.
//!
//! Told are commands that have run, whatever their reply was, but no administrative ones, no
//! secrets, and of a transaction its commands when they are executed. Where nobody monitors, this
//! costs a look at a number that nobody writes.

use std::io::Write;

use super::blocked::Blocked;
use super::{Behind, Caller, Door};
use crate::clock;
use crate::command::{Command, Flags, Id, Reply};
use crate::limits;
use crate::slowlog::{Origin, REDACTED, are_secret};
use crate::stats::ErrorKind;

impl Door {
    /// Whether commands are looked at before and after they run: by a pause, which may hold them
    /// back, or by who monitors. Those of a proxy never are.
    #[inline]
    fn looks_on(&self) -> bool {
        let process = &self.process;
        matches!(self.behind, Behind::Node(_)) && (process.pause.is_set() | process.monitors.any())
    }

    /// Runs a command, unless a pause holds it back, and tells who monitors.
    #[inline]
    pub(super) fn run_or_pause(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        match self.looks_on() {
            false => self.run(now, caller, command),
            true => self.run_watched(now, caller, command),
        }
    }

    #[cold]
    fn run_watched(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        if self.process.pause.is_set() && self.pauses(now, caller, command) {
            return;
        }
        if caller.session.monitors && touches_keys(command) {
            caller.session.spoil();
            let refused = Reply::error("ERR Replica can't interact with the keyspace");
            self.rejected(Some(command.spec), ErrorKind::Usage, &refused);
            return self.answer(caller, command, &refused);
        }
        let is_queued = caller.session.queues(command);
        self.run(now, caller, command);
        // An EXEC elsewhere is told when it is known what it has executed.
        let is_put_off = caller.sent.is_some()
            || matches!(
                caller.blocked,
                Some(Blocked::Behind(_) | Blocked::Held(..) | Blocked::Paused(..))
            );
        if !is_queued && !is_put_off {
            self.tell_monitors(caller, command);
        }
        if caller.session.monitors {
            // What it has done itself is told right after its reply.
            caller.take_all_messages();
        }
    }

    /// The commands of a transaction have been executed, each in its database.
    pub(super) fn tell_monitors_of_all<'a>(
        &self,
        origin: &Origin,
        commands: impl Iterator<Item = (u32, Command<'a>)>,
    ) {
        commands.for_each(|(database, command)| self.tell_all(origin, database, &command));
    }

    /// A command of this client has been executed.
    pub(super) fn tell_monitors(&self, caller: &Caller, command: &Command<'_>) {
        self.tell_all(&caller.origin, caller.session.database, command);
    }

    fn tell_all(&self, origin: &Origin, database: u32, command: &Command<'_>) {
        let is_hidden = command.spec.id == Id::Quit || command.spec.flags.has(Flags::ADMIN);
        if !is_hidden && self.process.monitors.any() {
            let words: Vec<&[u8]> = command.args(0).collect();
            let told = line(clock::micros(), (database, origin.address()), &words);
            self.process.monitors.tell(&told);
        }
    }

    /// MONITOR. Who does so already gets no reply, as from Redis.
    pub(super) fn monitor(&self, caller: &mut Caller) {
        if caller.session.monitors {
            return caller.session.pipeline.answer_nothing();
        }
        caller.session.monitors = true;
        let inbox = caller.inbox(&self.process.exchange);
        self.process.monitors.join(&inbox);
        self.process.clients.monitors(caller.session.id, true);
        caller.session.answer(&Reply::OK);
    }

    /// The connection monitors no more.
    pub(super) fn stop_monitoring(&self, caller: &mut Caller) {
        if std::mem::take(&mut caller.session.monitors) {
            self.process.monitors.leave(caller.session.id);
            self.process.clients.monitors(caller.session.id, false);
        }
    }
}

/// What one who monitors may not do: Redis takes him for a replica.
fn touches_keys(command: &Command<'_>) -> bool {
    let may_replicate = matches!(command.spec.id, Id::Publish | Id::Spublish | Id::Pfcount);
    may_replicate || command.spec.is_write() || command.spec.flags.has(Flags::READONLY)
}

/// The line that tells of a command at a time in microseconds since 1970. One that is longer than
/// what an inbox holds is cut there: nobody gets it.
fn line(micros: u64, (database, address): (u32, &str), words: &[&[u8]]) -> Vec<u8> {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let mut out = Vec::with_capacity(64 + words.iter().map(|word| word.len() + 3).sum::<usize>());
    // Of a connection through a Unix socket the path is told.
    let path = address.strip_suffix(":0").filter(|a| a.starts_with('/'));
    let _ = match path {
        Some(path) => write!(out, "+{seconds}.{micros:06} [{database} unix:{path}]"),
        None => write!(out, "+{seconds}.{micros:06} [{database} {address}]"),
    };
    let is_secret = are_secret(words);
    for (i, word) in words.iter().enumerate() {
        out.extend_from_slice(b" \"");
        let shown = if is_secret(i) { REDACTED } else { word };
        for &byte in shown {
            escape(byte, &mut out);
        }
        out.push(b'"');
        if out.len() > limits::SUBSCRIBER_BYTES {
            break;
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x07 => out.extend_from_slice(b"\\a"),
        0x08 => out.extend_from_slice(b"\\b"),
        b' '..=b'~' => out.push(byte),
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'\\', b'x', DIGITS[high], DIGITS[low]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &str, words: &[&[u8]]) -> String {
        String::from_utf8(line(1_339_518_083_000_412, (7, address), words)).unwrap()
    }

    #[test]
    fn a_line_is_that_of_redis() {
        assert_eq!(
            told(
                "127.0.0.1:60866",
                &[b"set", b"a\x00\n\"\xff\\\x07\x08\t\r ~", b""]
            ),
            "+1339518083.000412 [7 127.0.0.1:60866] \"set\" \
             \"a\\x00\\n\\\"\\xff\\\\\\a\\b\\t\\r ~\" \"\"\r\n"
        );
        assert_eq!(
            told("/tmp/heeler.sock:0", &[b"PING"]),
            "+1339518083.000412 [7 unix:/tmp/heeler.sock] \"PING\"\r\n"
        );
    }

    #[test]
    fn secrets_are_not_told() {
        assert!(told("a:1", &[b"AUTH", b"hunter2"]).ends_with(" \"AUTH\" \"(redacted)\"\r\n"));
        // Also behind more words than the slow log keeps.
        let mut words: Vec<&[u8]> = vec![b"MIGRATE", b"h", b"1", b"", b"0", b"5"];
        words.extend([&b"COPY"[..]; 40]);
        words.extend([&b"AUTH2"[..], b"me", b"hunter2", b"KEYS", b"k"]);
        let told = told("a:1", &words);
        assert!(!told.contains("hunter2") && !told.contains("me"));
        assert!(told.ends_with("\"AUTH2\" \"(redacted)\" \"(redacted)\" \"KEYS\" \"k\"\r\n"));
    }

    #[test]
    fn what_no_inbox_holds_is_not_written_in_full() {
        let long = vec![0; limits::SUBSCRIBER_BYTES];
        let words = [&long[..], &long, &long];
        assert!(line(0, (0, "a:1"), &words).len() < 5 * long.len());
    }
}
