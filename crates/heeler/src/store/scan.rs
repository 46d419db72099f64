//! Commands that walk the keyspace: KEYS, SCAN, RANDOMKEY.
//!
//! A scan goes shard by shard, and within a shard by the [`Home`]s of its keys, which do not depend
//! on how large the table is: so no key comes twice, and none is missed that stays, whatever the
//! table does meanwhile.

use super::entry::Entry;
use super::errors::{Error, Outcome, SYNTAX};
use super::index::{HOMES, Home};
use super::numbers;
use super::shard::{Hashing, Shard};
use super::view::View;
use crate::command::{Command, Reply, pattern};
use crate::limits;

/// Keys that SCAN visits if it is not told how many.
const SCAN_COUNT: i64 = 10;
/// Shards that RANDOMKEY looks at to learn how many keys one may have.
const LOOKED_AT: usize = 16;
/// How often RANDOMKEY draws before it counts all keys.
const DRAWS: usize = 128;

pub(super) fn keys(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let wanted = command.arg(1);
    let now = view.now();
    let mut found = Vec::new();
    view.for_each_shard(|shard| {
        let present = shard.iter().filter(|e| !e.is_expired(now));
        let matching = present.filter(|e| pattern::matches(wanted, e.key(), false));
        found.extend(matching.map(|e| Reply::bulk(e.key())));
    });
    Ok(Reply::Array(found))
}

pub(super) fn scan(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let cursor = Cursor::parse(command.arg(1))?;
    let options = Options::parse(command, 2, true)?;
    let mut walk = Walk {
        hashing: view.hashing(),
        now: view.now(),
        left: options.count,
        options,
        found: Vec::new(),
    };
    let next = walk.run(view, cursor);
    let mut digits = itoa::Buffer::new();
    let next = Reply::bulk(digits.format(next.map_or(0, Cursor::encode)));
    Ok(Reply::Array(vec![next, Reply::Array(walk.found)]))
}

/// A random key: each is as likely as any other.
pub(super) fn randomkey(view: &mut View<'_>, _: &Command<'_>) -> Outcome {
    match draw_key(view) {
        Some(key) => Ok(key),
        None => count_and_draw_key(view),
    }
}

/// Draws a shard and a place in it until there is a key at the place. All shards are taken to have
/// the same number of places, more than any has keys: so each key is as likely as any other,
/// whichever shard it is in. `None` where keys are too few.
fn draw_key(view: &mut View<'_>) -> Option<Reply> {
    let (now, hashing) = (view.now(), view.hashing());
    let look = |view: &mut View<'_>| {
        let index = (view.random() >> 32) as usize % limits::SHARDS;
        let len = view.with_shard(index, |shard| {
            shard.expire_due(hashing, now, usize::MAX);
            shard.len()
        });
        (index, len.unwrap_or(0))
    };
    let places = |len: usize| (len + len / 2 + 8) as u64;
    let most = (0..LOOKED_AT).map(|_| look(view).1).max().unwrap_or(0);
    let mut most = places(most);
    for _ in 0..DRAWS {
        let (index, len) = look(view);
        most = most.max(len as u64);
        if (view.random() >> 16) % most < len as u64 {
            let random = view.random();
            // Another thread may have removed the last key meanwhile.
            let key = view.with_shard(index, |shard| random_key(shard, random));
            if let Some(key) = key.flatten() {
                return Some(key);
            }
        }
    }
    None
}

/// The same by looking at all shards.
fn count_and_draw_key(view: &mut View<'_>) -> Outcome {
    let (now, hashing) = (view.now(), view.hashing());
    loop {
        let mut total = 0u64;
        view.for_each_shard(|shard| {
            shard.expire_due(hashing, now, usize::MAX);
            total += shard.len() as u64;
        });
        if total == 0 {
            return Ok(Reply::Null);
        }
        // Other threads may have removed the chosen key meanwhile: then choose again.
        let mut skip = view.random() % total;
        for index in 0..limits::SHARDS {
            let len = view.with_shard(index, |shard| shard.len() as u64);
            let len = len.unwrap_or(0);
            if skip < len {
                let random = view.random();
                let key = view.with_shard(index, |shard| random_key(shard, random));
                if let Some(key) = key.flatten() {
                    return Ok(key);
                }
                break;
            }
            skip -= len;
        }
    }
}

/// The key in a random bucket that is taken. Tables shrink, so that few buckets are empty.
fn random_key(shard: &Shard, mut random: u64) -> Option<Reply> {
    if shard.len() == 0 {
        return None;
    }
    loop {
        let place = (random >> 16) as usize % shard.buckets();
        if let Some(entry) = shard.bucket(place) {
            return Some(Reply::bulk(entry.key()));
        }
        random = random.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
    }
}

/// Where a scan goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    shard: usize,
    home: Home,
}

impl Cursor {
    const SHARD_BITS: u32 = limits::SHARDS.trailing_zeros();

    /// Any number is a cursor: one that no scan gave starts somewhere.
    fn decode(number: u64) -> Cursor {
        Cursor {
            shard: number as usize % limits::SHARDS,
            home: Home::try_from(number >> Self::SHARD_BITS).map_or(HOMES, |home| home.min(HOMES)),
        }
    }

    /// Below 2^32; never 0, but for the first home of the first shard.
    fn encode(self) -> u64 {
        u64::from(self.home) << Self::SHARD_BITS | self.shard as u64
    }

    fn parse(text: &[u8]) -> Result<Cursor, Error> {
        cursor_number(text).map(Cursor::decode)
    }
}

/// The number of a cursor, as C's `strtoul` reads it.
pub(super) fn cursor_number(text: &[u8]) -> Result<u64, Error> {
    const INVALID: &str = "ERR invalid cursor";
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(INVALID.into());
    }
    let number = std::str::from_utf8(digits).ok();
    let number: u64 = number.and_then(|d| d.parse().ok()).ok_or(INVALID)?;
    Ok(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// What SCAN and its kin are told of their walk.
pub(super) struct Options<'a> {
    /// How many elements to visit.
    pub(super) count: usize,
    /// What an element has to match.
    pub(super) pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// Reads the options from argument `from` on. Only SCAN itself knows TYPE.
    pub(super) fn parse(
        command: &Command<'a>,
        from: usize,
        knows_type: bool,
    ) -> Result<Options<'a>, Error> {
        let mut count = SCAN_COUNT;
        let (mut pattern, mut kind) = (None, None);
        let mut words = command.args(from);
        while let Some(word) = words.next() {
            let argument = words.next().ok_or(SYNTAX)?;
            match word {
                w if w.eq_ignore_ascii_case(b"count") => {
                    count = numbers::integer_argument(argument)?;
                    if count < 1 {
                        return Err(SYNTAX.into());
                    }
                }
                w if w.eq_ignore_ascii_case(b"match") => pattern = Some(argument),
                w if knows_type && w.eq_ignore_ascii_case(b"type") => kind = Some(argument),
                _ => return Err(SYNTAX.into()),
            }
        }
        Ok(Options {
            count: usize::try_from(count).unwrap_or(usize::MAX),
            pattern,
            kind,
        })
    }

    fn accept(&self, entry: Entry<'_>) -> bool {
        let kind = |kind: &[u8]| kind.eq_ignore_ascii_case(entry.kind().name().as_bytes());
        let key = |wanted: &[u8]| pattern::matches(wanted, entry.key(), false);
        self.kind.is_none_or(kind) && self.pattern.is_none_or(key)
    }
}

/// One call of SCAN.
struct Walk<'a> {
    hashing: &'a Hashing,
    now: u64,
    left: usize,
    options: Options<'a>,
    found: Vec<Reply>,
}

impl Walk<'_> {
    /// Visits keys from the cursor on; returns where to go on, or `None` at the end.
    fn run(&mut self, view: &mut View<'_>, mut at: Cursor) -> Option<Cursor> {
        while at.shard < limits::SHARDS {
            let next = view.with_shard(at.shard, |shard| self.shard(shard, at));
            let next = next.flatten();
            if next.is_some() {
                return next;
            }
            at = Cursor {
                shard: at.shard + 1,
                home: 0,
            };
            if self.left == 0 && at.shard < limits::SHARDS {
                return Some(at);
            }
        }
        None
    }

    /// Visits keys of one shard; returns where to go on in it, or `None` at its end.
    fn shard(&mut self, shard: &Shard, at: Cursor) -> Option<Cursor> {
        let mut home = at.home;
        while home < HOMES && shard.len() > 0 {
            if self.left == 0 {
                return Some(Cursor { home, ..at });
            }
            // So many homes have about as many keys as are left to visit.
            let step = u64::from(HOMES).saturating_mul(self.left as u64) / shard.len() as u64;
            let end = HOMES.min(home + step.clamp(1, u64::from(HOMES)) as Home);
            for (_, entry) in shard.with_homes(self.hashing, &(home..end)) {
                self.left = self.left.saturating_sub(1);
                if !entry.is_expired(self.now) && self.options.accept(entry) {
                    self.found.push(Reply::bulk(entry.key()));
                }
            }
            home = end;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_number() {
        for (shard, home) in [(0, 0), (1, 0), (limits::SHARDS - 1, HOMES - 1), (0, 1)] {
            let cursor = Cursor { shard, home };
            assert_eq!(Cursor::decode(cursor.encode()), cursor);
            assert!(cursor.encode() < 1 << 32, "a ring leaves 48 bits for it");
        }
    }

    #[test]
    fn cursors_are_read_as_c_reads_them() {
        for (text, number) in [("", Some(0)), ("17", Some(17)), ("+17", Some(17))] {
            let cursor = Cursor::parse(text.as_bytes()).ok();
            assert_eq!(cursor, number.map(Cursor::decode), "{text:?}");
        }
        for text in ["+", "-", " 1", "1 ", "x", "18446744073709551616"] {
            assert!(Cursor::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(Cursor::parse(b"-1").unwrap(), Cursor::decode(u64::MAX));
    }
}
