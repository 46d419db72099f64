//! One key and what is kept under it, as commands see it.
//!
//! A short string lies beside its key in a slot of the shard's slabs ([`packed`]); everything else
//! (long strings, collections) is an [`Object`].

use super::aging;
use super::allocation;
use super::extras::Extras;
use super::hashes::Hash;
use super::lists::List;
use super::objects::Objects;
use super::packed::{self, Header, Value};
use super::sets::Set;
use super::sorted_set::SortedSet;
use crate::command::Blob;

/// Longest string that lies beside its key, in bytes. A longer one owns a buffer with room to grow,
/// so that a run of APPEND copies each byte a bounded number of times.
const PACKED_BYTES: usize = 2048;

/// A key with its value, deadline and time of last access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    slot: &'a [u8],
    object: Option<&'a Object>,
}

impl<'a> Entry<'a> {
    /// The entry in a slot.
    #[inline]
    pub(super) fn new(slot: &'a [u8], objects: &'a Objects) -> Entry<'a> {
        let object = packed::object_number(slot).map(|number| objects.get(number));
        Entry { slot, object }
    }

    /// Its key.
    pub(super) fn key(&self) -> &'a [u8] {
        packed::key(self.slot)
    }

    /// The type of its value.
    pub(super) fn kind(&self) -> Kind {
        self.object.map_or(Kind::String, Object::kind)
    }

    /// The value if it is a string.
    pub(super) fn as_text(&self) -> Option<Text<'a>> {
        match (self.object, packed::value(self.slot)) {
            (Some(Object::Text(bytes)), _) => Some(Text::Raw(bytes)),
            (None, Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value if it is an object: never a string that lies beside its key.
    pub(super) fn as_object(&self) -> Option<&'a Object> {
        self.object
    }

    /// Redis's name for how the value is kept, for OBJECT ENCODING.
    pub(super) fn encoding(&self) -> &'static str {
        match self.object {
            Some(object) => object.encoding(),
            None => packed::encoding(self.slot),
        }
    }

    /// Bytes that it takes, those of its value included.
    pub(super) fn bytes(&self) -> usize {
        self.slot.len()
            + self
                .object
                .map_or(0, |o| size_of::<Object>() + o.allocated())
    }

    /// When it expires, in milliseconds since 1970.
    pub(super) fn deadline(&self) -> Option<u64> {
        packed::deadline(self.slot)
    }

    /// Whether its deadline has passed.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.deadline().is_some_and(|deadline| now > deadline)
    }

    /// When or how often it was used: see [`Aging`](aging::Aging).
    pub(super) fn access(&self) -> u32 {
        packed::access(self.slot)
    }

    /// Seconds since it was last read or written, where that is noted.
    pub(super) fn idle_seconds(&self, now: u64) -> u32 {
        aging::idle_seconds(self.access(), now)
    }

    /// What is known of it beside its value and its deadline.
    pub(super) fn extras(&self) -> Extras {
        packed::extras(self.slot)
    }

    /// A copy of all but the key.
    pub(super) fn to_owned(self) -> OwnedEntry {
        let value = match (self.object, packed::value(self.slot)) {
            (Some(object), _) => OwnedValue::Object(object.clone()),
            (None, value) => OwnedValue::of(value),
        };
        OwnedEntry {
            header: packed::header(self.slot),
            value,
        }
    }
}

/// All of an entry but its key, outside of a shard.
#[derive(Debug)]
pub(super) struct OwnedEntry {
    pub(super) header: Header,
    value: OwnedValue,
}

#[derive(Debug)]
enum OwnedValue {
    Int(i64),
    Bytes(Vec<u8>),
    Raw(Vec<u8>),
    Object(Object),
}

impl OwnedValue {
    fn of(value: Value<'_>) -> OwnedValue {
        match value {
            Value::Text(Text::Int(number)) => OwnedValue::Int(number),
            Value::Text(Text::Bytes(bytes)) => OwnedValue::Bytes(bytes.to_vec()),
            Value::Text(Text::Raw(bytes)) => OwnedValue::Raw(bytes.to_vec()),
            Value::Object(_) => OwnedValue::Raw(Vec::new()),
        }
    }
}

impl OwnedEntry {
    /// What was in a slot, with the object that it had.
    pub(super) fn new(slot: &[u8], object: Option<Object>) -> OwnedEntry {
        let value = match object {
            Some(object) => OwnedValue::Object(object),
            None => OwnedValue::of(packed::value(slot)),
        };
        OwnedEntry {
            header: packed::header(slot),
            value,
        }
    }

    /// Its value, to be stored again.
    pub(super) fn with_value<T>(self, store: impl FnOnce(New<'_>) -> T) -> T {
        match self.value {
            OwnedValue::Int(number) => store(New::Text(Text::Int(number))),
            OwnedValue::Bytes(bytes) => store(New::Text(Text::Bytes(&bytes))),
            OwnedValue::Raw(bytes) => store(New::Text(Text::Raw(&bytes))),
            OwnedValue::Object(object) => store(New::Object(object)),
        }
    }
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

    /// The type of the value.
    fn kind(&self) -> Kind {
        match self {
            Object::Text(_) => Kind::String,
            Object::List(_) => Kind::List,
            Object::Set(_) => Kind::Set,
            Object::Hash(_) => Kind::Hash,
            Object::SortedSet(_) => Kind::SortedSet,
        }
    }

    /// Redis's name for how the value is kept.
    fn encoding(&self) -> &'static str {
        match self {
            Object::Text(_) => "raw",
            Object::List(list) => list.encoding(),
            Object::Set(set) => set.encoding(),
            Object::Hash(hash) => hash.encoding(),
            Object::SortedSet(set) => set.encoding(),
        }
    }

    /// Bytes that it has allocated: known at once, however many elements it has.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        match self {
            Object::Text(bytes) => allocation::size(bytes.capacity()),
            Object::List(list) => list.allocated(),
            Object::Set(set) => set.allocated(),
            Object::Hash(hash) => hash.allocated(),
            Object::SortedSet(set) => set.allocated(),
        }
    }

    /// Whether it takes long to free, so that this is better not done under a lock.
    pub(super) fn is_heavy(&self) -> bool {
        const ELEMENTS: usize = 64;
        let elements = match self {
            Object::Text(bytes) => return bytes.capacity() > 64 * 1024,
            Object::List(list) => list.len(),
            Object::Set(set) => set.len(),
            Object::Hash(hash) => hash.len(),
            Object::SortedSet(set) => set.len(),
        };
        elements > ELEMENTS
    }

    /// The bytes of a string, `len` or more of them: new ones are zero. `None` if it is no string.
    pub(super) fn grow(&mut self, len: usize) -> Option<&mut [u8]> {
        let Object::Text(bytes) = self else {
            return None;
        };
        extend_zeroed(bytes, len);
        Some(bytes)
    }
}

/// A value that is to be stored.
#[derive(Debug)]
pub(super) enum New<'a> {
    /// A string that is kept beside its key.
    Text(Text<'a>),
    /// Anything else.
    Object(Object),
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

    /// What is to be stored: beside its key, or as an object of its own if it is long.
    #[inline]
    pub(super) fn to_store(self) -> New<'a> {
        match self {
            Text::Bytes(bytes) | Text::Raw(bytes) if bytes.len() > PACKED_BYTES => {
                New::Object(Object::Text(bytes.to_vec()))
            }
            text => New::Text(text),
        }
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
    fn a_long_string_grows_with_room_to_spare() {
        let mut object = Object::Text(vec![7; 10]);
        for len in [0, 20, 3 << 20] {
            let bytes = object.grow(len).unwrap();
            assert_eq!(bytes.len(), len.max(10));
            assert!(bytes[..10].iter().all(|b| *b == 7) && bytes[10..].iter().all(|b| *b == 0));
        }
        let Object::Text(bytes) = object else {
            panic!()
        };
        assert!(bytes.capacity() > bytes.len() + bytes.len() / 9);
    }

    #[test]
    fn only_long_strings_are_objects() {
        let long = vec![b'b'; PACKED_BYTES + 1];
        assert!(matches!(Text::Bytes(&long[1..]).to_store(), New::Text(_)));
        assert!(matches!(Text::Bytes(&long).to_store(), New::Object(_)));
        assert!(Object::from_bytes(long[1..].to_vec()).is_err());
        assert!(Object::from_bytes(long).is_ok());
    }
}
