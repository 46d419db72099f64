//! Transactions that depend on the states of keys: for clients of other nodes, whose WATCH could
//! not be noted here.

use super::slot::Slot;
use super::view::View;
use super::{Reader, Store, Watched};
use crate::command::{Command, OwnedCommand, Reply};

/// A key, and the state that it had: `None` where it was absent.
pub type Guarded = (Box<[u8]>, Option<u64>);

impl Store {
    /// Which state a key is in: each change of its value or its deadline gives another number, of
    /// 63 bits. `None` if it is absent.
    pub fn state_of(&self, now: u64, key: &[u8]) -> Option<u64> {
        state(&mut View::of_key(self, 0, now, key).slot(key))
    }

    /// [`transaction_for`](Store::transaction_for), where nothing is done either if a guarded key
    /// is in another state than it was.
    pub fn transaction_if(
        &self,
        now: u64,
        (watched, guarded): (&[Watched], &[Guarded]),
        commands: &[OwnedCommand],
        reader: Option<Reader<'_>>,
        mut done: impl FnMut(&Command<'_>, &Reply),
    ) -> Option<Vec<Reply>> {
        let commands = commands.iter().map(|command| (0, command.as_command()));
        let hashes = guarded.iter().map(|(key, _)| self.hashing.hash(key));
        let mut view = self.transaction_view(now, watched, hashes, commands.clone());
        let is_unchanged = |(key, was): &Guarded| state(&mut view.slot(key)) == *was;
        if !guarded.iter().all(is_unchanged) {
            return None;
        }
        self.transaction_in(view, watched, commands, reader, |_, command, reply| {
            done(command, reply);
        })
    }
}

fn state(slot: &mut Slot<'_, '_>) -> Option<u64> {
    let version = slot.ensure_version()?;
    // The multiplier is odd, so that no two versions meet, and a deadline changes few bits of many.
    let spread = version.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Some((spread ^ slot.deadline().unwrap_or(0)) & i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Id;

    fn run(store: &Store, words: &[&str]) -> Reply {
        store.execute(1, &command(words).as_command())
    }

    fn command(words: &[&str]) -> OwnedCommand {
        OwnedCommand::resolve(words).expect("a command")
    }

    #[test]
    fn a_transaction_runs_if_no_guarded_key_has_changed() {
        let store = Store::new(7);
        let guarded = |store: &Store| -> Vec<Guarded> {
            let version = |key: &str| (key.as_bytes().into(), store.state_of(1, key.as_bytes()));
            ["k", "absent"].map(version).to_vec()
        };
        let commands = [command(&["INCR", "n"])];
        let attempt = |store: &Store, guarded: &[Guarded]| {
            store.transaction_if(1, (&[], guarded), &commands, None, |command, _| {
                assert_eq!(command.spec.id, Id::Incr);
            })
        };
        run(&store, &["SET", "k", "1"]);
        let before = guarded(&store);
        assert_eq!(attempt(&store, &before), Some(vec![Reply::Int(1)]));
        run(&store, &["SET", "k", "1"]);
        assert_eq!(attempt(&store, &before), None, "changed");
        let before = guarded(&store);
        run(&store, &["SET", "absent", "1"]);
        assert_eq!(attempt(&store, &before), None, "created");
        let before = guarded(&store);
        run(&store, &["PEXPIREAT", "k", "100000"]);
        assert_eq!(attempt(&store, &before), None, "a deadline");
        let before = guarded(&store);
        run(&store, &["DEL", "k"]);
        assert_eq!(attempt(&store, &before), None, "deleted");
        assert_eq!(attempt(&store, &guarded(&store)), Some(vec![Reply::Int(2)]));
    }
}
