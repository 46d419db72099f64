//! Times as RFC 3339 writes them, in UTC: `2026-11-20T08:34:35.731Z`.

/// Go's zero time: of what is not known, or was never.
pub const ZERO: &str = "0001-01-01T00:00:00Z";

const DAY: u64 = 86_400_000;

/// Appends a time in milliseconds since 1970, or Go's zero time for 0. As in Go, zeros at the end
/// of the fraction are left out, and the whole fraction where it is 0.
pub fn write(millis: u64, out: &mut Vec<u8>) {
    if millis == 0 {
        out.extend_from_slice(ZERO.as_bytes());
        return;
    }
    let (days, rest) = (millis / DAY, millis % DAY);
    let (year, month, day) = date(days);
    match u16::try_from(year) {
        Ok(year) if year <= 9999 => {
            pair(u64::from(year) / 100, out);
            pair(u64::from(year) % 100, out);
        }
        _ => out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes()),
    }
    let (seconds, fraction) = (rest / 1000, rest % 1000);
    for (before, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', seconds / 3600),
        (b':', seconds / 60 % 60),
        (b':', seconds % 60),
    ] {
        out.push(before);
        pair(number, out);
    }
    if fraction > 0 {
        out.push(b'.');
        out.push(b'0' + (fraction / 100) as u8);
        if !fraction.is_multiple_of(100) {
            out.push(b'0' + (fraction / 10 % 10) as u8);
        }
        if !fraction.is_multiple_of(10) {
            out.push(b'0' + (fraction % 10) as u8);
        }
    }
    out.push(b'Z');
}

/// Two digits.
fn pair(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

/// Year, month and day of a day since 1970 (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (millis, text) in [
            (0, "0001-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (1_000, "1970-01-01T00:00:01Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_078_012_800_000, "2004-02-29T00:00:00Z"),
            (1_795_163_675_731, "2026-11-20T08:34:35.731Z"),
            (1_795_163_675_730, "2026-11-20T08:34:35.73Z"),
            (1_795_163_675_700, "2026-11-20T08:34:35.7Z"),
            (1_795_163_675_000, "2026-11-20T08:34:35Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00Z"),
        ] {
            let mut out = Vec::new();
            write(millis, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        // Any time can be shown.
        write(u64::MAX, &mut Vec::new());
    }
}
