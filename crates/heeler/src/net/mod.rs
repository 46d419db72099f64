//! Sockets: the only place that accepts, reads and writes for clients.
//!
//! ```text
//!   control thread    listeners ── accepts in turn for ──► workers
//!   worker threads    each owns its connections, their door, and its links to servers
//! ```

mod connection;
mod handshake;
mod listener;
mod server;
mod worker;

pub use listener::{Accepted, Listener, Tuning};
pub use server::{MakeDoor, Number, Renewing, Server, Service, Speaks};
