//! Questions about this process and its clients: INFO, CLIENT, CONFIG, COMMAND, SLOWLOG, TIME.

mod client_filter;
mod client_help;
mod client_line;
mod client_memory;
mod clients;
mod config;
mod encodings;
mod info;
mod items;
mod latency;
mod memory;
mod pause;
mod persistence;
mod rates;
mod settings;
mod slowlog;
mod upheld;
pub mod usage;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

pub use client_memory::ClientMemory;
pub use clients::{Client, Clients};
pub use items::MEMCACHED_VERSION;
pub use latency::{EVICTION_CYCLE, EXPIRE_CYCLE, Latency};
pub use pause::Pause;
pub use persistence::Stopping;
pub use settings::Settings;

use crate::allocator::Allocator;
use crate::clock;
use crate::command::{Command, Group, Id, Reply, Spec, TABLE, describe};
use crate::log::Log;
use crate::pubsub::{Exchange, Monitors};
use crate::session::{Password, Session};
use crate::slowlog::SlowLog;
use crate::stats::{CommandStats, Counters, ItemStats, PoolStats, Prefixes};
use crate::store::Store;

/// The version of Redis whose behaviour is kept.
pub const REDIS_VERSION: &str = "7.0.15";

/// What a Redis says that is no node of a Redis Cluster.
const NO_CLUSTER: &str = "ERR This instance has cluster support disabled";

/// Who may use DEBUG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Debugging {
    /// Nobody.
    #[default]
    No,
    /// Who connects from this machine.
    Local,
    /// All clients.
    Yes,
}

/// This process, as it is seen from outside.
#[derive(Debug)]
pub struct Process {
    /// What it is: `serve`, `proxy` or `demo`.
    pub role: &'static str,
    /// When it started, in milliseconds since 1970.
    pub started: u64,
    /// Memory that was resident then.
    pub resident_at_start: u64,
    /// A number that no other process has.
    pub run_id: String,
    /// The port of its first listener.
    pub port: u16,
    /// Where it listens.
    pub bind: String,
    /// Its connections.
    pub clients: Clients,
    /// Who listens to which channels.
    pub exchange: Arc<Exchange>,
    /// Who is told of every command.
    pub monitors: Monitors,
    /// Who may use DEBUG.
    pub debugging: Debugging,
    /// How its connections are kept, where it is a store.
    pub settings: Settings,
    /// Parameters that change nothing here.
    upheld: upheld::Upheld,
    /// Its log, where it can be told from outside how much is in it.
    pub log: Option<Log>,
    /// How much memory its connections may take, where it is a store.
    pub client_memory: ClientMemory,
    /// Whether a client has asked it to stop.
    pub stopping: Stopping,
    /// Whether its clients' commands wait.
    pub pause: Pause,
    /// What each of its workers counts.
    pub counters: Vec<Arc<Counters>>,
    /// Connections that were refused because there were too many.
    pub refused: AtomicU64,
    /// The statistics of its pools, in the order of the file.
    pub pools: Mutex<Vec<Arc<PoolStats>>>,
    /// What is counted of the commands to its own store, if it has one.
    pub commands: CommandStats,
    /// What is counted of memcached's requests to its own store.
    pub items: ItemStats,
    /// The same by the prefixes of their keys, if somebody wants to know.
    pub prefixes: Prefixes,
    /// The password that its store asks for.
    pub password: Arc<Password>,
    /// The commands that were slow.
    pub slowlog: Arc<SlowLog>,
    /// What took long.
    pub latency: Latency,
    /// How much it does a second.
    rates: rates::Rates,
    /// What is asked to give memory back.
    pub allocator: Allocator,
    /// What INFO tells of the ring that it is in.
    pub ring: OnceLock<RingLines>,
}

/// Tells lines of INFO: names and values.
pub struct RingLines(pub Box<dyn Fn() -> Vec<(&'static str, String)> + Send + Sync>);

impl std::fmt::Debug for RingLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RingLines")
    }
}

impl Process {
    /// A process that starts now, with so many workers. `seed` is any random number.
    pub fn new(role: &'static str, threads: usize, most_clients: usize, seed: u64) -> Process {
        Process {
            role,
            started: crate::clock::now(),
            resident_at_start: usage::resident_bytes(),
            run_id: format!("{seed:016x}{:016x}{:08x}", !seed, std::process::id()),
            port: 0,
            bind: String::new(),
            clients: Clients::new(most_clients),
            exchange: Arc::default(),
            monitors: Monitors::default(),
            debugging: Debugging::No,
            settings: Settings::default(),
            upheld: upheld::Upheld::default(),
            log: None,
            client_memory: ClientMemory::default(),
            stopping: Stopping::default(),
            pause: Pause::default(),
            counters: (0..threads).map(|_| Arc::default()).collect(),
            refused: AtomicU64::new(0),
            pools: Mutex::default(),
            commands: CommandStats::new(TABLE.len()),
            items: ItemStats::default(),
            prefixes: Prefixes::default(),
            password: Arc::default(),
            slowlog: Arc::default(),
            latency: Latency::default(),
            rates: rates::Rates::default(),
            allocator: Allocator::default(),
            ring: OnceLock::new(),
        }
    }

    /// Answers a command of the room `Process`. `store` is the node's memory, where there is one;
    /// `pool` is the name of the pool, where there is one; `serves` tells which commands this door
    /// answers.
    pub fn answer(
        &self,
        now: u64,
        session: &Session,
        command: &Command<'_>,
        store: Option<&Store>,
        pool: Option<&str>,
        serves: impl Fn(&Spec) -> bool,
    ) -> Reply {
        match command.spec.id {
            Id::Info => info::info(self, now, command, store),
            Id::Time => time(),
            Id::ConfigGet => config::get(self, store, command),
            Id::ConfigResetstat => self.reset_counters(store),
            Id::ConfigSet => config::set(self, store, command),
            Id::ConfigRewrite => Reply::error("ERR The server is running without a config file"),
            Id::ConfigHelp => config::help(),
            Id::Latency
            | Id::LatencyDoctor
            | Id::LatencyGraph
            | Id::LatencyHelp
            | Id::LatencyHistogram
            | Id::LatencyHistory
            | Id::LatencyLatest
            | Id::LatencyReset => self.latency.answer(now, &self.commands, command),
            Id::Save | Id::Bgsave | Id::Bgrewriteaof | Id::Shutdown => {
                persistence::answer(self, command)
            }
            Id::Pfselftest => test_sketches(),
            Id::Lastsave => Reply::Int((self.started / 1000) as i64),
            Id::MemoryStats => memory::stats(self, now, store),
            Id::MemoryDoctor => memory::doctor(store),
            Id::MemoryPurge => memory::purge(&self.allocator),
            Id::MemoryMallocStats => memory::allocator(),
            Id::MemoryHelp => memory::help(),
            Id::ClientList => self.clients.list(now, session, &self.exchange, command),
            Id::ClientInfo => self.clients.info(now, session, &self.exchange, command),
            Id::ClientKill => self.clients.kill(session, &self.exchange, command),
            Id::ClientPause => self.pause.begin(now, command),
            Id::ClientUnpause => {
                self.pause.end();
                self.clients.wake_all();
                Reply::OK
            }
            Id::ClientUnblock => self.clients.unblock(command),
            // A replica's word is never heard here: see `deliver`, where it may wait.
            Id::Wait => Reply::Int(0),
            Id::ClientHelp => client_help::help(),
            Id::SlowlogGet | Id::SlowlogLen | Id::SlowlogReset | Id::SlowlogHelp => {
                slowlog::answer(&self.slowlog, command, pool)
            }
            Id::Role => Reply::Array(vec![
                Reply::bulk("master"),
                Reply::Int(0),
                Reply::Array(Vec::new()),
            ]),
            Id::Lolwut => Reply::Text(format!("Heeler ver. {}\n", env!("CARGO_PKG_VERSION"))),
            Id::Command
            | Id::CommandCount
            | Id::CommandDocs
            | Id::CommandGetkeys
            | Id::CommandGetkeysandflags
            | Id::CommandInfo
            | Id::CommandList
            | Id::CommandHelp => describe(command, serves),
            _ if command.spec.group == Group::Cluster => Reply::error(NO_CLUSTER),
            _ => command.unknown(|_| false),
        }
    }

    /// The reply to memcached's `stats`, given the words behind it.
    pub fn memcached_stats(&self, now: u64, store: &Store, words: &[&[u8]]) -> String {
        items::stats(self, now, store, words)
    }

    /// A counter of all workers together.
    fn sum(&self, counter: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        self.counters.iter().map(|c| counter(c).load(Relaxed)).sum()
    }

    /// Notes how much its workers do and how much a store's keys take, and closes connections that
    /// are over their limits. To be called often.
    pub fn look_after(&self, store: &Store) {
        store.note_peak();
        self.rates.look(clock::ticks(), || {
            [
                self.sum(|c| &c.requests),
                self.sum(|c| &c.input),
                self.sum(|c| &c.output),
            ]
        });
        self.close_over_limits(clock::now(), store.memory_limit().most);
    }

    fn reset_counters(&self, store: Option<&Store>) -> Reply {
        store.into_iter().for_each(Store::reset_freed_later);
        self.rates.reset();
        for counters in &self.counters {
            counters.reset();
        }
        self.commands.reset();
        self.items.reset();
        self.prefixes.reset();
        self.client_memory.reset();
        self.refused.store(0, Relaxed);
        Reply::OK
    }
}

/// PFSELFTEST.
fn test_sketches() -> Reply {
    match crate::store::test_sketches() {
        Ok(()) => Reply::OK,
        Err(fault) => Reply::error(format!("ERR TESTFAILED {fault}")),
    }
}

/// Seconds since 1970, and microseconds of the current second.
fn time() -> Reply {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    Reply::Array(vec![
        Reply::bulk(since.as_secs().to_string()),
        Reply::bulk(since.subsec_micros().to_string()),
    ])
}

/// The lines of a HELP subcommand.
fn lines(lines: &[&'static str]) -> Reply {
    Reply::Array(lines.iter().map(|line| Reply::Status(line)).collect())
}
