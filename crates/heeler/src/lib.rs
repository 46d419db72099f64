//! Heeler keeps keys with the herd: it shards key-value data over many machines.

pub mod wire;

pub mod command;
pub mod limits;
pub mod store;
