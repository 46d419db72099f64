//! CLIENT PAUSE: for a while, clients' commands wait.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::command::number::integer;
use crate::command::{Command, Reply};

/// Until when commands wait, and which.
#[derive(Debug, Default)]
pub struct Pause {
    /// In milliseconds since 1970; zero without a pause.
    until: AtomicU64,
    only_writes: AtomicBool,
}

impl Pause {
    /// Whether there is, or has lately been, a pause: most of the time there is none.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.until.load(Relaxed) != 0
    }

    /// Until when a command has to wait.
    pub fn holds(&self, now: u64, is_write: bool) -> Option<u64> {
        let until = self.until.load(Relaxed);
        if until != 0 && now >= until {
            // It is over, and needs no look from now on, unless another one has begun.
            let _ = self.until.compare_exchange(until, 0, Relaxed, Relaxed);
        }
        let holds = now < until && (is_write || !self.only_writes.load(Relaxed));
        holds.then_some(until)
    }

    /// CLIENT PAUSE timeout [WRITE|ALL].
    pub(super) fn begin(&self, now: u64, command: &Command<'_>) -> Reply {
        let only_writes = match command.args(3).collect::<Vec<_>>()[..] {
            [] => false,
            [word] if word.eq_ignore_ascii_case(b"write") => true,
            [word] if word.eq_ignore_ascii_case(b"all") => false,
            [_] => return Reply::error("ERR CLIENT PAUSE mode must be WRITE or ALL"),
            _ => return super::client_help::wrong_number(command),
        };
        let Some(millis) = integer(command.arg(2)) else {
            return Reply::error("ERR timeout is not an integer or out of range");
        };
        let Ok(millis) = u64::try_from(millis) else {
            return Reply::error("ERR timeout is negative");
        };
        self.only_writes.store(only_writes, Relaxed);
        self.until.store(now.saturating_add(millis), Relaxed);
        Reply::OK
    }

    /// CLIENT UNPAUSE.
    pub(super) fn end(&self) {
        self.until.store(0, Relaxed);
    }
}
