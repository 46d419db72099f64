//! Configuration: files become values, and every mistake in them becomes a clear error.
//!
//! A file's text is read by a pure function; a thin reader fetches the text. An error is
//! [`Invalid`]: all the problems of the file, each with its place, what is wrong and what to write
//! instead. What is allowed but hardly meant is a warning of the same form, a [`Diagnostic`].
//!
//! - [`pools`]: `nutcracker.yml`, the pools of a proxy.

mod conceal;
mod diagnostic;
mod document;
pub mod listening;
pub mod pools;
mod secret;
pub mod tls;
mod watch;

pub use diagnostic::{Diagnostic, Invalid, Level, Place};
pub use secret::Secret;
pub use watch::Watch;
