//! What is about the server and the connection.

use std::collections::BTreeMap;
use std::process::Command;

use crate::servers::{Memcached, Value, text_protocol};
use crate::{Node, answers, told};

fn stats(port: u16, words: &str) -> BTreeMap<String, String> {
    let text = String::from_utf8(answers(port, format!("stats{words}\r\n").as_bytes())).unwrap();
    let lines = text.strip_suffix("END\r\n").expect("an end").lines();
    let pair = |line: &str| {
        let (name, value) = line.strip_prefix("STAT ")?.split_once(' ')?;
        Some((name.to_owned(), value.to_owned()))
    };
    lines
        .map(|line| pair(line).unwrap_or_else(|| panic!("{line}")))
        .collect()
}

/// The requests, and what they are counted as.
const COUNTED: &str = "set a 0 0 1\r\n1\r\nget a\r\nget a b\r\ngets a b\r\nadd a 0 0 1\r\n1\r\n\
    incr a 1\r\nincr b 1\r\ndecr a 1\r\ndecr b 1\r\ndelete b\r\nset b 0 0 1\r\n1\r\ndelete b\r\n\
    touch a 0\r\ntouch b 0\r\ncas a 0 0 1 1\r\nx\r\ncas b 0 0 1 1\r\nx\r\nflush_all\r\n";

#[test]
fn numbers_are_memcacheds() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    for port in [memcached.port, node.port] {
        told(port, COUNTED);
        told(port, "set a 0 0 1\r\nx\r\nset b 0 0 1\r\nx\r\n");
    }
    let (theirs, ours) = (stats(memcached.port, ""), stats(node.port, ""));
    for name in [
        "cmd_get",
        "cmd_set",
        "cmd_flush",
        "cmd_touch",
        "get_hits",
        "get_misses",
        "delete_hits",
        "delete_misses",
        "incr_hits",
        "incr_misses",
        "decr_hits",
        "decr_misses",
        "cas_hits",
        "cas_misses",
        "cas_badval",
        "touch_hits",
        "touch_misses",
        "curr_items",
        "curr_connections",
        "pointer_size",
        "version",
        "accepting_conns",
    ] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    for name in [
        "pid",
        "uptime",
        "time",
        "threads",
        "bytes",
        "bytes_read",
        "total_items",
    ] {
        assert!(ours[name].parse::<u64>().is_ok(), "{name} {}", ours[name]);
    }
    assert_eq!(ours["pid"], node.heeler.process.pid().to_string());
    assert_eq!(told(node.port, "stats reset\r\n"), r"RESET\r\n");
    assert_eq!(stats(node.port, "")["cmd_set"], "0");
    assert_eq!(stats(node.port, " settings")["num_threads"], "1");
    assert_eq!(stats(node.port, " items")["items:1:number"], "2");
    assert_eq!(stats(node.port, " slabs")["active_slabs"], "1");
    let connections = stats(node.port, " conns");
    assert!(
        connections
            .values()
            .any(|value| value.starts_with("tcp:127.0.0.1:"))
    );
    for words in [" sizes", " nonsense"] {
        let request = format!("stats{words}\r\n");
        assert_eq!(told(node.port, &request), told(memcached.port, &request));
    }
}

/// What is counted by prefixes, and what is not.
const PREFIXED: &str = "get b0:a\r\nset k:a 0 0 1\r\nx\r\nget k:a\r\nget k:b\r\ngets k:a l:b\r\n\
    gat 0 k:a m:b\r\ngats 0 n:a\r\nadd k:a 0 0 1\r\ny\r\nreplace k:a 0 0 1\r\ny\r\n\
    append o:a 0 0 1\r\ny\r\nprepend k:a 0 0 1\r\ny\r\ncas p:a 0 0 1 1\r\ny\r\n\
    set q:a 0 0 1 noreply\r\nx\r\ndelete k:a\r\ndelete k:a\r\ndelete r:a noreply\r\n\
    mg k:a v\r\nms s:a 1\r\nx\r\nmg s:a v\r\nma t:a\r\nmd s:a\r\nincr u:a 1\r\n\
    touch q:a 0\r\nget none\r\nset none 0 0 1\r\nx\r\nget :a\r\nget v:w:a\r\n\
    get k:a k:b q:a\r\n";

#[test]
fn requests_are_counted_by_the_prefixes_of_their_keys() {
    let (memcached, node) = (Memcached::start(), Node::start(&[]));
    let ask = |request: &str| {
        let [theirs, ours] = [memcached.port, node.port].map(|port| {
            let text = String::from_utf8(answers(port, request.as_bytes())).unwrap();
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            // Its own are in the order of a hash.
            lines.sort();
            lines
        });
        assert_eq!(ours, theirs, "{request}");
        ours
    };
    let dump = "stats detail dump\r\n";
    ask("set z:a 0 0 1\r\nx\r\n");
    assert_eq!(ask(dump), ["END"]);
    for word in ["", " ON", " x", " on", " on x", " on noreply"] {
        ask(&format!("stats detail{word}\r\n"));
    }
    for port in [memcached.port, node.port] {
        told(port, PREFIXED);
    }
    assert_eq!(ask(dump).len(), 12);
    ask("stats detail dump x\r\n");
    let is_on = |port| stats(port, " settings")["detail_enabled"].clone();
    assert_eq!([memcached.port, node.port].map(is_on), ["yes", "yes"]);
    ask("stats detail off x y\r\nget w:a\r\n");
    assert_eq!([memcached.port, node.port].map(is_on), ["no", "no"]);
    assert_eq!(ask(dump).len(), 12);
    ask("flush_all\r\n");
    assert_eq!(ask(dump).len(), 12);
    ask("stats reset\r\n");
    assert_eq!(ask(dump), ["END"]);
}

#[test]
fn slabs_are_moved_as_by_a_memcached_that_moves_none() {
    let (memcached, node) = (Memcached::start_without_reassignment(), Node::start(&[]));
    for words in [
        "",
        " x",
        " x y z",
        " noreply",
        " automove",
        " automove 0",
        " automove 1",
        " automove 2",
        " automove 3",
        " automove 00",
        " automove +1",
        " automove -0",
        " automove -1",
        " automove 1x",
        " automove x",
        " automove 1 x",
        " automove 1 x y",
        " automove 4294967296",
        " automove 99999999999999999999",
        " automove 1 noreply",
        " automove 3 noreply",
        " automove x noreply",
        " automove noreply",
        " automove ratio",
        " automove ratio 0.5",
        " automove ratio -1",
        " automove ratio x",
        " automove ratio 0.5 noreply",
        " reassign",
        " reassign 1",
        " reassign 1 2",
        " reassign x y",
        " reassign 1 noreply",
        " reassign 1 2 noreply",
        " reassign 1 2 3",
    ] {
        let request = format!("slabs{words}\r\nmn\r\n");
        assert_eq!(
            told(node.port, &request),
            told(memcached.port, &request),
            "{words}"
        );
    }
}

#[test]
fn what_a_memcached_has_off_is_refused_as_there() {
    let node = Node::start(&[]);
    for (request, answer) in [
        ("shutdown", "ERROR: shutdown not enabled"),
        ("watch", "CLIENT_ERROR watch commands not allowed"),
        (
            "slabs reassign 1 2",
            "CLIENT_ERROR slab reassignment disabled",
        ),
        ("lru_crawler crawl all", "CLIENT_ERROR lru crawler disabled"),
        (
            "lru_crawler metadump all",
            "CLIENT_ERROR lru crawler disabled",
        ),
        (
            "stats cachedump 1 1",
            "CLIENT_ERROR stats cachedump not allowed",
        ),
        ("lru mode flat", "ERROR"),
        (
            "cache_memlimit 7",
            "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m",
        ),
        ("version", "VERSION 1.6.18"),
    ] {
        let told = told(node.port, format!("{request}\r\nmn\r\n"));
        assert_eq!(told, format!(r"{answer}\r\nMN\r\n"), "{request}");
    }
}

#[test]
fn other_protocols_are_told_apart_and_closed() {
    let node = Node::start(&[]);
    let binary = b"\x80\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    for (bytes, word) in [
        (&binary[..], "binary protocol"),
        (b"\x16\x03\x01\x02\0\x01", "TLS"),
    ] {
        let mut client = node.client();
        client.send(bytes);
        let answer = String::from_utf8(client.read_to_close()).unwrap();
        assert!(
            answer.starts_with("CLIENT_ERROR ") && answer.contains(word),
            "{answer}"
        );
    }
    crate::servers::wait_until("the log tells of it", || {
        node.heeler.process.stderr().contains("binary protocol")
    });
    assert_eq!(told(node.port, "mn\r\n"), r"MN\r\n");
}

#[test]
fn data_of_a_refused_request_is_no_command() {
    let node = Node::start(&[]);
    text_protocol::data_of_a_refused_request_is_no_command(node.port, &["ms a 11 Q", "ms ! 11 b"]);
}

#[test]
fn slow_requests_are_logged() {
    let node = Node::start(&["--slowlog-ms", "0"]);
    told(node.port, "set a 0 0 1\r\nx\r\nmg a v\r\n");
    let mut redis = node.heeler.client();
    let Value::Array(log) = redis.run("SLOWLOG GET 10") else {
        panic!("no log");
    };
    let words = log.iter().map(|entry| match entry {
        Value::Array(entry) => entry[3].clone(),
        other => panic!("{other:?}"),
    });
    let words: Vec<Value> = words.collect();
    for slow in [&["set", "a", "0", "0", "1", "x"][..], &["mg", "a", "v"]] {
        let slow = Value::Array(slow.iter().map(Value::bulk).collect());
        assert!(words.contains(&slow), "{words:?}");
    }
}

#[test]
fn a_limit_of_memory_holds() {
    let node = Node::start(&[]);
    let stat = |name: &str| stats(node.port, "")[name].parse::<u64>().unwrap();
    assert_eq!(stat("limit_maxbytes"), 0);
    assert_eq!(
        told(
            node.port,
            "cache_memlimit 8\r\ncache_memlimit 8 noreply\r\n"
        ),
        r"OK\r\n"
    );
    assert_eq!(stat("limit_maxbytes"), 8 << 20);
    let value = "x".repeat(100_000);
    let sets: String = (0..150)
        .map(|i| format!("set k{i} 0 0 100000\r\n{value}\r\n"))
        .collect();
    let answer = String::from_utf8(answers(node.port, sets.as_bytes())).unwrap();
    assert!(
        answer.ends_with("SERVER_ERROR out of memory storing object\r\n"),
        "{answer}"
    );
    assert!(stat("store_no_memory") > 0 && stat("evictions") == 0);
}

/// libmemcached's own test of servers.
#[test]
fn memcapable_is_content() {
    let node = Node::start(&[]);
    let port = node.port.to_string();
    let program = ["memccapable", "memcapable"].into_iter().find_map(|name| {
        let mut command = Command::new(name);
        command.args(["-a", "-h", "127.0.0.1", "-p", &port]);
        command.output().ok()
    });
    let output = program.expect("install the Debian package libmemcached-tools");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("All tests passed"), "{text}");
}
