//! What a script is played at.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use heeler::admin::{Process, REDIS_VERSION};
use heeler::clock;
use heeler::command::Reply;
use heeler::deliver::{Behind, Caller, Door};
use heeler::session::{Access, Databases, Greeting};
use heeler::store::Store;
use heeler::wire::resp::{Decoder, Protocol};

use super::servers::{Client, Value};

/// Something that answers.
pub trait Target {
    /// Its name, for people.
    fn name(&self) -> &str;
    /// Whether it holds the keys itself.
    fn is_node(&self) -> bool;
    /// Removes all keys.
    fn clear(&self);
    /// Opens a connection.
    fn connect(&self) -> Box<dyn Connection + '_>;
}

/// A connection to a target.
pub trait Connection {
    /// Sends the bytes, then returns what comes back: all of it where the target answers at once;
    /// otherwise replies until there are so many lines, or all until it closes.
    fn exchange(&mut self, bytes: &[u8], lines: usize, closes: bool) -> Heard;
    /// Sends the bytes, then returns what comes until nothing more does for a while.
    fn until_silent(&mut self, bytes: &[u8]) -> Heard;
    /// Says that nothing more will be sent; returns what still comes.
    fn rest(self: Box<Self>) -> Heard;
}

/// What came back.
#[derive(Debug, Default)]
pub struct Heard {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Then the target closed the connection.
    pub closed: bool,
    /// Then it went wrong.
    pub trouble: Option<String>,
}

/// A process behind a port.
pub struct Served {
    name: &'static str,
    port: u16,
    /// The servers behind it, if it is a proxy.
    behind: Vec<u16>,
    /// Most bytes of one write.
    piece: usize,
}

impl Served {
    /// A process that holds the keys.
    pub fn node(name: &'static str, port: u16) -> Served {
        Served {
            name,
            port,
            behind: Vec::new(),
            piece: usize::MAX,
        }
    }

    /// A process in front of others.
    pub fn proxy(name: &'static str, port: u16, behind: Vec<u16>) -> Served {
        Served {
            name,
            port,
            behind,
            piece: usize::MAX,
        }
    }

    /// Short requests are written in pieces of so many bytes.
    pub fn in_pieces(self, piece: usize) -> Served {
        Served { piece, ..self }
    }
}

impl Target for Served {
    fn name(&self) -> &str {
        self.name
    }

    fn is_node(&self) -> bool {
        self.behind.is_empty()
    }

    fn clear(&self) {
        let keepers = if self.is_node() {
            std::slice::from_ref(&self.port)
        } else {
            &self.behind
        };
        for keeper in keepers {
            let mut client = Client::connect(("127.0.0.1", *keeper));
            assert_eq!(client.run("FLUSHALL"), Value::ok());
        }
    }

    fn connect(&self) -> Box<dyn Connection + '_> {
        let client = Client::connect(("127.0.0.1", self.port));
        Box::new(Socket {
            client,
            piece: self.piece,
        })
    }
}

struct Socket {
    client: Client,
    piece: usize,
}

impl Socket {
    /// A server that has closed takes no more, which shows in what it answers.
    fn send(&mut self, bytes: &[u8]) {
        let piece = if bytes.len() < 1000 {
            self.piece
        } else {
            usize::MAX
        };
        for piece in bytes.chunks(piece) {
            if self.client.try_send(piece).is_err() {
                return;
            }
        }
    }
}

impl Connection for Socket {
    fn exchange(&mut self, bytes: &[u8], lines: usize, closes: bool) -> Heard {
        self.send(bytes);
        let mut heard = Heard::default();
        if closes {
            match self.client.try_read_to_close() {
                Ok(rest) => (heard.bytes, heard.closed) = (rest, true),
                Err(error) => heard.trouble = Some(error.to_string()),
            }
            return heard;
        }
        while crlfs(&heard.bytes) < lines {
            match self.client.try_read_raw_reply() {
                Ok(reply) => heard.bytes.extend_from_slice(&reply),
                Err(error) => {
                    heard.closed = error.kind() == io::ErrorKind::UnexpectedEof;
                    heard.trouble = Some(error.to_string());
                    break;
                }
            }
        }
        heard
    }

    fn until_silent(&mut self, bytes: &[u8]) -> Heard {
        self.send(bytes);
        let (bytes, closed) = self.client.read_until_silent(Duration::from_millis(100));
        Heard {
            bytes,
            closed,
            trouble: None,
        }
    }

    fn rest(mut self: Box<Self>) -> Heard {
        self.client.close_writing();
        match self.client.try_read_to_close() {
            Ok(bytes) => Heard {
                bytes,
                closed: true,
                trouble: None,
            },
            Err(error) => Heard {
                trouble: Some(error.to_string()),
                ..Heard::default()
            },
        }
    }
}

fn crlfs(bytes: &[u8]) -> usize {
    bytes.windows(2).filter(|w| w == b"\r\n").count()
}

/// The walk in this process: what a connection does, without its socket.
pub struct Bare {
    door: RefCell<Door>,
    connections: AtomicU64,
    piece: usize,
}

impl Bare {
    /// Requests are fed in pieces of so many bytes.
    pub fn new(piece: usize) -> Bare {
        Bare {
            door: RefCell::new(door()),
            connections: AtomicU64::new(1),
            piece,
        }
    }
}

fn door() -> Door {
    let store = Behind::Node(Arc::new(Store::new(7)));
    let greeting = Greeting {
        version: REDIS_VERSION,
        newest: Protocol::Resp3,
        access: Access::Store(std::sync::Arc::default()),
        databases: Databases::Upto(16),
    };
    Door::new(
        store,
        Arc::new(Process::new("serve", 1, 100_000, 7)),
        greeting,
        7,
    )
}

impl Target for Bare {
    fn name(&self) -> &str {
        if self.piece == 1 {
            "bare walk, byte by byte"
        } else {
            "bare walk"
        }
    }

    fn is_node(&self) -> bool {
        true
    }

    fn clear(&self) {
        self.door.replace(door());
    }

    fn connect(&self) -> Box<dyn Connection + '_> {
        Box::new(Walk {
            bare: self,
            caller: Caller::new(self.connections.fetch_add(1, Relaxed), Arc::default()),
            decoder: Decoder::default(),
            input: Vec::new(),
        })
    }
}

struct Walk<'a> {
    bare: &'a Bare,
    caller: Caller,
    decoder: Decoder,
    input: Vec<u8>,
}

impl Walk<'_> {
    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.caller.take_messages();
        while !self.caller.session.closing && self.goes_on() {
            match self.decoder.decode(&self.input) {
                Ok(None) => return,
                Ok(Some(length)) => {
                    let (raw, args) = self.decoder.request(&self.input);
                    if !args.is_empty() {
                        let door = self.bare.door.borrow();
                        door.request(clock::now(), &mut self.caller, raw, args);
                    }
                    self.input.drain(..length);
                }
                Err(fault) => {
                    let error = Reply::error(format!("ERR {fault}"));
                    self.caller.session.answer(&error);
                    self.caller.session.closing = true;
                }
            }
        }
    }

    /// Sees a command that waits to its end, if that is a matter of time; whether none waits.
    fn goes_on(&mut self) -> bool {
        let door = self.bare.door.borrow();
        door.go_on(clock::now(), &mut self.caller);
        while let Some(at) = self.caller.wakes_at() {
            std::thread::sleep(Duration::from_millis(at.saturating_sub(clock::now())));
            door.go_on(clock::now(), &mut self.caller);
        }
        !self.caller.is_blocked()
    }

    fn take_out(&mut self) -> Heard {
        self.caller.take_messages();
        let pipeline = &mut self.caller.session.pipeline;
        let bytes = pipeline.out().to_vec();
        pipeline.written(bytes.len());
        let trouble = (pipeline.waiting() > 0).then(|| "a node keeps nobody waiting".into());
        Heard {
            bytes,
            closed: self.caller.session.closing,
            trouble,
        }
    }
}

impl Connection for Walk<'_> {
    fn exchange(&mut self, bytes: &[u8], _lines: usize, _closes: bool) -> Heard {
        let piece = if bytes.len() < 100_000 {
            self.bare.piece
        } else {
            usize::MAX
        };
        for piece in bytes.chunks(piece) {
            self.feed(piece);
        }
        self.take_out()
    }

    fn until_silent(&mut self, bytes: &[u8]) -> Heard {
        self.exchange(bytes, 0, false)
    }

    fn rest(mut self: Box<Self>) -> Heard {
        self.take_out()
    }
}
