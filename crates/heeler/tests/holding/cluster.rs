//! Nodes and the network between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use fastrand::Rng;
use heeler::command::{OwnedCommand, Reply};
use heeler::holding::{
    Admission, Answer, Ask, Config, Holding, Input, Letter, Now, Output, WriteAcks, decode_answer,
    decode_ask, encode_answer, encode_ask,
};
use heeler::route::Terms;
use heeler::store::Store;

use crate::clients::{Ending, Op};
use crate::membership::{Members, Status, address, number};
use crate::near_caches::{Held, NearCaches};

/// The wall clock when the simulation begins.
pub const WALL_MS: u64 = 1_800_000_000_000;
/// How long a question waits for its answer.
pub const TIMEOUT_MS: u64 = 400;
/// How often a node talks to another about the membership.
const GOSSIP_MS: u64 = 150;
/// How long a member may be silent.
const PATIENCE_MS: u64 = 1500;

pub struct Machine {
    pub store: Arc<Store>,
    pub holding: Holding,
    pub members: Members,
    life: u64,
    skew_ms: i64,
    wake_at: u64,
    waiting: Vec<Op>,
    writing: BTreeMap<u64, (Op, Reply)>,
    pub leaving: bool,
    pub near: NearCaches,
}

enum Event {
    Wake(usize),
    Gossip(usize, u64),
    /// A question arrives: to, from, the sender's life, its number, what.
    Ask(usize, usize, u64, u64, Letter<Ask>),
    /// An answer arrives, or will not: to, its life, the question's number, what, from, its life.
    Answer(
        usize,
        u64,
        u64,
        Option<Letter<Answer>>,
        Option<(usize, u64)>,
    ),
    /// A command arrives at a node, from a client or from the node that got it first.
    Command(usize, Op),
    /// A command comes back to be tried again, or with its end.
    Back(usize, Op),
    Ended(Op, Ending),
}

pub struct Cluster {
    pub now: u64,
    pub nodes: Vec<Option<Machine>>,
    pub replicas: usize,
    pub write_acks: WriteAcks,
    pub loss: f64,
    pub delay_ms: (u64, u64),
    /// Which side of a partition each node is on.
    pub sides: BTreeMap<usize, usize>,
    /// Commands that have come to an end.
    pub ended: Vec<(Op, Ending)>,
    pub trace: bool,
    /// Whether what a node has said, and nobody has heard, is lost when it dies.
    pub cuts_at_crash: bool,
    /// Bytes that replicas were sent, the same again if they were sent again.
    pub replicated: u64,
    /// What clients hold that are told of all keys by all nodes.
    pub held: Held,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    tokens: BTreeMap<u64, (usize, u64, u64)>,
    number: u64,
    random: Rng,
}

impl Cluster {
    pub fn new(seed: u64, replicas: usize, write_acks: WriteAcks) -> Cluster {
        Cluster {
            now: 1000,
            nodes: Vec::new(),
            replicas,
            write_acks,
            loss: 0.0,
            delay_ms: (1, 15),
            sides: BTreeMap::new(),
            ended: Vec::new(),
            cuts_at_crash: false,
            replicated: 0,
            held: Held::new(),
            trace: std::env::var("HEELER_TRACE").is_ok(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            tokens: BTreeMap::new(),
            number: 0,
            random: Rng::with_seed(seed),
        }
    }

    pub fn random(&mut self) -> u64 {
        self.random.u64(..)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.random.u64(..bound.max(1))
    }

    pub fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>6} {}", self.now, what());
        }
    }

    /// Starts a node, empty, under this number. It knows what another one knows.
    pub fn start(&mut self, node: usize) {
        while self.nodes.len() <= node {
            self.nodes.push(None);
        }
        let life = self.random();
        let store = Arc::new(Store::new(self.random()));
        store.keep_versions();
        store.salt_versions(node as u16 + 1);
        // A node that comes tells of what comes after it.
        let near = NearCaches::new(&store);
        self.held.clear();
        let config = Config {
            me: address(node),
            terms: Terms::default(),
            replicas: self.replicas,
            write_acks: self.write_acks,
            pull_rate: 64 * 1024,
            write_timeout_ms: 1500,
        };
        let holding = Holding::new(config, store.clone(), life);
        let mut members = Members::new(node, self.now);
        let others: Vec<usize> = self
            .running()
            .filter(|it| self.connected(node, *it))
            .collect();
        if !others.is_empty() {
            let seed = others[self.below(others.len() as u64) as usize];
            let known = self.machine(seed).members.known().clone();
            members.merge(&known);
        }
        let skew_ms = self.below(400) as i64 - 200;
        self.nodes[node] = Some(Machine {
            store,
            holding,
            members,
            life,
            skew_ms,
            wake_at: u64::MAX,
            waiting: Vec::new(),
            writing: BTreeMap::new(),
            leaving: false,
            near,
        });
        self.note(|| format!("{node} starts"));
        self.turn(node);
        let first = self.below(GOSSIP_MS);
        self.push(first, Event::Gossip(node, life));
    }

    /// Sets a node's clock: so far ahead of the others.
    pub fn set_clock(&mut self, node: usize, skew_ms: i64) {
        self.machine_mut(node).skew_ms = skew_ms;
    }

    /// What time it is by a node's clock.
    pub fn wall_ms(&self, node: usize) -> u64 {
        self.clock(node).wall_ms
    }

    pub fn crash(&mut self, node: usize) {
        self.note(|| format!("{node} crashes"));
        self.nodes[node] = None;
        self.held.clear();
    }

    /// Whether a node is the only one that has the newest copy of a key.
    pub fn alone_has(&self, node: usize, key: &str) -> bool {
        let version = |node: usize| {
            let machine = self.machine(node);
            let keeps = machine.holding.keeps(key.as_bytes());
            let version = machine.store.version(WALL_MS + self.now, key.as_bytes());
            version.filter(|_| keeps)
        };
        let others = self.running().filter(|it| *it != node);
        version(node).is_some() && others.map(version).max().flatten() < version(node)
    }

    /// It leaves, and ends when it has handed over.
    pub fn leave(&mut self, node: usize) {
        self.note(|| format!("{node} leaves"));
        let machine = self.machine_mut(node);
        machine.leaving = true;
        machine.members.leave();
        self.turn(node);
    }

    pub fn running(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(i, node)| node.as_ref().map(|_| i))
    }

    pub fn machine(&self, node: usize) -> &Machine {
        self.nodes[node].as_ref().expect("a node that runs")
    }

    pub fn machine_mut(&mut self, node: usize) -> &mut Machine {
        self.nodes[node].as_mut().expect("a node that runs")
    }

    /// Gives a command to a node.
    pub fn submit(&mut self, node: usize, op: Op) {
        self.push(0, Event::Command(node, op));
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            if let Some(event) = self.events.remove(&number) {
                self.happen(event);
            }
        }
        self.now = end;
    }

    /// Whether all that run have the same view, and nothing is left to do.
    pub fn is_quiet(&self) -> bool {
        let views: Vec<_> = self
            .running()
            .map(|node| self.machine(node).members.known())
            .collect();
        let alive = |status: Status| status == Status::Alive;
        views.windows(2).all(|pair| pair[0] == pair[1])
            && views.first().is_none_or(|known| {
                let believed = known.iter().filter(|(_, claim)| alive(claim.1));
                believed.map(|(node, _)| *node).eq(self.running())
            })
            && self
                .running()
                .all(|node| self.machine(node).holding.is_quiet())
    }

    pub fn connected(&self, a: usize, b: usize) -> bool {
        self.sides.get(&a) == self.sides.get(&b)
    }

    fn push(&mut self, after: u64, event: Event) {
        self.number += 1;
        self.queue.push(Reverse((self.now + after, self.number)));
        self.events.insert(self.number, event);
    }

    pub fn delay(&mut self) -> u64 {
        let (least, most) = self.delay_ms;
        least + self.below(most - least + 1)
    }

    pub fn is_lost(&mut self, from: usize, to: usize) -> bool {
        let lost = self.random.f64() < self.loss;
        lost || !self.connected(from, to)
    }

    pub fn clock(&self, node: usize) -> Now {
        let skew = self.machine(node).skew_ms;
        Now {
            ms: self.now,
            wall_ms: (WALL_MS + self.now).saturating_add_signed(skew),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(node) => {
                let due = self.nodes[node]
                    .as_ref()
                    .is_some_and(|it| it.wake_at <= self.now);
                if due {
                    self.machine_mut(node).wake_at = u64::MAX;
                    self.step(node, |holding, now, out| holding.wake(now, out));
                }
            }
            Event::Gossip(node, life) => self.gossip(node, life),
            Event::Ask(node, from, life, id, ask) => {
                if self.nodes[node].is_none() {
                    self.push(1, Event::Answer(from, life, id, None, None));
                    return;
                }
                self.number += 1;
                let token = self.number;
                self.tokens.insert(token, (from, life, id));
                let from = address(from);
                self.input(node, Input::Asked { token, from, ask });
            }
            Event::Answer(node, life, id, answer, from) => {
                let lives = |(from, life): (usize, u64)| {
                    self.nodes[from].as_ref().is_some_and(|it| it.life == life)
                };
                let cut = self.cuts_at_crash && !from.is_none_or(lives);
                let answer = answer.filter(|_| !cut);
                if self.nodes[node].as_ref().is_some_and(|it| it.life == life) {
                    self.input(node, Input::Answered { id, answer });
                }
            }
            Event::Command(node, op) => self.try_command(node, op),
            Event::Back(node, op) => {
                let after = 5 + self.below(30);
                self.push(after, Event::Command(node, op));
            }
            Event::Ended(op, ending) => self.ended.push((op, ending)),
        }
    }

    fn gossip(&mut self, node: usize, life: u64) {
        if self.nodes[node].as_ref().is_none_or(|it| it.life != life) {
            return;
        }
        let next = GOSSIP_MS / 2 + self.below(GOSSIP_MS);
        self.push(next, Event::Gossip(node, life));
        let tenth = self.below(10) == 0;
        let known = self.machine(node).members.known().clone();
        let others: Vec<usize> = known
            .iter()
            .filter(|(it, claim)| **it != node && (tenth || claim.1 != Status::Faulty))
            .map(|(it, _)| *it)
            .collect();
        if others.is_empty() {
            return;
        }
        let other = others[self.below(others.len() as u64) as usize];
        let now = self.now;
        if self.nodes[other].is_none() || !self.connected(node, other) {
            self.machine_mut(node)
                .members
                .missed(other, now, PATIENCE_MS);
            return self.turn(node);
        }
        self.machine_mut(node).members.heard(other);
        self.exchange(node, other);
        self.exchange(other, node);
    }

    /// `to` learns what `from` knows.
    fn exchange(&mut self, from: usize, to: usize) {
        if self.nodes[from].is_none() || self.nodes[to].is_none() {
            return;
        }
        let known = self.machine(from).members.known().clone();
        let before = self.machine(to).members.known().clone();
        if self.machine_mut(to).members.merge(&known) {
            self.note(|| format!("{to} contradicts"));
            self.input(to, Input::Doubted);
        }
        let after = self.nodes[to].as_ref().map(|it| it.members.known());
        if after.is_some_and(|after| *after != before) {
            self.turn(to);
        }
    }

    /// The view of a node has changed, perhaps.
    fn turn(&mut self, node: usize) {
        let view = self.machine(node).members.view();
        self.note(|| {
            let alive: Vec<usize> = view
                .ring
                .members()
                .iter()
                .map(|m| number(m.address()))
                .collect();
            format!(
                "{node} sees {alive:?}, {:?} leaving, {:?} gone",
                view.leaving, view.gone
            )
        });
        self.input(node, Input::View(view));
    }

    fn input(&mut self, node: usize, input: Input) {
        self.step(node, |holding, now, out| holding.handle(now, input, out));
    }

    fn step(&mut self, node: usize, act: impl FnOnce(&mut Holding, Now, &mut Vec<Output>)) {
        let now = self.clock(node);
        let mut out = Vec::new();
        act(&mut self.machine_mut(node).holding, now, &mut out);
        self.carry_out(node, out);
    }

    fn carry_out(&mut self, node: usize, out: Vec<Output>) {
        let mut woken = false;
        for output in out {
            match output {
                Output::Send { id, to, ask } => {
                    let (to, life) = (number(&to), self.machine(node).life);
                    self.note(|| format!("{node} asks {to} #{id}: {}", short(&ask.body)));
                    if matches!(ask.body, Ask::Keep(_)) {
                        self.replicated += encode_ask("", &ask).len() as u64;
                    }
                    if self.is_lost(node, to) || self.nodes.len() <= to {
                        self.push(TIMEOUT_MS, Event::Answer(node, life, id, None, None));
                    } else {
                        let delay = self.delay();
                        let (_, ask) = decode_ask(&encode_ask("", &ask)).expect("a question");
                        self.push(delay, Event::Ask(to, node, life, id, ask));
                    }
                }
                Output::Respond { token, answer } => {
                    let (to, life, id) = self.tokens.remove(&token).expect("a question");
                    self.note(|| format!("{node} answers {to} #{id}: {}", short(&answer.body)));
                    if self.is_lost(node, to) {
                        self.push(TIMEOUT_MS, Event::Answer(to, life, id, None, None));
                    } else {
                        let delay = self.delay();
                        let answer = decode_answer(&encode_answer(&answer)).expect("an answer");
                        let from = (node, self.machine(node).life);
                        self.push(delay, Event::Answer(to, life, id, Some(answer), Some(from)));
                    }
                }
                Output::Woken => woken = true,
                Output::Standing => {
                    let machine = self.machine_mut(node);
                    machine.near.turn(&machine.store, &machine.holding);
                }
                Output::Written { write, kept } => {
                    if let Some((op, reply)) = self.machine_mut(node).writing.remove(&write) {
                        let ending = if kept {
                            Ending::Done(reply)
                        } else {
                            Ending::Doubtful
                        };
                        self.end(node, op, ending);
                    }
                }
            }
        }
        self.plan_wake(node);
        let now = self.clock(node);
        let machine = self.machine_mut(node);
        if machine.leaving && machine.holding.has_handed_over(now) && machine.writing.is_empty() {
            return self.exit(node);
        }
        if woken {
            for op in std::mem::take(&mut self.machine_mut(node).waiting) {
                self.push(0, Event::Command(node, op));
            }
        }
    }

    fn plan_wake(&mut self, node: usize) {
        let now = self.clock(node);
        let machine = self.machine_mut(node);
        if let Some(at) = machine.holding.next_wake(now) {
            let at = at.max(now.ms);
            if at < machine.wake_at {
                machine.wake_at = at;
                self.push(at - now.ms, Event::Wake(node));
            }
        }
    }

    /// It has handed over, tells two others, and is gone.
    fn exit(&mut self, node: usize) {
        self.note(|| format!("{node} is gone"));
        let mut members = self.machine(node).members.clone();
        members.evict();
        for op in std::mem::take(&mut self.machine_mut(node).waiting) {
            self.push(0, Event::Command(node, op));
        }
        self.nodes[node] = None;
        self.held.clear();
        let others: Vec<usize> = self.running().collect();
        for other in others.into_iter().take(2) {
            if let Some(machine) = &mut self.nodes[other] {
                machine.members.merge(members.known());
                self.turn(other);
            }
        }
    }

    fn try_command(&mut self, node: usize, mut op: Op) {
        if self.now > op.deadline {
            // Nobody answers: the client gives up by itself.
            return;
        }
        if self.nodes[node].is_none() {
            // The connection is refused.
            match op.via.take() {
                Some(via) => self.push(1, Event::Back(via, op)),
                None => self.push(1, Event::Ended(op, Ending::Refused)),
            }
            return;
        }
        let now = self.clock(node);
        let command = command(&op.words);
        let writes = command.as_command().spec.is_write();
        let key = op.key.clone();
        let holding = &mut self.machine_mut(node).holding;
        let admission = holding.admit(std::iter::once(key.as_bytes()), writes);
        self.plan_wake(node);
        match admission {
            Admission::Wait => self.machine_mut(node).waiting.push(op),
            Admission::NoReplicas => self.end(node, op, Ending::Refused),
            Admission::Moved(to) => {
                let to = number(&to);
                match op.via {
                    None => op.via = Some(node),
                    // A second hop is not made: who asked tries again.
                    Some(via) => {
                        op.via = None;
                        if !self.is_lost(node, via) {
                            let delay = self.delay();
                            self.push(delay, Event::Back(via, op));
                        }
                        return;
                    }
                }
                if !self.is_lost(node, to) {
                    let delay = self.delay();
                    self.push(delay, Event::Command(to, op));
                }
            }
            Admission::Execute => {
                let reply = self
                    .machine(node)
                    .store
                    .execute(now.wall_ms, &command.as_command());
                self.note(|| format!("{node} executes {:?}: {reply:?}", op.words));
                if !writes {
                    let machine = self.nodes[node].as_mut().expect("it runs");
                    let (near, store) = (&mut machine.near, &machine.store);
                    near.reads(store, now.wall_ms, &command, &mut self.held);
                }
                let keys = std::iter::once(key.as_bytes());
                let holding = &mut self.machine_mut(node).holding;
                match writes.then(|| holding.wrote(now, keys)).flatten() {
                    None => self.end(node, op, Ending::Done(reply)),
                    Some(write) => {
                        self.machine_mut(node).writing.insert(write, (op, reply));
                    }
                }
                self.plan_wake(node);
            }
        }
    }

    /// The reply goes back to the client, over the node that it asked.
    fn end(&mut self, node: usize, op: Op, ending: Ending) {
        let via = op.via.unwrap_or(node);
        if via == node || !self.is_lost(node, via) {
            let delay = if via == node { 0 } else { self.delay() };
            self.push(delay, Event::Ended(op, ending));
        }
    }
}

fn short(what: &impl std::fmt::Debug) -> String {
    let mut text = format!("{what:?}");
    text.truncate(300);
    text
}

/// A command from its words.
pub fn command(words: &[String]) -> OwnedCommand {
    OwnedCommand::resolve(words).expect("a command")
}
