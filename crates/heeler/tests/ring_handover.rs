//! Nodes of a ring that come, go and die while clients write: real processes.

mod servers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use servers::{Client, Cluster, Heeler, Value, request};

/// One client's keys, with what it was promised of each: at least so much, at most so much.
#[derive(Default)]
struct Promises {
    counters: BTreeMap<String, (i64, i64)>,
    texts: BTreeMap<String, String>,
    doubtful: u64,
    acknowledged: u64,
}

/// A client that asks one node after the other, and goes on with the next if one does not answer.
struct Restless {
    nodes: Vec<SocketAddr>,
    at: usize,
    connection: Option<Client>,
}

impl Restless {
    /// The reply, if there is one.
    fn call(&mut self, args: &[&[u8]]) -> Option<Value> {
        self.at += 1;
        if self.connection.is_none() || self.at.is_multiple_of(7) {
            let node = self.nodes[self.at % self.nodes.len()];
            let timeout = Duration::from_millis(500);
            self.connection = std::net::TcpStream::connect_timeout(&node, timeout)
                .ok()
                .map(|_| Client::connect(node));
        }
        let client = self.connection.as_mut()?;
        let reply = client.try_send(&request(args)).ok();
        let reply = reply.and_then(|()| client.try_read_raw_reply().ok());
        if reply.is_none() {
            self.connection = None;
        }
        reply.map(|raw| Value::parse(&raw))
    }
}

/// Writes until it is told to stop.
fn write(nodes: &[SocketAddr], who: usize, stops: &AtomicBool) -> Promises {
    let mut promises = Promises::default();
    let mut client = Restless {
        nodes: nodes.to_vec(),
        at: who,
        connection: None,
    };
    let mut n = 0u64;
    while !stops.load(Ordering::Relaxed) {
        n += 1;
        let counter = format!("counter:{who}:{}", n % 40);
        let (least, most) = promises.counters.entry(counter.clone()).or_default();
        match client.call(&[b"INCR", counter.as_bytes()]) {
            Some(Value::Int(value)) => {
                let expected = *least + 1..=*most + 1;
                assert!(
                    expected.contains(&value),
                    "{counter} is {value}, not in {expected:?}"
                );
                (*least, *most) = (value, value);
                promises.acknowledged += 1;
            }
            _ => {
                *most += 1;
                promises.doubtful += 1;
            }
        }
        let (key, value) = (format!("text:{who}:{n}"), format!("value {n}"));
        match client.call(&[b"SET", key.as_bytes(), value.as_bytes()]) {
            Some(reply) if reply == Value::ok() => {
                promises.texts.insert(key, value);
                promises.acknowledged += 1;
            }
            _ => promises.doubtful += 1,
        }
    }
    promises
}

/// Runs `change` while clients write through some nodes, and checks that all is there that they
/// were promised. Returns how many writes were acknowledged, and how many were not.
fn under_load(
    cluster: &mut Cluster,
    through: &[usize],
    change: impl FnOnce(&mut Cluster),
) -> [u64; 2] {
    let nodes: Vec<SocketAddr> = through.iter().map(|&node| cluster.redis(node)).collect();
    let stops = AtomicBool::new(false);
    let promises: Vec<Promises> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|who| {
                let (nodes, stops) = (&nodes, &stops);
                scope.spawn(move || write(nodes, who, stops))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        change(cluster);
        std::thread::sleep(Duration::from_millis(500));
        stops.store(true, Ordering::Relaxed);
        let joined: Result<Vec<Promises>, _> = writers.into_iter().map(|it| it.join()).collect();
        joined.unwrap_or_else(|_| {
            for node in cluster.nodes.iter().flatten() {
                eprintln!("{}", node.process.stderr());
            }
            panic!("a client was not told the truth");
        })
    });
    let up: Vec<usize> = (0..cluster.nodes.len())
        .filter(|&n| cluster.nodes[n].is_some())
        .collect();
    for promises in &promises {
        for (i, (key, (least, most))) in promises.counters.iter().enumerate() {
            let mut client = cluster.client(up[i % up.len()]);
            let value = match client.call(&[b"GET", key.as_bytes()]) {
                Value::Null => 0,
                found => found.text().parse().expect("a number"),
            };
            assert!(
                (*least..=*most).contains(&value),
                "{key}: {value}, not {least} to {most}"
            );
        }
        let mut clients: Vec<Client> = up.iter().map(|&node| cluster.client(node)).collect();
        for (i, (key, value)) in promises.texts.iter().enumerate() {
            let client = &mut clients[i % up.len()];
            let found = client.call(&[b"GET", key.as_bytes()]);
            assert_eq!(found, Value::bulk(value), "{key}");
        }
    }
    let sum = |of: fn(&Promises) -> u64| promises.iter().map(of).sum();
    [sum(|it| it.acknowledged), sum(|it| it.doubtful)]
}

#[test]
fn nodes_that_join_and_stop_lose_nothing() {
    let mut cluster = Cluster::planned(4, &[]);
    for node in 0..3 {
        cluster.up(node);
    }
    cluster.agrees(3);
    let [acknowledged, doubtful] = under_load(&mut cluster, &[0, 1], |cluster| {
        cluster.up(3);
        cluster.agrees(4);
        cluster.settles();
        let leaver = cluster.nodes[2].take().expect("it is up");
        assert_eq!(leaver.stop().code, Some(0));
        cluster.agrees(3);
        cluster.settles();
        let shown = Heeler::spawn(&["ring", "--peer", &cluster.peer(0)])
            .wait()
            .stdout;
        let all = shown
            .lines()
            .filter(|line| line.ends_with("has all that it holds"));
        assert_eq!(all.count(), 3, "{shown}");
        // It comes back, while another goes.
        cluster.up(2);
        let leaver = cluster.nodes[3].take().expect("it is up");
        assert_eq!(leaver.stop().code, Some(0));
        cluster.agrees(3);
        cluster.settles();
    });
    assert!(acknowledged > 100, "{acknowledged} writes");
    assert_eq!(doubtful, 0, "no write fails");
}

#[test]
fn keys_that_have_moved_are_counted_once() {
    const KEYS: usize = 30_000;
    let mut cluster = Cluster::planned(3, &[]);
    (0..2).for_each(|node| cluster.up(node));
    cluster.agrees(2);
    let mut client = cluster.client(0);
    for from in (0..KEYS).step_by(1000) {
        let keys: Vec<String> = (from..from + 1000).map(|n| format!("k{n}")).collect();
        let pairs = keys.iter().flat_map(|key| [key.as_bytes(), b"v"]);
        let words: Vec<&[u8]> = [&b"MSET"[..]].into_iter().chain(pairs).collect();
        assert_eq!(client.call(&words), Value::ok());
    }
    let all = Value::Int(KEYS as i64);
    assert_eq!(client.run("DBSIZE"), all);
    cluster.up(2);
    cluster.agrees(3);
    cluster.settles();
    // Those that had the keys before forget them little by little from now on.
    for node in (0..3).cycle().take(60) {
        assert_eq!(cluster.client(node).run("DBSIZE"), all);
    }
    cluster.nodes[2].take().expect("it is up").stop();
    cluster.agrees(2);
    cluster.settles();
    assert_eq!(client.run("DBSIZE"), all);
}

#[test]
fn what_a_quorum_has_outlives_each_node() {
    let args = ["--replicas", "3", "--write-acks", "quorum"];
    let mut cluster = Cluster::start(3, &args);
    cluster.settles();
    let [acknowledged, _] = under_load(&mut cluster, &[0, 1, 2], |cluster| {
        for node in 0..3 {
            cluster.node(node).process.signal(Signal::KILL);
            cluster.nodes[node] = None;
            if node == 1 {
                // Long enough for the others to take it for dead.
                cluster.agrees(2);
                std::thread::sleep(Duration::from_millis(500));
            }
            cluster.up(node);
            cluster.agrees(3);
            cluster.settles();
        }
    });
    assert!(acknowledged > 100, "{acknowledged} writes");
}
