//! What nutcracker's operators and their tools see of it beside the pools: its command line, and
//! its statistics.

mod flags;
mod operation;
mod report;
mod stats_port;

pub use flags::{Flags, Request, describe_stats, is_called, parse, usage, version};
pub use operation::Operation;
pub use report::{Summary, json};
pub use stats_port::StatsPort;

/// The version of nutcracker whose behaviour is kept.
pub const VERSION: &str = "0.5.0";
