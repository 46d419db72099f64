//! Sorted sets: members with scores, in the order of their scores.

use std::cmp::Ordering;
use std::ops::Range;

use super::allocation;
use super::collection::Element;
use super::compact::element::{Code, Piece, read_score};
use super::compact::pages::{Pages, Spot};
use super::compact::run::{Record, Run};
use super::encodings::Limits;
use super::ranking::{Ranking, Scored};

/// A sorted set.
#[derive(Clone, Debug)]
pub(super) enum SortedSet {
    /// What Redis keeps in a listpack, members with their scores in order: once it does not, it
    /// never does again.
    Listpack(Run<2>),
    Ranked(Box<Ranked>),
}

/// A table of members with their scores, and a tree of the same elements in order.
#[derive(Clone, Debug)]
pub(super) struct Ranked {
    scores: Pages<2>,
    ranking: Ranking,
    /// Bytes of the members that are too long to lie in the ranking itself.
    outside: usize,
}

/// A member that was looked for.
#[derive(Debug)]
pub(super) struct Found {
    /// Its score, if it is there.
    pub(super) score: Option<f64>,
    place: FoundPlace,
}

#[derive(Debug)]
enum FoundPlace {
    Listpack(Option<Range<usize>>),
    Ranked(Spot),
}

impl Default for SortedSet {
    fn default() -> SortedSet {
        SortedSet::Listpack(Run::default())
    }
}

/// The order of sorted sets: by score, and members of the same score by their bytes.
pub(super) fn order(a: (Piece<'_>, f64), b: (Piece<'_>, f64)) -> Ordering {
    let by_score = a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal);
    by_score.then_with(|| compare(a.0, b.0))
}

fn compare(a: Piece<'_>, b: Piece<'_>) -> Ordering {
    let mut digits = [itoa::Buffer::new(), itoa::Buffer::new()];
    let [first, second] = &mut digits;
    a.bytes(first).cmp(b.bytes(second))
}

fn scored((member, score): Record<'_>) -> (Piece<'_>, f64) {
    (member, read_score(score))
}

fn of_ranking((score, member): (f64, &Element)) -> (Piece<'_>, f64) {
    (Piece::of(member), score)
}

/// Bytes of a member that lie outside of the ranking.
fn outside(member: Piece<'_>) -> usize {
    match member {
        Piece::Bytes(bytes) if bytes.len() > Element::new().inline_size() => {
            allocation::size(bytes.len())
        }
        _ => 0,
    }
}

impl SortedSet {
    /// Number of members.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            SortedSet::Listpack(run) => run.len(),
            SortedSet::Ranked(ranked) => ranked.ranking.len(),
        }
    }

    /// Bytes allocated.
    pub(super) fn allocated(&self) -> usize {
        match self {
            SortedSet::Listpack(run) => run.allocated(),
            SortedSet::Ranked(ranked) => {
                let (table, tree) = (ranked.scores.allocated(), ranked.ranking.allocated());
                size_of::<Ranked>() + table + tree + ranked.outside
            }
        }
    }

    /// Redis's name for how it is kept.
    pub(super) fn encoding(&self) -> &'static str {
        match self {
            SortedSet::Listpack(_) => "listpack",
            SortedSet::Ranked(_) => "skiplist",
        }
    }

    /// Whether Redis would keep it in a listpack.
    pub(super) fn is_listpack(&self) -> bool {
        matches!(self, SortedSet::Listpack(_))
    }

    /// Redis keeps it in a skip list from now on.
    pub(super) fn leave_listpack(&mut self, limits: Limits<'_>) {
        let SortedSet::Listpack(run) = &*self else {
            return;
        };
        let mut ranked = Ranked {
            scores: Pages::new(limits.seed()),
            ranking: Ranking::default(),
            outside: 0,
        };
        for (member, score) in run.records().map(scored) {
            let spot = ranked.scores.find(member).0;
            ranked.update(member, None, spot, score);
        }
        *self = SortedSet::Ranked(Box::new(ranked));
    }

    /// The table of members, where there is one.
    pub(super) fn table(&self) -> Option<&Pages<2>> {
        match self {
            SortedSet::Listpack(_) => None,
            SortedSet::Ranked(ranked) => Some(&ranked.scores),
        }
    }

    fn parts(&self) -> (Option<&Run<2>>, Option<&Ranking>) {
        match self {
            SortedSet::Listpack(run) => (Some(run), None),
            SortedSet::Ranked(ranked) => (None, Some(&ranked.ranking)),
        }
    }

    /// The elements of these ranks, in order.
    pub(super) fn ascending(&self, ranks: Range<usize>) -> impl Iterator<Item = (Piece<'_>, f64)> {
        let (run, ranking) = self.parts();
        let (skipped, taken) = (ranks.start, ranks.len());
        let run = run.into_iter().flat_map(Run::records).map(scored);
        let ranked = ranking.into_iter();
        let ranked = ranked.flat_map(move |ranking| ranking.ascending(ranks.clone()));
        run.skip(skipped).take(taken).chain(ranked.map(of_ranking))
    }

    /// The elements of these ranks, the last one first.
    pub(super) fn descending(&self, ranks: Range<usize>) -> impl Iterator<Item = (Piece<'_>, f64)> {
        let run: Vec<_> = match self {
            SortedSet::Listpack(_) => self.ascending(ranks.clone()).collect(),
            SortedSet::Ranked(_) => Vec::new(),
        };
        let ranked = self.parts().1.into_iter();
        let ranked = ranked.flat_map(move |ranking| ranking.descending(ranks.clone()));
        run.into_iter().rev().chain(ranked.map(of_ranking))
    }

    /// Number of elements at the start for which this holds: it holds for none after one for
    /// which it does not.
    pub(super) fn count_while(&self, holds: impl Fn(Piece<'_>, f64) -> bool) -> usize {
        match self {
            SortedSet::Listpack(run) => {
                let elements = run.records().map(scored);
                elements.take_while(|(m, s)| holds(*m, *s)).count()
            }
            SortedSet::Ranked(ranked) => ranked
                .ranking
                .count_while(|score, member| holds(Piece::Bytes(member), score)),
        }
    }

    /// A member's score.
    #[inline]
    pub(super) fn score(&self, member: Piece<'_>) -> Option<f64> {
        match self {
            SortedSet::Listpack(run) => {
                let place = run.find(&Code::of(member))?;
                Some(read_score(run.at(place).1))
            }
            SortedSet::Ranked(ranked) => ranked.scores.get(member).map(read_score),
        }
    }

    /// Number of elements before a member.
    pub(super) fn rank(&self, member: Piece<'_>) -> Option<usize> {
        match self {
            SortedSet::Listpack(run) => run.records().position(|(m, _)| m == member),
            SortedSet::Ranked(ranked) => {
                let score = read_score(ranked.scores.get(member)?);
                let mut digits = itoa::Buffer::new();
                Some(ranked.ranking.rank(score, member.bytes(&mut digits)))
            }
        }
    }

    /// Looks for a member: for [`update`](SortedSet::update).
    #[inline]
    pub(super) fn find(&self, member: Piece<'_>) -> Found {
        match self {
            SortedSet::Listpack(run) => {
                let place = run.find(&Code::of(member));
                let score = place.clone().map(|place| read_score(run.at(place).1));
                let place = FoundPlace::Listpack(place);
                Found { score, place }
            }
            SortedSet::Ranked(ranked) => ranked.find(member),
        }
    }

    /// Sets a member's score, which is not NaN; whether the member is new.
    pub(super) fn set(&mut self, member: Piece<'_>, score: f64, limits: Limits<'_>) -> bool {
        let found = self.find(member);
        let old = found.score;
        if old != Some(score) {
            self.update(member, found, score, limits);
        }
        old.is_none()
    }

    /// Sets a member's score to another one than it has; nothing has changed since it was looked
    /// for.
    pub(super) fn update(
        &mut self,
        member: Piece<'_>,
        found: Found,
        score: f64,
        limits: Limits<'_>,
    ) {
        if let (SortedSet::Listpack(run), FoundPlace::Listpack(place)) = (&mut *self, &found.place)
        {
            let admits = run.len() < limits.zset_entries() && member.len() <= limits.zset_value();
            if place.is_some() || admits {
                if let Some(place) = place.clone() {
                    run.remove(place);
                }
                // A listpack keeps whole scores as integers, and loses the sign of a zero.
                return insert_in_run(run, member, score + 0.0);
            }
            self.leave_listpack(limits);
        }
        if let SortedSet::Ranked(ranked) = self {
            let (old, spot) = match found.place {
                FoundPlace::Ranked(spot) => (found.score, spot),
                FoundPlace::Listpack(_) => (None, ranked.scores.find(member).0),
            };
            ranked.update(member, old, spot, score);
        }
    }

    /// Removes a member; whether it was there.
    pub(super) fn remove(&mut self, member: Piece<'_>) -> bool {
        match self {
            SortedSet::Listpack(run) => {
                let place = run.find(&Code::of(member));
                place.map(|place| run.remove(place)).is_some()
            }
            SortedSet::Ranked(ranked) => ranked.remove(member),
        }
    }

    /// Takes the element of a rank.
    pub(super) fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        match self {
            SortedSet::Listpack(run) => {
                let place = run.nth(rank)?;
                let (member, score) = scored(run.at(place.clone()));
                let removed = Scored {
                    score,
                    member: Element::from_slice(member.bytes(&mut itoa::Buffer::new())),
                };
                run.remove(place);
                Some(removed)
            }
            SortedSet::Ranked(ranked) => ranked.remove_at(rank),
        }
    }

    /// Removes the elements of these ranks.
    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) {
        for _ in ranks.clone() {
            self.remove_at(ranks.start);
        }
    }
}

/// Puts a member that is not there in its place in a run.
fn insert_in_run(run: &mut Run<2>, member: Piece<'_>, score: f64) {
    let at = run.place_where(|record| order(scored(record), (member, score)).is_gt());
    let (code, score) = (Code::of(member), Code::score(score));
    let ([head, body], [score_head, _]) = (code.parts(), score.parts());
    run.insert(at, &[head, body, score_head]);
}

impl Ranked {
    #[inline]
    fn find(&self, member: Piece<'_>) -> Found {
        let (spot, score) = self.scores.find(member);
        Found {
            score: score.map(read_score),
            place: FoundPlace::Ranked(spot),
        }
    }

    /// Sets the score of a member that was looked for in the table.
    fn update(&mut self, member: Piece<'_>, old: Option<f64>, spot: Spot, score: f64) {
        let mut digits = itoa::Buffer::new();
        let bytes = member.bytes(&mut digits);
        let value = Code::score(score);
        if let Some(old) = old {
            let rescoring = self.ranking.rescoring(bytes, old, score);
            self.scores.set_at(spot, member, &value);
            return self.ranking.rescore(rescoring, bytes, score);
        }
        self.outside += outside(member);
        self.scores.set_at(spot, member, &value);
        self.ranking.insert(Scored {
            score,
            member: Element::from_slice(bytes),
        });
    }

    fn remove(&mut self, member: Piece<'_>) -> bool {
        let Some(score) = self.scores.get(member).map(read_score) else {
            return false;
        };
        self.scores.remove(member);
        self.outside -= outside(member);
        let mut digits = itoa::Buffer::new();
        self.ranking.remove(score, member.bytes(&mut digits))
    }

    fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        let removed = self.ranking.remove_at(rank)?;
        let member = Piece::of(&removed.member);
        self.scores.remove(member);
        self.outside -= outside(member);
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, i32, bool),
        Remove(u32),
        RemoveAt(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let is_half = prop::bool::weighted(0.2);
        prop_oneof![
            8 => (0..300u32, -5..200i32, is_half).prop_map(|(m, s, h)| Step::Set(m, s, h)),
            1 => (0..300u32).prop_map(Step::Remove),
            1 => any::<usize>().prop_map(Step::RemoveAt),
        ]
    }

    fn text(piece: Piece<'_>) -> String {
        piece.blob().escape_ascii().to_string()
    }

    /// The elements of a model in order.
    fn in_order(model: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
        let mut all: Vec<_> = model.iter().map(|(m, s)| (m.clone(), *s)).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        all
    }

    fn assert_same(set: &SortedSet, model: &BTreeMap<String, f64>) {
        let all = in_order(model);
        let own = |(member, score)| (text(member), score);
        assert_eq!(
            set.ascending(0..set.len()).map(own).collect::<Vec<_>>(),
            all
        );
        assert!(
            set.descending(0..set.len())
                .map(own)
                .eq(all.iter().rev().cloned())
        );
        for (rank, (member, score)) in all.iter().enumerate() {
            let member = Piece::of(member.as_bytes());
            assert_eq!(set.score(member), Some(*score));
            assert_eq!(set.rank(member), Some(rank));
        }
        let range = set.len() / 3..set.len() * 2 / 3;
        let part = &all[range.clone()];
        assert!(
            set.ascending(range.clone())
                .map(own)
                .eq(part.iter().cloned())
        );
        assert!(
            set.descending(range)
                .map(own)
                .eq(part.iter().rev().cloned())
        );
        let below = all.iter().filter(|(_, score)| *score < 50.0).count();
        assert_eq!(set.count_while(|_, score| score < 50.0), below);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_map_in_the_order_of_scores(steps in prop::collection::vec(step(), 0..700)) {
            let (mut set, mut model) = (SortedSet::default(), BTreeMap::new());
            let (limits, mut was_large) = (Limits::default(), false);
            let name = |m: u32| match m.is_multiple_of(3) {
                true => m.to_string(),
                false => format!("member {m}"),
            };
            for step in steps {
                match step {
                    Step::Set(member, score, is_half) => {
                        let member = name(member);
                        let score = f64::from(score) + if is_half { 0.5 } else { 0.0 };
                        let new = set.set(Piece::of(member.as_bytes()), score, limits);
                        assert_eq!(new, model.insert(member, score).is_none());
                        was_large |= model.len() > 128;
                    }
                    Step::Remove(member) => {
                        let member = name(member);
                        let removed = set.remove(Piece::of(member.as_bytes()));
                        assert_eq!(removed, model.remove(&member).is_some());
                    }
                    Step::RemoveAt(rank) => {
                        let rank = rank % (model.len() + 1);
                        let removed = set.remove_at(rank).map(|e| text(Piece::of(&e.member)));
                        assert_eq!(removed, in_order(&model).get(rank).map(|e| e.0.clone()));
                        if let Some(member) = removed {
                            model.remove(&member);
                        }
                    }
                }
                assert_eq!((set.len(), set.is_listpack()), (model.len(), !was_large));
            }
            assert_same(&set, &model);
            set.leave_listpack(limits);
            assert_same(&set, &model);
            set.remove_ranks(1..model.len());
            assert_eq!(set.len(), model.len().min(1));
            assert!(set.allocated() < 3_000, "{}", set.allocated());
        }
    }

    #[test]
    fn a_listpack_loses_the_sign_of_a_zero() {
        let (mut set, limits) = (SortedSet::default(), Limits::default());
        set.set(Piece::Bytes(b"a"), -0.0, limits);
        assert_eq!(set.score(Piece::Bytes(b"a")).map(f64::to_bits), Some(0));
        set.leave_listpack(limits);
        set.set(Piece::Bytes(b"b"), -0.0, limits);
        assert_eq!(
            set.score(Piece::Bytes(b"b")).map(f64::to_bits),
            Some(1 << 63)
        );
    }
}
