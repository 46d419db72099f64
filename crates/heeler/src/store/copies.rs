//! Copies of keys on other nodes: what leaves a store, what comes into one, and which is newer.
//!
//! Each key has a version, and the higher one wins. Keys that are gone leave a tombstone with the
//! version that went, so that an older copy does not bring them back.

use std::ops::Range;

use super::Store;
use super::blocking;
use super::dump::{self, Value};
use super::encodings::Limits;
use super::entry::Text;
use super::extras::{self, Extras, Recache, Stamp};
use super::freeing::Removing;
use super::index::{HOMES, Home};
use super::shard::{Hashing, Shard};
use super::view::View;
use crate::limits;

/// A key as it stands on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The key.
    pub key: Box<[u8]>,
    /// Of two copies the one with the higher version is newer.
    pub version: u64,
    /// What is under it; `None` if it is gone.
    pub value: Option<CopyValue>,
}

impl Copy {
    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        let value = self
            .value
            .as_ref()
            .map_or(0, |value| value.payload.len() + 32);
        self.key.len() + 16 + value
    }
}

/// What is under a key, with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyValue {
    /// When it expires, in milliseconds since 1970.
    pub deadline: Option<u64>,
    /// memcached's flags.
    pub marks: u32,
    /// Whether memcached's clients are to store another value, and whether one of them has been
    /// told that it is the one: bits 0 and 1.
    pub recache: u8,
    /// What the HTTP door shows of it.
    pub stamp: Option<Stamp>,
    /// The value as DUMP has it.
    pub payload: Box<[u8]>,
}

/// What came of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is the key's state now.
    Taken,
    /// The key was as new, or newer.
    Known,
    /// It is not newer than what was cleared away here, and nothing is known of the key.
    Cleared,
    /// Its payload cannot be read, or its version is of a time after [`limits::LATEST_MS`].
    Broken,
}

/// A key that a [survey](Store::survey) has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surveyed<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its version.
    pub version: u64,
    /// About how many bytes its copy has.
    pub bytes: usize,
}

impl Store {
    /// Versions of this store are unlike those of a store with another salt, so that no two have
    /// the same version of different contents. The salt has 10 bits.
    pub fn salt_versions(&self, salt: u16) {
        self.set_all(|_, shard| shard.versions.salt(salt));
    }

    /// New versions follow the time no further than this, in milliseconds since 1970.
    pub fn bound_versions(&self, latest: Option<u64>) {
        self.set_all(|_, shard| shard.versions.bound(latest));
    }

    /// Remembers keys that are gone from now on, or forgets them.
    pub fn keep_tombstones(&self, kept: bool) {
        self.set_all(|_, shard| {
            if shard.tombstones.are_kept() != kept {
                shard.tombstones.keep(kept);
            }
        });
    }

    /// Forgets keys that were gone before this time.
    pub fn forget_tombstones(&self, before: u64) {
        self.set_all(|_, shard| shard.tombstones.forget_before(before));
    }

    /// A copy of a key; of its tombstone if it is gone. `None` if nothing is known of it.
    pub fn export(&self, now: u64, key: &[u8]) -> Option<Copy> {
        let mut view = View::of_key(self, 0, now, key);
        let limits = Limits::of(&view);
        let mut slot = view.slot(key);
        let Some(version) = slot.ensure_version() else {
            let version = view.shard_of_key(key, |shard| shard.tombstones.version(key))?;
            return Some(Copy {
                key: key.into(),
                version,
                value: None,
            });
        };
        let entry = slot.peek()?;
        let extras = entry.extras();
        Some(Copy {
            key: key.into(),
            version,
            value: Some(CopyValue {
                deadline: entry.deadline(),
                marks: extras.marks,
                recache: extras.recache.to_byte(),
                stamp: extras.stamp,
                payload: dump::payload(entry, limits, false).into(),
            }),
        })
    }

    /// The same for one who has cleared away all keys up to the version `cleared`: a key that is
    /// not newer gets a new version first. Only the owner of the key may do that.
    pub fn export_above(&self, now: u64, key: &[u8], cleared: u64) -> Option<Copy> {
        {
            let mut view = View::of_key(self, 0, now, key);
            let mut slot = view.slot(key);
            let version = slot.ensure_version()?;
            if version <= cleared {
                let extras = slot.extras();
                let version = view.shard_of_key(key, |shard| {
                    shard.versions.saw(cleared);
                    shard.versions.next(now)
                });
                view.slot(key).set_extras(Extras {
                    version: Some(version),
                    ..extras
                });
            }
        }
        self.export(now, key)
    }

    /// The version of a key, or that with which it went. `None` if nothing is known of it.
    pub fn version(&self, now: u64, key: &[u8]) -> Option<u64> {
        let mut view = View::of_key(self, 0, now, key);
        let version = view.slot(key).ensure_version();
        version.or_else(|| view.shard_of_key(key, |shard| shard.tombstones.version(key)))
    }

    /// Takes a copy in, if it is newer than what is here. Clients that keep copies are told by the
    /// owner of the key.
    pub fn import(&self, now: u64, copy: &Copy) -> Imported {
        self.import_as(now, copy, (true, 0))
    }

    /// The same as the owner of the key, from a node that had it, and that knew, when it was asked,
    /// that keys up to the version `known` were cleared away here: what it has all the same was not
    /// to go with those. `served`: clients may have read what was here, and are told.
    pub fn import_as_owner(&self, now: u64, copy: &Copy, known: u64, served: bool) -> Imported {
        self.import_as(now, copy, (!served, known))
    }

    fn import_as(&self, now: u64, copy: &Copy, (is_copy, known): (bool, u64)) -> Imported {
        let mut view = View::of_key(self, 0, now, &copy.key).with_destinations(None);
        view.set_copies(is_copy);
        let imported = take_in(&mut view, now, copy, known);
        view.set_copies(false);
        if imported == Imported::Taken {
            blocking::serve(&mut view);
            // It happened elsewhere, and was told there.
            view.each_held(|shard| shard.log.iter_mut().for_each(Vec::clear));
        }
        imported
    }

    /// Shows the keys of some shards, from the one numbered `from` on, until about `budget` bytes
    /// of keys have been shown, or many have been looked at; tombstones are among them. Returns the
    /// shard to go on with. Keys that are there all the time are shown, whatever happens to others
    /// meanwhile; some may be shown twice.
    pub fn survey(
        &self,
        from: u64,
        budget: usize,
        mut show: impl FnMut(Surveyed<'_>) -> bool,
    ) -> Option<u64> {
        let (mut shown, mut seen) = (0, 0);
        let first = usize::try_from(from).unwrap_or(limits::SHARDS);
        for index in first..limits::SHARDS {
            if shown >= budget || seen >= limits::SURVEYED {
                return Some(index as u64);
            }
            self.survey_shard(index, &mut |met| {
                seen += 1;
                if show(met) {
                    shown += met.key.len() + 16;
                }
            });
        }
        None
    }

    /// Shows the keys of a shard, a few under each lock.
    fn survey_shard(&self, index: usize, show: &mut impl FnMut(Surveyed<'_>)) {
        let mut home = 0;
        loop {
            let shard = self.databases.first()[index].lock();
            let step = HOMES as usize / shard.len().max(1) * limits::SURVEYED_AT_ONCE;
            let end = HOMES.min(home + step.clamp(1, HOMES as usize) as Home);
            survey_homes(&shard, &self.hashing, home..end, show);
            home = end;
            if home < HOMES {
                continue;
            }
            for (key, version) in shard.tombstones.iter() {
                show(Surveyed {
                    key,
                    version,
                    bytes: key.len() + 16,
                });
            }
            return;
        }
    }

    /// Removes keys of the shard numbered `shard`, and what is remembered of such that are gone,
    /// without a tombstone: they live on elsewhere. Returns how many keys they were, and the shard
    /// to go on with.
    pub fn forget(
        &self,
        now: u64,
        shard: u64,
        mut is_foreign: impl FnMut(&[u8]) -> bool,
    ) -> (usize, Option<u64>) {
        let index = usize::try_from(shard).unwrap_or(limits::SHARDS);
        let Some(locked) = self.databases.first().get(index) else {
            return (0, None);
        };
        let mut locked = locked.lock();
        let keys: Vec<Box<[u8]>> = locked
            .iter()
            .filter(|entry| is_foreign(entry.key()))
            .map(|entry| entry.key().into())
            .collect();
        locked.tracking.is_copy = true;
        for key in &keys {
            let hash = self.hashing.hash(key);
            if let Some(place) = locked.find(&self.hashing, hash, key, now) {
                locked.forget(&self.hashing, hash, place);
            }
        }
        locked.tracking.is_copy = false;
        let dead: Vec<Box<[u8]>> = locked
            .tombstones
            .iter()
            .filter(|(key, _)| is_foreign(key))
            .map(|(key, _)| key.into())
            .collect();
        dead.iter().for_each(|key| locked.tombstones.lives(key));
        let garbage = self.settle(&mut locked);
        drop(locked);
        self.free(garbage, Removing::default());
        let next = (index + 1 < limits::SHARDS).then_some(shard + 1);
        (keys.len(), next)
    }
}

/// Takes a copy in; see [`Store::import_as_owner`] for `known_cleared`.
fn take_in(view: &mut View<'_>, now: u64, copy: &Copy, known_cleared: u64) -> Imported {
    let key = &*copy.key;
    if extras::time_of(copy.version) > limits::LATEST_MS {
        return Imported::Broken;
    }
    let here = view.slot(key).ensure_version();
    let (gone, cleared) = view.shard_of_key(key, |shard| {
        (shard.tombstones.version(key), shard.tombstones.cleared())
    });
    let known = here.or(gone);
    if known.is_some_and(|known| known >= copy.version) {
        if here == Some(copy.version)
            && let Some(value) = &copy.value
        {
            // This alone changes while the version stays, and is only ever added.
            let mut slot = view.slot(key);
            let recache = slot.extras().recache.to_byte() | value.recache;
            slot.set_recache(Recache::from_byte(recache));
        }
        return Imported::Known;
    }
    if cleared >= copy.version && cleared > known_cleared {
        return Imported::Cleared;
    }
    let living = copy.value.as_ref();
    let living = living.filter(|it| it.deadline.is_none_or(|deadline| deadline > now));
    let Some(value) = living else {
        view.slot(key).remove();
        view.shard_of_key(key, |shard| {
            shard.versions.saw(copy.version);
            shard.tombstones.bury(key, copy.version, now);
        });
        return Imported::Taken;
    };
    let Some(read) = dump::read(&value.payload, Limits::of(view)) else {
        return Imported::Broken;
    };
    let mut slot = view.slot(key);
    match read {
        Value::Text(bytes) => slot.set_text(Text::from_value(&bytes), value.deadline),
        Value::Object(object) => slot.set_object(object, value.deadline),
    }
    slot.set_extras(Extras {
        version: Some(copy.version),
        marks: value.marks,
        recache: Recache::from_byte(value.recache),
        stamp: value.stamp,
    });
    Imported::Taken
}

fn survey_homes(
    shard: &Shard,
    hashing: &Hashing,
    homes: Range<Home>,
    show: &mut impl FnMut(Surveyed<'_>),
) {
    // One whose time is up is shown, too: it may be newer than a copy elsewhere that lives on.
    for (_, entry) in shard.with_homes(hashing, &homes) {
        show(Surveyed {
            key: entry.key(),
            // A key from before versions were kept is older than all others.
            version: entry.extras().version.unwrap_or(1),
            bytes: entry.key().len() + 64,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Reply;
    use crate::store::tests::{of_node as store, run};

    #[test]
    fn every_type_survives_the_way_with_all_that_belongs_to_it() {
        let (from, to) = (store(1), store(2));
        for line in [
            "SET s text PXAT 5000",
            "SET n 17",
            "RPUSH l a b c",
            "HSET h f v",
            "SADD t 1 2",
            "ZADD z 1.5 m",
            "SET gone x",
            "DEL gone",
        ] {
            run(&from, 1000, line);
        }
        for key in ["s", "n", "l", "h", "t", "z", "gone"] {
            let copy = from.export(1000, key.as_bytes()).expect(key);
            assert_eq!(to.import(1000, &copy), Imported::Taken, "{key}");
            assert_eq!(to.import(1000, &copy), Imported::Known, "{key}");
            assert_eq!(to.export(1000, key.as_bytes()), Some(copy), "{key}");
        }
        assert_eq!(from.export(1000, b"never"), None);
        assert_eq!(run(&to, 1000, "DBSIZE"), Reply::Int(6));
    }

    #[test]
    fn who_is_to_store_another_value_is_known_to_copies() {
        let (from, to) = (store(1), store(2));
        let run = |line: &str| run(&from, 1000, line);
        let recache = |copy: Option<Copy>| copy.and_then(|it| it.value).map(|it| it.recache);
        run("SET k v");
        run("memcached.md k I T30");
        to.import(1000, &from.export(1000, b"k").unwrap());
        assert_eq!(recache(to.export(1000, b"k")), Some(1), "stale");
        from.keep_journal();
        run("memcached.mg k v");
        assert_eq!(from.take_written().len(), 1);
        let told = from.export(1000, b"k").unwrap();
        assert_eq!(Some(told.version), to.version(1000, b"k"));
        assert_eq!(to.import(1000, &told), Imported::Known);
        assert_eq!(recache(to.export(1000, b"k")), Some(3), "and one is told");
    }

    #[test]
    fn the_newer_one_wins_whatever_the_clocks_say() {
        let (ahead, behind) = (store(1), store(2));
        run(&ahead, 9000, "SET k one");
        behind.import(1000, &ahead.export(9000, b"k").unwrap());
        run(&behind, 1000, "SET k two");
        let newer = behind.export(1000, b"k").unwrap();
        assert_eq!(ahead.import(9000, &newer), Imported::Taken);
        assert_eq!(run(&ahead, 9000, "GET k"), Reply::bulk("two"));
    }

    #[test]
    fn the_dead_stay_dead_and_what_is_set_anew_lives() {
        let (a, b) = (store(1), store(2));
        run(&a, 1000, "SET k v");
        let old = a.export(1000, b"k").unwrap();
        b.import(1000, &old);
        run(&b, 1001, "DEL k");
        assert_eq!(b.import(1002, &old), Imported::Known);
        assert_eq!(run(&b, 1002, "GET k"), Reply::Null);
        run(&b, 1003, "SET k anew");
        let tombstone = Copy {
            value: None,
            ..old.clone()
        };
        assert_eq!(b.import(1004, &tombstone), Imported::Known);
        assert_eq!(run(&b, 1004, "GET k"), Reply::bulk("anew"));
    }

    #[test]
    fn an_expired_key_is_not_brought_back_by_its_older_copy() {
        let (a, b) = (store(1), store(2));
        run(&a, 1000, "SET k old");
        let old = a.export(1000, b"k").unwrap();
        b.import(1000, &old);
        run(&b, 1000, "SET k new PX 10");
        assert_eq!(run(&b, 2000, "GET k"), Reply::Null);
        assert_eq!(b.import(2000, &old), Imported::Known);
        // A node whose clock is ahead lets it expire early, and hears of the longer life.
        run(&a, 1000, "SET x v PX 10");
        b.import(1000, &a.export(1000, b"x").unwrap());
        assert_eq!(run(&b, 5000, "GET x"), Reply::Null);
        run(&a, 1005, "PERSIST x");
        b.import(5001, &a.export(1005, b"x").unwrap());
        assert_eq!(run(&b, 5002, "GET x"), Reply::bulk("v"));
    }

    #[test]
    fn what_was_flushed_stays_away() {
        let (a, b) = (store(1), store(2));
        run(&a, 1000, "SET k v");
        let old = a.export(1000, b"k").unwrap();
        run(&b, 1001, "FLUSHALL");
        assert_eq!(b.import(1002, &old), Imported::Cleared);
        run(&a, 1003, "SET k v");
        assert_eq!(
            b.import(1004, &a.export(1003, b"k").unwrap()),
            Imported::Taken
        );
    }

    #[test]
    fn a_survey_shows_all_and_forgetting_leaves_no_trace() {
        let store = store(1);
        for i in 0..3000 {
            run(&store, 1000, &format!("SET key{i} v"));
        }
        run(&store, 1000, "DEL key7");
        let mut seen = std::collections::BTreeSet::new();
        let (mut next, mut pages) = (Some(0), 0);
        while let Some(from) = next {
            next = store.survey(from, 1000, |it| seen.insert(it.key.to_vec()));
            pages += 1;
        }
        assert_eq!(seen.len(), 3000, "the dead one too");
        assert!(pages > 10);
        let (mut next, mut forgotten) = (Some(0), 0);
        while let Some(shard) = next {
            let (n, then) = store.forget(1000, shard, |key| key.ends_with(b"7"));
            (next, forgotten) = (then, forgotten + n);
        }
        assert_eq!(forgotten, 299);
        assert_eq!(store.export(1000, b"key7"), None);
        assert_eq!(store.export(1000, b"key17"), None);
    }

    #[test]
    fn a_copy_of_any_time_is_taken_that_leaves_room_for_more() {
        let (from, to) = (store(1), store(2));
        let far = 1000 * 365 * 24 * 60 * 60 * 1000;
        run(&from, far, "SET k ahead");
        let mut copy = from.export(far, b"k").unwrap();
        assert_eq!(extras::time_of(copy.version), limits::LATEST_MS);
        assert_eq!(to.import(1000, &copy), Imported::Taken);
        run(&to, 1000, "SET k later");
        let later = to.export(1000, b"k").unwrap();
        assert!(later.version > copy.version);
        assert_eq!(from.import(far, &later), Imported::Taken);
        copy.version = (limits::LATEST_MS + 1) << 20;
        assert_eq!(to.import(1000, &copy), Imported::Broken);
        assert_eq!(run(&to, 1000, "GET k"), Reply::bulk("later"));
        // Bounded, a clock that is wrong gives no such versions.
        let bounded = store(3);
        bounded.bound_versions(Some(2000));
        run(&bounded, far, "SET k v");
        assert_eq!(extras::time_of(bounded.version(far, b"k").unwrap()), 2000);
    }

    #[test]
    fn a_broken_copy_changes_nothing() {
        let store = store(1);
        run(&store, 1000, "SET k v");
        let mut copy = store.export(1000, b"k").unwrap();
        copy.version += 1 << 20;
        copy.value.as_mut().unwrap().payload[0] ^= 1;
        assert_eq!(store.import(1000, &copy), Imported::Broken);
        assert_eq!(run(&store, 1000, "GET k"), Reply::bulk("v"));
    }
}
