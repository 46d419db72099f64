//! WATCH and EXEC at a node of a ring: a transaction is executed by the node that owns all of its
//! keys, and those that it watches.
//!
//! Another node's keys are watched by their versions: it is asked for them at WATCH, and compares
//! them when the transaction comes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::ring::{Ring, in_protocol};
use super::{Behind, Caller, Door, unwatch};
use crate::admission::{Admission, all_of, kept};
use crate::command::{Command, Id, OwnedCommand, Reply, Room, Shape};
use crate::limits;
use crate::route::{CROSS_NODE, Nodes};
use crate::store::{Guarded, Store};
use crate::wire::resp::Elements;

/// Keys of other nodes under WATCH, with the versions that they had.
#[derive(Debug, Default)]
pub(super) struct Guards(Option<Arc<Mutex<Vec<Guarded>>>>);

impl Guards {
    /// None any more.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    fn shared(&mut self) -> Arc<Mutex<Vec<Guarded>>> {
        self.0.get_or_insert_default().clone()
    }

    fn all(&self) -> Vec<Guarded> {
        self.0
            .as_ref()
            .map_or_else(Vec::new, |all| all.lock().clone())
    }
}

/// A transaction that another node executes: what comes of it is put together with what this
/// process answers.
#[derive(Debug)]
pub(super) struct Sent {
    commands: Vec<OwnedCommand>,
}

/// Who executes a transaction.
enum Executor {
    /// This node.
    Me,
    /// The node at this place.
    Other(usize),
    /// Nobody: the reply.
    Nobody(Reply),
}

impl Door {
    /// Whether a command about this connection may need other nodes.
    #[inline]
    pub(super) fn goes_round(&self, command: &Command<'_>) -> bool {
        self.ring.is_some() && matches!(command.spec.id, Id::Exec | Id::Watch | Id::ClientTracking)
    }

    /// Answers it, or has the connection wait for the others.
    pub(super) fn go_round(&self, now: u64, caller: &mut Caller, command: &Command<'_>) {
        let (Some(ring), Behind::Node(store)) = (&self.ring, &self.behind) else {
            return;
        };
        let reply = match command.spec.id {
            Id::Watch => self.watch_in_ring(now, caller, (ring, store), command),
            Id::ClientTracking => self.track_in_ring(caller, (ring, store), command),
            _ => self.exec_in_ring(now, caller, (ring, store), command),
        };
        let reply = reply.and_then(|reply| self.counts_receivers(caller, command, reply));
        if let Some(reply) = reply {
            self.executed(command.spec, &reply);
            caller.session.answer(&reply);
        }
    }

    /// WATCH. `None`: the reply comes later.
    fn watch_in_ring(
        &self,
        now: u64,
        caller: &mut Caller,
        (ring, store): (&Ring, &Store),
        command: &Command<'_>,
    ) -> Option<Reply> {
        let nodes = ring.keyspace.members.picture();
        if caller.session.transaction.is_some() || nodes.owns(command) {
            return Some(super::watch(now, caller, store, command));
        }
        let mut others: Vec<(usize, Vec<Box<[u8]>>)> = Vec::new();
        for key in command.args(1).filter(|key| !nodes.owns_key(key)) {
            let Some(owner) = nodes.owner(key) else {
                return Some(Reply::error("LOADING this node is not in a ring yet"));
            };
            match others.iter_mut().find(|(node, _)| *node == owner) {
                Some((_, keys)) => keys.push(key.into()),
                None => others.push((owner, vec![key.into()])),
            }
        }
        if self.waits_its_turn(caller, command) {
            return None;
        }
        let own = command.args(1).filter(|key| nodes.owns_key(key));
        caller.watch(store, now, own);
        let (guards, keyspace) = (caller.guarded.shared(), ring.keyspace.clone());
        self.run_errand_to(caller, ring, command, async move {
            for (node, keys) in others {
                match keyspace.versions(nodes.address(node), keys).await {
                    Err(error) => return Reply::Raw(error.into()),
                    Ok(found) => add(&mut guards.lock(), found),
                }
            }
            Reply::OK
        });
        None
    }

    /// EXEC. `None`: the reply comes later.
    fn exec_in_ring(
        &self,
        now: u64,
        caller: &mut Caller,
        (ring, store): (&Ring, &Store),
        command: &Command<'_>,
    ) -> Option<Reply> {
        let nodes = ring.keyspace.members.picture();
        let executor = match &caller.session.transaction {
            Some(transaction) if !transaction.spoiled => {
                executor(&nodes, &transaction.commands, caller)
            }
            _ => Executor::Me,
        };
        let node = match executor {
            Executor::Me => return self.exec_own(now, caller, (ring, store), command),
            Executor::Nobody(reply) => {
                caller.session.transaction = None;
                unwatch(caller, store);
                return Some(reply);
            }
            Executor::Other(node) => node,
        };
        if self.waits_its_turn(caller, command) {
            return None;
        }
        let commands = match caller.session.end_transaction() {
            Ok(commands) => commands,
            Err(refused) => return Some(refused),
        };
        let guarded = caller.guarded.all();
        unwatch(caller, store);
        let is_sent = |c: &&OwnedCommand| c.as_command().spec.room == Room::Store;
        let sent: Vec<OwnedCommand> = commands.iter().filter(is_sent).cloned().collect();
        let asker = self.asker_of_all(caller, &sent);
        caller.sent = Some(Box::new(Sent { commands }));
        let keyspace = ring.keyspace.clone();
        self.run_errand_to(caller, ring, command, async move {
            let address = nodes.address(node);
            let reply = keyspace.transaction(address, &guarded, &sent, asker);
            Reply::Raw(reply.await.into())
        });
        None
    }

    /// EXEC of a transaction whose keys are all this node's.
    fn exec_own(
        &self,
        now: u64,
        caller: &mut Caller,
        (ring, store): (&Ring, &Store),
        command: &Command<'_>,
    ) -> Option<Reply> {
        // Of one that is spoiled nothing is executed, wherever its keys are.
        let queued = caller.session.transaction.as_ref();
        let queued = queued.filter(|queued| !queued.spoiled);
        let commands = queued.map_or_else(Vec::new, |queued| queued.commands.clone());
        let mut permits = Vec::with_capacity(commands.len());
        for queued in &commands {
            let pending = match ring.keyspace.keeper.admit(&queued.as_command()) {
                Admission::Execute(permit) => {
                    permits.push(permit);
                    continue;
                }
                Admission::Wait(pending) => pending,
                // This node is about to see it, too.
                Admission::Moved => Box::pin(async {
                    let pause = Duration::from_millis(limits::MOVED_PAUSES_MS[0]);
                    tokio::time::sleep(pause).await;
                    Ok(())
                }),
            };
            drop(permits);
            self.run_again(caller, ring, command, pending);
            return None;
        }
        let reply = self.exec(now, caller, store);
        drop(permits);
        let Reply::Array(replies) = &reply else {
            return Some(reply);
        };
        let keeper = &ring.keyspace.keeper;
        let pairs = commands.iter().zip(replies);
        let pending = all_of(pairs.map(|(c, reply)| keeper.written(now, &c.as_command(), reply)));
        if pending.is_none() {
            return Some(reply);
        }
        self.run_errand_to(caller, ring, command, kept(reply, pending));
        None
    }

    /// The reply to a command that has waited, once it has come.
    pub(super) fn finished(&self, now: u64, caller: &mut Caller, reply: Reply) -> Reply {
        let Some(sent) = caller.sent.take() else {
            return reply;
        };
        let Reply::Raw(raw) = &reply else {
            return reply;
        };
        let Some(mut replies) = Elements::of(raw) else {
            // An error, or null because a watched key has changed.
            return match raw.first() {
                Some(b'*') => Reply::NullArray,
                _ => reply,
            };
        };
        let told = sent
            .commands
            .iter()
            .map(|command| (0, command.as_command()));
        self.tell_monitors_of_all(&caller.origin, told);
        let protocol = caller.session.protocol;
        let mut all = Vec::with_capacity(sent.commands.len());
        for command in &sent.commands {
            let command = command.as_command();
            all.push(match command.spec.room {
                Room::Store => {
                    let reply = replies.next().unwrap_or_default().to_vec();
                    in_protocol(reply, protocol, Shape::of(&command))
                }
                _ => self.here_in_transaction(now, caller, &command),
            });
        }
        Reply::Array(all)
    }
}

/// The owner of all keys of a transaction and of those that it watches.
fn executor(nodes: &Nodes, commands: &[OwnedCommand], caller: &Caller) -> Executor {
    let mut owner = None;
    let mut is_one = true;
    let mut note = |key: &[u8]| {
        let found = nodes.owner(key);
        is_one &= *owner.get_or_insert(found) == found;
    };
    for command in commands {
        let command = command.as_command();
        if command.spec.room != Room::Store {
            continue;
        }
        if is_for_all(&command) && !nodes.is_alone() {
            return Executor::Nobody(Reply::error(format!(
                "ERR '{}' is for all nodes of the ring, and cannot be part of a transaction",
                command.spec.name
            )));
        }
        if let Ok(keys) = command.keys() {
            keys.iter().for_each(|key| note(command.arg(key)));
        }
    }
    let guarded = caller.guarded.all();
    guarded.iter().for_each(|(key, _)| note(key));
    caller
        .watched
        .iter()
        .for_each(|watched| note(watched.key()));
    match owner {
        _ if !is_one => Executor::Nobody(Reply::error(CROSS_NODE)),
        None => Executor::Me,
        // What was watched at another node has moved here: nobody knows whether it has changed.
        Some(node) if node == nodes.me() && guarded.is_empty() => Executor::Me,
        Some(Some(node)) if Some(node) != nodes.me() && caller.watched.is_empty() => {
            Executor::Other(node)
        }
        Some(_) => Executor::Nobody(Reply::NullArray),
    }
}

/// Whether a command is for all keys, wherever they are.
fn is_for_all(command: &Command<'_>) -> bool {
    matches!(
        command.spec.id,
        Id::Dbsize | Id::Keys | Id::Randomkey | Id::Scan | Id::Flushall | Id::Flushdb | Id::Swapdb
    )
}

/// Notes versions. The first that is known of a key stays.
fn add(guards: &mut Vec<Guarded>, found: Vec<Guarded>) {
    for (key, version) in found {
        if !guards.iter().any(|(known, _)| *known == key) {
            guards.push((key, version));
        }
    }
}
