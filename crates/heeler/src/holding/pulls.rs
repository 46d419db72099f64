//! Taking keys from others: those that requests wait for at once, all others in the background.

use std::collections::VecDeque;

use super::message::{Answer, Ask, Known};
use super::part::{Node, Source, Stage};
use super::ranges::{Range, Ranges};
use super::{Flight, Holding, Now, Output};
use crate::limits;
use crate::store::{Copy, Imported};

/// A key that requests wait for.
#[derive(Default)]
pub(super) struct Fetching {
    waits: Vec<Node>,
    answered: Vec<Node>,
}

/// Everything of some ranges is being taken from one node.
pub(super) struct Pull {
    /// Whether this node is a replica of the other.
    level: bool,
    ranges: Ranges,
    since: u64,
    /// Where the survey goes on.
    cursor: Option<u64>,
    /// Keys that are newer there, with about their sizes.
    keys: VecDeque<(Box<[u8]>, u32)>,
}

impl Holding {
    /// Goes on to take what a node has.
    pub(super) fn pull_of(&mut self, now: Now, node: &Node, out: &mut Vec<Output>) {
        let (since, allowed) = (self.counter, self.allowance.0 > 0);
        let cleared = self.store.clearing().done;
        let peer = self.peer(node);
        if !peer.pull.is_free(now) || !allowed {
            return;
        }
        if peer.pulling.is_none() {
            let level = peer.needs.pull.is_empty();
            let needed = if level {
                &peer.needs.level
            } else {
                &peer.needs.pull
            };
            if needed.is_empty() {
                return;
            }
            peer.pulling = Some(Pull {
                level,
                ranges: Ranges::new(needed.clone()),
                since,
                cursor: Some(0),
                keys: VecDeque::new(),
            });
        }
        let Some(pull) = &peer.pulling else {
            return;
        };
        let (ask, flight) = match pull.cursor {
            _ if !pull.keys.is_empty() => (Ask::Fetch(pull.next_keys()), Flight::Take { cleared }),
            Some(cursor) => {
                let (ranges, level) = (pull.ranges.as_slice().to_vec(), pull.level);
                let survey = Ask::Survey {
                    ranges,
                    cursor,
                    level,
                };
                (survey, Flight::Survey)
            }
            None => return self.pulled(node),
        };
        peer.pull.busy = true;
        self.send(now, node, (ask, flight), out);
    }

    /// All is taken that a node had.
    fn pulled(&mut self, node: &Node) {
        let Some(pull) = self.peer(node).pulling.take() else {
            return;
        };
        let me = self.config.me.clone();
        self.parts.update(&pull.ranges, |_, part| {
            let taken = |it: &Source| {
                it.node == *node && it.stage == Stage::Heard && it.since <= pull.since
            };
            let owns = part.owner() == Some(&me);
            match part.sources.iter().position(taken) {
                Some(at) if owns && !pull.level => part.sources[at].stage = Stage::Drained,
                Some(at) if !owns && pull.level => {
                    part.sources.remove(at);
                    part.reported = false;
                }
                _ => {}
            }
        });
        self.stale = true;
    }

    /// Shows the keys of some ranges.
    pub(super) fn show(
        &mut self,
        from: &Node,
        ranges: Vec<Range>,
        cursor: u64,
        level: bool,
    ) -> Answer {
        let ranges = Ranges::new(ranges);
        let Some(view) = &self.view else {
            return Answer::Later;
        };
        let ready = |range: &Range| {
            self.parts.inside(*range).all(|(_, part)| {
                let settled = part.claimed && part.is_settled();
                self.owns(part) && settled && part.holders.contains(from)
            })
        };
        if level && !ranges.as_slice().iter().all(ready) {
            return Answer::Later;
        }
        let (hash, mut keys) = (view.ring.hash(), Vec::new());
        if level && cursor == 0 {
            self.parts.update(&ranges, |_, part| {
                if !part.surveyed.contains(from) {
                    part.surveyed.push(from.clone());
                }
            });
        }
        let terms = self.config.terms;
        let budget = limits::SURVEY_BYTES;
        let next = self.store.survey(cursor, budget, |met| {
            let wanted = ranges.contain(terms.position(hash, met.key));
            if wanted {
                keys.push(Known {
                    key: met.key.into(),
                    version: met.version,
                    bytes: u32::try_from(met.bytes).unwrap_or(u32::MAX),
                });
            }
            wanted
        });
        Answer::Surveyed { keys, next }
    }

    pub(super) fn survey_answered(&mut self, now: Now, from: &Node, answer: Option<Answer>) {
        let me = self.config.me.clone();
        let peer = self.peer(from);
        peer.pull.busy = false;
        let Some(Answer::Surveyed { keys, next }) = answer else {
            // It begins anew, with the ranges that are needed then.
            peer.pulling = None;
            peer.pull.at = now.ms + limits::ASK_AGAIN_MS;
            return;
        };
        let mut newer = VecDeque::new();
        for known in keys {
            let Some(position) = self.position(&known.key) else {
                continue;
            };
            let here = self.store.version(now.wall_ms, &known.key);
            let is_newer = here.is_none_or(|here| here < known.version);
            if is_newer && self.parts.at(position).holders.contains(&me) {
                newer.push_back((known.key, known.bytes));
            }
        }
        if let Some(pull) = &mut self.peer(from).pulling {
            // A cursor that does not go forward would go on for ever.
            pull.cursor = next.filter(|next| pull.cursor.is_some_and(|before| *next > before));
            pull.keys = newer;
        }
    }

    /// Gives copies of keys.
    pub(super) fn give(&mut self, now: Now, to: &Node, keys: &[Box<[u8]>]) -> Answer {
        let (mut copies, mut bytes, mut covered) = (Vec::new(), 0, 0);
        for key in keys {
            if bytes >= limits::COPIES_BYTES {
                break;
            }
            covered += 1;
            if let Some(copy) = self.copy_for(now, to, key) {
                bytes += copy.bytes();
                copies.push(copy);
            }
        }
        self.progress.keys_out += copies.len() as u64;
        self.progress.bytes_out += bytes as u64;
        Answer::Fetched { copies, covered }
    }

    /// `cleared`: up to which version keys were cleared away here when they were asked for.
    pub(super) fn take_answered(
        &mut self,
        now: Now,
        from: &Node,
        cleared: u64,
        answer: Option<Answer>,
    ) {
        let peer = self.peer(from);
        peer.pull.busy = false;
        let Some(Answer::Fetched { copies, covered }) = answer else {
            peer.pull.at = now.ms + limits::ASK_AGAIN_MS;
            return;
        };
        if let Some(pull) = &mut peer.pulling {
            let covered = (covered as usize).clamp(1, pull.keys.len().max(1));
            pull.keys.drain(..covered.min(pull.keys.len()));
        }
        let mut is_cleared = false;
        for copy in &copies {
            self.allowance.0 -= copy.bytes() as i64;
            is_cleared |= self.import(now, copy, cleared) == Some(Imported::Cleared);
        }
        if is_cleared {
            // It learns of that with the next question: what is still there then has to be here.
            self.peer(from).pulling = None;
        }
    }

    /// A request waits for a key that others may have.
    pub(super) fn want(&mut self, key: &[u8], position: u32) {
        if self.fetches.contains_key(key) {
            return;
        }
        let heard = heard(&self.parts.at(position).sources);
        for node in &heard {
            self.peer(node).wanted.push(key.into());
        }
        let fetching = Fetching {
            waits: heard,
            answered: Vec::new(),
        };
        self.fetches.insert(key.into(), fetching);
    }

    /// After a change of the parts: requests wait for other nodes.
    pub(super) fn refresh_fetches(&mut self) {
        for peer in self.peers.values_mut() {
            peer.wanted.clear();
        }
        for (key, mut fetching) in std::mem::take(&mut self.fetches) {
            let Some(position) = self.position(&key) else {
                continue;
            };
            let part = self.parts.at(position);
            if part.owner() != Some(&self.config.me) || !part.claimed {
                continue;
            }
            let mut waits = heard(&part.sources);
            waits.retain(|node| !fetching.answered.contains(node));
            if waits.is_empty() {
                self.remember_fetched(key);
                continue;
            }
            for node in &waits {
                self.peer(node).wanted.push(key.clone());
            }
            fetching.waits = waits;
            self.fetches.insert(key, fetching);
        }
    }

    /// Fetches what requests wait for.
    pub(super) fn fetch_of(&mut self, now: Now, node: &Node, out: &mut Vec<Output>) {
        let peer = self.peer(node);
        if peer.wanted.is_empty() || !peer.fetch.is_free(now) {
            return;
        }
        peer.fetch.busy = true;
        let count = peer.wanted.len().min(limits::COPIES);
        let keys: Vec<Box<[u8]>> = peer.wanted.drain(..count).collect();
        let flight = Flight::Fetch {
            keys: keys.clone(),
            cleared: self.store.clearing().done,
        };
        self.send(now, node, (Ask::Fetch(keys), flight), out);
    }

    pub(super) fn fetch_answered(
        &mut self,
        now: Now,
        from: &Node,
        (mut keys, cleared): (Vec<Box<[u8]>>, u64),
        answer: Option<Answer>,
        out: &mut Vec<Output>,
    ) {
        let peer = self.peer(from);
        peer.fetch.busy = false;
        let covered = match &answer {
            Some(Answer::Fetched { covered, .. }) => (*covered as usize).min(keys.len()),
            _ => {
                peer.fetch.at = now.ms + limits::ASK_AGAIN_MS;
                0
            }
        };
        let mut missing = keys.split_off(covered);
        if let Some(Answer::Fetched { copies, .. }) = answer {
            for copy in &copies {
                if self.import(now, copy, cleared) == Some(Imported::Cleared) {
                    keys.retain(|key| *key != copy.key);
                    missing.push(copy.key.clone());
                }
            }
        }
        for key in missing {
            let fetching = self.fetches.get(&key);
            let waits = fetching.is_some_and(|it| it.waits.contains(from));
            let wanted = &mut self.peer(from).wanted;
            if waits && !wanted.contains(&key) {
                wanted.push(key);
            }
        }
        for key in keys {
            let Some(fetching) = self.fetches.get_mut(&key) else {
                continue;
            };
            fetching.waits.retain(|node| node != from);
            fetching.answered.push(from.clone());
            if fetching.waits.is_empty() {
                self.fetches.remove(&key);
                self.remember_fetched(key);
            }
        }
        out.push(Output::Woken);
    }

    fn remember_fetched(&mut self, key: Box<[u8]>) {
        if self.fetched.len() >= limits::FETCHED {
            self.fetched.clear();
        }
        self.fetched.insert(key);
    }

    /// Takes a copy in that another holder had, and passes it on to replicas that would miss it.
    fn import(&mut self, now: Now, copy: &Copy, cleared: u64) -> Option<Imported> {
        let position = self.position(&copy.key)?;
        let part = self.parts.at(position);
        if !self.holds(part) {
            return None;
        }
        // Clients are told of all that came before it serves the keys at once, when it does.
        let serves = part.claimed && part.is_settled();
        let imported = match self.owns(part) {
            true => self
                .store
                .import_as_owner(now.wall_ms, copy, cleared, serves),
            false => self.store.import(now.wall_ms, copy),
        };
        match imported {
            Imported::Taken => {}
            // Both say that it is gone.
            Imported::Cleared if copy.value.is_none() => return Some(Imported::Known),
            _ => return Some(imported),
        }
        self.progress.keys_in += 1;
        self.progress.bytes_in += copy.bytes() as u64;
        if self.owns(part) && part.opened {
            self.send_to_replicas(&copy.key, position);
        }
        Some(imported)
    }

    /// Reckons how many bytes may be taken.
    pub(super) fn allow(&mut self, now: Now) {
        let (bytes, at) = self.allowance;
        let rate = self.config.pull_rate.min(i64::MAX as u64 / 1000);
        let more = u128::from(rate) * u128::from(now.ms.saturating_sub(at)) / 1000;
        // What is not used is lost after a tenth of a second.
        let most = (rate / 10).max(1) as i64;
        let more = i64::try_from(more).unwrap_or(most);
        self.allowance = (bytes.saturating_add(more).min(most), now.ms);
    }

    /// When bytes may be taken again.
    pub(super) fn allowed_at(&self) -> u64 {
        let (bytes, at) = self.allowance;
        if bytes > 0 {
            return 0;
        }
        let rate = self.config.pull_rate.max(1);
        at + (bytes.unsigned_abs() + 1)
            .saturating_mul(1000)
            .div_ceil(rate)
    }
}

impl Pull {
    fn next_keys(&self) -> Vec<Box<[u8]>> {
        let mut bytes = 0;
        let mut fits = |size: u32| {
            let fits = bytes < limits::COPIES_BYTES;
            bytes += size as usize;
            fits
        };
        let keys = self.keys.iter().take(limits::COPIES);
        let keys = keys.take_while(|(_, size)| fits(*size));
        keys.map(|(key, _)| key.clone()).collect()
    }
}

fn heard(sources: &[Source]) -> Vec<Node> {
    let heard = sources.iter().filter(|source| source.stage == Stage::Heard);
    heard.map(|source| source.node.clone()).collect()
}
