//! The keyspace of a ring: real nodes, each with a Redis door, through which all keys are reached.

#[expect(dead_code, reason = "the tests of TLS use more of it")]
#[path = "tls/authority.rs"]
mod authority;
mod servers;

use std::time::Duration;

use authority::Authority;
use rustix::process::Signal;
use servers::{Client, Cluster, Heeler, RedisServer, Value, free_port, request, wait_until};

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("key:{n}")).collect()
}

/// The first key of a row that a node owns.
fn key_of(cluster: &Cluster, node: usize) -> String {
    let mut keys = (0..).map(|n| format!("of:{n}"));
    keys.find(|key| cluster.owner(key) == node).unwrap()
}

fn info(client: &mut Client, name: &str) -> u64 {
    let info = client.run("INFO ring").text();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("the line is there").parse().unwrap()
}

#[test]
fn what_one_node_writes_every_node_reads() {
    let cluster = Cluster::start(3, &[]);
    let mut clients: Vec<Client> = (0..3).map(|node| cluster.client(node)).collect();
    for (n, key) in keys(60).iter().enumerate() {
        let value = format!("{n}");
        let set = clients[n % 3].call(&[b"SET", key.as_bytes(), value.as_bytes()]);
        assert_eq!(set, Value::ok());
        for client in &mut clients {
            assert_eq!(client.call(&[b"GET", key.as_bytes()]), Value::bulk(&value));
        }
    }
    // Nobody has a copy that is not its own, and all know of all.
    for client in &mut clients {
        assert_eq!(client.run("DBSIZE"), Value::Int(60));
        assert!(info(client, "ring_received_total") > 0);
        assert!(info(client, "ring_forwarded_total") > 0);
        assert_eq!(info(client, "ring_moved_total"), 0);
    }
}

#[test]
fn replies_of_a_pipeline_over_all_nodes_come_in_its_order() {
    let cluster = Cluster::start(3, &[]);
    let mut client = cluster.client(0);
    let mut bytes = Vec::new();
    for n in 0..3000 {
        let (key, value) = (format!("k{}", n % 100), format!("{n}"));
        bytes.extend(request(&[b"SET", key.as_bytes(), value.as_bytes()]));
        bytes.extend(request(&[b"GET", key.as_bytes()]));
        bytes.extend(request(&[b"ECHO", value.as_bytes()]));
    }
    let reader = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut other = cluster.client(1);
            other.send(&bytes);
            for n in 0..3000 {
                let value = Value::bulk(format!("{n}"));
                assert_eq!(other.read_reply(), Value::ok());
                assert_eq!(other.read_reply(), value);
                assert_eq!(other.read_reply(), value);
            }
        });
        sender.join().is_ok()
    });
    assert!(reader);
    assert_eq!(client.run("DBSIZE"), Value::Int(100));
}

#[test]
fn large_values_pass() {
    let cluster = Cluster::start(3, &[]);
    for size in [100 * 1024, 5 * 1024 * 1024, 32 * 1024 * 1024] {
        let value: Vec<u8> = (0..size).map(|n: u32| (n % 251) as u8).collect();
        for key in ["a", "b", "c", "d"] {
            let set = cluster.client(0).call(&[b"SET", key.as_bytes(), &value]);
            assert_eq!(set, Value::ok());
            let got = cluster.client(1).call(&[b"GET", key.as_bytes()]);
            assert!(got == Value::bulk(&value), "{key} of {size} bytes");
        }
    }
}

#[test]
fn commands_over_several_nodes_answer_as_one_server_does() {
    let cluster = Cluster::start(3, &[]);
    let redis = RedisServer::start();
    let (mut ours, mut theirs) = (cluster.client(2), redis.client());
    for line in [
        "MSET a 1 b 2 c 3 d 4 e 5 f 6",
        "MGET a b nope c d a e f",
        "EXISTS a b c a nope",
        "TOUCH a b c nope",
        "DEL a c nope",
        "UNLINK b",
        "MGET a b c d e f",
        "DBSIZE",
        "MSET x",
        "SCAN 0 MATCH",
        "RPUSH l 3 1 2",
        "SORT l",
        "OBJECT ENCODING l",
        "MEMORY USAGE nope",
        "TYPE l",
        "OBJECT HELP",
        "LMPOP 1 l LEFT",
        "ZADD z 1 a 2 b",
        "ZRANGE z 0 -1 WITHSCORES",
        "LMPOP 0 l LEFT",
        "FLUSHALL",
        "DBSIZE",
        "RANDOMKEY",
    ] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
    }
    for key in keys(200) {
        assert_eq!(ours.call(&[b"SET", key.as_bytes(), b"v"]), Value::ok());
    }
    let Value::Array(mut found) = ours.run("KEYS key:*") else {
        panic!("an array")
    };
    found.sort_by_key(Value::text);
    let mut expected: Vec<Value> = keys(200).iter().map(Value::bulk).collect();
    expected.sort_by_key(Value::text);
    assert_eq!(found, expected);
    let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
    loop {
        let Value::Array(reply) = ours.run(&format!("SCAN {cursor} COUNT 7")) else {
            panic!("an array")
        };
        let Value::Array(keys) = &reply[1] else {
            panic!("keys")
        };
        seen.extend(keys.iter().map(Value::text));
        cursor = reply[0].text();
        if cursor == "0" {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 200);
    assert!(matches!(ours.run("RANDOMKEY"), Value::Bulk(_)));
}

#[test]
fn keys_of_different_nodes_do_not_meet_in_one_command() {
    let cluster = Cluster::start(3, &[]);
    let (a, b) = (key_of(&cluster, 0), key_of(&cluster, 1));
    let mut client = cluster.client(2);
    let cross = Value::Error("CROSSSLOT Keys in request don't belong to the same node".into());
    for line in [
        format!("RENAME {a} {b}"),
        format!("SINTERSTORE {a} {b}"),
        format!("LCS {a} {b}"),
    ] {
        assert_eq!(client.run(&line), cross, "{line}");
    }
    let sort = client.run(&format!("SORT {a} BY w_*"));
    assert_eq!(
        sort,
        Value::Error("ERR BY option of SORT denied in cluster mode.".into())
    );
}

#[test]
fn a_node_that_dies_is_told_of_and_used_again_when_it_is_back() {
    let mut cluster = Cluster::start(3, &["--suspect-period", "2000"]);
    let (here, there) = (key_of(&cluster, 0), key_of(&cluster, 1));
    let mut client = cluster.client(0);
    for key in [&here, &there] {
        assert_eq!(client.call(&[b"SET", key.as_bytes(), b"v"]), Value::ok());
    }
    cluster.node(1).process.signal(Signal::STOP);
    // What is in flight when it dies.
    let get = request(&[b"GET", there.as_bytes()]);
    client.send(&[&get[..], &request(&[b"GET", here.as_bytes()]), &get].concat());
    cluster.node(1).process.signal(Signal::KILL);
    let lost = client.read_reply();
    assert!(
        matches!(&lost, Value::Error(text) if text.starts_with(&format!(
            "CLUSTERDOWN the node {}, which owns the key: ", cluster.peer(1)
        ))),
        "{lost:?}"
    );
    assert_eq!(client.read_reply(), Value::bulk("v"));
    assert!(matches!(client.read_reply(), Value::Error(_)));
    // The ring goes on without it, and its keys are gone.
    cluster.nodes[1] = None;
    cluster.agrees(2);
    assert_eq!(client.call(&[b"GET", there.as_bytes()]), Value::Null);
    assert_eq!(client.call(&[b"GET", here.as_bytes()]), Value::bulk("v"));
    cluster.up(1);
    cluster.agrees(3);
    for node in 0..3 {
        let mut client = cluster.client(node);
        assert_eq!(client.call(&[b"SET", there.as_bytes(), b"w"]), Value::ok());
        assert_eq!(client.call(&[b"GET", there.as_bytes()]), Value::bulk("w"));
    }
    let address = cluster.peer(1);
    let log = cluster.nodes[0].take().unwrap().stop().stderr;
    let is_lost = |line: &str| {
        let names = format!("node=\"{address}\" failed=2");
        line.contains("lost a connection to a node: ") && line.ends_with(&names)
    };
    assert!(log.lines().any(is_lost), "{log}");
    assert!(
        !log.contains("server=") && !log.contains("failed=0"),
        "{log}"
    );
}

#[test]
fn the_keys_of_all_nodes_are_removed_or_none_is() {
    let mut cluster = Cluster::start(3, &["--suspect-period", "20000", "--replicas", "2"]);
    cluster.settles();
    let mut client = cluster.client(0);
    for flush in ["FLUSHALL", "flushdb async", "FLUSHALL SYNC"] {
        for key in keys(100) {
            assert_eq!(client.call(&[b"SET", key.as_bytes(), b"v"]), Value::ok());
        }
        // It waits for what is before it, and what is behind it waits.
        let words = |line: &str| -> Vec<Vec<u8>> {
            line.split(' ')
                .map(|word| word.as_bytes().to_vec())
                .collect()
        };
        let lines = ["SET before v", flush, "SET after v", "DBSIZE", "GET before"];
        let bytes: Vec<u8> = lines
            .iter()
            .flat_map(|line| {
                let words = words(line);
                request(&words.iter().map(|word| &word[..]).collect::<Vec<_>>())
            })
            .collect();
        client.send(&bytes);
        let replies: Vec<Value> = lines.iter().map(|_| client.read_reply()).collect();
        let (ok, null) = (Value::ok(), Value::Null);
        assert_eq!(
            replies,
            [ok.clone(), ok.clone(), ok, Value::Int(1), null],
            "{flush}"
        );
    }
    let bogus = client.run("FLUSHALL bogus");
    assert_eq!(bogus, Value::Error("ERR syntax error".into()));
    assert_eq!(client.run("GET after"), Value::bulk("v"));
    let here = key_of(&cluster, 0);
    assert_eq!(client.call(&[b"SET", here.as_bytes(), b"v"]), Value::ok());
    cluster.node(1).process.signal(Signal::KILL);
    cluster.nodes[1] = None;
    let refused = client.run("FLUSHALL");
    assert!(
        matches!(&refused, Value::Error(text)
            if text.starts_with(&format!("CLUSTERDOWN the node {}: ", cluster.peer(1)))
                && text.ends_with("; no key was removed")),
        "{refused:?}"
    );
    assert_eq!(client.call(&[b"GET", here.as_bytes()]), Value::bulk("v"));
}

#[test]
fn a_node_that_comes_back_at_once_is_used_at_once() {
    let mut cluster = Cluster::start(3, &[]);
    let there = key_of(&cluster, 1);
    let mut client = cluster.client(0);
    assert_eq!(client.call(&[b"SET", there.as_bytes(), b"v"]), Value::ok());
    cluster.node(1).process.signal(Signal::KILL);
    cluster.nodes[1] = None;
    let down = client.call(&[b"GET", there.as_bytes()]);
    assert!(matches!(down, Value::Error(_)), "{down:?}");
    // Before anybody has called it faulty.
    cluster.up(1);
    wait_until("the node is used again", || {
        std::thread::sleep(Duration::from_millis(20));
        client.call(&[b"GET", there.as_bytes()]) == Value::Null
    });
}

#[test]
fn a_node_that_joins_or_stops_breaks_no_request() {
    let mut cluster = Cluster::planned(3, &[]);
    cluster.up(0);
    cluster.up(1);
    cluster.agrees(2);
    let mut clients = [cluster.client(0), cluster.client(1)];
    let mut errors = Vec::new();
    let mut traffic = |clients: &mut [Client; 2], rounds: usize| {
        for n in 0..rounds {
            let key = format!("t{}", n % 500);
            for client in clients.iter_mut() {
                if let Value::Error(text) = client.call(&[b"SET", key.as_bytes(), b"v"]) {
                    errors.push(text);
                }
            }
        }
    };
    cluster.up(2);
    traffic(&mut clients, 1000);
    cluster.agrees(3);
    traffic(&mut clients, 500);
    let node = cluster.nodes[2].take().unwrap();
    let stopping = std::thread::spawn(move || node.stop());
    traffic(&mut clients, 2000);
    assert_eq!(stopping.join().unwrap().code, Some(0));
    cluster.agrees(2);
    traffic(&mut clients, 500);
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn tagged_keys_are_one_nodes_where_that_was_asked_for() {
    let cluster = Cluster::start(3, &["--hash-tags", "--num-partitions", "100"]);
    for tag in 0..20 {
        let mut client = cluster.client(tag % 3);
        let line = format!("MSETNX {{t{tag}}}a 1 {{t{tag}}}b 2 {{t{tag}}}c 3");
        assert_eq!(client.run(&line), Value::Int(1), "{line}");
        assert_eq!(
            client.run(&format!("RENAME {{t{tag}}}a {{t{tag}}}d")),
            Value::ok()
        );
    }
}

#[test]
fn a_transaction_is_the_owners() {
    let cluster = Cluster::start(3, &["--hash-tags"]);
    let [here, there] = [0, 1].map(|node| key_of(&cluster, node));
    let mut client = cluster.client(0);
    for key in [&here, &there] {
        // What another way would overtake: the requests before it are forwarded.
        let mut bytes = Vec::new();
        for line in [
            "SET {k}a 1",
            "MULTI",
            "INCR {k}a",
            "PING",
            "HSET {k}h f 1.5",
            "EXEC",
        ] {
            let line = line.replace("{k}", &format!("{{{key}}}"));
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            bytes.extend(request(&words));
        }
        client.send(&bytes);
        let replies: Vec<Value> = (0..6).map(|_| client.read_reply()).collect();
        let queued = Value::Status("QUEUED".into());
        let done = Value::Array(vec![
            Value::Int(2),
            Value::Status("PONG".into()),
            Value::Int(1),
        ]);
        let expected = [
            Value::ok(),
            Value::ok(),
            queued.clone(),
            queued.clone(),
            queued,
            done,
        ];
        assert_eq!(replies, expected);
    }
    // In RESP3 each reply has its own type.
    client.run("HELLO 3");
    client.run("MULTI");
    client.run(&format!("HGETALL {{{there}}}h"));
    client.run(&format!("GET {{{there}}}absent"));
    let map = Value::Map(vec![(Value::bulk("f"), Value::bulk("1.5"))]);
    assert_eq!(client.run("EXEC"), Value::Array(vec![map, Value::Null]));
    // Keys of two nodes, and commands for all nodes.
    let cross = Value::Error("CROSSSLOT Keys in request don't belong to the same node".into());
    client.run("MULTI");
    client.run(&format!("SET {here} 1"));
    client.run(&format!("SET {there} 1"));
    assert_eq!(client.run("EXEC"), cross);
    client.run("MULTI");
    client.run("DBSIZE");
    assert!(matches!(client.run("EXEC"), Value::Error(text) if text.contains("all nodes")));
    assert_eq!(client.run(&format!("EXISTS {here} {there}")), Value::Int(0));
}

#[test]
fn a_watched_key_of_another_node_is_watched() {
    let cluster = Cluster::start(3, &[]);
    let there = key_of(&cluster, 1);
    let (mut client, mut other) = (cluster.client(0), cluster.client(2));
    let mut attempt = |between: &str| {
        assert_eq!(client.run(&format!("WATCH {there}")), Value::ok());
        if !between.is_empty() {
            other.run(between);
        }
        client.run("MULTI");
        client.run(&format!("INCR {there}"));
        client.run("EXEC")
    };
    let done = |n| Value::Array(vec![Value::Int(n)]);
    assert_eq!(attempt(""), done(1));
    assert_eq!(attempt(&format!("SET {there} 7")), Value::Null);
    assert_eq!(attempt(&format!("EXPIRE {there} 100")), Value::Null);
    assert_eq!(attempt(""), done(8));
    assert_eq!(attempt(&format!("DEL {there}")), Value::Null);
    assert_eq!(attempt(&format!("SET {there} 1")), Value::Null);
    // UNWATCH and DISCARD forget it.
    for forget in ["UNWATCH", "DISCARD"] {
        client.run(&format!("WATCH {there}"));
        if forget == "DISCARD" {
            client.run("MULTI");
        }
        assert_eq!(client.run(forget), Value::ok());
        other.run(&format!("SET {there} 5"));
        client.run("MULTI");
        client.run(&format!("GET {there}"));
        assert_eq!(client.run("EXEC"), Value::Array(vec![Value::bulk("5")]));
    }
}

#[test]
fn clients_that_wait_for_another_nodes_key_are_served_in_their_order() {
    let cluster = Cluster::start(3, &[]);
    let there = key_of(&cluster, 1);
    let mut clients: Vec<Client> = (0..3).map(|node| cluster.client(node)).collect();
    let blocked = |count| {
        wait_until("they wait", || {
            (0..3).all(|node| {
                let info = cluster.client(node).run("INFO clients").text();
                info.contains(&format!("blocked_clients:{count}"))
            })
        });
    };
    let mut none = (0..).map(|n| format!("none:{n}"));
    let none = none.find(|key| cluster.owner(key) == 1).unwrap();
    // What a node has told the owner before this wait, which is at its end, has come there.
    let has_come_from = |node: usize| {
        let wait = format!("BLPOP {none} 0.1");
        assert_eq!(cluster.client(node).run(&wait), Value::Null);
    };
    for (node, client) in clients.iter_mut().enumerate() {
        client.send(&request(&[b"BLPOP", there.as_bytes(), b"0"]));
        blocked_at(&cluster, node, 1);
        has_come_from(node);
    }
    blocked(1);
    let mut pusher = cluster.client(2);
    pusher.run(&format!("RPUSH {there} a b c"));
    for (client, element) in clients.iter_mut().zip(["a", "b", "c"]) {
        let popped = Value::Array(vec![Value::bulk(&there), Value::bulk(element)]);
        assert_eq!(client.read_reply(), popped);
    }
    blocked(0);
    // A time that runs out, others meanwhile, and a client that goes.
    let began = std::time::Instant::now();
    clients[0].send(&request(&[b"BZPOPMIN", there.as_bytes(), b"0.3"]));
    assert_eq!(clients[1].run("PING"), Value::Status("PONG".into()));
    assert_eq!(clients[0].read_reply(), Value::Null);
    assert!(began.elapsed() >= Duration::from_millis(300));
    let mut gone = cluster.client(0);
    gone.send(&request(&[b"BLPOP", there.as_bytes(), b"0"]));
    blocked_at(&cluster, 0, 1);
    drop(gone);
    blocked_at(&cluster, 0, 0);
    has_come_from(0);
    pusher.run(&format!("RPUSH {there} left"));
    assert_eq!(
        pusher.run(&format!("LRANGE {there} 0 -1")),
        Value::Array(vec![Value::bulk("left")])
    );
    // CLIENT UNBLOCK, and what it waits behind.
    let id = clients[0].run("CLIENT ID");
    let Value::Int(id) = id else { panic!("{id:?}") };
    let pipeline = [
        request(&[b"DEL", there.as_bytes()]),
        request(&[b"BLPOP", there.as_bytes(), b"0"]),
        request(&[b"PING"]),
    ];
    clients[0].send(&pipeline.concat());
    blocked_at(&cluster, 0, 1);
    wait_until("it is unblocked", || {
        cluster.client(0).run(&format!("CLIENT UNBLOCK {id}")) == Value::Int(1)
    });
    assert_eq!(clients[0].read_reply(), Value::Int(1));
    assert_eq!(clients[0].read_reply(), Value::Null);
    assert_eq!(clients[0].read_reply(), Value::Status("PONG".into()));
}

fn blocked_at(cluster: &Cluster, node: usize, count: usize) {
    let line = format!("blocked_clients:{count}");
    wait_until(&line, || {
        cluster
            .client(node)
            .run("INFO clients")
            .text()
            .contains(&line)
    });
}

#[test]
fn a_message_reaches_the_subscribers_of_all_nodes() {
    let cluster = Cluster::start(3, &[]);
    let mut listeners: Vec<Client> = (0..3).map(|node| cluster.client(node)).collect();
    for listener in &mut listeners {
        listener.run("SUBSCRIBE news");
    }
    let mut sharded = cluster.client(2);
    sharded.run("SSUBSCRIBE s");
    let mut client = cluster.client(1);
    assert_eq!(client.run("PUBLISH news hello"), Value::Int(3));
    assert_eq!(client.run("SPUBLISH s shard"), Value::Int(1));
    // Of a transaction, too, whichever node executes it.
    let keys: Vec<String> = (0..3).map(|node| key_of(&cluster, node)).collect();
    for key in &keys {
        client.run("MULTI");
        client.run("PUBLISH news again");
        client.run(&format!("INCR {key}"));
        client.run("SPUBLISH s shard");
        client.run("PUBLISH nobody hears");
        let counts = [3, 1, 1, 0].map(Value::Int).to_vec();
        assert_eq!(client.run("EXEC"), Value::Array(counts));
    }
    for listener in &mut listeners {
        for text in ["hello", "again", "again", "again"] {
            let message = ["message", "news", text].map(Value::bulk).to_vec();
            assert_eq!(listener.read_reply(), Value::Array(message));
        }
    }
    for _ in 0..4 {
        let message = ["smessage", "s", "shard"].map(Value::bulk).to_vec();
        assert_eq!(sharded.read_reply(), Value::Array(message));
    }
    // Its own message comes before the reply.
    client.run("HELLO 3");
    client.run("SUBSCRIBE own");
    client.send(&request(&[b"PUBLISH", b"own", b"x"]));
    assert!(matches!(client.read_reply(), Value::Push(_)));
    assert_eq!(client.read_reply(), Value::Int(1));
}

/// Copies that a node keeps for others count once.
#[test]
fn copies_are_not_counted() {
    let cluster = Cluster::start(3, &["--replicas", "2", "--write-acks", "all"]);
    let mut client = cluster.client(0);
    for key in keys(200) {
        let set = [&b"SET"[..], key.as_bytes(), b"x"];
        servers::wait_until("it has its copy", || client.call(&set) == Value::ok());
    }
    for node in 0..3 {
        assert_eq!(cluster.client(node).run("DBSIZE"), Value::Int(200));
    }
    assert_eq!(client.run("DEL key:0 key:1 key:2"), Value::Int(3));
    assert_eq!(client.run("DBSIZE"), Value::Int(197));
    client.send(b"PING\r\nDBSIZE\r\nPING\r\n");
    let pong = || Value::Status("PONG".into());
    assert_eq!(client.read_reply(), pong());
    assert_eq!(client.read_reply(), Value::Int(197));
    assert_eq!(client.read_reply(), pong());
}

#[test]
fn the_service_kv_and_the_redis_door_share_keys() {
    for args in [&[][..], &["--num-partitions", "271"]] {
        let cluster = Cluster::start(3, args);
        let call = |node: usize, endpoint: &str, body: &str| {
            let peer = cluster.peer(node);
            let called = servers::Heeler::spawn(&["call", "-p", &peer, "kv", endpoint, "-3", body]);
            let ended = called.wait();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.stdout
        };
        for n in 0..6 {
            let (key, node) = (format!("kv{n}"), n % 3);
            let value = format!("v{n}");
            assert_eq!(
                cluster.client(node).run(&format!("SET {key} {value}")),
                Value::ok()
            );
            for reader in 0..3 {
                let told = call(reader, "get", &format!("{{\"key\":\"{key}\"}}"));
                assert!(told.contains(&value), "{told}");
            }
            call(
                node,
                "put",
                &format!("{{\"key\":\"{key}\",\"value\":\"new{n}\"}}"),
            );
            for reader in 0..3 {
                let got = cluster.client(reader).run(&format!("GET {key}"));
                assert_eq!(got, Value::bulk(format!("new{n}")));
            }
        }
        assert_eq!(cluster.client(0).run("DBSIZE"), Value::Int(6));
    }
}

#[test]
fn over_mutual_tls_a_stranger_gets_nothing() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let pair = ours.sign("node", &["127.0.0.1"]);
    let ([cert, key], ca) = (pair.paths(), ours.ca());
    let args = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", &ca];
    let plain_doors = ["--tls-doors", "none"];
    let cluster = Cluster::start(3, &[&args[..], &plain_doors].concat());
    let mut client = cluster.client(0);
    let value = vec![b'x'; 300_000];
    for key in keys(30) {
        assert_eq!(client.call(&[b"SET", key.as_bytes(), &value]), Value::ok());
        assert!(cluster.client(1).call(&[b"GET", key.as_bytes()]) == Value::bulk(&value));
    }
    assert!(info(&mut client, "ring_forwarded_total") > 0);
    let stranger = theirs.sign("stranger", &["127.0.0.1"]);
    let [cert, key] = stranger.paths();
    let peer = cluster.peer(1);
    let ask = |tls: &[&str]| {
        let call = ["call", "-p", &peer, "heeler", "commands"];
        let args = ["-2", "partitions=0", "-3", "PING\r\n", "--raw"];
        servers::Heeler::spawn(&[&call[..], &args, tls].concat()).wait()
    };
    let [own_cert, own_key] = pair.paths();
    let own = ask(&[
        "--tls-ca",
        &ca,
        "--tls-cert",
        own_cert,
        "--tls-key",
        own_key,
    ]);
    assert!(own.stdout.contains("PONG"), "{own:?}");
    for tls in [
        &[][..],
        &["--tls-ca", &ca],
        &["--tls-ca", &ca, "--tls-cert", cert, "--tls-key", key],
    ] {
        let refused = ask(tls);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert!(!refused.stdout.contains("PONG"), "{refused:?}");
    }
}

#[test]
fn a_node_that_is_not_let_in_says_why_and_so_does_who_turned_it_away() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (pair, ca) = (ours.sign("node", &["127.0.0.1"]), ours.ca());
    let [cert, key] = pair.paths();
    let doors = ["--tls-doors", "none"];
    let tls = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", &ca];
    let cluster = Cluster::start(1, &[&tls[..], &doors].concat());
    let stranger = theirs.sign("stranger", &["127.0.0.1"]);
    let [cert, key] = stranger.paths();
    let strange = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", &ca];
    let strange = [&strange[..], &doors].concat();
    let other = [&tls[..], &doors, &["--app", "other"]].concat();
    let (inside, nobody) = (cluster.peer(0), "127.0.0.1:1".to_owned());
    for (flags, seed, why, there) in [
        (&strange[..], &inside, "fatal alert", "turned away: "),
        (&[], &inside, "so must we", "it speaks no TLS"),
        (&other[..], &inside, "it has refused: {", ""),
        (&[], &nobody, "Connection refused", ""),
    ] {
        let peer = format!("127.0.0.1:{}", servers::free_port());
        let args = ["serve", "--redis", "127.0.0.1:0", "--join-retries", "1"];
        let node = Heeler::spawn(&[&args[..], &["--peer", &peer, "--join", seed], flags].concat());
        servers::wait_until("it says why", || {
            let said = node.stderr();
            let alone = "none of the nodes to join has let this one in";
            said.lines()
                .any(|it| it.contains(alone) && it.contains(why))
        });
        servers::wait_until("so does the other side", || {
            cluster.node(0).process.stderr().contains(there)
        });
        assert!(!node.stderr().contains("not among the seeds"));
    }
}

#[test]
fn keys_that_are_yet_to_be_taken_over_are_listed() {
    // It would take a node minutes.
    let mut cluster = Cluster::planned(3, &["--handover-rate", "1K"]);
    for node in 0..3 {
        cluster.up(node);
        cluster.agrees(node + 1);
        if node != 1 {
            continue;
        }
        let mut client = cluster.client(0);
        let value = "v".repeat(200);
        for key in keys(1000) {
            let set = [b"SET", key.as_bytes(), value.as_bytes()];
            assert_eq!(client.call(&set), Value::ok());
        }
    }
    let settled = |node: usize| {
        let info = cluster.client(node).run("INFO ring").text();
        info.contains("ring_settled:1\r")
    };
    for asked in 0..3 {
        let mut client = cluster.client(asked);
        let mut listed = std::collections::BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let Value::Array(parts) = client.run(&format!("SCAN {cursor} COUNT 100")) else {
                panic!("no page of keys");
            };
            let [next, Value::Array(page)] = &parts[..] else {
                panic!("{parts:?}");
            };
            cursor = next.text();
            listed.extend(page.iter().map(Value::text));
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(listed.len(), 1000, "by SCAN at {asked}");
        let Value::Array(all) = client.run("KEYS *") else {
            panic!("no keys");
        };
        let all: std::collections::BTreeSet<String> = all.iter().map(Value::text).collect();
        assert_eq!(all, listed, "by KEYS at {asked}");
    }
    assert!(!settled(2), "keys were on their way all the while");
}

#[test]
fn certificates_of_nodes_are_renewed_while_they_run() {
    let (before, after) = (Authority::new(), Authority::new());
    let [old, new] = [&before, &after].map(|by| by.sign("node", &["127.0.0.1"]));
    let ([cert, key], ca) = (old.paths(), before.ca());
    let args = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", &ca];
    let all = [&args[..], &["--tls-doors", "none"]].concat();
    let mut cluster = Cluster::planned(3, &all);
    cluster.up(0);
    cluster.up(1);
    cluster.agrees(2);
    let all_keys = keys(30);
    let mut client = cluster.client(0);
    for key in &all_keys {
        assert_eq!(client.call(&[b"SET", key.as_bytes(), b"v"]), Value::ok());
    }
    // Both the certificate and who signs it are others from now on.
    let renewed = [new.paths()[0], new.paths()[1], &after.ca()].map(std::fs::read);
    for (path, renewed) in [cert, key, &ca].into_iter().zip(renewed) {
        std::fs::write(path, renewed.expect("a file")).expect("it is written");
    }
    wait_until("they take it", || {
        let shown = |node: usize| cluster.node(node).process.stderr();
        [0, 1]
            .into_iter()
            .all(|node| shown(node).contains("renewed certificate"))
    });
    // This one has never known the old ones, and can be joined and reached only by the new ones.
    cluster.up(2);
    cluster.agrees(3);
    for node in 0..3 {
        let mut client = cluster.client(node);
        for key in &all_keys {
            assert_eq!(
                client.call(&[b"GET", key.as_bytes()]),
                Value::bulk("v"),
                "{key}"
            );
        }
    }
}

#[test]
fn the_ring_is_shown_with_its_partitions_and_numbers() {
    let admin = free_port();
    let address = format!("127.0.0.1:{admin}");
    let mut cluster = Cluster::planned(2, &["--num-partitions", "100"]);
    let with_admin = ["--num-partitions", "100", "--admin", &address];
    cluster.nodes[0] = Some(cluster.spawn_with(0, &with_admin));
    cluster.up(1);
    cluster.agrees(2);
    let mut client = cluster.client(0);
    for key in keys(50) {
        client.call(&[b"INCR", key.as_bytes()]);
    }
    let peer = cluster.peer(1);
    let shown = servers::Heeler::spawn(&["ring", "--peer", &peer, "foo"])
        .wait()
        .stdout;
    assert!(shown.contains("\n100 partitions\n"), "{shown}");
    // FNV-1 of "foo" modulo 100.
    let owner = cluster.peer(cluster.owner("foo"));
    let line = format!(
        "foo is in partition {}, owned by {owner}",
        0x408f_5e13_u32 % 100
    );
    assert!(shown.contains(&line), "{shown}");
    let owned: Vec<u32> = shown
        .lines()
        .filter_map(|line| line.split_once(" owns ")?.1.split_once(',')?.0.parse().ok())
        .collect();
    assert_eq!(
        (owned.len(), owned.iter().sum::<u32>()),
        (2, 100),
        "{shown}"
    );
    let metrics = servers::ask(admin, "GET", "/metrics").1;
    for line in ["heeler_ring_members 2\n", "heeler_ring_received_total 0\n"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let sent = info(&mut client, "ring_forwarded_total");
    let line = format!("heeler_ring_forwarded_total{{node=\"{peer}\"}} {sent}\n");
    assert!(sent > 0 && metrics.contains(&line), "{line} {metrics}");
    assert!(
        metrics.contains("heeler_ring_forward_latency_seconds_bucket"),
        "{metrics}"
    );
}
