//! How long each command takes: a histogram by powers of two, as LATENCY HISTOGRAM tells it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::pools::add;

/// Steps of a histogram: up to a second; the last has what took longer, too.
pub(super) const STEPS: usize = 21;

/// The most microseconds that a step stands for: powers of two of 1024 nanoseconds, each a
/// little more, as Redis's histogram tells a number in two digits.
pub fn most_micros(step: usize) -> u64 {
    let nanos = 1024u64 << step.min(STEPS - 1);
    (nanos + nanos / 128 - 1) / 1000
}

/// The first step that stands for so many microseconds.
fn step_of(micros: u64) -> usize {
    // A power of two is in the step of its number: its bound is a little more. So what is a little
    // more than one may still be in the step before.
    let step = (u64::BITS - micros.saturating_sub(1).leading_zeros()) as usize;
    match step.checked_sub(1) {
        Some(before) if micros <= most_micros(before) => before,
        _ => step.min(STEPS - 1),
    }
}

/// The histograms of one thread: of a command once it was timed. Behind the steps stands how many
/// microseconds they were in all.
#[derive(Debug)]
pub(super) struct Times(Box<[OnceLock<Box<[AtomicU64; STEPS + 1]>>]>);

impl Times {
    /// For so many commands.
    pub fn new(lines: usize) -> Times {
        Times((0..lines).map(|_| OnceLock::new()).collect())
    }

    /// A command took so many microseconds.
    pub fn took(&self, line: usize, micros: u64) {
        if let Some(histogram) = self.0.get(line) {
            let histogram = histogram.get_or_init(Default::default);
            add(&histogram[step_of(micros)], 1);
            add(&histogram[STEPS], micros);
        }
    }

    /// Adds what this thread has counted of a command.
    pub fn add_to(&self, line: usize, sums: &mut [u64; STEPS + 1]) {
        let histogram = self.0.get(line).and_then(OnceLock::get);
        for (count, sum) in histogram.into_iter().flat_map(|h| h.iter()).zip(sums) {
            *sum = sum.wrapping_add(count.load(Relaxed));
        }
    }

    pub fn reset(&self) {
        let counters = self.0.iter().filter_map(OnceLock::get);
        for counter in counters.flat_map(|histogram| histogram.iter()) {
            counter.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_redis() {
        let told: Vec<u64> = (0..STEPS).map(most_micros).collect();
        let redis = [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056];
        assert_eq!(told[..11], redis);
        assert_eq!((told[15], told[16]), (33816, 67633));
        assert!(told[20] >= 1_000_000);
    }

    #[test]
    fn a_step_is_found_at_once() {
        for micros in (0..5_000).chain([1 << 20, 1_082_130, 1_082_131, 1 << 40, u64::MAX]) {
            let first = (0..STEPS - 1).find(|step| micros <= most_micros(*step));
            assert_eq!(step_of(micros), first.unwrap_or(STEPS - 1), "{micros}");
        }
    }

    #[test]
    fn each_time_is_in_its_step() {
        let times = Times::new(2);
        for micros in [0, 1, 2, 3, 4, 5, 2_000_000, 3_000_000] {
            times.took(1, micros);
        }
        times.took(2, 1);
        let mut sums = [0; STEPS + 1];
        times.add_to(1, &mut sums);
        assert_eq!((sums[..4].to_vec(), sums[20]), (vec![2, 1, 2, 1], 2));
        times.add_to(0, &mut sums);
        times.reset();
        times.add_to(1, &mut sums);
        assert_eq!(sums[..STEPS].iter().sum::<u64>(), 8);
        assert_eq!(sums[STEPS], 5_000_015);
    }
}
