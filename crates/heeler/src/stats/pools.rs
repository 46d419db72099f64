//! What is counted of the pools of a proxy and of their servers: nutcracker's statistics, and by
//! its names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{CommandCounters, CommandTotals};

/// A number by its name.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name, by which exporters look for it.
    pub name: &'static str,
    /// What it is, in nutcracker's words.
    pub description: &'static str,
}

const fn field(name: &'static str, description: &'static str) -> Field {
    Field { name, description }
}

/// The numbers of a pool, in nutcracker's order.
pub const POOL_FIELDS: [Field; 6] = [
    field("client_eof", "# eof on client connections"),
    field("client_err", "# errors on client connections"),
    field("client_connections", "# active client connections"),
    field("server_ejects", "# times backend server was ejected"),
    field("forward_error", "# times we encountered a forwarding error"),
    field(
        "fragments",
        "# fragments created from a multi-vector request",
    ),
];

/// Which number of a pool. The first stand where [`POOL_FIELDS`] has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolStat {
    /// Clients that closed their connection, or asked for that by QUIT.
    ClientEof,
    /// Client connections that ended in any other way.
    ClientErr,
    /// Client connections that are open.
    ClientConnections,
    /// Times that a server was ejected.
    ServerEjects,
    /// Error replies that the proxy made because a request could not be forwarded or was lost.
    ForwardError,
    /// Parts that requests over several servers were split into.
    Fragments,
    /// Client connections that were ever opened. Not a number of nutcracker's pools.
    ClientsEver,
    /// TLS handshakes with clients.
    TlsHandshakes,
    /// TLS handshakes with clients that failed.
    TlsFailures,
}
const POOL_STATS: usize = PoolStat::TlsFailures as usize + 1;

/// The numbers of a server, in nutcracker's order.
pub const SERVER_FIELDS: [Field; 13] = [
    field("server_eof", "# eof on server connections"),
    field("server_err", "# errors on server connections"),
    field("server_timedout", "# timeouts on server connections"),
    field("server_connections", "# active server connections"),
    field(
        "server_ejected_at",
        "timestamp when server was ejected in usec since epoch",
    ),
    field("requests", "# requests"),
    field("request_bytes", "total request bytes"),
    field("responses", "# responses"),
    field("response_bytes", "total response bytes"),
    field("in_queue", "# requests in incoming queue"),
    field("in_queue_bytes", "current request bytes in incoming queue"),
    field("out_queue", "# requests in outgoing queue"),
    field("out_queue_bytes", "current request bytes in outgoing queue"),
];

/// Which number of a server. The first stand where [`SERVER_FIELDS`] has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerStat {
    /// Connections that the server closed.
    Eof,
    /// Connections that could not be opened, or broke.
    Err,
    /// Requests whose time was up, and connections that took too long to open.
    Timedout,
    /// Connections that are open.
    Connections,
    /// When it was ejected last, in microseconds since 1970; 0: never.
    EjectedAt,
    /// Requests for it.
    Requests,
    /// Their bytes.
    RequestBytes,
    /// Replies of it.
    Responses,
    /// Their bytes.
    ResponseBytes,
    /// Requests that are not written to it yet.
    InQueue,
    /// Their bytes.
    InQueueBytes,
    /// Requests that are written and have no reply yet.
    OutQueue,
    /// Their bytes.
    OutQueueBytes,
    /// Connections that it was tried to open. Not a number of nutcracker's servers, as those below.
    ConnectsEver,
    /// TLS handshakes with it.
    TlsHandshakes,
    /// TLS handshakes with it that failed.
    TlsFailures,
    /// Times that it was ejected.
    Ejections,
    /// Its replies that were errors.
    ErrorReplies,
    /// Requests whose time was up.
    LateRequests,
    /// Requests that were turned away, or failed with a connection that could not be opened.
    RefusedRequests,
    /// Requests that were lost with their connection.
    LostRequests,
    /// Requests that were too many to wait.
    SurplusRequests,
}
const SERVER_STATS: usize = ServerStat::SurplusRequests as usize + 1;

/// The statistics of one pool: what each worker counts of it, and the sum.
#[derive(Debug)]
pub struct PoolStats {
    /// The pool's name.
    pub name: String,
    /// The names of its servers, in the order of their numbers.
    pub servers: Vec<String>,
    /// Each server's place in the pool whose place this one has taken, if it had one there.
    origins: Vec<Option<usize>>,
    workers: Mutex<Vec<Arc<PoolCounters>>>,
}

/// The sums of a pool's counters, by the number of a [`PoolStat`] and a [`ServerStat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolTotals {
    /// Of the pool.
    pub pool: [u64; POOL_STATS],
    /// Of each server.
    pub servers: Vec<[u64; SERVER_STATS]>,
    /// Of each server: how many requests waited at most as long as each of [`WAITS_US`], but longer
    /// than the one before it; those that waited longer than all; the sum of all waits, in
    /// microseconds.
    pub waits: Vec<[u64; WAITS]>,
    /// Of its commands.
    pub commands: CommandTotals,
}

/// Steps in which it is counted how long requests wait for their replies, in microseconds.
pub const WAITS_US: [u64; 15] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000,
];
pub(super) const WAITS: usize = WAITS_US.len() + 2;

impl PoolStats {
    /// Nothing counted yet.
    pub fn new(name: String, servers: Vec<String>) -> PoolStats {
        PoolStats {
            name,
            servers,
            origins: Vec::new(),
            workers: Mutex::default(),
        }
    }

    /// Goes on counting where another pool's statistics stand, whose place this one takes.
    /// `origins` has each server's place in the other, if it had one.
    pub fn succeed(self, other: &PoolStats, origins: Vec<Option<usize>>) -> PoolStats {
        let workers = other.workers.lock();
        let workers = workers.iter().map(|before| before.placed(&origins));
        PoolStats {
            workers: Mutex::new(workers.collect()),
            origins,
            ..self
        }
    }

    /// Counters for one thread, that only it adds to: with those that it had `before`, of the pool
    /// whose place this one has taken, it goes on counting.
    pub fn join(&self, before: Option<&PoolCounters>) -> Arc<PoolCounters> {
        let mut workers = self.workers.lock();
        let is_same =
            |c: &&Arc<PoolCounters>| before.is_some_and(|b| Arc::ptr_eq(&b.pool, &c.pool));
        if let Some(counters) = workers.iter().find(is_same) {
            return counters.clone();
        }
        let counters = match before {
            // It had not joined the other pool yet when this one succeeded it.
            Some(before) => before.placed(&self.origins),
            None => Arc::new(PoolCounters {
                pool: Arc::default(),
                servers: self.servers.iter().map(|_| Arc::default()).collect(),
                waits: self.servers.iter().map(|_| Arc::default()).collect(),
                commands: Arc::new(CommandCounters::new(0)),
            }),
        };
        workers.push(counters.clone());
        counters
    }

    /// What all threads have counted together.
    pub fn totals(&self) -> PoolTotals {
        let mut totals = PoolTotals {
            pool: [0; POOL_STATS],
            servers: vec![[0; SERVER_STATS]; self.servers.len()],
            waits: vec![[0; WAITS]; self.servers.len()],
            commands: CommandTotals::none(0),
        };
        for worker in &*self.workers.lock() {
            worker.pool.add_to(&mut totals.pool);
            worker.commands.add_to(&mut totals.commands);
            for (server, sums) in worker.waits.iter().zip(&mut totals.waits) {
                server.add_to(sums);
            }
            for (server, sums) in worker.servers.iter().zip(&mut totals.servers) {
                let ejected_at = ServerStat::EjectedAt as usize;
                let latest = sums[ejected_at].max(server.0[ejected_at].load(Relaxed));
                server.add_to(sums);
                sums[ejected_at] = latest;
            }
        }
        totals
    }
}

/// What is added to a number to take one from it: counters wrap around.
pub const ONE_LESS: u64 = u64::MAX;

/// The counters of one thread for one pool.
#[derive(Debug)]
pub struct PoolCounters {
    pool: Arc<Row<POOL_STATS>>,
    servers: Vec<Arc<Row<SERVER_STATS>>>,
    /// By server: the requests that waited at most as long as each of [`WAITS_US`], and longer;
    /// then the sum of all waits in microseconds.
    waits: Vec<Arc<Row<WAITS>>>,
    commands: Arc<CommandCounters>,
}

impl PoolCounters {
    /// The same counters, for a pool whose servers have these places here.
    fn placed(&self, origins: &[Option<usize>]) -> Arc<PoolCounters> {
        let row = |origin: &Option<usize>| origin.map(|o| self.servers[o].clone());
        let waits = |origin: &Option<usize>| origin.map(|o| self.waits[o].clone());
        Arc::new(PoolCounters {
            pool: self.pool.clone(),
            servers: origins.iter().map(|o| row(o).unwrap_or_default()).collect(),
            waits: origins
                .iter()
                .map(|o| waits(o).unwrap_or_default())
                .collect(),
            commands: self.commands.clone(),
        })
    }

    /// Adds to a number of the pool.
    pub fn add(&self, stat: PoolStat, count: u64) {
        add(&self.pool.0[stat as usize], count);
    }

    /// Adds to a number of a server.
    pub fn add_of(&self, server: usize, stat: ServerStat, count: u64) {
        add(&self.servers[server].0[stat as usize], count);
    }

    /// A server was ejected at `now`, in milliseconds.
    pub fn ejected(&self, server: usize, now: u64) {
        self.add(PoolStat::ServerEjects, 1);
        self.add_of(server, ServerStat::Ejections, 1);
        let at = &self.servers[server].0[ServerStat::EjectedAt as usize];
        at.store(now.saturating_mul(1000), Relaxed);
    }

    /// So many requests have waited so many microseconds for their replies from a server.
    pub fn waited(&self, server: usize, micros: u64, requests: u64) {
        self.waits[server].waited(micros, requests);
    }

    /// What is counted of its commands.
    pub fn commands(&self) -> &Arc<CommandCounters> {
        &self.commands
    }

    /// What passed over a link to a server was `before`, and is `after`.
    pub fn passed(&self, server: usize, before: &Traffic, after: &Traffic) {
        let row = &self.servers[server].0[ServerStat::Requests as usize..];
        for ((counter, before), after) in row.iter().zip(before).zip(after) {
            if before != after {
                add(counter, after.wrapping_sub(*before));
            }
        }
    }
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    // A load and a store: only one thread writes.
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

/// The numbers from [`ServerStat::Requests`] to [`ServerStat::OutQueueBytes`], of one link.
pub type Traffic = [u64; 8];

/// Counters that only one thread writes to, on lines of cache of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Row<const N: usize>(pub(super) [AtomicU64; N]);

impl<const N: usize> Default for Row<N> {
    fn default() -> Self {
        Row([const { AtomicU64::new(0) }; N])
    }
}

impl<const N: usize> Row<N> {
    /// Wraps around, as the numbers that also fall are differences of one thread to another.
    pub(super) fn add_to(&self, sums: &mut [u64; N]) {
        for (sum, counter) in sums.iter_mut().zip(&self.0) {
            *sum = sum.wrapping_add(counter.load(Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_of_all_threads() {
        let stats = PoolStats::new("p".into(), vec!["a".into(), "b".into()]);
        let (one, two) = (stats.join(None), stats.join(None));
        one.add(PoolStat::ClientConnections, 1);
        two.add(PoolStat::ClientConnections, 2);
        two.add(PoolStat::ClientConnections, ONE_LESS);
        one.passed(1, &[0; 8], &[1, 2, 3, 4, 5, 6, 7, 8]);
        two.passed(1, &[1, 2, 3, 4, 5, 6, 7, 8], &[1, 2, 3, 4, 4, 4, 4, 4]);
        one.ejected(0, 20);
        two.ejected(0, 10);
        let totals = stats.totals();
        assert_eq!(totals.pool[..4], [0, 0, 2, 2]);
        let [a, b] = totals.servers.as_slice() else {
            panic!("two servers")
        };
        assert_eq!(a[ServerStat::EjectedAt as usize], 20_000);
        assert_eq!(b[5..13], [1, 2, 3, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn a_pool_in_the_place_of_another_goes_on_counting() {
        let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let old = PoolStats::new("p".into(), names(&["a", "b"]));
        let (one, two) = (old.join(None), old.join(None));
        one.add(PoolStat::ClientConnections, 3);
        two.add_of(1, ServerStat::Connections, 2);
        let new = PoolStats::new("q".into(), names(&["b", "c"]));
        let new = new.succeed(&old, vec![Some(1), None]);
        let late = old.join(None);
        late.add(PoolStat::ClientConnections, 1);
        new.join(Some(&late))
            .add(PoolStat::ClientConnections, ONE_LESS);
        assert_eq!(new.totals().servers[0][ServerStat::Connections as usize], 2);
        let (three, four) = (new.join(Some(&one)), new.join(Some(&two)));
        three.add(PoolStat::ClientConnections, ONE_LESS);
        four.add_of(0, ServerStat::Connections, 1);
        four.add_of(1, ServerStat::Requests, 7);
        // What a connection that is retired still counts is not lost.
        two.add_of(1, ServerStat::Connections, ONE_LESS);
        let totals = new.totals();
        assert_eq!(totals.pool[PoolStat::ClientConnections as usize], 2);
        assert_eq!(totals.servers[0][ServerStat::Connections as usize], 2);
        assert_eq!(totals.servers[1][ServerStat::Requests as usize], 7);
        assert_eq!(new.workers.lock().len(), 3);
    }

    #[test]
    fn waits_are_counted_in_steps() {
        let stats = PoolStats::new("p".into(), vec!["a".into()]);
        let counters = stats.join(None);
        for (micros, requests) in [(0, 1), (50, 2), (51, 4), (2_500_000, 8), (9_000_000, 16)] {
            counters.waited(0, micros, requests);
        }
        let waits = stats.totals().waits[0];
        assert_eq!((waits[0], waits[1], waits[14], waits[15]), (3, 4, 8, 16));
        assert_eq!(waits[16], 100 + 204 + 20_000_000 + 144_000_000);
    }

    #[test]
    fn fields_stand_where_their_numbers_do() {
        let at = |name: &str| SERVER_FIELDS.iter().position(|f| f.name == name).unwrap();
        assert_eq!(at("requests"), ServerStat::Requests as usize);
        assert_eq!(at("server_ejected_at"), ServerStat::EjectedAt as usize);
        assert_eq!(at("out_queue_bytes"), ServerStat::OutQueueBytes as usize);
        assert_eq!(SERVER_FIELDS.len(), ServerStat::ConnectsEver as usize);
        assert_eq!(POOL_FIELDS.len(), PoolStat::ClientsEver as usize);
        assert_eq!(POOL_FIELDS[PoolStat::Fragments as usize].name, "fragments");
    }
}
