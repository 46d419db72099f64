//! Who is in the cluster, and who is alive: SWIM in Ringpop's dialect, as a state machine.
//!
//! A member pings another one five times a second, asks others to ping who does not answer, and
//! gives up who stays silent. What it learns travels along with the pings. Members that agree about
//! who is there agree about the owner of every key ([`heeler_ring::Ring`]).
//!
//! The bodies, the order of things and the checksums are those of Uber's Ringpop, so that a member
//! can stand in a cluster of ringpop-node and ringpop-go processes, and agree with both.
//!
//! This crate has no socket, no clock, no thread and no chance of its own. All that happens goes
//! into [`Swim::handle`], the passing of time into [`Swim::wake`]; what is to be done comes out as
//! a list of [`Output`]s. So a cluster of a thousand members runs in one test, in virtual time, the
//! same way each time.
//!
//! # A member and its driver
//!
//! The driver owns the sockets and the clocks. It does four things:
//!
//! ```
//! use heeler_swim::{Config, Endpoint, Event, Input, Now, Output, Swim};
//!
//! // 1. It makes the machine, and gives it seeds: members to be, this one perhaps among them.
//! let config = Config::new("kv", "10.0.0.1:3000");
//! let now = Now { ms: 0, wall_ms: 1_800_000_000_000 };
//! let mut swim = Swim::new(config, now, 42).unwrap();
//! let mut out = Vec::new();
//! let seeds = vec!["10.0.0.1:3000".into(), "10.0.0.2:3000".into()];
//! swim.handle(now, Input::Seeds(seeds), &mut out);
//!
//! // 2. It carries out what comes: here the question to the seed who else is there.
//! let Output::Send { id, to, endpoint, body, timeout_ms } = &out[0] else { panic!() };
//! assert_eq!((&**to, *endpoint, *timeout_ms), ("10.0.0.2:3000", Endpoint::Join, 1000));
//! assert_eq!(
//!     std::str::from_utf8(body).unwrap(),
//!     r#"{"app":"kv","source":"10.0.0.1:3000","incarnationNumber":1800000000000}"#
//! );
//! let id = *id;
//! out.clear();
//!
//! // 3. It brings answers, failures, and the questions of peers.
//! let answer = br#"{"app":"kv","coordinator":"10.0.0.2:3000","membership":[
//!     {"address":"10.0.0.2:3000","status":"alive","incarnationNumber":1799999999000}]}"#;
//! swim.handle(now, Input::Response { id, body: answer }, &mut out);
//! assert!(swim.is_ready());
//!
//! // Events tell what the ring is to do, and have the words for a line in the log.
//! let mut ring = heeler_ring::Ring::new(swim.hash());
//! for output in out.drain(..) {
//!     if let Output::Event(Event::RingChanged { added, removed }) = output {
//!         let removed: Vec<&str> = removed.iter().map(|address| &**address).collect();
//!         ring.update(added, &removed);
//!     }
//! }
//! assert_eq!(ring.len(), 2);
//! assert_eq!(ring.checksum(), swim.ring_checksum());
//!
//! // 4. It wakes the machine in time, and asks again after every input when that is.
//! let at = swim.next_wake().expect("a ping to come");
//! swim.wake(Now { ms: at, wall_ms: 1_800_000_000_000 + at }, &mut out);
//! ```
//!
//! A peer's question ([`Input::Request`]) has a token; the answer ([`Output::Respond`]) has it too,
//! and may come later. The same holds for an operator's [`Command`] and its [`Output::Done`].
//! The machine ends its requests after their timeouts by itself, and ignores what comes later; a
//! driver that is told of a broken connection may say so earlier ([`Input::Failure`]).
//!
//! # What is decided here where Ringpop leaves room
//!
//! - **Checksums.** ringpop-node and ringpop-go write theirs in two forms, by two hash functions
//!   ([`Form`]), and peers of different forms send each other their whole lists for ever. This
//!   member finds out the form of each peer, from its lists and pings, answers in that form, and
//!   takes a match in any. The same full sync for the same two checksums is not repeated at once,
//!   but after 1, 2, 4, ... 64 seconds.
//! - **Clocks.** A wrong claim is refuted with an incarnation number above the one that was seen,
//!   however the clock stands; so is the entry of an earlier life in the list at the start.
//!   Numbers far in the future are taken with a warning ([`Event::Doubt`]): members that hold
//!   different numbers never agree. [`Config::refuse_incarnations_ahead_ms`] is for clusters in
//!   which all refuse them.
//! - **Labels** belong to an incarnation. A change of the same incarnation without labels has lost
//!   them in a ringpop-node, and does not take them away; it is told on with them.
//! - **Coming and going.** A member that is ready pings three others at once, first those that have
//!   pinged it too early. One that leaves ([`Command::Leave`]) or ends ([`Command::SelfEvict`])
//!   tells four of ten before it does, so that nobody waits for a suspicion to run out.
//! - **Damping** acts on the ring of this member only, and only if it is told to ([`Damping`]).
//! - **Lifeguard** ([`Lifeguard`]) is off unless it is asked for; peers do not notice it.
//!
//! Every bound is in [`limits`]. What a peer sends beyond them is refused with an error that names
//! it ([`Fault`]), or left out with an [`Event::Doubt`].
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
mod wording;

pub use checksum::{Form, Line, Style};
pub use config::{Bootstrap, Config, ConfigError, Damping, Healing, Lifeguard, Seeking};
pub use fault::Fault;
pub use interface::{
    Answer, BootstrapError, Command, Endpoint, Event, Failure, Input, MemberState, Now, Output,
    RequestId, Stat, Token,
};
pub use labels::{LabelError, Labels};
pub use stats::{MemberStats, MembershipStats, ProtocolStats, RingStats, Stats, Timing};
pub use status::{Status, overrides};
pub use swim::Swim;
pub use wording::Severity;
