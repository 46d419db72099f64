//! What a second thread gives. Clients that do next to nothing send long pipelines, so that where
//! there are only two cores nearly all of both is the server's: their batches are written
//! beforehand, and of the replies only the bytes are counted. Their part remains, and differs
//! between runs; so the processor's time for a request tells what two threads could do beside
//! clients elsewhere.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::batches::{Client, push};
use crate::kernel::{Machine, cpu_ns};
use crate::process::{Process, free_port};
use crate::{heeler, heeler_store};

/// Keys of each kind.
const KEYS: u64 = 100_000;
/// Batches of a client, which it sends in turn.
const BATCHES: usize = 32;

#[derive(Args)]
pub struct Options {
    /// Requests of a run.
    #[arg(long, default_value_t = 4_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Rounds; what is shown is the median of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Requests in flight on a connection.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pipeline: u32,
    /// Connections.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// The program to measure. [beside this one]
    #[arg(long, value_name = "PATH")]
    heeler: Option<std::path::PathBuf>,
}

/// A test's name, and its request, in which `?` stands for a key's number.
const TESTS: [(&str, &str); 6] = [
    ("set", "SET key:? VALUE"),
    ("get", "GET key:?"),
    ("incr", "INCR counter:?"),
    (
        "mget of 10",
        "MGET key:? key:? key:? key:? key:? key:? key:? key:? key:? key:?",
    ),
    ("hset", "HSET hash:? field VALUE"),
    ("zadd", "ZADD ranking:? ? member"),
];

/// What is there before: so that each reply to a test's request is as long as the last one.
const BEFORE: [&str; 4] = [
    "SET key:? VALUE",
    "SET counter:? 1000000000",
    "HSET hash:? field VALUE",
    "ZADD ranking:? 1 member",
];

/// What a run took.
#[derive(Clone, Copy)]
struct Run {
    /// Requests a second.
    rate: f64,
    /// Seconds of processor time for a million requests.
    cpu: f64,
}

/// Measures a server with one thread beside one with two.
pub fn run(options: &Options) -> Result<()> {
    let heeler = heeler(options.heeler.as_deref())?;
    println!(
        "{}\n",
        Machine::read(&[("heeler", &[&heeler, "--version"])])?
    );
    let servers = [server(&heeler, "1")?, server(&heeler, "2")?];
    println!(
        "| test | 1 thread, requests/s | 2 threads | × | CPU s/M, 1 thread | 2 threads | × by CPU |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, request) in TESTS {
        let mut runs = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            for (server, runs) in servers.iter().zip(&mut runs) {
                runs.push(measure(server, options, request)?);
            }
        }
        let [one, two] = runs.map(median);
        println!(
            "| {name} | {:.0} | {:.0} | {:.2} | {:.3} | {:.3} | {:.2} |",
            one.rate,
            two.rate,
            two.rate / one.rate,
            one.cpu,
            two.cpu,
            2.0 * one.cpu / two.cpu,
        );
    }
    Ok(())
}

/// A server with keys, and its port.
fn server(heeler: &str, threads: &str) -> Result<(Process, u16)> {
    let port = free_port()?;
    let process = heeler_store(heeler, port, &["--threads", threads])?;
    let mut client = Client::connect(port)?;
    for template in BEFORE {
        for first in (0..KEYS).step_by(1000) {
            let mut batch = Vec::new();
            (first..first + 1000).for_each(|key| push(&filled(template, || key), &mut batch));
            client.exchange(&batch, 1000)?;
        }
    }
    Ok((process, port))
}

fn filled(template: &str, mut key: impl FnMut() -> u64) -> String {
    let mut parts = template.split('?');
    let mut text = parts.next().unwrap_or_default().to_string();
    parts.for_each(|part| text += &format!("{:012}{part}", key()));
    text.replace("VALUE", &"v".repeat(100))
}

fn measure((process, port): &(Process, u16), options: &Options, request: &str) -> Result<Run> {
    let mut clients = (0..options.clients)
        .map(|seed| Load::new(*port, request, options.pipeline, u64::from(seed)))
        .collect::<Result<Vec<_>>>()?;
    let in_turn = u64::from(options.pipeline) * u64::from(options.clients);
    let batches = (options.requests / in_turn).max(1);
    let start = Barrier::new(clients.len() + 1);
    let before = cpu_ns(process.pid())?;
    let mut began = Instant::now();
    thread::scope(|scope| {
        let send = |load| scope.spawn(|| send(load, batches, &start));
        let threads: Vec<_> = clients.iter_mut().map(send).collect();
        start.wait();
        began = Instant::now();
        for thread in threads {
            thread.join().ok().context("a client panicked")??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let (took, requests) = (began.elapsed().as_secs_f64(), (batches * in_turn) as f64);
    let cpu = cpu_ns(process.pid())? - before;
    Ok(Run {
        rate: requests / took,
        cpu: cpu as f64 / 1000.0 / requests,
    })
}

/// A client: its batches, and how many bytes answer each.
struct Load {
    client: Client,
    batches: Vec<(Vec<u8>, usize)>,
}

impl Load {
    fn new(port: u16, request: &str, pipeline: u32, seed: u64) -> Result<Load> {
        let mut client = Client::connect(port)?;
        let mut random = fastrand::Rng::with_seed(seed);
        let batch = |_| {
            let mut batch = Vec::new();
            for _ in 0..pipeline {
                push(&filled(request, || random.u64(..KEYS)), &mut batch);
            }
            let bytes = client.length_of_replies(&batch)?;
            Ok((batch, bytes))
        };
        let batches = (0..BATCHES).map(batch).collect::<Result<_>>()?;
        Ok(Load { client, batches })
    }
}

fn send(load: &mut Load, count: u64, start: &Barrier) -> Result<()> {
    start.wait();
    let mut batches = load.batches.iter().cycle();
    for _ in 0..count {
        let (batch, bytes) = batches.next().context("there are batches")?;
        load.client.exchange_bytes(batch, *bytes)?;
    }
    Ok(())
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    runs[runs.len() / 2]
}

#[test]
fn each_key_of_a_template_is_another() {
    let mut keys = 7..;
    let text = filled("MGET a:? b:?", || keys.next().unwrap());
    assert_eq!(text, "MGET a:000000000007 b:000000000008");
}
