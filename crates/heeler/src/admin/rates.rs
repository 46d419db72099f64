//! How much is done a second, as INFO tells it: what is counted anyway is looked at now and then.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::limits;

/// The last looks.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<VecDeque<Look>>);

/// What was counted so far.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// When, in microseconds.
    ticks: u64,
    counts: Counts,
}

/// Commands, bytes that came in, bytes that went out.
pub(super) type Counts = [u64; 3];

impl Rates {
    /// So much was counted until now, a time in microseconds. To be called often.
    pub fn look(&self, ticks: u64, counts: impl FnOnce() -> Counts) {
        let mut looks = self.0.lock();
        let last = looks.back().copied();
        if last.is_some_and(|last| ticks < last.ticks + limits::LOOK_AT_RATES_US) {
            return;
        }
        let counts = counts();
        if last.is_some_and(|last| (0..counts.len()).any(|i| counts[i] < last.counts[i])) {
            // They were set to nought.
            looks.clear();
        }
        if looks.len() > limits::RATES {
            looks.pop_front();
        }
        looks.push_back(Look { ticks, counts });
    }

    /// How much was done a second, of late; nothing where that is not known yet.
    pub fn told(&self) -> [f64; 3] {
        let looks = self.0.lock();
        let (Some(first), Some(last)) = (looks.front(), looks.back()) else {
            return [0.0; 3];
        };
        let seconds = (last.ticks - first.ticks) as f64 / 1_000_000.0;
        [0, 1, 2].map(|i| match seconds > 0.0 {
            true => (last.counts[i] - first.counts[i]) as f64 / seconds,
            false => 0.0,
        })
    }

    /// What was counted is set to nought.
    pub fn reset(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_looks() {
        let rates = Rates::default();
        assert_eq!(rates.told(), [0.0; 3]);
        rates.look(1_000_000, || [10, 100, 1000]);
        assert_eq!(rates.told(), [0.0; 3]);
        rates.look(1_050_000, || panic!("it is too early"));
        rates.look(1_100_000, || [20, 400, 1000]);
        assert_eq!(rates.told(), [100.0, 3000.0, 0.0]);
        for look in 2..=100 {
            rates.look(1_000_000 + look * 100_000, || [20, 400 + look, 1000]);
        }
        assert_eq!(rates.told(), [0.0, 10.0, 0.0]);
        rates.look(90_000_000, || [5, 400, 1000]);
        assert_eq!(rates.told(), [0.0; 3]);
        rates.look(91_000_000, || [6, 500, 1000]);
        assert_eq!(rates.told(), [1.0, 100.0, 0.0]);
        rates.reset();
        assert_eq!(rates.told(), [0.0; 3]);
    }
}
