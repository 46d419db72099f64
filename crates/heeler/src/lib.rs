//! Heeler keeps keys with the herd: it shards key-value data over many machines, as a proxy in
//! front of Redis and memcached, and as a store of its own.
//!
//! ```text
//!  bytes ─► wire ─► session ─► command ─► route ─► deliver ─┬─► store    this node's memory
//!                                                          ├─► peer     what waits at another node
//!                                                          └─► pool     a server, or another node
//!  bytes ◄─ wire ◄─ session ◄──────────── gather ◄───────── reply (a return value)
//!
//!  control, off the path:  config file │ health of servers │ ring ─► cluster ─► Arc<Placement>
//! ```
//!
//! First come the modules of that walk in its order, then those beside it, then the commands of the
//! program. ARCHITECTURE.md has a line for each.

pub mod wire;

pub mod session;

pub mod command;

pub mod route;

pub mod deliver;

pub mod store;

pub mod pool;

pub mod cluster;

pub mod net;

pub mod admin;
pub mod admission;
pub mod allocator;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod health;
pub mod holding;
pub mod http;
pub mod json;
pub mod limits;
pub mod log;
pub mod nutcracker;
pub mod peer;
pub mod pubsub;
pub mod signals;
pub mod slowlog;
pub mod socket;
pub mod stats;
pub mod tls;
pub mod waiting;
pub mod web;

pub mod call;
pub mod demo;
pub mod explain;
pub mod live;
pub mod member;
pub mod proxy;
pub mod ring;
pub mod run;
pub mod serve;
