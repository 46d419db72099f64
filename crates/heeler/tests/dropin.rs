//! Heeler in nutcracker's place: called by its name, with its flags, looked at by its tools.

mod servers;

#[path = "dropin/command_line.rs"]
mod command_line;
#[path = "dropin/process.rs"]
mod process;
#[path = "dropin/statistics.rs"]
mod statistics;

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use servers::{PATIENCE, Process, Stopped, free_port};
use tempfile::TempDir;

/// The real one.
const NUTCRACKER: &str = "nutcracker";

/// A directory with a link named `nutcracker` to the program under test.
struct Link {
    dir: TempDir,
}

impl Link {
    fn new() -> Link {
        let dir = TempDir::new().unwrap();
        let program = env!("CARGO_BIN_EXE_heeler");
        std::os::unix::fs::symlink(program, dir.path().join("nutcracker")).unwrap();
        Link { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path of a file in the directory, as an argument.
    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.file(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn spawn(&self, args: &[&str]) -> Process {
        Process::spawn(&self.file("nutcracker"), "nothing: cargo builds it", args)
    }

    fn run(&self, args: &[&str]) -> Stopped {
        self.spawn(args).wait()
    }
}

fn real(args: &[&str]) -> Process {
    Process::spawn(NUTCRACKER, "the Debian package nutcracker", args)
}

/// A pool of Redis servers, named `s0`, `s1` ….
fn pool(name: &str, port: u16, settings: &[&str], addresses: &[String]) -> String {
    let mut text = format!("{name}:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: md5\n");
    for line in settings {
        text += &format!("  {line}\n");
    }
    text += "  servers:\n";
    for (i, address) in addresses.iter().enumerate() {
        text += &format!("   - {address}:1 s{i}\n");
    }
    text
}

/// All that a port tells to whoever connects.
fn told_at(port: u16) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("statistics");
    told
}

/// Asks again until it is so.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn ports<const N: usize>() -> [u16; N] {
    [(); N].map(|()| free_port())
}
