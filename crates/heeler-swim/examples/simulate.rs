//! Prints how clusters of several sizes behave in virtual time:
//!
//!     cargo run --release -p heeler-swim --example simulate -- [MEMBERS...]
//!
//! and then how long a member needs to take a list of a thousand.
//!
//! Ten thousand members hold a hundred million entries, for which they need about 12 GB of memory.

#[allow(dead_code)]
#[path = "../tests/simulation/network.rs"]
mod network;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use heeler_swim::{Config, Endpoint, Input, Lifeguard, Now, Status, Swim};
use network::{Network, WALL_MS, address};

/// A cold start of more takes too long: each tells all others of itself.
const COLD: usize = 1000;

fn main() -> ExitCode {
    let sizes: Result<Vec<usize>, _> = std::env::args().skip(1).map(|it| it.parse()).collect();
    let sizes = match sizes {
        Ok(sizes) if sizes.is_empty() => vec![5, 10, 100, 1000],
        Ok(sizes) if sizes.iter().all(|n| (2..=10_000).contains(n)) => sizes,
        _ => {
            eprintln!("usage: simulate [MEMBERS...]: numbers from 2 to 10000");
            return ExitCode::FAILURE;
        }
    };
    let columns = [
        "members",
        "loss",
        "Lifeguard",
        "converged",
        "faulty everywhere",
        "given up wrongly",
        "bytes per node and second",
    ];
    println!("| {} |", columns.join(" | "));
    println!("| --: | --: | --- | --: | --: | --: | --: |");
    for n in sizes {
        let rows = [(0.0, false), (0.05, false), (0.05, true)];
        // Each full sync of ten thousand is a megabyte, and under loss there are many.
        for &(loss, guard) in rows.iter().take(if n > COLD { 1 } else { rows.len() }) {
            let start = Instant::now();
            row(n, loss, guard);
            eprintln!("    ({n} members took {:.1?} to simulate)", start.elapsed());
        }
    }
    let took: Vec<Duration> = (0..20).map(take_a_thousand).collect();
    let least = took.iter().min().unwrap_or(&Duration::ZERO);
    println!("\nOne message with 1000 new members is taken in {least:.2?} (best of 20).");
    ExitCode::SUCCESS
}

/// How long a ping with a thousand new members takes, from its bytes to the answer's.
fn take_a_thousand(seed: u64) -> Duration {
    let now = Now {
        ms: 1000,
        wall_ms: WALL_MS,
    };
    let config = Config::new("simulation", address(0));
    let mut swim = Swim::new(config, now, seed).expect("a sound config");
    let mut out = Vec::new();
    swim.handle(now, Input::Seeds(vec![address(0)]), &mut out);
    let claim = format!(r#""status":"alive","incarnationNumber":{WALL_MS}"#);
    let source = format!(r#""source":"{}","sourceIncarnationNumber":1"#, address(1));
    let changes: Vec<String> = (1..=1000)
        .map(|i| format!(r#"{{{source},"address":"{}",{claim}}}"#, address(i)))
        .collect();
    let changes = changes.join(",");
    let body = format!(r#"{{"checksum":1,"changes":[{changes}],{source}}}"#);
    let start = Instant::now();
    let (token, endpoint) = (1, Endpoint::Ping);
    let body = body.as_bytes();
    swim.handle(
        now,
        Input::Request {
            token,
            endpoint,
            body,
        },
        &mut out,
    );
    let took = start.elapsed();
    assert_eq!(swim.known(), 1001);
    took
}

fn row(n: usize, loss: f64, guard: bool) {
    let configure = |config: &mut Config| {
        config.lifeguard = guard.then(Lifeguard::default);
    };
    let converged = if n > COLD {
        "-".into()
    } else {
        seconds(converge(n, loss, &configure))
    };
    let mut network = Network::new(n as u64);
    network.keep_events = false;
    let mut network = network.warmed(n, configure);
    network.weather.loss = loss;
    // Until everybody has told of itself often enough.
    network.run(20_000);
    network.healthy = (0..n).map(address).collect();
    let (bytes, start) = (network.bytes(), network.now);
    network.run(if n < COLD { 60_000 } else { 10_000 });
    let bytes = (network.bytes() - bytes) * 1000 / (network.now - start) / n as u64;
    let mut given_up: Vec<&String> = network.false_positives.iter().map(|(_, who)| who).collect();
    given_up.sort();
    given_up.dedup();
    let given_up = given_up.len();
    network.crash(0);
    let gone = network.until(50, 120_000, |it| it.everywhere(&address(0), Status::Faulty));
    let guard = if guard { "on" } else { "off" };
    let (loss, gone) = (loss * 100.0, seconds(gone));
    println!("| {n} | {loss} % | {guard} | {converged} | {gone} | {given_up} | {bytes} |");
}

fn converge(n: usize, loss: f64, configure: &impl Fn(&mut Config)) -> Option<u64> {
    let mut network = Network::new(n as u64);
    network.keep_events = false;
    network.weather.loss = loss;
    let mut network = network.chilled(n, configure);
    network.until(10, 120_000, |it| {
        it.converged() && it.up().all(|(_, swim)| swim.count(Status::Alive) == n)
    })
}

fn seconds(ms: Option<u64>) -> String {
    ms.map_or("never".into(), |ms| format!("{:.2} s", ms as f64 / 1000.0))
}
