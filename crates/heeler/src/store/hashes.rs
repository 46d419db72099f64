//! Commands about hashes.

use indexmap::IndexMap;

use super::collection::{Element, Hashing, LISTPACK_BYTES, outside, room_to_shrink, table_bytes};
use super::collection_scan::{Scan, no_elements};
use super::errors::{Error, NOT_A_FLOAT, NOT_FINITE, OVERFLOW, Outcome, wrong_arguments};
use super::long_double::LongDouble;
use super::numbers;
use super::random::{Chosen, Random};
use super::view::View;
use crate::command::{Command, Reply};

/// Most fields of a hash that Redis keeps in a listpack.
const LISTPACK_FIELDS: usize = 512;

/// Fields with their values.
#[derive(Clone, Debug)]
pub(super) struct Hash {
    fields: IndexMap<Element, Element, Hashing>,
    /// Bytes that fields and values have allocated.
    outside: usize,
    /// Whether Redis would still keep it in a listpack: once it does not, it never does again.
    is_listpack: bool,
}

impl Default for Hash {
    fn default() -> Hash {
        Hash {
            fields: IndexMap::default(),
            outside: 0,
            is_listpack: true,
        }
    }
}

impl Hash {
    /// Number of fields.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The fields with their values.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|(field, value)| (field.as_slice(), value.as_slice()))
    }

    /// The value of a field.
    #[inline]
    pub(super) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.fields.get(field).map(|value| value.as_slice())
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        if self.is_listpack {
            "listpack"
        } else {
            "hashtable"
        }
    }

    /// Sets a field; whether it is new.
    #[inline]
    pub(super) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        let new = match self.fields.get_mut(field) {
            Some(old) => {
                let value = Element::from_slice(value);
                self.outside = self.outside - outside(old) + outside(&value);
                *old = value;
                false
            }
            None => {
                let (field, value) = (Element::from_slice(field), Element::from_slice(value));
                self.outside += outside(&field) + outside(&value);
                self.fields.insert(field, value);
                true
            }
        };
        self.is_listpack &=
            field.len().max(value.len()) <= LISTPACK_BYTES && self.fields.len() <= LISTPACK_FIELDS;
        new
    }

    /// Removes a field; whether it was there.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let removed = if self.is_listpack {
            // A listpack keeps the order of insertion, which clients get to see.
            self.fields.shift_remove_entry(field)
        } else {
            self.fields.swap_remove_entry(field)
        };
        if let Some((field, value)) = &removed {
            self.outside -= outside(field) + outside(value);
        }
        if let Some(room) = room_to_shrink(self.fields.len(), self.fields.capacity()) {
            self.fields.shrink_to(room);
        }
        removed.is_some()
    }

    /// Bytes that it has allocated.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        table_bytes(self.fields.capacity(), 2 * size_of::<Element>()) + self.outside
    }
}

pub(super) fn hset(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    Ok(Reply::Int(set_fields(view, command)?))
}

pub(super) fn hmset(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_fields(view, command)?;
    Ok(Reply::OK)
}

/// Sets fields; returns how many are new.
fn set_fields(view: &mut View<'_>, command: &Command<'_>) -> Result<i64, Error> {
    if !command.len().is_multiple_of(2) {
        return Err(wrong_arguments(command));
    }
    let mut slot = view.slot(command.arg(1));
    let hash: &mut Hash = slot.collection_or_new()?;
    let mut new = 0;
    let mut words = command.args(2);
    while let (Some(field), Some(value)) = (words.next(), words.next()) {
        new += i64::from(hash.set(field, value));
    }
    slot.collection_changed();
    Ok(new)
}

pub(super) fn hsetnx(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let (field, value) = (command.arg(2), command.arg(3));
    let mut slot = view.slot(command.arg(1));
    let hash: &mut Hash = slot.collection_or_new()?;
    if hash.get(field).is_some() {
        return Ok(Reply::Int(0));
    }
    hash.set(field, value);
    slot.collection_changed();
    Ok(Reply::Int(1))
}

pub(super) fn hget(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    Ok(hash
        .and_then(|hash| hash.get(command.arg(2)))
        .map_or(Reply::Null, Reply::bulk))
}

pub(super) fn hmget(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let value = |field| {
        hash.and_then(|hash| hash.get(field))
            .map_or(Reply::Null, Reply::bulk)
    };
    Ok(Reply::Array(command.args(2).map(value).collect()))
}

pub(super) fn hgetall(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Reply::Map(
        fields
            .map(|(f, v)| (Reply::bulk(f), Reply::bulk(v)))
            .collect(),
    ))
}

pub(super) fn hkeys(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Reply::Array(
        fields.map(|(field, _)| Reply::bulk(field)).collect(),
    ))
}

pub(super) fn hvals(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Reply::Array(
        fields.map(|(_, value)| Reply::bulk(value)).collect(),
    ))
}

pub(super) fn hdel(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(hash) = slot.collection::<Hash>()? else {
        return Ok(Reply::Int(0));
    };
    let removed = command.args(2).filter(|field| hash.remove(field)).count();
    if removed > 0 {
        slot.collection_changed();
    }
    Ok(Reply::Int(removed as i64))
}

pub(super) fn hlen(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    Ok(Reply::Int(hash.map_or(0, Hash::len) as i64))
}

pub(super) fn hstrlen(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let value = hash.and_then(|hash| hash.get(command.arg(2)));
    Ok(Reply::Int(value.map_or(0, <[u8]>::len) as i64))
}

pub(super) fn hexists(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let exists = hash.is_some_and(|hash| hash.get(command.arg(2)).is_some());
    Ok(Reply::Int(i64::from(exists)))
}

pub(super) fn hincrby(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let field = command.arg(2);
    let by = numbers::integer_argument(command.arg(3))?;
    let mut slot = view.slot(command.arg(1));
    let hash = slot.collection::<Hash>()?;
    let old = match hash.and_then(|hash| hash.get(field)) {
        Some(old) => numbers::integer(old).ok_or("ERR hash value is not an integer")?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or(OVERFLOW)?;
    let mut digits = itoa::Buffer::new();
    slot.collection_or_new::<Hash>()?
        .set(field, digits.format(new).as_bytes());
    slot.collection_changed();
    Ok(Reply::Int(new))
}

pub(super) fn hincrbyfloat(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let field = command.arg(2);
    let by = LongDouble::parse(command.arg(3)).ok_or(NOT_A_FLOAT)?;
    let by = by.finite().ok_or("ERR value is NaN or Infinity")?;
    let mut slot = view.slot(command.arg(1));
    let hash = slot.collection::<Hash>()?;
    let old = match hash.and_then(|hash| hash.get(field)) {
        Some(old) => LongDouble::parse(old).ok_or("ERR hash value is not a float")?,
        None => LongDouble::ZERO,
    };
    let new = old.add(by).and_then(LongDouble::finite).ok_or(NOT_FINITE)?;
    let new = new.to_string();
    slot.collection_or_new::<Hash>()?.set(field, new.as_bytes());
    slot.collection_changed();
    Ok(Reply::bulk(new))
}

pub(super) fn hrandfield(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let chosen = Chosen::parse(command, b"withvalues")?;
    let mut random = Random::new(view);
    let mut slot = view.slot(command.arg(1));
    let Some(hash) = slot.read_collection::<Hash>()? else {
        return Ok(chosen.none());
    };
    chosen.reply(&mut random, hash.len(), |i| {
        match hash.fields.get_index(i) {
            Some((field, value)) => (Reply::bulk(field), Reply::bulk(value)),
            None => (Reply::Null, Reply::Null),
        }
    })
}

pub(super) fn hscan(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let cursor = Scan::cursor(command)?;
    let mut slot = view.slot(command.arg(1));
    let Some(hash) = slot.read_collection::<Hash>()? else {
        return Ok(no_elements());
    };
    let mut scan = Scan::parse(command, cursor, hash.len(), hash.is_listpack)?;
    for i in scan.places() {
        if let Some((field, value)) = hash.fields.get_index(i) {
            scan.visit(field, Some(value));
        }
    }
    scan.reply()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_a_listpack_until_it_has_too_long_a_word_or_too_many_fields() {
        let (short, long) = ([b's'; LISTPACK_BYTES], [b'l'; LISTPACK_BYTES + 1]);
        let mut hash = Hash::default();
        assert!(hash.set(&short, &short) && !hash.set(&short, b"v"));
        assert_eq!(hash.encoding(), "listpack");
        for (field, value) in [(&short[..], &long[..]), (&long, b"v")] {
            let mut hash = hash.clone();
            hash.set(field, value);
            assert_eq!(hash.get(field), Some(value));
            assert!(hash.remove(field));
            assert_eq!(hash.encoding(), "hashtable");
        }
        for i in 1..=LISTPACK_FIELDS {
            assert_eq!(hash.encoding(), "listpack");
            hash.set(i.to_string().as_bytes(), b"v");
        }
        assert_eq!(hash.encoding(), "hashtable");
    }
}
