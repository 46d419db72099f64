//! Telling some members at once: of coming, of leaving, of going for good.

use std::sync::Arc;

use crate::config::is_host_port;
use crate::pending::{Pending, Purpose};
use crate::swim::Swim;
use crate::{Answer, Endpoint, Event, Failure, Output, Status, Token, limits};

/// Pings with the latest news, to several at once.
#[derive(Debug)]
pub(crate) struct Errand {
    number: u64,
    waiting: usize,
    began: u64,
    end: End,
}

/// What is to be done when all have answered.
#[derive(Debug, Clone, Copy)]
enum End {
    Nothing,
    Done(Token),
    Evicted(Token),
}

/// Whom a new member tells of itself at once.
const ANNOUNCEMENTS: usize = 3;
/// The share of the members that one who goes tells (Ringpop's self-eviction).
const FAREWELL_SHARE: f64 = 0.4;

impl Swim {
    /// Tells some that this member is here; those first who have called before it was ready.
    pub(crate) fn announce(&mut self) {
        let early = std::mem::take(&mut self.early_callers);
        self.run_errand(ANNOUNCEMENTS, early, End::Nothing);
    }

    /// Remembers who called too early.
    pub(crate) fn remember_caller(&mut self, caller: &str) {
        let callers = &mut self.early_callers;
        let known = callers.iter().any(|known| **known == *caller);
        if !known && callers.len() < limits::EARLY_CALLERS && is_host_port(caller) {
            callers.push(caller.into());
        }
    }

    /// Leaves: tells some, so that no request comes here any more, and goes on answering.
    pub(crate) fn leave(&mut self, token: Token) {
        self.reincarnate(Status::Leave, 0);
        self.count_one("make-leave");
        self.stop_gossip();
        self.run_errand(self.farewells(), Vec::new(), End::Done(token));
    }

    pub(crate) fn rejoin(&mut self) {
        self.reincarnate(Status::Alive, 0);
        self.count_one("make-alive");
        self.start_gossip();
        self.announce();
    }

    /// Tells some that this member is faulty, so that nobody has to find out.
    pub(crate) fn evict_self(&mut self, token: Token) {
        self.reincarnate(Status::Faulty, 0);
        self.count_one("make-faulty");
        self.stop_gossip();
        self.run_errand(self.farewells(), Vec::new(), End::Evicted(token));
    }

    fn farewells(&self) -> usize {
        let others = self.members.pingable();
        let share = (FAREWELL_SHARE * others as f64).ceil() as usize;
        share.min(self.max_told as usize).min(others)
    }

    fn run_errand(&mut self, n: usize, mut to: Vec<Arc<str>>, end: End) {
        let number = self.next_number();
        for id in self
            .members
            .some_pingable(n, &[self.my_id], &mut self.random)
        {
            let address = self.address_of(id);
            if !to.contains(&address) {
                to.push(address);
            }
        }
        let mut waiting = 0;
        for address in to {
            let message = self.ping_for(&address);
            let purpose = Purpose::Errand { number };
            let timeout = self.config.ping_timeout_ms;
            if self.send(&address, Endpoint::Ping, message, timeout, purpose) {
                self.count_one("ping.send");
                waiting += 1;
            }
        }
        let errand = Errand {
            number,
            waiting,
            began: self.now.ms,
            end,
        };
        match waiting {
            0 => self.end_errand(&errand),
            _ => self.errands.push(errand),
        }
    }

    pub(crate) fn errand_answered(
        &mut self,
        number: u64,
        pending: &Pending,
        outcome: Result<&[u8], Failure>,
    ) {
        // Who does not answer is not blamed: it may not be ready yet, and its turn will come.
        self.take_ping_answer(pending, outcome);
        let Some(at) = self
            .errands
            .iter()
            .position(|errand| errand.number == number)
        else {
            return;
        };
        self.errands[at].waiting -= 1;
        if self.errands[at].waiting == 0 {
            let errand = self.errands.swap_remove(at);
            self.end_errand(&errand);
        }
    }

    fn end_errand(&mut self, errand: &Errand) {
        match errand.end {
            End::Nothing => {}
            End::Done(token) => self.done(token),
            End::Evicted(token) => {
                self.time("self-eviction", errand.began);
                self.event(Event::SelfEvicted);
                self.done(token);
            }
        }
    }

    pub(crate) fn done(&mut self, token: Token) {
        let result = Ok(Answer::Done);
        self.out.push(Output::Done { token, result });
    }
}
