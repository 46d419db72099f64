//! What an entry may carry beside its value and its deadline: nothing, for most keys.
//!
//! A **version** tells one state of a key from another: memcached's cas, HTTP's ETag, and what
//! decides among copies. A key has none until somebody asks for it, unless its store keeps versions
//! of all keys. **Marks** are the 32 bits that memcached's clients keep with a value. A **stamp**
//! is what the HTTP door shows of a key that was stored through it.

use crate::limits;

/// Milliseconds are shifted by so many bits in a version: so many changes are told apart in one.
const COUNTER_BITS: u32 = 20;

/// What is known of a key beside its value and its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extras {
    /// Which state of the key this is; each change gives a higher one.
    pub(super) version: Option<u64>,
    /// memcached's flags.
    pub(super) marks: u32,
    /// Whether memcached's clients are to store another value.
    pub(super) recache: Recache,
    /// When and how often it was stored.
    pub(super) stamp: Option<Stamp>,
}

impl Extras {
    /// Whether something is known that memcached's clients have said.
    #[inline]
    pub(super) fn is_marked(&self) -> bool {
        self.marks != 0 || self.recache != Recache::default()
    }

    /// Those of another value under the same key.
    pub(super) fn renewed(self) -> Extras {
        Extras {
            marks: 0,
            recache: Recache::default(),
            stamp: self.stamp.map(Stamp::renewed),
            ..self
        }
    }

    /// Notes a change of the value, at a time in milliseconds since 1970.
    pub(super) fn renew(&mut self, now: u64, version: impl FnOnce() -> u64) {
        if let Some(old) = &mut self.version {
            *old = version();
        }
        if let Some(stamp) = &mut self.stamp {
            stamp.raise(now);
        }
    }
}

/// What memcached's meta commands note of an item that is to be stored anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recache {
    /// Its value is stale.
    pub(super) stale: bool,
    /// A client has been told that it is the one to store another.
    pub(super) awaited: bool,
}

impl Recache {
    /// As a byte.
    pub(super) fn to_byte(self) -> u8 {
        u8::from(self.stale) | u8::from(self.awaited) << 1
    }

    /// From such a byte.
    pub(super) fn from_byte(byte: u8) -> Recache {
        Recache {
            stale: byte & 1 != 0,
            awaited: byte & 2 != 0,
        }
    }
}

/// When and how often a key was stored. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// 1 when it was created; one more for each change.
    pub index: u32,
    /// Whether the string is the text of a JSON value other than a string.
    pub is_json: bool,
    /// When it was created.
    pub created: u64,
    /// When it was last changed.
    pub updated: u64,
}

impl Stamp {
    /// Its length as bytes.
    pub(super) const BYTES: usize = 21;

    /// That of another value under the same key.
    pub(super) fn renewed(self) -> Stamp {
        Stamp {
            is_json: false,
            ..self
        }
    }

    /// Notes a change.
    pub(super) fn raise(&mut self, now: u64) {
        self.index = self.index.saturating_add(1);
        self.updated = now;
    }

    /// Reads what [`write`](Stamp::write) wrote.
    pub(super) fn read(bytes: &[u8]) -> Stamp {
        let number = |at: usize, len: usize| {
            let mut array = [0; 8];
            array[..len].copy_from_slice(&bytes[at..at + len]);
            u64::from_le_bytes(array)
        };
        Stamp {
            index: number(0, 4) as u32,
            created: number(4, 8),
            updated: number(12, 8),
            is_json: bytes[20] != 0,
        }
    }

    /// Writes it to the front of `bytes`.
    pub(super) fn write(self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&self.index.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.created.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.updated.to_le_bytes());
        bytes[20] = self.is_json.into();
    }
}

/// When a version was given, in milliseconds since 1970.
pub(super) fn time_of(version: u64) -> u64 {
    version >> COUNTER_BITS
}

/// Bits of a version that tell the stores of a ring apart, where there are several.
const SALT_BITS: u32 = 10;

/// A clock for versions: it follows the time, never goes back, and never gives one twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VersionClock {
    last: u64,
    salt: Option<u16>,
    /// The latest time that is believed.
    latest: Option<u64>,
}

impl VersionClock {
    /// A version above all that it has given or seen.
    pub(super) fn next(&mut self, now: u64) -> u64 {
        let latest = self.latest.unwrap_or(limits::LATEST_MS);
        let time = now.min(latest) << COUNTER_BITS;
        self.last = match self.salt {
            None => self.last.saturating_add(1).max(time),
            Some(salt) => {
                let step = (self.last >> SALT_BITS)
                    .saturating_add(1)
                    .max(time >> SALT_BITS);
                step << SALT_BITS | u64::from(salt)
            }
        };
        self.last
    }

    /// The highest version that it has given or seen.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// From now on times after this one are not believed: its versions go no further, but that each
    /// is above the last.
    pub(super) fn bound(&mut self, latest: Option<u64>) {
        self.latest = latest.map(|latest| latest.min(limits::LATEST_MS));
    }

    /// Has seen a version of another clock.
    pub(super) fn saw(&mut self, version: u64) {
        self.last = self.last.max(version);
    }

    /// Each has seen what the other has.
    pub(super) fn meet(one: &mut VersionClock, other: &mut VersionClock) {
        one.saw(other.last);
        other.saw(one.last);
    }

    /// From now on its versions are unlike those of clocks with another salt.
    pub(super) fn salt(&mut self, salt: u16) {
        self.salt = Some(salt & ((1 << SALT_BITS) - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_whatever_the_time_does() {
        let mut clock = VersionClock::default();
        let mut last = 0;
        for now in [5, 5, 5, 9, 3, 9, 10] {
            let version = clock.next(now);
            assert!(version > last && version >> COUNTER_BITS >= now);
            last = version;
        }
        clock.saw(last + 1000);
        assert_eq!(clock.next(10), last + 1001);
        clock.saw(3);
        assert_eq!(clock.next(10), last + 1002);
    }

    #[test]
    fn a_time_that_is_not_believed_moves_no_version() {
        let mut clock = VersionClock::default();
        clock.bound(Some(100));
        let first = clock.next(1_000_000);
        assert_eq!(time_of(first), 100);
        assert_eq!(clock.next(2_000_000), first + 1);
        assert_eq!(clock.next(50), first + 2, "nor does it go back");
        clock.bound(Some(200));
        assert_eq!(time_of(clock.next(150)), 150);
        // What others have given is above all: a key must never get a lower one.
        clock.saw(1 << 60);
        assert_eq!(clock.next(200), (1 << 60) + 1);
        let mut clock = VersionClock::default();
        assert_eq!(
            time_of(clock.next(u64::MAX)),
            limits::LATEST_MS,
            "room is left"
        );
    }

    #[test]
    fn clocks_with_different_salts_never_agree() {
        let (mut one, mut other) = (VersionClock::default(), VersionClock::default());
        one.salt(1);
        other.salt(1023);
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..1000 {
            let (a, b) = (one.next(5), other.next(5));
            assert!(seen.insert(a) && seen.insert(b));
            if i % 3 == 0 {
                one.saw(b);
                assert!(one.next(0) > b);
            }
        }
    }

    #[test]
    fn stamps_are_read_as_they_were_written() {
        let stamp = Stamp {
            index: u32::MAX,
            is_json: true,
            created: 1,
            updated: u64::MAX - 1,
        };
        let mut bytes = [7; Stamp::BYTES + 1];
        stamp.write(&mut bytes);
        assert_eq!(Stamp::read(&bytes), stamp);
        assert_eq!(bytes[Stamp::BYTES], 7);
    }
}
