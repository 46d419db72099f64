//! How much memory keys may take, and which of them go when that is reached: the settings, by
//! Redis's names.

use super::aging::{Aging, Counting};
use crate::limits;

/// Which keys go when memory is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// None: commands that need memory are refused.
    #[default]
    NoEviction,
    /// The one that was used least lately, of some that are looked at.
    AllkeysLru,
    /// The same, of those that expire.
    VolatileLru,
    /// The one that was used least often, of some that are looked at.
    AllkeysLfu,
    /// The same, of those that expire.
    VolatileLfu,
    /// Any.
    AllkeysRandom,
    /// Any that expires.
    VolatileRandom,
    /// The one that expires first.
    VolatileTtl,
    /// What was used once goes first, in the order in which it came: S3-FIFO (Yang et al., "FIFO
    /// queues are all you need for cache eviction", SOSP 2023).
    AllkeysS3fifo,
}

impl Policy {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Policy); 9] = [
        ("noeviction", Policy::NoEviction),
        ("allkeys-lru", Policy::AllkeysLru),
        ("volatile-lru", Policy::VolatileLru),
        ("allkeys-lfu", Policy::AllkeysLfu),
        ("volatile-lfu", Policy::VolatileLfu),
        ("allkeys-random", Policy::AllkeysRandom),
        ("volatile-random", Policy::VolatileRandom),
        ("volatile-ttl", Policy::VolatileTtl),
        ("allkeys-s3fifo", Policy::AllkeysS3fifo),
    ];

    /// The policy with a name, in whatever case.
    pub fn named(name: &str) -> Option<Policy> {
        let mut all = Policy::ALL.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, policy)| *policy)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let mut all = Policy::ALL.iter();
        let found = all.find(|(_, policy)| *policy == self);
        found.map_or("noeviction", |(name, _)| *name)
    }

    /// Whether it has to be known of each key when or how often it was used.
    pub(super) fn ages(self) -> bool {
        !matches!(
            self,
            Policy::NoEviction
                | Policy::AllkeysRandom
                | Policy::VolatileRandom
                | Policy::VolatileTtl
        )
    }

    /// Whether only keys go that expire.
    pub(super) fn is_volatile(self) -> bool {
        self.name().starts_with("volatile-")
    }
}

/// How much memory keys may take, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes (Redis: `maxmemory`); 0 for no limit.
    pub most: u64,
    /// Which keys go (Redis: `maxmemory-policy`).
    pub policy: Policy,
    /// How many keys are looked at to find one (Redis: `maxmemory-samples`).
    pub samples: u32,
    /// How slowly the counters of LFU grow (Redis: `lfu-log-factor`).
    pub lfu_log_factor: u32,
    /// Minutes after which they lose one (Redis: `lfu-decay-time`); 0 for never.
    pub lfu_decay_minutes: u32,
    /// How much a command does to make room before it leaves the rest to the background, from 0 to
    /// 100, which leaves none (Redis: `maxmemory-eviction-tenacity`).
    pub tenacity: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            most: 0,
            policy: Policy::NoEviction,
            samples: 5,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            tenacity: 10,
        }
    }
}

impl Settings {
    /// Keys that a command evicts at most: in the steps in which Redis lengthens its time for that
    /// (`evictionTimeLimitUs`), of which it takes notice once in 16 keys.
    pub(super) fn evictions(&self) -> usize {
        const LEAST: usize = 16;
        match self.tenacity {
            few @ 0..=10 => (limits::EVICTIONS * few as usize / 10).max(LEAST),
            more @ 11..100 => (limits::EVICTIONS as f64 * 1.15f64.powi(more as i32 - 10)) as usize,
            _ => usize::MAX,
        }
    }

    /// How the use of keys is noted for the policy.
    pub(super) fn aging(&self) -> Aging {
        match self.policy {
            Policy::AllkeysLfu | Policy::VolatileLfu => Aging::Frequency(Counting {
                log_factor: self.lfu_log_factor,
                decay_minutes: self.lfu_decay_minutes,
            }),
            _ => Aging::Time,
        }
    }
}

/// Bytes as redis.conf has them: a number, with a unit or without: `1k` is 1000, `1kb` is 1024, and
/// so on for `m`, `mb`, `g`, `gb`; `b` changes nothing. `None` if it is nothing like that.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_in_redis_conf() {
        for (text, expected) in [
            ("0", Some(0)),
            ("100mb", Some(100 << 20)),
            ("2gb", Some(2 << 30)),
            ("1g", Some(1_000_000_000)),
            ("1G", Some(1_000_000_000)),
            ("5K", Some(5_000)),
            ("5kB", Some(5 << 10)),
            ("7b", Some(7)),
            ("1m", Some(1_000_000)),
            ("", None),
            ("mb", None),
            ("-1", None),
            ("1 mb", None),
            ("1.5gb", None),
            ("1tb", None),
            ("99999999999gb", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
        ] {
            assert_eq!(bytes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn policies_have_their_names() {
        for (name, policy) in Policy::ALL {
            assert_eq!(Policy::named(&name.to_uppercase()), Some(policy));
            assert_eq!(policy.name(), name);
            assert_eq!(policy.is_volatile(), name.starts_with("volatile"));
        }
        assert_eq!(Policy::named("lru"), None);
    }
}
