//! Numbers under Ringpop's names: sent to statsd or written to a file, and read as Prometheus
//! metrics.
//!
//! The names are those of ringpop-node (`ping.send`, `membership.checksum`, …). statsd sees them
//! under a prefix, `ringpop.127_0_0_1_3000` for a member at 127.0.0.1:3000; Prometheus as
//! `ringpop_ping_send_total`, for it has labels of its own for who says so.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use heeler_swim::Stat;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

use crate::limits;

/// Upper bounds of the buckets of times, in milliseconds.
const STEPS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 30_000];

/// JavaScript's `toISOString`: UTC, three digits of a second.
const JAVASCRIPT: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second {
        decimal_digits: std::num::NonZeroU8::new(3),
    })
    .encode();

/// What a member counts. Clones are the same numbers.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    values: Arc<Mutex<BTreeMap<&'static str, Value>>>,
}

#[derive(Clone, Debug)]
enum Value {
    Counter { total: u64, unsent: u64 },
    Gauge { value: f64, sent: Option<f64> },
    Times(Times),
}

#[derive(Clone, Debug, Default)]
struct Times {
    buckets: [u64; STEPS_MS.len() + 1],
    sum_ms: u64,
    unsent: Vec<u64>,
}

impl Statistics {
    /// Takes a number of the membership's.
    pub(crate) fn take(&self, stat: Stat) {
        match stat {
            Stat::Count(name, by) => self.count(name, by),
            Stat::Gauge(name, value) => self.gauge(name, value),
            Stat::Time(name, ms) => self.time(name, ms),
        }
    }

    /// Adds to a counter.
    pub(crate) fn count(&self, name: &'static str, by: u64) {
        let new = Value::Counter {
            total: 0,
            unsent: 0,
        };
        self.with(name, new, |value| {
            if let Value::Counter { total, unsent } = value {
                *total += by;
                *unsent += by;
            }
        });
    }

    /// Sets a gauge.
    pub(crate) fn gauge(&self, name: &'static str, now: f64) {
        let new = Value::Gauge {
            value: now,
            sent: None,
        };
        self.with(name, new, |value| {
            if let Value::Gauge { value, .. } = value {
                *value = now;
            }
        });
    }

    /// Something has taken so many milliseconds.
    pub(crate) fn time(&self, name: &'static str, ms: u64) {
        self.with(name, Value::Times(Times::default()), |value| {
            if let Value::Times(times) = value {
                times.buckets[STEPS_MS.partition_point(|&step| step < ms)] += 1;
                times.sum_ms += ms;
                if times.unsent.len() < limits::UNSENT_TIMES {
                    times.unsent.push(ms);
                }
            }
        });
    }

    fn with(&self, name: &'static str, new: Value, change: impl FnOnce(&mut Value)) {
        let mut values = self.values.lock();
        change(values.entry(name).or_insert(new));
    }

    /// A counter's value so far, 0 if nothing was counted. Names are ringpop-node's.
    pub fn counter(&self, name: &str) -> u64 {
        let values = self.values.lock();
        match values.get(name) {
            Some(Value::Counter { total, .. }) => *total,
            _ => 0,
        }
    }

    /// What statsd has not been told, a line each: `PREFIX.ping.send:3|c`.
    fn unsent(&self, prefix: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut values = self.values.lock();
        for (name, value) in values.iter_mut() {
            match value {
                Value::Counter { unsent: 0, .. } => (),
                Value::Counter { unsent, .. } => {
                    lines.push(format!("{prefix}.{name}:{unsent}|c"));
                    *unsent = 0;
                }
                Value::Gauge { value, sent } => {
                    if *sent != Some(*value) {
                        lines.push(format!("{prefix}.{name}:{value}|g"));
                        *sent = Some(*value);
                    }
                }
                Value::Times(times) => {
                    let ms = times.unsent.drain(..);
                    lines.extend(ms.map(|ms| format!("{prefix}.{name}:{ms}|ms")));
                }
            }
        }
        lines
    }
}

/// The prefix that Ringpop gives to the names of a member: `ringpop.127_0_0_1_3000`.
pub(crate) fn prefix(address: &str) -> String {
    format!("ringpop.{}", address.replace(['.', ':'], "_"))
}

/// Where statistics go.
#[derive(Debug)]
pub struct Sink(Kind);

#[derive(Debug)]
enum Kind {
    Udp(UdpSocket),
    File(File),
}

impl Sink {
    /// A statsd at a UDP address.
    ///
    /// # Errors
    /// The operating system's.
    pub fn statsd(to: SocketAddr) -> io::Result<Sink> {
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(to)?;
        Ok(Sink(Kind::Udp(socket)))
    }

    /// A file: what statsd would be told is appended, with the time before each line.
    ///
    /// # Errors
    /// The operating system's.
    pub fn file(path: &Path) -> io::Result<Sink> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Sink(Kind::File(file)))
    }

    /// Sends what is new.
    ///
    /// # Errors
    /// The operating system's. What has not been sent is lost.
    pub(crate) fn send(&mut self, prefix: &str, statistics: &Statistics) -> io::Result<()> {
        let lines = statistics.unsent(prefix);
        match &mut self.0 {
            Kind::Udp(socket) => packets(&lines)
                .iter()
                .try_for_each(|packet| socket.send(packet.as_bytes()).map(drop)),
            Kind::File(file) => {
                let now = OffsetDateTime::now_utc().format(&Iso8601::<JAVASCRIPT>);
                let now = now.map_err(io::Error::other)?;
                let text: String = lines
                    .iter()
                    .map(|line| format!("{now}: {line}\n"))
                    .collect();
                file.write_all(text.as_bytes())
            }
        }
    }
}

/// The lines, as many in a packet as fit an Ethernet frame.
fn packets(lines: &[String]) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for line in lines {
        match packets.last_mut() {
            Some(packet) if packet.len() + 1 + line.len() <= limits::STATSD_PACKET => {
                packet.push('\n');
                packet.push_str(line);
            }
            _ => packets.push(line.clone()),
        }
    }
    packets
}

/// As Prometheus metrics: register a clone with a `Registry`.
impl Collector for Statistics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let values = self.values.lock();
        let values = values.clone();
        for (name, value) in &values {
            let own = prometheus_name(name);
            let help = format!("Ringpop's {name}");
            match value {
                Value::Counter { total, .. } => {
                    encode(&mut encoder, &own, &help, &ConstCounter::new(*total))?;
                }
                Value::Gauge { value, .. } => {
                    encode(&mut encoder, &own, &help, &ConstGauge::new(*value))?;
                }
                Value::Times(times) => {
                    encode(&mut encoder, &(own + "_seconds"), &help, times)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// `requestProxy.send.success` is `ringpop_request_proxy_send_success`.
fn prometheus_name(name: &str) -> String {
    let mut own = String::from("ringpop_");
    for c in name.chars() {
        match c {
            'A'..='Z' => {
                let _ = write!(own, "_{}", c.to_ascii_lowercase());
            }
            '.' | '-' => own.push('_'),
            c => own.push(c),
        }
    }
    own
}

impl EncodeMetric for Times {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let seconds = |ms: u64| ms as f64 / 1e3;
        let steps = STEPS_MS.iter().map(|&step| seconds(step));
        let steps = steps.chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = steps.zip(self.buckets).collect();
        let count = self.buckets.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(seconds(self.sum_ms), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    fn some() -> Statistics {
        let statistics = Statistics::default();
        statistics.take(Stat::Count("ping.send", 2));
        statistics.take(Stat::Count("ping.send", 1));
        statistics.take(Stat::Gauge("num-members", 3.0));
        statistics.take(Stat::Time("requestProxy.time", 7));
        statistics
    }

    #[test]
    fn statsd_is_told_what_is_new() {
        let statistics = some();
        let prefix = prefix("127.0.0.1:3000");
        let lines = [
            "ringpop.127_0_0_1_3000.num-members:3|g",
            "ringpop.127_0_0_1_3000.ping.send:3|c",
            "ringpop.127_0_0_1_3000.requestProxy.time:7|ms",
        ];
        assert_eq!(statistics.unsent(&prefix), lines);
        assert!(statistics.unsent(&prefix).is_empty());
        statistics.gauge("num-members", 3.0);
        assert!(statistics.unsent(&prefix).is_empty());
        statistics.gauge("num-members", 4.0);
        statistics.count("ping.send", 1);
        let lines = ["p.num-members:4|g", "p.ping.send:1|c"];
        assert_eq!(statistics.unsent("p"), lines);
        assert_eq!(statistics.counter("ping.send"), 4);
    }

    #[test]
    fn a_packet_carries_many_lines() {
        let line = "x".repeat(700);
        let lines = vec![line.clone(), line.clone(), line];
        let lengths: Vec<usize> = packets(&lines).iter().map(String::len).collect();
        assert_eq!(lengths, [1401, 700]);
    }

    #[test]
    fn a_real_socket_and_a_real_file() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut sink = Sink::statsd(server.local_addr().unwrap()).unwrap();
        sink.send("p", &some()).unwrap();
        let mut bytes = [0; 2000];
        let length = server.recv(&mut bytes).unwrap();
        let told = "p.num-members:3|g\np.ping.send:3|c\np.requestProxy.time:7|ms";
        assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), told);

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stats");
        Sink::file(&path).unwrap().send("p", &some()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (time, rest) = text.lines().next().unwrap().split_once(": ").unwrap();
        assert_eq!(rest, "p.num-members:3|g");
        assert_eq!(
            (time.len(), &time[10..11], &time[23..]),
            (24, "T", "Z"),
            "{time}"
        );
    }

    #[test]
    fn prometheus_reads_them() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(some()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "ringpop_ping_send_total 3",
            "ringpop_num_members 3.0",
            "ringpop_request_proxy_time_seconds_bucket{le=\"0.01\"} 1",
            "ringpop_request_proxy_time_seconds_bucket{le=\"0.005\"} 0",
            "ringpop_request_proxy_time_seconds_sum 0.007",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
