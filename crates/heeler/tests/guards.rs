//! Who may come in at the doors of `heeler serve`: passwords, and TLS with certificates on either
//! side.

mod servers;

#[allow(dead_code, reason = "other test files use the rest of it")]
#[path = "tls/authority.rs"]
mod authority;

use std::fs;
use std::process::{Command, Stdio};

use authority::Authority;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use servers::{Client, Heeler, RedisServer, Value, free_port, wait_until};
use tempfile::TempDir;

/// A store with all doors.
struct Store {
    heeler: Heeler,
    memcached: u16,
    http: u16,
    dir: TempDir,
}

impl Store {
    fn start(args: &[&str]) -> Store {
        let (memcached, http) = (free_port(), free_port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let (first, second) = (at(memcached), at(http));
        let mut all = vec!["--threads", "1", "--memcached", &first, "--http", &second];
        all.extend(args);
        Store {
            heeler: Heeler::serve(&all),
            memcached,
            http,
            dir: TempDir::new().unwrap(),
        }
    }

    fn memcached(&self) -> Client {
        Client::connect(("127.0.0.1", self.memcached))
    }

    /// The status of an answer over HTTP.
    fn http(&self, authorization: &str) -> String {
        let mut client = Client::connect(("127.0.0.1", self.http));
        let head = "GET /v1/keys/absent HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
        client.send(format!("{head}{authorization}\r\n").as_bytes());
        let answer = String::from_utf8(client.read_to_close()).unwrap();
        answer.split(' ').nth(1).unwrap().into()
    }
}

/// A store with the password `secret`, which stands in a file.
fn guarded() -> Store {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, "secret\n").unwrap();
    let store = Store::start(&["--requirepass-file", file.to_str().unwrap()]);
    Store { dir, ..store }
}

#[test]
fn redis_clients_are_answered_as_a_redis_with_a_password_answers() {
    let store = guarded();
    let redis = RedisServer::start_with(&["--requirepass", "secret"]);
    let (mut ours, mut theirs) = (store.heeler.client(), redis.client());
    for line in [
        "GET a",
        "PING",
        "NOSUCH",
        "MULTI",
        "CONFIG GET requirepass",
        "HELLO 3",
        "AUTH wrong",
        "AUTH default wrong",
        "AUTH somebody secret",
        "AUTH",
        "AUTH a b c",
        "GET a",
        "AUTH secret",
        "SET a 1",
        "CONFIG GET requirepass",
        "RESET",
        "GET a",
        "AUTH default secret",
        "GET a",
        "AUTH wrong",
        "GET a",
        "CONFIG SET requirepass another",
        "GET a",
        "RESET",
        "AUTH secret",
        "AUTH another",
        "CONFIG SET requirepass \u{fffd}",
        "CONFIG GET requirepass",
        "AUTH \u{fffd}",
    ] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
    }
    let empty: [&[u8]; 4] = [b"CONFIG", b"SET", b"requirepass", b""];
    assert_eq!(ours.call(&empty), theirs.call(&empty));
    for line in ["RESET", "GET a", "AUTH x", "AUTH default x", "AUTH other x"] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
    }
    let (mut ours, mut theirs) = (store.heeler.client(), redis.client());
    assert_eq!(ours.run("GET a"), theirs.run("GET a"));
    // Who is in stays in.
    for client in [&mut ours, &mut theirs] {
        client.run("CONFIG SET requirepass again");
        assert_eq!(client.run("GET a"), Value::bulk("1"));
    }
    let (mut ours, mut theirs) = (store.heeler.client(), redis.client());
    for line in [
        "GET a",
        "HELLO 2 AUTH default wrong",
        "HELLO 2 AUTH default again",
        "GET a",
    ] {
        let (own, real) = (ours.run(line), theirs.run(line));
        let is_map = |value: &Value| matches!(value, Value::Array(_) | Value::Map(_));
        assert!(
            own == real || is_map(&own) && is_map(&real),
            "{line}: {own:?} {real:?}"
        );
    }
}

#[test]
fn memcacheds_clients_say_the_password_as_to_a_memcached_with_an_auth_file() {
    let store = guarded();
    let mut client = store.memcached();
    let mut ask = |request: &str| {
        client.send(request.as_bytes());
        String::from_utf8(client.read_until(b"\r\n")).unwrap()
    };
    let strange = "CLIENT_ERROR unauthenticated";
    for (request, answer) in [
        ("get a\r\n", strange),
        ("version\r\n", strange),
        ("mn\r\n", strange),
        ("stats\r\n", strange),
        ("nonsense\r\n", strange),
        ("add x 0 0 14\r\ndefault secret\r\n", strange),
        (
            "set x 0 0 6\r\nsecret\r\n",
            "CLIENT_ERROR bad authentication token format",
        ),
        (
            "set x 0 0 13\r\ndefault wrong\r\n",
            "CLIENT_ERROR authentication failure",
        ),
        (
            "set x 0 0 10\r\nbob secret\r\n",
            "CLIENT_ERROR authentication failure",
        ),
        ("get a\r\n", strange),
        ("set x 0 0 14 noreply\r\ndefault secret\r\n", "STORED"),
        ("get x\r\n", "END"),
        ("set x 0 0 14\r\ndefault secret\r\n", "STORED"),
        ("delete x\r\n", "DELETED"),
    ] {
        assert_eq!(ask(request), answer, "{request}");
    }
    client.send(b"stats\r\n");
    let stats = String::from_utf8(client.read_until(b"END\r\n")).unwrap();
    assert!(stats.contains("STAT auth_cmds 4\r\n"), "{stats}");
    assert!(stats.contains("STAT auth_errors 3\r\n"), "{stats}");
}

#[test]
fn http_clients_give_the_password_too() {
    let store = guarded();
    let basic = |pair: &str| format!("Authorization: Basic {}\r\n", STANDARD.encode(pair));
    assert_eq!(store.http(""), "401");
    assert_eq!(store.http(&basic("default:wrong")), "401");
    assert_eq!(store.http(&basic("default:secret")), "404");
}

#[test]
fn a_changed_file_is_another_password() {
    let store = guarded();
    let file = store.dir.path().join("password");
    let mut inside = store.heeler.client();
    assert_eq!(inside.run("AUTH secret"), Value::ok());
    fs::write(&file, "renewed").unwrap();
    wait_until("the new password is asked for", || {
        store.heeler.client().run("AUTH renewed") == Value::ok()
    });
    assert_eq!(inside.run("PING"), Value::Status("PONG".into()));
    fs::write(&file, "").unwrap();
    wait_until("the empty file is told of", || {
        store
            .heeler
            .process
            .stderr()
            .contains("the old password stays")
    });
    assert_eq!(store.heeler.client().run("AUTH renewed"), Value::ok());
    let log = store.heeler.process.stderr();
    assert!(!log.contains("renewed") && !log.contains("secret"), "{log}");
}

#[test]
fn a_password_that_cannot_be_had_is_told_at_the_start() {
    for (args, told) in [
        (
            ["--requirepass-file", "/nowhere"],
            "password file /nowhere: cannot read it",
        ),
        (
            ["--requirepass-env", "NO_SUCH_NAME"],
            "NO_SUCH_NAME is not set",
        ),
    ] {
        let stopped = Heeler::spawn(&["serve", "--redis", "127.0.0.1:0", args[0], args[1]]).wait();
        assert_eq!(stopped.code, Some(1), "{stopped:?}");
        assert!(stopped.stderr.contains(told), "{stopped:?}");
    }
}

/// The flags of a certificate for this machine.
fn tls(authority: &Authority) -> Vec<String> {
    let pair = authority.sign("node", &["127.0.0.1", "localhost"]);
    let [cert, key] = pair.paths();
    ["--tls-cert", cert, "--tls-key", key]
        .map(str::to_owned)
        .into()
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn every_door_speaks_tls() {
    let authority = Authority::new();
    let store = Store::start(&words(&tls(&authority)));
    let ca = authority.ca();
    let port = store.heeler.port.to_string();
    let cli = Command::new("redis-cli")
        .args(["-p", &port, "--tls", "--cacert", &ca, "SET", "a", "1"])
        .output()
        .expect("install the Debian package redis-tools");
    assert_eq!(String::from_utf8_lossy(&cli.stdout), "OK\n");
    // A TLS client that knows nothing of memcached.
    let mut s_client = Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-CAfile", &ca])
        .args(["-connect", &format!("127.0.0.1:{}", store.memcached)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("install the Debian package openssl");
    let asks = std::io::Write::write_all(s_client.stdin.as_mut().unwrap(), b"get a\r\nquit\r\n");
    asks.unwrap();
    let answer = s_client.wait_with_output().unwrap().stdout;
    assert_eq!(
        String::from_utf8_lossy(&answer),
        "VALUE a 0 1\r\n1\r\nEND\r\n"
    );
    let config = authority.client(None);
    let at = ("127.0.0.1", store.http);
    let mut https = Client::over_tls(at, &config, "localhost").unwrap();
    https.send(b"GET /v1/keys/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = String::from_utf8(https.read_to_close()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // In plain nobody gets anything.
    for port in [store.heeler.port, store.memcached] {
        let mut plain = Client::connect(("127.0.0.1", port));
        plain.send(b"version\r\n");
        let answer = plain.read_to_close();
        assert!(
            !answer.windows(7).any(|w| w == b"VERSION"),
            "{}",
            answer.escape_ascii()
        );
    }
}

#[test]
fn only_the_doors_that_are_named_speak_tls() {
    let authority = Authority::new();
    let mut args = tls(&authority);
    args.extend(["--tls-doors", "memcached,http"].map(str::to_owned));
    let store = Store::start(&words(&args));
    assert_eq!(store.heeler.client().run("SET a 1"), Value::ok());
    let config = authority.client(None);
    for port in [store.memcached, store.http] {
        assert!(Client::over_tls(("127.0.0.1", port), &config, "localhost").is_ok());
    }
}

#[test]
fn clients_without_a_certificate_are_turned_away_where_they_need_one() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (mode, stranger, without) in [("yes", false, false), ("optional", false, true)] {
        let mut args = tls(&authority);
        let ca = authority.ca();
        args.extend(["--tls-ca", &ca, "--tls-auth-clients", mode].map(str::to_owned));
        let store = Store::start(&words(&args));
        let own = authority.sign("client", &["client"]);
        let strange = other.sign("client", &["client"]);
        let trusting = |pair: Option<&authority::Pair>| authority.client(pair);
        for (shown, comes_in) in [
            (Some(&own), true),
            (Some(&strange), stranger),
            (None, without),
        ] {
            for (port, request, answer) in [
                (store.heeler.port, &b"PING\r\n"[..], &b"+PONG\r\n"[..]),
                (store.memcached, b"mn\r\n", b"MN\r\n"),
            ] {
                let at = ("127.0.0.1", port);
                let client = Client::over_tls(at, &trusting(shown), "localhost");
                let came_in = client.is_ok_and(|mut client| {
                    let sent = client.try_send(request).is_ok();
                    sent && client.try_read_raw_line().is_ok_and(|line| line == answer)
                });
                assert_eq!(came_in, comes_in, "{mode} {shown:?}");
            }
        }
    }
    let certificate = tls(&authority);
    let args = [
        &["serve", "--tls-auth-clients", "yes"][..],
        &words(&certificate),
    ]
    .concat();
    let stopped = Heeler::spawn(&args).wait();
    assert!(stopped.stderr.contains("--tls-ca"), "{stopped:?}");
}

#[test]
fn a_renewed_certificate_is_shown_to_those_who_come() {
    let authority = Authority::new();
    let pair = authority.sign("node", &["localhost"]);
    let [cert, key] = pair.paths();
    let store = Store::start(&["--tls-cert", cert, "--tls-key", key]);
    let config = authority.client(None);
    let shown = |port: u16| {
        let mut client = Client::over_tls(("127.0.0.1", port), &config, "localhost").unwrap();
        let chain = client.tls().peer_certificates().unwrap();
        chain[0].to_vec()
    };
    let at = ("127.0.0.1", store.heeler.port);
    let mut before = Client::over_tls(at, &config, "localhost").unwrap();
    let old = shown(store.memcached);
    authority.sign("node", &["localhost"]);
    for port in [store.heeler.port, store.memcached, store.http] {
        wait_until("the new certificate is shown", || shown(port) != old);
    }
    assert_eq!(before.run("PING"), Value::Status("PONG".into()));
    fs::write(cert, "nonsense").unwrap();
    wait_until("the bad file is told of", || {
        store
            .heeler
            .process
            .stderr()
            .contains("the old certificate stays")
    });
    assert_ne!(shown(store.heeler.port), old);
}

/// Of a client that has still to say the password little is kept, however much it announces.
#[test]
fn strangers_announce_little() {
    let store = guarded();
    let redis = RedisServer::start_with(&["--requirepass", "secret"]);
    // What is taken goes on so, and is answered as a stranger is.
    let text = "x".repeat(16_384) + "\r\n";
    let words = "$4\r\nPING\r\n".repeat(9);
    for (bytes, goes_on) in [
        ("*11\r\n", None),
        ("*2147483647\r\n", None),
        ("*10\r\n$4\r\nPING\r\n", Some(words.clone())),
        ("*1\r\n$16385\r\n", None),
        ("*2\r\n$4\r\nECHO\r\n$100000000\r\n", None),
        ("*2\r\n$4\r\nECHO\r\n$16384\r\n", Some(text)),
        (
            "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*2\r\n$4\r\nECHO\r\n$100000\r\n",
            Some("x".repeat(100_000) + "\r\n"),
        ),
        (
            "*2\r\n$4\r\nAUTH\r\n$5\r\nwrong\r\n*2\r\n$4\r\nECHO\r\n$100000\r\n",
            None,
        ),
        (
            "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*12\r\n$4\r\nPING\r\n",
            Some(words + "$4\r\nPING\r\n$4\r\nPING\r\n"),
        ),
    ] {
        let told = |mut client: Client| {
            client.send(bytes.as_bytes());
            if let Some(more) = &goes_on {
                client.send((more.clone() + "QUIT\r\n").as_bytes());
            }
            String::from_utf8(client.read_to_close()).unwrap()
        };
        let ours = told(store.heeler.client());
        assert_eq!(ours, told(redis.client()), "{bytes:?}");
        assert_eq!(ours.ends_with("+OK\r\n"), goes_on.is_some(), "{bytes:?}");
    }
}

/// A page in a browser may send here what it likes: its lines are not taken for commands.
#[test]
fn http_is_hung_up_on() {
    let (heeler, redis) = (Heeler::serve(&["--threads", "1"]), RedisServer::start());
    for bytes in [
        "POST / HTTP/1.1\r\nHost: h\r\n\r\nSET a 1\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nSET a 1\r\n",
        "PING\r\npost\r\nSET a 1\r\n",
        "*1\r\n$5\r\nHOST:\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n",
    ] {
        for (mut client, mut other) in [
            (heeler.client(), heeler.client()),
            (redis.client(), redis.client()),
        ] {
            client.send(bytes.as_bytes());
            let told = client.read_to_close();
            // Of replies to what came before, Redis drops those that it has not written.
            assert!(told.len() < 60, "{}", told.escape_ascii());
            assert_eq!(other.run("GET a"), Value::Null, "{bytes:?}");
        }
    }
}

#[test]
fn ports_that_others_reach_without_a_password_or_a_certificate_are_warned_of() {
    let authority = Authority::new();
    let (pair, ca) = (authority.sign("node", &["127.0.0.1"]), authority.ca());
    let [cert, key] = pair.paths();
    let folder = TempDir::new().expect("a folder");
    let word = folder.path().join("password");
    fs::write(&word, "secret").expect("it is written");
    let word = word.to_str().expect("a path");
    let nodes = "the port between nodes, can be reached from other machines";
    // No address of this machine: nothing is opened, and the process ends at once.
    let elsewhere = ["--peer", "192.0.2.1:7000", "--requirepass-file", word];
    let tls = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", &ca];
    for (args, warned) in [
        (elsewhere.to_vec(), true),
        ([&elsewhere[..], &tls].concat(), false),
        (
            vec!["--peer", "127.0.0.1:0", "--admin", "192.0.2.1:7000"],
            false,
        ),
    ] {
        let args = [&["serve", "--redis", "127.0.0.1:0"], &args[..]].concat();
        let stopped = Heeler::spawn(&args).wait();
        assert_eq!(stopped.code, Some(1), "{}", stopped.stderr);
        assert_eq!(stopped.stderr.contains(nodes), warned, "{}", stopped.stderr);
    }
}
