//! One run of requests, by redis-benchmark where the server is a Redis.

use anyhow::{Context, Result, ensure};

use crate::memcache;
use crate::process::output_of;

/// Connections of a run.
pub const CLIENTS: u32 = 50;
/// Different keys of a run.
pub const KEYS: u32 = 100_000;

/// What the contestants speak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wire {
    /// The Redis protocol.
    Redis,
    /// memcached's text protocol.
    Memcached,
}

/// What a run asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// What is spoken.
    pub wire: Wire,
    /// The test: `set`, by redis-benchmark's names or [`memcache::run`]'s.
    pub test: &'static str,
    /// Requests in flight on a connection.
    pub pipeline: u32,
    /// Requests in all.
    pub requests: u64,
    /// Bytes of a value.
    pub value_size: u32,
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
        match self.wire {
            Wire::Redis => Ok(()),
            Wire::Memcached => memcache::fill(self, port),
        }
    }

    fn redis_benchmark(&self, port: u16) -> Result<Seen> {
        let (clients, keys) = (CLIENTS.to_string(), KEYS.to_string());
        let (port, pipeline) = (port.to_string(), self.pipeline.to_string());
        let (requests, size) = (self.requests.to_string(), self.value_size.to_string());
        let mut args = vec!["-p", &port, "-c", &clients, "-r", &keys, "--csv"];
        args.extend([
            "-t", self.test, "-P", &pipeline, "-n", &requests, "-d", &size,
        ]);
        let output = output_of("redis-benchmark", &args)?;
        parse(&output).with_context(|| format!("redis-benchmark {}: {output}", args.join(" ")))
    }
}

/// `"SET","595238.12","1.248","0.184","1.231","2.095","2.615","4.439"` under a line of names.
fn parse(csv: &str) -> Result<Seen> {
    let mut lines = csv.lines().filter(|line| line.starts_with('"'));
    let names = fields(lines.next().context("no CSV")?);
    let values = fields(lines.next().context("no result")?);
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
