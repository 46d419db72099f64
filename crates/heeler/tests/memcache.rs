//! `heeler proxy` with pools of memcacheds, from outside: the same bytes in and out as with one
//! memcached, the same places for keys as with nutcracker, and peers that die or misbehave.

mod servers;

#[path = "memcache/beside_memcached.rs"]
mod beside_memcached;
#[path = "memcache/beside_nutcracker.rs"]
mod beside_nutcracker;
#[path = "memcache/failures.rs"]
mod failures;
#[path = "memcache/fake_memcached.rs"]
mod fake_memcached;
#[path = "memcache/quiet.rs"]
mod quiet;
#[path = "memcache/settings.rs"]
mod settings;

use servers::text_protocol::{answers, shown, told};
use servers::{Client, Heeler, Memcached, free_port, wait_until};

/// A pool of nutcracker.yml. `settings` are lines such as `timeout: 400`; the servers are named
/// `s0`, `s1` … in their order.
fn pool(port: u16, settings: &[&str], addresses: &[String]) -> String {
    let (name, listen) = (format!("pool{port}"), format!("127.0.0.1:{port}"));
    servers::pool(&name, &listen, settings, addresses)
}

/// A proxy with one pool.
fn proxy(settings: &[&str], addresses: &[String]) -> Heeler {
    let port = free_port();
    let file = pool(port, settings, addresses);
    Heeler::proxy(port, &file, &["--threads", "1"])
}

fn memcacheds(count: usize) -> Vec<Memcached> {
    (0..count).map(|_| Memcached::start()).collect()
}

fn addresses(servers: &[Memcached]) -> Vec<String> {
    servers.iter().map(Memcached::address).collect()
}

/// How many keys a server has.
fn items(server: &Memcached) -> usize {
    let stats = String::from_utf8(answers(server.port, b"stats\r\n")).unwrap();
    let items = stats.split("STAT curr_items ").nth(1).unwrap();
    items.split('\r').next().unwrap().parse().unwrap()
}
