//! The endpoint `commands` of the service `heeler`: requests of other nodes, in RESP, for keys that
//! this node owns.
//!
//! | part of the call | what it is |
//! | --- | --- |
//! | arg2 | the sender's [`Terms`]: two nodes that differ in them would name different owners |
//! | arg3 | whole requests, one after the other |
//! | arg3 of the answer | as many replies, in RESP2 |
//!
//! The calls of one connection are executed in the order in which they come, so that a client's
//! requests stay in theirs.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use heeler_ringpop::channel::{Answer, Call, Request};
use heeler_ringpop::{Response, Ringpop};

use super::keyspace::{Keyspace, SERVICE, answer, headers, refused};
use crate::command::{Command, Id, Reply, Room};
use crate::route::Terms;
use crate::stats::{Call as Counted, CommandCounters};

/// The endpoint.
const ENDPOINT: &str = "commands";

/// A call for other nodes with these requests.
pub fn request(terms: Terms, requests: Bytes) -> Request {
    Request {
        service: Bytes::from_static(SERVICE.as_bytes()),
        headers: headers(),
        arg1: Bytes::from_static(ENDPOINT.as_bytes()),
        arg2: Bytes::from(terms.told()),
        arg3: requests,
        ..Request::default()
    }
}

/// Answers the other nodes.
pub(super) fn serve(ringpop: &Ringpop, keyspace: &Arc<Keyspace>) {
    let service = ringpop.channel().service(SERVICE);
    let keyspace = keyspace.clone();
    service.endpoint_in_order(ENDPOINT, move |call| execute_all(keyspace.clone(), call));
}

async fn execute_all(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    agreed(keyspace.members.terms(), &call)?;
    Ok(Response::raw(answer(&keyspace, &call).await))
}

/// Both nodes name the same owners.
pub(super) fn agreed(terms: Terms, call: &Call) -> Result<(), heeler_ringpop::Failure> {
    static TOLD: AtomicBool = AtomicBool::new(false);

    let (ours, theirs) = (terms.told(), &call.request.arg2);
    if *theirs == *ours.as_bytes() {
        return Ok(());
    }
    let theirs = String::from_utf8_lossy(theirs).into_owned();
    if !TOLD.swap(true, Relaxed) {
        tracing::error!(
            peer = %call.from.host_port,
            ours,
            theirs,
            "a node of the ring was started with other settings for the owners of keys; its \
             requests are refused. All nodes need the same --num-partitions and --hash-tags"
        );
    }
    Err(refused(format!(
        "the nodes of the ring were started with different settings: \"{ours}\" here, \
         \"{theirs}\" there (--num-partitions, --hash-tags)"
    )))
}

/// Executes one command of another node, or a part of one of this node's clients.
pub fn execute(keyspace: &Keyspace, now: u64, command: &Command<'_>) -> Reply {
    let exchange = &keyspace.process.exchange;
    let reply = match command.spec.id {
        Id::Ping => Reply::Status("PONG"),
        Id::Publish => Reply::Int(exchange.publish(command.arg(1), command.arg(2)) as i64),
        Id::Spublish => {
            Reply::Int(exchange.publish_to_shard(command.arg(1), command.arg(2)) as i64)
        }
        _ if command.spec.room == Room::Store => keyspace.store.execute(now, command),
        _ => Reply::error(format!(
            "ERR '{}' is not for other nodes",
            command.spec.name
        )),
    };
    count(keyspace, command, &reply);
    reply
}

/// Counts a command as those of this node's own doors are counted.
fn count(keyspace: &Keyspace, command: &Command<'_>, reply: &Reply) {
    thread_local! {
        /// Each thread of the peer port writes into counters of its own.
        static COUNTERS: OnceCell<Arc<CommandCounters>> = const { OnceCell::new() };
    }
    COUNTERS.with(|counters| {
        let counters = counters.get_or_init(|| keyspace.process.commands.join());
        counters.called(command.spec.id as usize, Counted::Made);
        if reply.is_error() {
            counters.called(command.spec.id as usize, Counted::Failed);
        }
    });
}
