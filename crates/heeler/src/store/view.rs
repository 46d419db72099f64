//! The locked part of the keyspace that a command, or a whole transaction, works on.

use parking_lot::MutexGuard;
use smallvec::SmallVec;

use super::Store;
use super::entries::Entries;
use super::entry::{Entry, Object};
use super::prefetch::prefetch;
use super::shard::{Hashing, Shard};
use super::shard_set::ShardSet;
use super::slot::Slot;
use super::waits::Waits;
use super::watch::Watched;
use crate::limits;

/// Locked shards, and the time of the command. The same command functions run on it whether the
/// command stands alone or in a transaction.
pub(super) struct View<'s> {
    store: &'s Store,
    now: u64,
    held: Held<'s>,
    /// What is to be freed after the locks: fields are dropped in this order.
    cleared: Vec<Entries>,
    garbage: Vec<Object>,
    /// Whether that is left to the background.
    frees_later: bool,
}

/// Which shards are locked.
enum Held<'s> {
    /// None: a command of the whole keyspace locks one after the other.
    None,
    /// That of the command's only key, whose hash is known.
    One(u64, MutexGuard<'s, Shard>),
    /// Some.
    Some(Box<Several<'s>>),
    /// All, in the order of their indices.
    All(Vec<MutexGuard<'s, Shard>>),
}

/// Locked shards.
struct Several<'s> {
    shards: ShardSet,
    /// In the order of the shards' indices.
    guards: SmallVec<[MutexGuard<'s, Shard>; 8]>,
}

impl<'s> Several<'s> {
    /// Locks shards in the order of their indices, so that two views never wait for each other.
    fn lock(store: &'s Store, shards: ShardSet) -> Box<Several<'s>> {
        let guards = shards.iter().map(|index| store.shards[index].lock());
        let guards = guards.collect();
        Box::new(Several { shards, guards })
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&Shard> {
        Some(&self.guards[self.shards.rank(index)?])
    }

    #[inline]
    fn get_mut(&mut self, index: usize) -> Option<&mut Shard> {
        Some(&mut self.guards[self.shards.rank(index)?])
    }

    /// Keys with these hashes are looked up soon: what is waited for one by one else is brought
    /// near at the same time.
    fn expect(&self, hashes: &[u64]) {
        let shard = |hash: &u64| Some((self.get(shard_of(*hash))?, *hash));
        let expected = hashes.iter().filter_map(shard);
        expected.for_each(|(shard, hash)| shard.expect(hash));
        let expected = hashes.iter().filter_map(shard);
        expected.for_each(|(shard, hash)| shard.expect_entry(hash));
    }
}

impl<'s> View<'s> {
    fn new(store: &'s Store, now: u64, held: Held<'s>) -> View<'s> {
        View {
            store,
            now,
            held,
            cleared: Vec::new(),
            garbage: Vec::new(),
            frees_later: false,
        }
    }

    /// Nothing locked.
    pub(super) fn of_none(store: &'s Store, now: u64) -> View<'s> {
        let held = Held::None;
        View::new(store, now, held)
    }

    /// The shard of one key locked.
    #[inline]
    pub(super) fn of_key(store: &'s Store, now: u64, key: &[u8]) -> View<'s> {
        let hash = store.hashing.hash(key);
        let held = Held::One(hash, store.shards[shard_of(hash)].lock());
        View::new(store, now, held)
    }

    /// The shards of keys with these hashes locked.
    pub(super) fn of_hashes(
        store: &'s Store,
        now: u64,
        hashes: impl Iterator<Item = u64>,
    ) -> View<'s> {
        let mut shards = ShardSet::default();
        let expected = hashes.inspect(|hash| {
            let index = shard_of(*hash);
            prefetch(&store.shards[index]);
            shards.insert(index);
        });
        let expected: SmallVec<[u64; 16]> = expected.collect();
        let several = Several::lock(store, shards);
        several.expect(&expected[..expected.len().min(limits::EXPECTED_KEYS)]);
        View::new(store, now, Held::Some(several))
    }

    /// All shards locked.
    pub(super) fn of_all(store: &'s Store, now: u64) -> View<'s> {
        let held = Held::All(store.shards.iter().map(|shard| shard.lock()).collect());
        View::new(store, now, held)
    }

    /// What takes long to free is left to [`Store::expire_due`].
    pub(super) fn free_later(&mut self) {
        self.frees_later = true;
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
        let shard = self.held_shard(shard_of(hash));
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
        let index = shard_of(hash);
        let shard: &Shard = match &self.held {
            Held::None => return None,
            Held::One(_, shard) => shard,
            Held::Some(several) => several.get(index)?,
            Held::All(shards) => &shards[index],
        };
        Some(shard.entry(shard.place(hash, key)?))
    }

    /// Watches a key of this view.
    pub(super) fn watch(&mut self, key: &[u8]) -> Watched {
        let slot = self.slot(key);
        slot.watch()
    }

    /// Ends a watch of a key of this view.
    pub(super) fn unwatch(&mut self, watched: &Watched) {
        if let Some(shard) = self.held_shard(shard_of(watched.hash)) {
            shard.watches.drop(&watched.key);
        }
    }

    /// Whether a watched key is as it was: neither changed nor expired since.
    pub(super) fn is_unchanged(&mut self, watched: &Watched) -> bool {
        // Looking it up removes it if it has expired, which is a change.
        self.slot(&watched.key);
        let shard = self.held_shard(shard_of(watched.hash));
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
        self.held_shard(index).map_or_else(T::default, f)
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
            Held::All(shards) => shards.iter().any(|shard| has(shard)),
        }
    }

    /// Runs `f` on every shard that is locked.
    pub(super) fn each_held(&mut self, mut f: impl FnMut(&mut Shard)) {
        match &mut self.held {
            Held::None => {}
            Held::One(_, shard) => f(shard),
            Held::Some(several) => several.guards.iter_mut().for_each(|shard| f(shard)),
            Held::All(shards) => shards.iter_mut().for_each(|shard| f(shard)),
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
            Held::All(shards) => shards.iter().any(|shard| has(shard)),
        }
    }

    /// Takes out the key that changed first of those that somebody waits for.
    pub(super) fn next_changed(&mut self) -> Option<Box<[u8]>> {
        let shards: &mut dyn Iterator<Item = &mut Shard> = match &mut self.held {
            Held::None => return None,
            Held::One(_, shard) => &mut std::iter::once(&mut **shard),
            Held::Some(several) => &mut several.guards.iter_mut().map(|shard| &mut **shard),
            Held::All(shards) => &mut shards.iter_mut().map(|shard| &mut **shard),
        };
        let first = shards
            .filter_map(|shard| Some((shard.waits.first_change()?, shard)))
            .min_by_key(|(order, _)| *order);
        first.and_then(|(_, shard)| shard.waits.take_changed())
    }

    /// Keys other than that of the command may be looked up from now on.
    pub(super) fn hold_as_several(&mut self) {
        self.held = match std::mem::replace(&mut self.held, Held::None) {
            Held::One(hash, shard) => Held::Some(Box::new(Several {
                shards: ShardSet::from_iter([shard_of(hash)]),
                guards: SmallVec::from_iter([shard]),
            })),
            held => held,
        };
    }

    /// The same view, with the shards locked too to which elements may be moved once this command
    /// has changed its keys. Others may change what it has seen so far: to be called before the
    /// command runs.
    #[inline]
    pub(super) fn with_destinations(self) -> View<'s> {
        let has = |shard: &Shard| shard.waits.has_destinations();
        let has_some = match &self.held {
            Held::None | Held::All(_) => false,
            Held::One(_, shard) => has(shard),
            Held::Some(several) => several.guards.iter().any(|shard| has(shard)),
        };
        if has_some { self.widened() } else { self }
    }

    #[cold]
    fn widened(mut self) -> View<'s> {
        loop {
            self.hold_as_several();
            let Held::Some(several) = &self.held else {
                return self;
            };
            let held = several.shards;
            let mut wanted = held;
            let destinations = several.guards.iter().flat_map(|s| s.waits.destinations());
            destinations.for_each(|hash| wanted.insert(shard_of(hash)));
            if wanted == held {
                return self;
            }
            // All are locked anew, in their order. Meanwhile more may have come to wait.
            self.held = Held::None;
            self.held = Held::Some(Several::lock(self.store, wanted));
        }
    }

    /// Runs `f` on one shard, which is locked for as long if it is not already.
    pub(super) fn with_shard<T>(&mut self, index: usize, f: impl FnOnce(&mut Shard) -> T) -> T {
        match self.held_shard(index) {
            Some(shard) => f(shard),
            None => {
                let mut shard = self.store.shards[index].lock();
                let result = f(&mut shard);
                self.garbage.append(&mut self.store.settle(&mut shard));
                result
            }
        }
    }

    /// Runs `f` on every shard in turn.
    pub(super) fn for_each_shard(&mut self, mut f: impl FnMut(&mut Shard)) {
        for index in 0..limits::SHARDS {
            self.with_shard(index, &mut f);
        }
    }

    /// Removes all keys. Their memory is freed by this thread once the locks are gone, or later by
    /// [`Store::expire_due`].
    pub(super) fn clear(&mut self, in_background: bool) {
        let mut cleared = Vec::with_capacity(limits::SHARDS);
        let now = self.now;
        self.for_each_shard(|shard| cleared.push(shard.clear(now)));
        self.store.tell_of_clearing();
        if in_background {
            self.store.discarded.lock().append(&mut cleared);
        } else {
            self.cleared.append(&mut cleared);
        }
    }

    #[inline]
    fn held_shard(&mut self, index: usize) -> Option<&mut Shard> {
        match &mut self.held {
            Held::None => None,
            Held::One(_, shard) => Some(shard),
            Held::Some(several) => several.get_mut(index),
            Held::All(shards) => Some(&mut shards[index]),
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
        if self.frees_later {
            self.store.unlinked.lock().append(&mut self.garbage);
        }
    }
}

/// The shard of keys with this hash: by bits that the shard's own table does not use.
#[inline]
pub(super) fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % limits::SHARDS
}
