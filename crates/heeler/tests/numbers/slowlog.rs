//! The slow log of a proxy and of a store.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::servers::{Client, Heeler, Memcached, RedisServer, Value, ask, free_port};
use crate::{Told, over_two, proxy, servers, store};

/// A script that takes some tens of milliseconds on any machine. Its argument is shown.
const BUSY: &str = "for i = 1, 20000000 do end return 'done'";

impl Told {
    fn slowlog(&self) -> Json {
        serde_json::from_str(&self.get("/v1/slowlog")).unwrap()
    }

    fn entries(&self) -> Vec<Json> {
        self.slowlog()["entries"].as_array().unwrap().clone()
    }

    /// The commands, newest first, without those that ask for the log.
    fn commands(&self) -> Vec<String> {
        self.entries().iter().map(command).collect()
    }
}

fn command(entry: &Json) -> String {
    let words = entry["command"].as_array().unwrap().iter();
    words
        .map(|w| w.as_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The words of the entries of SLOWLOG GET, newest first.
fn words(reply: Value) -> Vec<Vec<String>> {
    let Value::Array(entries) = reply else {
        panic!("{reply:?}")
    };
    entries
        .into_iter()
        .map(|entry| {
            let Value::Array(fields) = entry else {
                panic!("{entry:?}")
            };
            assert_eq!(fields.len(), 6);
            let Value::Array(words) = &fields[3] else {
                panic!("{fields:?}")
            };
            words.iter().map(Value::text).collect()
        })
        .collect()
}

fn busy(client: &mut Client, key: &str) {
    let words: [&[u8]; 4] = [b"EVAL", BUSY.as_bytes(), b"1", key.as_bytes()];
    assert_eq!(client.call(&words), Value::bulk("done"));
}

#[test]
fn a_slow_command_is_told_with_who_asked_and_where() {
    let (servers, proxy) = over_two(&[], "2");
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("CLIENT SETNAME me"), Value::ok());
    let info = client.run("CLIENT INFO").text();
    let address = info.split("addr=").nth(1).unwrap().split(' ').next();
    assert_eq!(client.run("SET k v"), Value::ok());
    busy(&mut client, "k");
    let Value::Array(entries) = client.run("SLOWLOG GET") else {
        panic!("an array")
    };
    // On a machine that is busy, others may be slow, too.
    let Some(Value::Array(entry)) = entries.first() else {
        panic!("{entries:?}")
    };
    let [
        Value::Int(id),
        Value::Int(time),
        Value::Int(micros),
        words,
        from,
        name,
    ] = &entry[..]
    else {
        panic!("{entry:?}")
    };
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - 60..=now).contains(time), "{time}");
    assert!(*micros >= 10_000, "{micros}");
    let asked = ["EVAL", BUSY, "1", "k"].map(Value::bulk).to_vec();
    assert_eq!(words, &Value::Array(asked));
    assert_eq!(Some(from.text().as_str()), address);
    assert_eq!(name, &Value::bulk("me"));
    let told = proxy.entries();
    let entry = told.iter().find(|entry| entry["id"] == *id);
    let entry = entry.unwrap_or_else(|| panic!("{told:#?}"));
    assert_eq!(entry["duration_us"], *micros);
    assert_eq!(entry["client"]["address"].as_str(), address);
    assert_eq!(entry["client"]["name"], "me");
    assert_eq!(entry["pool"], "herd");
    assert_eq!(entry["together"], 1);
    assert_eq!(entry["failed"], Json::Null);
    let server = entry["server"].as_str().unwrap();
    let holder = servers
        .iter()
        .position(|s| s.client().run("EXISTS k") == Value::Int(1));
    assert_eq!(server, format!("s{}", holder.unwrap()));
    assert!(command(entry).starts_with("EVAL for i ="));
}

#[test]
fn what_waits_behind_a_slow_command_does_not_fill_the_log() {
    let server = RedisServer::start();
    let args = ["--threads", "1", "--slowlog-ms", "5"];
    let proxy = proxy(&["redis: true"], &[server.address()], &args);
    let mut waiting: Vec<Client> = (0..20).map(|_| proxy.heeler.client()).collect();
    let mut slow = proxy.heeler.client();
    server.process.signal(Signal::STOP);
    for client in &mut waiting {
        client.send(&b"GET k\r\nSET k v\r\n".repeat(10));
    }
    slow.send(b"EVAL return(1) 1 k\r\n");
    proxy.wait_until_unanswered(401);
    thread::sleep(Duration::from_millis(20));
    server.process.signal(Signal::CONT);
    assert_eq!(slow.read_reply(), Value::Int(1));
    for client in &mut waiting {
        (0..20).for_each(|_| drop(client.read_reply()));
    }
    let entries = proxy.entries();
    assert!((1..100).contains(&entries.len()), "{entries:#?}");
    let together: u64 = entries
        .iter()
        .map(|e| e["together"].as_u64().unwrap())
        .max()
        .unwrap();
    assert!(together > 4, "{entries:#?}");
    // The one that may take long is among them.
    let commands = proxy.commands();
    assert!(
        commands.iter().any(|c| c.starts_with("EVAL")),
        "{commands:?}"
    );
}

#[test]
fn a_request_whose_time_was_up_is_told() {
    let server = RedisServer::start();
    let settings = ["redis: true", "timeout: 1000"];
    let proxy = proxy(&settings, &[server.address()], &["--threads", "1"]);
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    server.process.signal(Signal::STOP);
    client.send(b"GET k\r\nGET behind\r\n");
    for _ in 0..2 {
        assert!(matches!(client.read_reply(), Value::Error(_)));
    }
    let entries = proxy.entries();
    let failed: Vec<&Json> = entries
        .iter()
        .filter(|e| e["failed"] == "timeout")
        .collect();
    let [entry] = failed[..] else {
        panic!("{failed:#?}")
    };
    assert_eq!(command(entry), "GET k", "the other only waited for it");
    assert!(entry["duration_us"].as_u64().unwrap() >= 1_000_000);
    server.process.signal(Signal::CONT);
    assert_eq!(proxy.heeler.client().run("GET k"), Value::bulk("v"));
}

#[test]
fn with_zero_all_commands_are_told_over_all_threads() {
    let server = RedisServer::start();
    let args = [
        "--threads",
        "4",
        "--slowlog-ms",
        "0",
        "--slowlog-len",
        "500",
    ];
    let proxy = proxy(&["redis: true"], &[server.address()], &args);
    thread::scope(|scope| {
        for client in 0..8 {
            let proxy = &proxy;
            scope.spawn(move || {
                let mut connection = proxy.heeler.client();
                for i in 0..40 {
                    let line = format!("SET key:{client}:{i} v");
                    assert_eq!(connection.run(&line), Value::ok());
                }
            });
        }
    });
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("SLOWLOG LEN"), Value::Int(320));
    let told = proxy.slowlog();
    assert_eq!(
        (&told["threshold_us"], &told["max_length"]),
        (&0.into(), &500.into())
    );
    let entries: Vec<&Json> = told["entries"].as_array().unwrap().iter().collect();
    let sets = entries.iter().filter(|e| e["server"] == "s0");
    let all: BTreeSet<String> = sets.clone().map(|e| command(e)).collect();
    assert_eq!(all.len(), 320);
    let ids: Vec<u64> = entries.iter().map(|e| e["id"].as_u64().unwrap()).collect();
    assert!(
        ids.is_sorted_by(|a, b| a > b),
        "newest first, each with its own number"
    );
    assert_eq!(words(client.run("SLOWLOG GET")).len(), 10);
    assert_eq!(words(client.run("SLOWLOG GET 3")).len(), 3);
    assert!(words(client.run("SLOWLOG GET -1")).len() > 320);
    let (_, two) = ask(proxy.admin, "GET", "/v1/slowlog?limit=2");
    let two: Json = serde_json::from_str(&two).unwrap();
    assert_eq!(two["entries"].as_array().unwrap().len(), 2);
    assert_eq!(ask(proxy.admin, "GET", "/v1/slowlog?limit=x").0, 400);
    assert_eq!(ask(proxy.admin, "DELETE", "/v1/slowlog").0, 204);
    assert_eq!(proxy.entries().len(), 0);
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(client.run("SLOWLOG RESET"), Value::ok());
    // As in Redis, what asks is told afterwards.
    assert_eq!(proxy.commands(), ["SLOWLOG RESET"]);
}

#[test]
fn clients_of_a_pool_do_not_see_what_those_of_another_do() {
    let server = RedisServer::start();
    let ports = [free_port(), free_port()];
    let pool = |i: usize| {
        let (name, listen) = (format!("herd{i}"), format!("127.0.0.1:{}", ports[i]));
        servers::pool(&name, &listen, &["redis: true"], &[server.address()])
    };
    let file = pool(0) + &pool(1);
    let args = ["--threads", "2", "--slowlog-ms", "0"];
    let proxy = Heeler::proxy(ports[0], &file, &args);
    let mut clients = ports.map(|port| Client::connect(("127.0.0.1", port)));
    assert_eq!(clients[0].run("SET mine v"), Value::ok());
    assert_eq!(clients[1].run("SET theirs v"), Value::ok());
    assert_eq!(words(clients[0].run("SLOWLOG GET")), [["SET", "mine", "v"]]);
    assert_eq!(clients[1].run("SLOWLOG RESET"), Value::ok());
    let left = words(clients[1].run("SLOWLOG GET"));
    assert_eq!(left, [["SLOWLOG", "RESET"]]);
    assert_eq!(clients[0].run("SLOWLOG LEN"), Value::Int(2));
    drop(proxy);
}

#[test]
fn the_log_can_be_turned_off_and_is_as_long_as_asked() {
    let server = RedisServer::start();
    let off = proxy(
        &["redis: true"],
        &[server.address()],
        &["--slowlog-ms", "-1"],
    );
    let short = ["--slowlog-ms", "0", "--slowlog-len", "2"];
    let short = proxy(&["redis: true"], &[server.address()], &short);
    for proxy in [&off, &short] {
        let mut client = proxy.heeler.client();
        busy(&mut client, "k");
        for key in ["a", "b", "c"] {
            client.run(&format!("GET {key}"));
        }
    }
    assert_eq!(off.heeler.client().run("SLOWLOG LEN"), Value::Int(0));
    assert_eq!(off.slowlog()["threshold_us"], Json::Null);
    assert_eq!(short.commands(), ["GET c", "GET b"]);
    let told = short.heeler.client().run("CONFIG GET slowlog-*");
    let names = ["slowlog-log-slower-than", "0", "slowlog-max-len", "2"];
    assert_eq!(told, Value::Array(names.map(Value::bulk).to_vec()));
}

/// What is the same at the store and at redis-server, where every command is slow.
#[test]
fn a_store_shows_commands_as_redis_does() {
    let redis = RedisServer::start_with(&["--slowlog-log-slower-than", "0"]);
    let store = store(&["--threads", "1", "--slowlog-ms", "0"]);
    let long = "x".repeat(200);
    let many: Vec<String> = (0..40).map(|i| format!("k{i}")).collect();
    let lines = [
        "SET k v".to_owned(),
        format!("SET k {long}"),
        format!("MGET {}", many.join(" ")),
        format!("MGET {}", many[..31].join(" ")),
        format!("MGET {}", many[..32].join(" ")),
        "AUTH hunter2".into(),
        "AUTH default hunter2".into(),
        "HELLO 2 AUTH default hunter2".into(),
        "HELLO 2 SETNAME x".into(),
        "lpush list a b".into(),
        "GET list".into(),
        "MULTI".into(),
        "SET inner 1".into(),
        "INCR inner".into(),
        "EXEC".into(),
        "CLIENT GETNAME".into(),
        "NOSUCH command".into(),
        "PING".into(),
    ];
    let shown = |client: &mut Client| {
        client.run("SLOWLOG RESET");
        for line in &lines {
            client.run(line);
        }
        let words = words(client.run("SLOWLOG GET -1"));
        // Not what was said before.
        words
            .into_iter()
            .take_while(|w| w[0] != "SLOWLOG")
            .collect::<Vec<_>>()
    };
    let (of_redis, of_store) = (
        shown(&mut redis.client()),
        shown(&mut store.heeler.client()),
    );
    assert!(of_redis.len() >= 14, "{of_redis:#?}");
    assert_eq!(of_store, of_redis);
    let everything = format!("{}{of_store:?}", store.get("/v1/slowlog"));
    assert!(!everything.contains("hunter2") && everything.contains("(redacted)"));
}

#[test]
fn a_store_times_what_may_take_long_alone_and_the_rest_by_the_run() {
    let store = store(&["--threads", "1", "--slowlog-ms", "0.05"]);
    let mut client = store.heeler.client();
    let elements: Vec<String> = (0..10_000).map(|i| format!("e{i}")).collect();
    client.run(&format!("RPUSH list {}", elements.join(" ")));
    client.run("SLOWLOG RESET");
    client.send(b"GET a\r\nGET b\r\nLRANGE list 0 -1\r\nGET c\r\n");
    (0..4).for_each(|_| drop(client.read_raw_reply()));
    let entries = store.entries();
    let found = entries.iter().find(|e| command(e) == "LRANGE list 0 -1");
    let found = found.unwrap_or_else(|| panic!("{entries:#?}"));
    assert_eq!(
        (&found["together"], &found["pool"]),
        (&1.into(), &Json::Null)
    );
}

#[test]
fn a_slow_memcached_is_told() {
    let server = Memcached::start();
    let proxy = proxy(&["hash: md5"], &[server.address()], &["--threads", "1"]);
    let mut client = proxy.heeler.client();
    server.process.signal(Signal::STOP);
    client.send(b"set key 0 0 5\r\nvalue\r\n");
    proxy.wait_until_unanswered(1);
    thread::sleep(Duration::from_millis(20));
    server.process.signal(Signal::CONT);
    assert_eq!(client.read_exactly(8), b"STORED\r\n");
    let entry = &proxy.entries()[0];
    assert_eq!(command(entry), "set key 0 0 5");
    assert_eq!(
        (&entry["pool"], &entry["server"]),
        (&"herd".into(), &"s0".into())
    );
}

#[test]
fn of_large_commands_the_beginning_is_told() {
    let server = RedisServer::start();
    let args = ["--threads", "1", "--slowlog-ms", "0"];
    let proxy = proxy(&["redis: true"], &[server.address()], &args);
    let mut client = proxy.heeler.client();
    let value = "v".repeat(1_000_000);
    assert_eq!(client.run(&format!("SET key {value}")), Value::ok());
    let shown = format!("SET key {}... (999872 more bytes)", "v".repeat(128));
    assert_eq!(proxy.commands(), [shown]);
}
