//! What a node knows of one range: who holds it, what it lacks of it, and what it owes.

use std::sync::Arc;

use smallvec::SmallVec;

/// A node's address.
pub type Node = Arc<str>;
/// The owner of a range and its successors that keep copies.
pub type Holders = SmallVec<[Node; 3]>;

/// What a node knows of one range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Who holds it by this node's ring: the owner first.
    pub holders: Holders,
    /// As owner: whether all others that could execute commands have given it up.
    pub claimed: bool,
    /// As owner: whether it has been settled since it was claimed, so that replicas could level.
    pub opened: bool,
    /// Who may have something newer: as owner, those whom it has to ask; as replica, the owner.
    pub sources: Vec<Source>,
    /// As owner: replicas that are level.
    pub level: SmallVec<[Node; 2]>,
    /// As owner: replicas that have begun a survey since they were told of each write. Who was not
    /// told of some, because it was no replica for a while, is level only after another survey.
    pub surveyed: SmallVec<[Node; 2]>,
    /// As replica: whether the owner knows that this node is level.
    pub reported: bool,
    /// What was held and is owed to the owner.
    pub past: Option<Past>,
    /// To whom it was given up last.
    pub granted: Option<Granted>,
}

/// A range that was held, and that the owner of today may need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Whether commands were executed on it here.
    pub owned: bool,
    /// Whether nobody else could have anything newer when it was lost.
    pub whole: bool,
    /// Who else could, then.
    pub also: Vec<Node>,
}

/// To whom a range was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    /// The claimant.
    pub to: Node,
    /// Its life.
    pub life: u64,
    /// The number of its claim.
    pub claim: u64,
}

/// Somebody who may have something newer.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Who.
    pub node: Node,
    /// How far it is.
    pub stage: Stage,
    /// The number of the claim in which it was asked last.
    pub claim: u64,
    /// Whether, to its knowledge, nobody else has anything newer.
    pub whole: bool,
    /// When it became a source, in the order of all events of this node.
    pub since: u64,
}

/// How far it is with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// To be asked if nobody has everything.
    Reserve,
    /// To be asked to give the range up.
    Asked,
    /// Has given it up, or is the owner of a replica: what it has is to be taken.
    Heard,
    /// All is taken that it had.
    Drained,
    /// Not needed, for another has everything.
    Spare,
}

impl Source {
    /// A source at a stage.
    pub fn new(node: Node, stage: Stage, since: u64) -> Source {
        Source {
            node,
            stage,
            claim: 0,
            whole: false,
            since,
        }
    }

    /// Whether something is still to be done about it.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Reserve | Stage::Asked | Stage::Heard)
    }
}

impl Part {
    /// Who owns it.
    pub fn owner(&self) -> Option<&Node> {
        self.holders.first()
    }

    /// Whether `node` keeps copies of what `owner` owns.
    pub fn is_replica(&self, node: &Node, owner: &Node) -> bool {
        self.owner() == Some(owner) && node != owner && self.holders.contains(node)
    }

    /// Whether all replicas have what the owner has.
    pub fn is_level(&self) -> bool {
        let mut replicas = self.holders.iter().skip(1);
        replicas.all(|node| self.level.contains(node))
    }

    /// As replica: everything that the owner has is to be compared, from now on.
    pub fn survey_owner(&mut self, since: u64) {
        let owner = self.owner().cloned().into_iter();
        let sources = owner.map(|owner| Source::new(owner, Stage::Heard, since));
        self.sources = sources.collect();
        self.reported = false;
    }

    /// Whether this node has all that it must have.
    pub fn is_settled(&self) -> bool {
        !self.sources.iter().any(Source::is_open)
    }

    /// Goes on as far as it can without hearing from anybody.
    pub fn advance(&mut self) {
        if self.claimed || self.has(Stage::Asked) {
            return;
        }
        let whole = |source: &Source| source.whole && source.stage != Stage::Spare;
        if self.sources.iter().any(whole) {
            self.turn(Stage::Reserve, Stage::Spare);
        } else if self.has(Stage::Reserve) {
            return self.turn(Stage::Reserve, Stage::Asked);
        }
        self.claimed = true;
    }

    /// Adds somebody who has to be asked, if that is not about to happen.
    pub fn ask(&mut self, node: &Node, since: u64) {
        match self.sources.iter_mut().find(|source| source.node == *node) {
            Some(source) if matches!(source.stage, Stage::Asked | Stage::Heard) => {}
            Some(source) => *source = Source::new(node.clone(), Stage::Asked, since),
            None => self
                .sources
                .push(Source::new(node.clone(), Stage::Asked, since)),
        }
        if self.has(Stage::Asked) {
            self.claimed = false;
        }
    }

    /// Adds somebody who may have to be asked.
    pub fn reserve(&mut self, node: &Node, since: u64) {
        if !self.sources.iter().any(|source| source.node == *node) {
            self.sources
                .push(Source::new(node.clone(), Stage::Reserve, since));
        }
    }

    /// Forgets sources. If one of them had everything and is not drained, those are asked that were
    /// not needed before.
    pub fn drop_sources(&mut self, gone: impl Fn(&Node) -> bool) {
        let lost =
            |source: &Source| source.whole && source.stage == Stage::Heard && gone(&source.node);
        let falls_back = self.sources.iter().any(lost);
        self.sources.retain(|source| !gone(&source.node));
        if falls_back {
            self.turn(Stage::Spare, Stage::Asked);
            self.claimed = self.claimed && !self.has(Stage::Asked);
        }
    }

    /// Whether a source is at this stage.
    pub fn has(&self, stage: Stage) -> bool {
        self.sources.iter().any(|source| source.stage == stage)
    }

    fn turn(&mut self, from: Stage, to: Stage) {
        let sources = self.sources.iter_mut();
        for source in sources.filter(|source| source.stage == from) {
            source.stage = to;
        }
    }
}
