//! The protocol period: one ping, and what follows if it is not answered.

use std::sync::Arc;

use crate::body::{PingReqResponse, PingResponse};
use crate::meter::Durations;
use crate::pending::{Pending, Purpose};
use crate::swim::Swim;
use crate::updates::Origin;
use crate::{Answer, Endpoint, Event, Failure, Form, Output, Status, Token};

/// Where the protocol is.
#[derive(Debug, Default)]
pub(crate) struct Gossip {
    /// Whether it pings by the clock.
    pub on: bool,
    /// When the next period begins; `None` while one is under way.
    pub next_at: Option<u64>,
    round: Option<Round>,
    rounds: u64,
    pub durations: Durations,
    /// Twice the median of the durations, once a second.
    rate_ms: u64,
    rate_at: Option<u64>,
    /// Commands that wait for the end of the period.
    ticks: Vec<Token>,
}

/// A period under way.
#[derive(Debug)]
struct Round {
    number: u64,
    began: u64,
    target: Arc<str>,
    /// The target's incarnation number at the beginning. If it is another in the end, the target
    /// has told meanwhile that it is alive.
    incarnation: u64,
    asked_at: u64,
    helpers: Vec<Arc<str>>,
    waiting: usize,
    /// Helpers that could not reach the target.
    unreached: usize,
}

impl Swim {
    pub(crate) fn start_gossip(&mut self) {
        self.gossip.on = true;
        if self.gossip.round.is_none() && self.gossip.next_at.is_none() {
            let delay = self
                .random
                .below(self.config.protocol_period_ms as usize + 1);
            self.gossip.next_at = Some(self.now.ms + delay as u64);
        }
    }

    pub(crate) fn stop_gossip(&mut self) {
        self.gossip.on = false;
        self.gossip.next_at = None;
    }

    pub(crate) fn gossip_on_time(&mut self) {
        if self.gossip.next_at.is_some_and(|at| at <= self.now.ms) {
            self.gossip.next_at = None;
            self.begin_round();
        }
    }

    /// Pings once, now or as part of the period under way.
    pub(crate) fn tick(&mut self, token: Token) {
        self.gossip.ticks.push(token);
        if self.gossip.round.is_none() {
            self.gossip.next_at = None;
            self.begin_round();
        }
    }

    fn begin_round(&mut self) {
        self.gossip.rounds += 1;
        let number = self.gossip.rounds;
        let Some(id) = self.members.next_to_ping(self.my_id, &mut self.random) else {
            self.end_round(self.now.ms);
            return;
        };
        let target = self.address_of(id);
        self.gossip.round = Some(Round {
            number,
            began: self.now.ms,
            target: target.clone(),
            incarnation: self.members.get(id).incarnation,
            asked_at: 0,
            helpers: Vec::new(),
            waiting: 0,
            unreached: 0,
        });
        let message = self.ping_request(id);
        self.count_one("ping.send");
        self.client_rate.mark(self.now.ms);
        let timeout = self.slowed(self.config.ping_timeout_ms);
        if !self.send(&target, Endpoint::Ping, message, timeout, Purpose::Probe) {
            self.end_round(self.now.ms);
        }
    }

    pub(crate) fn probed(&mut self, pending: Pending, outcome: Result<&[u8], Failure>) {
        self.time("ping", pending.sent_at);
        if self.take_ping_answer(&pending, outcome) {
            self.gossip
                .durations
                .add(self.now.ms.saturating_sub(pending.sent_at));
            self.health = self.health.saturating_sub(1);
            self.end_round(pending.sent_at);
        } else {
            self.note_trouble(1);
            self.ask_helpers();
        }
    }

    /// Takes the answer to any ping. Returns whether it is one.
    pub(crate) fn take_ping_answer(
        &mut self,
        pending: &Pending,
        outcome: Result<&[u8], Failure>,
    ) -> bool {
        let answer = outcome.ok().and_then(|body| PingResponse::parse(body).ok());
        let Some((changes, checksum)) = answer.and_then(|it| Some((it.changes?, it.checksum)))
        else {
            return false;
        };
        self.rumors
            .told(&mut self.members, &pending.sent, self.max_told);
        self.apply(&changes, &pending.to, Origin::Gossip);
        if let Some(checksum) = checksum {
            self.learn_from_answer(&pending.to, checksum);
        }
        true
    }

    /// ringpop-go says its checksum with each answer.
    fn learn_from_answer(&mut self, peer: &str, checksum: u64) {
        let id = self.members.find(peer);
        if id.is_some_and(|id| self.members.get(id).form.is_none()) {
            let right = |form: &Form| u64::from(self.members.checksum(*form)) == checksum;
            if let Some(form) = Form::ALL.into_iter().find(right) {
                self.learn_form(peer, form);
            }
        }
    }

    fn ask_helpers(&mut self) {
        let Some(mut round) = self.gossip.round.take() else {
            return;
        };
        let target = self.members.find(&round.target);
        let except = [self.my_id, target.unwrap_or(self.my_id)];
        let size = self.config.ping_req_size;
        let helpers = self.members.some_pingable(size, &except, &mut self.random);
        round.asked_at = self.now.ms;
        let timeout = self.slowed(self.config.ping_req_timeout_ms);
        for helper in helpers {
            let address = self.address_of(helper);
            let message = self.ping_req_request(helper, &round.target);
            let purpose = Purpose::Helper {
                round: round.number,
            };
            if self.send(&address, Endpoint::PingReq, message, timeout, purpose) {
                self.count_one("ping-req.send");
                round.waiting += 1;
                round.helpers.push(address);
            }
        }
        let alone = round.waiting == 0;
        let began = round.began;
        self.gauge("ping-req.other-members", round.waiting as f64);
        self.gossip.round = Some(round);
        if alone {
            self.suspect_target();
            self.end_round(began);
        }
    }

    pub(crate) fn helped(
        &mut self,
        round: u64,
        pending: &Pending,
        outcome: Result<&[u8], Failure>,
    ) {
        let answer = outcome
            .ok()
            .and_then(|body| PingReqResponse::parse(body).ok());
        let reached = answer.and_then(|answer| {
            let (changes, reached) = (answer.changes?, answer.ping_status?);
            self.rumors
                .told(&mut self.members, &pending.sent, self.max_told);
            self.apply(&changes, &pending.to, Origin::Gossip);
            Some(reached)
        });
        if reached.is_none() {
            // Not even the helper could be reached: the trouble may be here.
            self.note_trouble(1);
        }
        let size = self.config.ping_req_size;
        let Some(current) = self.gossip.round.as_mut().filter(|it| it.number == round) else {
            return;
        };
        current.waiting = current.waiting.saturating_sub(1);
        current.unreached += usize::from(reached == Some(false));
        let (asked_at, began) = (current.asked_at, current.began);
        let over = reached == Some(true) || current.waiting == 0;
        if !over {
            return;
        }
        // Errors alone say more about the way to the helpers, unless there are few of them.
        let conclusive = current.unreached > 0 || current.helpers.len() < size;
        if reached != Some(true) && conclusive {
            self.suspect_target();
        } else if reached != Some(true) {
            let target = current.target.clone();
            self.event(Event::PingInconclusive { target });
        }
        self.time("ping-req", asked_at);
        self.end_round(began);
    }

    fn suspect_target(&mut self) {
        let Some(round) = &self.gossip.round else {
            return;
        };
        let incarnation = round.incarnation;
        let Some(id) = self.members.find(&round.target) else {
            return;
        };
        let member = self.members.get(id);
        if member.incarnation != incarnation || id == self.my_id {
            return;
        }
        match member.status {
            Status::Alive => self.declare(id, Status::Suspect),
            Status::Suspect => {
                let me = self.me.clone();
                self.confirm_suspicion(id, Some(&me), None);
            }
            Status::Faulty | Status::Leave | Status::Tombstone => {}
        }
    }

    fn end_round(&mut self, began: u64) {
        self.gossip.round = None;
        let form = self.default_form;
        for token in std::mem::take(&mut self.gossip.ticks) {
            let checksum = self.checksum_for(form);
            let result = Ok(Answer::Checksum(checksum));
            self.out.push(Output::Done { token, result });
        }
        let min = self.slowed(self.config.protocol_period_ms);
        self.update_rate(min);
        let now = self.now.ms;
        let delay = self.gossip.rate_ms.max(min);
        self.time("protocol.frequency", began);
        if self.gossip.on {
            self.gossip.next_at = Some(now + delay);
            self.out
                .push(Output::Stat(crate::Stat::Time("protocol.delay", delay)));
        }
    }

    fn update_rate(&mut self, min: u64) {
        let now = self.now.ms;
        if self.gossip.rate_at.is_none_or(|at| at + 1000 <= now) {
            self.gossip.rate_at = Some(now);
            let twice = 2.0 * self.gossip.durations.median();
            self.gossip.rate_ms = (twice as u64).max(min);
        }
    }

    /// The rate in use, for those who ask for statistics.
    pub(crate) fn protocol_rate(&self) -> u64 {
        self.gossip.rate_ms.max(self.config.protocol_period_ms)
    }

    /// Lifeguard: who has trouble with everybody is slower to blame them.
    fn slowed(&self, ms: u64) -> u64 {
        ms.saturating_mul(u64::from(self.health) + 1)
    }

    /// A sign that something may be wrong with this member itself.
    pub(crate) fn note_trouble(&mut self, by: u32) {
        let max = self
            .config
            .lifeguard
            .as_ref()
            .map_or(0, |guard| guard.max_health_score);
        self.health = (self.health + by).min(max);
    }
}
