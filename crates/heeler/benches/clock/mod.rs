//! The clock that commands are measured by.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time that this thread has spent on a processor.
pub fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
