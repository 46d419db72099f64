//! Which arguments of a command are its keys.

use super::Command;

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
    /// SORT: the first argument, and the one after the last `STORE`.
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

    /// The positions one by one: the lone key first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        self.single
            .into_iter()
            .chain((0..self.count).map(move |i| self.first + i * self.step))
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
            Keys::Sort => Ok(stored(command, 2, &[b"store"])),
            Keys::GeoRadius => Ok(stored(command, 5, &[b"store", b"storedist"])),
            Keys::Migrate => Ok(migrate(command)),
            Keys::Streams => streams(command),
        }
    }
}

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

fn counted(command: Command<'_>, at: usize) -> Result<Positions, &'static str> {
    const INVALID: &str = "ERR Invalid arguments specified for command";
    if at >= command.len() {
        return Err(INVALID);
    }
    let count: usize = std::str::from_utf8(command.arg(at))
        .ok()
        .and_then(|n| n.parse().ok())
        .ok_or(INVALID)?;
    if count > command.len() - at - 1 {
        return Err(INVALID);
    }
    Ok(Positions::run(at + 1, count, 1))
}

/// The first argument, and the one that follows the last of the given words.
fn stored(command: Command<'_>, from: usize, words: &[&[u8]]) -> Positions {
    let stores = |i: &usize| {
        words
            .iter()
            .any(|w| command.arg(*i).eq_ignore_ascii_case(w))
    };
    let word = (from..command.len().saturating_sub(1)).rev().find(stores);
    Positions {
        single: word.map(|i| i + 1),
        ..Positions::run(1, 1, 1)
    }
}

fn migrate(command: Command<'_>) -> Positions {
    if !command.arg(3).is_empty() {
        return Positions::run(3, 1, 1);
    }
    let word = (6..command.len()).find(|&i| command.arg(i).eq_ignore_ascii_case(b"keys"));
    word.map_or(Positions::NONE, |i| {
        Positions::run(i + 1, command.len() - i - 1, 1)
    })
}

fn streams(command: Command<'_>) -> Result<Positions, &'static str> {
    let word = (1..command.len()).find(|&i| command.arg(i).eq_ignore_ascii_case(b"streams"));
    let Some(word) = word else {
        return Ok(Positions::NONE);
    };
    let rest = command.len() - word - 1;
    if !rest.is_multiple_of(2) {
        return Err("ERR Invalid arguments specified for command");
    }
    Ok(Positions::run(word + 1, rest / 2, 1))
}
