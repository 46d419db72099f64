//! Members in the order of their scores, with the rank of each: a B+ tree whose inner nodes count
//! the elements below each child, so that adding, removing, and finding by rank, score or member
//! all take a time that grows with the logarithm of the number of elements.

mod elements;

use std::ops::Range;

use smallvec::SmallVec;

use super::collection::Element;
use elements::{Elements, MOST};

/// A member with its score, which is never NaN.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) score: f64,
    pub(super) member: Element,
}

/// Elements in the order of sorted sets, by score, and of the same score by their members' bytes;
/// each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranking {
    len: usize,
    root: Node,
}

/// All leaves are equally deep.
#[derive(Clone, Debug)]
enum Node {
    Leaf(Elements),
    Inner(Box<Inner>),
}

#[derive(Clone, Debug, Default)]
struct Inner {
    /// For each child what is at or before all of its elements, and after all of the one before
    /// it. That of the first child is [`least`].
    lows: Elements,
    /// Number of elements of each child.
    lens: Vec<usize>,
    nodes: Vec<Node>,
}

/// A child that is not in its node yet.
#[derive(Debug)]
struct Child {
    low: Scored,
    len: usize,
    node: Node,
}

/// The way to a leaf: the place of a child in each inner node, from the root on.
type Way = SmallVec<[u8; 16]>;

/// Where an element is or belongs: the way to its leaf, and there the places of those of its score.
#[derive(Debug)]
struct Place {
    way: Way,
    same: Range<usize>,
}

/// Where an element is, and where it belongs with another score.
#[derive(Debug)]
pub(super) struct Rescoring {
    from: Place,
    to: Place,
}

/// What is at or before all elements.
fn least() -> Scored {
    Scored {
        score: f64::NEG_INFINITY,
        member: Element::new(),
    }
}

impl Default for Node {
    fn default() -> Node {
        Node::Leaf(Elements::default())
    }
}

impl Ranking {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of its nodes, about: of leaves three quarters are full where there are many.
    pub(super) fn allocated(&self) -> usize {
        match self.len {
            len @ 0..=MOST => Elements::allocated(len),
            len => (len + len / 3).div_ceil(MOST) * Elements::allocated(MOST),
        }
    }

    /// Adds an element that is not there.
    pub(super) fn insert(&mut self, new: Scored) {
        let place = self.place(new.score, &new.member);
        self.insert_at(&place, new);
    }

    fn insert_at(&mut self, place: &Place, new: Scored) {
        self.len += 1;
        let Some(right) = self.root.insert(&place.way, &place.same, new) else {
            return;
        };
        let node = std::mem::take(&mut self.root);
        let left = Child {
            low: least(),
            len: self.len - right.len,
            node,
        };
        let mut root = Inner::default();
        root.insert(0, left);
        root.insert(1, right);
        self.root = Node::Inner(Box::new(root));
    }

    /// Removes an element; whether it was there.
    pub(super) fn remove(&mut self, score: f64, member: &[u8]) -> bool {
        let place = self.place(score, member);
        self.remove_from(&place, member).is_some()
    }

    /// Returns the member if it was there, and whether places are elsewhere now.
    fn remove_from(&mut self, place: &Place, member: &[u8]) -> Option<(Element, bool)> {
        let removed = self.root.remove(&place.way, &place.same, member)?;
        self.len -= 1;
        self.lower_root();
        Some(removed)
    }

    /// Finds where an element is and where it belongs with another score, and prefetches what
    /// [`rescore`](Ranking::rescore) changes.
    pub(super) fn rescoring(&self, member: &[u8], old: f64, new: f64) -> Rescoring {
        let (from, to) = (self.way(old, member), self.way(new, member));
        Rescoring {
            from: place_in(from, old),
            to: place_in(to, new),
        }
    }

    /// Gives an element another score: nothing has changed since it was looked for.
    pub(super) fn rescore(&mut self, rescoring: Rescoring, member: &[u8], new: f64) {
        let Rescoring { from, mut to } = rescoring;
        if from.way == to.way && self.root.rescore(&from, &to.same, member, new) {
            return;
        }
        let member = match self.remove_from(&from, member) {
            Some((member, false)) => member,
            Some((member, true)) => {
                to = self.place(new, &member);
                member
            }
            None => Element::from_slice(member),
        };
        self.insert_at(&to, Scored { score: new, member });
    }

    /// Takes the element of a rank.
    pub(super) fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        if rank >= self.len {
            return None;
        }
        let removed = self.root.remove_at(rank);
        self.len -= 1;
        self.lower_root();
        removed
    }

    fn lower_root(&mut self) {
        while let Node::Inner(inner) = &mut self.root {
            if inner.nodes.len() > 1 {
                return;
            }
            self.root = inner.nodes.pop().unwrap_or_default();
        }
    }

    #[inline]
    fn place(&self, score: f64, member: &[u8]) -> Place {
        place_in(self.way(score, member), score)
    }

    /// The way to the leaf where this element is or belongs, and the leaf, which is prefetched and
    /// not looked at. Inner nodes are so few that they are in the cache.
    #[inline]
    fn way(&self, score: f64, member: &[u8]) -> (Way, &Elements) {
        let mut way = Way::new();
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => {
                    elements.prefetch();
                    return (way, elements);
                }
                Node::Inner(inner) => {
                    let at = inner.place(score, member);
                    way.push(at as u8);
                    node = &inner.nodes[at];
                }
            }
        }
    }

    /// Number of elements before this place in the order.
    pub(super) fn rank(&self, score: f64, member: &[u8]) -> usize {
        let mut before = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => return before + elements.before(score, member),
                Node::Inner(inner) => {
                    let at = inner.place(score, member);
                    before += inner.lens[..at].iter().sum::<usize>();
                    node = &inner.nodes[at];
                }
            }
        }
    }

    /// Number of elements at the start for which this holds: it holds for none after one for
    /// which it does not.
    pub(super) fn count_while(&self, holds: impl Fn(f64, &Element) -> bool) -> usize {
        let mut before = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => return before + elements.count_while(&holds),
                Node::Inner(inner) => {
                    let at = inner.lows.count_while(&holds).saturating_sub(1);
                    before += inner.lens[..at].iter().sum::<usize>();
                    node = &inner.nodes[at];
                }
            }
        }
    }

    /// The elements of these ranks, in order.
    pub(super) fn ascending(&self, ranks: Range<usize>) -> impl Iterator<Item = (f64, &Element)> {
        let end = ranks.end.min(self.len);
        let mut next = ranks.start;
        let leaves = std::iter::from_fn(move || {
            let (leaf, at) = (next < end).then(|| self.leaf(next))?;
            let part = leaf.range(at..leaf.len().min(at + end - next));
            next += part.len();
            Some(part)
        });
        leaves.flatten()
    }

    /// The elements of these ranks, the last one first.
    pub(super) fn descending(&self, ranks: Range<usize>) -> impl Iterator<Item = (f64, &Element)> {
        let start = ranks.start;
        let mut end = ranks.end.min(self.len);
        let leaves = std::iter::from_fn(move || {
            let (leaf, last) = (start < end).then(|| self.leaf(end - 1))?;
            let part = leaf.range((last + 1).saturating_sub(end - start)..last + 1);
            end -= part.len();
            Some(part.rev())
        });
        leaves.flatten()
    }

    /// The leaf that has the element of a rank below [`len`](Ranking::len), and its place there.
    fn leaf(&self, mut rank: usize) -> (&Elements, usize) {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => return (elements, rank),
                Node::Inner(inner) => {
                    let (at, before) = inner.child_of_rank(rank);
                    rank -= before;
                    node = &inner.nodes[at];
                }
            }
        }
    }
}

/// The place of a score in a leaf; what a change there touches is prefetched.
#[inline]
fn place_in((way, leaf): (Way, &Elements), score: f64) -> Place {
    let same = leaf.same(score);
    leaf.prefetch_change(&same);
    Place { way, same }
}

impl Node {
    /// Number of elements or children.
    #[inline]
    fn width(&self) -> usize {
        match self {
            Node::Leaf(elements) => elements.len(),
            Node::Inner(inner) => inner.nodes.len(),
        }
    }

    /// Adds an element; returns the second half if the node had to be split.
    fn insert(&mut self, way: &[u8], same: &Range<usize>, new: Scored) -> Option<Child> {
        match (self, way) {
            (Node::Leaf(elements), _) => insert_in_leaf(elements, same, new),
            (Node::Inner(inner), [at, way @ ..]) => {
                let at = usize::from(*at);
                inner.lens[at] += 1;
                let right = inner.nodes[at].insert(way, same, new)?;
                inner.lens[at] -= right.len;
                inner.insert_or_split(at + 1, right)
            }
            _ => unreachable!("a way leads to a leaf"),
        }
    }

    /// Returns the member if it was there, and whether children were merged or removed.
    fn remove(
        &mut self,
        way: &[u8],
        same: &Range<usize>,
        member: &[u8],
    ) -> Option<(Element, bool)> {
        match (self, way) {
            (Node::Leaf(elements), _) => {
                let at = elements.find(same, member)?;
                Some((elements.remove(at).member, false))
            }
            (Node::Inner(inner), [at, way @ ..]) => {
                let at = usize::from(*at);
                let (removed, is_changed) = inner.nodes[at].remove(way, same, member)?;
                inner.lens[at] -= 1;
                Some((removed, inner.mend(at) || is_changed))
            }
            _ => unreachable!("a way leads to a leaf"),
        }
    }

    /// Gives an element another score with which it stays in its leaf; whether it was there.
    fn rescore(&mut self, from: &Place, to: &Range<usize>, member: &[u8], new: f64) -> bool {
        let mut node = self;
        for at in &from.way {
            let Node::Inner(inner) = node else {
                unreachable!("a way leads to a leaf");
            };
            node = &mut inner.nodes[usize::from(*at)];
        }
        let Node::Leaf(elements) = node else {
            unreachable!("a way leads to a leaf");
        };
        let Some(at) = elements.find(&from.same, member) else {
            return false;
        };
        let to = elements.before_among(to, member);
        elements.rescore(at, to, new);
        true
    }

    fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        match self {
            Node::Leaf(elements) => (rank < elements.len()).then(|| elements.remove(rank)),
            Node::Inner(inner) => {
                let (at, before) = inner.child_of_rank(rank);
                let removed = inner.nodes[at].remove_at(rank - before);
                inner.lens[at] -= 1;
                inner.mend(at);
                removed
            }
        }
    }
}

/// Where to split a full node, so that one more can be added at a place: what comes in order leaves
/// full nodes behind.
fn middle(at: usize) -> usize {
    if at == MOST { MOST } else { MOST / 2 }
}

fn insert_in_leaf(elements: &mut Elements, same: &Range<usize>, new: Scored) -> Option<Child> {
    let at = elements.before_among(same, &new.member);
    if elements.len() < MOST {
        elements.insert(at, new);
        return None;
    }
    let middle = middle(at);
    let mut right = elements.split_off(middle);
    if at >= middle {
        right.insert(at - middle, new);
    } else {
        elements.insert(at, new);
    }
    let (score, member) = right.get(0);
    let member = member.clone();
    Some(Child {
        low: Scored { score, member },
        len: right.len(),
        node: Node::Leaf(right),
    })
}

impl Inner {
    /// The child where an element is or belongs.
    #[inline]
    fn place(&self, score: f64, member: &[u8]) -> usize {
        self.lows.up_to(score, member).saturating_sub(1)
    }

    /// The child that has the element of a rank, and the number of elements before the child.
    fn child_of_rank(&self, rank: usize) -> (usize, usize) {
        let mut before = 0;
        for (at, len) in self.lens.iter().enumerate() {
            if rank < before + len {
                return (at, before);
            }
            before += len;
        }
        unreachable!("a node has as many elements as it is said to have")
    }

    fn insert(&mut self, at: usize, child: Child) {
        self.lows.insert(at, child.low);
        self.lens.insert(at, child.len);
        self.nodes.insert(at, child.node);
    }

    fn remove(&mut self, at: usize) -> Child {
        let child = Child {
            low: self.lows.remove(at),
            len: self.lens.remove(at),
            node: self.nodes.remove(at),
        };
        if at == 0 && !self.nodes.is_empty() {
            self.lows.replace(0, least());
        }
        child
    }

    /// Adds a child; returns the second half if the node had to be split.
    fn insert_or_split(&mut self, at: usize, child: Child) -> Option<Child> {
        if self.nodes.len() < MOST {
            self.insert(at, child);
            return None;
        }
        let middle = middle(at);
        let mut right = Inner {
            lows: self.lows.split_off(middle),
            lens: self.lens.split_off(middle),
            nodes: self.nodes.split_off(middle),
        };
        if at >= middle {
            right.insert(at - middle, child);
        } else {
            self.insert(at, child);
        }
        Some(Child {
            low: right.lows.replace(0, least()),
            len: right.lens.iter().sum(),
            node: Node::Inner(Box::new(right)),
        })
    }

    /// Merges a child that has become small with a neighbour, if both together are not too large;
    /// whether it did.
    #[inline]
    fn mend(&mut self, at: usize) -> bool {
        self.nodes[at].width() < MOST / 4 && self.merge_small(at)
    }

    #[cold]
    fn merge_small(&mut self, at: usize) -> bool {
        if self.lens[at] == 0 && self.nodes.len() > 1 {
            self.remove(at);
            return true;
        }
        let fits = |left: usize| {
            let right = self.nodes.get(left + 1);
            right.is_some_and(|right| self.nodes[left].width() + right.width() <= MOST / 4 * 3)
        };
        let left = if fits(at) {
            at
        } else if at > 0 && fits(at - 1) {
            at - 1
        } else {
            return false;
        };
        let right = self.remove(left + 1);
        self.lens[left] += right.len;
        merge(&mut self.nodes[left], right);
        true
    }
}

fn merge(left: &mut Node, right: Child) {
    match (left, right.node) {
        (Node::Leaf(left), Node::Leaf(more)) => left.append(more),
        (Node::Inner(left), Node::Inner(mut more)) => {
            more.lows.replace(0, right.low);
            left.lows.append(more.lows);
            left.lens.append(&mut more.lens);
            left.nodes.append(&mut more.nodes);
        }
        _ => unreachable!("all leaves are equally deep"),
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    impl Scored {
        /// The order of sorted sets: by score, and members of the same score by their bytes.
        fn order(&self, score: f64, member: &[u8]) -> Ordering {
            let by_score = self.score.partial_cmp(&score).unwrap();
            by_score.then_with(|| self.member.as_slice().cmp(member))
        }
    }

    impl Elements {
        fn all(&self) -> Vec<Scored> {
            let all = self.range(0..self.len());
            let all = all.map(|(score, member)| (score, member.clone()));
            all.map(|(score, member)| Scored { score, member })
                .collect()
        }
    }

    impl Ranking {
        /// Checks what must always hold; returns the elements.
        fn check(&self) -> Vec<Scored> {
            let mut all = Vec::new();
            check_node(&self.root, None, None, true, &mut all);
            assert_eq!(all.len(), self.len);
            assert!(
                all.windows(2)
                    .all(|w| w[0].order(w[1].score, &w[1].member).is_lt())
            );
            all
        }
    }

    /// Returns the depth below the node.
    fn check_node(
        node: &Node,
        low: Option<&Scored>,
        high: Option<&Scored>,
        is_root: bool,
        all: &mut Vec<Scored>,
    ) -> usize {
        match node {
            Node::Leaf(elements) => {
                elements.check();
                assert!(is_root || elements.len() > 0);
                let elements = elements.all();
                for e in &elements {
                    assert!(low.is_none_or(|low| low.order(e.score, &e.member).is_le()));
                    assert!(high.is_none_or(|high| high.order(e.score, &e.member).is_gt()));
                }
                all.extend(elements);
                0
            }
            Node::Inner(inner) => {
                inner.lows.check();
                let lows = inner.lows.all();
                assert_eq!(lows[0], least());
                assert_eq!(
                    (lows.len(), inner.lens.len()),
                    (inner.nodes.len(), lows.len())
                );
                assert!(lows.len() <= MOST && lows.len() > usize::from(is_root));
                let mut depths = Vec::new();
                for (i, node) in inner.nodes.iter().enumerate() {
                    let before = all.len();
                    let low = if i == 0 { low } else { Some(&lows[i]) };
                    let high = lows.get(i + 1).or(high);
                    depths.push(check_node(node, low, high, false, all));
                    assert_eq!(all.len() - before, inner.lens[i]);
                }
                assert!(depths.iter().all(|depth| *depth == depths[0]));
                depths[0] + 1
            }
        }
    }

    fn scored(score: i32, member: u16) -> Scored {
        let member = Element::from_slice(format!("{member:05}").as_bytes());
        Scored {
            score: f64::from(score),
            member,
        }
    }

    fn pairs(model: &[Scored]) -> impl DoubleEndedIterator<Item = (f64, &Element)> {
        model.iter().map(|e| (e.score, &e.member))
    }

    fn assert_same(ranking: &Ranking, model: &[Scored]) {
        assert_eq!(ranking.check(), model);
        let all = 0..model.len();
        assert!(ranking.ascending(all.clone()).eq(pairs(model)));
        assert!(ranking.descending(all).eq(pairs(model).rev()));
        for (rank, e) in model.iter().enumerate() {
            assert_eq!(ranking.rank(e.score, &e.member), rank);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(i32, u16),
        Remove(i32, u16),
        /// Gives the element of a rank another score.
        Rescore(usize, i32),
        RemoveAt(usize),
        RemoveRun(usize, usize),
        Range(usize, usize),
        Count(i32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let element = || (0..4i32, 0..2_000u16);
        prop_oneof![
            20 => element().prop_map(|(s, m)| Step::Insert(s, m)),
            6 => element().prop_map(|(s, m)| Step::Remove(s, m)),
            10 => (any::<usize>(), 0..4i32).prop_map(|(rank, s)| Step::Rescore(rank, s)),
            6 => any::<usize>().prop_map(Step::RemoveAt),
            1 => (any::<usize>(), 0..600usize).prop_map(|(a, n)| Step::RemoveRun(a, n)),
            2 => (any::<usize>(), 0..300usize).prop_map(|(a, n)| Step::Range(a, n)),
            2 => (-1..6i32).prop_map(Step::Count),
        ]
    }

    fn rescore(ranking: &mut Ranking, old: &Scored, new: f64) {
        let rescoring = ranking.rescoring(&old.member, old.score, new);
        ranking.rescore(rescoring, &old.member, new);
    }

    fn find(model: &[Scored], new: &Scored) -> Result<usize, usize> {
        model.binary_search_by(|e| e.order(new.score, &new.member))
    }

    fn apply(ranking: &mut Ranking, model: &mut Vec<Scored>, step: Step) {
        match step {
            Step::Insert(score, member) => {
                let new = scored(score, member);
                if let Err(at) = find(model, &new) {
                    model.insert(at, new.clone());
                    ranking.insert(new);
                }
            }
            Step::Remove(score, member) => {
                let old = scored(score, member);
                let found = find(model, &old).map(|at| model.remove(at)).is_ok();
                assert_eq!(ranking.remove(old.score, &old.member), found);
            }
            Step::Rescore(..) if model.is_empty() => {}
            Step::Rescore(rank, score) => {
                let old = model[rank % model.len()].clone();
                let new = Scored {
                    score: f64::from(score),
                    ..old.clone()
                };
                if find(model, &new).is_err() || old == new {
                    model.remove(rank % model.len());
                    let at = find(model, &new).unwrap_err();
                    rescore(ranking, &old, new.score);
                    model.insert(at, new);
                }
            }
            Step::RemoveAt(rank) if model.is_empty() => assert!(ranking.remove_at(rank).is_none()),
            Step::RemoveAt(rank) => {
                let rank = rank % model.len();
                assert_eq!(ranking.remove_at(rank), Some(model.remove(rank)));
            }
            Step::RemoveRun(start, len) => {
                let start = start % (model.len() + 1);
                for _ in start..(start + len).min(model.len()) {
                    assert_eq!(ranking.remove_at(start), Some(model.remove(start)));
                }
            }
            Step::Range(start, len) => {
                let start = start % (model.len() + 1);
                let range = start..(start + len).min(model.len());
                let part = &model[range.clone()];
                assert!(ranking.ascending(range.clone()).eq(pairs(part)));
                assert!(ranking.descending(range).eq(pairs(part).rev()));
            }
            Step::Count(score) => {
                let score = f64::from(score);
                let count = ranking.count_while(|other, _| other < score);
                assert_eq!(count, model.partition_point(|e| e.score < score));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn it_is_a_sorted_vector(steps in prop::collection::vec(step(), 0..4_000)) {
            let (mut ranking, mut model) = (Ranking::default(), Vec::new());
            for step in steps {
                apply(&mut ranking, &mut model, step);
                assert_eq!(ranking.len(), model.len());
            }
            assert_same(&ranking, &model);
        }
    }

    #[test]
    fn three_levels_grow_and_shrink_from_any_side() {
        const LEN: u16 = 20_000;
        let orders: [fn(u16) -> u16; 3] = [|i| i, |i| LEN - 1 - i, |i| i.wrapping_mul(7_919) % LEN];
        for insert in orders {
            for remove in orders {
                let (mut ranking, mut model) = (Ranking::default(), Vec::new());
                let mut seen = vec![false; usize::from(LEN)];
                for member in (0..LEN).map(insert) {
                    if !std::mem::replace(&mut seen[usize::from(member)], true) {
                        ranking.insert(scored(1, member));
                        model.push(scored(1, member));
                    }
                }
                model.sort_by(|a, b| a.member.cmp(&b.member));
                assert_same(&ranking, &model);
                for member in (0..LEN).map(remove) {
                    let old = scored(1, member);
                    assert_eq!(ranking.remove(1.0, &old.member), seen[usize::from(member)]);
                    seen[usize::from(member)] = false;
                    if member % 4_999 == 0 {
                        ranking.check();
                    }
                }
                model.retain(|e| {
                    seen[std::str::from_utf8(&e.member)
                        .unwrap()
                        .parse::<usize>()
                        .unwrap()]
                });
                assert_same(&ranking, &model);
            }
        }
    }

    #[test]
    fn elements_in_order_fill_their_leaves() {
        let mut ranking = Ranking::default();
        for member in 0..MOST as u16 * 10 {
            ranking.insert(scored(0, member));
        }
        let Node::Inner(root) = &ranking.root else {
            panic!("one leaf cannot hold them");
        };
        assert_eq!(root.nodes.len(), 10);
    }

    fn element(score: f64, member: &str) -> Scored {
        let member = Element::from_slice(member.as_bytes());
        Scored { score, member }
    }

    /// Few enough for one leaf, and enough for three levels.
    const SIZES: [u16; 3] = [0, 100, 10_000];

    #[test]
    fn zeros_of_both_signs_are_the_same_score() {
        for size in SIZES {
            let mut ranking = Ranking::default();
            (0..size).for_each(|i| ranking.insert(scored(i32::from(i % 2 * 2) - 1, i)));
            let below = usize::from(size / 2);
            ranking.insert(element(-0.0, "b"));
            ranking.insert(element(0.0, "a"));
            for zero in [0.0, -0.0] {
                assert_eq!(ranking.rank(zero, b"a"), below);
                assert_eq!(ranking.rank(zero, b"b"), below + 1);
            }
            rescore(&mut ranking, &element(0.0, "b"), 0.0);
            let zeros = ranking.ascending(below..below + 2);
            let zeros: Vec<_> = zeros.map(|(score, _)| score.to_bits()).collect();
            assert_eq!(zeros, [0, 0]);
            rescore(&mut ranking, &element(-0.0, "a"), -0.0);
            let first = ranking.ascending(below..below + 1).next();
            assert_eq!(first.map(|(score, _)| score.to_bits()), Some(1 << 63));
            assert!(ranking.remove(0.0, b"a") && ranking.remove(-0.0, b"b"));
            assert_eq!(ranking.check().len(), usize::from(size));
        }
    }

    #[test]
    fn infinities_are_first_and_last() {
        const ENDS: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];
        for size in SIZES {
            let (mut ranking, mut model) = (Ranking::default(), Vec::new());
            for i in 0..size {
                model.push(scored(i32::from(i), i));
                for end in ENDS {
                    let member = scored(0, i).member;
                    model.push(Scored { score: end, member });
                }
            }
            // Before all others there is the empty member with the least score.
            model.extend([element(ENDS[0], ""), element(ENDS[1], "")]);
            model.iter().for_each(|e| ranking.insert(e.clone()));
            model.sort_by(|a, b| a.order(b.score, &b.member));
            assert_same(&ranking, &model);
            for (old, new) in [(ENDS[0], 7.5), (7.5, ENDS[0])] {
                rescore(&mut ranking, &element(old, ""), new);
                let rank = ranking.rank(new, b"");
                assert_eq!(
                    ranking.ascending(rank..rank + 1).next(),
                    Some((new, &Element::new()))
                );
            }
            assert_same(&ranking, &model);
            for score in ENDS {
                assert!(ranking.remove(score, b"") && !ranking.remove(score, b""));
            }
            assert_eq!(ranking.check().len(), model.len() - 2);
        }
    }

    /// Runs of one score that are in one leaf, that fill some, and that are all there is.
    #[test]
    fn members_of_one_score_are_in_their_order() {
        for run in [2, 5, 63, 64, 65, 1_000, 20_000] {
            let (mut ranking, mut model) = (Ranking::default(), Vec::new());
            for i in (0..20_000u32).map(|i| (i * 7 % 20_000) as u16) {
                if let Err(at) = find(&model, &scored(i32::from(i / run), i)) {
                    model.insert(at, scored(i32::from(i / run), i));
                    ranking.insert(model[at].clone());
                }
            }
            assert_same(&ranking, &model);
            for i in (0..model.len()).step_by(37) {
                let old = model[i].clone();
                let absent = [&old.member[..], b"!"].concat();
                assert!(!ranking.remove(old.score, &absent));
                assert_eq!(ranking.rank(old.score, &absent), i + 1);
                // To the other scores' members, and back.
                rescore(&mut ranking, &old, old.score + 1.0);
                rescore(
                    &mut ranking,
                    &Scored {
                        score: old.score + 1.0,
                        ..old
                    },
                    model[i].score,
                );
            }
            assert_same(&ranking, &model);
        }
    }

    /// Elements leave a leaf for another one until leaves are split and merged on the way.
    #[test]
    fn scores_change_while_leaves_split_and_merge() {
        const LEN: u16 = 5_000;
        let mut ranking = Ranking::default();
        (0..LEN).for_each(|i| ranking.insert(scored(i32::from(i), i)));
        let moves: [fn(u16) -> i32; 4] = [
            |i| 20_000 - i32::from(i),
            |_| 3,
            |i| i32::from(i.wrapping_mul(7_919)),
            |i| i32::from(i) + 1,
        ];
        let mut scores: Vec<_> = (0..LEN).map(i32::from).collect();
        for new in moves {
            for i in 0..LEN {
                let score = &mut scores[usize::from(i)];
                rescore(&mut ranking, &scored(*score, i), f64::from(new(i)));
                *score = new(i);
                if i % 499 == 0 {
                    ranking.check();
                }
            }
            let mut model: Vec<_> = (0..LEN).map(|i| scored(new(i), i)).collect();
            model.sort_by(|a, b| a.order(b.score, &b.member));
            assert_same(&ranking, &model);
        }
    }

    #[test]
    fn an_element_moves_within_its_leaf() {
        const LEN: usize = 20;
        for (from, to) in (0..LEN).flat_map(|from| (0..LEN).map(move |to| (from, to))) {
            let mut ranking = Ranking::default();
            (0..LEN as u16).for_each(|i| ranking.insert(scored(i32::from(i) * 2, i)));
            let mut model = ranking.check();
            let old = model.remove(from);
            let score = if to < from {
                to as f64 * 2.0 - 1.0
            } else {
                to as f64 * 2.0 + 1.0
            };
            rescore(&mut ranking, &old, score);
            model.insert(to, Scored { score, ..old });
            assert_same(&ranking, &model);
        }
    }
}
