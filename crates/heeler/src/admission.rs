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
use heeler_ring::Ring;

use crate::command::{Command, Reply, Room};
use crate::holding::{RangeMap, Standing};
use crate::route::{Nodes, Terms};

/// What has to happen first. An error is the command's reply.
pub type Pending = Pin<Box<dyn Future<Output = Result<(), Reply>> + Send>>;

/// When all of these are done; the first error of them. `None`: there is nothing to wait for.
pub fn all_of(pending: impl Iterator<Item = Option<Pending>>) -> Option<Pending> {
    let all: Vec<Pending> = pending.flatten().collect();
    if all.is_empty() {
        return None;
    }
    Some(Box::pin(async move {
        for pending in all {
            pending.await?;
        }
        Ok(())
    }))
}

/// A reply once what it waits for is there; the error in its place if it will not be.
pub async fn kept(reply: Reply, pending: Option<Pending>) -> Reply {
    match pending {
        None => reply,
        Some(pending) => pending.await.map_or_else(|failed| failed, |()| reply),
    }
}

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
/// as commands are executed one after the other, and no longer: not while any of them waits.
pub struct Permit(Guard<Arc<Tenure>>);

impl Permit {
    /// By this picture.
    pub fn new(tenure: Guard<Arc<Tenure>>) -> Permit {
        Permit(tenure)
    }

    /// Whether another command may be executed, too, without asking.
    pub fn covers(&self, command: &Command<'_>) -> bool {
        *self.0.of(command) == Standing::Serve
    }
}

/// What this node may serve without asking, at one moment.
#[derive(Debug)]
pub struct Tenure {
    standing: RangeMap<Standing>,
    /// Whether it may serve everything.
    is_whole: bool,
    /// The ring of which this is said.
    ring: Arc<Ring>,
    /// Whether it may serve all that it owns by that ring.
    is_settled: bool,
    terms: Terms,
}

impl Tenure {
    /// What may be done with each position of a ring.
    pub fn new(standing: RangeMap<Standing>, ring: Arc<Ring>, terms: Terms) -> Tenure {
        let all = |is_so: fn(&Standing) -> bool| standing.iter().all(|(_, it)| is_so(it));
        let is_whole = all(|it| *it == Standing::Serve);
        let is_settled = all(|it| *it != Standing::Ask);
        Tenure {
            is_whole,
            is_settled,
            standing,
            ring,
            terms,
        }
    }

    /// Whether this node may serve all keys that are its own by this ring.
    #[inline]
    pub fn serves_its_own_of(&self, ring: &Arc<Ring>) -> bool {
        self.is_settled && Arc::ptr_eq(&self.ring, ring)
    }

    /// Whether this node has lost keys to others from one picture to the next, and whether it has
    /// got some.
    pub fn turned(&self, next: &Tenure) -> (bool, bool) {
        let (mut lost, mut got) = (false, false);
        for (range, now) in next.standing.iter() {
            for (_, before) in self.standing.inside(range) {
                let had = !matches!(before, Standing::Moved(_));
                lost |= had && matches!(now, Standing::Moved(_));
                got |= *before != Standing::Serve && *now == Standing::Serve;
            }
        }
        (lost, got)
    }

    /// Whether other nodes own a key.
    pub fn has_moved(&self, key: &[u8]) -> bool {
        let position = self.terms.position(self.ring.hash(), key);
        matches!(self.standing.at(position), Standing::Moved(_))
    }

    /// Whether there may be [such keys](Tenure::has_lost).
    pub fn has_lost_any(&self, before: &Tenure) -> bool {
        self.standing.iter().any(|(range, now)| {
            let mut then = before.standing.inside(range);
            match now {
                Standing::Serve => false,
                Standing::Ask => then.any(|(_, then)| *then == Standing::Serve),
                Standing::Moved(_) => then.any(|(_, then)| !matches!(then, Standing::Moved(_))),
            }
        })
    }

    /// Whether a key that this node may have served by the picture `before` has to be asked for
    /// now, or is another node's.
    pub fn has_lost(&self, before: &Tenure, key: &[u8]) -> bool {
        let at = |tenure: &Tenure| {
            let position = tenure.terms.position(tenure.ring.hash(), key);
            tenure.standing.at(position).clone()
        };
        match at(self) {
            Standing::Serve => false,
            Standing::Ask => at(before) == Standing::Serve,
            Standing::Moved(_) => true,
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
            let position = self.terms.position(self.ring.hash(), command.arg(key));
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
    use heeler_ring::RingHash;

    use super::*;
    use crate::command::{Id, OwnedCommand};

    #[test]
    fn who_has_all_of_its_own_need_not_look_at_keys_that_were_routed_by_the_same_ring() {
        let [ring, other] = [0, 1].map(|_| Arc::new(Ring::new(RingHash::Fingerprint32)));
        let ends = vec![
            (1 << 30, Standing::Serve),
            (2 << 30, Standing::Moved("127.0.0.1:2".into())),
        ];
        let standing = RangeMap::from_ends(ends).expect("ranges");
        let tenure = Tenure::new(standing, ring.clone(), Terms::default());
        assert!(tenure.serves_its_own_of(&ring));
        assert!(!tenure.serves_its_own_of(&other));
    }

    #[test]
    fn what_was_lost_and_got_is_known_from_two_pictures() {
        let ring = Arc::new(Ring::new(RingHash::Fingerprint32));
        let moved = || Standing::Moved("127.0.0.1:2".into());
        let tenure_of = |first: Standing, second: Standing| {
            let standing = RangeMap::from_ends(vec![(1 << 30, first), (2 << 30, second)]);
            Tenure::new(standing.expect("ranges"), ring.clone(), Terms::default())
        };
        let (serve, ask) = (|| Standing::Serve, || Standing::Ask);
        for (before, after, expected) in [
            (
                tenure_of(serve(), ask()),
                tenure_of(serve(), ask()),
                (false, false),
            ),
            (
                tenure_of(serve(), ask()),
                tenure_of(serve(), serve()),
                (false, true),
            ),
            (
                tenure_of(serve(), ask()),
                tenure_of(serve(), moved()),
                (true, false),
            ),
            (
                tenure_of(serve(), moved()),
                tenure_of(moved(), serve()),
                (true, true),
            ),
            (
                tenure_of(serve(), moved()),
                tenure_of(ask(), moved()),
                (false, false),
            ),
        ] {
            assert_eq!(before.turned(&after), expected, "{before:?} {after:?}");
            assert!(after.has_lost_any(&before) || !expected.0);
        }
        let key = (0..).map(|n| format!("key{n}"));
        let tenure = tenure_of(serve(), moved());
        let (own, gone): (Vec<String>, Vec<String>) = key
            .take(40)
            .partition(|key| ring.hash().hash(key.as_bytes()) <= 1 << 30);
        assert!(own.iter().all(|key| !tenure.has_moved(key.as_bytes())));
        assert!(gone.iter().all(|key| tenure.has_moved(key.as_bytes())));
        let asks = tenure_of(ask(), moved());
        assert!(asks.has_lost_any(&tenure) && !tenure.has_lost_any(&asks));
        assert!(own.iter().all(|key| asks.has_lost(&tenure, key.as_bytes())));
        assert!(
            own.iter()
                .all(|key| !tenure.has_lost(&asks, key.as_bytes()))
        );
        assert!(
            gone.iter()
                .all(|key| tenure.has_lost(&asks, key.as_bytes()))
        );
    }

    #[test]
    fn the_key_decides_that_allows_least() {
        let hash = RingHash::Fingerprint32;
        let ring = Arc::new(Ring::new(hash));
        let moved = || Standing::Moved("127.0.0.1:2".into());
        let ends = vec![
            (1 << 30, Standing::Serve),
            (2 << 30, Standing::Ask),
            (3 << 30, moved()),
        ];
        let standing = RangeMap::from_ends(ends).expect("ranges");
        let tenure = Tenure::new(standing.clone(), ring.clone(), Terms::default());
        assert!(!tenure.serves_its_own_of(&ring), "it has to ask of some");
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
