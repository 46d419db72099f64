//! Room for new keys where memory is full: who goes, and who makes them go.
//!
//! Each command that needs memory makes room first: it evicts keys, one shard after the other,
//! until what is used is below the limit, but no more than so many, so that nobody waits long; the
//! background does the rest. There is no common list and no common lock: a shard chooses among its
//! own keys, which are as good a sample of all as any.

use std::sync::atomic::Ordering::Relaxed;

use super::Store;
use super::aging;
use super::allocation;
use super::deadlines::Deadlines;
use super::entries::Entries;
use super::freeing::Removing;
use super::index::Token;
use super::packed;
use super::policy::{Policy, Settings};
use super::random;
use super::s3fifo::{Keys, Queues};
use super::shard::Hashing;
use super::slabs::Place;
use crate::command::{Command, Flags, Reply};

/// Candidates that a shard remembers from one eviction to the next (Redis: `EVPOOL_SIZE`).
const POOL: usize = 16;
/// Bits behind the point of the mean number of keys of a shard.
const MEAN_BITS: u32 = 8;
/// Looks at keys that turn out not to be what they seemed, for one eviction.
const TRIES: usize = 32;

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

impl Store {
    /// How much memory keys may take, and what happens then, from now on.
    pub fn limit_memory(&self, settings: Settings) {
        *self.settings.lock() = settings;
        self.set_all(|_, shard| shard.set_policy(&self.hashing, &settings));
        self.most.store(settings.most, Relaxed);
        self.evictions.store(settings.evictions(), Relaxed);
    }

    /// How much memory keys may take, and what happens then.
    pub fn memory_limit(&self) -> Settings {
        *self.settings.lock()
    }

    /// The error for a command that may need memory where there is none left, and cannot be made.
    /// Keys are evicted as the policy says.
    #[inline]
    pub fn refuses(&self, now: u64, command: &Command<'_>) -> Option<Reply> {
        match command.spec.flags.has(Flags::DENYOOM) && self.is_full() {
            true => self.make_room(now),
            false => None,
        }
    }

    /// The error for a command that is to be queued in a transaction where there is no memory left:
    /// a queue takes some, too.
    pub fn refuses_to_queue(&self, now: u64) -> Option<Reply> {
        match self.is_full() {
            true => self.make_room(now),
            false => None,
        }
    }

    /// Whether keys take more memory than they may.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        let most = self.most.load(Relaxed);
        most != 0 && self.memory() as u64 > most
    }

    #[cold]
    fn make_room(&self, now: u64) -> Option<Reply> {
        for _ in 0..self.evictions.load(Relaxed) {
            if !self.evict(now) {
                return Some(Reply::error(OOM));
            }
            if !self.is_full() {
                break;
            }
        }
        None
    }

    /// Evicts keys while there are too many, `budget` at most; returns how many it were.
    pub fn evict_some(&self, now: u64, budget: usize) -> usize {
        (0..budget)
            .take_while(|_| self.is_full() && self.evict(now))
            .count()
    }

    /// Evicts a key of the next shard that has one to spare; whether there is any. Shards are
    /// passed over at random, so that their chances are as the numbers of their keys: otherwise
    /// those with few would lose keys that are worth more.
    fn evict(&self, now: u64) -> bool {
        let turns = self.databases.turns();
        for visited in 0..2 * turns {
            let turn = self.evicting.fetch_add(1, Relaxed);
            let Some(shard) = self.databases.of_turn(turn) else {
                continue;
            };
            let mut shard = shard.lock();
            let keys = (shard.len() << MEAN_BITS) as u64;
            let mean = self.mean_keys.load(Relaxed);
            self.mean_keys.store(mean - mean / 16 + keys / 16, Relaxed);
            let passed_over = visited < turns && self.random() % (2 * mean + 1) > keys;
            if passed_over || !shard.evict(&self.hashing, now) {
                continue;
            }
            let log = shard.take_log().collect();
            let garbage = self.settle(&mut shard);
            self.tell(log, None);
            drop(shard);
            self.free(garbage, Removing::default());
            return true;
        }
        false
    }
}

/// What a shard chooses from.
pub(super) struct Choice<'a> {
    pub(super) entries: &'a mut Entries,
    pub(super) deadlines: &'a mut Deadlines,
    pub(super) hashing: &'a Hashing,
    pub(super) now: u64,
    /// The state of the shard's random numbers.
    pub(super) random: &'a mut u64,
}

/// A key that may go, and how little it has been used.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    uselessness: u32,
    token: Token,
}

/// How a shard chooses the keys that go.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    settings: Settings,
    /// The best candidates of those that were looked at, the best one last.
    pool: Vec<Candidate>,
    queues: Option<Box<Queues>>,
}

impl Chooser {
    /// Chooses by other rules from now on.
    pub(super) fn set(&mut self, settings: &Settings, entries: &Entries, hashing: &Hashing) {
        self.settings = *settings;
        self.pool = Vec::new();
        if settings.policy != Policy::AllkeysS3fifo {
            self.queues = None;
        } else if self.queues.is_none() {
            let mut queues = Queues::default();
            for entry in entries.iter() {
                queues.was_there(Token::of(hashing.hash(entry.key())));
            }
            self.queues = Some(Box::new(queues));
        }
    }

    /// A key has come.
    #[inline]
    pub(super) fn came(&mut self, hash: u64) {
        if let Some(queues) = &mut self.queues {
            queues.came(Token::of(hash));
        }
    }

    /// All keys have gone.
    pub(super) fn cleared(&mut self) {
        self.pool = Vec::new();
        if let Some(queues) = &mut self.queues {
            **queues = Queues::default();
        }
    }

    /// Keys have gone.
    pub(super) fn went(&mut self, entries: &Entries, hashing: &Hashing) {
        if let Some(queues) = self.queues.as_mut().filter(|q| q.is_stale(entries.len())) {
            queues.sweep(|token| place_of(entries, hashing, token).is_some());
        }
    }

    /// By which rules it chooses.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Bytes that it has allocated.
    pub(super) fn bytes(&self) -> usize {
        let pool = allocation::size(self.pool.capacity() * size_of::<Candidate>());
        pool + self.queues.as_ref().map_or(0, |queues| queues.bytes())
    }

    /// The key that goes.
    pub(super) fn choose(&mut self, from: &mut Choice<'_>) -> Option<Place> {
        let policy = self.settings.policy;
        if from.entries.len() == 0 || policy.is_volatile() && from.deadlines.live() == 0 {
            return None;
        }
        match policy {
            Policy::NoEviction => None,
            Policy::AllkeysRandom | Policy::VolatileRandom => self.random(from),
            Policy::VolatileTtl => from.first_to_expire(),
            Policy::AllkeysS3fifo => {
                let queues = self.queues.as_mut()?;
                let token = queues.choose(from)?;
                place_of(from.entries, from.hashing, token)
            }
            _ => self.least_used(from),
        }
    }

    /// Any key that may go.
    fn random(&self, from: &mut Choice<'_>) -> Option<Place> {
        if !self.settings.policy.is_volatile() {
            return from.random_key();
        }
        (0..TRIES).find_map(|_| from.random_expiring())
    }

    /// The key that was used least of those that are looked at now and the best that were looked at
    /// before.
    fn least_used(&mut self, from: &mut Choice<'_>) -> Option<Place> {
        let aging = self.settings.aging();
        for _ in 0..TRIES {
            for _ in 0..self.settings.samples {
                let place = match self.settings.policy.is_volatile() {
                    true => from.random_expiring(),
                    false => from.random_key(),
                };
                if let Some(place) = place {
                    let slot = from.entries.slot(place);
                    let uselessness = aging.uselessness(packed::access(slot), from.now);
                    self.offer(uselessness, || {
                        Token::of(from.hashing.hash(packed::key(slot)))
                    });
                }
            }
            while let Some(candidate) = self.pool.pop() {
                if let Some(place) = place_of(from.entries, from.hashing, candidate.token) {
                    let slot = from.entries.slot(place);
                    let is_it =
                        aging.uselessness(packed::access(slot), from.now) >= candidate.uselessness;
                    let may_go =
                        !self.settings.policy.is_volatile() || packed::deadline(slot).is_some();
                    if is_it && may_go {
                        return Some(place);
                    }
                }
            }
        }
        None
    }

    /// Keeps a key as a candidate if it is better than the worst.
    fn offer(&mut self, uselessness: u32, token: impl FnOnce() -> Token) {
        let at = self.pool.partition_point(|c| c.uselessness < uselessness);
        if self.pool.len() == POOL && at == 0 {
            return;
        }
        let token = token();
        if self.pool.iter().any(|candidate| candidate.token == token) {
            return;
        }
        let candidate = Candidate { uselessness, token };
        self.pool.insert(at, candidate);
        if self.pool.len() > POOL {
            self.pool.remove(0);
        }
    }
}

/// The place of the key that has a token.
fn place_of(entries: &Entries, hashing: &Hashing, token: Token) -> Option<Place> {
    entries.find_if(token.hash(), |entry| {
        Token::of(hashing.hash(entry.key())) == token
    })
}

impl Choice<'_> {
    fn random_key(&mut self) -> Option<Place> {
        loop {
            let bucket = random::below(self.random, self.entries.buckets());
            if let Some(place) = self.entries.bucket(bucket) {
                return Some(place);
            }
        }
    }

    /// A random key that expires; `None` also if what was looked at is not up to date.
    fn random_expiring(&mut self) -> Option<Place> {
        let noted = self.deadlines.noted();
        let hash = self.deadlines.hash_at(random::below(self.random, noted))?;
        self.expiring(hash)
    }

    fn expiring(&self, hash: u64) -> Option<Place> {
        self.entries.find_if(hash, |entry| {
            entry.deadline().is_some() && self.hashing.hash(entry.key()) == hash
        })
    }

    fn first_to_expire(&mut self) -> Option<Place> {
        for _ in 0..TRIES {
            let (noted, hash) = self.deadlines.first()?;
            let place = self.expiring(hash);
            let deadline = place.and_then(|place| packed::deadline(self.entries.slot(place)));
            if deadline == Some(noted) {
                return place;
            }
            // What was noted is no longer so.
            self.deadlines.pop_due(u64::MAX);
            if let Some(deadline) = deadline {
                self.deadlines.put_back(deadline, hash);
            }
        }
        None
    }
}

impl Keys for Choice<'_> {
    fn uses(&self, token: Token) -> Option<u32> {
        let place = place_of(self.entries, self.hashing, token)?;
        Some(aging::uses(packed::access(self.entries.slot(place))))
    }

    fn set_uses(&mut self, token: Token, uses: u32) {
        if let Some(place) = place_of(self.entries, self.hashing, token) {
            let slot = self.entries.slot_mut(place);
            packed::set_access(slot, aging::with_uses(packed::access(slot), uses));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::aging::Use;
    use super::super::entry::{New, Text};
    use super::super::extras::Extras;
    use super::super::shard::Shard;
    use super::*;

    /// The share of requests to a shard with room for so many keys that find their key. Every other
    /// request is for a key that is asked for once; of the others, a few keys are asked for often.
    fn hits(policy: Policy, room: usize) -> f64 {
        const KEYS: f64 = 10_000.0;
        const REQUESTS: u64 = 100_000;
        let hashing = Hashing::new(7);
        let mut shard = Shard::default();
        let settings = Settings {
            policy,
            ..Settings::default()
        };
        shard.set_policy(&hashing, &settings);
        let (mut random, mut hits) = (1, 0);
        for now in 0..REQUESTS {
            let share = random::draw(&mut random) as f64 / u64::MAX as f64;
            let key = match now % 2 {
                0 => format!("often:{}", KEYS.powf(share) as u64),
                _ => format!("once:{now}"),
            };
            let (key, time) = (key.as_bytes(), now * 20);
            let hash = hashing.hash(key);
            match shard.find(&hashing, hash, key, time) {
                Some(place) => {
                    shard.touch(place, Use::Read);
                    hits += u64::from(now > REQUESTS / 2);
                }
                None => {
                    let header = shard.fresh(None, Extras::default());
                    shard.insert(&hashing, hash, key, header, New::Text(Text::Int(1)));
                }
            }
            while shard.len() > room {
                assert!(shard.evict(&hashing, time));
            }
        }
        hits as f64 / (REQUESTS / 4) as f64
    }

    #[test]
    fn a_scan_pushes_less_out_of_s3_fifo_than_out_of_lru() {
        for room in [300, 1_000] {
            let lru = hits(Policy::AllkeysLru, room);
            let s3fifo = hits(Policy::AllkeysS3fifo, room);
            let random = hits(Policy::AllkeysRandom, room);
            assert!(s3fifo > lru + 0.05, "{room}: {s3fifo} {lru}");
            assert!(lru > random + 0.01, "{room}: {lru} {random}");
        }
    }
}
