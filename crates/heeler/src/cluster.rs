//! Which servers are live, and what follows for the placement of keys.
//!
//! Failures of servers come in, a [`Placement`] is published; the data path reads it and never
//! waits. Time is an argument.

mod members;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use heeler_ring::{Distribution, Hash, HashTag, Server};
use parking_lot::Mutex;

use crate::config::pools;
use crate::route::{Herd, Placement, scan};

pub use members::{Look, Members};

/// The servers of one pool and the placement over those that are live.
#[derive(Debug)]
pub struct Cluster {
    plan: Plan,
    placement: ArcSwap<Placement>,
    health: Vec<Health>,
    /// When the first ejected server is due to be tried again, in milliseconds; never: `u64::MAX`.
    next_retry: AtomicU64,
    /// Held while the placement is built anew.
    rebuild: Mutex<()>,
}

/// How a pool places its keys, and when it ejects a server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The way from a hash to a server.
    pub distribution: Distribution,
    /// The hash of a key.
    pub hash: Hash,
    /// The part of a key that is hashed.
    pub tag: Option<HashTag>,
    /// The servers by name and weight, in the order of the file.
    pub servers: Vec<Server>,
    /// Commands over several servers go to that of their first key.
    pub by_first_key: bool,
    /// When a server is ejected; `None`: never.
    pub ejection: Option<Ejection>,
    /// Whether an ejected server must answer a probe before it is taken back.
    pub probed: bool,
}

/// When a server that fails is ejected, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Ejection {
    /// So many failures in a row: `server_failure_limit`.
    pub failures: u32,
    /// So long it stays out, in milliseconds: `server_retry_timeout`.
    pub retry: u64,
}

#[derive(Debug, Default)]
struct Health {
    /// Failures since the last good reply.
    failures: AtomicU32,
    /// Until when it is ejected, in milliseconds; 0: it is live.
    ejected_until: AtomicU64,
    /// How often it has come back.
    returns: AtomicU64,
}

impl Plan {
    /// The plan of a pool in the file.
    pub fn of(pool: &pools::Pool) -> Plan {
        let retry = pool.server_retry_timeout.as_millis() as u64;
        Plan {
            distribution: pool.distribution,
            hash: pool.hash,
            tag: pool.hash_tag,
            servers: pool.servers.iter().map(pools::Server::placed).collect(),
            by_first_key: pool.cross_slot == pools::CrossSlot::FirstKey,
            ejection: pool.auto_eject_hosts.then_some(Ejection {
                failures: pool.server_failure_limit,
                retry,
            }),
            probed: pool.probes().is_some(),
        }
    }
}

impl Cluster {
    /// All servers are live.
    pub fn new(plan: Plan) -> Cluster {
        Cluster {
            placement: ArcSwap::from_pointee(place(&plan, |_| true)),
            health: plan.servers.iter().map(|_| Health::default()).collect(),
            next_retry: AtomicU64::new(u64::MAX),
            rebuild: Mutex::new(()),
            plan,
        }
    }

    /// Takes the place of another cluster: the servers that were there already stay ejected as long
    /// as they were to be. `origin` is a server's place among those of the other, if it had one.
    pub fn inherit(&self, other: &Cluster, origin: impl Fn(usize) -> Option<usize>) {
        for (server, health) in self.health.iter().enumerate() {
            if let Some(was) = origin(server).map(|o| &other.health[o]) {
                health.returns.store(was.returns.load(Relaxed), Relaxed);
            }
        }
        if self.plan.ejection.is_none() {
            return;
        }
        let _rebuild = self.rebuild.lock();
        for (server, health) in self.health.iter().enumerate() {
            if let Some(was) = origin(server).map(|o| &other.health[o]) {
                health.failures.store(was.failures.load(Relaxed), Relaxed);
                let until = was.ejected_until.load(Relaxed);
                health.ejected_until.store(until, Relaxed);
            }
        }
        self.publish();
    }

    /// The placement for a request that comes now. A server whose time is up is taken back first.
    pub fn placement(&self, now: u64) -> arc_swap::Guard<Arc<Placement>> {
        if now >= self.next_retry.load(Relaxed) {
            self.take_back(now);
        }
        self.placement.load()
    }

    /// Whether there is a server for a request that comes now.
    pub fn has_live(&self, now: u64) -> bool {
        match &**self.placement(now) {
            Placement::Pool(herd) => !herd.live.is_empty(),
            Placement::Node => true,
        }
    }

    /// Until when a server is ejected at least, in milliseconds since 1970. `None`: it is live.
    pub fn ejected_until(&self, server: usize) -> Option<u64> {
        let until = self.health[server].ejected_until.load(Relaxed);
        (until != 0).then_some(until)
    }

    /// Whether a server is ejected, and its time is up: it is to be probed, and taken back if it
    /// [answers](Cluster::probe_answered).
    pub fn is_due(&self, server: usize, now: u64) -> bool {
        self.ejected_until(server).is_some_and(|until| until <= now)
    }

    /// Whether a server is ejected.
    pub fn is_ejected(&self, server: usize) -> bool {
        self.ejected_until(server).is_some()
    }

    /// How often a server has come back after it was found dead. Who keeps away from a server looks
    /// whether this has changed.
    pub fn returns(&self, server: usize) -> u64 {
        self.health[server].returns.load(Relaxed)
    }

    /// A server answered a probe as one that can be used. Returns whether it is taken back by that.
    pub fn probe_answered(&self, server: usize, now: u64) -> bool {
        self.succeeded(server);
        if !self.is_due(server, now) {
            return false;
        }
        let _rebuild = self.rebuild.lock();
        self.come_back(server);
        self.publish();
        true
    }

    /// A server that was found dead is there again: nobody needs to keep away from it any longer.
    pub fn came_back(&self, server: usize) {
        self.health[server].returns.fetch_add(1, Relaxed);
    }

    fn come_back(&self, server: usize) {
        let health = &self.health[server];
        health.failures.store(0, Relaxed);
        health.ejected_until.store(0, Relaxed);
        self.came_back(server);
    }

    /// A server answered.
    pub fn succeeded(&self, server: usize) {
        let failures = &self.health[server].failures;
        if failures.load(Relaxed) != 0 {
            failures.store(0, Relaxed);
        }
    }

    /// A server refused, broke or lost a connection, or let a request time out. Returns whether it
    /// is ejected by that.
    pub fn failed(&self, server: usize, now: u64) -> bool {
        let Some(ejection) = self.plan.ejection else {
            return false;
        };
        let health = &self.health[server];
        if health.failures.fetch_add(1, Relaxed) + 1 < ejection.failures {
            return false;
        }
        let _rebuild = self.rebuild.lock();
        health.failures.store(0, Relaxed);
        if self.is_ejected(server) {
            return false;
        }
        health.ejected_until.store(now + ejection.retry, Relaxed);
        self.publish();
        true
    }

    fn take_back(&self, now: u64) {
        let _rebuild = self.rebuild.lock();
        for server in 0..self.health.len() {
            if self.is_due(server, now) {
                self.come_back(server);
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let placement = place(&self.plan, |server| !self.is_ejected(server));
        self.placement.store(Arc::new(placement));
        let ejected = (0..self.health.len()).filter_map(|server| self.ejected_until(server));
        // A request never takes a server back that has to answer a probe first.
        let next = ejected.min().filter(|_| !self.plan.probed);
        self.next_retry.store(next.unwrap_or(u64::MAX), Relaxed);
    }
}

fn place(plan: &Plan, live: impl Fn(usize) -> bool) -> Placement {
    let names = plan.servers.iter().map(|server| server.name.as_str());
    Placement::Pool(Herd {
        live: (0..plan.servers.len()).filter(|&i| live(i)).collect(),
        scan: scan::Order::new(names, &live),
        by_first_key: plan.by_first_key,
        owners: heeler_ring::Placement::build(
            plan.distribution,
            plan.hash,
            plan.tag,
            &plan.servers,
            live,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(cluster: &Cluster, now: u64) -> Vec<usize> {
        match &**cluster.placement(now) {
            Placement::Pool(herd) => herd.live.clone(),
            Placement::Node => unreachable!("a cluster's placement is a pool's"),
        }
    }

    fn cluster(ejection: Option<Ejection>) -> Cluster {
        probed_cluster(ejection, false)
    }

    fn probed_cluster(ejection: Option<Ejection>, probed: bool) -> Cluster {
        Cluster::new(Plan {
            distribution: Distribution::Ketama,
            hash: Hash::Fnv1a64,
            tag: None,
            servers: (0..3).map(|i| Server::named(format!("s{i}"), 1)).collect(),
            by_first_key: false,
            ejection,
            probed,
        })
    }

    #[test]
    fn a_probed_server_is_out_until_its_time_is_up_and_it_answers() {
        let ejection = Ejection {
            failures: 1,
            retry: 1000,
        };
        let cluster = probed_cluster(Some(ejection), true);
        assert!(!cluster.is_ejected(1) && !cluster.is_due(1, u64::MAX));
        assert!(cluster.failed(1, 10));
        assert!(cluster.is_ejected(1) && !cluster.is_due(1, 1009));
        assert!(!cluster.probe_answered(1, 1009), "too early");
        assert_eq!(live(&cluster, 1009), [0, 2]);
        assert!(cluster.is_due(1, 1010));
        assert_eq!(live(&cluster, 99_999), [0, 2], "nothing has answered");
        assert!(!cluster.failed(1, 99_999), "out already");
        let before = cluster.returns(1);
        assert!(cluster.probe_answered(1, 100_000));
        assert_eq!(live(&cluster, 100_000), [0, 1, 2]);
        assert_ne!(cluster.returns(1), before);
        assert!(!cluster.probe_answered(1, 100_001), "it is live already");
        assert!(cluster.failed(1, 100_002), "and can fail again");
    }

    #[test]
    fn failed_probes_of_a_live_server_eject_it() {
        let ejection = Ejection {
            failures: 2,
            retry: 1000,
        };
        let cluster = probed_cluster(Some(ejection), true);
        assert!(!cluster.failed(0, 0));
        assert!(!cluster.probe_answered(0, 1));
        assert!(
            !cluster.failed(0, 2),
            "in a row means without an answer between"
        );
        assert!(cluster.failed(0, 3));
        assert_eq!(live(&cluster, 3), [1, 2]);
    }

    #[test]
    fn a_server_that_fails_often_enough_is_out_for_a_while() {
        let cluster = cluster(Some(Ejection {
            failures: 2,
            retry: 1000,
        }));
        assert!(!cluster.failed(1, 10));
        assert_eq!(live(&cluster, 10), [0, 1, 2]);
        assert!(cluster.failed(1, 20));
        assert_eq!(live(&cluster, 20), [0, 2]);
        assert_eq!(live(&cluster, 1019), [0, 2]);
        let before = cluster.returns(1);
        assert_eq!(live(&cluster, 1020), [0, 1, 2]);
        assert_ne!(cluster.returns(1), before);
        assert!(!cluster.failed(1, 1021), "it takes two failures again");
    }

    #[test]
    fn who_is_ejected_stays_so_in_another_cluster() {
        let ejection = Some(Ejection {
            failures: 2,
            retry: 1000,
        });
        let (old, new) = (cluster(ejection), cluster(ejection));
        old.failed(0, 0);
        old.failed(2, 0);
        assert!(old.failed(2, 0));
        // The new file has removed the first server and added one behind the others.
        new.inherit(&old, |server| [Some(1), Some(2), None][server]);
        assert_eq!(live(&new, 10), [0, 2]);
        assert_eq!(live(&new, 1000), [0, 1, 2]);
        let without = cluster(None);
        without.inherit(&old, Some);
        assert_eq!(live(&without, 10), [0, 1, 2]);
    }

    #[test]
    fn a_good_reply_forgives() {
        let cluster = cluster(Some(Ejection {
            failures: 2,
            retry: 1000,
        }));
        cluster.failed(1, 0);
        cluster.succeeded(1);
        assert!(!cluster.failed(1, 0));
    }

    #[test]
    fn without_ejection_everybody_stays() {
        let cluster = cluster(None);
        for now in 0..10 {
            assert!(!cluster.failed(1, now));
        }
        assert_eq!(live(&cluster, 10), [0, 1, 2]);
    }
}
