//! `heeler serve` and `heeler demo` from outside: what is said of a node that the scripts of bytes
//! do not tell.

mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use servers::{
    Client, Heeler, PATIENCE, Process, RedisServer, Value, benchmark_runs, free_port, wait_until,
};

/// What of the slow log can be changed while the store runs, with Redis's errors.
#[test]
fn the_slow_log_is_set_up_while_the_store_runs() {
    let (heeler, redis) = (Heeler::serve(&["--threads", "1"]), RedisServer::start());
    let (mut ours, mut theirs) = (heeler.client(), redis.client());
    for line in [
        "CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 3",
        "CONFIG GET slowlog-max-len",
        "PING",
        "PING",
        "PING",
        "SLOWLOG LEN",
        "CONFIG SET slowlog-max-len 1",
        "SLOWLOG LEN",
        "CONFIG SET slowlog-log-slower-than -1",
        "SLOWLOG RESET",
        "PING",
        "SLOWLOG LEN",
        "CONFIG SET slowlog-log-slower-than -2",
        "CONFIG SET slowlog-log-slower-than x",
        "CONFIG SET slowlog-max-len -1",
        "CONFIG GET slowlog-log-slower-than",
    ] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
    }
}

fn pong() -> Value {
    Value::Status("PONG".into())
}

/// The fields of INFO.
fn info(client: &mut Client, section: &str) -> BTreeMap<String, String> {
    let text = client.run(&format!("INFO {section}")).text();
    let lines = text
        .split("\r\n")
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let field = |line: &str| {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("no field: {line}"));
        (name.to_owned(), value.to_owned())
    };
    lines.map(field).collect()
}

fn number(client: &mut Client, section: &str, name: &str) -> i64 {
    info(client, section)[name].parse().unwrap()
}

#[test]
fn keys_expire_without_being_read() {
    let node = Heeler::serve(&["--threads", "2"]);
    let mut client = node.client();
    for i in 0..5000 {
        client.send(
            format!(
                "SET short:{i} v PX {}\r\nSET long:{i} v EX 1000\r\n",
                1 + i % 200
            )
            .as_bytes(),
        );
    }
    (0..10_000).for_each(|_| assert_eq!(client.read_reply(), Value::ok()));
    wait_until("half of the keys expire", || {
        client.run("DBSIZE") == Value::Int(5000)
    });
    let keyspace = &info(&mut client, "keyspace")["db0"];
    assert!(
        keyspace.starts_with("keys=5000,expires=5000,avg_ttl="),
        "{keyspace}"
    );
    assert_eq!(number(&mut client, "stats", "expired_keys"), 5000);
    assert_eq!(client.run("EXISTS long:0 short:0"), Value::Int(1));
}

#[test]
fn a_key_is_gone_the_moment_its_time_is_up() {
    let node = Heeler::serve(&["--threads", "1"]);
    let mut client = node.client();
    for _ in 0..20 {
        assert_eq!(client.run("SET k v PX 30"), Value::ok());
        // Whatever PTTL says, GET must agree with it.
        loop {
            client.send(b"PTTL k\r\nGET k\r\n");
            let (left, value) = (client.read_reply(), client.read_reply());
            match (left, value) {
                (Value::Int(-2), Value::Null) => break,
                (Value::Int(0..=30), Value::Bulk(_)) | (Value::Int(0..=1), Value::Null) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn transactions_of_many_clients_lose_nothing() {
    const CLIENTS: usize = 6;
    const TIMES: usize = 50;
    let node = Heeler::serve(&["--threads", "2"]);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = node.client();
                for _ in 0..TIMES {
                    add_one_by_hand(&mut client);
                    client.run("INCR atomic");
                }
            });
        }
    });
    let total = Value::bulk((CLIENTS * TIMES).to_string());
    assert_eq!(node.client().run("GET byhand"), total);
    assert_eq!(node.client().run("GET twin"), total);
    assert_eq!(node.client().run("GET atomic"), total);
}

/// Reads, adds and writes, until nobody has come between.
fn add_one_by_hand(client: &mut Client) {
    loop {
        assert_eq!(client.run("WATCH byhand twin"), Value::ok());
        let now = match client.run("GET byhand") {
            Value::Null => 0,
            value => value.text().parse::<u64>().unwrap(),
        };
        client.run("MULTI");
        client.run(&format!("SET byhand {}", now + 1));
        client.run("INCR twin");
        match client.run("EXEC") {
            Value::Null => {}
            replies => {
                let both = vec![Value::ok(), Value::Int(now as i64 + 1)];
                return assert_eq!(replies, Value::Array(both));
            }
        }
    }
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let node = Heeler::serve(&["--threads", "2"]);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = node.client();
            for i in 0..500 {
                client.send(format!("MULTI\r\nSET a {i}\r\nSET b {i}\r\nEXEC\r\n").as_bytes());
                (0..4).for_each(|_| drop(client.read_reply()));
            }
        });
        let mut reader = node.client();
        while !writer.is_finished() {
            let Value::Array(both) = reader.run("MGET a b") else {
                panic!("MGET")
            };
            assert_eq!(both[0], both[1]);
        }
    });
}

#[test]
fn clients_are_listed_and_killed() {
    let node = Heeler::serve(&["--threads", "2"]);
    let mut admin = node.client();
    let mut others: Vec<Client> = (0..4).map(|_| node.client()).collect();
    let mut ids = Vec::new();
    for (i, other) in others.iter_mut().enumerate() {
        assert_eq!(other.run(&format!("CLIENT SETNAME other{i}")), Value::ok());
        let Value::Int(id) = other.run("CLIENT ID") else {
            panic!("CLIENT ID")
        };
        ids.push(id);
    }
    let list = admin.run("CLIENT LIST").text();
    assert_eq!(list.lines().count(), 5, "{list}");
    for (i, id) in ids.iter().enumerate() {
        let line = list
            .lines()
            .find(|line| line.contains(&format!(" name=other{i} ")));
        assert!(
            line.unwrap()
                .starts_with(&format!("id={id} addr=127.0.0.1:")),
            "{list}"
        );
    }
    let own = admin.run("CLIENT INFO").text();
    assert!(
        own.contains(&format!(" laddr={} ", node.address())),
        "{own}"
    );
    let some = admin
        .run(&format!("CLIENT LIST ID {} {}", ids[0], ids[2]))
        .text();
    assert_eq!(some.lines().count(), 2, "{some}");

    assert_eq!(
        admin.run(&format!("CLIENT KILL ID {}", ids[0])),
        Value::Int(1)
    );
    assert_eq!(others.remove(0).read_to_close(), b"");
    let line = list
        .lines()
        .find(|line| line.contains("name=other1 "))
        .unwrap();
    let address = line
        .split(' ')
        .find_map(|word| word.strip_prefix("addr="))
        .unwrap();
    assert_eq!(admin.run(&format!("CLIENT KILL {address}")), Value::ok());
    assert_eq!(others.remove(0).read_to_close(), b"");
    let none = Value::Error("ERR No such client".into());
    assert_eq!(admin.run(&format!("CLIENT KILL {address}")), none);
    assert_eq!(admin.run("CLIENT KILL TYPE normal"), Value::Int(2));
    for mut other in others {
        assert_eq!(other.read_to_close(), b"");
    }
    assert_eq!(admin.run("CLIENT LIST").text().lines().count(), 1);
    // Whoever kills itself gets the answer first.
    admin.send(b"CLIENT KILL TYPE normal SKIPME no\r\n");
    assert_eq!(admin.read_to_close(), b":1\r\n");
    assert_eq!(node.client().run("PING"), pong());
}

#[test]
fn info_has_the_fields_of_redis() {
    let (node, redis) = (Heeler::serve(&["--threads", "2"]), RedisServer::start());
    let (mut client, mut direct) = (node.client(), redis.client());
    for client in [&mut client, &mut direct] {
        client.run("SET k v EX 100");
    }
    let [ours, theirs] = [&mut client, &mut direct].map(|client| {
        let fields = info(client, "everything").into_keys();
        fields.collect::<BTreeSet<String>>()
    });
    let own: Vec<_> = ours.difference(&theirs).map(String::as_str).collect();
    assert_eq!(own, ["heeler_role", "heeler_version", "threads"]);
    assert!(ours.len() > 30, "{ours:?}");

    for section in [
        "server",
        "clients",
        "memory",
        "stats",
        "replication",
        "cpu",
        "keyspace",
    ] {
        let fields = info(&mut client, section);
        assert!(
            !fields.is_empty() && fields.len() < ours.len() / 2,
            "{section}: {fields:?}"
        );
    }
    assert_eq!(client.run("INFO nonsense").text(), "");
    assert_eq!(number(&mut client, "clients", "connected_clients"), 1);
    assert_eq!(
        number(&mut client, "server", "tcp_port"),
        i64::from(node.port)
    );
    assert_eq!(
        number(&mut client, "server", "process_id"),
        i64::from(node.process.pid())
    );
    assert!(number(&mut client, "memory", "used_memory") > 100_000);
    let before = number(&mut client, "stats", "total_commands_processed");
    (0..10).for_each(|_| drop(client.run("GET k")));
    assert_eq!(
        number(&mut client, "stats", "total_commands_processed"),
        before + 11
    );
    assert_eq!(number(&mut client, "stats", "keyspace_hits"), 10);
    assert_eq!(client.run("CONFIG RESETSTAT"), Value::ok());
    assert_eq!(number(&mut client, "stats", "total_commands_processed"), 1);
}

#[test]
fn config_get_takes_patterns() {
    let node = Heeler::serve(&["--threads", "2"]);
    let mut client = node.client();
    let mut get = |patterns: &str| {
        let Value::Array(words) = client.run(&format!("CONFIG GET {patterns}")) else {
            panic!("CONFIG GET");
        };
        let pairs = words.chunks(2).map(|pair| (pair[0].text(), pair[1].text()));
        pairs.collect::<BTreeMap<String, String>>()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        get("save appendonly"),
        [pair("appendonly", "no"), pair("save", "")].into()
    );
    assert_eq!(get("PORT"), [pair("port", &node.port.to_string())].into());
    assert_eq!(get("io-thread?"), [pair("io-threads", "2")].into());
    assert!(get("max*").len() >= 3);
    assert!(get("*").len() > 10);
    assert!(get("nonsense").is_empty());
}

#[test]
fn too_many_clients_are_told() {
    let port = free_port();
    let command = format!(
        "ulimit -n 100; exec {} serve --redis 127.0.0.1:{port} --threads 1",
        env!("CARGO_BIN_EXE_heeler")
    );
    let mut node = Process::spawn(
        "sh",
        "nothing: it is part of every system",
        &["-c", &command],
    );
    node.wait_until_serves(port);
    let connect = || Client::connect(("127.0.0.1", port));
    let mut first = connect();
    let most: i64 = info(&mut first, "clients")["maxclients"].parse().unwrap();
    assert!((10..100).contains(&most), "{most}");
    let told = format!("at most {most} clients can be connected at a time");
    wait_until("it says how many it takes, and why", || {
        node.stderr()
            .lines()
            .any(|line| line.contains(&told) && line.contains("ulimit -n"))
    });
    wait_until("only one is there", || {
        number(&mut first, "clients", "connected_clients") == 1
    });
    let mut more: Vec<Client> = (1..most).map(|_| connect()).collect();
    for client in &mut more {
        assert_eq!(client.run("PING"), pong());
    }
    for _ in 0..5 {
        let refused = connect().read_to_close();
        assert_eq!(refused, b"-ERR max number of clients reached\r\n");
    }
    assert_eq!(number(&mut first, "stats", "rejected_connections"), 5);
    drop(more.pop());
    wait_until("there is room again", || {
        connect().try_send(b"").is_ok() && {
            number(&mut first, "clients", "connected_clients") < most
        }
    });
    assert_eq!(connect().run("PING"), pong());
}

#[test]
fn a_stop_ends_with_whole_replies() {
    let node = Heeler::serve(&["--threads", "2"]);
    let mut clients: Vec<Client> = (0..4).map(|_| node.client()).collect();
    let value = "x".repeat(10_000);
    assert_eq!(clients[0].run(&format!("SET big {value}")), Value::ok());
    for client in &mut clients {
        // More than the sockets hold.
        client.send(("PING\r\n".to_owned() + &"GET big\r\n".repeat(3000)).as_bytes());
        assert_eq!(client.read_reply(), pong());
    }
    node.process.signal(Signal::TERM);
    let whole = format!("${}\r\n{value}\r\n", value.len());
    for client in &mut clients {
        let rest = client.read_to_close();
        assert_eq!(rest.len() % whole.len(), 0, "a reply was cut");
        assert!(
            rest.chunks(whole.len())
                .all(|reply| reply == whole.as_bytes())
        );
        assert!(rest.len() > 100 * whole.len(), "{} bytes", rest.len());
    }
    let stopped = node.process.wait();
    assert_eq!(stopped.code, Some(0));
    assert!(
        !stopped.stderr.contains("did not take"),
        "{}",
        stopped.stderr
    );
}

#[test]
fn a_unix_socket_serves_and_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heeler.sock");
    for _ in 0..2 {
        let node = Heeler::spawn(&["serve", "--redis", path.to_str().unwrap()]);
        let mut stream = None;
        wait_until("it listens", || {
            stream = UnixStream::connect(&path).ok();
            stream.is_some()
        });
        let mut stream = stream.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"SET k v\r\nGET k\r\nQUIT\r\n").unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        assert_eq!(all, "+OK\r\n$1\r\nv\r\n+OK\r\n");
        // Killed, it leaves its socket behind; the next one takes its place.
        node.signal(Signal::KILL);
        node.wait();
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    let stopped = Heeler::spawn(&["serve", "--redis", path.to_str().unwrap()]).wait();
    assert_eq!(stopped.code, Some(1));
    assert!(
        stopped.stderr.contains("it is not a socket"),
        "{}",
        stopped.stderr
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn addresses_that_cannot_be_used() {
    let redis = RedisServer::start();
    for (address, code, told) in [
        (redis.address().as_str(), 1, "Address already in use"),
        (
            redis.address().as_str(),
            1,
            "heeler: --redis: cannot listen on",
        ),
        (redis.address().as_str(), 1, "; another program has it"),
        ("192.0.2.1:7000", 1, "; this machine has no such address"),
        ("/no/such/folder/socket", 1, "; create the folder"),
        ("nonsense", 2, "write HOST:PORT"),
        ("127.0.0.1:66000", 2, "'66000' is no port"),
        ("no-such-host.invalid:7000", 1, "no-such-host.invalid:7000"),
    ] {
        let stopped = Heeler::spawn(&["serve", "--redis", address]).wait();
        assert_eq!(stopped.code, Some(code), "{address}: {}", stopped.stderr);
        assert!(
            stopped.stderr.contains(told),
            "{address}: {}",
            stopped.stderr
        );
    }
}

#[test]
fn a_node_that_cannot_say_where_it_is_names_the_flag() {
    for taken in [false, true] {
        let redis = RedisServer::start();
        let (peer, told) = match taken {
            false => ("0.0.0.0:0".to_owned(), "add --advertise HOST:PORT"),
            true => (redis.address(), "; another program has it"),
        };
        let args = ["serve", "--redis", "127.0.0.1:0", "--peer", &peer];
        let stopped = Heeler::spawn(&args).wait();
        assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
        assert!(stopped.stderr.contains(told), "{}", stopped.stderr);
    }
}

#[test]
fn thousands_of_short_connections_leave_nothing_behind() {
    let node = Heeler::serve(&["--threads", "2"]);
    let files = || {
        std::fs::read_dir(format!("/proc/{}/fd", node.process.pid()))
            .unwrap()
            .count()
    };
    let mut stays = node.client();
    assert_eq!(stays.run("PING"), pong());
    wait_until("only one is there", || {
        number(&mut stays, "clients", "connected_clients") == 1
    });
    let before = files();
    thread::scope(|scope| {
        for t in 0..4 {
            let node = &node;
            scope.spawn(move || {
                for i in 0..500 {
                    let mut client = node.client();
                    match i % 4 {
                        0 => assert_eq!(client.run(&format!("SET {t}:{i} v")), Value::ok()),
                        1 => client.send(b"WATCH a b c\r\nMULTI\r\nSET a 1\r\n"),
                        2 => client.send(b"*3\r\n$3\r\nSET\r\n$100\r\n"),
                        _ => {}
                    }
                }
            });
        }
    });
    wait_until("all have been taken", || {
        number(&mut stays, "stats", "total_connections_received") > 2000
    });
    wait_until("they are gone", || {
        number(&mut stays, "clients", "connected_clients") == 1
    });
    wait_until("their files are closed", || files() <= before);
    assert_eq!(stays.run("DBSIZE"), Value::Int(500));
}

#[test]
fn a_client_that_reads_nothing_costs_little_memory() {
    let node = Heeler::serve(&["--threads", "1"]);
    let mut client = node.client();
    let value = vec![b'x'; 1_000_000];
    assert_eq!(client.call(&[b"SET", b"big", &value]), Value::ok());
    let mut deaf = node.client();
    deaf.send("GET big\r\n".repeat(1000).as_bytes());
    let (mut seen, mut steady) = (0, 0);
    wait_until("the node has nothing more to do", || {
        let now = number(&mut client, "stats", "total_net_output_bytes");
        // What this test asks and gets is little.
        steady = if now - seen < 1000 { steady + 1 } else { 0 };
        seen = now;
        steady > 40
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().strip_suffix(" kB").unwrap();
    assert!(peak.parse::<u64>().unwrap() < 100_000, "{peak} KiB");
    let whole = 1_000_000 + "$1000000\r\n\r\n".len();
    for _ in 0..1000 {
        assert_eq!(deaf.read_raw_reply().len(), whole);
    }
}

#[test]
fn the_benchmark_of_redis_runs_through() {
    let node = Heeler::serve(&["--threads", "2"]);
    benchmark_runs(node.port, &[]);
    benchmark_runs(node.port, &["-P", "16", "-r", "1000", "-3"]);
}

#[test]
fn the_lines_of_the_demo_work() {
    let mut demo = Heeler::spawn(&["demo", "--threads", "2"]);
    wait_until("it tells what to type", || demo.stdout().contains("Ctrl-C"));
    let text = demo.stdout();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("redis-cli "))
        .collect();
    let ports: BTreeSet<&str> = lines.iter().map(|l| l.split(' ').nth(2).unwrap()).collect();
    assert_eq!(ports.len(), 4, "{text}");
    for port in ports {
        demo.wait_until_serves(port.parse().unwrap());
    }
    let answers: Vec<String> = lines.iter().map(|line| shell(line)).collect();
    let sizes: Vec<u32> = answers[answers.len() - 3..]
        .iter()
        .map(|size| size.parse().unwrap())
        .collect();
    assert_eq!(
        answers[..answers.len() - 3],
        ["OK", "hello", "OK", "1\n2\n3\n4\n5\n6", "7",]
    );
    assert_eq!(sizes.iter().sum::<u32>(), 7);
    assert!(sizes.iter().all(|&size| size > 0), "{sizes:?}");
    assert_eq!(demo.stop().code, Some(0));
}

/// What a line of a shell prints.
fn shell(line: &str) -> String {
    let out = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(
        out.status.success() && out.stderr.is_empty(),
        "{line}: {out:?}"
    );
    String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn a_level_of_the_log_that_is_none_is_refused_and_an_empty_one_is_info() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let start = |log: &str| {
        let program = env!("CARGO_BIN_EXE_heeler");
        let args = ["serve", "--redis", &address];
        Process::spawn_in(program, "nothing", &args, &[("HEELER_LOG", log)])
    };
    let refused = start("warning").wait();
    assert_eq!(refused.code, Some(1));
    let told = "--log (HEELER_LOG) 'warning': 'warning' is no level";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    assert!(refused.stderr.contains("did you mean warn?"));
    let mut store = start("");
    store.wait_until_serves(port);
    let said = store.stop().stderr;
    assert!(said.contains(" INFO "), "{said}");
}

#[test]
fn what_is_no_request_is_logged_with_its_door_and_its_client() {
    let memcached = free_port();
    let listen = format!("127.0.0.1:{memcached}");
    let heeler = Heeler::serve(&["--threads", "1", "--memcached", &listen]);
    let mut expected = Vec::new();
    for (door, port, bytes, told) in [
        (
            "redis",
            heeler.port,
            &b"*1\r\n$x\r\n"[..],
            "Protocol error: ",
        ),
        ("memcached", memcached, &[0x80; 24], "binary protocol"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let client = stream.local_addr().unwrap();
        stream.write_all(bytes).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
        let names = format!("door=\"{door}\" listen=127.0.0.1:{port} client={client}");
        expected.push((told, names));
    }
    let log = heeler.stop().stderr;
    for (told, names) in expected {
        let is_it = |line: &str| line.contains(told) && line.contains(&names);
        assert!(log.lines().any(is_it), "{names}: {log}");
    }
}

#[test]
fn flags_that_are_about_a_ring_need_a_port_for_it() {
    for flag in [
        "--identity=me",
        "--advertise=127.0.0.1:1",
        "--suspect-period=9",
        "--faulty-period=9",
        "--tombstone-period=9",
        "--hash=fingerprint32",
        "--stats-file=/tmp/none",
        "--stats-udp=127.0.0.1:1",
        "--app=kv",
        "--replicas=2",
    ] {
        let refused = Heeler::spawn(&["serve", flag]).wait();
        assert_eq!(refused.code, Some(2), "{flag}");
        let name = flag.split('=').next().unwrap();
        for named in ["--peer <HOST:PORT>", name] {
            assert!(refused.stderr.contains(named), "{}", refused.stderr);
        }
    }
}

#[test]
fn a_limit_that_leaves_no_room_for_keys_is_warned_of() {
    let start = |most: &str| Heeler::serve(&["--threads", "1", "--maxmemory", most]);
    let small = start("1kb");
    let mut client = small.client();
    assert!(matches!(client.run("SET k v"), Value::Error(e) if e.starts_with("OOM ")));
    let log = small.stop().stderr;
    let told = "WARN --maxmemory 1024 is less than a megabyte, of which the empty store takes ";
    assert!(log.contains(told), "{log}");
    let large = start("1mb");
    let mut client = large.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(client.run("CONFIG SET maxmemory 2kb"), Value::ok());
    let log = large.stop().stderr;
    assert!(!log.contains("--maxmemory"), "{log}");
    assert!(
        log.contains("WARN maxmemory is 2048 bytes from now on, and "),
        "{log}"
    );
}
