//! Who answers a call: services and their endpoints.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;
use heeler_tchannel::scheme::Scheme;
use heeler_tchannel::{ErrorCode, Failure, InboundCall, Request, Response, Tracing};

use super::Remote;

/// What a handler returns. An error becomes an error frame; what went wrong in the application's
/// own terms is a [`Response`] with a code.
pub type Answer = Result<Response, Failure>;

pub(super) type Running = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A handler of calls.
#[derive(Clone)]
pub(super) struct Handler {
    pub(super) run: Arc<dyn Fn(Call) -> Running + Send + Sync>,
    /// A call waits until the answer to the one before it on its connection is there.
    pub(super) in_order: bool,
}

/// A call of a peer, for its handler.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked. Its span is the call's own, so that it can be relayed as it is.
    pub request: Request,
    /// Its place in a tree of calls: for a call on its behalf, `Span::ChildOf`.
    pub tracing: Tracing,
    /// The time that the peer gave it.
    pub ttl: Duration,
    /// When that is over: the peer has got an error by then.
    pub deadline: Instant,
    /// Who calls.
    pub from: Arc<Remote>,
}

impl Call {
    pub(super) fn new(call: InboundCall, from: Arc<Remote>) -> Self {
        let InboundCall {
            request,
            ttl,
            deadline,
            tracing,
            ..
        } = call;
        Call {
            request,
            tracing,
            ttl,
            deadline,
            from,
        }
    }

    /// The endpoint's name, arg1.
    pub fn endpoint(&self) -> &[u8] {
        &self.request.arg1
    }

    /// The body, arg3.
    ///
    /// It is a slice of what was read from the socket, with all that came with it: what is kept for
    /// long should be copied.
    pub fn body(&self) -> &Bytes {
        &self.request.arg3
    }

    /// How its args are to be read; `None` if the scheme is not known.
    pub fn scheme(&self) -> Option<Scheme> {
        Scheme::of(&self.request.headers)
    }

    /// The name that the caller gives itself.
    pub fn caller(&self) -> &[u8] {
        self.request.headers.get("cn").unwrap_or_default()
    }

    /// Success with this body, in the call's scheme (raw and json).
    pub fn reply(&self, body: impl Into<Bytes>) -> Response {
        match self.scheme() {
            Some(Scheme::Json) => Response::json(body),
            _ => Response::raw(body),
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Services(HashMap<Bytes, Service, RandomState>);

#[derive(Clone, Default)]
struct Service {
    endpoints: HashMap<Bytes, Handler, RandomState>,
    fallback: Option<Handler>,
}

impl Services {
    pub(super) fn with_endpoint(&self, service: &Bytes, endpoint: Bytes, handler: Handler) -> Self {
        let mut services = self.clone();
        let service = services.0.entry(service.clone()).or_default();
        service.endpoints.insert(endpoint, handler);
        services
    }

    pub(super) fn with_fallback(&self, service: &Bytes, handler: Handler) -> Self {
        let mut services = self.clone();
        services.0.entry(service.clone()).or_default().fallback = Some(handler);
        services
    }

    /// Who answers; the errors are in tchannel-node's words.
    pub(super) fn handler(&self, request: &Request) -> Result<&Handler, Failure> {
        let name = String::from_utf8_lossy;
        let Some(service) = self.0.get(&request.service) else {
            return Err(bad(format!("unknown service {}", name(&request.service))));
        };
        let handler = service
            .endpoints
            .get(&request.arg1)
            .or(service.fallback.as_ref());
        handler.ok_or_else(|| {
            let (service, endpoint) = (name(&request.service), name(&request.arg1));
            bad(format!(
                "no such endpoint service=\"{service}\" endpoint=\"{endpoint}\""
            ))
        })
    }
}

fn bad(message: String) -> Failure {
    Failure::here(ErrorCode::BadRequest, message)
}
