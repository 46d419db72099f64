//! The same call, many times: how many a second, how long they take, and how they fail.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use heeler_ringpop::channel::{Answer, Builder, Channel, ErrorCode, Limits, Peer, Request};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::flags::Bench;
use super::output;
use crate::limits;

/// What is to be done.
pub struct Load {
    /// Calls in flight at a time.
    in_flight: usize,
    /// Connections that they are spread over.
    connections: usize,
    /// The pause between batches of calls, if they go in batches.
    delay: Option<Duration>,
    requests: Option<u64>,
    time: Option<Duration>,
}

/// Calls in flight, if nothing is said.
const IN_FLIGHT: usize = 32;
/// How long, if neither a time nor a number of calls is said.
const TIME: Duration = Duration::from_secs(10);
/// The same with `--rate`, which is tcurl's.
const BATCHES_TIME: Duration = Duration::from_secs(30);
/// The pause between batches, if nothing is said: tcurl's.
const DELAY: Duration = Duration::from_millis(100);
/// Longer latencies count as this one: an hour.
const LONGEST_MICROS: u64 = 3_600_000_000;
/// The pause after a call that could not be sent.
const UNSENT: Duration = Duration::from_millis(20);

impl Load {
    /// What the flags ask for, if they ask for many calls. Each peer has at least one connection.
    ///
    /// # Errors
    ///
    /// An end is said for what is one call.
    pub fn of(flags: &Bench, peers: usize) -> anyhow::Result<Option<Self>> {
        if !flags.bench && flags.rate.is_none() {
            let endless = flags.requests.is_none() && flags.time.is_none();
            ensure!(
                endless,
                "--requests and --time are for many calls: add --bench or --rate"
            );
            return Ok(None);
        }
        let in_flight = flags.rate.or(flags.in_flight).unwrap_or(IN_FLIGHT);
        let connections = flags.connections.unwrap_or(1).max(peers);
        let time = if flags.rate.is_some() {
            BATCHES_TIME
        } else {
            TIME
        };
        Ok(Some(Load {
            in_flight: in_flight.max(connections),
            connections,
            delay: flags.rate.map(|_| flags.delay.unwrap_or(DELAY)),
            requests: flags.requests,
            time: flags.time.or(flags.requests.is_none().then_some(time)),
        }))
    }
}

/// A call that is made again and again.
#[derive(Clone)]
pub struct Target {
    /// Where.
    pub peers: Vec<String>,
    /// What.
    pub request: Request,
    /// How long one may take.
    pub timeout: Duration,
}

/// Makes the calls, on as many threads as there are cores or connections, and says what came of
/// them. An interrupt ends it early.
///
/// # Errors
///
/// A peer cannot be reached at all, or there are no threads.
pub fn run(load: &Load, target: &Target, builder: &Builder) -> anyhow::Result<Report> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(load.connections);
    let run = Arc::new(Run::new(load));
    let barrier = std::sync::Barrier::new(threads);
    let results: Vec<anyhow::Result<Duration>> = std::thread::scope(|scope| {
        let start = |thread: usize| {
            let (run, barrier) = (run.clone(), &barrier);
            let connections: Vec<usize> = (thread..load.connections).step_by(threads).collect();
            move || on_thread(&run, load, target, builder, &connections, barrier)
        };
        let handles: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(start(thread)))
            .collect();
        let joined = handles.into_iter().map(|handle| handle.join());
        joined
            .map(|done| done.unwrap_or_else(|_| anyhow::bail!("a thread died")))
            .collect()
    });
    let mut elapsed = Duration::ZERO;
    for result in results {
        elapsed = elapsed.max(result?);
    }
    let tally = std::mem::replace(&mut *run.tally.lock(), Tally::new());
    Ok(Report {
        tally,
        elapsed,
        in_flight: load.in_flight,
        connections: load.connections,
    })
}

/// What all threads share.
struct Run {
    /// Calls that may still be made.
    left: AtomicU64,
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

impl Run {
    fn new(load: &Load) -> Self {
        Run {
            left: AtomicU64::new(load.requests.unwrap_or(u64::MAX)),
            stop: AtomicBool::new(false),
            tally: Mutex::new(Tally::new()),
        }
    }

    /// Takes the right to make a call, if there is one left and it is not time to stop.
    fn may_call(&self, end: Option<Instant>) -> bool {
        let late = end.is_some_and(|end| Instant::now() >= end);
        if late || self.stop.load(Relaxed) {
            return false;
        }
        let one_less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Relaxed, Relaxed, one_less).is_ok()
    }
}

fn on_thread(
    run: &Arc<Run>,
    load: &Load,
    target: &Target,
    builder: &Builder,
    connections: &[usize],
    barrier: &std::sync::Barrier,
) -> anyhow::Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let opened = runtime.context("no runtime").and_then(|runtime| {
        let opened = runtime.block_on(open(run, load, target, builder, connections));
        opened.map(|peers| (runtime, peers))
    });
    // Who has failed must not keep the others waiting, and there is nothing to do for them.
    if opened.is_err() {
        run.stop.store(true, Relaxed);
    }
    barrier.wait();
    let (runtime, peers) = opened?;
    let begun = Instant::now();
    let end = load.time.map(|time| begun + time);
    runtime.block_on(async {
        if connections.first() == Some(&0) {
            tokio::spawn(stop_on_interrupt(run.clone()));
        }
        let mut callers = JoinSet::new();
        for (connection, (_channel, peer)) in connections.iter().zip(&peers) {
            let caller = Caller {
                run: run.clone(),
                peer: peer.clone(),
                target: target.clone(),
                end,
            };
            let in_flight = share(load, *connection);
            match load.delay {
                Some(delay) => drop(callers.spawn(caller.batches(in_flight, delay))),
                None => (0..in_flight).for_each(|_| drop(callers.spawn(caller.clone().calls()))),
            }
        }
        while callers.join_next().await.is_some() {}
    });
    let elapsed = begun.elapsed();
    runtime.shutdown_background();
    Ok(elapsed)
}

/// The calls in flight on one of the connections.
fn share(load: &Load, connection: usize) -> usize {
    let (each, more) = (
        load.in_flight / load.connections,
        load.in_flight % load.connections,
    );
    each + usize::from(connection < more)
}

/// Opens connections by a call over each, which is not measured.
async fn open(
    run: &Run,
    load: &Load,
    target: &Target,
    builder: &Builder,
    connections: &[usize],
) -> anyhow::Result<Vec<(Channel, Peer)>> {
    let mut peers = Vec::new();
    for connection in connections {
        let limits = Limits {
            outbound_calls: share(load, *connection).max(1),
            ..Limits::default()
        };
        let channel = builder.clone().limits(limits).start().await?;
        let peer = channel.peer(&target.peers[connection % target.peers.len()]);
        if run.may_call(None) {
            let answer = peer.call(target.request.clone(), target.timeout).await;
            let failed = channel.counters().connections_failed > 0;
            if let (Err(failure), true) = (&answer, failed) {
                anyhow::bail!("{}", failure.message);
            }
            run.tally.lock().count(&answer, None);
        }
        peers.push((channel, peer));
    }
    Ok(peers)
}

async fn stop_on_interrupt(run: Arc<Run>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        run.stop.store(true, Relaxed);
    }
}

#[derive(Clone)]
struct Caller {
    run: Arc<Run>,
    peer: Peer,
    target: Target,
    end: Option<Instant>,
}

impl Caller {
    /// One call after the other.
    async fn calls(self) {
        while self.run.may_call(self.end) {
            self.once().await;
        }
    }

    /// So many calls at once, and when all are answered, a pause.
    async fn batches(self, calls: usize, delay: Duration) {
        loop {
            let mut batch = JoinSet::new();
            for _ in 0..calls {
                if !self.run.may_call(self.end) {
                    break;
                }
                let caller = self.clone();
                batch.spawn(async move { caller.once().await });
            }
            if batch.is_empty() {
                return;
            }
            while batch.join_next().await.is_some() {}
            tokio::time::sleep(delay).await;
        }
    }

    async fn once(&self) {
        let begun = Instant::now();
        let answer = self
            .peer
            .call(self.target.request.clone(), self.target.timeout)
            .await;
        self.run.tally.lock().count(&answer, Some(begun.elapsed()));
        if answer.is_err_and(|failure| failure.code == ErrorCode::Network) {
            // So that a peer that is away is not asked without a pause.
            tokio::time::sleep(UNSENT).await;
        }
    }
}

/// What has been counted.
struct Tally {
    calls: u64,
    /// Calls whose time was measured.
    measured: u64,
    answered: u64,
    /// Of calls that were answered, in microseconds.
    latencies: Histogram<u64>,
    /// By their kind: how many, the exit code, and what one of them says.
    errors: BTreeMap<String, (u64, u8, String)>,
}

impl Tally {
    fn new() -> Self {
        Tally {
            calls: 0,
            measured: 0,
            answered: 0,
            // Bounds and digits that a histogram may have.
            latencies: Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("these bounds"),
            errors: BTreeMap::new(),
        }
    }

    /// `took` is `None` for a call that is not to be measured.
    fn count(&mut self, answer: &Answer, took: Option<Duration>) {
        self.calls += 1;
        self.measured += u64::from(took.is_some());
        let error = match answer {
            Ok(response) if response.is_ok() => {
                self.answered += 1;
                None
            }
            Ok(response) => {
                let said = String::from_utf8_lossy(&response.arg3);
                let said = said.chars().take(limits::SHOWN_BYTES).collect();
                Some(("error of the application".into(), output::NOT_OK, said))
            }
            Err(failure) => {
                let code = output::exit_code(failure.code);
                Some((failure.code.to_string(), code, failure.message.clone()))
            }
        };
        if let (Ok(_), Some(took)) = (answer, took) {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(micros.max(1));
        }
        if let Some((kind, code, said)) = error {
            self.errors.entry(kind).or_insert((0, code, said)).0 += 1;
        }
    }
}

/// What came of it, for people.
pub struct Report {
    tally: Tally,
    elapsed: Duration,
    in_flight: usize,
    connections: usize,
}

impl Report {
    /// 0, or that of the errors that were most.
    pub fn exit_code(&self) -> u8 {
        let errors = self.tally.errors.values();
        errors
            .max_by_key(|(count, ..)| *count)
            .map_or(0, |(_, code, _)| *code)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            calls,
            measured,
            answered,
            latencies,
            errors,
        } = &self.tally;
        let seconds = self.elapsed.as_secs_f64();
        let rate = *measured as f64 / seconds.max(1e-9);
        let over = match self.connections {
            1 => "1 connection".to_owned(),
            n => format!("{n} connections"),
        };
        writeln!(
            f,
            "calls      {calls} in {seconds:.2} s, {rate:.0} a second"
        )?;
        writeln!(f, "in flight  {} over {over}", self.in_flight)?;
        writeln!(f, "ok         {answered}")?;
        if !latencies.is_empty() {
            let ms = |micros: u64| micros as f64 / 1000.0;
            let mut line = format!("min {:.3}", ms(latencies.min()));
            for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
                let value = ms(latencies.value_at_quantile(quantile));
                write!(line, "  {name} {value:.3}")?;
            }
            let (max, mean) = (ms(latencies.max()), latencies.mean() / 1000.0);
            writeln!(f, "latency    {line}  max {max:.3}  mean {mean:.3} ms")?;
        }
        for (kind, (count, _, said)) in errors {
            writeln!(f, "failed     {count} {kind}, such as: {said}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use heeler_ringpop::channel::{Failure, Response};

    use super::*;

    fn report() -> Report {
        let mut tally = Tally::new();
        tally.count(&Ok(Response::raw("")), None);
        for ms in 1..=100 {
            tally.count(&Ok(Response::raw("")), Some(Duration::from_millis(ms)));
        }
        tally.count(
            &Ok(Response::json("{}").error()),
            Some(Duration::from_millis(1)),
        );
        for _ in 0..2 {
            let failure = Failure::here(ErrorCode::Timeout, "too late");
            tally.count(&Err(failure), Some(Duration::from_secs(9)));
        }
        Report {
            tally,
            elapsed: Duration::from_secs(2),
            in_flight: 8,
            connections: 2,
        }
    }

    #[test]
    fn reports() {
        let text = report().to_string();
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            "calls      104 in 2.00 s, 52 a second",
            "in flight  8 over 2 connections",
            "ok         101",
            "latency    min 1.000  p50 50.015  p90 90.047  p99 99.007  p99.9 100.031  max 100.031  \
             mean 50.013 ms",
            "failed     1 error of the application, such as: {}",
            "failed     2 timeout, such as: too late",
        ];
        assert_eq!(lines, expected);
        assert_eq!(report().exit_code(), 1);
    }

    #[test]
    fn loads() {
        let flags = Bench::default();
        assert!(Load::of(&flags, 1).unwrap().is_none());
        let bench = Bench {
            bench: true,
            ..Bench::default()
        };
        let load = Load::of(&bench, 3).unwrap().unwrap();
        assert_eq!((load.in_flight, load.connections), (32, 3));
        assert_eq!((load.time, load.delay), (Some(TIME), None));
        assert_eq!([0, 1, 2].map(|c| share(&load, c)), [11, 11, 10]);
        let rate = Bench {
            rate: Some(5),
            requests: Some(10),
            ..Bench::default()
        };
        let load = Load::of(&rate, 1).unwrap().unwrap();
        assert_eq!((load.in_flight, load.connections), (5, 1));
        assert_eq!((load.time, load.delay), (None, Some(DELAY)));
        let one = Bench {
            time: Some(TIME),
            ..Bench::default()
        };
        assert!(Load::of(&one, 1).is_err());
    }
}
