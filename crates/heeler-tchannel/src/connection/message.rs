//! Calls and answers as values.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::checksum::ChecksumType;
use crate::frame::{ErrorCode, Headers};
use crate::limits::SHORT_BYTES;
use crate::scheme::Scheme;
use crate::scheme::thrift::Struct;
use crate::tracing::{Span, Tracing};

/// A call to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The service that is called; at most 255 bytes.
    pub service: Bytes,
    /// Transport headers; `as` and `cn` are needed.
    pub headers: Headers,
    /// The endpoint's name; at most 16384 bytes.
    pub arg1: Bytes,
    /// Headers of the application, in the arg scheme's form.
    pub arg2: Bytes,
    /// The body.
    pub arg3: Bytes,
    /// How its args are guarded.
    pub checksum: ChecksumType,
    /// On whose behalf it is made.
    pub span: Span,
}

impl Request {
    /// A call of `endpoint` in scheme raw, with the headers that a call needs.
    pub fn raw(
        service: impl Into<Bytes>,
        caller: &str,
        endpoint: impl Into<Bytes>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self::in_scheme(Scheme::Raw, service, caller, endpoint, body)
    }

    /// The same in scheme json; `body` is JSON.
    pub fn json(
        service: impl Into<Bytes>,
        caller: &str,
        endpoint: impl Into<Bytes>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self::in_scheme(Scheme::Json, service, caller, endpoint, body)
    }

    /// The same in any scheme. A caller's name is cut after 255 bytes.
    ///
    /// In scheme thrift, arg2 says that there are no application headers.
    pub fn in_scheme(
        scheme: Scheme,
        service: impl Into<Bytes>,
        caller: &str,
        endpoint: impl Into<Bytes>,
        body: impl Into<Bytes>,
    ) -> Self {
        let caller = &caller[..caller.floor_char_boundary(SHORT_BYTES)];
        let headers = Headers::new([("as", scheme.name()), ("cn", caller), ("re", "c")]);
        Request {
            service: service.into(),
            headers: headers.unwrap_or_default(),
            arg1: endpoint.into(),
            arg2: if scheme == Scheme::Thrift {
                NO_PAIRS
            } else {
                Bytes::new()
            },
            arg3: body.into(),
            ..Request::default()
        }
    }

    /// A call of a method by thrift: `endpoint` is `Service::method`, `args` its arguments.
    pub fn thrift(
        service: impl Into<Bytes>,
        caller: &str,
        endpoint: impl Into<Bytes>,
        args: &Struct,
    ) -> Self {
        Self::in_scheme(Scheme::Thrift, service, caller, endpoint, args.encode())
    }
}

/// No application headers, as scheme thrift has them.
const NO_PAIRS: Bytes = Bytes::from_static(&[0, 0]);

/// A call of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundCall {
    /// For [`Connection::answer`](crate::Connection::answer).
    pub id: u32,
    /// What is asked. Its span is [`Span::Same`], so that it can be relayed as it is.
    pub request: Request,
    /// The time that the peer gave it when it was sent.
    pub ttl: Duration,
    /// When that is over.
    pub deadline: Instant,
    /// Its place in a tree of calls.
    pub tracing: Tracing,
}

/// The answer to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// 0 for success; anything else is an error of the application, told in `arg3`.
    pub code: u8,
    /// Transport headers; `as` is needed.
    pub headers: Headers,
    /// Headers of the application, in the arg scheme's form.
    pub arg2: Bytes,
    /// The body.
    pub arg3: Bytes,
}

impl Response {
    /// Success with scheme raw.
    pub fn raw(body: impl Into<Bytes>) -> Self {
        Response {
            headers: Headers::RAW,
            arg3: body.into(),
            ..Response::default()
        }
    }

    /// Success with scheme json; `body` is JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Response {
            headers: Headers::JSON,
            arg3: body.into(),
            ..Response::default()
        }
    }

    /// Success with scheme thrift: a method's result in field 0. An exception in another is
    /// [`Response::error`], too.
    pub fn thrift(result: &Struct) -> Self {
        let (arg2, arg3) = (NO_PAIRS, result.encode());
        Response {
            code: 0,
            headers: Headers::THRIFT,
            arg2,
            arg3,
        }
    }

    /// The same as an error of the application.
    #[must_use]
    pub fn error(self) -> Self {
        Response { code: 1, ..self }
    }

    /// Whether it says success.
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }
}

/// Who says that a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The peer, in an error frame.
    Peer,
    /// This end.
    Here,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What went wrong.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// Who says so.
    pub origin: Origin,
}

impl Failure {
    /// A failure found here.
    pub fn here(code: ErrorCode, message: impl Into<String>) -> Self {
        Failure {
            code,
            message: message.into(),
            origin: Origin::Here,
        }
    }
}
