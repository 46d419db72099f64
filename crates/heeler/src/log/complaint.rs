//! A line of the log about what others can cause as often as they like.

/// When it was told last, and how often it has happened since.
#[derive(Clone, Copy, Debug, Default)]
pub struct Complaint {
    told: Option<u64>,
    untold: u64,
}

impl Complaint {
    /// It has happened at `now`. `None` if it was told less than `pause` ago; else it is to be
    /// told, with this at the end of the line. Times are in any one unit.
    pub fn tell(&mut self, now: u64, pause: u64) -> Option<String> {
        if self
            .told
            .is_some_and(|told| now < told.saturating_add(pause))
        {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(match std::mem::take(&mut self.untold) {
            0 => String::new(),
            untold => format!(" (and {untold} more since it was told last)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_in_a_while_with_how_often_it_was() {
        let mut complaint = Complaint::default();
        let told: Vec<Option<String>> = [5, 6, 14, 15, 16, 40, 50]
            .map(|now| complaint.tell(now, 10))
            .into();
        let more = |n| Some(format!(" (and {n} more since it was told last)"));
        let none = Some(String::new());
        assert_eq!(
            told,
            [none.clone(), None, None, more(2), None, more(1), none]
        );
    }
}
