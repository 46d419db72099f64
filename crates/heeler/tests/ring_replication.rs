//! Replicas of collections that are written element by element, in real processes.

mod servers;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use servers::{Client, Cluster, Value, request, wait_until};

/// A collection that one client fills with the numbers from 0 on, in their order.
#[derive(Clone, Copy)]
enum Kind {
    List,
    Hash,
    SortedSet,
}

/// One of them, and what its client was told.
struct Filled {
    kind: Kind,
    key: String,
    tried: u64,
    acknowledged: BTreeSet<u64>,
}

impl Filled {
    fn add(&mut self, connection: &mut Option<Client>) {
        let (n, key) = (self.tried.to_string(), self.key.as_bytes());
        let score = format!("{}.5", self.tried % 7);
        let command: &[&[u8]] = match self.kind {
            Kind::List => &[b"RPUSH", key, n.as_bytes()],
            Kind::Hash => &[b"HSET", key, n.as_bytes(), b"a value of some bytes"],
            Kind::SortedSet => &[b"ZADD", key, score.as_bytes(), n.as_bytes()],
        };
        let reply = connection.as_mut().and_then(|client| {
            client.try_send(&request(command)).ok()?;
            client.try_read_raw_reply().ok()
        });
        match reply.map(|raw| Value::parse(&raw)) {
            Some(Value::Int(_)) => _ = self.acknowledged.insert(self.tried),
            Some(_) => {}
            None => *connection = None,
        }
        self.tried += 1;
    }

    /// All that is there, with what belongs to it.
    fn read(&self, client: &mut Client) -> Vec<String> {
        let command = match self.kind {
            Kind::List => format!("LRANGE {} 0 -1", self.key),
            Kind::Hash => format!("HGETALL {}", self.key),
            Kind::SortedSet => format!("ZRANGE {} 0 -1 WITHSCORES", self.key),
        };
        let Value::Array(all) = client.run(&command) else {
            panic!("{command} is no list");
        };
        let texts: Vec<String> = all.iter().map(Value::text).collect();
        match self.kind {
            Kind::List => texts,
            Kind::Hash | Kind::SortedSet => {
                let mut pairs: Vec<String> = texts.chunks(2).map(|pair| pair.join(" ")).collect();
                pairs.sort();
                pairs
            }
        }
    }

    /// What is there is what was promised: nothing twice, nothing out of order.
    fn check(&self, found: &[String]) {
        let number = |text: &String| {
            let first = text.split(' ').next().expect("a word");
            first.parse::<u64>().expect("a number")
        };
        let numbers: Vec<u64> = found.iter().map(number).collect();
        if let Kind::List = self.kind {
            assert!(numbers.is_sorted(), "{}: out of order", self.key);
        }
        let unique: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(
            unique.len(),
            numbers.len(),
            "{}: something is twice",
            self.key
        );
        let missing: Vec<_> = self.acknowledged.difference(&unique).collect();
        assert!(missing.is_empty(), "{}: lost {missing:?}", self.key);
        assert!(unique.iter().all(|n| *n < self.tried), "{}", self.key);
    }
}

/// Fills collections, asking these nodes in turn, until it is told to stop.
fn fill(cluster: &[std::net::SocketAddr], who: usize, stops: &AtomicBool) -> Vec<Filled> {
    let new = |kind| {
        move |n| Filled {
            kind,
            key: format!("collection:{who}:{n}"),
            tried: 0,
            acknowledged: BTreeSet::new(),
        }
    };
    let kind = [Kind::List, Kind::Hash, Kind::SortedSet][who];
    let mut all: Vec<Filled> = (0..3).map(new(kind)).collect();
    let (mut connection, mut turn) = (None, who);
    while !stops.load(Ordering::Relaxed) {
        for filled in &mut all {
            if connection.is_none() {
                turn += 1;
                let node = cluster[turn % cluster.len()];
                let timeout = Duration::from_millis(500);
                connection = std::net::TcpStream::connect_timeout(&node, timeout)
                    .ok()
                    .map(|_| Client::connect(node));
            }
            filled.add(&mut connection);
        }
    }
    all
}

fn info(cluster: &Cluster, node: usize, field: &str) -> u64 {
    let info = cluster.client(node).run("INFO ring").text();
    let line = info.lines().find_map(|line| line.strip_prefix(field));
    let value = line.and_then(|line| line.strip_prefix(':'));
    value.expect("the field").trim().parse().expect("a number")
}

fn settled(cluster: &Cluster) {
    wait_until("the nodes have what they hold", || {
        let up = (0..cluster.nodes.len()).filter(|&node| cluster.nodes[node].is_some());
        let all = up.into_iter().all(|node| {
            info(cluster, node, "ring_settled") == 1
                && info(cluster, node, "ring_copies_unsent") == 0
        });
        if !all {
            std::thread::sleep(Duration::from_millis(50));
        }
        all
    });
}

#[test]
fn collections_that_grow_element_by_element_outlive_a_node() {
    let mut cluster = Cluster::start(3, &["--replicas", "3", "--write-acks", "quorum"]);
    settled(&cluster);
    let stops = AtomicBool::new(false);
    let nodes = [cluster.redis(0), cluster.redis(2)];
    let all: Vec<Filled> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|who| {
                scope.spawn({
                    let (nodes, stops) = (&nodes, &stops);
                    move || fill(nodes, who, stops)
                })
            })
            .collect();
        for pause in [0, 3000] {
            std::thread::sleep(Duration::from_millis(1000));
            cluster.node(1).process.signal(Signal::KILL);
            cluster.nodes[1] = None;
            // At first it is back before the others miss it, then after.
            std::thread::sleep(Duration::from_millis(pause));
            cluster.up(1);
            cluster.agrees(3);
        }
        std::thread::sleep(Duration::from_millis(1000));
        stops.store(true, Ordering::Relaxed);
        let joined = clients
            .into_iter()
            .flat_map(|it| it.join().expect("a client"));
        joined.collect()
    });
    settled(&cluster);
    let mut client = cluster.client(0);
    let before: Vec<Vec<String>> = all.iter().map(|filled| filled.read(&mut client)).collect();
    for (filled, found) in all.iter().zip(&before) {
        filled.check(found);
    }
    let written: u64 = all.iter().map(|filled| filled.tried).sum();
    let acknowledged: usize = all.iter().map(|filled| filled.acknowledged.len()).sum();
    assert!(acknowledged > 300, "{acknowledged} of {written} writes");
    // A value each time would be hundreds of times as much.
    let sent: u64 = (0..3)
        .map(|node| info(&cluster, node, "ring_bytes_replicated_total"))
        .sum();
    assert!(
        sent < written * 2 * 200 + 4_000_000,
        "{sent} bytes for {written} writes"
    );
    // The node that was dead twice has all of it, too.
    for node in [0, 2] {
        cluster.node(node).process.signal(Signal::KILL);
        cluster.nodes[node] = None;
    }
    cluster.agrees(1);
    let mut client = cluster.client(1);
    for (filled, before) in all.iter().zip(&before) {
        assert_eq!(filled.read(&mut client), *before, "{}", filled.key);
    }
}

#[test]
fn what_a_push_moves_for_who_waited_outlives_the_owner() {
    let args = ["--replicas", "3", "--write-acks", "quorum", "--hash-tags"];
    for asked in [0, 1] {
        let mut cluster = Cluster::start(3, &args);
        settled(&cluster);
        let owner = cluster.owner("{t}");
        let other = (owner + 1) % 3;
        // A client of the owner, or of another node.
        let mut waits = cluster.client((owner + asked) % 3);
        waits.send(&request(&[
            b"BLMOVE", b"{t}from", b"{t}to", b"LEFT", b"RIGHT", b"0",
        ]));
        wait_until("it waits", || {
            let info = cluster.client(owner).run("INFO clients").text();
            info.contains("blocked_clients:1") || asked == 1
        });
        std::thread::sleep(Duration::from_millis(100));
        let pushed = cluster.client(other).run("RPUSH {t}from one two");
        assert_eq!(pushed, Value::Int(2));
        assert_eq!(Value::parse(&waits.read_raw_reply()), Value::bulk("one"));
        cluster.node(owner).process.signal(Signal::KILL);
        cluster.nodes[owner] = None;
        cluster.agrees(2);
        let list = |key: &str| cluster.client(other).run(&format!("LRANGE {key} 0 -1"));
        assert_eq!(list("{t}to"), Value::Array(vec![Value::bulk("one")]));
        assert_eq!(list("{t}from"), Value::Array(vec![Value::bulk("two")]));
    }
}

/// What a stopped node finds in its sockets may be older than what others have acknowledged in its
/// place: it goes back to whoever still waits for it, and comes again.
#[test]
fn a_node_that_goes_on_executes_nothing_that_may_have_been_given_up() {
    let cluster = Cluster::start(3, &["--replicas", "3", "--write-acks", "quorum"]);
    settled(&cluster);
    let mut keys = (0..).map(|i| format!("key:{i}"));
    let mut key_of_2 = || keys.find(|key| cluster.owner(key) == 2).expect("a key");
    let (key, given_up) = (key_of_2(), key_of_2());
    let mut client = cluster.client(0);
    assert_eq!(client.run(&format!("SET {key} 0")).text(), "OK");
    let sent_back = info(&cluster, 2, "ring_moved_total");
    cluster.node(2).process.signal(Signal::STOP);
    client.send(&request(&[b"INCR", key.as_bytes()]));
    std::thread::sleep(Duration::from_millis(3000));
    cluster.node(2).process.signal(Signal::CONT);
    assert_eq!(Value::parse(&client.read_raw_reply()), Value::Int(1));
    assert!(info(&cluster, 2, "ring_moved_total") > sent_back);

    settled(&cluster);
    cluster.node(2).process.signal(Signal::STOP);
    client.send(&request(&[b"SET", given_up.as_bytes(), b"old"]));
    let reply = Value::parse(&client.read_raw_reply()).text();
    assert!(reply.starts_with("CLUSTERDOWN"), "{reply}");
    wait_until("another node owns the key", || {
        client.run(&format!("SET {given_up} new")).text() == "OK"
    });
    cluster.node(2).process.signal(Signal::CONT);
    cluster.agrees(3);
    settled(&cluster);
    for node in 0..3 {
        let value = cluster.client(node).run(&format!("GET {given_up}"));
        assert_eq!(value, Value::bulk("new"), "at {node}");
    }
}
