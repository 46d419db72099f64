//! A real redis-server beside the store, for tests that compare their replies.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses a part of this module"
)]

mod pair;
mod random;
mod value;

use std::time::{SystemTime, UNIX_EPOCH};

use heeler::command::{Command, Id, OwnedCommand, Reply};
use heeler::session::Databases;
use heeler::store::Store;
use heeler::wire::resp::{self, Protocol};

use crate::servers::{Client, RedisServer, request};
pub use pair::{Pair, sorted};
pub use random::Random;
pub use value::Value;

/// A redis-server, and a connection to it.
pub struct Redis {
    client: Client,
    server: RedisServer,
}

impl Redis {
    /// Starts one, and says HELLO if the protocol needs it.
    pub fn start(protocol: Protocol) -> Redis {
        // Scripts ask for the digests of values.
        let server = RedisServer::start_with(&["--enable-debug-command", "yes"]);
        let client = server.client();
        let mut redis = Redis { client, server };
        if protocol == Protocol::Resp3 {
            redis.call(&["HELLO", "3"]);
        }
        redis
    }

    /// One more connection to the same server.
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// Sends a command; returns the bytes of the reply.
    pub fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        self.client.send(&request(&words));
        self.client.read_raw_reply()
    }
}

/// Resolves a command and runs it on database 0 of the store, at the time that it is.
pub fn execute(store: &Store, words: &[Vec<u8>]) -> Reply {
    execute_in(store, &mut 0, words)
}

/// The same in the database that is selected, which SELECT changes.
pub fn execute_in(store: &Store, database: &mut u32, words: &[Vec<u8>]) -> Reply {
    match resolve(words) {
        Ok(command) if command.as_command().spec.id == Id::Select => {
            select(store, database, &command.as_command())
        }
        Ok(command) => store.execute_in(*database, now(), &command.as_command()),
        Err(reply) => reply,
    }
}

/// SELECT.
pub fn select(store: &Store, database: &mut u32, command: &Command<'_>) -> Reply {
    match Databases::Upto(store.databases()).selected(command) {
        Ok(selected) => {
            *database = selected;
            Reply::OK
        }
        Err(refused) => refused,
    }
}

/// A command of the table, or the reply if it is none or has the wrong number of arguments.
pub fn resolve(words: &[Vec<u8>]) -> Result<OwnedCommand, Reply> {
    OwnedCommand::resolve(words)
}

/// The time, in milliseconds since 1970.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as u64
}

/// A command for people.
pub fn show(words: &[Vec<u8>]) -> String {
    let word = |w: &Vec<u8>| match w.len() {
        0 => "\"\"".to_owned(),
        1..=200 => w.escape_ascii().to_string(),
        len => format!("({len} bytes)"),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The bytes of a reply on the wire.
pub fn encode(reply: &Reply, protocol: Protocol) -> Vec<u8> {
    let mut bytes = Vec::new();
    resp::encode(reply, protocol, &mut bytes);
    bytes
}

/// A word, in which `\xNN` and `""` may stand.
pub fn word(text: &str) -> Vec<u8> {
    if text == "\"\"" {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        bytes.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).unwrap());
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Whether a value is a sparse HyperLogLog whose last run wants a byte that is not there: Redis 7.0
/// reads on behind the end.
pub fn is_cut_sketch(value: &[u8]) -> bool {
    let Some(runs) = value.strip_prefix(b"HYLL\x01").and_then(|it| it.get(11..)) else {
        return false;
    };
    let mut at = 0;
    while let Some(first) = runs.get(at) {
        at += 1 + usize::from(first >> 6 == 1);
    }
    at > runs.len()
}
