//! CONFIG SET while a store runs, beside a real redis-server: the same answers, and the effect.

mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use servers::{Client, Heeler, RedisServer, Value, wait_until};

fn both() -> [(Client, Box<dyn std::any::Any>); 2] {
    let redis = RedisServer::start();
    let heeler = Heeler::serve(&["--threads", "2"]);
    [
        (redis.client(), Box::new(redis)),
        (heeler.client(), Box::new(heeler)),
    ]
}

fn run(client: &mut Client, line: &str) -> String {
    // A value in quotes may have blanks.
    let mut words: Vec<String> = Vec::new();
    for (i, part) in line.split('"').enumerate() {
        match i % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.into()),
        }
    }
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    client.send(&servers::request(&words));
    String::from_utf8_lossy(&client.read_raw_reply()).into_owned()
}

/// Both answer the lines alike.
fn alike(ours: &mut Client, theirs: &mut Client, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let sorted = |reply: String| {
            let mut lines: Vec<String> = reply.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let (ours, theirs) = (run(ours, line), run(theirs, line));
        assert_eq!(sorted(ours), sorted(theirs), "{line}");
    }
}

#[test]
fn what_is_watched_is_set_and_told_as_redis_does() {
    let [(mut theirs, _redis), (mut ours, _heeler)] = both();
    let lines = r#"
        CONFIG GET maxmemory-clients
        CONFIG SET maxmemory-clients 5%
        CONFIG GET maxmemory-clients
        CONFIG SET maxmemory-clients 101%
        CONFIG SET maxmemory-clients -1
        CONFIG SET maxmemory-clients x
        CONFIG SET maxmemory-clients 10mb
        CONFIG GET maxmemory-clients
        CONFIG SET maxmemory-clients 0
        CONFIG GET hll-sparse-max-bytes
        CONFIG SET hll-sparse-max-bytes 30
        CONFIG GET hll-sparse-max-bytes
        PFADD h a b c d e f g
        PFADD h2 a b
        PFDEBUG ENCODING h
        PFDEBUG ENCODING h2
        OBJECT REFCOUNT h
        CONFIG SET hll-sparse-max-bytes -1
        CONFIG SET hll-sparse-max-bytes 1x
        CONFIG SET maxmemory 1gb
        SET few 7
        OBJECT REFCOUNT few
        CONFIG SET maxmemory-policy allkeys-lru
        SET few 7
        OBJECT REFCOUNT few
        CONFIG SET maxmemory 0
        SET few 7
        OBJECT REFCOUNT few
        CONFIG GET tracking-table-max-keys
        CONFIG SET tracking-table-max-keys 0
        CONFIG SET tracking-table-max-keys -1
        CONFIG SET tracking-table-max-keys x
        CONFIG SET tracking-table-max-keys 5
        CONFIG GET tracking-table-max-keys
        CONFIG GET latency-tracking-info-percentiles
        CONFIG SET latency-tracking-info-percentiles "0 50.0 99.99"
        CONFIG GET latency-tracking-info-percentiles
        CONFIG SET latency-tracking-info-percentiles "50 x"
        CONFIG SET latency-tracking-info-percentiles "50 100.1"
        CONFIG SET latency-tracking-info-percentiles -1
        CONFIG GET latency-tracking-info-percentiles
        CONFIG SET latency-tracking-info-percentiles ""
        CONFIG GET latency-tracking-info-percentiles
    "#;
    alike(&mut ours, &mut theirs, lines);
}

#[test]
fn parameters_are_set_and_told_as_redis_does() {
    let [(mut theirs, _redis), (mut ours, _heeler)] = both();
    let lines = r#"
        CONFIG GET timeout
        CONFIG SET timeout 100
        CONFIG GET timeout
        CONFIG SET timeout -1
        CONFIG SET timeout x
        CONFIG SET timeout 2147483648
        CONFIG SET timeout 1 timeout 2
        CONFIG SET timeout 0 tcp-keepalive x
        CONFIG GET timeout
        CONFIG SET timeout 0
        CONFIG GET tcp-keepalive
        CONFIG SET tcp-keepalive 60
        CONFIG GET tcp-keepalive
        CONFIG SET tcp-keepalive -1
        CONFIG SET tcp-keepalive 0
        CONFIG GET proto-max-bulk-len
        CONFIG SET proto-max-bulk-len 2mb
        CONFIG GET proto-max-bulk-len
        CONFIG SET proto-max-bulk-len -1
        CONFIG SET proto-max-bulk-len x
        CONFIG SET proto-max-bulk-len 512mb
        CONFIG GET client-query-buffer-limit
        CONFIG SET client-query-buffer-limit 3mb
        CONFIG GET client-query-buffer-limit
        CONFIG SET client-query-buffer-limit x
        CONFIG SET client-query-buffer-limit 1gb
        CONFIG GET client-output-buffer-limit
        CONFIG SET client-output-buffer-limit "normal 0 0"
        CONFIG SET client-output-buffer-limit "normal 1mb 512k 10"
        CONFIG GET client-output-buffer-limit
        CONFIG SET client-output-buffer-limit "pubsub 2mb 512k 10 normal 0 0 0"
        CONFIG GET client-output-buffer-limit
        CONFIG SET client-output-buffer-limit "slave 268435456 67108864 60"
        CONFIG SET client-output-buffer-limit "x 1 1 1"
        CONFIG SET client-output-buffer-limit "normal -1 1 1"
        CONFIG SET client-output-buffer-limit "normal 1 1 x"
        CONFIG SET client-output-buffer-limit ""
        CONFIG GET client-output-buffer-limit
        CONFIG SET maxclients 0
        CONFIG SET maxclients x
        CONFIG SET maxclients 4294967296
        CONFIG SET maxclients 500
        CONFIG GET maxclients
        CONFIG SET slowlog-max-len 5 slowlog-log-slower-than 100
        CONFIG GET slowlog-*
        CONFIG SET slowlog-max-len -1
        CONFIG SET notify-keyspace-events KEA
        CONFIG GET notify-keyspace-events
        CONFIG SET rdbcompression no
        CONFIG GET rdbcompression
        CONFIG SET rdbcompression maybe
        CONFIG SET rdbcompression yes
        CONFIG REWRITE
        CONFIG RESETSTAT
        CONFIG RESETSTAT x
        CONFIG REWRITE x
    "#;
    alike(&mut ours, &mut theirs, lines);
}

/// Where a store has a bound of its own, it says so.
#[test]
fn bounds_are_told() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let mut client = heeler.client();
    for (line, text) in [
        (
            "CONFIG SET proto-max-bulk-len 1gb",
            "between 1048576 and 536870912 inclusive",
        ),
        (
            "CONFIG SET proto-max-bulk-len 1kb",
            "between 1048576 and 536870912 inclusive",
        ),
        (
            "CONFIG SET client-query-buffer-limit 2gb",
            "between 1048576 and 1073741824 inclusive",
        ),
        (
            "CONFIG SET slowlog-max-len 9999999",
            "between 0 and 1000000 inclusive",
        ),
        (
            "CONFIG SET maxclients 4294967295",
            "is not able to handle the specified number of clients",
        ),
        (
            "CONFIG SET client-output-buffer-limit \"slave 1 1 1\"",
            "there are no replicas here",
        ),
    ] {
        let reply = run(&mut client, line);
        assert!(
            reply.starts_with("-ERR CONFIG SET failed") && reply.contains(text),
            "{reply}"
        );
    }
}

#[test]
fn who_is_idle_for_too_long_is_closed() {
    for (mut client, server) in both() {
        let another = || match server.downcast_ref::<RedisServer>() {
            Some(redis) => redis.client(),
            None => server.downcast_ref::<Heeler>().unwrap().client(),
        };
        let (mut idle, mut listens, mut waits) = (another(), another(), another());
        listens.run("SUBSCRIBE c");
        waits.send(b"BLPOP nosuch 0\r\n");
        assert_eq!(client.run("CONFIG SET timeout 1"), Value::ok());
        assert_eq!(idle.run("PING"), Value::Status("PONG".into()));
        // Whoever says something stays.
        wait_until("the other is gone", || {
            std::thread::sleep(Duration::from_millis(50));
            !client.run("CLIENT LIST").text().contains("cmd=ping")
                && client.run("CLIENT LIST").text().lines().count() == 3
        });
        assert_eq!(idle.read_to_close(), b"");
        client.run("CONFIG SET timeout 0");
        assert_eq!(client.run("PUBLISH c x"), Value::Int(1));
        client.run("LPUSH nosuch x");
        assert!(matches!(waits.read_reply(), Value::Array(_)));
    }
}

#[test]
fn longer_strings_are_refused() {
    const MEGABYTE: usize = 1 << 20;
    for (mut client, server) in both() {
        let mut other = match server.downcast_ref::<RedisServer>() {
            Some(redis) => redis.client(),
            None => server.downcast_ref::<Heeler>().unwrap().client(),
        };
        other.run("PING");
        client.run("CONFIG SET proto-max-bulk-len 1mb");
        let most = vec![b'x'; MEGABYTE];
        assert_eq!(client.call(&[b"SET", b"k", &most]), Value::ok());
        let too_long = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        assert_eq!(client.run("APPEND k x"), Value::Error(too_long.into()));
        assert_eq!(
            client.run("SETRANGE k 1048576 x"),
            Value::Error(too_long.into())
        );
        assert_eq!(client.run("STRLEN k"), Value::Int(MEGABYTE as i64));
        let no_bit = "ERR bit offset is not an integer or out of range";
        assert_eq!(
            client.run("SETBIT b 8388608 1"),
            Value::Error(no_bit.into())
        );
        assert_eq!(client.run("SETBIT b 8388607 1"), Value::Int(0));
        // Also over connections that were there before.
        other.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n");
        let told = String::from_utf8(other.read_to_close()).unwrap();
        assert_eq!(told, "-ERR Protocol error: invalid bulk length\r\n");
    }
}

#[test]
fn longer_requests_are_not_read() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let (mut client, mut other) = (heeler.client(), heeler.client());
    client.run("CONFIG SET client-query-buffer-limit 1mb");
    let part = vec![b'x'; 900_000];
    assert_eq!(client.call(&[b"SET", b"k", &part]), Value::ok());
    let request = servers::request(&[b"MSET", b"a", &part, b"b", &part]);
    // It may be closed while it sends.
    let _ = other.try_send(&request);
    let _ = other.try_read_to_close();
    assert_eq!(client.run("EXISTS a b"), Value::Int(0));
    wait_until("it is closed", || {
        client.run("CLIENT LIST").text().lines().count() == 1
    });
}

fn limit_output(client: &mut Client, limits: &[u8]) {
    let parameter = b"client-output-buffer-limit";
    let set = [&b"CONFIG"[..], b"SET", parameter, limits];
    assert_eq!(client.call(&set), Value::ok());
}

#[test]
fn who_leaves_too_much_unread_is_closed() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut client, mut greedy) = (heeler.client(), heeler.client());
    let value = vec![b'x'; 3_000_000];
    client.call(&[b"SET", b"k", &value]);
    client.run("SET short x");
    assert_eq!(greedy.run("GET k").text().len(), value.len());
    limit_output(&mut client, b"normal 2mb 0 0");
    assert_eq!(greedy.run("GET short").text(), "x");
    greedy.send(b"GET k\r\n");
    let _ = greedy.try_read_to_close();
    wait_until("it is closed", || {
        client.run("CLIENT LIST").text().lines().count() == 1
    });
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
}

#[test]
fn who_leaves_much_unread_for_too_long_is_closed() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut client, mut slow, mut deaf) = (heeler.client(), heeler.client(), heeler.client());
    let value = vec![b'x'; 30_000_000];
    client.call(&[b"SET", b"k", &value]);
    limit_output(&mut client, b"normal 0 1mb 1 pubsub 0 2mb 1");
    slow.send(b"GET k\r\n");
    deaf.run("SUBSCRIBE c");
    assert_eq!(client.run("CLIENT LIST").text().lines().count(), 3);
    for _ in 0..20 {
        client.call(&[b"PUBLISH", b"c", &value[..1_000_000]]);
    }
    wait_until("both are closed", || {
        client.run("CLIENT LIST").text().lines().count() == 1
    });
}

#[test]
fn pubsub_has_a_limit_of_its_own() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut client, mut deaf) = (heeler.client(), heeler.client());
    limit_output(&mut client, b"pubsub 64mb 0 0");
    deaf.run("SUBSCRIBE c");
    let payload = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while client.call(&[b"PUBLISH", b"c", &payload]) == Value::Int(1) {
        sent += 1;
        assert!(sent < 300, "it is never closed");
    }
    assert!(sent >= 64, "closed after {sent} MiB");
}

/// What waits to be written counts like what has not been taken: also when nothing more comes.
#[test]
fn who_listens_and_leaves_much_unread_for_too_long_is_closed() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let (mut client, mut deaf) = (heeler.client(), heeler.client());
    limit_output(&mut client, b"pubsub 0 100kb 1");
    deaf.run("SUBSCRIBE c");
    let payload = vec![b'x'; 300_000];
    let is_unread = |list: String| {
        let sizes = list.split("omem=").skip(1);
        let mut sizes = sizes.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        sizes.any(|size| size > 1_000_000)
    };
    wait_until("it is unread", || {
        client.call(&[b"PUBLISH", b"c", &payload]);
        is_unread(client.run("CLIENT LIST TYPE pubsub").text())
    });
    let gone = Value::Array(vec![Value::bulk("c"), Value::Int(0)]);
    wait_until("it is closed", || client.run("PUBSUB NUMSUB c") == gone);
}

/// Who takes most of the memory that clients may take together is closed, unless it is to stay.
#[test]
fn clients_that_take_too_much_memory_are_closed() {
    let (redis, heeler) = (RedisServer::start(), Heeler::serve(&["--threads", "2"]));
    for port in [redis.port, heeler.port] {
        let connect = || Client::connect(("127.0.0.1", port));
        let (mut client, mut small) = (connect(), connect());
        let (mut stays, mut large) = (connect(), connect());
        stays.run("CLIENT NO-EVICT on");
        for begins in [&mut stays, &mut large] {
            begins.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3000000\r\n");
            begins.send(&vec![b'x'; 2_900_000]);
        }
        small.run("PING");
        client.run("CONFIG RESETSTAT");
        client.run("CONFIG SET maxmemory-clients 5mb");
        assert!(large.read_to_close().is_empty());
        let info = client.run("INFO stats").text();
        assert!(info.contains("evicted_clients:1\r\n"), "{info}");
        assert_eq!(small.run("PING"), Value::Status("PONG".into()));
        stays.send(&[&vec![b'x'; 100_000][..], b"\r\n"].concat());
        assert_eq!(stays.read_reply(), Value::ok());
    }
}

/// What a Redis's parameters promise of the background holds here whatever they say; others do as
/// in Redis.
#[test]
fn parameters_of_the_background_are_set_and_told_as_redis_does() {
    let [(mut theirs, _redis), (mut ours, _heeler)] = both();
    let lines = r#"
        CONFIG GET hz
        CONFIG SET hz 100
        CONFIG GET hz
        CONFIG SET hz 0
        CONFIG GET hz
        CONFIG SET hz 1000
        CONFIG GET *hz
        CONFIG SET hz -1
        CONFIG SET hz x
        CONFIG SET hz 2147483648
        CONFIG SET hz 10
        CONFIG SET dynamic-hz no
        CONFIG GET dynamic-hz
        CONFIG SET dynamic-hz YES
        CONFIG GET dynamic-hz
        CONFIG SET dynamic-hz 1
        CONFIG GET activedefrag
        CONFIG SET activedefrag no
        CONFIG SET activedefrag yes
        CONFIG SET activedefrag x
        CONFIG GET activedefrag
        CONFIG SET protected-mode no
        CONFIG GET protected-mode
        CONFIG SET protected-mode x
        CONFIG GET lazyfree-*
        CONFIG SET lazyfree-lazy-eviction yes lazyfree-lazy-expire yes
        CONFIG SET lazyfree-lazy-server-del yes lazyfree-lazy-user-del yes
        CONFIG SET lazyfree-lazy-user-flush yes
        CONFIG GET lazyfree-*
        CONFIG SET lazyfree-lazy-user-flush maybe
        CONFIG SET lazyfree-lazy-user-flush no lazyfree-lazy-user-del x
        CONFIG GET lazyfree-*
    "#;
    alike(&mut ours, &mut theirs, lines);
    let told = run(&mut ours, "CONFIG SET protected-mode yes");
    assert!(told.contains("requirepass, --requirepass-file"), "{told}");
}

#[test]
fn parameters_that_promise_little_are_set_and_told_as_redis_does() {
    let [(mut theirs, _redis), (mut ours, _heeler)] = both();
    let lines = r#"
        CONFIG GET loglevel
        CONFIG SET loglevel VERBOSE
        CONFIG GET loglevel
        CONFIG SET loglevel debug
        CONFIG GET loglevel
        CONFIG SET loglevel warning
        CONFIG GET loglevel
        CONFIG SET loglevel nothing
        CONFIG SET loglevel notice
        CONFIG GET loglevel
        CONFIG GET active-expire-effort
        CONFIG SET active-expire-effort 10
        CONFIG GET active-expire-effort
        CONFIG SET active-expire-effort 0
        CONFIG SET active-expire-effort 11
        CONFIG SET active-expire-effort x
        CONFIG GET maxmemory-eviction-tenacity
        CONFIG SET maxmemory-eviction-tenacity 100
        CONFIG GET maxmemory-eviction-tenacity
        CONFIG SET maxmemory-eviction-tenacity 101
        CONFIG SET maxmemory-eviction-tenacity -1
        CONFIG SET maxmemory-eviction-tenacity x
        CONFIG GET activerehashing
        CONFIG SET activerehashing no
        CONFIG GET activerehashing
        CONFIG SET activerehashing x
        CONFIG GET busy-reply-threshold
        CONFIG GET lua-time-limit
        CONFIG SET busy-reply-threshold 9223372036854775807
        CONFIG GET lua-time-limit
        CONFIG SET lua-time-limit 0
        CONFIG GET busy-reply-threshold
        CONFIG SET lua-time-limit -1
        CONFIG SET busy-reply-threshold x
        CONFIG SET lua-time-limit 5 busy-reply-threshold 6
        CONFIG GET lua-time-limit
        CONFIG SET lua-time-limit 5 lua-time-limit 6
        CONFIG SET hash-max-ziplist-entries 5 hash-max-listpack-entries 6
        CONFIG GET hash-max-*-entries
    "#;
    alike(&mut ours, &mut theirs, lines);
}

/// A number that INFO tells.
fn number(client: &mut Client, name: &str) -> i64 {
    let told = client.run("INFO all").text();
    let value = told.lines().find_map(|line| line.strip_prefix(name));
    let value = value.unwrap_or_else(|| panic!("no {name} in {told}"));
    value.strip_prefix(':').unwrap().parse().unwrap()
}

/// What DEL, SET, FLUSHALL and time remove is freed in the background where that is asked for.
#[test]
fn large_values_are_freed_by_whom_lazyfree_says() {
    let [(mut theirs, _redis), (mut ours, _heeler)] = both();
    let fill = (0..1_000).fold("SADD set".to_owned(), |line, i| {
        format!("{line} member:{i}")
    });
    for client in [&mut theirs, &mut ours] {
        let mut freed = 0;
        for (name, lines) in [
            ("user-del", &["DEL set"][..]),
            ("server-del", &["SET set v", "DEL set"]),
            ("user-flush", &["FLUSHALL"]),
            ("expire", &["PEXPIRE set 1"]),
        ] {
            for is_lazy in [false, true] {
                let word = if is_lazy { "yes" } else { "no" };
                let set = format!("CONFIG SET lazyfree-lazy-{name} {word}");
                assert_eq!(client.run(&set), Value::ok());
                client.run(&fill);
                for line in lines {
                    assert!(!matches!(client.run(line), Value::Error(_)), "{line}");
                }
                wait_until("it is gone", || client.run("DBSIZE") == Value::Int(0));
                freed += i64::from(is_lazy);
                wait_until(name, || {
                    number(client, "lazyfree_pending_objects") == 0
                        && number(client, "lazyfreed_objects") == freed
                });
            }
            client.run(&format!("CONFIG SET lazyfree-lazy-{name} no"));
        }
        client.run("CONFIG RESETSTAT");
        assert_eq!(number(client, "lazyfreed_objects"), 0);
    }
}

#[test]
fn the_log_tells_what_its_level_says() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let mut client = heeler.client();
    let told = || heeler.process.stderr().matches("multibulk length").count();
    let errs = || {
        let mut other = heeler.client();
        other.send(b"*x\r\n");
        other.read_to_close();
    };
    errs();
    wait_until("it is told", || told() == 1);
    assert_eq!(client.run("CONFIG SET loglevel warning"), Value::ok());
    errs();
    assert_eq!(client.run("CONFIG SET loglevel verbose"), Value::ok());
    errs();
    wait_until("it is told again", || told() > 1);
    assert_eq!(told(), 2);
}

/// A chapter of the documentation.
fn chapter(name: &str) -> String {
    let path = format!("{}/../../docs/src/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The chapter about this door names each parameter that there is, and no other.
#[test]
fn the_documentation_lists_the_parameters() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let Value::Array(told) = heeler.client().run("CONFIG GET *") else {
        panic!("no list")
    };
    let known: BTreeSet<String> = told.iter().step_by(2).map(Value::text).collect();
    let chapter = chapter("redis.md");
    let (_, section) = chapter.split_once("\n## Parameters\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut listed = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let names = row.split('|').nth(1).unwrap();
        let mut first = String::new();
        for name in names.split('`').skip(1).step_by(2) {
            // `-expire` goes on where the name before it began.
            let name = match name.strip_prefix('-') {
                Some(end) => first.replace("eviction", end),
                None => name.to_owned(),
            };
            first = if first.is_empty() {
                name.clone()
            } else {
                first
            };
            listed.insert(name);
        }
        let older = names.contains("(and with `ziplist`)");
        let olds = listed.iter().filter(|_| older).cloned().collect::<Vec<_>>();
        listed.extend(olds.iter().map(|name| name.replace("listpack", "ziplist")));
    }
    listed.remove("ziplist");
    assert_eq!(listed, known);
}
