//! SWIM membership in Ringpop's dialect, as a state machine.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod body;
mod checksum;
mod config;
mod fault;
mod interface;
mod json;
mod labels;
pub mod limits;
mod random;
mod status;
mod swim;

pub use checksum::{Form, Line, Style};
pub use config::{Bootstrap, Config, ConfigError, Damping, Healing, Lifeguard};
pub use fault::Fault;
pub use interface::{
    Answer, BootstrapError, Command, Endpoint, Event, Failure, Input, MemberState, Now, Output,
    RequestId, Stat, Token,
};
pub use labels::{LabelError, Labels};
pub use status::{Status, overrides};
pub use swim::Swim;
