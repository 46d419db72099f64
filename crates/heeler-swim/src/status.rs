//! The states of a member, and which of two changes counts.

use std::fmt;

/// What a node holds of a member.
///
/// The order is that of precedence: of two changes with the same incarnation number the greater
/// status counts (ringpop-node: `lib/membership/member.js`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It answers.
    Alive,
    /// It did not answer, and has some time to say that it is alive.
    Suspect,
    /// It is given up. It is out of the ring.
    Faulty,
    /// It has left by its own will.
    Leave,
    /// It was faulty for so long that all shall forget it.
    Tombstone,
}

impl Status {
    /// All, in the order of precedence.
    pub const ALL: [Status; 5] = [
        Status::Alive,
        Status::Suspect,
        Status::Faulty,
        Status::Leave,
        Status::Tombstone,
    ];

    /// The status of this name.
    pub fn from_name(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The name, as in bodies and checksums.
    pub fn name(self) -> &'static str {
        match self {
            Status::Alive => "alive",
            Status::Suspect => "suspect",
            Status::Faulty => "faulty",
            Status::Leave => "leave",
            Status::Tombstone => "tombstone",
        }
    }

    /// Whether a member of this status owns keys.
    pub fn in_ring(self) -> bool {
        self <= Status::Suspect
    }

    /// Whether a member of this status is pinged.
    pub fn pingable(self) -> bool {
        self <= Status::Suspect
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether a change to `new` counts for a member that is held as `old`: the higher incarnation
/// number, or the same and the higher status.
pub fn overrides(new: (u64, Status), old: (u64, Status)) -> bool {
    new > old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_incarnation_the_higher_status_counts() {
        for (i, new) in Status::ALL.into_iter().enumerate() {
            for (j, old) in Status::ALL.into_iter().enumerate() {
                assert_eq!(overrides((7, new), (7, old)), i > j, "{new} over {old}");
                assert!(overrides((8, new), (7, old)), "{new} over an older {old}");
                assert!(!overrides((6, new), (7, old)), "{new} over a newer {old}");
            }
        }
    }

    #[test]
    fn alive_and_suspect_are_in_the_ring_and_pinged() {
        let names = |of: fn(Status) -> bool| {
            let some = Status::ALL.into_iter().filter(|&status| of(status));
            some.map(Status::name).collect::<Vec<_>>()
        };
        assert_eq!(names(Status::in_ring), ["alive", "suspect"]);
        assert_eq!(names(Status::pingable), ["alive", "suspect"]);
    }

    #[test]
    fn names_are_those_on_the_wire() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.name()), Some(status));
        }
        assert_eq!(Status::from_name("Alive"), None);
    }
}
