//! Placement: which server owns a key.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod farm;
pub mod hash;
pub mod slots;
mod tag;

pub use farm::{fingerprint32, fingerprint64, hash32v1};
pub use hash::Hash;
pub use tag::HashTag;
