//! What a store tells of its clients, its errors and its keys, beside a real redis-server: CLIENT
//! LIST, INFO and DEBUG DIGEST.

mod servers;

use std::collections::{BTreeMap, BTreeSet};

use servers::{Client, Heeler, RedisServer, Value, request, wait_until};

const DEBUG: [&str; 2] = ["--enable-debug-command", "yes"];

fn both() -> (Heeler, RedisServer) {
    let heeler = Heeler::serve(&[&["--threads", "2"][..], &DEBUG].concat());
    (heeler, RedisServer::start_with(&DEBUG))
}

fn id_of(client: &mut Client) -> String {
    match client.run("CLIENT ID") {
        Value::Int(id) => id.to_string(),
        other => panic!("no number: {other:?}"),
    }
}

/// A line of CLIENT LIST: the names of its fields in order, and their values.
fn fields(line: &str) -> (Vec<String>, BTreeMap<String, String>) {
    let pairs = line.split_whitespace().map(|field| {
        let (name, value) = field.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    let pairs: Vec<_> = pairs.collect();
    (
        pairs.iter().map(|(name, _)| name.clone()).collect(),
        pairs.into_iter().collect(),
    )
}

/// What both must show alike.
const ALIKE: [&str; 15] = [
    "name", "flags", "db", "sub", "psub", "ssub", "multi", "qbuf", "obl", "oll", "omem", "events",
    "cmd", "user", "resp",
];

#[test]
fn clients_are_shown_as_redis_shows_them() {
    let (heeler, redis) = both();
    let shown = |mut seen: Client, mut other: Client, lines: &[&str]| {
        let id = id_of(&mut seen);
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            match line.starts_with("BLPOP") {
                true => seen.send(&request(&words)),
                false => _ = seen.run(line),
            }
        }
        let told = |other: &mut Client| fields(&other.run(&format!("CLIENT LIST ID {id}")).text());
        // The last command has been taken in, also where nothing answers it.
        let last = lines.last().unwrap_or(&"client|id").to_lowercase();
        let last = last.split(' ').next().unwrap().to_owned();
        wait_until("it is shown", || {
            told(&mut other).1["cmd"].starts_with(&last)
        });
        let (names, values) = told(&mut other);
        let alike: Vec<_> = ALIKE.map(|name| (name, values[name].clone())).into();
        (names, alike, values["redir"] == "-1")
    };
    for lines in [
        &[][..],
        &["GET a"],
        &["HELLO 3"],
        &["CLIENT SETNAME somebody"],
        &["SELECT 5"],
        &["MULTI", "GET a", "SET a 1"],
        &["SUBSCRIBE a b", "PSUBSCRIBE p*"],
        &["SSUBSCRIBE a"],
        &["BLPOP nothing 0"],
        &["CLIENT NO-EVICT on"],
        &["CLIENT TRACKING on BCAST"],
        &["HELLO 3", "CLIENT TRACKING on", "GET a"],
        &["HELLO 3", "CLIENT TRACKING on", "CLIENT TRACKING off"],
        &["MONITOR"],
    ] {
        let ours = shown(heeler.client(), heeler.client(), lines);
        assert_eq!(
            ours,
            shown(redis.client(), redis.client(), lines),
            "{lines:?}"
        );
    }
    for line in ["CLIENT INFO", "CLIENT LIST"] {
        let own = |mut client: Client| {
            let id = id_of(&mut client);
            let told = client.run(line).text();
            let mut all = told.lines().map(fields);
            let (names, values) = all.find(|(_, values)| values["id"] == id).unwrap();
            let alike: Vec<_> = ALIKE.map(|name| (name, values[name].clone())).into();
            assert!(values["tot-mem"].parse::<u64>().unwrap() > 100, "{told}");
            (names, alike)
        };
        assert_eq!(own(heeler.client()), own(redis.client()), "{line}");
    }
}

#[test]
fn what_a_client_leaves_unread_is_shown() {
    let (heeler, _redis) = both();
    let (mut slow, mut other) = (heeler.client(), heeler.client());
    let id = id_of(&mut slow);
    slow.run("SUBSCRIBE a");
    let payload = vec![b'x'; 100_000];
    let value = |other: &mut Client, name: &str| -> usize {
        let (_, values) = fields(&other.run(&format!("CLIENT LIST ID {id}")).text());
        values[name].parse().unwrap()
    };
    wait_until("it is unread", || {
        other.call(&[b"PUBLISH", b"a", &payload]);
        value(&mut other, "omem") > 10 * payload.len()
    });
    assert_eq!(value(&mut other, "oll"), 1);
    assert!(value(&mut other, "tot-mem") > value(&mut other, "omem"));
}

/// The lines of sections of INFO that begin so.
fn info(client: &mut Client, section: &str, begins: &str) -> Vec<String> {
    let told = client.run(&format!("INFO {section}")).text();
    let lines = told.lines().filter(|line| line.starts_with(begins));
    lines.map(str::to_owned).collect()
}

#[test]
fn errors_are_counted_as_redis_counts_them() {
    let (heeler, redis) = both();
    let told = |mut client: Client, mut waits: Client, mut ends: Client| {
        client.run("CONFIG RESETSTAT");
        for line in [
            "NOSUCH",
            "GET",
            "SET s x",
            "LPUSH s x",
            "INCR s",
            "AUTH x",
            "MULTI",
            "SET a",
            "EXEC",
            "MULTI",
            "INCR s",
            "LPUSH s x",
            "EXEC",
            "EXEC",
            "CONFIG SET nosuch 1",
            "DEBUG ERROR CODE_of_mine and a text",
            "CONFIG SET maxmemory 1",
            "SET b x",
            "CONFIG SET maxmemory 0",
        ] {
            client.run(line);
        }
        let id = id_of(&mut waits);
        waits.send(&request(&[b"BLPOP", b"nothing", b"0"]));
        wait_until("it waits", || {
            ends.run(&format!("CLIENT UNBLOCK {id} ERROR")) == Value::Int(1)
        });
        waits.read_reply();
        let mut lines = info(&mut client, "errorstats", "errorstat_");
        lines.sort();
        lines.extend(info(&mut client, "stats", "total_error_replies"));
        let usual = client.run("INFO").text();
        assert!(usual.contains("# Errorstats\r\n"), "{usual}");
        client.run("CONFIG RESETSTAT");
        lines.extend(info(&mut client, "errorstats", "errorstat_"));
        lines.extend(info(&mut client, "stats", "total_error_replies"));
        lines
    };
    let ours = told(heeler.client(), heeler.client(), heeler.client());
    assert_eq!(ours, told(redis.client(), redis.client(), redis.client()));
    assert!(ours.len() > 5, "{ours:?}");
}

#[test]
fn percentiles_are_those_that_are_asked_for() {
    let (heeler, redis) = both();
    for (set, told) in [("50 99 99.9", 3), ("0.0 100", 2), ("", 0)] {
        let names = |mut client: Client| -> Vec<String> {
            client.call(&[
                b"CONFIG",
                b"SET",
                b"latency-tracking-info-percentiles",
                set.as_bytes(),
            ]);
            client.run("CONFIG RESETSTAT");
            client.run("SET a x");
            let lines = info(&mut client, "latencystats", "latency_percentiles_usec_set:");
            let told = lines
                .first()
                .expect("it is told")
                .split_once(':')
                .unwrap()
                .1;
            let told = told.split(',').filter(|text| !text.is_empty());
            told.map(|text| text.split_once('=').unwrap().0.to_owned())
                .collect()
        };
        let ours = names(heeler.client());
        assert_eq!(ours, names(redis.client()), "{set}");
        assert_eq!(ours.len(), told);
    }
}

#[test]
fn who_is_held_back_by_a_pause_is_counted() {
    let (heeler, redis) = both();
    for (one, two, three) in [
        (heeler.client(), heeler.client(), heeler.client()),
        (redis.client(), redis.client(), redis.client()),
    ] {
        let (mut looks, mut waits, mut goes) = (one, two, three);
        looks.run("CLIENT PAUSE 100000 WRITE");
        waits.send(&request(&[b"INCR", b"a"]));
        goes.send(&request(&[b"INCR", b"a"]));
        let is = |looks: &mut Client, count: &str| {
            info(looks, "clients", "blocked_clients") == [format!("blocked_clients:{count}")]
        };
        wait_until("both wait", || is(&mut looks, "2"));
        assert!(looks.run("CLIENT LIST").text().contains("flags=b"));
        drop(goes);
        wait_until("one has gone", || is(&mut looks, "1"));
        looks.run("CLIENT UNPAUSE");
        waits.read_reply();
        wait_until("none waits", || is(&mut looks, "0"));
    }
}

#[test]
fn digests_are_those_of_redis() {
    let (heeler, redis) = both();
    let (mut ours, mut theirs) = (heeler.client(), redis.client());
    let mut alike = |line: &str| {
        let own = ours.run(line);
        assert_eq!(own, theirs.run(line), "{line}");
        match own {
            Value::Status(text) => text,
            _ => String::new(),
        }
    };
    assert_eq!(alike("DEBUG DIGEST"), "0".repeat(40));
    for line in [
        "SET s hello",
        "SET n 42",
        "SET e",
        "APPEND empty ",
        "SET t 1 PX 10000000",
        "RPUSH l a b 3 -4 5000000000 a",
        "SADD ints 1 2 3",
        "SADD set a b 3 -4",
        "HSET h a 1 b two c 3.0",
        "ZADD z 1 a 2.5 b -inf c inf d 0.1 e 3 7 -0.0 f 1e100 g",
        "PFADD p a b c",
        "SETBIT bits 1000 1",
    ] {
        alike(line);
        alike("DEBUG DIGEST");
    }
    let long = "x".repeat(3000);
    alike(&format!("SET long {long}"));
    for (key, command) in [("bl", "RPUSH"), ("bs", "SADD"), ("bi", "SADD")] {
        for i in 0..700 {
            let word = if key == "bi" {
                i.to_string()
            } else {
                format!("word{i}")
            };
            alike(&format!("{command} {key} {word}"));
        }
    }
    for i in 0..300 {
        alike(&format!("HSET bh field{i} {i}"));
        alike(&format!("ZADD bz {} member{i}", f64::from(i) / 7.0));
    }
    alike("EXPIRE bz 1000000");
    let all = alike("DEBUG DIGEST");
    alike("DEBUG DIGEST-VALUE s n t l ints set h z p bits long bl bs bi bh bz none");
    alike("DEBUG DIGEST-VALUE");
    alike("DEBUG DIGEST x");
    alike("SELECT 3");
    alike("SET s elsewhere");
    alike("DEBUG DIGEST-VALUE s n");
    assert_ne!(alike("DEBUG DIGEST"), all);
    alike("DEL s");
    alike("SELECT 0");
    alike("RENAME s other");
    assert_ne!(alike("DEBUG DIGEST"), all);
    alike("RENAME other s");
    assert_eq!(alike("DEBUG DIGEST"), all);
}

/// Of more keys than may be it is not remembered who keeps a copy: he is told to drop it.
#[test]
fn copies_that_are_too_many_are_called_back() {
    let (heeler, redis) = both();
    for (mut client, mut keeper) in [
        (heeler.client(), heeler.client()),
        (redis.client(), redis.client()),
    ] {
        client.run("CONFIG SET tracking-table-max-keys 3");
        client.run("MSET a 1 b 2 c 3 d 4 e 5");
        keeper.run("HELLO 3");
        keeper.run("CLIENT TRACKING on");
        keeper.send(&request(&[b"MGET", b"a", b"b", b"c", b"d", b"e"]));
        let mut called_back = 0;
        let mut has_values = false;
        while called_back < 2 || !has_values {
            match keeper.read_reply() {
                Value::Push(message) => {
                    assert_eq!(message[0], Value::bulk("invalidate"));
                    called_back += 1;
                }
                values => has_values = matches!(values, Value::Array(_)),
            }
        }
        let told = info(&mut client, "stats", "tracking_");
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        assert_eq!(
            told,
            [
                "tracking_total_keys:3",
                "tracking_total_items:3",
                "tracking_total_prefixes:0"
            ]
        );
        assert_eq!(
            info(&mut client, "clients", "tracking_clients"),
            ["tracking_clients:1"]
        );
    }
}

/// Tools read the fields of commandstats by their places.
#[test]
fn commands_are_told_as_redis_tells_them() {
    let (heeler, redis) = both();
    let told = |mut client: Client| {
        client.run("CONFIG RESETSTAT");
        for line in [
            "SET a x",
            "SET",
            "GET a",
            "GET a",
            "LPUSH a b",
            "CONFIG SET maxmemory 1",
            "SET b x",
            "CONFIG SET maxmemory 0",
            "DEBUG SLEEP 0.03",
        ] {
            client.run(line);
        }
        let mut lines = info(&mut client, "commandstats", "cmdstat_");
        lines.retain(|line| !line.contains("|resetstat"));
        lines.sort();
        let micros = |line: &String| -> u64 {
            let rest = line.split_once(",usec=").unwrap().1;
            rest.split_once(',').unwrap().0.parse().unwrap()
        };
        let slept = lines
            .iter()
            .find(|line| line.starts_with("cmdstat_debug:"))
            .unwrap();
        assert!((30_000..2_000_000).contains(&micros(slept)), "{slept}");
        let without_numbers = |line: String| {
            let (name, fields) = line.split_once(':').unwrap();
            let fields = fields.split(',').map(|field| {
                let (name, value) = field.split_once('=').unwrap();
                match name.starts_with("usec") {
                    true => name.to_owned(),
                    false => format!("{name}={value}"),
                }
            });
            format!("{name}:{}", fields.collect::<Vec<_>>().join(","))
        };
        lines.into_iter().map(without_numbers).collect::<Vec<_>>()
    };
    assert_eq!(told(heeler.client()), told(redis.client()));
}

/// What a command that waits does itself is told after its reply, as of any other.
#[test]
fn a_reply_that_was_waited_for_comes_before_what_it_has_changed() {
    let (heeler, redis) = both();
    let told = |mut keeper: Client, mut client: Client| {
        keeper.run("HELLO 3");
        keeper.run("CLIENT TRACKING on");
        client.run("RPUSH to x");
        keeper.run("LRANGE to 0 -1");
        keeper.send(&request(&[
            b"BLMOVE", b"from", b"to", b"LEFT", b"LEFT", b"0",
        ]));
        wait_until("it waits", || {
            info(&mut client, "clients", "blocked_clients") == ["blocked_clients:1"]
        });
        client.run("RPUSH from y");
        [keeper.read_reply(), keeper.read_reply()]
    };
    let ours = told(heeler.client(), heeler.client());
    assert_eq!(ours, told(redis.client(), redis.client()));
    assert_eq!(ours[0], Value::bulk("y"));
}

/// Whose copy is evicted to make room for his own command, is told so before its reply.
#[test]
fn what_is_evicted_for_a_command_is_told_before_its_reply() {
    let (heeler, redis) = both();
    for mut keeper in [heeler.client(), redis.client()] {
        for line in [
            "HELLO 3",
            "CLIENT TRACKING on",
            "SET a x EX 1000",
            "GET a",
            "CONFIG SET maxmemory-policy volatile-ttl",
        ] {
            keeper.run(line);
        }
        keeper.send(&request(&[b"CONFIG", b"SET", b"maxmemory", b"1"]));
        keeper.send(&request(&[b"SET", b"b", b"x"]));
        let mut replies = vec![keeper.read_reply()];
        let is_over =
            |reply: &Value| matches!(reply, Value::Error(text) if text.starts_with("OOM"));
        while !is_over(replies.last().unwrap()) {
            replies.push(keeper.read_reply());
        }
        assert_eq!(replies.len(), 3, "{replies:?}");
        assert!(
            replies[..2]
                .iter()
                .any(|reply| matches!(reply, Value::Push(_))),
            "{replies:?}"
        );
    }
}

/// The value of a line of INFO.
fn value(client: &mut Client, name: &str) -> String {
    let told = client.run("INFO").text();
    let value = told.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        (known == name).then(|| value.to_owned())
    });
    value.unwrap_or_else(|| panic!("no {name} in {told}"))
}

fn number(client: &mut Client, name: &str) -> f64 {
    let value = value(client, name);
    let number = value.trim_end_matches('%').parse();
    number.unwrap_or_else(|_| panic!("{name}: {value}"))
}

#[test]
fn what_depends_on_nothing_is_told_as_redis_tells_it() {
    let (heeler, redis) = both();
    let (mut ours, mut theirs) = (heeler.client(), redis.client());
    for (line, name) in [
        ("CONFIG SET hz 50", "hz"),
        ("CONFIG SET hz 1000", "configured_hz"),
        ("CONFIG SET hz 10", "hz"),
        ("PING", "config_file"),
        ("PING", "total_system_memory"),
        ("PING", "total_system_memory_human"),
        ("PING", "expired_stale_perc"),
        ("PING", "instantaneous_ops_per_sec"),
        ("CLUSTER INFO", "cluster_enabled"),
        ("PING", "lazyfreed_objects"),
    ] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
        let is_rate = name.starts_with("instantaneous");
        let (ours, theirs) = (value(&mut ours, name), value(&mut theirs, name));
        assert!(ours == theirs || is_rate, "{name}: {ours}, {theirs}");
    }
    let [ours_clock, theirs_clock] =
        [&mut ours, &mut theirs].map(|client| number(client, "lru_clock"));
    assert!(
        (ours_clock - theirs_clock).abs() <= 2.0,
        "{ours_clock}, {theirs_clock}"
    );
    // What is told of both has one order.
    let names = |client: &mut Client| -> Vec<String> {
        let told = client.run("INFO everything").text();
        let names = told
            .lines()
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
        names
            .filter(|name| !name.starts_with("cmdstat_") && !name.starts_with("latency_"))
            .collect()
    };
    let (ours, theirs) = (names(&mut ours), names(&mut theirs));
    let common = |of: &[String], other: &[String]| -> Vec<String> {
        of.iter()
            .filter(|name| other.contains(name))
            .cloned()
            .collect()
    };
    assert_eq!(common(&ours, &theirs), common(&theirs, &ours));
}

#[test]
fn rates_are_those_of_what_was_done() {
    let (heeler, redis) = both();
    for (mut client, mut asks) in [
        (heeler.client(), heeler.client()),
        (redis.client(), redis.client()),
    ] {
        let many = b"*2\r\n$4\r\nECHO\r\n$100\r\n".to_vec();
        let one = [many, vec![b'x'; 100], b"\r\n".to_vec()].concat();
        let one = one.repeat(100);
        let rates = |asks: &mut Client| {
            ["ops_per_sec", "input_kbps", "output_kbps"]
                .map(|name| number(asks, &format!("instantaneous_{name}")))
        };
        wait_until("it does much", || {
            client.send(&one);
            (0..100).for_each(|_| drop(client.read_raw_reply()));
            let [commands, input, output] = rates(&mut asks);
            // A command comes with 128 bytes and goes with 108; INFO is long.
            commands > 500.0 && input > commands * 0.1 && output > commands * 0.1
        });
        wait_until("it does little again", || {
            let [commands, input, _] = rates(&mut asks);
            std::thread::sleep(std::time::Duration::from_millis(50));
            commands < 200.0 && input < 20.0
        });
        asks.run("CONFIG RESETSTAT");
    }
}

#[test]
fn memory_is_told_in_parts_that_make_the_whole() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let mut client = heeler.client();
    let empty = number(&mut client, "used_memory");
    assert_eq!(number(&mut client, "used_memory_startup"), empty);
    for i in 0..1_000 {
        client.call(&[b"SET", format!("key:{i}").as_bytes(), &[b'x'; 1_000]]);
    }
    client.run("SELECT 3");
    client.run("SET a b EX 1000");
    let parts = |client: &mut Client| {
        [
            "",
            "_overhead",
            "_dataset",
            "_startup",
            "_peak",
            "_peak_perc",
            "_dataset_perc",
        ]
        .map(|name| number(client, &format!("used_memory{name}")))
    };
    let [used, overhead, data, startup, peak, percent, of_net] = parts(&mut client);
    assert_eq!(overhead + data, used);
    assert!(
        data > 1_000_000.0 && overhead > startup,
        "{overhead}, {data}"
    );
    assert!(peak >= used && (percent - used * 100.0 / peak).abs() < 0.01);
    assert!((of_net - data * 100.0 / (used - startup)).abs() < 0.01);
    let Value::Array(told) = client.run("MEMORY STATS") else {
        panic!("no list")
    };
    let stats: BTreeMap<String, Value> = told
        .chunks(2)
        .map(|pair| (pair[0].text(), pair[1].clone()))
        .collect();
    let int = |name: &str| match stats.get(name) {
        Some(Value::Int(value)) => *value as f64,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(int("total.allocated"), used);
    assert_eq!(int("overhead.total"), overhead);
    assert_eq!(int("dataset.bytes"), data);
    assert_eq!(int("startup.allocated"), startup);
    assert_eq!(int("keys.count"), 1001.0);
    assert_eq!(
        int("keys.bytes-per-key"),
        ((used - startup) / 1001.0).floor()
    );
    let Value::Array(third) = &stats["db.3"] else {
        panic!("{stats:?}")
    };
    assert!(matches!(third[1], Value::Int(1..)), "{third:?}");
    assert!(matches!(third[3], Value::Int(1..)), "{third:?}");
    assert!(
        stats.contains_key("db.0") && !stats.contains_key("db.1"),
        "{stats:?}"
    );
    client.run("FLUSHALL");
    let [used, _, _, _, after, percent, _] = parts(&mut client);
    assert!(after >= peak && used * 2.0 < peak && percent < 50.0);
    // What clients take is told apart.
    let clients = number(&mut client, "mem_clients_normal");
    let mut other = heeler.client();
    other.send(&[&b"*2\r\n$3\r\nGET\r\n$3000000\r\n"[..], &[b'x'; 2_000_000]].concat());
    wait_until("it is counted", || {
        number(&mut client, "mem_clients_normal") > clients + 2_000_000.0
    });
}

#[test]
fn a_client_has_the_number_of_its_socket() {
    let (heeler, redis) = both();
    let differ = |pid: u32, mut clients: [Client; 3]| {
        let numbers = clients.each_mut().map(|client| {
            let own = fields(&client.run("CLIENT INFO").text()).1["fd"].clone();
            let listed = client.run("CLIENT LIST").text();
            let mut listed = listed.lines().map(|line| fields(line).1["fd"].clone());
            assert!(listed.any(|listed| listed == own));
            let file = std::fs::read_link(format!("/proc/{pid}/fd/{own}")).unwrap();
            assert!(file.to_string_lossy().starts_with("socket:"), "{file:?}");
            own
        });
        let all: BTreeSet<&String> = numbers.iter().collect();
        assert_eq!(all.len(), numbers.len(), "{numbers:?}");
    };
    let clients = [heeler.client(), heeler.client(), heeler.client()];
    differ(heeler.process.pid(), clients);
    let clients = [redis.client(), redis.client(), redis.client()];
    differ(redis.process.pid(), clients);
}
