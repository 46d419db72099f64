//! Requests of this member that wait for an answer.

use std::sync::Arc;

use crate::rumors::Sent;
use crate::swim::Swim;
use crate::{Endpoint, Failure, Output, RequestId, Token, limits};

/// A request under way.
#[derive(Debug)]
pub(crate) struct Pending {
    pub id: RequestId,
    pub to: Arc<str>,
    pub sent_at: u64,
    pub deadline: u64,
    pub purpose: Purpose,
    /// Rumors that count as told if it succeeds.
    pub sent: Sent,
}

/// What a request is for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// The ping of a protocol period.
    Probe,
    /// Asks to ping, in the protocol period of this number, who has not answered.
    Helper { round: u64 },
    /// A ping that a peer has asked for.
    Relay(Box<Relay>),
    /// A join of the bootstrap.
    Join,
    /// Fetches the list of a peer that was given ours.
    ReverseFullSync,
    /// Fetches the list of a seed that may belong to a lost half.
    HealJoin,
    /// Tells a lost half.
    HealPing,
    /// Tells of one's coming or going.
    Errand { number: u64 },
    /// Asks for damp scores.
    Damp { round: u64 },
}

/// A peer that waits for the outcome of a ping.
#[derive(Debug, Clone)]
pub(crate) struct Relay {
    pub token: Token,
    pub caller: String,
    pub caller_incarnation: Option<u64>,
    pub caller_checksum: u64,
}

impl Swim {
    /// Asks a peer. Returns whether it was asked: too many requests may be under way.
    pub(crate) fn send(
        &mut self,
        to: &Arc<str>,
        endpoint: Endpoint,
        (body, sent): (Vec<u8>, Sent),
        timeout_ms: u64,
        purpose: Purpose,
    ) -> bool {
        if self.pending.len() >= limits::PENDING {
            return false;
        }
        let id = self.next_number();
        self.pending.push(Pending {
            id,
            to: to.clone(),
            sent_at: self.now.ms,
            deadline: self.now.ms.saturating_add(timeout_ms),
            purpose,
            sent,
        });
        self.out.push(Output::Send {
            id,
            to: to.clone(),
            endpoint,
            body,
            timeout_ms,
        });
        true
    }

    /// Takes the outcome of a request. One that is not known any more has timed out before.
    pub(crate) fn answered(&mut self, id: RequestId, outcome: Result<&[u8], Failure>) {
        if let Some(at) = self.pending.iter().position(|pending| pending.id == id) {
            let pending = self.pending.swap_remove(at);
            self.dispatch(pending, outcome);
        }
    }

    pub(crate) fn expire_requests(&mut self) {
        let now = self.now.ms;
        let due = |pending: &Pending| pending.deadline <= now;
        while let Some(at) = self.pending.iter().position(due) {
            let pending = self.pending.remove(at);
            self.dispatch(pending, Err(Failure::TimedOut));
        }
    }

    fn dispatch(&mut self, pending: Pending, outcome: Result<&[u8], Failure>) {
        match &pending.purpose {
            Purpose::Probe => self.probed(pending, outcome),
            Purpose::Helper { round } => self.helped(*round, &pending, outcome),
            Purpose::Relay(_) => self.relayed(pending, outcome),
            Purpose::Join => self.joined(pending, outcome),
            Purpose::ReverseFullSync => self.reverse_synced(&pending, outcome),
            Purpose::HealJoin => self.heal_joined(&pending, outcome),
            Purpose::HealPing => {
                self.take_ping_answer(&pending, outcome);
            }
            Purpose::Errand { number } => self.errand_answered(*number, &pending, outcome),
            Purpose::Damp { round } => self.damp_answered(*round, &pending, outcome),
        }
    }
}
