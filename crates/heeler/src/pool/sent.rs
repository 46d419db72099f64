//! The bytes of requests that have been written and wait for their replies: the slow log shows
//! them if they turn out to be slow. They stay in the buffer that they were written from, so that
//! keeping them copies nothing. Pure.

use std::collections::VecDeque;

use crate::limits;

/// What was written over one connection. Places in it are counted in bytes of requests since the
/// link began.
#[derive(Debug, Default)]
pub struct Sent {
    runs: VecDeque<Run>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
}

/// Requests that were written from one buffer.
#[derive(Debug)]
struct Run {
    bytes: Vec<u8>,
    /// Where the last of them ends.
    end: u64,
    /// Where each begins, and where that is in `bytes`; empty where all bytes are there.
    beginnings: Vec<(u64, usize)>,
}

impl Sent {
    /// Keeps a run, whose last request ends at `end`. `places` are those where its first request
    /// begins and where each ends. Returns a buffer for the next.
    pub fn keep(&mut self, bytes: Vec<u8>, end: u64, places: impl Iterator<Item = u64>) -> Vec<u8> {
        let length = bytes.len();
        if length > limits::SENT_BYTES {
            self.runs.push_back(Run::of_beginnings(&bytes, end, places));
            return Vec::new();
        }
        let (bytes, next) = match bytes.capacity() > 4 * length + limits::IDLE_BUFFER_BYTES {
            // A little of a large buffer: it would be kept for too little.
            true => (bytes.as_slice().into(), Some(bytes)),
            false => (bytes, self.spare.pop()),
        };
        self.runs.push_back(Run {
            bytes,
            end,
            beginnings: Vec::new(),
        });
        let mut next = next.unwrap_or_else(|| Vec::with_capacity(length));
        next.clear();
        next
    }

    /// All requests up to this place have been answered.
    #[inline]
    pub fn answered(&mut self, place: u64) {
        while let Some(run) = self.runs.pop_front_if(|run| run.end <= place) {
            let is_small = run.bytes.capacity() <= limits::SENT_SPARE_BYTES;
            if is_small && self.spare.len() < limits::SENT_SPARE {
                self.spare.push(run.bytes);
            }
        }
        if self.runs.is_empty() && self.runs.capacity() > limits::IDLE_BATCHES {
            self.runs = VecDeque::new();
        }
    }

    /// The request between these places, or its beginning; `None` if it is not kept.
    pub fn find(&self, from: u64, to: u64) -> Option<&[u8]> {
        let run = self.runs.iter().find(|run| to <= run.end)?;
        if run.beginnings.is_empty() {
            return within(&run.bytes, run.end, from, to);
        }
        let i = run
            .beginnings
            .iter()
            .position(|(begin, _)| *begin == from)?;
        let end = run.beginnings.get(i + 1).map_or(run.bytes.len(), |b| b.1);
        run.bytes.get(run.beginnings[i].1..end)
    }
}

/// The bytes between two places, of a buffer whose last byte is before the place `end`.
pub fn within(bytes: &[u8], end: u64, from: u64, to: u64) -> Option<&[u8]> {
    let index = |place: u64| bytes.len().checked_sub(end.checked_sub(place)? as usize);
    bytes.get(index(from)?..index(to)?)
}

impl Run {
    /// Keeps the beginning of each request only: these are large.
    fn of_beginnings(bytes: &[u8], end: u64, places: impl Iterator<Item = u64>) -> Run {
        let (mut kept, mut beginnings, mut before) = (Vec::new(), Vec::new(), None);
        for to in places {
            let request = before.and_then(|from| Some((from, within(bytes, end, from, to)?)));
            if let Some((from, request)) = request {
                beginnings.push((from, kept.len()));
                let first = request.len().min(limits::SENT_BEGINNING_BYTES);
                kept.extend_from_slice(&request[..first]);
            }
            before = Some(to);
        }
        Run {
            bytes: kept,
            end,
            beginnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(found: Option<&[u8]>) -> &str {
        std::str::from_utf8(found.unwrap_or(b"none")).unwrap()
    }

    #[test]
    fn requests_are_found_until_they_are_answered() {
        let mut sent = Sent::default();
        // What is written before the first request, such as AUTH, is none of them.
        let next = sent.keep(b"auth;one;two;".to_vec(), 108, [100, 104, 108].into_iter());
        assert!(next.is_empty());
        sent.keep(b"three;".to_vec(), 114, [108, 114].into_iter());
        assert_eq!(text(sent.find(100, 104)), "one;");
        assert_eq!(text(sent.find(104, 108)), "two;");
        assert_eq!(text(sent.find(108, 114)), "three;");
        assert_eq!(text(sent.find(114, 118)), "none");
        sent.answered(107);
        assert_eq!(text(sent.find(100, 104)), "one;");
        sent.answered(108);
        assert_eq!(text(sent.find(100, 104)), "none");
        assert_eq!(text(sent.find(108, 114)), "three;");
        let next = sent.keep(b"four;".to_vec(), 119, [114, 119].into_iter());
        assert!(next.is_empty() && next.capacity() >= 13, "used again");
        let mut large = Vec::with_capacity(60_000);
        large.extend_from_slice(b"five;");
        let next = sent.keep(large, 124, [119, 124].into_iter());
        assert_eq!(
            (next.len(), next.capacity()),
            (0, 60_000),
            "not kept for five bytes"
        );
        assert_eq!(text(sent.find(119, 124)), "five;");
    }

    #[test]
    fn of_large_runs_the_beginnings_are_kept() {
        let (mut sent, large) = (Sent::default(), "x".repeat(limits::SENT_BYTES));
        let bytes = format!("auth;a;b{large};c;").into_bytes();
        let (one, two) = (1002, 1002 + large.len() as u64 + 2);
        sent.keep(bytes, two + 2, [1000, one, two, two + 2].into_iter());
        assert_eq!(text(sent.find(1000, one)), "a;");
        let beginning = text(sent.find(one, two));
        assert_eq!(beginning.len(), limits::SENT_BEGINNING_BYTES);
        assert!(beginning.starts_with("bxx"));
        assert_eq!(text(sent.find(two, two + 2)), "c;");
        let kept: usize = sent.runs.iter().map(|r| r.bytes.capacity()).sum();
        assert!(kept < 2048, "{kept} bytes kept");
    }
}
