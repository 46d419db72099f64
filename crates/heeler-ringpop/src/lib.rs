//! Sharded applications that join the rings of Ringpop.
//!
//! | room | what it does |
//! | --- | --- |
//! | [`channel`] | calls to and from other nodes over TChannel |
//! | [`limits`] | every bound, in one place |
//!
//! A [`Channel`] is where a node begins: its services are called by other nodes, and it calls them.
//! It speaks with tchannel-node, Python's tchannel and tcurl as they do with each other.
//!
//! ```
//! use std::time::Duration;
//!
//! use heeler_ringpop::Channel;
//! use heeler_ringpop::channel::Request;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Channel::builder("node").listen("127.0.0.1:0").start().await?;
//! node.service("kv").endpoint("health", async |call| Ok(call.reply("\"OK\"")));
//!
//! let other = Channel::builder("other").start().await?;
//! let request = Request::json("kv", "other", "health", "{}");
//! let answer = other.call(node.host_port(), request, Duration::from_secs(1)).await?;
//! assert_eq!(answer.arg3, "\"OK\"");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod channel;
pub mod limits;

pub use channel::Channel;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
