//! MEMORY USAGE: about how many bytes a key and its value take.

use std::mem::size_of;

use super::collection::Element;
use super::entry::{Entry, Object};
use super::errors::{Error, Outcome, SYNTAX};
use super::numbers;
use super::ranking::Scored;
use super::view::View;
use crate::command::{Command, Reply};

/// Elements that are looked at where the command does not say.
const SAMPLES: usize = 5;
/// A bucket of the table of keys, with its share of the buckets that are free.
const BUCKET: usize = size_of::<Entry>() * 4 / 3 + 1;
/// What an index of elements takes for each of them, beside the element.
const INDEX: usize = 3 * size_of::<usize>();

pub(super) fn usage(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let samples = samples(command)?;
    let slot = view.slot(command.arg(2));
    let bytes = slot.peek().map(|entry| bytes_of(entry, samples));
    Ok(bytes.map_or(Reply::Null, |bytes| Reply::Int(bytes as i64)))
}

/// Bytes that a key and its value take, about.
pub(super) fn footprint(entry: &Entry) -> usize {
    bytes_of(entry, SAMPLES)
}

fn bytes_of(entry: &Entry, samples: usize) -> usize {
    BUCKET + entry.allocated() + held(entry, samples)
}

/// How many elements to look at; all for zero.
fn samples(command: &Command<'_>) -> Result<usize, Error> {
    let mut samples = SAMPLES;
    let mut words = command.args(3);
    while let Some(word) = words.next() {
        let argument = words.next().ok_or(SYNTAX)?;
        if !word.eq_ignore_ascii_case(b"samples") {
            return Err(SYNTAX.into());
        }
        let given = numbers::integer_argument(argument)?;
        samples = match usize::try_from(given).map_err(|_| SYNTAX)? {
            0 => usize::MAX,
            samples => samples,
        };
    }
    Ok(samples)
}

/// Bytes of a value outside of its entry, by the first of its elements.
fn held(entry: &Entry, samples: usize) -> usize {
    match entry.as_object() {
        None => 0,
        Some(Object::Text(bytes)) => bytes.capacity(),
        Some(Object::List(list)) => scaled(list.iter().map(of_element), list.len(), samples),
        Some(Object::Set(set)) => scaled(
            set.iter().map(|m| INDEX + of_element(m)),
            set.len(),
            samples,
        ),
        Some(Object::Hash(hash)) => {
            let each = |(f, v)| INDEX + of_element(f) + of_element(v);
            scaled(hash.iter().map(each), hash.len(), samples)
        }
        Some(Object::SortedSet(set)) => {
            // Each member is kept twice: by its name and by its rank.
            let each = |e: &Scored| INDEX + 2 * (of_element(&e.member) + size_of::<f64>());
            let elements = set.ranking().ascending(0..set.len());
            scaled(elements.map(each), set.len(), samples)
        }
    }
}

/// What the first of the elements take, for all of them.
fn scaled(sizes: impl Iterator<Item = usize>, len: usize, samples: usize) -> usize {
    let looked_at = samples.min(len);
    let sum: usize = sizes.take(looked_at).sum();
    match looked_at {
        0 => 0,
        _ => (sum as u128 * len as u128 / looked_at as u128) as usize,
    }
}

/// A short element lies in the collection itself.
fn of_element(bytes: &[u8]) -> usize {
    let outside = if bytes.len() > 24 { bytes.len() } else { 0 };
    size_of::<Element>() + outside
}
