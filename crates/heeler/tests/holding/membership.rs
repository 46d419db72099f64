//! A model of the membership: nodes tell each other what they know, now and then, so that their
//! views differ for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use heeler::holding::{Node, View};
use heeler_ring::{Member, Ring, RingHash};

/// What is said of a member. Of two claims of the same incarnation the later in this list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Alive,
    Faulty,
    Leave,
}

/// What one node believes.
#[derive(Clone, Debug, Default)]
pub struct Members {
    pub me: usize,
    known: BTreeMap<usize, (u64, Status)>,
    /// Since when a member has not answered.
    silent: BTreeMap<usize, u64>,
}

impl Members {
    pub fn new(me: usize, incarnation: u64) -> Members {
        Members {
            me,
            known: BTreeMap::from([(me, (incarnation, Status::Alive))]),
            silent: BTreeMap::new(),
        }
    }

    pub fn known(&self) -> &BTreeMap<usize, (u64, Status)> {
        &self.known
    }

    pub fn leave(&mut self) {
        if let Some(mine) = self.known.get_mut(&self.me) {
            mine.1 = Status::Leave;
        }
    }

    /// It ends in good order.
    pub fn evict(&mut self) {
        if let Some(mine) = self.known.get_mut(&self.me) {
            *mine = (mine.0 + 1, Status::Faulty);
        }
    }

    /// Takes what another believes. Returns whether this node has to contradict.
    pub fn merge(&mut self, other: &BTreeMap<usize, (u64, Status)>) -> bool {
        let mut doubted = false;
        for (node, claim) in other {
            if *node == self.me {
                let mine = self.known[&self.me];
                if *claim > mine {
                    doubted = true;
                    self.known.insert(self.me, (claim.0 + 1, mine.1));
                }
            } else if self.known.get(node).is_none_or(|known| claim > known) {
                self.known.insert(*node, *claim);
                self.silent.remove(node);
            }
        }
        doubted
    }

    /// A member did not answer; after a while it is taken for dead.
    pub fn missed(&mut self, node: usize, now: u64, patience: u64) {
        let since = *self.silent.entry(node).or_insert(now);
        if let Some(claim) = self.known.get_mut(&node)
            && now >= since + patience
            && claim.1 == Status::Alive
        {
            claim.1 = Status::Faulty;
        }
    }

    pub fn heard(&mut self, node: usize) {
        self.silent.remove(&node);
    }

    fn with(&self, status: Status) -> BTreeSet<Node> {
        let known = self.known.iter();
        let found = known.filter(|(_, claim)| claim.1 == status);
        found.map(|(node, _)| address(*node)).collect()
    }

    /// What the ring is, then.
    pub fn view(&self) -> View {
        let points = NonZeroU32::new(8).expect("not zero");
        let mut ring = Ring::with_replica_points(RingHash::Fingerprint32, points);
        let alive = self.with(Status::Alive).into_iter();
        ring.update(alive.map(|address| Member::new(&*address)), &[]);
        View {
            ring: Arc::new(ring),
            leaving: self.with(Status::Leave),
            gone: self.with(Status::Faulty),
        }
    }
}

pub fn address(node: usize) -> Node {
    format!("10.0.0.{node}:3000").into()
}

pub fn number(address: &str) -> usize {
    let host = address
        .strip_prefix("10.0.0.")
        .and_then(|it| it.strip_suffix(":3000"));
    host.and_then(|it| it.parse().ok())
        .expect("an address of a node")
}
