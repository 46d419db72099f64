//! `heeler proxy` from outside: in front of real redis-servers, beside the real nutcracker, and
//! between peers that misbehave.

mod servers;

#[path = "proxy/fake.rs"]
mod fake;

#[path = "proxy/beside_nutcracker.rs"]
mod beside_nutcracker;
#[path = "proxy/failures.rs"]
mod failures;
#[path = "proxy/health.rs"]
mod health;
#[path = "proxy/hostile.rs"]
mod hostile;
#[path = "proxy/placement.rs"]
mod placement;
#[path = "proxy/process.rs"]
mod process;
#[path = "proxy/resp3.rs"]
mod resp3;
#[path = "proxy/settings.rs"]
mod settings;
#[path = "proxy/sharding.rs"]
mod sharding;

use servers::{Client, Heeler, RedisServer, Value, free_port, wait_until};

/// A pool of nutcracker.yml. `settings` are lines such as `timeout: 400`; the servers are named
/// `s0`, `s1` … in their order.
fn pool(name: &str, listen: &str, settings: &[&str], addresses: &[String]) -> String {
    servers::pool(
        name,
        listen,
        &[&["redis: true"], settings].concat(),
        addresses,
    )
}

/// A proxy with one pool.
fn proxy(settings: &[&str], addresses: &[String]) -> Heeler {
    proxy_with(settings, addresses, &["--threads", "1"])
}

fn proxy_with(settings: &[&str], addresses: &[String], args: &[&str]) -> Heeler {
    let port = free_port();
    let file = pool("pool", &format!("127.0.0.1:{port}"), settings, addresses);
    Heeler::proxy(port, &file, args)
}

fn redis_servers(count: usize) -> Vec<RedisServer> {
    (0..count).map(|_| RedisServer::start()).collect()
}

fn addresses(servers: &[RedisServer]) -> Vec<String> {
    servers.iter().map(RedisServer::address).collect()
}

/// For each server some keys that are placed on it: `key:0`, `key:1` … are set through the proxy,
/// then the servers are asked what they got. The keys are removed again.
fn keys_by_server(proxy: &Heeler, servers: &[RedisServer]) -> Vec<Vec<String>> {
    let mut client = proxy.client();
    for i in 0..100 {
        assert_eq!(client.run(&format!("SET key:{i} v")), Value::ok());
    }
    let keys = servers.iter().map(|server| {
        let Value::Array(keys) = server.client().run("KEYS key:*") else {
            panic!("KEYS gives an array");
        };
        assert!(keys.len() > 3, "only {} keys", keys.len());
        assert_eq!(server.client().run("FLUSHALL"), Value::ok());
        keys.iter().map(Value::text).collect()
    });
    keys.collect()
}

fn error(text: &str) -> Value {
    Value::Error(format!("ERR {text}"))
}

/// Sends many commands at once, and returns their replies.
fn pipelined(client: &mut Client, commands: &[Vec<Vec<u8>>]) -> Vec<Value> {
    let mut replies = Vec::new();
    for commands in commands.chunks(200) {
        let mut bytes = Vec::new();
        for words in commands {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            bytes.extend(servers::request(&words));
        }
        client.send(&bytes);
        replies.extend(commands.iter().map(|_| client.read_reply()));
    }
    replies
}

/// A command's words, parted by blanks.
fn words(line: &str) -> Vec<Vec<u8>> {
    line.split_ascii_whitespace()
        .map(|word| word.as_bytes().to_vec())
        .collect()
}
