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
use heeler_ringpop::Response;
use heeler_ringpop::channel::{Answer, Call, Headers, Request};

use super::keyspace::{Keyspace, SERVICE, answer, refused};
use crate::admission;
use crate::command::{Command, Id, Reply, Room};
use crate::limits;
use crate::route::{Nodes, Terms};
use crate::stats::{Call as Counted, CommandCounters};
use crate::wire::resp::Asker;

/// The endpoint.
pub const ENDPOINT: &str = "commands";

/// A call of an endpoint of other nodes with these requests.
pub fn request(terms: Terms, endpoint: &'static str, requests: Bytes) -> Request {
    Request {
        service: Bytes::from_static(SERVICE.as_bytes()),
        headers: Headers::new([("as", "raw"), ("cn", SERVICE)]).unwrap_or(Headers::RAW),
        arg1: Bytes::from_static(endpoint.as_bytes()),
        arg2: Bytes::from(terms.told()),
        arg3: requests,
        ..Request::default()
    }
}

/// Answers the other nodes.
pub(super) fn serve(keyspace: &Arc<Keyspace>) {
    let service = keyspace.ringpop.channel().service(SERVICE);
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
    if terms.agree_with(&theirs) {
        return Ok(());
    }
    if !TOLD.swap(true, Relaxed) {
        tracing::error!(
            peer = %call.from.host_port,
            ours,
            theirs,
            "a node of the ring was started with other settings for the owners of keys; its \
             requests are refused. All nodes need the same --num-partitions, --hash-tags and --hash"
        );
    }
    Err(refused(format!(
        "the nodes of the ring were started with different settings: \"{ours}\" here, \
         \"{theirs}\" there (--num-partitions, --hash-tags, --hash)"
    )))
}

/// Executes one command of another node, or a part of one of this node's clients.
pub(super) fn execute(
    keyspace: &Keyspace,
    now: u64,
    command: &Command<'_>,
    asker: Option<Asker>,
) -> Reply {
    let exchange = &keyspace.process.exchange;
    let nodes = || keyspace.members.nodes();
    let reply = match command.spec.id {
        Id::Ping => Reply::Status("PONG"),
        Id::Publish => Reply::Int(exchange.publish(command.arg(1), command.arg(2)) as i64),
        Id::Spublish => {
            Reply::Int(exchange.publish_to_shard(command.arg(1), command.arg(2)) as i64)
        }
        Id::Keys | Id::Scan => {
            let nodes = nodes();
            // While keys are being taken over, who had them shows them, too: none is left out.
            let shows = |key: &[u8]| admission::shows(&nodes, key) || keyspace.keeper.owes(key);
            shown(shows, keyspace.store.execute(now, command))
        }
        Id::Dbsize => Reply::Int(own_keys(keyspace, &nodes()) as i64),
        Id::Randomkey => random_key(keyspace, now, &nodes(), command),
        _ if command.spec.room == Room::Store => match asker {
            None => keyspace.store.execute(now, command),
            Some(asker) => keyspace.tracking.execute(now, command, asker),
        },
        _ => Reply::error(format!(
            "ERR '{}' is not for other nodes",
            command.spec.name
        )),
    };
    count(keyspace, command, &reply);
    reply
}

/// Of a list of keys those that this node shows; the list may be the last of two elements.
fn shown(shows: impl Fn(&[u8]) -> bool, mut reply: Reply) -> Reply {
    let mut list = &mut reply;
    while let Reply::Array(elements) = list {
        if !matches!(elements.last(), Some(Reply::Array(_))) {
            elements.retain(|key| match key {
                Reply::Bulk(key) => shows(key),
                _ => true,
            });
            break;
        }
        let last = elements.len() - 1;
        list = &mut elements[last];
    }
    reply
}

/// How many keys this node has that it shows: neither the copies that it keeps for others, nor what
/// others have taken over and it has not forgotten yet. Where it may have some, all keys are looked
/// at.
fn own_keys(keyspace: &Keyspace, nodes: &Nodes) -> usize {
    let keeper = &keyspace.keeper;
    let has_foreign = || {
        let progress = keeper.progress();
        !progress.settled || progress.forgets
    };
    let may_have_others = keeper.keeping().replicas > 1 || has_foreign();
    match may_have_others && !nodes.is_alone() {
        true => keyspace.store.count(|key| admission::shows(nodes, key)),
        false => keyspace.store.count_all(),
    }
}

/// A random key of those that this node shows: null where chance finds none among others.
fn random_key(keyspace: &Keyspace, now: u64, nodes: &Nodes, command: &Command<'_>) -> Reply {
    for _ in 0..limits::RANDOM_KEYS {
        match keyspace.store.execute(now, command) {
            Reply::Bulk(key) if !admission::shows(nodes, &key) => {}
            found => return found,
        }
    }
    Reply::Null
}

/// Counts a command as those of this node's own doors are counted.
pub(super) fn count(keyspace: &Keyspace, command: &Command<'_>, reply: &Reply) {
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

#[cfg(test)]
mod tests {
    use heeler_ring::{Member, Ring, RingHash};

    use super::*;

    #[test]
    fn keys_of_others_are_not_shown() {
        let mut ring = Ring::new(RingHash::Fingerprint32);
        ring.update(["127.0.0.1:1", "127.0.0.1:2"].map(Member::new), &[]);
        let nodes = Nodes::new(Arc::new(ring), Terms::default(), "127.0.0.1:1", 1);
        let keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
        let list = |keys: &[&String]| Reply::Array(keys.iter().copied().map(Reply::bulk).collect());
        let all: Vec<&String> = keys.iter().collect();
        let own: Vec<&String> = keys
            .iter()
            .filter(|key| nodes.owns_key(key.as_bytes()))
            .collect();
        let shows = |key: &[u8]| admission::shows(&nodes, key);
        assert!(!own.is_empty() && own.len() < all.len());
        assert_eq!(shown(shows, list(&all)), list(&own));
        let scan = |keys| Reply::Array(vec![Reply::bulk("7"), list(keys)]);
        assert_eq!(shown(shows, scan(&all)), scan(&own));
        assert_eq!(shown(shows, scan(&[])), scan(&[]));
        assert_eq!(shown(shows, list(&[])), list(&[]));
    }
}
