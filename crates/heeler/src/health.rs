//! Looks after the servers of a pool, on the control thread: probes them, and looks up where they
//! are. What follows is decided by [`Cluster`] and by the pool's connections.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::clock;
use crate::cluster::{Cluster, Plan};
use crate::config::pools::{self, Address, Probes};
use crate::pool::{Addresses, Settings, ask, is_ready};
use crate::slowlog::SlowLog;
use crate::stats::PoolCounters;
use crate::tls::{self, Connector};

/// The servers of one pool, and the tasks that look after them, which end when this is dropped.
#[derive(Debug)]
pub struct Watch {
    settings: Arc<Settings>,
    cluster: Arc<Cluster>,
    counters: Arc<PoolCounters>,
    _tasks: JoinSet<()>,
}

impl Watch {
    /// Starts to look after the servers of a pool, on this thread's runtime. `tls`: how they are
    /// connected to, if they speak it. What is known and counted of the servers of the pool
    /// `before`, whose place this one takes, is kept.
    pub fn start(
        pool: &pools::Pool,
        tls: Option<Connector>,
        slowlog: &Arc<SlowLog>,
        before: Option<&Watch>,
    ) -> Watch {
        let mut settings = Settings::of(pool, tls, slowlog);
        let cluster = Arc::new(Cluster::new(Plan::of(pool)));
        if let Some(before) = before {
            let origins = pools::origins(&before.settings.servers, &pool.servers);
            cluster.inherit(&before.cluster, |server| origins[server]);
            settings.goes_on_counting(&before.settings.stats, origins);
        }
        let settings = Arc::new(settings);
        let counters = settings.stats.join(before.map(|b| &*b.counters));
        let mut tasks = JoinSet::new();
        if let Some(probes) = pool.probes() {
            let rounds = Rounds {
                probes,
                settings: settings.clone(),
                cluster: cluster.clone(),
                counters: counters.clone(),
                is_down: vec![false; settings.servers.len()],
            };
            tasks.spawn(rounds.run());
        }
        let names = names(&settings.servers);
        if let Some(pause) = pool.resolve_interval
            && !names.is_empty()
        {
            tasks.spawn(look_up(names, pause, settings.clone()));
        }
        Watch {
            settings,
            cluster,
            counters,
            _tasks: tasks,
        }
    }

    /// How the servers are spoken to.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// Which of them are live.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }
}

/// Probes, round by round.
struct Rounds {
    probes: Probes,
    settings: Arc<Settings>,
    cluster: Arc<Cluster>,
    counters: Arc<PoolCounters>,
    /// By server: the last probe got no answer.
    is_down: Vec<bool>,
}

impl Rounds {
    async fn run(mut self) {
        let mut ticks = interval_at(Instant::now() + self.probes.interval, self.probes.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut round = JoinSet::new();
            for server in self.due(clock::now()) {
                let (settings, within) = (self.settings.clone(), self.probes.timeout);
                let counters = self.counters.clone();
                round.spawn(async move {
                    let asking = probe(&settings, &counters, server);
                    let answer = timeout(within, asking).await;
                    let late = format!("no answer within {} ms", within.as_millis());
                    (server, answer.unwrap_or(Err(late)))
                });
            }
            while let Some(Ok((server, result))) = round.join_next().await {
                self.note(server, result);
            }
        }
    }

    /// The servers to be probed now.
    fn due(&self, now: u64) -> Vec<usize> {
        let is_due = |&server: &usize| match self.cluster.is_ejected(server) {
            true => self.cluster.is_due(server, now),
            false => self.probes.live,
        };
        (0..self.settings.servers.len()).filter(is_due).collect()
    }

    fn note(&mut self, server: usize, result: Result<(), String>) {
        let (pool, name) = (&self.settings.pool, &self.settings.servers[server].name);
        let now = clock::now();
        let was_down = std::mem::replace(&mut self.is_down[server], result.is_err());
        match result {
            Ok(()) if self.cluster.probe_answered(server, now) => {
                tracing::info!(%pool, server = %name, "answers a probe: has its keys again");
            }
            Ok(()) if was_down => {
                self.cluster.came_back(server);
                tracing::info!(%pool, server = %name, "answers probes again");
            }
            Ok(()) => {}
            Err(reason) => {
                if !was_down {
                    tracing::warn!(%pool, server = %name, "does not answer a probe: {reason}");
                }
                if self.cluster.failed(server, now) {
                    self.counters.ejected(server, now);
                    tracing::warn!(%pool, server = %name, "ejected: its keys go to the others");
                }
            }
        }
    }
}

/// Asks a server, over a connection of its own, whether it can be used.
async fn probe(settings: &Settings, counters: &PoolCounters, server: usize) -> Result<(), String> {
    let asking = async {
        let mut stream = settings.connect(server, counters).await?;
        ask(&mut stream, &settings.probe()).await
    };
    match asking.await {
        Ok(answer) => is_ready(&answer),
        Err(error) => Err(tls::reason(&error).unwrap_or_else(|| error.to_string())),
    }
}

/// The names that may get other addresses, with the servers that have them.
fn names(servers: &[pools::Server]) -> BTreeMap<String, Vec<usize>> {
    let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, server) in servers.iter().enumerate() {
        if let Address::Tcp { host, .. } = &server.address
            && host.parse::<IpAddr>().is_err()
        {
            names.entry(host.clone()).or_default().push(i);
        }
    }
    names
}

/// Looks all names up again and again, and tells the pool's connections.
async fn look_up(names: BTreeMap<String, Vec<usize>>, pause: Duration, settings: Arc<Settings>) {
    let mut found = vec![Vec::new(); settings.servers.len()];
    let mut ticks = interval_at(Instant::now() + pause, pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (name, servers) in &names {
            let addresses = match tokio::net::lookup_host((name.as_str(), 0)).await {
                Ok(all) => all.map(|address| address.ip()).collect(),
                Err(error) => {
                    tracing::debug!(pool = %settings.pool, "cannot look up {name}: {error}");
                    Vec::new()
                }
            };
            for &server in servers {
                found[server] = addresses.clone();
            }
        }
        settings.directory.publish(Addresses::new(found.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_looked_up_and_each_once() {
        let text = "a:\n  listen: 127.0.0.1:1\n  servers:\n    - 10.0.0.1:1:1 a\n    \
                    - ::1:1:1 b\n    - cache.example:1:1 c\n    - /tmp/socket:1 d\n    \
                    - cache.example:2:1 e\n    - other.example:1:1 f\n";
        let file = pools::parse("f.yml", text).unwrap();
        let names = names(&file.pools[0].servers);
        let expected = [("cache.example", vec![2, 4]), ("other.example", vec![5])];
        let expected = expected.map(|(name, servers)| (name.to_owned(), servers));
        assert_eq!(names, BTreeMap::from(expected));
    }
}
