//! Who frees the memory of large values: whoever removed them, once no lock is held, or the
//! background, as Redis's `lazyfree` parameters say. Small values are freed at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::Store;
use super::entries::Entries;
use super::entry::Object;
use super::notices::Change;

/// What the background may free, by Redis's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lazy {
    /// What is evicted.
    Eviction,
    /// What has expired.
    Expire,
    /// What another value takes the place of, as in SET or RENAME.
    ServerDel,
    /// What DEL removes, as if it were UNLINK.
    UserDel,
    /// What FLUSHALL and FLUSHDB remove where they do not say.
    UserFlush,
}

impl Lazy {
    /// All of them, in the order of their names.
    pub const ALL: [Lazy; 5] = [
        Lazy::Eviction,
        Lazy::Expire,
        Lazy::ServerDel,
        Lazy::UserDel,
        Lazy::UserFlush,
    ];

    /// Redis's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Lazy::Eviction => "lazyfree-lazy-eviction",
            Lazy::Expire => "lazyfree-lazy-expire",
            Lazy::ServerDel => "lazyfree-lazy-server-del",
            Lazy::UserDel => "lazyfree-lazy-user-del",
            Lazy::UserFlush => "lazyfree-lazy-user-flush",
        }
    }
}

/// Large values that are gone, and what became of their keys.
pub(super) type Garbage = Vec<(Change, Object)>;

/// What a command says of the values that it removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Removing {
    /// Nothing: they make room for others.
    #[default]
    Replaces,
    /// They are to go.
    Deletes,
    /// They are to go, and nobody waits for that.
    Unlinks,
}

/// What is left to the background.
#[derive(Debug, Default)]
pub(super) struct Freeing {
    lazy: [AtomicBool; Lazy::ALL.len()],
    tables: Mutex<Vec<Entries>>,
    values: Mutex<Vec<Object>>,
    /// Keys that it has freed the values of.
    freed: AtomicU64,
}

impl Store {
    /// Whether the background frees that.
    pub fn is_lazy(&self, lazy: Lazy) -> bool {
        self.freeing.lazy[lazy as usize].load(Relaxed)
    }

    /// From now on the background frees that, or not.
    pub fn set_lazy(&self, lazy: Lazy, is_lazy: bool) {
        self.freeing.lazy[lazy as usize].store(is_lazy, Relaxed);
    }

    /// Objects and tables that wait to be freed.
    pub fn discarded(&self) -> usize {
        self.freeing.tables.lock().len() + self.freeing.values.lock().len()
    }

    /// Of how many keys the background has freed the values.
    pub fn freed_later(&self) -> u64 {
        self.freeing.freed.load(Relaxed)
    }

    /// Counts them from nought.
    pub fn reset_freed_later(&self) {
        self.freeing.freed.store(0, Relaxed);
    }

    /// Takes out what is left to the background; the rest is to be dropped once no lock is held.
    #[cold]
    pub(super) fn free_later(&self, garbage: &mut Garbage, removing: Removing) {
        let is_later = |change| match (change, removing) {
            (Change::Expired, _) => self.is_lazy(Lazy::Expire),
            (Change::Evicted, _) => self.is_lazy(Lazy::Eviction),
            (_, Removing::Replaces) => self.is_lazy(Lazy::ServerDel),
            (_, Removing::Deletes) => self.is_lazy(Lazy::UserDel),
            (_, Removing::Unlinks) => true,
        };
        let later = garbage.extract_if(.., |(change, _)| is_later(*change));
        let later: Vec<Object> = later.map(|(_, object)| object).collect();
        if !later.is_empty() {
            self.freeing.values.lock().extend(later);
        }
    }

    /// Frees what a shard had, which is unlocked, or leaves it to the background.
    pub(super) fn free(&self, mut garbage: Garbage, removing: Removing) {
        if !garbage.is_empty() {
            self.free_later(&mut garbage, removing);
        }
    }

    /// Leaves tables that were cleared to the background.
    pub(super) fn free_tables_later(&self, tables: impl IntoIterator<Item = Entries>) {
        self.freeing.tables.lock().extend(tables);
    }

    /// Frees tables and values that were left to the background, until about that many keys are
    /// freed.
    pub(super) fn free_discarded(&self, budget: usize) -> usize {
        let mut freed = 0;
        while freed < budget {
            let Some(table) = self.freeing.tables.lock().pop() else {
                break;
            };
            freed += table.len();
        }
        while freed < budget {
            let Some(object) = self.freeing.values.lock().pop() else {
                break;
            };
            freed += 1;
            drop(object);
        }
        self.freeing.freed.fetch_add(freed as u64, Relaxed);
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    /// What waits to be freed after a command that removes a large set in some way.
    fn waits_after(store: &Store, command: &str) -> usize {
        let set = (0..1_000).fold("SADD set".to_owned(), |line, i| format!("{line} m{i}"));
        run(store, 0, &set);
        run(store, 0, command);
        let waits = store.discarded();
        while store.expire_due(0, 100_000) > 0 {}
        assert_eq!(store.discarded(), 0, "{command}");
        run(store, 0, "FLUSHALL SYNC");
        waits
    }

    #[test]
    fn what_is_removed_is_freed_by_whom_the_parameters_say() {
        let (delete, flush) = (Lazy::UserDel, Lazy::UserFlush);
        for (command, lazy) in [
            ("DEL set", Some(delete)),
            ("GETDEL set", None),
            ("SET set v", Some(Lazy::ServerDel)),
            ("SINTERSTORE set none", Some(Lazy::ServerDel)),
            ("FLUSHALL", Some(flush)),
            ("FLUSHDB", Some(flush)),
            ("FLUSHALL SYNC", None),
        ] {
            let store = Store::new(1);
            assert_eq!(waits_after(&store, command), 0, "{command}");
            for other in Lazy::ALL {
                store.set_lazy(other, Some(other) != lazy);
            }
            assert_eq!(waits_after(&store, command), 0, "{command}");
            if let Some(lazy) = lazy {
                for other in Lazy::ALL {
                    store.set_lazy(other, other == lazy);
                }
                assert_ne!(waits_after(&store, command), 0, "{command}");
                assert!(store.freed_later() > 0, "{command}");
            }
        }
        let store = Store::new(1);
        for command in ["UNLINK set", "FLUSHALL ASYNC"] {
            assert_ne!(waits_after(&store, command), 0, "{command}");
        }
    }

    #[test]
    fn what_expires_is_freed_by_whom_the_parameter_says() {
        let store = Store::new(1);
        for lazy in [false, true] {
            store.set_lazy(Lazy::Expire, lazy);
            let set = (0..1_000).fold("SADD set".to_owned(), |line, i| format!("{line} m{i}"));
            run(&store, 0, &set);
            run(&store, 0, "PEXPIRE set 10");
            run(&store, 100, "GET set");
            assert_eq!(store.discarded(), usize::from(lazy));
            store.expire_due(100, 100);
            assert_eq!(store.discarded(), 0);
        }
        assert_eq!(store.freed_later(), 1);
        store.reset_freed_later();
        assert_eq!(store.freed_later(), 0);
    }
}
