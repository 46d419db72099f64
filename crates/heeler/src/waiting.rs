//! Clients that wait: for an element of a list or sorted set, or for a time to pass.
//!
//! A [`Waiter`] is shared by the connection that waits and by whoever may end that: another
//! connection's command in the store, on any thread, or CLIENT UNBLOCK. The first one wins. It
//! leaves the reply and wakes the connection's task, which takes it.

use std::task::Waker;

use parking_lot::Mutex;

use crate::command::{OwnedCommand, Reply};

/// One command that waits.
#[derive(Debug)]
pub struct Waiter {
    /// Its place among all that wait: who came first is served first.
    pub arrival: u64,
    /// The database that it waits in.
    pub database: u32,
    /// When it gives up, in milliseconds since 1970; never for `None`.
    pub until: Option<u64>,
    /// The command, if it waits for an element.
    command: Option<OwnedCommand>,
    /// The reply once its time is over.
    nothing: Reply,
    state: Mutex<State>,
    task: Waker,
}

#[derive(Debug)]
enum State {
    Waiting,
    /// Another node has what it waits for.
    SentAway,
    Answered(Reply),
    /// The reply was taken, or nobody waits for one any more.
    Gone,
}

/// What came of an attempt to serve a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It has its reply.
    Served,
    /// There is nothing for it, and it goes on waiting.
    Waits,
    /// It had a reply, or had given up.
    Gone,
}

impl Waiter {
    /// A command that waits for an element. `task` is woken when there is a reply.
    pub fn for_element(
        arrival: u64,
        command: OwnedCommand,
        until: Option<u64>,
        nothing: Reply,
        task: Waker,
    ) -> Waiter {
        Waiter {
            arrival,
            database: 0,
            until,
            command: Some(command),
            nothing,
            state: Mutex::new(State::Waiting),
            task,
        }
    }

    /// The same in another database than 0.
    #[must_use]
    pub fn in_database(self, database: u32) -> Waiter {
        Waiter { database, ..self }
    }

    /// A command that is answered when a time has come, never for `None`.
    pub fn for_time(until: Option<u64>, reply: Reply, task: Waker) -> Waiter {
        Waiter {
            arrival: 0,
            database: 0,
            until,
            command: None,
            nothing: reply,
            state: Mutex::new(State::Waiting),
            task,
        }
    }

    /// The command that waits for an element.
    pub fn command(&self) -> Option<&OwnedCommand> {
        self.command.as_ref()
    }

    /// Serves it with what `answer` finds, if it still waits: `answer` is called only then, and
    /// nobody else serves it meanwhile.
    pub fn serve(&self, answer: impl FnOnce() -> Option<Reply>) -> Attempt {
        self.answer(|state| matches!(state, State::Waiting), answer)
    }

    /// Ends the waiting as if its time were over, or with this error.
    pub fn unblock(&self, error: Option<Reply>) -> Attempt {
        self.answer(
            |state| matches!(state, State::Waiting | State::SentAway),
            || Some(error.unwrap_or_else(|| self.nothing.clone())),
        )
    }

    fn answer(
        &self,
        waits: impl FnOnce(&State) -> bool,
        answer: impl FnOnce() -> Option<Reply>,
    ) -> Attempt {
        let mut state = self.state.lock();
        if !waits(&state) {
            return Attempt::Gone;
        }
        let Some(reply) = answer() else {
            return Attempt::Waits;
        };
        *state = State::Answered(reply);
        drop(state);
        self.task.wake_by_ref();
        Attempt::Served
    }

    /// There will be nothing for it here: it is to wait where its keys are now. One that has its
    /// reply keeps it.
    pub fn send_away(&self) {
        let mut state = self.state.lock();
        if matches!(*state, State::Waiting) {
            *state = State::SentAway;
            drop(state);
            self.task.wake_by_ref();
        }
    }

    /// Whether it has been sent away. If so nobody waits here any more.
    pub fn goes_elsewhere(&self) -> bool {
        let mut state = self.state.lock();
        let goes = matches!(*state, State::SentAway);
        if goes {
            *state = State::Gone;
        }
        goes
    }

    /// The reply, once there is one. At its time that is the one for nothing.
    pub fn take(&self, now: u64) -> Option<Reply> {
        let is_over = self.until.is_some_and(|until| until <= now);
        let mut state = self.state.lock();
        if matches!(*state, State::Waiting | State::SentAway) && !is_over {
            return None;
        }
        match std::mem::replace(&mut *state, State::Gone) {
            State::Answered(reply) => Some(reply),
            State::Waiting | State::SentAway | State::Gone => Some(self.nothing.clone()),
        }
    }

    /// Nobody waits any more.
    pub fn leave(&self) {
        *self.state.lock() = State::Gone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(until: Option<u64>) -> Waiter {
        Waiter::for_time(until, Reply::Null, Waker::noop().clone())
    }

    #[test]
    fn the_first_to_end_it_wins() {
        let waiter = waiter(None);
        assert_eq!(waiter.take(u64::MAX), None);
        assert_eq!(waiter.serve(|| None), Attempt::Waits);
        assert_eq!(waiter.serve(|| Some(Reply::Int(1))), Attempt::Served);
        let never = || -> Option<Reply> { unreachable!("it is served") };
        assert_eq!(waiter.serve(never), Attempt::Gone);
        assert_eq!(waiter.unblock(None), Attempt::Gone);
        assert_eq!(waiter.take(0), Some(Reply::Int(1)));
    }

    #[test]
    fn time_ends_it_too() {
        let over = waiter(Some(10));
        assert_eq!(over.take(9), None);
        assert_eq!(over.take(10), Some(Reply::Null));
        assert_eq!(over.serve(|| Some(Reply::OK)), Attempt::Gone);
        let left = waiter(None);
        left.leave();
        assert_eq!(left.serve(|| Some(Reply::OK)), Attempt::Gone);
    }

    #[test]
    fn one_that_is_sent_away_is_served_nothing_here() {
        let never = || -> Option<Reply> { unreachable!("it is not here any more") };
        let sent = waiter(None);
        sent.send_away();
        assert_eq!(sent.serve(never), Attempt::Gone);
        assert_eq!(sent.take(0), None);
        assert!(sent.goes_elsewhere() && !sent.goes_elsewhere());
        assert_eq!(sent.unblock(None), Attempt::Gone);

        let unblocked = waiter(None);
        unblocked.send_away();
        assert_eq!(unblocked.unblock(Some(Reply::OK)), Attempt::Served);
        assert!(!unblocked.goes_elsewhere());
        assert_eq!(unblocked.take(0), Some(Reply::OK));

        let served = waiter(None);
        served.serve(|| Some(Reply::Int(1)));
        served.send_away();
        assert!(!served.goes_elsewhere());
        assert_eq!(served.take(0), Some(Reply::Int(1)));

        let over = waiter(Some(10));
        over.send_away();
        assert_eq!(over.take(10), Some(Reply::Null));
    }
}
