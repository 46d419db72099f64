//! What another node of the ring is to be told of keys that its clients have read here, and has not
//! asked for yet. Pure: who waits for it is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::limits;

/// What waits for all nodes.
#[derive(Debug, Default)]
pub struct Unheard {
    bytes: AtomicUsize,
    /// Relays that are not closed.
    relays: AtomicUsize,
}

impl Unheard {
    /// How many bytes may wait for one node when so many more do for all.
    fn most_of_one(&self, more: usize) -> usize {
        let all = self.bytes.load(Relaxed).saturating_add(more);
        match all > limits::UNHEARD_TOGETHER_BYTES {
            true => limits::UNHEARD_TOGETHER_BYTES / self.relays.load(Relaxed).max(1),
            false => limits::UNHEARD_BYTES,
        }
    }
}

/// An inbox of a node.
#[derive(Debug)]
pub struct Relay {
    inner: Mutex<Inner>,
    together: Arc<Unheard>,
}

#[derive(Debug, Default)]
struct Inner {
    told: Vec<Told>,
    bytes: usize,
    /// Nothing more is told through it.
    is_closed: bool,
    waits: Option<Waker>,
}

/// What a node is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A key has changed.
    Key {
        /// The key.
        key: Box<[u8]>,
        /// Why the node wants to know.
        why: Why,
        /// The node's client that has made the change; 0 for anybody else.
        by: u64,
    },
    /// All keys may have changed.
    All,
    /// All keys may have changed for those who are told of prefixes.
    AllPrefixes,
}

/// Why one is told of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A client of it has read the key. The number is that of its latest read: later reads see what
    /// the key is now.
    Read(u64),
    /// The key has a prefix of which all changes are told.
    Prefix,
}

impl Told {
    fn bytes(&self) -> usize {
        let key = match self {
            Told::Key { key, .. } => key.len(),
            Told::All | Told::AllPrefixes => 0,
        };
        key + size_of::<Told>()
    }
}

impl Relay {
    /// An empty one, whose bytes count with those of others.
    pub fn new(together: Arc<Unheard>) -> Relay {
        together.relays.fetch_add(1, Relaxed);
        Relay {
            inner: Mutex::default(),
            together,
        }
    }

    /// Tells the node something. Past a bound all that waits becomes one: that everything may have
    /// changed.
    pub fn put(&self, told: Told) {
        let mut inner = self.inner.lock();
        if inner.is_closed || inner.told.first() == Some(&Told::All) {
            return;
        }
        let more = told.bytes();
        let most = self.together.most_of_one(more).min(limits::UNHEARD_BYTES);
        if told == Told::All || inner.bytes + more > most {
            inner.told = vec![Told::All];
            self.counts(&mut inner, 0);
        } else if told != Told::AllPrefixes || inner.told.last() != Some(&told) {
            inner.told.push(told);
            let bytes = inner.bytes + more;
            self.counts(&mut inner, bytes);
        }
        if let Some(waits) = inner.waits.take() {
            waits.wake();
        }
    }

    /// Nothing more is told; who waits is told so.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        if !inner.is_closed {
            inner.is_closed = true;
            self.together.relays.fetch_sub(1, Relaxed);
        }
        inner.told = Vec::new();
        self.counts(&mut inner, 0);
        if let Some(waits) = inner.waits.take() {
            waits.wake();
        }
    }

    /// Takes out what is to be told, so many things at most; waits until there is something.
    /// `None`: it is closed.
    pub fn poll_take(&self, cx: &Context<'_>, most: usize) -> Poll<Option<Vec<Told>>> {
        let mut inner = self.inner.lock();
        if inner.is_closed {
            return Poll::Ready(None);
        }
        if inner.told.is_empty() {
            inner.waits = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = inner.told.len().min(most);
        let rest = inner.told.split_off(count);
        let taken = std::mem::replace(&mut inner.told, rest);
        let bytes: usize = taken.iter().map(Told::bytes).sum();
        let left = inner.bytes.saturating_sub(bytes);
        self.counts(&mut inner, left);
        Poll::Ready(Some(taken))
    }

    /// So many bytes wait here from now on.
    fn counts(&self, inner: &mut Inner, bytes: usize) {
        let before = std::mem::replace(&mut inner.bytes, bytes);
        match bytes.checked_sub(before) {
            Some(more) => self.together.bytes.fetch_add(more, Relaxed),
            None => self.together.bytes.fetch_sub(before - bytes, Relaxed),
        };
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str) -> Told {
        Told::Key {
            key: key.as_bytes().into(),
            why: Why::Read(1),
            by: 0,
        }
    }

    fn take(relay: &Relay, most: usize) -> Poll<Option<Vec<Told>>> {
        relay.poll_take(&Context::from_waker(Waker::noop()), most)
    }

    #[test]
    fn what_is_told_is_taken_in_its_order_and_once() {
        let relay = Relay::new(Arc::default());
        assert_eq!(take(&relay, 9), Poll::Pending);
        for key in ["a", "b", "c"] {
            relay.put(read(key));
        }
        let first = vec![read("a"), read("b")];
        assert_eq!(take(&relay, 2), Poll::Ready(Some(first)));
        assert_eq!(take(&relay, 2), Poll::Ready(Some(vec![read("c")])));
        assert_eq!(take(&relay, 2), Poll::Pending);
        assert_eq!(relay.inner.lock().bytes, 0);
    }

    #[test]
    fn everything_comprises_what_was_said_before_it_and_until_it_is_taken() {
        let relay = Relay::new(Arc::default());
        relay.put(read("a"));
        relay.put(Told::All);
        relay.put(read("b"));
        assert_eq!(take(&relay, 9), Poll::Ready(Some(vec![Told::All])));
        relay.put(read("b"));
        relay.put(Told::AllPrefixes);
        relay.put(Told::AllPrefixes);
        let rest = vec![read("b"), Told::AllPrefixes];
        assert_eq!(take(&relay, 9), Poll::Ready(Some(rest)));
    }

    #[test]
    fn a_node_that_takes_nothing_costs_no_more_than_a_bound() {
        let relay = Relay::new(Arc::default());
        let long = "x".repeat(limits::UNHEARD_BYTES / 8);
        for _ in 0..7 {
            relay.put(read(&long));
        }
        assert_eq!(relay.inner.lock().told.len(), 7);
        relay.put(read(&long));
        assert_eq!(take(&relay, 9), Poll::Ready(Some(vec![Told::All])));
    }

    #[test]
    fn nodes_that_take_nothing_cost_together_no_more_than_a_bound() {
        let together = Arc::new(Unheard::default());
        let relays: Vec<Relay> = (0..16).map(|_| Relay::new(together.clone())).collect();
        let long = "x".repeat(limits::UNHEARD_BYTES / 16 - size_of::<Told>());
        let all = |relay: &Relay| relay.inner.lock().told.first() == Some(&Told::All);
        let (few, many) = relays.split_at(12);
        few.iter().for_each(|relay| relay.put(read(&long)));
        for _ in 0..13 {
            many.iter().for_each(|relay| relay.put(read(&long)));
        }
        assert_eq!(together.bytes.load(Relaxed), limits::UNHEARD_TOGETHER_BYTES);
        assert!(!relays.iter().any(all));
        few.iter().for_each(|relay| relay.put(read(&long)));
        assert!(!relays.iter().any(all), "these have less than their part");
        many.iter().for_each(|relay| relay.put(read("k")));
        let count = relays.iter().filter(|relay| all(relay)).count();
        assert!(all(&many[0]) && count == 1, "that is enough");
        assert!(take(&few[0], 1).is_ready());
        few[1].close();
        drop(relays);
        let left = (&together.bytes, &together.relays);
        assert_eq!((left.0.load(Relaxed), left.1.load(Relaxed)), (0, 0));
    }

    #[test]
    fn who_is_closed_is_told_so_and_nothing_else() {
        let relay = Relay::new(Arc::default());
        relay.put(read("a"));
        relay.close();
        relay.put(read("b"));
        assert_eq!(take(&relay, 9), Poll::Ready(None));
    }
}
