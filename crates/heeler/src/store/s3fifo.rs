//! S3-FIFO for the keys of one shard (Yang et al., "FIFO queues are all you need for cache
//! eviction", SOSP 2023): a small queue of keys that are new, a main queue of those that were used
//! again, and the ghosts of those that were not.
//!
//! Queues hold no keys but [`Token`]s, four bytes of a key's hash, so that nothing needs to be kept
//! up when entries move. A token whose key has gone is passed over when its turn comes.

use std::collections::VecDeque;

use hashbrown::HashTable;

use super::allocation;
use super::index::Token;

/// The small queue gives way once it has one key of so many.
const SMALL_SHARE: usize = 10;
/// Keys of the main queue that get another round, in a row, before one goes whatever it is.
const ROUNDS: usize = 128;

/// The keys of a shard in the order in which they may go.
#[derive(Debug, Default)]
pub(super) struct Queues {
    small: VecDeque<Token>,
    main: VecDeque<Token>,
    ghosts: Ghosts,
}

/// A key as the queues see it, when its turn has come.
pub(super) trait Keys {
    /// How often a key was used since it came or was last asked for here: 3 for more. `None` if it
    /// has gone.
    fn uses(&self, token: Token) -> Option<u32>;
    /// Sets how often a key counts as used.
    fn set_uses(&mut self, token: Token, uses: u32);
}

impl Queues {
    /// A key has come.
    pub(super) fn came(&mut self, token: Token) {
        if self.ghosts.remove(token) {
            self.main.push_back(token);
        } else {
            self.small.push_back(token);
        }
    }

    /// A key that was there before there were queues.
    pub(super) fn was_there(&mut self, token: Token) {
        self.main.push_back(token);
    }

    /// Chooses the key that goes, and forgets it. `None` if there is none.
    pub(super) fn choose(&mut self, keys: &mut impl Keys) -> Option<Token> {
        let all = self.small.len() + self.main.len();
        if self.small.len() * SMALL_SHARE >= all
            && let Some(chosen) = self.choose_small(keys)
        {
            return Some(chosen);
        }
        self.choose_main(keys).or_else(|| self.choose_small(keys))
    }

    /// The first key of the small queue that was not used twice; those before it move to the main
    /// queue.
    fn choose_small(&mut self, keys: &mut impl Keys) -> Option<Token> {
        while let Some(token) = pop(&mut self.small) {
            match keys.uses(token) {
                None => {}
                Some(0 | 1) => {
                    self.ghosts.add(token, self.main.len());
                    return Some(token);
                }
                Some(_) => {
                    keys.set_uses(token, 0);
                    self.main.push_back(token);
                }
            }
        }
        None
    }

    /// The first key of the main queue that was not used since its last round.
    fn choose_main(&mut self, keys: &mut impl Keys) -> Option<Token> {
        let mut rounds = 0;
        while let Some(token) = pop(&mut self.main) {
            match keys.uses(token) {
                None => {}
                Some(uses) if uses > 0 && rounds < ROUNDS => {
                    rounds += 1;
                    keys.set_uses(token, uses - 1);
                    self.main.push_back(token);
                }
                Some(_) => return Some(token),
            }
        }
        None
    }

    /// Whether so many tokens are of keys that have gone that it pays to drop them, where there
    /// are so many keys.
    pub(super) fn is_stale(&self, keys: usize) -> bool {
        const SLACK: usize = 64;
        self.small.len() + self.main.len() > 2 * keys + SLACK
    }

    /// Drops the tokens of keys that have gone.
    pub(super) fn sweep(&mut self, is_there: impl Fn(Token) -> bool) {
        let mut seen = std::collections::HashSet::new();
        for queue in [&mut self.main, &mut self.small] {
            queue.retain(|token| is_there(*token) && seen.insert(*token));
            queue.shrink_to(queue.len() * 5 / 4);
        }
    }

    /// Bytes that are allocated.
    pub(super) fn bytes(&self) -> usize {
        let token = size_of::<Token>();
        allocation::size(self.small.capacity() * token)
            + allocation::size(self.main.capacity() * token)
            + self.ghosts.bytes()
    }
}

fn pop(queue: &mut VecDeque<Token>) -> Option<Token> {
    let popped = queue.pop_front();
    if queue.capacity() > 64 && queue.len() * 4 < queue.capacity() {
        queue.shrink_to(queue.len() * 2);
    }
    popped
}

/// Keys that went from the small queue, the first of them forgotten first.
#[derive(Debug, Default)]
struct Ghosts {
    order: VecDeque<Token>,
    set: HashTable<Token>,
}

impl Ghosts {
    /// Adds one, and forgets those that are more than `most`.
    fn add(&mut self, token: Token, most: usize) {
        self.order.push_back(token);
        let found = self.set.find(token.hash(), |other| *other == token);
        if found.is_none() {
            self.set
                .insert_unique(token.hash(), token, |token| token.hash());
        }
        while self.order.len() > most.max(1) {
            if let Some(first) = pop(&mut self.order) {
                self.forget(first);
            }
        }
    }

    /// Whether it was one; it is none any more.
    fn remove(&mut self, token: Token) -> bool {
        !self.set.is_empty() && self.forget(token)
    }

    fn forget(&mut self, token: Token) -> bool {
        let found = self.set.find_entry(token.hash(), |other| *other == token);
        found.map(|entry| entry.remove()).is_ok()
    }

    fn bytes(&self) -> usize {
        allocation::size(self.order.capacity() * size_of::<Token>())
            + allocation::size(self.set.allocation_size())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Keys for BTreeMap<u32, u32> {
        fn uses(&self, token: Token) -> Option<u32> {
            self.get(&token.0).copied()
        }

        fn set_uses(&mut self, token: Token, uses: u32) {
            self.insert(token.0, uses);
        }
    }

    fn evict(queues: &mut Queues, keys: &mut BTreeMap<u32, u32>) -> Option<u32> {
        let chosen = queues.choose(keys)?.0;
        keys.remove(&chosen);
        Some(chosen)
    }

    #[test]
    fn what_was_used_again_stays_and_what_was_not_goes_in_order() {
        let (mut queues, mut keys) = (Queues::default(), BTreeMap::new());
        for key in 1..=10 {
            queues.came(Token(key));
            keys.insert(key, if key <= 3 { 2 } else { 0 });
        }
        for goes in [4, 5, 6] {
            assert_eq!(evict(&mut queues, &mut keys), Some(goes));
        }
        assert_eq!(queues.main, [Token(1), Token(2), Token(3)]);
    }

    #[test]
    fn a_ghost_that_comes_again_is_not_small() {
        let (mut queues, mut keys) = (Queues::default(), BTreeMap::new());
        for key in 0..30 {
            queues.came(Token(key));
            keys.insert(key, if key < 20 { 3 } else { 0 });
        }
        assert_eq!(evict(&mut queues, &mut keys), Some(20));
        queues.came(Token(20));
        assert_eq!(queues.main.back(), Some(&Token(20)));
        queues.came(Token(20));
        assert_eq!(
            queues.small.back(),
            Some(&Token(20)),
            "it is no ghost any more"
        );
    }

    #[test]
    fn uses_are_spent_round_by_round_and_the_rounds_end() {
        let (mut queues, mut keys) = (Queues::default(), BTreeMap::new());
        for key in 0..1_000 {
            queues.was_there(Token(key));
            keys.insert(key, 3);
        }
        // The first has been asked for once, and goes though it was used.
        assert_eq!(evict(&mut queues, &mut keys), Some(ROUNDS as u32));
        (1..1_000).for_each(|_| assert!(evict(&mut queues, &mut keys).is_some()));
        assert_eq!(evict(&mut queues, &mut keys), None);
        assert!(queues.bytes() < 2_000, "{}", queues.bytes());
    }

    #[test]
    fn tokens_of_keys_that_have_gone_are_passed_over_and_swept() {
        let (mut queues, mut keys) = (Queues::default(), BTreeMap::new());
        for key in 0..500 {
            queues.came(Token(key));
            if key % 5 == 4 {
                keys.insert(key, 0);
            }
        }
        assert!(queues.is_stale(keys.len()));
        queues.sweep(|token| keys.contains_key(&token.0));
        assert!(!queues.is_stale(keys.len()));
        assert_eq!(queues.small.len(), 100);
        assert_eq!(evict(&mut queues, &mut keys), Some(4));
    }
}
