//! Commands for keys of other nodes of the ring.
//!
//! What can be sent and forgotten until the reply comes goes over the worker's own connections
//! ([`Peers`]), with the requests of all other clients of the worker. What needs more than one
//! request and its reply is an [`Errand`]: it runs on the threads of the peer port, and the
//! connection waits for it as for any command that blocks.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::blocked::Blocked;
use super::tracking::asked_by;
use super::{Behind, Caller, Door};
use crate::admission::{Admission, Pending, Permit};
use crate::clock;
use crate::cluster::Look;
use crate::command::{Command, Flags, Id, Reply, Shape};
use crate::peer::{self, Keyspace, encoded};
use crate::pool::{Letter, Mailbox, Peers, ReplyTo};
use crate::route::Route;
use crate::session::Ticket;
use crate::stats::ErrorKind;
use crate::store::gives_up_at;
use crate::waiting::Waiter;
use crate::wire::resp::{self, Asker, Decoder, Protocol, upgrade};

/// The ring that a node is in, for the connections of one worker.
pub struct Ring {
    /// The keys of all nodes.
    pub keyspace: Arc<Keyspace>,
    /// This worker's connections to the others.
    pub peers: Peers,
    /// The picture by which this worker routes.
    nodes: RefCell<Look>,
    /// By which ring it has routed last.
    routed: RefCell<Option<Arc<heeler_ring::Ring>>>,
}

impl Ring {
    /// Nothing is routed yet.
    pub fn new(keyspace: Arc<Keyspace>, peers: Peers) -> Ring {
        Ring {
            nodes: RefCell::new(keyspace.members.look()),
            keyspace,
            peers,
            routed: RefCell::default(),
        }
    }

    pub(super) fn route(&self, command: &Command<'_>, random: u64) -> Route {
        let mut look = self.nodes.borrow_mut();
        let nodes = look.load();
        if self.peers.follow(nodes.version(), nodes.addresses()) {
            *self.routed.borrow_mut() = Some(nodes.ring().clone());
        }
        nodes.route(command, random)
    }

    pub(super) fn send(&self, now: u64, node: usize, client: u64, raw: &[u8], reply_to: ReplyTo) {
        self.peers.send(now, node, client, raw, reply_to);
    }
}

impl Ring {
    /// Executes this node's part of a command, if that can be done now: the reply, and what it has
    /// to wait for.
    fn part(
        &self,
        now: u64,
        command: &Command<'_>,
        asker: Option<Asker>,
    ) -> Option<(Reply, Option<Pending>)> {
        match self.keyspace.keeper.admit(command) {
            Admission::Execute(permit) => {
                Some(self.keyspace.execute_with(&permit, now, command, asker))
            }
            Admission::Wait(_) | Admission::Moved => None,
        }
    }

    /// Answers DBSIZE from the threads of the peer port: it may have to look at all keys.
    #[cold]
    fn count_keys(&self, request: Bytes, reply_to: ReplyTo) {
        let keyspace = self.keyspace.clone();
        let counted = self
            .keyspace
            .spawn(async move { keyspace.execute_share(&request).await });
        tokio::task::spawn_local(async move {
            let reply = counted.await;
            let reply = reply.unwrap_or_else(|_| b"-ERR the node stops\r\n".to_vec());
            reply_to.send(&reply, failure_in(&reply));
        });
    }

    /// Sends a reply once it may be told.
    #[cold]
    fn tell_later(&self, reply: &Reply, pending: Pending, reply_to: ReplyTo) {
        let mut out = encoded(reply);
        let acknowledged = self.keyspace.spawn(pending);
        tokio::task::spawn_local(async move {
            if let Err(failed) = acknowledged.await.unwrap_or(Ok(())) {
                out = encoded(&failed);
            }
            reply_to.send(&out, failure_in(&out));
        });
    }
}

/// Something done elsewhere for a command that waits; not any more once this is dropped.
#[derive(Debug)]
pub(super) struct Errand(JoinHandle<()>);

impl Drop for Errand {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Door {
    /// A door of a node in a ring.
    #[must_use]
    pub fn in_ring(self, ring: Ring) -> Door {
        Door {
            ring: Some(ring),
            ..self
        }
    }

    /// Whether a reply is none yet: the node that was asked does not own the keys, as it sees the
    /// ring, and another is asked.
    #[inline]
    pub(super) fn goes_on_elsewhere(
        &self,
        mailbox: &Rc<Mailbox>,
        letter: Letter,
        reply: &[u8],
    ) -> bool {
        let Some(request) = peer::moved(reply) else {
            return false;
        };
        let reply_to = ReplyTo {
            mailbox: mailbox.clone(),
            ticket: letter.ticket,
            part: letter.part,
        };
        self.send_anew(Bytes::copy_from_slice(request), reply_to);
        true
    }

    #[cold]
    fn send_anew(&self, request: Bytes, reply_to: ReplyTo) {
        let Some(ring) = &self.ring else { return };
        let keyspace = ring.keyspace.clone();
        let asked = ring
            .keyspace
            .spawn(async move { keyspace.execute_moved(request).await });
        tokio::task::spawn_local(async move {
            let reply = asked.await;
            let reply = reply.unwrap_or_else(|_| b"-ERR the node stops\r\n".to_vec());
            reply_to.send(&reply, failure_in(&reply));
        });
    }

    /// Removes all keys of all nodes.
    #[cold]
    pub(super) fn clear_all(&self, caller: &mut Caller, command: &Command<'_>) {
        let Some(ring) = &self.ring else { return };
        if self.waits_its_turn(caller, command) {
            return;
        }
        let keyspace = ring.keyspace.clone();
        let request = Bytes::copy_from_slice(&resp::request_of(command));
        self.run_errand_to(caller, ring, command, async move {
            keyspace.clear_all(request).await
        });
    }

    /// Executes this node's own part of a command.
    pub(super) fn execute_part(&self, now: u64, ring: &Ring, raw: &[u8], reply_to: ReplyTo) {
        let mut decoder = Decoder::default();
        let (asker, asked) = Asker::split(raw);
        let command = peer::command(&mut decoder, asked);
        if command.as_ref().is_ok_and(|c| c.spec.id == Id::Dbsize) {
            return ring.count_keys(Bytes::copy_from_slice(raw), reply_to);
        }
        let (reply, pending) = match command.map(|command| ring.part(now, &command, asker)) {
            Ok(Some(done)) => done,
            Ok(None) => return self.send_anew(Bytes::copy_from_slice(raw), reply_to),
            Err(refused) => (refused, None),
        };
        match pending {
            None => {
                let out = encoded(&reply);
                reply_to.send(&out, failure_in(&out));
            }
            Some(pending) => ring.tell_later(&reply, pending, reply_to),
        }
    }

    /// Lets a command that has just been routed here be executed while the permit lives. `None`:
    /// not yet; its connection waits.
    #[inline]
    pub(super) fn permit(
        &self,
        caller: &mut Caller,
        command: &Command<'_>,
    ) -> Option<Option<Permit>> {
        let Some(ring) = &self.ring else {
            return Some(None);
        };
        let routed = ring.routed.borrow();
        match ring.keyspace.keeper.admit_routed(routed.as_ref(), command) {
            Admission::Execute(permit) => Some(Some(permit)),
            held => {
                self.hold(caller, ring, command, held);
                None
            }
        }
    }

    #[cold]
    fn hold(&self, caller: &mut Caller, ring: &Ring, command: &Command<'_>, held: Admission) {
        if command.spec.flags.has(Flags::BLOCKING) {
            return self.wait_there(caller, command);
        }
        let asker = self.asker(caller, command);
        let request = Bytes::copy_from_slice(&asked_by(asker, resp::request_of(command)));
        let keyspace = ring.keyspace.clone();
        self.run_errand(caller, ring, command, async move {
            if let Admission::Wait(pending) = held
                && let Err(refused) = pending.await
            {
                return encoded(&refused);
            }
            keyspace.execute(request).await
        });
    }

    /// Has the connection wait until this is done, which returns the reply in RESP2.
    pub(super) fn run_errand(
        &self,
        caller: &mut Caller,
        ring: &Ring,
        command: &Command<'_>,
        work: impl Future<Output = Vec<u8>> + Send + 'static,
    ) {
        let (protocol, shape) = (caller.session.protocol, Shape::of(command));
        let reply = async move { in_protocol(work.await, protocol, shape) };
        self.run_errand_to(caller, ring, command, reply);
    }

    /// The same where the reply is as the client shall get it.
    pub(super) fn run_errand_to(
        &self,
        caller: &mut Caller,
        ring: &Ring,
        command: &Command<'_>,
        work: impl Future<Output = Reply> + Send + 'static,
    ) {
        // One that waits for an element may wait for ever, and keeps no copy.
        let waiter_blocks = command.spec.flags.has(Flags::BLOCKING);
        // Nobody who waits in the store arrives that late.
        let (arrival, command) = (u64::MAX, command.to_owned());
        let stops = Reply::NullArray;
        let waiter = Waiter::for_element(arrival, command, None, stops, caller.task.clone());
        let waiter = Arc::new(waiter);
        let waits = waiter.clone();
        let task = ring.keyspace.spawn(async move {
            let reply = work.await;
            waits.serve(|| Some(reply));
        });
        caller.reads_elsewhere = !waiter_blocks;
        self.start_waiting(caller, waiter);
        caller.errand = Some(Errand(task));
    }

    /// Whether a command has to wait until the client has got all replies before: it goes another
    /// way, and must not overtake them.
    pub(super) fn waits_its_turn(&self, caller: &mut Caller, command: &Command<'_>) -> bool {
        let waits = caller.session.pipeline.waiting() > 0;
        if waits {
            caller.blocked = Some(Blocked::Behind(command.to_owned()));
        }
        waits
    }

    /// Has the connection hand in this command once more when it may run.
    #[cold]
    pub(super) fn run_again(
        &self,
        caller: &mut Caller,
        ring: &Ring,
        command: &Command<'_>,
        pending: Pending,
    ) {
        let (done, task) = (Arc::new(AtomicBool::new(false)), caller.task.clone());
        let tells = done.clone();
        let errand = ring.keyspace.spawn(async move {
            // Whether it may run is asked anew.
            let _ = pending.await;
            tells.store(true, Relaxed);
            task.wake();
        });
        caller.blocked = Some(Blocked::Held(command.to_owned(), done));
        caller.errand = Some(Errand(errand));
    }

    /// Tells the subscribers of other nodes what a transaction publishes, given how many there are
    /// here. How many there are in all [comes later](Door::counts_receivers).
    pub(super) fn publish_elsewhere(
        &self,
        caller: &mut Caller,
        command: &Command<'_>,
        here: Reply,
    ) -> Reply {
        let Some(ring) = &self.ring else { return here };
        let (keyspace, raw) = (ring.keyspace.clone(), Bytes::copy_from_slice(command.raw()));
        let told = ring
            .keyspace
            .spawn(async move { keyspace.publish_elsewhere(raw).await });
        caller.published.push(told);
        // It is written as the number alone, and found again by its form.
        Reply::Several(vec![here])
    }

    /// The replies of a transaction with the subscribers of other nodes in those to PUBLISH.
    /// `None`: they have not answered yet.
    pub(super) fn counts_receivers(
        &self,
        caller: &mut Caller,
        command: &Command<'_>,
        reply: Reply,
    ) -> Option<Reply> {
        let told = std::mem::take(&mut caller.published);
        let ring = self.ring.as_ref().filter(|_| !told.is_empty());
        let Some(ring) = ring else {
            return Some(reply);
        };
        let mut replies = match reply {
            Reply::Array(replies) => replies,
            other => return Some(other),
        };
        self.run_errand_to(caller, ring, command, async move {
            let mut told = told.into_iter();
            for reply in &mut replies {
                let Reply::Several(parts) = reply else {
                    continue;
                };
                if let [Reply::Int(count)] = &mut parts[..]
                    && let Some(told) = told.next()
                {
                    *count += told.await.unwrap_or(0);
                }
            }
            Reply::Array(replies)
        });
        None
    }

    /// A command that waits for an element of another node's key.
    pub(super) fn wait_there(&self, caller: &mut Caller, command: &Command<'_>) {
        let Some(ring) = &self.ring else { return };
        if self.waits_its_turn(caller, command) {
            return;
        }
        let until = gives_up_at(command, clock::now());
        self.wait_in_ring(caller, ring, command, until);
    }

    /// The same for one whose keys have been this node's until now. It gives up when it would have
    /// given up here.
    #[cold]
    pub(super) fn wait_elsewhere(&self, caller: &mut Caller, waiter: &Waiter) {
        let (Some(ring), Some(command)) = (&self.ring, waiter.command()) else {
            return;
        };
        if let Behind::Node(store) = &self.behind {
            store.stop_waiting(waiter);
        }
        self.wait_in_ring(caller, ring, &command.as_command(), waiter.until);
    }

    fn wait_in_ring(
        &self,
        caller: &mut Caller,
        ring: &Ring,
        command: &Command<'_>,
        until: Option<u64>,
    ) {
        let asker = self.asker(caller, command);
        let request = Bytes::copy_from_slice(&asked_by(asker, Cow::Borrowed(command.raw())));
        let waits = ring.keyspace.clone().wait(request, until);
        self.run_errand(caller, ring, command, waits);
    }

    /// Whether a reply has to wait until copies of what was written are elsewhere.
    #[inline]
    pub(super) fn tells_later(
        &self,
        now: u64,
        caller: &mut Caller,
        command: &Command<'_>,
        reply: &Reply,
    ) -> bool {
        let Some(ring) = &self.ring else {
            return false;
        };
        let Some(pending) = ring.keyspace.keeper.written(now, command, reply) else {
            return false;
        };
        let Ticket(ticket) = caller.session.wait(command);
        let mailbox = caller.mailbox.clone();
        let reply_to = ReplyTo {
            mailbox,
            ticket,
            part: 0,
        };
        ring.tell_later(reply, pending, reply_to);
        true
    }
}

/// Whether a command removes the keys of all nodes.
pub(super) fn clears_all(command: &Command<'_>) -> bool {
    matches!(command.spec.id, Id::Flushall | Id::Flushdb | Id::ItemFlush)
}

fn failure_in(reply: &[u8]) -> Option<ErrorKind> {
    (reply.first() == Some(&b'-')).then_some(ErrorKind::Reply)
}

/// A reply in RESP2 as its client shall get it.
pub(super) fn in_protocol(reply: Vec<u8>, protocol: Protocol, shape: Shape) -> Reply {
    match protocol {
        Protocol::Resp2 => Reply::Raw(reply.into()),
        Protocol::Resp3 => {
            let mut upgraded = Vec::with_capacity(reply.len());
            upgrade(&reply, shape, &mut upgraded);
            Reply::Raw(upgraded.into())
        }
    }
}
