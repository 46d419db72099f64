//! Clients that wait for each other: what they get is what they get from a real redis-server.
//!
//! A scene is told in lines, and played at redis-server and at `heeler serve` with two threads:
//!
//! ```text
//! 1 BLPOP k 0      connection 1 sends a command, and gets its reply later
//! waiting 1        until so many connections are blocked
//! 2: RPUSH k a     connection 2 sends a command and reads the reply
//! 1?               connection 1 reads a reply
//! 1 leaves         connection 1 is closed
//! ```

mod servers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use servers::{Client, Heeler, RedisServer, Value, request, wait_until};

/// Plays a scene; what was read, line by line.
fn play(port: u16, scene: &str) -> Vec<String> {
    let mut heard = Vec::new();
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    let mut asker = Client::connect(("127.0.0.1", port));
    assert_eq!(asker.run("FLUSHALL"), Value::ok());
    for line in scene.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (who, what) = line.split_once(' ').unwrap_or((line, ""));
        if who == "waiting" {
            let wanted = format!("blocked_clients:{what}\r\n");
            wait_until(line, || info(&mut asker).contains(&wanted));
            continue;
        }
        let name = who.trim_end_matches([':', '?']).to_owned();
        if what == "leaves" {
            clients.remove(&name);
            continue;
        }
        let client = clients
            .entry(name)
            .or_insert_with(|| Client::connect(("127.0.0.1", port)));
        if !what.is_empty() {
            let words: Vec<&[u8]> = what.split(' ').map(str::as_bytes).collect();
            client.send(&request(&words));
        }
        if who.ends_with([':', '?']) {
            let reply = client.read_raw_reply();
            heard.push(format!("{line}  {}", reply.escape_ascii()));
        }
    }
    heard
}

fn info(client: &mut Client) -> String {
    client.send(&request(&[b"INFO", b"clients"]));
    String::from_utf8_lossy(&client.read_raw_reply()).into_owned()
}

/// What comes of a scene is the same at both.
fn compare(scene: &str) {
    let redis = RedisServer::start();
    let expected = play(redis.port, scene);
    for threads in ["1", "2", "3"] {
        let heeler = Heeler::serve(&["--threads", threads]);
        assert_eq!(play(heeler.port, scene), expected, "{threads} threads");
    }
}

#[test]
fn one_who_waits_gets_what_a_push_leaves() {
    compare(
        "1 BLPOP a b 0
         waiting 1
         2: LPUSH b 1 2 3
         1?
         2: LRANGE b 0 -1
         1 BRPOP a b c 0
         1?
         1 BRPOP c 0
         waiting 1
         2: RPUSH c x
         1?
         2: EXISTS c
         1 BLMPOP 0 2 a c RIGHT COUNT 2
         waiting 1
         2: RPUSH c x y z
         1?
         2: LRANGE c 0 -1",
    );
}

#[test]
fn who_waits_in_a_database_is_served_there() {
    compare(
        "1: SELECT 1
         1 BLPOP k l 0
         waiting 1
         2: RPUSH k zero
         2: MOVE k 1
         1?
         3: SELECT 2
         3 BLMOVE a b LEFT RIGHT 0
         waiting 1
         4: SELECT 2
         4 BRPOP b 0
         waiting 2
         2: RPUSH a x y
         2: SWAPDB 2 0
         4?
         3?
         waiting 0
         4: LRANGE a 0 -1
         2: DBSIZE
         1 BLPOP k 0
         waiting 1
         3: SELECT 1
         3 BLMOVE k c RIGHT RIGHT 0
         waiting 2
         4: COPY a k DB 1
         1?
         waiting 1
         4: MULTI
         4: MOVE a 1
         4: SELECT 1
         4: RENAME a k
         4: SELECT 3
         4: EXEC
         3?
         4: DBSIZE
         2: SWAPDB 1 3
         4: KEYS *
         4: LRANGE c 0 -1",
    );
}

#[test]
fn who_came_first_is_served_first() {
    compare(
        "1 BLPOP k 0
         waiting 1
         2 BLPOP k other 0
         waiting 2
         3 BRPOP k 0
         waiting 3
         4: RPUSH k a b
         1?
         2?
         waiting 1
         4: EXISTS k
         4: RPUSH k c
         3?
         waiting 0",
    );
}

#[test]
fn an_element_is_handed_on_to_who_waits_for_it() {
    compare(
        "1 BLMOVE a b LEFT RIGHT 0
         waiting 1
         2 BRPOPLPUSH b c 0
         waiting 2
         3 BLPOP c 0
         waiting 3
         4: RPUSH a x
         1?
         2?
         3?
         4: EXISTS a b c
         1 BLMOVE a a LEFT RIGHT 0
         waiting 1
         4: RPUSH a x y
         1?
         4: LRANGE a 0 -1",
    );
}

#[test]
fn a_destination_of_another_type_is_an_error_to_who_waits() {
    compare(
        "1 BLMOVE a t LEFT RIGHT 0
         waiting 1
         4: SET t v
         4: RPUSH a x
         1?
         4: LRANGE a 0 -1
         4: GET t",
    );
}

#[test]
fn sorted_sets_are_waited_for_too() {
    compare(
        "1 BZPOPMIN a z 0
         waiting 1
         2 BZPOPMAX z 0
         waiting 2
         3 BZMPOP 0 2 b z MAX COUNT 10
         waiting 3
         4: ZADD z 1 x 2.5 y 3 w 4 v
         1?
         2?
         3?
         waiting 0
         4: EXISTS z
         1 BZPOPMIN z 0
         waiting 1
         4: ZUNIONSTORE z 1 none
         4: ZADD other 5 o
         4: ZUNIONSTORE z 1 other
         1?",
    );
}

#[test]
fn only_what_fits_ends_the_waiting() {
    compare(
        "1 BLPOP k 0
         waiting 1
         2 BZPOPMIN k 0
         waiting 2
         3: SET k v
         3: DEL k
         3: HSET k f v
         3: DEL k
         3: SADD k a
         3: RENAME k elsewhere
         waiting 2
         3: ZADD k 1 a
         2?
         3: EXISTS k
         waiting 1
         3: RPUSH k a
         1?",
    );
}

#[test]
fn whatever_makes_a_list_serves_it() {
    compare(
        "9: RPUSH src c b a
         9: HSET h f v
         1 BLPOP k 0
         waiting 1
         9: COPY src k
         1?
         9: DEL k
         1 BLPOP k 0
         waiting 1
         9: SORT src ALPHA STORE k
         1?
         9: DEL k
         1 BLPOP k 0
         waiting 1
         9: RENAME src k
         1?
         9: LMOVE k src LEFT LEFT
         1 BLPOP k k2 0
         1?
         1 BLPOP k k2 0
         waiting 1
         9: RPOPLPUSH src k2
         1?
         1 BLPOP k 0
         waiting 1
         9: LPUSHX k a
         9: SET k v
         9: DEL k
         9: RPUSH k end
         1?",
    );
}

#[test]
fn a_transaction_serves_at_its_end() {
    compare(
        "1 BLPOP k 0
         waiting 1
         2: MULTI
         2: RPUSH k a
         2: RPUSH k b
         2: LPOP k
         2: LLEN k
         2: EXEC
         1?
         2: EXISTS k
         1 BLPOP k 0
         waiting 1
         2: MULTI
         2: RPUSH k a
         2: DEL k
         2: EXEC
         waiting 1
         2: RPUSH k c
         1?
         1 BLPOP first second 0
         waiting 1
         2: MULTI
         2: RPUSH second s
         2: RPUSH first f
         2: EXEC
         1?
         2: EXISTS first second",
    );
}

#[test]
fn what_is_sent_behind_it_waits() {
    compare(
        "1 BLPOP k 0
         1 SET after 1
         1 GET after
         waiting 1
         2: GET after
         2: RPUSH k a
         1?
         1?
         1?",
    );
}

#[test]
fn who_has_gone_is_not_served() {
    compare(
        "1 BLPOP k 0
         waiting 1
         2 BLPOP k j 0
         waiting 2
         3 BLMOVE k j LEFT LEFT 0
         waiting 3
         1 leaves
         waiting 2
         2 leaves
         waiting 1
         3 leaves
         waiting 0
         4: RPUSH k a
         4: LRANGE k 0 -1",
    );
}

#[test]
fn an_ended_wait_leaves_its_place() {
    compare(
        "1 BLPOP k 0.02
         1?
         1 BLMOVE k j LEFT LEFT 0.02
         1?
         1 BZMPOP 0.02 1 k MIN
         1?
         2: RPUSH k a b
         2: LRANGE k 0 -1
         1 WAIT 1 10
         1?
         1: LPOP k",
    );
}

#[test]
fn a_client_is_unblocked_by_another() {
    for port_of in [
        || Server::Redis(RedisServer::start()),
        || Server::Heeler(Heeler::serve(&["--threads", "2"])),
    ] {
        let server = port_of();
        let port = server.port();
        let mut first = Client::connect(("127.0.0.1", port));
        let mut second = Client::connect(("127.0.0.1", port));
        let Value::Int(id) = first.run("CLIENT ID") else {
            panic!("an id");
        };
        for (how, expected) in [
            ("", "*-1\\r\\n"),
            ("TIMEOUT", "*-1\\r\\n"),
            (
                "ERROR",
                "-UNBLOCKED client unblocked via CLIENT UNBLOCK\\r\\n",
            ),
        ] {
            first.send(&request(&[b"BLPOP", b"k", b"0"]));
            let command = format!("CLIENT UNBLOCK {id} {how}");
            wait_until("unblocked", || second.run(&command) == Value::Int(1));
            assert_eq!(first.read_raw_reply().escape_ascii().to_string(), expected);
            assert_eq!(second.run(&command), Value::Int(0));
        }
        assert_eq!(second.run("RPUSH k a"), Value::Int(1));
        assert_eq!(second.run("LLEN k"), Value::Int(1));
    }
}

enum Server {
    Redis(RedisServer),
    Heeler(Heeler),
}

impl Server {
    fn port(&self) -> u16 {
        match self {
            Server::Redis(redis) => redis.port,
            Server::Heeler(heeler) => heeler.port,
        }
    }
}

#[test]
fn a_pause_holds_commands_back_until_it_is_over_or_ended() {
    let heeler = Heeler::serve(&["--threads", "2"]);
    let mut first = Client::connect(("127.0.0.1", heeler.port));
    let mut second = Client::connect(("127.0.0.1", heeler.port));
    assert_eq!(first.run("CLIENT PAUSE 100000 WRITE"), Value::ok());
    second.send(&request(&[b"SET", b"k", b"v"]));
    second.send(&request(&[b"GET", b"k"]));
    assert_eq!(first.run("GET k"), Value::Null);
    assert_eq!(first.run("MULTI"), Value::ok());
    assert_eq!(first.run("GET k"), Value::Status("QUEUED".into()));
    assert_eq!(first.run("EXEC"), Value::Array(vec![Value::Null]));
    assert_eq!(first.run("CLIENT UNPAUSE"), Value::ok());
    assert_eq!(second.read_reply(), Value::ok());
    assert_eq!(second.read_reply(), Value::bulk("v"));
    let began = Instant::now();
    assert_eq!(first.run("CLIENT PAUSE 50"), Value::ok());
    assert_eq!(first.run("PING"), Value::Status("PONG".into()));
    assert!(began.elapsed() >= Duration::from_millis(49));
}

/// Many producers and consumers on all threads: every element arrives once.
#[test]
fn no_element_is_lost_or_doubled() {
    const EACH: usize = 500;
    let heeler = Heeler::serve(&["--threads", "3"]);
    let port = heeler.port;
    let consumers: Vec<_> = (0..8)
        .map(|i| {
            std::thread::spawn(move || {
                let mut client = Client::connect(("127.0.0.1", port));
                let mut got = Vec::new();
                loop {
                    let command = match i % 4 {
                        0 => "BLPOP a b 0",
                        1 => "BRPOP b a 0",
                        2 => "BLMPOP 0 2 b a LEFT",
                        _ => "BLMOVE a c LEFT RIGHT 0",
                    };
                    let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
                    client.send(&request(&words));
                    let text = client.read_raw_reply().escape_ascii().to_string();
                    if text.contains("stop") {
                        return got;
                    }
                    got.push(text);
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..3)
        .map(|i| {
            std::thread::spawn(move || {
                let mut client = Client::connect(("127.0.0.1", port));
                for n in 0..EACH {
                    let key = ["a", "b"][(n + i) % 2];
                    client.run(&format!("RPUSH {key} <{i}-{n}>"));
                }
            })
        })
        .collect();
    producers.into_iter().for_each(|p| p.join().unwrap());
    let mut client = Client::connect(("127.0.0.1", port));
    wait_until("all is taken", || client.run("EXISTS a b") == Value::Int(0));
    for _ in &consumers {
        client.run("RPUSH a stop");
    }
    let mut all: Vec<String> = consumers
        .into_iter()
        .flat_map(|c| c.join().unwrap())
        .map(|text| text[text.find('<').unwrap()..=text.find('>').unwrap()].to_owned())
        .collect();
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!((all.len(), count), (3 * EACH, 3 * EACH));
}

#[test]
fn debug_answers_where_it_is_allowed() {
    let redis = RedisServer::start_with(&["--enable-debug-command", "local"]);
    let heeler = Heeler::serve(&["--threads", "2", "--enable-debug-command", "local"]);
    let scene = "
        1: SET k v
        1: DEBUG SLEEP 0.02
        1: DEBUG SLEEP 0
        1: DEBUG OBJECT none
        1: DEBUG SET-ACTIVE-EXPIRE 0
        1: SET soon v PX 1
        1: DEBUG SLEEP 0.3
        1: DBSIZE
        1: GET soon
        1: DBSIZE
        1: DEBUG SET-ACTIVE-EXPIRE 1
        1: DEBUG SLEEP
        1: DEBUG NOSUCH
        1: MULTI
        1: DEBUG SLEEP 0
        1: EXEC";
    assert_eq!(play(heeler.port, scene), play(redis.port, scene));
    for port in [redis.port, heeler.port] {
        let mut client = Client::connect(("127.0.0.1", port));
        client.run("RPUSH l a b c");
        let told = client.run("DEBUG OBJECT l").text();
        let parts = [
            "Value at:0x",
            " refcount:1 encoding:quicklist serializedlength:",
            " lru_seconds_idle:0",
        ];
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
}
