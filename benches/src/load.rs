//! One run of requests, by redis-benchmark where the server is a Redis.

use std::fmt;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::memcache;
use crate::process::output_of;

/// Connections of a run, where nothing else is said.
pub const CLIENTS: u32 = 50;
/// The tests of redis-benchmark and MGET, in an order in which each finds what it asks for.
pub const REDIS_BENCHMARK: &[&str] = &[
    "ping_inline",
    "ping_mbulk",
    "set",
    "get",
    "incr",
    "mset",
    "mget10",
    "lpush",
    "lrange_100",
    "lrange_600",
    "rpush",
    "lpop",
    "rpop",
    "sadd",
    "spop",
    "hset",
    "zadd",
    "zpopmin",
];
/// Different keys of a run, at most.
const KEYS: u64 = 100_000;
/// The same where a store has room for a part of them.
const KEYS_TO_EVICT: u64 = 2_000_000;
/// What the values of all keys take together, at most, in bytes.
const DATA: u64 = 256 << 20;

/// What the contestants speak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Wire {
    /// The Redis protocol.
    Redis,
    /// memcached's text protocol.
    Memcached,
}

/// What a run asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// What is spoken.
    pub wire: Wire,
    /// The test: redis-benchmark's names (`set`), [`memcache::run`]'s, and `mget10`, `mget100`.
    pub test: &'static str,
    /// Requests in flight on a connection.
    pub pipeline: u32,
    /// Requests in all.
    pub requests: u64,
    /// Connections.
    pub clients: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Whether it goes to the pool of four servers, not of two.
    pub wide: bool,
    /// Whether there are more keys than the contestants have room for.
    pub evicts: bool,
}

/// What the clients saw.
#[derive(Debug, PartialEq)]
pub struct Seen {
    /// Requests a second.
    pub rps: f64,
    /// Median latency, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of latency, in milliseconds.
    pub p99_ms: f64,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (test, size) = (self.test, self.value_size);
        let (pipeline, clients) = (self.pipeline, self.clients);
        write!(f, "{test} P={pipeline} c={clients} {size} B")?;
        match self.evicts {
            true => write!(f, " with eviction"),
            false => Ok(()),
        }
    }
}

impl Load {
    /// Runs it against a port of 127.0.0.1.
    pub fn run(&self, port: u16) -> Result<Seen> {
        match self.wire {
            Wire::Redis => self.redis_benchmark(port),
            Wire::Memcached => memcache::run(self, port),
        }
    }

    /// Makes ready what the runs ask for.
    pub fn prepare(&self, port: u16) -> Result<()> {
        let fill = Load {
            test: "set",
            pipeline: 16,
            // Keys are drawn: nineteen in twenty are there then, or as many as there is room for.
            requests: if self.evicts { 1 } else { 3 } * self.keys(),
            clients: CLIENTS,
            ..*self
        };
        match self.wire {
            Wire::Redis => fill.redis_benchmark(port).map(drop),
            Wire::Memcached => memcache::fill(self, port),
        }
    }

    /// Whether what was made ready for another load serves this one, too.
    pub fn is_prepared_by(&self, other: &Load) -> bool {
        let data = |load: &Load| (load.wire, load.value_size, load.wide, load.evicts);
        data(self) == data(other)
    }

    /// How many different keys are asked for.
    pub fn keys(&self) -> u64 {
        match self.evicts {
            true => KEYS_TO_EVICT,
            false => KEYS.min(DATA / u64::from(self.value_size.max(1))),
        }
    }

    fn redis_benchmark(&self, port: u16) -> Result<Seen> {
        let (clients, keys) = (self.clients.to_string(), self.keys().to_string());
        let (port, pipeline) = (port.to_string(), self.pipeline.to_string());
        let (requests, size) = (self.requests.to_string(), self.value_size.to_string());
        let mut args = vec!["-p", &port, "-c", &clients, "-r", &keys, "--csv"];
        args.extend(["-P", &pipeline, "-n", &requests, "-d", &size]);
        match self.test.strip_prefix("mget") {
            None => args.extend(["-t", self.test]),
            Some(_) => {
                args.push("mget");
                args.extend((0..keys_of(self.test)).map(|_| "key:__rand_int__"));
            }
        }
        let output = output_of("redis-benchmark", &args)?;
        parse(&output).with_context(|| format!("redis-benchmark {}: {output}", args.join(" ")))
    }
}

/// How many keys each request of a test gets: 0 where it sets one.
pub fn keys_of(test: &str) -> u64 {
    let count = test.trim_start_matches(char::is_alphabetic);
    match (test.contains("get"), count.parse()) {
        (true, Ok(count)) => count,
        (true, Err(_)) => 1,
        (false, _) => 0,
    }
}

/// How many requests for one key a request of a test costs, about.
pub fn weight_of(test: &str) -> u64 {
    match test {
        "lrange_100" => 10,
        "lrange_600" => 40,
        "mset" => 5,
        _ => keys_of(test).max(1) / 2,
    }
}

/// `"SET","595238.12","1.248","0.184","1.231","2.095","2.615","4.439"` under a line of names. The
/// last line counts: LRANGE is tested after the LPUSH that it needs.
fn parse(csv: &str) -> Result<Seen> {
    let mut lines = csv.lines().filter(|line| line.starts_with('"'));
    let names = fields(lines.next().context("no CSV")?);
    let values = fields(lines.next_back().context("no result")?);
    let number = |name: &str| -> Result<f64> {
        let at = names
            .iter()
            .position(|n| *n == name)
            .with_context(|| format!("no {name}"))?;
        let number: f64 = values.get(at).context("a short line")?.parse()?;
        ensure!(number.is_finite(), "{name} is {number}");
        Ok(number)
    };
    let (p50_ms, p99_ms) = (number("p50_latency_ms")?, number("p99_latency_ms")?);
    Ok(Seen {
        rps: number("rps")?,
        p50_ms,
        p99_ms,
    })
}

fn fields(line: &str) -> Vec<&str> {
    line.split(',')
        .map(|field| field.trim_matches('"'))
        .collect()
}

#[test]
fn csv_is_read_by_its_names() {
    let names = "\"test\",\"rps\",\"avg_latency_ms\",\"p50_latency_ms\",\"p99_latency_ms\"";
    let line = "\"SET\",\"595238.12\",\"1.248\",\"1.231\",\"2.615\"";
    let seen = Seen {
        rps: 595238.12,
        p50_ms: 1.231,
        p99_ms: 2.615,
    };
    assert_eq!(
        parse(&format!("WARNING: x\n{names}\n{line}\n")).unwrap(),
        seen
    );
    assert!(parse(&format!("{names}\n")).is_err());
    assert!(parse(&format!("{names}\n\"SET\",\"1\"\n")).is_err());
    assert!(parse("Could not connect to Redis").is_err());
}

#[test]
fn keys_of_tests() {
    let tests = ["set", "get", "get10", "mget100", "incr"];
    assert_eq!(tests.map(keys_of), [0, 1, 10, 100, 0]);
}
