//! Whether this process has just stood still: stopped by a signal, by its host, or for want of a
//! processor.
//!
//! What other nodes have sent meanwhile waits in its sockets. They have given most of it up, have
//! told their clients so, and may have found another owner, with newer writes. So for a moment it
//! is not executed: requests go back to whoever still waits for them, and come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use heeler_ringpop::Failure;
use heeler_ringpop::channel::ErrorCode;

use super::keyspace::Keyspace;
use crate::clock;
use crate::limits;

/// When it was last seen to go on. Times are [`ticks`](clock::ticks).
#[derive(Debug)]
pub(super) struct Pulse {
    beat: AtomicU64,
    /// What has waited is not executed before.
    late_until: AtomicU64,
}

impl Pulse {
    pub(super) fn new(now: u64) -> Pulse {
        Pulse {
            beat: AtomicU64::new(now),
            late_until: AtomicU64::new(0),
        }
    }

    /// Whether what comes now may have waited because nothing went on here.
    pub(super) fn is_late(&self, now: u64) -> bool {
        let silence = now.saturating_sub(self.beat.load(Relaxed));
        if silence > limits::STILL_US {
            self.late_until.fetch_max(now + limits::LATE_US, Relaxed);
        }
        now < self.late_until.load(Relaxed)
    }

    /// It goes on; returns for how long it has stood still before, if it has.
    fn beat(&self, now: u64) -> Option<Duration> {
        self.is_late(now);
        let silence = now.saturating_sub(self.beat.swap(now, Relaxed));
        (silence > limits::STILL_US).then(|| Duration::from_micros(silence))
    }
}

/// Lets it beat, as long as the process lives.
pub(super) async fn follow(keyspace: Arc<Keyspace>) {
    loop {
        if let Some(silence) = keyspace.pulse.beat(clock::ticks()) {
            tracing::warn!(
                seconds = silence.as_secs(),
                "this node stood still: it was stopped, or had no processor; what other nodes have \
                 sent it meanwhile is not executed"
            );
        }
        tokio::time::sleep(Duration::from_millis(limits::BEAT_MS)).await;
    }
}

/// Refuses a call that may have waited here.
pub(super) fn in_time(keyspace: &Keyspace) -> Result<(), Failure> {
    if !keyspace.pulse.is_late(clock::ticks()) {
        return Ok(());
    }
    let text = "the node has stood still, and does nothing that may have been given up";
    Err(Failure::here(ErrorCode::Declined, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn what_comes_after_a_silence_is_late_for_a_moment() {
        let pulse = Pulse::new(5 * SECOND);
        assert!(!pulse.is_late(5 * SECOND));
        assert_eq!(pulse.beat(6 * SECOND), None);
        assert!(!pulse.is_late(6 * SECOND + limits::STILL_US));
        // Whichever of them looks first.
        let resumed = 20 * SECOND;
        assert!(pulse.is_late(resumed));
        assert_eq!(
            pulse.beat(resumed + 10),
            Some(Duration::from_micros(14 * SECOND + 10))
        );
        assert!(pulse.is_late(resumed + limits::LATE_US - 1));
        assert!(!pulse.is_late(resumed + 10 + limits::LATE_US));
        let again = 40 * SECOND;
        assert!(pulse.beat(again).is_some());
        assert!(pulse.is_late(again));
        assert_eq!(pulse.beat(again + SECOND), None);
        assert!(!pulse.is_late(again + SECOND));
    }
}
