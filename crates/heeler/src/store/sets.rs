//! Commands about sets.

use std::ops::Range;

use indexmap::IndexSet;

use super::collection::{
    Element, Hashing, NOT_POSITIVE, of_entry, outside, positive, room_to_shrink, symmetric,
    table_bytes,
};
use super::collection_scan::{Scan, no_elements};
use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::random::Random;
use super::view::View;
use crate::command::{Command, Reply};

/// Most members of a set of integers that Redis keeps in an intset.
const INTSET_MEMBERS: usize = 512;

/// A set of members.
#[derive(Clone, Debug)]
pub(super) struct Set {
    members: IndexSet<Element, Hashing>,
    /// Bytes that members have allocated.
    outside: usize,
    /// Whether Redis would still keep it in an intset: once it does not, it never does again.
    is_intset: bool,
}

impl Default for Set {
    fn default() -> Set {
        Set {
            members: IndexSet::default(),
            outside: 0,
            is_intset: true,
        }
    }
}

impl Set {
    /// Number of members.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// The members, each once.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.members.iter().map(|member| member.as_slice())
    }

    /// Whether this is a member.
    #[inline]
    pub(super) fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        if self.is_intset {
            "intset"
        } else {
            "hashtable"
        }
    }

    /// Adds a member; whether it was none before.
    #[inline]
    pub(super) fn add(&mut self, member: &[u8]) -> bool {
        let element = Element::from_slice(member);
        let bytes = outside(&element);
        let added = self.members.insert(element);
        self.outside += if added { bytes } else { 0 };
        if self.is_intset {
            let is_integer = numbers::integer(member).is_some();
            self.is_intset = is_integer && self.members.len() <= INTSET_MEMBERS;
        }
        added
    }

    /// Removes a member; whether it was one.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let removed = self.members.swap_take(member);
        self.outside -= removed.as_ref().map_or(0, outside);
        self.shrink();
        removed.is_some()
    }

    /// Bytes that it has allocated.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        table_bytes(self.members.capacity(), size_of::<Element>()) + self.outside
    }

    /// Takes a random member.
    fn pop(&mut self, random: &mut Random) -> Option<Element> {
        if self.members.is_empty() {
            return None;
        }
        let popped = self
            .members
            .swap_remove_index(random.below(self.members.len()));
        self.outside -= popped.as_ref().map_or(0, outside);
        self.shrink();
        popped
    }

    /// Makes an intset of it again if it could be one. Redis does when it moves the members that a
    /// large SPOP leaves to a new set.
    fn renew_encoding(&mut self) {
        self.is_intset =
            self.len() <= INTSET_MEMBERS && self.iter().all(|m| numbers::integer(m).is_some());
    }

    fn shrink(&mut self) {
        if let Some(room) = room_to_shrink(self.members.len(), self.members.capacity()) {
            self.members.shrink_to(room);
        }
    }
}

pub(super) fn sadd(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: &mut Set = slot.collection_or_new()?;
    let mut added = 0;
    for member in command.args(2) {
        added += i64::from(set.add(member));
    }
    if added > 0 {
        slot.collection_changed();
    }
    Ok(Reply::Int(added))
}

pub(super) fn srem(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.collection::<Set>()? else {
        return Ok(Reply::Int(0));
    };
    let removed = command.args(2).filter(|member| set.remove(member)).count();
    if removed > 0 {
        slot.collection_changed();
    }
    Ok(Reply::Int(removed as i64))
}

pub(super) fn scard(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    Ok(Reply::Int(set.map_or(0, Set::len) as i64))
}

pub(super) fn sismember(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    let contained = set.is_some_and(|set| set.contains(command.arg(2)));
    Ok(Reply::Int(i64::from(contained)))
}

pub(super) fn smismember(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    let contained = |member| Reply::Int(i64::from(set.is_some_and(|set| set.contains(member))));
    Ok(Reply::Array(command.args(2).map(contained).collect()))
}

pub(super) fn smembers(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    Ok(Reply::Set(
        set.into_iter()
            .flat_map(Set::iter)
            .map(Reply::bulk)
            .collect(),
    ))
}

pub(super) fn spop(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let count = match command.len() {
        2 => None,
        3 => Some(positive(command.arg(2), NOT_POSITIVE)?),
        _ => return Err(SYNTAX.into()),
    };
    let mut random = Random::new(view);
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.collection::<Set>()? else {
        return Ok(if count.is_some() {
            Reply::Set(Vec::new())
        } else {
            Reply::Null
        });
    };
    let Some(count) = count else {
        let popped = set.pop(&mut random).map_or(Reply::Null, Reply::bulk);
        slot.collection_changed();
        return Ok(popped);
    };
    let popped = pop_many(
        set,
        usize::try_from(count).unwrap_or(usize::MAX),
        &mut random,
    );
    if !popped.is_empty() {
        slot.collection_changed();
    }
    Ok(Reply::Set(popped))
}

fn pop_many(set: &mut Set, count: usize, random: &mut Random) -> Vec<Reply> {
    if count >= set.len() {
        return std::mem::take(set)
            .members
            .into_iter()
            .map(Reply::bulk)
            .collect();
    }
    let popped: Vec<Reply> = (0..count)
        .filter_map(|_| set.pop(random))
        .map(Reply::bulk)
        .collect();
    // Redis's own measure of when it moves what is left instead of what is popped.
    if count > 0 && set.len().saturating_mul(5) <= count {
        set.renew_encoding();
    }
    popped
}

pub(super) fn srandmember(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let count = match command.len() {
        2 => None,
        3 => Some(symmetric(command.arg(2))?),
        _ => return Err(SYNTAX.into()),
    };
    let mut random = Random::new(view);
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    let Some(set) = set else {
        return Ok(if count.is_some() {
            Reply::Array(Vec::new())
        } else {
            Reply::Null
        });
    };
    let member = |i| set.members.get_index(i).map_or(Reply::Null, Reply::bulk);
    let Some(count) = count else {
        return Ok(member(random.below(set.len())));
    };
    let indices = random.indices(count, set.len())?;
    Ok(Reply::Array(indices.into_iter().map(member).collect()))
}

pub(super) fn smove(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let (source, destination, member) = (command.arg(1), command.arg(2), command.arg(3));
    if view.slot(source).collection::<Set>()?.is_none() {
        return Ok(Reply::Int(0));
    }
    view.slot(destination).collection::<Set>()?;
    let mut slot = view.slot(source);
    let Some(set) = slot.collection::<Set>()? else {
        return Ok(Reply::Int(0));
    };
    if source == destination {
        return Ok(Reply::Int(i64::from(set.contains(member))));
    }
    if !set.remove(member) {
        return Ok(Reply::Int(0));
    }
    slot.collection_changed();
    let mut slot = view.slot(destination);
    if slot.collection_or_new::<Set>()?.add(member) {
        slot.collection_changed();
    }
    Ok(Reply::Int(1))
}

pub(super) fn sinter(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let sets = Operands::read(view, command, 1..command.len())?;
    Ok(members_reply(sets.intersection()))
}

pub(super) fn sunion(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let sets = Operands::read(view, command, 1..command.len())?;
    Ok(members_reply(sets.union()))
}

pub(super) fn sdiff(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let sets = Operands::read(view, command, 1..command.len())?;
    Ok(members_reply(sets.difference()))
}

pub(super) fn sinterstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let result = collect(Operands::read(view, command, 2..command.len())?.intersection());
    Ok(store(view, command, result))
}

pub(super) fn sunionstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let result = collect(Operands::read(view, command, 2..command.len())?.union());
    Ok(store(view, command, result))
}

pub(super) fn sdiffstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let result = collect(Operands::read(view, command, 2..command.len())?.difference());
    Ok(store(view, command, result))
}

pub(super) fn sintercard(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let count = positive(command.arg(1), "ERR numkeys should be greater than 0")?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count == 0 {
        return Err("ERR numkeys should be greater than 0".into());
    }
    if count > command.len() - 2 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let mut most = usize::MAX;
    let mut words = command.args(2 + count);
    while let Some(word) = words.next() {
        let argument = words.next().ok_or(SYNTAX)?;
        if !word.eq_ignore_ascii_case(b"limit") {
            return Err(SYNTAX.into());
        }
        most = match positive(argument, "ERR LIMIT can't be negative")? {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
    }
    let sets = Operands::read(view, command, 2..2 + count)?;
    Ok(Reply::Int(sets.intersection().take(most).count() as i64))
}

fn members_reply<'a>(members: impl Iterator<Item = &'a [u8]>) -> Reply {
    Reply::Set(members.map(Reply::bulk).collect())
}

fn collect<'a>(members: impl Iterator<Item = &'a [u8]>) -> Set {
    let mut set = Set::default();
    for member in members {
        set.add(member);
    }
    set
}

fn store(view: &mut View<'_>, command: &Command<'_>, result: Set) -> Reply {
    let len = result.len();
    view.slot(command.arg(1)).store_collection(result);
    Reply::Int(len as i64)
}

/// The sets that an operation combines, in the order of its keys; an absent key is an empty set.
struct Operands<'v>(Vec<Option<&'v Set>>);

impl<'v> Operands<'v> {
    /// Reads the sets under these arguments.
    fn read(
        view: &'v mut View<'_>,
        command: &Command<'_>,
        keys: Range<usize>,
    ) -> Result<Operands<'v>, Error> {
        for i in keys.clone() {
            view.slot(command.arg(i)).read_collection::<Set>()?;
        }
        let set = |i| view.peek(command.arg(i)).map(of_entry).transpose();
        Ok(Operands(keys.map(set).collect::<Result<_, Error>>()?))
    }

    /// What all sets have: each member of the smallest is looked up in the others.
    fn intersection(self) -> impl Iterator<Item = &'v [u8]> {
        let mut sets: Vec<&Set> = self.0.iter().copied().flatten().collect();
        if sets.len() < self.0.len() {
            sets.clear();
        }
        sets.sort_by_key(|set| set.len());
        let smallest = sets.first().copied();
        let members = smallest.into_iter().flat_map(Set::iter);
        members.filter(move |member| sets[1..].iter().all(|set| set.contains(member)))
    }

    fn union(self) -> impl Iterator<Item = &'v [u8]> {
        let sets = self.0.into_iter().flatten();
        let largest = sets.clone().map(Set::len).max().unwrap_or(0);
        let mut seen = IndexSet::with_capacity_and_hasher(largest, Hashing::default());
        seen.extend(sets.flat_map(Set::iter));
        seen.into_iter()
    }

    /// What the first set has and no other.
    fn difference(self) -> impl Iterator<Item = &'v [u8]> {
        let mut sets = self.0.into_iter();
        let first = sets.next().flatten();
        let mut others: Vec<&Set> = sets.flatten().collect();
        // A large set is more likely to have a member.
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        let members = first.into_iter().flat_map(Set::iter);
        members.filter(move |member| !others.iter().any(|set| set.contains(member)))
    }
}

pub(super) fn sscan(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let cursor = Scan::cursor(command)?;
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.read_collection::<Set>()? else {
        return Ok(no_elements());
    };
    let mut scan = Scan::parse(command, cursor, set.len(), set.is_intset)?;
    for i in scan.places() {
        if let Some(member) = set.members.get_index(i) {
            scan.visit(member, None);
        }
    }
    scan.reply()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: &[&str]) -> Set {
        collect(members.iter().map(|m| m.as_bytes()))
    }

    fn sorted<'a>(members: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
        let mut members: Vec<String> = members.map(|m| m.escape_ascii().to_string()).collect();
        members.sort();
        members
    }

    #[test]
    fn operations_combine_sets_as_sets_do() {
        let (abc, bcd, none) = (of(&["a", "b", "c"]), of(&["b", "c", "d"]), of(&[]));
        let operands = |sets: &[&'static str]| {
            let set = |name: &&str| match *name {
                "abc" => Some(&abc),
                "bcd" => Some(&bcd),
                "none" => Some(&none),
                _ => None,
            };
            Operands(sets.iter().map(set).collect())
        };
        for (sets, intersection, union, difference) in [
            (&["abc"][..], "abc", "abc", "abc"),
            (&["abc", "bcd"], "bc", "abcd", "a"),
            (&["bcd", "abc"], "bc", "abcd", "d"),
            (&["abc", "none"], "", "abc", "abc"),
            (&["abc", "absent"], "", "abc", "abc"),
            (&["absent", "abc"], "", "abc", ""),
            (&["abc", "abc"], "abc", "abc", ""),
            (&["absent"], "", "", ""),
        ] {
            assert_eq!(
                sorted(operands(sets).intersection()).concat(),
                intersection,
                "{sets:?}"
            );
            assert_eq!(sorted(operands(sets).union()).concat(), union, "{sets:?}");
            assert_eq!(
                sorted(operands(sets).difference()).concat(),
                difference,
                "{sets:?}"
            );
        }
    }

    #[test]
    fn a_set_is_an_intset_until_it_has_another_member_or_too_many() {
        let mut set = of(&["1", "-9223372036854775808"]);
        assert_eq!(set.encoding(), "intset");
        for other in ["a", "", "01", "9223372036854775808"] {
            let mut set = set.clone();
            assert!(set.add(other.as_bytes()));
            assert!(set.remove(other.as_bytes()));
            assert_eq!(set.encoding(), "hashtable", "{other:?}");
        }
        for i in 2..=INTSET_MEMBERS {
            assert_eq!(set.encoding(), "intset");
            set.add(i.to_string().as_bytes());
        }
        assert_eq!(set.encoding(), "hashtable");
    }

    #[test]
    fn an_emptied_set_gives_its_memory_back() {
        let mut set = Set::default();
        (0..10_000).for_each(|i| assert!(set.add(i.to_string().as_bytes())));
        (10..10_000).for_each(|i| assert!(set.remove(i.to_string().as_bytes())));
        assert!(set.members.capacity() < 200);
        assert_eq!(sorted(set.iter()).concat(), "0123456789");
    }
}
