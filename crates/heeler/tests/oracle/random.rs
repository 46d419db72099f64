//! What scripts choose by: the same choices from the same seed.

use fastrand::Rng;

use super::word;

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

    /// A small whole number, a very great one, or what is none.
    pub fn integer(&mut self) -> Vec<u8> {
        let number = match self.below(24) {
            0 => return word(self.one(&["x", "1.5", "\"\"", "9223372036854775808", "01"])),
            1 => i64::MAX - self.below(2) as i64,
            2 => i64::MIN + self.below(2) as i64,
            _ => self.below(16) as i64 - 6,
        };
        number.to_string().into()
    }

    /// A number, in most cases a small one, or one of these.
    pub fn float(&mut self, odd: &[&str]) -> Vec<u8> {
        match self.below(30) {
            0 => word(self.one(odd)),
            1 => self
                .one(&["inf", "-inf", "+inf", "1e300", "-1e-300", "-0"])
                .into(),
            2 => format!("{}.{}", self.next(), self.next()).into(),
            3..=9 => format!("{}.{}", self.below(20) as i64 - 10, self.below(100)).into(),
            _ => (self.below(14) as i64 - 4).to_string().into(),
        }
    }

    /// An end of a range of scores. Its number is as [`float`](Random::float) makes it.
    pub fn bound(&mut self, odd: &[&str]) -> Vec<u8> {
        match self.below(10) {
            0 => word(self.one(&["-inf", "+inf", "(inf", "(", "\"\"", "nan", "((1"])),
            1..=3 => [b"(".to_vec(), self.float(odd)].concat(),
            _ => self.float(odd),
        }
    }

    /// An end of a range of members.
    pub fn lexical(&mut self, member: Vec<u8>) -> Vec<u8> {
        match self.below(8) {
            0 => word(self.one(&["a", "\"\"", "+x", "(", "["])),
            1 | 2 => self.one(&["-", "+"]).into(),
            _ => [self.one(&["[", "("]).into(), member].concat(),
        }
    }
}
