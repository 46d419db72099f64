//! Memory, with real processes: what a node says that keys take is what they take, its limit holds,
//! and what is said of it is what a real redis-server says.

mod servers;

use std::process::Command;

use servers::{Client, Heeler, RedisServer, Value, request, wait_until};

fn info(client: &mut Client, section: &str, name: &str) -> i64 {
    let text = client.run(&format!("INFO {section}")).text();
    let prefix = format!("{name}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// Memory of a process that is not of files, in bytes.
fn resident(pid: u32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<i64>().unwrap() * 1024
}

/// Sends commands many at a time; none of them fails.
fn send(client: &mut Client, commands: impl Iterator<Item = Vec<String>>) {
    let commands: Vec<Vec<String>> = commands.collect();
    for some in commands.chunks(50) {
        let mut bytes = Vec::new();
        for command in some {
            let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
            bytes.extend(request(&words));
        }
        client.send(&bytes);
        for command in some {
            let reply = client.read_reply();
            assert!(!matches!(reply, Value::Error(_)), "{command:?}: {reply:?}");
        }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// What is counted is within a tenth of what the kernel counts, for every kind of value, and goes
/// when the keys go.
#[test]
fn what_keys_are_said_to_take_is_what_they_take() {
    type Make = fn(u64) -> String;
    let loads: [(&str, u64, Make); 6] = [
        ("short strings", 600_000, |i| {
            format!("SET key:{i:012} {}", "v".repeat(64))
        }),
        ("strings that expire", 350_000, |i| {
            format!("SET key:{i:012} {} EX {}", "v".repeat(90), 1_000 + i % 977)
        }),
        ("strings of all lengths", 60_000, |i| {
            format!("SET key:{i:012} {}", "v".repeat((i * 7919 % 1500) as usize))
        }),
        ("long strings", 5_000, |i| {
            format!("SET key:{i:012} {}", "v".repeat(10_000))
        }),
        ("hashes", 700_000, |i| {
            format!(
                "HSET key:{} field:{i} {}",
                i / 30,
                "v".repeat((i % 60) as usize)
            )
        }),
        ("lists", 500_000, |i| {
            format!("RPUSH key:{} {}", i / 400, "v".repeat((i % 90) as usize))
        }),
    ];
    for (what, count, make) in loads {
        let node = Heeler::serve(&["--threads", "1"]);
        let mut client = node.client();
        send(
            &mut client,
            (0..2_000).map(|i| words(&format!("SET warm:{i} v"))),
        );
        let before = (
            resident(node.process.pid()),
            info(&mut client, "memory", "used_memory"),
        );
        send(&mut client, (0..count).map(|i| words(&make(i))));
        let told = info(&mut client, "memory", "used_memory") - before.1;
        // Tables that have grown leave memory that the allocator gives back in a while.
        let mut grown = 0;
        wait_until(&format!("{what}: {told} told and as much taken"), || {
            grown = resident(node.process.pid()) - before.0;
            (told - grown).abs() < grown / 10
        });
        assert!(grown > 15_000_000, "{what}: {grown}");
        client.run("FLUSHALL");
        let left = info(&mut client, "memory", "used_memory");
        assert!(left < before.1 + 100_000, "{what}: {left}");
        wait_until("memory goes back", || {
            resident(node.process.pid()) - before.0 < grown / 3
        });
    }
}

#[test]
fn most_keys_are_deleted_and_most_memory_goes_back() {
    let node = Heeler::serve(&["--threads", "2"]);
    let mut client = node.client();
    let before = resident(node.process.pid());
    let keys = 0..300_000u64;
    send(
        &mut client,
        keys.clone()
            .map(|i| words(&format!("SET key:{i:012} {}", "v".repeat(64)))),
    );
    let full = resident(node.process.pid()) - before;
    let gone = keys.filter(|i| i % 10 != 0);
    send(
        &mut client,
        gone.map(|i| words(&format!("DEL key:{i:012}"))),
    );
    wait_until("memory goes back", || {
        resident(node.process.pid()) - before < full * 45 / 100
    });
}

#[test]
fn a_node_takes_no_more_than_it_may_and_tells_of_those_that_went() {
    let limit = 8 << 20;
    for policy in ["allkeys-lru", "allkeys-s3fifo", "volatile-ttl"] {
        let arguments = [
            "--maxmemory",
            "8mb",
            "--maxmemory-policy",
            policy,
            "--threads",
            "1",
        ];
        let node = Heeler::serve(&arguments);
        let (mut client, mut listener) = (node.client(), node.client());
        assert_eq!(
            client.run("CONFIG SET notify-keyspace-events Ee"),
            Value::ok()
        );
        listener.run("SUBSCRIBE __keyevent@0__:evicted");
        let set = |i| words(&format!("SET key:{i} {} EX 1000", "v".repeat(100)));
        send(&mut client, (0..100_000).map(set));
        let used = info(&mut client, "memory", "used_memory");
        assert!(
            used < limit + 200_000 && used > limit * 9 / 10,
            "{policy}: {used}"
        );
        assert_eq!(info(&mut client, "memory", "maxmemory"), limit);
        let evicted = info(&mut client, "stats", "evicted_keys");
        let Value::Int(keys) = client.run("DBSIZE") else {
            panic!("no number");
        };
        assert_eq!(keys + evicted, 100_000, "{policy}");
        let Value::Array(told) = listener.read_reply() else {
            panic!("no message");
        };
        assert_eq!(told[1], Value::bulk("__keyevent@0__:evicted"), "{policy}");
    }
}

/// Replies that do not depend on how much memory is used.
#[test]
fn what_is_said_of_the_limit_is_what_redis_says() {
    let (redis, node) = (RedisServer::start(), Heeler::serve(&["--threads", "1"]));
    let (mut theirs, mut ours) = (redis.client(), node.client());
    for line in [
        "CONFIG SET maxmemory abc",
        "CONFIG SET maxmemory -1",
        "CONFIG SET maxmemory 1.5gb",
        "CONFIG SET maxmemory-samples 0",
        "CONFIG SET maxmemory-samples x",
        "CONFIG SET lfu-log-factor -1",
        "CONFIG SET lfu-decay-time 3000000000",
        "CONFIG SET maxmemory 100mb maxmemory-policy ALLKEYS-LFU maxmemory-samples 7",
        "CONFIG GET maxmemory",
        "CONFIG GET maxmemory-policy",
        "CONFIG GET maxmemory-samples",
        "CONFIG GET lfu-log-factor",
        "CONFIG GET lfu-decay-time",
        "SET k v",
        "OBJECT FREQ k",
        "OBJECT IDLETIME k",
        "CONFIG SET maxmemory-policy noeviction maxmemory 1",
        "SET k w",
        "GET k",
        "APPEND k x",
        "LPUSH l x",
        "INCR n",
        "EXPIRE k 1000",
        "OBJECT FREQ k",
        "MULTI",
        "GET k",
        "SET k v",
        "EXEC",
        "MULTI",
        "DISCARD",
        "CONFIG SET maxmemory 0",
        "MULTI",
        "SET k v",
        "GET k",
        "EXEC",
        "DEL k",
    ] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
    }
    // A transaction that was queued while there was memory.
    for (server, client) in [("redis", &mut theirs), ("heeler", &mut ours)] {
        client.run("MULTI");
        client.run("SET k v");
        let mut other = if server == "redis" {
            redis.client()
        } else {
            node.client()
        };
        other.run("CONFIG SET maxmemory 1");
        let text = "EXECABORT Transaction discarded because of: OOM command not allowed when used \
                    memory > 'maxmemory'.";
        assert_eq!(client.run("EXEC"), Value::Error(text.into()), "{server}");
    }
    let text = ours.run("CONFIG SET maxmemory-policy lru").text();
    let known = theirs.run("CONFIG SET maxmemory-policy lru").text();
    assert_eq!(text, format!("{known}, allkeys-s3fifo"));
}

#[test]
fn a_mistaken_policy_or_size_is_told_with_what_there_is() {
    let serve = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heeler"));
        let output = command.arg("serve").args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let text = serve(&["--maxmemory-policy", "lru"]);
    assert!(
        text.contains("'lru'") && text.contains("allkeys-lru"),
        "{text}"
    );
    assert!(
        text.contains("allkeys-s3fifo") && text.contains("noeviction"),
        "{text}"
    );
    let text = serve(&["--maxmemory", "lots"]);
    assert!(text.contains("'lots'") && text.contains("mb"), "{text}");
}

/// Of a value that is only announced nothing is there yet.
#[test]
fn what_is_announced_takes_no_memory_before_it_comes() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let mut asks = heeler.client();
    let before = resident(heeler.process.pid());
    let received = |asks: &mut Client| info(asks, "stats", "total_net_input_bytes");
    let beginnings: [&[u8]; 2] = [
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nxx",
        b"*2147483647\r\n$3\r\nDEL\r\n$1\r\na\r\n",
    ];
    for beginning in beginnings {
        let known = received(&mut asks);
        let clients: Vec<Client> = (0..200)
            .map(|_| {
                let mut client = heeler.client();
                client.send(beginning);
                client
            })
            .collect();
        let sent = (beginning.len() * clients.len()) as i64;
        wait_until("all was read", || received(&mut asks) >= known + sent);
        let each = (resident(heeler.process.pid()) - before) / clients.len() as i64;
        assert!(each < 100 * 1024, "{each} bytes a connection");
    }
}
