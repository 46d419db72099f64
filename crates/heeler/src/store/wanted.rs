//! Which shards a command locks that does not have just one key.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::Store;
use super::databases::{Making, Spot, spot};
use super::view::shard_of;
use super::{dispatch, keys, keyspace, sort};
use crate::command::{Command, Id};
use crate::limits;

/// Shards that are to be locked together: of keys, and of whole databases.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Keys, by their databases and hashes.
    keys: SmallVec<[(u32, u64); 16]>,
    /// Databases of which all shards are wanted that there are.
    present: SmallVec<[u32; 2]>,
    /// Databases of which all shards are wanted, for any key may be looked up.
    any_key: SmallVec<[u32; 2]>,
    /// Databases whose keys change places: where one has a shard, all are to have it.
    swapped: SmallVec<[u32; 4]>,
    /// All shards of all databases that there are.
    all: bool,
}

impl Wanted {
    /// All keys of a database.
    pub(super) fn whole(database: u32) -> Wanted {
        let mut wanted = Wanted::default();
        wanted.present.push(database);
        wanted
    }

    /// A key.
    pub(super) fn key(&mut self, store: &Store, database: u32, key: &[u8]) {
        let hash = store.hashing.hash(key);
        self.hash(database, hash);
    }

    /// Keys with this hash.
    pub(super) fn hash(&mut self, database: u32, hash: u64) {
        self.keys.push((database, hash));
    }

    /// What a command needs that is run in a database, alone or in a transaction.
    pub(super) fn command(&mut self, store: &Store, database: u32, command: &Command<'_>) {
        match command.spec.id {
            Id::Flushall => self.all = true,
            Id::Flushdb | Id::ItemFlush => self.present.push(database),
            Id::Dbsize | Id::Keys | Id::Randomkey | Id::Scan => self.present.push(database),
            Id::Swapdb => self
                .swapped
                .extend(keyspace::swapped(store, command).into_iter().flatten()),
            Id::Sort | Id::SortRo if sort::reads_other_keys(command) => {
                self.any_key.push(database);
            }
            _ => self.keys_of(store, database, command),
        }
    }

    fn keys_of(&mut self, store: &Store, database: u32, command: &Command<'_>) {
        match command.keys() {
            Ok(keys) => keys
                .iter()
                .for_each(|at| self.key(store, database, command.arg(at))),
            // The command's own check of its arguments words the error.
            Err(_) => self.any_key.push(database),
        }
        if dispatch::reaches_elsewhere(command)
            && let Some((other, key)) = keys::elsewhere(store, command)
        {
            self.key(store, other, key);
        }
    }

    /// Whether there are whole databases among it: then nobody may make a shard meanwhile.
    pub(super) fn has_whole(&self) -> bool {
        let some = |databases: &[u32]| !databases.is_empty();
        self.all || some(&self.present) || some(&self.any_key) || some(&self.swapped)
    }

    /// The hashes of its keys, if all of them are of one database and there is nothing else.
    pub(super) fn of_one_database(&self) -> Option<(u32, impl Iterator<Item = u64>)> {
        let database = self.keys.first().map_or(0, |(database, _)| *database);
        let is_one = !self.has_whole() && self.keys.iter().all(|(other, _)| *other == database);
        is_one.then(|| (database, self.keys.iter().map(|(_, hash)| *hash)))
    }

    /// Whether the shards of all its keys are held.
    pub(super) fn is_held(&self, is_held: impl Fn(Spot) -> bool) -> bool {
        self.spots_of_keys().all(is_held)
    }

    fn spots_of_keys(&self) -> impl Iterator<Item = Spot> {
        let of_key = |(database, hash): &(u32, u64)| spot(*database, shard_of(*hash));
        self.keys.iter().map(of_key)
    }

    /// The shards in their order, while none is made.
    pub(super) fn spots(&self, store: &Store, _making: &Making<'_>) -> BTreeSet<Spot> {
        let mut spots: BTreeSet<Spot> = self.spots_of_keys().collect();
        let databases = &store.databases;
        for database in distinct(&self.any_key) {
            spots.extend((0..limits::SHARDS).map(|index| spot(database, index)));
        }
        let swapped = distinct(&self.swapped);
        for index in 0..limits::SHARDS {
            let all = swapped.iter().map(|database| spot(*database, index));
            let is_there = |spot: Spot| databases.made(spot).is_some() || spots.contains(&spot);
            if all.clone().any(is_there) {
                spots.extend(all);
            }
        }
        for database in distinct(&self.present) {
            spots.extend(databases.made_in(database).map(|(spot, _)| spot));
        }
        if self.all {
            spots.extend(databases.all_made().map(|(spot, _)| spot));
        }
        spots
    }
}

/// Each once: the commands of a transaction may name the same database as often as they like.
fn distinct(databases: &[u32]) -> BTreeSet<u32> {
    databases.iter().copied().collect()
}
