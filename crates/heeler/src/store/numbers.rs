//! Numbers as Redis reads them.

use std::ops::Range;

use super::errors::{Error, NOT_AN_INTEGER};
pub(super) use crate::command::number::integer;

/// An argument that must be an integer.
pub(super) fn integer_argument(bytes: &[u8]) -> Result<i64, Error> {
    integer(bytes).ok_or_else(|| NOT_AN_INTEGER.into())
}

/// The part of a string's `len` bytes or bits from `first` to `last`, which is included, as
/// BITPOS takes it: negative numbers count from the end, and what lies before the string's start
/// means its first byte, `last` too.
pub(super) fn clamped_range(first: i64, last: i64, len: usize) -> Range<usize> {
    let from_start = |i: i64| match usize::try_from(i) {
        Ok(i) => i,
        Err(_) => len.saturating_sub(usize::try_from(i.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let start = from_start(first);
    let end = from_start(last).saturating_add(1).min(len);
    if start < end { start..end } else { 0..0 }
}

/// The same as GETRANGE and BITCOUNT take it: two negative numbers from back to front are nothing.
pub(super) fn text_range(first: i64, last: i64, len: usize) -> Range<usize> {
    if first < 0 && last < 0 && first > last {
        return 0..0;
    }
    clamped_range(first, last, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ranges_count_from_both_ends() {
        for (first, last, range) in [
            (0, -1, 0..5),
            (1, 3, 1..4),
            (-3, -2, 2..4),
            (0, 99, 0..5),
            (5, 9, 0..0),
            (3, 1, 0..0),
            (-1, -3, 0..0),
            (-9, -7, 0..1),
            (-7, -9, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(text_range(first, last, 5), range, "{first} {last}");
        }
        assert_eq!(text_range(0, 0, 0), 0..0);
    }
}
