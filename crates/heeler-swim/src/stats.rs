//! What `/admin/stats` shows of membership, protocol and ring.

use std::sync::Arc;

use serde::Serialize;

use crate::meter::quantile;
use crate::swim::Swim;
use crate::{Form, Now};

/// The part of `/admin/stats` that the machine knows, with ringpop-node's names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Who is known.
    pub membership: MembershipStats,
    /// How fast it pings.
    pub protocol: ProtocolStats,
    /// Who owns keys.
    pub ring: RingStats,
}

/// Who is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MembershipStats {
    /// The checksum in this member's own form.
    pub checksum: u32,
    /// All, in the order of addresses.
    pub members: Vec<MemberStats>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberStats {
    /// Its address.
    pub address: Arc<str>,
    /// Its status.
    pub status: &'static str,
    /// Its incarnation number.
    pub incarnation_number: u64,
    /// How much it comes and goes.
    pub damp_score: u32,
}

/// How fast it pings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProtocolStats {
    /// How long the last pings took.
    pub timing: Timing,
    /// Milliseconds from ping to ping.
    pub protocol_rate: u64,
    /// Pings a second that it sends.
    pub client_rate: f64,
    /// Requests a second that it gets.
    pub server_rate: f64,
    /// Both.
    pub total_rate: f64,
}

/// How long the last pings took, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// `histogram`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The shortest.
    pub min: u32,
    /// The longest.
    pub max: u32,
    /// All together.
    pub sum: u64,
    /// The variance.
    pub variance: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std_dev: f64,
    /// Pings since the start; all other numbers are of the last 128.
    pub count: u64,
    /// The median.
    pub median: f64,
    /// The 75th percentile, and so on.
    pub p75: f64,
    /// The 95th.
    pub p95: f64,
    /// The 99th.
    pub p99: f64,
    /// The 99.9th.
    pub p999: f64,
}

/// Who owns keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RingStats {
    /// The ring checksum.
    pub checksum: u32,
    /// The addresses, in order.
    pub servers: Vec<Arc<str>>,
}

impl Swim {
    /// What `/admin/stats` shows.
    pub fn stats(&mut self, now: Now) -> Stats {
        self.now.ms = self.now.ms.max(now.ms);
        let form: Form = self.form();
        let members = self.members.ids().map(|id| {
            let member = self.members.get(id);
            MemberStats {
                address: member.address.clone(),
                status: member.status.name(),
                incarnation_number: member.incarnation,
                damp_score: self.damp_score(id),
            }
        });
        let members = members.collect();
        let client_rate = self.client_rate.rate(now.ms);
        let server_rate = self.server_rate.rate(now.ms);
        Stats {
            membership: MembershipStats {
                checksum: self.checksum(form),
                members,
            },
            protocol: ProtocolStats {
                timing: self.timing(),
                protocol_rate: self.protocol_rate(),
                client_rate,
                server_rate,
                total_rate: client_rate + server_rate,
            },
            ring: RingStats {
                checksum: self.ring_checksum(),
                servers: self.ring().cloned().collect(),
            },
        }
    }

    fn timing(&self) -> Timing {
        let sorted = self.gossip.durations.sorted();
        let n = sorted.len().max(1) as f64;
        let sum: u64 = sorted.iter().map(|ms| u64::from(*ms)).sum();
        let mean = sum as f64 / n;
        let squares: f64 = sorted
            .iter()
            .map(|ms| (f64::from(*ms) - mean).powi(2))
            .sum();
        Timing {
            kind: "histogram",
            min: sorted.first().copied().unwrap_or(0),
            max: sorted.last().copied().unwrap_or(0),
            sum,
            variance: squares / n,
            mean,
            std_dev: (squares / n).sqrt(),
            count: self.gossip.durations.count(),
            median: quantile(&sorted, 0.5),
            p75: quantile(&sorted, 0.75),
            p95: quantile(&sorted, 0.95),
            p99: quantile(&sorted, 0.99),
            p999: quantile(&sorted, 0.999),
        }
    }
}
