//! SWIM membership in Ringpop's dialect, as a state machine.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod body;
mod bootstrap;
mod checksum;
mod commands;
mod config;
mod damping;
mod errands;
mod fault;
mod full_sync;
mod gossip;
mod healing;
mod interface;
mod json;
mod labels;
pub mod limits;
mod members;
mod messages;
mod meter;
mod pending;
mod random;
mod requests;
mod ring;
mod rumors;
mod stats;
mod status;
mod suspicion;
mod swim;
mod updates;

pub use checksum::{Form, Line, Style};
pub use config::{Bootstrap, Config, ConfigError, Damping, Healing, Lifeguard};
pub use fault::Fault;
pub use interface::{
    Answer, BootstrapError, Command, Endpoint, Event, Failure, Input, MemberState, Now, Output,
    RequestId, Stat, Token,
};
pub use labels::{LabelError, Labels};
pub use stats::{MemberStats, MembershipStats, ProtocolStats, RingStats, Stats, Timing};
pub use status::{Status, overrides};
pub use swim::Swim;
