//! Which arguments of a command are its keys.

use super::{Command, Flags};

/// Where a command's keys stand among its arguments (the name is argument 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// It has none.
    Keyless,
    /// From the first to the last by a step; a negative last counts from the end.
    Range(u8, i8, u8),
    /// The argument at this place says how many keys follow it.
    Counted(u8),
    /// The first argument is a destination, and a count of keys stands at this place.
    DestCounted(u8),
    /// SORT: the first argument, and the one after the last `STORE`; SORT_RO: the first alone.
    Sort,
    /// GEORADIUS: the first argument, and the one after the last `STORE` or `STOREDIST`.
    GeoRadius,
    /// MIGRATE: the third argument, or if it is empty all after `KEYS`.
    Migrate,
    /// XREAD: the first half of what stands after `STREAMS`.
    Streams,
}

/// The positions of a command's keys: at most one that stands alone, and an even run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// A key that stands outside the run (a destination).
    pub single: Option<usize>,
    /// Position of the run's first key.
    pub first: usize,
    /// Number of keys in the run.
    pub count: usize,
    /// Distance from one key of the run to the next.
    pub step: usize,
}

impl Positions {
    const NONE: Positions = Positions {
        single: None,
        first: 0,
        count: 0,
        step: 1,
    };

    const fn run(first: usize, count: usize, step: usize) -> Positions {
        Positions {
            single: None,
            first,
            count,
            step,
        }
    }

    /// The positions one by one, in the order of the arguments.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let before = self.single.filter(|&at| at < self.first);
        let after = self.single.filter(|&at| at > self.first);
        let run = (0..self.count).map(move |i| self.first + i * self.step);
        before.into_iter().chain(run).chain(after)
    }

    /// How many keys there are.
    pub fn len(self) -> usize {
        self.count + usize::from(self.single.is_some())
    }

    /// Whether there is no key.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Keys {
    /// The keys' positions in a command whose arity has been checked.
    pub(super) fn positions(self, command: Command<'_>) -> Result<Positions, &'static str> {
        let len = command.len();
        match self {
            Keys::Keyless => Ok(Positions::NONE),
            Keys::Range(first, last, step) => Ok(range(len, first, last, step)),
            Keys::Counted(at) => counted(command, at as usize),
            Keys::DestCounted(at) => {
                let keys = counted(command, at as usize)?;
                Ok(Positions {
                    single: Some(1),
                    ..keys
                })
            }
            Keys::Sort => Ok(sort(command)),
            Keys::GeoRadius => Ok(georadius(command)),
            Keys::Migrate => migrate(command),
            Keys::Streams => streams(command),
        }
    }
}

const INVALID: &str = "ERR Invalid arguments specified for command";

fn range(len: usize, first: u8, last: i8, step: u8) -> Positions {
    let (first, step) = (first as usize, step as usize);
    let last = if last < 0 {
        (len as i64 + last as i64).max(0) as usize
    } else {
        last as usize
    };
    let last = last.min(len - 1);
    if last < first {
        return Positions::NONE;
    }
    Positions::run(first, (last - first) / step + 1, step)
}

/// A script may have no keys, and says itself what is wrong with a count; others need one.
fn counted(command: Command<'_>, at: usize) -> Result<Positions, &'static str> {
    let count = (at < command.len())
        .then(|| std::str::from_utf8(command.arg(at)).ok()?.parse().ok())
        .flatten()
        .filter(|count| (1..command.len() - at).contains(count));
    match count {
        Some(count) => Ok(Positions::run(at + 1, count, 1)),
        None if command.spec.flags.has(Flags::NO_MANDATORY_KEYS) => Ok(Positions::NONE),
        None => Err(INVALID),
    }
}

/// The first argument, and what the last STORE names. What follows BY, GET and LIMIT is no option.
fn sort(command: Command<'_>) -> Positions {
    let mut store = None;
    let mut at = 2;
    while at < command.len() && command.spec.is_write() {
        let word = command.arg(at);
        if word.eq_ignore_ascii_case(b"limit") {
            at += 2;
        } else if word.eq_ignore_ascii_case(b"get") || word.eq_ignore_ascii_case(b"by") {
            at += 1;
        } else if word.eq_ignore_ascii_case(b"store") && at + 1 < command.len() {
            store = Some(at + 1);
        }
        at += 1;
    }
    Positions {
        single: store,
        ..Positions::run(1, 1, 1)
    }
}

/// The first argument, and what the last STORE or STOREDIST names.
fn georadius(command: Command<'_>) -> Positions {
    let mut store = None;
    let mut at = command.spec.arity.unsigned_abs() as usize;
    while at + 1 < command.len() {
        let word = command.arg(at);
        if word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist") {
            at += 1;
            store = Some(at);
        }
        at += 1;
    }
    Positions {
        single: store,
        ..Positions::run(1, 1, 1)
    }
}

/// The third argument, or all after KEYS if it is empty. What follows AUTH and AUTH2 is no option.
fn migrate(command: Command<'_>) -> Result<Positions, &'static str> {
    let mut at = 6;
    while at + 1 < command.len() {
        let word = command.arg(at);
        if word.eq_ignore_ascii_case(b"keys") {
            if !command.arg(3).is_empty() {
                return Err(INVALID);
            }
            return Ok(Positions::run(at + 1, command.len() - at - 1, 1));
        } else if word.eq_ignore_ascii_case(b"auth") {
            at += 1;
        } else if word.eq_ignore_ascii_case(b"auth2") {
            at += 2;
        }
        at += 1;
    }
    Ok(Positions::run(3, 1, 1))
}

/// The first half of what follows STREAMS, which leaves room for a key and an ID: so a group may
/// be called STREAMS too.
fn streams(command: Command<'_>) -> Result<Positions, &'static str> {
    let earliest = command.spec.arity.unsigned_abs() as usize - 3;
    let word = (earliest..command.len())
        .find(|&i| command.arg(i).eq_ignore_ascii_case(b"streams"))
        .ok_or(INVALID)?;
    match (command.len() - word - 1) / 2 {
        0 => Err(INVALID),
        count => Ok(Positions::run(word + 1, count, 1)),
    }
}
