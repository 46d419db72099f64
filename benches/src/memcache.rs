//! One run of requests to a memcached, or to a proxy in front of some: memcached comes with no
//! program for it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use fastrand::Rng;

use crate::load::{Load, Seen, keys_of};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a load: a thread for each connection writes a batch of requests, and reads the replies.
///
/// Its tests are `set`, `get`, and `get10`, `get100` with so many keys a request. Keys and values
/// have one size, and all keys are there, so that the length of every reply is known.
pub fn run(load: &Load, port: u16) -> Result<Seen> {
    let keys = keys_of(load.test) as usize;
    let clients = u64::from(load.clients);
    let batches = load
        .requests
        .div_ceil(clients * u64::from(load.pipeline))
        .max(1);
    let connections: Vec<Connection> = (0..clients)
        .map(|seed| Connection::open(port, load, seed))
        .collect::<Result<_>>()?;
    let start = Instant::now();
    let threads: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let pipeline = load.pipeline;
            let batch = move |_| connection.batch(pipeline, keys);
            thread::spawn(move || (0..batches).map(batch).collect::<Result<Vec<_>>>())
        })
        .collect();
    let mut latencies = Vec::new();
    for thread in threads {
        match thread.join() {
            Ok(times) => latencies.extend(times?),
            Err(_) => bail!("a connection's thread panicked"),
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: f64| {
        let place = (latencies.len() as f64 * part) as usize;
        latencies[place.min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    Ok(Seen {
        rps: (batches * clients * u64::from(load.pipeline)) as f64 / seconds,
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    })
}

/// Sets every key that a run may ask for.
pub fn fill(load: &Load, port: u16) -> Result<()> {
    let mut connection = Connection::open(port, load, 0)?;
    let keys: Vec<u64> = (0..load.keys()).collect();
    for keys in keys.chunks(100) {
        connection.requests.clear();
        keys.iter().for_each(|&key| connection.push_set(key));
        connection.exchange(keys.len() * STORED.len(), STORED)?;
    }
    Ok(())
}

const STORED: &[u8] = b"STORED\r\n";
const END: &[u8] = b"END\r\n";

struct Connection {
    stream: TcpStream,
    value: Vec<u8>,
    keys: u64,
    random: Rng,
    requests: Vec<u8>,
    replies: Vec<u8>,
}

impl Connection {
    fn open(port: u16, load: &Load, seed: u64) -> Result<Connection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection {
            stream,
            value: vec![b'x'; load.value_size as usize],
            keys: load.keys(),
            random: Rng::with_seed(seed),
            requests: Vec::new(),
            replies: Vec::new(),
        })
    }

    /// Sends so many requests at once: gets of so many keys, or sets. Returns how long the replies
    /// took.
    fn batch(&mut self, pipeline: u32, keys: usize) -> Result<Duration> {
        self.requests.clear();
        for _ in 0..pipeline {
            match keys {
                0 => {
                    let key = self.key();
                    self.push_set(key);
                }
                _ => self.push_get(keys),
            }
        }
        let item = value_line(0, self.value.len()).len() + self.value.len() + 2;
        let (reply, end) = match keys {
            0 => (STORED.len(), STORED),
            _ => (keys * item + END.len(), END),
        };
        let start = Instant::now();
        self.exchange(pipeline as usize * reply, end)?;
        Ok(start.elapsed())
    }

    fn exchange(&mut self, length: usize, end: &[u8]) -> Result<()> {
        self.stream.write_all(&self.requests)?;
        self.replies.resize(length, 0);
        self.stream.read_exact(&mut self.replies)?;
        let shown = || String::from_utf8_lossy(&self.replies[..length.min(200)]).into_owned();
        ensure!(self.replies.ends_with(end), "other replies: {}", shown());
        Ok(())
    }

    fn push_set(&mut self, key: u64) {
        let length = self.value.len();
        let line = format!("set {} 0 0 {length}\r\n", name(key));
        self.requests.extend_from_slice(line.as_bytes());
        self.requests.extend_from_slice(&self.value);
        self.requests.extend_from_slice(b"\r\n");
    }

    fn push_get(&mut self, keys: usize) {
        self.requests.extend_from_slice(b"get");
        for _ in 0..keys {
            let key = self.key();
            self.requests.push(b' ');
            self.requests.extend_from_slice(name(key).as_bytes());
        }
        self.requests.extend_from_slice(b"\r\n");
    }

    fn key(&mut self) -> u64 {
        self.random.u64(..self.keys)
    }
}

fn name(key: u64) -> String {
    format!("key:{key:012}")
}

fn value_line(key: u64, length: usize) -> String {
    format!("VALUE {} 0 {length}\r\n", name(key))
}
