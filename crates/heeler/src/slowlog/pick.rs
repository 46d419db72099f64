//! Which of the commands that a server has answered at a time are logged.
//!
//! A server that is held up answers all that has waited at once, and nobody can tell from outside
//! which command has held it up. So that a stall that thousands have waited for does not push
//! everything else out of the log, only some are taken: first of all those that may take long.

use super::Slow;

/// The slow commands of one time.
#[derive(Debug)]
pub struct Pick {
    most: usize,
    /// With whether each is [quick](super::is_quick).
    picked: Vec<(bool, Slow)>,
    offered: usize,
}

impl Pick {
    /// Takes so many at most.
    pub fn new(most: usize) -> Pick {
        Pick {
            most,
            picked: Vec::new(),
            offered: 0,
        }
    }

    /// Takes a slow command, unless there are enough that are better.
    pub fn offer(&mut self, is_quick: bool, slow: impl FnOnce() -> Slow) {
        self.offered += 1;
        if self.picked.len() >= self.most {
            let worse = self.picked.iter().rposition(|(quick, _)| *quick);
            match worse.filter(|_| !is_quick) {
                Some(worse) => drop(self.picked.remove(worse)),
                None => return,
            }
        }
        self.picked.push((is_quick, slow()));
    }

    /// Those that were taken, in the order they were answered.
    pub fn picked(self) -> Vec<Slow> {
        let together = self.offered;
        let told = |(_, slow): (bool, Slow)| Slow { together, ..slow };
        self.picked.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn those_that_may_take_long_come_first() {
        let mut pick = Pick::new(3);
        for word in ["get", "set", "eval", "get", "keys", "incr"] {
            pick.offer(!["eval", "keys"].contains(&word), || Slow {
                words: vec![word.into()],
                took: 0,
                origin: Arc::default(),
                together: 1,
                failed: None,
            });
        }
        let picked = pick.picked();
        assert!(picked.iter().all(|slow| slow.together == 6));
        let words: Vec<&[u8]> = picked.iter().map(|slow| &*slow.words[0]).collect();
        assert_eq!(words, [&b"get"[..], b"eval", b"keys"]);
    }
}
