//! Rings of processes of both kinds, and what is asked of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heeler_ringpop::channel::Channel;
use heeler_ringpop::{Request, RingHash};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::servers::{Process, free_port};

/// How long a ring may take to agree, and a test to see what it waits for. Others may be at work
/// on the machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long suspects stay suspects here, in milliseconds.
const SUSPECT_MS: &str = "2000";

/// What a member runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// ringpop-node.
    Node,
    /// `heeler serve --peer`.
    Heeler,
}

/// A member.
pub struct Member {
    pub kind: Kind,
    pub address: String,
    pub process: Process,
}

/// Members to be, with a file that names them all.
pub struct Ring {
    pub addresses: Vec<String>,
    pub members: Vec<Member>,
    hash: RingHash,
    hosts: String,
    channel: Channel,
    _dir: TempDir,
}

impl Ring {
    /// Nobody runs yet.
    pub async fn planned(size: usize, hash: RingHash) -> Ring {
        let addresses: Vec<String> = (0..size)
            .map(|_| format!("127.0.0.1:{}", free_port()))
            .collect();
        let dir = TempDir::new().unwrap();
        let hosts = dir.path().join("hosts.json");
        std::fs::write(&hosts, json!(addresses).to_string()).unwrap();
        Ring {
            addresses,
            members: Vec::new(),
            hash,
            hosts: hosts.to_str().unwrap().into(),
            channel: Channel::builder("test").start().await.unwrap(),
            _dir: dir,
        }
    }

    /// A ring that agrees, of these kinds, started in this order.
    pub async fn start(kinds: &[Kind], hash: RingHash) -> Ring {
        let mut ring = Ring::planned(kinds.len(), hash).await;
        for (kind, address) in kinds.iter().zip(ring.addresses.clone()) {
            ring.add(*kind, &address);
        }
        ring.agrees().await;
        ring
    }

    /// Starts a member.
    pub fn add(&mut self, kind: Kind, address: &str) {
        let process = match kind {
            Kind::Node => self.node(address),
            Kind::Heeler => self.heeler(address, &[]),
        };
        self.members.push(Member {
            kind,
            address: address.into(),
            process,
        });
    }

    /// Starts a member of our own with more flags.
    pub fn add_with(&mut self, address: &str, flags: &[&str]) {
        let process = self.heeler(address, flags);
        self.members.push(Member {
            kind: Kind::Heeler,
            address: address.into(),
            process,
        });
    }

    fn node(&self, address: &str) -> Process {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ringpop/member.js");
        let modules = peers().join("node_modules");
        Process::spawn_in(
            "node",
            "nodejs",
            &[
                script.to_str().unwrap(),
                address,
                &self.hosts,
                "kv",
                self.hash.name(),
                SUSPECT_MS,
            ],
            &[("NODE_PATH", modules.to_str().unwrap())],
        )
    }

    fn heeler(&self, address: &str, flags: &[&str]) -> Process {
        let redis = format!("127.0.0.1:{}", free_port());
        let join = self.addresses.join(",");
        let mut args = vec![
            "serve", "--redis", &redis, "--peer", address, "--join", &join,
        ];
        args.extend(["--suspect-period", SUSPECT_MS, "--threads", "1"]);
        args.extend(flags);
        Process::spawn(env!("CARGO_BIN_EXE_heeler"), "", &args)
    }

    /// The member's answer, as JSON.
    pub async fn ask(&self, address: &str, service: &str, endpoint: &str, body: Value) -> Value {
        match self.try_ask(address, service, endpoint, body).await {
            Ok(answer) => answer,
            Err(error) => panic!("{address} {endpoint}: {error}"),
        }
    }

    /// The same where it may fail.
    pub async fn try_ask(
        &self,
        address: &str,
        service: &str,
        endpoint: &str,
        body: Value,
    ) -> Result<Value, String> {
        let body = body.to_string();
        let request = Request::raw(service.to_string(), "test", endpoint.to_string(), body);
        let answer = self
            .channel
            .call(address, request, Duration::from_secs(10))
            .await;
        let answer = answer.map_err(|failure| failure.to_string())?;
        let text = String::from_utf8_lossy(&answer.arg3).into_owned();
        match answer.is_ok() {
            true => Ok(serde_json::from_str(&text).unwrap_or(Value::String(text))),
            false => Err(text),
        }
    }

    /// What a member says of the ring.
    pub async fn stats(&self, address: &str) -> Option<Value> {
        self.try_ask(address, "ringpop", "/admin/stats", json!({}))
            .await
            .ok()
    }

    /// The status of a member as another sees it.
    pub async fn status(&self, seen_by: &str, of: &str) -> Option<String> {
        let stats = self.stats(seen_by).await?;
        let members = stats["membership"]["members"].as_array()?;
        let member = members.iter().find(|member| member["address"] == of)?;
        member["status"].as_str().map(str::to_string)
    }

    /// Waits until all members that run have the same checksums, and nobody else in the ring.
    pub async fn agrees(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said().await;
            let agreed = said.iter().all(|one| one.is_some() && *one == said[0]);
            if agreed
                && said[0]
                    .as_ref()
                    .is_some_and(|one| one.2 == self.members.len())
            {
                return;
            }
            assert!(
                Instant::now() < end,
                "no agreement: {said:?}{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Of each member its membership checksum, its ring checksum, and how many are in its ring.
    async fn said(&self) -> Vec<Option<(u64, u64, usize)>> {
        let mut said = Vec::new();
        for member in &self.members {
            let stats = self.stats(&member.address).await;
            said.push(stats.and_then(|stats| {
                let membership = stats["membership"]["checksum"].as_u64()?;
                let ring = stats["ring"]["checksum"].as_u64()?;
                Some((membership, ring, stats["ring"]["servers"].as_array()?.len()))
            }));
        }
        said
    }

    /// Waits until every member that runs sees another with this status.
    pub async fn all_see(&self, of: &str, status: &str) {
        let end = Instant::now() + PATIENCE;
        for member in self.members.iter().filter(|member| member.address != of) {
            loop {
                let seen = self.status(&member.address, of).await;
                if seen.as_deref() == Some(status) {
                    break;
                }
                let by = &member.address;
                assert!(
                    Instant::now() < end,
                    "{by} sees {of} as {seen:?}{}",
                    self.logs()
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The owner of a key as a member sees it.
    pub async fn owner(&self, seen_by: &str, key: &str) -> Value {
        let body = json!({ "key": key });
        self.ask(seen_by, "ringpop", "/admin/lookup", body).await["dest"].clone()
    }

    fn logs(&self) -> String {
        let logs = self.members.iter().map(|member| {
            let (out, err) = (member.process.stdout(), member.process.stderr());
            format!("\n--- {:?} {}\n{out}{err}", member.kind, member.address)
        });
        logs.collect()
    }
}

/// Where the real peers are.
pub fn peers() -> PathBuf {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
    for needed in [
        "node_modules/ringpop",
        "node_modules/winston",
        "node_modules/tcurl",
    ] {
        let there = peers.join(needed).exists();
        assert!(there, "{needed} is not there: run .ci/peers");
    }
    peers
}
