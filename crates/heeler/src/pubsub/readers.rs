//! Who has read which keys, and is to be told once when they change.

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::relay::Why;
use super::{Actor, Hashing, Tracker};

/// Room for so many keys is kept, however few there are.
const KEPT_ROOM: usize = 64;

/// Keys with those who have read them since they last changed, by where their trackers lie.
#[derive(Debug, Default)]
pub struct Readers {
    keys: IndexMap<Box<[u8]>, Reading, Hashing>,
    /// The place of the key that is forgotten next. The last key takes its place, so that, going
    /// round, it meets them in about the order in which they came.
    hand: usize,
}

/// Those who have read a key, each with the number of its latest read.
type Reading = SmallVec<[(Arc<Tracker>, u64); 1]>;

impl Readers {
    /// Whether there is nobody.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many pairs of a key and one who has read it.
    pub fn pairs(&self) -> usize {
        self.keys.values().map(SmallVec::len).sum()
    }

    /// Takes keys for changed until so many at most are left of all; 0 for any number. Each of
    /// `all` loses as many as is its part, rounded to the good of those that come first.
    pub fn keep<'a>(all: impl Iterator<Item = &'a Mutex<Readers>> + Clone, most: usize) {
        let mut left: usize = all.clone().map(|readers| readers.lock().len()).sum();
        if most == 0 || left <= most {
            return;
        }
        let mut excess = left - most;
        for readers in all {
            let mut readers = readers.lock();
            let count = readers.len().min(left);
            let part = (count as u128 * excess as u128 / left.max(1) as u128) as usize;
            (0..part).for_each(|_| readers.forget_one());
            (left, excess) = (left - count, excess - part);
        }
    }

    /// Somebody has read a key, by the read of this number. Past `most` keys another is taken for
    /// changed, about the one that is there for the longest time.
    pub fn remember(&mut self, key: &[u8], tracker: &Arc<Tracker>, read: u64, most: usize) {
        let Some(readers) = self.keys.get_mut(key) else {
            if self.keys.len() >= most {
                self.forget_one();
            }
            let first = SmallVec::from_buf([(tracker.clone(), read)]);
            self.keys.insert(key.into(), first);
            return;
        };
        let lies = Arc::as_ptr(tracker);
        if let Ok(at) = readers.binary_search_by_key(&lies, |(it, _)| Arc::as_ptr(it)) {
            readers[at].1 = read.max(readers[at].1);
            return;
        }
        if readers.len().is_power_of_two() {
            readers.retain(|(reader, _)| reader.is_on());
        }
        let at = readers.partition_point(|(it, _)| Arc::as_ptr(it) < lies);
        readers.insert(at, (tracker.clone(), read));
    }

    fn forget_one(&mut self) {
        // The last is the one that came last.
        if self.hand + 1 >= self.keys.len() {
            self.hand = 0;
        }
        if let Some((key, readers)) = self.keys.swap_remove_index(self.hand) {
            self.hand += 1;
            self.give_back();
            for (tracker, read) in readers {
                tracker.changed(&key, Why::Read(read), None);
            }
        }
    }

    /// A key has changed: all who have read it are told, and forgotten.
    pub fn changed(&mut self, key: &[u8], actor: Option<Actor>) {
        let Some(readers) = self.keys.swap_remove(key) else {
            return;
        };
        self.give_back();
        for (tracker, read) in readers {
            tracker.changed(key, Why::Read(read), actor);
        }
    }

    /// A key has changed after the read of this number: all who have read it are told, and those
    /// forgotten that have not read it anew since.
    pub fn changed_since(&mut self, key: &[u8], read: u64, by: u64) {
        let Some(readers) = self.keys.get_mut(key) else {
            return;
        };
        readers.retain(|(tracker, latest)| {
            let actor = Actor {
                tracker: by,
                client: by,
            };
            tracker.changed(key, Why::Read(*latest), Some(actor));
            *latest > read
        });
        if readers.is_empty() {
            self.keys.swap_remove(key);
            self.give_back();
        }
    }

    /// Takes all keys for changed of which this is so.
    pub fn changed_if(&mut self, mut has_changed: impl FnMut(&[u8]) -> bool) {
        self.keys.retain(|key, readers| {
            let changed = has_changed(key);
            if changed {
                for (tracker, read) in readers {
                    tracker.changed(key, Why::Read(*read), None);
                }
            }
            !changed
        });
        self.give_back();
    }

    /// Forgets those who are told nothing any more.
    pub fn forget_stopped(&mut self) {
        self.keys.retain(|_, readers| {
            readers.retain(|(tracker, _)| tracker.is_on());
            !readers.is_empty()
        });
        self.give_back();
    }

    /// Forgets all, without a word.
    pub fn clear(&mut self) {
        *self = Readers::default();
    }

    /// Gives room back that fewer keys have left.
    #[inline]
    fn give_back(&mut self) {
        if self.keys.capacity() > KEPT_ROOM && self.keys.len() * 4 < self.keys.capacity() {
            self.keys.shrink_to(self.keys.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pubsub::Subscriber;

    fn client(id: u64, ignores_own: bool) -> (Arc<Subscriber>, Arc<Tracker>) {
        let inbox = Subscriber::asleep(id);
        let tracker = Arc::new(Tracker::new(inbox.clone(), ignores_own, None));
        (inbox, tracker)
    }

    fn told(inbox: &Subscriber) -> usize {
        let mut out = Vec::new();
        inbox.take(&mut out);
        memchr::memmem::find_iter(&out, "invalidate").count()
    }

    #[test]
    fn who_has_read_anew_is_told_and_not_forgotten() {
        let (mut readers, (inbox, reader)) = (Readers::default(), client(1, false));
        readers.remember(b"k", &reader, 7, 9);
        readers.remember(b"k", &reader, 9, 9);
        readers.changed_since(b"k", 8, 0);
        assert_eq!(told(&inbox), 1);
        readers.changed_since(b"k", 9, 0);
        assert_eq!(told(&inbox), 1);
        readers.changed_since(b"k", 9, 0);
        assert_eq!(told(&inbox), 0);
        assert!(readers.is_empty());
    }

    #[test]
    fn who_wants_not_to_hear_of_its_own_is_told_of_others_changes() {
        let (mut readers, (one, first)) = (Readers::default(), client(1, true));
        let (two, second) = client(2, true);
        for (by, expected) in [(1, [0, 1]), (2, [1, 0]), (0, [1, 1]), (3, [1, 1])] {
            readers.remember(b"k", &first, 1, 9);
            readers.remember(b"k", &second, 2, 9);
            readers.changed_since(b"k", 2, by);
            assert_eq!([told(&one), told(&two)], expected, "{by}");
            assert!(readers.is_empty());
        }
    }

    #[test]
    fn many_read_one_key() {
        let mut readers = Readers::default();
        let clients: Vec<_> = (0..100).map(|id| client(id, false)).collect();
        for round in [1, 2] {
            let each = clients.iter();
            each.for_each(|(_, reader)| readers.remember(b"k", reader, round, 9));
        }
        assert_eq!((readers.len(), readers.pairs()), (1, 100));
        clients
            .iter()
            .step_by(2)
            .for_each(|(_, reader)| reader.stop());
        readers.changed(b"k", None);
        let all = clients.iter().map(|(inbox, _)| told(inbox));
        assert!(all.eq([0, 1].into_iter().cycle().take(100)));
    }

    /// Which of these keys somebody is told of when they change, each asked once.
    fn kept(readers: &mut Readers, inbox: &Subscriber, keys: std::ops::Range<u32>) -> Vec<u32> {
        told(inbox);
        let is_told = |key: &u32| {
            readers.changed(&key.to_be_bytes(), None);
            told(inbox) == 1
        };
        keys.filter(is_told).collect()
    }

    #[test]
    fn past_a_bound_those_are_taken_for_changed_that_came_first() {
        let (mut readers, (inbox, reader)) = (Readers::default(), client(1, false));
        for key in (0..10u32).rev().chain(10..33) {
            readers.remember(&key.to_be_bytes(), &reader, 1, 10);
        }
        assert_eq!((readers.len(), told(&inbox)), (10, 23));
        let last: Vec<u32> = (23..33).collect();
        assert_eq!(kept(&mut readers, &inbox, 0..33), last);
        for key in [1, 2, 3, 2, 1u32] {
            readers.remember(&key.to_be_bytes(), &reader, 1, 1);
        }
        assert_eq!(kept(&mut readers, &inbox, 0..33), [1]);
    }

    #[test]
    fn a_key_that_came_before_others_changed_is_forgotten_in_its_turn_too() {
        let (mut readers, (inbox, reader)) = (Readers::default(), client(1, false));
        let mut remember = |key: u32, gone: Option<u32>| {
            gone.iter()
                .for_each(|key| readers.changed(&key.to_be_bytes(), None));
            readers.remember(&key.to_be_bytes(), &reader, 1, 100);
        };
        (0..100).for_each(|key| remember(key, None));
        // Of two that come one goes by itself, so that half of the bound is passed by each hundred.
        (100..700).for_each(|key| remember(key, (key % 2 == 0).then(|| key - 1)));
        assert!(kept(&mut readers, &inbox, 0..100).is_empty());
    }

    #[test]
    fn too_many_in_all_are_forgotten_wherever_they_are() {
        let (inbox, reader) = client(1, false);
        let all: Vec<Mutex<Readers>> = (0..8).map(|_| Mutex::default()).collect();
        for key in 0..800u32 {
            let place = (key as usize).pow(2) % all.len();
            let mut readers = all[place].lock();
            readers.remember(&key.to_be_bytes(), &reader, 1, usize::MAX);
        }
        let counts = || -> Vec<usize> { all.iter().map(|it| it.lock().len()).collect() };
        let before = counts();
        Readers::keep(all.iter(), 0);
        Readers::keep(all.iter(), 800);
        assert_eq!((counts(), told(&inbox)), (before.clone(), 0));
        Readers::keep(all.iter(), 80);
        let tenth: Vec<usize> = before.iter().map(|count| count / 10).collect();
        assert_eq!((counts(), told(&inbox)), (tenth, 720));
        Readers::keep(all.iter(), 1);
        assert_eq!(counts().iter().sum::<usize>(), 1);
        assert!(all.iter().all(|it| it.lock().keys.capacity() <= KEPT_ROOM));
    }

    #[test]
    fn of_whom_this_is_so_all_are_told_and_who_is_gone_is_forgotten() {
        let (mut readers, (inbox, reader)) = (Readers::default(), client(1, false));
        for key in ["a", "c"] {
            readers.remember(key.as_bytes(), &reader, 1, 2);
        }
        readers.changed_if(|key| key == b"c");
        assert_eq!((told(&inbox), readers.len()), (1, 1));
        reader.stop();
        readers.forget_stopped();
        assert!(readers.is_empty());
    }
}
