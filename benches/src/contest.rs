//! The same loads for each contestant, in turns.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::kernel::{cpu_ns, rss_kib};
use crate::load::Load;
use crate::process::Process;

/// A server under load.
pub struct Contestant {
    /// What the table calls it.
    pub name: String,
    /// Where it listens: before two servers, if it is a proxy.
    pub port: u16,
    /// Where it listens before four servers; the same, if it is not a proxy.
    pub wide_port: u16,
    /// The process whose CPU time and memory count.
    pub process: Process,
    /// Others whose CPU time and memory count as well.
    pub with: Vec<Process>,
}

/// One run of one contestant.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Requests a second.
    pub rps: f64,
    /// CPU seconds of the contestant's process for a million requests.
    pub cpu_s_per_million: f64,
    /// Median latency, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of latency, in milliseconds.
    pub p99_ms: f64,
    /// Memory in RAM after the run, in KiB.
    pub rss_kib: f64,
}

/// All runs of one load on one contestant.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// What was asked for.
    pub load: Load,
    /// The contestant's name.
    pub who: String,
    /// The median of each number.
    pub median: Run,
    /// A run for each round, in order.
    pub runs: Vec<Run>,
}

/// Runs every load `rounds` times on every contestant, one after the other in each round.
pub fn run(contestants: &[Contestant], loads: &[Load], rounds: u32) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    let mut prepared: Option<&Load> = None;
    for load in loads {
        if !prepared.is_some_and(|before| load.is_prepared_by(before)) {
            warm_up(contestants, load)?;
            prepared = Some(load);
        }
        let mut runs = vec![Vec::new(); contestants.len()];
        for round in 1..=rounds {
            for (contestant, runs) in contestants.iter().zip(&mut runs) {
                let what = format!("{load} on {}", contestant.name);
                eprintln!("{what}, round {round} of {rounds}");
                runs.push(measure(contestant, load).context(what)?);
            }
        }
        cells.extend(contestants.iter().zip(runs).map(|(contestant, runs)| Cell {
            load: load.clone(),
            who: contestant.name.clone(),
            median: median_run(&runs),
            runs,
        }));
    }
    Ok(cells)
}

fn warm_up(contestants: &[Contestant], load: &Load) -> Result<()> {
    for contestant in contestants {
        load.prepare(contestant.port_for(load))?;
        let few = Load {
            requests: load.requests.min(20_000),
            ..load.clone()
        };
        measure(contestant, &few)?;
    }
    Ok(())
}

impl Contestant {
    /// A server that answers by itself.
    pub fn alone(name: impl Into<String>, port: u16, process: Process) -> Contestant {
        Contestant {
            name: name.into(),
            port,
            wide_port: port,
            process,
            with: Vec::new(),
        }
    }

    fn port_for(&self, load: &Load) -> u16 {
        if load.wide { self.wide_port } else { self.port }
    }
}

fn measure(contestant: &Contestant, load: &Load) -> Result<Run> {
    let with = contestant.with.iter();
    let pids: Vec<u32> = with
        .chain([&contestant.process])
        .map(Process::pid)
        .collect();
    let cpu = || pids.iter().map(|pid| cpu_ns(*pid)).sum::<Result<u64>>();
    let before = cpu()?;
    let seen = load.run(contestant.port_for(load))?;
    let used = cpu()?.saturating_sub(before);
    Ok(Run {
        rps: seen.rps,
        cpu_s_per_million: used as f64 / 1e3 / load.requests as f64,
        p50_ms: seen.p50_ms,
        p99_ms: seen.p99_ms,
        rss_kib: pids.iter().map(|pid| rss_kib(*pid)).sum::<Result<u64>>()? as f64,
    })
}

fn median_run(runs: &[Run]) -> Run {
    let of = |number: fn(&Run) -> f64| median(runs.iter().map(number).collect());
    Run {
        rps: of(|run| run.rps),
        cpu_s_per_million: of(|run| run.cpu_s_per_million),
        p50_ms: of(|run| run.p50_ms),
        p99_ms: of(|run| run.p99_ms),
        rss_kib: of(|run| run.rss_kib),
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let (low, high) = ((numbers.len() - 1) / 2, numbers.len() / 2);
    (numbers[low] + numbers[high]) / 2.0
}

#[test]
fn medians() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
    assert_eq!(median(vec![7.0]), 7.0);
}
