//! Commands about strings as arrays of bits. Bit 0 is the highest of the first byte.

use super::encodings::Limits;
use super::entry::{Object, Text};
use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::slot::Slot;
use super::view::View;
use crate::command::{Command, Reply};

const BIT_OFFSET: &str = "ERR bit offset is not an integer or out of range";
const BIT_VALUE: &str = "ERR bit is not an integer or out of range";

pub(super) fn setbit(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let offset = bit_offset(Limits::of(view), command.arg(2), None)?;
    let on = match numbers::integer(command.arg(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(BIT_VALUE.into()),
    };
    let mut slot = view.slot(command.arg(1));
    let (byte, mask) = (offset / 8, 0x80 >> (offset % 8));
    let mut was = false;
    let longer = change_bits(&mut slot, byte + 1, |bytes| {
        was = bytes[byte] & mask != 0;
        bytes[byte] = bytes[byte] & !mask | if on { mask } else { 0 };
    })?;
    if longer || was != on {
        slot.changed();
    }
    Ok(Reply::Int(i64::from(was)))
}

pub(super) fn getbit(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let offset = bit_offset(Limits::of(view), command.arg(2), None)?;
    let mut slot = view.slot(command.arg(1));
    let mut buffer = itoa::Buffer::new();
    let text = slot.read_text()?;
    let bytes = text.as_ref().map_or(&b""[..], |t| t.bytes(&mut buffer));
    let byte = bytes.get(offset / 8).unwrap_or(&0);
    Ok(Reply::Int(i64::from(byte >> (7 - offset % 8) & 1)))
}

pub(super) fn bitcount(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(text) = slot.read_text()? else {
        return Ok(Reply::Int(0));
    };
    let mut buffer = itoa::Buffer::new();
    let bytes = text.bytes(&mut buffer);
    let bits = match command.len() {
        2 => 0..bytes.len() * 8,
        4 | 5 => {
            let first = numbers::integer_argument(command.arg(2))?;
            let last = numbers::integer_argument(command.arg(3))?;
            if first < 0 && last < 0 && first > last {
                return Ok(Reply::Int(0));
            }
            let unit = Unit::argument(command, 4)?;
            unit.bits(numbers::text_range(first, last, unit.count(bytes)))
        }
        _ => return Err(SYNTAX.into()),
    };
    Ok(Reply::Int(count_ones(bytes, bits.start, bits.end) as i64))
}

pub(super) fn bitpos(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let wanted = match numbers::integer_argument(command.arg(2))? {
        0 => false,
        1 => true,
        _ => return Err("ERR The bit argument must be 1 or 0.".into()),
    };
    let mut slot = view.slot(command.arg(1));
    let Some(text) = slot.read_text()? else {
        // A missing key is an endless row of zeros.
        return Ok(Reply::Int(if wanted { -1 } else { 0 }));
    };
    let mut buffer = itoa::Buffer::new();
    let bytes = text.bytes(&mut buffer);
    if command.len() > 6 {
        return Err(SYNTAX.into());
    }
    let first = match command.len() {
        3 => 0,
        _ => numbers::integer_argument(command.arg(3))?,
    };
    let unit = Unit::argument(command, 5)?;
    let last = match command.len() {
        3 | 4 => -1,
        _ => numbers::integer_argument(command.arg(4))?,
    };
    let bits = unit.bits(numbers::clamped_range(first, last, unit.count(bytes)));
    Ok(Reply::Int(match find_bit(bytes, bits.clone(), wanted) {
        Some(place) => place as i64,
        // Without an end, zeros follow the string.
        None if !wanted && command.len() < 5 && !bits.is_empty() => bits.end as i64,
        None => -1,
    }))
}

pub(super) fn bitop(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let operation = Operation::argument(command)?;
    let mut result: Option<Vec<u8>> = None;
    for key in command.args(3) {
        let mut slot = view.slot(key);
        let mut buffer = itoa::Buffer::new();
        let text = slot.read_text()?;
        let bytes = text.as_ref().map_or(&b""[..], |t| t.bytes(&mut buffer));
        match &mut result {
            None => result = Some(bytes.to_vec()),
            Some(result) => operation.apply(result, bytes),
        }
    }
    let mut result = result.unwrap_or_default();
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let len = result.len();
    let mut slot = view.slot(command.arg(2));
    if result.is_empty() {
        slot.remove();
    } else {
        set_bytes(&mut slot, result);
    }
    Ok(Reply::Int(len as i64))
}

/// Stores bytes that were computed, without another copy if they are many.
fn set_bytes(slot: &mut Slot<'_, '_>, bytes: Vec<u8>) {
    match Object::from_bytes(bytes) {
        Ok(object) => slot.set_object(object, None),
        Err(bytes) => slot.set_text(Text::Raw(&bytes), None),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn argument(command: &Command<'_>) -> Result<Operation, Error> {
        match command.arg(1) {
            w if w.eq_ignore_ascii_case(b"and") => Ok(Operation::And),
            w if w.eq_ignore_ascii_case(b"or") => Ok(Operation::Or),
            w if w.eq_ignore_ascii_case(b"xor") => Ok(Operation::Xor),
            w if w.eq_ignore_ascii_case(b"not") && command.len() == 4 => Ok(Operation::Not),
            w if w.eq_ignore_ascii_case(b"not") => {
                Err("ERR BITOP NOT must be called with a single source key.".into())
            }
            _ => Err(SYNTAX.into()),
        }
    }

    /// Combines bytes with those so far; the shorter of both is followed by zeros.
    fn apply(self, result: &mut Vec<u8>, bytes: &[u8]) {
        if bytes.len() > result.len() {
            result.resize(bytes.len(), 0);
        }
        let (both, rest) = result.split_at_mut(bytes.len());
        let pairs = both.iter_mut().zip(bytes);
        match self {
            Operation::And => {
                pairs.for_each(|(r, b)| *r &= b);
                rest.fill(0);
            }
            Operation::Or => pairs.for_each(|(r, b)| *r |= b),
            Operation::Xor => pairs.for_each(|(r, b)| *r ^= b),
            // It has one source.
            Operation::Not => {}
        }
    }
}

/// What the ends of a range count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Byte,
    Bit,
}

impl Unit {
    /// The unit that an argument names; bytes if it is not there.
    fn argument(command: &Command<'_>, at: usize) -> Result<Unit, Error> {
        match command.args(at).next() {
            None => Ok(Unit::Byte),
            Some(w) if w.eq_ignore_ascii_case(b"byte") => Ok(Unit::Byte),
            Some(w) if w.eq_ignore_ascii_case(b"bit") => Ok(Unit::Bit),
            Some(_) => Err(SYNTAX.into()),
        }
    }

    fn count(self, bytes: &[u8]) -> usize {
        match self {
            Unit::Byte => bytes.len(),
            Unit::Bit => bytes.len() * 8,
        }
    }

    fn bits(self, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
        match self {
            Unit::Byte => range.start * 8..range.end * 8,
            Unit::Bit => range,
        }
    }
}

/// The place of a bit, in a string that may be as long as it; `#n` counts fields of that width.
pub(super) fn bit_offset(
    limits: Limits<'_>,
    argument: &[u8],
    width: Option<usize>,
) -> Result<usize, Error> {
    let (digits, factor) = match (argument, width) {
        ([b'#', digits @ ..], Some(width)) => (digits, width),
        (digits, _) => (digits, 1),
    };
    numbers::integer(digits)
        .and_then(|n| usize::try_from(n).ok())
        .and_then(|n| n.checked_mul(factor))
        .filter(|bit| bit / 8 < limits.most_bytes())
        .ok_or_else(|| BIT_OFFSET.into())
}

/// Changes the bytes of a string that is made at least `len` long; returns whether it grew. The
/// caller notes the change.
pub(super) fn change_bits(
    slot: &mut Slot<'_, '_>,
    len: usize,
    change: impl FnOnce(&mut [u8]),
) -> Result<bool, Error> {
    let old = slot.text()?.map(|text| text.len());
    if old.is_none() {
        slot.begin(Text::Raw(b"").to_store());
    }
    if let Some(bytes) = slot.grow(len) {
        change(bytes);
    }
    Ok(old.is_none_or(|old| old < len))
}

/// Number of ones among the bits from `start` up to `end`.
fn count_ones(bytes: &[u8], start: usize, end: usize) -> u64 {
    if start >= end {
        return 0;
    }
    let whole = &bytes[start / 8..end.div_ceil(8)];
    let (words, rest) = whole.as_chunks::<8>();
    let ones = |word: &[u8; 8]| u64::from(u64::from_ne_bytes(*word).count_ones());
    let in_words: u64 = words.iter().map(ones).sum();
    let in_rest: u64 = rest.iter().map(|b| u64::from(b.count_ones())).sum();
    let before = bytes[start / 8] & !(0xff >> (start % 8));
    let after = match end % 8 {
        0 => 0,
        bits => bytes[end / 8] & (0xff >> bits),
    };
    in_words + in_rest - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

/// The first bit of that value in a range of bits.
fn find_bit(bytes: &[u8], bits: std::ops::Range<usize>, wanted: bool) -> Option<usize> {
    let flip = if wanted { 0 } else { 0xff };
    let mut at = bits.start;
    while at < bits.end {
        let byte = (bytes[at / 8] ^ flip) & (0xff >> (at % 8));
        if byte != 0 {
            let found = at / 8 * 8 + byte.leading_zeros() as usize;
            return (found < bits.end).then_some(found);
        }
        at = (at / 8 + 1) * 8;
        let (words, _) = bytes[at / 8..bits.end.div_ceil(8).max(at / 8)].as_chunks::<8>();
        at += words.iter().take_while(|w| **w == [flip; 8]).count() * 64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_and_finding_agree_with_looking_at_each_bit() {
        let bytes: Vec<u8> = (0..40u32)
            .map(|i| match i / 13 {
                1 => 0,
                2 => 0xff,
                _ => (i * 37) as u8,
            })
            .collect();
        let bit = |i: usize| bytes[i / 8] >> (7 - i % 8) & 1 == 1;
        for start in 0..320 {
            for end in start..=320 {
                let ones = (start..end).filter(|i| bit(*i)).count() as u64;
                assert_eq!(count_ones(&bytes, start, end), ones);
                for wanted in [false, true] {
                    let first = (start..end).find(|i| bit(*i) == wanted);
                    assert_eq!(find_bit(&bytes, start..end, wanted), first);
                }
            }
        }
    }
}
