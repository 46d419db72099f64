//! How a replica is told of a key that has changed: by the changes themselves, or by the whole
//! value, whichever is less.

use crate::store::{Step, Written};

/// What a replica is told of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Change {
    /// Its value, as it is when its turn comes.
    #[default]
    Whole,
    /// That it has to have the version that the key has when its turn comes: it was told of that
    /// already, or nothing was to be told.
    Check,
    /// What was changed.
    Steps(Chain),
}

/// Changes of one key, each of which leads on from the one before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    /// The version from which the first one leads on.
    pub(super) base: u64,
    pub(super) steps: Vec<Step>,
    bytes: usize,
    /// About how many bytes the value has that comes of them.
    value: usize,
}

impl Change {
    /// Of a key that was written.
    pub(super) fn of(written: Written) -> Change {
        let Some((base, step)) = written.step else {
            return Change::Whole;
        };
        let chain = Chain {
            base,
            bytes: step.bytes(),
            steps: vec![step],
            value: written.bytes,
        };
        chain.if_less()
    }

    /// This one, and a later one after it.
    pub(super) fn then(self, later: Change) -> Change {
        match (self, later) {
            (Change::Check, other) | (other, Change::Check) => other,
            (Change::Steps(chain), Change::Steps(later)) if chain.last() == later.base => {
                chain.and(later).if_less()
            }
            _ => Change::Whole,
        }
    }

    /// Bytes that it keeps while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Change::Whole | Change::Check => 0,
            Change::Steps(chain) => chain.bytes,
        }
    }
}

impl Chain {
    fn last(&self) -> u64 {
        self.steps.last().map_or(self.base, |step| step.version)
    }

    fn and(mut self, later: Chain) -> Chain {
        self.bytes += later.bytes;
        self.value = later.value;
        self.steps.extend(later.steps);
        self
    }

    /// These changes, or the value if that is less.
    fn if_less(self) -> Change {
        match self.bytes < self.value {
            true => Change::Steps(self),
            false => Change::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(version: u64, bytes: usize) -> Step {
        Step {
            version,
            now: 0,
            words: vec![0; bytes - 24].into(),
        }
    }

    fn change(base: u64, version: u64, bytes: usize, value: usize) -> Change {
        Change::of(Written {
            key: Box::default(),
            step: Some((base, step(version, bytes))),
            bytes: value,
        })
    }

    #[test]
    fn changes_that_lead_on_from_each_other_are_joined() {
        let joined = change(1, 5, 30, 1000).then(change(5, 9, 40, 1010));
        let Change::Steps(chain) = &joined else {
            panic!("{joined:?}");
        };
        assert_eq!((chain.base, chain.steps.len()), (1, 2));
        assert_eq!((joined.bytes(), chain.value), (70, 1010));
        assert_eq!(joined.clone().then(Change::Check), joined);
        assert_eq!(Change::Check.then(joined.clone()), joined);
        assert_eq!(joined.clone().then(change(8, 10, 30, 1000)), Change::Whole);
        assert_eq!(joined.clone().then(Change::Whole), Change::Whole);
        assert_eq!(Change::Whole.then(joined), Change::Whole);
        assert_eq!(Change::Check.then(Change::Check), Change::Check);
    }

    #[test]
    fn a_value_that_is_less_goes_in_the_place_of_its_changes() {
        assert_eq!(change(1, 2, 50, 50), Change::Whole);
        let many = change(1, 2, 40, 70).then(change(2, 3, 40, 75));
        assert_eq!(many, Change::Whole);
    }
}
