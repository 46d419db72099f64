//! Rings of processes of either kind.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use heeler_ringpop::channel::{Channel, Origin};
use heeler_ringpop::{Request, RingHash};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kernel::cpu_ns;
use crate::process::{Process, free_port};

/// A member as applications of ringpop-node are: the tests' own, with the key-value example's way
/// of forwarding. The example itself writes to its log four times for each request.
const MEMBER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/heeler/tests/ringpop/member.js"
);
/// Both kinds agree about owners with this one.
pub const HASH: RingHash = RingHash::Fingerprint32;
/// Ringpop's own period.
const SUSPECT_MS: &str = "5000";
/// How long a ring may take to agree.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the members.
const PAUSE: Duration = Duration::from_millis(2);

/// Who runs, and where it is.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// ringpop-node, with the path of its `node_modules`.
    Node(&'a str),
    /// `heeler serve --peer`, one thread: the path of the program.
    Heeler(&'a str),
}

impl Kind<'_> {
    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Node(_) => "ringpop-node",
            Kind::Heeler(_) => "heeler",
        }
    }
}

/// A ring; killed when it is dropped.
pub struct Ring {
    pub addresses: Vec<String>,
    processes: Vec<Process>,
    started: Instant,
    _dir: TempDir,
}

/// When a ring was where, from before its first process was started.
pub struct Start {
    /// All members answer.
    pub listening: Duration,
    /// All see all alive, with equal checksums.
    pub agreed: Duration,
}

impl Ring {
    /// Starts so many members at once, and does not wait for them.
    pub fn start(kind: Kind<'_>, size: usize) -> Result<Ring> {
        let addresses = free_addresses(size)?;
        let dir = TempDir::new()?;
        let hosts = dir.path().join("hosts.json");
        std::fs::write(&hosts, json!(addresses).to_string())?;
        let redis = (0..size).map(|_| Ok(format!("127.0.0.1:{}", free_port()?)));
        let redis = redis.collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        let members = addresses.iter().zip(&redis);
        let all = addresses.join(",");
        let processes = members.map(|(address, redis)| spawn(kind, address, redis, &hosts, &all));
        Ok(Ring {
            processes: processes.collect::<Result<_>>()?,
            started,
            addresses,
            _dir: dir,
        })
    }

    /// Waits until all agree that all are alive.
    pub async fn agrees(&mut self, channel: &Channel) -> Result<Start> {
        let mut listening = None;
        let mut silent: Vec<String> = self.addresses.clone();
        loop {
            let mut said = Vec::new();
            for address in &self.addresses {
                said.push(members(channel, address).await);
                if !matches!(said.last(), Some(Said::Nothing)) {
                    silent.retain(|other| other != address);
                }
            }
            let since = self.started.elapsed();
            if silent.is_empty() {
                listening.get_or_insert(since);
            }
            let size = self.addresses.len();
            let agreed = said
                .iter()
                .all(|one| one.all_alive(size) && *one == said[0]);
            if let (true, Some(listening)) = (agreed, listening) {
                return Ok(Start {
                    listening,
                    agreed: since,
                });
            }
            self.processes
                .iter_mut()
                .try_for_each(Process::ensure_runs)?;
            ensure!(since < PATIENCE, "no agreement: {said:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Kills the last member, and returns after how long all others see it as faulty.
    pub async fn kill_one(&mut self, channel: &Channel) -> Result<Duration> {
        let dead = self.addresses.pop().context("nobody is there")?;
        let killed = Instant::now();
        drop(self.processes.pop());
        for address in &self.addresses {
            loop {
                if members(channel, address).await.status(&dead) == Some("faulty") {
                    break;
                }
                self.processes
                    .iter_mut()
                    .try_for_each(Process::ensure_runs)?;
                ensure!(
                    killed.elapsed() < PATIENCE,
                    "{dead} is not faulty at {address}"
                );
                tokio::time::sleep(5 * PAUSE).await;
            }
        }
        Ok(killed.elapsed())
    }

    /// CPU time that all members together have used, in nanoseconds.
    pub fn cpu_ns(&self) -> Result<u64> {
        self.processes
            .iter()
            .map(|process| cpu_ns(process.pid()))
            .sum()
    }
}

/// A member; `hosts` is a file that names all, `all` are their addresses with commas.
fn spawn(kind: Kind<'_>, address: &str, redis: &str, hosts: &Path, all: &str) -> Result<Process> {
    match kind {
        Kind::Node(modules) => {
            let hosts = hosts.to_str().context("a path that is no UTF-8")?;
            let args = [MEMBER, address, hosts, "kv", HASH.name(), SUSPECT_MS];
            Process::spawn("node", &args, &[("NODE_PATH", modules)])
        }
        Kind::Heeler(program) => {
            let mut args = vec!["serve", "--threads", "1", "--redis", redis];
            args.extend(["--peer", address, "--join", all]);
            args.extend(["--suspect-period", SUSPECT_MS]);
            Process::spawn(program, &args, &[])
        }
    }
}

/// What a member says of its ring.
#[derive(Debug, PartialEq)]
enum Said {
    /// It cannot be reached.
    Nothing,
    /// It does not know yet.
    NotYet,
    /// Its membership's checksum, and of each member the address and the status.
    Members(u64, Vec<(String, String)>),
}

impl Said {
    fn all_alive(&self, size: usize) -> bool {
        match self {
            Said::Members(_, all) => {
                all.len() == size && all.iter().all(|(_, status)| status == "alive")
            }
            _ => false,
        }
    }

    fn status(&self, of: &str) -> Option<&str> {
        match self {
            Said::Members(_, all) => {
                let found = all.iter().find(|(address, _)| address == of);
                found.map(|(_, status)| status.as_str())
            }
            _ => None,
        }
    }
}

async fn members(channel: &Channel, address: &str) -> Said {
    let request = Request::raw("ringpop", "bench", "/admin/stats", "{}");
    match channel.call(address, request, Duration::from_secs(2)).await {
        Err(failure) if failure.origin == Origin::Here => Said::Nothing,
        Err(_) => Said::NotYet,
        Ok(answer) => read(&answer.arg3).unwrap_or(Said::NotYet),
    }
}

fn read(stats: &[u8]) -> Option<Said> {
    let stats: Value = serde_json::from_slice(stats).ok()?;
    let membership = &stats["membership"];
    let text = |value: &Value| value.as_str().map(str::to_string);
    let mut members = Vec::new();
    for member in membership["members"].as_array()? {
        members.push((text(&member["address"])?, text(&member["status"])?));
    }
    members.sort();
    Some(Said::Members(membership["checksum"].as_u64()?, members))
}

/// Different ones: all are taken before the first is given back.
fn free_addresses(count: usize) -> Result<Vec<String>> {
    let listen = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let sockets = (0..count).map(listen).collect::<Result<Vec<_>, _>>()?;
    let address = |socket: &TcpListener| Ok(socket.local_addr()?.to_string());
    sockets.iter().map(address).collect()
}

#[test]
fn what_a_member_says_is_read() {
    let stats = br#"{"membership":{"checksum":7,"members":[
        {"address":"b:2","status":"faulty"},{"address":"a:1","status":"alive"}]}}"#;
    let said = read(stats).unwrap();
    assert_eq!(said.status("b:2"), Some("faulty"));
    assert_eq!(said.status("c:3"), None);
    assert!(!said.all_alive(2));
    assert!(read(b"{}").is_none());
    assert!(Said::Members(1, vec![("a:1".into(), "alive".into())]).all_alive(1));
    assert!(!Said::NotYet.all_alive(0));
}
