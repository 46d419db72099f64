//! A network in virtual time: the real machines with their real bodies, and chance from a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use fastrand::Rng;
use heeler_swim::{
    Answer, Command, Config, Endpoint, Event, Failure, Fault, Form, Input, Now, Output, RequestId,
    Status, Swim, Token,
};

/// The wall clock when the simulation begins.
pub const WALL_MS: u64 = 1_800_000_000_000;
/// A seed that is no member, and knows all: clusters that are to be whole from the start ask it.
const ORACLE: &str = "oracle:1";

/// What the network does to messages.
#[derive(Debug, Clone)]
pub struct Weather {
    /// The share of messages that are lost, requests and answers alike.
    pub loss: f64,
    /// The share of messages that arrive twice.
    pub duplication: f64,
    /// The least and the most that a message takes. Those that take less overtake.
    pub delay_ms: (u64, u64),
}

impl Default for Weather {
    fn default() -> Weather {
        Weather {
            loss: 0.0,
            duplication: 0.0,
            delay_ms: (1, 3),
        }
    }
}

/// A machine and what stands around it.
pub struct Node {
    pub swim: Option<Swim>,
    pub config: Config,
    pub skew_ms: i64,
    pub paused: bool,
    /// What came while it was paused.
    held: Vec<Parcel>,
    life: u64,
    wake_at: Option<u64>,
    /// What the ring's listeners know.
    pub ring: BTreeSet<String>,
    pub events: Vec<Event>,
    pub done: Vec<(Token, Result<Answer, Fault>)>,
    seeds: Vec<String>,
    pub bytes: u64,
    pub counts: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone)]
enum Parcel {
    Wake,
    Seeds,
    Request {
        from: usize,
        life: u64,
        id: RequestId,
        endpoint: Endpoint,
        body: Vec<u8>,
    },
    Answer {
        life: u64,
        id: RequestId,
        result: Result<Vec<u8>, Failure>,
    },
}

struct Queued {
    at: u64,
    number: u64,
    to: usize,
    parcel: Parcel,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Queued) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Queued) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Queued) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// All nodes, and the messages between them.
pub struct Network {
    pub now: u64,
    pub nodes: Vec<Node>,
    pub weather: Weather,
    /// Pairs that cannot send, in this direction.
    pub cuts: BTreeSet<(usize, usize)>,
    /// Which side of a partition each node is on; all on one if it is empty.
    pub sides: Vec<usize>,
    /// Members that were declared faulty though nothing was wrong with them: who by, and whom.
    pub false_positives: Vec<(usize, String)>,
    /// Whether events are kept for tests to read, and rings followed.
    pub keep_events: bool,
    /// Nodes that no one may blame.
    pub healthy: BTreeSet<String>,
    queue: BinaryHeap<Reverse<Queued>>,
    number: u64,
    by_address: BTreeMap<String, usize>,
    /// Who asked, by token.
    askers: BTreeMap<Token, (usize, usize, u64, RequestId)>,
    random: Rng,
    oracle: Vec<u8>,
}

impl Network {
    pub fn new(seed: u64) -> Network {
        Network {
            now: 1000,
            nodes: Vec::new(),
            weather: Weather::default(),
            cuts: BTreeSet::new(),
            sides: Vec::new(),
            false_positives: Vec::new(),
            keep_events: true,
            healthy: BTreeSet::new(),
            queue: BinaryHeap::new(),
            number: 0,
            by_address: BTreeMap::new(),
            askers: BTreeMap::new(),
            random: Rng::with_seed(seed),
            oracle: Vec::new(),
        }
    }

    /// A cluster whose members start at about the same time, with the first three as seeds.
    pub fn cold(seed: u64, n: usize, configure: impl Fn(&mut Config)) -> Network {
        Network::new(seed).chilled(n, configure)
    }

    pub fn chilled(self, n: usize, configure: impl Fn(&mut Config)) -> Network {
        let mut network = self;
        let seeds: Vec<String> = (0..n.min(3)).map(address).collect();
        let add = |network: &mut Network, i| {
            let mut config = quiet_config(address(i));
            configure(&mut config);
            network.add(config, 0)
        };
        let nodes: Vec<usize> = (0..n).map(|i| add(&mut network, i)).collect();
        for node in nodes {
            network.nodes[node].seeds = seeds.clone();
            network.start(node);
        }
        network
    }

    /// A cluster in which everybody knows everybody from the start.
    pub fn warm(seed: u64, n: usize, configure: impl Fn(&mut Config)) -> Network {
        Network::new(seed).warmed(n, configure)
    }

    pub fn warmed(self, n: usize, configure: impl Fn(&mut Config)) -> Network {
        let mut network = self;
        network.oracle = list((0..n).map(|i| (address(i), WALL_MS)));
        for i in 0..n {
            let mut config = quiet_config(address(i));
            configure(&mut config);
            config.bootstrap.announce = false;
            let node = network.add(config, 0);
            network.nodes[node].seeds = vec![ORACLE.into(), address(i)];
            network.start(node);
        }
        network
    }

    pub fn add(&mut self, config: Config, skew_ms: i64) -> usize {
        let node = self.nodes.len();
        self.by_address.insert(config.address.clone(), node);
        self.nodes.push(Node {
            swim: None,
            config,
            skew_ms,
            paused: false,
            held: Vec::new(),
            life: 0,
            wake_at: None,
            ring: BTreeSet::new(),
            events: Vec::new(),
            done: Vec::new(),
            seeds: Vec::new(),
            bytes: 0,
            counts: BTreeMap::new(),
        });
        node
    }

    pub fn set_seeds(&mut self, node: usize, seeds: Vec<String>) {
        self.nodes[node].seeds = seeds;
    }

    /// Starts a node, anew if it ran before.
    pub fn start(&mut self, node: usize) {
        let seed = self.random();
        let now = self.clock(node);
        let it = &mut self.nodes[node];
        it.life += 1;
        it.paused = false;
        it.held.clear();
        it.ring.clear();
        it.wake_at = None;
        it.swim = Some(Swim::new(it.config.clone(), now, seed).unwrap());
        let seeds = it.seeds.clone();
        self.input(node, |_| Input::Seeds(seeds));
    }

    /// Ends a node as SIGKILL does.
    pub fn crash(&mut self, node: usize) {
        self.nodes[node].swim = None;
        self.nodes[node].held.clear();
    }

    pub fn pause(&mut self, node: usize) {
        self.nodes[node].paused = true;
    }

    pub fn resume(&mut self, node: usize) {
        self.nodes[node].paused = false;
        let held = std::mem::take(&mut self.nodes[node].held);
        for parcel in held {
            self.deliver(node, parcel);
        }
    }

    pub fn command(&mut self, node: usize, token: Token, command: Command) {
        self.input(node, |_| Input::Command { token, command });
    }

    /// Two halves of which none hears the other.
    pub fn partition(&mut self, side_of: impl Fn(usize) -> usize) {
        self.sides = (0..self.nodes.len()).map(side_of).collect();
    }

    pub fn swim(&self, node: usize) -> &Swim {
        self.nodes[node].swim.as_ref().unwrap()
    }

    /// The nodes that run.
    pub fn up(&self) -> impl Iterator<Item = (usize, &Swim)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(i, node)| Some((i, node.swim.as_ref()?)))
    }

    /// Whether all that run are ready, and agree about members and ring.
    pub fn converged(&self) -> bool {
        let view = |swim: &Swim| (swim.checksum(Form::default()), swim.ring_checksum());
        let mut views = self
            .up()
            .map(|(_, swim)| swim.is_ready().then(|| view(swim)));
        match views.next() {
            Some(Some(first)) => views.all(|view| view == Some(first)),
            _ => false,
        }
    }

    /// Whether all that run hold a member for that.
    pub fn everywhere(&self, address: &str, status: Status) -> bool {
        let mut others = self.up().filter(|(_, swim)| **swim.whoami() != *address);
        others.all(|(_, swim)| swim.member(address).is_some_and(|it| it.status == status))
    }

    /// Whether all that run hold exactly those that run for alive.
    pub fn true_to_life(&self) -> bool {
        let running: BTreeSet<String> = self
            .up()
            .map(|(_, swim)| swim.whoami().to_string())
            .collect();
        self.up().all(|(i, swim)| {
            let alive = swim
                .members()
                .filter(|member| member.status == Status::Alive);
            let alive: BTreeSet<String> = alive.map(|member| member.address.to_string()).collect();
            alive == running && self.nodes[i].ring == running
        })
    }

    /// Lets time pass until something holds, looking every so often. Returns how long it took.
    pub fn until(
        &mut self,
        every_ms: u64,
        most_ms: u64,
        holds: impl Fn(&Network) -> bool,
    ) -> Option<u64> {
        let start = self.now;
        while !holds(self) {
            if self.now - start >= most_ms {
                return None;
            }
            self.run(every_ms);
        }
        Some(self.now - start)
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(Reverse(next)) = self.queue.peek() {
            if next.at > end {
                break;
            }
            let Reverse(next) = self.queue.pop().unwrap();
            self.now = next.at;
            self.deliver(next.to, next.parcel);
        }
        self.now = end;
    }

    pub fn total(&self, stat: &str) -> u64 {
        self.nodes
            .iter()
            .map(|node| node.counts.get(stat).copied().unwrap_or(0))
            .sum()
    }

    pub fn bytes(&self) -> u64 {
        self.nodes.iter().map(|node| node.bytes).sum()
    }

    /// Chance of its own: whoever uses it in a schedule gets the same one from the same seed.
    pub fn random(&mut self) -> u64 {
        self.random.u64(..)
    }

    fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.random.f64() < share
    }

    fn clock(&self, node: usize) -> Now {
        let wall_ms = (WALL_MS + self.now - 1000).saturating_add_signed(self.nodes[node].skew_ms);
        Now {
            ms: self.now,
            wall_ms,
        }
    }

    fn deliver(&mut self, node: usize, parcel: Parcel) {
        if self.nodes[node].paused {
            self.nodes[node].held.push(parcel);
            return;
        }
        match parcel {
            Parcel::Wake => {
                let due = |it: &Node| it.wake_at.is_some_and(|at| at <= self.now);
                if due(&self.nodes[node]) {
                    self.nodes[node].wake_at = None;
                    self.step(node, |swim, now, out| swim.wake(now, out));
                }
            }
            Parcel::Seeds => {
                let seeds = self.nodes[node].seeds.clone();
                self.input(node, |_| Input::Seeds(seeds));
            }
            Parcel::Request {
                from,
                life,
                id,
                endpoint,
                body,
            } => {
                if self.nodes[node].swim.is_none() {
                    let result = Err(Failure::Unreachable("why".into()));
                    self.post(node, from, Parcel::Answer { life, id, result });
                    return;
                }
                self.number += 1;
                let token = self.number;
                self.askers.insert(token, (node, from, life, id));
                self.input(node, |_| Input::Request {
                    token,
                    endpoint,
                    body: &body,
                });
            }
            Parcel::Answer { life, id, result } => {
                if life == self.nodes[node].life {
                    self.input(node, |_| match &result {
                        Ok(body) => Input::Response { id, body },
                        Err(failure) => Input::Failure {
                            id,
                            failure: failure.clone(),
                        },
                    });
                }
            }
        }
    }

    fn input<'a>(&mut self, node: usize, input: impl FnOnce(()) -> Input<'a>) {
        self.step(node, |swim, now, out| swim.handle(now, input(()), out));
    }

    fn step(&mut self, node: usize, act: impl FnOnce(&mut Swim, Now, &mut Vec<Output>)) {
        let now = self.clock(node);
        let mut out = Vec::new();
        let Some(swim) = &mut self.nodes[node].swim else {
            return;
        };
        act(swim, now, &mut out);
        for output in out {
            self.carry_out(node, output);
        }
        let wake = self.nodes[node].swim.as_ref().and_then(Swim::next_wake);
        if let Some(at) = wake {
            let at = at.max(self.now);
            if self.nodes[node].wake_at.is_none_or(|planned| at < planned) {
                self.nodes[node].wake_at = Some(at);
                self.push(at, node, Parcel::Wake);
            }
        }
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Send {
                id,
                to,
                endpoint,
                body,
                ..
            } => {
                self.nodes[node].bytes += body.len() as u64;
                let life = self.nodes[node].life;
                if *to == *ORACLE {
                    let result = Ok(self.oracle.clone());
                    self.push(self.now + 1, node, Parcel::Answer { life, id, result });
                } else if let Some(&to) = self.by_address.get(&*to) {
                    self.post(
                        node,
                        to,
                        Parcel::Request {
                            from: node,
                            life,
                            id,
                            endpoint,
                            body,
                        },
                    );
                } else {
                    let result = Err(Failure::Unreachable("why".into()));
                    self.push(self.now + 1, node, Parcel::Answer { life, id, result });
                }
            }
            Output::Respond { token, result } => {
                let (by, from, life, id) = self.askers.remove(&token).expect("a request's token");
                assert_eq!(by, node);
                let bytes = result.as_ref().unwrap_or_else(|error| error).len();
                self.nodes[node].bytes += bytes as u64;
                let result = result.map_err(|_| Failure::Refused("why".into()));
                self.post(node, from, Parcel::Answer { life, id, result });
            }
            Output::Done { token, result } => self.nodes[node].done.push((token, result)),
            Output::FetchSeeds => self.push(self.now, node, Parcel::Seeds),
            Output::Event(event) => self.note(node, event),
            Output::Stat(heeler_swim::Stat::Count(name, n)) => {
                *self.nodes[node].counts.entry(name).or_default() += n;
            }
            Output::Stat(_) => {}
        }
    }

    fn note(&mut self, node: usize, event: Event) {
        match &event {
            Event::RingChanged { added, removed } if self.keep_events => {
                let ring = &mut self.nodes[node].ring;
                let mut left = removed.iter().map(|address| ring.remove(&**address));
                assert!(left.all(|was_there| was_there));
                ring.extend(added.iter().map(|member| member.address().to_owned()));
            }
            Event::MemberChanged { new, .. }
                if new.status == Status::Faulty && self.healthy.contains(&*new.address) =>
            {
                self.false_positives.push((node, new.address.to_string()));
            }
            _ => {}
        }
        if self.keep_events {
            self.nodes[node].events.push(event);
        }
    }

    /// Sends something, if it does not get lost.
    fn post(&mut self, from: usize, to: usize, parcel: Parcel) {
        let apart = self.sides.get(from) != self.sides.get(to);
        if apart || self.cuts.contains(&(from, to)) || self.chance(self.weather.loss) {
            return;
        }
        if self.chance(self.weather.duplication) {
            let at = self.arrival();
            self.push(at, to, parcel.clone());
        }
        let at = self.arrival();
        self.push(at, to, parcel);
    }

    fn arrival(&mut self) -> u64 {
        let (least, most) = self.weather.delay_ms;
        self.now + least + self.random() % (most - least + 1)
    }

    fn push(&mut self, at: u64, to: usize, parcel: Parcel) {
        self.number += 1;
        let number = self.number;
        self.queue.push(Reverse(Queued {
            at,
            number,
            to,
            parcel,
        }));
    }
}

pub fn address(i: usize) -> String {
    format!("10.0.{}.{}:3000", i / 250, i % 250)
}

/// Ringpop's defaults, without reports that only fill the clock.
pub fn quiet_config(address: String) -> Config {
    Config {
        checksum_report_ms: 0,
        ..Config::new("simulation", address)
    }
}

fn list(members: impl Iterator<Item = (String, u64)>) -> Vec<u8> {
    let mut members: Vec<(String, u64)> = members.collect();
    members.sort();
    let items: Vec<String> = members
        .into_iter()
        .map(|(address, incarnation)| {
            let claim = format!(r#""status":"alive","incarnationNumber":{incarnation}"#);
            format!(r#"{{"source":"{ORACLE}","address":"{address}",{claim}}}"#)
        })
        .collect();
    let items = items.join(",");
    format!(r#"{{"app":"simulation","coordinator":"{ORACLE}","membership":[{items}]}}"#).into()
}
