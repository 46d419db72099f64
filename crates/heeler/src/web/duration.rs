//! Lengths of time, as Go's package `time` reads and writes them
//! (<https://pkg.go.dev/time#ParseDuration>).

use std::fmt;

/// A length of time in nanoseconds, which may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GoDuration(pub i64);

/// Why a text is no length of time: Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDuration {
    /// It is no number with a unit.
    #[error("time: invalid duration {0}")]
    Invalid(String),
    /// A number has no unit.
    #[error("time: missing unit in duration {0}")]
    MissingUnit(String),
    /// There is no such unit.
    #[error("time: unknown unit {0} in duration {1}")]
    UnknownUnit(String, String),
}

/// Units with their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// Of so many milliseconds; the longest there is where they are too many.
    pub fn from_millis(millis: u64) -> GoDuration {
        let nanos = i64::try_from(millis).map_or(i64::MAX, |m| m.saturating_mul(1_000_000));
        GoDuration(nanos)
    }

    /// The whole milliseconds that it needs at least; 0 where it is not positive.
    pub fn to_millis(self) -> u64 {
        u64::try_from(self.0).map_or(0, |nanos| nanos.div_ceil(1_000_000))
    }

    /// Reads a text such as `1h30m`, `-1.5s`, `0`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<GoDuration, NoDuration> {
        let invalid = || NoDuration::Invalid(quoted(text));
        let (is_negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(GoDuration(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (nanos, after) = part(rest, text)?;
            total = total.checked_add(nanos).ok_or_else(invalid)?;
            if total > 1 << 63 {
                return Err(invalid());
            }
            rest = after;
        }
        match i64::try_from(total) {
            Ok(nanos) if is_negative => Ok(GoDuration(-nanos)),
            Ok(nanos) => Ok(GoDuration(nanos)),
            // The lowest number has no positive counterpart.
            Err(_) if is_negative => Ok(GoDuration(i64::MIN)),
            Err(_) => Err(invalid()),
        }
    }
}

/// One number with its unit at the start of `rest`, in nanoseconds, and what comes after it.
/// `text` is all of it.
fn part<'a>(rest: &'a str, text: &str) -> Result<(u64, &'a str), NoDuration> {
    let invalid = || NoDuration::Invalid(quoted(text));
    let (whole, rest) = digits(rest);
    let (fraction, rest, has_dot) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, rest) = digits(rest);
            (fraction, rest, true)
        }
        None => ("", rest, false),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let mut number: u64 = 0;
    for digit in whole.bytes() {
        let next = number.checked_mul(10);
        let next = next.and_then(|n| n.checked_add(u64::from(digit - b'0')));
        number = next.filter(|n| *n <= 1 << 63).ok_or_else(invalid)?;
    }
    debug_assert!(has_dot || fraction.is_empty());
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit());
    let (unit, rest) = rest.split_at(end.unwrap_or(rest.len()));
    if unit.is_empty() {
        return Err(NoDuration::MissingUnit(quoted(text)));
    }
    let found = UNITS.iter().find(|(name, _)| *name == unit);
    let unknown = || NoDuration::UnknownUnit(quoted(unit), quoted(text));
    let (_, nanos) = *found.ok_or_else(unknown)?;
    let mut total = number
        .checked_mul(nanos)
        .filter(|n| *n <= 1 << 63)
        .ok_or_else(invalid)?;
    if !fraction.is_empty() {
        total += of_fraction(fraction, nanos);
    }
    match total > 1 << 63 {
        true => Err(invalid()),
        false => Ok((total, rest)),
    }
}

/// So many nanoseconds is a fraction of a unit, by the same rounding as in Go.
fn of_fraction(fraction: &str, unit: u64) -> u64 {
    let (mut number, mut scale): (u64, f64) = (0, 1.0);
    for digit in fraction.bytes() {
        // What is too small to count is passed over.
        if number > ((1 << 63) - 1) / 10 {
            break;
        }
        let next = number * 10 + u64::from(digit - b'0');
        if next > 1 << 63 {
            break;
        }
        number = next;
        scale *= 10.0;
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

/// A text as Go's package `time` quotes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..0x80 => out.push(char::from(byte)),
            _ => out += &format!("\\x{byte:02x}"),
        }
    }
    out.push('"');
    out
}

/// As Go's `Duration.String`: `1h30m0s`, `1.5s`, `500ms`, `1µs`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = |f: &mut fmt::Formatter<'_>, part: u64, digits: usize| match part {
            0 => Ok(()),
            _ => {
                let text = format!("{part:0digits$}");
                write!(f, ".{}", text.trim_end_matches('0'))
            }
        };
        match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => {
                write!(f, "{sign}{}", nanos / 1_000)?;
                fraction(f, nanos % 1_000, 3)?;
                return f.write_str("µs");
            }
            1_000_000..1_000_000_000 => {
                write!(f, "{sign}{}", nanos / 1_000_000)?;
                fraction(f, nanos % 1_000_000, 6)?;
                return f.write_str("ms");
            }
            _ => {}
        }
        let seconds = nanos / 1_000_000_000;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        f.write_str(sign)?;
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{seconds}")?;
        fraction(f, nanos % 1_000_000_000, 9)?;
        f.write_str("s")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_and_written_as_go_does() {
        for (text, nanos, written) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("10s", 10_000_000_000, "10s"),
            ("-5s", -5_000_000_000, "-5s"),
            ("+5s", 5_000_000_000, "5s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            (".5s", 500_000_000, "500ms"),
            ("5.s", 5_000_000_000, "5s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("90m", 5_400_000_000_000, "1h30m0s"),
            ("100h", 360_000_000_000_000, "100h0m0s"),
            ("1m30.5s", 90_500_000_000, "1m30.5s"),
            ("1us", 1_000, "1µs"),
            ("1µs", 1_000, "1µs"),
            ("1μs", 1_000, "1µs"),
            ("1ns", 1, "1ns"),
            ("500ms", 500_000_000, "500ms"),
            ("1500ms", 1_500_000_000, "1.5s"),
            ("1.000001ms", 1_000_001, "1.000001ms"),
            ("2540400h", 9_145_440_000_000_000_000, "2540400h0m0s"),
            (
                "9223372036854775807ns",
                i64::MAX,
                "2562047h47m16.854775807s",
            ),
            (
                "-9223372036854775808ns",
                i64::MIN,
                "-2562047h47m16.854775808s",
            ),
            ("0.100000000000000000000h", 360_000_000_000, "6m0s"),
            ("0.3333333333333333333h", 1_200_000_000_000, "20m0s"),
            ("1s1s", 2_000_000_000, "2s"),
        ] {
            assert_eq!(GoDuration::parse(text), Ok(GoDuration(nanos)), "{text}");
            assert_eq!(GoDuration(nanos).to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_in_the_words_of_go() {
        for (text, words) in [
            ("", r#"time: invalid duration """#),
            ("abc", r#"time: invalid duration "abc""#),
            ("true", r#"time: invalid duration "true""#),
            (" 5s", r#"time: invalid duration " 5s""#),
            ("-", r#"time: invalid duration "-""#),
            (".", r#"time: invalid duration ".""#),
            ("..s", r#"time: invalid duration "..s""#),
            ("10", r#"time: missing unit in duration "10""#),
            ("-1.5", r#"time: missing unit in duration "-1.5""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("1 s", r#"time: unknown unit " s" in duration "1 s""#),
            (
                "1é",
                r#"time: unknown unit "\xc3\xa9" in duration "1\xc3\xa9""#,
            ),
            ("9999999h", r#"time: invalid duration "9999999h""#),
            (
                "9223372036854775808ns",
                r#"time: invalid duration "9223372036854775808ns""#,
            ),
            (
                "99999999999999999999s",
                r#"time: invalid duration "99999999999999999999s""#,
            ),
            ("[\"1s\"]", r#"time: invalid duration "[\"1s\"]""#),
        ] {
            assert_eq!(GoDuration::parse(text).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn milliseconds_are_rounded_up() {
        for (nanos, millis) in [(0, 0), (-1, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(GoDuration(nanos).to_millis(), millis);
        }
        assert_eq!(GoDuration::from_millis(1500), GoDuration(1_500_000_000));
        assert_eq!(GoDuration::from_millis(u64::MAX), GoDuration(i64::MAX));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(nanos in any::<i64>()) {
            let text = GoDuration(nanos).to_string();
            prop_assert_eq!(GoDuration::parse(&text), Ok(GoDuration(nanos)));
        }

        #[test]
        fn nothing_panics(text in "[-+.0-9nuµmsh ]{0,40}|.*") {
            let _ = GoDuration::parse(&text);
        }
    }
}
