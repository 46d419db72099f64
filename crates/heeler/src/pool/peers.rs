//! One worker's connections to the other nodes of a ring. Nodes come and go: each has a pool of
//! its own, with one server, which is started when the first request is for it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use heeler_ring::{Distribution, Hash};
use parking_lot::{Mutex, RwLock};

use super::{Pool, ReplyTo, Settings};
use crate::cluster::{Cluster, Plan};
use crate::config::pools;
use crate::limits;
use crate::slowlog::SlowLog;
use crate::socket::Scratch;
use crate::socket::calls::Opening;
use crate::stats::{PoolStats, PoolTotals};
use crate::tls::Connector;
use crate::wire::Wire;

/// What all workers share about the other nodes of a ring.
#[derive(Debug)]
pub struct Others {
    opening: Opening,
    tls: RwLock<Option<Connector>>,
    slowlog: Arc<SlowLog>,
    nodes: Mutex<HashMap<Arc<str>, Other>>,
}

/// A node that has been sent something.
#[derive(Clone, Debug)]
struct Other {
    settings: Arc<Settings>,
    cluster: Arc<Cluster>,
}

impl Others {
    /// No other node is known yet. `opening`: how requests travel to one.
    pub fn new(opening: Opening, tls: Option<Connector>, slowlog: Arc<SlowLog>) -> Others {
        Others {
            opening,
            tls: RwLock::new(tls),
            slowlog,
            nodes: Mutex::default(),
        }
    }

    /// Connections that are opened from now on shake hands so: as soon as a worker follows another
    /// picture of the ring.
    pub fn renew(&self, tls: Connector) {
        *self.tls.write() = Some(tls.clone());
        for node in self.nodes.lock().values_mut() {
            let mut settings = Settings {
                tls: Some(tls.clone()),
                ..(*node.settings).clone()
            };
            settings.goes_on_counting(&node.settings.stats, vec![Some(0)]);
            node.settings = Arc::new(settings);
        }
    }

    /// A node is in the ring again: nobody needs to keep away from it any longer.
    pub fn came_back(&self, address: &str) {
        if let Some(node) = self.nodes.lock().get(address) {
            node.cluster.came_back(0);
        }
    }

    /// What has been sent to each node, by its address: sums over all workers.
    pub fn totals(&self) -> Vec<(Arc<str>, PoolTotals)> {
        let nodes = self.nodes.lock();
        let totals =
            |(address, node): (&Arc<str>, &Other)| (address.clone(), node.settings.stats.totals());
        let mut all: Vec<_> = nodes.iter().map(totals).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    fn node(&self, address: &Arc<str>) -> Other {
        let mut nodes = self.nodes.lock();
        let make = || self.new_node(address);
        nodes.entry(address.clone()).or_insert_with(make).clone()
    }

    fn new_node(&self, address: &str) -> Other {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let server = pools::Server {
            address: pools::Address::Tcp {
                host: host.to_owned(),
                // One that is none cannot be connected to, and says so.
                port: port.parse().unwrap_or(0),
            },
            name: address.to_owned(),
            is_named: true,
            weight: 1,
        };
        let plan = Plan {
            distribution: Distribution::Modula,
            hash: Hash::Fnv1a64,
            tag: None,
            servers: vec![server.placed()],
            by_first_key: false,
            ejection: None,
            probed: false,
        };
        let stats = PoolStats::new("ring".into(), vec![address.to_owned()]);
        let settings = Settings {
            pool: "ring".into(),
            wire: Wire::Resp,
            servers: vec![server],
            connections: 1,
            timeout: Some(limits::FORWARD_MS),
            preconnect: false,
            password: None,
            database: 0,
            tls: self.tls.read().clone(),
            calls: Some(self.opening.clone()),
            directory: Arc::default(),
            stats: Arc::new(stats),
            slowlog: self.slowlog.clone(),
        };
        Other {
            settings: Arc::new(settings),
            cluster: Arc::new(Cluster::new(plan)),
        }
    }
}

/// One worker's connections to them.
#[derive(Debug)]
pub struct Peers {
    others: Arc<Others>,
    scratch: Scratch,
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Which picture of the ring the places are of; 0: none yet.
    version: u64,
    by_place: Vec<(Arc<str>, Option<Rc<Pool>>)>,
}

impl Peers {
    /// No connection is open yet.
    pub fn new(others: Arc<Others>, scratch: Scratch) -> Peers {
        Peers {
            others,
            scratch,
            inner: RefCell::default(),
        }
    }

    /// The places are those of another picture of the ring from now on. Connections to nodes that
    /// are gone answer what is in flight, and end. Returns whether it is another one.
    pub fn follow<'a>(&self, version: u64, addresses: impl Iterator<Item = &'a Arc<str>>) -> bool {
        let inner = &mut *self.inner.borrow_mut();
        if inner.version == version {
            return false;
        }
        inner.version = version;
        let mut before: HashMap<_, _> = inner.by_place.drain(..).collect();
        let place = |address: &Arc<str>| {
            let pool = before.remove(address).flatten();
            (
                address.clone(),
                pool.map(|pool| self.renewed(address, pool)),
            )
        };
        inner.by_place.extend(addresses.map(place));
        true
    }

    /// Sends a request to the node at a place of the picture that is [followed](Peers::follow).
    pub fn send(&self, now: u64, place: usize, client: u64, request: &[u8], reply_to: ReplyTo) {
        let inner = &mut *self.inner.borrow_mut();
        let (address, pool) = &mut inner.by_place[place];
        let pool = pool.get_or_insert_with(|| self.start(address));
        pool.send(now, 0, client, request, reply_to);
    }

    /// The pool, or one in its place if its settings have changed.
    fn renewed(&self, address: &Arc<str>, pool: Rc<Pool>) -> Rc<Pool> {
        let Other { settings, cluster } = self.others.node(address);
        match Arc::ptr_eq(&settings, &pool.settings) {
            true => pool,
            false => Rc::new(Pool::start(&settings, &cluster, &self.scratch, Some(&pool))),
        }
    }

    fn start(&self, address: &Arc<str>) -> Rc<Pool> {
        let Other { settings, cluster } = self.others.node(address);
        Rc::new(Pool::start(&settings, &cluster, &self.scratch, None))
    }
}
