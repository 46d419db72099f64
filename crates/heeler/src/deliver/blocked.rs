//! Commands that wait: blocking ones, WAIT, and all of them during a CLIENT PAUSE. Until such a
//! command is answered its connection hands in no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Behind, Caller, Door};
use crate::command::number::integer;
use crate::command::{Command, Flags, Id, OwnedCommand, Reply};
use crate::store::{Store, wait_deadline};
use crate::waiting::Waiter;
use crate::wire::{Wire, memcache};

/// Why a connection waits.
#[derive(Debug)]
pub(super) enum Blocked {
    /// For an element or a time.
    Waiting(Arc<Waiter>),
    /// For the end of a pause, at this time, to run this command.
    Paused(OwnedCommand, u64),
    /// Until all requests before it have their replies, to run this command.
    Behind(OwnedCommand),
    /// Until this is set, to run this command.
    Held(OwnedCommand, Arc<AtomicBool>),
}

impl Caller {
    /// Whether a command waits.
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// When to look after the command that waits, in milliseconds since 1970.
    pub fn wakes_at(&self) -> Option<u64> {
        match self.blocked.as_ref()? {
            Blocked::Waiting(waiter) => waiter.until,
            Blocked::Paused(_, until) => Some(*until),
            Blocked::Behind(_) | Blocked::Held(..) => None,
        }
    }
}

impl Door {
    /// Goes on with the command that waits, if it can.
    pub fn go_on(&self, now: u64, caller: &mut Caller) {
        match caller.blocked.take() {
            None => {}
            Some(Blocked::Paused(command, _)) => {
                self.process.clients.pauses_no_more(caller.session.id);
                self.run_or_pause(now, caller, &command.as_command());
            }
            Some(Blocked::Behind(command)) => match caller.session.pipeline.waiting() {
                0 => self.run_or_pause(now, caller, &command.as_command()),
                _ => caller.blocked = Some(Blocked::Behind(command)),
            },
            Some(Blocked::Held(command, done)) => match done.load(Relaxed) {
                true => self.run_or_pause(now, caller, &command.as_command()),
                false => caller.blocked = Some(Blocked::Held(command, done)),
            },
            Some(Blocked::Waiting(waiter)) => match waiter.take(now) {
                None if waiter.goes_elsewhere() => self.wait_elsewhere(caller, &waiter),
                None => caller.blocked = Some(Blocked::Waiting(waiter)),
                Some(reply) => {
                    // What was done elsewhere has been told there.
                    let gave_up = matches!(reply, Reply::Null | Reply::NullArray);
                    let is_own = caller.errand.is_none() && !gave_up;
                    self.stop_waiting(caller, &waiter);
                    caller.reads_elsewhere = false;
                    let command = waiter.command().map(OwnedCommand::as_command);
                    if let Some(command) = command.filter(|c| c.spec.id == Id::Debug) {
                        self.has_slept(now, caller, &command);
                    }
                    let spec = command.map_or_else(|| Id::Wait.spec(), |command| command.spec);
                    let was_sent = caller.sent.is_some();
                    let reply = self.finished(now, caller, reply);
                    if let Some(exec) = command.filter(|_| was_sent) {
                        self.tell_monitors(caller, &exec);
                    }
                    let reply = match command {
                        None => Some(reply),
                        Some(command) => self.counts_receivers(caller, &command, reply),
                    };
                    let Some(reply) = reply else {
                        return;
                    };
                    self.executed(spec, &reply);
                    let reply = match (&reply, caller.session.wire) {
                        // It is counted by what it says.
                        (Reply::Raw(raw), Wire::Memcache) => memcache::read(raw),
                        _ => reply,
                    };
                    match command {
                        Some(command)
                            if is_own && self.tells_later(now, caller, &command, &reply) => {}
                        Some(command) => self.answer(caller, &command, &reply),
                        None => caller.session.answer(&reply),
                    }
                }
            },
        }
    }

    /// Holds a command back while a pause lasts; whether it did.
    pub(super) fn pauses(&self, now: u64, caller: &mut Caller, command: &Command<'_>) -> bool {
        let queued = caller.session.transaction.as_ref();
        let changes = |command: &Command<'_>| {
            let says_so = matches!(command.spec.id, Id::Publish | Id::Spublish | Id::Pfcount);
            says_so || command.spec.is_write()
        };
        let writes = match command.spec.id {
            Id::Exec => queued.is_some_and(|t| t.commands.iter().any(|c| changes(&c.as_command()))),
            _ => changes(command),
        };
        let until = self.process.pause.holds(now, writes);
        if let Some(until) = until {
            self.process.clients.pauses(caller.session.id);
            caller.blocked = Some(Blocked::Paused(command.to_owned(), until));
        }
        until.is_some()
    }

    /// Executes a command of the store, which may have to wait.
    pub(super) fn execute_on(
        &self,
        now: u64,
        caller: &mut Caller,
        store: &Store,
        command: &Command<'_>,
    ) {
        if !command.spec.flags.has(Flags::BLOCKING) {
            let began = self.start(caller, command);
            let database = caller.session.database;
            let reply = match &caller.copies {
                None => store.execute_in(database, now, command),
                Some(_) => execute_for(now, caller, store, command),
            };
            if let Some(began) = began {
                self.stop(now, caller, command, began);
            }
            self.executed(command.spec, &reply);
            if !self.tells_later(now, caller, command, &reply) {
                self.answer(caller, command, &reply);
            }
            return;
        }
        let reader = caller.copies.as_ref().map(|copies| copies.reader());
        let begun = store.execute_or_wait(
            caller.session.database,
            now,
            (command, reader),
            &caller.task,
        );
        match begun {
            Ok(reply) => {
                self.executed(command.spec, &reply);
                if !self.tells_later(now, caller, command, &reply) {
                    caller.session.answer(&reply);
                }
            }
            Err(waiter) => self.start_waiting(caller, waiter),
        }
    }

    /// WAIT: no replica ever says that it has a write, but for none there is none to wait for.
    pub(super) fn wait(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        let wanted = integer(command.arg(1));
        let reply = match (wanted, wait_deadline(command.arg(2), now)) {
            (None, _) => Reply::error("ERR value is not an integer or out of range"),
            (_, Err(error)) => Reply::Error(error),
            (Some(..=0), Ok(_)) => Reply::Int(0),
            (Some(_), Ok(until)) => {
                let waiter = Waiter::for_time(until, Reply::Int(0), caller.task.clone());
                return self.start_waiting(caller, Arc::new(waiter));
            }
        };
        self.executed(command.spec, &reply);
        caller.session.answer(&reply);
    }

    pub(super) fn start_waiting(&self, caller: &mut Caller, waiter: Arc<Waiter>) {
        self.process.clients.waits(caller.session.id, &waiter);
        caller.blocked = Some(Blocked::Waiting(waiter));
    }

    fn stop_waiting(&self, caller: &mut Caller, waiter: &Waiter) {
        caller.errand = None;
        self.process.clients.waits_no_more(caller.session.id);
        if let Behind::Node(store) = &self.behind {
            store.stop_waiting(waiter);
        }
    }

    /// Nobody is there any more for the command that waits.
    pub(super) fn abandon(&self, caller: &mut Caller) {
        match caller.blocked.take() {
            Some(Blocked::Waiting(waiter)) => self.stop_waiting(caller, &waiter),
            Some(Blocked::Paused(..)) => self.process.clients.pauses_no_more(caller.session.id),
            _ => {}
        }
        caller.errand = None;
        caller.reads_elsewhere = false;
    }
}

/// Executes a command of a client that keeps copies. What is evicted to make room for it is told
/// before its reply.
fn execute_for(now: u64, caller: &mut Caller, store: &Store, command: &Command<'_>) -> Reply {
    let database = caller.session.database;
    let refused = store.refuses(now, command);
    caller.take_all_messages();
    match (refused, &caller.copies) {
        (Some(refused), _) => refused,
        (None, Some(copies)) => store.execute_for(database, now, command, copies.reader()),
        (None, None) => store.execute_in(database, now, command),
    }
}
