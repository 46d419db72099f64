//! What this node of a ring holds, and how nothing is lost when the ring changes.
//!
//! A key has a position on the ring. The **holders** of a position are the first `replicas` members
//! from there: its **owner**, who executes commands, and successors that keep copies. When
//! membership changes, holders change, and each node learns of it at a time of its own. So:
//!
//! 1. A new owner **claims** its ranges from those who had them. Who grants a claim executes
//!    nothing on the range any more, and grants only if the claimant is the owner by its own ring,
//!    too; it names those who may have something newer, to its knowledge. Until enough have
//!    granted, requests wait. So at most one node executes commands on a key, as long as none is
//!    taken for dead that is not.
//! 2. A key that a claimed range may lack is **fetched** before a command is executed on it.
//! 3. All others are taken in the background: a **survey** shows keys with versions, and what is
//!    newer is fetched. Versions decide, so that all of it can begin anew at any time.
//! 4. Who held a range and is not its owner any more **offers** it to the owner until that says
//!    that nothing of it is needed; then it is forgotten. What a claim did not find, such as the
//!    keys of the other side of a partition, is found so.
//! 5. A replica surveys its owner once that has everything, and is **level** then.
//! 6. After a write the owner tells the replicas of it, and says when enough of them have it. It
//!    sends the change itself, if the replica may have what it changes, or else the whole value.
//!
//! Nothing here knows a socket or a clock: inputs and the time go in, questions and answers come
//! out.

mod change;
mod claims;
mod clocks;
mod message;
mod outbox;
mod part;
mod pulls;
mod ranges;
mod turning;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use heeler_ring::Ring;

use crate::limits;
use crate::route::Terms;
use crate::store::{Clearing, Copy, Store};
use clocks::{Clocks, Said};
pub use message::{Ack, Answer, Ask, Grant, Known, Letter, Offered, Update};
use outbox::{Outbox, Writes};
pub use part::{Holders, Node};
use part::{Part, Stage};
use pulls::{Fetching, Pull};
pub use ranges::{Range, RangeMap, Ranges};
pub use wire::{decode_answer, decode_ask, encode_answer, encode_ask};

/// How keys are held.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address of this node.
    pub me: Node,
    /// How keys are placed on the ring.
    pub terms: Terms,
    /// How many members hold a key, the owner included.
    pub replicas: usize,
    /// How many of them must have a write before it is acknowledged.
    pub write_acks: WriteAcks,
    /// Most bytes a second that are taken in the background.
    pub pull_rate: u64,
    /// How long a write may wait for replicas, in milliseconds.
    pub write_timeout_ms: u64,
}

/// How many holders must have a write before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAcks {
    /// The owner.
    One,
    /// Most of them.
    Quorum,
    /// All.
    All,
}

impl WriteAcks {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            WriteAcks::One => "1",
            WriteAcks::Quorum => "quorum",
            WriteAcks::All => "all",
        }
    }

    /// How many, the owner included.
    pub fn of(self, replicas: usize) -> usize {
        match self {
            WriteAcks::One => 1,
            WriteAcks::Quorum => replicas / 2 + 1,
            WriteAcks::All => replicas,
        }
    }
}

/// The time by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Milliseconds of a clock that never goes back.
    pub ms: u64,
    /// Milliseconds since 1970.
    pub wall_ms: u64,
}

/// The membership as this node knows it.
#[derive(Clone, Debug)]
pub struct View {
    /// The ring.
    pub ring: Arc<Ring>,
    /// Members that leave, and answer still.
    pub leaving: BTreeSet<Node>,
    /// Members that are known to be dead.
    pub gone: BTreeSet<Node>,
}

/// What happened outside.
#[derive(Debug)]
pub enum Input {
    /// The membership has changed.
    View(View),
    /// Others have taken this node for dead, and it has contradicted.
    Doubted,
    /// Another node asks. The answer is one [`Output::Respond`] with the same token.
    Asked {
        /// Comes back in the answer.
        token: u64,
        /// Who asks.
        from: Node,
        /// What.
        ask: Letter<Ask>,
    },
    /// A node keeps no keys, or by other rules: it will take over none of this node's.
    Stranger(Node),
    /// What came of an [`Output::Send`]: `None` if there was no answer.
    Answered {
        /// The question's.
        id: u64,
        /// The answer.
        answer: Option<Letter<Answer>>,
    },
}

/// What to do outside.
#[derive(Debug)]
pub enum Output {
    /// Ask another node, then give [`Input::Answered`].
    Send {
        /// Comes back with the answer.
        id: u64,
        /// Whom.
        to: Node,
        /// What.
        ask: Letter<Ask>,
    },
    /// Answer another node.
    Respond {
        /// That of the [`Input::Asked`].
        token: u64,
        /// What.
        answer: Letter<Answer>,
    },
    /// Requests that had to wait may be [admitted](Holding::admit) now.
    Woken,
    /// Which ranges may be served without asking has changed: see [`Holding::standing`].
    Standing,
    /// A write is kept by as many as must have it, or will not be in time.
    Written {
        /// What [`Holding::wrote`] returned.
        write: u64,
        /// Whether it is.
        kept: bool,
    },
}

/// Whether a command may be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Now, before anything else is given to this machine.
    Execute,
    /// Not yet: ask again after [`Output::Woken`].
    Wait,
    /// By another node.
    Moved(Node),
    /// Too few members could keep the write.
    NoReplicas,
}

/// What a node may do with a position without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Execute commands.
    Serve,
    /// Ask [`Holding::admit`] for each key.
    Ask,
    /// Send them to another node.
    Moved(Node),
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Ranges that are owned, and may lack keys that others have.
    pub unsettled: usize,
    /// Ranges that are held as replica and may lack keys.
    pub unlevel: usize,
    /// Ranges that were held and are not wholly taken over.
    pub owed: usize,
    /// Keys that were taken from others since the start.
    pub keys_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Keys that were given to others since the start.
    pub keys_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Copies that wait to be sent to replicas.
    pub unsent: usize,
    /// Bytes that replicas have been sent since the start.
    pub bytes_replicated: u64,
    /// Whether all is as the ring wants it: see [`Holding::is_settled`].
    pub settled: bool,
}

/// What this node holds.
pub struct Holding {
    config: Config,
    store: Arc<Store>,
    life: u64,
    view: Option<View>,
    parts: RangeMap<Part>,
    peers: BTreeMap<Node, Peer>,
    /// Nodes that are no members, or leave, and have not answered for long.
    silent: BTreeSet<Node>,
    /// Questions under way.
    flights: HashMap<u64, (Node, Flight)>,
    /// Keys that requests wait for.
    fetches: HashMap<Box<[u8]>, Fetching>,
    /// Keys of unsettled ranges that were fetched.
    fetched: HashSet<Box<[u8]>>,
    writes: Writes,
    /// What is to be forgotten: the shard to go on with.
    forgetting: Option<u64>,
    /// Bytes that may be taken, and when that was reckoned.
    allowance: (i64, u64),
    counter: u64,
    /// Whether `parts` have changed since they were last looked through.
    stale: bool,
    keeps_tombstones: bool,
    tombstones_at: u64,
    /// When the ring changed last.
    turned_at: u64,
    progress: Progress,
    clocks: Clocks,
}

/// What there is to do with another node.
#[derive(Default)]
struct Peer {
    life: Option<u64>,
    /// Those before, the latest first.
    past_lives: VecDeque<u64>,
    clock: Option<Said>,
    /// It has cleared away all keys up to this version.
    cleared: u64,
    /// It keeps no keys, or by other rules.
    is_stranger: bool,
    failing_since: Option<u64>,
    needs: Needs,
    claim: Line,
    offer: Line,
    report: Line,
    pull: Line,
    pulling: Option<Pull>,
    fetch: Line,
    wanted: Vec<Box<[u8]>>,
    keep: Line,
    outbox: Outbox,
    nudge: Line,
}

impl Peer {
    /// Whether there is nothing to do with it.
    fn is_idle(&self) -> bool {
        self.needs == Needs::default()
            && self.pulling.is_none()
            && self.wanted.is_empty()
            && self.outbox.is_empty()
    }
}

/// What is needed of another node, by the parts.
#[derive(Default, PartialEq)]
struct Needs {
    claim: Vec<Range>,
    pull: Vec<Range>,
    level: Vec<Range>,
    report: Vec<Range>,
    offer: Vec<Offered>,
    nudge: Vec<Range>,
}

/// Questions of one kind to one node: one at a time.
#[derive(Clone, Copy, Default)]
struct Line {
    busy: bool,
    /// Not before.
    at: u64,
    /// Whether it was needed when that was looked at last.
    is_needed: bool,
}

impl Line {
    fn is_free(self, now: Now) -> bool {
        !self.busy && self.at <= now.ms
    }
}

/// A question under way.
enum Flight {
    Claim(u64),
    Offer,
    Report(Vec<Range>),
    Survey,
    /// Copies of what a survey has shown.
    Take {
        /// Up to which version keys were cleared away here when they were asked for.
        cleared: u64,
    },
    /// Copies that requests wait for.
    Fetch {
        keys: Vec<Box<[u8]>>,
        /// As in `Take`.
        cleared: u64,
    },
    Keep(Vec<outbox::Sent>),
    Overflow,
    Nudge,
}

impl Holding {
    /// Nothing held yet. `life` is another number for each start. The store keeps versions.
    pub fn new(config: Config, store: Arc<Store>, life: u64) -> Holding {
        if config.replicas > 1 {
            store.keep_journal();
        }
        Holding {
            config,
            store,
            life,
            view: None,
            parts: RangeMap::new(Part::default()),
            peers: BTreeMap::new(),
            silent: BTreeSet::new(),
            flights: HashMap::new(),
            fetches: HashMap::new(),
            fetched: HashSet::new(),
            writes: Writes::default(),
            forgetting: None,
            allowance: (0, 0),
            // Numbers of claims are others in each life.
            counter: life >> 1,
            stale: false,
            keeps_tombstones: false,
            tombstones_at: 0,
            turned_at: 0,
            progress: Progress::default(),
            clocks: Clocks::default(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::View(view) => {
                self.take_view(now, view);
                // Those that were heard before they were members count now.
                self.clocks.next_at = self.clocks.next_at.map(|_| now.ms);
            }
            Input::Doubted => self.doubted(),
            Input::Stranger(node) => self.peer(&node).is_stranger = true,
            Input::Asked { token, from, ask } => {
                let is_of_now = self.meet(now, &from, &ask);
                self.peer(&from).is_stranger = false;
                let body = match &ask.body {
                    // It would be kept here alone: its owner asked for all when it started anew.
                    Ask::Keep(updates) if !is_of_now => {
                        Answer::Kept(vec![Ack::Refused; updates.len()])
                    }
                    _ => self.answer(now, &from, ask),
                };
                let answer = self.letter(now, body);
                out.push(Output::Respond { token, answer });
                self.forget_outsiders();
            }
            Input::Answered { id, answer } => self.answered(now, id, answer, out),
        }
        self.work(now, out);
    }

    /// To be called at [`next_wake`](Holding::next_wake).
    pub fn wake(&mut self, now: Now, out: &mut Vec<Output>) {
        self.work(now, out);
    }

    /// When there is something to do even if nothing happens.
    pub fn next_wake(&self, now: Now) -> Option<u64> {
        let mut wake = self.writes.next_deadline();
        let mut sooner = |at: u64| wake = Some(wake.map_or(at, |wake: u64| wake.min(at)));
        if self.forgetting.is_some() {
            sooner(now.ms + 1);
        }
        if self.keeps_tombstones {
            sooner(self.tombstones_at);
        }
        if let Some(at) = self.clocks.next_at {
            sooner(at);
        }
        let last = self.turned_at + limits::LAST_MS;
        if last > now.ms && self.view.as_ref().is_some_and(|view| view.ring.is_empty()) {
            sooner(last);
        }
        for peer in self.peers.values() {
            let needs = &peer.needs;
            let pulls = peer.pulling.is_some() || !needs.pull.is_empty() || !needs.level.is_empty();
            let lines = [
                (!needs.claim.is_empty(), peer.claim),
                (!needs.offer.is_empty(), peer.offer),
                (!needs.report.is_empty(), peer.report),
                (!needs.nudge.is_empty(), peer.nudge),
                (!peer.wanted.is_empty(), peer.fetch),
                (!peer.outbox.is_empty(), peer.keep),
            ];
            for (needed, line) in lines {
                if needed && !line.busy {
                    sooner(line.at);
                }
            }
            if pulls && !peer.pull.busy {
                sooner(peer.pull.at.max(self.allowed_at()));
            }
        }
        wake
    }

    /// Whether a command on these keys may be executed here. [`next_wake`](Holding::next_wake) may
    /// be earlier then.
    pub fn admit<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>, writes: bool) -> Admission {
        let mut admission = Admission::Execute;
        let needed = self.config.write_acks.of(self.config.replicas);
        for key in keys {
            let Some(position) = self.position(key) else {
                return Admission::Wait;
            };
            let part = self.parts.at(position);
            match part.owner() {
                None => return Admission::Wait,
                Some(owner) if *owner != self.config.me => return Admission::Moved(owner.clone()),
                Some(_) if writes && part.holders.len() < needed => return Admission::NoReplicas,
                Some(_) if !part.claimed => admission = Admission::Wait,
                Some(_) if part.has(Stage::Heard) && !self.fetched.contains(key) => {
                    self.want(key, position);
                    admission = Admission::Wait;
                }
                Some(_) => {}
            }
        }
        admission
    }

    /// Of how many other nodes anything is known, members or not.
    pub fn known_nodes(&self) -> usize {
        self.peers.len()
    }

    /// The ring as this node knows it.
    pub fn ring(&self) -> Option<&Arc<Ring>> {
        self.view.as_ref().map(|view| &view.ring)
    }

    /// What may be done with each position without asking.
    pub fn standing(&self) -> RangeMap<Standing> {
        let needed = self.config.write_acks.of(self.config.replicas);
        let parts = self.parts.iter().map(|(range, part)| {
            let standing = match part.owner() {
                Some(owner) if *owner != self.config.me => Standing::Moved(owner.clone()),
                // Writes are to be refused there.
                Some(_) if part.holders.len() < needed => Standing::Ask,
                Some(_) if part.claimed && part.is_settled() => Standing::Serve,
                _ => Standing::Ask,
            };
            (range.last, standing)
        });
        RangeMap::from_ends(parts.collect()).unwrap_or_else(|| RangeMap::new(Standing::Ask))
    }

    /// The position of a key, if there is a ring.
    pub fn position(&self, key: &[u8]) -> Option<u32> {
        let hash = self.view.as_ref()?.ring.hash();
        Some(self.config.terms.position(hash, key))
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let mut progress = self.progress;
        for (_, part) in self.parts.iter() {
            let owns = part.owner() == Some(&self.config.me);
            let lacks = !part.is_settled() || owns && !part.claimed;
            progress.unsettled += usize::from(owns && lacks);
            progress.unlevel += usize::from(!owns && lacks);
            progress.owed += usize::from(part.past.is_some());
        }
        progress.settled = self.is_settled();
        progress.unsent = self.peers.values().map(|peer| peer.outbox.len()).sum();
        progress
    }

    /// Whether this node has all that it holds, owes nothing to anybody, and all replicas of what
    /// it owns are level.
    pub fn is_settled(&self) -> bool {
        let quiet = |part: &Part| {
            let owns = part.owner() == Some(&self.config.me);
            part.is_settled()
                && part.past.is_none()
                && (!owns || part.claimed && part.is_level())
                && (owns || !self.holds(part) || part.reported)
        };
        self.view.is_some() && self.parts.iter().all(|(_, part)| quiet(part))
    }

    /// Whether it is [settled](Holding::is_settled), and nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        self.is_settled()
            && self.forgetting.is_none()
            && self.peers.values().all(|peer| peer.outbox.is_empty())
    }

    /// Whether all that this node held is with others, as far as they take over keys. If there are
    /// none it waits a moment: one may be about to join.
    pub fn has_handed_over(&self, now: Now) -> bool {
        self.is_alone() && now.ms >= self.turned_at + limits::LAST_MS
            || self
                .parts
                .iter()
                .all(|(_, part)| part.past.is_none() || self.is_lost(part))
    }

    /// Whether nobody is in the ring who could take over.
    pub fn is_alone(&self) -> bool {
        self.view.as_ref().is_none_or(|view| view.ring.is_empty())
    }

    /// How many ranges that this node held belong to members that take over no keys.
    pub fn lost(&self) -> usize {
        let lost = |part: &Part| part.past.is_some() && self.is_lost(part);
        self.parts.iter().filter(|(_, part)| lost(part)).count()
    }

    fn is_lost(&self, part: &Part) -> bool {
        let owner = part.owner().and_then(|owner| self.peers.get(owner));
        owner.is_some_and(|owner| owner.is_stranger)
    }

    /// Whether this node holds a key, or has held it and keeps it until others have it.
    pub fn keeps(&self, key: &[u8]) -> bool {
        let part = self.position(key).map(|position| self.parts.at(position));
        part.is_some_and(|part| self.holds(part) || part.past.is_some())
    }

    /// Whether this node has held a key that another owns now, who may not have it yet.
    pub fn owes(&self, key: &[u8]) -> bool {
        let part = self.position(key).map(|position| self.parts.at(position));
        part.is_some_and(|part| !self.owns(part) && part.past.is_some())
    }

    /// Whether there are such positions.
    pub fn owes_any(&self) -> bool {
        self.parts.iter().any(|(_, part)| part.past.is_some())
    }

    fn holds(&self, part: &Part) -> bool {
        part.holders.contains(&self.config.me)
    }

    fn owns(&self, part: &Part) -> bool {
        part.owner() == Some(&self.config.me)
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn peer(&mut self, node: &Node) -> &mut Peer {
        self.peers.entry(node.clone()).or_default()
    }

    /// A sender may call itself what it likes: so only a bounded number is known of nodes that are
    /// no members, and with which there is nothing to do.
    fn forget_outsiders(&mut self) {
        let members = self
            .view
            .as_ref()
            .map_or(0, |view| view.ring.members().len());
        if self.peers.len() <= members + limits::OUTSIDERS {
            return;
        }
        let asked: BTreeSet<&Node> = self.flights.values().map(|(node, _)| node).collect();
        let view = self.view.as_ref();
        self.peers.retain(|node, peer| {
            let is_inside = view.is_some_and(|view| {
                view.ring.contains(node) || view.leaving.contains(node) || view.gone.contains(node)
            });
            is_inside || asked.contains(node) || !peer.is_idle()
        });
    }

    /// Does all that there is to do now.
    fn work(&mut self, now: Now, out: &mut Vec<Output>) {
        self.post_written();
        for write in self.writes.late(now) {
            out.push(Output::Written { write, kept: false });
        }
        self.give_up_silent(now);
        if self.stale {
            self.plan(now, out);
        }
        self.allow(now);
        let nodes: Vec<Node> = self.peers.keys().cloned().collect();
        for node in &nodes {
            self.claim_of(now, node, out);
            self.offer_to(now, node, out);
            self.report_to(now, node, out);
            self.fetch_of(now, node, out);
            self.pull_of(now, node, out);
            self.send_copies(now, node, out);
            self.nudge(now, node, out);
        }
        self.forget_some(now);
        self.tend_tombstones(now);
        self.reckon_on_time(now);
    }

    /// Looks through the parts for what there is to do.
    fn plan(&mut self, now: Now, out: &mut Vec<Output>) {
        self.stale = false;
        self.note_opened();
        let mut needs: BTreeMap<Node, Needs> = BTreeMap::new();
        for (range, part) in self.parts.iter() {
            let owns = self.owns(part);
            for source in &part.sources {
                let of = match (source.stage, owns) {
                    (Stage::Asked, _) => &mut needs.entry(source.node.clone()).or_default().claim,
                    (Stage::Heard, true) => &mut needs.entry(source.node.clone()).or_default().pull,
                    (Stage::Heard, false) => {
                        &mut needs.entry(source.node.clone()).or_default().level
                    }
                    _ => continue,
                };
                of.push(range);
            }
            if owns && part.opened && part.is_settled() {
                let behind = part.holders[1..]
                    .iter()
                    .filter(|node| !part.level.contains(node));
                behind.for_each(|node| needs.entry(node.clone()).or_default().nudge.push(range));
            }
            let Some(owner) = part.owner().filter(|_| !owns) else {
                continue;
            };
            if self.holds(part) && part.is_settled() && !part.reported {
                needs.entry(owner.clone()).or_default().report.push(range);
            }
            if let Some(past) = &part.past {
                let granted = part.granted.as_ref().filter(|it| it.to == *owner);
                let claim = granted.map(|it| it.claim);
                needs.entry(owner.clone()).or_default().offer.push(Offered {
                    range,
                    claim,
                    owned: past.owned,
                });
            }
        }
        for peer in self.peers.values_mut() {
            peer.needs = Needs::default();
        }
        for (node, needs) in needs {
            let peer = self.peer(&node);
            if !needs.nudge.is_empty() && !peer.nudge.is_needed {
                // Most find out by themselves.
                peer.nudge.at = now.ms + limits::NUDGE_MS;
            }
            peer.nudge.is_needed = !needs.nudge.is_empty();
            peer.needs = needs;
        }
        self.refresh_fetches();
        out.push(Output::Standing);
        out.push(Output::Woken);
    }

    /// Sends a question.
    fn send(&mut self, now: Now, to: &Node, (ask, flight): (Ask, Flight), out: &mut Vec<Output>) {
        let id = self.next();
        self.flights.insert(id, (to.clone(), flight));
        let (to, ask) = (to.clone(), self.letter(now, ask));
        out.push(Output::Send { id, to, ask });
    }

    fn letter<T>(&self, now: Now, body: T) -> Letter<T> {
        Letter {
            life: self.life,
            wall_ms: now.wall_ms,
            clearing: self.store.clearing(),
            body,
        }
    }

    fn answer(&mut self, now: Now, from: &Node, ask: Letter<Ask>) -> Answer {
        match ask.body {
            Ask::Claim { claim, ranges } => self.grant(from, ask.life, claim, ranges),
            Ask::Survey {
                ranges,
                cursor,
                level,
            } => self.show(from, ranges, cursor, level),
            Ask::Fetch(keys) => self.give(now, from, &keys),
            Ask::Offer(offered) => self.release(from, &offered),
            Ask::Level(ranges) => self.note_level(from, ranges),
            Ask::Keep(updates) => self.keep(now, from, &updates),
            Ask::Compare { ranges, anew } => self.compare_with(from, ranges, anew),
        }
    }

    fn answered(
        &mut self,
        now: Now,
        id: u64,
        answer: Option<Letter<Answer>>,
        out: &mut Vec<Output>,
    ) {
        let Some((from, flight)) = self.flights.remove(&id) else {
            return;
        };
        let is_of_now = answer
            .as_ref()
            .is_some_and(|letter| self.meet(now, &from, letter));
        let failed = answer.is_none();
        let peer = self.peer(&from);
        peer.failing_since = match (failed, peer.failing_since) {
            (false, _) => None,
            (true, since) => since.or(Some(now.ms)),
        };
        let mut body = answer.map(|letter| letter.body);
        if let Some(Answer::Granted(grants)) = &mut body {
            // What it had when it said so is gone: others may have something newer.
            grants.iter_mut().for_each(|it| it.whole &= is_of_now);
        }
        match flight {
            Flight::Claim(claim) => self.claim_answered(now, &from, claim, body),
            Flight::Offer => self.offer_answered(now, &from, body),
            Flight::Report(ranges) => self.report_answered(now, &from, ranges, body),
            Flight::Survey => self.survey_answered(now, &from, body),
            Flight::Take { cleared } => self.take_answered(now, &from, cleared, body),
            Flight::Fetch { keys, cleared } => {
                self.fetch_answered(now, &from, (keys, cleared), body, out);
            }
            Flight::Keep(sent) => self.keep_answered(now, &from, sent, body, out),
            Flight::Overflow => self.overflow_answered(now, &from, body),
            Flight::Nudge => self.nudged(now, &from),
        }
    }

    /// A node has said something: if it lives anew, it has lost what it had. Returns whether the
    /// letter is of the life that it has now, not a late one of those before.
    fn meet<T>(&mut self, now: Now, node: &Node, letter: &Letter<T>) -> bool {
        self.silent.remove(node);
        let peer = self.peer(node);
        if peer.past_lives.contains(&letter.life) {
            return false;
        }
        let before = peer.life.replace(letter.life);
        if let Some(before) = before.filter(|before| *before != letter.life) {
            peer.past_lives.truncate(limits::PAST_LIVES - 1);
            peer.past_lives.push_front(before);
            self.lives_anew(node);
        }
        self.note_time(now, node, letter.wall_ms);
        self.note_clearing(node, letter.clearing);
        true
    }

    /// A node has said what was cleared away.
    fn note_clearing(&mut self, node: &Node, clearing: Clearing) {
        self.store.hear_of_clearing(clearing);
        self.peer(node).cleared = clearing.done;
    }

    /// A copy of a key for a node that holds it, too. If that has cleared it away, the owner goes
    /// on above that: so it is no copy of what was before.
    fn copy_for(&mut self, now: Now, node: &Node, key: &[u8]) -> Option<Copy> {
        let cleared = self.peer(node).cleared;
        let position = self.position(key)?;
        let part = self.parts.at(position);
        let is_old = |version| version <= cleared;
        let is_cleared = self.store.version(now.wall_ms, key).is_some_and(is_old);
        if !is_cleared || !self.owns(part) || !part.claimed {
            return self.store.export(now.wall_ms, key);
        }
        let copy = self.store.export_above(now.wall_ms, key, cleared)?;
        self.send_to_replicas(key, position);
        Some(copy)
    }

    /// Forgets a few keys that others hold now.
    fn forget_some(&mut self, now: Now) {
        let Some(shard) = self.forgetting else {
            return;
        };
        let (parts, view) = (&self.parts, &self.view);
        let Config { me, terms, .. } = &self.config;
        let Some(view) = view else {
            return;
        };
        let is_foreign = |key: &[u8]| {
            let part = parts.at(terms.position(view.ring.hash(), key));
            !part.holders.contains(me) && part.past.is_none() && !part.holders.is_empty()
        };
        let (_, next) = self.store.forget(now.wall_ms, shard, is_foreign);
        self.forgetting = next;
    }

    /// The ring has changed: from now on an older copy may come from somewhere.
    fn keep_tombstones(&mut self, now: Now) {
        self.turned_at = now.ms;
        if !self.keeps_tombstones {
            self.keeps_tombstones = true;
            self.store.keep_tombstones(true);
            self.tombstones_at = now.ms + limits::TOMBSTONE_MS / 10;
        }
    }

    /// Forgets old tombstones, but not while ranges are being taken over.
    fn tend_tombstones(&mut self, now: Now) {
        if !self.keeps_tombstones || now.ms < self.tombstones_at {
            return;
        }
        self.tombstones_at = now.ms + limits::TOMBSTONE_MS / 10;
        let settled = |part: &Part| part.is_settled() && part.past.is_none();
        if !self.parts.iter().all(|(_, part)| settled(part)) {
            return;
        }
        let before = now.wall_ms.saturating_sub(limits::TOMBSTONE_MS);
        self.store.forget_tombstones(before);
        if self.config.replicas == 1 && now.ms >= self.turned_at + limits::TOMBSTONE_MS {
            self.keeps_tombstones = false;
            self.store.keep_tombstones(false);
        }
    }
}
