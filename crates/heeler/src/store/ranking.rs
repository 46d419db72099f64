//! Members in the order of their scores, with the rank of each: a B+ tree whose inner nodes count
//! the elements below each child, so that adding, removing, and finding by rank, score or member
//! all take a time that grows with the logarithm of the number of elements.

use std::cmp::Ordering;
use std::ops::Range;

use super::allocation;
use super::collection::Element;
use super::prefetch::prefetch_all;

/// Most elements of a leaf.
const LEAF: usize = 64;
/// Most children of an inner node.
const FAN: usize = 64;

/// A member with its score, which is never NaN.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) score: f64,
    pub(super) member: Element,
}

impl Scored {
    /// The order of sorted sets: by score, and members of the same score by their bytes.
    #[inline]
    fn order(&self, score: f64, member: &[u8]) -> Ordering {
        let by_score = self.score.partial_cmp(&score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| self.member.as_slice().cmp(member))
    }
}

/// Elements in order, each once.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    len: usize,
    root: Node,
}

/// All leaves are equally deep.
#[derive(Clone, Debug)]
enum Node {
    Leaf(Vec<Scored>),
    Inner(Vec<Child>),
}

#[derive(Clone, Debug)]
struct Child {
    /// At or before all elements of this child, and after all of the one before it. That of a
    /// node's first child says nothing.
    low: Scored,
    /// Number of elements.
    len: usize,
    node: Node,
}

impl Default for Ranking {
    fn default() -> Ranking {
        Ranking {
            len: 0,
            root: Node::Leaf(Vec::new()),
        }
    }
}

impl Ranking {
    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of its nodes, about: of leaves three quarters are full where there are many.
    pub(super) fn allocated(&self) -> usize {
        let leaves = match self.len {
            0 => 0,
            len @ 1..=LEAF => len.next_power_of_two().max(4),
            len => len + len / 3,
        };
        allocation::size(leaves.min(LEAF) * size_of::<Scored>()) * leaves.div_ceil(LEAF)
    }

    /// Adds an element that is not there.
    pub(super) fn insert(&mut self, new: Scored) {
        self.len += 1;
        let Some(right) = self.root.insert(new) else {
            return;
        };
        let low = right.low.clone();
        let len = self.len - right.len;
        let node = std::mem::replace(&mut self.root, Node::Inner(Vec::with_capacity(2)));
        if let Node::Inner(children) = &mut self.root {
            children.extend([Child { low, len, node }, right]);
        }
    }

    /// Removes an element; whether it was there.
    pub(super) fn remove(&mut self, score: f64, member: &[u8]) -> bool {
        let removed = self.root.remove(score, member);
        if removed {
            self.len -= 1;
            self.lower_root();
        }
        removed
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
        while let Node::Inner(children) = &mut self.root {
            if children.len() > 1 {
                return;
            }
            self.root = children
                .pop()
                .map_or(Node::Leaf(Vec::new()), |child| child.node);
        }
    }

    /// Number of elements before this place in the order.
    pub(super) fn rank(&self, score: f64, member: &[u8]) -> usize {
        self.count_while(|element| element.order(score, member).is_lt())
    }

    /// Number of elements at the start for which this holds: it holds for none after one for
    /// which it does not.
    pub(super) fn count_while(&self, holds: impl Fn(&Scored) -> bool) -> usize {
        let mut before = 0;
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => return before + elements.partition_point(&holds),
                Node::Inner(children) => {
                    let at = place(children, &holds);
                    before += children[..at].iter().map(|child| child.len).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// The elements of these ranks, in order.
    pub(super) fn ascending(&self, ranks: Range<usize>) -> impl Iterator<Item = &Scored> {
        let end = ranks.end.min(self.len);
        let mut next = ranks.start;
        let leaves = std::iter::from_fn(move || {
            let (leaf, at) = (next < end).then(|| self.leaf(next))?;
            let part = &leaf[at..leaf.len().min(at + end - next)];
            next += part.len();
            Some(part)
        });
        leaves.flatten()
    }

    /// The elements of these ranks, the last one first.
    pub(super) fn descending(&self, ranks: Range<usize>) -> impl Iterator<Item = &Scored> {
        let start = ranks.start;
        let mut end = ranks.end.min(self.len);
        let leaves = std::iter::from_fn(move || {
            let (leaf, last) = (start < end).then(|| self.leaf(end - 1))?;
            let part = &leaf[(last + 1).saturating_sub(end - start)..=last];
            end -= part.len();
            Some(part)
        });
        leaves.flat_map(|part| part.iter().rev())
    }

    /// The leaf that has the element of a rank below [`len`](Ranking::len), and its place there.
    fn leaf(&self, mut rank: usize) -> (&[Scored], usize) {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(elements) => return (elements, rank),
                Node::Inner(children) => {
                    let (at, before) = child_of_rank(children, rank);
                    rank -= before;
                    node = &children[at].node;
                }
            }
        }
    }
}

/// The child in which an order ends that holds from the start.
fn place(children: &[Child], holds: impl Fn(&Scored) -> bool) -> usize {
    children[1..].partition_point(|child| holds(&child.low))
}

/// The child that has the element of a rank, and the number of elements before the child.
fn child_of_rank(children: &[Child], rank: usize) -> (usize, usize) {
    let mut before = 0;
    for (at, child) in children.iter().enumerate() {
        if rank < before + child.len {
            return (at, before);
        }
        before += child.len;
    }
    unreachable!("a node has as many elements as it is said to have")
}

impl Node {
    /// Number of elements or children.
    fn width(&self) -> usize {
        match self {
            Node::Leaf(elements) => elements.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// It is searched next: a search would wait for one line of it after the other.
    #[inline]
    fn expect(&self) {
        // Inner nodes are so few that they are near.
        if let Node::Leaf(elements) = self {
            prefetch_all(elements, usize::MAX);
        }
    }

    /// Adds an element; returns the second half if the node had to be split.
    fn insert(&mut self, new: Scored) -> Option<Child> {
        match self {
            Node::Leaf(elements) => insert_in_leaf(elements, new),
            Node::Inner(children) => {
                let at = place(children, |low| low.order(new.score, &new.member).is_le());
                children[at].node.expect();
                children[at].len += 1;
                let right = children[at].node.insert(new)?;
                children[at].len -= right.len;
                children.insert(at + 1, right);
                split_inner(children, at + 1)
            }
        }
    }

    fn remove(&mut self, score: f64, member: &[u8]) -> bool {
        match self {
            Node::Leaf(elements) => {
                let found = elements.binary_search_by(|e| e.order(score, member));
                found.map(|at| elements.remove(at)).is_ok()
            }
            Node::Inner(children) => {
                let at = place(children, |low| low.order(score, member).is_le());
                children[at].node.expect();
                let removed = children[at].node.remove(score, member);
                if removed {
                    children[at].len -= 1;
                    mend(children, at);
                }
                removed
            }
        }
    }

    fn remove_at(&mut self, rank: usize) -> Option<Scored> {
        match self {
            Node::Leaf(elements) => (rank < elements.len()).then(|| elements.remove(rank)),
            Node::Inner(children) => {
                let (at, before) = child_of_rank(children, rank);
                let removed = children[at].node.remove_at(rank - before);
                children[at].len -= 1;
                mend(children, at);
                removed
            }
        }
    }
}

fn insert_in_leaf(elements: &mut Vec<Scored>, new: Scored) -> Option<Child> {
    let at = elements.partition_point(|e| e.order(new.score, &new.member).is_lt());
    if elements.len() < LEAF {
        elements.insert(at, new);
        return None;
    }
    // Elements that come in order leave full leaves behind.
    let middle = if at == LEAF { LEAF } else { LEAF / 2 };
    let mut right = elements.split_off(middle);
    if at >= middle {
        right.insert(at - middle, new);
    } else {
        elements.insert(at, new);
    }
    Some(Child {
        low: right[0].clone(),
        len: right.len(),
        node: Node::Leaf(right),
    })
}

/// Splits a node that has one child too many since one was added at this place.
fn split_inner(children: &mut Vec<Child>, added: usize) -> Option<Child> {
    if children.len() <= FAN {
        return None;
    }
    let middle = if added == FAN { FAN } else { FAN / 2 };
    let right = children.split_off(middle);
    let len = right.iter().map(|child| child.len).sum();
    Some(Child {
        low: right[0].low.clone(),
        len,
        node: Node::Inner(right),
    })
}

/// Merges a child that has become small with a neighbour, if both together are not too large.
fn mend(children: &mut Vec<Child>, at: usize) {
    let most = if matches!(children[at].node, Node::Leaf(_)) {
        LEAF
    } else {
        FAN
    };
    if children[at].len == 0 && children.len() > 1 {
        children.remove(at);
        return;
    }
    if children[at].node.width() >= most / 4 {
        return;
    }
    let fits = |left: usize| {
        children
            .get(left + 1)
            .is_some_and(|right| children[left].node.width() + right.node.width() <= most / 4 * 3)
    };
    let left = if fits(at) {
        at
    } else if at > 0 && fits(at - 1) {
        at - 1
    } else {
        return;
    };
    let right = children.remove(left + 1);
    merge(&mut children[left], right);
}

fn merge(left: &mut Child, right: Child) {
    left.len += right.len;
    match (&mut left.node, right.node) {
        (Node::Leaf(left), Node::Leaf(right)) => left.extend(right),
        (Node::Inner(left), Node::Inner(mut more)) => {
            // It was a first child, whose own bound says nothing.
            more[0].low = right.low;
            left.append(&mut more);
        }
        _ => unreachable!("all leaves are equally deep"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
                assert!(elements.len() <= LEAF && (is_root || !elements.is_empty()));
                for e in elements {
                    assert!(low.is_none_or(|low| low.order(e.score, &e.member).is_le()));
                    assert!(high.is_none_or(|high| high.order(e.score, &e.member).is_gt()));
                }
                all.extend(elements.iter().cloned());
                0
            }
            Node::Inner(children) => {
                assert!(children.len() <= FAN && children.len() > usize::from(is_root));
                let mut depths = Vec::new();
                for (i, child) in children.iter().enumerate() {
                    let before = all.len();
                    let low = if i == 0 { low } else { Some(&child.low) };
                    let high = children.get(i + 1).map(|next| &next.low).or(high);
                    depths.push(check_node(&child.node, low, high, false, all));
                    assert_eq!(all.len() - before, child.len);
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

    fn assert_same(ranking: &Ranking, model: &[Scored]) {
        assert_eq!(ranking.check(), model);
        let all = 0..model.len();
        assert!(ranking.ascending(all.clone()).eq(model.iter()));
        assert!(ranking.descending(all).eq(model.iter().rev()));
        for (rank, e) in model.iter().enumerate() {
            assert_eq!(ranking.rank(e.score, &e.member), rank);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(i32, u16),
        Remove(i32, u16),
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
            6 => any::<usize>().prop_map(Step::RemoveAt),
            1 => (any::<usize>(), 0..600usize).prop_map(|(a, n)| Step::RemoveRun(a, n)),
            2 => (any::<usize>(), 0..300usize).prop_map(|(a, n)| Step::Range(a, n)),
            2 => (-1..6i32).prop_map(Step::Count),
        ]
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
                assert!(ranking.ascending(range.clone()).eq(&model[range.clone()]));
                assert!(
                    ranking
                        .descending(range.clone())
                        .eq(model[range].iter().rev())
                );
            }
            Step::Count(score) => {
                let holds = |e: &Scored| e.score < f64::from(score);
                assert_eq!(ranking.count_while(holds), model.partition_point(holds));
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
        for member in 0..LEAF as u16 * 10 {
            ranking.insert(scored(0, member));
        }
        let Node::Inner(children) = &ranking.root else {
            panic!("one leaf cannot hold them");
        };
        assert_eq!(children.len(), 10);
    }

    #[test]
    fn zeros_of_both_signs_are_the_same_score() {
        let mut ranking = Ranking::default();
        ranking.insert(Scored {
            score: -0.0,
            member: Element::from_slice(b"b"),
        });
        ranking.insert(Scored {
            score: 0.0,
            member: Element::from_slice(b"a"),
        });
        assert_eq!(ranking.rank(0.0, b"b"), 1);
        assert!(ranking.remove(0.0, b"b"));
    }
}
