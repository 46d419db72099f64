//! BITFIELD: integers of any width inside a string.

use super::bits::{bit_offset, change_bits};
use super::encodings::Limits;
use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::slot::Slot;
use super::view::View;
use crate::command::{Command, Reply};

pub(super) fn bitfield(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let operations = parse(Limits::of(view), command)?;
    let end = operations.iter().filter_map(Operation::written_end).max();
    match end {
        Some(end) => write(view, command, &operations, end),
        None => read(view, command, &operations),
    }
}

pub(super) fn bitfield_ro(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let operations = parse(Limits::of(view), command)?;
    if operations.iter().any(|o| o.written_end().is_some()) {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    read(view, command, &operations)
}

fn read(view: &mut View<'_>, command: &Command<'_>, operations: &[Operation]) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let mut buffer = itoa::Buffer::new();
    let text = slot.read_text()?;
    let bytes = text.as_ref().map_or(&b""[..], |t| t.bytes(&mut buffer));
    let get = |o: &Operation| Reply::Int(o.field.get(bytes, o.offset));
    Ok(Reply::Array(operations.iter().map(get).collect()))
}

fn write(
    view: &mut View<'_>,
    command: &Command<'_>,
    operations: &[Operation],
    end: usize,
) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let run = |slot: &mut Slot<'_, '_>| {
        let mut changed = false;
        let mut replies = Vec::with_capacity(operations.len());
        let longer = change_bits(slot, end.div_ceil(8), |bytes| {
            for operation in operations {
                replies.push(operation.run(bytes, &mut changed));
            }
        })?;
        if longer || changed {
            slot.changed();
        }
        Ok(Reply::Array(replies))
    };
    match writes_nothing(&slot, operations) {
        true => slot.quietly(run),
        false => run(&mut slot),
    }
}

/// Whether all that would be written is too great or too small, and `OVERFLOW FAIL` forbids it.
/// Redis makes the string longer all the same, but says so to nobody.
fn writes_nothing(slot: &Slot<'_, '_>, operations: &[Operation]) -> bool {
    let mut buffer = itoa::Buffer::new();
    let text = slot.peek().and_then(|entry| entry.as_text());
    let bytes = text.as_ref().map_or(&b""[..], |t| t.bytes(&mut buffer));
    operations.iter().all(|operation| {
        let old = operation.field.get(bytes, operation.offset);
        operation.result(old).is_none()
    })
}

/// The type of a field: `u1` to `u63`, `i1` to `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    signed: bool,
    width: u32,
}

impl Field {
    fn parse(argument: &[u8]) -> Result<Field, Error> {
        const INVALID: &str = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 \
            is not supported but i64 is.";
        let (signed, width) = match argument {
            [b'i', width @ ..] => (true, width),
            [b'u', width @ ..] => (false, width),
            _ => return Err(INVALID.into()),
        };
        match numbers::integer(width) {
            Some(width @ 1..=63) => Ok(Field {
                signed,
                width: width as u32,
            }),
            Some(64) if signed => Ok(Field { signed, width: 64 }),
            _ => Err(INVALID.into()),
        }
    }

    fn min(self) -> i128 {
        match self.signed {
            true => -(1 << (self.width - 1)),
            false => 0,
        }
    }

    fn max(self) -> i128 {
        let bits = self.width - u32::from(self.signed);
        (1 << bits) - 1
    }

    /// The number whose lowest bits are these.
    fn wrap(self, bits: u64) -> i64 {
        let unused = 64 - self.width;
        match self.signed {
            true => (bits << unused).cast_signed() >> unused,
            false => ((bits << unused) >> unused).cast_signed(),
        }
    }

    /// The number at a bit; zeros follow the string.
    fn get(self, bytes: &[u8], offset: usize) -> i64 {
        let bits = (0..self.width as usize).fold(0, |bits, i| {
            let at = offset + i;
            let byte = bytes.get(at / 8).unwrap_or(&0);
            bits << 1 | u64::from(byte >> (7 - at % 8) & 1)
        });
        self.wrap(bits)
    }

    /// Writes a number at a bit; the bytes are long enough.
    fn set(self, bytes: &mut [u8], offset: usize, value: i64) {
        for i in 0..self.width as usize {
            let at = offset + i;
            let mask = 0x80 >> (at % 8);
            let on = value >> (self.width as usize - 1 - i) & 1 == 1;
            let byte = &mut bytes[at / 8];
            *byte = *byte & !mask | if on { mask } else { 0 };
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    action: Action,
    field: Field,
    offset: usize,
    overflow: Overflow,
}

impl Operation {
    /// One past the last bit that it writes, if it writes.
    fn written_end(&self) -> Option<usize> {
        (self.action != Action::Get).then_some(self.offset + self.field.width as usize)
    }

    /// Whether it sets a number so low that Redis, whose own numbers overflow there, takes it for
    /// one that is too great.
    fn sets_far_below(&self) -> bool {
        let Operation { action, field, .. } = *self;
        let is_far = |value| field.max() - i128::from(value) > i128::from(i64::MAX);
        let is_narrow = field.signed && field.width < 64;
        matches!(action, Action::Set(value) if is_narrow && is_far(value))
    }

    fn run(&self, bytes: &mut [u8], changed: &mut bool) -> Reply {
        let Operation { field, offset, .. } = *self;
        let old = field.get(bytes, offset);
        let Some(new) = self.result(old) else {
            return match self.action {
                Action::Get => Reply::Int(old),
                _ => Reply::Null,
            };
        };
        field.set(bytes, offset, new);
        *changed |= new != old;
        match self.action {
            Action::Add(_) => Reply::Int(new),
            _ => Reply::Int(old),
        }
    }

    /// What it writes where this number is, if it writes and may.
    fn result(&self, old: i64) -> Option<i64> {
        let field = self.field;
        let exact = match self.action {
            Action::Get => return None,
            Action::Set(value) if field.signed => i128::from(value),
            Action::Set(value) => i128::from(value.cast_unsigned()),
            Action::Add(by) => i128::from(old) + i128::from(by),
        };
        match self.overflow {
            _ if (field.min()..=field.max()).contains(&exact) => Some(exact as i64),
            Overflow::Wrap => Some(field.wrap(exact as u64)),
            Overflow::Saturate if self.sets_far_below() => Some(field.max() as i64),
            Overflow::Saturate => Some(exact.clamp(field.min(), field.max()) as i64),
            Overflow::Fail => None,
        }
    }
}

fn parse(limits: Limits<'_>, command: &Command<'_>) -> Result<Vec<Operation>, Error> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut words = command.args(2);
    while let Some(word) = words.next() {
        let (is_set, is_add) = match word {
            w if w.eq_ignore_ascii_case(b"get") => (false, false),
            w if w.eq_ignore_ascii_case(b"set") => (true, false),
            w if w.eq_ignore_ascii_case(b"incrby") => (false, true),
            w if w.eq_ignore_ascii_case(b"overflow") => {
                overflow = parse_overflow(words.next().ok_or(SYNTAX)?)?;
                continue;
            }
            _ => return Err(SYNTAX.into()),
        };
        if words.len() < 2 + usize::from(is_set || is_add) {
            return Err(SYNTAX.into());
        }
        let field = Field::parse(words.next().ok_or(SYNTAX)?)?;
        let offset = words.next().ok_or(SYNTAX)?;
        let offset = bit_offset(limits, offset, Some(field.width as usize))?;
        let action = match (is_set, is_add) {
            (true, _) => Action::Set(numbers::integer_argument(words.next().ok_or(SYNTAX)?)?),
            (_, true) => Action::Add(numbers::integer_argument(words.next().ok_or(SYNTAX)?)?),
            _ => Action::Get,
        };
        operations.push(Operation {
            action,
            field,
            offset,
            overflow,
        });
    }
    Ok(operations)
}

fn parse_overflow(word: &[u8]) -> Result<Overflow, Error> {
    match word {
        w if w.eq_ignore_ascii_case(b"wrap") => Ok(Overflow::Wrap),
        w if w.eq_ignore_ascii_case(b"sat") => Ok(Overflow::Saturate),
        w if w.eq_ignore_ascii_case(b"fail") => Ok(Overflow::Fail),
        _ => Err("ERR Invalid OVERFLOW type specified".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_width_keep_their_numbers_and_leave_the_rest_alone() {
        for signed in [false, true] {
            for width in 1..=if signed { 64 } else { 63 } {
                let field = Field { signed, width };
                for offset in [0, 1, 7, 8, 13] {
                    for value in [field.min(), field.max(), field.max() / 3] {
                        let mut bytes = [0xa5; 11];
                        field.set(&mut bytes, offset, value as i64);
                        assert_eq!(i128::from(field.get(&bytes, offset)), value);
                        let beside = Field {
                            signed: false,
                            width: 1,
                        };
                        let end = offset + width as usize;
                        assert_eq!(beside.get(&bytes, end), beside.get(&[0xa5; 11], end));
                    }
                }
            }
        }
    }

    #[test]
    fn types_have_a_sign_and_a_width() {
        for good in ["i1", "i64", "u1", "u63"] {
            assert!(Field::parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "i", "i0", "i65", "u64", "x8", "I8", "8", "i08"] {
            assert!(Field::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
