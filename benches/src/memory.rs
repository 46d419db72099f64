//! What a key costs in memory, how long a client waits at worst while keys are loaded, and what is
//! left of the memory when most keys are deleted.
//!
//! Keys are 16 bytes long, values 64. Each server is loaded alone, over one connection, with
//! requests sent sixteen at a time: the wait is from writing sixteen to reading their replies.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;

use crate::kernel::{Machine, rss_kib};
use crate::load::Wire;
use crate::process::{Process, free_port};
use crate::{heeler, memcached, redis_server, report};

/// Requests that are sent at a time.
const BATCH: u64 = 16;
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
        "redis-server" => (redis_server(port)?, Wire::Redis),
        "memcached" => {
            let megabytes = (keys * 200 / 1_000_000 + 64).to_string();
            (memcached(port, &megabytes, 4)?, Wire::Memcached)
        }
        _ => {
            let address = format!("127.0.0.1:{port}");
            let args = ["serve", "--redis", &address];
            (Process::start(heeler, &args, port)?, Wire::Redis)
        }
    };
    let mut client = Client::connect(port, wire)?;
    client.batch(0..BATCH, Client::set)?;
    let (before, told_before) = (rss_kib(process.pid())?, client.told()?);
    let start = Instant::now();
    let mut waits = Vec::with_capacity((keys / BATCH) as usize);
    for first in (0..keys).step_by(BATCH as usize) {
        let sent = Instant::now();
        client.batch(first..(first + BATCH).min(keys), Client::set)?;
        waits.push(sent.elapsed());
    }
    let seconds = start.elapsed().as_secs_f64();
    let (full, told) = (rss_kib(process.pid())?, client.told()?);
    for first in (0..keys).step_by(BATCH as usize) {
        let some = first..(first + BATCH).min(keys);
        client.batch(some.filter(|key| key % STAYS != 0), Client::delete)?;
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

/// One connection that sends some requests and waits for the replies to all of them.
struct Client {
    stream: TcpStream,
    wire: Wire,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Client {
    fn connect(port: u16, wire: Wire) -> Result<Client> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Client {
            stream,
            wire,
            request: Vec::new(),
            reply: vec![0; 64 * 1024],
        })
    }

    /// Sends a request for each key, and reads a line of reply to each.
    fn batch(
        &mut self,
        keys: impl Iterator<Item = u64>,
        request: fn(&mut Client, u64),
    ) -> Result<()> {
        self.request.clear();
        let mut lines = 0;
        for key in keys {
            request(self, key);
            lines += 1;
        }
        self.stream.write_all(&self.request)?;
        while lines > 0 {
            let len = self.stream.read(&mut self.reply)?;
            ensure!(len > 0, "the server has closed the connection");
            let reply = &self.reply[..len];
            ensure!(
                !reply.starts_with(b"-") && !reply.starts_with(b"SERVER_ERROR"),
                "{}",
                String::from_utf8_lossy(reply)
            );
            let read = reply.iter().filter(|byte| **byte == b'\n').count();
            lines = usize::checked_sub(lines, read).context("more replies than requests")?;
        }
        Ok(())
    }

    fn set(&mut self, key: u64) {
        let value = format!("{:064}", key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = value.replace('0', "v");
        let text = match self.wire {
            Wire::Redis => {
                format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$64\r\n{value}\r\n")
            }
            Wire::Memcached => format!("set key:{key:012} 0 0 64\r\n{value}\r\n"),
        };
        self.request.extend_from_slice(text.as_bytes());
    }

    fn delete(&mut self, key: u64) {
        let text = match self.wire {
            Wire::Redis => format!("*2\r\n$3\r\nDEL\r\n$16\r\nkey:{key:012}\r\n"),
            Wire::Memcached => format!("delete key:{key:012}\r\n"),
        };
        self.request.extend_from_slice(text.as_bytes());
    }

    /// What the server says that it uses, in bytes, where it says so.
    fn told(&mut self) -> Result<Option<f64>> {
        if self.wire != Wire::Redis {
            return Ok(None);
        }
        self.stream.write_all(b"INFO memory\r\n")?;
        let mut text = String::new();
        while !text.contains("mem_allocator:") {
            let len = self.stream.read(&mut self.reply)?;
            ensure!(len > 0, "the server has closed the connection");
            text.push_str(&String::from_utf8_lossy(&self.reply[..len]));
        }
        // What still comes of it is read before the next request.
        std::thread::sleep(Duration::from_millis(50));
        self.stream.set_nonblocking(true)?;
        while self.stream.read(&mut self.reply).is_ok_and(|len| len > 0) {}
        self.stream.set_nonblocking(false)?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        Ok(line.and_then(|number| number.parse().ok()))
    }
}
