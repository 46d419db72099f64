//! Shards an application over many processes: membership, a hash ring, and requests forwarded to
//! the owners of their keys, on tokio.
//!
//! Members are those of Uber's Ringpop: a process with this library joins a ring of ringpop-node or
//! ringpop-go processes, agrees with them about checksums and owners, and forwards to them as they
//! forward to it.
//!
//! # A sharded application in four steps
//!
//! 1. [`Ringpop::builder`] names the application, where it listens, and where the first members are
//!    found ([`Discovery`]); [`Builder::bootstrap`] joins.
//! 2. The application serves its requests over the same [`Channel`], or over HTTP.
//! 3. For each request it asks [`Ringpop::handle_or_forward`] with the request's key: either the
//!    request is this member's to handle, or its owner has answered.
//! 4. Before the process ends, [`Ringpop::shut_down`] tells the others, so that nobody waits for
//!    it.
//!
//! | room | what it does |
//! | --- | --- |
//! | [`channel`] | calls to and from other nodes over TChannel |
//! | [`limits`] | every bound, in one place |
//! | [`Ringpop`] | look-ups, members, events |
//! | [`Discovery`] | seeds from a list, a file, DNS |
//! | [`Forwarding`], [`Handled`] | requests for keys of others |
//! | [`Proxied`] | the same for HTTP |
//! | [`Statistics`] | numbers to statsd and Prometheus |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod builder;
pub mod channel;
mod discovery;
mod endpoints;
mod event;
mod forward;
mod gossip;
pub mod limits;
mod proxy;
mod ringpop;
mod statistics;
mod trace;

pub use builder::{BootstrapError, Builder};
pub use channel::Channel;
pub use discovery::{Discovery, DiscoveryError};
pub use event::Event;
pub use forward::{ForwardError, Forwarding, Handled, Part};
pub use heeler_ring::RingHash;
pub use heeler_swim::Event as MembershipEvent;
pub use heeler_swim::{Config, Damping, Fault, Labels, Lifeguard, MemberState, Seeking, Status};
pub use heeler_tchannel::{Failure, Request, Response};
pub use proxy::{Consistency, HttpRequest, HttpResponse, Proxied, ProxyError};
pub use ringpop::{Events, Ringpop};
pub use statistics::{Sink, Statistics};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
