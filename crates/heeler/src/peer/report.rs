//! What is told of the ring and of what passes between its nodes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use heeler_ringpop::Response;
use heeler_ringpop::channel::{Answer, Call};
use serde::{Deserialize, Serialize};

use super::Keyspace;
use super::keyspace::refused;
use super::settings::Settings;
use crate::stats::ServerStat;

/// The endpoint of the service `heeler` that tells it: a JSON [`Question`] in, [`Shares`] out.
pub const ENDPOINT: &str = "nodes";

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Question {
    /// Whose owners are told.
    pub keys: Vec<String>,
}

/// The nodes of a ring as one of them sees them, and what they own.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shares {
    /// Who tells it.
    pub me: String,
    /// How many partitions there are; 0: keys are placed by themselves.
    pub partitions: u32,
    /// Whether tags of keys are placed in their stead.
    pub hash_tags: bool,
    /// The nodes, by their addresses.
    pub nodes: BTreeMap<String, Share>,
    /// The owners of the keys that were asked for; nobody's are not there.
    pub keys: BTreeMap<String, Place>,
    /// How far the one who tells it is with what it takes over and hands over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub handover: Option<Handover>,
    /// What it was started with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub settings: Option<Settings>,
    /// The nodes that were started with others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub differing: BTreeMap<String, Settings>,
}

/// How far a node is after the ring has changed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Handover {
    /// Whether it, and the copies of what it owns, are as the ring wants them.
    pub settled: bool,
    /// Ranges that it owns and has not wholly taken over.
    pub incoming_ranges: usize,
    /// Ranges of which it has copies that may lack keys.
    pub incoming_copies: usize,
    /// Ranges that it has held and others have not wholly taken over.
    pub outgoing_ranges: usize,
    /// Keys taken from others since its start.
    pub keys_taken: u64,
    /// Keys given to others.
    pub keys_given: u64,
    /// Copies of writes that wait to be sent.
    pub copies_unsent: usize,
}

/// What a node owns.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Of all keys, in percent.
    pub percent: f64,
    /// How many partitions, if there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partitions: Option<usize>,
}

/// Where a key is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Place {
    /// The partition that it is in, if there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partition: Option<u32>,
    /// The owner's address.
    pub owner: String,
}

/// Answers whoever asks.
pub(super) fn serve(keyspace: &Arc<Keyspace>) {
    keyspace.answer_with(ENDPOINT, answer);
}

async fn answer(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    let question = match call.request.arg3.is_empty() {
        true => Question::default(),
        false => serde_json::from_slice(&call.request.arg3)
            .map_err(|error| refused(format!("the body is {{\"keys\":[…]}}: {error}")))?,
    };
    let shares = serde_json::to_vec(&keyspace.shares(&question));
    Ok(Response::json(shares.unwrap_or_default()))
}

impl Keyspace {
    /// The nodes, and what they own: for `heeler ring`, and for doors that show it.
    pub fn shares(&self, question: &Question) -> Shares {
        let nodes = self.members.picture();
        let terms = nodes.terms();
        let share = |(node, address): (usize, &Arc<str>)| {
            let share = Share {
                percent: (nodes.share_of(node) * 10_000.0).round() / 100.0,
                partitions: (terms.partitions > 0).then(|| nodes.partitions_of(node)),
            };
            (address.to_string(), share)
        };
        let place = |key: &String| {
            let owner = nodes.owner(key.as_bytes())?;
            let place = Place {
                partition: nodes.partition(key.as_bytes()),
                owner: nodes.address(owner).to_string(),
            };
            Some((key.clone(), place))
        };
        Shares {
            me: self.members.me().to_owned(),
            partitions: terms.partitions,
            hash_tags: terms.hash_tags,
            nodes: nodes.addresses().enumerate().map(share).collect(),
            keys: question.keys.iter().filter_map(place).collect(),
            handover: Some(self.handover()),
            settings: Some(self.alike.mine().clone()),
            differing: self.differing(),
        }
    }

    /// The nodes of the ring that were started with other settings than this one.
    pub fn differing(&self) -> BTreeMap<String, Settings> {
        let mut differing = self.alike.differing();
        let nodes = self.members.picture();
        differing.retain(|address, _| nodes.addresses().any(|node| **node == **address));
        differing
    }

    /// How many nodes of the ring this one cannot call at their addresses.
    pub fn uncallable(&self) -> usize {
        self.reachable.uncallable()
    }

    /// How far this node is with what it takes over and hands over.
    pub fn handover(&self) -> Handover {
        let progress = self.keeper.progress();
        Handover {
            settled: progress.settled,
            incoming_ranges: progress.unsettled,
            incoming_copies: progress.unlevel,
            outgoing_ranges: progress.owed,
            keys_taken: progress.keys_in,
            keys_given: progress.keys_out,
            copies_unsent: progress.unsent,
        }
    }

    /// INFO's section `ring`: names and values.
    pub fn info(&self) -> Vec<(&'static str, String)> {
        let (nodes, traffic) = (self.members.picture(), &self.traffic);
        let (mut forwarded, mut failed) = (0, 0);
        let mut told = String::new();
        for (address, totals) in self.others.totals() {
            let of = |stat: ServerStat| totals.servers[0][stat as usize];
            let lost = of(ServerStat::LateRequests)
                + of(ServerStat::RefusedRequests)
                + of(ServerStat::LostRequests)
                + of(ServerStat::SurplusRequests);
            forwarded += of(ServerStat::Requests);
            failed += lost;
            let separator = if told.is_empty() { "" } else { ";" };
            let requests = of(ServerStat::Requests);
            let _ = write!(
                told,
                "{separator}{address},requests={requests},failed={lost}"
            );
        }
        let terms = nodes.terms();
        vec![
            ("ring_members", nodes.addresses().len().to_string()),
            ("ring_checksum", nodes.ring().checksum().to_string()),
            ("ring_me", self.members.me().to_owned()),
            ("ring_in_ring", u8::from(nodes.me().is_some()).to_string()),
            (
                "ring_owned_percent",
                format!("{:.2}", nodes.share() * 100.0),
            ),
            ("ring_partitions", terms.partitions.to_string()),
            ("ring_hash_tags", u8::from(terms.hash_tags).to_string()),
            ("ring_differing_nodes", self.differing().len().to_string()),
            ("ring_uncallable_nodes", self.uncallable().to_string()),
            ("ring_forwarded_total", forwarded.to_string()),
            ("ring_forwarded_failed", failed.to_string()),
            (
                "ring_received_total",
                traffic.received.load(Relaxed).to_string(),
            ),
            ("ring_moved_total", traffic.moved.load(Relaxed).to_string()),
            (
                "ring_retried_total",
                traffic.retried.load(Relaxed).to_string(),
            ),
            ("ring_forwarded_to", told),
        ]
        .into_iter()
        .chain(self.holding_info())
        .collect()
    }

    fn holding_info(&self) -> [(&'static str, String); 12] {
        let progress = self.keeper.progress();
        let keeping = self.keeper.keeping();
        [
            ("ring_replicas", keeping.replicas.to_string()),
            ("ring_write_acks", keeping.write_acks.name().to_owned()),
            (
                "ring_refuses_writes",
                u8::from(self.keeper.refuses_writes().is_some()).to_string(),
            ),
            ("ring_settled", u8::from(progress.settled).to_string()),
            ("ring_ranges_incoming", progress.unsettled.to_string()),
            ("ring_ranges_incoming_copies", progress.unlevel.to_string()),
            ("ring_ranges_outgoing", progress.owed.to_string()),
            ("ring_keys_taken_total", progress.keys_in.to_string()),
            ("ring_bytes_taken_total", progress.bytes_in.to_string()),
            ("ring_keys_given_total", progress.keys_out.to_string()),
            ("ring_copies_unsent", progress.unsent.to_string()),
            (
                "ring_bytes_replicated_total",
                progress.bytes_replicated.to_string(),
            ),
        ]
    }
}
