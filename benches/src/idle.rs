//! What connections cost that only wait.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::contest::Contestant;
use crate::kernel::rss_kib;

/// How the connections are used before they are idle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Before {
    /// Each asks once, one after the other: the least that a connection costs.
    OneByOne,
    /// All ask at the same moment: what is left of a burst.
    AllAtOnce,
}

impl Before {
    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Before::OneByOne => "one by one",
            Before::AllAtOnce => "all at once",
        }
    }
}

/// Connections, each used once, that wait.
#[derive(Debug, Serialize)]
pub struct Crowd {
    /// The contestant's name.
    pub who: String,
    /// How they were used.
    pub before: Before,
    /// How many connections.
    pub clients: u32,
    /// Memory in RAM before the first of them, in KiB.
    pub before_kib: u64,
    /// Memory in RAM when all are idle, in KiB.
    pub after_kib: u64,
}

/// Opens so many connections to a contestant that speaks the Redis protocol, asks for a key on each
/// of them, and leaves them open while its memory is read.
pub fn crowd(contestant: &Contestant, clients: u32, before: Before) -> Result<Crowd> {
    let pid = contestant.process.pid();
    let before_kib = rss_kib(pid)?;
    let port = contestant.port;
    let waiting: Vec<TcpStream> = match before {
        Before::OneByOne => (0..clients)
            .map(|_| {
                let mut stream = open(port)?;
                ask(&mut stream)?;
                hear(&mut stream)?;
                Ok(stream)
            })
            .collect::<Result<_>>()?,
        Before::AllAtOnce => {
            let opened = (0..clients).map(|_| open(port));
            let mut all: Vec<TcpStream> = opened.collect::<Result<_>>()?;
            all.iter_mut().try_for_each(ask)?;
            all.iter_mut().try_for_each(hear)?;
            all
        }
    };
    std::thread::sleep(Duration::from_secs(1));
    let after_kib = rss_kib(pid)?;
    drop(waiting);
    Ok(Crowd {
        who: contestant.name.clone(),
        before,
        clients,
        before_kib,
        after_kib,
    })
}

fn open(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("one more connection")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> Result<()> {
    Ok(stream.write_all(b"*2\r\n$3\r\nGET\r\n$11\r\nno-such-key\r\n")?)
}

fn hear(stream: &mut TcpStream) -> Result<()> {
    let mut reply = [0; 5];
    stream.read_exact(&mut reply)?;
    ensure!(&reply == b"$-1\r\n", "another reply: {reply:?}");
    Ok(())
}
