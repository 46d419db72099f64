//! Claims and offers: who had a range gives it up, and is told when it is not needed any more.

use smallvec::SmallVec;

use super::message::{Answer, Ask, Grant, Offered};
use super::part::{Granted, Node, Part, Source, Stage};
use super::ranges::{Range, Ranges};
use super::{Flight, Holding, Now, Output};
use crate::limits;

impl Holding {
    /// Claims what a node is to give up.
    pub(super) fn claim_of(&mut self, now: Now, node: &Node, out: &mut Vec<Output>) {
        let peer = self.peer(node);
        if peer.needs.claim.is_empty() || !peer.claim.is_free(now) {
            return;
        }
        peer.claim.busy = true;
        let ranges = peer.needs.claim.clone();
        let claim = self.next();
        self.parts.update(&Ranges::new(ranges.clone()), |_, part| {
            let asked = |it: &&mut Source| it.node == *node && it.stage == Stage::Asked;
            if let Some(source) = part.sources.iter_mut().find(asked) {
                source.claim = claim;
            }
        });
        let ask = Ask::Claim { claim, ranges };
        self.send(now, node, (ask, Flight::Claim(claim)), out);
    }

    /// Gives up what another node owns now.
    pub(super) fn grant(
        &mut self,
        from: &Node,
        life: u64,
        claim: u64,
        ranges: Vec<Range>,
    ) -> Answer {
        let ranges = Ranges::new(ranges);
        let (me, mut grants) = (self.config.me.clone(), Vec::new());
        self.parts.update(&ranges, |range, part| {
            if part.owner() != Some(from) || *from == me {
                return;
            }
            grants.push(give_up(range, part, &me, from, life));
            let to = from.clone();
            part.granted = Some(Granted { to, life, claim });
        });
        self.stale = true;
        Answer::Granted(grants)
    }

    pub(super) fn claim_answered(
        &mut self,
        now: Now,
        from: &Node,
        claim: u64,
        answer: Option<Answer>,
    ) {
        let peer = self.peer(from);
        peer.claim.busy = false;
        peer.claim.at = now.ms + limits::ASK_AGAIN_MS;
        let Some(Answer::Granted(grants)) = answer else {
            return;
        };
        self.counter += 1;
        let (since, me) = (self.counter, &self.config.me);
        let gone = self.view.as_ref().map(|view| &view.gone);
        let silent = &self.silent;
        let is_gone =
            |node: &Node| silent.contains(node) || gone.is_some_and(|gone| gone.contains(node));
        for grant in grants {
            let ranges = Ranges::new(vec![grant.range]);
            let also = grant.also.iter().map(|node| Node::from(&**node));
            let also: Vec<Node> = also.filter(|node| node != me && !is_gone(node)).collect();
            self.parts.update(&ranges, |_, part| {
                part.granted_by(from, claim, (&grant, &also), since);
            });
        }
        self.fetched.clear();
        self.stale = true;
    }

    /// Offers what is owed to a node.
    pub(super) fn offer_to(&mut self, now: Now, node: &Node, out: &mut Vec<Output>) {
        let peer = self.peer(node);
        if peer.needs.offer.is_empty() || !peer.offer.is_free(now) {
            return;
        }
        peer.offer.busy = true;
        let offered = peer.needs.offer.clone();
        self.send(now, node, (Ask::Offer(offered), Flight::Offer), out);
    }

    /// Says of which ranges everything is here that another node has.
    pub(super) fn release(&mut self, from: &Node, offered: &[Offered]) -> Answer {
        self.counter += 1;
        let (since, me) = (self.counter, self.config.me.clone());
        let mut released = Vec::new();
        let mut asks = false;
        let has_cleared = self.peer(from).cleared >= self.store.clearing().done;
        for offer in offered {
            let ranges = Ranges::new(vec![offer.range]);
            self.parts.update(&ranges, |range, part| {
                if part.owner() != Some(&me) {
                    return;
                }
                if !is_covered(part, from, offer, has_cleared) {
                    part.ask(from, since);
                    asks = true;
                } else if part.claimed && part.is_settled() && part.is_level() {
                    released.push(range);
                }
            });
        }
        self.stale |= asks;
        Answer::Released(released)
    }

    pub(super) fn offer_answered(&mut self, now: Now, from: &Node, answer: Option<Answer>) {
        let peer = self.peer(from);
        peer.offer.busy = false;
        peer.offer.at = now.ms + limits::ASK_AGAIN_MS;
        let Some(Answer::Released(ranges)) = answer else {
            return;
        };
        let me = self.config.me.clone();
        let mut forget = false;
        self.parts.update(&Ranges::new(ranges), |_, part| {
            if part.owner() == Some(from) && part.past.take().is_some() {
                forget |= !part.holders.contains(&me);
            }
        });
        if forget {
            self.forgetting = Some(0);
        }
        self.stale = true;
    }

    /// Tells the owner that this replica is level.
    pub(super) fn report_to(&mut self, now: Now, node: &Node, out: &mut Vec<Output>) {
        let peer = self.peer(node);
        if peer.needs.report.is_empty() || !peer.report.is_free(now) {
            return;
        }
        peer.report.busy = true;
        let ranges = peer.needs.report.clone();
        let flight = Flight::Report(ranges.clone());
        self.send(now, node, (Ask::Level(ranges), flight), out);
    }

    /// A replica says that it is level. Answers where it is.
    pub(super) fn note_level(&mut self, from: &Node, ranges: Vec<Range>) -> Answer {
        let me = self.config.me.clone();
        let mut level = Vec::new();
        self.parts.update(&Ranges::new(ranges), |range, part| {
            if !part.is_replica(from, &me) || !part.opened || !part.surveyed.contains(from) {
                return;
            }
            level.push(range);
            if !part.level.contains(from) {
                part.level.push(from.clone());
            }
        });
        self.stale = true;
        Answer::Released(level)
    }

    pub(super) fn report_answered(
        &mut self,
        now: Now,
        from: &Node,
        ranges: Vec<Range>,
        answer: Option<Answer>,
    ) {
        let peer = self.peer(from);
        peer.report.busy = false;
        peer.report.at = now.ms + limits::ASK_AGAIN_MS;
        let Some(Answer::Released(level)) = answer else {
            return;
        };
        self.counter += 1;
        let (since, me) = (self.counter, self.config.me.clone());
        let said = Ranges::new(ranges);
        self.parts.update(&Ranges::new(level), |_, part| {
            if part.owner() == Some(from) && part.is_settled() {
                part.reported = true;
            }
        });
        self.parts.update(&said, |_, part| {
            if part.is_replica(&me, from) && part.is_settled() && !part.reported {
                // It was no replica to the owner for a while, and was not told of all writes.
                part.survey_owner(since);
            }
        });
        self.stale = true;
    }

    /// Notes which ranges are settled for the first time: replicas may level now.
    pub(super) fn note_opened(&mut self) {
        let me = &self.config.me;
        self.parts.update_all(|_, part| {
            part.opened |= part.owner() == Some(me) && part.claimed && part.is_settled();
        });
    }
}

impl Part {
    /// As owner: a source has given it up in answer to a claim. `also`: the living nodes that may
    /// have something newer, to its knowledge.
    fn granted_by(
        &mut self,
        from: &Node,
        claim: u64,
        (grant, also): (&Grant, &[Node]),
        since: u64,
    ) {
        let asked =
            |it: &&mut Source| it.node == *from && it.claim == claim && it.stage == Stage::Asked;
        let Some(source) = self.sources.iter_mut().find(asked) else {
            return;
        };
        source.whole = grant.whole;
        source.since = since;
        source.stage = match grant.has_keys {
            true => Stage::Heard,
            false => Stage::Drained,
        };
        for node in also {
            let known = self.sources.iter().find(|it| it.node == *node);
            if known.is_none_or(|it| matches!(it.stage, Stage::Reserve | Stage::Spare)) {
                self.ask(node, since);
            }
        }
        self.advance();
    }
}

/// Gives a range up to its owner.
fn give_up(range: Range, part: &mut Part, me: &Node, to: &Node, life: u64) -> Grant {
    let before = part.granted.as_ref();
    let same = before.is_none_or(|before| before.to == *to && before.life == life);
    let whole = same && part.past.as_ref().is_some_and(|past| past.whole);
    let mut also: SmallVec<[Node; 4]> = SmallVec::new();
    if !whole {
        also.extend(before.map(|granted| granted.to.clone()));
        also.extend(part.past.iter().flat_map(|past| past.also.iter().cloned()));
    }
    also.retain(|node| node != to && node != me);
    also.sort();
    also.dedup();
    Grant {
        range,
        whole,
        has_keys: part.past.is_some() || part.holders.contains(me),
        also: also.iter().map(|node| node.to_string()).collect(),
    }
}

/// Whether what a node offers has been asked for, and where that has led. If it has not cleared
/// away what was cleared away here, nobody else may have what it has.
fn is_covered(part: &Part, from: &Node, offer: &Offered, has_cleared: bool) -> bool {
    let Some(source) = part.sources.iter().find(|source| source.node == *from) else {
        return false;
    };
    let granted = offer.claim == Some(source.claim);
    match source.stage {
        Stage::Asked | Stage::Heard | Stage::Reserve => true,
        Stage::Drained => granted,
        // It was asked, or not even that, for another had everything.
        Stage::Spare => granted || !offer.owned && has_cleared,
    }
}
