//! One connection, from its handshake to its end.

mod calls;
mod handshake;
mod inbound;
mod message;
mod outbound;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use handshake::{Identity, Peer};
pub use message::{Failure, InboundCall, Origin, Request, Response};
pub use outbound::Refused;

use crate::fragment::BadMessage;
use crate::frame::{self, BadFrame, Body, ErrorCode, ErrorFrame, Frame, NO_ID};
use crate::limits::{Limits, MESSAGE_BYTES, PROBE};
use crate::tracing::Tracing;
use calls::Calls;
use inbound::Inbound;
use outbound::Outbound;

/// What a connection wants done.
#[derive(Debug, Default)]
pub struct Output {
    /// To be written to the peer, from the front.
    pub bytes: BytesMut,
    /// What happened, oldest first.
    pub events: VecDeque<Event>,
}

/// What happened on a connection.
#[derive(Debug)]
pub enum Event {
    /// The handshake is done: calls may be made.
    Opened(Peer),
    /// The peer calls. [`Connection::answer`] answers.
    Call(InboundCall),
    /// The peer does not want the answer to its call any more, or time is up: it has been told so,
    /// and an answer is ignored.
    Dropped {
        /// The call's.
        id: u32,
        /// [`ErrorCode::Cancelled`] or [`ErrorCode::Timeout`].
        code: ErrorCode,
    },
    /// The answer to our call, or that there is none. Each call that was made gets one.
    Answer {
        /// What [`Connection::call`] returned.
        id: u32,
        /// An answer whose code is not 0 is the application's error.
        result: Result<Response, Failure>,
    },
    /// The answer to our ping.
    Pong {
        /// What [`Connection::ping`] returned.
        id: u32,
    },
    /// The peer wants no new calls on this connection; what is in flight, it answers.
    PeerDraining {
        /// For people.
        reason: String,
    },
    /// We are draining, and nothing is in flight any more.
    Drained,
    /// The end: write what is left, then close the socket.
    Closed(CloseReason),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// [`Connection::close`] was called.
    #[error("{0}")]
    Here(String),
    /// The peer sent what is no frame. It has been told.
    #[error("tchannel read failure: {0}")]
    BadFrame(frame::Fault),
    /// The peer broke the protocol with a well-formed frame.
    #[error("{0}")]
    Protocol(&'static str),
    /// The peer says that we broke the protocol.
    #[error("the peer closes the connection: {0}")]
    ByPeer(String),
    /// The handshake took too long.
    #[error("no handshake within {0:?}")]
    Handshake(Duration),
    /// Calls timed out, and a ping was not answered.
    #[error("the peer answers neither calls nor pings")]
    Silent,
    /// The peer calls, and does not read the answers.
    #[error("the peer does not read: {0} bytes wait for it")]
    SlowReader(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waiting for the peer's init frame.
    Handshake(Instant),
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Dialler,
    Listener,
}

/// One connection, seen from one of its ends.
///
/// It does not know the time: all that takes `now` expects it not to go backwards.
pub struct Connection {
    role: Role,
    state: State,
    identity: Identity,
    limits: Limits,
    random: u64,
    last_id: u32,
    inbound: Calls<Inbound>,
    inbound_bytes: usize,
    outbound: Calls<Outbound>,
    /// Why we are draining.
    draining: Option<String>,
    drained: bool,
    /// Why the peer is.
    peer_draining: Option<String>,
    /// When the last frame came.
    heard: Instant,
    /// Until when the peer has to show that it is still there.
    probe: Option<Instant>,
    /// The ping that asks it to.
    probe_id: Option<u32>,
    /// Not later than the first thing that time brings.
    next_wake: Option<Instant>,
}

impl Connection {
    /// A connection that we opened. `seed` is for the ids of spans: another for each connection.
    pub fn dial(
        identity: Identity,
        limits: Limits,
        seed: u64,
        now: Instant,
        out: &mut Output,
    ) -> Self {
        let mut connection = Self::new(Role::Dialler, identity, limits, seed, now);
        connection.send_init_req(out);
        connection
    }

    /// A connection that the peer opened. It speaks first.
    pub fn accept(identity: Identity, limits: Limits, seed: u64, now: Instant) -> Self {
        Self::new(Role::Listener, identity, limits, seed, now)
    }

    fn new(role: Role, identity: Identity, limits: Limits, seed: u64, now: Instant) -> Self {
        let until = now + limits.handshake;
        Connection {
            role,
            state: State::Handshake(until),
            identity,
            limits,
            random: seed,
            last_id: 0,
            inbound: Calls::new(seed),
            inbound_bytes: 0,
            outbound: Calls::new(seed),
            draining: None,
            drained: false,
            peer_draining: None,
            heard: now,
            probe: None,
            probe_id: None,
            next_wake: Some(until),
        }
    }

    /// Takes all whole frames off the front of `input`.
    pub fn handle(&mut self, now: Instant, input: &mut BytesMut, out: &mut Output) {
        while self.state != State::Closed {
            match frame::decode(input) {
                Ok(Some(frame)) => self.handle_frame(now, frame, out),
                Ok(None) => break,
                Err(bad) => self.bad_frame(bad, out),
            }
        }
        self.check_drained(out);
    }

    /// Takes one frame.
    pub fn handle_frame(&mut self, now: Instant, frame: Frame, out: &mut Output) {
        self.heard = now;
        self.probe = None;
        match self.state {
            State::Closed => {}
            State::Handshake(_) => self.shake_hands(frame, out),
            State::Open => self.dispatch(now, frame, out),
        }
    }

    fn dispatch(&mut self, now: Instant, frame: Frame, out: &mut Output) {
        let id = frame.id;
        match frame.body {
            Body::CallReq(call) => self.called(now, id, call, out),
            Body::CallReqContinue(part) => self.called_further(id, &part, out),
            Body::CallRes(answer) => self.answered(id, answer, out),
            Body::CallResContinue(part) => self.answered_further(id, &part, out),
            Body::Cancel(cancel) => self.cancelled(id, &cancel.why, out),
            Body::Claim(_) => {}
            Body::PingReq => self.send(
                Frame {
                    id,
                    body: Body::PingRes,
                },
                out,
            ),
            Body::PingRes if self.probe_id == Some(id) => self.probe_id = None,
            Body::PingRes => out.events.push_back(Event::Pong { id }),
            Body::Error(error) => self.error_frame(id, error, out),
            Body::InitReq(_) => self.shut(CloseReason::Protocol(DUPLICATE_INIT_REQ), out),
            Body::InitRes(_) => self.shut(CloseReason::Protocol(DUPLICATE_INIT_RES), out),
        }
    }

    fn error_frame(&mut self, id: u32, error: ErrorFrame, out: &mut Output) {
        let message = || String::from_utf8_lossy(&error.message).into_owned();
        if error.code == ErrorCode::Protocol {
            if id != NO_ID {
                self.fail(id, error.code, message(), out);
            }
            return self.shut(CloseReason::ByPeer(message()), out);
        }
        if id != NO_ID {
            return self.fail(id, error.code, message(), out);
        }
        if error.code == ErrorCode::Declined && error.message.starts_with(b"draining:") {
            let reason = message()["draining:".len()..].trim_start().to_owned();
            self.peer_draining = Some(reason.clone());
            out.events.push_back(Event::PeerDraining { reason });
        }
    }

    /// Does what time brings: ends calls whose time is up, gives up silent peers.
    ///
    /// May be called at any time; does nothing before [`Connection::next_wake`].
    pub fn wake(&mut self, now: Instant, out: &mut Output) {
        if self.next_wake.is_none_or(|at| at > now) {
            return;
        }
        self.next_wake = None;
        match self.state {
            State::Closed => return,
            State::Handshake(until) if until <= now => {
                let patience = self.limits.handshake;
                return self.shut(CloseReason::Handshake(patience), out);
            }
            State::Handshake(until) => return self.wake_by(until),
            State::Open => {}
        }
        if self.probe.is_some_and(|until| until <= now) {
            return self.shut(CloseReason::Silent, out);
        }
        self.expire_inbound(now, out);
        self.expire_outbound(now, out);
        if let Some(until) = self.probe {
            self.wake_by(until);
        }
        self.check_drained(out);
    }

    /// When [`Connection::wake`] has to be called, if nothing else happens before.
    pub fn next_wake(&self) -> Option<Instant> {
        self.next_wake
    }

    fn wake_by(&mut self, at: Instant) {
        self.next_wake = Some(self.next_wake.map_or(at, |next| next.min(at)));
    }

    /// Asks the peer for a sign of life: [`Event::Pong`]. Returns the ping's id.
    pub fn ping(&mut self, out: &mut Output) -> u32 {
        let id = self.next_id();
        self.send(
            Frame {
                id,
                body: Body::PingReq,
            },
            out,
        );
        id
    }

    /// Pings a peer that lets calls time out; [`CloseReason::Silent`] if nothing comes back.
    fn ask_for_life(&mut self, now: Instant, out: &mut Output) {
        if self.probe.is_none() {
            self.probe_id = Some(self.ping(out));
            self.probe = Some(now + PROBE);
        }
    }

    /// Takes no new calls, and tells the peer. What is in flight goes on; [`Event::Drained`] comes
    /// when nothing is, both ways.
    pub fn drain(&mut self, reason: &str, out: &mut Output) {
        if self.draining.is_none() && self.state != State::Closed {
            self.draining = Some(reason.to_owned());
            if self.state == State::Open {
                self.say_draining(out);
            }
        }
        self.check_drained(out);
    }

    fn say_draining(&mut self, out: &mut Output) {
        if let Some(reason) = &self.draining {
            let message = format!("draining: {reason}");
            self.send_error(
                NO_ID,
                ErrorCode::Declined,
                Tracing::default(),
                &message,
                out,
            );
        }
    }

    fn check_drained(&mut self, out: &mut Output) {
        let idle = self.inbound.is_empty() && self.outbound.is_empty();
        if self.draining.is_some() && !self.drained && idle && self.state != State::Closed {
            self.drained = true;
            out.events.push_back(Event::Drained);
        }
    }

    /// Ends the connection at once: our calls fail, the peer's are forgotten.
    pub fn close(&mut self, reason: &str, out: &mut Output) {
        self.shut(CloseReason::Here(reason.to_owned()), out);
    }

    fn bad_frame(&mut self, bad: BadFrame, out: &mut Output) {
        let reason = CloseReason::BadFrame(bad.fault);
        let message = reason.to_string();
        self.send_error(
            bad.id,
            ErrorCode::Protocol,
            Tracing::default(),
            &message,
            out,
        );
        self.shut(reason, out);
    }

    fn shut(&mut self, reason: CloseReason, out: &mut Output) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.next_wake = None;
        self.fail_all(&format!("connection closed: {reason}"), out);
        self.inbound.clear();
        self.inbound_bytes = 0;
        out.events.push_back(Event::Closed(reason));
    }

    /// Whether calls can be made: the handshake is done, and nobody is draining.
    pub fn takes_calls(&self) -> bool {
        self.state == State::Open && self.draining.is_none() && self.peer_draining.is_none()
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The peer's calls that are in flight.
    pub fn inbound_calls(&self) -> usize {
        self.inbound.len()
    }

    /// Our calls that are in flight.
    pub fn outbound_calls(&self) -> usize {
        self.outbound.len()
    }

    fn send(&mut self, frame: Frame, out: &mut Output) {
        let fits = frame.encode(&mut out.bytes);
        debug_assert!(fits.is_ok(), "{frame:?}: {fits:?}");
        self.check_output(out);
    }

    fn send_error(
        &mut self,
        id: u32,
        code: ErrorCode,
        tracing: Tracing,
        message: &str,
        out: &mut Output,
    ) {
        let end = message.floor_char_boundary(MESSAGE_BYTES);
        let message = Bytes::copy_from_slice(&message.as_bytes()[..end]);
        let error = ErrorFrame {
            code,
            tracing,
            message,
        };
        self.send(
            Frame {
                id,
                body: Body::Error(error),
            },
            out,
        );
    }

    fn check_output(&mut self, out: &mut Output) {
        let waiting = out.bytes.len();
        if waiting > self.limits.output_bytes {
            self.shut(CloseReason::SlowReader(waiting), out);
        }
    }

    /// The next id that is not in flight.
    fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = if self.last_id >= NO_ID - 1 {
                1
            } else {
                self.last_id + 1
            };
            if !self.outbound.contains(self.last_id) {
                return self.last_id;
            }
        }
    }

    /// splitmix64: good enough to tell spans apart.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

const DUPLICATE_INIT_REQ: &str = "tchannel: duplicate init request";
const DUPLICATE_INIT_RES: &str = "tchannel: duplicate init response";

/// What a peer is told whose message cannot be put together.
fn text(bad: &BadMessage) -> String {
    bad.to_string()
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("state", &self.state)
            .field("inbound", &self.inbound.len())
            .field("outbound", &self.outbound.len())
            .finish_non_exhaustive()
    }
}
