//! Who has read which keys, and is to be told once when they change.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::relay::Why;
use super::{Actor, Tracker};

/// Keys with those who have read them since they last changed, by where their trackers lie.
#[derive(Debug, Default)]
pub struct Readers(BTreeMap<Box<[u8]>, SmallVec<[Reading; 1]>>);

/// One who has read a key, with the number of its latest read.
type Reading = (Arc<Tracker>, u64);

impl Readers {
    /// Whether there is nobody.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many pairs of a key and one who has read it.
    pub fn pairs(&self) -> usize {
        self.0.values().map(SmallVec::len).sum()
    }

    /// Takes keys for changed until so many at most are left of all; 0 for any number.
    pub fn keep<'a>(all: impl IntoIterator<Item = &'a Mutex<Readers>>, most: usize) {
        let mut left = most;
        for readers in all.into_iter().filter(|_| most > 0) {
            let mut readers = readers.lock();
            while readers.len() > left {
                readers.forget_first();
            }
            left -= readers.len();
        }
    }

    /// Somebody has read a key, by the read of this number. Past `most` keys the first of the
    /// others is taken for changed.
    pub fn remember(&mut self, key: &[u8], tracker: &Arc<Tracker>, read: u64, most: usize) {
        if !self.0.contains_key(key) && self.0.len() >= most {
            self.forget_first();
        }
        let readers = match self.0.get_mut(key) {
            Some(readers) => readers,
            None => self.0.entry(key.into()).or_default(),
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

    fn forget_first(&mut self) {
        if let Some((key, readers)) = self.0.pop_first() {
            for (tracker, read) in readers {
                tracker.changed(&key, Why::Read(read), None);
            }
        }
    }

    /// A key has changed: all who have read it are told, and forgotten.
    pub fn changed(&mut self, key: &[u8], actor: Option<Actor>) {
        for (tracker, read) in self.0.remove(key).into_iter().flatten() {
            tracker.changed(key, Why::Read(read), actor);
        }
    }

    /// A key has changed after the read of this number: all who have read it are told, and those
    /// forgotten that have not read it anew since.
    pub fn changed_since(&mut self, key: &[u8], read: u64, by: u64) {
        let Some(readers) = self.0.get_mut(key) else {
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
            self.0.remove(key);
        }
    }

    /// Takes all keys for changed of which this is so.
    pub fn changed_if(&mut self, mut has_changed: impl FnMut(&[u8]) -> bool) {
        self.0.retain(|key, readers| {
            let changed = has_changed(key);
            if changed {
                for (tracker, read) in readers {
                    tracker.changed(key, Why::Read(*read), None);
                }
            }
            !changed
        });
    }

    /// Forgets those who are told nothing any more.
    pub fn forget_stopped(&mut self) {
        self.0.retain(|_, readers| {
            readers.retain(|(tracker, _)| tracker.is_on());
            !readers.is_empty()
        });
    }

    /// Forgets all, without a word.
    pub fn clear(&mut self) {
        self.0.clear();
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
        out.split(|byte| *byte == b'>').count() - 1
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

    #[test]
    fn past_a_bound_the_first_is_taken_for_changed() {
        let (mut readers, (inbox, reader)) = (Readers::default(), client(1, false));
        for key in ["b", "a", "c"] {
            readers.remember(key.as_bytes(), &reader, 1, 2);
        }
        assert_eq!(told(&inbox), 1);
        readers.changed(b"a", None);
        assert_eq!(told(&inbox), 0, "it was the first");
        readers.changed_if(|key| key == b"c");
        assert_eq!(told(&inbox), 1);
        reader.stop();
        readers.forget_stopped();
        assert!(readers.is_empty());
    }
}
