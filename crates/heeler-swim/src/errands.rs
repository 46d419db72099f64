//! Telling some members at once: of coming, of leaving, of going for good.

use crate::members::Id;
use crate::pending::{Pending, Purpose};
use crate::swim::Swim;
use crate::{Answer, Endpoint, Event, Failure, Output, Status, Token};

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
    /// Tells some that this member is here.
    pub(crate) fn announce(&mut self) {
        self.run_errand(ANNOUNCEMENTS, End::Nothing);
    }

    /// Leaves: tells some, so that no request comes here any more, and goes on answering.
    pub(crate) fn leave(&mut self, token: Token) {
        self.reincarnate(Status::Leave, 0);
        self.count_one("make-leave");
        self.stop_gossip();
        self.run_errand(self.farewells(), End::Done(token));
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
        self.run_errand(self.farewells(), End::Evicted(token));
    }

    fn farewells(&self) -> usize {
        let others = self.members.pingable();
        let share = (FAREWELL_SHARE * others as f64).ceil() as usize;
        share.min(self.max_told as usize).min(others)
    }

    fn run_errand(&mut self, n: usize, end: End) {
        let number = self.next_number();
        let some: Vec<Id> = self
            .members
            .some_pingable(n, &[self.my_id], &mut self.random);
        let mut waiting = 0;
        for id in some {
            let (address, message) = (self.address_of(id), self.ping_request(id));
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
