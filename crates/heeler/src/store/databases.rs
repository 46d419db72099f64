//! The shards of all databases.
//!
//! Database 0 has its shards from the start, so that the way to one of its keys is as short as if
//! there were no others. Another database gets each of its shards when a key that belongs there is
//! first asked for: one of few keys takes little, one that nobody uses takes nothing. Who works on
//! whole databases goes through the shards that there are.
//!
//! All shards stand in one order, by their [`Spot`]s, in which they are locked. A new one is made
//! as that of database 0 with its number is set up; settings are changed in all of them while none
//! is made. Whoever makes one has no shard locked.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use super::Store;
use super::allocation;
use super::shard::{Locked, Shard};
use super::upkeep::{Notice, Upkeep};
use crate::limits;

/// The place of a shard among those of all databases.
pub(super) type Spot = usize;

/// A database other than 0.
struct Other {
    /// Its shards, as far as they have been made.
    shards: Box<[OnceLock<Box<Locked>>]>,
    upkeep: Arc<Upkeep>,
}

/// The right to make shards, and to change settings of all.
pub(super) type Making<'s> = MutexGuard<'s, ()>;

/// How many databases a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// So many, from 0 on.
    Upto(u32),
    /// One, which is the ring's: commands that name another are refused as by a node of Redis
    /// Cluster.
    OfRing,
}

/// All shards.
pub(super) struct Databases {
    numbering: Numbering,
    first: Box<[Locked]>,
    /// What they have to do.
    first_upkeep: Arc<Upkeep>,
    /// Those of database 1 and so on.
    others: Box<[OnceLock<Other>]>,
    /// The numbers of databases that have shards, in the order in which they got their first.
    order: Box<[AtomicU32]>,
    made: AtomicUsize,
    making: Mutex<()>,
}

/// Where a shard of a database stands.
#[inline]
pub(super) fn spot(database: u32, index: usize) -> Spot {
    database as usize * limits::SHARDS + index
}

impl Databases {
    /// All of them, without a key.
    pub(super) fn new(
        numbering: Numbering,
        first: Box<[Locked]>,
        first_upkeep: Arc<Upkeep>,
    ) -> Databases {
        let count = match numbering {
            Numbering::Upto(count) => count.clamp(1, limits::DATABASES_MOST) as usize,
            Numbering::OfRing => 1,
        };
        Databases {
            numbering,
            first,
            first_upkeep,
            others: (1..count).map(|_| OnceLock::new()).collect(),
            order: (0..count).map(|_| AtomicU32::new(0)).collect(),
            made: AtomicUsize::new(1),
            making: Mutex::default(),
        }
    }

    /// How many databases there are.
    pub(super) fn count(&self) -> u32 {
        self.others.len() as u32 + 1
    }

    /// Bytes that they take without a shard but those of database 0.
    pub(super) fn bytes_at_start(&self) -> usize {
        let rows = size_of::<OnceLock<Other>>() + size_of::<AtomicU32>();
        let first = limits::SHARDS * size_of::<Locked>() + size_of::<Upkeep>();
        first + self.others.len() * rows
    }

    /// The shards of database 0.
    #[inline]
    pub(super) fn first(&self) -> &[Locked] {
        &self.first
    }

    /// While this is held no shard is made. To be taken while no shard is locked.
    pub(super) fn making(&self) -> Making<'_> {
        self.making.lock()
    }

    /// A shard, if it has been made.
    #[inline]
    pub(super) fn made(&self, spot: Spot) -> Option<&Locked> {
        match self.first.get(spot) {
            Some(shard) => Some(shard),
            None => {
                let (database, index) = (spot / limits::SHARDS, spot % limits::SHARDS);
                let other = self.others.get(database - 1)?.get()?;
                Some(other.shards[index].get()?)
            }
        }
    }

    /// The shards of a database that have been made, in their order.
    pub(super) fn made_in(&self, database: u32) -> impl Iterator<Item = (Spot, &Locked)> {
        let has_any = database == 0
            || self
                .others
                .get(database as usize - 1)
                .is_some_and(|other| other.get().is_some());
        let spots = match has_any {
            true => spot(database, 0)..spot(database, limits::SHARDS),
            false => 0..0,
        };
        spots.filter_map(|spot| Some((spot, self.made(spot)?)))
    }

    /// All shards that have been made, in their order.
    pub(super) fn all_made(&self) -> impl Iterator<Item = (Spot, &Locked)> {
        (0..self.count()).flat_map(|database| self.made_in(database))
    }

    /// How many databases have shards.
    pub(super) fn in_order(&self) -> usize {
        self.made.load(Ordering::Acquire)
    }

    /// The database that was the first to get shards, the second and so on, with what its shards
    /// have to do.
    pub(super) fn upkeep(&self, place: usize) -> Option<(u32, &Upkeep)> {
        let database = self.order.get(place)?.load(Ordering::Relaxed);
        let upkeep = match (database as usize).checked_sub(1) {
            None => &self.first_upkeep,
            Some(other) => &self.others.get(other)?.get()?.upkeep,
        };
        Some((database, upkeep))
    }

    /// How many turns a round over all shards takes.
    pub(super) fn turns(&self) -> usize {
        self.in_order() * limits::SHARDS
    }

    /// The shard whose turn it is, if there is one.
    pub(super) fn of_turn(&self, turn: usize) -> Option<&Locked> {
        let turn = turn % self.turns();
        let database = self.order[turn / limits::SHARDS].load(Ordering::Relaxed);
        self.made(spot(database, turn % limits::SHARDS))
    }
}

impl Store {
    /// How many databases there are: their numbers are below that.
    pub fn databases(&self) -> u32 {
        self.databases.count()
    }

    /// Whether its one database is that of a ring.
    pub(super) fn is_of_ring(&self) -> bool {
        self.databases.numbering == Numbering::OfRing
    }

    /// The shard at a spot, which is made if there is none. No shard may be locked.
    #[inline]
    pub(super) fn shard(&self, spot: Spot) -> &Locked {
        match self.databases.first.get(spot) {
            Some(shard) => shard,
            None => self.other_shard(spot),
        }
    }

    #[inline(never)]
    fn other_shard(&self, spot: Spot) -> &Locked {
        match self.databases.made(spot) {
            Some(shard) => shard,
            None => self.make(&self.databases.making(), spot),
        }
    }

    /// The same for who holds back all others who make shards.
    #[cold]
    pub(super) fn make(&self, _making: &Making<'_>, spot: Spot) -> &Locked {
        let (database, index) = (spot / limits::SHARDS, spot % limits::SHARDS);
        let Some(place) = database.checked_sub(1) else {
            return &self.databases.first[index];
        };
        let other = self.databases.others[place].get_or_init(|| {
            self.takes::<OnceLock<Box<Locked>>>(limits::SHARDS);
            self.takes::<Upkeep>(1);
            let made = self.databases.made.load(Ordering::Relaxed);
            self.databases.order[made].store(database as u32, Ordering::Relaxed);
            self.databases.made.store(made + 1, Ordering::Release);
            Other {
                shards: (0..limits::SHARDS).map(|_| OnceLock::new()).collect(),
                upkeep: Arc::default(),
            }
        });
        other.shards[index].get_or_init(|| {
            self.takes::<Locked>(1);
            let like = self.databases.first[index].lock();
            let notice = Notice::new(&other.upkeep, index);
            Box::new(Locked::new(like.sister(
                &self.hashing,
                database as u32,
                notice,
            )))
        })
    }

    /// Tells of so many places for shards.
    fn takes<T>(&self, count: usize) {
        let bytes = allocation::size(count * size_of::<T>());
        self.memory.fetch_add(bytes as isize, Ordering::Relaxed);
    }

    /// Runs `f` on each shard that there is, and on none that is made later: for settings, which
    /// new shards take from others.
    pub(super) fn set_all(&self, f: impl FnMut(Spot, &mut Shard)) {
        self.set_made(&self.databases.making(), f);
    }

    /// The same for who holds back all others who make shards.
    pub(super) fn set_made(&self, _making: &Making<'_>, mut f: impl FnMut(Spot, &mut Shard)) {
        for (spot, shard) in self.databases.all_made() {
            let mut shard = shard.lock();
            f(spot, &mut shard);
            drop(self.settle(&mut shard));
        }
    }
}

#[cfg(test)]
mod tests;
