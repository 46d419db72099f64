//! Clients that remember what they were promised.

use std::collections::{BTreeMap, BTreeSet};

use heeler::command::Reply;

use crate::cluster::Cluster;

/// How long a client waits for a reply.
const PATIENCE_MS: u64 = 2500;
/// Longer than the lives of short-lived keys, with the clocks' differences.
const SHORT_LIFE_MS: u64 = 300;
const SURELY_DEAD_MS: u64 = 800;

/// Keys are of these many kinds: 0 to 3 are two of texts, one of numbers and one of short lists,
/// the others grow element by element.
const KINDS: usize = 8;
const LIST: usize = 4;
const HASH: usize = 5;
const ZSET: usize = 6;
const SET: usize = 7;

/// A command on its way.
#[derive(Clone, Debug)]
pub struct Op {
    pub id: u64,
    pub key: String,
    pub words: Vec<String>,
    pub deadline: u64,
    /// The node that got it from the client, if another one is to execute it.
    pub via: Option<usize>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub enum Ending {
    Done(Reply),
    /// It was not executed.
    Refused,
    /// Nobody knows.
    Doubtful,
}

/// What a key may be, after all that was promised.
#[derive(Clone, Debug)]
enum Truth {
    /// One of these texts, or absent. From a time on it may be, or is, absent for its life is over.
    Text {
        possible: BTreeSet<Option<String>>,
        dies: Option<u64>,
    },
    /// A number between these.
    Number(i64, i64),
    /// A collection with all of the first, and any of the second.
    Elements(BTreeSet<String>, BTreeSet<String>),
    /// Its node has died, or several have written.
    Unknown,
}

struct Client {
    key: String,
    truth: Truth,
    /// The command under way, and its number in the order of all.
    pending: Option<Op>,
    next_at: u64,
    /// When its last command began, and when it ended.
    began: u64,
    ended: u64,
    /// When it was deleted last for sure.
    deleted: u64,
}

/// One client for each key, so that its commands come one after the other.
pub struct Clients {
    clients: Vec<Client>,
    by_op: BTreeMap<u64, usize>,
    /// How many of the keys are written all the time.
    busy: usize,
    next: u64,
    /// Nodes that clients do not ask: such that are cut off.
    pub avoided: BTreeSet<usize>,
    pub done: u64,
    pub refused: u64,
    pub doubtful: u64,
    /// Whether they stop to begin anything.
    pub pause: bool,
    /// Whether they let no key expire: clocks are wrong.
    pub lasting: bool,
    /// Since when all keys are being cleared away.
    flushing: Option<u64>,
    /// When that was over last.
    flushed: u64,
}

impl Clients {
    /// So many keys that are written all the time, and so many that are written once.
    pub fn new(keys: usize, still: usize) -> Clients {
        let client = |i: usize| Client {
            key: if i < keys {
                format!("key{i}")
            } else {
                format!("still{i}")
            },
            truth: truth(i, keys),
            pending: None,
            next_at: 0,
            began: 0,
            ended: 0,
            deleted: 0,
        };
        Clients {
            clients: (0..keys + still).map(client).collect(),
            busy: keys,
            by_op: BTreeMap::new(),
            next: 0,
            avoided: BTreeSet::new(),
            done: 0,
            refused: 0,
            doubtful: 0,
            pause: false,
            lasting: false,
            flushing: None,
            flushed: 0,
        }
    }

    /// From now on all keys may be cleared away.
    pub fn begin_flush(&mut self, now: u64) {
        self.flushing = Some(now);
        let truths = self.clients.iter_mut().map(|client| &mut client.truth);
        truths.for_each(Truth::may_be_gone);
    }

    /// All keys were cleared away, or nobody knows. What comes from now on stays.
    pub fn end_flush(&mut self, now: u64, done: bool) {
        self.flushed = now;
        let Some(began) = self.flushing.take().filter(|_| done) else {
            return;
        };
        for client in &mut self.clients {
            let is_still = client.pending.is_none() && client.ended < began;
            if is_still {
                client.truth.is_gone();
            }
        }
    }

    /// Lets time pass in the cluster, with commands all the while.
    pub fn run(&mut self, cluster: &mut Cluster, ms: u64) {
        let end = cluster.now + ms;
        while cluster.now < end {
            self.begin(cluster);
            cluster.run(5.min(end - cluster.now));
            for (op, ending) in std::mem::take(&mut cluster.ended) {
                self.end(cluster, &op, ending);
            }
            self.give_up(cluster);
        }
    }

    /// Until nothing is under way.
    pub fn finish(&mut self, cluster: &mut Cluster) {
        self.pause = true;
        self.run(cluster, PATIENCE_MS + 100);
        assert!(self.clients.iter().all(|client| client.pending.is_none()));
        self.pause = false;
    }

    /// Until the cluster is quiet.
    pub fn settle(&mut self, cluster: &mut Cluster, most_ms: u64) {
        let start = cluster.now;
        // Under load there is always a copy on its way to a replica.
        let paused = self.pause;
        while !cluster.is_quiet() {
            assert!(
                cluster.now < start + most_ms,
                "it does not settle: {}",
                state(cluster)
            );
            self.pause |= cluster.now > start + most_ms / 2;
            self.run(cluster, 50);
        }
        self.pause = paused;
    }

    /// Reads every key through a random node, until each has been read.
    pub fn read_all(&mut self, cluster: &mut Cluster) {
        self.finish(cluster);
        for at in 0..self.clients.len() {
            let words: &[&str] = match self.clients[at].truth {
                Truth::Elements(..) => elements_of(at % KINDS),
                Truth::Unknown if at < self.busy && at % KINDS > 2 => elements_of(at % KINDS),
                _ => &["GET"],
            };
            self.submit(cluster, at, words);
        }
        let before = self.done;
        self.pause = true;
        self.run(cluster, PATIENCE_MS);
        self.pause = false;
        let all = self.clients.len() as u64;
        assert_eq!(
            self.done,
            before + all,
            "a key could not be read: {}",
            state(cluster)
        );
    }

    /// Whether what is under a key in a store can be, `None` for nothing.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.clients.iter().map(|client| &*client.key)
    }

    /// The keys for which that holds are not known any more.
    pub fn forget(&mut self, is_lost: impl Fn(&str) -> bool) {
        for client in self
            .clients
            .iter_mut()
            .filter(|client| is_lost(&client.key))
        {
            client.truth = Truth::Unknown;
        }
    }

    /// Deletes all keys, until each has been, and knows what they are from then on.
    pub fn delete_all(&mut self, cluster: &mut Cluster) {
        self.finish(cluster);
        self.pause = true;
        let mut left: BTreeSet<usize> = (0..self.clients.len()).collect();
        for _ in 0..10 {
            for at in &left {
                self.clients[*at].truth = Truth::Unknown;
                self.submit(cluster, *at, &["DEL"]);
            }
            let before = cluster.now;
            self.run(cluster, PATIENCE_MS);
            left.retain(|at| self.clients[*at].deleted < before);
        }
        assert!(left.is_empty(), "{left:?} cannot be deleted");
        for (at, client) in self.clients.iter_mut().enumerate() {
            client.truth = truth(at, self.busy);
            client.next_at = cluster.now;
        }
        self.pause = false;
    }

    /// How many keys are known.
    pub fn known(&self) -> usize {
        let known = |client: &&Client| !matches!(client.truth, Truth::Unknown);
        self.clients.iter().filter(known).count()
    }

    fn begin(&mut self, cluster: &mut Cluster) {
        if self.pause {
            return;
        }
        for at in 0..self.clients.len() {
            let client = &self.clients[at];
            if client.pending.is_some() || client.next_at > cluster.now {
                continue;
            }
            let value = format!("v{}", self.next);
            let choice = cluster.below(10);
            let key = client.key.clone();
            let kind = at % KINDS;
            let words: Vec<&str> = match (kind, choice) {
                _ if at >= self.busy => vec!["SET", &value],
                (0, 0..5) => vec!["SET", &value],
                (0, 5..7) => vec!["DEL"],
                (1, 0..3) => vec!["SET", &value],
                (1, 3..7) if !self.lasting => vec!["SET", &value, "PX", "300"],
                (2, 0..9) => vec!["INCR"],
                (3, 0..7) => vec!["LPUSH", &value],
                (3, 7) => vec!["DEL"],
                (LIST, 0..7) => vec!["RPUSH", &value],
                (LIST, 7) => vec!["LMOVE", &key, "LEFT", "RIGHT"],
                (HASH, 0..8) => vec!["HSET", &value, "1"],
                (HASH, 8) => vec!["HINCRBYFLOAT", "sum", "0.1"],
                (ZSET, 0..7) => vec!["ZADD", "0.5", &value],
                (ZSET, 7) if !self.lasting => vec!["PEXPIRE", "100000000"],
                (SET, 0..7) => vec!["SADD", &value],
                (SET, 7) => vec!["SPOP"],
                (3.., _) => elements_of(kind).to_vec(),
                _ => vec!["GET"],
            };
            self.submit(cluster, at, &words);
        }
    }

    fn submit(&mut self, cluster: &mut Cluster, at: usize, words: &[&str]) {
        let nodes: Vec<usize> = cluster
            .running()
            .filter(|it| !self.avoided.contains(it))
            .collect();
        if nodes.is_empty() {
            return;
        }
        let node = nodes[cluster.below(nodes.len() as u64) as usize];
        let client = &mut self.clients[at];
        let mut all = vec![words[0].to_owned(), client.key.clone()];
        all.extend(words[1..].iter().map(|word| (*word).to_owned()));
        self.next += 1;
        let op = Op {
            id: self.next,
            key: client.key.clone(),
            words: all,
            deadline: cluster.now + PATIENCE_MS - 500,
            via: None,
        };
        client.began = cluster.now;
        client.pending = Some(op.clone());
        self.by_op.insert(op.id, at);
        cluster.submit(node, op);
    }

    fn end(&mut self, cluster: &mut Cluster, op: &Op, ending: Ending) {
        let Some(at) = self.by_op.remove(&op.id) else {
            return;
        };
        let pause = 20 + cluster.below(300);
        let is_still = at >= self.busy;
        let client = &mut self.clients[at];
        client.pending = None;
        client.next_at = cluster.now + pause;
        match ending {
            Ending::Done(reply) => {
                self.done += 1;
                if op.words[0] == "DEL" {
                    client.deleted = cluster.now;
                }
                client.truth.learn(op, &reply, cluster.now);
                if is_still {
                    client.next_at = u64::MAX;
                }
            }
            Ending::Refused => self.refused += 1,
            Ending::Doubtful => {
                self.doubtful += 1;
                client.truth.doubt(op, cluster.now);
            }
        }
        client.ended = cluster.now;
        if self.flushing.is_some() || client.began <= self.flushed {
            client.truth.may_be_gone();
        }
    }

    /// Commands that nobody has answered may have been executed, or not.
    fn give_up(&mut self, cluster: &mut Cluster) {
        for at in 0..self.clients.len() {
            let Some(op) = self.clients[at].pending.clone() else {
                continue;
            };
            if cluster.now >= op.deadline + 500 {
                self.end(cluster, &op, Ending::Doubtful);
            }
        }
    }
}

/// What a key is that nobody has written, of which so many are written all the time.
fn truth(at: usize, busy: usize) -> Truth {
    match at % KINDS {
        _ if at >= busy => Truth::text(),
        0 | 1 => Truth::text(),
        2 => Truth::Number(0, 0),
        _ => Truth::Elements(BTreeSet::new(), BTreeSet::new()),
    }
}

impl Truth {
    fn text() -> Truth {
        Truth::Text {
            possible: BTreeSet::from([None]),
            dies: None,
        }
    }

    /// All keys may have been cleared away.
    fn may_be_gone(&mut self) {
        match self {
            Truth::Text { possible, .. } => _ = possible.insert(None),
            Truth::Number(least, _) => *least = 0,
            Truth::Elements(sure, perhaps) => perhaps.append(sure),
            Truth::Unknown => {}
        }
    }

    /// All keys were cleared away.
    fn is_gone(&mut self) {
        match self {
            Truth::Text { .. } => *self = Truth::text(),
            Truth::Number(..) => *self = Truth::Number(0, 0),
            Truth::Elements(..) => *self = Truth::Elements(BTreeSet::new(), BTreeSet::new()),
            Truth::Unknown => {}
        }
    }

    /// A command was executed, and its reply has come.
    fn learn(&mut self, op: &Op, reply: &Reply, now: u64) {
        let value = op.words.get(2).cloned();
        let words: Vec<&str> = op.words.iter().map(|word| &**word).collect();
        match (&mut *self, words[0]) {
            (Truth::Text { possible, dies }, "SET") => {
                assert_eq!(*reply, Reply::OK, "{op:?}");
                *possible = BTreeSet::from([value]);
                *dies = (words.len() > 3).then_some(now);
            }
            (Truth::Text { possible, dies }, "DEL") => {
                *possible = BTreeSet::from([None]);
                *dies = None;
            }
            (Truth::Text { possible, dies }, "GET") => {
                let found = text(reply);
                let may_be_dead = dies.is_some();
                let is_dead = dies.is_some_and(|at| now > at + SURELY_DEAD_MS);
                let known = possible.contains(&found) && (!is_dead || possible.len() > 1);
                assert!(
                    known || may_be_dead && found.is_none(),
                    "{op:?} found {found:?}, not one of {possible:?}, dying {dies:?} at {now}"
                );
            }
            (Truth::Number(least, most), "INCR") => {
                let Reply::Int(number) = *reply else {
                    panic!("{op:?}: {reply:?}");
                };
                let expected = *least + 1..=*most + 1;
                assert!(
                    expected.contains(&number),
                    "{op:?} gave {number}, not in {expected:?}"
                );
                (*least, *most) = (number, number);
            }
            (Truth::Number(least, most), "GET") => {
                let number = text(reply).map_or(0, |it| it.parse().expect("a number"));
                assert!(
                    (*least..=*most).contains(&number),
                    "{op:?} gave {number}, not {self:?}"
                );
            }
            (Truth::Elements(sure, perhaps), _) => learn_elements(sure, perhaps, op, reply),
            (Truth::Unknown, _) => {}
            (truth, _) => panic!("{op:?} of {truth:?}"),
        }
    }

    /// A command may have been executed, or not.
    fn doubt(&mut self, op: &Op, now: u64) {
        let value = op.words.get(2).cloned();
        match (&mut *self, &*op.words[0]) {
            (Truth::Text { possible, dies }, "SET") => {
                possible.insert(value);
                if op.words.len() > 3 {
                    *dies = Some(now + SHORT_LIFE_MS);
                }
            }
            (Truth::Text { possible, .. }, "DEL") => {
                possible.insert(None);
            }
            (Truth::Number(_, most), "INCR") => *most += 1,
            (Truth::Elements(_, perhaps), "ZADD") => perhaps.extend(op.words.get(3).cloned()),
            (Truth::Elements(_, perhaps), "LPUSH" | "RPUSH" | "HSET" | "SADD") => {
                perhaps.extend(value);
            }
            (Truth::Elements(sure, perhaps), "DEL" | "SPOP") => perhaps.append(sure),
            _ => {}
        }
    }
}

/// The command that reads all elements of a collection of this kind.
fn elements_of(kind: usize) -> &'static [&'static str] {
    match kind {
        HASH => &["HKEYS"],
        SET => &["SMEMBERS"],
        ZSET => &["ZRANGE", "0", "-1"],
        _ => &["LRANGE", "0", "-1"],
    }
}

/// The same of a collection.
fn learn_elements(
    sure: &mut BTreeSet<String>,
    perhaps: &mut BTreeSet<String>,
    op: &Op,
    reply: &Reply,
) {
    match (&*op.words[0], reply) {
        ("LPUSH" | "RPUSH", Reply::Int(length)) => {
            sure.extend(op.words.get(2).cloned());
            let lengths = sure.len() as i64..=(sure.len() + perhaps.len()) as i64;
            assert!(
                lengths.contains(length),
                "{op:?} gave {length}, not in {lengths:?}"
            );
        }
        ("DEL", Reply::Int(_)) => {
            sure.clear();
            perhaps.clear();
        }
        ("HSET" | "SADD", Reply::Int(1)) => sure.extend(op.words.get(2).cloned()),
        ("ZADD", Reply::Int(1)) => sure.extend(op.words.get(3).cloned()),
        ("SPOP", reply) => {
            let popped = text(reply);
            let known = |it: &String| sure.contains(it) || perhaps.contains(it);
            assert!(
                popped.as_ref().map_or(sure.is_empty(), known),
                "{op:?}: {popped:?}, {sure:?}, {perhaps:?}"
            );
            popped
                .iter()
                .for_each(|it| _ = sure.remove(it) || perhaps.remove(it));
        }
        ("LMOVE" | "HINCRBYFLOAT" | "PEXPIRE", _) => {}
        (_, Reply::Array(_) | Reply::Set(_) | Reply::Strings(_)) => {
            let is_other = |it: &String| it != "sum";
            let found: Vec<String> = texts(reply).into_iter().filter(is_other).collect();
            let unique: BTreeSet<String> = found.iter().cloned().collect();
            assert_eq!(unique.len(), found.len(), "{op:?}: twice in {found:?}");
            let missing: Vec<_> = sure.difference(&unique).collect();
            assert!(
                missing.is_empty(),
                "{op:?}: {missing:?} are not in {found:?}"
            );
            let known = |it: &String| sure.contains(it) || perhaps.contains(it);
            assert!(
                found.iter().all(known),
                "{op:?}: {found:?}, {sure:?}, {perhaps:?}"
            );
        }
        _ => panic!("{op:?}: {reply:?}"),
    }
}

/// The strings of a reply that has several.
fn texts(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(all) | Reply::Set(all) => all.iter().filter_map(text).collect(),
        Reply::Strings(all) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            all.iter().flatten().map(text).collect()
        }
        _ => Vec::new(),
    }
}

fn text(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

/// What the nodes are about.
pub fn state(cluster: &Cluster) -> String {
    let node = |node: usize| {
        let machine = cluster.machine(node);
        format!(
            "{node}: {:?} {:?}",
            machine.holding.progress(),
            machine.members.known()
        )
    };
    cluster.running().map(node).collect::<Vec<_>>().join("\n")
}
