//! When a server that cannot be reached is tried again. Pure: chance is an argument.

use crate::limits;

/// The failures in a row of one connection to a server, and the pauses that they ask for.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The connection failed before a reply came over it. Returns for how long the server is left
    /// alone, in milliseconds: twice as long each time, up to a limit. `random` takes up to half of
    /// it away, so that many connections do not come back in step.
    pub fn failed(&mut self, random: u64) -> u64 {
        let doubled = limits::FIRST_PAUSE_MS << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let longest = doubled.min(limits::LONGEST_PAUSE_MS);
        longest - random % (longest / 2 + 1)
    }

    /// A reply has come, or the server is known to be back. Returns whether it had failed.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// How often it has failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_two_seconds() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..8).map(|_| backoff.failed(0)).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.failures(), 8);
    }

    #[test]
    fn a_success_starts_over() {
        let mut backoff = Backoff::default();
        assert!(!backoff.succeeded());
        backoff.failed(0);
        backoff.failed(0);
        assert!(backoff.succeeded());
        assert_eq!(backoff.failed(0), 50);
    }

    proptest! {
        #[test]
        fn chance_takes_half_at_most(failures in 0..200u32, random: u64) {
            let mut backoff = Backoff { failures };
            let longest = Backoff { failures }.failed(0);
            let pause = backoff.failed(random);
            prop_assert!(pause >= longest / 2 && pause <= longest);
        }
    }
}
