//! Real servers for tests, each on a free port of 127.0.0.1 and killed when it is dropped.
//!
//! ```ignore
//! mod servers;
//! let redis = servers::RedisServer::start();
//! let mut client = redis.client();
//! assert_eq!(client.run("SET k v"), Value::ok());
//! ```
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses a part of this module"
)]

mod benchmark;
mod client;
mod cluster;
mod http;
mod process;
pub mod text_protocol;

pub use benchmark::benchmark_runs;
pub use client::{Client, Value, request};
pub use cluster::Cluster;
pub use http::ask;
pub use process::{PATIENCE, Process, Stopped, free_port};

use std::io::Read;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A pool of nutcracker.yml. `settings` are lines such as `timeout: 400`; the servers are named
/// `s0`, `s1` … in their order.
pub fn pool(name: &str, listen: &str, settings: &[&str], addresses: &[String]) -> String {
    let mut text = format!("{name}:\n  listen: {listen}\n");
    for line in settings {
        text += &format!("  {line}\n");
    }
    text += "  servers:\n";
    for (i, address) in addresses.iter().enumerate() {
        text += &format!("   - {address}:1 s{i}\n");
    }
    text
}

/// Asks again until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A redis-server without persistence.
#[derive(Debug)]
pub struct RedisServer {
    /// Where it listens.
    pub port: u16,
    /// The process.
    pub process: Process,
    _dir: TempDir,
}

impl RedisServer {
    /// Starts one.
    pub fn start() -> RedisServer {
        RedisServer::start_with(&[])
    }

    /// Starts one with more arguments: `&["--requirepass", "secret"]`.
    pub fn start_with(args: &[&str]) -> RedisServer {
        RedisServer::start_at(free_port(), args)
    }

    /// Starts one on a given port: to come back where another has died.
    pub fn start_at(port: u16, args: &[&str]) -> RedisServer {
        let dir = TempDir::new().unwrap();
        let (at, home) = (port.to_string(), dir.path().to_str().unwrap());
        let mut all = vec!["--port", &at, "--bind", "127.0.0.1", "--dir", home];
        all.extend(["--save", "", "--appendonly", "no"]);
        all.extend(args);
        let package = "the Debian package redis-server";
        let mut process = Process::spawn("redis-server", package, &all);
        process.wait_until_serves(port);
        RedisServer {
            port,
            process,
            _dir: dir,
        }
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::connect(("127.0.0.1", self.port))
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A memcached.
#[derive(Debug)]
pub struct Memcached {
    /// Where it listens.
    pub port: u16,
    /// The process.
    pub process: Process,
}

impl Memcached {
    /// Starts one.
    pub fn start() -> Memcached {
        Memcached::start_at(free_port())
    }

    /// Starts one on a given port: to come back where another has died.
    pub fn start_at(port: u16) -> Memcached {
        Memcached::spawn(port, &[])
    }

    /// Starts one that moves no item from one list to another in the background. Otherwise it may
    /// hold an item for a moment just when a request changes it, which then makes a new item, and
    /// so one that is no longer stale.
    pub fn start_without_movements() -> Memcached {
        Memcached::spawn(free_port(), &["-o", "no_lru_maintainer"])
    }

    /// Starts one that has no slabs moved.
    pub fn start_without_reassignment() -> Memcached {
        Memcached::spawn(free_port(), &["-o", "no_slab_reassign"])
    }

    fn spawn(port: u16, more: &[&str]) -> Memcached {
        let at = port.to_string();
        // It refuses to run as root, and takes no notice of -u as anybody else.
        let mut args = vec!["-l", "127.0.0.1", "-p", &at, "-U", "0", "-u", "nobody"];
        args.extend(more);
        let mut process = Process::spawn("memcached", "the Debian package memcached", &args);
        process.wait_until_serves(port);
        Memcached { port, process }
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// A nutcracker (twemproxy).
#[derive(Debug)]
pub struct Nutcracker {
    /// Where the file makes it listen.
    pub port: u16,
    /// Where it answers with its statistics.
    pub stats_port: u16,
    /// The process.
    pub process: Process,
    _file: ConfigFile,
}

impl Nutcracker {
    /// Distributions and hashes, of all kinds.
    pub const WAYS: [(&str, &str); 8] = [
        ("ketama", "fnv1a_64"),
        ("ketama", "md5"),
        ("ketama", "murmur"),
        ("ketama", "jenkins"),
        ("modula", "crc16"),
        ("modula", "crc32"),
        ("modula", "hsieh"),
        ("modula", "one_at_a_time"),
    ];

    /// Starts one with a file of this text, which makes it listen on 127.0.0.1:`port`.
    pub fn start(port: u16, config_text: &str) -> Nutcracker {
        let file = ConfigFile::new(config_text);
        let stats_port = free_port();
        let stats = stats_port.to_string();
        let args = ["-c", file.path(), "-a", "127.0.0.1", "-s", &stats];
        let mut process = Process::spawn("nutcracker", "the Debian package nutcracker", &args);
        process.wait_until_serves(port);
        Nutcracker {
            port,
            stats_port,
            process,
            _file: file,
        }
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::connect(("127.0.0.1", self.port))
    }
}

/// The program under test.
#[derive(Debug)]
pub struct Heeler {
    /// Where it listens.
    pub port: u16,
    /// The process.
    pub process: Process,
    /// Where a proxy answers with its statistics.
    pub stats_port: Option<u16>,
    _file: Option<ConfigFile>,
}

impl Heeler {
    /// Starts it with these arguments, which make it listen on 127.0.0.1:`port`.
    pub fn start(port: u16, args: &[&str]) -> Heeler {
        let mut process = Heeler::spawn(args);
        process.wait_until_serves(port);
        Heeler::of(port, process)
    }

    /// The same of a node that others have to join first: until then it lets clients wait.
    pub fn start_to_join(port: u16, args: &[&str]) -> Heeler {
        let mut process = Heeler::spawn(args);
        process.wait_until_accepts(port);
        Heeler::of(port, process)
    }

    fn of(port: u16, process: Process) -> Heeler {
        Heeler {
            port,
            process,
            stats_port: None,
            _file: None,
        }
    }

    /// `heeler serve --redis 127.0.0.1:PORT` and more arguments.
    pub fn serve(args: &[&str]) -> Heeler {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut all = vec!["serve", "--redis", &address];
        all.extend(args);
        Heeler::start(port, &all)
    }

    /// `heeler proxy -c FILE` with a file of this text, which makes it listen on
    /// 127.0.0.1:`port`, and more arguments.
    pub fn proxy(port: u16, config_text: &str, args: &[&str]) -> Heeler {
        let file = ConfigFile::new(config_text);
        let stats_port = free_port();
        let stats = stats_port.to_string();
        let mut all = vec!["proxy", "-c", file.path(), "-a", "127.0.0.1", "-s", &stats];
        all.extend(args);
        let mut heeler = Heeler::start(port, &all);
        // Statistics are told once the listeners of all pools are open.
        let mut stats = TcpStream::connect(("127.0.0.1", stats_port)).unwrap();
        stats.set_read_timeout(Some(PATIENCE)).unwrap();
        stats.read_to_end(&mut Vec::new()).unwrap();
        heeler.stats_port = Some(stats_port);
        heeler._file = Some(file);
        heeler
    }

    /// Starts it with these arguments and waits for nothing: for `--help`, and for a start that
    /// must fail.
    pub fn spawn(args: &[&str]) -> Process {
        Process::spawn(
            env!("CARGO_BIN_EXE_heeler"),
            "nothing: cargo builds it",
            args,
        )
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::connect(("127.0.0.1", self.port))
    }

    /// `127.0.0.1:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGTERM, then its exit code and what it wrote.
    pub fn stop(self) -> Stopped {
        self.process.stop()
    }
}

/// A file that lives as long as the server that reads it.
#[derive(Debug)]
pub struct ConfigFile {
    _dir: TempDir,
    path: PathBuf,
}

impl ConfigFile {
    /// Writes the text into `nutcracker.yml` of a new directory.
    pub fn new(text: &str) -> ConfigFile {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("nutcracker.yml");
        std::fs::write(&path, text).unwrap();
        ConfigFile { _dir: dir, path }
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}
