//! Scores of sorted sets as Redis reads them, and ranges of scores and of members.

use std::ops::Range;

use super::compact::element::Piece;
use super::errors::{Error, NOT_A_FLOAT};
use super::sorted_set::SortedSet;

const NOT_A_SCORE_RANGE: &str = "ERR min or max is not a float";
const NOT_A_MEMBER_RANGE: &str = "ERR min or max not valid string range item";

/// An argument that must be a score. Too large a number is none, nor is one too close to zero.
pub(super) fn score(text: &[u8]) -> Result<f64, Error> {
    let number = number(text).filter(|n| !n.is_nan());
    let number = number.filter(|n| match is_infinity(text) {
        true => true,
        false => n.is_finite() && (*n != 0.0 || is_zero(text)),
    });
    number.ok_or_else(|| NOT_A_FLOAT.into())
}

/// The scores between two bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScoreRange {
    min: ScoreBound,
    max: ScoreBound,
}

#[derive(Clone, Copy, Debug)]
struct ScoreBound {
    score: f64,
    /// Whether the score itself lies outside.
    is_excluded: bool,
}

impl ScoreRange {
    /// Reads `1.5`, `(1.5` or `-inf`.
    pub(super) fn parse(min: &[u8], max: &[u8]) -> Result<ScoreRange, Error> {
        Ok(ScoreRange {
            min: ScoreBound::parse(min)?,
            max: ScoreBound::parse(max)?,
        })
    }

    /// The ranks of the elements inside.
    pub(super) fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let ScoreRange { min, max } = *self;
        between(
            set,
            |_, score| score < min.score || min.is_excluded && score == min.score,
            |_, score| score < max.score || !max.is_excluded && score == max.score,
        )
    }
}

impl ScoreBound {
    /// As `strtod` reads it, which takes the empty text for zero and skips blanks.
    fn parse(text: &[u8]) -> Result<ScoreBound, Error> {
        let (is_excluded, text) = match text {
            [b'(', rest @ ..] => (true, rest),
            all => (false, all),
        };
        match c_number(text).filter(|n| !n.is_nan()) {
            Some(score) => Ok(ScoreBound { score, is_excluded }),
            None => Err(NOT_A_SCORE_RANGE.into()),
        }
    }
}

/// A number as C's `strtod` reads a whole string: up to a zero byte, blanks before it skipped, none
/// at all is zero.
fn c_number(text: &[u8]) -> Option<f64> {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    if end == 0 {
        return Some(0.0);
    }
    number(without_blanks(&text[..end]))
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blank = |b: &&u8| b.is_ascii_whitespace() || **b == 0x0b;
    &text[text.iter().take_while(blank).count()..]
}

/// A weight of SORT: as `strtod` reads it, without one that is too great or too close to zero.
pub(super) fn strtod(text: &[u8]) -> Option<f64> {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let digits = without_blanks(&text[..end]);
    c_number(text).filter(|n| match is_infinity(digits) {
        true => true,
        false => !n.is_infinite() && (*n != 0.0 || is_zero(digits)),
    })
}

/// The members between two bounds, among members of one score.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberRange<'a> {
    min: MemberBound<'a>,
    max: MemberBound<'a>,
}

#[derive(Clone, Copy, Debug)]
enum MemberBound<'a> {
    BeforeAll,
    AfterAll,
    Included(&'a [u8]),
    Excluded(&'a [u8]),
}

impl<'a> MemberRange<'a> {
    /// Reads `[a`, `(a`, `-` or `+`.
    pub(super) fn parse(min: &'a [u8], max: &'a [u8]) -> Result<MemberRange<'a>, Error> {
        Ok(MemberRange {
            min: MemberBound::parse(min)?,
            max: MemberBound::parse(max)?,
        })
    }

    /// The ranks of the elements inside.
    pub(super) fn ranks(&self, set: &SortedSet) -> Range<usize> {
        between(
            set,
            |member, _| self.min.is_after(member, false),
            |member, _| self.max.is_after(member, true),
        )
    }
}

impl MemberBound<'_> {
    /// Whether it comes after a member. The bound that is a member itself does if `itself` says so,
    /// and the other way round if it is excluded.
    fn is_after(&self, member: Piece<'_>, itself: bool) -> bool {
        let mut digits = itoa::Buffer::new();
        let member = member.bytes(&mut digits);
        match self {
            MemberBound::BeforeAll => false,
            MemberBound::AfterAll => true,
            MemberBound::Included(bound) => member < *bound || itself && member == *bound,
            MemberBound::Excluded(bound) => member < *bound || !itself && member == *bound,
        }
    }
}

impl<'a> MemberBound<'a> {
    fn parse(text: &'a [u8]) -> Result<MemberBound<'a>, Error> {
        match text {
            [b'-'] | [b'-', 0, ..] => Ok(MemberBound::BeforeAll),
            [b'+'] | [b'+', 0, ..] => Ok(MemberBound::AfterAll),
            [b'[', member @ ..] => Ok(MemberBound::Included(member)),
            [b'(', member @ ..] => Ok(MemberBound::Excluded(member)),
            _ => Err(NOT_A_MEMBER_RANGE.into()),
        }
    }
}

fn between(
    set: &SortedSet,
    starts_after: impl Fn(Piece<'_>, f64) -> bool,
    ends_after: impl Fn(Piece<'_>, f64) -> bool,
) -> Range<usize> {
    let start = set.count_while(starts_after);
    let end = set.count_while(ends_after);
    start..end.max(start)
}

/// A floating-point number as all of C's `strtod` but the blanks at the start: decimal,
/// hexadecimal, `inf`, `infinity`, `nan`.
fn number(text: &[u8]) -> Option<f64> {
    let (sign, rest) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        rest => (1.0, rest),
    };
    if let [b'0', b'x' | b'X', digits @ ..] = rest {
        return hexadecimal(digits).map(|n| sign * n);
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `1f.8p-3` without `0x`: the digits times a power of two.
fn hexadecimal(text: &[u8]) -> Option<f64> {
    let end = text
        .iter()
        .position(|b| matches!(b, b'p' | b'P'))
        .unwrap_or(text.len());
    let mut exponent = match &text[end..] {
        [] => 0,
        [_, exponent @ ..] => binary_exponent(exponent)?,
    };
    let (mut mantissa, mut digits, mut in_fraction) = (0u64, 0, false);
    for byte in &text[..end] {
        if *byte == b'.' && !in_fraction {
            in_fraction = true;
            continue;
        }
        let digit = u64::from(char::from(*byte).to_digit(16)?);
        digits += 1;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | digit;
            exponent -= if in_fraction { 4 } else { 0 };
        } else {
            // Too small to matter but for which way the last bit is rounded.
            mantissa |= u64::from(digit != 0);
            exponent += if in_fraction { 0 } else { 4 };
        }
    }
    (digits > 0).then(|| scale(mantissa as f64, exponent))
}

fn binary_exponent(text: &[u8]) -> Option<i64> {
    let digits = text
        .strip_prefix(b"+")
        .or(text.strip_prefix(b"-"))
        .unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    const FAR: i64 = 1 << 40;
    let value = digits
        .iter()
        .fold(0i64, |n, d| (n * 10 + i64::from(d - b'0')).min(FAR));
    Some(if text[0] == b'-' { -value } else { value })
}

/// Times a power of two, in steps that are powers themselves.
fn scale(mut number: f64, exponent: i64) -> f64 {
    let mut left = exponent.clamp(-4_000, 4_000) as i32;
    while left != 0 && number != 0.0 && number.is_finite() {
        let step = left.clamp(-1_000, 1_000);
        number *= 2f64.powi(step);
        left -= step;
    }
    number
}

fn is_infinity(text: &[u8]) -> bool {
    let text = text
        .strip_prefix(b"+")
        .or(text.strip_prefix(b"-"))
        .unwrap_or(text);
    matches!(text.first(), Some(b'i' | b'I'))
}

/// Whether a number's text has no digit but zeros, its exponent aside.
fn is_zero(text: &[u8]) -> bool {
    let is_hexadecimal = text.iter().any(|b| matches!(b, b'x' | b'X'));
    let mantissa = text.split(|b| match is_hexadecimal {
        true => matches!(b, b'p' | b'P'),
        false => matches!(b, b'e' | b'E'),
    });
    mantissa
        .take(1)
        .flatten()
        .all(|b| matches!(b, b'0' | b'.' | b'+' | b'-' | b'x' | b'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_as_redis_reads_them() {
        for (text, value) in [
            ("1", Some(1.0)),
            ("-1.5e3", Some(-1500.0)),
            ("+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("-0X1.8p1", Some(-3.0)),
            ("0x.8", Some(0.5)),
            ("0x1p-1074", Some(5e-324)),
            (
                "0x123456789abcdef01234",
                Some(f64::from_bits(0x44b2_3456_789a_bcdf)),
            ),
            ("0x1.00000000000008000000001", Some(1.000_000_000_000_000_2)),
            ("0e-999", Some(0.0)),
            ("0x0p-9999", Some(0.0)),
            ("4e-324", Some(5e-324)),
            ("1e-400", None),
            ("1e400", None),
            ("0x1p99999999999999999999", None),
            ("0x1p-99999999999999999999", None),
            ("nan", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("1\0", None),
            ("1e", None),
            ("0x", None),
            ("0x1p", None),
            ("0x1.2.3", None),
            ("--1", None),
            ("a", None),
        ] {
            assert_eq!(score(text.as_bytes()).ok(), value, "{text:?}");
        }
    }

    #[test]
    fn bounds_are_read_more_freely() {
        for (text, bound) in [
            ("(1.5", Some((1.5, true))),
            ("1.5", Some((1.5, false))),
            ("(-inf", Some((f64::NEG_INFINITY, true))),
            ("", Some((0.0, false))),
            ("(", Some((0.0, true))),
            (" \t1", Some((1.0, false))),
            ("1\0x", Some((1.0, false))),
            ("1e400", Some((f64::INFINITY, false))),
            ("nan", None),
            ("((1", None),
            ("1 ", None),
            (" ", None),
        ] {
            let found = ScoreBound::parse(text.as_bytes()).ok();
            assert_eq!(found.map(|b| (b.score, b.is_excluded)), bound, "{text:?}");
        }
    }
}
