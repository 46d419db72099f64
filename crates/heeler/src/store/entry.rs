//! One key and what is kept under it. The memory layout is private to this file.
//!
//! A short string shares one allocation with its key:
//!
//! ```text
//! flags 1 │ last access 4 │ key length 1 or 4 │ deadline 8 │ extras 8, 5, 21 │ key │ value
//! ```
//!
//! Deadline and [`Extras`] are there as far as there are some; the flags tell. The value is 8 bytes
//! of a little-endian integer, or the bytes themselves. Everything else (long strings, collections)
//! is an [`Object`] in a box. Either way the entry is two words wide.

use super::extras::{Extras, Recache, Stamp};
use super::hashes::Hash;
use super::lists::List;
use super::sets::Set;
use super::sorted_set::SortedSet;
use crate::command::Blob;

/// Longest string that shares its key's allocation, in bytes. A longer one owns a buffer with room
/// to grow, so that a run of APPEND copies each byte a bounded number of times.
const PACKED_BYTES: usize = 2048;
/// Redis's limit for its `embstr` encoding.
const EMBEDDED_BYTES: usize = 44;

const EXPIRES: u8 = 1;
const LONG_KEY: u8 = 2;
const ENCODING: u8 = 0b1100;
const INT: u8 = 0b0000;
const EMBEDDED: u8 = 0b0100;
const RAW: u8 = 0b1000;
const VERSIONED: u8 = 16;
const MARKED: u8 = 32;
const STAMPED: u8 = 64;
const READ: u8 = 128;
const EXTRAS: u8 = VERSIONED | MARKED | STAMPED;

const ACCESS: usize = 1;
const KEY_LENGTH: usize = 5;

/// A key with its value, deadline and time of last access.
#[derive(Debug)]
pub(super) struct Entry(Repr);

#[derive(Debug)]
enum Repr {
    Packed(Box<[u8]>),
    Boxed(Box<Boxed>),
}

#[derive(Debug)]
struct Boxed {
    key: Box<[u8]>,
    deadline: Option<u64>,
    access: u32,
    was_read: bool,
    extras: Option<Box<Extras>>,
    object: Object,
}

/// What is too big or too rich to be packed beside its key.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// A string that outgrew its key's allocation.
    Text(Vec<u8>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    SortedSet(SortedSet),
}

impl Object {
    /// A string that owns its bytes; they are given back if they are so few that they are better
    /// kept beside their key.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Result<Object, Vec<u8>> {
        if bytes.len() > PACKED_BYTES {
            Ok(Object::Text(bytes))
        } else {
            Err(bytes)
        }
    }
}

/// The type of a value, as TYPE names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    List,
    Set,
    Hash,
    SortedSet,
}

impl Kind {
    /// Redis's name for the type.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Hash => "hash",
            Kind::SortedSet => "zset",
        }
    }
}

/// A string value as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text<'a> {
    /// A number in its shortest decimal form.
    Int(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
    /// Any bytes that were built piece by piece: Redis calls them `raw` however short they are.
    Raw(&'a [u8]),
}

impl<'a> Text<'a> {
    /// The stored form of a value that a client gave: a number where it is one.
    pub(super) fn from_value(value: &'a [u8]) -> Text<'a> {
        match super::numbers::integer(value) {
            Some(number) => Text::Int(number),
            None => Text::Bytes(value),
        }
    }

    /// The value's bytes; a number is written into `buffer`.
    pub(super) fn bytes<'b>(&self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Text::Int(number) => buffer.format(number).as_bytes(),
            Text::Bytes(bytes) | Text::Raw(bytes) => bytes,
        }
    }

    /// The value's bytes, copied for a reply.
    pub(super) fn to_blob(self) -> Blob {
        Blob::from_slice(self.bytes(&mut itoa::Buffer::new()))
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes(&mut itoa::Buffer::new()).len()
    }

    fn encoding(&self) -> u8 {
        match self {
            Text::Int(_) => INT,
            Text::Bytes(bytes) if bytes.len() <= EMBEDDED_BYTES => EMBEDDED,
            Text::Bytes(_) | Text::Raw(_) => RAW,
        }
    }

    fn stored_len(&self) -> usize {
        match self {
            Text::Int(_) => 8,
            Text::Bytes(bytes) | Text::Raw(bytes) => bytes.len(),
        }
    }
}

impl Entry {
    /// An entry that holds a string.
    pub(super) fn text(key: &[u8], text: Text<'_>, deadline: Option<u64>, now: u64) -> Entry {
        if text.stored_len() <= PACKED_BYTES && u32::try_from(key.len()).is_ok() {
            return Entry(Repr::Packed(pack(key, text, &Header::new(deadline, now))));
        }
        let bytes = text.bytes(&mut itoa::Buffer::new()).to_vec();
        Entry::object(key, Object::Text(bytes), deadline, now)
    }

    /// An entry that holds an object.
    pub(super) fn object(key: &[u8], object: Object, deadline: Option<u64>, now: u64) -> Entry {
        Entry(Repr::Boxed(Box::new(Boxed {
            key: key.into(),
            deadline,
            access: seconds(now),
            was_read: false,
            extras: None,
            object,
        })))
    }

    /// Its key.
    pub(super) fn key(&self) -> &[u8] {
        match &self.0 {
            Repr::Packed(packed) => {
                let (start, end) = key_place(packed);
                &packed[start..end]
            }
            Repr::Boxed(boxed) => &boxed.key,
        }
    }

    /// The type of its value.
    pub(super) fn kind(&self) -> Kind {
        match &self.0 {
            Repr::Packed(_) => Kind::String,
            Repr::Boxed(boxed) => match &boxed.object {
                Object::Text(_) => Kind::String,
                Object::List(_) => Kind::List,
                Object::Set(_) => Kind::Set,
                Object::Hash(_) => Kind::Hash,
                Object::SortedSet(_) => Kind::SortedSet,
            },
        }
    }

    /// The value if it is a string.
    pub(super) fn as_text(&self) -> Option<Text<'_>> {
        match &self.0 {
            Repr::Packed(packed) => {
                let (_, end) = key_place(packed);
                Some(packed_text(packed[0], &packed[end..]))
            }
            Repr::Boxed(_) => match self.as_object()? {
                Object::Text(bytes) => Some(Text::Raw(bytes)),
                _ => None,
            },
        }
    }

    /// The value if it is an object: never a packed string.
    pub(super) fn as_object(&self) -> Option<&Object> {
        match &self.0 {
            Repr::Packed(_) => None,
            Repr::Boxed(boxed) => Some(&boxed.object),
        }
    }

    /// The value if it is an object, to change.
    pub(super) fn as_object_mut(&mut self) -> Option<&mut Object> {
        match &mut self.0 {
            Repr::Packed(_) => None,
            Repr::Boxed(boxed) => Some(&mut boxed.object),
        }
    }

    /// Redis's name for how the value is kept, for OBJECT ENCODING.
    pub(super) fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Packed(packed) => match packed[0] & ENCODING {
                INT => "int",
                EMBEDDED => "embstr",
                _ => "raw",
            },
            Repr::Boxed(boxed) => match &boxed.object {
                Object::Text(_) => "raw",
                Object::List(list) => list.encoding(),
                Object::Set(set) => set.encoding(),
                Object::Hash(hash) => hash.encoding(),
                Object::SortedSet(set) => set.encoding(),
            },
        }
    }

    /// Bytes that it has allocated itself, those of an object's elements not included.
    pub(super) fn allocated(&self) -> usize {
        match &self.0 {
            Repr::Packed(packed) => packed.len(),
            Repr::Boxed(boxed) => size_of::<Boxed>() + boxed.key.len(),
        }
    }

    /// When it expires, in milliseconds since 1970.
    pub(super) fn deadline(&self) -> Option<u64> {
        match &self.0 {
            Repr::Packed(packed) => packed_deadline(packed),
            Repr::Boxed(boxed) => boxed.deadline,
        }
    }

    /// Whether its deadline has passed.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.deadline().is_some_and(|deadline| now > deadline)
    }

    /// Seconds since it was last read or written.
    pub(super) fn idle_seconds(&self, now: u64) -> u32 {
        let access = match &self.0 {
            Repr::Packed(packed) => u32::from_le_bytes(four(&packed[ACCESS..KEY_LENGTH])),
            Repr::Boxed(boxed) => boxed.access,
        };
        seconds(now).saturating_sub(access)
    }

    /// Notes that it is read or written now.
    pub(super) fn touch(&mut self, now: u64) {
        match &mut self.0 {
            Repr::Packed(packed) => {
                packed[ACCESS..KEY_LENGTH].copy_from_slice(&seconds(now).to_le_bytes());
            }
            Repr::Boxed(boxed) => boxed.access = seconds(now),
        }
    }

    /// Notes that its value is told to somebody now.
    pub(super) fn was_told(&mut self, now: u64) {
        match &mut self.0 {
            Repr::Packed(packed) => packed[0] |= READ,
            Repr::Boxed(boxed) => boxed.was_read = true,
        }
        self.touch(now);
    }

    /// Whether its value has been told since it was stored.
    pub(super) fn was_read(&self) -> bool {
        match &self.0 {
            Repr::Packed(packed) => packed[0] & READ != 0,
            Repr::Boxed(boxed) => boxed.was_read,
        }
    }

    /// Sets or clears the deadline.
    pub(super) fn set_deadline(&mut self, deadline: Option<u64>) {
        match &mut self.0 {
            Repr::Packed(packed) => match (packed_deadline(packed), deadline) {
                (None, None) => {}
                (Some(_), Some(deadline)) => {
                    let at = deadline_place(packed);
                    packed[at..at + 8].copy_from_slice(&deadline.to_le_bytes());
                }
                _ => {
                    let header = Header {
                        deadline,
                        ..Header::of(packed)
                    };
                    *packed = repack(packed, &header);
                }
            },
            Repr::Boxed(boxed) => boxed.deadline = deadline,
        }
    }

    /// Replaces the value, whatever its type was, by a string: in place where it fits.
    pub(super) fn set_text(&mut self, text: Text<'_>, deadline: Option<u64>, now: u64) {
        if let Repr::Packed(packed) = &mut self.0 {
            let (_, end) = key_place(packed);
            let fits = packed.len() - end == text.stored_len() && packed[0] & MARKED == 0;
            if fits && (packed[0] & EXPIRES != 0) == deadline.is_some() {
                overwrite(packed, text, deadline, now);
                if let Some(at) = stamp_place(packed) {
                    Stamp::read(&packed[at..])
                        .renewed()
                        .write(&mut packed[at..]);
                }
                return;
            }
        }
        let extras = self.extras().renewed();
        *self = Entry::text(self.key(), text, deadline, now);
        self.set_extras(extras);
    }

    /// Replaces a string by what became of it: whatever is known of it beside stays.
    pub(super) fn update_text(&mut self, text: Text<'_>, now: u64) {
        let deadline = self.deadline();
        if let Repr::Packed(packed) = &mut self.0 {
            let (_, end) = key_place(packed);
            if packed.len() - end == text.stored_len() {
                let read = packed[0] & READ;
                overwrite(packed, text, deadline, now);
                packed[0] |= read;
                return;
            }
        }
        let extras = self.extras();
        *self = Entry::text(self.key(), text, deadline, now);
        self.set_extras(extras);
    }

    /// Replaces the value, whatever its type was, by an object.
    pub(super) fn set_object(&mut self, object: Object, deadline: Option<u64>, now: u64) {
        let extras = self.extras().renewed();
        *self = Entry::object(self.key(), object, deadline, now);
        self.set_extras(extras);
    }

    /// What is known of it beside its value and its deadline.
    pub(super) fn extras(&self) -> Extras {
        match &self.0 {
            Repr::Packed(packed) => packed_extras(packed),
            Repr::Boxed(boxed) => boxed.extras.as_deref().copied().unwrap_or_default(),
        }
    }

    /// Replaces what is known of it.
    pub(super) fn set_extras(&mut self, extras: Extras) {
        match &mut self.0 {
            Repr::Packed(packed) => {
                let header = Header::of(packed);
                if header.extras != extras {
                    *packed = repack(packed, &Header { extras, ..header });
                }
            }
            Repr::Boxed(boxed) => {
                boxed.extras = (!extras.is_empty()).then(|| Box::new(extras));
            }
        }
    }

    /// Notes a change of its value: a version is raised to what `version` gives, a stamp says when.
    #[inline]
    pub(super) fn renew(&mut self, now: u64, version: impl FnOnce() -> u64) {
        match &mut self.0 {
            Repr::Packed(packed) => {
                if packed[0] & (VERSIONED | STAMPED) != 0 {
                    renew_packed(packed, now, version);
                }
            }
            Repr::Boxed(boxed) => {
                if let Some(extras) = &mut boxed.extras {
                    extras.renew(now, version);
                }
            }
        }
    }

    /// The bytes of a string, `len` or more of them: new ones are zero. From now on the value is
    /// one that was built piece by piece. `None` if it is no string.
    pub(super) fn grow(&mut self, len: usize) -> Option<&mut [u8]> {
        self.make_raw(len);
        match self.0 {
            Repr::Packed(ref mut packed) => {
                let (_, end) = key_place(packed);
                Some(&mut packed[end..])
            }
            Repr::Boxed(_) => match self.as_object_mut()? {
                Object::Text(bytes) => {
                    extend_zeroed(bytes, len);
                    Some(bytes)
                }
                _ => None,
            },
        }
    }

    /// Turns a packed string into the raw form with `len` or more bytes, packed if they fit.
    fn make_raw(&mut self, len: usize) {
        let Repr::Packed(packed) = &self.0 else {
            return;
        };
        let (start, end) = key_place(packed);
        if packed[0] & ENCODING == RAW && packed.len() - end >= len {
            return;
        }
        let mut buffer = itoa::Buffer::new();
        let old = packed_text(packed[0], &packed[end..]).bytes(&mut buffer);
        let mut bytes = Vec::with_capacity(len.max(old.len()));
        bytes.extend_from_slice(old);
        bytes.resize(len.max(old.len()), 0);
        let header = Header::of(packed);
        let key = &packed[start..end];
        self.0 = if bytes.len() <= PACKED_BYTES {
            Repr::Packed(pack(key, Text::Raw(&bytes), &header))
        } else {
            let Header {
                deadline,
                access,
                extras,
            } = header;
            Repr::Boxed(Box::new(Boxed {
                key: key.into(),
                deadline,
                access,
                was_read: false,
                extras: (!extras.is_empty()).then(|| Box::new(extras)),
                object: Object::Text(bytes),
            }))
        };
    }

    /// The same value and deadline under another key.
    pub(super) fn renamed(self, key: &[u8]) -> Entry {
        match self.0 {
            Repr::Packed(packed) => Entry::repacked(&packed, key),
            Repr::Boxed(mut boxed) => {
                boxed.key = key.into();
                Entry(Repr::Boxed(boxed))
            }
        }
    }

    /// A copy of the value and deadline under another key.
    pub(super) fn copied(&self, key: &[u8]) -> Entry {
        match &self.0 {
            Repr::Packed(packed) => Entry::repacked(packed, key),
            Repr::Boxed(boxed) => Entry(Repr::Boxed(Box::new(Boxed {
                key: key.into(),
                deadline: boxed.deadline,
                access: boxed.access,
                was_read: boxed.was_read,
                extras: boxed.extras.clone(),
                object: boxed.object.clone(),
            }))),
        }
    }

    fn repacked(packed: &[u8], key: &[u8]) -> Entry {
        let (_, end) = key_place(packed);
        let text = packed_text(packed[0], &packed[end..]);
        Entry(Repr::Packed(pack(key, text, &Header::of(packed))))
    }
}

/// What a packed string says before its key.
struct Header {
    deadline: Option<u64>,
    access: u32,
    extras: Extras,
}

impl Header {
    fn new(deadline: Option<u64>, now: u64) -> Header {
        Header {
            deadline,
            access: seconds(now),
            extras: Extras::default(),
        }
    }

    fn of(packed: &[u8]) -> Header {
        Header {
            deadline: packed_deadline(packed),
            access: u32::from_le_bytes(four(&packed[ACCESS..KEY_LENGTH])),
            extras: packed_extras(packed),
        }
    }
}

fn seconds(now: u64) -> u32 {
    (now / 1000) as u32
}

fn four(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    let mut array = [0; 8];
    array.copy_from_slice(bytes);
    array
}

/// First byte of the key, and one past its last, which is the value's first.
#[inline]
fn key_place(packed: &[u8]) -> (usize, usize) {
    let flags = packed[0];
    let mut start = deadline_place(packed) + usize::from(flags & EXPIRES) * 8;
    if flags & EXTRAS != 0 {
        start += extras_len(flags);
    }
    let len = if flags & LONG_KEY == 0 {
        usize::from(packed[KEY_LENGTH])
    } else {
        u32::from_le_bytes(four(&packed[KEY_LENGTH..KEY_LENGTH + 4])) as usize
    };
    (start, start + len)
}

/// First byte after the key's length.
fn deadline_place(packed: &[u8]) -> usize {
    KEY_LENGTH + if packed[0] & LONG_KEY == 0 { 1 } else { 4 }
}

fn extras_len(flags: u8) -> usize {
    let part = |flag: u8, len: usize| if flags & flag == 0 { 0 } else { len };
    part(VERSIONED, 8) + part(MARKED, 5) + part(STAMPED, Stamp::BYTES)
}

fn extras_place(packed: &[u8]) -> usize {
    deadline_place(packed) + usize::from(packed[0] & EXPIRES) * 8
}

fn stamp_place(packed: &[u8]) -> Option<usize> {
    let before = extras_len(packed[0] & (VERSIONED | MARKED));
    (packed[0] & STAMPED != 0).then(|| extras_place(packed) + before)
}

fn packed_extras(packed: &[u8]) -> Extras {
    let flags = packed[0];
    if flags & EXTRAS == 0 {
        return Extras::default();
    }
    let mut at = extras_place(packed);
    let mut extras = Extras::default();
    if flags & VERSIONED != 0 {
        extras.version = Some(u64::from_le_bytes(eight(&packed[at..at + 8])));
        at += 8;
    }
    if flags & MARKED != 0 {
        extras.marks = u32::from_le_bytes(four(&packed[at..at + 4]));
        extras.recache = Recache::from_byte(packed[at + 4]);
    }
    extras.stamp = stamp_place(packed).map(|at| Stamp::read(&packed[at..]));
    extras
}

#[cold]
fn renew_packed(packed: &mut [u8], now: u64, version: impl FnOnce() -> u64) {
    if packed[0] & VERSIONED != 0 {
        let at = extras_place(packed);
        packed[at..at + 8].copy_from_slice(&version().to_le_bytes());
    }
    if let Some(at) = stamp_place(packed) {
        let mut stamp = Stamp::read(&packed[at..]);
        stamp.raise(now);
        stamp.write(&mut packed[at..]);
    }
}

fn packed_deadline(packed: &[u8]) -> Option<u64> {
    if packed[0] & EXPIRES == 0 {
        return None;
    }
    let at = deadline_place(packed);
    Some(u64::from_le_bytes(eight(&packed[at..at + 8])))
}

fn packed_text(flags: u8, value: &[u8]) -> Text<'_> {
    match flags & ENCODING {
        INT => Text::Int(i64::from_le_bytes(eight(value))),
        EMBEDDED => Text::Bytes(value),
        _ => Text::Raw(value),
    }
}

/// The same key and value under another header.
fn repack(packed: &[u8], header: &Header) -> Box<[u8]> {
    let (start, end) = key_place(packed);
    let text = packed_text(packed[0], &packed[end..]);
    let mut again = pack(&packed[start..end], text, header);
    again[0] |= packed[0] & READ;
    again
}

/// Lays out a packed string. The key's length fits 32 bits.
fn pack(key: &[u8], text: Text<'_>, header: &Header) -> Box<[u8]> {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let Extras {
        version,
        marks,
        recache,
        stamp,
    } = header.extras;
    let is_marked = marks != 0 || recache != Recache::default();
    let flags = text.encoding()
        | flag(key.len() > usize::from(u8::MAX), LONG_KEY)
        | flag(header.deadline.is_some(), EXPIRES)
        | flag(version.is_some(), VERSIONED)
        | flag(is_marked, MARKED)
        | flag(stamp.is_some(), STAMPED);
    let length = if flags & LONG_KEY == 0 { 1 } else { 4 };
    let before_key = KEY_LENGTH + length + usize::from(flags & EXPIRES) * 8 + extras_len(flags);
    let mut packed = Vec::with_capacity(before_key + key.len() + text.stored_len());
    packed.push(flags);
    packed.extend_from_slice(&header.access.to_le_bytes());
    if flags & LONG_KEY == 0 {
        packed.push(key.len() as u8);
    } else {
        packed.extend_from_slice(&(key.len() as u32).to_le_bytes());
    }
    if let Some(deadline) = header.deadline {
        packed.extend_from_slice(&deadline.to_le_bytes());
    }
    if let Some(version) = version {
        packed.extend_from_slice(&version.to_le_bytes());
    }
    if is_marked {
        packed.extend_from_slice(&marks.to_le_bytes());
        packed.push(recache.to_byte());
    }
    if let Some(stamp) = stamp {
        let at = packed.len();
        packed.resize(at + Stamp::BYTES, 0);
        stamp.write(&mut packed[at..]);
    }
    packed.extend_from_slice(key);
    match text {
        Text::Int(number) => packed.extend_from_slice(&number.to_le_bytes()),
        Text::Bytes(bytes) | Text::Raw(bytes) => packed.extend_from_slice(bytes),
    }
    packed.into_boxed_slice()
}

/// Writes a string of the same stored length over a packed one that has a deadline, or has none,
/// just as the new one.
fn overwrite(packed: &mut [u8], text: Text<'_>, deadline: Option<u64>, now: u64) {
    packed[0] = packed[0] & !(ENCODING | READ) | text.encoding();
    packed[ACCESS..KEY_LENGTH].copy_from_slice(&seconds(now).to_le_bytes());
    let (_, end) = key_place(packed);
    if let Some(deadline) = deadline {
        let at = deadline_place(packed);
        packed[at..at + 8].copy_from_slice(&deadline.to_le_bytes());
    }
    match text {
        Text::Int(number) => packed[end..].copy_from_slice(&number.to_le_bytes()),
        Text::Bytes(bytes) | Text::Raw(bytes) => packed[end..].copy_from_slice(bytes),
    }
}

/// Makes `bytes` at least `len` long, with spare room so that steady growth costs a bounded number
/// of copies for each byte: twice the length while small, an eighth more when large.
fn extend_zeroed(bytes: &mut Vec<u8>, len: usize) {
    if len <= bytes.len() {
        return;
    }
    if len > bytes.capacity() {
        let spare = len.min((1 << 20).max(len / 8));
        bytes.reserve_exact(len + spare - bytes.len());
    }
    bytes.resize(len, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_words() {
        assert_eq!(size_of::<Entry>(), 16);
    }

    #[test]
    fn packed_strings_keep_key_value_deadline_and_encoding() {
        let long_key = vec![b'k'; 300];
        let long = vec![b'v'; 45];
        for key in [&b""[..], b"k", b"\0\xff", &long_key] {
            for (text, encoding) in [
                (Text::Int(i64::MIN), "int"),
                (Text::Bytes(b""), "embstr"),
                (Text::Bytes(&long[..44]), "embstr"),
                (Text::Raw(&long), "raw"),
                (Text::Raw(b"x"), "raw"),
            ] {
                let mut entry = Entry::text(key, text, None, 7_000);
                for deadline in [None, Some(5), Some(u64::MAX), None, Some(0)] {
                    entry.set_deadline(deadline);
                    assert_eq!(entry.key(), key);
                    assert_eq!(entry.as_text(), Some(text));
                    assert_eq!(entry.deadline(), deadline);
                    assert_eq!(entry.encoding(), encoding);
                    assert_eq!(entry.idle_seconds(9_999), 2);
                }
            }
        }
    }

    #[test]
    fn set_text_replaces_any_value_by_any_other() {
        let big = vec![b'b'; PACKED_BYTES + 1];
        let texts = [
            Text::Int(1),
            Text::Int(-9),
            Text::Bytes(b"12345678"),
            Text::Bytes(b""),
            Text::Raw(&big),
        ];
        for before in texts {
            for after in texts {
                for deadline in [None, Some(8)] {
                    let mut entry = Entry::text(b"key", before, Some(4), 0);
                    entry.set_text(after, deadline, 0);
                    assert_eq!(entry.key(), b"key");
                    assert_eq!(entry.as_text(), Some(after));
                    assert_eq!(entry.deadline(), deadline);
                }
            }
        }
    }

    #[test]
    fn growing_keeps_what_was_there_and_adds_zeros() {
        let mut entry = Entry::text(b"key", Text::Int(-12), Some(4), 0);
        for len in [0, 2, 5, PACKED_BYTES, PACKED_BYTES + 1, 3 << 20] {
            let bytes = entry.grow(len).unwrap();
            assert_eq!(bytes.len(), len.max(3));
            assert_eq!(&bytes[..3], b"-12");
            assert!(bytes[3..].iter().all(|b| *b == 0));
            assert_eq!(entry.encoding(), "raw");
            assert_eq!(entry.deadline(), Some(4));
        }
    }

    #[test]
    fn extras_are_kept_beside_any_value_and_deadline() {
        let big = vec![b'b'; PACKED_BYTES + 1];
        let stamp = Stamp {
            index: 7,
            is_json: true,
            created: 1,
            updated: u64::MAX,
        };
        let all = [None, Some(9)].into_iter().flat_map(|version| {
            let stamps = [None, Some(stamp)];
            stamps.map(|stamp| {
                [0, u32::MAX].map(|marks| Extras {
                    version,
                    marks,
                    recache: Recache {
                        stale: marks == 0,
                        awaited: version.is_some(),
                    },
                    stamp,
                })
            })
        });
        for extras in all.flatten() {
            for text in [Text::Int(1), Text::Bytes(b"value"), Text::Raw(&big)] {
                let mut entry = Entry::text(b"key", text, None, 0);
                entry.set_extras(extras);
                for deadline in [Some(5), None, Some(6)] {
                    entry.set_deadline(deadline);
                    assert_eq!(entry.extras(), extras);
                    assert_eq!(entry.deadline(), deadline);
                    assert_eq!(entry.key(), b"key");
                    assert_eq!(entry.as_text(), Some(text));
                }
                entry.update_text(Text::Bytes(b"longer than before"), 0);
                assert_eq!((entry.extras(), entry.deadline()), (extras, Some(6)));
                entry.set_text(Text::Int(3), None, 0);
                assert_eq!(entry.extras(), extras.renewed());
                assert_eq!(entry.as_text(), Some(Text::Int(3)));
                entry.renew(4, || 11);
                let mut renewed = extras.renewed();
                renewed.renew(4, || 11);
                assert_eq!(entry.extras(), renewed);
                assert_eq!(entry.renamed(b"another").extras(), renewed);
            }
        }
    }

    #[test]
    fn renaming_and_copying_keep_value_and_deadline() {
        let big = vec![b'b'; PACKED_BYTES + 1];
        for text in [Text::Int(1), Text::Bytes(b"v"), Text::Raw(&big)] {
            let entry = Entry::text(b"a", text, Some(4), 0);
            let copy = entry.copied(b"another");
            assert_eq!(copy.key(), b"another");
            assert_eq!(copy.as_text(), Some(text));
            let renamed = entry.renamed(b"b");
            assert_eq!((renamed.key(), renamed.deadline()), (&b"b"[..], Some(4)));
            assert_eq!(renamed.as_text(), Some(text));
        }
    }
}
