//! A proxy with an admin port, and the file that it reads.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use serde_json::Value as Json;

use crate::servers::{Client, ConfigFile, Heeler, PATIENCE, Process, ask, free_port};

pub struct Proxy {
    pub port: u16,
    pub admin: u16,
    pub process: Process,
    pub file: ConfigFile,
}

impl Proxy {
    /// Starts one with a file of this text, which makes it listen on 127.0.0.1:`port`.
    pub fn start(port: u16, text: &str, args: &[&str]) -> Proxy {
        Proxy::start_in(port, text, args, &[])
    }

    /// The same, with more variables in its environment.
    pub fn start_in(port: u16, text: &str, args: &[&str], variables: &[(&str, &str)]) -> Proxy {
        let (file, admin, stats) = (ConfigFile::new(text), free_port(), free_port());
        let address = format!("127.0.0.1:{admin}");
        let stats = stats.to_string();
        let mut all = vec!["proxy", "-c", file.path(), "--admin", &address];
        all.extend(["--threads", "2", "-a", "127.0.0.1", "-s", &stats]);
        all.extend(args);
        let program = env!("CARGO_BIN_EXE_heeler");
        let mut process = Process::spawn_in(program, "nothing: cargo builds it", &all, variables);
        process.wait_until_serves(port);
        process.wait_until_serves(admin);
        Proxy {
            port,
            admin,
            process,
            file,
        }
    }

    /// What `-t` says of a file of this text, and whether it takes it.
    pub fn check(text: &str) -> (bool, String) {
        let file = ConfigFile::new(text);
        let stopped = Heeler::spawn(&["proxy", "-c", file.path(), "-t"]).wait();
        let told = stopped.stdout + &stopped.stderr;
        (stopped.code == Some(0), told)
    }

    /// A connection over TLS to 127.0.0.1.
    pub fn client(&self, config: &Arc<ClientConfig>) -> Client {
        Client::over_tls(("127.0.0.1", self.port), config, "127.0.0.1").expect("a handshake")
    }

    /// Writes the file, asks for a reload, and returns the status and the answer.
    pub fn reload(&self, text: &str) -> (u16, Json) {
        fs::write(self.file.path(), text).unwrap();
        let (status, body) = self.ask("POST", "/v1/reload");
        (status, serde_json::from_str(&body).expect(&body))
    }

    pub fn ask(&self, method: &str, path: &str) -> (u16, String) {
        ask(self.admin, method, path)
    }

    /// The value of a line of the metrics.
    pub fn number(&self, name: &str) -> f64 {
        let (_, body) = self.ask("GET", "/metrics");
        let line = body
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{body}"));
        line.parse().expect(line)
    }

    /// Waits for the word in what is logged from a place on.
    pub fn logs(&self, from: usize, word: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.process.stderr()[from..].contains(word) {
            let log = self.process.stderr();
            assert!(Instant::now() < end, "never '{word}' in\n{log}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// How much has been logged.
    pub fn logged(&self) -> usize {
        self.process.stderr().len()
    }
}

/// Runs a program to its end: whether it succeeded, and all that it wrote.
pub fn run(program: &str, package: &str, args: &[&str]) -> (bool, String) {
    let stopped = Process::spawn(program, package, args).wait();
    (stopped.code == Some(0), stopped.stdout + &stopped.stderr)
}

/// redis-cli against a port of 127.0.0.1.
pub fn redis_cli(port: u16, args: &[&str]) -> (bool, String) {
    let port = port.to_string();
    let all = [&["-h", "127.0.0.1", "-p", &port], args].concat();
    run("redis-cli", "the Debian package redis-tools", &all)
}

/// `openssl s_client` against a port of 127.0.0.1, with nothing to send.
pub fn s_client(port: u16, args: &[&str]) -> (bool, String) {
    let address = format!("127.0.0.1:{port}");
    let all = [&["s_client", "-connect", &address], args].concat();
    run("openssl", "the Debian package openssl", &all)
}

/// A pool of Redis servers with these lines.
pub fn pool(name: &str, port: u16, lines: &[String], servers: &[String]) -> String {
    let listen = format!("127.0.0.1:{port}");
    let mut all = vec!["redis: true", "timeout: 5000"];
    all.extend(lines.iter().map(String::as_str));
    crate::servers::pool(name, &listen, &all, servers)
}
