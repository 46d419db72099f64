//! Our calls.

use std::time::Instant;

use bytes::Bytes;

use super::inbound::timed_out;
use super::{Connection, Event, Failure, Origin, Output, Request, Response, State, text};
use crate::fragment::{Assembled, Assembly, BadMessage, Head, write_message};
use crate::frame::{Body, CallRes, Cancel, ErrorCode, Frame, Headers, Part};
use crate::limits::{ARG1_BYTES, FRAME_BYTES, SHORT_BYTES, TRANSPORT_BYTES};
use crate::tracing::Tracing;

/// A call of ours that has no answer yet.
#[derive(Debug)]
pub(super) struct Outbound {
    tracing: Tracing,
    begun: Instant,
    deadline: Instant,
    /// While frames of the answer are missing.
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
struct Rest {
    assembly: Assembly,
    code: u8,
    headers: Headers,
}

/// Why a call was not made. Nothing has been sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The handshake is not done.
    #[error("the connection is not open yet")]
    NotOpen,
    /// The connection has ended.
    #[error("the connection is closed")]
    Closed,
    /// One of the peers is draining: call over another connection.
    #[error("the connection is draining: {0}")]
    Draining(String),
    /// As many calls as allowed are in flight: wait for answers.
    #[error("too many calls in flight (limit is {0})")]
    Busy(usize),
    /// The deadline is over.
    #[error("no time is left for the call")]
    TimedOut,
    /// A header that every call needs is not there.
    #[error("Expected outgoing call request to have \"{0}\" header set.")]
    HeaderRequired(&'static str),
    /// A part of the call is too long.
    #[error("{part} has {length} bytes; {limit} are allowed")]
    TooLong {
        /// Which.
        part: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The bound.
        limit: usize,
    },
}

impl Connection {
    /// Calls the peer. [`Event::Answer`] with the id that is returned brings the answer, at
    /// `deadline` at the latest.
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing has been sent, and no event follows.
    pub fn call(
        &mut self,
        now: Instant,
        request: &Request,
        deadline: Instant,
        out: &mut Output,
    ) -> Result<u32, Refused> {
        self.callable()?;
        self.check(request)?;
        let left = deadline.saturating_duration_since(now).as_millis();
        if left == 0 {
            return Err(Refused::TimedOut);
        }
        let ttl = u32::try_from(left).unwrap_or(u32::MAX);
        let id = self.next_id();
        let tracing = request.span.tracing(|| self.random());
        let (service, headers) = (&request.service, &request.headers);
        let head = Head::Call {
            ttl,
            tracing,
            service,
            headers,
        };
        let args: [&[u8]; 3] = [&request.arg1, &request.arg2, &request.arg3];
        write_message(
            &mut out.bytes,
            id,
            head,
            args,
            request.checksum.sent(),
            FRAME_BYTES,
        );
        self.outbound.insert(
            id,
            Outbound {
                tracing,
                begun: now,
                deadline,
                rest: None,
            },
        );
        self.wake_by(deadline);
        self.check_output(out);
        Ok(id)
    }

    fn callable(&self) -> Result<(), Refused> {
        match self.state {
            State::Handshake(_) => return Err(Refused::NotOpen),
            State::Closed => return Err(Refused::Closed),
            State::Open => {}
        }
        if let Some(reason) = self.draining.as_ref().or(self.peer_draining.as_ref()) {
            return Err(Refused::Draining(reason.clone()));
        }
        let limit = self.limits.outbound_calls;
        if self.outbound.len() >= limit {
            return Err(Refused::Busy(limit));
        }
        Ok(())
    }

    fn check(&self, request: &Request) -> Result<(), Refused> {
        for key in ["as", "cn"] {
            if request
                .headers
                .get(key)
                .is_none_or(|value| value.is_empty())
            {
                return Err(Refused::HeaderRequired(key));
            }
        }
        let args = request.arg1.len() + request.arg2.len() + request.arg3.len();
        let bounds = [
            ("the service's name", request.service.len(), SHORT_BYTES),
            (
                "the transport headers",
                request.headers.raw().len(),
                TRANSPORT_BYTES,
            ),
            ("arg1", request.arg1.len(), ARG1_BYTES),
            ("the message", args, self.limits.message_bytes),
        ];
        for (part, length, limit) in bounds {
            if length > limit {
                return Err(Refused::TooLong {
                    part,
                    length,
                    limit,
                });
            }
        }
        Ok(())
    }

    fn end_outbound(&mut self, id: u32) -> Option<Outbound> {
        let outbound = self.outbound.remove(id)?;
        self.inbound_bytes -= outbound
            .rest
            .as_ref()
            .map_or(0, |rest| rest.assembly.length());
        Some(outbound)
    }

    /// Tells the peer that the answer to our call is not wanted any more. No event follows.
    ///
    /// Does nothing if the call has its answer.
    pub fn cancel(&mut self, now: Instant, id: u32, why: &str, out: &mut Output) {
        let Some(outbound) = self.end_outbound(id) else {
            return;
        };
        let left = outbound.deadline.saturating_duration_since(now).as_millis();
        let ttl = u32::try_from(left).unwrap_or(u32::MAX).max(1);
        let end = why.floor_char_boundary(crate::limits::MESSAGE_BYTES);
        let why = Bytes::copy_from_slice(&why.as_bytes()[..end]);
        let cancel = Cancel {
            ttl,
            tracing: outbound.tracing,
            why,
        };
        self.send(
            Frame {
                id,
                body: Body::Cancel(cancel),
            },
            out,
        );
        self.check_drained(out);
    }

    /// The first frame of an answer. If nobody waits for it any more, it is ignored.
    pub(super) fn answered(&mut self, id: u32, answer: CallRes, out: &mut Output) {
        let limit = self.limits.message_bytes;
        let Some(outbound) = self.outbound.get_mut(id) else {
            return;
        };
        if outbound.rest.is_some() {
            return self.unreadable(id, "a second answer came before the first was whole", out);
        }
        if answer
            .headers
            .get("as")
            .is_none_or(|value| value.is_empty())
        {
            let message = "Expected incoming call response to have \"as\" header set.";
            return self.unreadable(id, message, out);
        }
        let (code, headers) = (answer.code, answer.headers);
        match Assembly::begin(&answer.part, limit) {
            Ok(Assembled::Whole(args)) => self.deliver(id, code, headers, args, out),
            Ok(Assembled::Begun(assembly)) => {
                self.inbound_bytes += assembly.length();
                outbound.rest = Some(Box::new(Rest {
                    assembly,
                    code,
                    headers,
                }));
            }
            Err(bad) => self.bad_answer(id, &bad, out),
        }
    }

    /// A further frame of an answer.
    pub(super) fn answered_further(&mut self, id: u32, part: &Part, out: &mut Output) {
        let admitted = self.admit_bytes(part.chunks.raw().len());
        let Some(outbound) = self.outbound.get_mut(id) else {
            return;
        };
        let Some(rest) = &mut outbound.rest else {
            return;
        };
        if let Err((code, message)) = admitted {
            return self.fail_with(id, Failure::here(code, message), out);
        }
        let before = rest.assembly.length();
        let result = rest.assembly.add(part);
        self.inbound_bytes += rest.assembly.length() - before;
        match result {
            Ok(None) => {}
            Ok(Some(args)) => {
                let (code, headers) = (rest.code, rest.headers.clone());
                self.deliver(id, code, headers, args, out);
            }
            Err(bad) => self.bad_answer(id, &bad, out),
        }
    }

    fn deliver(&mut self, id: u32, code: u8, headers: Headers, args: [Bytes; 3], out: &mut Output) {
        if self.end_outbound(id).is_some() {
            let [_, arg2, arg3] = args;
            let result = Ok(Response {
                code,
                headers,
                arg2,
                arg3,
            });
            out.events.push_back(Event::Answer { id, result });
        }
    }

    fn bad_answer(&mut self, id: u32, bad: &BadMessage, out: &mut Output) {
        self.unreadable(id, &text(bad), out);
    }

    fn unreadable(&mut self, id: u32, message: &str, out: &mut Output) {
        self.fail_with(id, Failure::here(ErrorCode::Unexpected, message), out);
    }

    /// An error frame for a call of ours. If nobody waits any more, it is ignored.
    pub(super) fn fail(&mut self, id: u32, code: ErrorCode, message: String, out: &mut Output) {
        self.fail_with(
            id,
            Failure {
                code,
                message,
                origin: Origin::Peer,
            },
            out,
        );
    }

    fn fail_with(&mut self, id: u32, failure: Failure, out: &mut Output) {
        if self.end_outbound(id).is_some() {
            out.events.push_back(Event::Answer {
                id,
                result: Err(failure),
            });
        }
    }

    pub(super) fn fail_all(&mut self, message: &str, out: &mut Output) {
        let mut ids: Vec<u32> = self.outbound.iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        for id in ids {
            self.fail_with(id, Failure::here(ErrorCode::Network, message), out);
        }
    }

    /// Ends our calls whose time is up. If meanwhile nothing has come from the peer, it is asked
    /// whether it is still there.
    pub(super) fn expire_outbound(&mut self, now: Instant, out: &mut Output) {
        let due = |(id, outbound): (u32, &Outbound)| {
            (outbound.deadline <= now).then_some((id, outbound.begun, outbound.deadline))
        };
        let mut due: Vec<_> = self.outbound.iter().filter_map(due).collect();
        due.sort_unstable();
        let silent = due.iter().any(|(_, begun, _)| self.heard <= *begun);
        for (id, begun, deadline) in due {
            let message = timed_out(now, begun, deadline);
            self.fail_with(id, Failure::here(ErrorCode::Timeout, message), out);
        }
        if silent {
            self.ask_for_life(now, out);
        }
        let next = self
            .outbound
            .iter()
            .map(|(_, outbound)| outbound.deadline)
            .min();
        if let Some(next) = next {
            self.wake_by(next);
        }
    }
}
