//! How a member comes in: it asks some seeds for their lists, and is ready when enough answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::body::JoinResponse;
use crate::pending::{Pending, Purpose};
use crate::swim::Swim;
use crate::updates::Origin;
use crate::{BootstrapError, Endpoint, Event, Failure, limits};

/// How far the bootstrap is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// No seeds are known yet.
    Idle,
    Joining(Box<Joining>),
    Ready,
    Failed,
    /// It has evicted itself.
    Evicted,
}

#[derive(Debug)]
pub(crate) struct Joining {
    began: u64,
    needed: usize,
    /// All but this member.
    others: Vec<Arc<str>>,
    /// Those that are still to be asked in this turn; the last is the next.
    todo: Vec<Arc<str>>,
    joined: Vec<Arc<str>>,
    /// Those that have not let this member in: why, when they were asked last.
    missed: BTreeMap<Arc<str>, String>,
    in_flight: usize,
    pauses: u32,
    next_at: Option<u64>,
}

/// Of a seed that has not answered yet.
const UNANSWERED: &str = "no answer yet";

impl Swim {
    /// Takes a list of seeds: the first starts the bootstrap.
    pub(crate) fn take_seeds(&mut self, mut seeds: Vec<String>) {
        seeds.truncate(limits::SEEDS);
        seeds.retain(|seed| !seed.is_empty() && seed.len() <= limits::ADDRESS_BYTES);
        let mut seen = std::collections::BTreeSet::new();
        seeds.retain(|seed| seen.insert(seed.clone()));
        self.seeds = seeds;
        match &mut self.phase {
            Phase::Idle | Phase::Failed => self.begin_bootstrap(),
            Phase::Joining(_) => self.change_seeds(),
            Phase::Ready => self.heal_with_seeds(),
            Phase::Evicted => {}
        }
    }

    fn other_seeds(&self) -> Vec<Arc<str>> {
        let others = self.seeds.iter().filter(|seed| **seed != *self.me);
        others.map(|seed| seed.as_str().into()).collect()
    }

    fn begin_bootstrap(&mut self) {
        let others = self.other_seeds();
        let only_me = others.is_empty() && !self.seeds.is_empty();
        if only_me || others.is_empty() && self.config.bootstrap.alone_after_ms.is_some() {
            self.become_ready(Vec::new(), Vec::new(), self.now.ms);
            return;
        }
        if others.is_empty() {
            self.phase = Phase::Failed;
            let reason = BootstrapError::NoSeeds;
            self.event(Event::BootstrapFailed { reason });
            return;
        }
        // Ringpop's members are all given the same list. Whoever may begin alone needs none.
        let alone = self.config.bootstrap.alone_after_ms;
        if others.len() == self.seeds.len() && alone.is_none() {
            let reason = "this member's own address is not among the seeds".to_owned();
            self.doubt("the list of seeds", reason);
        }
        self.phase = Phase::Joining(Box::new(Joining {
            began: self.now.ms,
            needed: self.config.bootstrap.join_size.min(others.len()),
            others,
            todo: Vec::new(),
            joined: Vec::new(),
            missed: BTreeMap::new(),
            in_flight: 0,
            pauses: 0,
            next_at: None,
        }));
        self.join_some();
    }

    /// The seeds are others while it joins.
    fn change_seeds(&mut self) {
        let others = self.other_seeds();
        let join_size = self.config.bootstrap.join_size;
        if let Phase::Joining(joining) = &mut self.phase {
            joining.needed = join_size.min(others.len().max(1));
            joining.others = others;
            joining.todo.clear();
        }
        self.finish_if_enough();
    }

    /// Asks as many seeds as are missing, times the parallelism.
    fn join_some(&mut self) {
        let Phase::Joining(joining) = &mut self.phase else {
            return;
        };
        joining.next_at = None;
        if joining.todo.is_empty() {
            let fresh = joining
                .others
                .iter()
                .filter(|seed| !joining.joined.contains(seed));
            let (mut near, mut far): (Vec<Arc<str>>, Vec<Arc<str>>) = fresh
                .cloned()
                .partition(|seed| host(seed) == host(&self.me));
            // Seeds on other hosts tell more, and are asked first.
            self.random.shuffle(&mut near);
            self.random.shuffle(&mut far);
            near.append(&mut far);
            joining.todo = near;
        }
        let missing = joining.needed.saturating_sub(joining.joined.len());
        let most = missing.saturating_mul(self.config.bootstrap.parallelism);
        let from = joining.todo.len().saturating_sub(most);
        let round = joining.todo.split_off(from);
        joining.in_flight += round.len();
        for seed in round {
            self.ask_seed(&seed);
        }
    }

    fn ask_seed(&mut self, seed: &Arc<str>) {
        let body = (self.join_request(), Vec::new());
        let timeout = self.config.bootstrap.join_timeout_ms;
        if !self.send(seed, Endpoint::Join, body, timeout, Purpose::Join)
            && let Phase::Joining(joining) = &mut self.phase
        {
            joining.in_flight -= 1;
        }
    }

    pub(crate) fn joined(&mut self, pending: Pending, outcome: Result<&[u8], Failure>) {
        if let Phase::Joining(joining) = &mut self.phase {
            joining.in_flight = joining.in_flight.saturating_sub(1);
        } else {
            // Enough others were faster.
            return;
        }
        let destroyed = matches!(outcome, Err(Failure::Unreachable(_)));
        match self.read_list(outcome) {
            Ok(list) => {
                self.time("join", pending.sent_at);
                let changes = list.membership.as_deref().unwrap_or_default();
                self.apply(changes, &pending.to, Origin::Bootstrap);
                self.learn_from_list(&pending.to, &list);
                if let Phase::Joining(joining) = &mut self.phase
                    && !joining.joined.contains(&pending.to)
                {
                    joining.missed.remove(&pending.to);
                    joining.joined.push(pending.to);
                }
            }
            Err(reason) => {
                self.count_one(match destroyed {
                    true => "join.failed.destroyed",
                    false => "join.failed.err",
                });
                let seed = pending.to;
                if let Phase::Joining(joining) = &mut self.phase {
                    joining.missed.insert(seed.clone(), reason.clone());
                }
                self.event(Event::JoinFailed { seed, reason });
            }
        }
        self.finish_if_enough();
    }

    fn read_list<'a>(
        &self,
        outcome: Result<&'a [u8], Failure>,
    ) -> Result<JoinResponse<'a>, String> {
        let body = outcome.map_err(|failure| failure.to_string())?;
        let list = JoinResponse::parse(body).map_err(|e| e.to_string())?;
        if list.membership.is_none() {
            return Err("its answer has no membership".to_owned());
        }
        if !self.same_app(&list) {
            let app = list.app.as_deref().unwrap_or_default();
            return Err(format!("it belongs to the application {app:?}"));
        }
        Ok(list)
    }

    fn finish_if_enough(&mut self) {
        let Phase::Joining(joining) = &mut self.phase else {
            return;
        };
        if joining.joined.len() >= joining.needed {
            self.end_joining();
            return;
        }
        if joining.in_flight > 0 {
            return;
        }
        if !joining.todo.is_empty() {
            self.join_some();
            return;
        }
        let settings = &self.config.bootstrap;
        let doubled = settings
            .retry_ms
            .saturating_mul(1 << joining.pauses.min(20));
        let pause =
            doubled.min(settings.max_retry_ms) as f64 * (1.0 + self.random.fraction() / 2.0);
        joining.pauses += 1;
        joining.next_at = Some(self.now.ms + (pause as u64).min(settings.max_retry_ms).max(1));
        let pauses = joining.pauses;
        self.gauge("join.retries", f64::from(pauses));
    }

    pub(crate) fn bootstrap_wake(&self) -> Option<u64> {
        let Phase::Joining(joining) = &self.phase else {
            return None;
        };
        let settings = &self.config.bootstrap;
        let end = Some(joining.began.saturating_add(settings.give_up_ms));
        let alone = settings
            .alone_after_ms
            .filter(|_| joining.joined.is_empty());
        let alone = alone.map(|ms| joining.began.saturating_add(ms));
        [joining.next_at, alone, end].into_iter().flatten().min()
    }

    pub(crate) fn bootstrap_on_time(&mut self) {
        let Phase::Joining(joining) = &self.phase else {
            return;
        };
        let now = self.now.ms;
        let passed = now.saturating_sub(joining.began);
        let settings = &self.config.bootstrap;
        if joining.joined.is_empty() && settings.alone_after_ms.is_some_and(|ms| passed >= ms) {
            self.end_joining();
        } else if passed >= settings.give_up_ms {
            let (joined, needed) = (joining.joined.len(), joining.needed);
            self.phase = Phase::Failed;
            let reason = BootstrapError::GaveUp {
                joined,
                needed,
                ms: passed,
            };
            self.event(Event::BootstrapFailed { reason });
        } else if joining.next_at.is_some_and(|at| at <= now) {
            self.join_some();
        }
    }

    /// Has joined those who answered, be it nobody.
    fn end_joining(&mut self) {
        let Phase::Joining(joining) = &mut self.phase else {
            return;
        };
        let mut missed = std::mem::take(&mut joining.missed);
        for pending in &self.pending {
            if matches!(pending.purpose, Purpose::Join) && !joining.joined.contains(&pending.to) {
                let why = missed.entry(pending.to.clone());
                why.or_insert_with(|| UNANSWERED.to_owned());
            }
        }
        let (joined, began) = (std::mem::take(&mut joining.joined), joining.began);
        self.become_ready(joined, missed.into_iter().collect(), began);
    }

    fn become_ready(&mut self, joined: Vec<Arc<str>>, missed: Vec<(Arc<str>, String)>, began: u64) {
        self.phase = Phase::Ready;
        self.pending
            .retain(|pending| !matches!(pending.purpose, Purpose::Join));
        self.count_one("join.complete");
        self.count_one("join.succeeded");
        self.settle_ring();
        self.tell_of(self.my_id);
        self.count_one("make-alive");
        let took_ms = self.now.ms.saturating_sub(began);
        self.event(Event::Ready {
            joined,
            missed,
            took_ms,
        });
        self.start_gossip();
        self.start_healing();
        self.start_damping();
        if self.config.checksum_report_ms > 0 {
            self.next_report = Some(self.now.ms + self.config.checksum_report_ms.max(10));
        }
        if self.config.bootstrap.announce {
            self.announce();
        }
    }
}

fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}
