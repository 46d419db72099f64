//! Stores that have room for a part of the keys: what is set evicts something else.

use anyhow::{Result, ensure};

use crate::batches::Client;
use crate::contest::Contestant;
use crate::process::free_port;
use crate::{heeler_store, redis_server};

/// How much memory each store may use.
const ROOM: &str = "64mb";

/// redis-server and heeler with the same policy, and heeler with its own. redis-server is first:
/// ratios are to the first.
pub fn contestants(heeler: &str) -> Result<Vec<Contestant>> {
    let limit = |policy| ["--maxmemory", ROOM, "--maxmemory-policy", policy];
    let port = free_port()?;
    let redis = redis_server(port, &limit("allkeys-lru"))?;
    let mut all = vec![Contestant::alone("redis, lru", port, redis)];
    for (name, policy) in [
        ("heeler, lru", "allkeys-lru"),
        ("heeler, s3fifo", "allkeys-s3fifo"),
    ] {
        let port = free_port()?;
        let mut args = vec!["--threads", "1"];
        args.extend(limit(policy));
        let process = heeler_store(heeler, port, &args)?;
        all.push(Contestant::alone(name, port, process));
    }
    Ok(all)
}

/// Fails if a store had room for everything: then nothing was measured.
pub fn ensure_evicted(contestants: &[Contestant]) -> Result<()> {
    for contestant in contestants {
        let evicted = Client::connect(contestant.port)?.told("stats", "evicted_keys")?;
        ensure!(evicted > 0.0, "{} has evicted nothing", contestant.name);
    }
    Ok(())
}
