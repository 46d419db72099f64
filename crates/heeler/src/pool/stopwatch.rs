//! How long requests wait for their replies, by the batch: one look at the clock for all that was
//! written or read at a time. Pure: time is an argument, in microseconds.

use std::collections::VecDeque;

use crate::limits;
use crate::stats::Traffic;

/// The batches of requests that are written to one connection and have no reply yet.
#[derive(Debug, Default)]
pub struct Stopwatch {
    passed: Passed,
    /// For each batch, how many requests had been written with it, and when.
    batches: VecDeque<(u64, u64)>,
    /// When the latest reply came over this connection.
    heard: u64,
}

/// How many requests of a link have been written, and how many of them have been answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Passed {
    written: u64,
    answered: u64,
}

impl Passed {
    fn of(traffic: &Traffic) -> Passed {
        let [requests, _, _, _, unwritten, _, unanswered, _] = *traffic;
        let written = requests - unwritten;
        Passed {
            written,
            answered: written - unanswered,
        }
    }
}

impl Stopwatch {
    /// A connection is opened: nothing has been written to it.
    pub fn start(&mut self, traffic: &Traffic) {
        self.passed = Passed::of(traffic);
        self.batches.clear();
        self.heard = 0;
    }

    /// How long the server has let the oldest request wait at `now` that was written and has no
    /// reply: since it was written, or `since` before that, but not for what it did for others
    /// before it.
    pub fn kept_waiting(&self, now: u64, since: u64) -> u64 {
        let written = self.batches.front().map_or(now, |(_, at)| *at);
        now.saturating_sub(written.min(since).max(self.heard))
    }

    /// Whether anything has been written or answered since it was last noted.
    pub fn has_moved(&self, traffic: &Traffic) -> bool {
        self.passed != Passed::of(traffic)
    }

    /// Notes what has been written and answered until now: `waited(how long, how many requests)`.
    pub fn note(&mut self, traffic: &Traffic, now: u64, mut waited: impl FnMut(u64, u64)) {
        let passed = Passed::of(traffic);
        if passed.written > self.passed.written {
            self.batches.push_back((passed.written, now));
        }
        if passed.answered > self.passed.answered {
            self.heard = now;
        }
        let mut answered = self.passed.answered;
        while let Some(&(end, since)) = self.batches.front() {
            let until = passed.answered.min(end);
            if until > answered {
                waited(now.saturating_sub(since), until - answered);
                answered = until;
            }
            if end > passed.answered {
                break;
            }
            self.batches.pop_front();
        }
        if self.batches.is_empty() && self.batches.capacity() > limits::IDLE_BATCHES {
            self.batches = VecDeque::new();
        }
        self.passed = passed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_waits_since_its_batch_was_written() {
        let mut watch = Stopwatch::default();
        let traffic = |requests, unwritten, unanswered| {
            let traffic: Traffic = [requests, 0, 0, 0, unwritten, 0, unanswered, 0];
            traffic
        };
        // Seven have passed over connections before this one.
        watch.start(&traffic(7, 0, 0));
        let mut note = |now: Traffic, at: u64| {
            let mut waits = Vec::new();
            let moved = watch.has_moved(&now);
            watch.note(&now, at, |wait, count| waits.push((wait, count)));
            (moved, waits)
        };
        assert_eq!(note(traffic(10, 3, 0), 0), (false, vec![]));
        assert_eq!(note(traffic(10, 0, 3), 1), (true, vec![]));
        assert_eq!(note(traffic(12, 0, 5), 4), (true, vec![]));
        assert_eq!(note(traffic(12, 0, 3), 5), (true, vec![(4, 2)]));
        assert_eq!(note(traffic(13, 0, 2), 9), (true, vec![(8, 1), (5, 1)]));
        assert_eq!(note(traffic(13, 0, 2), 10), (false, vec![]));
        assert_eq!(note(traffic(13, 0, 0), 11), (true, vec![(7, 1), (2, 1)]));
    }

    #[test]
    fn a_server_keeps_the_oldest_waiting_since_it_last_answered() {
        let mut watch = Stopwatch::default();
        let traffic = |requests, unwritten, unanswered| {
            let traffic: Traffic = [requests, 0, 0, 0, unwritten, 0, unanswered, 0];
            traffic
        };
        watch.start(&traffic(0, 0, 0));
        assert_eq!(watch.kept_waiting(100, 90), 10, "it could not be written");
        watch.note(&traffic(3, 0, 3), 100, |_, _| ());
        assert_eq!(watch.kept_waiting(150, 100), 50);
        watch.note(&traffic(3, 0, 2), 150, |_, _| ());
        assert_eq!(watch.kept_waiting(160, 100), 10, "it has answered another");
        watch.start(&traffic(3, 0, 0));
        assert_eq!(watch.kept_waiting(170, 120), 50);
    }
}
