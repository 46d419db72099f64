//! Requests of a great many words, beside a real redis-server: what bounds them is their length in
//! bytes, not how many words they announce.

mod servers;

use servers::{Client, Cluster, Heeler, RedisServer, Value, free_port, pool, wait_until};

/// More than Redis took before 7.0.
const MANY: usize = 1024 * 1024 + 10;

/// A request with so many words behind the first ones.
fn long(first: &[&[u8]], word: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", first.len() + count).into_bytes();
    let words = first
        .iter()
        .copied()
        .chain(std::iter::repeat_n(word, count));
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

fn ask(client: &mut Client, bytes: &[u8]) -> Value {
    client.send(bytes);
    Value::parse(&client.read_raw_reply())
}

/// What is answered to requests of many words.
fn answers(client: &mut Client) -> Vec<Value> {
    let mut found = vec![
        ask(client, &long(&[b"RPUSH", b"list"], b"x", MANY)),
        client.run("LINDEX list -1"),
        ask(client, &long(&[b"DEL"], b"list", MANY)),
        // An odd number of words.
        ask(client, &long(&[b"MSET"], b"k", MANY + 1)),
        ask(client, &long(&[b"GET"], b"k", MANY)),
        ask(client, &long(&[b"PING"], b"", MANY)),
    ];
    client.run("MULTI");
    found.push(ask(client, &long(&[b"HDEL", b"absent"], b"k", MANY)));
    found.push(client.run("EXEC"));
    found
}

#[test]
fn many_words_are_taken_as_redis_takes_them() {
    let (heeler, redis) = (Heeler::serve(&["--threads", "2"]), RedisServer::start());
    let (ours, theirs) = (answers(&mut heeler.client()), answers(&mut redis.client()));
    assert_eq!(ours[0], Value::Int(MANY as i64));
    assert_eq!(ours, theirs);
}

#[test]
fn many_words_for_another_node_go_there() {
    let ring = Cluster::start(2, &["--num-partitions", "1"]);
    let mut client = ring.node(1 - ring.owner("any")).client();
    // The owner is the first to look at the options.
    let told = ask(&mut client, &long(&[b"SET", b"k", b"v"], b"x", MANY));
    assert_eq!(told, Value::Error("ERR syntax error".into()));
    let told = ask(&mut client, &long(&[b"HDEL", b"absent"], b"x", MANY));
    assert_eq!(told, Value::Int(0));
}

/// An older server would close the connection that all clients share.
#[test]
fn a_proxy_passes_on_what_any_redis_takes() {
    let redis = RedisServer::start();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let file = pool("pool", &listen, &["redis: true"], &[redis.address()]);
    let proxy = Heeler::proxy(port, &file, &[]);
    let mut client = proxy.client();
    let told = ask(
        &mut client,
        &long(&[b"RPUSH", b"list"], b"x", 1024 * 1024 - 2),
    );
    assert_eq!(told, Value::Int(1024 * 1024 - 2));
    client.send(b"*1048577\r\n");
    let told = String::from_utf8(client.read_to_close()).unwrap();
    assert_eq!(told, "-ERR Protocol error: invalid multibulk length\r\n");
}

#[test]
fn the_length_of_a_request_bounds_its_words() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let (mut client, mut other) = (heeler.client(), heeler.client());
    client.run("CONFIG SET client-query-buffer-limit 1mb");
    let told = ask(&mut other, &long(&[b"RPUSH", b"list"], b"", 150_000));
    assert_eq!(told, Value::Int(150_000));
    // It may be closed while it sends.
    let _ = other.try_send(&long(&[b"RPUSH", b"list"], b"", MANY));
    let _ = other.try_read_to_close();
    assert_eq!(client.run("LLEN list"), Value::Int(150_000));
    wait_until("it is closed", || {
        client.run("CLIENT LIST").text().lines().count() == 1
    });
}

/// What the places of words take counts among what a connection takes, and is given back.
#[test]
fn words_that_have_come_are_counted_and_then_forgotten() {
    let heeler = Heeler::serve(&["--threads", "1"]);
    let (mut client, mut other) = (heeler.client(), heeler.client());
    let Value::Int(id) = other.run("CLIENT ID") else {
        panic!("no number")
    };
    let whole = long(&[b"RPUSH", b"list"], b"", MANY);
    let (part, rest) = whole.split_at(whole.len() - 1);
    other.send(part);
    let mut takes = |what: &str, holds: &dyn Fn(usize) -> bool| {
        wait_until(what, || {
            let told = client.run(&format!("CLIENT LIST ID {id}")).text();
            let field = told.split(' ').find_map(|it| it.strip_prefix("tot-mem="));
            holds(field.unwrap().parse().unwrap())
        });
    };
    takes("they count", &|bytes| bytes > part.len() + 8 * MANY);
    other.send(rest);
    assert_eq!(
        Value::parse(&other.read_raw_reply()),
        Value::Int(MANY as i64)
    );
    takes("they are forgotten", &|bytes| bytes < 100_000);
    assert_eq!(other.run("PING"), Value::Status("PONG".into()));
}
