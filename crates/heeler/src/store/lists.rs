//! Commands about lists.

use std::collections::VecDeque;

use super::allocation;
use super::collection::{
    Element, NOT_POSITIVE, index_range, outside, positive, room_to_shrink, symmetric,
};
use super::errors::{Error, NO_SUCH_KEY, Outcome, SYNTAX, wrong_arguments};
use super::multi_pop::MultiPop;
use super::numbers;
use super::slot::Slot;
use super::view::View;
use crate::command::{Command, Reply};

/// A list of elements with fast ends.
#[derive(Clone, Debug, Default)]
pub(super) struct List {
    elements: VecDeque<Element>,
    /// Bytes that the elements have allocated.
    outside: usize,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The head: index 0.
    Left,
    /// The tail.
    Right,
}

impl End {
    pub(super) fn parse(word: &[u8]) -> Result<End, Error> {
        match word {
            w if w.eq_ignore_ascii_case(b"left") => Ok(End::Left),
            w if w.eq_ignore_ascii_case(b"right") => Ok(End::Right),
            _ => Err(SYNTAX.into()),
        }
    }
}

impl List {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.elements.len()
    }

    /// The elements from head to tail.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.elements.iter().map(|element| element.as_slice())
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        "quicklist"
    }

    /// Adds an element at an end.
    #[inline]
    pub(super) fn push(&mut self, end: End, element: &[u8]) {
        let element = Element::from_slice(element);
        self.outside += outside(&element);
        match end {
            End::Left => self.elements.push_front(element),
            End::Right => self.elements.push_back(element),
        }
    }

    /// Takes the element at an end.
    #[inline]
    pub(super) fn pop(&mut self, end: End) -> Option<Element> {
        let element = match end {
            End::Left => self.elements.pop_front(),
            End::Right => self.elements.pop_back(),
        };
        self.outside -= element.as_ref().map_or(0, outside);
        self.shrink();
        element
    }

    /// Bytes that it has allocated.
    #[inline]
    pub(super) fn allocated(&self) -> usize {
        allocation::size(self.elements.capacity() * size_of::<Element>()) + self.outside
    }

    /// Puts another element in the place of one.
    fn replace(&mut self, place: usize, element: &[u8]) {
        let new = Element::from_slice(element);
        let old = &mut self.elements[place];
        self.outside = self.outside - outside(old) + outside(&new);
        *old = new;
    }

    /// Adds an element before the one at a place, or at the end.
    fn insert(&mut self, place: usize, element: &[u8]) {
        let new = Element::from_slice(element);
        self.outside += outside(&new);
        self.elements.insert(place, new);
    }

    /// Keeps these places alone.
    fn trim(&mut self, range: std::ops::Range<usize>) {
        let freed: usize = self.elements.range(range.end..).map(outside).sum();
        self.elements.truncate(range.end);
        let freed_first: usize = self
            .elements
            .drain(..range.start)
            .map(|e| outside(&e))
            .sum();
        self.outside -= freed + freed_first;
        self.shrink();
    }

    /// The place of an index, which counts from the end if negative.
    fn place(&self, index: i64) -> Option<usize> {
        let index = if index < 0 {
            index.checked_add(self.len() as i64)?
        } else {
            index
        };
        usize::try_from(index).ok().filter(|i| *i < self.len())
    }

    /// Removes elements that equal this one: so many from that end on.
    fn remove(&mut self, element: &[u8], from: End, most: usize) -> usize {
        let before = self.len();
        let equal = |(i, e): (usize, &Element)| (e.as_slice() == element).then_some(i);
        // The places from the first to the last that is removed.
        let mut places = self.elements.iter().enumerate().filter_map(equal);
        let affected = match from {
            End::Left => {
                let first = places.next();
                let last = first.into_iter().chain(places).take(most).last();
                first.zip(last)
            }
            End::Right => {
                let last = places.next_back();
                let first = last.into_iter().chain(places.rev()).take(most).last();
                first.zip(last)
            }
        };
        let Some((first, last)) = affected else {
            return 0;
        };
        let (mut place, mut freed) = (0, 0);
        self.elements.retain(|e| {
            let stays = place < first || place > last || e.as_slice() != element;
            place += 1;
            freed += if stays { 0 } else { outside(e) };
            stays
        });
        self.outside -= freed;
        self.shrink();
        before - self.len()
    }

    /// Gives back memory once most of it is not used.
    fn shrink(&mut self) {
        if let Some(room) = room_to_shrink(self.elements.len(), self.elements.capacity()) {
            self.elements.shrink_to(room);
        }
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
    let mut slot = view.slot(command.arg(1));
    let list: &mut List = slot.collection_or_new()?;
    for element in command.args(2) {
        list.push(end, element);
    }
    let len = list.len();
    slot.collection_changed();
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
        return Ok(element_reply(popped.as_ref()));
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(list.len());
    let popped: Vec<Reply> = (0..count)
        .filter_map(|_| list.pop(end))
        .map(Reply::bulk)
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
        let popped = (0..count).filter_map(|_| list.pop(end)).map(Reply::bulk);
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
    let Some(List { elements, .. }) = slot.read_collection()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let range = index_range(first, last, elements.len());
    Ok(Reply::Array(
        elements.range(range).map(Reply::bulk).collect(),
    ))
}

pub(super) fn lindex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.read_collection::<List>()? else {
        return Ok(Reply::Null);
    };
    let place = list.place(numbers::integer_argument(command.arg(2))?);
    Ok(element_reply(
        place.and_then(|place| list.elements.get(place)),
    ))
}

pub(super) fn lset(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let list = slot.collection::<List>()?.ok_or(NO_SUCH_KEY)?;
    let place = list.place(numbers::integer_argument(command.arg(2))?);
    let place = place.ok_or("ERR index out of range")?;
    list.replace(place, command.arg(3));
    slot.collection_changed();
    Ok(Reply::OK)
}

pub(super) fn linsert(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let after = match command.arg(2) {
        w if w.eq_ignore_ascii_case(b"before") => 0,
        w if w.eq_ignore_ascii_case(b"after") => 1,
        _ => return Err(SYNTAX.into()),
    };
    let pivot = command.arg(3);
    let mut slot = view.slot(command.arg(1));
    let Some(list) = slot.collection::<List>()? else {
        return Ok(Reply::Int(0));
    };
    let Some(place) = list.iter().position(|element| element == pivot) else {
        return Ok(Reply::Int(-1));
    };
    list.insert(place + after, command.arg(4));
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
    list.trim(range);
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
                let rank = symmetric(argument)?;
                found.from = if rank < 0 { End::Right } else { End::Left };
                let skipped = rank.unsigned_abs().checked_sub(1).ok_or(RANK)?;
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
        let index = |i: usize| if self.from == End::Left { i } else { last - i };
        (0..list.len())
            .take(self.compared)
            .map(index)
            .filter(|i| list.elements[*i].as_slice() == element)
            .skip(self.skipped)
            .take(self.count.unwrap_or(1))
            .map(|i| Reply::Int(i as i64))
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
    let mut slot = view.slot(destination);
    slot.collection_or_new::<List>()?.push(to, &element);
    slot.collection_changed();
    Ok(Reply::bulk(element))
}

/// Takes an element. A list that gets it back at once is left to itself meanwhile, so that it is
/// not removed and keeps its deadline.
fn take(slot: &mut Slot<'_, '_>, end: End, comes_back: bool) -> Result<Option<Element>, Error> {
    let element = slot.collection::<List>()?.and_then(|list| list.pop(end));
    if !comes_back {
        slot.collection_changed();
    }
    Ok(element)
}

fn element_reply(element: Option<&Element>) -> Reply {
    element.map_or(Reply::Null, Reply::bulk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_removed_from_the_end_asked_for() {
        for (from, most, left, removed) in [
            (End::Left, 1, "bacada", 1),
            (End::Left, 2, "bcada", 2),
            (End::Left, 9, "bcd", 4),
            (End::Right, 1, "abacad", 1),
            (End::Right, 2, "abacd", 2),
            (End::Right, 9, "bcd", 4),
        ] {
            let mut list = List::default();
            "abacada".bytes().for_each(|b| list.push(End::Right, &[b]));
            assert_eq!(list.remove(b"a", from, most), removed);
            assert_eq!(
                list.iter().flatten().copied().collect::<Vec<u8>>(),
                left.as_bytes()
            );
            assert_eq!(list.remove(b"x", from, most), 0);
        }
    }

    #[test]
    fn an_emptied_list_gives_its_memory_back() {
        let mut list = List::default();
        (0..100_000).for_each(|_| list.push(End::Left, b"x"));
        while list.len() > 10 {
            list.pop(End::Right);
        }
        assert!(list.elements.capacity() < 1_000);
    }
}
