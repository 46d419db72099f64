//! Since when a connection has left more unread than it may for long.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// In milliseconds since 1970; 0: it has not.
#[derive(Debug, Default)]
pub struct Slowness(AtomicU64);

impl Slowness {
    /// Notes whether it does now; whether it has done so for so many milliseconds.
    pub fn lasts(&self, is_slow: bool, now: u64, millis: u64) -> bool {
        match (is_slow, self.0.load(Relaxed)) {
            (false, _) => self.0.store(0, Relaxed),
            (true, 0) => self.0.store(now, Relaxed),
            (true, since) => return now.saturating_sub(since) >= millis,
        }
        false
    }
}
