//! Who is told of all keys with which prefixes.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;

use super::{Hashing, Tracker};

/// Prefixes with those who are told of all keys that begin with them.
///
/// What a key begins with is looked up by the hashes of its first bytes, which are computed as it
/// is read from left to right: so a key costs its length, up to that of the longest prefix, and a
/// look for each length that prefixes have, however many there are.
#[derive(Debug, Default)]
pub struct Prefixes {
    table: HashTable<Entry>,
    hashing: Hashing,
    /// How many prefixes have each length.
    lengths: BTreeMap<usize, usize>,
    /// The prefixes of each who is told, by its number.
    of: BTreeMap<u64, BTreeSet<Arc<[u8]>>>,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    prefix: Arc<[u8]>,
    /// Who is told, by number.
    told: BTreeMap<u64, Arc<Tracker>>,
}

impl Prefixes {
    /// Whether nobody is told of any.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// How many different ones there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// All who are told of some, each once.
    pub fn trackers(&self) -> impl Iterator<Item = &Arc<Tracker>> {
        self.of.iter().filter_map(|(id, prefixes)| {
            let prefix = prefixes.first()?;
            let hash = Walk::new(&self.hashing).upto(prefix);
            self.entry(hash, prefix)?.told.get(id)
        })
    }

    /// Tells of each who is told of a key, once for each of its prefixes that the key begins with:
    /// of short ones first.
    pub fn each(&self, key: &[u8], mut tell: impl FnMut(&Tracker)) {
        let mut walk = Walk::new(&self.hashing);
        for &length in self.lengths.keys() {
            let Some(prefix) = key.get(..length) else {
                return;
            };
            let found = self.entry(walk.upto(prefix), prefix);
            for tracker in found.into_iter().flat_map(|entry| entry.told.values()) {
                tell(tracker);
            }
        }
    }

    /// Somebody is told of all keys with a prefix from now on.
    pub fn add(&mut self, tracker: &Arc<Tracker>, prefix: &[u8]) {
        let hash = Walk::new(&self.hashing).upto(prefix);
        let is_it = |entry: &Entry| *entry.prefix == *prefix;
        let entry = self.table.entry(hash, is_it, |entry| entry.hash);
        let lengths = &mut self.lengths;
        let mut entry = entry.or_insert_with(|| {
            *lengths.entry(prefix.len()).or_default() += 1;
            Entry {
                hash,
                prefix: prefix.into(),
                told: BTreeMap::new(),
            }
        });
        let entry = entry.get_mut();
        entry.told.insert(tracker.id, tracker.clone());
        let own = self.of.entry(tracker.id).or_default();
        own.insert(entry.prefix.clone());
    }

    /// Somebody is told of no more keys.
    pub fn remove_all(&mut self, tracker: &Tracker) {
        for prefix in self.of.remove(&tracker.id).into_iter().flatten() {
            self.remove(tracker.id, &prefix);
        }
    }

    /// Somebody is told of keys with these prefixes from now on, and of no others.
    pub fn set(&mut self, tracker: &Arc<Tracker>, prefixes: &[Box<[u8]>]) {
        let wanted: BTreeSet<&[u8]> = prefixes.iter().map(|prefix| &**prefix).collect();
        for prefix in self.of.remove(&tracker.id).into_iter().flatten() {
            match wanted.contains(&*prefix) {
                true => _ = self.of.entry(tracker.id).or_default().insert(prefix),
                false => self.remove(tracker.id, &prefix),
            }
        }
        wanted
            .into_iter()
            .for_each(|prefix| self.add(tracker, prefix));
    }

    fn entry(&self, hash: u64, prefix: &[u8]) -> Option<&Entry> {
        self.table.find(hash, |entry| *entry.prefix == *prefix)
    }

    fn remove(&mut self, id: u64, prefix: &[u8]) {
        let hash = Walk::new(&self.hashing).upto(prefix);
        let is_it = |entry: &Entry| *entry.prefix == *prefix;
        let Ok(mut entry) = self.table.find_entry(hash, is_it) else {
            return;
        };
        entry.get_mut().told.remove(&id);
        if entry.get().told.is_empty() {
            entry.remove();
            self.has_one_less(prefix.len());
        }
    }

    fn has_one_less(&mut self, length: usize) {
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
        if self.table.is_empty() {
            self.table = HashTable::new();
        }
    }
}

/// A key that is read from left to right.
struct Walk {
    hasher: <Hashing as BuildHasher>::Hasher,
    read: usize,
}

impl Walk {
    fn new(hashing: &Hashing) -> Walk {
        Walk {
            hasher: hashing.build_hasher(),
            read: 0,
        }
    }

    /// The hash of what the key begins with, which is no shorter than it was the last time.
    fn upto(&mut self, beginning: &[u8]) -> u64 {
        let more = beginning.iter().skip(self.read);
        // One by one: a hash depends on how the bytes are given, too.
        more.for_each(|byte| self.hasher.write_u8(*byte));
        self.read = beginning.len();
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn node(id: u64) -> Arc<Tracker> {
        Arc::new(Tracker::node(id, &Arc::default()))
    }

    fn told(prefixes: &Prefixes, key: &[u8]) -> Vec<u64> {
        let mut told = Vec::new();
        prefixes.each(key, |tracker| told.push(tracker.id));
        told
    }

    #[test]
    fn who_is_told_of_a_key_is_told_once_for_each_prefix() {
        let (mut prefixes, one, two) = (Prefixes::default(), node(1), node(2));
        for (who, prefix) in [
            (&one, "a"),
            (&two, "a"),
            (&two, "ab"),
            (&one, "a\0"),
            (&one, ""),
        ] {
            prefixes.add(who, prefix.as_bytes());
            prefixes.add(who, prefix.as_bytes());
        }
        for (key, expected) in [
            ("", &[1][..]),
            ("b", &[1]),
            ("a", &[1, 1, 2]),
            ("abc", &[1, 1, 2, 2]),
            ("a\0\0", &[1, 1, 2, 1]),
        ] {
            assert_eq!(told(&prefixes, key.as_bytes()), expected, "{key:?}");
        }
        assert_eq!((prefixes.len(), prefixes.trackers().count()), (4, 2));
        prefixes.remove_all(&one);
        assert_eq!(told(&prefixes, b"ab"), [2, 2]);
        prefixes.set(&two, &[b"ab"[..].into(), b"x"[..].into()]);
        assert_eq!(told(&prefixes, b"abc"), [2]);
        assert_eq!(told(&prefixes, b"x"), [2]);
        prefixes.set(&two, &[]);
        assert!(prefixes.is_empty() && prefixes.lengths.is_empty() && prefixes.of.is_empty());
    }

    /// What somebody says of prefixes.
    #[derive(Clone, Debug)]
    enum Said {
        Add(u64, Vec<u8>),
        Set(u64, Vec<Vec<u8>>),
        Leave(u64),
    }

    fn word() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0..3u8, 0..20)
    }

    fn said() -> impl Strategy<Value = Said> {
        let words = proptest::collection::vec(word(), 0..5);
        prop_oneof![
            (0..4u64, word()).prop_map(|(id, word)| Said::Add(id, word)),
            (0..4u64, words).prop_map(|(id, words)| Said::Set(id, words)),
            (0..4u64).prop_map(Said::Leave),
        ]
    }

    proptest! {
        #[test]
        fn they_are_what_a_list_would_say(
            all in proptest::collection::vec(said(), 0..40),
            keys in proptest::collection::vec(word(), 20),
        ) {
            let nodes: Vec<_> = (0..4).map(node).collect();
            let mut prefixes = Prefixes::default();
            let mut list: BTreeMap<u64, BTreeSet<Vec<u8>>> = BTreeMap::new();
            for said in all {
                match said {
                    Said::Add(id, word) => {
                        prefixes.add(&nodes[id as usize], &word);
                        list.entry(id).or_default().insert(word);
                    }
                    Said::Set(id, words) => {
                        let boxed: Vec<Box<[u8]>> = words.iter().map(|w| w[..].into()).collect();
                        prefixes.set(&nodes[id as usize], &boxed);
                        list.insert(id, words.into_iter().collect());
                    }
                    Said::Leave(id) => {
                        prefixes.remove_all(&nodes[id as usize]);
                        list.remove(&id);
                    }
                }
            }
            for key in keys {
                let mut expected: Vec<(usize, u64)> = Vec::new();
                for (id, words) in &list {
                    let begins = words.iter().filter(|word| key.starts_with(word));
                    expected.extend(begins.map(|word| (word.len(), *id)));
                }
                expected.sort_unstable();
                let expected: Vec<u64> = expected.into_iter().map(|(_, id)| id).collect();
                prop_assert_eq!(told(&prefixes, &key), expected);
            }
            let different: BTreeSet<&Vec<u8>> = list.values().flatten().collect();
            prop_assert_eq!(prefixes.len(), different.len());
            let who = list.iter().filter(|(_, words)| !words.is_empty()).map(|(id, _)| *id);
            prop_assert!(prefixes.trackers().map(|it| it.id).eq(who));
        }
    }
}
