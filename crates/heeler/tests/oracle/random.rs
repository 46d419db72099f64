//! What scripts choose by: the same choices from the same seed.

use fastrand::Rng;

/// A row of choices.
pub struct Random(Rng);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(Rng::with_seed(seed))
    }

    /// A number of 53 bits.
    pub fn next(&mut self) -> u64 {
        self.0.u64(..1 << 53)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }

    pub fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        self.0.choice(of).expect("something to choose from")
    }
}
