//! How clients find the keys of a command, and what it does with them, in the words of
//! `COMMAND INFO` (<https://redis.io/docs/latest/develop/reference/key-specs/>).

use super::bits::bit_set;
use super::keys::Positions;
use super::{Command, Id, Keys, Spec};

bit_set! {
    /// What a command does with a key: to the value as a whole (`RO`, `RW`, `OW`: overwrites it
    /// unread, `RM`: removes it), and to what is in it.
    KeyUse
    RO 0 "RO"
    RW 1 "RW"
    OW 2 "OW"
    RM 3 "RM"
    ACCESS 4 "access"
    UPDATE 5 "update"
    INSERT 6 "insert"
    DELETE 7 "delete"
    NOT_KEY 8 "not_key"
    INCOMPLETE 9 "incomplete"
    VARIABLE 10 "variable_flags"
}

#[allow(missing_docs)]
impl KeyUse {
    pub const RO_ACCESS: KeyUse = KeyUse::RO.and(KeyUse::ACCESS);
    pub const RW_ACCESS: KeyUse = KeyUse::RW.and(KeyUse::ACCESS);
    pub const RW_UPDATE: KeyUse = KeyUse::RW.and(KeyUse::UPDATE);
    pub const RW_INSERT: KeyUse = KeyUse::RW.and(KeyUse::INSERT);
    pub const RW_DELETE: KeyUse = KeyUse::RW.and(KeyUse::DELETE);
    pub const RW_ACCESS_UPDATE: KeyUse = KeyUse::RW_ACCESS.and(KeyUse::UPDATE);
    pub const RW_ACCESS_INSERT: KeyUse = KeyUse::RW_ACCESS.and(KeyUse::INSERT);
    pub const RW_ACCESS_DELETE: KeyUse = KeyUse::RW_ACCESS.and(KeyUse::DELETE);
    pub const RW_ACCESS_UPDATE_OR_LESS: KeyUse = KeyUse::RW_ACCESS_UPDATE.and(KeyUse::VARIABLE);
    pub const OW_UPDATE: KeyUse = KeyUse::OW.and(KeyUse::UPDATE);
    pub const OW_INSERT: KeyUse = KeyUse::OW.and(KeyUse::INSERT);
    pub const RM_DELETE: KeyUse = KeyUse::RM.and(KeyUse::DELETE);
}

/// One of a command's key specifications: where to begin, what to find from there, and its use.
#[derive(Debug)]
pub(super) struct KeySpec {
    pub notes: Option<&'static str>,
    pub uses: KeyUse,
    pub begin: Begin,
    pub find: Find,
}

/// Where a search for keys begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    /// At this argument.
    Index(i64),
    /// After this word, which stands at this argument or later (negative: or earlier).
    Keyword(&'static str, i64),
    /// Only the server knows.
    Unknown,
}

/// Which arguments are keys, from there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Find {
    /// To the last (from here, or negative: from the end) by a step; of a negative last only the
    /// first part in `limit`.
    Range { last: i64, step: i64, limit: i64 },
    /// As many as the argument says.
    Counted,
    /// Only the server knows.
    Unknown,
}

const ONE: Find = Find::Range {
    last: 0,
    step: 1,
    limit: 0,
};

impl Spec {
    /// The command's key specifications.
    pub(super) fn key_specs(&self) -> impl Iterator<Item = KeySpec> {
        let all = self.uses.iter().enumerate();
        all.map(|(i, &uses)| {
            let (begin, find) = self.search(i);
            let incomplete = matches!((self.keys, i), (Keys::Migrate, 1));
            KeySpec {
                notes: self.notes(i),
                uses: if incomplete {
                    uses.and(KeyUse::INCOMPLETE)
                } else {
                    uses
                },
                begin,
                find,
            }
        })
    }

    /// The search for the keys of specification `i`: a command that uses its first key unlike the
    /// others has two.
    fn search(&self, i: usize) -> (Begin, Find) {
        // The shortest form has no room for the keyword earlier than this.
        let least = i64::from(self.arity.unsigned_abs());
        match (self.keys, i) {
            (Keys::Keyless, _) => (Begin::Unknown, Find::Unknown),
            (Keys::Range(first, last, step), _) => self.range(i, first, last, step),
            (Keys::Counted(at), _) => (Begin::Index(at.into()), Find::Counted),
            (Keys::DestCounted(at), 1) => (Begin::Index(at.into()), Find::Counted),
            (Keys::DestCounted(_) | Keys::Sort | Keys::GeoRadius, 0) => (Begin::Index(1), ONE),
            (Keys::DestCounted(_) | Keys::Sort, _) => (Begin::Unknown, Find::Unknown),
            (Keys::GeoRadius, 1) => (Begin::Keyword("STORE", least), ONE),
            (Keys::GeoRadius, _) => (Begin::Keyword("STOREDIST", least), ONE),
            (Keys::Migrate, 0) => (Begin::Index(3), ONE),
            (Keys::Migrate, _) => {
                let rest = Find::Range {
                    last: -1,
                    step: 1,
                    limit: 0,
                };
                (Begin::Keyword("KEYS", -2), rest)
            }
            (Keys::Streams, _) => {
                let half = Find::Range {
                    last: -1,
                    step: 1,
                    limit: 2,
                };
                (Begin::Keyword("STREAMS", least - 3), half)
            }
        }
    }

    fn range(&self, i: usize, first: u8, last: i8, step: u8) -> (Begin, Find) {
        let (first, last, step) = (i64::from(first), i64::from(last), i64::from(step));
        if i == 0 && self.uses.len() > 1 {
            return (Begin::Index(first), ONE);
        }
        let first = first + i as i64;
        let last = if last < 0 { last } else { last - first };
        (
            Begin::Index(first),
            Find::Range {
                last,
                step,
                limit: 0,
            },
        )
    }

    /// What Redis says beside specification `i`.
    fn notes(&self, i: usize) -> Option<&'static str> {
        match (self.id, i) {
            (Id::Set, _) => Some("RW and ACCESS due to the optional `GET` argument"),
            (Id::Getex, _) => Some("RW and UPDATE because it changes the TTL"),
            (Id::Bitfield, _) => {
                Some("This command allows both access and modification of the key")
            }
            (Id::Pfcount, _) => Some(
                "RW because it may change the internal representation of the key, and propagate \
                 to replicas",
            ),
            (Id::Xadd, _) => {
                Some("UPDATE instead of INSERT because of the optional trimming feature")
            }
            (Id::Sort | Id::SortRo, 1) => Some(
                "For the optional BY/GET keyword. It is marked 'unknown' because the key names \
                 derive from the content of the key we sort",
            ),
            (Id::Sort, 2) => Some(
                "For the optional STORE keyword. It is marked 'unknown' because the keyword can \
                 appear anywhere in the argument array",
            ),
            (Id::Eval | Id::Fcall, _) => Some(
                "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
            ),
            (Id::EvalRo | Id::FcallRo, _) => Some(
                "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
            ),
            _ => None,
        }
    }
}

impl Command<'_> {
    /// Each key's place and what the command does with it.
    pub(super) fn key_uses(&self, keys: Positions) -> impl Iterator<Item = (usize, KeyUse)> {
        let uses = self.spec.uses;
        let (head, rest) = match self.spec.id {
            Id::Set => (self.use_of_set(), None),
            Id::Bitfield => (self.use_of_bitfield(), None),
            _ => (
                uses.first().copied().unwrap_or(KeyUse::NONE),
                uses.last().copied(),
            ),
        };
        let first = match self.spec.keys {
            Keys::DestCounted(_) => keys.single,
            _ => (keys.count > 0).then_some(keys.first),
        };
        keys.iter().map(move |at| match rest {
            Some(rest) if Some(at) != first => (at, rest),
            _ => (at, head),
        })
    }

    /// SET reads the key only for its option GET.
    fn use_of_set(&self) -> KeyUse {
        if self
            .args(3)
            .any(|option| option.eq_ignore_ascii_case(b"get"))
        {
            KeyUse::RW_ACCESS_UPDATE
        } else {
            KeyUse::OW_UPDATE
        }
    }

    /// BITFIELD writes only if it is asked to.
    fn use_of_bitfield(&self) -> KeyUse {
        let mut at = 2;
        while at < self.len() {
            let operands = match self.arg(at).to_ascii_lowercase().as_slice() {
                b"get" => 2,
                b"overflow" => 1,
                _ => return KeyUse::RW_ACCESS_UPDATE,
            };
            at += 1 + operands;
        }
        KeyUse::RO_ACCESS
    }
}
