//! How often, and how long: what `/admin/stats` shows of the protocol.

/// Events a second, as a moving average over about a minute.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    since: u64,
    marks: u32,
    rate: Option<f64>,
}

impl Meter {
    const TICK_MS: u64 = 5000;

    pub fn new(now: u64) -> Meter {
        Meter {
            since: now,
            marks: 0,
            rate: None,
        }
    }

    pub fn mark(&mut self, now: u64) {
        self.rate(now);
        self.marks = self.marks.saturating_add(1);
    }

    pub fn rate(&mut self, now: u64) -> f64 {
        let passed = now.saturating_sub(self.since);
        if passed >= Meter::TICK_MS {
            let recent = f64::from(self.marks) * 1000.0 / passed as f64;
            let keep = (-(passed as f64) / 60_000.0).exp();
            self.rate = Some(
                self.rate
                    .map_or(recent, |rate| rate * keep + recent * (1.0 - keep)),
            );
            (self.since, self.marks) = (now, 0);
        }
        self.rate.unwrap_or(0.0)
    }
}

/// The durations of the last pings, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durations {
    last: Vec<u32>,
    next: usize,
    count: u64,
}

impl Durations {
    const KEPT: usize = 128;

    pub fn add(&mut self, ms: u64) {
        let ms = ms.min(u64::from(u32::MAX)) as u32;
        match self.last.get_mut(self.next) {
            Some(slot) => *slot = ms,
            None => self.last.push(ms),
        }
        self.next = (self.next + 1) % Durations::KEPT;
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// In ascending order.
    pub fn sorted(&self) -> Vec<u32> {
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        sorted
    }

    pub fn median(&self) -> f64 {
        quantile(&self.sorted(), 0.5)
    }
}

/// The value below which this share of the sorted values lies, between two of them where it falls
/// between; 0 if there are none.
pub(crate) fn quantile(sorted: &[u32], share: f64) -> f64 {
    let at = (share * (sorted.len() + 1) as f64).clamp(1.0, sorted.len().max(1) as f64);
    let low = sorted.get(at as usize - 1).copied().unwrap_or(0);
    let high = sorted.get(at as usize).copied().unwrap_or(low);
    f64::from(low) + at.fract() * (f64::from(high) - f64::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_shown() {
        let mut meter = Meter::new(0);
        (0..1000).for_each(|i| meter.mark(i * 100));
        assert!(
            (meter.rate(100_000) - 10.0).abs() < 0.5,
            "{}",
            meter.rate(100_000)
        );
        assert!(meter.rate(1_000_000) < 1.0, "and fades");
    }

    #[test]
    fn quantiles_lie_between() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[7], 0.99), 7.0);
        assert_eq!(quantile(&[1, 2, 3], 0.5), 2.0);
        assert_eq!(quantile(&[1, 2, 3, 4], 0.5), 2.5);
        let mut durations = Durations::default();
        (0..1000).for_each(|i| durations.add(i));
        assert_eq!((durations.sorted()[0], durations.count()), (872, 1000));
    }
}
