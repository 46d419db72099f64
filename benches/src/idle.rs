//! What connections cost that only wait.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::contest::Contestant;
use crate::kernel::rss_kib;

/// Connections, each used once, that wait.
#[derive(Debug, Serialize)]
pub struct Crowd {
    /// The contestant's name.
    pub who: String,
    /// How many connections.
    pub clients: u32,
    /// Memory in RAM before the first of them, in KiB.
    pub before_kib: u64,
    /// Memory in RAM when all are idle, in KiB.
    pub after_kib: u64,
}

/// Opens so many connections to a contestant that speaks the Redis protocol, asks for a key on each
/// of them, and leaves them open while its memory is read.
pub fn crowd(contestant: &Contestant, clients: u32) -> Result<Crowd> {
    let pid = contestant.process.pid();
    let before_kib = rss_kib(pid)?;
    let open = |n| visit(contestant.port).with_context(|| format!("connection {n}"));
    let waiting: Vec<TcpStream> = (1..=clients).map(open).collect::<Result<_>>()?;
    std::thread::sleep(Duration::from_secs(1));
    let after_kib = rss_kib(pid)?;
    drop(waiting);
    Ok(Crowd {
        who: contestant.name.clone(),
        clients,
        before_kib,
        after_kib,
    })
}

fn visit(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"*2\r\n$3\r\nGET\r\n$11\r\nno-such-key\r\n")?;
    let mut reply = [0; 5];
    stream.read_exact(&mut reply)?;
    ensure!(&reply == b"$-1\r\n", "another reply: {reply:?}");
    Ok(stream)
}
