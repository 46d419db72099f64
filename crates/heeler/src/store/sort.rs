//! SORT and SORT_RO.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::collection::{Collection, Element};
use super::compact::element::Piece;
use super::encodings::Limits;
use super::entry::Object;
use super::errors::{Error, Outcome, SYNTAX, WRONG_TYPE};
use super::hashes::Hash;
use super::lists::{End, List};
use super::numbers;
use super::scores::strtod;
use super::sorted_set::SortedSet;
use super::view::View;
use crate::command::{Blob, Command, Reply};

/// Whether a command reads keys that its arguments only describe.
pub(super) fn reads_other_keys(command: &Command<'_>) -> bool {
    let is_pattern = |word: &[u8]| word.contains(&b'*');
    Request::parse(command)
        .is_ok_and(|r| r.by.is_some_and(is_pattern) || r.get.iter().any(|word| is_pattern(word)))
}

pub(super) fn sort(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut request = Request::parse(command)?;
    let source = Source::read(view, command.arg(1))?;
    if request.keeps_order() && source.is_set && request.store.is_some() {
        // What is stored has an order that does not depend on how the set is kept.
        (request.by, request.alpha) = (None, true);
    }
    let range = request.range(source.elements.len());
    let elements = request.ordered(view, source)?;
    let mut values = Vec::new();
    for element in &elements[range] {
        request.values(view, element, &mut values);
    }
    let Some(key) = request.store else {
        let values = values.into_iter();
        return Ok(Reply::Array(
            values.map(|v| v.map_or(Reply::Null, Reply::Bulk)).collect(),
        ));
    };
    let (mut list, limits) = (List::default(), Limits::of(view));
    for value in &values {
        list.push(End::Right, value.as_deref().unwrap_or_default(), limits);
    }
    let len = list.len();
    view.slot(key).store_collection(list);
    Ok(Reply::Int(len as i64))
}

/// What SORT is asked for.
#[derive(Default)]
struct Request<'a> {
    descending: bool,
    alpha: bool,
    limit: Option<(i64, i64)>,
    by: Option<&'a [u8]>,
    get: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

/// The elements to sort.
struct Source {
    elements: Vec<Element>,
    is_set: bool,
}

/// What an element is sorted by.
enum Weight {
    Number(f64),
    Text(Option<Blob>),
}

impl<'a> Request<'a> {
    fn parse(command: &Command<'a>) -> Result<Request<'a>, Error> {
        let mut found = Request::default();
        let mut words = command.args(2);
        while let Some(word) = words.next() {
            let left = words.len();
            let is = |option: &[u8]| word.eq_ignore_ascii_case(option);
            let mut next = || words.next().unwrap_or_default();
            if is(b"asc") {
                found.descending = false;
            } else if is(b"desc") {
                found.descending = true;
            } else if is(b"alpha") {
                found.alpha = true;
            } else if is(b"limit") && left >= 2 {
                let first = numbers::integer_argument(next())?;
                found.limit = Some((first, numbers::integer_argument(next())?));
            } else if is(b"store") && left >= 1 && command.spec.is_write() {
                found.store = Some(next());
            } else if is(b"by") && left >= 1 {
                found.by = Some(next());
            } else if is(b"get") && left >= 1 {
                found.get.push(next());
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(found)
    }

    /// BY a word that names no other keys asks for the elements as they come.
    fn keeps_order(&self) -> bool {
        self.by.is_some_and(|by| !until_zero(by).contains(&b'*'))
    }

    /// The places of the sorted elements that are wanted.
    fn range(&self, len: usize) -> std::ops::Range<usize> {
        let (first, count) = self.limit.unwrap_or((0, -1));
        let start = usize::try_from(first).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(len).min(len);
        start..(start + count).min(len)
    }

    fn ordered(&self, view: &mut View<'_>, source: Source) -> Result<Vec<Element>, Error> {
        let mut elements = source.elements;
        if self.keeps_order() {
            if self.descending && !source.is_set {
                elements.reverse();
            }
            return Ok(elements);
        }
        let mut weighted = Vec::with_capacity(elements.len());
        for element in elements {
            weighted.push((self.weight(view, &element)?, element));
        }
        weighted.sort_by(|a, b| match self.descending {
            true => self.compare(b, a),
            false => self.compare(a, b),
        });
        Ok(weighted.into_iter().map(|(_, element)| element).collect())
    }

    fn weight(&self, view: &mut View<'_>, element: &[u8]) -> Result<Weight, Error> {
        let text = match self.by {
            Some(pattern) => look_up(view, pattern, element),
            None if self.alpha => return Ok(Weight::Text(None)),
            None => Some(Blob::from_slice(element)),
        };
        if self.alpha {
            return Ok(Weight::Text(text));
        }
        let number = text.map_or(Some(0.0), |text| strtod(&text));
        let number = number.filter(|n| !n.is_nan());
        Ok(Weight::Number(number.ok_or(
            "ERR One or more scores can't be converted into double",
        )?))
    }

    fn compare(&self, a: &(Weight, Element), b: &(Weight, Element)) -> Ordering {
        match (&a.0, &b.0) {
            (Weight::Number(x), Weight::Number(y)) => {
                let by_number = x.partial_cmp(y).unwrap_or(Ordering::Equal);
                by_number.then_with(|| a.1.cmp(&b.1))
            }
            (Weight::Text(x), Weight::Text(y)) if self.by.is_some() => match (x, y) {
                (Some(x), Some(y)) => self.compare_texts(x, y),
                _ => x.is_some().cmp(&y.is_some()),
            },
            _ => self.compare_texts(&a.1, &b.1),
        }
    }

    /// As C compares strings, up to a zero byte; what is stored is compared by all bytes.
    fn compare_texts(&self, a: &[u8], b: &[u8]) -> Ordering {
        match self.store {
            Some(_) => a.cmp(b),
            None => until_zero(a).cmp(until_zero(b)),
        }
    }

    /// What is returned of an element: itself, or what GET asks for.
    fn values(&self, view: &mut View<'_>, element: &[u8], out: &mut Vec<Option<Blob>>) {
        if self.get.is_empty() {
            out.push(Some(Blob::from_slice(element)));
        }
        for pattern in &self.get {
            out.push(look_up(view, pattern, element));
        }
    }
}

impl Source {
    /// The elements under a key, in their own order.
    fn read(view: &mut View<'_>, key: &[u8]) -> Result<Source, Error> {
        let limits = Limits::of(view);
        let mut slot = view.slot(key);
        let mut source = Source {
            elements: Vec::new(),
            is_set: false,
        };
        let Some(entry) = slot.read() else {
            return Ok(source);
        };
        let own = |piece: Piece<'_>| Element::from_slice(piece.bytes(&mut itoa::Buffer::new()));
        match entry.as_object() {
            Some(Object::List(list)) => source.elements = list.iter().map(own).collect(),
            Some(Object::Set(set)) => {
                source.elements = set.iter().map(own).collect();
                source.is_set = true;
            }
            Some(Object::SortedSet(set)) => {
                let all = set.ascending(0..set.len());
                source.elements = all.map(|(member, _)| own(member)).collect();
                // Redis changes how it keeps it here, and so what OBJECT ENCODING says.
                if let Some(set) = slot.collection::<SortedSet>()? {
                    set.leave_listpack(limits);
                }
            }
            _ => return Err(WRONG_TYPE.into()),
        }
        Ok(source)
    }
}

/// The value that a pattern leads to for an element: of the key, or of a field of the hash, that
/// has the element in the place of the `*`.
fn look_up(view: &mut View<'_>, pattern: &[u8], element: &[u8]) -> Option<Blob> {
    if pattern == b"#" {
        return Some(Blob::from_slice(element));
    }
    let star = until_zero(pattern).iter().position(|b| *b == b'*')?;
    let (head, tail) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = memchr::memmem::find(until_zero(tail), b"->");
    let arrow = arrow.filter(|at| tail.get(at + 2).is_some_and(|b| *b != 0));
    let (tail, field) = match arrow {
        Some(at) => (&tail[..at], Some(&tail[at + 2..])),
        None => (tail, None),
    };
    let key: Cow<'_, [u8]> = [head, element, tail].concat().into();
    let mut slot = view.slot(&key);
    let entry = slot.read()?;
    match field {
        None => entry.as_text().map(|text| text.to_blob()),
        Some(field) => {
            let hash = entry.as_object().and_then(Hash::of)?;
            hash.get(field).map(Piece::blob)
        }
    }
}

fn until_zero(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}
