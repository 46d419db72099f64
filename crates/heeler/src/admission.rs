//! Whether a node executes a command of a ring now, and when it may say that it has. Asked by both
//! who execute: the doors for their clients, and the peer port for other nodes. Pure.
//!
//! ```text
//!   command ─► admit ─► execute ─► written ─► reply
//!                │                    │
//!                ├ Wait, then anew    └ the reply waits
//!                └ Moved: its keys have another owner
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::Guard;
use heeler_ring::RingHash;

use crate::command::{Command, Reply, Room};
use crate::holding::{RangeMap, Standing};
use crate::route::{Nodes, Terms};

/// What has to happen first. An error is the command's reply.
pub type Pending = Pin<Box<dyn Future<Output = Result<(), Reply>> + Send>>;

/// Whether a command is executed.
pub enum Admission {
    /// Now, while the permit lives.
    Execute(Permit),
    /// After this; then it is to be asked anew.
    Wait(Pending),
    /// Not here: its keys are another node's.
    Moved,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Admission::Execute(_) => "Execute",
            Admission::Wait(_) => "Wait",
            Admission::Moved => "Moved",
        })
    }
}

/// While it lives, the node gives nothing up of what it held when it was made. To be held as long
/// as a command is executed, and no longer.
pub struct Permit(#[expect(dead_code, reason = "its life is what counts")] Guard<Arc<Tenure>>);

impl Permit {
    /// By this picture.
    pub fn new(tenure: Guard<Arc<Tenure>>) -> Permit {
        Permit(tenure)
    }
}

/// What this node may serve without asking, at one moment.
#[derive(Debug)]
pub struct Tenure {
    standing: RangeMap<Standing>,
    /// Whether it may serve everything.
    is_whole: bool,
    hash: RingHash,
    terms: Terms,
}

impl Tenure {
    /// What may be done with each position of a ring.
    pub fn new(standing: RangeMap<Standing>, hash: RingHash, terms: Terms) -> Tenure {
        let is_whole = standing.iter().all(|(_, it)| *it == Standing::Serve);
        Tenure {
            standing,
            is_whole,
            hash,
            terms,
        }
    }

    /// What may be done with a command: of its keys, the one decides that allows least.
    pub fn of(&self, command: &Command<'_>) -> &Standing {
        if self.is_whole || command.spec.room != Room::Store {
            // Channels are no keys.
            return &Standing::Serve;
        }
        let Ok(keys) = command.keys() else {
            // The command's own check of its arguments words the error.
            return &Standing::Serve;
        };
        let mut least = &Standing::Serve;
        for key in keys.iter() {
            let position = self.terms.position(self.hash, command.arg(key));
            match self.standing.at(position) {
                Standing::Serve => {}
                moved @ Standing::Moved(_) => return moved,
                ask => least = ask,
            }
        }
        least
    }
}

/// Whether this node shows a key that it has in memory among all keys (KEYS, SCAN, RANDOMKEY): not
/// if another node shows it.
pub fn shows(nodes: &Nodes, key: &[u8]) -> bool {
    nodes.owns_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Id, OwnedCommand};

    #[test]
    fn the_key_decides_that_allows_least() {
        let hash = RingHash::Fingerprint32;
        let moved = || Standing::Moved("127.0.0.1:2".into());
        let ends = vec![
            (1 << 30, Standing::Serve),
            (2 << 30, Standing::Ask),
            (3 << 30, moved()),
        ];
        let standing = RangeMap::from_ends(ends).expect("ranges");
        let tenure = Tenure::new(standing.clone(), hash, Terms::default());
        let keys: Vec<String> = (0..40).map(|n| format!("key{n:02}")).collect();
        for (a, b) in keys.iter().zip(&keys[1..]) {
            let command = OwnedCommand::new(Id::Mget.spec(), ["MGET", a, b]);
            let of = |key: &String| standing.at(hash.hash(key.as_bytes()));
            let least = match [of(a), of(b)] {
                [Standing::Serve, Standing::Serve] => Standing::Serve,
                both if both.contains(&&moved()) => moved(),
                _ => Standing::Ask,
            };
            assert_eq!(*tenure.of(&command.as_command()), least, "{a} {b}");
        }
    }
}
