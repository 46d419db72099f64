//! The locked part of the keyspace that a command, or a whole transaction, works on.

use parking_lot::MutexGuard;
use smallvec::SmallVec;

use super::Store;
use super::ahead::prefetch_keys;
use super::databases::{Spot, spot};
use super::entries::Entries;
use super::entry::Entry;
use super::freeing::{Garbage, Removing};
use super::prefetch::prefetch_to_write;
use super::shard::{Hashing, Shard};
use super::shard_set::ShardSet;
use super::slot::Slot;
use super::waits::Waits;
use super::wanted::Wanted;
use super::watch::Watched;
use crate::limits;

/// Locked shards, and the time of the command. The same command functions run on it whether the
/// command stands alone or in a transaction.
pub(super) struct View<'s> {
    store: &'s Store,
    /// The database whose keys are looked up.
    database: u32,
    now: u64,
    held: Held<'s>,
    /// What is to be freed after the locks: fields are dropped in this order.
    cleared: Vec<Entries>,
    garbage: Garbage,
    /// What the command says of that.
    removing: Removing,
}

/// Which shards are locked.
enum Held<'s> {
    /// None: a command of the whole keyspace locks one after the other.
    None,
    /// That of the command's only key, whose hash is known.
    One(u64, MutexGuard<'s, Shard>),
    /// Some of one database.
    Some(Box<Several<'s>>),
    /// Some of any databases, in the order of their spots.
    Far(Far<'s>),
}

type Far<'s> = Vec<(Spot, MutexGuard<'s, Shard>)>;

/// Locked shards of one database.
struct Several<'s> {
    database: u32,
    shards: ShardSet,
    /// In the order of the shards' indices.
    guards: SmallVec<[MutexGuard<'s, Shard>; 16]>,
    /// For each shard of the set where its guard is.
    places: [u8; limits::SHARDS],
}

const _: () = assert!(limits::SHARDS <= 1 << u8::BITS);

impl<'s> Several<'s> {
    /// Locks shards in the order of their indices, so that two views never wait for each other.
    fn lock(store: &'s Store, database: u32, shards: ShardSet) -> Box<Several<'s>> {
        if database != 0 {
            // Who makes one must have none locked.
            shards
                .iter()
                .for_each(|index| _ = store.shard(spot(database, index)));
        }
        let mut several = Several::of_none(database);
        for index in shards.iter() {
            several.add(index, store.shard(spot(database, index)).lock());
        }
        several
    }

    fn of_none(database: u32) -> Box<Several<'s>> {
        Box::new(Several {
            database,
            shards: ShardSet::default(),
            guards: SmallVec::new(),
            places: [0; limits::SHARDS],
        })
    }

    /// Adds a shard whose index is above those of all others.
    fn add(&mut self, index: usize, guard: MutexGuard<'s, Shard>) {
        self.shards.insert(index);
        self.places[index] = self.guards.len() as u8;
        self.guards.push(guard);
    }

    #[inline]
    fn place(&self, spot: Spot) -> Option<usize> {
        let index = spot.checked_sub(self::spot(self.database, 0))?;
        let is_held = index < limits::SHARDS && self.shards.contains(index);
        is_held.then(|| usize::from(self.places[index]))
    }

    #[inline]
    fn get(&self, spot: Spot) -> Option<&Shard> {
        Some(&self.guards[self.place(spot)?])
    }

    #[inline]
    fn get_mut(&mut self, spot: Spot) -> Option<&mut Shard> {
        let place = self.place(spot)?;
        Some(&mut self.guards[place])
    }

    fn spots(&self) -> impl Iterator<Item = Spot> {
        self.shards.iter().map(|index| spot(self.database, index))
    }

    /// Prefetches what keys with these hashes are looked up by.
    fn prefetch(&self, hashes: &[u64]) {
        prefetch_keys(hashes, |hash| self.get(spot(self.database, shard_of(hash))));
    }
}

impl<'s> View<'s> {
    #[inline]
    fn new(store: &'s Store, database: u32, now: u64, held: Held<'s>) -> View<'s> {
        View {
            store,
            database,
            now,
            held,
            cleared: Vec::new(),
            garbage: Vec::new(),
            removing: Removing::default(),
        }
    }

    /// Nothing locked.
    pub(super) fn of_none(store: &'s Store, database: u32, now: u64) -> View<'s> {
        View::new(store, database, now, Held::None)
    }

    /// The shard of one key locked.
    #[inline]
    pub(super) fn of_key(store: &'s Store, database: u32, now: u64, key: &[u8]) -> View<'s> {
        let hash = store.hashing.hash(key);
        View::of_hash(store, database, now, hash)
    }

    /// The shard of keys with this hash locked.
    #[inline]
    pub(super) fn of_hash(store: &'s Store, database: u32, now: u64, hash: u64) -> View<'s> {
        let shard = store.shard(spot(database, shard_of(hash)));
        View::new(store, database, now, Held::One(hash, shard.lock()))
    }

    /// The shards of keys with these hashes locked.
    pub(super) fn of_hashes(
        store: &'s Store,
        database: u32,
        now: u64,
        hashes: impl Iterator<Item = u64>,
    ) -> View<'s> {
        let mut shards = ShardSet::default();
        let hashes = hashes.inspect(|hash| {
            let index = shard_of(*hash);
            if let Some(shard) = store.databases.made(spot(database, index)) {
                prefetch_to_write(shard);
            }
            shards.insert(index);
        });
        let hashes: SmallVec<[u64; 16]> = hashes.collect();
        let several = Several::lock(store, database, shards);
        several.prefetch(&hashes[..hashes.len().min(limits::PREFETCHED_KEYS)]);
        View::new(store, database, now, Held::Some(several))
    }

    /// All shards of database 0 locked.
    pub(super) fn of_first(store: &'s Store, now: u64) -> View<'s> {
        View::of(store, 0, now, &Wanted::whole(0))
    }

    /// What is wanted locked.
    pub(super) fn of(store: &'s Store, database: u32, now: u64, wanted: &Wanted) -> View<'s> {
        if let Some((database, hashes)) = wanted.of_one_database() {
            return View::of_hashes(store, database, now, hashes);
        }
        let held = lock_wanted(store, wanted, &[]);
        View::new(store, database, now, Held::Far(held))
    }

    /// Keys of this database are looked up from now on.
    #[inline]
    pub(super) fn select(&mut self, database: u32) {
        self.database = database;
    }

    /// The database whose keys are looked up.
    pub(super) fn database(&self) -> u32 {
        self.database
    }

    /// What the command says of the values that it removes.
    pub(super) fn removes(&mut self, removing: Removing) {
        self.removing = self.removing.max(removing);
    }

    /// The time of the command, in milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// How keys are hashed.
    pub(super) fn hashing(&self) -> &'s Hashing {
        &self.store.hashing
    }

    /// A pseudo-random number from the store's seed.
    pub(super) fn random(&self) -> u64 {
        self.store.random()
    }

    /// Looks up one of the command's keys.
    #[inline]
    pub(super) fn slot<'k>(&mut self, key: &'k [u8]) -> Slot<'_, 'k> {
        let hashing = self.hashing();
        let hash = match &self.held {
            Held::One(hash, _) => *hash,
            _ => hashing.hash(key),
        };
        debug_assert_eq!(
            hash,
            hashing.hash(key),
            "a command has the keys that the table says"
        );
        let now = self.now;
        let shard = self.held_shard(spot(self.database, shard_of(hash)));
        Slot::new(
            shard.expect("a command locks its keys"),
            hashing,
            key,
            hash,
            now,
        )
    }

    /// What is under one of the command's keys that has been looked up with [`slot`](View::slot)
    /// before: several keys can be held at once.
    pub(super) fn peek(&self, key: &[u8]) -> Option<Entry<'_>> {
        let hash = self.hashing().hash(key);
        let spot = spot(self.database, shard_of(hash));
        let shard: &Shard = match &self.held {
            Held::None => return None,
            Held::One(_, shard) => shard,
            Held::Some(several) => several.get(spot)?,
            Held::Far(far) => &far[at(far, spot)?].1,
        };
        Some(shard.entry(shard.place(hash, key)?))
    }

    /// Watches a key of this view.
    pub(super) fn watch(&mut self, key: &[u8]) -> Watched {
        let database = self.database;
        let slot = self.slot(key);
        slot.watch(database)
    }

    /// Ends a watch of a key of this view.
    pub(super) fn unwatch(&mut self, watched: &Watched) {
        if let Some(shard) = self.held_shard(watched.spot()) {
            shard.watches.drop(&watched.key);
        }
    }

    /// Whether a watched key is as it was: neither changed nor expired since.
    pub(super) fn is_unchanged(&mut self, watched: &Watched) -> bool {
        // Looking it up removes it if it has expired, which is a change.
        let selected = std::mem::replace(&mut self.database, watched.database);
        self.slot(&watched.key);
        self.database = selected;
        let shard = self.held_shard(watched.spot());
        shard.is_some_and(|s| s.watches.is_unchanged(&watched.key, watched.version))
    }

    /// Runs `f` on those who wait for a key of this view.
    pub(super) fn waits<T: Default>(&mut self, key: &[u8], f: impl FnOnce(&mut Waits) -> T) -> T {
        self.shard_of_key(key, |shard| f(&mut shard.waits))
    }

    /// Runs `f` on the shard of a key of this view.
    pub(super) fn shard_of_key<T: Default>(
        &mut self,
        key: &[u8],
        f: impl FnOnce(&mut Shard) -> T,
    ) -> T {
        let index = shard_of(self.hashing().hash(key));
        let spot = spot(self.database, index);
        self.held_shard(spot).map_or_else(T::default, f)
    }

    /// The store.
    pub(super) fn store(&self) -> &'s Store {
        self.store
    }

    /// Whether something has happened that is to be told.
    #[inline]
    pub(super) fn logs(&self) -> bool {
        let has = |shard: &Shard| shard.log.as_ref().is_some_and(|log| !log.is_empty());
        match &self.held {
            Held::None => false,
            Held::One(_, shard) => has(shard),
            Held::Some(several) => several.guards.iter().any(|shard| has(shard)),
            Held::Far(far) => far.iter().any(|(_, shard)| has(shard)),
        }
    }

    /// Runs `f` on every shard that is locked.
    pub(super) fn each_held(&mut self, mut f: impl FnMut(&mut Shard)) {
        match &mut self.held {
            Held::None => {}
            Held::One(_, shard) => f(shard),
            Held::Some(several) => several.guards.iter_mut().for_each(|shard| f(shard)),
            Held::Far(far) => far.iter_mut().for_each(|(_, shard)| f(shard)),
        }
    }

    /// Whether a key has changed that somebody waits for.
    #[inline]
    pub(super) fn has_changed_waits(&self) -> bool {
        let has = |shard: &Shard| shard.waits.first_change().is_some();
        match &self.held {
            Held::None => false,
            Held::One(_, shard) => has(shard),
            Held::Some(several) => several.guards.iter().any(|shard| has(shard)),
            Held::Far(far) => far.iter().any(|(_, shard)| has(shard)),
        }
    }

    /// Takes out the key that changed first of those that somebody waits for, with its database.
    pub(super) fn next_changed(&mut self) -> Option<(u32, Box<[u8]>)> {
        let shards: &mut dyn Iterator<Item = &mut Shard> = match &mut self.held {
            Held::None => return None,
            Held::One(_, shard) => &mut std::iter::once(&mut **shard),
            Held::Some(several) => &mut several.guards.iter_mut().map(|shard| &mut **shard),
            Held::Far(far) => &mut far.iter_mut().map(|(_, shard)| &mut **shard),
        };
        let first = shards
            .filter_map(|shard| Some((shard.waits.first_change()?, shard)))
            .min_by_key(|(order, _)| *order);
        first.and_then(|(_, shard)| Some((shard.database(), shard.waits.take_changed()?)))
    }

    /// Keys other than that of the command may be looked up from now on.
    pub(super) fn hold_as_several(&mut self) {
        self.held = match std::mem::replace(&mut self.held, Held::None) {
            Held::One(hash, shard) => {
                let mut several = Several::of_none(self.database);
                several.add(shard_of(hash), shard);
                Held::Some(several)
            }
            held => held,
        };
    }

    /// The same view, with the shards locked too to which elements may be moved once this command
    /// has changed its keys; `wanted` is what has been locked. Others may change what it has seen
    /// so far: to be called before the command runs.
    #[inline]
    pub(super) fn with_destinations(self, wanted: Option<&Wanted>) -> View<'s> {
        let has = |shard: &Shard| shard.waits.has_destinations();
        let has_some = match &self.held {
            Held::None => false,
            Held::One(_, shard) => has(shard),
            Held::Some(several) => several.guards.iter().any(|shard| has(shard)),
            Held::Far(far) => far.iter().any(|(_, shard)| has(shard)),
        };
        if has_some { self.widened(wanted) } else { self }
    }

    #[cold]
    fn widened(mut self, wanted: Option<&Wanted>) -> View<'s> {
        match wanted {
            Some(wanted) => self.hold_too(wanted),
            None => self.hold_too(&Wanted::default()),
        }
        self
    }

    /// Locks more, and the shards to which elements may be moved then. Others may change what has
    /// been seen so far, unless all that is held already.
    #[cold]
    pub(super) fn hold_too(&mut self, wanted: &Wanted) {
        if matches!(self.held, Held::None) {
            return;
        }
        loop {
            self.hold_as_several();
            let held: Vec<Spot> = match &self.held {
                Held::None | Held::One(..) => return,
                Held::Some(several) => several.spots().collect(),
                Held::Far(far) => far.iter().map(|(spot, _)| *spot).collect(),
            };
            let (mut more, mut actor) = (Vec::new(), None);
            self.each_held(|shard| {
                let destinations = shard.waits.destinations();
                more.extend(destinations.map(|hash| spot(shard.database(), shard_of(hash))));
                actor = actor.or(shard.tracking.actor);
            });
            let is_held = |spot: Spot| held.binary_search(&spot).is_ok();
            if wanted.is_held(is_held) && more.iter().all(|spot| is_held(*spot)) {
                return;
            }
            // All are locked anew, in their order. Meanwhile more may have come to wait.
            more.extend(held);
            self.each_held(|shard| shard.tracking.actor = None);
            self.held = Held::None;
            self.held = Held::Far(lock_wanted(self.store, wanted, &more));
            self.each_held(|shard| shard.tracking.actor = actor);
        }
    }

    /// Runs `f` on one shard of the database, which is locked for as long if nothing is. `None` if
    /// there is none: no key of it has ever been asked for.
    pub(super) fn with_shard<T>(
        &mut self,
        index: usize,
        f: impl FnOnce(&mut Shard) -> T,
    ) -> Option<T> {
        let spot = spot(self.database, index);
        if !matches!(self.held, Held::None) {
            return self.held_shard(spot).map(f);
        }
        let mut shard = self.store.databases.made(spot)?.lock();
        let result = f(&mut shard);
        self.garbage.append(&mut self.store.settle(&mut shard));
        Some(result)
    }

    /// Runs `f` on every shard of the database in turn.
    pub(super) fn for_each_shard(&mut self, mut f: impl FnMut(&mut Shard)) {
        for index in 0..limits::SHARDS {
            self.with_shard(index, &mut f);
        }
    }

    /// Removes all keys that are locked, or those of one database. Their memory is freed by this
    /// thread once the locks are gone, or later by [`Store::expire_due`].
    pub(super) fn clear(&mut self, database: Option<u32>, in_background: bool) {
        let (mut cleared, now, mut version) = (Vec::new(), self.now, 0);
        self.each_held(|shard| {
            if database.is_none_or(|database| database == shard.database()) {
                cleared.push(shard.clear(now));
                if shard.database() == 0 {
                    version = version.max(shard.tombstones.cleared());
                }
            }
        });
        self.store.note_cleared(version);
        self.store.tell_of_clearing(database);
        if in_background {
            self.store.free_tables_later(cleared);
        } else {
            self.cleared.append(&mut cleared);
        }
    }

    /// Exchanges the keys of two databases, all of whose shards are locked.
    pub(super) fn swap(&mut self, one: u32, other: u32) {
        let (hashing, now) = (self.hashing(), self.now);
        let (low, high) = (one.min(other), one.max(other));
        let Held::Far(far) = &mut self.held else {
            return;
        };
        for index in 0..limits::SHARDS {
            let at = |database| at(far, spot(database, index));
            if let (Some(low), Some(high)) = (at(low), at(high)) {
                let (before, rest) = far.split_at_mut(high);
                before[low].1.exchange(&mut rest[0].1, hashing, now);
            }
        }
        if low == 0 {
            self.store.tell_of_swap();
        }
    }

    #[inline]
    fn held_shard(&mut self, spot: Spot) -> Option<&mut Shard> {
        match &mut self.held {
            Held::None => None,
            Held::One(_, shard) => Some(shard),
            Held::Some(several) => several.get_mut(spot),
            Held::Far(far) => {
                let at = at(far, spot)?;
                Some(&mut far[at].1)
            }
        }
    }
}

impl Drop for View<'_> {
    /// Before the locks are given back, what the command has done to the memory is told; what takes
    /// long to free is freed after that.
    #[inline]
    fn drop(&mut self) {
        if let Held::One(_, shard) = &mut self.held {
            if shard.is_unsettled() {
                self.garbage.append(&mut self.store.settle(shard));
            }
        } else {
            let (store, mut garbage) = (self.store, std::mem::take(&mut self.garbage));
            self.each_held(|shard| garbage.append(&mut store.settle(shard)));
            self.garbage = garbage;
        }
        if !self.garbage.is_empty() {
            self.store.free_later(&mut self.garbage, self.removing);
        }
    }
}

/// Where a shard is among those that are locked.
fn at(far: &Far<'_>, spot: Spot) -> Option<usize> {
    far.binary_search_by_key(&spot, |(s, _)| *s).ok()
}

/// Locks what is wanted, and more: in order and each once, so that two views never wait for each
/// other. Of whole databases no shard is made meanwhile.
fn lock_wanted<'s>(store: &'s Store, wanted: &Wanted, more: &[Spot]) -> Far<'s> {
    // Who makes a shard must have none locked.
    let making = store.databases.making();
    let mut spots = wanted.spots(store, &making);
    spots.extend(more);
    let shards = spots.iter().map(|spot| store.make(&making, *spot));
    let shards: Vec<_> = shards.collect();
    let making = wanted.has_whole().then_some(making);
    let locked = spots.into_iter().zip(shards);
    let locked = locked.map(|(spot, shard)| (spot, shard.lock())).collect();
    drop(making);
    locked
}

/// The shard of keys with this hash: by bits that the shard's own table does not use.
#[inline]
pub(super) fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % limits::SHARDS
}
