//! The pools that a proxy serves, from its file, and their change while clients are connected.

mod reading;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::admin::{Process, REDIS_VERSION};
use crate::config::Watch;
use crate::config::pools::{self, Pool};
use crate::deliver::{Behind, Door};
use crate::http::{Asked, Pools, Shown, Subject};
use crate::net::{Listener, MakeDoor, Number, Server, Service, Speaks, Tuning};
use crate::session::{Access, Databases, Greeting};
use crate::slowlog::{self, SlowLog};
use crate::wire::resp::Protocol;
use crate::{health, limits, pool, run};

pub use reading::{Loaded, Tls, check, read, read_alone};

/// The pools of a proxy and the server that offers them.
pub struct Live {
    path: PathBuf,
    watch: Watch,
    hangup: Signal,
    process: Arc<Process>,
    server: Server,
    pools: Vec<Running>,
    shown: Pools,
}

/// A pool that is offered.
struct Running {
    pool: Pool,
    tls: Tls,
    number: Number,
    listener: Arc<Listener>,
    health: Arc<health::Watch>,
}

impl Live {
    /// Offers the pools of a file, which is watched since it was read.
    ///
    /// # Errors
    /// It could not start.
    pub fn start(
        path: PathBuf,
        watch: Watch,
        file: Loaded,
        threads: usize,
        slowlog: slowlog::Settings,
    ) -> anyhow::Result<Live> {
        // Caught before a client can connect: whoever sees the proxy there may send it.
        let hangup = signal(SignalKind::hangup()).context("cannot catch SIGHUP")?;
        let listeners = file
            .pools
            .iter()
            .map(bind)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut process = Process::new("proxy", threads, most_clients(&file, threads), run::seed());
        process.port = listeners.first().and_then(|l| l.port()).unwrap_or(0);
        process.bind = listeners.first().map(|l| l.address()).unwrap_or_default();
        process.slowlog = Arc::new(SlowLog::new(slowlog));
        let process = Arc::new(process);
        let mut live = Live {
            path,
            watch,
            hangup,
            server: Server::start(process.clone())?,
            process,
            pools: Vec::new(),
            shown: Pools::default(),
        };
        let pools = file.pools.into_iter().zip(file.tls);
        for ((pool, tls), listener) in pools.zip(listeners) {
            let (name, servers) = (&pool.name, pool.servers.len());
            tracing::info!(pool = %name, listen = %listener.address(), servers, threads, "serving");
            live.open(pool, tls, listener);
        }
        live.publish();
        Ok(live)
    }

    /// Serves until `stop` is ready. Reloads the file on SIGHUP, when it is asked to, and, if it
    /// is to watch the file, when that has changed.
    pub async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        mut asked: mpsc::Receiver<Asked>,
        watches: bool,
    ) {
        let mut look = tokio::time::interval(Duration::from_millis(limits::WATCH_MS));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = self.hangup.recv() => drop(self.reload("SIGHUP")),
                _ = look.tick(), if watches => {
                    if let Some(changed) = self.watch.has_changed() {
                        let _ = self.reload(&format!("{} has changed", changed.display()));
                    }
                }
                Some(asked) = asked.recv() => {
                    // Whoever has asked may be gone; the log tells it too.
                    let _ = asked.send(self.reload("asked at the admin port"));
                }
            }
        }
        self.server.stop().await;
    }

    /// Reads the file again and makes it so, or leaves everything as it is.
    fn reload(&mut self, why: &str) -> Result<Vec<String>, String> {
        tracing::info!(file = %self.path.display(), "reloading: {why}");
        match self.try_reload() {
            Ok(changes) if changes.is_empty() => {
                tracing::info!("reloaded: nothing has changed");
                Ok(changes)
            }
            Ok(changes) => {
                for change in &changes {
                    tracing::info!("reloaded: {change}");
                }
                Ok(changes)
            }
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::error!("reload refused, all stays as it was: {reason}");
                Err(reason)
            }
        }
    }

    /// First all that can fail, then what cannot.
    fn try_reload(&mut self) -> anyhow::Result<Vec<String>> {
        let running = &self.pools;
        let before = |pool: &Pool| {
            let at = running.iter().find(|r| r.pool.listen.is_at(&pool.listen))?;
            Some(&at.tls)
        };
        let file = read(&self.path, &mut self.watch, before)?;
        let is_new = |pool: &&Pool| !self.pools.iter().any(|r| r.pool.listen.is_at(&pool.listen));
        let mut bound: Vec<(pools::Listen, Arc<Listener>)> = Vec::new();
        for pool in file.pools.iter().filter(is_new) {
            let listener = bind(pool).with_context(|| format!("pool '{}'", pool.name))?;
            bound.push((pool.listen.clone(), listener));
        }
        let threads = self.process.counters.len();
        self.process.clients.set_most(most_clients(&file, threads));
        let mut changes = Vec::new();
        let gone: Vec<Running> = self
            .pools
            .extract_if(.., |r| {
                !file.pools.iter().any(|p| p.listen.is_at(&r.pool.listen))
            })
            .collect();
        for Running { pool, number, .. } in gone {
            changes.push(format!("pool '{}' at {} removed", pool.name, pool.listen));
            self.server.close(number);
        }
        for (pool, tls) in file.pools.into_iter().zip(file.tls) {
            let listener = bound.iter().find(|(listen, _)| *listen == pool.listen);
            if let Some((_, listener)) = listener {
                let (name, listen, servers) = (&pool.name, &pool.listen, pool.servers.len());
                changes.push(format!(
                    "pool '{name}' at {listen} added, {servers} servers"
                ));
                self.open(pool, tls, listener.clone());
            } else {
                changes.extend(self.change(pool, tls));
            }
        }
        self.publish();
        Ok(changes)
    }

    /// Shows the pools and their statistics, in the order of the file.
    fn publish(&mut self) {
        self.pools.sort_by(|a, b| {
            let key = |r: &Running| (r.pool.name.len(), r.pool.name.clone());
            key(a).cmp(&key(b))
        });
        let stats = self.pools.iter().map(|r| r.health.settings().stats.clone());
        *self.process.pools.lock() = stats.collect();
        let shown = |running: &Running| Shown {
            pool: running.pool.clone(),
            cluster: running.health.cluster().clone(),
            stats: running.health.settings().stats.clone(),
            certificates: running.tls.certificates(),
        };
        let shown = self.pools.iter().map(shown).collect();
        self.shown.store(Arc::new(shown));
    }

    /// What the admin port tells of. It asks for reloads by the sender.
    pub fn subject(&self, reload: mpsc::Sender<Asked>) -> Subject {
        Subject {
            process: self.process.clone(),
            pools: self.shown.clone(),
            store: None,
            ring: None,
            keyspace: None,
            reload: Some(reload),
        }
    }

    /// The process, as others may tell of it.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    fn open(&mut self, pool: Pool, tls: Tls, listener: Arc<Listener>) {
        let (service, health) = service(&pool, &tls, listener.clone(), &self.process, None);
        let number = self.server.open(service);
        self.pools.push(Running {
            pool,
            tls,
            number,
            listener,
            health,
        });
    }

    /// Puts a pool in the place of the one at the same address; says what differs, if anything.
    fn change(&mut self, pool: Pool, tls: Tls) -> Option<String> {
        let running = self
            .pools
            .iter_mut()
            .find(|r| r.pool.listen.is_at(&pool.listen))?;
        let changes = pools::changes(&running.pool, &pool);
        let renewed = !tls.is_as(&running.tls);
        if running.pool == pool && !renewed {
            return None;
        }
        let changes = match changes.is_empty() {
            true => "new certificates".into(),
            false => changes,
        };
        let told = format!("pool '{}' at {}: {changes}", pool.name, pool.listen);
        if let Err(error) = running.listener.retune(&pool.listen, Tuning::of(&pool)) {
            tracing::warn!(pool = %pool.name, "cannot change the listener: {error}");
        }
        let listener = running.listener.clone();
        if running.pool.redis != pool.redis {
            // Its clients speak what no longer is spoken here.
            self.server.close(running.number);
            let (service, health) = service(&pool, &tls, listener, &self.process, None);
            running.number = self.server.open(service);
            running.health = health;
        } else {
            let before = Some(&*running.health);
            let (service, health) = service(&pool, &tls, listener, &self.process, before);
            self.server.change(running.number, service);
            running.health = health;
        }
        running.pool = pool;
        running.tls = tls;
        Some(told)
    }
}

/// How many clients there may be beside the connections to servers.
fn most_clients(file: &Loaded, threads: usize) -> usize {
    let links = |p: &Pool| {
        p.servers
            .len()
            .saturating_mul(p.server_connections as usize)
    };
    let links = file.pools.iter().map(links).fold(0, usize::saturating_add);
    run::most_clients(links.saturating_mul(threads))
}

fn bind(pool: &Pool) -> anyhow::Result<Arc<Listener>> {
    Listener::bind(&pool.listen, Tuning::of(pool)).map(Arc::new)
}

/// What is offered for a pool. `before`: the servers of the pool whose place it takes.
pub fn service(
    pool: &Pool,
    tls: &Tls,
    listener: Arc<Listener>,
    process: &Arc<Process>,
    before: Option<&health::Watch>,
) -> (Service, Arc<health::Watch>) {
    let tls_of_servers = tls.servers.clone();
    let watch = health::Watch::start(pool, tls_of_servers, &process.slowlog, before);
    let health = Arc::new(watch);
    let (process, wire) = (process.clone(), health.settings().wire);
    let greeting = Greeting {
        version: REDIS_VERSION,
        newest: Protocol::Resp3,
        access: Access::Pool(pool.redis_auth.clone()),
        // With a password the servers refuse our SELECT, which comes before AUTH.
        databases: Databases::Only(match &pool.redis_auth {
            None => pool.redis_db,
            Some(_) => 0,
        }),
    };
    let watched = health.clone();
    let door: MakeDoor = Arc::new(move |scratch, before: Option<&Door>| {
        let before = before.and_then(Door::pool);
        let pool = pool::Pool::start(health.settings(), health.cluster(), scratch, before);
        let behind = Behind::Pool(health.cluster().clone(), pool);
        Door::new(behind, process.clone(), greeting.clone(), run::seed())
    });
    let service = Service {
        name: pool.name.clone(),
        speaks: Speaks::Wire(wire),
        tls: tls.clients.clone(),
        listener,
        most_clients: pool.client_connections.map(|most| most as usize),
        door,
    };
    (service, watched)
}
