//! Clients that people use, run against a real redis-server or memcached and against
//! `heeler serve`: what they assert of the one holds for the other.
//!
//! `.ci/clients` installs them below `target/` when a test first needs them, by pip and npm.

#[path = "clients/doors.rs"]
mod doors;
mod servers;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use servers::{Heeler, Memcached, RedisServer, free_port};

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

#[test]
fn pymemcache_against_memcached() {
    pymemcache(Memcached::start().port);
}

#[test]
fn pymemcache_against_heeler() {
    let (_heeler, port) = with_memcached();
    pymemcache(port);
}

#[test]
fn libmemcacheds_tools_against_memcached() {
    libmemcacheds_tools(Memcached::start().port);
}

#[test]
fn libmemcacheds_tools_against_heeler() {
    let (_heeler, port) = with_memcached();
    libmemcacheds_tools(port);
}

/// A store that speaks memcached's protocol, too: and where.
fn with_memcached() -> (Heeler, u16) {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let heeler = Heeler::serve(&["--threads", "2", "--memcached", &address]);
    (heeler, port)
}

fn pymemcache(port: u16) {
    let python = installed().join("python/bin/python");
    let args = ["127.0.0.1", &port.to_string()];
    succeeds(
        Command::new(python)
            .arg(script("with_pymemcache.py"))
            .args(args),
    );
}

/// memccp, memccat and their kin, as people use them in a shell.
fn libmemcacheds_tools(port: u16) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copied");
    std::fs::write(&file, "first\nsecond\n").unwrap();
    let servers = format!("--servers=127.0.0.1:{port}");
    let run = |tool: &str, args: &[&str]| {
        let mut command = Command::new(tool);
        let output = command.arg(&servers).args(args).current_dir(dir.path());
        let missing = |e| panic!("{tool} (Debian package libmemcached-tools): {e}");
        let output = output.output().unwrap_or_else(missing);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text)
    };
    let was = |(done, text): (bool, String), expected: &str| done && text.trim_end() == expected;
    assert!(run("memcping", &[]).0);
    assert!(run("memccp", &["--set", file.to_str().unwrap()]).0);
    assert!(was(run("memccat", &["copied"]), "first\nsecond"));
    assert!(run("memcexist", &["copied"]).0);
    assert!(run("memctouch", &["--expire=100", "copied"]).0);
    assert!(!run("memccat", &["absent"]).0);
    let (done, stats) = run("memcstat", &[]);
    assert!(done && stats.contains("curr_items: 1"), "{stats}");
    assert!(run("memcrm", &["copied"]).0);
    assert!(!run("memcexist", &["copied"]).0);
    assert!(run("memcslap", &["--concurrency=4", "--execute-number=200"]).0);
    assert!(run("memcflush", &[]).0);
    assert!(!run("memccat", &["copied"]).0);
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

/// The directory with the clients; installs them if they are not there.
fn installed() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let clients = target.join("clients");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        succeeds(Command::new(root.join(".ci/clients")).arg(&clients));
        clients
    };
    INSTALLED.get_or_init(install).clone()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// The scripts end by themselves when they hang, so waiting needs no limit.
fn succeeds(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?} does not start: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
