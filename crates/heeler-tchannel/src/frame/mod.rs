//! Frames: what two peers send each other.
//!
//! ```text
//! size:2 type:1 reserved:1 id:4 reserved:8 payload      size includes these 16 bytes
//! ```
//!
//! All numbers are big-endian. [`decode`] takes the next frame off the front of a buffer, and
//! copies nothing: the parts of a frame are [`Bytes`] that share the buffer. What it has checked
//! needs no second look: lengths fit, names are not doubled, no chunk reaches over the end.
//! (uber/tchannel, docs/protocol.md)

mod decode;
mod encode;
mod headers;

use bytes::Bytes;

pub use decode::decode;
pub use headers::{Headers, Pairs};

use crate::checksum::Checksum;
use crate::limits::{FRAME_BYTES, HEADER_BYTES, PAIRS, TRANSPORT_HEADERS, TRANSPORT_KEY_BYTES};
use crate::tracing::Tracing;

pub(crate) use encode::{begin, end};

/// The id of what belongs to no call.
pub const NO_ID: u32 = u32::MAX;

/// The bit in the flags of a call's frame that says that another of the same call follows.
pub const MORE: u8 = 0x01;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The call, ping or handshake it belongs to; [`NO_ID`] for none. Each side numbers its own.
    pub id: u32,
    /// The rest.
    pub body: Body,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The dialler says who it is.
    InitReq(Init),
    /// The listener says who it is.
    InitRes(Init),
    /// A call, or the first part of one.
    CallReq(CallReq),
    /// The answer to a call, or its first part.
    CallRes(CallRes),
    /// A further part of a call.
    CallReqContinue(Part),
    /// A further part of an answer.
    CallResContinue(Part),
    /// The caller does not want an answer any more.
    Cancel(Cancel),
    /// The caller asks that others who hold the same call drop it.
    Claim(Claim),
    /// Are you there?
    PingReq,
    /// Yes.
    PingRes,
    /// A call, or with [`NO_ID`] the connection, failed.
    Error(ErrorFrame),
}

/// The body of an init frame: `version:2 nh:2 (k~2 v~2){nh}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The protocol's version: 2.
    pub version: u16,
    /// What the peer says about itself.
    pub headers: Pairs,
}

/// The body of a call:
/// `flags:1 ttl:4 tracing:25 service~1 nh:1 (k~1 v~1){nh} csumtype:1 (csum:4)? arg~2 …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReq {
    /// Time to live, in milliseconds; more than 0.
    pub ttl: u32,
    /// Its place in a tree of calls.
    pub tracing: Tracing,
    /// The service it is for.
    pub service: Bytes,
    /// Transport headers.
    pub headers: Headers,
    /// Its args, or their beginning.
    pub part: Part,
}

/// The body of an answer:
/// `flags:1 code:1 tracing:25 nh:1 (k~1 v~1){nh} csumtype:1 (csum:4)? arg~2 …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRes {
    /// 0 for success; anything else is an error of the application, told in the body.
    pub code: u8,
    /// The request's.
    pub tracing: Tracing,
    /// Transport headers.
    pub headers: Headers,
    /// Its args, or their beginning.
    pub part: Part,
}

/// A frame's share of a message's args: `flags:1 csumtype:1 (csum:4)? arg~2 …` (in the first frame
/// of a message, other fields stand between flags and checksum).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// [`MORE`] or 0. Other bits are kept and mean nothing.
    pub flags: u8,
    /// Of all arg bytes so far.
    pub checksum: Checksum,
    /// The bytes.
    pub chunks: Chunks,
}

impl Part {
    /// Whether another frame of the same message follows.
    pub fn more(&self) -> bool {
        self.flags & MORE != 0
    }
}

/// Chunks of args, as on the wire: `(length:2 bytes)*`. The first belongs to the arg at which the
/// frame before ended, each other to the next arg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunks(Bytes);

impl Chunks {
    /// Checks that `raw` holds whole chunks, at most three.
    pub fn new(raw: Bytes) -> Result<Self, Fault> {
        let (mut at, mut count) = (0, 0);
        while at < raw.len() {
            let length = raw
                .get(at..at + 2)
                .ok_or(Fault::Short("the length of an arg"))?;
            at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            count += 1;
        }
        if at > raw.len() {
            return Err(Fault::Short("an arg"));
        }
        if count > 3 {
            return Err(Fault::Chunks);
        }
        Ok(Chunks(raw))
    }

    /// Each chunk.
    pub fn iter(&self) -> impl Iterator<Item = Bytes> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let length = self.0.get(at..at + 2)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let chunk = self.0.slice(at + 2..at + 2 + length);
            at += 2 + length;
            Some(chunk)
        })
    }

    /// As on the wire.
    pub fn raw(&self) -> &Bytes {
        &self.0
    }
}

/// The body of a cancel frame: `ttl:4 tracing:25 why~2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Time to live, in milliseconds.
    pub ttl: u32,
    /// The call's.
    pub tracing: Tracing,
    /// For people.
    pub why: Bytes,
}

/// The body of a claim frame: `ttl:4 tracing:25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Time to live, in milliseconds.
    pub ttl: u32,
    /// The call's.
    pub tracing: Tracing,
}

/// The body of an error frame: `code:1 tracing:25 message~2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    /// What went wrong.
    pub code: ErrorCode,
    /// The call's.
    pub tracing: Tracing,
    /// For people.
    pub message: Bytes,
}

/// What went wrong with a call, or with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// No answer within the time to live.
    Timeout,
    /// The caller cancelled.
    Cancelled,
    /// Too much to do: try another node, or later.
    Busy,
    /// Refused for a reason other than load: try another node.
    Declined,
    /// The node failed in a way that it did not expect. The call may have had an effect.
    Unexpected,
    /// The call is malformed, or for a service or endpoint that is not there.
    BadRequest,
    /// A node further on could not be reached.
    Network,
    /// The service is known to fail.
    Unhealthy,
    /// Bytes that break the protocol. The connection closes.
    Protocol,
    /// A code that the protocol does not name.
    Other(u8),
}

impl ErrorCode {
    /// The code that `byte` stands for.
    pub fn from_wire(byte: u8) -> Self {
        match byte {
            0x01 => ErrorCode::Timeout,
            0x02 => ErrorCode::Cancelled,
            0x03 => ErrorCode::Busy,
            0x04 => ErrorCode::Declined,
            0x05 => ErrorCode::Unexpected,
            0x06 => ErrorCode::BadRequest,
            0x07 => ErrorCode::Network,
            0x08 => ErrorCode::Unhealthy,
            0xff => ErrorCode::Protocol,
            byte => ErrorCode::Other(byte),
        }
    }

    /// Its byte on the wire.
    pub fn to_wire(self) -> u8 {
        match self {
            ErrorCode::Timeout => 0x01,
            ErrorCode::Cancelled => 0x02,
            ErrorCode::Busy => 0x03,
            ErrorCode::Declined => 0x04,
            ErrorCode::Unexpected => 0x05,
            ErrorCode::BadRequest => 0x06,
            ErrorCode::Network => 0x07,
            ErrorCode::Unhealthy => 0x08,
            ErrorCode::Protocol => 0xff,
            ErrorCode::Other(byte) => byte,
        }
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ErrorCode::Timeout => f.write_str("timeout"),
            ErrorCode::Cancelled => f.write_str("cancelled"),
            ErrorCode::Busy => f.write_str("busy"),
            ErrorCode::Declined => f.write_str("declined"),
            ErrorCode::Unexpected => f.write_str("unexpected error"),
            ErrorCode::BadRequest => f.write_str("bad request"),
            ErrorCode::Network => f.write_str("network error"),
            ErrorCode::Unhealthy => f.write_str("unhealthy"),
            ErrorCode::Protocol => f.write_str("protocol error"),
            ErrorCode::Other(byte) => write!(f, "error {byte:#04x}"),
        }
    }
}

/// Why bytes are no frame. The texts are tchannel-node's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The size counts less than the header itself.
    #[error("invalid frame size {0}: a frame has at least {HEADER_BYTES} bytes")]
    Size(u16),
    /// No such frame.
    #[error("invalid frame type {0}")]
    Type(u8),
    /// The frame ends before the field does.
    #[error("the frame is too short for {0}")]
    Short(&'static str),
    /// The frame goes on after its last field.
    #[error("{0} bytes follow the frame's last field")]
    Long(usize),
    /// An init frame without a header that it needs.
    #[error("missing init frame header {0}")]
    MissingInitHeader(&'static str),
    /// A call that had no time left when it was sent.
    #[error("Got an invalid ttl. Expected positive ttl but got 0")]
    Ttl,
    /// More headers than allowed.
    #[error("too many transport headers, got {0}, expected at most {TRANSPORT_HEADERS}")]
    TooManyHeaders(usize),
    /// A header's name is too long.
    #[error("transport header: {0} exceeds {TRANSPORT_KEY_BYTES} bytes")]
    HeaderTooLong(String),
    /// A header's value, or a service's name, is longer than its length can say.
    #[error("{0} exceeds 255 bytes")]
    ValueTooLong(String),
    /// A header without a name.
    #[error("null key")]
    NullKey,
    /// Two headers of one name.
    #[error("duplicate header key {0}")]
    DuplicateKey(String),
    /// A list of pairs that is too long.
    #[error("too many headers, got {0}, expected at most {PAIRS}")]
    TooManyPairs(usize),
    /// No such kind of checksum.
    #[error("invalid checksum type {0}")]
    ChecksumType(u8),
    /// A message has three args, so that a frame has no more than three chunks.
    #[error("frame parts exceeded stream arity")]
    Chunks,
    /// What is to be sent does not fit a frame.
    #[error("the frame would be longer than {FRAME_BYTES} bytes")]
    TooLong,
}

/// Bytes that are no frame. What follows them cannot be read either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct BadFrame {
    /// The id of the call that the frame belongs to; [`NO_ID`] if it belongs to none.
    pub id: u32,
    /// What is wrong.
    pub fault: Fault,
}
