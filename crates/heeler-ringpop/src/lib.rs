//! Sharded applications that join the rings of Ringpop.
//!
//! | room | what it does |
//! | --- | --- |
//! | [`channel`] | calls to and from other nodes over TChannel |
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod channel;
pub mod limits;

pub use channel::Channel;
