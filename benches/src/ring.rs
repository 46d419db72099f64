//! What it costs to reach a key through a node that does not own it.
//!
//! There is one partition, so that one of two nodes owns all keys. CPU time is that of both nodes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::contest::Contestant;
use crate::process::{Process, free_port, output_of, pause};

const PATIENCE: Duration = Duration::from_secs(20);

/// For each number of threads a ring that is asked through the owner, and one that is not. The
/// owner is the first: ratios are to it.
pub fn contestants(heeler: &str, threads: &[u32]) -> Result<Vec<Contestant>> {
    let mut all = Vec::new();
    for threads in threads {
        for through_owner in [true, false] {
            all.push(contestant(heeler, *threads, through_owner)?);
        }
    }
    Ok(all)
}

fn contestant(heeler: &str, threads: u32, through_owner: bool) -> Result<Contestant> {
    let peers = [free_port()?, free_port()?].map(|port| format!("127.0.0.1:{port}"));
    let mut nodes = Vec::new();
    for peer in &peers {
        let port = free_port()?;
        let (redis, threads) = (format!("127.0.0.1:{port}"), threads.to_string());
        let mut args = vec![
            "serve",
            "--redis",
            &redis,
            "--threads",
            &threads,
            "--peer",
            peer,
        ];
        args.extend(["--join", &peers[0], "--num-partitions", "1"]);
        nodes.push((port, Process::start(heeler, &args, port)?));
    }
    let owner = owner(heeler, &peers)?;
    let way = if through_owner {
        "the owner"
    } else {
        "the other node"
    };
    let (port, process) = nodes.remove(if through_owner { owner } else { 1 - owner });
    Ok(Contestant {
        name: format!("{way}, threads {threads}"),
        port,
        wide_port: port,
        process,
        with: nodes.into_iter().map(|(_, process)| process).collect(),
    })
}

/// Which of the two owns all keys, once both are in the ring.
fn owner(heeler: &str, peers: &[String; 2]) -> Result<usize> {
    let end = Instant::now() + PATIENCE;
    loop {
        match owner_by_now(heeler, peers) {
            Ok(owner) => return Ok(owner),
            Err(why) if Instant::now() > end => {
                return Err(why.context("the nodes do not find each other"));
            }
            Err(_) => pause()?,
        }
    }
}

/// The same, where the ring may not be there yet, or not be whole: that is an error.
fn owner_by_now(heeler: &str, peers: &[String; 2]) -> Result<usize> {
    let told = output_of(heeler, &["ring", "--peer", &peers[0], "--json", "key"])?;
    let told: Value = serde_json::from_str(&told)?;
    let nodes = told["shares"]["nodes"].as_object().context("no nodes")?;
    ensure!(nodes.len() == peers.len(), "the ring is {told}");
    let owner = told["owners"]["key"].as_str().context("no owner")?;
    Ok(usize::from(owner != peers[0]))
}
