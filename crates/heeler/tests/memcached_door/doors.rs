//! The same keys, through this door and the Redis door.

use crate::servers::{Memcached, Value};
use crate::{Node, told};

#[test]
fn what_one_door_writes_the_other_reads() {
    let node = Node::start(&[]);
    let mut redis = node.heeler.client();
    assert_eq!(told(node.port, "set a 7 100 5\r\nhello\r\n"), r"STORED\r\n");
    assert_eq!(redis.run("GET a"), Value::bulk("hello"));
    assert_eq!(redis.run("TTL a"), Value::Int(100));
    assert_eq!(redis.run("APPEND a !"), Value::Int(6));
    assert_eq!(
        told(node.port, "get a\r\n"),
        r"VALUE a 7 6\r\nhello!\r\nEND\r\n"
    );
    assert_eq!(redis.run("SET a 10"), Value::ok());
    assert_eq!(
        told(node.port, "get a\r\nmg a t\r\n"),
        r"VALUE a 0 2\r\n10\r\nEND\r\nHD t-1\r\n"
    );
    assert_eq!(told(node.port, "incr a 5\r\ndecr a 6\r\n"), r"15\r\n9\r\n");
    assert_eq!(redis.run("INCR a"), Value::Int(10));
    assert_eq!(redis.run("EXPIRE a 500"), Value::Int(1));
    assert_eq!(
        told(node.port, "mg a t\r\ndelete a\r\n"),
        r"HD t500\r\nDELETED\r\n"
    );
    assert_eq!(redis.run("EXISTS a"), Value::Int(0));
}

/// memcached writes a shorter number over the longer one, with blanks behind it, which its protocol
/// leaves open. To Redis's clients that would be no number any more.
#[test]
fn a_number_that_becomes_shorter_has_no_blanks_behind_it() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    let mut redis = node.heeler.client();
    let most = "18446744073709551615";
    for (old, request, new) in [
        ("100", "decr a 1", "99"),
        ("100", "ma a MD", "99"),
        ("10", "decr a 20", "0"),
        ("007", "incr a 1", "8"),
        (most, "incr a 6", "5"),
        (most, "ma a D6", "5"),
        ("7 x", "incr a 1", "8"),
    ] {
        let length = old.len();
        let script = format!("set a 0 0 {length}\r\n{old}\r\n{request}\r\nget a\r\n");
        let theirs = told(memcached.port, &script);
        let shown = format!(r" {length}\r\n{new:length$}\r\nEND\r\n");
        assert!(theirs.ends_with(&shown), "{request}: {theirs}");
        let ours = told(node.port, &script);
        let shown = format!(r" {}\r\n{new}\r\nEND\r\n", new.len());
        assert!(ours.ends_with(&shown), "{request}: {ours}");
        let next = new.parse::<i64>().unwrap() + 1;
        assert_eq!(redis.run("INCR a"), Value::Int(next), "{request}");
    }
}

#[test]
fn a_change_through_one_door_is_one_for_the_others_cas() {
    let node = Node::start(&[]);
    let mut redis = node.heeler.client();
    redis.run("SET a 1");
    let cas = |port| {
        let got = told(port, "gets a\r\n");
        let line = got.split(r"\r\n").next().unwrap().to_owned();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let first = cas(node.port);
    assert_eq!(cas(node.port), first, "reading is no change");
    redis.run("EXPIRE a 100");
    assert_eq!(cas(node.port), first, "an expiry is no change");
    for change in ["INCR a", "SET a 2", "APPEND a 3", "SETRANGE a 0 9"] {
        let before = cas(node.port);
        redis.run(change);
        let request = format!("cas a 0 0 1 {before}\r\n5\r\n");
        assert_eq!(told(node.port, request), r"EXISTS\r\n", "{change}");
    }
    let request = format!("cas a 0 0 1 {}\r\n5\r\n", cas(node.port));
    assert_eq!(told(node.port, request), r"STORED\r\n");
    assert_eq!(redis.run("GET a"), Value::bulk("5"));
}

#[test]
fn values_that_are_no_strings_are_told_of() {
    let node = Node::start(&[]);
    let mut redis = node.heeler.client();
    for (make, kind) in [
        ("RPUSH k a b", "a list"),
        ("HSET k f v", "a hash"),
        ("SADD k m", "a set"),
        ("ZADD k 1 m", "a sorted set"),
    ] {
        let error =
            format!(r"SERVER_ERROR the value is {kind}; this protocol shows strings only\r\n");
        for request in [
            "get k",
            "gets k",
            "get other k another",
            "gat 0 k",
            "incr k 1",
            "append k 0 0 1\r\nx",
            "mg k v",
            "mg k",
            "ma k",
            "ms k 1 MP\r\nx",
        ] {
            redis.run("DEL k");
            redis.run(make);
            let script = format!("set other 0 0 1\r\nx\r\n{request}\r\n");
            assert_eq!(
                told(node.port, script),
                format!(r"STORED\r\n{error}"),
                "{request}"
            );
        }
        let script = "add k 0 0 1\r\nx\r\ntouch k 100\r\n";
        assert_eq!(told(node.port, script), r"NOT_STORED\r\nTOUCHED\r\n");
        assert_eq!(redis.run("TTL k"), Value::Int(100));
        assert_eq!(told(node.port, "delete k\r\n"), r"DELETED\r\n");
        redis.run(make);
        assert_eq!(told(node.port, "set k 0 0 1\r\nx\r\n"), r"STORED\r\n");
        assert_eq!(redis.run("GET k"), Value::bulk("x"));
        assert_eq!(redis.run("FLUSHALL"), Value::ok());
    }
}

#[test]
fn a_flush_is_for_all_doors_now_or_then() {
    let node = Node::start(&[]);
    let mut redis = node.heeler.client();
    redis.run("SET a 1");
    assert_eq!(told(node.port, "flush_all\r\n"), r"OK\r\n");
    assert_eq!(redis.run("DBSIZE"), Value::Int(0));
    redis.run("RPUSH list 1");
    assert_eq!(told(node.port, "flush_all 1\r\n"), r"OK\r\n");
    redis.run("SET a 1");
    assert_eq!(redis.run("DBSIZE"), Value::Int(2));
    crate::servers::wait_until("the keys are gone", || redis.run("DBSIZE") == Value::Int(0));
    // Another time takes the place of one that was said before.
    assert_eq!(
        told(node.port, "flush_all 1\r\nflush_all 1000\r\n"),
        r"OK\r\nOK\r\n"
    );
    redis.run("SET a 1");
    std::thread::sleep(std::time::Duration::from_millis(1300));
    assert_eq!(redis.run("GET a"), Value::bulk("1"));
}

/// Commands that only this door knows are none for clients of Redis.
#[test]
fn hidden_commands_are_unknown_to_redis() {
    let node = Node::start(&[]);
    let mut redis = node.heeler.client();
    for name in ["memcached.get", "memcached.set", "memcached.flush_all"] {
        let text = format!("ERR unknown command '{name}', with args beginning with: 'a' ");
        assert_eq!(redis.run(&format!("{name} a")), Value::Error(text.clone()));
        let info = redis.run(&format!("COMMAND INFO {name}"));
        assert_eq!(info, Value::Array(vec![Value::Null]), "{name}");
    }
}

#[test]
fn watchers_and_listeners_of_redis_hear_of_changes() {
    let node = Node::start(&[]);
    let mut redis = node.heeler.client();
    redis.run("WATCH a");
    told(node.port, "set a 0 0 1\r\n1\r\n");
    redis.run("MULTI");
    redis.run("GET a");
    assert_eq!(redis.run("EXEC"), Value::Null);
    redis.run("CONFIG SET notify-keyspace-events KEA");
    let mut listener = node.heeler.client();
    listener.run("PSUBSCRIBE __key*__:*");
    told(
        node.port,
        "set a 0 100 1\r\n1\r\nincr a 1\r\nappend a 0 0 1\r\n2\r\ndelete a\r\n",
    );
    let mut events = Vec::new();
    while events.len() < 10 {
        let Value::Array(message) = listener.read_reply() else {
            panic!("no message");
        };
        events.push(message[3].clone());
    }
    for event in ["set", "expire", "incrby", "append", "del"] {
        assert!(events.contains(&Value::bulk(event)), "{event}: {events:?}");
    }
}
