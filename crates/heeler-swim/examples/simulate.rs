//! Prints how clusters of several sizes behave in virtual time:
//!
//!     cargo run --release -p heeler-swim --example simulate -- [MEMBERS...]
//!
//! Ten thousand members hold a hundred million entries, for which they need about 12 GB of memory.

#[allow(dead_code)]
#[path = "../tests/simulation/network.rs"]
mod network;

use std::process::ExitCode;
use std::time::Instant;

use heeler_swim::{Config, Lifeguard, Status};
use network::{Network, address};

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
    println!(
        "| members | loss | Lifeguard | converged | faulty everywhere | given up wrongly | bytes per node and second |"
    );
    println!("| --: | --: | --- | --: | --: | --: | --: |");
    for n in sizes {
        for (loss, guard) in [(0.0, false), (0.05, false), (0.05, true)] {
            let start = Instant::now();
            row(n, loss, guard);
            eprintln!("    ({n} members took {:.1?} to simulate)", start.elapsed());
        }
    }
    ExitCode::SUCCESS
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
    network.run(if n > COLD { 10_000 } else { 60_000 });
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
