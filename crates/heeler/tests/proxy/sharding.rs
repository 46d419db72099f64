//! Commands whose keys lie on many servers, and the order of replies.

use crate::servers::{Value, benchmark_runs};
use crate::{addresses, pipelined, proxy, proxy_with, redis_servers, words};

#[test]
fn commands_over_four_servers() {
    let servers = redis_servers(4);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    let keys: Vec<String> = (0..100).map(|i| format!("k{i}")).collect();
    let all = keys.join(" ");
    let pairs: String = (0..100).map(|i| format!(" k{i} v{i}")).collect();
    assert_eq!(client.run(&format!("MSET{pairs}")), Value::ok());
    for server in &servers {
        let Value::Int(share) = server.client().run("DBSIZE") else {
            panic!("DBSIZE")
        };
        assert!((5..50).contains(&share), "{share} keys");
    }
    // In the order of the keys, with some twice and some that are not there.
    let mut asked: Vec<usize> = (0..100).rev().collect();
    asked.extend([3, 3, 200, 99, 201, 3]);
    let line: String = asked.iter().map(|i| format!(" k{i}")).collect();
    let value = |&i: &usize| {
        if i < 100 {
            Value::bulk(format!("v{i}"))
        } else {
            Value::Null
        }
    };
    let values = asked.iter().map(value).collect();
    assert_eq!(client.run(&format!("MGET{line}")), Value::Array(values));
    assert_eq!(client.run(&format!("EXISTS {all}")), Value::Int(100));
    assert_eq!(
        client.run(&format!("EXISTS {all} k7 k7 none")),
        Value::Int(102)
    );
    assert_eq!(client.run(&format!("TOUCH {all} none")), Value::Int(100));
    let first: String = (0..40).map(|i| format!(" k{i}")).collect();
    assert_eq!(client.run(&format!("DEL{first} k0 none")), Value::Int(40));
    assert_eq!(client.run(&format!("UNLINK {all} k50")), Value::Int(60));
    assert_eq!(client.run(&format!("EXISTS {all}")), Value::Int(0));
    for server in &servers {
        assert_eq!(server.client().run("DBSIZE"), Value::Int(0));
    }
}

/// The elements of an array reply, as text.
fn texts(reply: &Value) -> Vec<String> {
    match reply {
        Value::Array(elements) => elements.iter().map(Value::text).collect(),
        other => panic!("an array, not {other:?}"),
    }
}

#[test]
fn a_scan_walks_all_servers() {
    let servers = redis_servers(3);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    let pairs: String = (0..500).map(|i| format!(" k{i} v")).collect();
    assert_eq!(client.run(&format!("MSET{pairs} other v")), Value::ok());
    for count in [7, 1000] {
        let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeSet::new());
        loop {
            let reply = client.run(&format!("SCAN {cursor} MATCH k* COUNT {count}"));
            let Value::Array(parts) = &reply else {
                panic!("{reply:?}")
            };
            cursor = parts[0].text();
            seen.extend(texts(&parts[1]));
            if cursor == "0" {
                break;
            }
        }
        let all: std::collections::BTreeSet<String> = (0..500).map(|i| format!("k{i}")).collect();
        assert_eq!(seen, all);
    }
    let Value::Error(text) = client.run("SCAN x") else {
        panic!("a cursor is a number")
    };
    assert_eq!(text, "ERR invalid cursor");
}

#[test]
fn commands_without_keys_reach_every_server() {
    let servers = redis_servers(3);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    assert_eq!(client.run("RANDOMKEY"), Value::Null);
    assert_eq!(client.run("SET only v"), Value::ok());
    for _ in 0..10 {
        assert_eq!(client.run("RANDOMKEY"), Value::bulk("only"));
    }
    let script = "return 1";
    let sha = client.call(&[b"SCRIPT", b"LOAD", script.as_bytes()]);
    let exists =
        |client: &mut crate::Client, sha: &str| client.run(&format!("SCRIPT EXISTS {sha} x"));
    let both = |a, b| Value::Array(vec![Value::Int(a), Value::Int(b)]);
    assert_eq!(exists(&mut client, &sha.text()), both(1, 0));
    for key in 0..20 {
        let line = format!("EVALSHA {} 1 k{key}", sha.text());
        assert_eq!(client.run(&line), Value::Int(1));
    }
    assert_eq!(servers[1].client().run("SCRIPT FLUSH"), Value::ok());
    assert_eq!(exists(&mut client, &sha.text()), both(0, 0));
    assert_eq!(client.run("SCRIPT FLUSH"), Value::ok());
    assert_eq!(exists(&mut servers[0].client(), &sha.text()), both(0, 0));
}

#[test]
fn nutcrackers_way_over_servers_is_kept_where_it_is_asked_for() {
    let servers = redis_servers(2);
    let refusing = proxy(&["hash: md5"], &addresses(&servers));
    let keys = crate::keys_by_server(&refusing, &servers);
    let line = format!("SUNION {} {}", keys[0][0], keys[1][0]);
    let Value::Error(text) = refusing.client().run(&line) else {
        panic!("keys on two servers")
    };
    assert!(text.starts_with("CROSSSLOT "), "{text}");
    let trusting = proxy(
        &["hash: md5", "cross_slot: first_key"],
        &addresses(&servers),
    );
    let mut client = trusting.client();
    for of in &keys {
        client.run(&format!("DEL {}", of[0]));
        assert_eq!(
            client.run(&format!("SADD {} m{}", of[0], of[0])),
            Value::Int(1)
        );
    }
    assert_eq!(texts(&client.run(&line)), [format!("m{}", keys[0][0])]);
}

#[test]
fn one_error_among_the_parts_is_the_answer() {
    let servers = redis_servers(3);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    let keys = crate::keys_by_server(&proxy, &servers);
    // A server that has no memory to give refuses its part.
    assert_eq!(
        servers[1].client().run("CONFIG SET maxmemory 1"),
        Value::ok()
    );
    let pairs: String = keys.iter().map(|of| format!(" {} v", of[0])).collect();
    let Value::Error(text) = client.run(&format!("MSET{pairs}")) else {
        panic!("an error")
    };
    assert!(text.starts_with("OOM command not allowed"), "{text}");
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
}

#[test]
fn replies_keep_the_order_of_their_requests() {
    let servers = redis_servers(4);
    let proxy = proxy_with(&["hash: md5"], &addresses(&servers), &["--threads", "2"]);
    let mut client = proxy.client();
    let mut commands = Vec::new();
    let mut replies = Vec::new();
    for i in 0..300 {
        let before = if i < 6 {
            Value::Null
        } else {
            Value::bulk((i - 6).to_string())
        };
        let (command, reply) = match i % 6 {
            0 => (format!("SET k{i} {i}"), Value::ok()),
            1 => (format!("PING {i}"), Value::bulk(i.to_string())),
            2 => (format!("GET k{}", i - 2), Value::bulk((i - 2).to_string())),
            3 => {
                let both = vec![before, Value::bulk((i - 3).to_string())];
                let older = if i < 6 {
                    "none".into()
                } else {
                    format!("x{}", i - 6)
                };
                commands.push(words(&format!("SET x{i} {i}")));
                replies.push(Value::ok());
                (format!("MGET {older} k{}", i - 3), Value::Array(both))
            }
            4 => (format!("ECHO {i}"), Value::bulk(i.to_string())),
            _ => (format!("EXISTS k{} none k{}", i - 5, i - 5), Value::Int(2)),
        };
        commands.push(words(&command));
        replies.push(reply);
    }
    let got = pipelined(&mut client, &commands);
    for (i, (got, expected)) in got.into_iter().zip(replies).enumerate() {
        let command = commands[i].join(&b' ');
        assert_eq!(got, expected, "{i}: {}", String::from_utf8_lossy(&command));
    }
}

#[test]
fn commands_about_all_keys_go_to_every_server() {
    let servers = redis_servers(3);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    let pairs: String = (0..60).map(|i| format!(" k{i} v")).collect();
    assert_eq!(client.run(&format!("MSET{pairs}")), Value::ok());
    assert_eq!(client.run("DBSIZE"), Value::Int(60));
    let Value::Array(keys) = client.run("KEYS k*") else {
        panic!("KEYS")
    };
    let keys: std::collections::BTreeSet<String> = keys.iter().map(Value::text).collect();
    assert_eq!(keys, (0..60).map(|i| format!("k{i}")).collect());
    assert_eq!(client.run("KEYS nothing"), Value::Array(Vec::new()));
    assert_eq!(client.run("FLUSHALL"), Value::ok());
    assert_eq!(client.run("DBSIZE"), Value::Int(0));
    for server in &servers {
        assert_eq!(server.client().run("DBSIZE"), Value::Int(0));
    }
}

#[test]
fn what_no_proxy_can_answer_is_refused_and_the_client_stays() {
    let servers = redis_servers(2);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    for command in [
        "MULTI",
        "EXEC",
        "WATCH k",
        "SUBSCRIBE c",
        "PSYNC ? -1",
        "MONITOR",
        "SHUTDOWN NOSAVE",
        "CONFIG SET maxmemory 1",
        "DEBUG SLEEP 1",
        "BLPOP k 0",
        "REPLICAOF no one",
    ] {
        let reply = client.run(command);
        assert!(
            matches!(&reply, Value::Error(text) if text.starts_with("ERR unknown ")),
            "{command}: {reply:?}"
        );
    }
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    assert_eq!(client.run("SET k v"), Value::ok());
}

#[test]
fn keys_of_one_command_must_lie_together() {
    let servers = redis_servers(3);
    let proxy = proxy(&["hash: md5", "hash_tag: \"{}\""], &addresses(&servers));
    let mut client = proxy.client();
    let keys = crate::keys_by_server(&proxy, &servers);
    let (here, there) = (&keys[0][0], &keys[1][0]);
    let refused = client.run(&format!("RENAME {here} {there}"));
    assert!(
        matches!(&refused, Value::Error(t) if t.starts_with("CROSSSLOT")),
        "{refused:?}"
    );
    assert_eq!(client.run("SET {t}a v"), Value::ok());
    assert_eq!(client.run("RENAME {t}a {t}b"), Value::ok());
    assert_eq!(client.run("GET {t}b"), Value::bulk("v"));
    assert_eq!(client.run("LPUSH {t}list a b c"), Value::Int(3));
    assert_eq!(client.run("RPOPLPUSH {t}list {t}other"), Value::bulk("a"));
    assert_eq!(client.run("EVAL return{KEYS[1],ARGV[1]} 1 k v").clone(), {
        Value::Array(vec![Value::bulk("k"), Value::bulk("v")])
    });
}

#[test]
fn every_client_gets_its_own_replies() {
    const CLIENTS: usize = 200;
    const REQUESTS: usize = 50;
    let servers = redis_servers(3);
    let proxy = proxy_with(&["hash: murmur"], &addresses(&servers), &["--threads", "2"]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| proxy.client()).collect();
    for round in 0..2 {
        for (c, client) in clients.iter_mut().enumerate() {
            let request = |r| format!("SET {c}:{r} {c}/{r}\r\nGET {c}:{r}\r\nGET {r}:{c}\r\n");
            client.send((0..REQUESTS).map(request).collect::<String>().as_bytes());
        }
        for (c, client) in clients.iter_mut().enumerate() {
            for r in 0..REQUESTS {
                assert_eq!(client.read_reply(), Value::ok());
                assert_eq!(client.read_reply(), Value::bulk(format!("{c}/{r}")));
                let other = client.read_reply();
                let expected = Value::bulk(format!("{r}/{c}"));
                // In the second round it is there, if its client has ever set it.
                let may_be_null = round == 0 || c >= REQUESTS;
                assert!(
                    other == expected || (may_be_null && other == Value::Null),
                    "{other:?}"
                );
            }
        }
    }
}

#[test]
fn the_benchmark_of_redis_runs_through() {
    let servers = redis_servers(2);
    let proxy = proxy_with(&["hash: murmur"], &addresses(&servers), &["--threads", "2"]);
    benchmark_runs(proxy.port, &[]);
    benchmark_runs(proxy.port, &["-P", "16", "-r", "1000"]);
}
