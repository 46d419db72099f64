//! Commands about lists.

use super::collection::{NOT_POSITIVE, index_range, positive};
use super::compact::element::Piece;
use super::encodings::Limits;
use super::errors::{Error, NO_SUCH_KEY, Outcome, SYNTAX, wrong_arguments};
use super::multi_pop::MultiPop;
use super::numbers;
pub(super) use super::quicklist::{End, List};
use super::slot::Slot;
use super::view::View;
use crate::command::{Blob, Command, Grouping, Reply, Strings};

impl List {
    /// The place of an index, which counts from the end if negative.
    fn place(&self, index: i64) -> Option<usize> {
        let index = if index < 0 {
            index.checked_add(self.len() as i64)?
        } else {
            index
        };
        usize::try_from(index).ok().filter(|i| *i < self.len())
    }
}

pub(super) fn lpush(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    push(view, command, End::Left)
}

pub(super) fn rpush(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    push(view, command, End::Right)
}

pub(super) fn lpushx(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    push_to_existing(view, command, End::Left)
}

pub(super) fn rpushx(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    push_to_existing(view, command, End::Right)
}

fn push_to_existing(view: &mut View<'_>, command: &Command<'_>, end: End) -> Outcome {
    if !view.slot(command.arg(1)).exists() {
        return Ok(Reply::Int(0));
    }
    push(view, command, end)
}

fn push(view: &mut View<'_>, command: &Command<'_>, end: End) -> Outcome {
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let list: &mut List = slot.collection_or_new()?;
    for element in command.args(2) {
        list.push(end, element, limits);
    }
    let len = list.len();
    slot.changed();
    Ok(Reply::Int(len as i64))
}

pub(super) fn lpop(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    pop(view, command, End::Left)
}

pub(super) fn rpop(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    pop(view, command, End::Right)
}

fn pop(view: &mut View<'_>, command: &Command<'_>, end: End) -> Outcome {
    let count = match command.len() {
        2 => None,
        3 => Some(positive(command.arg(2), NOT_POSITIVE)?),
        _ => return Err(wrong_arguments(command)),
    };
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.collection::<List>()? else {
        return Ok(if count.is_some() {
            Reply::NullArray
        } else {
            Reply::Null
        });
    };
    let Some(count) = count else {
        let popped = list.pop(end);
        slot.collection_changed();
        return Ok(element_reply(popped));
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(list.len());
    let popped: Vec<Reply> = (0..count)
        .filter_map(|_| list.pop(end))
        .map(Reply::Bulk)
        .collect();
    if count > 0 {
        slot.collection_changed();
    }
    Ok(Reply::Array(popped))
}

pub(super) fn lmpop(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let request = MultiPop::parse(command, 1, End::parse)?;
    pop_first(view, command, &request)
}

/// LMPOP from the first list that is there.
pub(super) fn pop_first(
    view: &mut View<'_>,
    command: &Command<'_>,
    request: &MultiPop<End>,
) -> Outcome {
    for key in command.args(request.first).take(request.keys) {
        let mut slot = view.slot(key);
        if let Some(popped) = slot.pop_elements(request.from, request.count)? {
            return Ok(Reply::Array(vec![Reply::bulk(key), Reply::Array(popped)]));
        }
    }
    Ok(Reply::NullArray)
}

impl Slot<'_, '_> {
    /// Takes so many elements at most from an end of the list that is there, if one is.
    pub(super) fn pop_elements(
        &mut self,
        end: End,
        count: usize,
    ) -> Result<Option<Vec<Reply>>, Error> {
        let Some(list) = self.collection::<List>()? else {
            return Ok(None);
        };
        let count = count.min(list.len());
        let popped = (0..count).filter_map(|_| list.pop(end)).map(Reply::Bulk);
        let popped = popped.collect();
        self.collection_changed();
        Ok(Some(popped))
    }
}

pub(super) fn llen(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let list: Option<&List> = slot.read_collection()?;
    Ok(Reply::Int(list.map_or(0, List::len) as i64))
}

pub(super) fn lrange(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let first = numbers::integer_argument(command.arg(2))?;
    let last = numbers::integer_argument(command.arg(3))?;
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.read_collection::<List>()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let range = index_range(first, last, list.len());
    let mut elements = Strings::new(Grouping::Array);
    list.visit(range, |element| element.add_to(&mut elements));
    Ok(Reply::Strings(elements))
}

pub(super) fn lindex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.read_collection::<List>()? else {
        return Ok(Reply::Null);
    };
    let place = list.place(numbers::integer_argument(command.arg(2))?);
    let element = place.and_then(|place| list.get(place));
    Ok(element.map_or(Reply::Null, Piece::reply))
}

pub(super) fn lset(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let list = slot.collection::<List>()?.ok_or(NO_SUCH_KEY)?;
    let place = list.place(numbers::integer_argument(command.arg(2))?);
    let place = place.ok_or("ERR index out of range")?;
    list.set(place, command.arg(3), limits);
    slot.collection_changed();
    Ok(Reply::OK)
}

pub(super) fn linsert(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let after = match command.arg(2) {
        w if w.eq_ignore_ascii_case(b"before") => 0,
        w if w.eq_ignore_ascii_case(b"after") => 1,
        _ => return Err(SYNTAX.into()),
    };
    let pivot = Piece::of(command.arg(3));
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.collection::<List>()? else {
        return Ok(Reply::Int(0));
    };
    let Some(place) = list.iter().position(|element| element == pivot) else {
        return Ok(Reply::Int(-1));
    };
    list.insert(place + after, command.arg(4), limits);
    let len = list.len();
    slot.collection_changed();
    Ok(Reply::Int(len as i64))
}

pub(super) fn lrem(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let count = numbers::integer_argument(command.arg(2))?;
    let from = if count < 0 { End::Right } else { End::Left };
    let most = match count {
        0 => usize::MAX,
        count => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
    };
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.collection::<List>()? else {
        return Ok(Reply::Int(0));
    };
    let removed = list.remove(command.arg(3), from, most);
    if removed > 0 {
        slot.collection_changed();
    }
    Ok(Reply::Int(removed as i64))
}

pub(super) fn ltrim(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let first = numbers::integer_argument(command.arg(2))?;
    let last = numbers::integer_argument(command.arg(3))?;
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.collection::<List>()? else {
        return Ok(Reply::OK);
    };
    let range = index_range(first, last, list.len());
    list.keep(range);
    slot.collection_changed();
    Ok(Reply::OK)
}

pub(super) fn lpos(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let options = Search::parse(command)?;
    let mut slot = view.slot(command.arg(1));
    let found = match slot.read_collection::<List>()? {
        Some(list) => options.run(list, command.arg(2)),
        None => Vec::new(),
    };
    Ok(match options.count {
        Some(_) => Reply::Array(found),
        None => found.into_iter().next().unwrap_or(Reply::Null),
    })
}

/// The options of LPOS.
struct Search {
    from: End,
    skipped: usize,
    count: Option<usize>,
    compared: usize,
}

impl Search {
    fn parse(command: &Command<'_>) -> Result<Search, Error> {
        const RANK: &str = "ERR RANK can't be zero: use 1 to start from the first match, 2 from \
                            the second ... or use negative to start from the end of the list";
        let mut found = Search {
            from: End::Left,
            skipped: 0,
            count: None,
            compared: usize::MAX,
        };
        let mut words = command.args(3);
        while let Some(word) = words.next() {
            let argument = words.next().ok_or(SYNTAX)?;
            if word.eq_ignore_ascii_case(b"rank") {
                let rank = numbers::integer_argument(argument)?;
                found.from = if rank < 0 { End::Right } else { End::Left };
                // Redis 7.0 negates the lowest number, which stays what it is: each match is late
                // enough for it.
                let skipped = match rank {
                    i64::MIN => 0,
                    rank => rank.unsigned_abs().checked_sub(1).ok_or(RANK)?,
                };
                found.skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
            } else if word.eq_ignore_ascii_case(b"count") {
                found.count = Some(unlimited(argument, "ERR COUNT can't be negative")?);
            } else if word.eq_ignore_ascii_case(b"maxlen") {
                found.compared = unlimited(argument, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(found)
    }

    /// The indices of the elements found.
    fn run(&self, list: &List, element: &[u8]) -> Vec<Reply> {
        let last = list.len().saturating_sub(1);
        match self.from {
            End::Left => self.matches(list.iter(), element, |i| i),
            End::Right => self.matches(list.iter().rev(), element, |i| last - i),
        }
    }

    fn matches<'l>(
        &self,
        elements: impl Iterator<Item = Piece<'l>>,
        element: &[u8],
        index: impl Fn(usize) -> usize,
    ) -> Vec<Reply> {
        let wanted = Piece::of(element);
        let elements = elements.take(self.compared).enumerate();
        elements
            .filter(|(_, found)| *found == wanted)
            .skip(self.skipped)
            .take(self.count.unwrap_or(1))
            .map(|(i, _)| Reply::Int(index(i) as i64))
            .collect()
    }
}

/// A number where zero stands for all.
fn unlimited(argument: &[u8], error: &'static str) -> Result<usize, Error> {
    Ok(match positive(argument, error)? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(usize::MAX),
    })
}

pub(super) fn rpoplpush(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    move_element(view, command, End::Right, End::Left)
}

pub(super) fn lmove(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let from = End::parse(command.arg(3))?;
    let to = End::parse(command.arg(4))?;
    move_element(view, command, from, to)
}

/// Moves an element from one list to another, or to the other end of the same.
pub(super) fn move_element(
    view: &mut View<'_>,
    command: &Command<'_>,
    from: End,
    to: End,
) -> Outcome {
    let (source, destination) = (command.arg(1), command.arg(2));
    if view.slot(source).collection::<List>()?.is_none() {
        return Ok(Reply::Null);
    }
    view.slot(destination).collection::<List>()?;
    let Some(element) = take(&mut view.slot(source), from, source == destination)? else {
        return Ok(Reply::Null);
    };
    let limits = Limits::of(view);
    let mut slot = view.slot(destination);
    slot.collection_or_new::<List>()?.push(to, &element, limits);
    slot.collection_changed();
    Ok(Reply::Bulk(element))
}

/// Takes an element. A list that gets it back at once is left to itself meanwhile, so that it is
/// not removed and keeps its deadline.
fn take(slot: &mut Slot<'_, '_>, end: End, comes_back: bool) -> Result<Option<Blob>, Error> {
    let element = slot.collection::<List>()?.and_then(|list| list.pop(end));
    if !comes_back {
        slot.collection_changed();
    }
    Ok(element)
}

fn element_reply(element: Option<Blob>) -> Reply {
    element.map_or(Reply::Null, Reply::Bulk)
}
