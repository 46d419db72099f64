//! Whether a connection gets on: clients that are too slow are left.

use std::cell::Cell;

use crate::limits;

/// What a connection has done so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes that came in.
    pub read: Cell<u64>,
    /// Bytes that went out.
    pub written: Cell<u64>,
    /// Bytes wait that the client does not take.
    pub is_stuck: Cell<bool>,
    /// Requests whose answers are being made.
    pub answering: Cell<u32>,
    /// Requests whose bodies are being read.
    pub reading: Cell<u32>,
    /// Bytes that had come in when the last answer was made.
    pub answered_at: Cell<u64>,
}

/// What the client is expected to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Nothing.
    Wait,
    /// To ask for something.
    Ask,
    /// To send the rest of a head.
    SendHead,
    /// To send more of a body.
    SendBody,
    /// To take more of an answer.
    Take,
}

/// Looks at the progress from time to time.
#[derive(Debug)]
pub struct Patience {
    /// All that comes between requests is part of the next one: not so with HTTP/2.
    expects_heads: bool,
    task: Task,
    since: u64,
    read: u64,
    written: u64,
}

impl Patience {
    /// From now on, in milliseconds.
    pub fn new(now: u64, is_http2: bool) -> Patience {
        Patience {
            expects_heads: !is_http2,
            task: Task::Ask,
            since: now,
            read: 0,
            written: 0,
        }
    }

    /// Whether the client has taken too long.
    pub fn is_over(&mut self, now: u64, progress: &Progress) -> bool {
        let (read, written) = (progress.read.get(), progress.written.get());
        let task = match () {
            () if progress.is_stuck.get() => Task::Take,
            () if progress.reading.get() > 0 => Task::SendBody,
            () if progress.answering.get() > 0 => Task::Wait,
            () if self.expects_heads && read > progress.answered_at.get() => Task::SendHead,
            () => Task::Ask,
        };
        let gets_on = match task {
            Task::Wait => true,
            Task::Ask => read > self.read,
            Task::SendHead => false,
            Task::SendBody => read - self.read >= limits::HTTP_PART_BYTES,
            Task::Take => written > self.written,
        };
        if gets_on || task != self.task {
            *self = Patience {
                task,
                since: now,
                read,
                written,
                ..*self
            };
            return false;
        }
        let most = match task {
            Task::Ask => limits::HTTP_IDLE_MS,
            _ => limits::HTTP_PATIENCE_MS,
        };
        now.saturating_sub(self.since) >= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: u64 = limits::HTTP_PATIENCE_MS;

    #[test]
    fn a_client_without_a_request_may_stay_long_but_not_for_ever() {
        let (mut patience, progress) = (Patience::new(0, false), Progress::default());
        assert!(!patience.is_over(limits::HTTP_IDLE_MS - 1, &progress));
        assert!(patience.is_over(limits::HTTP_IDLE_MS, &progress));
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_has_to_end() {
        let (mut patience, progress) = (Patience::new(0, false), Progress::default());
        for now in 0..LONG / 1000 {
            progress.read.set(now + 1);
            assert!(!patience.is_over(now * 1000, &progress));
        }
        assert!(patience.is_over(LONG, &progress));
        progress.answered_at.set(progress.read.get());
        assert!(!patience.is_over(LONG + 1, &progress));
        // With HTTP/2 it may be about the connection.
        let mut patience = Patience::new(0, true);
        progress.read.set(progress.read.get() + 1);
        assert!(!patience.is_over(1, &progress));
        assert!(!patience.is_over(LONG + 1, &progress));
    }

    #[test]
    fn a_body_has_to_come_at_some_speed() {
        let (mut patience, progress) = (Patience::new(0, false), Progress::default());
        progress.answering.set(1);
        progress.reading.set(1);
        for step in 1..10 {
            progress.read.set(step * limits::HTTP_PART_BYTES);
            assert!(!patience.is_over(step * (LONG - 1), &progress));
        }
        progress.read.set(progress.read.get() + 1);
        assert!(patience.is_over(9 * (LONG - 1) + LONG, &progress));
    }

    #[test]
    fn an_answer_has_to_be_taken_but_may_take_long_to_make() {
        let (mut patience, progress) = (Patience::new(0, false), Progress::default());
        progress.read.set(100);
        progress.answering.set(1);
        assert!(!patience.is_over(0, &progress));
        assert!(!patience.is_over(1_000_000, &progress));
        progress.is_stuck.set(true);
        assert!(!patience.is_over(1_000_000, &progress));
        progress.written.set(1);
        assert!(!patience.is_over(1_000_000 + LONG, &progress));
        assert!(patience.is_over(1_000_000 + 2 * LONG, &progress));
    }
}
