//! Sockets: the only place that accepts, reads and writes for clients.
//!
//! ```text
//!   control thread    listeners ── accepts in turn for ──► workers
//!   worker threads    each owns its connections, their door, and its links to servers
//! ```

mod connection;
mod listener;
mod server;
mod stream;
mod worker;

use std::cell::RefCell;
use std::rc::Rc;

pub use listener::{Accepted, Listener, Tuning};
pub use server::{Server, Service};
pub use stream::Stream;

/// The buffer into which all connections of a worker read, one after the other: an idle connection
/// needs none of its own.
pub type Scratch = Rc<RefCell<Box<[u8]>>>;
