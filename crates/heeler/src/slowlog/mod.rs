//! The slow log: commands that took longer than the operator wants to hear of nothing. One for the
//! process; only a command that was slow takes its lock.

mod pick;
mod words;

pub use pick::Pick;
pub use words::{is_quick, of_request, shown};

use std::collections::VecDeque;
use std::sync::Arc;

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
    settings: Settings,
    threshold: Option<u64>,
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
    /// The pool and the server that answered it; none where this process did.
    pub place: Option<Place>,
}

/// Where a command was slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The pool's name.
    pub pool: String,
    /// The server's.
    pub server: String,
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
        let micros = (settings.milliseconds * 1000.0).ceil() as u64;
        let logs = settings.milliseconds >= 0.0 && settings.length > 0;
        SlowLog {
            settings,
            threshold: logs.then_some(micros),
            kept: Mutex::default(),
        }
    }

    /// What it was made with.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// From how many microseconds on a command is logged; `None`: nothing is.
    pub fn threshold(&self) -> Option<u64> {
        self.threshold
    }

    /// How many of the commands that a server answered at a time are logged.
    pub fn most_together(&self) -> usize {
        match self.threshold() {
            Some(0) => usize::MAX,
            _ => limits::SLOW_TOGETHER,
        }
    }

    /// Logs a command that was answered at `now`, in milliseconds since 1970.
    pub fn add(&self, now: u64, slow: Slow, place: Option<Place>) {
        let (address, name) = (slow.origin.address.clone(), slow.origin.name());
        let mut kept = self.kept.lock();
        let id = kept.next;
        kept.next += 1;
        kept.entries.truncate(self.settings.length.max(1) - 1);
        kept.entries.push_front(Arc::new(Entry {
            id,
            time: now,
            slow,
            address,
            name,
            place,
        }));
    }

    /// The latest, newest first.
    pub fn latest(&self, count: usize) -> Vec<Arc<Entry>> {
        self.kept
            .lock()
            .entries
            .iter()
            .take(count)
            .cloned()
            .collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.lock().entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there have been since the start.
    pub fn ever(&self) -> u64 {
        self.kept.lock().next
    }

    /// Forgets all.
    pub fn reset(&self) {
        self.kept.lock().entries.clear();
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
        ["a", "b", "c"]
            .iter()
            .for_each(|w| log.add(5, slow(w), None));
        let shown = |log: &SlowLog| {
            let entries = log.latest(10);
            let word = |e: &Arc<Entry>| {
                let word = String::from_utf8_lossy(&e.slow.words[0]);
                format!("{} {word}", e.id)
            };
            entries.iter().map(word).collect::<Vec<_>>()
        };
        assert_eq!(shown(&log), ["2 c", "1 b"]);
        log.reset();
        assert!(log.is_empty());
        log.add(5, slow("d"), None);
        assert_eq!(shown(&log), ["3 d"]);
        assert_eq!(log.ever(), 4);
    }

    #[test]
    fn a_negative_threshold_logs_nothing_and_zero_everything() {
        for (milliseconds, threshold) in [
            (-1.0, None),
            (0.0, Some(0)),
            (0.5, Some(500)),
            (0.0001, Some(1)),
            (10.0, Some(10_000)),
            (1e300, Some(u64::MAX)),
            (f64::NAN, None),
        ] {
            assert_eq!(log(milliseconds, 128).threshold(), threshold);
        }
        assert_eq!(log(10.0, 0).threshold(), None);
    }
}
