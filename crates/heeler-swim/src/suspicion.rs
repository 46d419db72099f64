//! How long a member may stay suspect (Lifeguard, section III-B).

use crate::{Lifeguard, limits};

/// A suspicion under way. It begins with a long time, and each further member that finds the same
/// shortens it.
#[derive(Debug, Clone)]
pub(crate) struct Suspicion {
    start: u64,
    min: u64,
    max: u64,
    /// Confirmations that bring it to the shortest.
    wanted: u32,
    /// Who has said so. The first is the one who began.
    sources: Vec<Box<str>>,
}

impl Suspicion {
    /// A suspicion that began now, among so many members.
    pub fn new(
        guard: &Lifeguard,
        now: u64,
        suspect_ms: u64,
        members: usize,
        source: Option<&str>,
    ) -> Suspicion {
        let scale = guard.suspicion_factor * (members.max(10) as f64).log10();
        // Neither the suspect nor who began can confirm.
        let wanted = guard.confirmations.min(members.saturating_sub(2) as u32);
        Suspicion {
            start: now,
            min: suspect_ms,
            max: (suspect_ms as f64 * scale.max(1.0)) as u64,
            wanted: wanted.min(limits::CONFIRMATIONS as u32),
            sources: source.map(Into::into).into_iter().collect(),
        }
    }

    /// Takes a confirmation. Returns whether it is a new one that counts.
    pub fn confirm(&mut self, source: &str) -> bool {
        let known = self.sources.iter().any(|known| **known == *source);
        let counts = !known && self.confirmations() < self.wanted;
        if counts {
            self.sources.push(source.into());
        }
        counts
    }

    fn confirmations(&self) -> u32 {
        (self.sources.len() as u32).saturating_sub(1)
    }

    /// When the suspect is given up, as it stands.
    pub fn deadline(&self) -> u64 {
        if self.wanted == 0 {
            return self.start.saturating_add(self.min);
        }
        let share = f64::from(self.confirmations() + 1).ln() / f64::from(self.wanted + 1).ln();
        let gain = (self.max - self.min) as f64 * share;
        self.start
            .saturating_add((self.max - gain as u64).max(self.min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspicion(members: usize) -> Suspicion {
        Suspicion::new(&Lifeguard::default(), 1000, 5000, members, Some("a"))
    }

    #[test]
    fn it_begins_long_and_ends_short() {
        let mut suspicion = suspicion(100);
        let mut deadlines = vec![suspicion.deadline()];
        for source in ["b", "c", "d"] {
            assert!(suspicion.confirm(source));
            deadlines.push(suspicion.deadline());
        }
        assert_eq!((deadlines[0], deadlines[3]), (1000 + 20_000, 1000 + 5000));
        assert!(deadlines.windows(2).all(|two| two[1] < two[0]));
        assert!(!suspicion.confirm("e"), "enough is enough");
    }

    #[test]
    fn only_others_confirm() {
        let mut suspicion = suspicion(100);
        assert!(!suspicion.confirm("a"));
        assert!(suspicion.confirm("b") && !suspicion.confirm("b"));
    }

    #[test]
    fn where_nobody_could_confirm_it_is_short_from_the_start() {
        assert_eq!(suspicion(2).deadline(), 1000 + 5000);
        assert_eq!(suspicion(3).deadline(), 1000 + 10_000);
    }
}
