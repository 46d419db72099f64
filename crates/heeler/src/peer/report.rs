//! What is told of the ring and of what passes between its nodes.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use super::Keyspace;
use crate::stats::ServerStat;

impl Keyspace {
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

    fn holding_info(&self) -> [(&'static str, String); 10] {
        let progress = self.keeper.progress();
        let keeping = self.keeper.keeping();
        [
            ("ring_replicas", keeping.replicas.to_string()),
            ("ring_write_acks", keeping.write_acks.name().to_owned()),
            ("ring_settled", u8::from(progress.settled).to_string()),
            ("ring_ranges_incoming", progress.unsettled.to_string()),
            ("ring_ranges_incoming_copies", progress.unlevel.to_string()),
            ("ring_ranges_outgoing", progress.owed.to_string()),
            ("ring_keys_taken_total", progress.keys_in.to_string()),
            ("ring_bytes_taken_total", progress.bytes_in.to_string()),
            ("ring_keys_given_total", progress.keys_out.to_string()),
            ("ring_copies_unsent", progress.unsent.to_string()),
        ]
    }
}
