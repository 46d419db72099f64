//! Members that come and go: their scores, and what follows from them.

use crate::body::DampReqResponse;
use crate::json::{number_field, text, text_field};
use crate::members::Id;
use crate::pending::{Pending, Purpose};
use crate::swim::Swim;
use crate::{Damping, Endpoint, Event, Failure};

/// A member's score, as it was at some time, and what it has led to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flaps {
    score: f64,
    at: u64,
    flapper: bool,
    pub damped_since: Option<u64>,
}

/// Who flaps, and the question about it that is under way.
#[derive(Debug, Default)]
pub(crate) struct Damper {
    flappers: Vec<Id>,
    pub next_at: Option<u64>,
    rounds: u64,
    /// Answers of others: for each, which flappers it finds so too. `None` if none is asked.
    answers: Option<Vec<Vec<String>>>,
    asked: usize,
}

/// Added by each change (this and all below: ringpop-node's `lib/gossip/damper.js`).
const PENALTY: f64 = 500.0;
const MAX_SCORE: f64 = 10_000.0;
const FLAPPER_SCORE: f64 = 5000.0;
const REUSE_SCORE: f64 = 2500.0;
const HALF_LIFE_MS: f64 = 300_000.0;
const PERIOD_MS: u64 = 60_000;
const MAX_DAMPED_MS: u64 = 3_600_000;
const ASKED: usize = 6;
const ANSWERS: usize = 3;
const MAX_DAMPED_SHARE: f64 = 0.1;
const TIMEOUT_MS: u64 = 1000;

impl Flaps {
    fn score(&self, now: u64) -> f64 {
        let passed = now.saturating_sub(self.at) as f64;
        self.score * (-passed / HALF_LIFE_MS).exp2()
    }
}

impl Swim {
    pub(crate) fn start_damping(&mut self) {
        if self.config.damping != Damping::Off {
            self.damper.next_at = Some(self.now.ms + PERIOD_MS);
        }
    }

    pub(crate) fn damp_score(&self, id: Id) -> u32 {
        let trouble = self.members.get(id).trouble.as_ref();
        trouble.map_or(0.0, |trouble| trouble.flaps.score(self.now.ms)) as u32
    }

    /// Counts a change of another member.
    pub(crate) fn add_flap(&mut self, id: Id) {
        if self.config.damping == Damping::Off {
            return;
        }
        let now = self.now.ms;
        let flaps = &mut self.members.get_mut(id).trouble().flaps;
        flaps.score = (flaps.score(now) + PENALTY).min(MAX_SCORE);
        flaps.at = now;
        if flaps.score >= FLAPPER_SCORE && !flaps.flapper {
            flaps.flapper = true;
            self.damper.flappers.push(id);
            self.count_one("damper.flapper.added");
            self.gauge("damper.flappers", self.damper.flappers.len() as f64);
            let address = self.address_of(id);
            self.event(Event::Flapping {
                address,
                flapping: true,
            });
        }
    }

    pub(crate) fn damp_on_time(&mut self) {
        if self.damper.next_at.is_none_or(|at| at > self.now.ms) {
            return;
        }
        self.damper.next_at = Some(self.now.ms + PERIOD_MS);
        self.calm_flappers();
        let undamped = |id: &&Id| !self.members.get(**id).damped();
        let wanted: Vec<Id> = self
            .damper
            .flappers
            .iter()
            .filter(undamped)
            .copied()
            .collect();
        if !wanted.is_empty() && self.damper.answers.is_none() {
            self.ask_for_scores(&wanted);
        }
    }

    /// Who has been quiet, or out for long enough, is taken again.
    fn calm_flappers(&mut self) {
        let now = self.now.ms;
        for id in self.damper.flappers.clone() {
            let flaps = &mut self.members.get_mut(id).trouble().flaps;
            let calm = flaps.score(now) < REUSE_SCORE;
            let over = flaps
                .damped_since
                .is_some_and(|since| since + MAX_DAMPED_MS <= now);
            if !calm && !over && flaps.flapper {
                continue;
            }
            flaps.flapper = false;
            let was_damped = flaps.damped_since.take().is_some();
            self.damper.flappers.retain(|other| *other != id);
            self.count_one("damper.flapper.removed");
            let address = self.address_of(id);
            self.event(Event::Flapping {
                address: address.clone(),
                flapping: false,
            });
            if was_damped {
                self.touched.push((id, false));
                let acted = self.config.damping == Damping::Act;
                self.event(Event::Damped {
                    address,
                    damped: false,
                    acted,
                });
            }
        }
    }

    fn ask_for_scores(&mut self, flappers: &[Id]) {
        let mut except = flappers.to_vec();
        except.push(self.my_id);
        let some = self.members.some_pingable(ASKED, &except, &mut self.random);
        let mut body = Vec::new();
        text_field(&mut body, "{\"sourceAddr\":", &self.me);
        number_field(
            &mut body,
            ",\"sourceIncarnationNumber\":",
            self.incarnation(),
        );
        let checksum = self.checksum_for(self.default_form);
        number_field(&mut body, ",\"sourceChecksum\":", checksum.into());
        body.extend_from_slice(b",\"flappers\":");
        for (i, &id) in flappers.iter().take(crate::limits::FLAPPERS).enumerate() {
            body.push(if i == 0 { b'[' } else { b',' });
            text(&mut body, &self.members.get(id).address);
        }
        body.extend_from_slice(b"]}");
        self.damper.rounds += 1;
        let round = self.damper.rounds;
        self.damper.asked = 0;
        for id in some {
            let message = (body.clone(), Vec::new());
            let (to, purpose) = (self.address_of(id), Purpose::Damp { round });
            if self.send(&to, Endpoint::DampReq, message, TIMEOUT_MS, purpose) {
                self.count_one("damp-req.send");
                self.damper.asked += 1;
            }
        }
        self.damper.answers = (self.damper.asked > 0).then(Vec::new);
    }

    pub(crate) fn damp_answered(
        &mut self,
        round: u64,
        pending: &Pending,
        outcome: Result<&[u8], Failure>,
    ) {
        self.time("protocol.damp-req", pending.sent_at);
        let Some(answers) = self
            .damper
            .answers
            .as_mut()
            .filter(|_| round == self.damper.rounds)
        else {
            return;
        };
        self.damper.asked = self.damper.asked.saturating_sub(1);
        let answer = outcome
            .ok()
            .and_then(|body| DampReqResponse::parse(body).ok());
        match answer.and_then(|answer| answer.scores) {
            Some(scores) => {
                let flapping = scores
                    .into_iter()
                    .filter(|score| score.score >= FLAPPER_SCORE);
                answers.push(flapping.map(|score| score.member.into_owned()).collect());
            }
            None => self.count_one("damper.damp-req.error"),
        }
        let enough = self
            .damper
            .answers
            .as_ref()
            .is_some_and(|all| all.len() >= ANSWERS);
        if enough || self.damper.asked == 0 {
            let answers = self.damper.answers.take().unwrap_or_default();
            self.damp_agreed(&answers);
        }
    }

    /// Damps those of whom all who were asked say the same.
    fn damp_agreed(&mut self, answers: &[Vec<String>]) {
        if answers.len() < ANSWERS {
            self.count_one("damper.damp-req.inconclusive");
            return;
        }
        let most = (self.members.len() as f64 * MAX_DAMPED_SHARE) as usize;
        for id in self.damper.flappers.clone() {
            let damped = self
                .damper
                .flappers
                .iter()
                .filter(|id| self.members.get(**id).damped());
            let room = damped.count() < most;
            let address = self.address_of(id);
            let agreed = answers
                .iter()
                .all(|those| those.iter().any(|it| **it == *address));
            if !room || !agreed || self.members.get(id).damped() {
                continue;
            }
            self.members.get_mut(id).trouble().flaps.damped_since = Some(self.now.ms);
            self.touched.push((id, false));
            self.count_one("damper.damp-req.damped");
            self.count_one("make-damped");
            let acted = self.config.damping == Damping::Act;
            self.event(Event::Damped {
                address,
                damped: true,
                acted,
            });
        }
    }

    /// A member is forgotten.
    pub(crate) fn forget_flapper(&mut self, id: Id) {
        self.damper.flappers.retain(|other| *other != id);
    }
}
