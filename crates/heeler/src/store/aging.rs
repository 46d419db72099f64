//! When or how often a key was used, in 32 bits: what OBJECT IDLETIME and OBJECT FREQ show, and
//! what most policies of eviction go by.
//!
//! By time, they are eighths of a second (29 bits) and how often the key was used since it was
//! made, at most three times (2 bits, which `allkeys-s3fifo` goes by). By frequency they are what
//! Redis keeps: the minute of the last decrement (16 bits) and a counter that grows with the
//! logarithm of the number of uses (8 bits). Where the way changes, old keys show nonsense for a
//! while, as in Redis. Either way the highest bit says whether the value was read since it was
//! stored, which memcached's clients are told.

/// What a new key's counter is, so that it is not evicted at once (Redis: `LFU_INIT_VAL`).
const NEW: u32 = 5;
/// What times are counted in, in milliseconds.
const TICK_MS: u64 = 125;
/// Uses that are counted by time.
const USES: u32 = 3;
/// 29 bits: the two years before any time can be told apart.
const TICKS: u32 = 0x1fff_ffff;
/// The value was read since it was stored.
const READ: u32 = 1 << 31;

/// What is done with a key that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A client is told what is there.
    Read,
    /// Another value is stored.
    Stored,
    /// The value that is there is changed, or looked at to do so.
    Changed,
}

/// How the use of keys is noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Aging {
    /// By the time of the last use.
    #[default]
    Time,
    /// By how often it was used.
    Frequency(Counting),
}

/// How a counter grows and shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counting {
    /// The larger, the more uses it takes to reach the greatest count (Redis: `lfu-log-factor`).
    pub(super) log_factor: u32,
    /// Minutes after which a counter loses one (Redis: `lfu-decay-time`); 0 for never.
    pub(super) decay_minutes: u32,
}

impl Aging {
    /// What a key that is stored now has.
    #[inline]
    pub(super) fn fresh(self, now: u64) -> u32 {
        match self {
            Aging::Time => ticks(now) << 2,
            Aging::Frequency(_) => minutes(now) << 8 | NEW,
        }
    }

    /// What a key has that is used now. `random` gives evenly distributed numbers.
    #[inline]
    pub(super) fn touched(
        self,
        access: u32,
        using: Use,
        now: u64,
        random: impl FnOnce() -> u64,
    ) -> u32 {
        let read = match using {
            Use::Read => READ,
            Use::Stored => 0,
            Use::Changed => access & READ,
        };
        read | match self {
            Aging::Time => ticks(now) << 2 | ((access & USES) + 1).min(USES),
            Aging::Frequency(counting) => {
                let count = counting.decayed(access, now);
                minutes(now) << 8 | counting.raised(count, random())
            }
        }
    }

    /// What a key has that was used so many seconds before now.
    pub(super) fn idle(self, now: u64, idle_seconds: u64) -> u32 {
        match self {
            Aging::Time => {
                let longest = u64::from(TICKS) * TICK_MS;
                let idle = idle_seconds.saturating_mul(1000).min(longest);
                self.fresh(now.saturating_sub(idle))
            }
            Aging::Frequency(_) => self.fresh(now),
        }
    }

    /// What a key has that has this counter now.
    pub(super) fn counted(self, now: u64, count: u8) -> u32 {
        match self {
            Aging::Time => self.fresh(now),
            Aging::Frequency(_) => minutes(now) << 8 | u32::from(count),
        }
    }

    /// How little a key has been used: the higher, the sooner it goes.
    #[inline]
    pub(super) fn uselessness(self, access: u32, now: u64) -> u32 {
        match self {
            Aging::Time => idle_ticks(access, now),
            Aging::Frequency(counting) => 255 - counting.decayed(access, now),
        }
    }
}

impl Counting {
    /// The counter as it is now.
    pub(super) fn decayed(self, access: u32, now: u64) -> u32 {
        let (since, count) = (access >> 8 & 0xffff, access & 0xff);
        let elapsed = minutes(now).wrapping_sub(since) & 0xffff;
        let periods = elapsed.checked_div(self.decay_minutes).unwrap_or(0);
        count.saturating_sub(periods)
    }

    /// The counter after one more use: the higher it is, the more seldom it is raised.
    fn raised(self, count: u32, random: u64) -> u32 {
        if count >= 255 {
            return 255;
        }
        let above = f64::from(count.saturating_sub(NEW));
        let chance = 1.0 / (above * f64::from(self.log_factor) + 1.0);
        let drawn = (random >> 11) as f64 / (1u64 << 53) as f64;
        count + u32::from(drawn < chance)
    }
}

/// Whether a value was read since it was stored.
pub(super) fn was_read(access: u32) -> bool {
    access & READ != 0
}

/// Seconds since a key was used, two years at most, if that is noted by time.
#[inline]
pub(super) fn idle_seconds(access: u32, now: u64) -> u32 {
    idle_ticks(access, now) / (1000 / TICK_MS) as u32
}

fn idle_ticks(access: u32, now: u64) -> u32 {
    ticks(now).wrapping_sub(access >> 2) & TICKS
}

/// How often a key was used since it was made, if that is noted by time: 3 for more.
#[inline]
pub(super) fn uses(access: u32) -> u32 {
    access & USES
}

/// The same key used less.
pub(super) fn with_uses(access: u32, uses: u32) -> u32 {
    access & !USES | uses.min(USES)
}

fn ticks(now: u64) -> u32 {
    (now / TICK_MS) as u32 & TICKS
}

fn minutes(now: u64) -> u32 {
    (now / 60_000) as u32 & 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTING: Counting = Counting {
        log_factor: 10,
        decay_minutes: 1,
    };

    #[test]
    fn idle_time_is_told_for_any_time() {
        for start in [0, 1_700_000_000_000, (1u64 << 29) * TICK_MS - 5_000] {
            let mut access = Aging::Time.fresh(start);
            assert_eq!(idle_seconds(access, start + 9_999), 9);
            for uses_so_far in [1, 2, 3, 3] {
                access = Aging::Time.touched(access, Use::Read, start + 7_000, || 0);
                assert_eq!(uses(access), uses_so_far);
                assert_eq!(idle_seconds(access, start + 7_000), 0);
            }
            assert_eq!(idle_seconds(with_uses(access, 1), start + 7_000), 0);
            assert_eq!(uses(with_uses(access, 1)), 1);
            let idle = Aging::Time.idle(start + 50_000, 30);
            assert_eq!(idle_seconds(idle, start + 50_000), 30);
        }
    }

    #[test]
    fn what_was_read_is_told_until_something_else_is_stored() {
        for aging in [Aging::Time, Aging::Frequency(COUNTING)] {
            for now in [0, 1_700_000_000_000, u64::MAX / 2] {
                let mut access = aging.fresh(now);
                for (using, told) in [
                    (Use::Changed, false),
                    (Use::Stored, false),
                    (Use::Read, true),
                    (Use::Changed, true),
                    (Use::Stored, false),
                    (Use::Changed, false),
                ] {
                    access = aging.touched(access, using, now, || 0);
                    assert_eq!(was_read(access), told, "{aging:?} {using:?}");
                    assert_eq!(was_read(with_uses(access, 0)), told);
                }
                if aging == Aging::Time {
                    assert_eq!(idle_seconds(access, now), 0);
                }
                let next = |using| aging.touched(access, using, now, || 0);
                assert_eq!(
                    aging.uselessness(next(Use::Read), now + 60_000),
                    aging.uselessness(next(Use::Stored), now + 60_000)
                );
            }
        }
    }

    /// The table in redis.conf: with a factor of 10, the counter is 10 after 100 hits, and 18 after
    /// 1,000.
    #[test]
    fn counters_grow_with_the_logarithm_of_the_uses() {
        let aging = Aging::Frequency(COUNTING);
        for (hits, about) in [(100, 10), (1_000, 18), (100_000, 142), (1_000_000, 255)] {
            let (mut access, mut state) = (aging.fresh(0), 1u64);
            for _ in 0..hits {
                access = aging.touched(access, Use::Read, 0, || {
                    state = state.wrapping_add(super::super::random::STEP);
                    super::super::random::mix(state)
                });
            }
            let count = COUNTING.decayed(access, 0) as i32;
            assert!((count - about).abs() <= 3 + about / 10, "{hits}: {count}");
        }
    }

    #[test]
    fn counters_shrink_with_time() {
        let aging = Aging::Frequency(COUNTING);
        let access = aging.counted(60_000 * 70_000, 100);
        assert_eq!(COUNTING.decayed(access, 60_000 * 70_000), 100);
        assert_eq!(COUNTING.decayed(access, 60_000 * 70_030), 70);
        assert_eq!(COUNTING.decayed(access, 60_000 * 70_300), 0);
        let never = Counting {
            decay_minutes: 0,
            ..COUNTING
        };
        assert_eq!(never.decayed(access, 60_000 * 70_300), 100);
        assert_eq!(aging.uselessness(access, 60_000 * 70_030), 185);
    }
}
