//! Commands about the keyspace as a whole: DBSIZE, FLUSHALL, SWAPDB. There is one database, 0.

use super::Store;
use super::errors::{DB_INDEX, Error, NOT_AN_INT, Outcome, SYNTAX};
use super::numbers;
use super::view::View;
use crate::command::{Command, Reply};

pub(super) fn dbsize(view: &mut View<'_>, _: &Command<'_>) -> Outcome {
    let mut keys = 0;
    view.for_each_shard(|shard| keys += shard.len());
    Ok(Reply::Int(keys as i64))
}

impl Store {
    /// How many keys there are, as DBSIZE counts.
    pub fn count_all(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// How many keys there are that are wanted, as DBSIZE counts: also those whose time is up and
    /// that nobody has noticed. Looks at all, a shard at a time.
    pub fn count(&self, wanted: impl Fn(&[u8]) -> bool) -> usize {
        let of_shard = |shard: &parking_lot::Mutex<super::shard::Shard>| {
            let shard = shard.lock();
            shard.iter().filter(|entry| wanted(entry.key())).count()
        };
        self.shards.iter().map(of_shard).sum()
    }
}

/// FLUSHALL and FLUSHDB: with ASYNC the memory is freed in the background.
pub(super) fn flush(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let in_background = match command.args(1).collect::<Vec<_>>()[..] {
        [] => false,
        [word] if word.eq_ignore_ascii_case(b"sync") => false,
        [word] if word.eq_ignore_ascii_case(b"async") => true,
        _ => return Err(SYNTAX.into()),
    };
    view.clear(in_background);
    Ok(Reply::OK)
}

pub(super) fn swapdb(_: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let first = index(command.arg(1)).ok_or("ERR invalid first DB index")?;
    let second = index(command.arg(2)).ok_or("ERR invalid second DB index")?;
    if (first, second) != (0, 0) {
        return Err(DB_INDEX.into());
    }
    Ok(Reply::OK)
}

/// Checks that an argument names the only database.
pub(super) fn only_database(argument: &[u8]) -> Result<(), Error> {
    let number = numbers::integer_argument(argument)?;
    match i32::try_from(number) {
        Ok(0) => Ok(()),
        Ok(_) => Err(DB_INDEX.into()),
        Err(_) => Err(NOT_AN_INT.into()),
    }
}

fn index(argument: &[u8]) -> Option<i32> {
    i32::try_from(numbers::integer(argument)?).ok()
}
