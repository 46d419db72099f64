//! How long requests have been under way, from when they were read until their replies leave.
//!
//! A time for each request is not kept. Replies leave in the order of the requests, so it is enough
//! to know how many requests of one family came together, one such lap after the other:
//!
//! ```text
//!   read at   100      100      250
//!   laps      string 3 list 1   string 2
//!   5 replies leave at 300: three strings and a list after 200, a string after 50
//! ```

use std::collections::VecDeque;

use crate::command::Family;
use crate::limits;

/// Requests of one connection whose replies have not left.
#[derive(Debug, Default)]
pub struct Laps {
    /// All but the latest. Where all that is under way came together there are none.
    older: VecDeque<Lap>,
    latest: Lap,
    /// How many replies had left when that was last noted.
    left: u64,
}

/// Requests of one family that came together.
#[derive(Clone, Copy, Debug, Default)]
struct Lap {
    since: u64,
    count: u32,
    family: Family,
}

impl Laps {
    /// Requests that are taken from now on were read at `now`, in microseconds.
    pub fn begin(&mut self, now: u64) {
        self.turn(Lap {
            since: now,
            count: 0,
            family: self.latest.family,
        });
    }

    /// A request was taken.
    #[inline]
    pub fn took(&mut self, family: Family) {
        if self.latest.family != family {
            self.turn(Lap {
                family,
                count: 0,
                ..self.latest
            });
        }
        self.latest.count += 1;
    }

    fn turn(&mut self, next: Lap) {
        let before = std::mem::replace(&mut self.latest, next);
        if before.count > 0 {
            self.older.push_back(before);
        }
    }

    /// Whether replies have left that are not noted.
    pub fn has_moved(&self, left: u64) -> bool {
        self.left != left
    }

    /// So many replies in all have left at `now`, in microseconds: `waited(whose, how many
    /// microseconds, how many requests)`.
    pub fn note(&mut self, left: u64, now: u64, mut waited: impl FnMut(Family, u64, u64)) {
        let mut moved = left.wrapping_sub(self.left);
        self.left = left;
        while moved > 0 {
            let lap = self.older.front_mut().unwrap_or(&mut self.latest);
            let count = moved.min(u64::from(lap.count));
            if count == 0 {
                break;
            }
            waited(lap.family, now.saturating_sub(lap.since), count);
            moved -= count;
            lap.count -= count as u32;
            if lap.count == 0 {
                self.older.pop_front();
            }
        }
        if self.older.is_empty() && self.older.capacity() > limits::IDLE_BATCHES {
            self.older = VecDeque::new();
        }
    }

    /// The family of a request, by how many came before it.
    pub fn family_of(&self, request: u64) -> Family {
        let mut before = request.saturating_sub(self.left);
        for lap in &self.older {
            match before.checked_sub(u64::from(lap.count)) {
                None => return lap.family,
                Some(rest) => before = rest,
            }
        }
        self.latest.family
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(laps: &mut Laps, left: u64, now: u64) -> Vec<(&'static str, u64, u64)> {
        let mut waits = Vec::new();
        laps.note(left, now, |family, wait, count| {
            waits.push((family.name(), wait, count));
        });
        waits
    }

    #[test]
    fn each_request_is_timed_from_when_it_was_read() {
        let mut laps = Laps::default();
        laps.begin(100);
        for family in [Family::String, Family::String, Family::String, Family::List] {
            laps.took(family);
        }
        laps.begin(250);
        laps.took(Family::String);
        laps.took(Family::String);
        assert!(laps.has_moved(1) && !laps.has_moved(0));
        assert_eq!(laps.family_of(0), Family::String);
        assert_eq!(laps.family_of(3), Family::List);
        assert_eq!(laps.family_of(5), Family::String);
        assert_eq!(note(&mut laps, 1, 150), [("string", 50, 1)]);
        assert_eq!(laps.family_of(3), Family::List);
        let rest = [("string", 200, 2), ("list", 200, 1), ("string", 50, 1)];
        assert_eq!(note(&mut laps, 5, 300), rest);
        assert_eq!(note(&mut laps, 5, 301), []);
        laps.begin(400);
        laps.took(Family::Geo);
        let rest = [("string", 150, 1), ("geo", 0, 1)];
        assert_eq!(note(&mut laps, 7, 400), rest);
        assert_eq!(note(&mut laps, 9, 400), [], "more left than came");
    }
}
