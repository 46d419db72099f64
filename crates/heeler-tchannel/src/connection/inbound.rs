//! The peer's calls.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    CloseReason, Connection, Event, Failure, InboundCall, Output, Request, Response, text,
};
use crate::checksum::ChecksumType;
use crate::fragment::{Assembled, Assembly, Head, write_message};
use crate::frame::{CallReq, ErrorCode, Headers, Part};
use crate::limits::{FRAME_BYTES, TRANSPORT_BYTES};
use crate::tracing::{Span, Tracing};

/// A call of the peer that has not been answered.
#[derive(Debug)]
pub(super) struct Inbound {
    tracing: Tracing,
    checksum: ChecksumType,
    begun: Instant,
    deadline: Instant,
    /// Bytes of its args that came.
    bytes: usize,
    /// While frames are missing.
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
struct Rest {
    assembly: Assembly,
    service: Bytes,
    headers: Headers,
}

impl Connection {
    /// The first frame of a call.
    pub(super) fn called(&mut self, now: Instant, id: u32, call: CallReq, out: &mut Output) {
        if self.inbound.contains(id) {
            return self.shut(
                CloseReason::Protocol("call request with an id in flight"),
                out,
            );
        }
        if let Err((code, message)) = self.admit(&call) {
            return self.send_error(id, code, call.tracing, &message, out);
        }
        let assembled = match Assembly::begin(&call.part, self.limits.message_bytes) {
            Ok(assembled) => assembled,
            Err(bad) => {
                return self.send_error(id, ErrorCode::BadRequest, call.tracing, &text(&bad), out);
            }
        };
        let ttl = Duration::from_millis(u64::from(call.ttl));
        let mut inbound = Inbound {
            tracing: call.tracing,
            checksum: call.part.checksum.kind,
            begun: now,
            deadline: now + ttl,
            bytes: 0,
            rest: None,
        };
        self.wake_by(inbound.deadline);
        match assembled {
            Assembled::Whole(args) => {
                inbound.bytes = args.iter().map(Bytes::len).sum();
                let event = inbound.event(id, call.service, call.headers, args);
                out.events.push_back(event);
            }
            Assembled::Begun(assembly) => {
                inbound.bytes = assembly.length();
                let (service, headers) = (call.service, call.headers);
                inbound.rest = Some(Box::new(Rest {
                    assembly,
                    service,
                    headers,
                }));
            }
        }
        self.inbound_bytes += inbound.bytes;
        self.inbound.insert(id, inbound);
    }

    /// Whether a call may come in.
    fn admit(&self, call: &CallReq) -> Result<(), (ErrorCode, String)> {
        for key in ["as", "cn"] {
            if call.headers.get(key).is_none_or(|value| value.is_empty()) {
                let message =
                    format!("Expected incoming call request to have \"{key}\" header set.");
                return Err((ErrorCode::BadRequest, message));
            }
        }
        if let Some(reason) = &self.draining {
            return Err((
                ErrorCode::Declined,
                format!("connection draining: {reason}"),
            ));
        }
        let limits = &self.limits;
        if self.inbound.len() >= limits.inbound_calls {
            let message = format!(
                "too many calls in flight (limit is {})",
                limits.inbound_calls
            );
            return Err((ErrorCode::Busy, message));
        }
        self.admit_bytes(call.part.chunks.raw().len())
    }

    /// Whether more bytes of messages in flight may come in.
    pub(super) fn admit_bytes(&self, more: usize) -> Result<(), (ErrorCode, String)> {
        // One call alone may be as long as a message may be.
        let limit = self
            .limits
            .inbound_bytes
            .max(self.limits.message_bytes + FRAME_BYTES);
        if self.inbound_bytes + more > limit {
            let message = format!("too many bytes in flight (limit is {limit})");
            return Err((ErrorCode::Busy, message));
        }
        Ok(())
    }

    /// A further frame of a call. Of a call that was refused or is over, it is ignored.
    pub(super) fn called_further(&mut self, id: u32, part: &Part, out: &mut Output) {
        let more = part.chunks.raw().len();
        let admitted = self.admit_bytes(more);
        let Some(inbound) = self.inbound.get_mut(id) else {
            return;
        };
        let Some(rest) = &mut inbound.rest else {
            return;
        };
        let result = admitted.and_then(|()| {
            let bad = |bad| (ErrorCode::BadRequest, text(&bad));
            rest.assembly.add(part).map_err(bad)
        });
        let length = rest.assembly.length();
        self.inbound_bytes += length - inbound.bytes;
        inbound.bytes = length;
        match result {
            Ok(None) => {}
            Ok(Some(args)) => {
                if let Some(rest) = inbound.rest.take() {
                    let event = inbound.event(id, rest.service, rest.headers, args);
                    out.events.push_back(event);
                }
            }
            Err((code, message)) => {
                let inbound = self.end_inbound(id);
                let tracing = inbound.map(|inbound| inbound.tracing).unwrap_or_default();
                self.send_error(id, code, tracing, &message, out);
            }
        }
    }

    fn end_inbound(&mut self, id: u32) -> Option<Inbound> {
        let inbound = self.inbound.remove(id)?;
        self.inbound_bytes -= inbound.bytes;
        Some(inbound)
    }

    /// Answers a call of the peer. Returns `false` if nobody waits for it any more: it was
    /// cancelled, its time is up, or the connection is closed.
    ///
    /// A response that breaks a bound (headers of more than 32 KiB, args longer than
    /// [`Limits::message_bytes`](crate::Limits)), and one without the header `as`, are answered
    /// with an error in their place.
    pub fn answer(&mut self, id: u32, result: Result<Response, Failure>, out: &mut Output) -> bool {
        if self
            .inbound
            .get_mut(id)
            .is_none_or(|inbound| inbound.rest.is_some())
        {
            return false;
        }
        let Some(inbound) = self.end_inbound(id) else {
            return false;
        };
        match result.and_then(|response| self.sendable(response)) {
            Ok(response) => {
                let Response {
                    code,
                    headers,
                    arg2,
                    arg3,
                } = &response;
                let head = Head::Answer {
                    code: *code,
                    tracing: inbound.tracing,
                    headers,
                };
                let kind = inbound.checksum.sent();
                write_message(
                    &mut out.bytes,
                    id,
                    head,
                    [&[], arg2, arg3],
                    kind,
                    FRAME_BYTES,
                );
                self.check_output(out);
            }
            Err(Failure { code, message, .. }) => {
                self.send_error(id, code, inbound.tracing, &message, out);
            }
        }
        self.check_drained(out);
        true
    }

    fn sendable(&self, response: Response) -> Result<Response, Failure> {
        let unexpected = |why: String| Err(Failure::here(ErrorCode::Unexpected, why));
        let length = response.arg2.len() + response.arg3.len();
        let limit = self.limits.message_bytes;
        if length > limit {
            return unexpected(format!(
                "response length {length} is larger than the limit {limit}"
            ));
        }
        if response.headers.raw().len() > TRANSPORT_BYTES {
            return unexpected(format!("response headers exceed {TRANSPORT_BYTES} bytes"));
        }
        if response.headers.get("as").is_none() {
            return unexpected("the response has no \"as\" header".into());
        }
        Ok(response)
    }

    /// The peer does not want an answer.
    pub(super) fn cancelled(&mut self, id: u32, why: &[u8], out: &mut Output) {
        let Some(inbound) = self.end_inbound(id) else {
            return;
        };
        let why = match String::from_utf8_lossy(why) {
            why if why.is_empty() => "cancelled".to_owned(),
            why => why.into_owned(),
        };
        self.send_error(id, ErrorCode::Cancelled, inbound.tracing, &why, out);
        if inbound.rest.is_none() {
            out.events.push_back(Event::Dropped {
                id,
                code: ErrorCode::Cancelled,
            });
        }
    }

    /// Ends the peer's calls whose time is up.
    pub(super) fn expire_inbound(&mut self, now: Instant, out: &mut Output) {
        let due = |(id, inbound): (u32, &Inbound)| (inbound.deadline <= now).then_some(id);
        let due: Vec<u32> = self.inbound.iter().filter_map(due).collect();
        for id in due {
            let Some(inbound) = self.end_inbound(id) else {
                continue;
            };
            let message = timed_out(now, inbound.begun, inbound.deadline);
            self.send_error(id, ErrorCode::Timeout, inbound.tracing, &message, out);
            if inbound.rest.is_none() {
                out.events.push_back(Event::Dropped {
                    id,
                    code: ErrorCode::Timeout,
                });
            }
        }
        let next = self
            .inbound
            .iter()
            .map(|(_, inbound)| inbound.deadline)
            .min();
        if let Some(next) = next {
            self.wake_by(next);
        }
    }
}

impl Inbound {
    fn event(&self, id: u32, service: Bytes, headers: Headers, args: [Bytes; 3]) -> Event {
        let [arg1, arg2, arg3] = args;
        let request = Request {
            service,
            headers,
            arg1,
            arg2,
            arg3,
            checksum: self.checksum.sent(),
            span: Span::Same(self.tracing),
        };
        Event::Call(InboundCall {
            id,
            request,
            ttl: self.deadline - self.begun,
            deadline: self.deadline,
            tracing: self.tracing,
        })
    }
}

/// tchannel-node's words.
pub(super) fn timed_out(now: Instant, begun: Instant, deadline: Instant) -> String {
    let (elapsed, limit) = ((now - begun).as_millis(), (deadline - begun).as_millis());
    format!("request timed out after {elapsed}ms (limit was {limit}ms)")
}
