//! The slow log: commands that took longer than the operator wants to hear of nothing. One for the
//! process; only a command that was slow takes its lock.

mod pick;
mod words;

pub use pick::Pick;
pub use words::{REDACTED, are_secret, is_quick, of_request, shown};

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::limits;

/// What is logged, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Commands that took at least so many milliseconds; 0: all; negative: none.
    pub milliseconds: f64,
    /// How many of the latest are kept.
    pub length: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            milliseconds: limits::SLOWLOG_MS,
            length: limits::SLOWLOG_ENTRIES,
        }
    }
}

/// The latest commands that were slow.
#[derive(Debug)]
pub struct SlowLog {
    /// From how many microseconds on commands are logged; negative: none are.
    threshold: AtomicI64,
    /// The same, whatever the length is.
    asked: AtomicI64,
    /// How many are kept.
    length: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The number of the next entry. A reset does not set it back.
    next: u64,
    /// The newest is the first.
    entries: VecDeque<Arc<Entry>>,
}

/// A command that was slow.
#[derive(Debug)]
pub struct Entry {
    /// Its number: no other has it as long as the process lives.
    pub id: u64,
    /// When it was answered, in milliseconds since 1970.
    pub time: u64,
    /// What it was.
    pub slow: Slow,
    /// Who asked for it.
    pub address: String,
    /// The name that the client gave itself.
    pub name: Vec<u8>,
    /// The pool that it was for; none where this process is a store.
    pub pool: Option<String>,
    /// The server that it was for; none where this process answered it itself.
    pub server: Option<String>,
}

/// Whose commands are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// All of the process.
    All,
    /// Those of one pool, or of the store: the clients of one need not see what others do.
    Of(Option<&'a str>),
}

impl Whose<'_> {
    fn has(self, entry: &Entry) -> bool {
        match self {
            Whose::All => true,
            Whose::Of(pool) => entry.pool.as_deref() == pool,
        }
    }
}

/// What is known of a slow command where it is noticed.
#[derive(Debug)]
pub struct Slow {
    /// Its words, [as they are shown](shown).
    pub words: Vec<Vec<u8>>,
    /// How long it took, in microseconds.
    pub took: u64,
    /// Who asked for it.
    pub origin: Arc<Origin>,
    /// How many commands were answered with it, so that only their time together is known; 1: it
    /// alone.
    pub together: usize,
    /// Why it has no reply of the server, if it has none.
    pub failed: Option<&'static str>,
}

/// A client, as the log names it.
#[derive(Debug, Default)]
pub struct Origin {
    address: String,
    name: Mutex<Vec<u8>>,
}

impl Origin {
    /// A client that connects from there.
    pub fn new(address: String) -> Origin {
        Origin {
            address,
            name: Mutex::default(),
        }
    }

    /// Where it connects from.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The name that it gave itself.
    pub fn name(&self) -> Vec<u8> {
        self.name.lock().clone()
    }

    /// It has another name now.
    pub fn rename(&self, name: &[u8]) {
        *self.name.lock() = name.to_vec();
    }
}

impl Default for SlowLog {
    fn default() -> SlowLog {
        SlowLog::new(Settings::default())
    }
}

impl SlowLog {
    /// An empty log.
    pub fn new(settings: Settings) -> SlowLog {
        // What is too large becomes the longest time there is.
        let micros = match settings.milliseconds >= 0.0 {
            true => (settings.milliseconds * 1000.0).ceil() as i64,
            false => -1,
        };
        let log = SlowLog {
            threshold: AtomicI64::new(-1),
            asked: AtomicI64::new(micros),
            length: AtomicUsize::new(settings.length),
            kept: Mutex::default(),
        };
        log.settle();
        log
    }

    /// How many are kept.
    pub fn length(&self) -> usize {
        self.length.load(Relaxed)
    }

    /// From how many microseconds on commands are logged, if some are kept; -1: none are.
    pub fn slower_than(&self) -> i64 {
        self.asked.load(Relaxed)
    }

    /// Logs commands from so many microseconds on; negative: none.
    pub fn set_slower_than(&self, micros: i64) {
        self.asked.store(micros.max(-1), Relaxed);
        self.settle();
    }

    /// Keeps so many.
    pub fn set_length(&self, length: usize) {
        self.length.store(length, Relaxed);
        self.kept.lock().entries.truncate(length);
        self.settle();
    }

    /// What is kept nowhere need not be timed.
    fn settle(&self) {
        let threshold = match self.length() {
            0 => -1,
            _ => self.slower_than(),
        };
        self.threshold.store(threshold, Relaxed);
    }

    /// From how many microseconds on a command is logged; `None`: nothing is.
    #[inline]
    pub fn threshold(&self) -> Option<u64> {
        u64::try_from(self.threshold.load(Relaxed)).ok()
    }

    /// How many of the commands that a server answered at a time are logged.
    pub fn most_together(&self) -> usize {
        match self.threshold() {
            Some(0) => usize::MAX,
            _ => limits::SLOW_TOGETHER,
        }
    }

    /// Logs a command that was answered at `now`, in milliseconds since 1970, by a server of a pool
    /// or by this process.
    pub fn add(&self, now: u64, slow: Slow, pool: Option<&str>, server: Option<&str>) {
        let (address, name) = (slow.origin.address.clone(), slow.origin.name());
        let (pool, server) = (pool.map(str::to_owned), server.map(str::to_owned));
        let mut kept = self.kept.lock();
        let id = kept.next;
        kept.next += 1;
        kept.entries.truncate(self.length().max(1) - 1);
        kept.entries.push_front(Arc::new(Entry {
            id,
            time: now,
            slow,
            address,
            name,
            pool,
            server,
        }));
    }

    /// The latest, newest first.
    pub fn latest(&self, whose: Whose<'_>, count: usize) -> Vec<Arc<Entry>> {
        let kept = self.kept.lock();
        let theirs = kept.entries.iter().filter(|entry| whose.has(entry));
        theirs.take(count).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self, whose: Whose<'_>) -> usize {
        let kept = self.kept.lock();
        kept.entries.iter().filter(|e| whose.has(e)).count()
    }

    /// How many there have been since the start.
    pub fn ever(&self) -> u64 {
        self.kept.lock().next
    }

    /// Forgets them.
    pub fn reset(&self, whose: Whose<'_>) {
        self.kept.lock().entries.retain(|entry| !whose.has(entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(word: &str) -> Slow {
        Slow {
            words: vec![word.into()],
            took: 1,
            origin: Arc::new(Origin::new("127.0.0.1:1".into())),
            together: 1,
            failed: None,
        }
    }

    fn log(milliseconds: f64, length: usize) -> SlowLog {
        SlowLog::new(Settings {
            milliseconds,
            length,
        })
    }

    #[test]
    fn the_newest_are_kept_and_numbers_go_on() {
        let log = log(10.0, 2);
        let add = |word: &str, pool: Option<&str>| log.add(5, slow(word), pool, None);
        ["a", "b", "c"].iter().for_each(|word| add(word, None));
        let shown = |whose: Whose| {
            let entries = log.latest(whose, 10);
            assert_eq!(entries.len(), log.len(whose));
            let word = |e: &Arc<Entry>| {
                let word = String::from_utf8_lossy(&e.slow.words[0]);
                format!("{} {word}", e.id)
            };
            entries.iter().map(word).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(shown(Whose::All), "2 c, 1 b");
        log.reset(Whose::All);
        assert_eq!(shown(Whose::All), "");
        add("d", Some("herd"));
        add("e", None);
        assert_eq!(shown(Whose::All), "4 e, 3 d");
        assert_eq!(shown(Whose::Of(None)), "4 e");
        assert_eq!(shown(Whose::Of(Some("herd"))), "3 d");
        assert_eq!(shown(Whose::Of(Some("other"))), "");
        log.reset(Whose::Of(Some("herd")));
        assert_eq!(shown(Whose::All), "4 e");
        assert_eq!(log.ever(), 5);
    }

    #[test]
    fn a_negative_threshold_logs_nothing_and_zero_everything() {
        for (milliseconds, threshold) in [
            (-1.0, None),
            (0.0, Some(0)),
            (0.5, Some(500)),
            (0.0001, Some(1)),
            (10.0, Some(10_000)),
            (1e300, Some(i64::MAX as u64)),
            (f64::NAN, None),
        ] {
            assert_eq!(log(milliseconds, 128).threshold(), threshold);
        }
        let log = log(10.0, 0);
        assert_eq!(log.threshold(), None);
        log.set_length(1);
        assert_eq!(log.threshold(), Some(10_000));
        log.set_slower_than(-5);
        assert_eq!((log.threshold(), log.slower_than()), (None, -1));
        log.set_slower_than(7);
        assert_eq!(log.threshold(), Some(7));
    }
}
