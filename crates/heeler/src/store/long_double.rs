//! The floating-point numbers of INCRBYFLOAT: x87's 80-bit extended precision, which is C's
//! `long double` where Redis is usually run, so that its sums come out digit for digit.
//!
//! Read as `strtold` reads them, and shown as `%.17Lf` without trailing zeros.

use std::cmp::Ordering;
use std::fmt;

/// Longest text of a number (Redis: `MAX_LONG_DOUBLE_CHARS`).
const TEXT_BYTES: usize = 5 * 1024;
/// A finite number is below 2 to this power.
const MAX_EXPONENT: i64 = 16384;
/// Numbers of half of 2 to this power, or less, are rounded to zero.
const MIN_EXPONENT: i64 = -16445;
/// Decimal exponents past this, for as long a text as is read, are infinite or zero.
const MAX_DECIMAL_EXPONENT: i64 = 20_000;

/// A number: infinite, or `mantissa` times 2 to the power `exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LongDouble {
    negative: bool,
    /// Its highest bit is set, but for zero and infinity.
    mantissa: u64,
    exponent: i64,
    infinite: bool,
}

impl LongDouble {
    pub(super) const ZERO: LongDouble = LongDouble {
        negative: false,
        mantissa: 0,
        exponent: 0,
        infinite: false,
    };

    /// Reads a decimal or hexadecimal number, or an infinity. `None` if it is none, or too great
    /// or too small.
    pub(super) fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= TEXT_BYTES {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let number = match rest {
            w if w.eq_ignore_ascii_case(b"inf") || w.eq_ignore_ascii_case(b"infinity") => {
                LongDouble {
                    infinite: true,
                    ..LongDouble::ZERO
                }
            }
            [b'0', b'x' | b'X', rest @ ..] => parse_hexadecimal(rest)?,
            rest => parse_decimal(rest)?,
        };
        Some(LongDouble { negative, ..number })
    }

    /// The number itself unless it is infinite.
    pub(super) fn finite(self) -> Option<LongDouble> {
        (!self.infinite).then_some(self)
    }

    /// The nearest number of double precision.
    pub(super) fn to_f64(self) -> f64 {
        let size = match self.infinite {
            true => f64::INFINITY,
            // Half of the powers at a time, which are numbers themselves.
            false => {
                let exponent = self.exponent.clamp(-2_000, 2_000) as i32;
                let half = exponent / 2;
                self.mantissa as f64 * 2f64.powi(half) * 2f64.powi(exponent - half)
            }
        };
        if self.negative { -size } else { size }
    }

    /// The sum, rounded to the nearest. `None` if it is no number or too great.
    pub(super) fn add(self, other: LongDouble) -> Option<LongDouble> {
        if self.infinite || other.infinite {
            let cancels = self.infinite && other.infinite && self.negative != other.negative;
            let infinity = if self.infinite { self } else { other };
            return (!cancels).then_some(infinity);
        }
        if self.mantissa == 0 || other.mantissa == 0 {
            let only = if self.mantissa == 0 { other } else { self };
            let negative = match only.mantissa {
                0 => self.negative && other.negative,
                _ => only.negative,
            };
            return Some(LongDouble { negative, ..only });
        }
        let by_size = |n: &LongDouble| (n.exponent, n.mantissa);
        let (great, small) = match by_size(&self).cmp(&by_size(&other)) {
            Ordering::Less => (other, self),
            _ => (self, other),
        };
        const GUARD: u32 = 62;
        let (shifted, lost) = shift_right(
            u128::from(small.mantissa) << GUARD,
            great.exponent - small.exponent,
        );
        let wide = u128::from(great.mantissa) << GUARD;
        let sum = match great.negative == small.negative {
            true => wide + shifted,
            // What was lost is taken from the last bit, and what is left of that bit is lost.
            false => wide - shifted - u128::from(lost),
        };
        let exponent = great.exponent - i64::from(GUARD);
        let sum = round(sum, exponent, lost)?;
        let negative = great.negative && sum.mantissa != 0;
        Some(LongDouble { negative, ..sum })
    }
}

impl From<i64> for LongDouble {
    fn from(number: i64) -> LongDouble {
        let mantissa = number.unsigned_abs();
        let zeros = mantissa.leading_zeros();
        LongDouble {
            negative: number < 0,
            mantissa: if mantissa == 0 { 0 } else { mantissa << zeros },
            exponent: if mantissa == 0 { 0 } else { -i64::from(zeros) },
            infinite: false,
        }
    }
}

impl fmt::Display for LongDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.infinite {
            "inf".to_owned()
        } else if self.exponent >= 0 {
            Big::from(self.mantissa)
                .shifted(self.exponent as usize)
                .into_decimal()
        } else {
            let (integer, fraction) = self.decimal_parts();
            let fraction = format!("{fraction:017}");
            let number = format!("{integer}.{fraction}");
            number
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        };
        let sign = if self.negative && text != "0" {
            "-"
        } else {
            ""
        };
        write!(f, "{sign}{text}")
    }
}

impl LongDouble {
    /// The integer part, and the fraction in units of 10 to the power -17, rounded half to even.
    fn decimal_parts(&self) -> (u128, u128) {
        const UNIT: u128 = 10u128.pow(17);
        let product = u128::from(self.mantissa) * UNIT;
        let shift = -self.exponent;
        let (floor, _) = shift_right(product, shift);
        let up = match shift {
            1..=127 => {
                let rest = product & ((1 << shift) - 1);
                let half = 1 << (shift - 1);
                rest > half || rest == half && floor & 1 == 1
            }
            _ => false,
        };
        let units = floor + u128::from(up);
        (units / UNIT, units % UNIT)
    }
}

/// Shifts right, and says whether ones were lost.
fn shift_right(value: u128, by: i64) -> (u128, bool) {
    match by {
        0 => (value, false),
        1..=127 => (value >> by, value & ((1 << by) - 1) != 0),
        _ => (0, value != 0),
    }
}

/// `value` times 2 to the power `exponent`, and a little more if `more`, rounded half to even.
/// `None` if that is too great or too small.
fn round(value: u128, exponent: i64, more: bool) -> Option<LongDouble> {
    if value == 0 {
        return Some(LongDouble::ZERO);
    }
    let bits = 128 - i64::from(value.leading_zeros());
    let mut exponent = exponent + bits - 64;
    let mantissa = if bits <= 64 {
        (value as u64) << (64 - bits)
    } else {
        let (floor, _) = shift_right(value, bits - 64);
        let rest = value & ((1 << (bits - 64)) - 1);
        let half = 1 << (bits - 65);
        let up = rest > half || rest == half && (more || floor & 1 == 1);
        match (floor as u64).checked_add(u64::from(up)) {
            Some(mantissa) => mantissa,
            None => {
                exponent += 1;
                1 << 63
            }
        }
    };
    let fits = exponent + 64 <= MAX_EXPONENT && exponent + 64 >= MIN_EXPONENT;
    fits.then_some(LongDouble {
        mantissa,
        exponent,
        ..LongDouble::ZERO
    })
}

/// The text of a number without sign or prefix.
struct Digits<'a> {
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Digits<'a> {
    /// Splits all of a text. At least one digit is needed before the exponent, and one in it.
    fn split(text: &'a [u8], is_digit: fn(&u8) -> bool, mark: u8) -> Option<Digits<'a>> {
        let len = |text: &[u8]| text.iter().take_while(|b| is_digit(b)).count();
        let (integer, rest) = text.split_at(len(text));
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => rest.split_at(len(rest)),
            rest => (&b""[..], rest),
        };
        if integer.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [e, rest @ ..] if e.eq_ignore_ascii_case(&mark) => parse_exponent(rest)?,
            _ => return None,
        };
        Some(Digits {
            integer,
            fraction,
            exponent,
        })
    }

    fn iter(&self) -> impl Iterator<Item = u8> {
        self.integer.iter().chain(self.fraction).copied()
    }
}

/// A decimal exponent; one that is far out of range is cut to one that still is.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |n: i64, d: &u8| (n * 10 + i64::from(d - b'0')).min(1_000_000);
    let value = digits.iter().fold(0, add);
    Some(if negative { -value } else { value })
}

fn parse_hexadecimal(text: &[u8]) -> Option<LongDouble> {
    let digits = Digits::split(text, u8::is_ascii_hexdigit, b'p')?;
    let mut exponent = digits.exponent - 4 * digits.fraction.len() as i64;
    let (mut value, mut more) = (0u128, false);
    for digit in digits.iter() {
        let digit = (digit as char).to_digit(16)?;
        if value >> 120 == 0 {
            value = value << 4 | u128::from(digit);
        } else {
            more |= digit != 0;
            exponent += 4;
        }
    }
    round(value, exponent, more)
}

fn parse_decimal(text: &[u8]) -> Option<LongDouble> {
    let digits = Digits::split(text, u8::is_ascii_digit, b'e')?;
    let exponent = digits.exponent - digits.fraction.len() as i64;
    let mut numerator = Big::default();
    for digit in digits.iter() {
        numerator.multiply_add(10, u32::from(digit - b'0'));
    }
    if numerator.bits() == 0 {
        return Some(LongDouble::ZERO);
    }
    if exponent.abs() > MAX_DECIMAL_EXPONENT {
        return None;
    }
    let mut denominator = Big::from(1);
    let scaled = if exponent < 0 {
        &mut denominator
    } else {
        &mut numerator
    };
    for _ in 0..exponent.abs() {
        scaled.multiply_add(10, 0);
    }
    divide(numerator, denominator)
}

/// The quotient of two numbers that are not 0, rounded.
fn divide(mut numerator: Big, mut denominator: Big) -> Option<LongDouble> {
    const QUOTIENT_BITS: i64 = 66;
    let difference = numerator.bits() as i64 - denominator.bits() as i64;
    match usize::try_from(difference) {
        Ok(by) => denominator = denominator.shifted(by),
        Err(_) => numerator = numerator.shifted(difference.unsigned_abs() as usize),
    }
    // Now the quotient lies between a half and 2.
    let mut quotient = 0u128;
    for _ in 0..QUOTIENT_BITS {
        let fits = numerator.cmp(&denominator) != Ordering::Less;
        if fits {
            numerator.subtract(&denominator);
        }
        quotient = quotient << 1 | u128::from(fits);
        numerator.multiply_add(2, 0);
    }
    round(
        quotient,
        difference - (QUOTIENT_BITS - 1),
        numerator.bits() > 0,
    )
}

/// A natural number of any size: 32 bits a word, the lowest first, no zero words at the end.
#[derive(Clone, Debug, Default, PartialEq)]
struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(value: u64) -> Big {
        let mut big = Big(vec![value as u32, (value >> 32) as u32]);
        big.trim();
        big
    }
}

impl Big {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn bits(&self) -> usize {
        let last = self.0.last().map_or(0, |w| 32 - w.leading_zeros());
        self.0.len().saturating_sub(1) * 32 + last as usize
    }

    fn cmp(&self, other: &Big) -> Ordering {
        let by_len = self.0.len().cmp(&other.0.len());
        by_len.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for word in &mut self.0 {
            carry += u64::from(*word) * u64::from(factor);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// Takes away a number that is not greater.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = false;
        for (i, word) in self.0.iter_mut().enumerate() {
            let (first, under) = word.overflowing_sub(other.0.get(i).copied().unwrap_or(0));
            let (second, under_again) = first.overflowing_sub(u32::from(borrow));
            *word = second;
            borrow = under || under_again;
        }
        self.trim();
    }

    fn shifted(&self, by: usize) -> Big {
        let mut words = vec![0; by / 32];
        words.extend_from_slice(&self.0);
        let mut big = Big(words);
        big.multiply_add(1 << (by % 32), 0);
        big
    }

    fn divide(&mut self, by: u32) -> u32 {
        let mut rest = 0u64;
        for word in self.0.iter_mut().rev() {
            let value = rest << 32 | u64::from(*word);
            *word = (value / u64::from(by)) as u32;
            rest = value % u64::from(by);
        }
        self.trim();
        rest as u32
    }

    fn into_decimal(mut self) -> String {
        let mut groups = vec![];
        while self.bits() > 0 {
            groups.push(self.divide(1_000_000_000));
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        for group in groups.iter().rev() {
            text.push_str(&format!("{group:09}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(first: &str, second: &str) -> Option<String> {
        let parse = |text: &str| LongDouble::parse(text.as_bytes());
        let sum = parse(first)?.add(parse(second)?)?.finite()?;
        Some(sum.to_string())
    }

    #[test]
    fn sums_have_the_digits_of_80_bit_numbers() {
        for (first, second, expected) in [
            ("0", "0", "0"),
            ("-0", "-0", "0"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("0.1", "0.2", "0.3"),
            ("1e-17", "0", "0.00000000000000001"),
            ("4e-18", "0", "0"),
            ("-4e-18", "0", "0"),
            ("0x10", ".5", "16.5"),
            ("0x1.8p3", "1.", "13"),
            ("1e20", "0.5", "100000000000000000000"),
            ("18446744073709551615", "0", "18446744073709551615"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("18446744073709551617", "0", "18446744073709551616"),
        ] {
            assert_eq!(
                sum(first, second).as_deref(),
                Some(expected),
                "{first} {second}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = "1".repeat(TEXT_BYTES);
        for text in [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1 ",
            " 1",
            "1x",
            "0x",
            "0x.",
            "0x1p",
            "nan",
            "--1",
            "1e5000",
            "1e-5000",
            "1e99999999999999999999",
            "infin",
            &long,
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("inf", "-inf"), None);
        assert_eq!(sum("1e4932", "1e4932"), None);
        assert!(sum("1e4932", "1").is_some());
    }

    #[test]
    fn integers_are_exact() {
        for number in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            assert_eq!(LongDouble::from(number).to_string(), number.to_string());
            let text = number.to_string();
            assert_eq!(LongDouble::parse(text.as_bytes()), Some(number.into()));
        }
    }
}
