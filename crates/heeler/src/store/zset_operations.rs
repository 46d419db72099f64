//! ZUNION, ZINTER, ZDIFF and their kin: what several sets and sorted sets have together.

use indexmap::IndexMap;

use super::collection::{Hashing, positive};
use super::compact::element::Piece;
use super::encodings::Limits;
use super::entry::{Entry, Object};
use super::errors::{Error, Outcome, SYNTAX, WRONG_TYPE, name};
use super::numbers;
use super::scores::score;
use super::sets::Set;
use super::sorted_set::{SortedSet, order};
use super::view::View;
use crate::command::{Command, Grouping, Reply};

pub(super) fn zunion(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    answer(view, command, Operation::Union)
}

pub(super) fn zinter(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    answer(view, command, Operation::Intersection)
}

pub(super) fn zdiff(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    answer(view, command, Operation::Difference)
}

pub(super) fn zunionstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    store(view, command, Operation::Union)
}

pub(super) fn zinterstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    store(view, command, Operation::Intersection)
}

pub(super) fn zdiffstore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    store(view, command, Operation::Difference)
}

pub(super) fn zintercard(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let request = Request::parse(view, command, Operation::Intersection, Form::Count)?;
    let operands = Operands::peek(view, command, &request);
    let most = request.limit;
    Ok(Reply::Int(operands.common().take(most).count() as i64))
}

/// How the members of the result are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Reply,
    Stored,
    Count,
}

/// How the scores of a member in several sets become one.
#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Result<Aggregate, Error> {
        match word {
            w if w.eq_ignore_ascii_case(b"sum") => Ok(Aggregate::Sum),
            w if w.eq_ignore_ascii_case(b"min") => Ok(Aggregate::Min),
            w if w.eq_ignore_ascii_case(b"max") => Ok(Aggregate::Max),
            _ => Err(SYNTAX.into()),
        }
    }

    /// Infinities of both signs add up to zero.
    fn of(self, first: f64, second: f64) -> f64 {
        match self {
            Aggregate::Sum => not_nan(first + second),
            Aggregate::Min if second < first => second,
            Aggregate::Max if second > first => second,
            Aggregate::Min | Aggregate::Max => first,
        }
    }
}

/// Infinity times zero, and infinities that cancel each other, are zero.
fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// The arguments of one of these commands.
struct Request {
    /// Where the first key stands.
    first: usize,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

impl Request {
    /// Reads the arguments; the types of the keys are checked before the options are, as in Redis.
    fn parse(
        view: &mut View<'_>,
        command: &Command<'_>,
        operation: Operation,
        form: Form,
    ) -> Result<Request, Error> {
        let at = if form == Form::Stored { 2 } else { 1 };
        let count = numbers::integer_argument(command.arg(at))?;
        if count < 1 {
            let name = name(command);
            return Err(format!("ERR at least 1 input key is needed for '{name}' command").into());
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > command.len() - at - 1 {
            return Err(SYNTAX.into());
        }
        let mut request = Request {
            first: at + 1,
            weights: vec![1.0; count],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        };
        for key in command.args(at + 1).take(count) {
            let mut slot = view.slot(key);
            slot.read().map(Operand::of_entry).transpose()?;
        }
        request.options(command, operation, form)?;
        Ok(request)
    }

    fn options(
        &mut self,
        command: &Command<'_>,
        operation: Operation,
        form: Form,
    ) -> Result<(), Error> {
        let combines = operation != Operation::Difference && form != Form::Count;
        let mut words = command.args(self.first + self.weights.len());
        while let Some(word) = words.next() {
            let left = words.len();
            let is = |option: &[u8]| word.eq_ignore_ascii_case(option);
            if combines && left >= self.weights.len() && is(b"weights") {
                for (weight, word) in self.weights.iter_mut().zip(&mut words) {
                    *weight = score(word).map_err(|_| "ERR weight value is not a float")?;
                }
            } else if combines && left >= 1 && is(b"aggregate") {
                self.aggregate = Aggregate::parse(words.next().unwrap_or_default())?;
            } else if form == Form::Reply && is(b"withscores") {
                self.with_scores = true;
            } else if form == Form::Count && left >= 1 && is(b"limit") {
                let limit = words.next().unwrap_or_default();
                self.limit = match positive(limit, "ERR LIMIT can't be negative")? {
                    0 => usize::MAX,
                    limit => usize::try_from(limit).unwrap_or(usize::MAX),
                };
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(())
    }
}

fn answer(view: &mut View<'_>, command: &Command<'_>, operation: Operation) -> Outcome {
    let request = Request::parse(view, command, operation, Form::Reply)?;
    let operands = Operands::peek(view, command, &request);
    let mut result = operands.run(operation, request.aggregate);
    result.sort_unstable_by(|a, b| order(*a, *b));
    let elements = result.into_iter();
    Ok(match request.with_scores {
        true => Reply::Pairs(
            elements
                .map(|(member, score)| (member.reply(), Reply::Double(score)))
                .collect(),
        ),
        false => Piece::replies(Grouping::Array, elements.map(|(member, _)| member)),
    })
}

fn store(view: &mut View<'_>, command: &Command<'_>, operation: Operation) -> Outcome {
    let request = Request::parse(view, command, operation, Form::Stored)?;
    let (mut result, limits) = (SortedSet::default(), Limits::of(view));
    let elements = Operands::peek(view, command, &request).run(operation, request.aggregate);
    let is_short = |(member, _): &(Piece<'_>, f64)| member.len() <= limits.zset_value();
    if elements.len() > limits.zset_entries() || !elements.iter().all(is_short) {
        // Where it is no listpack in the end, it has never been one, and zeros keep their signs.
        result.leave_listpack(limits);
    }
    for (member, score) in elements {
        result.set(member, score, limits);
    }
    let len = result.len();
    view.slot(command.arg(1)).store_collection(result);
    Ok(Reply::Int(len as i64))
}

/// A set whose members all have the score 1, or a sorted set.
#[derive(Clone, Copy)]
enum Operand<'v> {
    Set(&'v Set),
    Sorted(&'v SortedSet),
}

impl<'v> Operand<'v> {
    fn of_entry(entry: Entry<'v>) -> Result<Operand<'v>, Error> {
        match entry.as_object() {
            Some(Object::Set(set)) => Ok(Operand::Set(set)),
            Some(Object::SortedSet(set)) => Ok(Operand::Sorted(set)),
            _ => Err(WRONG_TYPE.into()),
        }
    }

    fn len(self) -> usize {
        match self {
            Operand::Set(set) => set.len(),
            Operand::Sorted(set) => set.len(),
        }
    }

    fn score(self, member: Piece<'_>) -> Option<f64> {
        match self {
            Operand::Set(set) => set.contains(member).then_some(1.0),
            Operand::Sorted(set) => set.score(member),
        }
    }

    fn iter(self) -> impl Iterator<Item = (Piece<'v>, f64)> {
        let (set, sorted) = match self {
            Operand::Set(set) => (Some(set), None),
            Operand::Sorted(set) => (None, Some(set)),
        };
        let members = set.into_iter().flat_map(Set::iter).map(|m| (m, 1.0));
        let all = |set: &'v SortedSet| set.ascending(0..set.len());
        members.chain(sorted.into_iter().flat_map(all))
    }
}

/// The operands with their weights; `None` is an absent key.
struct Operands<'v>(Vec<(Option<Operand<'v>>, f64)>);

impl<'v> Operands<'v> {
    /// The operands of a request whose keys have been read.
    fn peek(view: &'v View<'_>, command: &Command<'_>, request: &Request) -> Operands<'v> {
        let operand = |key| view.peek(key).and_then(|e| Operand::of_entry(e).ok());
        let keys = command.args(request.first).zip(&request.weights);
        Operands(keys.map(|(key, weight)| (operand(key), *weight)).collect())
    }

    fn run(self, operation: Operation, aggregate: Aggregate) -> Vec<(Piece<'v>, f64)> {
        match operation {
            Operation::Union => self.union(aggregate),
            Operation::Intersection => self.intersection(aggregate),
            Operation::Difference => self.difference(),
        }
    }

    /// The operands that are there, the smallest first; none if one is absent.
    fn by_size(self) -> Vec<(Operand<'v>, f64)> {
        let there = |(operand, weight): (Option<_>, _)| Some((operand?, weight));
        let all: Option<Vec<(Operand<'v>, f64)>> = self.0.into_iter().map(there).collect();
        let mut all = all.unwrap_or_default();
        all.sort_by_key(|(operand, _)| operand.len());
        all
    }

    /// The members that all have: each member of the smallest is looked up in the others.
    fn common(self) -> impl Iterator<Item = Piece<'v>> {
        let all = self.by_size();
        let smallest = all.first().copied();
        let members = smallest.into_iter().flat_map(|(operand, _)| operand.iter());
        let in_all = move |m: Piece<'_>| all[1..].iter().all(|(other, _)| other.score(m).is_some());
        members.map(|(m, _)| m).filter(move |m| in_all(*m))
    }

    fn intersection(self, aggregate: Aggregate) -> Vec<(Piece<'v>, f64)> {
        let all = self.by_size();
        let Some((smallest, weight)) = all.first() else {
            return Vec::new();
        };
        let combined = |(member, score): (Piece<'v>, f64)| {
            let mut sum = not_nan(weight * score);
            for (other, weight) in &all[1..] {
                sum = aggregate.of(sum, other.score(member)? * weight);
            }
            Some((member, sum))
        };
        smallest.iter().filter_map(combined).collect()
    }

    fn union(self, aggregate: Aggregate) -> Vec<(Piece<'v>, f64)> {
        let mut there: Vec<(Operand<'v>, f64)> = self
            .0
            .into_iter()
            .filter_map(|(operand, weight)| Some((operand?, weight)))
            .collect();
        there.sort_by_key(|(operand, _)| operand.len());
        let mut all: IndexMap<Piece<'_>, f64, Hashing> = IndexMap::default();
        for (operand, weight) in there {
            for (member, score) in operand.iter() {
                let score = not_nan(weight * score);
                all.entry(member)
                    .and_modify(|sum| *sum = aggregate.of(*sum, score))
                    .or_insert(score);
            }
        }
        all.into_iter().collect()
    }

    /// What the first has and no other.
    fn difference(self) -> Vec<(Piece<'v>, f64)> {
        let mut all = self.0.into_iter().map(|(operand, _)| operand);
        let first = all.next().flatten();
        let mut others: Vec<Operand<'v>> = all.flatten().collect();
        // A large set is more likely to have a member.
        others.sort_by_key(|other| std::cmp::Reverse(other.len()));
        let elements = first.into_iter().flat_map(Operand::iter);
        elements
            .filter(|(member, _)| !others.iter().any(|other| other.score(*member).is_some()))
            .collect()
    }
}
