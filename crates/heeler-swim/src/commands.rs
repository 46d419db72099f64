//! The wishes of operators.

use crate::bootstrap::Phase;
use crate::members::Id;
use crate::swim::{Swim, own_labels};
use crate::{Answer, Command, Fault, Labels, Output, Status, Token};

impl Swim {
    pub(crate) fn obey(&mut self, token: Token, command: Command) {
        if let Err(fault) = self.try_to_obey(token, command) {
            let result = Err(fault);
            self.out.push(Output::Done { token, result });
        }
    }

    /// Obeys, and says when it is done, now or later.
    fn try_to_obey(&mut self, token: Token, command: Command) -> Result<(), Fault> {
        if matches!(self.phase, Phase::Evicted) {
            return Err(Fault::evicted());
        }
        let ready = matches!(self.phase, Phase::Ready);
        match command {
            // Who has not come in yet is known to nobody.
            Command::SelfEvict => {
                self.phase = Phase::Evicted;
                self.evict_self(token);
            }
            _ if !ready => return Err(Fault::not_ready()),
            Command::Leave if self.my_status() == Status::Leave => {
                return Err(Fault::redundant_leave());
            }
            Command::Leave => self.leave(token),
            Command::Rejoin if self.my_status() != Status::Leave => {
                return Err(Fault::redundant_rejoin());
            }
            Command::Rejoin => {
                self.rejoin();
                self.done(token);
            }
            Command::StartGossip => {
                self.start_gossip();
                self.done(token);
            }
            Command::StopGossip => {
                self.stop_gossip();
                self.done(token);
            }
            Command::Tick => self.tick(token),
            Command::Reap => {
                let result = Ok(Answer::Reaped(self.reap()));
                self.out.push(Output::Done { token, result });
            }
            Command::Heal => self.heal_now(token)?,
            Command::SetLabels(labels) => {
                self.set_labels(&labels);
                self.done(token);
            }
        }
        Ok(())
    }

    fn reap(&mut self) -> usize {
        let faulty = |id: &Id| self.members.get(*id).status == Status::Faulty;
        let faulty: Vec<Id> = self.members.ids().filter(faulty).collect();
        for &id in &faulty {
            self.declare(id, Status::Tombstone);
        }
        faulty.len()
    }

    fn set_labels(&mut self, labels: &Labels) {
        let identity = self.config.identity.as_deref();
        let labels = own_labels(labels, identity);
        if labels != self.members.get(self.my_id).labels {
            let (status, incarnation) = (self.my_status(), self.incarnation());
            self.members.set(self.my_id, status, incarnation, labels);
            self.reincarnate(status, 0);
        }
    }
}
