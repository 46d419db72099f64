//! Placement: which server owns a key.
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
pub use placement::{Distribution, Placement};
pub use ring::{Change, Member, Ring, RingHash};
pub use server::{Server, by_name};
pub use tag::HashTag;
