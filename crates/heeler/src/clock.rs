//! The one place that reads the time.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::limits;

/// Milliseconds since 1970: the `now` of every pure room.
pub fn now() -> u64 {
    micros() / 1000
}

/// Microseconds since 1970.
pub fn micros() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970, by the clock that people set.
    pub now: u64,
    /// [`ticks`] of the same moment.
    pub ticks: u64,
}

/// Both clocks, at the price of one: this thread looks at the one that people set only once in a
/// while, and adds what has passed since by the other.
pub fn moment() -> Moment {
    thread_local! {
        /// `ticks` and microseconds since 1970 when both were looked at.
        static LOOKED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }
    let ticks = ticks();
    let (at, since) = LOOKED.get();
    if since != 0 && ticks - at < limits::CLOCK_US {
        let now = (since + ticks - at) / 1000;
        return Moment { now, ticks };
    }
    let (ticks, seen) = look();
    let since = going_on(since + ticks - at, seen);
    LOOKED.set((ticks, since));
    let now = since / 1000;
    Moment { now, ticks }
}

/// Both clocks at once, [`ticks`] first. A thread that has to wait between its looks at the one and
/// at the other looks again: else its time would be ahead until the next look, and go back then.
fn look() -> (u64, u64) {
    let mut best = (u64::MAX, (0, 0));
    for _ in 0..limits::CLOCK_LOOKS {
        let (before, seen) = (ticks(), micros());
        let took = ticks() - before;
        if took < best.0 {
            best = (took, (before, seen));
        }
        if took <= limits::CLOCK_LOOK_US {
            break;
        }
    }
    best.1
}

/// The time that goes on from what it was `expected` to be to what was `seen`. For a trifle it does
/// not go back.
fn going_on(expected: u64, seen: u64) -> u64 {
    match expected.checked_sub(seen) {
        Some(1..=limits::CLOCK_TRIFLE_US) => expected,
        _ => seen,
    }
}

/// Microseconds since some time before the process started, by a clock that nobody sets: for
/// measuring how long something takes.
pub fn ticks() -> u64 {
    // Less to do than for an `Instant` and the time since another. Every system has this clock.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| {
        now.tv_sec() as u64 * 1_000_000 + now.tv_nsec() as u64 / 1000
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_back_only_where_somebody_has_set_it() {
        let trifle = limits::CLOCK_TRIFLE_US;
        for (expected, seen, told) in [
            (5_000, 5_000, 5_000),
            (5_000, 5_001, 5_001),
            (5_000, 4_999, 5_000),
            (5_000, 5_000 - trifle, 5_000),
            (5_000, 4_999 - trifle, 4_999 - trifle),
            (0, 1 << 50, 1 << 50),
        ] {
            assert_eq!(going_on(expected, seen), told, "{expected} {seen}");
        }
    }

    #[test]
    fn a_moment_is_between_two_looks_at_the_clock() {
        for _ in 0..1000 {
            let (before, moment, after) = (now(), moment(), now());
            // What is rounded off twice, and what a clock is turned in between by those who set it.
            assert!((before - 2..=after + 2).contains(&moment.now));
            assert!(moment.ticks <= ticks());
        }
    }
}
