//! Calls of the key-value service, a second.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use heeler_ring::Member;
use heeler_ringpop::Request;
use heeler_ringpop::channel::{Channel, Peer};
use serde::Serialize;

use super::alone;
use super::ring::{HASH, Kind, Ring};
use crate::contest::median;

/// Different keys.
const KEYS: usize = 1000;
/// Bytes of a value.
const VALUE: usize = 100;
/// Calls in flight.
const IN_FLIGHT: [usize; 3] = [1, 8, 32];
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A run before those that count: programs that compile while they run get ready.
const WARM_UP: Duration = Duration::from_secs(1);

/// Where the keys are of which a member is asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// With the only member.
    Local,
    /// Everywhere in a ring of three.
    Mixed,
    /// With the other two of three.
    Forwarded,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Load {
    pub place: Place,
    pub endpoint: &'static str,
    pub in_flight: usize,
}

/// One run of one contestant.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub calls_per_s: f64,
    /// CPU seconds of all members together for a million calls.
    pub cpu_s_per_million: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// All runs of one load on one contestant.
#[derive(Debug, Serialize)]
pub struct Cell {
    pub load: Load,
    pub who: &'static str,
    /// The median of each number.
    pub median: Run,
    pub runs: Vec<Run>,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Local => "local",
            Place::Mixed => "mixed",
            Place::Forwarded => "forwarded",
        };
        write!(f, "{place} {} {}", self.endpoint, self.in_flight)
    }
}

/// Runs each load whose name has `only` in it on each kind, in turns.
pub fn run(kinds: &[Kind<'_>], rounds: u32, time: Duration, only: &str) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for (size, places) in [
        (1, &[Place::Local][..]),
        (3, &[Place::Mixed, Place::Forwarded]),
    ] {
        let loads = loads(places, only);
        if loads.is_empty() {
            continue;
        }
        let start = |kind: &Kind<'_>| Contestant::start(*kind, size);
        let contestants = kinds.iter().map(start).collect::<Result<Vec<_>>>()?;
        for load in loads {
            let mut runs = vec![Vec::new(); contestants.len()];
            for round in 1..=rounds {
                for (contestant, runs) in contestants.iter().zip(&mut runs) {
                    eprintln!("{load} on {}, round {round} of {rounds}", contestant.who);
                    runs.push(contestant.measure(load, time)?);
                }
            }
            cells.extend(contestants.iter().zip(runs).map(|(contestant, runs)| Cell {
                load,
                who: contestant.who,
                median: median_run(&runs),
                runs,
            }));
        }
    }
    Ok(cells)
}

fn loads(places: &[Place], only: &str) -> Vec<Load> {
    let mut loads = Vec::new();
    for &place in places {
        for endpoint in ["put", "get"] {
            loads.extend(IN_FLIGHT.map(|in_flight| Load {
                place,
                endpoint,
                in_flight,
            }));
        }
    }
    loads.retain(|load| load.to_string().contains(only));
    loads
}

struct Contestant {
    who: &'static str,
    ring: Ring,
    /// Of which the first member is asked, and those of them that are not its own.
    keys: [Vec<String>; 2],
}

impl Contestant {
    /// A ring that agrees, has all values, and has warmed up.
    fn start(kind: Kind<'_>, size: usize) -> Result<Contestant> {
        let mut ring = Ring::start(kind, size)?;
        alone()?.block_on(async {
            let channel = Channel::builder("bench").start().await?;
            ring.agrees(&channel).await
        })?;
        let mut owners = heeler_ring::Ring::new(HASH);
        owners.update(ring.addresses.iter().map(Member::new), &[]);
        let keys: Vec<String> = (0..KEYS).map(|n| format!("key-{n}")).collect();
        let of_others = |key: &&String| owners.lookup(key.as_bytes()) != Some(&ring.addresses[0]);
        let others = keys.iter().filter(of_others).cloned().collect();
        let contestant = Contestant {
            who: kind.name(),
            ring,
            keys: [keys, others],
        };
        for endpoint in ["put", "get"] {
            let place = Place::Mixed;
            let in_flight = 8;
            let load = Load {
                place,
                endpoint,
                in_flight,
            };
            contestant.measure(load, WARM_UP)?;
        }
        Ok(contestant)
    }

    fn measure(&self, load: Load, time: Duration) -> Result<Run> {
        let before = self.ring.cpu_ns()?;
        let keys = &self.keys[usize::from(load.place == Place::Forwarded)];
        let asked = Asked::of(load.endpoint, keys);
        let calls = call(&self.ring.addresses[0], asked, load.in_flight, time);
        let (mut took, elapsed) = alone()?.block_on(calls).with_context(|| {
            let who = self.who;
            format!("{load} on {who}")
        })?;
        let used = self.ring.cpu_ns()?.saturating_sub(before);
        took.sort_unstable();
        let calls = took.len() as f64;
        Ok(Run {
            calls_per_s: calls / elapsed.as_secs_f64(),
            cpu_s_per_million: used as f64 / 1e3 / calls,
            p50_ms: percentile(&took, 50),
            p99_ms: percentile(&took, 99),
        })
    }
}

/// Of sorted nanoseconds, in milliseconds.
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[at] as f64 / 1e6
}

/// The requests of a load, and what is to be answered.
struct Asked {
    requests: Vec<Request>,
    answer: Bytes,
    next: AtomicUsize,
}

impl Asked {
    fn of(endpoint: &'static str, keys: &[String]) -> Arc<Asked> {
        let value = "x".repeat(VALUE);
        let body = |key: &String| match endpoint {
            "put" => format!(r#"{{"key":"{key}","value":"{value}"}}"#),
            _ => format!(r#"{{"key":"{key}"}}"#),
        };
        let request = |key: &String| Request::raw("kv", "bench", endpoint, body(key));
        Arc::new(Asked {
            requests: keys.iter().map(request).collect(),
            answer: match endpoint {
                "put" => Bytes::from_static(b"\"OK\""),
                _ => format!("\"{value}\"").into(),
            },
            next: AtomicUsize::new(0),
        })
    }
}

/// Calls one member for a while over one connection, so many calls at a time. Returns how long
/// each took, in nanoseconds, and how long all.
async fn call(
    address: &str,
    asked: Arc<Asked>,
    in_flight: usize,
    time: Duration,
) -> Result<(Vec<u64>, Duration)> {
    let channel = Channel::builder("bench").start().await?;
    let peer = channel.peer(address);
    // Connects.
    peer.call(asked.requests[0].clone(), TIMEOUT).await?;
    let begun = Instant::now();
    let caller = |_| tokio::spawn(caller(peer.clone(), asked.clone(), begun + time));
    let callers: Vec<_> = (0..in_flight).map(caller).collect();
    let mut took = Vec::new();
    for caller in callers {
        took.extend(caller.await??);
    }
    Ok((took, begun.elapsed()))
}

async fn caller(peer: Peer, asked: Arc<Asked>, end: Instant) -> Result<Vec<u64>> {
    let mut took = Vec::new();
    let mut begun = Instant::now();
    // Every key is asked for at least once: what puts do so is there for gets.
    while begun < end || asked.next.load(Relaxed) < asked.requests.len() {
        let at = asked.next.fetch_add(1, Relaxed) % asked.requests.len();
        let answer = peer.call(asked.requests[at].clone(), TIMEOUT).await?;
        let right = answer.is_ok() && answer.arg3 == asked.answer;
        ensure!(right, "a wrong answer: {answer:?}");
        let now = Instant::now();
        took.push((now - begun).as_nanos() as u64);
        begun = now;
    }
    Ok(took)
}

fn median_run(runs: &[Run]) -> Run {
    let of = |number: fn(&Run) -> f64| median(runs.iter().map(number).collect());
    Run {
        calls_per_s: of(|run| run.calls_per_s),
        cpu_s_per_million: of(|run| run.cpu_s_per_million),
        p50_ms: of(|run| run.p50_ms),
        p99_ms: of(|run| run.p99_ms),
    }
}

/// Medians, a line for each load and contestant, with the ratios to the load's first contestant.
pub fn table(cells: &[Cell]) -> String {
    let mut text = format!(
        "{:<20}{:<14}{:>10}{:>10}{:>9}{:>9}{:>10}{:>8}\n",
        "kv calls", "who", "calls/s", "CPU s/M", "p50 ms", "p99 ms", "× calls/s", "× CPU"
    );
    let mut first: Option<&Cell> = None;
    for cell in cells {
        let run = &cell.median;
        let _ = write!(
            text,
            "{:<20}{:<14}{:>10.0}{:>10.2}{:>9.3}{:>9.3}",
            cell.load.to_string(),
            cell.who,
            run.calls_per_s,
            run.cpu_s_per_million,
            run.p50_ms,
            run.p99_ms
        );
        match first.filter(|first| first.load == cell.load) {
            None => first = Some(cell),
            Some(Cell { median: base, .. }) => {
                let calls = run.calls_per_s / base.calls_per_s;
                let cpu = run.cpu_s_per_million / base.cpu_s_per_million;
                let _ = write!(text, "{calls:>10.2}{cpu:>8.2}");
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn loads_are_chosen_by_their_names() {
    let places = [Place::Local, Place::Mixed];
    assert_eq!(loads(&places, "").len(), 12);
    assert_eq!(loads(&places, "local get 32").len(), 1);
    assert!(loads(&places, "forwarded").is_empty());
}

#[test]
fn percentiles() {
    let sorted: Vec<u64> = (1..=100).map(|n| n * 1_000_000).collect();
    assert_eq!(percentile(&sorted, 50), 51.0);
    assert_eq!(percentile(&sorted, 99), 100.0);
    assert_eq!(percentile(&[2_000_000], 99), 2.0);
}
