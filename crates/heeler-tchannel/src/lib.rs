//! TChannel, the protocol that Ringpop speaks, as a state machine.
//!
//! Two peers share one connection, over which both call each other, many calls at a time. This
//! crate knows what the bytes mean, and does nothing else: no socket, no clock, no thread, no
//! random numbers of its own. Bytes and the time go in; bytes and events come out. So it runs over
//! any transport, and whole networks of it run in one test.
//!
//! | you want | use |
//! | --- | --- |
//! | to call and be called | [`Connection`] |
//! | to look at frames, as a proxy or a sniffer does | [`frame::decode`], [`Frame::encode`] |
//! | to build and read args | [`scheme`] |
//!
//! # A call
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use bytes::{Bytes, BytesMut};
//! use heeler_tchannel::{Connection, Event, Headers, Identity, Limits, Output, Request, Response};
//!
//! let (limits, now) = (Limits::default(), Instant::now());
//! let (mut to_server, mut to_client) = (Output::default(), Output::default());
//! let client = Identity::new("0.0.0.0:0", "example");
//! let server = Identity::new("127.0.0.1:3000", "example");
//! let mut client = Connection::dial(client, limits.clone(), 1, now, &mut to_server);
//! let mut server = Connection::accept(server, limits, 2, now);
//!
//! // The handshake: the client speaks first.
//! server.handle(now, &mut to_server.bytes, &mut to_client);
//! client.handle(now, &mut to_client.bytes, &mut to_server);
//! assert!(matches!(to_server.events.pop_front(), Some(Event::Opened(_))));
//! assert!(matches!(to_client.events.pop_front(), Some(Event::Opened(_))));
//!
//! // The client calls.
//! let call = Request {
//!     service: Bytes::from("kv"),
//!     headers: Headers::new([("as", "raw"), ("cn", "example")])?,
//!     arg1: Bytes::from("get"),
//!     arg3: Bytes::from("a key"),
//!     ..Request::default()
//! };
//! let deadline = now + Duration::from_secs(1);
//! let id = client.call(now, &call, deadline, &mut to_server)?;
//!
//! // The server is called, and answers.
//! server.handle(now, &mut to_server.bytes, &mut to_client);
//! let Some(Event::Call(call)) = to_client.events.pop_front() else { unreachable!() };
//! assert_eq!(call.request.arg3, "a key");
//! server.answer(call.id, Ok(Response::raw("its value")), &mut to_client);
//!
//! client.handle(now, &mut to_client.bytes, &mut to_server);
//! let Some(Event::Answer { id: answered, result }) = to_server.events.pop_front() else {
//!     unreachable!()
//! };
//! assert_eq!(answered, id);
//! assert_eq!(result?.arg3, "its value");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A driver reads from a socket into a buffer and calls [`Connection::handle`], writes what is in
//! [`Output::bytes`], sleeps until [`Connection::next_wake`] and then calls [`Connection::wake`].
//! What happened is in [`Output::events`].
//!
//! # Peers
//!
//! The texts of errors, and what is taken and refused, are tchannel-node's, but for this: fragments
//! and answers that belong to no call are ignored, where tchannel-node closes the connection; a
//! cancel frame is acted upon; a `host_port` may be a name or an IPv6 address.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod checksum;
mod connection;
pub mod fragment;
pub mod frame;
pub mod limits;
pub mod scheme;
mod tracing;

pub use checksum::ChecksumType;
pub use connection::{
    CloseReason, Connection, Event, Failure, Identity, InboundCall, Origin, Output, Peer, Refused,
    Request, Response,
};
pub use frame::{ErrorCode, Frame, Headers, Pairs};
pub use limits::Limits;
pub use tracing::{Span, Tracing};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
