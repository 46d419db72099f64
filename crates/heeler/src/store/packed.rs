//! The bytes of an entry in its slot.
//!
//! ```text
//! flags 1 │ access 4 │ key length 1 or 4 │ deadline 8 │ extras 8, 5, 21 │ key │ value │ slack
//! ```
//!
//! Deadline and [`Extras`] are there as far as there are some; the flags tell. The value is 8 bytes
//! of a little-endian integer, or the bytes of a string, or the number of an object. Where the
//! entry is shorter than its slot, the slot's last byte says by how much.

use super::entry::Text;
use super::extras::{Extras, Recache, Stamp};
use super::slabs::Slabs;

const EXPIRES: u8 = 1;
const LONG_KEY: u8 = 2;
const ENCODING: u8 = 0b1100;
const INT: u8 = 0b0000;
const EMBEDDED: u8 = 0b0100;
const RAW: u8 = 0b1000;
const OBJECT: u8 = 0b1100;
const VERSIONED: u8 = 16;
const MARKED: u8 = 32;
const STAMPED: u8 = 64;
const EXTRAS: u8 = VERSIONED | MARKED | STAMPED;
const SLACK: u8 = 128;

const ACCESS: usize = 1;
const KEY_LENGTH: usize = 5;

/// Redis's limit for its `embstr` encoding.
const EMBEDDED_BYTES: usize = 44;

/// What an entry says before its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// When it expires, in milliseconds since 1970.
    pub(super) deadline: Option<u64>,
    /// When or how often it was used: see [`Aging`](super::aging::Aging).
    pub(super) access: u32,
    pub(super) extras: Extras,
}

/// A value as it lies behind its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A string.
    Text(Text<'a>),
    /// The number of an object.
    Object(u32),
}

impl Value<'_> {
    fn encoding(&self) -> u8 {
        match self {
            Value::Text(Text::Int(_)) => INT,
            Value::Text(Text::Bytes(bytes)) if bytes.len() <= EMBEDDED_BYTES => EMBEDDED,
            Value::Text(Text::Bytes(_) | Text::Raw(_)) => RAW,
            Value::Object(_) => OBJECT,
        }
    }

    fn len(&self) -> usize {
        match self {
            Value::Text(Text::Int(_)) => 8,
            Value::Text(Text::Bytes(bytes) | Text::Raw(bytes)) => bytes.len(),
            Value::Object(_) => 4,
        }
    }

    fn write(&self, to: &mut [u8]) {
        match self {
            Value::Text(Text::Int(number)) => to.copy_from_slice(&number.to_le_bytes()),
            Value::Text(Text::Bytes(bytes) | Text::Raw(bytes)) => to.copy_from_slice(bytes),
            Value::Object(number) => to.copy_from_slice(&number.to_le_bytes()),
        }
    }
}

/// What a slot is to hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing<'a> {
    /// The key; its length fits 32 bits.
    pub(super) key: &'a [u8],
    pub(super) header: Header,
    pub(super) value: Value<'a>,
}

impl Packing<'_> {
    fn flags(&self) -> u8 {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let extras = &self.header.extras;
        self.value.encoding()
            | flag(self.key.len() > usize::from(u8::MAX), LONG_KEY)
            | flag(self.header.deadline.is_some(), EXPIRES)
            | flag(extras.version.is_some(), VERSIONED)
            | flag(extras.is_marked(), MARKED)
            | flag(extras.stamp.is_some(), STAMPED)
    }

    /// Number of bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        let flags = self.flags();
        let length = if flags & LONG_KEY == 0 { 1 } else { 4 };
        let before = KEY_LENGTH + length + usize::from(flags & EXPIRES) * 8;
        before + extras_len(flags) + self.key.len() + self.value.len()
    }

    /// Writes it to a slot that is as long as slots for entries of its length are.
    pub(super) fn write(&self, slot: &mut [u8]) {
        let flags = self.flags();
        let len = self.len();
        slot[0] = flags;
        slot[ACCESS..KEY_LENGTH].copy_from_slice(&self.header.access.to_le_bytes());
        let mut rest = &mut slot[KEY_LENGTH..];
        match self.key.len() {
            len if flags & LONG_KEY == 0 => put(&mut rest, &[len as u8]),
            len => put(&mut rest, &(len as u32).to_le_bytes()),
        }
        if let Some(deadline) = self.header.deadline {
            put(&mut rest, &deadline.to_le_bytes());
        }
        if flags & EXTRAS != 0 {
            put_extras(&mut rest, &self.header.extras);
        }
        put(&mut rest, self.key);
        self.value.write(&mut rest[..self.value.len()]);
        mark_slack(slot, len);
    }
}

fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (front, back) = std::mem::take(rest).split_at_mut(bytes.len());
    front.copy_from_slice(bytes);
    *rest = back;
}

fn put_extras(rest: &mut &mut [u8], extras: &Extras) {
    if let Some(version) = extras.version {
        put(rest, &version.to_le_bytes());
    }
    if extras.is_marked() {
        put(rest, &extras.marks.to_le_bytes());
        put(rest, &[extras.recache.to_byte()]);
    }
    if let Some(stamp) = extras.stamp {
        let mut bytes = [0; Stamp::BYTES];
        stamp.write(&mut bytes);
        put(rest, &bytes);
    }
}

/// Notes that an entry takes only the first `len` bytes of its slot.
fn mark_slack(slot: &mut [u8], len: usize) {
    let slack = slot.len() - len;
    if slack == 0 {
        slot[0] &= !SLACK;
    } else if let Some(last) = slot.last_mut() {
        *last = slack as u8;
        slot[0] |= SLACK;
    }
}

fn four(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    let mut array = [0; 8];
    array.copy_from_slice(bytes);
    array
}

/// One past the last byte of the entry in a slot.
#[inline]
fn end(slot: &[u8]) -> usize {
    match slot[0] & SLACK {
        0 => slot.len(),
        _ => slot.len() - usize::from(slot[slot.len() - 1]),
    }
}

/// First byte after the key's length.
#[inline]
fn deadline_place(slot: &[u8]) -> usize {
    KEY_LENGTH + if slot[0] & LONG_KEY == 0 { 1 } else { 4 }
}

fn extras_len(flags: u8) -> usize {
    let part = |flag: u8, len: usize| if flags & flag == 0 { 0 } else { len };
    part(VERSIONED, 8) + part(MARKED, 5) + part(STAMPED, Stamp::BYTES)
}

fn extras_place(slot: &[u8]) -> usize {
    deadline_place(slot) + usize::from(slot[0] & EXPIRES) * 8
}

fn stamp_place(slot: &[u8]) -> Option<usize> {
    let before = extras_len(slot[0] & (VERSIONED | MARKED));
    (slot[0] & STAMPED != 0).then(|| extras_place(slot) + before)
}

/// First byte of the key, and one past its last, which is the value's first.
#[inline]
fn key_place(slot: &[u8]) -> (usize, usize) {
    let flags = slot[0];
    if flags & (LONG_KEY | EXPIRES | EXTRAS) == 0 {
        let start = KEY_LENGTH + 1;
        return (start, start + usize::from(slot[KEY_LENGTH]));
    }
    let start = extras_place(slot) + extras_len(flags);
    let len = match flags & LONG_KEY {
        0 => usize::from(slot[KEY_LENGTH]),
        _ => u32::from_le_bytes(four(&slot[KEY_LENGTH..KEY_LENGTH + 4])) as usize,
    };
    (start, start + len)
}

/// The key of the entry in a slot.
#[inline]
pub(super) fn key(slot: &[u8]) -> &[u8] {
    let (start, end) = key_place(slot);
    &slot[start..end]
}

/// Its value.
#[inline]
pub(super) fn value(slot: &[u8]) -> Value<'_> {
    let bytes = &slot[key_place(slot).1..end(slot)];
    match slot[0] & ENCODING {
        INT => Value::Text(Text::Int(i64::from_le_bytes(eight(bytes)))),
        EMBEDDED => Value::Text(Text::Bytes(bytes)),
        RAW => Value::Text(Text::Raw(bytes)),
        _ => Value::Object(u32::from_le_bytes(four(bytes))),
    }
}

/// Redis's name for how a string is kept.
pub(super) fn encoding(slot: &[u8]) -> &'static str {
    match slot[0] & ENCODING {
        INT => "int",
        EMBEDDED => "embstr",
        _ => "raw",
    }
}

/// The number of the object that its value is, if it is one.
#[inline]
pub(super) fn object_number(slot: &[u8]) -> Option<u32> {
    match slot[0] & ENCODING {
        OBJECT => Some(u32::from_le_bytes(four(&slot[key_place(slot).1..]))),
        _ => None,
    }
}

/// Gives its object another number.
pub(super) fn set_object_number(slot: &mut [u8], number: u32) {
    let at = key_place(slot).1;
    slot[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// When it expires, in milliseconds since 1970.
#[inline]
pub(super) fn deadline(slot: &[u8]) -> Option<u64> {
    if slot[0] & EXPIRES == 0 {
        return None;
    }
    let at = deadline_place(slot);
    Some(u64::from_le_bytes(eight(&slot[at..at + 8])))
}

/// When or how often it was used.
#[inline]
pub(super) fn access(slot: &[u8]) -> u32 {
    u32::from_le_bytes(four(&slot[ACCESS..KEY_LENGTH]))
}

/// Notes when or how often it was used.
#[inline]
pub(super) fn set_access(slot: &mut [u8], access: u32) {
    slot[ACCESS..KEY_LENGTH].copy_from_slice(&access.to_le_bytes());
}

/// What is known of it beside its value and its deadline.
pub(super) fn extras(slot: &[u8]) -> Extras {
    let flags = slot[0];
    if flags & EXTRAS == 0 {
        return Extras::default();
    }
    let mut at = extras_place(slot);
    let mut extras = Extras::default();
    if flags & VERSIONED != 0 {
        extras.version = Some(u64::from_le_bytes(eight(&slot[at..at + 8])));
        at += 8;
    }
    if flags & MARKED != 0 {
        extras.marks = u32::from_le_bytes(four(&slot[at..at + 4]));
        extras.recache = Recache::from_byte(slot[at + 4]);
    }
    extras.stamp = stamp_place(slot).map(|at| Stamp::read(&slot[at..]));
    extras
}

/// All that it says before its key.
pub(super) fn header(slot: &[u8]) -> Header {
    Header {
        deadline: deadline(slot),
        access: access(slot),
        extras: extras(slot),
    }
}

/// Sets or clears the deadline, if that does not change the entry's length; whether it was done.
pub(super) fn set_deadline(slot: &mut [u8], new: Option<u64>) -> bool {
    match (deadline(slot), new) {
        (None, None) => true,
        (Some(_), Some(new)) => {
            let at = deadline_place(slot);
            slot[at..at + 8].copy_from_slice(&new.to_le_bytes());
            true
        }
        _ => false,
    }
}

/// Writes a string over the value of an entry that is a string, if all else that it has can stay
/// where it is; whether it was done. What is known of it beside stays as it is.
#[inline]
pub(super) fn overwrite(slot: &mut [u8], text: Text<'_>, deadline: Option<u64>) -> bool {
    let value = Value::Text(text);
    let (old, (_, start)) = (end(slot), key_place(slot));
    let is_object = slot[0] & ENCODING == OBJECT;
    if is_object || (slot[0] & EXPIRES != 0) != deadline.is_some() {
        return false;
    }
    let new = start + value.len();
    if new != old && Slabs::slot_len(new) != slot.len() {
        return false;
    }
    slot[0] = slot[0] & !ENCODING | value.encoding();
    if let Some(deadline) = deadline {
        let at = deadline_place(slot);
        slot[at..at + 8].copy_from_slice(&deadline.to_le_bytes());
    }
    value.write(&mut slot[start..new]);
    if new != old {
        mark_slack(slot, new);
    }
    true
}

/// Whether it has a version.
#[inline]
pub(super) fn has_version(slot: &[u8]) -> bool {
    slot[0] & VERSIONED != 0
}

/// Whether memcached's flags are kept with it, or a stamp.
#[inline]
pub(super) fn has_marks(slot: &[u8]) -> bool {
    slot[0] & (MARKED | STAMPED) != 0
}

/// The bytes of a string that was built piece by piece, if it is one and `len` or more.
pub(super) fn raw_mut(slot: &mut [u8], len: usize) -> Option<&mut [u8]> {
    let (start, end) = (key_place(slot).1, end(slot));
    let fits = slot[0] & ENCODING == RAW && end - start >= len;
    fits.then(|| &mut slot[start..end])
}

/// Notes a change of its value: a version is raised to what `version` gives, a stamp says when.
#[inline]
pub(super) fn renew(slot: &mut [u8], now: u64, version: impl FnOnce() -> u64) {
    if slot[0] & (VERSIONED | STAMPED) != 0 {
        renew_extras(slot, now, version);
    }
}

/// Notes a change of its deadline alone: a version is raised to what `version` gives.
pub(super) fn renew_version(slot: &mut [u8], version: impl FnOnce() -> u64) {
    if slot[0] & VERSIONED != 0 {
        let at = extras_place(slot);
        slot[at..at + 8].copy_from_slice(&version().to_le_bytes());
    }
}

#[cold]
fn renew_extras(slot: &mut [u8], now: u64, version: impl FnOnce() -> u64) {
    renew_version(slot, version);
    if let Some(at) = stamp_place(slot) {
        let mut stamp = Stamp::read(&slot[at..]);
        stamp.raise(now);
        stamp.write(&mut slot[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(key: &[u8], header: Header, value: Value<'_>) -> Vec<u8> {
        let packing = Packing { key, header, value };
        let mut slot = vec![0xaa; Slabs::slot_len(packing.len())];
        packing.write(&mut slot);
        slot
    }

    fn headers() -> Vec<Header> {
        let mut headers = Vec::new();
        for deadline in [None, Some(0), Some(u64::MAX)] {
            for version in [None, Some(7)] {
                for marks in [0, u32::MAX] {
                    for stamp in [None, Some(Stamp::default())] {
                        headers.push(Header {
                            deadline,
                            access: 0x0102_0304,
                            extras: Extras {
                                version,
                                marks,
                                recache: Recache {
                                    stale: marks == 0,
                                    awaited: version.is_some(),
                                },
                                stamp,
                            },
                        });
                    }
                }
            }
        }
        headers
    }

    #[test]
    fn entries_keep_all_that_they_are_given() {
        let (long_key, long) = (vec![b'k'; 300], vec![b'v'; 2048]);
        let mut values = vec![Value::Text(Text::Int(i64::MIN)), Value::Object(u32::MAX)];
        for len in (0..80).chain([300, 1_000, 2_048]) {
            values.push(Value::Text(Text::Raw(&long[..len])));
            if len <= EMBEDDED_BYTES {
                values.push(Value::Text(Text::Bytes(&long[..len])));
            }
        }
        for name in [&b""[..], b"k", b"\0\xff", &long_key, &long] {
            for expected in headers() {
                for wanted in &values {
                    let slot = packed(name, expected, *wanted);
                    assert_eq!(key(&slot), name);
                    assert_eq!(header(&slot), expected);
                    assert_eq!(value(&slot), *wanted);
                }
            }
        }
    }

    #[test]
    fn a_string_is_overwritten_where_it_fits_and_only_there() {
        let long = [b'v'; 90];
        for old in 0..90 {
            for new in 0..90 {
                for deadline in [None, Some(4)] {
                    let header = Header {
                        deadline: Some(3),
                        ..Header::default()
                    };
                    let mut slot = packed(b"key", header, Value::Text(Text::Raw(&long[..old])));
                    let before = slot.clone();
                    let text = Text::Raw(&long[..new]);
                    if overwrite(&mut slot, text, deadline) {
                        assert_eq!(value(&slot), Value::Text(text));
                        assert_eq!((key(&slot), self::deadline(&slot)), (&b"key"[..], deadline));
                        continue;
                    }
                    assert_eq!(slot, before);
                    let len = |bytes| KEY_LENGTH + 1 + 8 + 3 + bytes;
                    let other_slot = Slabs::slot_len(len(old)) != Slabs::slot_len(len(new));
                    assert!(deadline.is_none() || other_slot, "{old} {new}");
                }
            }
        }
    }

    #[test]
    fn an_object_has_a_number_that_can_change() {
        let mut slot = packed(b"key", Header::default(), Value::Object(7));
        assert_eq!(object_number(&slot), Some(7));
        set_object_number(&mut slot, 9);
        assert_eq!(value(&slot), Value::Object(9));
        assert!(!overwrite(&mut slot, Text::Int(1), None));
    }
}
