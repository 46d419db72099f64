//! Commands about sets.

use std::ops::Range;

use indexmap::IndexSet;

use super::collection::{Hashing, NOT_POSITIVE, of_entry, positive, remove_each, symmetric};
use super::collection_scan::{Scan, no_elements};
use super::compact::element::{Code, Piece};
use super::compact::ints::Ints;
use super::compact::pages::Pages;
use super::compact::run::Run;
use super::encodings::Limits;
use super::errors::{Error, Outcome, SYNTAX};
use super::random::Random;
use super::view::View;
use crate::command::{Blob, Command, Grouping, Reply};

/// Members beyond which a set that is not one of integers is kept in a table.
const LOOSE_MEMBERS: usize = 32;
/// Bytes beyond which it is.
const LOOSE_BYTES: usize = 1024;

/// A set of members.
#[derive(Clone, Debug)]
pub(super) enum Set {
    /// Integers, as long as Redis keeps them in an intset: once it does not, it never does again.
    Ints(Ints),
    /// Any members, while there are few.
    Few(Run<1>),
    Table(Box<Pages<1>>),
}

impl Default for Set {
    fn default() -> Set {
        Set::Ints(Ints::default())
    }
}

impl Set {
    /// Number of members.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.len(),
            Set::Few(run) => run.len(),
            Set::Table(table) => table.len(),
        }
    }

    /// Bytes allocated.
    pub(super) fn allocated(&self) -> usize {
        match self {
            Set::Ints(ints) => ints.allocated(),
            Set::Few(run) => run.allocated(),
            Set::Table(table) => table.allocated(),
        }
    }

    /// The members, each once.
    pub(super) fn iter(&self) -> impl Iterator<Item = Piece<'_>> {
        let (ints, run, table) = match self {
            Set::Ints(ints) => (Some(ints), None, None),
            Set::Few(run) => (None, Some(run), None),
            Set::Table(table) => (None, None, Some(table)),
        };
        let ints = ints.into_iter().flat_map(Ints::iter).map(Piece::Int);
        let run = run.into_iter().flat_map(Run::records);
        let records = run.chain(table.into_iter().flat_map(|table| table.records()));
        ints.chain(records.map(|(member, _)| member))
    }

    /// The integers, if they are kept as such.
    pub(super) fn ints(&self) -> Option<&Ints> {
        match self {
            Set::Ints(ints) => Some(ints),
            _ => None,
        }
    }

    /// Whether this is a member.
    #[inline]
    pub(super) fn contains(&self, member: Piece<'_>) -> bool {
        match (self, member) {
            (Set::Ints(ints), Piece::Int(number)) => ints.contains(number),
            (Set::Ints(_), Piece::Bytes(_)) => false,
            (Set::Few(run), _) => run.find(&Code::of(member)).is_some(),
            (Set::Table(table), _) => table.get(member).is_some(),
        }
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        match self {
            Set::Ints(_) => "intset",
            Set::Few(_) | Set::Table(_) => "hashtable",
        }
    }

    /// Adds a member; whether it was none before.
    #[inline]
    pub(super) fn add(&mut self, member: Piece<'_>, limits: Limits<'_>) -> bool {
        match (&mut *self, member) {
            (Set::Ints(ints), Piece::Int(number)) => {
                let added = ints.insert(number);
                if added && ints.len() > limits.intset() {
                    self.leave_ints(limits);
                }
                added
            }
            (Set::Ints(_), Piece::Bytes(_)) => {
                self.leave_ints(limits);
                self.add(member, limits)
            }
            (Set::Few(run), _) => {
                let code = Code::of(member);
                if run.find(&code).is_some() {
                    return false;
                }
                run.insert(run.end(), &code.parts());
                if run.len() > LOOSE_MEMBERS || run.allocated() > LOOSE_BYTES {
                    let members = std::mem::take(run);
                    *self = Set::table(members.records().map(|(member, _)| member), limits);
                }
                true
            }
            (Set::Table(table), _) => table.set(member, None),
        }
    }

    fn table<'m>(members: impl Iterator<Item = Piece<'m>>, limits: Limits<'_>) -> Set {
        let mut table = Pages::new(limits.seed());
        for member in members {
            table.set(member, None);
        }
        Set::Table(Box::new(table))
    }

    #[cold]
    fn leave_ints(&mut self, limits: Limits<'_>) {
        let Set::Ints(ints) = &*self else {
            return;
        };
        *self = if ints.len() > LOOSE_MEMBERS {
            Set::table(ints.iter().map(Piece::Int), limits)
        } else {
            let mut run = Run::default();
            for number in ints.iter() {
                run.insert(run.end(), &Code::of(Piece::Int(number)).parts());
            }
            Set::Few(run)
        };
    }

    /// Removes a member; whether it was one.
    pub(super) fn remove(&mut self, member: Piece<'_>) -> bool {
        match (self, member) {
            (Set::Ints(ints), Piece::Int(number)) => ints.remove(number),
            (Set::Ints(_), Piece::Bytes(_)) => false,
            (Set::Few(run), _) => {
                let place = run.find(&Code::of(member));
                place.map(|place| run.remove(place)).is_some()
            }
            (Set::Table(table), _) => table.remove(member),
        }
    }

    /// Takes a random member.
    fn pop(&mut self, random: &mut Random) -> Option<Blob> {
        if self.len() == 0 {
            return None;
        }
        match self {
            Set::Ints(ints) => {
                let index = random.below(ints.len());
                let popped = Piece::Int(ints.get(index)).blob();
                ints.remove_at(index);
                Some(popped)
            }
            Set::Few(run) => {
                let place = run.nth(random.below(run.len()))?;
                let popped = run.at(place.clone()).0.blob();
                run.remove(place);
                Some(popped)
            }
            Set::Table(table) => table.pop(|bound| random.below(bound), |popped| popped.blob()),
        }
    }

    /// Random members, as [`Random::indices`] has it.
    fn choose(&self, random: &mut Random, count: i64) -> Result<Vec<Reply>, Error> {
        if let Set::Table(table) = self {
            let records = random.records(count, table)?.into_iter();
            return Ok(records.map(|(member, _)| member.reply()).collect());
        }
        let members: Vec<Piece<'_>> = self.iter().collect();
        let indices = random.indices(count, members.len())?.into_iter();
        Ok(indices.map(|index| members[index].reply()).collect())
    }

    /// Makes an intset of it again if it could be one. Redis does when it moves the members that a
    /// large SPOP leaves to a new set.
    fn renew_encoding(&mut self, limits: Limits<'_>) {
        *self = collect(self.iter(), limits);
    }
}

pub(super) fn sadd(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let set: &mut Set = slot.collection_or_new()?;
    let mut added = 0;
    for member in command.args(2) {
        added += i64::from(set.add(Piece::of(member), limits));
    }
    if added > 0 {
        slot.changed();
    }
    Ok(Reply::Int(added))
}

pub(super) fn srem(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    remove_each(view, command, |set: &mut Set, member| {
        set.remove(Piece::of(member))
    })
}

pub(super) fn scard(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    Ok(Reply::Int(set.map_or(0, Set::len) as i64))
}

pub(super) fn sismember(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    let contained = set.is_some_and(|set| set.contains(Piece::of(command.arg(2))));
    Ok(Reply::Int(i64::from(contained)))
}

pub(super) fn smismember(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    let contained = |member| Reply::Int(i64::from(set.is_some_and(|set| set.contains(member))));
    let members = command.args(2).map(Piece::of);
    Ok(Reply::Array(members.map(contained).collect()))
}

pub(super) fn smembers(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&Set> = slot.read_collection()?;
    Ok(members_reply(set.into_iter().flat_map(Set::iter)))
}

pub(super) fn spop(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let count = match command.len() {
        2 => None,
        3 => Some(positive(command.arg(2), NOT_POSITIVE)?),
        _ => return Err(SYNTAX.into()),
    };
    let (mut random, limits) = (Random::new(view), Limits::of(view));
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.collection::<Set>()? else {
        return Ok(if count.is_some() {
            Reply::Set(Vec::new())
        } else {
            Reply::Null
        });
    };
    let Some(count) = count else {
        let popped = set.pop(&mut random).map_or(Reply::Null, Reply::Bulk);
        slot.collection_changed();
        return Ok(popped);
    };
    let popped = pop_many(
        set,
        usize::try_from(count).unwrap_or(usize::MAX),
        &mut random,
        limits,
    );
    if !popped.is_empty() {
        slot.collection_changed();
    }
    Ok(Reply::Set(popped))
}

fn pop_many(set: &mut Set, count: usize, random: &mut Random, limits: Limits<'_>) -> Vec<Reply> {
    if count >= set.len() {
        let all = std::mem::take(set);
        return all.iter().map(Piece::reply).collect();
    }
    let popped: Vec<Reply> = (0..count)
        .filter_map(|_| set.pop(random))
        .map(Reply::Bulk)
        .collect();
    // Redis's own measure of when it moves what is left instead of what is popped.
    if count > 0 && set.len().saturating_mul(5) <= count {
        set.renew_encoding(limits);
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
    let chosen = set.choose(&mut random, count.unwrap_or(1))?;
    Ok(match count {
        Some(_) => Reply::Array(chosen),
        None => chosen.into_iter().next().unwrap_or(Reply::Null),
    })
}

pub(super) fn smove(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let (source, destination) = (command.arg(1), command.arg(2));
    let (member, limits) = (Piece::of(command.arg(3)), Limits::of(view));
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
    if slot.collection_or_new::<Set>()?.add(member, limits) {
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
    let limits = Limits::of(view);
    let sets = Operands::read(view, command, 2..command.len())?;
    let result = collect(sets.intersection(), limits);
    Ok(store(view, command, result))
}

pub(super) fn sunionstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let limits = Limits::of(view);
    let sets = Operands::read(view, command, 2..command.len())?;
    let result = collect(sets.union(), limits);
    Ok(store(view, command, result))
}

pub(super) fn sdiffstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let limits = Limits::of(view);
    let sets = Operands::read(view, command, 2..command.len())?;
    let result = collect(sets.difference(), limits);
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

fn members_reply<'a>(members: impl Iterator<Item = Piece<'a>>) -> Reply {
    Piece::replies(Grouping::Set, members)
}

fn collect<'a>(members: impl Iterator<Item = Piece<'a>>, limits: Limits<'_>) -> Set {
    let mut set = Set::default();
    for member in members {
        set.add(member, limits);
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
    fn intersection(self) -> impl Iterator<Item = Piece<'v>> {
        let mut sets: Vec<&Set> = self.0.iter().copied().flatten().collect();
        if sets.len() < self.0.len() {
            sets.clear();
        }
        sets.sort_by_key(|set| set.len());
        let smallest = sets.first().copied();
        let members = smallest.into_iter().flat_map(Set::iter);
        members.filter(move |member| sets[1..].iter().all(|set| set.contains(*member)))
    }

    fn union(self) -> impl Iterator<Item = Piece<'v>> {
        let sets = self.0.into_iter().flatten();
        let largest = sets.clone().map(Set::len).max().unwrap_or(0);
        let mut seen = IndexSet::with_capacity_and_hasher(largest, Hashing::default());
        seen.extend(sets.flat_map(Set::iter));
        seen.into_iter()
    }

    /// What the first set has and no other.
    fn difference(self) -> impl Iterator<Item = Piece<'v>> {
        let mut sets = self.0.into_iter();
        let first = sets.next().flatten();
        let mut others: Vec<&Set> = sets.flatten().collect();
        // A large set is more likely to have a member.
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        let members = first.into_iter().flat_map(Set::iter);
        members.filter(move |member| !others.iter().any(|set| set.contains(*member)))
    }
}

pub(super) fn sscan(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let cursor = Scan::cursor(command)?;
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.read_collection::<Set>()? else {
        return Ok(no_elements());
    };
    let mut scan = Scan::parse(command)?;
    let next = match set {
        Set::Table(table) => scan.visit_table(cursor, table, Blob::from_slice),
        set => {
            set.iter().for_each(|member| scan.visit(member, None));
            0
        }
    };
    scan.reply(next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(members: &[&str]) -> Set {
        collect(
            members.iter().map(|m| Piece::of(m.as_bytes())),
            Limits::default(),
        )
    }

    fn sorted<'a>(members: impl Iterator<Item = Piece<'a>>) -> Vec<String> {
        let text = |member: Piece<'_>| member.blob().escape_ascii().to_string();
        let mut members: Vec<String> = members.map(text).collect();
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
        let limits = Limits::default();
        let mut set = of(&["1", "-9223372036854775808"]);
        assert_eq!(set.encoding(), "intset");
        for other in ["a", "", "01", "9223372036854775808"] {
            let (mut set, other) = (set.clone(), Piece::of(other.as_bytes()));
            assert!(set.add(other, limits));
            assert!(set.remove(other));
            assert_eq!(set.encoding(), "hashtable", "{other:?}");
        }
        for i in 2..=512 {
            assert_eq!(set.encoding(), "intset");
            set.add(Piece::Int(i), limits);
        }
        assert_eq!(set.encoding(), "hashtable");
    }

    #[test]
    fn an_emptied_set_gives_its_memory_back() {
        let (mut set, limits) = (Set::default(), Limits::default());
        (0..10_000).for_each(|i| assert!(set.add(Piece::Int(i), limits)));
        assert!(set.allocated() < 10_000 * 9);
        (10..10_000).for_each(|i| assert!(set.remove(Piece::Int(i))));
        assert!(set.allocated() < 1_000, "{}", set.allocated());
        assert_eq!(sorted(set.iter()).concat(), "0123456789");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(i64, bool),
        Remove(i64, bool),
        Pop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let is_text = prop::bool::weighted(0.02);
        prop_oneof![
            20 => (0..900i64, is_text).prop_map(|(n, t)| Step::Add(n, t)),
            5 => (0..900i64, is_text).prop_map(|(n, t)| Step::Remove(n, t)),
            1 => (0..60usize).prop_map(Step::Pop),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_set_of_any_size(steps in prop::collection::vec(step(), 0..1_500)) {
            let (mut set, mut model) = (Set::default(), BTreeSet::new());
            let (mut random, limits) = (Random::of_seed(7), Limits::default());
            let word = |n: i64, is_text| if is_text { format!("m{n}") } else { n.to_string() };
            for step in steps {
                match step {
                    Step::Add(n, is_text) => {
                        let word = word(n, is_text);
                        let added = set.add(Piece::of(word.as_bytes()), limits);
                        assert_eq!(added, model.insert(word));
                    }
                    Step::Remove(n, is_text) => {
                        let word = word(n, is_text);
                        let removed = set.remove(Piece::of(word.as_bytes()));
                        assert_eq!(removed, model.remove(&word));
                    }
                    Step::Pop(times) => (0..times.min(model.len())).for_each(|_| {
                        let popped = set.pop(&mut random).unwrap();
                        assert!(model.remove(std::str::from_utf8(&popped).unwrap()));
                    }),
                }
                assert_eq!(set.len(), model.len());
            }
            assert_eq!(sorted(set.iter()), model.iter().cloned().collect::<Vec<_>>());
            assert!(model.iter().all(|word| set.contains(Piece::of(word.as_bytes()))));
            for count in [1, 5, 1_000] {
                let chosen = set.choose(&mut random, count).unwrap();
                let different: BTreeSet<String> = chosen.iter().map(|c| format!("{c:?}")).collect();
                assert_eq!(different.len(), model.len().min(count as usize));
            }
        }
    }
}
