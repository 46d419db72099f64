//! How halves that have lost each other meet again (ringpop-common: `docs/partitions.md`).
//!
//! Members that both halves know, and of which one says that it is gone, are made suspect first: so
//! they say that they are alive, with a newer incarnation number, which the other half takes. Only
//! when nobody would be lost are the lists put together.

use std::sync::Arc;

use crate::body::{Change, JoinResponse};
use crate::messages::write_member;
use crate::pending::{Pending, Purpose};
use crate::swim::Swim;
use crate::updates::Origin;
use crate::{Answer, Endpoint, Event, Failure, Fault, Output, Status, Token, overrides};

/// When seeds are asked, and how far that is.
#[derive(Debug, Default)]
pub(crate) struct Healer {
    next_at: Option<u64>,
    /// Seeds were asked for; until then they are waited for.
    seeds_by: Option<u64>,
    attempt: Option<Attempt>,
    tokens: Vec<Token>,
    /// When seeds that are not in the ring are looked for, beside the period.
    seek_at: Option<u64>,
    /// The pause after that.
    seek_pause_ms: u64,
}

#[derive(Debug, Default)]
struct Attempt {
    candidates: Vec<Arc<str>>,
    failures: usize,
    reached: Vec<String>,
}

/// How long a fresh list of seeds is waited for, before the last one is used.
const SEEDS_WAIT_MS: u64 = 2000;

impl Healer {
    pub fn next_wake(&self) -> Option<u64> {
        [self.next_at, self.seeds_by, self.seek_at]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Swim {
    pub(crate) fn start_healing(&mut self) {
        if let Some(settings) = &self.config.healing {
            self.healer.next_at = Some(self.now.ms + settings.period_ms.max(1));
        }
        self.seek_soon();
    }

    /// The ring has changed, or lists could not be put together yet: seeds that are not in the ring
    /// are looked for after the first pause.
    pub(crate) fn seek_soon(&mut self) {
        let settings = self.config.healing.as_ref();
        if let Some(seeking) = settings.and_then(|it| it.seeking.as_ref())
            && self.is_ready()
        {
            self.healer.seek_pause_ms = seeking.first_ms.max(1);
            self.plan_seeking();
        }
    }

    /// Has seeds looked for after the pause, if some are not in the ring.
    fn plan_seeking(&mut self) {
        let missing = self.seeds.iter().any(|seed| self.is_missing(seed));
        let chance = 1.0 + self.random.fraction() / 2.0;
        let pause = (self.healer.seek_pause_ms as f64 * chance) as u64;
        self.healer.seek_at = missing.then_some(self.now.ms + pause);
    }

    /// Whether a seed is somebody else who is not in the ring, and has not said that it goes.
    fn is_missing(&self, seed: &str) -> bool {
        let id = self.members.find(seed);
        let gone = id.is_none_or(|id| match self.members.get(id).status {
            Status::Alive | Status::Suspect | Status::Leave => false,
            Status::Faulty | Status::Tombstone => true,
        });
        gone && *seed != *self.me
    }

    fn seek(&mut self) {
        let Some(settings) = &self.config.healing else {
            return;
        };
        let Some(seeking) = &settings.seeking else {
            return;
        };
        let others = self.members.pingable().saturating_sub(1);
        let longest = match others {
            0 => seeking.alone_ms.min(settings.period_ms),
            _ => settings.period_ms,
        };
        let doubled = self.healer.seek_pause_ms.saturating_mul(2);
        self.healer.seek_pause_ms = doubled.min(longest).max(1);
        let chance = settings.tries / others.max(1) as f64;
        let stays = self.is_ready() && self.my_status() == Status::Alive;
        if stays && self.is_idle() && self.random.fraction() < chance {
            self.ask_for_seeds();
        }
        self.plan_seeking();
    }

    fn is_idle(&self) -> bool {
        self.healer.attempt.is_none() && self.healer.seeds_by.is_none()
    }

    pub(crate) fn heal_on_time(&mut self) {
        let now = self.now.ms;
        if self.healer.seeds_by.is_some_and(|at| at <= now) {
            self.heal_with_seeds();
        }
        if self.healer.seek_at.is_some_and(|at| at <= now) {
            self.seek();
        }
        if self.healer.next_at.is_none_or(|at| at > now) {
            return;
        }
        self.healer.next_at = None;
        let Some(settings) = &self.config.healing else {
            return;
        };
        self.healer.next_at = Some(now + settings.period_ms.max(1));
        // So many members try that it is about as many in a cluster of any size.
        let among = self
            .members
            .pingable()
            .saturating_sub(1)
            .max(self.seeds.len())
            .max(1);
        let chance = settings.tries / among as f64;
        if self.is_ready() && self.is_idle() && self.random.fraction() < chance {
            self.ask_for_seeds();
        }
    }

    pub(crate) fn heal_now(&mut self, token: Token) -> Result<(), Fault> {
        if self.config.healing.is_none() {
            return Err(Fault::turned_off("partition healing"));
        }
        self.healer.tokens.push(token);
        if self.is_idle() {
            self.ask_for_seeds();
        }
        Ok(())
    }

    fn ask_for_seeds(&mut self) {
        self.count_one("heal.triggered");
        self.healer.seeds_by = Some(self.now.ms + SEEDS_WAIT_MS);
        self.out.push(Output::FetchSeeds);
    }

    /// Goes on with the list of seeds as it is now.
    pub(crate) fn heal_with_seeds(&mut self) {
        if self.healer.seeds_by.take().is_none() {
            return;
        }
        let lost = |seed: &&String| {
            let id = self.members.find(seed);
            **seed != *self.me && id.is_none_or(|id| !self.members.get(id).status.pingable())
        };
        let lost = self.seeds.iter().filter(lost);
        let mut candidates: Vec<Arc<str>> = lost.map(|seed| seed.as_str().into()).collect();
        self.random.shuffle(&mut candidates);
        self.healer.attempt = Some(Attempt {
            candidates,
            ..Attempt::default()
        });
        self.heal_next();
    }

    fn heal_next(&mut self) {
        let (max, timeout) = match &self.config.healing {
            Some(settings) => (settings.max_failures, settings.join_timeout_ms),
            None => (0, 0),
        };
        while let Some(attempt) = &mut self.healer.attempt {
            let next = match attempt.failures < max {
                true => attempt.candidates.pop(),
                false => None,
            };
            let Some(seed) = next else {
                self.end_healing();
                return;
            };
            let body = (self.join_request(), Vec::new());
            if self.send(&seed, Endpoint::Join, body, timeout, Purpose::HealJoin) {
                self.count_one("heal.attempt");
                return;
            }
        }
    }

    fn end_healing(&mut self) {
        let attempt = self.healer.attempt.take().unwrap_or_default();
        for token in std::mem::take(&mut self.healer.tokens) {
            let result = Ok(Answer::Targets(attempt.reached.clone()));
            self.out.push(Output::Done { token, result });
        }
        if attempt.failures > 0 || !attempt.reached.is_empty() {
            let targets = attempt.reached;
            self.event(Event::HealAttempt { targets });
        }
    }

    pub(crate) fn heal_joined(&mut self, pending: &Pending, outcome: Result<&[u8], Failure>) {
        let list = outcome.ok().and_then(|body| JoinResponse::parse(body).ok());
        match list.filter(|list| self.same_app(list)) {
            Some(list) => {
                if let Some(attempt) = &mut self.healer.attempt {
                    attempt.reached.push(pending.to.to_string());
                }
                self.learn_from_list(&pending.to, &list);
                let theirs = list.membership.as_deref().unwrap_or_default();
                self.reconcile(&pending.to, theirs);
                self.drop_reached(theirs);
            }
            None => {
                if let Some(attempt) = &mut self.healer.attempt {
                    attempt.failures += 1;
                }
            }
        }
        self.heal_next();
    }

    /// Compares both lists. Suspects whom the one would take from the other, on that side; if there
    /// is none, puts the lists together.
    fn reconcile(&mut self, target: &Arc<str>, theirs: &[Change<'_>]) {
        let (mut for_us, mut for_them) = (Vec::new(), Vec::new());
        for change in theirs {
            let (Some(status), Some(incarnation)) = (change.status, change.incarnation) else {
                continue;
            };
            let Some(id) = self.members.find(&change.address) else {
                continue;
            };
            let member = self.members.get(id);
            let (our, their) = ((member.incarnation, member.status), (incarnation, status));
            let suspect = |incarnation| Change {
                address: change.address.as_ref().into(),
                status: Some(Status::Suspect),
                incarnation: Some(incarnation),
                ..Change::default()
            };
            if our.1.pingable() && !their.1.pingable() && overrides(their, our) {
                for_us.push(suspect(their.0));
            } else if their.1.pingable() && !our.1.pingable() && overrides(our, their) {
                for_them.push(suspect(our.0));
            }
        }
        let mut body = Vec::new();
        if for_us.is_empty() && for_them.is_empty() {
            self.apply(theirs, target, Origin::Gossip);
            self.write_all(&mut body);
        } else {
            // They contradict first, and meet the next time.
            self.seek_soon();
            self.apply(&for_us, target, Origin::Gossip);
            for (i, change) in for_them.iter().enumerate() {
                if i > 0 {
                    body.push(b',');
                }
                change.write(&mut body);
            }
        }
        if !body.is_empty() {
            let id = self.members.find(target);
            let form = id.map_or(self.default_form, |id| self.form_of(id));
            let body = (self.ping_with(form, &body), Vec::new());
            let timeout = self.config.ping_timeout_ms;
            self.send(target, Endpoint::Ping, body, timeout, Purpose::HealPing);
        }
    }

    /// The whole list as changes in this member's name.
    fn write_all(&self, out: &mut Vec<u8>) {
        for (i, member) in self.members.iter().enumerate() {
            out.extend_from_slice(if i > 0 { b",{" } else { b"{" });
            write_member(out, member);
            out.push(b'}');
        }
    }

    /// Seeds whom the target can reach need not be asked, too.
    fn drop_reached(&mut self, theirs: &[Change<'_>]) {
        let reached: std::collections::BTreeSet<&str> = theirs
            .iter()
            .filter(|change| change.status.is_some_and(Status::pingable))
            .map(|change| &*change.address)
            .collect();
        if let Some(attempt) = &mut self.healer.attempt {
            attempt.candidates.retain(|seed| !reached.contains(&**seed));
        }
    }
}
