//! Sockets: the only place that accepts, reads and writes for clients.

mod address;
mod connection;
mod listener;
mod worker;

use std::cell::RefCell;
use std::rc::Rc;

pub use address::{Address, Stream};
pub use listener::Listener;
pub use worker::{Service, Workers};

/// The buffer into which all connections of a worker read, one after the other: an idle connection
/// needs none of its own.
pub type Scratch = Rc<RefCell<Box<[u8]>>>;
