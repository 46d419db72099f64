//! What goes into the machine, and what comes out.

use std::sync::Arc;

use crate::{Fault, Form, Labels, Status};

/// The time, as the caller's two clocks have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds of a clock that never goes back: timers.
    pub ms: u64,
    /// Milliseconds since 1970 as this machine believes: incarnation numbers. It may jump.
    pub wall_ms: u64,
}

/// A question of a peer, or to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Asks for the whole membership.
    Join,
    /// Asks for a sign of life, and exchanges changes.
    Ping,
    /// Asks to ping somebody else.
    PingReq,
    /// Asks for the damp scores of flappers.
    DampReq,
}

impl Endpoint {
    /// All.
    pub const ALL: [Endpoint; 4] = [
        Endpoint::Join,
        Endpoint::Ping,
        Endpoint::PingReq,
        Endpoint::DampReq,
    ];

    /// The path: TChannel's arg1, under the service `ringpop`.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::Join => "/protocol/join",
            Endpoint::Ping => "/protocol/ping",
            Endpoint::PingReq => "/protocol/ping-req",
            Endpoint::DampReq => "/protocol/damp-req",
        }
    }

    /// The endpoint of this path.
    pub fn from_path(path: &str) -> Option<Endpoint> {
        Endpoint::ALL
            .into_iter()
            .find(|endpoint| endpoint.path() == path)
    }
}

/// The number of a request of this member, which its answer repeats.
pub type RequestId = u64;
/// What the caller gave to a request or command, and finds in the answer. Any number.
pub type Token = u64;

/// What happened outside.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// The seeds: addresses of members to be, this one's perhaps among them. The first list starts
    /// the bootstrap; a later one, such as the answer to [`Output::FetchSeeds`], takes its place.
    Seeds(Vec<String>),
    /// A peer asks. The answer is one [`Output::Respond`] with the same token, now or later.
    Request {
        /// Comes back in the answer.
        token: Token,
        /// What is asked.
        endpoint: Endpoint,
        /// The JSON body: TChannel's arg3.
        body: &'a [u8],
    },
    /// A peer has answered an [`Output::Send`].
    Response {
        /// The request's.
        id: RequestId,
        /// The JSON body.
        body: &'a [u8],
    },
    /// A request has failed. After its timeout the machine takes it for failed by itself.
    Failure {
        /// The request's.
        id: RequestId,
        /// In which way.
        failure: Failure,
    },
    /// An operator's wish. The answer is one [`Output::Done`] with the same token, now or later.
    Command {
        /// Comes back in the answer.
        token: Token,
        /// What to do.
        command: Command,
    },
    /// The caller has learnt which program a peer runs (in TChannel: `tchannel_language` is `node`
    /// or `go`). It is found out without, too. While the peer is no member it is forgotten at once.
    Peer {
        /// The peer.
        address: &'a str,
        /// The form of its checksums.
        form: Form,
    },
}

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Failure {
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The peer cannot be reached, or the connection broke: why.
    #[error("{0}")]
    Unreachable(String),
    /// The peer has answered with an error: what it says.
    #[error("it has refused: {0}")]
    Refused(String),
}

/// An operator's wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Leave the ring, tell some others, and go on answering. Done when they have answered.
    Leave,
    /// Come back after [`Command::Leave`].
    Rejoin,
    /// Declare oneself faulty and tell some others, before the process ends. Done when they have
    /// answered.
    SelfEvict,
    /// Ping (again) by the clock.
    StartGossip,
    /// Stop to ping by the clock; still answer.
    StopGossip,
    /// Ping once, now. Done when the ping is over: [`Answer::Checksum`].
    Tick,
    /// Make all faulty members tombstones: [`Answer::Reaped`].
    Reap,
    /// Look for a lost half of the cluster now: [`Answer::Targets`].
    Heal,
    /// Say something else of oneself. Internal labels, identity included, stay.
    SetLabels(Labels),
}

/// What a command has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The membership checksum after [`Command::Tick`], in this member's own form.
    Checksum(u32),
    /// How many members [`Command::Reap`] made tombstones.
    Reaped(usize),
    /// Whom [`Command::Heal`] has reached.
    Targets(Vec<String>),
}

/// What to do outside.
#[derive(Debug, Clone)]
pub enum Output {
    /// Ask a peer, then give [`Input::Response`] or [`Input::Failure`].
    Send {
        /// Repeated in the answer.
        id: RequestId,
        /// Whom.
        to: Arc<str>,
        /// What.
        endpoint: Endpoint,
        /// The JSON body.
        body: Vec<u8>,
        /// How long to wait for the answer: TChannel's time to live.
        timeout_ms: u64,
    },
    /// Answer a peer: a JSON body, or one for an application error (TChannel's code 1).
    Respond {
        /// That of the [`Input::Request`].
        token: Token,
        /// `Err` has the error's body: an object with `type` and `message`.
        result: Result<Vec<u8>, Vec<u8>>,
    },
    /// A command has come to its end.
    Done {
        /// That of the [`Input::Command`].
        token: Token,
        /// What came of it.
        result: Result<Answer, Fault>,
    },
    /// Look the seeds up again, and give [`Input::Seeds`]. Without it the last list is used.
    FetchSeeds,
    /// Something that those outside may want to know.
    Event(Event),
    /// A number for statistics, under Ringpop's name without its prefix.
    Stat(Stat),
}

/// A member as this node holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberState {
    /// Where it is, and who.
    pub address: Arc<str>,
    /// Its status.
    pub status: Status,
    /// Its incarnation number: of two claims about it the one with the greater counts.
    pub incarnation: u64,
    /// What it says of itself.
    pub labels: Option<Arc<Labels>>,
}

/// Something that those outside may want to know: for listeners and for the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A member is new or has changed.
    MemberChanged {
        /// As it was; `None` if it is new.
        old: Option<MemberState>,
        /// As it is.
        new: MemberState,
    },
    /// A member that was gone for long is forgotten.
    MemberEvicted(MemberState),
    /// The owners of keys have changed. What [`heeler_ring::Ring::update`] takes.
    RingChanged {
        /// Members that came, and those whose identity is another now.
        added: Vec<heeler_ring::Member>,
        /// Members that went.
        removed: Vec<Arc<str>>,
    },
    /// The membership checksum in this member's own form was computed.
    ChecksumComputed {
        /// The checksum.
        checksum: u32,
    },
    /// The ring's hash function is that of the peers.
    HashDetected {
        /// The peer whose list told.
        peer: Arc<str>,
        /// Its form.
        form: Form,
    },
    /// A peer uses another hash function than this member: they will not agree about owners.
    HashDiffers {
        /// The peer.
        peer: Arc<str>,
        /// Its form.
        form: Form,
    },
    /// The bootstrap is over.
    Ready {
        /// The seeds that answered.
        joined: Vec<Arc<str>>,
        /// The seeds that were asked in vain, and why.
        missed: Vec<(Arc<str>, String)>,
        /// Milliseconds since the bootstrap began.
        took_ms: u64,
    },
    /// The bootstrap has failed for good.
    BootstrapFailed {
        /// Why.
        reason: BootstrapError,
    },
    /// A seed did not answer a join, or not well.
    JoinFailed {
        /// The seed.
        seed: Arc<str>,
        /// Why.
        reason: String,
    },
    /// Somebody had said something of this member that is not so, and is contradicted.
    Refuted {
        /// What was said.
        status: Status,
        /// With which incarnation number.
        claimed: u64,
        /// This member's new one.
        incarnation: u64,
        /// Who said so first.
        source: Option<String>,
    },
    /// A member did not answer a ping, nor others that were asked to ping it.
    PingInconclusive {
        /// The member.
        target: Arc<str>,
    },
    /// The whole list was sent to a peer because checksums differ.
    FullSync {
        /// The peer.
        peer: Arc<str>,
        /// Its checksum.
        theirs: u32,
        /// This member's, in the peer's form.
        ours: u32,
    },
    /// A change was left out, or taken with doubts.
    Doubt {
        /// Who sent it.
        peer: String,
        /// What about it.
        reason: String,
    },
    /// Seeds were asked for a lost half of the cluster.
    HealAttempt {
        /// Who was reached.
        targets: Vec<String>,
    },
    /// A member changes too often.
    Flapping {
        /// The member.
        address: Arc<str>,
        /// Whether it does still.
        flapping: bool,
    },
    /// A flapper was damped, or would have been ([`crate::Damping::Report`]), or is no more.
    Damped {
        /// The member.
        address: Arc<str>,
        /// Whether it is damped now.
        damped: bool,
        /// Whether the ring follows.
        acted: bool,
    },
    /// This member has declared itself faulty, and has told others.
    SelfEvicted,
}

/// Why a bootstrap fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// No seed is known, and it may not start alone.
    #[error("there is no seed")]
    NoSeeds,
    /// Too few seeds answered for too long.
    #[error("{joined} of {needed} seeds answered in {ms} ms")]
    GaveUp {
        /// Seeds that answered.
        joined: usize,
        /// Seeds that had to.
        needed: usize,
        /// How long it tried.
        ms: u64,
    },
}

/// A number for statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stat {
    /// Add to a counter.
    Count(&'static str, u64),
    /// Set a gauge.
    Gauge(&'static str, f64),
    /// How long something took, in milliseconds.
    Time(&'static str, u64),
}
