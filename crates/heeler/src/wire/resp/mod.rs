//! RESP2 and RESP3, the Redis protocol
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
//!
//! ```text
//! request   *2\r\n $3\r\nGET\r\n $5\r\nkey:1\r\n       an array of bulk strings
//!           GET key:1\r\n                             or a line: "inline"
//! reply     +OK\r\n  -ERR text\r\n  :42\r\n  $5\r\nvalue\r\n  $-1\r\n  *2\r\n…      RESP2
//!           _\r\n  #t\r\n  ,1.5\r\n  %1\r\n…  ~2\r\n…  =8\r\ntxt:text\r\n           RESP3 adds
//! ```

mod asker;
mod encode;
mod inline;
mod request;
mod scan;
mod upgrade;

pub use asker::Asker;
pub use encode::{encode, encode_command, encode_with_places, request_of};
pub use request::Decoder;
pub use scan::{Elements, Scanner};
pub use upgrade::upgrade;

/// The version of the protocol that a client has asked for with HELLO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every client starts with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

/// How an error ends that is about another node, if that may have done what the client asked for.
pub const IN_DOUBT: &str = ", and it may have executed the command";

/// Bytes that are not the protocol: answer the text as an error, then close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub struct Fault(pub String);

impl Fault {
    fn new(text: impl Into<String>) -> Fault {
        Fault(text.into())
    }
}
