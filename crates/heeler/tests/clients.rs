//! Clients that people use, run against a real redis-server and against `heeler serve`: what they
//! assert of the one holds for the other.
//!
//! `.ci/clients` installs them below `target/` when a test first needs them, by pip and npm.

mod servers;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use servers::{Heeler, RedisServer};

#[test]
fn redis_py_in_resp2_against_redis() {
    redis_py(RedisServer::start().port, 2);
}

#[test]
fn redis_py_in_resp3_against_redis() {
    redis_py(RedisServer::start().port, 3);
}

#[test]
fn ioredis_against_redis() {
    ioredis(RedisServer::start().port);
}

#[test]
fn redis_py_in_resp2_against_heeler() {
    redis_py(Heeler::serve(&["--threads", "2"]).port, 2);
}

#[test]
fn redis_py_in_resp3_against_heeler() {
    redis_py(Heeler::serve(&["--threads", "2"]).port, 3);
}

#[test]
fn ioredis_against_heeler() {
    ioredis(Heeler::serve(&["--threads", "2"]).port);
}

fn redis_py(port: u16, protocol: u8) {
    let python = installed().join("python/bin/python");
    let args = ["127.0.0.1", &port.to_string(), &protocol.to_string()];
    succeeds(
        Command::new(python)
            .arg(script("with_redis_py.py"))
            .args(args),
    );
}

fn ioredis(port: u16) {
    let modules = installed().join("node_modules");
    let args = ["127.0.0.1", &port.to_string()];
    succeeds(
        Command::new("node")
            .env("NODE_PATH", modules)
            .arg(script("with_ioredis.js"))
            .args(args),
    );
}

/// The directory with both clients; installs them if they are not there.
fn installed() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let clients = target.join("clients");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    succeeds(Command::new(root.join(".ci/clients")).arg(&clients));
    clients
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// The scripts end by themselves when they hang, so waiting needs no limit.
fn succeeds(command: &mut Command) {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    assert!(
        status.success(),
        "{command:?}: {status}\n{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
}
