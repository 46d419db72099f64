//! memcached's text protocol with its meta commands
//! (<https://github.com/memcached/memcached/blob/master/doc/protocol.txt>).
//!
//! ```text
//! request   get key:1 key:2\r\n                        words, parted by blanks
//!           set key:1 0 3600 5 [noreply]\r\nvalue\r\n  flags, seconds, and how long the data is
//!           mg key:1 v t\r\n                           meta: a key and flags of one letter
//! reply     STORED\r\n  NOT_FOUND\r\n  42\r\n  SERVER_ERROR text\r\n           a line
//!           VALUE key:1 0 5\r\nvalue\r\nVALUE …\r\nEND\r\n                     items to a get
//!           HD t30\r\n  VA 5 t30\r\nvalue\r\n                                  meta
//! ```

mod awaited;
mod reply;
mod request;
mod scan;
mod table;

pub use awaited::{Awaited, read};
pub use reply::{TOO_LARGE, error, write};
pub use request::{Decoder, Quiet, Request};
pub use scan::{Items, Scanner};
pub use table::{AtNode, Spec, TABLE, Way, find};

/// The end of a reply to a get.
pub const END: &[u8] = b"END\r\n";

/// Bytes that are not the protocol: answer the text as an error, then close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub &'static str);

impl Fault {
    /// What the client is told of it: nothing if it speaks HTTP, as memcached has it.
    pub fn reply(&self) -> String {
        match self.0 {
            request::NO_HTTP => String::new(),
            text => format!("CLIENT_ERROR {text}\r\n"),
        }
    }
}

/// Whether a reply is one of the three errors.
pub fn is_error(reply: &[u8]) -> bool {
    [&b"ERROR"[..], b"CLIENT_ERROR", b"SERVER_ERROR"]
        .iter()
        .any(|error| reply.starts_with(error))
}
