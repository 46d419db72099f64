//! Commands about sorted sets.

use std::ops::Range;

use smallvec::SmallVec;

use super::collection::{NOT_POSITIVE, index_range, positive, remove_each};
use super::collection_scan::{Scan, no_elements};
use super::compact::element::{Piece, read_score};
use super::encodings::Limits;
use super::errors::{Error, Outcome, SYNTAX};
use super::multi_pop::MultiPop;
use super::numbers;
use super::random::{Chosen, Random};
use super::ranking::Scored;
use super::scores::{MemberRange, ScoreRange, score};
use super::slot::Slot;
use super::sorted_set::SortedSet;
use super::view::View;
use crate::command::{Blob, Command, Grouping, Reply, number};

pub(super) fn zadd(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let options = AddOptions::parse(command, false)?;
    add(view, command, options)
}

pub(super) fn zincrby(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let options = AddOptions::parse(command, true)?;
    add(view, command, options)
}

/// The options of ZADD.
#[derive(Clone, Copy, Debug, Default)]
struct AddOptions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
    /// Where the first score stands.
    first: usize,
}

impl AddOptions {
    fn parse(command: &Command<'_>, incr: bool) -> Result<AddOptions, Error> {
        let mut found = AddOptions {
            incr,
            first: 2,
            ..AddOptions::default()
        };
        for word in command.args(2) {
            match word {
                w if w.eq_ignore_ascii_case(b"nx") => found.nx = true,
                w if w.eq_ignore_ascii_case(b"xx") => found.xx = true,
                w if w.eq_ignore_ascii_case(b"gt") => found.gt = true,
                w if w.eq_ignore_ascii_case(b"lt") => found.lt = true,
                w if w.eq_ignore_ascii_case(b"ch") => found.ch = true,
                w if w.eq_ignore_ascii_case(b"incr") => found.incr = true,
                _ => break,
            }
            found.first += 1;
        }
        found.check(command.len() - found.first)?;
        Ok(found)
    }

    fn check(&self, words: usize) -> Result<(), Error> {
        if words == 0 || !words.is_multiple_of(2) {
            return Err(SYNTAX.into());
        }
        if self.nx && self.xx {
            return Err("ERR XX and NX options at the same time are not compatible".into());
        }
        if (self.gt || self.lt) && self.nx || self.gt && self.lt {
            return Err("ERR GT, LT, and/or NX options at the same time are not compatible".into());
        }
        if self.incr && words > 2 {
            return Err("ERR INCR option supports a single increment-element pair".into());
        }
        Ok(())
    }

    /// The new score of a member, or `None` if it stays as it is.
    fn new_score(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, Error> {
        let Some(old) = old else {
            return Ok((!self.xx).then_some(given));
        };
        if self.nx {
            return Ok(None);
        }
        let new = if self.incr { old + given } else { given };
        if new.is_nan() {
            return Err("ERR resulting score is not a number (NaN)".into());
        }
        let stays = self.lt && new >= old || self.gt && new <= old;
        Ok((!stays).then_some(new))
    }
}

fn add(view: &mut View<'_>, command: &Command<'_>, options: AddOptions) -> Outcome {
    let mut words = command.args(options.first);
    let mut pairs: SmallVec<[(f64, Piece<'_>); 4]> = SmallVec::new();
    while let (Some(given), Some(member)) = (words.next(), words.next()) {
        pairs.push((score(given)?, Piece::of(member)));
    }
    let limits = Limits::of(view);
    let mut slot = view.slot(command.arg(1));
    if options.xx && slot.collection::<SortedSet>()?.is_none() {
        return Ok(if options.incr {
            Reply::Null
        } else {
            Reply::Int(0)
        });
    }
    let set: &mut SortedSet = slot.collection_or_new()?;
    let (mut added, mut updated, mut last) = (0, 0, None);
    for (given, member) in pairs {
        let found = set.find(member);
        let old = found.score;
        last = options.new_score(old, given)?;
        let Some(new) = last else {
            continue;
        };
        if old != last {
            set.update(member, found, new, limits);
        }
        added += i64::from(old.is_none());
        updated += i64::from(old.is_some_and(|old| old != new));
    }
    if added + updated > 0 {
        slot.changed();
    }
    Ok(match (options.incr, options.ch) {
        (true, _) => last.map_or(Reply::Null, Reply::Double),
        (false, true) => Reply::Int(added + updated),
        (false, false) => Reply::Int(added),
    })
}

pub(super) fn zrem(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    remove_each(view, command, |set: &mut SortedSet, member| {
        set.remove(Piece::of(member))
    })
}

pub(super) fn zcard(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&SortedSet> = slot.read_collection()?;
    Ok(Reply::Int(set.map_or(0, SortedSet::len) as i64))
}

pub(super) fn zscore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&SortedSet> = slot.read_collection()?;
    let score = set.and_then(|set| set.score(Piece::of(command.arg(2))));
    Ok(score.map_or(Reply::Null, Reply::Double))
}

pub(super) fn zmscore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&SortedSet> = slot.read_collection()?;
    let score = |member| set.and_then(|set| set.score(Piece::of(member)));
    let scores = command
        .args(2)
        .map(|m| score(m).map_or(Reply::Null, Reply::Double));
    Ok(Reply::Array(scores.collect()))
}

pub(super) fn zrank(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&SortedSet> = slot.read_collection()?;
    let rank = set.and_then(|set| set.rank(Piece::of(command.arg(2))));
    Ok(rank.map_or(Reply::Null, |rank| Reply::Int(rank as i64)))
}

pub(super) fn zrevrank(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let set: Option<&SortedSet> = slot.read_collection()?;
    let rank = set.and_then(|set| Some(set.len() - 1 - set.rank(Piece::of(command.arg(2)))?));
    Ok(rank.map_or(Reply::Null, |rank| Reply::Int(rank as i64)))
}

pub(super) fn zcount(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    count(view, command, By::Score)
}

pub(super) fn zlexcount(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    count(view, command, By::Member)
}

fn count(view: &mut View<'_>, command: &Command<'_>, by: By) -> Outcome {
    let bounds = Bounds::parse(by, command.arg(2), command.arg(3))?;
    let mut slot = view.slot(command.arg(1));
    let set: Option<&SortedSet> = slot.read_collection()?;
    let count = set.map_or(0, |set| bounds.ranks(set).len());
    Ok(Reply::Int(count as i64))
}

/// What the bounds of a range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Member,
}

/// The bounds of a range.
#[derive(Clone, Copy, Debug)]
enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreRange),
    Member(MemberRange<'a>),
}

impl<'a> Bounds<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Bounds<'a>, Error> {
        Ok(match by {
            By::Rank => {
                let first = numbers::integer_argument(min)?;
                Bounds::Rank(first, numbers::integer_argument(max)?)
            }
            By::Score => Bounds::Score(ScoreRange::parse(min, max)?),
            By::Member => Bounds::Member(MemberRange::parse(min, max)?),
        })
    }

    /// The ranks inside.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        match self {
            Bounds::Rank(first, last) => index_range(*first, *last, set.len()),
            Bounds::Score(range) => range.ranks(set),
            Bounds::Member(range) => range.ranks(set),
        }
    }
}

pub(super) fn zrange(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    range(view, command, Selection::parse(command, 1, None, None)?)
}

pub(super) fn zrevrange(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    range(
        view,
        command,
        Selection::parse(command, 1, Some(By::Rank), Some(true))?,
    )
}

pub(super) fn zrangebyscore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    range(
        view,
        command,
        Selection::parse(command, 1, Some(By::Score), Some(false))?,
    )
}

pub(super) fn zrevrangebyscore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    range(
        view,
        command,
        Selection::parse(command, 1, Some(By::Score), Some(true))?,
    )
}

pub(super) fn zrangebylex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    range(
        view,
        command,
        Selection::parse(command, 1, Some(By::Member), Some(false))?,
    )
}

pub(super) fn zrevrangebylex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    range(
        view,
        command,
        Selection::parse(command, 1, Some(By::Member), Some(true))?,
    )
}

fn range(view: &mut View<'_>, command: &Command<'_>, selection: Selection<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.read_collection::<SortedSet>()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    Ok(selection.reply(set))
}

pub(super) fn zrangestore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let selection = Selection::parse(command, 2, None, None)?;
    let (mut result, limits) = (SortedSet::default(), Limits::of(view));
    let mut slot = view.slot(command.arg(2));
    if let Some(set) = slot.read_collection::<SortedSet>()? {
        // In the order in which they would be told: a zero keeps its sign once the result has left
        // its listpack.
        let ranks = selection.ranks(set);
        let mut take = |(member, score)| {
            result.set(member, score, limits);
        };
        match selection.reversed {
            false => set.ascending(ranks).for_each(&mut take),
            true => set.descending(ranks).for_each(&mut take),
        }
    }
    let len = result.len();
    view.slot(command.arg(1)).store_collection(result);
    Ok(Reply::Int(len as i64))
}

/// What ZRANGE and its kin are asked for.
struct Selection<'a> {
    bounds: Bounds<'a>,
    reversed: bool,
    /// LIMIT: elements to skip, and the most to give; negative means all.
    limit: (i64, i64),
    with_scores: bool,
}

impl<'a> Selection<'a> {
    /// Reads what follows the key at `key`. What the command's name says, options cannot.
    fn parse(
        command: &Command<'a>,
        key: usize,
        mut by: Option<By>,
        mut reversed: Option<bool>,
    ) -> Result<Selection<'a>, Error> {
        let is_store = key == 2;
        let (mut limit, mut with_scores) = ((0, -1), false);
        let mut words = command.args(key + 3);
        while let Some(word) = words.next() {
            match word {
                w if !is_store && w.eq_ignore_ascii_case(b"withscores") => with_scores = true,
                w if w.eq_ignore_ascii_case(b"limit") => {
                    let (offset, count) = words.next().zip(words.next()).ok_or(SYNTAX)?;
                    limit.0 = numbers::integer_argument(offset)?;
                    limit.1 = numbers::integer_argument(count)?;
                }
                w if reversed.is_none() && w.eq_ignore_ascii_case(b"rev") => {
                    reversed = Some(true);
                }
                w if by.is_none() && w.eq_ignore_ascii_case(b"bylex") => by = Some(By::Member),
                w if by.is_none() && w.eq_ignore_ascii_case(b"byscore") => by = Some(By::Score),
                _ => return Err(SYNTAX.into()),
            }
        }
        let (by, reversed) = (by.unwrap_or(By::Rank), reversed.unwrap_or(false));
        check_combination(by, limit.1, with_scores)?;
        let (mut min, mut max) = (command.arg(key + 1), command.arg(key + 2));
        if reversed && by != By::Rank {
            std::mem::swap(&mut min, &mut max);
        }
        Ok(Selection {
            bounds: Bounds::parse(by, min, max)?,
            reversed,
            limit,
            with_scores,
        })
    }

    /// The ranks asked for.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let (offset, count) = self.limit;
        let len = set.len();
        let mut ranks = match self.bounds {
            // These count from the other end.
            Bounds::Rank(first, last) if self.reversed => {
                let range = index_range(first, last, len);
                return len - range.end..len - range.start;
            }
            Bounds::Rank(..) => return self.bounds.ranks(set),
            _ => self.bounds.ranks(set),
        };
        let skipped = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(ranks.len());
        let left = ranks.len() - skipped;
        let taken = usize::try_from(count).unwrap_or(usize::MAX).min(left);
        if self.reversed {
            ranks.end -= skipped;
            ranks.start = ranks.end - taken;
        } else {
            ranks.start += skipped;
            ranks.end = ranks.start + taken;
        }
        ranks
    }

    fn reply(&self, set: &SortedSet) -> Reply {
        let ranks = self.ranks(set);
        if self.reversed {
            self.elements(set.descending(ranks))
        } else {
            self.elements(set.ascending(ranks))
        }
    }

    fn elements<'e>(&self, elements: impl Iterator<Item = (Piece<'e>, f64)>) -> Reply {
        if self.with_scores {
            Reply::Pairs(
                elements
                    .map(|(m, s)| (m.reply(), Reply::Double(s)))
                    .collect(),
            )
        } else {
            Piece::replies(Grouping::Array, elements.map(|(member, _)| member))
        }
    }
}

fn check_combination(by: By, limit: i64, with_scores: bool) -> Result<(), Error> {
    if limit != -1 && by == By::Rank {
        return Err(
            "ERR syntax error, LIMIT is only supported in combination with either \
                    BYSCORE or BYLEX"
                .into(),
        );
    }
    if with_scores && by == By::Member {
        return Err("ERR syntax error, WITHSCORES not supported in combination with BYLEX".into());
    }
    Ok(())
}

fn pair(element: &Scored) -> (Reply, Reply) {
    (Reply::bulk(&element.member), Reply::Double(element.score))
}

pub(super) fn zpopmin(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    pop(view, command, |_| 0)
}

pub(super) fn zpopmax(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    pop(view, command, |set| set.len().saturating_sub(1))
}

fn pop(view: &mut View<'_>, command: &Command<'_>, rank: impl Fn(&SortedSet) -> usize) -> Outcome {
    let count = match command.len() {
        2 => None,
        3 => Some(positive(command.arg(2), NOT_POSITIVE)?),
        _ => return Err(SYNTAX.into()),
    };
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.collection::<SortedSet>()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let wanted = usize::try_from(count.unwrap_or(1))
        .unwrap_or(usize::MAX)
        .min(set.len());
    let popped: Vec<Scored> = (0..wanted)
        .filter_map(|_| set.remove_at(rank(set)))
        .collect();
    if !popped.is_empty() {
        slot.collection_changed();
    }
    let mut pairs = popped.iter().map(pair);
    Ok(match count {
        Some(0) => Reply::Array(Vec::new()),
        Some(_) => Reply::Pairs(pairs.collect()),
        None => Reply::Array(pairs.next().map_or(Vec::new(), |(m, s)| vec![m, s])),
    })
}

/// Which end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extreme {
    /// The lowest score.
    Min,
    /// The highest score.
    Max,
}

impl Extreme {
    /// Reads MIN or MAX.
    pub(super) fn parse(word: &[u8]) -> Result<Extreme, Error> {
        match word {
            w if w.eq_ignore_ascii_case(b"min") => Ok(Extreme::Min),
            w if w.eq_ignore_ascii_case(b"max") => Ok(Extreme::Max),
            _ => Err(SYNTAX.into()),
        }
    }
}

impl Slot<'_, '_> {
    /// Takes so many elements at most from an end of the sorted set that is there, if one is.
    pub(super) fn pop_scored(
        &mut self,
        from: Extreme,
        count: usize,
    ) -> Result<Option<Vec<(Reply, Reply)>>, Error> {
        let Some(set) = self.collection::<SortedSet>()? else {
            return Ok(None);
        };
        let popped = (0..count.min(set.len())).filter_map(|_| match from {
            Extreme::Min => set.remove_at(0),
            Extreme::Max => set.remove_at(set.len() - 1),
        });
        let popped = popped.map(|e| pair(&e)).collect();
        self.collection_changed();
        Ok(Some(popped))
    }
}

pub(super) fn zmpop(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let request = MultiPop::parse(command, 1, Extreme::parse)?;
    pop_first(view, command, &request)
}

/// ZMPOP from the first sorted set that is there.
pub(super) fn pop_first(
    view: &mut View<'_>,
    command: &Command<'_>,
    request: &MultiPop<Extreme>,
) -> Outcome {
    for key in command.args(request.first).take(request.keys) {
        let mut slot = view.slot(key);
        if let Some(popped) = slot.pop_scored(request.from, request.count)? {
            return Ok(popped_of(key, popped));
        }
    }
    Ok(Reply::NullArray)
}

/// The reply of ZMPOP: pairs are nested in both versions of the protocol.
pub(super) fn popped_of(key: &[u8], popped: Vec<(Reply, Reply)>) -> Reply {
    let pairs = popped.into_iter();
    let pairs = pairs.map(|(member, score)| Reply::Array(vec![member, score]));
    Reply::Array(vec![Reply::bulk(key), Reply::Array(pairs.collect())])
}

pub(super) fn zremrangebyrank(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    remove_range(view, command, By::Rank)
}

pub(super) fn zremrangebyscore(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    remove_range(view, command, By::Score)
}

pub(super) fn zremrangebylex(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    remove_range(view, command, By::Member)
}

fn remove_range(view: &mut View<'_>, command: &Command<'_>, by: By) -> Outcome {
    let bounds = Bounds::parse(by, command.arg(2), command.arg(3))?;
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.collection::<SortedSet>()? else {
        return Ok(Reply::Int(0));
    };
    let ranks = bounds.ranks(set);
    let removed = ranks.len();
    set.remove_ranks(ranks);
    if removed > 0 {
        slot.collection_changed();
    }
    Ok(Reply::Int(removed as i64))
}

pub(super) fn zrandmember(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let chosen = Chosen::parse(command, b"withscores")?;
    let mut random = Random::new(view);
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.read_collection::<SortedSet>()? else {
        return Ok(chosen.none());
    };
    let pair = |(member, score): (Piece<'_>, f64)| (member.reply(), Reply::Double(score));
    match set.table() {
        Some(table) => chosen.reply_of_table(&mut random, table, |(member, score)| {
            pair((member, read_score(score)))
        }),
        None => {
            let all: Vec<(Piece<'_>, f64)> = set.ascending(0..set.len()).collect();
            chosen.reply(&mut random, all.len(), |i| pair(all[i]))
        }
    }
}

pub(super) fn zscan(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let cursor = Scan::cursor(command)?;
    let mut slot = view.slot(command.arg(1));
    let Some(set) = slot.read_collection::<SortedSet>()? else {
        return Ok(no_elements());
    };
    let mut scan = Scan::parse(command)?;
    let Some(table) = set.table() else {
        for (member, score) in set.ascending(0..set.len()) {
            scan.visit(member, Some(listpack_score(score).as_bytes()));
        }
        return scan.reply(0);
    };
    let text = |bytes: &[u8]| Blob::from_slice(number::double(read_score(bytes)).as_bytes());
    let next = scan.visit_table(cursor, table, text);
    scan.reply(next)
}

/// A score as ZSCAN shows it: a listpack has whole ones as integers, however great.
pub(super) fn listpack_score(score: f64) -> String {
    const GREATEST: f64 = (i64::MAX / 2) as f64;
    if score.abs() <= GREATEST && score.trunc() == score {
        return (score as i64).to_string();
    }
    number::double(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_counted_from_the_end_that_comes_first() {
        let mut set = SortedSet::default();
        for (score, member) in (0..).zip(["a", "b", "c", "d", "e", "f"]) {
            set.set(
                Piece::of(member.as_bytes()),
                f64::from(score),
                Limits::default(),
            );
        }
        let score = Bounds::parse(By::Score, b"1", b"4").unwrap();
        let rank = Bounds::Rank(1, 3);
        for (bounds, limit, forward, backward) in [
            (score, (0, -1), 1..5, 1..5),
            (score, (0, 2), 1..3, 3..5),
            (score, (1, 2), 2..4, 2..4),
            (score, (3, 9), 4..5, 1..2),
            (score, (9, 9), 5..5, 1..1),
            (score, (-1, 9), 5..5, 1..1),
            (score, (0, 0), 1..1, 5..5),
            (score, (1, i64::MAX), 2..5, 1..4),
            (rank, (0, -1), 1..4, 2..5),
        ] {
            for (reversed, expected) in [(false, forward), (true, backward)] {
                let selection = Selection {
                    bounds,
                    reversed,
                    limit,
                    with_scores: false,
                };
                assert_eq!(selection.ranks(&set), expected, "{limit:?} {reversed}");
            }
        }
    }

    #[test]
    fn whole_scores_in_a_listpack_are_shown_as_integers() {
        for (score, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (1e17, "100000000000000000"),
            (1e19, "1e+19"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(listpack_score(score), text);
        }
    }
}
