//! The keys of a node, a page at a time.
//!
//! A walk goes shard by shard, and within a shard by the [`Home`]s of its keys, which do not depend
//! on how large the table is: so no key comes twice, none is missed that stays, and a page costs
//! about as much as it has keys, not as much as a shard has.

use super::errors::{NOT_AN_INTEGER, Outcome};
use super::index::{HOMES, Home};
use super::numbers;
use super::shard::{Hashing, Shard};
use super::view::View;
use crate::command::{Command, Reply};
use crate::limits;

/// Fewest keys for which homes are looked at, at a time.
const FEW: usize = 16;

/// `document.keys`: where a walk goes on, and how many keys with which prefix are wanted.
pub(super) fn keys(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let most = numbers::integer(command.arg(2)).and_then(|most| usize::try_from(most).ok());
    let mut walk = Walk {
        hashing: view.hashing(),
        now: view.now(),
        prefix: command.arg(3),
        most: most.ok_or(NOT_AN_INTEGER)?,
        left: limits::KEYS_VISITED,
        found: Vec::new(),
    };
    let mut at = Position::parse(command.arg(1)).ok_or(NOT_AN_INTEGER)?;
    while at.shard < limits::SHARDS && !walk.is_done() {
        let next = Position::of_shard(at.shard + 1);
        let went_on = view.with_shard(at.shard, |shard| walk.go_on(shard, at));
        at = went_on.unwrap_or(next);
    }
    let next = Reply::bulk(at.written());
    Ok(Reply::Array(vec![next, Reply::Array(walk.found)]))
}

struct Walk<'a> {
    hashing: &'a Hashing,
    now: u64,
    prefix: &'a [u8],
    /// How many keys are wanted.
    most: usize,
    /// How many may still be looked at.
    left: usize,
    found: Vec<Reply>,
}

impl Walk<'_> {
    fn is_done(&self) -> bool {
        self.found.len() >= self.most || self.left == 0
    }

    /// Walks on in a shard; returns where the walk goes on.
    fn go_on(&mut self, shard: &Shard, mut at: Position) -> Position {
        // So many homes have about as many keys as are wanted.
        let wanted = (self.most - self.found.len()).max(FEW) as u64;
        let mut step = u64::from(HOMES).saturating_mul(wanted) / shard.len().max(1) as u64;
        while at.home < HOMES && !self.is_done() {
            step = step.clamp(1, u64::from(HOMES));
            let end = HOMES.min(at.home + step as Home);
            at = self.take(shard, at, end);
            // Few may have the prefix.
            step *= 2;
        }
        if at.home >= HOMES {
            return Position::of_shard(at.shard + 1);
        }
        at
    }

    /// Takes the keys from a position on, up to a home.
    fn take(&mut self, shard: &Shard, at: Position, end: Home) -> Position {
        let entries = shard.with_homes(self.hashing, &(at.home..end));
        self.left = self.left.saturating_sub(entries.len());
        let is_wanted = |(home, key): &(Home, &[u8])| {
            let is_after = |after: &[u8]| (*home, *key) > (at.home, after);
            key.starts_with(self.prefix) && at.after.as_deref().is_none_or(is_after)
        };
        let alive = entries.iter().filter(|(_, e)| !e.is_expired(self.now));
        let keys = alive.map(|(home, entry)| (*home, entry.key()));
        let mut keys: Vec<(Home, &[u8])> = keys.filter(is_wanted).collect();
        keys.sort_unstable();
        let room = self.most - self.found.len();
        let is_cut = keys.len() > room;
        keys.truncate(room);
        self.found
            .extend(keys.iter().map(|(_, key)| Reply::bulk(key)));
        match keys.last() {
            Some((home, key)) if is_cut => Position {
                shard: at.shard,
                home: *home,
                after: Some(key.to_vec()),
            },
            _ => Position {
                shard: at.shard,
                home: end,
                after: None,
            },
        }
    }
}

/// Where a walk goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Position {
    shard: usize,
    home: Home,
    /// The last key with this home that was taken.
    after: Option<Vec<u8>>,
}

impl Position {
    fn of_shard(shard: usize) -> Position {
        Position {
            shard,
            ..Position::default()
        }
    }

    /// `SHARD-HOME`, or `SHARD-HOME:KEY`; nothing is the start.
    fn parse(bytes: &[u8]) -> Option<Position> {
        if bytes.is_empty() {
            return Some(Position::default());
        }
        let (place, after) = match memchr::memchr(b':', bytes) {
            Some(at) => (&bytes[..at], Some(bytes[at + 1..].to_vec())),
            None => (bytes, None),
        };
        let (shard, home) = std::str::from_utf8(place).ok()?.split_once('-')?;
        Some(Position {
            shard: shard.parse().ok()?,
            home: home.parse().ok()?,
            after,
        })
    }

    /// What [`parse`](Position::parse) reads; nothing where the walk is over.
    fn written(&self) -> Vec<u8> {
        if self.shard >= limits::SHARDS {
            return Vec::new();
        }
        let mut bytes = format!("{}-{}", self.shard, self.home).into_bytes();
        if let Some(after) = &self.after {
            bytes.push(b':');
            bytes.extend_from_slice(after);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::{Id, OwnedCommand};
    use crate::store::Store;

    fn run(store: &Store, words: &[&[u8]]) -> Reply {
        let command = OwnedCommand::resolve(words).unwrap();
        store.execute(0, &command.as_command())
    }

    /// A page of keys, and where the next begins.
    fn page(store: &Store, cursor: &[u8], most: &str, prefix: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
        let words = [b"document.keys", cursor, most.as_bytes(), prefix.as_bytes()];
        let command = OwnedCommand::new(Id::DocumentKeys.spec(), words);
        let Reply::Array(mut both) = store.execute(0, &command.as_command()) else {
            panic!("no page")
        };
        let bytes = |reply| match reply {
            Reply::Bulk(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        };
        let Some(Reply::Array(keys)) = both.pop() else {
            panic!("no keys")
        };
        let next = both.pop().map(bytes).unwrap();
        (next, keys.into_iter().map(bytes).collect())
    }

    /// While the walk goes on keys come and others go, and tables grow and shrink.
    #[test]
    fn keys_that_stay_come_once() {
        for (keys, most) in [(10, 1), (3_000, 7), (30_000, 1_000)] {
            let store = Store::new(keys);
            let key = |i: u64| format!("stays:{i}").into_bytes();
            (0..keys).for_each(|i| assert_eq!(run(&store, &[b"SET", &key(i), b""]), Reply::OK));
            let (mut met, mut cursor, mut pages) = (BTreeSet::new(), Vec::new(), 0);
            loop {
                let (next, found) = page(&store, &cursor, &most.to_string(), "stays:");
                assert!(found.len() <= most);
                for key in found {
                    assert!(met.insert(key), "a key comes twice");
                }
                for i in 0..20 {
                    let other = format!("comes:{}", (pages / 100 * 20 + i) % (keys * 2));
                    let word: &[u8] = if pages / 100 % 2 == 0 {
                        b"SET"
                    } else {
                        b"GETDEL"
                    };
                    let words: [&[u8]; 3] = [word, other.as_bytes(), b""];
                    run(&store, &words[..if word == b"SET" { 3 } else { 2 }]);
                }
                pages += 1;
                if next.is_empty() {
                    break;
                }
                cursor = next;
            }
            assert!((0..keys).all(|i| met.contains(&key(i))));
        }
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let store = Store::new(1);
        for cursor in [
            &b"x"[..],
            b"1",
            b"-",
            b"1-",
            b"-1",
            b"1-x:key",
            b"99999999999999999999-0",
        ] {
            assert_eq!(Position::parse(cursor), None, "{cursor:?}");
        }
        // Beyond all keys there is none.
        for cursor in [&b"255-16777216"[..], b"255-4294967295", b"9999-0"] {
            assert_eq!(
                page(&store, cursor, "5", ""),
                (vec![], vec![]),
                "{cursor:?}"
            );
        }
    }
}
