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

use servers::{PATIENCE, Process, Stopped, free_port, wait_until};
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
    let settings = [&["redis: true", "hash: md5"], settings].concat();
    servers::pool(name, &format!("127.0.0.1:{port}"), &settings, addresses)
}

/// All that a port tells to whoever connects.
fn told_at(port: u16) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).expect("statistics");
    told
}

fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn ports<const N: usize>() -> [u16; N] {
    [(); N].map(|()| free_port())
}
