//! The keyspace of a ring: real nodes, each with a Redis door, through which all keys are reached.

mod servers;

use std::time::Duration;

use rustix::process::Signal;
use servers::{Client, Cluster, RedisServer, Value, request, wait_until};

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
    for size in [100 * 1024, 5 * 1024 * 1024, 80 * 1024 * 1024] {
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
fn nodes_that_would_name_other_owners_are_refused() {
    let mut cluster = Cluster::planned(2, &["--num-partitions", "271"]);
    cluster.up(0);
    let other = cluster.spawn_with(1, &["--num-partitions", "272"]);
    cluster.nodes[1] = Some(other);
    let mut client = cluster.client(0);
    let mut refused = None;
    wait_until("a request crosses the ring", || {
        let replies = keys(20)
            .into_iter()
            .map(|key| client.call(&[b"GET", key.as_bytes()]));
        refused = replies
            .filter(|reply| matches!(reply, Value::Error(_)))
            .last();
        refused.is_some()
    });
    let text = refused.unwrap().text();
    assert!(
        text.contains("different settings: \"partitions=272\" here"),
        "{text}"
    );
    let told = cluster.node(1).process.stderr();
    assert!(told.contains("--num-partitions"), "{told}");
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
