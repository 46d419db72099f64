//! The one place that reads the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970: the `now` of every pure room.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// For measuring how long something takes.
pub fn instant() -> Instant {
    Instant::now()
}
