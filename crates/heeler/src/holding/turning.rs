//! The ring turns: what this node gains and loses when membership changes.

use std::collections::BTreeSet;

use heeler_ring::Ring;

use super::part::{Holders, Node, Part, Past, Source, Stage};
use super::ranges::{Range, RangeMap};
use super::{Holding, Now, View};
use crate::limits;

impl Holding {
    /// Takes a new view of the membership.
    pub(super) fn take_view(&mut self, now: Now, view: View) {
        let holders = holders(&view.ring, self.config.replicas);
        let before = match self.view.take() {
            Some(_) => self.parts.clone(),
            None => self.before_it_came(&view),
        };
        self.counter += 1;
        let turn = Turn {
            me: &self.config.me,
            view: &view,
            silent: &self.silent,
            since: self.counter,
        };
        let turned = before.zip(&holders, |range, part, holders| {
            turn.turned(range, part, holders)
        });
        // Who had it when it became this node's may have passed it on since.
        let others = self.holders_without_me(&view);
        self.parts = turned.zip(&others, |range, part, others| {
            let mut part = part.clone();
            if part.owner() == Some(turn.me) && !part.claimed {
                turn.look_further(range, &mut part, others);
            }
            part
        });
        for (node, peer) in &mut self.peers {
            if turn.is_gone(node) {
                peer.outbox.clear();
                peer.wanted.clear();
                peer.pulling = None;
                peer.failing_since = None;
            }
        }
        self.view = Some(view);
        self.fetched.clear();
        self.stale = true;
        self.keep_tombstones(now);
    }

    /// Who held what before this node came, as far as it can know.
    fn before_it_came(&self, view: &View) -> RangeMap<Part> {
        RangeMap::new(()).zip(&self.holders_without_me(view), |_, (), holders| Part {
            holders: holders.clone(),
            ..Part::default()
        })
    }

    fn holders_without_me(&self, view: &View) -> RangeMap<Holders> {
        let mut ring = Ring::clone(&view.ring);
        ring.remove(&self.config.me);
        holders(&ring, self.config.replicas)
    }

    /// Others have thought that this node was dead, and may have acted on it. What it holds may be
    /// out of date.
    pub(super) fn doubted(&mut self) {
        self.life = self.life.wrapping_add(1);
        self.counter += 1;
        let Some(view) = &self.view else {
            return;
        };
        let turn = Turn {
            me: &self.config.me,
            view,
            silent: &self.silent,
            since: self.counter,
        };
        self.parts.update_all(|range, part| {
            let holders = part.holders.clone();
            if holders.first() == Some(turn.me) {
                turn.gain(range, part, &holders);
            } else if holders.contains(turn.me) {
                turn.level(part);
            }
        });
        self.fetched.clear();
        self.stale = true;
    }

    /// A node has started anew, or was doubted: what it knew is gone, or out of date.
    pub(super) fn lives_anew(&mut self, node: &Node) {
        self.counter += 1;
        let (since, me) = (self.counter, &self.config.me);
        self.parts.update_all(|_, part| {
            part.level.retain(|level| level != node);
            part.surveyed.retain(|surveyed| surveyed != node);
            if part.owner() == Some(me) {
                part.sources.retain(|it| it.node != *node || it.is_open());
                let heard = |it: &Source| it.node == *node && it.stage == Stage::Heard;
                if part.sources.iter().any(heard) {
                    part.drop_sources(|it| it == node);
                    part.ask(node, since);
                }
                part.advance();
            } else if part.is_replica(me, node) {
                part.survey_owner(since);
            }
        });
        let peer = self.peer(node);
        peer.pulling = None;
        self.stale = true;
    }

    /// Nodes that are no members, and have not answered for long, are not asked any more.
    pub(super) fn give_up_silent(&mut self, now: Now) {
        let Some(view) = &self.view else {
            return;
        };
        let silent = self.peers.iter().filter(|(node, peer)| {
            let since = peer.failing_since;
            since.is_some_and(|since| now.ms >= since + limits::NODE_SILENT_MS)
                && !view.ring.contains(node)
        });
        let silent: Vec<Node> = silent.map(|(node, _)| node.clone()).collect();
        if silent.is_empty() {
            return;
        }
        self.parts.update_all(|_, part| {
            part.drop_sources(|node| silent.contains(node));
            if part.owner() == Some(&self.config.me) {
                part.advance();
            }
        });
        for node in silent {
            let peer = self.peer(&node);
            peer.failing_since = None;
            peer.pulling = None;
            peer.wanted.clear();
            self.silent.insert(node);
        }
        self.stale = true;
    }
}

/// One change of the ring, as seen by one node.
struct Turn<'a> {
    me: &'a Node,
    view: &'a View,
    /// Nodes that are no members, and do not answer.
    silent: &'a BTreeSet<Node>,
    since: u64,
}

impl Turn<'_> {
    fn is_gone(&self, node: &Node) -> bool {
        let is_lost = self.view.gone.contains(node) || self.silent.contains(node);
        is_lost && !self.view.ring.contains(node)
    }

    fn turned(&self, range: Range, part: &Part, holders: &Holders) -> Part {
        let mut part = part.clone();
        let old = std::mem::replace(&mut part.holders, holders.clone());
        let owned = old.first() == Some(self.me);
        let held = old.contains(self.me);
        part.drop_sources(|node| self.is_gone(node));
        part.level.retain(|node| holders.contains(node));
        part.surveyed.retain(|node| holders.contains(node));
        if holders.first() == Some(self.me) {
            if !owned {
                self.gain(range, &mut part, &old);
            }
            return part;
        }
        if owned {
            lose(&mut part);
        }
        if !holders.contains(self.me) {
            if held && part.past.is_none() {
                part.past = Some(Past::default());
            }
            part.sources.clear();
        } else if !held || owned || old.first() != holders.first() {
            self.level(&mut part);
        }
        part
    }

    /// This node is the owner now, and must hear of those who were.
    fn gain(&self, range: Range, part: &mut Part, old: &Holders) {
        let is_here =
            |node: &Node| self.view.ring.contains(node) || self.view.leaving.contains(node);
        let before = std::mem::take(part);
        part.holders = before.holders;
        let owner = old.first().filter(|owner| *owner != self.me);
        let is_known = |node: &Node| *node != *self.me && !self.is_gone(node);
        if let Some(owner) = owner.filter(|owner| is_here(owner)) {
            part.ask(owner, self.since);
        }
        let also = before.past.into_iter().flat_map(|past| past.also);
        let granted = before.granted.map(|granted| granted.to);
        let leaving = self.view.leaving.iter().cloned();
        for node in leaving.chain(also).chain(granted).filter(is_known) {
            part.ask(&node, self.since);
        }
        let holders = part.holders.clone();
        let others = old.iter().chain(&holders).cloned();
        for node in others.filter(|node| is_known(node) && is_here(node)) {
            part.reserve(&node, self.since);
        }
        // Who owned it cannot be asked, or was this node, which has missed something.
        if !owner.is_some_and(is_here) && !old.is_empty() {
            for node in self.heirs(range) {
                part.reserve(&node, self.since);
            }
        }
        part.advance();
    }

    /// This node is the owner still, and has not heard of all who were: others may be by now.
    fn look_further(&self, range: Range, part: &mut Part, others: &Holders) {
        let is_known = |node: &Node| *node != *self.me && !self.is_gone(node);
        let owner = others.first();
        for node in owner.into_iter().chain(&self.view.leaving) {
            let known = part.sources.iter().find(|source| source.node == *node);
            let unasked = known.is_none_or(|source| source.stage == Stage::Reserve);
            if unasked && is_known(node) {
                part.ask(node, self.since);
            }
        }
        for node in others.iter().filter(|node| is_known(node)) {
            part.reserve(node, self.since);
        }
        for node in self.heirs(range) {
            part.reserve(&node, self.since);
        }
        part.advance();
    }

    /// Members that may have something of one that is dead: those it may have had it from.
    fn heirs(&self, range: Range) -> Vec<Node> {
        let ring = &self.view.ring;
        let mut places = Vec::new();
        ring.successors_into(range.last, limits::HEIRS + 1, &mut places);
        let members = places.into_iter().map(|place| &ring.members()[place]);
        let others = members.map(|member| member.shared_address().clone());
        others.filter(|node| node != self.me).collect()
    }

    /// This node is a replica, and must be level with the owner.
    fn level(&self, part: &mut Part) {
        part.claimed = false;
        part.level.clear();
        part.surveyed.clear();
        part.survey_owner(self.since);
    }
}

/// This node was the owner: what it has is owed to the next one.
fn lose(part: &mut Part) {
    let open = part.sources.iter().filter(|source| source.is_open());
    let also: Vec<Node> = open.map(|source| source.node.clone()).collect();
    let whole = part.claimed && also.is_empty();
    let owned = part.claimed || part.past.as_ref().is_some_and(|past| past.owned);
    part.past = Some(Past { owned, whole, also });
    part.granted = None;
    part.claimed = false;
    part.opened = false;
    part.level.clear();
    part.surveyed.clear();
    part.sources.clear();
}

/// The holders of all positions by a ring.
pub(super) fn holders(ring: &Ring, replicas: usize) -> RangeMap<Holders> {
    let mut ends: Vec<(u32, Holders)> = Vec::with_capacity(ring.points().len() + 1);
    let mut places = Vec::new();
    let mut at = |position: u32| -> Holders {
        ring.successors_into(position, replicas, &mut places);
        let member = |place: &usize| ring.members()[*place].shared_address().clone();
        places.iter().map(member).collect()
    };
    for (hash, _) in ring.points() {
        // Of points with one hash the first counts.
        if ends.last().is_none_or(|(before, _)| *before != hash) {
            ends.push((hash, at(hash)));
        }
    }
    if ends.last().is_none_or(|(end, _)| *end != u32::MAX) {
        let after = ends.last().map_or(0, |(end, _)| end + 1);
        ends.push((u32::MAX, at(after)));
    }
    RangeMap::from_ends(ends).unwrap_or_else(|| RangeMap::new(Holders::new()))
}
