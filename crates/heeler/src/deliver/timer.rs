//! How long this process takes to execute commands, for the slow log.
//!
//! Redis looks at the clock before and after each command. Here a run of requests that were read at
//! a time is looked at as a whole, and for each command only where it may take long: looking twice
//! would cost a GET a tenth of its time. What counts as quick is what Redis flags as fast, SET, and
//! few words (`Spec::is_quick`). When the quick commands of a run together were slow, as when one
//! freed a large value or waited for a lock, nobody knows which of them it was: the run is logged
//! under its first, and says how many there were. A run of one command is exact.

use std::sync::Arc;

use super::{Caller, Door};
use crate::clock;
use crate::command::{Arg, Command, Spec};
use crate::limits;
use crate::slowlog::{Origin, Slow, shown};
use crate::wire::resp::Decoder;
use crate::wire::{Wire, memcache};

/// The run of requests of one connection that is under way.
#[derive(Debug, Default)]
pub struct Timer {
    /// When its bytes had been read, in microseconds.
    began: u64,
    /// How much of the time since was spent on commands that were timed alone.
    alone: u64,
    /// How many commands were not.
    quick: usize,
    /// The latest of those.
    latest: Option<&'static Spec>,
    /// When the last run of this process's own commands ended, if no reply has left since.
    pub(super) ended: Option<u64>,
}

impl Door {
    /// Requests follow that were read at `now`, in microseconds.
    pub fn begin(&self, caller: &mut Caller, now: u64) {
        caller.session.pipeline.begin(now);
        caller.timer = Timer {
            began: now,
            ..Timer::default()
        };
    }

    /// The requests of the run have been taken: these bytes.
    pub fn end(&self, now: u64, caller: &mut Caller, bytes: &[u8]) {
        if caller.timer.quick == 0 || self.pool().is_some() {
            return;
        }
        let ended = clock::ticks();
        caller.timer.ended = Some(ended);
        let Timer { began, alone, .. } = caller.timer;
        let took = ended.saturating_sub(began).saturating_sub(alone);
        if let Some(spec) = caller.timer.latest {
            self.process.latency.command(now, spec, took);
            if caller.timer.quick == 1 && self.process.latency.tracks() {
                self.counters.took(spec.id as usize, took);
            }
        }
        if self
            .slowlog()
            .threshold()
            .is_some_and(|least| took >= least)
        {
            let slow = match caller.session.wire {
                Wire::Resp => self.first_quick(bytes, took, caller),
                Wire::Memcache => self.first_quick_item(bytes, took, caller),
            };
            slow.into_iter()
                .for_each(|s| self.slowlog().add(now, s, None, None));
        }
    }

    /// A command of this process is about to be executed: when, if it is timed alone.
    #[inline]
    pub(super) fn start(&self, caller: &mut Caller, command: &Command<'_>) -> Option<u64> {
        if self.is_quick(command) && !self.is_sampled() {
            caller.timer.quick += 1;
            caller.timer.latest = Some(command.spec);
            return None;
        }
        Some(clock::ticks())
    }

    /// A command that is timed alone has been executed.
    #[cold]
    pub(super) fn stop(&self, now: u64, caller: &mut Caller, command: &Command<'_>, began: u64) {
        let took = clock::ticks().saturating_sub(began);
        caller.timer.alone += took;
        self.note(now, &caller.origin, command, took);
    }

    /// Of quick commands one in so many is timed alone, too, so that the histograms know of those
    /// that come many at a time. The number was drawn anew when the command was routed.
    #[inline]
    fn is_sampled(&self) -> bool {
        self.random.get().is_multiple_of(limits::QUICK_TIMED)
    }

    /// A command of this process took so many microseconds.
    pub(super) fn note(&self, now: u64, origin: &Arc<Origin>, command: &Command<'_>, took: u64) {
        self.process.latency.command(now, command.spec, took);
        if self.process.latency.tracks() {
            self.counters.took(command.spec.id as usize, took);
        }
        let is_slow = self
            .slowlog()
            .threshold()
            .is_some_and(|least| took >= least);
        if is_slow && !command.spec.flags.has(crate::command::Flags::SKIP_SLOWLOG) {
            let slow = slow(shown(command.args(0)), took, origin);
            self.slowlog().add(now, slow, self.pool_name(), None);
        }
    }

    fn is_quick(&self, command: &Command<'_>) -> bool {
        command.spec.is_quick()
            && command.len() <= limits::QUICK_WORDS
            && self.slowlog().threshold() != Some(0)
    }

    /// The first quick command of a run.
    fn first_quick(&self, mut bytes: &[u8], took: u64, caller: &Caller) -> Option<Slow> {
        let mut decoder = Decoder::default();
        while let Ok(Some(length)) = decoder.decode(bytes) {
            let (raw, args) = decoder.request(bytes);
            let command = some(args).and_then(|args| Command::resolve(raw, args).ok());
            if let Some(command) = command.filter(|c| self.is_quick(c)) {
                return Some(first_of_run(&command, took, caller));
            }
            bytes = &bytes[length..];
        }
        None
    }

    /// The same of memcached's requests.
    fn first_quick_item(&self, mut bytes: &[u8], took: u64, caller: &Caller) -> Option<Slow> {
        let mut decoder = memcache::Decoder::of_node();
        while let Ok(Some(length)) = decoder.decode(bytes) {
            let request = decoder.request(bytes).filter(|r| r.refused.is_none());
            let command = request.and_then(|request| request.command());
            if let Some(command) = command.filter(|c| self.is_quick(c)) {
                return Some(first_of_run(&command, took, caller));
            }
            bytes = &bytes[length..];
        }
        None
    }
}

fn first_of_run(command: &Command<'_>, took: u64, caller: &Caller) -> Slow {
    let mut slow = slow(shown(command.args(0)), took, &caller.origin);
    slow.together = caller.timer.quick;
    slow
}

/// A line without words is no command.
fn some(args: &[Arg]) -> Option<&[Arg]> {
    (!args.is_empty()).then_some(args)
}

fn slow(words: Vec<Vec<u8>>, took: u64, origin: &Arc<Origin>) -> Slow {
    Slow {
        words,
        took,
        origin: origin.clone(),
        together: 1,
        failed: None,
    }
}
