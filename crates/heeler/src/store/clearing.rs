//! Clearing all keys away, at one node or at all nodes of a ring.
//!
//! A store that is alone removes what it has. In a ring the nodes agree on a version first, and
//! each removes the keys up to that: so they are the same keys everywhere, in whatever order the
//! command and writes arrive. Who does it asks all nodes to do two things, one after the other:
//!
//! 1. It **announces** a version that no key has reached: from then on each node gives higher ones
//!    only. If a key at one of them is above it already, a higher version is announced.
//! 2. Once all nodes have heard of that version, each **clears** the keys up to it away.
//!
//! So a copy that is not above what a replica has cleared is one of a key that was written before,
//! unless its owner has not heard of it. Nodes tell each other what they have heard of with all
//! that they say about keys: one that has heard of it, and could not be reached any more, clears
//! its keys away then. An owner that took no part goes on above it, and gives the keys that others
//! have cleared away [new versions](Store::export_above).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::extras::{self, VersionClock};
use super::freeing::{Lazy, Removing};
use super::view::View;
use super::{Store, items, keyspace};
use crate::command::{Command, Id, Reply};
use crate::limits;

/// Versions up to which keys were cleared away, as nodes tell each other; 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clearing {
    /// The highest of those of which is known that some node has cleared, or is about to.
    pub heard: u64,
    /// The highest of those up to which this node has.
    pub done: u64,
}

/// What a command asks for that clears all keys away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wipe {
    /// That it be done now.
    Now {
        /// Whether memory is freed later.
        in_background: bool,
        /// Whether what was to be done later is not to be done any more.
        cancels: bool,
    },
    /// That it be done at a time, in milliseconds since 1970, in place of any time said before.
    At(u64),
}

impl Wipe {
    /// What a command asks for, at this time; `None` if it clears nothing away.
    ///
    /// # Errors
    /// Its arguments are wrong: the reply.
    pub fn of(store: &Store, command: &Command<'_>, now: u64) -> Option<Result<Wipe, Reply>> {
        let wipe = match command.spec.id {
            Id::Flushall | Id::Flushdb => {
                keyspace::is_async(store, command).map(|in_background| Wipe::Now {
                    in_background,
                    cancels: false,
                })
            }
            Id::ItemFlush => items::flush_time(command, now).map(|at| match at {
                Some(at) => Wipe::At(at),
                None => Wipe::Now {
                    in_background: store.is_lazy(Lazy::UserFlush),
                    cancels: true,
                },
            }),
            _ => return None,
        };
        Some(wipe.map_err(Reply::Error))
    }
}

/// What of database 0 was or is to be cleared away.
#[derive(Debug, Default)]
pub(super) struct Clearings {
    /// The versions that were announced here last.
    announced: Mutex<VecDeque<u64>>,
    heard: AtomicU64,
    done: AtomicU64,
    planned: Mutex<Option<Planned>>,
}

/// When all keys are to be removed, in milliseconds since 1970, and up to which version; `None` for
/// all that there are then.
type Planned = (u64, Option<u64>);

impl Store {
    /// What of database 0 was cleared away.
    pub fn clearing(&self) -> Clearing {
        let done = self.clearings.done.load(Relaxed);
        Clearing {
            heard: self.clearings.heard.load(Relaxed).max(done),
            done,
        }
    }

    /// A version to announce: above `above`, all that have been given or seen here, and the clock
    /// by as much as those of nodes usually differ.
    pub fn version_to_clear(&self, now: u64, above: u64) -> u64 {
        let mut clock = self.clock_above(above);
        clock.next(now.saturating_add(limits::CLEAR_AHEAD_MS))
    }

    /// The same for a time to come, however far that is.
    pub fn version_to_clear_at(&self, at: u64, above: u64) -> u64 {
        let mut clock = self.clock_above(above);
        clock.bound(None);
        clock.next(at.saturating_add(limits::CLEAR_AHEAD_MS))
    }

    /// A clock that has seen this version, and what all clocks here have.
    fn clock_above(&self, version: u64) -> VersionClock {
        let mut clock = self.databases.first()[0].lock().versions;
        clock.saw(version.max(self.highest_version()));
        clock
    }

    /// The highest version that was given or seen here.
    pub fn highest_version(&self) -> u64 {
        let shards = self.databases.first().iter();
        let highest = shards.map(|shard| shard.lock().versions.last());
        highest.max().unwrap_or_default()
    }

    /// Gives only versions above this one from now on. Returns the highest that was given or seen
    /// before: if that is above this one, another has to be announced. Returns 0, and does nothing,
    /// if versions above it would leave no room.
    pub fn announce_clearing(&self, version: u64) -> u64 {
        let mut highest = 0;
        if is_possible(version) {
            self.set_all(|_, shard| {
                highest = highest.max(shard.versions.last());
                shard.versions.saw(version);
            });
            // Not before: a key up to it that is met from now on was written before.
            let mut announced = self.clearings.announced.lock();
            announced.truncate(limits::CLEARINGS - 1);
            announced.push_front(version);
            drop(announced);
            self.clearings.heard.fetch_max(version, Relaxed);
        }
        highest
    }

    /// Removes the keys of database 0 up to a version that all nodes have heard of. Nothing else
    /// waits for it longer than for one shard.
    pub fn clear_up_to(&self, version: u64, in_background: bool) {
        if !is_possible(version) {
            return;
        }
        // First: who hears that a shard has cleared something away hears how far.
        self.note_cleared(version);
        for shard in self.databases.first() {
            let mut shard = shard.lock();
            let cleared = shard.clear_up_to(&self.hashing, version);
            let garbage = self.settle(&mut shard);
            drop(shard);
            let removing = match in_background {
                true => Removing::Unlinks,
                false => Removing::Deletes,
            };
            self.free(garbage, removing);
            match cleared.filter(|entries| entries.len() > 0) {
                Some(entries) if in_background => self.free_tables_later([entries]),
                cleared => drop(cleared),
            }
        }
        self.tell_of_clearing(Some(0));
    }

    /// All keys up to a version are cleared away here.
    pub(super) fn note_cleared(&self, version: u64) {
        self.clearings.done.fetch_max(version, Relaxed);
    }

    /// Another node has told what was cleared away. Versions go on above that. If it has done what
    /// was announced here or is planned, it is done here, too.
    pub fn hear_of_clearing(&self, told: Clearing) {
        let known = self.clearing();
        let highest = told.heard.max(told.done);
        if highest > known.heard && is_possible(highest) {
            let mut before = 0;
            self.set_all(|_, shard| {
                before = before.max(shard.versions.last());
                shard.versions.saw(highest);
            });
            self.clearings.heard.fetch_max(highest, Relaxed);
            if before == 0 {
                // It has never had a key: there is nothing to do.
                return self.note_cleared(told.done);
            }
        }
        if told.done <= known.done {
            return;
        }
        let is_announced = self.clearings.announced.lock().contains(&told.done);
        if is_announced || self.takes_planned(|(_, version)| version == Some(told.done)) {
            self.clear_up_to(told.done, true);
        }
    }

    /// Removes all keys of database 0 at a time, in place of any time said before.
    pub fn clear_at(&self, planned: Option<Planned>) {
        *self.clearings.planned.lock() = planned;
    }

    /// Removes all keys of database 0 if the time for that has come.
    pub(super) fn clear_due(&self, now: u64) {
        let mut due = None;
        let is_due = |(at, version): Planned| {
            due = version;
            at <= now
        };
        if self.takes_planned(is_due) {
            match due {
                Some(version) => self.clear_up_to(version, true),
                None => View::of_first(self, now).clear(Some(0), true),
            }
        }
    }

    /// Takes what is planned if it is what is meant; whether it was.
    fn takes_planned(&self, is_meant: impl FnOnce(Planned) -> bool) -> bool {
        let mut planned = self.clearings.planned.lock();
        let is_meant = planned.is_some_and(is_meant);
        if is_meant {
            *planned = None;
        }
        is_meant
    }
}

/// Whether there is room for more versions above one.
fn is_possible(version: u64) -> bool {
    extras::time_of(version) <= limits::LATEST_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Imported;
    use crate::store::tests::{of_node as store, run};

    const MS: u64 = 1 << 20;

    /// As a ring is cleared whose nodes' clocks say this.
    fn clear(nodes: &[(&Store, u64)]) -> u64 {
        let mut version = nodes[0].0.version_to_clear(nodes[0].1, 0);
        let announce = |version| {
            nodes
                .iter()
                .map(move |(it, _)| it.announce_clearing(version))
        };
        let highest = announce(version).max().unwrap();
        if highest > version {
            version = nodes[0].0.version_to_clear(nodes[0].1, highest);
            announce(version).for_each(drop);
        }
        nodes
            .iter()
            .for_each(|(it, _)| it.clear_up_to(version, true));
        version
    }

    #[test]
    fn a_version_is_above_all_keys_and_not_far_above_the_clock() {
        let store = store(1);
        assert_eq!(extras::time_of(store.version_to_clear(5000, 0)), 6000);
        run(&store, 9000, "SET k v");
        let there = store.version(9000, b"k").unwrap();
        let version = store.version_to_clear(5000, 0);
        assert!(there < version && version < there + MS);
        // Over and over, it does not run away.
        for now in 20_000..20_100 {
            clear(&[(&store, now)]);
            run(&store, now, "SET k v");
        }
        let version = store.version(20_100, b"k").unwrap();
        assert!(extras::time_of(version) <= 20_099 + limits::CLEAR_AHEAD_MS);
        assert_eq!(
            extras::time_of(store.version_to_clear_at(1 << 42, 0)),
            (1 << 42) + 1000
        );
    }

    #[test]
    fn the_same_keys_go_at_each_node_in_whatever_order_writes_come() {
        for (ahead, late) in [(0, true), (0, false), (30_000, true), (30_000, false)] {
            let (owner, replica) = (store(1), store(2));
            let (now, there) = (10_000, 10_000 + ahead);
            run(&owner, there, "MSET a 1 b 2 c 3");
            for key in [b"a", b"b"] {
                replica.import(now, &owner.export(there, key).unwrap());
            }
            let version = replica.version_to_clear(now, owner.highest_version());
            owner.announce_clearing(version);
            replica.announce_clearing(version);
            let clears = |store: &Store| store.clear_up_to(version, false);
            if late {
                clears(&replica);
            }
            // Written between the two.
            run(&owner, there, "SET b new");
            let (b, c) = (
                owner.export(there, b"b").unwrap(),
                owner.export(there, b"c").unwrap(),
            );
            assert_eq!(replica.import(now, &b), Imported::Taken);
            let expected = if late {
                Imported::Cleared
            } else {
                Imported::Taken
            };
            assert_eq!(replica.import(now, &c), expected);
            clears(&owner);
            clears(&replica);
            for store in [&owner, &replica] {
                let left = ["a", "b", "c"].map(|key| run(store, now, &format!("GET {key}")));
                let expected = [Reply::Null, Reply::bulk("new"), Reply::Null];
                assert_eq!(left, expected, "{ahead} {late}");
                assert_eq!(run(store, now, "DBSIZE"), Reply::Int(1));
                assert_eq!(
                    store.clearing(),
                    Clearing {
                        heard: version,
                        done: version
                    }
                );
            }
        }
    }

    #[test]
    fn what_is_written_after_it_is_taken_from_a_node_whose_clock_is_behind() {
        let (owner, replica) = (store(1), store(2));
        let (behind, now) = (10_000, 90_000);
        run(&owner, behind, "SET k old");
        let old = owner.export(behind, b"k").unwrap();
        clear(&[(&replica, now), (&owner, behind)]);
        assert_eq!(replica.import(now, &old), Imported::Cleared);
        run(&owner, behind + 1, "SET k new");
        let new = owner.export(behind, b"k").unwrap();
        assert_eq!(replica.import(now, &new), Imported::Taken);
        assert_eq!(run(&replica, now, "GET k"), Reply::bulk("new"));
    }

    #[test]
    fn who_hears_of_it_later_does_it_if_it_was_asked_to() {
        for (announced, left) in [(true, Reply::Null), (false, Reply::bulk("v"))] {
            let (node, other) = (store(1), store(2));
            run(&node, 10_000, "SET k v");
            let version = other.version_to_clear(50_000, 0);
            other.announce_clearing(version);
            if announced {
                node.announce_clearing(version);
                // Another was begun, and never done.
                node.announce_clearing(version + MS);
            }
            other.clear_up_to(version, false);
            node.hear_of_clearing(other.clearing());
            assert_eq!(run(&node, 10_000, "GET k"), left);
            run(&node, 10_000, "SET n v");
            assert!(
                node.version(10_000, b"n").unwrap() > version,
                "its clock has seen it"
            );
            // An owner that took no part goes on above it.
            if let Some(copy) = node.export_above(10_000, b"k", version) {
                assert!(!announced && copy.version > version);
                assert_eq!(node.version(10_000, b"k"), Some(copy.version));
                assert_eq!(other.import(50_000, &copy), Imported::Taken);
            }
            assert_eq!(run(&other, 50_000, "GET k"), left);
        }
    }

    #[test]
    fn who_claims_keys_takes_those_of_one_who_knows_what_was_cleared() {
        let (owner, other) = (store(1), store(2));
        run(&other, 1000, "SET k v");
        let copy = other.export(1000, b"k").unwrap();
        run(&owner, 5000, "FLUSHALL");
        let done = owner.clearing().done;
        assert!(done > copy.version);
        for (told, expected) in [(0, Imported::Cleared), (done, Imported::Taken)] {
            assert_eq!(owner.import_as_owner(5000, &copy, told, false), expected);
        }
        assert_eq!(run(&owner, 5000, "GET k"), Reply::bulk("v"));
    }

    #[test]
    fn what_is_planned_is_done_at_its_time_with_what_was_written_before_it() {
        let (node, other) = (store(1), store(2));
        let version = node.version_to_clear_at(20_000, 0);
        node.clear_at(Some((20_000, Some(version))));
        other.clear_at(Some((20_000, Some(version))));
        run(&node, 10_000, "SET early v");
        assert!(
            node.version(10_000, b"early").unwrap() < 11_000 * MS,
            "clocks go on"
        );
        run(&node, 19_999, "SET k v");
        node.expire_due(19_999, 100);
        assert_eq!(run(&node, 19_999, "DBSIZE"), Reply::Int(2));
        // Of two nodes it is done by both as soon as one has done it.
        run(&other, 15_000, "SET k v");
        node.expire_due(20_000, 100);
        assert_eq!(run(&node, 20_000, "DBSIZE"), Reply::Int(0));
        other.hear_of_clearing(node.clearing());
        assert_eq!(run(&other, 15_000, "DBSIZE"), Reply::Int(0));
        run(&other, 15_000, "SET k later");
        other.expire_due(20_000, 100);
        assert_eq!(run(&other, 20_000, "GET k"), Reply::bulk("later"), "once");
    }

    #[test]
    fn watches_readers_and_memory_know_of_keys_that_go_one_by_one() {
        let store = store(1);
        (0..3000).for_each(|i| _ = run(&store, 10_000, &format!("RPUSH key{i} a b")));
        let (gone, stays) = (store.watch(b"key7", 10_000), store.watch(b"other", 10_000));
        let version = store.version_to_clear(10_000, 0);
        store.announce_clearing(version);
        // Each shard has a key that is newer.
        (0..3000).for_each(|i| _ = run(&store, 10_000, &format!("SET new{i} v PX 100")));
        store.clear_up_to(version, false);
        assert_eq!(run(&store, 10_000, "DBSIZE"), Reply::Int(3000));
        assert_eq!(store.stats(10_000).expiring_keys, 3000);
        assert_eq!(run(&store, 10_000, "EXISTS key7 new7"), Reply::Int(1));
        let get = [crate::command::OwnedCommand::resolve(["GET", "x"]).unwrap()];
        let unchanged = |watched| {
            let ran = store.transaction(10_000, std::slice::from_ref(watched), &get);
            ran.is_some()
        };
        assert!(!unchanged(&gone) && unchanged(&stays));
        store.unwatch(gone);
        store.unwatch(stays);
        let expires = |left: usize| store.expire_due(20_000, left);
        while expires(1000) == 1000 {}
        store.clear_up_to(store.version_to_clear(20_000, 0), false);
        assert_eq!(run(&store, 20_000, "DBSIZE"), Reply::Int(0));
    }

    #[test]
    fn a_version_that_leaves_no_room_is_ignored() {
        let store = store(1);
        run(&store, 1000, "SET k v");
        let all = u64::MAX;
        store.announce_clearing(all);
        store.clear_up_to(all, false);
        store.hear_of_clearing(Clearing {
            heard: all,
            done: all,
        });
        assert_eq!(run(&store, 1000, "GET k"), Reply::bulk("v"));
        assert_eq!(store.clearing(), Clearing::default());
        run(&store, 1000, "SET k v");
        assert_eq!(extras::time_of(store.version(1000, b"k").unwrap()), 1000);
    }
}
