//! What memcached calls an item: how a store tells of one in a reply, and memcached's times.
//!
//! ```text
//! brief     flags 4 │ value                            get, gat
//! with cas  flags 4 │ cas 8 │ value                    gets, gats
//! whole     flags 4 │ cas 8 │ Facts │ value            meta commands
//! ```
//!
//! Numbers are little-endian. A short value so takes no allocation in a [`Reply`](super::Reply).

use super::Blob;

/// Seconds up to which an expiry counts from now; larger ones are seconds since 1970.
const RELATIVE_SECONDS: i64 = 60 * 60 * 24 * 30;

/// The error for a value that is no string. `kind` is the name of its type.
pub fn not_a_string(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("SERVER_ERROR the value is {article} {kind}; this protocol shows strings only")
}

/// An item's flags and value.
pub fn brief(flags: u32, value: &[u8]) -> Blob {
    let mut blob = Blob::with_capacity(4 + value.len());
    blob.extend_from_slice(&flags.to_le_bytes());
    blob.extend_from_slice(value);
    blob
}

/// Reads what [`brief`] wrote.
pub fn read_brief(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (flags, value) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*flags), value))
}

/// An item's flags, cas and value.
pub fn with_cas(flags: u32, cas: u64, value: &[u8]) -> Blob {
    let mut blob = Blob::with_capacity(12 + value.len());
    blob.extend_from_slice(&flags.to_le_bytes());
    blob.extend_from_slice(&cas.to_le_bytes());
    blob.extend_from_slice(value);
    blob
}

/// Reads what [`with_cas`] wrote.
pub fn read_with_cas(bytes: &[u8]) -> Option<(u32, u64, &[u8])> {
    let (flags, rest) = read_brief(bytes)?;
    let (cas, value) = rest.split_first_chunk()?;
    Some((flags, u64::from_le_bytes(*cas), value))
}

/// What the meta commands tell of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The client's flags.
    pub flags: u32,
    /// Which state of the item this is.
    pub cas: u64,
    /// Seconds until it expires, if it does.
    pub ttl: Option<u32>,
    /// Bytes of its value.
    pub size: u32,
    /// Bytes that it takes in all.
    pub footprint: u32,
    /// Seconds since it was last used.
    pub idle: u32,
    /// It had been read before.
    pub was_read: bool,
    /// The client has won: it is the one that shall store it anew.
    pub won: bool,
    /// It is stale: another one is to be stored.
    pub stale: bool,
    /// Another client has won before.
    pub is_awaited: bool,
    /// This command has made it.
    pub created: bool,
}

const NO_TTL: u32 = u32::MAX;
const FACTS: usize = 29;

impl Facts {
    /// The facts and the value, or as much of it as shall be told.
    pub fn pack(&self, value: &[u8]) -> Blob {
        let mut blob = Blob::with_capacity(FACTS + value.len());
        blob.extend_from_slice(&self.flags.to_le_bytes());
        blob.extend_from_slice(&self.cas.to_le_bytes());
        for number in [
            self.ttl.map_or(NO_TTL, |ttl| ttl.min(NO_TTL - 1)),
            self.size,
            self.footprint,
            self.idle,
        ] {
            blob.extend_from_slice(&number.to_le_bytes());
        }
        let bits = [
            self.was_read,
            self.won,
            self.stale,
            self.is_awaited,
            self.created,
        ];
        let bits = (0..).zip(bits).map(|(place, bit)| u8::from(bit) << place);
        blob.push(bits.sum());
        blob.extend_from_slice(value);
        blob
    }

    /// Reads what [`pack`](Facts::pack) wrote.
    pub fn unpack(bytes: &[u8]) -> Option<(Facts, &[u8])> {
        let (flags, cas, rest) = read_with_cas(bytes)?;
        let (numbers, rest) = rest.split_first_chunk::<16>()?;
        let number = |at: usize| {
            let mut four = [0; 4];
            four.copy_from_slice(&numbers[at..at + 4]);
            u32::from_le_bytes(four)
        };
        let (&bits, value) = rest.split_first()?;
        let bit = |place: u8| bits & 1 << place != 0;
        let facts = Facts {
            flags,
            cas,
            ttl: Some(number(0)).filter(|&ttl| ttl != NO_TTL),
            size: number(4),
            footprint: number(8),
            idle: number(12),
            was_read: bit(0),
            won: bit(1),
            stale: bit(2),
            is_awaited: bit(3),
            created: bit(4),
        };
        Some((facts, value))
    }
}

/// How long an item is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Until it is deleted.
    Endless,
    /// Until a time in milliseconds since 1970.
    Until(u64),
    /// It is over already.
    Over,
}

impl Life {
    /// What an expiry stands for: 0 for an endless life, seconds from now up to thirty days, then
    /// seconds since 1970. What is negative is over.
    pub fn of(expiry: i64, now: u64) -> Life {
        let millis = |seconds: i64| (seconds as u64).saturating_mul(1000);
        match expiry {
            0 => Life::Endless,
            ..0 => Life::Over,
            1..=RELATIVE_SECONDS => Life::Until(now.saturating_add(millis(expiry))),
            _ if millis(expiry) <= now => Life::Over,
            _ => Life::Until(millis(expiry)),
        }
    }

    /// [`Life::of`] the number in a text; a sign may stand before it.
    pub fn parse(text: &[u8], now: u64) -> Option<Life> {
        let text = text.strip_prefix(b"+").unwrap_or(text);
        let expiry: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (text.first() != Some(&b'+')).then(|| Life::of(expiry, now))
    }
}

/// A number of 64 bits, as memcached reads the values of `incr`: blanks and a sign may stand before
/// it, and anything after a blank. A minus sign stands for the rest to 2^64, if that is less than
/// half of it (C's `strtoull`, and what memcached asks of its result).
pub fn unsigned(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let (is_negative, text) = match text {
        [b'-', text @ ..] => (true, text),
        [b'+', text @ ..] | text => (false, text),
    };
    let end = text.iter().position(|b| !b.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    if digits.is_empty() || !ends {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    match is_negative {
        false => Some(number),
        true => Some(number.wrapping_neg()).filter(|rest| i64::try_from(*rest).is_ok()),
    }
}

/// An item's flags: the lowest 32 bits of a number, as memcached reads them.
pub fn flags(text: &[u8]) -> Option<u32> {
    unsigned(text).map(|flags| flags as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_read_again() {
        for value in [&b""[..], b"v", &[7; 100]] {
            assert_eq!(read_brief(&brief(7, value)), Some((7, value)));
            let (flags, cas) = (u32::MAX, u64::MAX);
            assert_eq!(
                read_with_cas(&with_cas(flags, cas, value)),
                Some((flags, cas, value))
            );
            for (place, ttl) in [None, Some(0), Some(5)].into_iter().enumerate() {
                let facts = Facts {
                    flags,
                    cas,
                    ttl,
                    size: 1,
                    footprint: 2,
                    idle: 3,
                    was_read: place == 0,
                    won: place == 1,
                    stale: place == 2,
                    is_awaited: place == 0,
                    created: place == 1,
                };
                assert_eq!(Facts::unpack(&facts.pack(value)), Some((facts, value)));
            }
        }
        assert_eq!(Facts::unpack(&[0; 28]), None);
        assert!(!brief(1, &[b'x'; 36]).spilled());
    }

    #[test]
    fn expiries_are_lives() {
        let now = 1_700_000_000_000;
        for (text, life) in [
            ("0", Some(Life::Endless)),
            ("-1", Some(Life::Over)),
            ("1", Some(Life::Until(now + 1000))),
            ("+1", Some(Life::Until(now + 1000))),
            ("2592000", Some(Life::Until(now + 2_592_000_000))),
            ("2592001", Some(Life::Over)),
            ("1700000000", Some(Life::Over)),
            ("1700000001", Some(Life::Until(1_700_000_001_000))),
            ("9223372036854775807", Some(Life::Until(u64::MAX))),
            ("9223372036854775808", None),
            ("", None),
            ("+", None),
            ("++1", None),
            ("1x", None),
        ] {
            assert_eq!(Life::parse(text.as_bytes(), now), life, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_as_memcached_reads_them() {
        for (text, number) in [
            ("7", Some(7)),
            ("07", Some(7)),
            (" 7", Some(7)),
            ("+7", Some(7)),
            ("7 ", Some(7)),
            ("7 x", Some(7)),
            ("000000000000000000007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("7x", None),
            ("-7", None),
            ("-0", Some(0)),
            ("-9223372036854775808", None),
            ("-9223372036854775809", Some(i64::MAX as u64)),
            ("-18446744073709551615", Some(1)),
            ("-18446744073709551616", None),
            ("", None),
            (" ", None),
            ("+", None),
            ("-", None),
            ("+-1", None),
        ] {
            assert_eq!(unsigned(text.as_bytes()), number, "{text:?}");
        }
    }
}
