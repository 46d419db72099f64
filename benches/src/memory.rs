//! What a key costs in memory, how long a client waits at worst while keys are loaded, and what is
//! left of the memory when most keys are deleted.
//!
//! Keys are 16 bytes long, values 64. Each server is loaded alone, over one connection, with
//! requests sent sixteen at a time: the wait is from writing sixteen to reading their replies.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::batches::{BATCH, Client, push};
use crate::kernel::{Machine, rss_kib};
use crate::load::Wire;
use crate::process::free_port;
use crate::{heeler, heeler_store, memcached, redis_server, report};

/// Memory is given back in a while.
const SETTLING: Duration = Duration::from_secs(3);
/// One key of ten stays.
const STAYS: u64 = 10;

#[derive(Args)]
pub struct Options {
    /// Numbers of keys.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000])]
    keys: Vec<u64>,
    /// 10,000,000 keys, too.
    #[arg(long)]
    large: bool,
    /// Only the server that is called so.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The program to measure. [beside this one]
    #[arg(long, value_name = "PATH")]
    heeler: Option<PathBuf>,
    /// Where the numbers go.
    #[arg(long, value_name = "FILE", default_value = "target/bench/memory.json")]
    json: PathBuf,
}

/// What was measured of one server with one number of keys.
#[derive(Serialize)]
struct Row {
    server: &'static str,
    keys: u64,
    /// Resident bytes a key, beyond those before the first.
    bytes_a_key: f64,
    /// What the server says itself that it uses, beyond that before the first; a key.
    told_a_key: Option<f64>,
    /// Waits for sixteen replies while loading, in milliseconds.
    p99_ms: f64,
    p9999_ms: f64,
    worst_ms: f64,
    seconds: f64,
    /// Resident bytes after nine keys of ten were deleted, of those that all had taken.
    left_percent: f64,
}

/// Runs the benchmark.
pub fn run(options: &Options) -> Result<()> {
    let heeler = heeler(options.heeler.as_deref())?;
    let machine = Machine::read(&[
        ("redis", &["redis-server", "--version"]),
        ("memcached", &["memcached", "--version"]),
        ("heeler", &[&heeler, "--version"]),
    ])?;
    println!("{machine}\n");
    let mut counts = options.keys.clone();
    counts.extend(options.large.then_some(10_000_000));
    let mut rows = Vec::new();
    for keys in counts {
        for server in ["redis-server", "memcached", "heeler"] {
            if options.only.as_deref().is_none_or(|only| only == server) {
                let row = measure(server, &heeler, keys)?;
                println!("{}", line(&row));
                rows.push(row);
            }
        }
    }
    report::write(
        &options.json,
        &serde_json::json!({ "machine": machine, "rows": rows }),
    )?;
    println!("{}", options.json.display());
    Ok(())
}

fn line(row: &Row) -> String {
    let mut line = format!(
        "{:<13} {:>9} keys: {:>6.1} B a key",
        row.server, row.keys, row.bytes_a_key
    );
    if let Some(told) = row.told_a_key {
        let _ = write!(line, " (says {told:.1})");
    }
    let _ = write!(
        line,
        "; loading {:.1} s, waits p99 {:.3} p99.99 {:.3} worst {:.3} ms; 10 % of the keys keep \
         {:.0} % of the memory",
        row.seconds, row.p99_ms, row.p9999_ms, row.worst_ms, row.left_percent
    );
    line
}

fn measure(server: &'static str, heeler: &str, keys: u64) -> Result<Row> {
    let port = free_port()?;
    let (process, wire) = match server {
        "redis-server" => (redis_server(port, &[])?, Wire::Redis),
        "memcached" => {
            let megabytes = (keys * 200 / 1_000_000 + 64).to_string();
            (memcached(port, &megabytes, 4)?, Wire::Memcached)
        }
        _ => (heeler_store(heeler, port, &[])?, Wire::Redis),
    };
    let (mut client, mut requests) = (Client::connect(port)?, Requests::new(wire));
    let used = |client: &mut Client| match wire {
        Wire::Redis => client.told("memory", "used_memory").map(Some),
        Wire::Memcached => Ok(None),
    };
    (0..BATCH).for_each(|key| requests.set(key));
    requests.send(&mut client)?;
    let (before, told_before) = (rss_kib(process.pid())?, used(&mut client)?);
    let start = Instant::now();
    let mut waits = Vec::with_capacity((keys / BATCH) as usize);
    for first in (0..keys).step_by(BATCH as usize) {
        (first..(first + BATCH).min(keys)).for_each(|key| requests.set(key));
        waits.push(requests.send(&mut client)?);
    }
    let seconds = start.elapsed().as_secs_f64();
    let (full, told) = (rss_kib(process.pid())?, used(&mut client)?);
    for first in (0..keys).step_by(BATCH as usize) {
        let some = first..(first + BATCH).min(keys);
        let gone = some.filter(|key| key % STAYS != 0);
        gone.for_each(|key| requests.delete(key));
        requests.send(&mut client)?;
    }
    std::thread::sleep(SETTLING);
    let left = rss_kib(process.pid())?;
    let grown = |to: u64| to.saturating_sub(before) as f64 * 1024.0;
    waits.sort_unstable();
    let wait = |share: f64| {
        let at = (waits.len() as f64 * share) as usize;
        waits[at.min(waits.len() - 1)].as_secs_f64() * 1e3
    };
    Ok(Row {
        server,
        keys,
        bytes_a_key: grown(full) / keys as f64,
        told_a_key: told.zip(told_before).map(|(t, b)| (t - b) / keys as f64),
        p99_ms: wait(0.99),
        p9999_ms: wait(0.9999),
        worst_ms: wait(1.0),
        seconds,
        left_percent: grown(left) * 100.0 / grown(full),
    })
}

/// Requests for keys, in what the server speaks.
struct Requests {
    wire: Wire,
    bytes: Vec<u8>,
    count: usize,
}

impl Requests {
    fn new(wire: Wire) -> Requests {
        Requests {
            wire,
            bytes: Vec::new(),
            count: 0,
        }
    }

    fn set(&mut self, key: u64) {
        let value = format!("{:064}", key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = value.replace('0', "v");
        match self.wire {
            Wire::Redis => push(&format!("SET key:{key:012} {value}"), &mut self.bytes),
            Wire::Memcached => self.line(&format!("set key:{key:012} 0 0 64\r\n{value}")),
        }
        self.count += 1;
    }

    fn delete(&mut self, key: u64) {
        match self.wire {
            Wire::Redis => push(&format!("DEL key:{key:012}"), &mut self.bytes),
            Wire::Memcached => self.line(&format!("delete key:{key:012}")),
        }
        self.count += 1;
    }

    fn line(&mut self, line: &str) {
        self.bytes.extend_from_slice(line.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Sends them all; returns how long the replies took.
    fn send(&mut self, client: &mut Client) -> Result<Duration> {
        let took = client.exchange(&self.bytes, self.count);
        self.bytes.clear();
        self.count = 0;
        took
    }
}
