//! Commands about databases as a whole: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB.

use super::Store;
use super::errors::{DB_INDEX, Error, NOT_AN_INT, Outcome, SYNTAX};
use super::freeing::Lazy;
use super::numbers;
use super::view::View;
use crate::command::{Command, Id, Reply};
use crate::limits;

pub(super) fn dbsize(view: &mut View<'_>, _: &Command<'_>) -> Outcome {
    let mut keys = 0;
    view.for_each_shard(|shard| keys += shard.len());
    Ok(Reply::Int(keys as i64))
}

impl Store {
    /// How many keys database 0 has, as DBSIZE counts.
    pub fn count_all(&self) -> usize {
        self.databases
            .first()
            .iter()
            .map(|shard| shard.lock().len())
            .sum()
    }

    /// How many keys of database 0 there are that are wanted, as DBSIZE counts: also those whose
    /// time is up and that nobody has noticed. Looks at all, a shard at a time.
    pub fn count(&self, wanted: impl Fn(&[u8]) -> bool) -> usize {
        let of_shard = |shard: &super::shard::Locked| {
            let shard = shard.lock();
            shard.iter().filter(|entry| wanted(entry.key())).count()
        };
        self.databases.first().iter().map(of_shard).sum()
    }
}

/// FLUSHALL and FLUSHDB: with ASYNC the memory is freed in the background.
pub(super) fn flush(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let in_background = is_async(view.store(), command)?;
    let only = (command.spec.id == Id::Flushdb).then(|| view.database());
    view.clear(only, in_background);
    Ok(Reply::OK)
}

/// Whether FLUSHALL or FLUSHDB leaves memory to be freed in the background.
///
/// # Errors
/// Its arguments say neither.
pub(super) fn is_async(store: &Store, command: &Command<'_>) -> Result<bool, Error> {
    match command.args(1).collect::<Vec<_>>()[..] {
        [] => Ok(store.is_lazy(Lazy::UserFlush)),
        [word] if word.eq_ignore_ascii_case(b"sync") => Ok(false),
        [word] if word.eq_ignore_ascii_case(b"async") => Ok(true),
        _ => Err(SYNTAX.into()),
    }
}

/// SWAPDB: who waits for a key or watches one stays with the number of his database.
pub(super) fn swapdb(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let [one, other] = swapped(view.store(), command)?;
    if one != other {
        view.swap(one, other);
    }
    Ok(Reply::OK)
}

/// The databases that SWAPDB names.
///
/// # Errors
/// There are none of these numbers, or the store is a ring's.
pub(super) fn swapped(store: &Store, command: &Command<'_>) -> Result<[u32; 2], Error> {
    if store.is_of_ring() {
        return Err("ERR SWAPDB is not allowed in cluster mode".into());
    }
    let first = index(command.arg(1)).ok_or("ERR invalid first DB index")?;
    let second = index(command.arg(2)).ok_or("ERR invalid second DB index")?;
    Ok([exists(store, first)?, exists(store, second)?])
}

/// The database that an argument names.
///
/// # Errors
/// There is none of that number, or it is no number.
pub(super) fn database(store: &Store, argument: &[u8]) -> Result<u32, Error> {
    let number = numbers::integer_argument(argument)?;
    exists(store, i32::try_from(number).map_err(|_| NOT_AN_INT)?)
}

fn exists(store: &Store, number: i32) -> Result<u32, Error> {
    let count = match store.is_of_ring() {
        // Those of others are named, and refused for that.
        true => limits::DATABASES,
        false => store.databases(),
    };
    let number = u32::try_from(number).ok().filter(|number| *number < count);
    number.ok_or(DB_INDEX.into())
}

fn index(argument: &[u8]) -> Option<i32> {
    i32::try_from(numbers::integer(argument)?).ok()
}
