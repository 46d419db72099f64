//! Prefixes of one client's CLIENT TRACKING, none of which may begin with another.

use std::collections::BTreeSet;
use std::ops::Bound;

/// Two prefixes of which one begins with the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overlap<'a> {
    /// A new one, and one that the client has.
    WithExisting(&'a [u8], &'a [u8]),
    /// Two new ones.
    WithProvided(&'a [u8], &'a [u8]),
}

/// The pair that Redis names: of the first new prefix, in the order in which they are given, that
/// overlaps with one that the client has, or else with a later one. None of `existing` begins with
/// another that is not empty.
pub(super) fn overlap<'a>(
    existing: &'a BTreeSet<Box<[u8]>>,
    provided: &[&'a [u8]],
) -> Option<Overlap<'a>> {
    let upto = first_with_later(provided);
    let until = upto.map_or(provided.len(), |at| at + 1);
    let clash = |new: &&'a [u8]| Some(Overlap::WithExisting(new, with_one_of(existing, new)?));
    if let Some(found) = provided[..until].iter().find_map(clash) {
        return Some(found);
    }
    let first = provided[upto?];
    let later = provided[until..].iter().find(|it| overlaps(first, it))?;
    Some(Overlap::WithProvided(first, later))
}

fn overlaps(a: &[u8], b: &[u8]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// The first in order of those that overlap. If one is the beginning of the new prefix, it is the
/// last before it: between the two stands only what begins with it, too.
fn with_one_of<'a>(existing: &'a BTreeSet<Box<[u8]>>, new: &[u8]) -> Option<&'a [u8]> {
    if let Some(empty) = existing.first().filter(|first| first.is_empty()) {
        return Some(empty);
    }
    let before = existing.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(new)));
    let after = existing.range::<[u8], _>((Bound::Included(new), Bound::Unbounded));
    let mut neighbours = before.rev().take(1).chain(after.take(1));
    neighbours.find(|old| overlaps(old, new)).map(|old| &**old)
}

/// The place of the first prefix that overlaps with a later one.
fn first_with_later(provided: &[&[u8]]) -> Option<usize> {
    let mut sorted: Vec<(&[u8], usize)> = provided.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    // What the one at hand begins with, each with the lowest place of it and those before it.
    let mut beginnings: Vec<(&[u8], usize)> = Vec::new();
    let mut first = None;
    for (prefix, place) in sorted {
        while beginnings
            .last()
            .is_some_and(|(it, _)| !prefix.starts_with(it))
        {
            beginnings.pop();
        }
        let mut lowest = place;
        if let Some((_, before)) = beginnings.last() {
            lowest = place.min(*before);
            first = Some(first.map_or(lowest, |first: usize| first.min(lowest)));
        }
        beginnings.push((prefix, lowest));
    }
    first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Redis looks for it: each with each.
    fn slowly<'a>(existing: &'a BTreeSet<Box<[u8]>>, provided: &[&'a [u8]]) -> Option<Overlap<'a>> {
        for (i, new) in provided.iter().enumerate() {
            if let Some(old) = existing.iter().find(|old| overlaps(old, new)) {
                return Some(Overlap::WithExisting(new, old));
            }
            if let Some(other) = provided[i + 1..].iter().find(|it| overlaps(it, new)) {
                return Some(Overlap::WithProvided(new, other));
            }
        }
        None
    }

    fn words(most: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
        let word = prop_oneof![
            1 => proptest::collection::vec(0..3u8, 0..4),
            4 => proptest::collection::vec(any::<u8>(), 2..4),
        ];
        proptest::collection::vec(word, 0..most)
    }

    proptest! {
        #[test]
        fn the_pair_is_the_one_that_redis_finds(
            old in words(6),
            new in words(8),
            has_all in proptest::bool::weighted(0.1),
        ) {
            let mut existing: BTreeSet<Box<[u8]>> = BTreeSet::new();
            for word in old {
                if !existing.iter().any(|other| overlaps(other, &word)) {
                    existing.insert(word.into());
                }
            }
            if has_all {
                existing.insert(Box::default());
            }
            let new: Vec<&[u8]> = new.iter().map(|word| &word[..]).collect();
            prop_assert_eq!(overlap(&existing, &new), slowly(&existing, &new));
        }
    }

    #[test]
    fn many_are_compared_in_a_moment() {
        let all: Vec<Vec<u8>> = (0..200_000u32).map(|i| i.to_be_bytes().to_vec()).collect();
        let mut provided: Vec<&[u8]> = all.iter().map(|prefix| &prefix[..]).collect();
        let existing = all.iter().map(|prefix| prefix[..].into()).collect();
        assert_eq!(overlap(&BTreeSet::new(), &provided), None);
        provided.push(&all[0]);
        let found = Overlap::WithProvided(&all[0], &all[0]);
        assert_eq!(overlap(&BTreeSet::new(), &provided), Some(found));
        let found = Overlap::WithExisting(&all[0], &all[0]);
        assert_eq!(overlap(&existing, &provided), Some(found));
    }
}
