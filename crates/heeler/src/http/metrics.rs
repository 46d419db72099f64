//! Numbers for Prometheus: what the workers have counted, added up when they are asked for.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::families::{Commands, of_commands};
use super::ring::of_ring;
use super::{Shown, Subject};
use crate::admin::usage;
use crate::clock;
use crate::stats::{Counters, PoolStat as P, PoolTotals, ServerStat as S, WAITS_US};
use crate::store::{Stats, Store};

const BYTES: Option<&Unit> = Some(&Unit::Bytes);

/// All numbers of a process, as OpenMetrics text.
///
/// # Errors
/// They cannot be written.
pub(super) fn text(subject: &Subject) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("heeler");
    registry.register_collector(Box::new(Numbers(subject.clone())));
    if let Some(ring) = &subject.ring {
        registry.register_collector(Box::new(ring.statistics().clone()));
    }
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

struct Numbers(Subject);

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.process(&mut encoder)?;
        self.store(&mut encoder)?;
        if let Some(keyspace) = &self.0.keyspace {
            of_ring(&mut encoder, keyspace)?;
        }
        let slow = "Commands that went to the slow log";
        let ever = ConstCounter::new(self.0.process.slowlog.ever());
        alone(&mut encoder, ("slow_commands", slow, None), ever)?;
        let pools = self.0.pools.load();
        let totals: Vec<Of> = pools
            .iter()
            .map(|shown| Of {
                pool: &shown.pool.name,
                servers: shown.pool.servers.iter().map(|s| s.name.as_str()).collect(),
                ejected: (0..shown.pool.servers.len())
                    .map(|i| u64::from(shown.cluster.is_ejected(i)))
                    .collect(),
                totals: shown.stats.totals(),
            })
            .collect();
        let of_store = self
            .0
            .store
            .as_ref()
            .map(|_| self.0.process.commands.totals());
        let of_pools = totals.iter().map(|of| (Some(of.pool), &of.totals.commands));
        let commands: Vec<Commands> = of_pools.chain(of_store.iter().map(|t| (None, t))).collect();
        of_commands(&mut encoder, &commands)?;
        pools_alone(&mut encoder, &totals)?;
        of_servers(&mut encoder, &totals)?;
        of_certificates(&mut encoder, &pools)
    }
}

fn of_certificates(encoder: &mut DescriptorEncoder<'_>, pools: &[Shown]) -> fmt::Result {
    let all = || {
        pools
            .iter()
            .flat_map(|p| p.certificates.iter().map(move |c| (p, c)))
    };
    let files: Vec<_> = all().map(|(_, c)| c.file.to_string_lossy()).collect();
    let pools = all().map(|(shown, _)| shown.pool.name.as_str());
    let labels: Vec<_> = pools
        .zip(&files)
        .map(|(p, f)| [("pool", p), ("file", &**f)])
        .collect();
    let ends = all().map(|(_, c)| ConstGauge::new(c.not_after));
    let help = "When a certificate that is shown expires, since 1970";
    let about = ("tls_certificate_expiry", help, Some(&Unit::Seconds));
    family(encoder, about, labels.iter().map(|l| &l[..]).zip(ends))
}

impl Numbers {
    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let process = &self.0.process;
        let version = env!("CARGO_PKG_VERSION");
        let labels = [("version", version), ("role", process.role)];
        let build = ("build_info", "What runs: always 1", None);
        family(encoder, build, [(&labels[..], ConstGauge::new(1_u64))])?;
        self.clients(encoder)?;
        let memory = ("process_resident_memory", "Memory that is resident", BYTES);
        alone(encoder, memory, ConstGauge::new(usage::resident_bytes()))?;
        let (user, system) = usage::cpu_seconds();
        let modes = [[("mode", "user")], [("mode", "system")]];
        let times = [user, system].map(ConstCounter::new);
        let cpu = ("process_cpu", "Processor time", Some(&Unit::Seconds));
        family(encoder, cpu, modes.iter().map(|l| &l[..]).zip(times))?;
        let start = "When the process started, since 1970";
        let start = ("process_start_time", start, Some(&Unit::Seconds));
        let started = process.started as f64 / 1000.0;
        alone(encoder, start, ConstGauge::new(started))
    }

    /// What a store holds.
    fn store(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(store) = &self.0.store else {
            return Ok(());
        };
        let stats = store.stats(clock::now());
        let bytes = Some(&Unit::Bytes);
        let memory = ("store_memory", "Memory that keys and values take", bytes);
        alone(encoder, memory, ConstGauge::new(store.memory() as u64))?;
        let limit = (
            "store_memory_limit",
            "What they may take; 0 for no limit",
            bytes,
        );
        alone(encoder, limit, ConstGauge::new(store.memory_limit().most))?;
        for (name, help, value) in [
            ("store_keys", "Keys", stats.keys as u64),
            (
                "store_expiring_keys",
                "Keys with a time to live",
                stats.expiring_keys as u64,
            ),
        ] {
            alone(encoder, (name, help, None), ConstGauge::new(value))?;
        }
        self.databases(encoder, store)?;
        for (name, help, value) in [
            (
                "store_expired_keys",
                "Keys removed because their time was up",
                stats.expired,
            ),
            (
                "store_evicted_keys",
                "Keys removed because memory was full",
                stats.evicted,
            ),
            ("store_hits", "Reads that found their key", stats.hits),
            ("store_misses", "Reads that did not", stats.misses),
        ] {
            alone(encoder, (name, help, None), ConstCounter::new(value))?;
        }
        Ok(())
    }

    /// What each database holds that has keys, and database 0.
    fn databases(&self, encoder: &mut DescriptorEncoder<'_>, store: &Store) -> fmt::Result {
        let now = clock::now();
        let all = (0..store.databases()).map(|database| (database, store.stats_of(database, now)));
        let shown: Vec<(String, Stats)> = all
            .filter(|(database, stats)| *database == 0 || stats.keys > 0)
            .map(|(database, stats)| (database.to_string(), stats))
            .collect();
        let labels: Vec<[(&str, &str); 1]> = shown
            .iter()
            .map(|(database, _)| [("database", &**database)])
            .collect();
        let labels = || labels.iter().map(|label| &label[..]);
        let keys = shown
            .iter()
            .map(|(_, stats)| ConstGauge::new(stats.keys as u64));
        let about = ("store_database_keys", "Keys of a database", None);
        family(encoder, about, labels().zip(keys))?;
        let help = "Keys of a database with a time to live";
        let about = ("store_database_expiring_keys", help, None);
        let keys = shown
            .iter()
            .map(|(_, stats)| ConstGauge::new(stats.expiring_keys as u64));
        family(encoder, about, labels().zip(keys))
    }

    fn clients(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let process = &self.0.process;
        let sum = |counter: fn(&Counters) -> &AtomicU64| {
            let counters = process.counters.iter();
            counters.map(|c| counter(c).load(Relaxed)).sum::<u64>()
        };
        let refused = process.refused.load(Relaxed);
        for (name, help, unit, value) in [
            (
                "connections_accepted",
                "Connections accepted",
                None,
                sum(|c| &c.connections),
            ),
            (
                "connections_refused",
                "Connections too many, refused",
                None,
                refused,
            ),
            (
                "client_requests",
                "Requests taken from clients",
                None,
                sum(|c| &c.requests),
            ),
            (
                "client_received",
                "Bytes read from clients",
                BYTES,
                sum(|c| &c.input),
            ),
            (
                "client_sent",
                "Bytes written to clients",
                BYTES,
                sum(|c| &c.output),
            ),
        ] {
            alone(encoder, (name, help, unit), ConstCounter::new(value))?;
        }
        let open = process.clients.len() as u64;
        let connections = ("connections", "Client connections that are open", None);
        alone(encoder, connections, ConstGauge::new(open))
    }
}

/// A name after the prefix, what it is, and its unit.
pub(super) type About<'a> = (&'a str, &'a str, Option<&'a Unit>);

/// What is counted of one pool.
struct Of<'a> {
    pool: &'a str,
    servers: Vec<&'a str>,
    ejected: Vec<u64>,
    totals: PoolTotals,
}

fn pools_alone(encoder: &mut DescriptorEncoder<'_>, pools: &[Of<'_>]) -> fmt::Result {
    let counters = [
        (
            "pool_client_connections_opened",
            "Client connections that were opened",
            P::ClientsEver,
        ),
        (
            "pool_client_eof",
            "Client connections that the client closed",
            P::ClientEof,
        ),
        (
            "pool_client_errors",
            "Client connections that ended otherwise",
            P::ClientErr,
        ),
        (
            "pool_ejections",
            "Times that a server was ejected",
            P::ServerEjects,
        ),
        (
            "pool_forward_errors",
            "Requests that could not be forwarded or were lost",
            P::ForwardError,
        ),
        (
            "pool_tls_handshakes",
            "TLS handshakes with clients",
            P::TlsHandshakes,
        ),
        (
            "pool_tls_failures",
            "TLS handshakes with clients that failed",
            P::TlsFailures,
        ),
        (
            "pool_fragments",
            "Parts that requests over several servers were split into",
            P::Fragments,
        ),
    ];
    for (name, help, stat) in counters {
        let labels: Vec<_> = pools.iter().map(|of| [("pool", of.pool)]).collect();
        let values = pools.iter().map(|of| of.totals.pool[stat as usize]);
        let each = labels
            .iter()
            .map(|l| &l[..])
            .zip(values.map(ConstCounter::new));
        family(encoder, (name, help, None), each)?;
    }
    let labels: Vec<_> = pools.iter().map(|of| [("pool", of.pool)]).collect();
    let open = |of: &Of<'_>| ConstGauge::new(of.totals.pool[P::ClientConnections as usize]);
    let each = labels.iter().map(|l| &l[..]).zip(pools.iter().map(open));
    let connections = (
        "pool_client_connections",
        "Client connections that are open",
        None,
    );
    family(encoder, connections, each)
}

/// What only grows of a server.
const SERVER_COUNTERS: [(&str, &str, Option<&Unit>, S); 11] = [
    (
        "server_ejections",
        "Times that the server was ejected",
        None,
        S::Ejections,
    ),
    (
        "server_connects",
        "Connections that it was tried to open",
        None,
        S::ConnectsEver,
    ),
    (
        "server_tls_handshakes",
        "TLS handshakes with the server",
        None,
        S::TlsHandshakes,
    ),
    (
        "server_tls_failures",
        "TLS handshakes with the server that failed",
        None,
        S::TlsFailures,
    ),
    (
        "server_eof",
        "Connections that the server closed",
        None,
        S::Eof,
    ),
    (
        "server_errors",
        "Connections that could not be opened, or broke",
        None,
        S::Err,
    ),
    (
        "server_timeouts",
        "Requests and connects whose time was up",
        None,
        S::Timedout,
    ),
    (
        "server_requests",
        "Requests for the server",
        None,
        S::Requests,
    ),
    (
        "server_request_size",
        "Bytes of requests for the server",
        BYTES,
        S::RequestBytes,
    ),
    (
        "server_responses",
        "Replies of the server",
        None,
        S::Responses,
    ),
    (
        "server_response_size",
        "Bytes of replies of the server",
        BYTES,
        S::ResponseBytes,
    ),
];

/// What also falls.
const SERVER_GAUGES: [(&str, &str, Option<&Unit>, S); 5] = [
    (
        "server_connections",
        "Connections to the server that are open",
        None,
        S::Connections,
    ),
    (
        "server_unsent_requests",
        "Requests that are not written yet",
        None,
        S::InQueue,
    ),
    (
        "server_unsent",
        "Bytes of requests that are not written yet",
        BYTES,
        S::InQueueBytes,
    ),
    (
        "server_unanswered_requests",
        "Requests without a reply yet",
        None,
        S::OutQueue,
    ),
    (
        "server_unanswered",
        "Bytes of requests without a reply yet",
        BYTES,
        S::OutQueueBytes,
    ),
];

fn of_servers(encoder: &mut DescriptorEncoder<'_>, pools: &[Of<'_>]) -> fmt::Result {
    for (name, help, unit, stat) in SERVER_COUNTERS {
        let value = |of: &Of<'_>, i: usize| ConstCounter::new(of.totals.servers[i][stat as usize]);
        each_server(encoder, pools, (name, help, unit), value)?;
    }
    for (name, help, unit, stat) in SERVER_GAUGES {
        let value = |of: &Of<'_>, i: usize| ConstGauge::new(of.totals.servers[i][stat as usize]);
        each_server(encoder, pools, (name, help, unit), value)?;
    }
    failures(encoder, pools)?;
    let help = "Time from writing a request to reading its reply";
    let latency = ("server_latency", help, Some(&Unit::Seconds));
    each_server(encoder, pools, latency, |of, i| Waits(&of.totals.waits[i]))?;
    let ejected = (
        "server_ejected",
        "1 while the server is left out, else 0",
        None,
    );
    each_server(encoder, pools, ejected, |of, i| {
        ConstGauge::new(of.ejected[i])
    })
}

/// Requests to a server that have failed, by the name of the kind.
const FAILURES: [(&str, S); 5] = [
    ("reply", S::ErrorReplies),
    ("timeout", S::LateRequests),
    ("refused", S::RefusedRequests),
    ("lost", S::LostRequests),
    ("limit", S::SurplusRequests),
];

fn failures(encoder: &mut DescriptorEncoder<'_>, pools: &[Of<'_>]) -> fmt::Result {
    let mut each = Vec::new();
    for of in pools {
        for (i, server) in of.servers.iter().enumerate() {
            for (kind, stat) in FAILURES {
                let labels = [("pool", of.pool), ("server", *server), ("kind", kind)];
                let count = of.totals.servers[i][stat as usize];
                each.push((labels, count));
            }
        }
    }
    let help = "Requests to the server that were answered with an error";
    let about = ("server_request_errors", help, None);
    let each = each
        .iter()
        .map(|(l, count)| (&l[..], ConstCounter::new(*count)));
    family(encoder, about, each)
}

/// How long requests have waited.
pub(super) struct Waits<'a>(pub(super) &'a [u64]);

impl EncodeMetric for Waits<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let seconds = |micros: u64| micros as f64 / 1e6;
        let steps = WAITS_US.iter().map(|&step| seconds(step));
        let steps = steps.chain([f64::INFINITY]).zip(self.0.iter().copied());
        let buckets: Vec<(f64, u64)> = steps.collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.0[WAITS_US.len() + 1]);
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn each_server<'a, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    pools: &'a [Of<'_>],
    about: About<'_>,
    value: impl Fn(&'a Of<'_>, usize) -> M,
) -> fmt::Result {
    let mut labels = Vec::new();
    let mut values = Vec::new();
    for of in pools {
        for (i, server) in of.servers.iter().enumerate() {
            labels.push([("pool", of.pool), ("server", *server)]);
            values.push(value(of, i));
        }
    }
    let each = labels.iter().map(|l| &l[..]).zip(values);
    family(encoder, about, each)
}

/// A name, and its value for each set of labels.
pub(super) fn family<'l, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): About<'_>,
    each: impl IntoIterator<Item = (&'l [(&'l str, &'l str)], M)>,
) -> fmt::Result {
    let mut each = each.into_iter().peekable();
    let Some(kind) = each.peek().map(|(_, metric)| metric.metric_type()) else {
        return Ok(());
    };
    let mut family = encoder.encode_descriptor(name, help, unit, kind)?;
    for (labels, metric) in each {
        metric.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// A name with one value, without labels.
pub(super) fn alone(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): About<'_>,
    metric: impl EncodeMetric,
) -> fmt::Result {
    let kind = metric.metric_type();
    metric.encode(encoder.encode_descriptor(name, help, unit, kind)?)
}
