//! Which shards a command needs: a set of their indices.

use crate::limits::SHARDS;

const WORDS: usize = SHARDS / 64;

/// Some shards, in the order of their indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ShardSet([u64; WORDS]);

impl ShardSet {
    /// Adds a shard.
    #[inline]
    pub(super) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    /// Whether a shard is one of the set.
    #[inline]
    pub(super) fn contains(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    /// The shards of the set.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(at, word)| {
            let rests = std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)));
            rests
                .take_while(|rest| *rest != 0)
                .map(move |rest| at * 64 + rest.trailing_zeros() as usize)
        })
    }
}

impl FromIterator<usize> for ShardSet {
    fn from_iter<I: IntoIterator<Item = usize>>(shards: I) -> ShardSet {
        let mut set = ShardSet::default();
        shards.into_iter().for_each(|index| set.insert(index));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_set(shards in vec(0..SHARDS, 0..40)) {
            let set: ShardSet = shards.iter().copied().collect();
            let model: BTreeSet<usize> = shards.into_iter().collect();
            prop_assert!(set.iter().eq(model.iter().copied()));
            for index in 0..SHARDS {
                prop_assert_eq!(set.contains(index), model.contains(&index));
            }
        }
    }
}
