//! What nodes say to each other about keys.

use super::ranges::Range;
use crate::store::{Clearing, Copy, Step};

/// A question or an answer, with the life of the node that sends it: a number that is another one
/// after each start, and after the node was thought dead.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter<T> {
    /// The sender's life.
    pub life: u64,
    /// What time it is by the sender's clock, in milliseconds since 1970; 0 if it has none.
    pub wall_ms: u64,
    /// What was cleared away, to the sender's knowledge and there.
    pub clearing: Clearing,
    /// What is said.
    pub body: T,
}

/// What a node asks of another.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// "I own these ranges now. Execute nothing on them any more."
    Claim {
        /// A number of the claimant's.
        claim: u64,
        /// Which.
        ranges: Vec<Range>,
    },
    /// "Which keys do you have in these ranges, with which versions?"
    Survey {
        /// Which.
        ranges: Vec<Range>,
        /// Where the last answer ended; 0 at first.
        cursor: u64,
        /// Whether the owner is asked by a replica, which wants to be level with it.
        level: bool,
    },
    /// "What is under these keys?"
    Fetch(Vec<Box<[u8]>>),
    /// "I have held these ranges. Do you have all that I have?"
    Offer(Vec<Offered>),
    /// "As a replica of you I have all keys of these ranges."
    Level(Vec<Range>),
    /// "Keep this as a replica."
    Keep(Vec<Update>),
    /// "As my replica you are not level on these ranges, to my knowledge."
    Compare {
        /// Which.
        ranges: Vec<Range>,
        /// Whether it has to begin anew, for there are writes that it was not told of.
        anew: bool,
    },
}

/// What a replica is told of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// How it is.
    Copy(Copy),
    /// How it has changed: whoever has it as it was makes the same changes.
    Steps {
        /// The key.
        key: Box<[u8]>,
        /// The version from which they lead on. If there are none it is to have that one.
        base: u64,
        /// The changes, in order.
        steps: Vec<Step>,
    },
}

impl Update {
    /// Its key.
    pub fn key(&self) -> &[u8] {
        match self {
            Update::Copy(copy) => &copy.key,
            Update::Steps { key, .. } => key,
        }
    }

    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        match self {
            Update::Copy(copy) => copy.bytes(),
            Update::Steps { key, steps, .. } => {
                key.len() + 16 + steps.iter().map(Step::bytes).sum::<usize>()
            }
        }
    }
}

/// A range that a node held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The positions.
    pub range: Range,
    /// The claim of the one who is asked by which it gave them up.
    pub claim: Option<u64>,
    /// Whether it has executed commands on them as owner.
    pub owned: bool,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a claim: what is granted. The claimant asks again for what is missing.
    Granted(Vec<Grant>),
    /// To a survey: keys with their versions and about their sizes, and where to go on.
    Surveyed {
        /// Keys.
        keys: Vec<Known>,
        /// Where to go on; `None` at the end.
        next: Option<u64>,
    },
    /// To a fetch: copies of those keys of which something is known.
    Fetched {
        /// They.
        copies: Vec<Copy>,
        /// For how many keys of the question this is the answer, from the first on.
        covered: u32,
    },
    /// To an offer: the ranges that need not be kept for the one who asked. To a replica that says
    /// that it is level: where it is.
    Released(Vec<Range>),
    /// To what a replica is told: what came of each.
    Kept(Vec<Ack>),
    /// It is done.
    Done,
    /// Not now: ask again.
    Later,
}

/// A range that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The positions.
    pub range: Range,
    /// Whether nobody else can have anything newer.
    pub whole: bool,
    /// Whether there may be keys.
    pub has_keys: bool,
    /// Who else may have something newer, to the granter's knowledge.
    pub also: Vec<String>,
}

/// A key with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The key.
    pub key: Box<[u8]>,
    /// Its version.
    pub version: u64,
    /// About how many bytes its copy has.
    pub bytes: u32,
}

/// What came of an update for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is kept, or something newer is.
    Kept,
    /// The sender is not who owns it, or this node is not who holds it.
    Refused,
    /// It cannot be read.
    Broken,
    /// The replica has the key in another state than that from which the changes lead on: it needs
    /// a copy.
    Behind,
    /// It is not newer than what the replica has cleared away: it needs a new version.
    Cleared,
}
