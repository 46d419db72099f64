//! One connection's conversation: the order of its replies, its protocol version, its names, and
//! the transaction that it is in. Pure: no socket, no clock.

mod access;
mod commands;
mod laps;
mod password;
mod pipeline;
mod transaction;

pub use access::Access;
pub use commands::{Databases, Greeting, answer};
pub use laps::Laps;
pub use password::Password;
pub use pipeline::{Form, Pipeline, Ticket};
pub use transaction::{Admission, Transaction};

use crate::command::{Command, Id, Reply, Shape};
use crate::wire::Wire;
use crate::wire::memcache::{Awaited, Quiet};
use crate::wire::resp::Protocol;

/// What a connection has said of itself, and what it still has to be told.
#[derive(Debug, Default)]
pub struct Session {
    /// Number of the connection: `CLIENT ID`.
    pub id: u64,
    /// The protocol that is spoken, also with a node.
    pub wire: Wire,
    /// The protocol's version, by HELLO.
    pub protocol: Protocol,
    /// The order of replies.
    pub pipeline: Pipeline,
    /// The name by `CLIENT SETNAME`.
    pub name: Vec<u8>,
    /// The database that is selected.
    pub database: u32,
    /// The name has changed, or the database.
    pub renamed: bool,
    /// Which replies the client wants, by `CLIENT REPLY`.
    pub replies: Replies,
    /// How many channels and patterns it listens to.
    pub subscriptions: usize,
    /// It is told of each command, by `MONITOR`.
    pub monitors: bool,
    /// It shall not be evicted, by `CLIENT NO-EVICT`.
    pub stays: bool,
    /// It has given the right password.
    pub authenticated: bool,
    /// The latest command that it was allowed to use.
    pub latest: Option<Id>,
    /// Commands queued since MULTI.
    pub transaction: Option<Transaction>,
    /// Which replies to the request at hand a client of memcached does not want.
    pub quiet: Quiet,
    /// Close once the replies so far are written.
    pub closing: bool,
}

/// Which replies a client wants: `CLIENT REPLY ON|OFF|SKIP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// Not the one to this command, which was CLIENT REPLY SKIP, nor the one to the next.
    SkipNext,
    /// Not the one to this command.
    Skip,
}

impl Session {
    /// A new connection's session.
    pub fn new(id: u64) -> Session {
        Session {
            id,
            ..Session::default()
        }
    }

    /// A request begins: a `CLIENT REPLY SKIP` before it takes effect, one before that ends.
    pub fn begin(&mut self) {
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            unchanged => unchanged,
        };
    }

    /// Answers the request at hand.
    pub fn answer(&mut self, reply: &Reply) {
        // What tells of a subscription is a message, not a reply, also where it comes as one.
        let is_message = matches!(reply, Reply::Push(_) | Reply::Several(_));
        match self.is_heard() || is_message {
            true => self.pipeline.answer(reply, self.protocol),
            false => self.pipeline.answer_nothing(),
        }
    }

    /// Answers the request at hand with a whole reply as bytes.
    pub fn answer_bytes(&mut self, reply: &[u8]) {
        let ticket = self.pipeline.wait(match self.is_heard() {
            true => Form::AsItIs,
            false => Form::Dropped,
        });
        self.pipeline.complete(ticket, reply);
    }

    /// Keeps a place for a server's reply, in RESP2, to the request at hand.
    pub fn wait(&mut self, command: &Command<'_>) -> Ticket {
        self.pipeline.wait(match self.protocol {
            _ if self.wire == Wire::Memcache => {
                Form::Item(Box::new(Awaited::new(command, self.quiet)))
            }
            _ if !self.is_heard() => Form::Dropped,
            Protocol::Resp2 => Form::AsItIs,
            Protocol::Resp3 => Form::Resp3(Shape::of(command)),
        })
    }

    /// The reply to a command that a listening client may not use: in RESP2 it could not tell its
    /// reply from a message.
    pub fn refuses_listener(&self, command: &Command<'_>) -> Option<Reply> {
        if self.subscriptions == 0 || self.protocol == Protocol::Resp3 {
            return None;
        }
        let may = matches!(
            command.spec.id,
            Id::Subscribe
                | Id::Psubscribe
                | Id::Ssubscribe
                | Id::Unsubscribe
                | Id::Punsubscribe
                | Id::Sunsubscribe
                | Id::Ping
                | Id::Quit
                | Id::Reset
        );
        let name = command.spec.name;
        let text = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                    this context";
        (!may).then(|| Reply::error(format!("ERR Can't execute '{name}': {text}")))
    }

    fn is_heard(&self) -> bool {
        self.replies == Replies::On
    }
}
