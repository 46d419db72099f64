//! Numbers of the keyspace of a ring: what its nodes send to each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::families::counters;
use super::metrics::{Waits, alone, family};
use crate::peer::Keyspace;
use crate::stats::{PoolTotals, ServerStat as S};

/// Members and shares, requests to other nodes and from them.
pub(super) fn of_ring(encoder: &mut DescriptorEncoder<'_>, keyspace: &Keyspace) -> fmt::Result {
    let nodes = keyspace.members.picture();
    let members = ConstGauge::new(nodes.addresses().len() as u64);
    alone(
        encoder,
        ("ring_members", "Nodes in the ring", None),
        members,
    )?;
    let help = "Nodes in the ring that were started with other settings than this one";
    let differing = ConstGauge::new(keyspace.differing().len() as u64);
    alone(encoder, ("ring_differing_nodes", help, None), differing)?;
    let help = "Nodes in the ring that this one cannot call at their addresses";
    let uncallable = ConstGauge::new(keyspace.uncallable() as u64);
    alone(encoder, ("ring_uncallable_nodes", help, None), uncallable)?;
    let help =
        "Whether this node refuses every write, for too few nodes are there for --write-acks";
    let refuses = ConstGauge::new(u64::from(keyspace.keeper.refuses_writes().is_some()));
    alone(encoder, ("ring_refuses_writes", help, None), refuses)?;
    let help = "Share of the keys that this node owns, from 0 to 1";
    let owned = ("ring_owned", help, Some(&Unit::Ratios));
    alone(encoder, owned, ConstGauge::new(nodes.share()))?;
    let traffic = &keyspace.traffic;
    for (name, help, count) in [
        (
            "ring_received",
            "Requests of other nodes",
            &traffic.received,
        ),
        (
            "ring_moved",
            "Requests of other nodes whose keys this node does not own, as it sees the ring",
            &traffic.moved,
        ),
        (
            "ring_retries",
            "Requests sent once more, because another node did not own their keys",
            &traffic.retried,
        ),
    ] {
        alone(
            encoder,
            (name, help, None),
            ConstCounter::new(count.load(Relaxed)),
        )?;
    }
    of_holding(encoder, keyspace)?;
    of_others(encoder, &keyspace.others.totals())
}

/// What is taken from other nodes and given to them.
fn of_holding(encoder: &mut DescriptorEncoder<'_>, keyspace: &Keyspace) -> fmt::Result {
    let progress = keyspace.keeper.progress();
    let gauges = [
        (
            "handover_settled",
            "Whether this node, and the copies of what it owns, are as the ring wants them",
            usize::from(progress.settled),
        ),
        (
            "handover_incoming_ranges",
            "Ranges that this node owns and has not wholly taken over",
            progress.unsettled,
        ),
        (
            "handover_incoming_copies",
            "Ranges of which this node has copies that may lack keys",
            progress.unlevel,
        ),
        (
            "handover_outgoing_ranges",
            "Ranges that this node has held and others have not wholly taken over",
            progress.owed,
        ),
        (
            "replication_unsent",
            "Copies that wait to be sent to other nodes",
            progress.unsent,
        ),
    ];
    for (name, help, value) in gauges {
        let gauge = ConstGauge::new(value as u64);
        alone(encoder, (name, help, None), gauge)?;
    }
    let bytes = Some(&Unit::Bytes);
    for (name, help, unit, value) in [
        (
            "handover_taken_keys",
            "Keys taken from others",
            None,
            progress.keys_in,
        ),
        (
            "handover_taken",
            "Bytes of keys taken from others",
            bytes,
            progress.bytes_in,
        ),
        (
            "handover_given_keys",
            "Keys given to others",
            None,
            progress.keys_out,
        ),
        (
            "handover_given",
            "Bytes of keys given to others",
            bytes,
            progress.bytes_out,
        ),
        (
            "replication_sent",
            "Bytes of writes and copies sent to replicas",
            bytes,
            progress.bytes_replicated,
        ),
    ] {
        alone(encoder, (name, help, unit), ConstCounter::new(value))?;
    }
    Ok(())
}

/// What was sent to each other node.
fn of_others(
    encoder: &mut DescriptorEncoder<'_>,
    totals: &[(Arc<str>, PoolTotals)],
) -> fmt::Result {
    let labels = |address| vec![("node", address)];
    let sent = totals
        .iter()
        .map(|(address, t)| (labels(&**address), t.servers[0][S::Requests as usize]));
    let help = "Requests sent to the nodes that own their keys";
    counters(
        encoder,
        ("ring_forwarded", help, None),
        &sent.collect::<Vec<_>>(),
    )?;
    let failures = [
        S::LateRequests,
        S::RefusedRequests,
        S::LostRequests,
        S::SurplusRequests,
    ];
    let failed = totals.iter().map(|(address, t)| {
        let sum = failures
            .iter()
            .map(|&stat| t.servers[0][stat as usize])
            .sum::<u64>();
        (labels(&**address), sum)
    });
    let help = "Those that got no reply of the node";
    counters(
        encoder,
        ("ring_forward_failures", help, None),
        &failed.collect::<Vec<_>>(),
    )?;
    let labels: Vec<_> = totals
        .iter()
        .map(|(address, _)| labels(&**address))
        .collect();
    let waits = totals.iter().map(|(_, t)| Waits(&t.waits[0]));
    let help = "Time from sending a request to another node to its reply";
    let latency = ("ring_forward_latency", help, Some(&Unit::Seconds));
    family(encoder, latency, labels.iter().map(|l| &l[..]).zip(waits))
}
