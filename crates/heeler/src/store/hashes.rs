//! Commands about hashes.

use super::collection::remove_each;
use super::collection_scan::{Scan, no_elements};
use super::compact::element::{self, Code, Piece};
use super::compact::pages::Pages;
use super::compact::run::Run;
use super::encodings::Limits;
use super::errors::{Error, NOT_A_FLOAT, NOT_FINITE, OVERFLOW, Outcome, wrong_arguments};
use super::long_double::LongDouble;
use super::numbers;
use super::random::{Chosen, Random};
use super::view::View;
use crate::command::{Command, Grouping, Reply, Strings};

/// Fields beyond which a hash is kept in a table, if it is none that Redis keeps in a listpack.
const LOOSE_FIELDS: usize = 32;
/// Bytes beyond which it is.
const LOOSE_BYTES: usize = 2048;

/// Fields with their values.
#[derive(Clone, Debug)]
pub(super) enum Hash {
    /// What Redis keeps in a listpack: in the order of insertion, which clients get to see.
    Listpack(Run<2>),
    /// What Redis does not keep in one, because it was once too big, while there is little of it.
    Loose(Run<2>),
    Table(Box<Pages<2>>),
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::Listpack(Run::default())
    }
}

impl Hash {
    /// Number of fields.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Hash::Listpack(run) | Hash::Loose(run) => run.len(),
            Hash::Table(table) => table.len(),
        }
    }

    /// Bytes allocated.
    pub(super) fn allocated(&self) -> usize {
        match self {
            Hash::Listpack(run) | Hash::Loose(run) => run.allocated(),
            Hash::Table(table) => table.allocated(),
        }
    }

    /// The run, or else the table.
    fn parts(&self) -> (Option<&Run<2>>, Option<&Pages<2>>) {
        match self {
            Hash::Listpack(run) | Hash::Loose(run) => (Some(run), None),
            Hash::Table(table) => (None, Some(table)),
        }
    }

    /// The fields with their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Piece<'_>, Piece<'_>)> {
        let (run, table) = self.parts();
        let run = run.into_iter().flat_map(Run::records);
        let records = run.chain(table.into_iter().flat_map(Pages::records));
        records.map(|(field, value)| (field, element::read(value)))
    }

    /// The value of a field.
    #[inline]
    pub(super) fn get(&self, field: &[u8]) -> Option<Piece<'_>> {
        let field = Piece::of(field);
        let value = match self {
            Hash::Listpack(run) | Hash::Loose(run) => run.at(run.find(&Code::of(field))?).1,
            Hash::Table(table) => table.get(field)?,
        };
        Some(element::read(value))
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        match self {
            Hash::Listpack(_) => "listpack",
            Hash::Loose(_) | Hash::Table(_) => "hashtable",
        }
    }

    /// Sets a field; whether it is new.
    #[inline]
    pub(super) fn set(&mut self, field: &[u8], value: &[u8], limits: Limits<'_>) -> bool {
        self.admit(field.len().max(value.len()), limits);
        let (field, value) = (Piece::of(field), Code::of(Piece::of(value)));
        let run = match self {
            Hash::Listpack(run) | Hash::Loose(run) => run,
            Hash::Table(table) => return table.set(field, Some(&value)),
        };
        let new = set_in_run(run, field, &value);
        let (len, allocated) = (run.len(), run.allocated());
        match self {
            Hash::Listpack(_) if len > limits.hash_entries() => self.loosen(limits),
            Hash::Loose(_) if len > LOOSE_FIELDS || allocated > LOOSE_BYTES => {
                self.loosen(limits);
            }
            _ => {}
        }
        new
    }

    /// Redis keeps no hash in a listpack that has so long a word.
    pub(super) fn admit(&mut self, longest: usize, limits: Limits<'_>) {
        if longest > limits.hash_value() && matches!(self, Hash::Listpack(_)) {
            self.loosen(limits);
        }
    }

    /// Keeps it in another way than in a listpack.
    #[cold]
    fn loosen(&mut self, limits: Limits<'_>) {
        let (Hash::Listpack(run) | Hash::Loose(run)) = self else {
            return;
        };
        let run = std::mem::take(run);
        if run.len() <= LOOSE_FIELDS && run.allocated() <= LOOSE_BYTES {
            *self = Hash::Loose(run);
            return;
        }
        let mut table = Pages::new(limits.seed());
        for (field, value) in run.records() {
            table.set_raw(field, value);
        }
        *self = Hash::Table(Box::new(table));
    }

    /// Removes a field; whether it was there.
    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let field = Piece::of(field);
        match self {
            Hash::Listpack(run) | Hash::Loose(run) => {
                let place = run.find(&Code::of(field));
                place.map(|place| run.remove(place)).is_some()
            }
            Hash::Table(table) => table.remove(field),
        }
    }
}

/// Sets a field in a run; whether it is new.
#[inline]
fn set_in_run(run: &mut Run<2>, field: Piece<'_>, value: &Code<'_>) -> bool {
    let code = Code::of(field);
    let ([head, body], [value_head, value_body]) = (code.parts(), value.parts());
    let parts = [head, body, value_head, value_body];
    match run.find(&code) {
        Some(place) => {
            run.replace(place, &parts);
            false
        }
        None => {
            run.insert(run.end(), &parts);
            true
        }
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
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let hash: &mut Hash = slot.collection_or_new()?;
    let longest = command.args(2).map(<[u8]>::len).max();
    hash.admit(longest.unwrap_or(0), limits);
    let mut new = 0;
    let mut words = command.args(2);
    while let (Some(field), Some(value)) = (words.next(), words.next()) {
        new += i64::from(hash.set(field, value, limits));
    }
    slot.changed();
    Ok(new)
}

pub(super) fn hsetnx(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let (field, value) = (command.arg(2), command.arg(3));
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let hash: &mut Hash = slot.collection_or_new()?;
    if hash.get(field).is_some() {
        return Ok(Reply::Int(0));
    }
    hash.set(field, value, limits);
    slot.collection_changed();
    Ok(Reply::Int(1))
}

pub(super) fn hget(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    Ok(hash
        .and_then(|hash| hash.get(command.arg(2)))
        .map_or(Reply::Null, Piece::reply))
}

pub(super) fn hmget(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let mut values = Strings::expecting(Grouping::Array, command.len() - 2);
    for field in command.args(2) {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => value.add_to(&mut values),
            None => values.push_absent(),
        }
    }
    Ok(Reply::Strings(values))
}

pub(super) fn hgetall(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    let both = fields.flat_map(|(field, value)| [field, value]);
    Ok(Piece::replies(Grouping::Map, both))
}

pub(super) fn hkeys(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Piece::replies(
        Grouping::Array,
        fields.map(|(field, _)| field),
    ))
}

pub(super) fn hvals(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let hash: Option<&Hash> = slot.read_collection()?;
    let fields = hash.into_iter().flat_map(Hash::iter);
    Ok(Piece::replies(
        Grouping::Array,
        fields.map(|(_, value)| value),
    ))
}

pub(super) fn hdel(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    remove_each(view, command, Hash::remove)
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
    Ok(Reply::Int(value.map_or(0, Piece::len) as i64))
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
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let hash = slot.collection::<Hash>()?;
    let old = match hash.and_then(|hash| hash.get(field)) {
        Some(Piece::Int(old)) => old,
        Some(Piece::Bytes(_)) => return Err("ERR hash value is not an integer".into()),
        None => 0,
    };
    let new = old.checked_add(by).ok_or(OVERFLOW)?;
    let mut digits = itoa::Buffer::new();
    slot.collection_or_new::<Hash>()?
        .set(field, digits.format(new).as_bytes(), limits);
    slot.collection_changed();
    Ok(Reply::Int(new))
}

pub(super) fn hincrbyfloat(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let field = command.arg(2);
    let by = LongDouble::parse(command.arg(3)).ok_or(NOT_A_FLOAT)?;
    let by = by.finite().ok_or("ERR value is NaN or Infinity")?;
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let hash = slot.collection::<Hash>()?;
    let old = match hash.and_then(|hash| hash.get(field)) {
        Some(old) => {
            let mut digits = itoa::Buffer::new();
            LongDouble::parse(old.bytes(&mut digits)).ok_or("ERR hash value is not a float")?
        }
        None => LongDouble::ZERO,
    };
    let new = old.add(by).and_then(LongDouble::finite).ok_or(NOT_FINITE)?;
    let new = new.to_string();
    slot.collection_or_new::<Hash>()?
        .set(field, new.as_bytes(), limits);
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
    match hash.parts() {
        (_, Some(table)) => chosen.reply_of_table(&mut random, table, |(field, value)| {
            (field.reply(), element::read(value).reply())
        }),
        _ => {
            let pairs: Vec<(Piece<'_>, Piece<'_>)> = hash.iter().collect();
            chosen.reply(&mut random, pairs.len(), |i| {
                let (field, value) = pairs[i];
                (field.reply(), value.reply())
            })
        }
    }
}

pub(super) fn hscan(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let cursor = Scan::cursor(command)?;
    let mut slot = view.slot(command.arg(1));
    let Some(hash) = slot.read_collection::<Hash>()? else {
        return Ok(no_elements());
    };
    let mut scan = Scan::parse(command)?;
    let next = match hash.parts() {
        (_, Some(table)) => scan.visit_table(cursor, table, |value| element::read(value).blob()),
        _ => {
            hash.iter()
                .for_each(|(field, value)| scan.visit(field, Some(&value.blob())));
            0
        }
    };
    scan.reply(next)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::allocation;

    #[test]
    fn a_hash_is_a_listpack_until_it_has_too_long_a_word_or_too_many_fields() {
        let limits = Limits::default();
        let (short, long) = ([b's'; 64], [b'l'; 65]);
        let mut hash = Hash::default();
        assert!(hash.set(&short, &short, limits) && !hash.set(&short, b"v", limits));
        assert_eq!(hash.encoding(), "listpack");
        for (field, value) in [(&short[..], &long[..]), (&long, b"v")] {
            let mut hash = hash.clone();
            hash.set(field, value, limits);
            assert_eq!(hash.get(field), Some(Piece::of(value)));
            assert!(hash.remove(field));
            assert_eq!(hash.encoding(), "hashtable");
        }
        for i in 1..=512 {
            assert_eq!(hash.encoding(), "listpack");
            hash.set(i.to_string().as_bytes(), b"v", limits);
        }
        assert_eq!(hash.encoding(), "hashtable");
    }

    #[test]
    fn a_small_hash_is_one_allocation_of_little_more_than_its_bytes() {
        let limits = Limits::default();
        let mut hash = Hash::default();
        for (field, value) in [("name", "Anna"), ("age", "33"), ("city", "Bern")] {
            hash.set(field.as_bytes(), value.as_bytes(), limits);
        }
        // A byte for the length of each word, one for the number, two for the number of fields.
        let bytes = "nameAnnaagecityBern".len() + 5 + 1 + 2;
        assert_eq!(hash.allocated(), allocation::size(bytes));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, usize),
        Remove(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = prop_oneof![20 => 0..30usize, 1 => 60..70usize, 1 => 500..600usize];
        prop_oneof![
            4 => (0..700u32, length).prop_map(|(k, l)| Step::Set(k, l)),
            1 => (0..700u32).prop_map(Step::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn it_is_a_map_of_any_size(steps in prop::collection::vec(step(), 0..1_000)) {
            let (mut hash, mut model) = (Hash::default(), HashMap::new());
            let (mut was_long, mut was_large) = (false, false);
            for step in steps {
                match step {
                    Step::Set(k, length) => {
                        let (field, value) = (k.to_string(), "v".repeat(length));
                        let new = hash.set(field.as_bytes(), value.as_bytes(), Limits::default());
                        assert_eq!(new, model.insert(field, value).is_none());
                        was_long |= length > 64;
                        was_large |= model.len() > 512;
                    }
                    Step::Remove(k) => {
                        let removed = hash.remove(k.to_string().as_bytes());
                        assert_eq!(removed, model.remove(&k.to_string()).is_some());
                    }
                }
                assert_eq!(hash.len(), model.len());
            }
            assert_eq!(hash.encoding() == "listpack", !was_long && !was_large);
            let text = |piece: Piece<'_>| String::from_utf8(piece.blob().to_vec()).unwrap();
            let found: HashMap<_, _> = hash.iter().map(|(f, v)| (text(f), text(v))).collect();
            assert_eq!(found, model);
            for (field, value) in &model {
                assert_eq!(hash.get(field.as_bytes()).map(text).as_ref(), Some(value));
            }
        }
    }
}
