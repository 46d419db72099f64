//! Which server owns a key.
//!
//! A sharded store needs one answer, and every client, proxy and node must give the same one.
//! This crate gives the answers of systems in use, to the last bit, so that a program built on it
//! can take over their keys:
//!
//! | you replace or join | use |
//! | --- | --- |
//! | twemproxy (nutcracker) | [`Placement`], [`Distribution`], [`Hash`](enum@Hash), [`HashTag`] |
//! | Ringpop (Node or Go) | [`Ring`], with [`RingHash`] |
//! | Redis Cluster, gache, memhashd | [`slots`] |
//!
//! It does nothing else: no socket, no clock, no thread and no random numbers of its own. What
//! varies is an argument, and what is built stays as it is.
//!
//! # A pool behind a proxy
//!
//! A pool has a list of servers, of which some may be down. [`Placement::build`] takes both, and
//! [`Placement::pick`] says which server has a key, as an index into the list:
//!
//! ```
//! use heeler_ring::{Distribution, Hash, HashTag, Placement, Server};
//!
//! let servers = [
//!     Server::tcp("10.0.0.1", 6379, 1),
//!     Server::tcp("10.0.0.2", 6379, 1),
//!     Server::tcp("10.0.0.3", 6379, 2), // twice the share
//! ];
//! let down = [false, true, false];
//! let pool = Placement::build(
//!     Distribution::Ketama,
//!     Hash::Fnv1a64,
//!     HashTag::from_name("{}"),
//!     &servers,
//!     |server| !down[server],
//! );
//! let random = 4; // only used by Distribution::Random
//! let server = pool.pick(b"user:1000", random).expect("a server that is up");
//! assert!(!down[server]);
//! assert_eq!(pool.pick(b"{user:1000}:friends", random), Some(server));
//! ```
//!
//! # A ring of equals
//!
//! In a cluster without a proxy every node has the ring. Members come and go; only the keys of
//! those that come or go move:
//!
//! ```
//! use heeler_ring::{Member, Ring, RingHash};
//!
//! let mut ring = Ring::new(RingHash::Fingerprint32);
//! let change = ring.update(
//!     ["10.0.0.1:3000", "10.0.0.2:3000", "10.0.0.3:3000"].map(Member::new),
//!     &[],
//! );
//! assert_eq!(change.added.len(), 3);
//!
//! // The owner of a key, and the two members that hold copies.
//! let [owner, first, second] = ring.lookup_n(b"user:1000", 3)[..] else { unreachable!() };
//! assert_eq!(ring.lookup(b"user:1000"), Some(owner));
//!
//! // When the owner is gone, the first successor takes over.
//! let (owner, first) = (owner.to_owned(), first.to_owned());
//! ring.remove(&owner);
//! assert_eq!(ring.lookup(b"user:1000"), Some(first.as_str()));
//! ```
//!
//! # Slots
//!
//! A slotted store needs only the slot of a key; who owns the slot is in its table:
//!
//! ```
//! use heeler_ring::slots::{SLOTS, gache_slot, redis_slot};
//!
//! assert_eq!(redis_slot(b"{user:1000}:friends"), redis_slot(b"user:1000"));
//! assert!(gache_slot(b"user:1000") < SLOTS);
//! ```
//!
//! # Speed
//!
//! Points are sorted numbers under an index by their top bits, so that a lookup is the hash of the
//! key, one look into the index and one or two comparisons. `cargo bench -p heeler-ring` measures
//! it beside a plain binary search. A lookup allocates nothing, except for the lists that
//! [`Ring::lookup_n`] returns; [`Ring::lookup_n_into`] reuses yours.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod farm;
pub mod hash;
mod ketama;
mod modula;
mod placement;
mod points;
mod ring;
mod server;
pub mod slots;
mod tag;

pub use farm::{fingerprint32, fingerprint64, hash32v1};
pub use hash::Hash;
pub use ketama::Continuum;
pub use modula::Modula;
pub use placement::{Distribution, Placement, Steps};
pub use ring::{Change, Member, Ring, RingHash};
pub use server::{Server, by_name};
pub use tag::HashTag;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
