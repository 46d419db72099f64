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

use crate::command::{Command, Reply};
use crate::route::Nodes;

/// What has to happen first. An error is the command's reply.
pub type Pending = Pin<Box<dyn Future<Output = Result<(), Reply>> + Send>>;

/// Whether a command is executed.
pub enum Admission {
    /// Now.
    Execute,
    /// After this; then it is to be asked anew.
    Wait(Pending),
    /// Not here: its keys are another node's.
    Moved,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Admission::Execute => "Execute",
            Admission::Wait(_) => "Wait",
            Admission::Moved => "Moved",
        })
    }
}

/// A command has come to this node at `now`, in milliseconds since 1970. `routed`: it came through
/// a door of this node, where the same picture of the ring has said that its keys are this node's.
#[inline]
pub fn admit(_now: u64, nodes: &Nodes, command: &Command<'_>, routed: bool) -> Admission {
    match routed || nodes.owns(command) {
        true => Admission::Execute,
        false => Admission::Moved,
    }
}

/// A command has been executed, with this reply: what the reply has to wait for, if for anything.
#[inline]
pub fn written(
    _now: u64,
    _nodes: &Nodes,
    _command: &Command<'_>,
    _reply: &Reply,
) -> Option<Pending> {
    None
}

/// Whether this node shows a key that it has in memory among all keys (KEYS, SCAN, RANDOMKEY): not
/// if another node shows it.
pub fn shows(nodes: &Nodes, key: &[u8]) -> bool {
    nodes.owns_key(key)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heeler_ring::{Member, Ring, RingHash};

    use super::*;
    use crate::command::{Arg, Id};
    use crate::route::Terms;

    #[test]
    fn a_command_is_executed_by_the_owner_of_all_its_keys() {
        let mut ring = Ring::new(RingHash::Fingerprint32);
        ring.update(["127.0.0.1:1", "127.0.0.1:2"].map(Member::new), &[]);
        let nodes = Nodes::new(Arc::new(ring), Terms::default(), "127.0.0.1:1", 1);
        let keys: Vec<String> = (0..40).map(|n| format!("key{n:02}")).collect();
        for (a, b) in keys.iter().zip(&keys[1..]) {
            let raw = format!("MGET{a}{b}");
            let arg = |start, end| Arg { start, end };
            let args = [arg(0, 4), arg(4, 9), arg(9, 14)];
            let command = Command::new(Id::Mget.spec(), raw.as_bytes(), &args);
            let owned = [a, b].map(|key| nodes.owner(key.as_bytes()) == Some(0));
            let admitted = admit(0, &nodes, &command, false);
            assert_eq!(
                matches!(admitted, Admission::Execute),
                owned == [true, true],
                "{a} {b}: {admitted:?}"
            );
            assert_eq!(shows(&nodes, a.as_bytes()), owned[0]);
        }
    }
}
