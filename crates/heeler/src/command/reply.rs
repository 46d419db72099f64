//! What a room answers, before a wire writes it down.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Strings;

/// A string of bytes in a reply; short ones need no allocation.
pub type Blob = SmallVec<[u8; 40]>;

/// An answer to one command. Each wire has its own way to write it down.
///
/// The variants are those of RESP3; a client that speaks RESP2 gets the older form
/// (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short text that is no data: `+OK`.
    Status(&'static str),
    /// An error: its code in capitals, a blank, and a text for the caller.
    Error(Cow<'static, str>),
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Blob),
    /// No such value.
    Null,
    /// No such list of values (RESP2 tells it from [`Null`](Reply::Null)).
    NullArray,
    /// Values in order.
    Array(Vec<Reply>),
    /// Strings in order, a set or a map, as [`Bulk`](Reply::Bulk)s and [`Null`](Reply::Null)s.
    Strings(Strings),
    /// What nobody has asked for at this moment: RESP2 shows an array.
    Push(Vec<Reply>),
    /// Several replies to one command, one after the other.
    Several(Vec<Reply>),
    /// Pairs: RESP2 shows them one after the other in an array.
    Map(Vec<(Reply, Reply)>),
    /// Pairs in order: RESP2 shows them one after the other in one array, RESP3 each in its own.
    Pairs(Vec<(Reply, Reply)>),
    /// Values without order: RESP2 shows an array.
    Set(Vec<Reply>),
    /// A floating-point number: RESP2 shows its text as bytes.
    Double(f64),
    /// True or false: RESP2 shows 1 or 0.
    Bool(bool),
    /// Text for people: RESP2 shows it as bytes.
    Text(String),
    /// A reply in RESP's bytes already: a server's as it came in, or an error text that shows a
    /// client's bytes and is no UTF-8.
    Raw(Bytes),
}

impl Reply {
    /// `+OK`.
    pub const OK: Reply = Reply::Status("OK");

    /// Bytes, copied.
    pub fn bulk(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::Bulk(Blob::from_slice(bytes.as_ref()))
    }

    /// An error with a text made on the spot.
    pub fn error(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::Error(text.into())
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        match self {
            Reply::Error(_) => true,
            Reply::Raw(raw) => raw.first() == Some(&b'-'),
            _ => false,
        }
    }
}
