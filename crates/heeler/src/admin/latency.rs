//! LATENCY: samples of what took long, by event, and histograms of how long commands take.
//!
//! Events are `command` and `fast-command` (by Redis's flag), and `expire-cycle` and
//! `eviction-cycle`, rounds of the background that remove keys whose time is up, or that are too
//! many. What takes at least `latency-monitor-threshold`
//! milliseconds becomes a sample; of one second only the longest is kept, as in Redis.

mod report;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::clock;
use crate::command::{Command, Flags, Id, Reply, Spec, TABLE, find, find_subcommand, subcommands};
use crate::limits;
use crate::stats::CommandStats;

/// A round of the background that removes keys.
pub const EXPIRE_CYCLE: &str = "expire-cycle";

/// A round of the background that evicts keys.
pub const EVICTION_CYCLE: &str = "eviction-cycle";

/// What took long.
#[derive(Debug)]
pub struct Latency {
    /// In milliseconds; zero: nothing is watched.
    threshold: AtomicU64,
    /// Whether histograms are kept.
    tracks: AtomicBool,
    /// Which of a hundred INFO tells of.
    percentiles: Mutex<Vec<f64>>,
    events: Mutex<BTreeMap<&'static str, Event>>,
}

/// The latest samples of an event.
#[derive(Debug, Default)]
struct Event {
    /// The oldest first.
    samples: VecDeque<Sample>,
    /// The longest that there has been.
    most: u64,
}

/// At this time, in seconds since 1970, something took so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    time: u64,
    took: u64,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            threshold: AtomicU64::new(0),
            tracks: AtomicBool::new(true),
            percentiles: Mutex::new(vec![50.0, 99.0, 99.9]),
            events: Mutex::default(),
        }
    }
}

impl Latency {
    /// From how many milliseconds on something is a sample; zero: nothing is.
    pub fn threshold(&self) -> u64 {
        self.threshold.load(Relaxed)
    }

    /// What takes so many milliseconds is a sample from now on; zero: nothing is.
    pub fn set_threshold(&self, milliseconds: u64) {
        self.threshold.store(milliseconds, Relaxed);
    }

    /// Whether histograms of commands are kept.
    pub fn tracks(&self) -> bool {
        self.tracks.load(Relaxed)
    }

    /// Whether they shall be from now on.
    pub fn track(&self, tracks: bool) {
        self.tracks.store(tracks, Relaxed);
    }

    /// Which percentiles INFO tells of.
    pub fn percentiles(&self) -> Vec<f64> {
        self.percentiles.lock().clone()
    }

    /// It tells of these from now on.
    pub fn tell_percentiles(&self, percentiles: Vec<f64>) {
        *self.percentiles.lock() = percentiles;
    }

    /// A command has taken so many microseconds, at `now` in milliseconds since 1970.
    #[inline]
    pub fn command(&self, now: u64, spec: &Spec, micros: u64) {
        let threshold = self.threshold();
        if threshold > 0 && micros / 1000 >= threshold {
            let is_fast = spec.flags.has(Flags::FAST);
            let event = if is_fast { "fast-command" } else { "command" };
            self.add(event, now, micros / 1000);
        }
    }

    /// Does something that is an event if it takes long.
    pub fn watch<T>(&self, event: &'static str, work: impl FnOnce() -> T) -> T {
        if self.threshold() == 0 {
            return work();
        }
        let began = clock::ticks();
        let done = work();
        let millis = clock::ticks().saturating_sub(began) / 1000;
        if millis >= self.threshold().max(1) {
            self.add(event, clock::now(), millis);
        }
        done
    }

    #[cold]
    fn add(&self, event: &'static str, now: u64, took: u64) {
        let time = now / 1000;
        let mut events = self.events.lock();
        let event = events.entry(event).or_default();
        event.most = event.most.max(took);
        match event.samples.back_mut() {
            Some(last) if last.time == time => last.took = last.took.max(took),
            _ => {
                if event.samples.len() == limits::LATENCY_SAMPLES {
                    event.samples.pop_front();
                }
                event.samples.push_back(Sample { time, took });
            }
        }
    }

    /// Answers one of LATENCY's subcommands.
    pub(super) fn answer(&self, now: u64, stats: &CommandStats, command: &Command<'_>) -> Reply {
        match command.spec.id {
            Id::LatencyDoctor => self.doctor(),
            Id::LatencyGraph => self.graph(now, command.arg(2)),
            Id::LatencyHistogram => histograms(stats, command),
            Id::LatencyHistory => self.history(command.arg(2)),
            Id::LatencyLatest => self.latest(),
            Id::LatencyReset => self.reset(command),
            Id::LatencyHelp => report::help(),
            _ => command.unknown(|_| false),
        }
    }

    fn latest(&self) -> Reply {
        let events = self.events.lock();
        let told = |(name, event): (&&str, &Event)| {
            let last = event.samples.back()?;
            let numbers = [last.time, last.took, event.most].map(int);
            Some(Reply::Array(
                [Reply::bulk(name)].into_iter().chain(numbers).collect(),
            ))
        };
        Reply::Array(events.iter().filter_map(told).collect())
    }

    fn history(&self, event: &[u8]) -> Reply {
        let events = self.events.lock();
        let found = std::str::from_utf8(event).ok().and_then(|e| events.get(e));
        let samples = found.into_iter().flat_map(|event| &event.samples);
        let told = |s: &Sample| Reply::Array(vec![int(s.time), int(s.took)]);
        Reply::Array(samples.map(told).collect())
    }

    fn reset(&self, command: &Command<'_>) -> Reply {
        let mut events = self.events.lock();
        let before = events.len();
        match command.len() {
            2 => events.clear(),
            _ => events.retain(|name, _| !command.args(2).any(|n| n == name.as_bytes())),
        }
        int((before - events.len()) as u64)
    }

    fn graph(&self, now: u64, name: &[u8]) -> Reply {
        let events = self.events.lock();
        let found = events.iter().find(|(known, _)| known.as_bytes() == name);
        match found {
            Some((name, event)) => Reply::Text(report::graph(now / 1000, name, event)),
            None => {
                let name = String::from_utf8_lossy(name);
                Reply::error(format!("ERR No samples available for event '{name}'"))
            }
        }
    }

    fn doctor(&self) -> Reply {
        Reply::Text(report::doctor(self.threshold(), &self.events.lock()))
    }
}

fn int(number: u64) -> Reply {
    Reply::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// LATENCY HISTOGRAM [command …]: of those that were timed, cumulative counts by powers of two.
fn histograms(stats: &CommandStats, command: &Command<'_>) -> Reply {
    let named: Vec<&'static Spec> = match command.len() {
        2 => TABLE.iter().collect(),
        _ => command.args(2).flat_map(specs).collect(),
    };
    let shown = named
        .into_iter()
        .filter(|spec| !spec.flags.has(Flags::HIDDEN));
    let told = |spec: &'static Spec| {
        let counts = stats.times(spec.id as usize)?;
        Some((Reply::bulk(spec.name), histogram(&counts)))
    };
    Reply::Map(shown.filter_map(told).collect())
}

/// The line with this name; of a container without arguments of its own, those of its subcommands.
fn specs(name: &[u8]) -> Vec<&'static Spec> {
    let mut words = name.splitn(2, |byte| *byte == b'|');
    let found = words.next().and_then(find);
    match (found, words.next()) {
        (None, _) => Vec::new(),
        (Some(spec), Some(word)) => find_subcommand(spec, word).into_iter().collect(),
        (Some(spec), None) if spec.is_container() => {
            [spec].into_iter().chain(subcommands(spec)).collect()
        }
        (Some(spec), None) => vec![spec],
    }
}

fn histogram(counts: &[u64]) -> Reply {
    let (mut steps, mut sum) = (Vec::new(), 0);
    for (step, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        sum += count;
        steps.push((int(crate::stats::most_micros(step)), int(sum)));
    }
    Reply::Map(vec![
        (Reply::bulk("calls"), int(sum)),
        (Reply::bulk("histogram_usec"), Reply::Map(steps)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(latency: &Latency) -> Vec<(u64, u64)> {
        let events = latency.events.lock();
        let samples = events.values().flat_map(|event| &event.samples);
        samples.map(|sample| (sample.time, sample.took)).collect()
    }

    #[test]
    fn of_a_second_the_longest_is_kept() {
        let latency = Latency::default();
        let spec = Id::Keys.spec();
        latency.command(1_000, spec, 900_000);
        assert_eq!(shown(&latency), []);
        latency.set_threshold(10);
        for (now, micros) in [
            (1_000, 9_999),
            (1_000, 10_000),
            (1_999, 30_999),
            (1_999, 20_000),
            (2_000, 15_000),
        ] {
            latency.command(now, spec, micros);
        }
        assert_eq!(shown(&latency), [(1, 30), (2, 15)]);
        latency.command(2_000, Id::Get.spec(), 11_000);
        let names: Vec<&str> = latency.events.lock().keys().copied().collect();
        assert_eq!(names, ["command", "fast-command"]);
        assert_eq!(latency.events.lock()["command"].most, 30);
    }

    #[test]
    fn the_latest_samples_are_kept() {
        let latency = Latency::default();
        latency.set_threshold(1);
        for second in 0..200 {
            latency.add(EXPIRE_CYCLE, second * 1000, second + 1);
        }
        let samples = shown(&latency);
        assert_eq!((samples.len(), samples[0]), (160, (40, 41)));
    }

    #[test]
    fn what_is_done_is_an_event_if_it_takes_long() {
        let latency = Latency::default();
        let nap = || std::thread::sleep(std::time::Duration::from_millis(3));
        latency.watch(EXPIRE_CYCLE, nap);
        assert_eq!(shown(&latency), []);
        latency.set_threshold(2);
        assert_eq!(latency.watch(EXPIRE_CYCLE, || 7), 7);
        latency.watch(EXPIRE_CYCLE, nap);
        assert!(shown(&latency)[0].1 >= 3);
    }
}
