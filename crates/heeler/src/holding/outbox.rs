//! What replicas have to be told of, on its way to them.
//!
//! Of many changes of a key that come while the line is busy, all are told at once: as changes, or
//! as the value that has come of them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use smallvec::SmallVec;

use super::change::Change;
use super::message::{Ack, Answer, Ask, Update};
use super::part::Node;
use super::ranges::{Range, Ranges};
use super::{Flight, Holding, Now, Output};
use crate::limits;
use crate::store::{Applied, Imported};

/// Who waits for a copy: a write, and which of its keys.
type Waiter = (u64, usize);

/// Keys that one replica has to be told of.
#[derive(Default)]
pub(super) struct Outbox {
    queue: VecDeque<Box<[u8]>>,
    waiting: HashMap<Box<[u8]>, Waiting>,
    /// Bytes of all changes that wait.
    bytes: usize,
    sent: usize,
    /// Too many: it has to compare everything.
    overflowed: bool,
}

#[derive(Default)]
struct Waiting {
    change: Change,
    waiters: SmallVec<[Waiter; 2]>,
}

/// A key that was sent.
pub(super) struct Sent {
    key: Box<[u8]>,
    change: Change,
    waiters: SmallVec<[Waiter; 2]>,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.sent + usize::from(self.overflowed)
    }

    pub(super) fn clear(&mut self) {
        let sent = self.sent;
        *self = Outbox {
            sent,
            ..Outbox::default()
        };
    }

    fn push(&mut self, key: &[u8], change: Change, waiters: impl IntoIterator<Item = Waiter>) {
        self.join(key, waiters, |before| match before {
            Some(before) => before.then(change),
            None => change,
        });
    }

    /// Puts back what was sent and not kept: what has come since comes after it.
    fn put_back(&mut self, sent: Sent) {
        let Sent {
            key,
            change,
            waiters,
        } = sent;
        self.join(&key, waiters, |later| match later {
            Some(later) => change.then(later),
            None => change,
        });
    }

    /// Queues a key with what `join` makes of the change that is queued of it.
    fn join(
        &mut self,
        key: &[u8],
        waiters: impl IntoIterator<Item = Waiter>,
        join: impl FnOnce(Option<Change>) -> Change,
    ) {
        let is_new = !self.waiting.contains_key(key);
        if is_new && (self.overflowed || self.queue.len() >= limits::UNSENT) {
            self.clear();
            self.overflowed = true;
            return;
        }
        if is_new {
            self.queue.push_back(key.into());
            self.waiting.insert(key.into(), Waiting::default());
        }
        let Some(waiting) = self.waiting.get_mut(key) else {
            return;
        };
        waiting.waiters.extend(waiters);
        self.bytes -= waiting.change.bytes();
        let before = std::mem::take(&mut waiting.change);
        let joined = join((!is_new).then_some(before));
        if self.bytes + joined.bytes() <= limits::UNSENT_BYTES {
            waiting.change = joined;
        }
        self.bytes += waiting.change.bytes();
    }

    fn pop(&mut self) -> Option<Sent> {
        let key = self.queue.pop_front()?;
        let Waiting { change, waiters } = self.waiting.remove(&key).unwrap_or_default();
        self.bytes -= change.bytes();
        Some(Sent {
            key,
            change,
            waiters,
        })
    }
}

/// What is to be told of a key whose turn has come.
enum Tell {
    Update(Update),
    Nothing,
    /// It is queued again.
    Later,
}

/// Writes that wait for replicas, by number.
#[derive(Default)]
pub(super) struct Writes(BTreeMap<u64, Pending>);

struct Pending {
    deadline: u64,
    /// How many replicas have yet to keep each key.
    missing: SmallVec<[usize; 2]>,
}

impl Writes {
    /// The first deadline.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.0
            .first_key_value()
            .map(|(_, pending)| pending.deadline)
    }

    /// Takes out the writes whose deadlines have passed.
    pub(super) fn late(&mut self, now: Now) -> Vec<u64> {
        let mut late = Vec::new();
        while let Some(first) = self.0.first_entry() {
            if first.get().deadline > now.ms {
                break;
            }
            late.push(*first.key());
            first.remove();
        }
        late
    }

    /// One more replica has a key. Returns whether it was the last that was missing.
    fn kept(&mut self, (write, key): Waiter) -> bool {
        let Some(pending) = self.0.get_mut(&write) else {
            return false;
        };
        if let Some(missing) = pending.missing.get_mut(key) {
            *missing = missing.saturating_sub(1);
        }
        let done = pending.missing.iter().all(|missing| *missing == 0);
        if done {
            self.0.remove(&write);
        }
        done
    }
}

impl Holding {
    /// A command has changed these keys, which were [admitted](Holding::admit). Returns a number if
    /// its reply has to wait for [`Output::Written`]. [`next_wake`](Holding::next_wake) may be
    /// earlier then.
    pub fn wrote<'k>(&mut self, now: Now, keys: impl Iterator<Item = &'k [u8]>) -> Option<u64> {
        self.post_written();
        let needed = self.config.write_acks.of(self.config.replicas) - 1;
        if needed == 0 {
            return None;
        }
        let write = self.next();
        let mut missing = SmallVec::new();
        for key in keys {
            let Some(position) = self.position(key) else {
                continue;
            };
            for node in self.replicas_at(position) {
                self.post(&node, key, Change::Check, Some((write, missing.len())));
            }
            missing.push(needed);
        }
        let waits = !missing.is_empty();
        if waits {
            let deadline = now.ms + self.config.write_timeout_ms;
            self.writes.0.insert(write, Pending { deadline, missing });
        }
        waits.then_some(write)
    }

    /// Has the replicas told of all that was written since this was last done.
    pub(super) fn post_written(&mut self) {
        if self.config.replicas == 1 {
            return;
        }
        for written in self.store.take_written() {
            let Some(position) = self.position(&written.key) else {
                continue;
            };
            let key = written.key.clone();
            let change = Change::of(written);
            for node in self.replicas_at(position) {
                self.post(&node, &key, change.clone(), None);
            }
        }
    }

    /// Sends a key to all replicas of its position.
    pub(super) fn send_to_replicas(&mut self, key: &[u8], position: u32) {
        for node in self.replicas_at(position) {
            self.post(&node, key, Change::Whole, None);
        }
    }

    fn replicas_at(&self, position: u32) -> SmallVec<[Node; 3]> {
        let holders = &self.parts.at(position).holders;
        holders
            .iter()
            .filter(|node| **node != self.config.me)
            .cloned()
            .collect()
    }

    fn post(&mut self, node: &Node, key: &[u8], change: Change, waiter: Option<Waiter>) {
        let outbox = &mut self.peer(node).outbox;
        let before = outbox.overflowed;
        outbox.push(key, change, waiter);
        if outbox.overflowed && !before {
            self.parts
                .update_all(|_, part| part.level.retain(|level| level != node));
            self.has_missed(node);
        }
    }

    /// A replica was not told of some writes: it needs a survey that begins after this.
    fn has_missed(&mut self, node: &Node) {
        self.parts
            .update_all(|_, part| part.surveyed.retain(|surveyed| surveyed != node));
    }

    /// Sends what waits for a replica.
    pub(super) fn send_copies(&mut self, now: Now, node: &Node, out: &mut Vec<Output>) {
        let peer = self.peer(node);
        if peer.outbox.is_empty() || !peer.keep.is_free(now) {
            return;
        }
        peer.keep.busy = true;
        if peer.outbox.overflowed {
            let (ranges, anew) = (vec![Range::ALL], true);
            return self.send(
                now,
                node,
                (Ask::Compare { ranges, anew }, Flight::Overflow),
                out,
            );
        }
        let (mut updates, mut sent, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < limits::COPIES_BYTES && sent.len() < limits::COPIES {
            let Some(next) = self.peer(node).outbox.pop() else {
                break;
            };
            match self.update(now, node, &next) {
                Tell::Update(update) => {
                    bytes += update.bytes();
                    updates.push(update);
                    sent.push(next);
                }
                Tell::Nothing => self.settle(&next, out),
                Tell::Later => self.peer(node).outbox.put_back(next),
            }
        }
        let peer = self.peer(node);
        if sent.is_empty() {
            peer.keep.busy = false;
            return;
        }
        peer.outbox.sent = sent.len();
        self.progress.bytes_replicated += bytes as u64;
        self.send(now, node, (Ask::Keep(updates), Flight::Keep(sent)), out);
    }

    /// What a replica is told of a key whose turn has come.
    fn update(&mut self, now: Now, node: &Node, next: &Sent) -> Tell {
        let key = next.key.clone();
        match &next.change {
            Change::Steps(chain) => Tell::Update(Update::Steps {
                key,
                base: chain.base,
                steps: chain.steps.clone(),
            }),
            Change::Whole => match self.copy_for(now, node, &key) {
                Some(copy) => Tell::Update(Update::Copy(copy)),
                // It is gone, and that is forgotten, too.
                None => Tell::Nothing,
            },
            Change::Check => {
                let version = self.store.version(now.wall_ms, &key);
                // The write that gave it this version may not have been posted yet.
                self.post_written();
                match version {
                    _ if self.peer(node).outbox.waiting.contains_key(&key) => Tell::Later,
                    None => Tell::Nothing,
                    Some(base) => Tell::Update(Update::Steps {
                        key,
                        base,
                        steps: Vec::new(),
                    }),
                }
            }
        }
    }

    fn settle(&mut self, sent: &Sent, out: &mut Vec<Output>) {
        for waiter in &sent.waiters {
            if self.writes.kept(*waiter) {
                let write = waiter.0;
                out.push(Output::Written { write, kept: true });
            }
        }
    }

    pub(super) fn keep_answered(
        &mut self,
        now: Now,
        from: &Node,
        sent: Vec<Sent>,
        answer: Option<Answer>,
        out: &mut Vec<Output>,
    ) {
        let peer = self.peer(from);
        peer.keep.busy = false;
        peer.outbox.sent = 0;
        let kept = match answer {
            Some(Answer::Kept(kept)) => kept,
            _ => Vec::new(),
        };
        for (i, sent) in sent.into_iter().enumerate() {
            match kept.get(i) {
                Some(Ack::Kept) => self.settle(&sent, out),
                Some(Ack::Broken) if sent.change == Change::Whole => {
                    tracing::warn!(
                        replica = %from,
                        "the replica has refused a copy, for it cannot read it: are both nodes of \
                         the same version of Heeler?"
                    );
                }
                Some(Ack::Behind | Ack::Broken | Ack::Cleared) => {
                    if self.sends_again(from, &sent.key, false) {
                        let outbox = &mut self.peer(from).outbox;
                        outbox.push(&sent.key, Change::Whole, sent.waiters);
                    }
                }
                Some(Ack::Refused) | None => {
                    self.peer(from).keep.at = now.ms + limits::ASK_AGAIN_MS;
                    if self.sends_again(from, &sent.key, kept.is_empty()) {
                        self.peer(from).outbox.put_back(sent);
                    }
                }
            }
        }
    }

    /// Whether a key is sent again to a node that did not keep it, or did not answer (`unheard`).
    /// A node that does not own the key any more takes no for an answer.
    fn sends_again(&self, node: &Node, key: &[u8], unheard: bool) -> bool {
        self.position(key).is_some_and(|position| {
            let part = self.parts.at(position);
            let concerns = self.owns(part) || unheard && part.past.is_some();
            concerns && part.holders.contains(node)
        })
    }

    /// Keeps as a replica what it is told.
    pub(super) fn keep(&mut self, now: Now, from: &Node, updates: &[Update]) -> Answer {
        let mut kept = Vec::with_capacity(updates.len());
        for update in updates {
            let position = self.position(update.key());
            let part = position.map(|position| self.parts.at(position));
            let Some(part) = part.filter(|part| self.holds(part)) else {
                kept.push(Ack::Refused);
                continue;
            };
            let is_owner = part.owner() == Some(from);
            let granted = part.granted.as_ref().map(|granted| &granted.to);
            let is_past = self.owns(part) || granted.is_some() && granted == part.owner();
            kept.push(match self.take_update(now, update) {
                Ack::Kept | Ack::Cleared if is_past && !is_owner => Ack::Refused,
                ack => ack,
            });
        }
        Answer::Kept(kept)
    }

    fn take_update(&self, now: Now, update: &Update) -> Ack {
        match update {
            Update::Copy(copy) => match self.store.import(now.wall_ms, copy) {
                Imported::Taken | Imported::Known => Ack::Kept,
                Imported::Broken => Ack::Broken,
                // Both say that it is gone.
                Imported::Cleared if copy.value.is_none() => Ack::Kept,
                Imported::Cleared => Ack::Cleared,
            },
            Update::Steps { key, base, steps } => {
                match self.store.apply(now.wall_ms, key, *base, steps) {
                    Applied::Kept => Ack::Kept,
                    Applied::Behind => Ack::Behind,
                    Applied::Broken => Ack::Broken,
                }
            }
        }
    }

    /// Tells a replica that it is not level, if it does not find out by itself.
    pub(super) fn nudge(&mut self, now: Now, node: &Node, out: &mut Vec<Output>) {
        let peer = self.peer(node);
        if peer.needs.nudge.is_empty() || !peer.nudge.is_free(now) {
            return;
        }
        peer.nudge.busy = true;
        let (ranges, anew) = (peer.needs.nudge.clone(), false);
        self.send(
            now,
            node,
            (Ask::Compare { ranges, anew }, Flight::Nudge),
            out,
        );
    }

    pub(super) fn nudged(&mut self, now: Now, from: &Node) {
        let peer = self.peer(from);
        peer.nudge.busy = false;
        peer.nudge.at = now.ms + limits::NUDGE_MS;
    }

    /// As a replica of a node that knows that this one is not level.
    pub(super) fn compare_with(&mut self, from: &Node, ranges: Vec<Range>, anew: bool) -> Answer {
        self.counter += 1;
        let (since, me) = (self.counter, self.config.me.clone());
        self.parts.update(&Ranges::new(ranges), |_, part| {
            if part.is_replica(&me, from) && (anew || part.is_settled()) {
                part.survey_owner(since);
            }
        });
        self.stale = true;
        Answer::Done
    }

    pub(super) fn overflow_answered(&mut self, now: Now, from: &Node, answer: Option<Answer>) {
        let peer = self.peer(from);
        peer.keep.busy = false;
        match answer {
            Some(Answer::Done) => {
                peer.outbox.overflowed = false;
                self.has_missed(from);
            }
            _ => peer.keep.at = now.ms + limits::ASK_AGAIN_MS,
        }
    }
}
