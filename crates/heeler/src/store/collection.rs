//! What lists, sets, hashes and sorted sets have in common: their elements, and how a command gets
//! at the one that is under a key.

use std::ops::Range;

use smallvec::SmallVec;

use super::entry::{Entry, New, Object};
use super::errors::{Error, Outcome, WRONG_TYPE};
use super::hashes::Hash;
use super::numbers;
use super::quicklist::List;
use super::sets::Set;
use super::slot::Slot;
use super::sorted_set::SortedSet;
use super::view::View;
use crate::command::{Command, Reply};

/// An element that is read out of a collection, or that a ranking has: a short one needs no
/// allocation.
pub(super) type Element = SmallVec<[u8; 24]>;

/// How elements are hashed: seeded by the process, so that nobody outside can choose elements that
/// collide. No reply depends on it: the tables keep the order of insertion.
pub(super) type Hashing = foldhash::fast::RandomState;

/// A type of value that has elements.
pub(super) trait Collection: Default {
    /// The object as this type.
    fn of(object: &Object) -> Option<&Self>;
    /// The object as this type, to change.
    fn of_mut(object: &mut Object) -> Option<&mut Self>;
    /// As an object.
    fn into_object(self) -> Object;
    /// Whether it has no element.
    fn is_empty(&self) -> bool;
}

macro_rules! collections {
    ($($name:ident),*) => {
        $(impl Collection for $name {
            fn of(object: &Object) -> Option<&Self> {
                match object {
                    Object::$name(found) => Some(found),
                    _ => None,
                }
            }

            fn of_mut(object: &mut Object) -> Option<&mut Self> {
                match object {
                    Object::$name(found) => Some(found),
                    _ => None,
                }
            }

            fn into_object(self) -> Object {
                Object::$name(self)
            }

            fn is_empty(&self) -> bool {
                self.len() == 0
            }
        })*

        impl Object {
            fn is_empty_collection(&self) -> bool {
                match self {
                    Object::Text(_) => false,
                    $(Object::$name(collection) => collection.is_empty(),)*
                }
            }
        }
    };
}

collections!(List, Set, Hash, SortedSet);

/// The collection in an entry.
///
/// # Errors
/// `WRONGTYPE` if the entry holds another type.
pub(super) fn of_entry<C: Collection>(entry: Entry<'_>) -> Result<&C, Error> {
    entry
        .as_object()
        .and_then(C::of)
        .ok_or_else(|| WRONG_TYPE.into())
}

impl Slot<'_, '_> {
    /// The collection that is there, for a command that reads it.
    ///
    /// # Errors
    /// `WRONGTYPE` if another type of value is there; so do all of these.
    pub(super) fn read_collection<C: Collection>(&mut self) -> Result<Option<&C>, Error> {
        self.read().map(of_entry).transpose()
    }

    /// The collection that is there, to change: then call
    /// [`collection_changed`](Slot::collection_changed).
    pub(super) fn collection<C: Collection>(&mut self) -> Result<Option<&mut C>, Error> {
        if !self.exists() {
            return Ok(None);
        }
        match self.object_mut().and_then(C::of_mut) {
            Some(collection) => Ok(Some(collection)),
            None => Err(WRONG_TYPE.into()),
        }
    }

    /// The same; an empty one is put there if the key is absent. The caller adds an element and
    /// calls [`changed`](Slot::changed), or else [`collection_changed`](Slot::collection_changed).
    pub(super) fn collection_or_new<C: Collection>(&mut self) -> Result<&mut C, Error> {
        if !self.exists() {
            self.begin(New::Object(C::default().into_object()));
        }
        self.collection()?.ok_or_else(|| WRONG_TYPE.into())
    }

    /// Notes that the collection was changed; removes the key if no element is left.
    pub(super) fn collection_changed(&mut self) {
        match self.peek().and_then(|entry| entry.as_object()) {
            Some(object) if object.is_empty_collection() => {
                self.remove();
            }
            _ => self.changed(),
        }
    }

    /// Stores a collection without a deadline, whatever was there before. An empty one removes the
    /// key.
    pub(super) fn store_collection<C: Collection>(&mut self, collection: C) {
        if collection.is_empty() {
            self.remove();
        } else {
            self.set_object(collection.into_object(), None);
        }
    }
}

/// SREM, ZREM and HDEL: removes the elements that the command names, and replies how many of them
/// were there.
///
/// # Errors
/// `WRONGTYPE` if another type of value is there.
pub(super) fn remove_each<C: Collection>(
    view: &mut View<'_>,
    command: &Command<'_>,
    remove: impl Fn(&mut C, &[u8]) -> bool,
) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(collection) = slot.collection::<C>()? else {
        return Ok(Reply::Int(0));
    };
    let elements = command.args(2);
    let removed = elements
        .filter(|element| remove(collection, element))
        .count();
    if removed > 0 {
        slot.collection_changed();
    }
    Ok(Reply::Int(removed as i64))
}

/// The part of `len` elements from `first` to `last`, which is included: negative numbers count
/// from the end.
pub(super) fn index_range(first: i64, last: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_start = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
    let start = from_start(first).max(0);
    let end = from_start(last).min(len - 1) + 1;
    if start < end {
        start as usize..end as usize
    } else {
        0..0
    }
}

/// An argument that must be a number from 0 on.
///
/// # Errors
/// The text given, whatever is wrong.
pub(super) fn positive(bytes: &[u8], error: &'static str) -> Result<u64, Error> {
    let number = numbers::integer(bytes).and_then(|n| u64::try_from(n).ok());
    number.ok_or_else(|| error.into())
}

/// What Redis says of a count below zero.
pub(super) const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";

/// An argument that must be an integer, and not the lowest of all.
pub(super) fn symmetric(bytes: &[u8]) -> Result<i64, Error> {
    const OUT_OF_RANGE: &str = "ERR value is out of range, value must between \
                                -9223372036854775807 and 9223372036854775807";
    match numbers::integer_argument(bytes)? {
        i64::MIN => Err(OUT_OF_RANGE.into()),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_ranges_count_from_both_ends() {
        for (first, last, range) in [
            (0, -1, 0..5),
            (1, 3, 1..4),
            (-3, -2, 2..4),
            (0, 99, 0..5),
            (-99, 1, 0..2),
            (5, 9, 0..0),
            (3, 1, 0..0),
            (0, -6, 0..0),
            (-9, -7, 0..0),
            (i64::MIN, i64::MAX, 0..5),
            (i64::MAX, i64::MIN, 0..0),
        ] {
            assert_eq!(index_range(first, last, 5), range, "{first} {last}");
        }
        assert_eq!(index_range(0, -1, 0), 0..0);
    }
}
