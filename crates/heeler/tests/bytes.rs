//! Bytes in, bytes out: the scripts in `tests/bytes` say what goes in at a connection and what has
//! to come out of it. One suite, many targets, and a real redis-server as the oracle:
//!
//! ```text
//!   bare walk     door, decoder and store in this process, no socket: bytes at once, or one by one
//!   node          heeler serve
//!   ring          heeler serve, for keys of other nodes
//!   proxy         heeler proxy over three heeler serve, and over three redis-server
//!   oracle        redis-server
//! ```
//!
//! `UPDATE=1 cargo test --test bytes` writes the expected lines anew, as redis-server answers.

mod servers;

#[path = "bytes/script.rs"]
mod script;
#[path = "bytes/target.rs"]
mod target;

use std::path::Path;
use std::sync::OnceLock;

use script::{Case, Script};
use servers::{Cluster, Heeler, RedisServer, free_port};
use target::{Bare, Served, Target};

#[test]
fn redis_server() {
    let redis = RedisServer::start();
    holds_for(&Served::node("redis-server", redis.port));
}

#[test]
fn bare_walk() {
    holds_for(&Bare::new(usize::MAX));
}

#[test]
fn bare_walk_byte_by_byte() {
    holds_for(&Bare::new(1));
}

#[test]
fn node() {
    let node = Heeler::serve(&["--threads", "2"]);
    holds_for(&Served::node("heeler serve", node.port));
}

#[test]
fn node_byte_by_byte() {
    let node = Heeler::serve(&["--threads", "1"]);
    holds_for(&Served::node("heeler serve, byte by byte", node.port).in_pieces(1));
}

/// All keys are in one partition, so that one of the nodes has them all; the others forward.
#[test]
fn ring_through_another_node() {
    let ring = Cluster::start(2, &["--num-partitions", "1"]);
    let other = 1 - ring.owner("any");
    let target = Served::node("heeler serve, not the owner", ring.node(other).port);
    // A cursor names the node, a transaction is one node's, SORT may not look at keys that may be
    // elsewhere, what clients keep copies of is not known everywhere, and there is one database.
    let exceptions = [
        "SCAN",
        "FLUSHALL and SCAN inside",
        "RESP3 replies",
        "sorting by other keys",
        "tracking.txt",
        "databases.txt",
        "SELECT of databases that there are not",
    ];
    holds_but_for(&exceptions, &target);
}

#[test]
fn ring() {
    let ring = Cluster::start(3, &["--hash-tags"]);
    let port = ring.node(0).port;
    let target = Served::proxy("a ring of heeler serve", port, vec![port]);
    holds_but_for(&["SELECT of databases that there are not"], &target);
}

#[test]
fn proxy_over_nodes() {
    let nodes: Vec<Heeler> = (0..3).map(|_| Heeler::serve(&["--threads", "1"])).collect();
    proxy(
        "heeler proxy over heeler serve",
        nodes.iter().map(|n| n.port).collect(),
        "ketama",
    );
}

#[test]
fn proxy_over_redis() {
    let servers: Vec<RedisServer> = (0..3).map(|_| RedisServer::start()).collect();
    proxy(
        "heeler proxy over redis-server",
        servers.iter().map(|s| s.port).collect(),
        "modula",
    );
}

fn proxy(name: &'static str, behind: Vec<u16>, distribution: &str) {
    let port = free_port();
    let mut file = format!(
        "pool:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: murmur\n  \
         distribution: {distribution}\n  timeout: 10000\n  servers:\n"
    );
    for (i, server) in behind.iter().enumerate() {
        file += &format!("   - 127.0.0.1:{server}:1 s{i}\n");
    }
    let proxy = Heeler::proxy(port, &file, &["--threads", "2"]);
    holds_for(&Served::proxy(name, proxy.port, behind));
}

fn holds_for(target: &dyn Target) {
    holds_but_for(&[], target);
}

fn holds_but_for(exceptions: &[&str], target: &dyn Target) {
    let mut count = 0;
    let mut failures = Vec::new();
    for script in scripts() {
        if exceptions.contains(&&*script.name) {
            continue;
        }
        for case in script
            .cases
            .iter()
            .filter(|case| !case.nodes_only || target.is_node())
            .filter(|case| !exceptions.contains(&case.name()))
        {
            count += 1;
            if let Err(failure) = case.run(target) {
                failures.push(failure.told(target.name(), &script.name, case));
            }
        }
    }
    assert!(count > 50, "only {count} cases");
    assert!(
        failures.is_empty(),
        "{} of {count} cases\n{}",
        failures.len(),
        failures.concat()
    );
}

/// The scripts; brought up to date first if that is asked for.
fn scripts() -> &'static [Script] {
    static SCRIPTS: OnceLock<Vec<Script>> = OnceLock::new();
    SCRIPTS.get_or_init(|| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bytes");
        let mut scripts = Script::read_all(&directory);
        if std::env::var_os("UPDATE").is_some() {
            let redis = RedisServer::start();
            let oracle = Served::node("redis-server", redis.port);
            for script in &mut scripts {
                script.update(&oracle);
            }
            scripts = Script::read_all(&directory);
        }
        scripts
    })
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let mut names: Vec<&str> = scripts()
        .iter()
        .flat_map(|s| s.cases.iter().map(Case::name))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
