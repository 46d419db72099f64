//! CLIENT TRACKING in a ring: caches near clients stay right, whatever happens to the nodes.

mod servers;

#[path = "ring_tracking/near_cache.rs"]
mod near_cache;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use near_cache::{Kind, NearCache, Reads};
use rustix::process::Signal;
use servers::{Client, Cluster, Value, request, wait_until};

const KEYS: u64 = 60;

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    fn key(&mut self) -> String {
        format!("key:{}", self.below(KEYS))
    }
}

fn push(key: &str) -> Value {
    let keys = Value::Array(vec![Value::bulk(key)]);
    Value::Push(vec![Value::bulk("invalidate"), keys])
}

/// A key that this node owns.
fn key_of(cluster: &Cluster, node: usize, prefix: &str) -> String {
    let mut keys = (0..).map(|n| format!("{prefix}{n}"));
    keys.find(|key| cluster.owner(key) == node).expect("a key")
}

/// Nodes that agree, and of which none takes keys over any more.
fn settled(count: usize) -> Cluster {
    let cluster = Cluster::start(count, &[]);
    cluster.settles();
    cluster
}

/// A client that keeps copies, with these options.
fn tracking(cluster: &Cluster, node: usize, options: &str) -> Client {
    let mut client = cluster.client(node);
    client.run("HELLO 3");
    let begun = client.run(&format!("CLIENT TRACKING ON {options}"));
    assert_eq!(begun, Value::ok());
    client
}

#[test]
fn who_has_read_is_told_once_by_every_node() {
    let cluster = settled(3);
    let mut reader = tracking(&cluster, 0, "");
    for owner in 0..3 {
        for writer in 0..3 {
            let key = key_of(&cluster, owner, &format!("once:{writer}:"));
            let mut other = cluster.client(writer);
            assert_eq!(reader.run(&format!("GET {key}")), Value::Null);
            other.run(&format!("SET {key} 1"));
            assert_eq!(reader.read_reply(), push(&key));
            // It has not read it since.
            other.run(&format!("SET {key} 2"));
            assert_eq!(reader.run(&format!("GET {key}")), Value::bulk("2"));
            other.run(&format!("DEL {key}"));
            assert_eq!(reader.read_reply(), push(&key));
        }
    }
    assert_eq!(reader.run("PING"), Value::Status("PONG".into()));
}

#[test]
fn many_keys_transactions_and_time_count_as_well() {
    let cluster = settled(3);
    let (mut reader, mut other) = (tracking(&cluster, 0, ""), cluster.client(1));
    let keys: Vec<String> = (0..3).map(|node| key_of(&cluster, node, "many")).collect();
    let told = |reader: &mut Client| {
        let mut told: Vec<Value> = (0..3).map(|_| reader.read_reply()).collect();
        told.sort_by_key(|push| format!("{push:?}"));
        told
    };
    let mut expected: Vec<Value> = keys.iter().map(|key| push(key)).collect();
    expected.sort_by_key(|push| format!("{push:?}"));
    reader.run(&format!("MGET {}", keys.join(" ")));
    for key in &keys {
        other.run(&format!("SET {key} v"));
    }
    assert_eq!(told(&mut reader), expected);
    for key in &keys {
        reader.run("MULTI");
        reader.run(&format!("STRLEN {key}"));
        reader.run(&format!("GET {key}"));
        let values = Value::Array(vec![Value::Int(1), Value::bulk("v")]);
        assert_eq!(reader.run("EXEC"), values);
    }
    for key in &keys {
        other.run(&format!("PEXPIRE {key} 1500"));
    }
    assert_eq!(told(&mut reader), expected, "a deadline is a change");
    for key in &keys {
        assert_eq!(reader.run(&format!("EXISTS {key}")), Value::Int(1));
    }
    assert_eq!(told(&mut reader), expected, "the time is up");
    reader.run(&format!("EXISTS {}", keys[1]));
    other.run("FLUSHALL");
    let all = Value::Push(vec![Value::bulk("invalidate"), Value::Null]);
    assert_eq!(reader.read_reply(), all);
}

#[test]
fn many_requests_at_once_are_answered_in_their_order() {
    let cluster = settled(2);
    for options in ["", "NOLOOP", "OPTIN"] {
        let mut client = tracking(&cluster, 0, options);
        let words: Vec<[String; 3]> = (0..200)
            .map(|n| ["SET".into(), format!("pipe{n}"), format!("{n}{options}")])
            .collect();
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for [set, key, value] in &words {
            bytes.extend(request(&[set, key, value].map(|word| word.as_bytes())));
            bytes.extend(request(&[b"GET", key.as_bytes()]));
            bytes.extend(request(&[b"STRLEN", key.as_bytes()]));
            expected.extend([Value::ok(), Value::bulk(value)]);
            expected.push(Value::Int(value.len() as i64));
        }
        client.send(&bytes);
        let replies: Vec<Value> = expected.iter().map(|_| client.read_reply()).collect();
        assert_eq!(replies, expected, "{options}");
        let mut other = cluster.client(1);
        let mut told = Vec::new();
        for [_, key, _] in &words {
            other.run(&format!("DEL {key}"));
            if options != "OPTIN" {
                told.push(client.read_reply() == push(key));
            }
        }
        assert!(told.iter().all(|is| *is), "{options}");
        assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    }
}

#[test]
fn who_changes_is_told_if_it_wants_to_be() {
    let cluster = settled(3);
    for node in 0..3 {
        let key = key_of(&cluster, node, "own");
        let mut hears = tracking(&cluster, 0, "");
        let mut ignores = tracking(&cluster, 0, "NOLOOP");
        let mut third = tracking(&cluster, 1, "NOLOOP");
        for client in [&mut hears, &mut ignores, &mut third] {
            assert_eq!(client.run(&format!("GET {key}")), Value::Null);
        }
        assert_eq!(ignores.run(&format!("INCR {key}")), Value::Int(1));
        for client in [&mut hears, &mut third] {
            assert_eq!(client.read_reply(), push(&key));
        }
        assert_eq!(ignores.run(&format!("GET {key}")), Value::bulk("1"));
        hears.run(&format!("GET {key}"));
        assert_eq!(hears.run(&format!("INCR {key}")), Value::Int(2));
        assert_eq!(hears.read_reply(), push(&key), "after the reply");
        assert_eq!(ignores.read_reply(), push(&key));
        // A transaction of its own, too.
        ignores.run(&format!("GET {key}"));
        ignores.run("MULTI");
        ignores.run(&format!("INCR {key}"));
        assert_eq!(ignores.run("EXEC"), Value::Array(vec![Value::Int(3)]));
        assert_eq!(ignores.run("PING"), Value::Status("PONG".into()));
    }
}

#[test]
fn who_takes_what_it_might_have_waited_for_is_told_if_it_wants_to_be() {
    let cluster = settled(2);
    let alone = servers::Heeler::serve(&[]);
    let in_ring = |node: usize| (cluster.client(0), key_of(&cluster, node, "waits"));
    let by_itself = || (Client::connect(alone.address()), "waits".to_owned());
    for connect in [
        &(|| in_ring(0)) as &dyn Fn() -> _,
        &(|| in_ring(1)),
        &by_itself,
    ] {
        let begin = |options: &str| {
            let (mut client, key) = connect();
            client.run("HELLO 3");
            client.run(&format!("CLIENT TRACKING ON {options}"));
            (client, key)
        };
        let ((mut hears, key), (mut ignores, _)) = (begin(""), begin("NOLOOP"));
        let (mut other, _) = connect();
        other.run(&format!("RPUSH {key} one two three"));
        for client in [&mut hears, &mut ignores] {
            assert_eq!(client.run(&format!("LLEN {key}")), Value::Int(3));
        }
        let taken = |element| Value::Array(vec![Value::bulk(&key), Value::bulk(element)]);
        // The change, and the reply to what may wait for one, come in either order.
        let both = |client: &mut Client| {
            let mut told = [client.read_reply(), client.read_reply()];
            told.sort_by_key(|it| matches!(it, Value::Push(_)));
            told
        };
        assert_eq!(ignores.run(&format!("BLPOP {key} 1")), taken("one"));
        assert_eq!(hears.read_reply(), push(&key));
        assert_eq!(ignores.run("PING"), Value::Status("PONG".into()));
        // Without the option its own change is told of, too.
        hears.run(&format!("LLEN {key}"));
        hears.send(&request(&[b"BLPOP", key.as_bytes(), b"1"]));
        assert_eq!(both(&mut hears), [taken("two"), push(&key)]);
        // One that has had to wait for an element is told of who brought it.
        ignores.run(&format!("LPOP {key}"));
        assert_eq!(ignores.run(&format!("LLEN {key}")), Value::Int(0));
        ignores.send(&request(&[b"BLPOP", key.as_bytes(), b"5"]));
        servers::wait_until("it waits", || {
            other
                .run("INFO clients")
                .text()
                .contains("blocked_clients:1")
        });
        other.run(&format!("RPUSH {key} four"));
        assert_eq!(both(&mut ignores), [taken("four"), push(&key)]);
    }
}

#[test]
fn who_is_told_of_prefixes_is_told_by_all_nodes_and_by_those_that_come_later() {
    let mut cluster = Cluster::planned(3, &[]);
    for node in [0, 1] {
        cluster.up(node);
    }
    cluster.agrees(2);
    cluster.settles();
    let mut reader = tracking(&cluster, 0, "BCAST PREFIX a: PREFIX b:");
    let mut ignores = tracking(&cluster, 1, "BCAST PREFIX a:x NOLOOP");
    for node in [0, 1] {
        let (key, other) = (key_of(&cluster, node, "a:x"), key_of(&cluster, node, "c:"));
        let mut writer = cluster.client(1);
        writer.run(&format!("SET {other} v"));
        writer.run(&format!("SET {key} v"));
        assert_eq!(reader.read_reply(), push(&key));
        assert_eq!(ignores.read_reply(), push(&key));
        assert_eq!(ignores.run(&format!("SET {key} w")), Value::ok());
        assert_eq!(reader.read_reply(), push(&key));
        assert_eq!(ignores.run("PING"), Value::Status("PONG".into()));
    }
    cluster.up(2);
    cluster.agrees(3);
    // What may have been missed, and what is told from now on.
    let key = key_of(&cluster, 2, "b:");
    let mut is_told = false;
    wait_until("the node that came tells", || {
        cluster.client(1).run(&format!("SET {key} v"));
        std::thread::sleep(Duration::from_millis(50));
        reader.send(&request(&[b"PING"]));
        loop {
            match reader.read_reply() {
                told if told == push(&key) => is_told = true,
                Value::Status(_) => break is_told,
                _ => {}
            }
        }
    });
}

#[test]
fn who_chooses_what_to_keep_is_told_of_that() {
    let cluster = settled(2);
    for node in 0..2 {
        let keys = [0, 1].map(|n| key_of(&cluster, node, &format!("chosen:{n}:")));
        let mut other = cluster.client(1);
        for (mode, word) in [("OPTIN", "YES"), ("OPTOUT", "NO")] {
            let mut reader = tracking(&cluster, 0, mode);
            let (chosen, passed) = if mode == "OPTIN" { (0, 1) } else { (1, 0) };
            reader.run(&format!("CLIENT CACHING {word}"));
            reader.run(&format!("GET {}", keys[0]));
            reader.run(&format!("GET {}", keys[1]));
            other.run(&format!("SET {} v", keys[passed]));
            other.run(&format!("SET {} v", keys[chosen]));
            assert_eq!(reader.read_reply(), push(&keys[chosen]), "{mode}");
        }
    }
}

#[test]
fn another_connection_is_told_and_what_is_known_of_a_client_is_shown() {
    let cluster = settled(2);
    let key = key_of(&cluster, 1, "redirected");
    let (mut reader, mut listener) = (cluster.client(0), cluster.client(0));
    let Value::Int(id) = listener.run("CLIENT ID") else {
        panic!("no number");
    };
    let line = |cluster: &Cluster, id: &Value| {
        let Value::Int(id) = id else {
            panic!("no number")
        };
        let line = cluster.client(0).run(&format!("CLIENT LIST ID {id}"));
        line.text()
    };
    let own = reader.run("CLIENT ID");
    assert!(line(&cluster, &own).contains("flags=N ") && line(&cluster, &own).contains("redir=-1"));
    listener.run("SUBSCRIBE __redis__:invalidate");
    let begin = format!("CLIENT TRACKING ON REDIRECT {id}");
    assert_eq!(reader.run(&begin), Value::ok());
    assert!(line(&cluster, &own).contains("flags=t "));
    assert!(line(&cluster, &own).contains(&format!("redir={id} ")));
    reader.run(&format!("GET {key}"));
    cluster.client(1).run(&format!("SET {key} v"));
    let keys = Value::Array(vec![Value::bulk(&key)]);
    let words = ["message", "__redis__:invalidate"].map(Value::bulk);
    assert_eq!(
        listener.read_reply(),
        Value::Array([&words[..], &[keys]].concat())
    );
    reader.run("HELLO 3");
    reader.run(&format!("GET {key}"));
    drop(listener);
    wait_until("the listener is gone", || {
        let list = cluster
            .client(0)
            .run(&format!("CLIENT LIST ID {id}"))
            .text();
        list.is_empty()
    });
    cluster.client(1).run(&format!("SET {key} w"));
    let broken = vec![Value::bulk("tracking-redir-broken"), Value::Int(id)];
    assert_eq!(reader.read_reply(), Value::Push(broken));
    assert!(line(&cluster, &own).contains("flags=tR "));
    reader.run("CLIENT TRACKING OFF");
    reader.run("CLIENT TRACKING ON BCAST");
    assert!(line(&cluster, &own).contains("flags=tB "));
    let mut none = cluster.client(0);
    let refused = none.run("CLIENT TRACKING ON REDIRECT 99999");
    assert!(matches!(refused, Value::Error(_)), "{refused:?}");
}

#[test]
fn a_node_that_dies_or_leaves_takes_nothing_with_it_unsaid() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut cluster = settled(3);
        let mut reader = tracking(&cluster, 0, "");
        let key = key_of(&cluster, 2, "dies");
        reader.run(&format!("GET {key}"));
        cluster.node(2).process.signal(signal);
        let all = Value::Push(vec![Value::bulk("invalidate"), Value::Null]);
        let told = reader.read_reply();
        assert!(told == all || told == push(&key), "{told:?}");
        cluster.nodes[2] = None;
        cluster.agrees(2);
    }
}

/// What the threads of a test share.
struct World {
    nodes: Mutex<Vec<SocketAddr>>,
    /// Nobody writes any more, and nobody reads any more.
    stops_writing: AtomicBool,
    stops_reading: AtomicBool,
    count: AtomicU64,
}

impl World {
    fn node(&self, dice: &mut Dice) -> SocketAddr {
        let nodes = self.nodes.lock().expect("no panic");
        nodes[dice.below(nodes.len() as u64) as usize]
    }

    fn write(&self, seed: u64) {
        let mut dice = Dice(seed);
        let mut connection: Option<Client> = None;
        while !self.stops_writing.load(Relaxed) {
            let node = self.node(&mut dice);
            let (one, two) = (dice.key(), dice.key());
            let value = self.count.fetch_add(1, Relaxed).to_string();
            let words: Vec<&str> = match dice.below(12) {
                0 => vec!["DEL", &one],
                1 => vec!["SET", &one, &value, "PX", "40"],
                2 => vec!["MSET", &one, &value, &two, &value],
                3 => vec!["APPEND", &one, "x"],
                4 => vec!["GETDEL", &one],
                _ => vec!["SET", &one, &value],
            };
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            if connection.is_none() || dice.below(50) == 0 {
                let timeout = Duration::from_millis(500);
                let open = std::net::TcpStream::connect_timeout(&node, timeout);
                connection = open.ok().map(|_| Client::connect(node));
            }
            let client = connection.as_mut();
            let reply = client.and_then(|client| {
                client.try_send(&request(&words)).ok()?;
                client.try_read_raw_reply().ok()
            });
            if reply.is_none() {
                connection = None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Reads until nobody shall any more. Returns the cache, which goes on listening.
    fn read(&self, seed: u64, kind: Kind, first: SocketAddr) -> Option<NearCache> {
        let mut dice = Dice(seed);
        let mut cache = NearCache::connect(first, kind);
        while !self.stops_reading.load(Relaxed) {
            if !cache
                .as_mut()
                .is_some_and(|near| read_some(near, &mut dice))
            {
                std::thread::sleep(Duration::from_millis(20));
                cache = NearCache::connect(self.node(&mut dice), kind);
            }
        }
        // One that has lost its node is not one that was told nothing.
        cache
    }
}

fn read_some(near: &mut NearCache, dice: &mut Dice) -> bool {
    let key = dice.key();
    if near.holds(&key) {
        // As a cache does: what is held is not asked for.
        std::thread::sleep(Duration::from_millis(1));
        return near.is_open();
    }
    match dice.below(8) {
        0 => {
            let keys = [key, dice.key(), dice.key()];
            let mut words: Vec<&[u8]> = vec![b"MGET"];
            words.extend(keys.iter().map(|key| key.as_bytes()));
            near.send(&words, Reads::Keys(keys.to_vec()), 16)
        }
        1 => {
            let get: [&[u8]; 2] = [b"GET", key.as_bytes()];
            near.send(&[b"MULTI"], Reads::Nothing, 16)
                && near.send(&get, Reads::Nothing, 16)
                && near.send(&[b"EXEC"], Reads::Keys(vec![key]), 16)
        }
        2 => {
            let value = dice.below(1 << 40).to_string();
            near.send(
                &[b"SET", key.as_bytes(), value.as_bytes()],
                Reads::Nothing,
                16,
            )
        }
        _ => near.send(&[b"GET", key.as_bytes()], Reads::Key(key.clone()), 16),
    }
}

/// What the ring holds.
fn truth(cluster: &Cluster) -> HashMap<String, Value> {
    let mut client = cluster.client(0);
    let keys = (0..KEYS).map(|n| format!("key:{n}"));
    keys.map(|key| {
        let value = client.run(&format!("GET {key}"));
        assert!(!matches!(value, Value::Error(_)), "{key}: {value:?}");
        (key, value)
    })
    .collect()
}

/// Each cache holds what the ring holds, in the end and without a request.
fn are_right(cluster: &Cluster, caches: &[NearCache]) -> usize {
    for near in caches {
        wait_until("all replies are there", || near.is_quiet());
    }
    let truth = truth(cluster);
    let mut held = 0;
    for near in caches {
        let wrong = || -> Vec<(String, Value)> {
            let held = near.held().into_iter();
            held.filter(|(key, value)| truth[key] != *value).collect()
        };
        let end = std::time::Instant::now() + servers::PATIENCE;
        while !wrong().is_empty() {
            let (kind, wrong) = (near.kind(), wrong());
            let is: Vec<&Value> = wrong.iter().map(|(key, _)| &truth[key]).collect();
            assert!(
                std::time::Instant::now() < end,
                "{kind:?}: {wrong:?} is {is:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        held += near.held().len();
    }
    held
}

/// Something happens to the nodes while caches are read and all is written.
fn survive(args: &[&str], turn: fn(&mut Cluster, &World)) {
    let mut cluster = Cluster::planned(4, args);
    for node in 0..3 {
        cluster.up(node);
    }
    cluster.agrees(3);
    let world = World {
        nodes: Mutex::new((0..3).map(|node| cluster.redis(node)).collect()),
        stops_writing: AtomicBool::new(false),
        stops_reading: AtomicBool::new(false),
        count: AtomicU64::new(0),
    };
    let homes: Vec<SocketAddr> = (0..3).map(|node| cluster.redis(node)).collect();
    let kinds = [Kind::Same, Kind::Redirected, Kind::Broadcast];
    let caches: Vec<NearCache> = std::thread::scope(|scope| {
        let world = &world;
        for seed in 1..=2 {
            scope.spawn(move || world.write(seed * 77));
        }
        let readers: Vec<_> = (0..6)
            .map(|n| {
                let (kind, home) = (kinds[n % 3], homes[n / 2]);
                scope.spawn(move || world.read(n as u64 * 31 + 5, kind, home))
            })
            .collect();
        turn(&mut cluster, world);
        world.stops_writing.store(true, Relaxed);
        std::thread::sleep(Duration::from_millis(300));
        world.stops_reading.store(true, Relaxed);
        let read = readers.into_iter().map(|it| it.join().expect("a reader"));
        read.collect::<Vec<_>>().into_iter().flatten().collect()
    });
    assert_eq!(caches.len(), 6);
    are_right(&cluster, &caches);
    // All is held by all, and then changes by every second key.
    let mut caches = caches;
    for near in &mut caches {
        for key in (0..KEYS).map(|n| format!("key:{n}")) {
            let words: [&[u8]; 2] = [b"GET", key.as_bytes()];
            assert!(near.send(&words, Reads::Key(key.clone()), 16));
        }
    }
    assert!(are_right(&cluster, &caches) > 3 * KEYS as usize);
    for n in 0..KEYS / 2 {
        let mut writer = cluster.client(if n % 2 == 0 { 0 } else { 3 });
        let reply = writer.run(&format!("SET key:{} last", n * 2));
        assert_eq!(reply, Value::ok());
    }
    let held = are_right(&cluster, &caches);
    assert!(
        held >= 6 * KEYS as usize / 2,
        "{held}: no more is told than has changed"
    );
}

fn pause() {
    std::thread::sleep(Duration::from_millis(1000));
}

fn one_joins(cluster: &mut Cluster, _: &World) {
    pause();
    cluster.up(3);
    cluster.agrees(4);
    pause();
}

/// One joins, one leaves in good order, and one dies.
fn two_are_left(cluster: &mut Cluster, world: &World) {
    let live_on = |cluster: &Cluster, nodes: &[usize]| {
        let nodes = nodes.iter().map(|&node| cluster.redis(node));
        *world.nodes.lock().expect("no panic") = nodes.collect();
    };
    one_joins(cluster, world);
    live_on(cluster, &[0, 2, 3]);
    let leaves = cluster.nodes[1].take().expect("it is up");
    assert_eq!(leaves.stop().code, Some(0), "it has left in good order");
    cluster.agrees(3);
    pause();
    live_on(cluster, &[0, 3]);
    cluster.node(2).process.signal(Signal::KILL);
    cluster.nodes[2] = None;
    cluster.agrees(2);
    pause();
}

#[test]
fn caches_stay_right_while_a_node_takes_keys_over() {
    survive(&[], one_joins);
}

#[test]
fn caches_stay_right_while_nodes_come_and_go() {
    survive(&[], two_are_left);
}

#[test]
fn caches_stay_right_while_replicas_take_over() {
    survive(&["--replicas", "3", "--write-acks", "quorum"], two_are_left);
}
