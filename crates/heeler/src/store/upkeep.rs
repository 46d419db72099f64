//! When shards have something to do that nobody asks for: keys expire, tables of places move.
//!
//! Each shard tells when that is, as it is unlocked, if it is another time than it told before. So
//! the background finds the shards where something is due without locking any, and a database in
//! which nothing is due by one look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Store;
use super::databases::spot;
use crate::limits;

/// What is due at once.
pub(super) const NOW: u64 = 0;
/// What is never due.
const NEVER: u64 = u64::MAX;

/// When the shards of one database have something to do, in milliseconds since 1970.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// No shard has anything to do before that, or it is being looked for.
    first: AtomicU64,
    shards: [AtomicU64; limits::SHARDS],
}

impl Default for Upkeep {
    fn default() -> Upkeep {
        Upkeep {
            first: AtomicU64::new(NEVER),
            shards: [const { AtomicU64::new(NEVER) }; limits::SHARDS],
        }
    }
}

fn is_due(time: u64, now: u64) -> bool {
    time == NOW || time < now
}

impl Upkeep {
    /// A shard has something to do once a time is past. The shard is locked.
    fn tell(&self, index: usize, time: u64) {
        self.shards[index].store(time, Ordering::Relaxed);
        // After that: who begins a round and does not see this sees the other.
        self.first.fetch_min(time, Ordering::AcqRel);
    }

    /// Whether anything is due. Then [`end`](Upkeep::end) is to be called, once what is due has
    /// been done.
    fn begin(&self, now: u64) -> bool {
        let is_due = is_due(self.first.load(Ordering::Relaxed), now);
        if is_due {
            self.first.swap(NEVER, Ordering::AcqRel);
        }
        is_due
    }

    /// The shards where something is due, from one of them on.
    fn due(&self, from: usize, now: u64) -> impl Iterator<Item = usize> {
        let all = (from..limits::SHARDS).chain(0..from);
        all.filter(move |index| is_due(self.shards[*index].load(Ordering::Relaxed), now))
    }

    /// Notes when something is due again.
    fn end(&self) {
        let times = self.shards.iter().map(|time| time.load(Ordering::Relaxed));
        let first = times.min().unwrap_or(NEVER);
        self.first.fetch_min(first, Ordering::AcqRel);
    }
}

/// Where a shard tells of what it has to do.
#[derive(Debug, Default)]
pub(super) struct Notice {
    upkeep: Arc<Upkeep>,
    index: usize,
    /// What it has told; `None` for never.
    told: Option<u64>,
}

impl Notice {
    /// Of the shard with this index.
    pub(super) fn new(upkeep: &Arc<Upkeep>, index: usize) -> Notice {
        Notice {
            upkeep: upkeep.clone(),
            index,
            told: None,
        }
    }

    /// The shard has something to do once a time is past; `None` for never.
    #[inline]
    pub(super) fn tell(&mut self, time: Option<u64>) {
        if time != self.told {
            self.told = time;
            self.upkeep.tell(self.index, time.unwrap_or(NEVER));
        }
    }
}

impl Store {
    /// Does what shards have to do: removes about `budget` keys at most, and tells how many. The
    /// next round goes on where one has to stop.
    pub(super) fn keep_up(&self, now: u64, budget: usize) -> usize {
        let made = self.databases.in_order();
        let from = self.expiring.load(Ordering::Relaxed);
        let (first, mut index) = (from / limits::SHARDS, from % limits::SHARDS);
        let mut done = 0;
        for place in (first..made).chain(0..first) {
            let Some((database, upkeep)) = self.databases.upkeep(place) else {
                continue;
            };
            if upkeep.begin(now) {
                for index in upkeep.due(index, now) {
                    if done >= budget {
                        let turn = place * limits::SHARDS + index;
                        self.expiring.store(turn, Ordering::Relaxed);
                        break;
                    }
                    if let Some(shard) = self.databases.made(spot(database, index)) {
                        done += self.expire_of(shard, now, budget - done);
                    }
                }
                upkeep.end();
            }
            if done >= budget {
                break;
            }
            index = 0;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{command, run};

    fn due(upkeep: &Upkeep, now: u64) -> Vec<usize> {
        match upkeep.begin(now) {
            true => {
                let due = upkeep.due(200, now).collect();
                upkeep.end();
                due
            }
            false => Vec::new(),
        }
    }

    #[test]
    fn what_is_due_is_found_from_a_shard_on_and_nothing_else() {
        let upkeep = Arc::new(Upkeep::default());
        let mut shards: Vec<_> = [3, 250].map(|i| Notice::new(&upkeep, i)).into();
        assert!(!upkeep.begin(u64::MAX - 1));
        shards[0].tell(Some(10));
        shards[1].tell(Some(20));
        assert!(due(&upkeep, 10).is_empty());
        assert_eq!(due(&upkeep, 11), [3]);
        assert_eq!(due(&upkeep, 21), [250, 3]);
        shards[0].tell(Some(30));
        assert_eq!(due(&upkeep, 21), [250]);
        shards[1].tell(None);
        assert!(due(&upkeep, 21).is_empty());
        assert_eq!(
            upkeep.first.load(Ordering::Relaxed),
            30,
            "it was looked for"
        );
        shards[1].tell(Some(NOW));
        assert_eq!(due(&upkeep, 0), [250]);
        // Told while a round goes on.
        assert!(upkeep.begin(0));
        shards[1].tell(None);
        shards[0].tell(Some(NOW));
        upkeep.end();
        assert_eq!(due(&upkeep, 0), [3]);
    }

    /// Shards that the background would look into.
    fn looked_into(store: &Store, now: u64) -> usize {
        let made = 0..store.databases.in_order();
        let due = made.map(|place| {
            let (_, upkeep) = store.databases.upkeep(place).expect("it is made");
            let first = upkeep.first.load(Ordering::Relaxed);
            let due = upkeep.due(0, now).count();
            assert!(due == 0 || is_due(first, now));
            due
        });
        due.sum()
    }

    #[test]
    fn where_nothing_expires_the_background_looks_into_nothing() {
        let store = Store::new(7);
        for database in 0..16 {
            for i in 0..300 {
                let key = i.to_string();
                let set = command(&[b"SET", key.as_bytes(), b"v"]);
                store.execute_in(database, 1000, &set.as_command());
            }
        }
        assert_eq!(looked_into(&store, u64::MAX - 1), 0);
        run(&store, 1000, "SET k v PX 10");
        run(&store, 1000, "SET l v PX 5000");
        assert_eq!(
            (looked_into(&store, 1010), looked_into(&store, 1011)),
            (0, 1)
        );
        assert_eq!(store.expire_due(1010, 100), 0);
        assert_eq!(store.expire_due(1011, 100), 1);
        assert_eq!(
            (looked_into(&store, 1011), looked_into(&store, 9000)),
            (0, 1)
        );
        run(&store, 1011, "SWAPDB 0 15");
        assert_eq!(
            (looked_into(&store, 6000), looked_into(&store, 6001)),
            (0, 1)
        );
        assert_eq!(store.expire_due(6001, 100), 1);
        assert_eq!(looked_into(&store, u64::MAX - 1), 0);
        run(&store, 7000, "SET k v PX 10");
        run(&store, 7000, "FLUSHALL");
        assert_eq!(looked_into(&store, u64::MAX - 1), 0);
        // A deadline that has moved is due as it was, once.
        run(&store, 7000, "SET k v PX 10");
        run(&store, 7000, "PERSIST k");
        assert_eq!(store.expire_due(8000, 100), 0);
        assert_eq!(looked_into(&store, u64::MAX - 1), 0);
    }

    #[test]
    fn a_round_that_has_to_stop_goes_on_where_it_was() {
        let store = Store::new(7);
        for i in 0..1000 {
            run(&store, 1000, &format!("SET {i} v PX 10"));
        }
        let mut rounds = 0;
        while store.expire_due(2000, 30) == 30 {
            rounds += 1;
        }
        assert_eq!((rounds, looked_into(&store, 3000)), (33, 0));
        assert_eq!(store.stats(2000).expired, 1000);
    }
}
