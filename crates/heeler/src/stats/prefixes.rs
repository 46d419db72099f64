//! memcached's `stats detail`: requests counted by the prefixes of their keys, which end before the
//! first colon. Nothing is counted before somebody asks for it, for it takes a lock.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::limits;

/// What is counted of one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    get: u64,
    hit: u64,
    set: u64,
    del: u64,
}

/// The counters of a process.
#[derive(Debug, Default)]
pub struct Prefixes {
    is_on: AtomicBool,
    counts: Mutex<BTreeMap<Box<[u8]>, Counts>>,
}

impl Prefixes {
    /// Whether it is counted.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// From now on it is, or is not. What has been counted stays.
    pub fn set(&self, is_on: bool) {
        self.is_on.store(is_on, Relaxed);
    }

    /// A key was asked for, and perhaps found.
    pub fn got(&self, key: &[u8], is_hit: bool) {
        self.count(key, |counts| {
            counts.get += 1;
            counts.hit += u64::from(is_hit);
        });
    }

    /// A key was to be stored.
    pub fn stored(&self, key: &[u8]) {
        self.count(key, |counts| counts.set += 1);
    }

    /// A key was to be deleted.
    pub fn deleted(&self, key: &[u8]) {
        self.count(key, |counts| counts.del += 1);
    }

    /// Keys without a prefix are not counted, nor new prefixes once there are too many.
    fn count(&self, key: &[u8], add: impl FnOnce(&mut Counts)) {
        let Some(end) = memchr::memchr(b':', key) else {
            return;
        };
        let prefix = &key[..end];
        let mut all = self.counts.lock();
        if let Some(counts) = all.get_mut(prefix) {
            return add(counts);
        }
        if all.len() < limits::COUNTED_PREFIXES {
            add(all.entry(prefix.into()).or_default());
        }
    }

    /// Forgets what has been counted.
    pub fn reset(&self) {
        self.counts.lock().clear();
    }

    /// What has been counted, a line for each prefix, in their order; bytes that are no UTF-8 are
    /// shown as U+FFFD.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        for (prefix, counts) in &*self.counts.lock() {
            let Counts { get, hit, set, del } = counts;
            let prefix = String::from_utf8_lossy(prefix);
            let _ = write!(
                text,
                "PREFIX {prefix} get {get} hit {hit} set {set} del {del}\r\n"
            );
        }
        text + "END\r\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_bounded_and_forgotten_when_asked_to() {
        let prefixes = Prefixes::default();
        for n in 0..limits::COUNTED_PREFIXES + 10 {
            prefixes.stored(format!("{n}:x").as_bytes());
        }
        prefixes.got(b"0:y", true);
        prefixes.got(b"none", true);
        let lines = prefixes.lines();
        assert_eq!(lines.lines().count(), limits::COUNTED_PREFIXES + 1);
        assert!(lines.starts_with("PREFIX 0 get 1 hit 1 set 1 del 0\r\nPREFIX 1 "));
        prefixes.reset();
        assert_eq!(prefixes.lines(), "END\r\n");
    }
}
