//! Random numbers, and random members of a collection: SPOP, SRANDMEMBER, HRANDFIELD, ZRANDMEMBER.

use indexmap::{IndexMap, IndexSet};

use super::collection::{Hashing, symmetric};
use super::compact::pages::Pages;
use super::compact::run::Record;
use super::errors::{Error, Outcome, SYNTAX};
use super::view::View;
use crate::command::{Command, Reply};
use crate::limits;

/// From one state of the splitmix64 generator to the next.
pub(super) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The pseudo-random number of a state of the splitmix64 generator.
pub(super) fn mix(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The next pseudo-random number of a generator with this state.
pub(super) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(STEP);
    mix(*state)
}

/// The next below `bound`, which is not zero.
pub(super) fn below(state: &mut u64, bound: usize) -> usize {
    ((u128::from(draw(state)) * bound as u128) >> 64) as usize
}

/// Random choices among the elements of a collection.
pub(super) struct Random(u64);

impl Random {
    /// Choices for one command.
    pub(super) fn new(view: &View<'_>) -> Random {
        Random(view.random())
    }

    #[cfg(test)]
    pub(super) fn of_seed(seed: u64) -> Random {
        Random(seed)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        below(&mut self.0, bound)
    }

    /// Indices of a collection of `len` elements, as the count of SRANDMEMBER and its kin asks for
    /// them: different ones, or `-count` that may come more than once.
    ///
    /// # Errors
    /// More than a reply may have.
    pub(super) fn indices(&mut self, count: i64, len: usize) -> Result<Vec<usize>, Error> {
        let wanted = wanted(count)?;
        if len == 0 || wanted == 0 {
            return Ok(Vec::new());
        }
        if count > 0 {
            return Ok(self.different(wanted, len));
        }
        Ok((0..wanted).map(|_| self.below(len)).collect())
    }

    /// Records of a table, as [`indices`](Random::indices) has it.
    pub(super) fn records<'t, const W: usize>(
        &mut self,
        count: i64,
        table: &'t Pages<W>,
    ) -> Result<Vec<Record<'t>>, Error> {
        let wanted = wanted(count)?;
        let mut draw = || table.random(|bound| self.below(bound));
        if count < 0 {
            return Ok((0..wanted).filter_map(|_| draw()).collect());
        }
        if wanted <= table.len() / 3 {
            let mut chosen: IndexMap<_, _, Hashing> = IndexMap::default();
            while chosen.len() < wanted {
                chosen.extend(draw());
            }
            return Ok(chosen.into_iter().collect());
        }
        let all: Vec<Record<'t>> = table.records().collect();
        let indices = self.different(wanted, all.len()).into_iter();
        Ok(indices.map(|index| all[index]).collect())
    }

    /// `wanted` of the numbers below `len`, each once (Floyd's algorithm), or all of them.
    fn different(&mut self, wanted: usize, len: usize) -> Vec<usize> {
        if wanted >= len {
            return (0..len).collect();
        }
        let mut chosen = IndexSet::with_capacity_and_hasher(wanted, Hashing::default());
        for last in len - wanted..len {
            let index = self.below(last + 1);
            if !chosen.insert(index) {
                chosen.insert(last);
            }
        }
        chosen.into_iter().collect()
    }
}

/// How many elements a count asks for, if a reply may have so many.
fn wanted(count: i64) -> Result<usize, Error> {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 && wanted > limits::RANDOM_ELEMENTS {
        let most = limits::RANDOM_ELEMENTS;
        return Err(format!("ERR value is out of range, -{most} is the lowest count").into());
    }
    Ok(wanted)
}

/// What HRANDFIELD and ZRANDMEMBER are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    count: Option<i64>,
    with_values: bool,
}

impl Chosen {
    /// Reads the count and the option that asks for values or scores too.
    pub(super) fn parse(command: &Command<'_>, option: &[u8]) -> Result<Chosen, Error> {
        if command.len() == 2 {
            return Ok(Chosen {
                count: None,
                with_values: false,
            });
        }
        let count = symmetric(command.arg(2))?;
        let with_values = match command.len() {
            3 => false,
            4 if command.arg(3).eq_ignore_ascii_case(option) => true,
            _ => return Err(SYNTAX.into()),
        };
        if with_values && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
            return Err("ERR value is out of range".into());
        }
        Ok(Chosen {
            count: Some(count),
            with_values,
        })
    }

    /// The reply if the key is absent.
    pub(super) fn none(self) -> Reply {
        if self.count.is_some() {
            Reply::Array(Vec::new())
        } else {
            Reply::Null
        }
    }

    /// The reply for a collection of `len` pairs.
    pub(super) fn reply(
        self,
        random: &mut Random,
        len: usize,
        pair: impl Fn(usize) -> (Reply, Reply),
    ) -> Outcome {
        let Some(count) = self.count else {
            return Ok(pair(random.below(len)).0);
        };
        let indices = random.indices(count, len)?.into_iter();
        Ok(self.pairs(indices.map(pair)))
    }

    /// The reply for a table, which is not empty.
    pub(super) fn reply_of_table<'t, const W: usize>(
        self,
        random: &mut Random,
        table: &'t Pages<W>,
        pair: impl Fn(Record<'t>) -> (Reply, Reply),
    ) -> Outcome {
        let Some(count) = self.count else {
            let record = table.random(|bound| random.below(bound));
            return Ok(record.map_or(Reply::Null, |record| pair(record).0));
        };
        let records = random.records(count, table)?.into_iter();
        Ok(self.pairs(records.map(pair)))
    }

    fn pairs(self, pairs: impl Iterator<Item = (Reply, Reply)>) -> Reply {
        if self.with_values {
            Reply::Pairs(pairs.collect())
        } else {
            Reply::Array(pairs.map(|(element, _)| element).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_indices_are_different_and_all_are_possible() {
        let mut random = Random(7);
        for (wanted, len) in [(1, 1), (1, 10), (9, 10), (10, 10), (11, 10), (3, 1_000)] {
            let mut seen = vec![false; len];
            for _ in 0..len * 20 {
                let mut indices = random.indices(wanted as i64, len).unwrap();
                indices.iter().for_each(|i| seen[*i] = true);
                indices.sort_unstable();
                indices.dedup();
                assert_eq!(indices.len(), wanted.min(len));
            }
            assert!(seen.iter().all(|seen| *seen), "{wanted} of {len}");
        }
    }

    #[test]
    fn a_negative_count_asks_for_that_many() {
        let mut random = Random(7);
        assert_eq!(random.indices(-50, 3).unwrap().len(), 50);
        assert_eq!(random.indices(-50, 0).unwrap().len(), 0);
        assert!(random.indices(i64::MIN, 3).is_err());
        assert!(
            random
                .indices(-(limits::RANDOM_ELEMENTS as i64) - 1, 3)
                .is_err()
        );
    }
}
