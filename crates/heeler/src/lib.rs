//! Heeler keeps keys with the herd: it shards key-value data over many machines.

pub mod command;
pub mod config;
pub mod limits;
