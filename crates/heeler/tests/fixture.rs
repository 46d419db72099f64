//! The fixture that other tests stand on, tried on real servers.

mod servers;

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use servers::{Client, Heeler, Memcached, Nutcracker, RedisServer, Value, free_port};

#[test]
fn a_port_is_given_once() {
    let ports: Vec<u16> = (0..200).map(|_| free_port()).collect();
    assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
}

#[test]
fn redis_answers_in_resp2() {
    let redis = RedisServer::start();
    let mut client = redis.client();
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    assert_eq!(client.call(&[b"SET", b"k", b"a\r\n\0b"]), Value::ok());
    assert_eq!(client.run("GET k"), Value::bulk(b"a\r\n\0b"));
    assert_eq!(client.run("GET absent"), Value::Null);
    assert_eq!(client.run("INCR n"), Value::Int(1));
    let values = vec![Value::bulk("1"), Value::Null];
    assert_eq!(client.run("MGET n absent"), Value::Array(values));
    assert!(matches!(client.run("GET"), Value::Error(e) if e.starts_with("ERR wrong number")));
}

#[test]
fn raw_replies_are_cut_where_they_end() {
    let redis = RedisServer::start();
    let mut client = redis.client();
    client.send(b"PING\r\nMSET a 1 b 22\r\nMGET a x b\r\nGET x\r\nCOMMAND GETKEYS GET a\r\n");
    assert_eq!(client.read_raw_reply(), b"+PONG\r\n");
    assert_eq!(client.read_raw_reply(), b"+OK\r\n");
    assert_eq!(
        client.read_raw_reply(),
        b"*3\r\n$1\r\n1\r\n$-1\r\n$2\r\n22\r\n"
    );
    assert_eq!(client.read_raw_reply(), b"$-1\r\n");
    assert_eq!(client.read_raw_reply(), b"*1\r\n$1\r\na\r\n");
    client.send(b"QUIT\r\n");
    assert_eq!(client.read_to_close(), b"+OK\r\n");
}

#[test]
fn redis_answers_in_resp3() {
    let redis = RedisServer::start_with(&["--enable-debug-command", "yes"]);
    let mut client = redis.client();
    let Value::Map(hello) = client.run("HELLO 3") else {
        panic!("HELLO 3 gives a map")
    };
    assert!(hello.contains(&(Value::bulk("proto"), Value::Int(3))));
    assert_eq!(client.run("GET absent"), Value::Null);
    assert_eq!(client.run("DEBUG PROTOCOL true"), Value::Bool(true));
    let double = client.run("DEBUG PROTOCOL double");
    assert!(matches!(double, Value::Double(d) if (3.0..4.0).contains(&d)));
    let set = (0..3).map(Value::Int).collect();
    assert_eq!(client.run("DEBUG PROTOCOL set"), Value::Set(set));
    let big = "1234567999999999999999999999999999999".to_string();
    assert_eq!(client.run("DEBUG PROTOCOL bignum"), Value::Big(big));
    let verbatim = Value::Verbatim("txt".into(), "This is a verbatim\nstring".into());
    assert_eq!(client.run("DEBUG PROTOCOL verbatim"), verbatim);
    // An attribute stands before the reply that it belongs to.
    assert!(matches!(
        client.run("DEBUG PROTOCOL attrib"),
        Value::Bulk(_)
    ));
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
}

#[test]
fn a_stop_returns_the_code_and_the_words() {
    let redis = RedisServer::start();
    let address = redis.address();
    let stopped = redis.process.stop();
    assert_eq!(stopped.code, Some(0));
    assert!(stopped.stdout.contains("Received SIGTERM"), "{stopped:?}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_panic_kills_the_server() {
    let mut address = String::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let redis = RedisServer::start();
        address = redis.address();
        panic!("as a failed assertion does");
    }));
    assert!(panicked.is_err());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_server_that_cannot_start_is_named_with_its_words() {
    let panicked = catch_unwind(|| RedisServer::start_with(&["--no-such-directive", "1"]));
    let message = *panicked.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("redis-server ended with exit status: 1"),
        "{message}"
    );
    assert!(message.contains("no-such-directive"), "{message}");
}

#[test]
fn a_missing_program_says_what_to_install() {
    let package = "the Debian package no-such-package";
    let panicked = catch_unwind(|| servers::Process::spawn("no-such-program", package, &[]));
    let message = *panicked.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.ends_with("install the Debian package no-such-package"),
        "{message}"
    );
}

#[test]
fn nutcracker_carries_requests() {
    let (one, two) = (RedisServer::start(), RedisServer::start());
    let port = free_port();
    let proxy = Nutcracker::start(port, &pool(port, &[&one, &two]));
    spreads(&mut proxy.client(), &[&one, &two]);
}

#[test]
fn memcached_answers() {
    let memcached = Memcached::start();
    let mut stream = TcpStream::connect(memcached.address()).unwrap();
    stream.set_read_timeout(Some(servers::PATIENCE)).unwrap();
    stream.write_all(b"set k 0 0 1\r\nv\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert_eq!(line, "STORED\r\n");
}

#[test]
fn a_client_sees_that_it_was_closed() {
    let redis = RedisServer::start();
    let mut client = Client::connect(redis.address());
    client.send(b"*1\r\n+no bulk\r\n");
    let reply = client.read_raw_reply();
    assert!(
        reply.starts_with(b"-ERR Protocol error"),
        "{}",
        reply.escape_ascii()
    );
    let end = client.try_read_raw_reply().unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn the_program_serves_and_ends_when_told() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let mut client = heeler.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    assert_eq!(client.run("GET k"), Value::bulk("v"));
    let address = heeler.address();
    let stopped = heeler.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_program_that_has_started_has_all_ports_open_and_counts_nobody_else() {
    for _ in 0..10 {
        let other = free_port();
        let address = format!("127.0.0.1:{other}");
        let heeler = Heeler::serve(&["--threads", "2", "--memcached", &address]);
        assert!(TcpStream::connect(&address).is_ok());
        let store = Heeler::serve(&["--threads", "2"]);
        let info = store.client().run("INFO clients").text();
        assert!(info.contains("connected_clients:1\r\n"), "{info}");
        drop(heeler);
    }
}

#[test]
fn the_program_carries_requests() {
    let (one, two) = (RedisServer::start(), RedisServer::start());
    let port = free_port();
    let proxy = Heeler::proxy(port, &pool(port, &[&one, &two]), &["--threads", "1"]);
    spreads(&mut proxy.client(), &[&one, &two]);
    let stopped = proxy.stop();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
}

/// A file with a pool of these servers.
fn pool(port: u16, servers: &[&RedisServer]) -> String {
    let head = format!("listen: 127.0.0.1:{port}\n  redis: true\n  distribution: modula");
    let servers: String = servers
        .iter()
        .map(|s| format!("   - {}:1\n", s.address()))
        .collect();
    format!("pool:\n  {head}\n  servers:\n{servers}")
}

/// Writes a hundred keys and finds some of them on each server.
fn spreads(client: &mut Client, servers: &[&RedisServer]) {
    for key in 0..100 {
        assert_eq!(client.run(&format!("SET {key} v")), Value::ok());
    }
    let sizes: Vec<Value> = servers.iter().map(|s| s.client().run("DBSIZE")).collect();
    let keys = |size: &Value| match size {
        Value::Int(keys) => *keys,
        other => panic!("{other:?}"),
    };
    assert_eq!(sizes.iter().map(keys).sum::<i64>(), 100);
    assert!(sizes.iter().all(|size| keys(size) > 0), "{sizes:?}");
}
