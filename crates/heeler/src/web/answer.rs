//! From a request to its answer: what is asked for, in which form, and by whom.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use tokio::sync::mpsc;

use super::condition::{Condition, Tag};
use super::connection::Guest;
use super::conversation::Conversation;
use super::negotiation::{Form, sent, wanted};
use super::path::{NoResource, Resource};
use super::refusal::{Asked, Refusal};
use crate::command::Id;
use crate::http::{METRICS_TYPE, host};
use crate::limits;

/// The body of an answer.
pub enum Body {
    /// All of it, which is sent at once.
    Whole(Option<Bytes>),
    /// Pieces, as they are made.
    Pieces(mpsc::Receiver<Bytes>),
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            Body::Whole(bytes) => Poll::Ready(bytes.take()),
            Body::Pieces(pieces) => pieces.poll_recv(cx),
        };
        piece.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Body::Pieces(_) => SizeHint::default(),
        }
    }
}

/// An answer, or why there is none.
pub type Outcome = Result<Response<Body>, Refusal>;

/// A request whose body has been read.
pub struct Asking<'a> {
    /// What is asked for.
    pub resource: &'a Resource<'a>,
    /// What is to be done with it.
    pub method: &'a Method,
    /// What follows the path.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The form of the body.
    pub sent: Form,
    /// The body.
    pub body: Bytes,
    /// The form of the answer.
    pub wanted: Form,
}

impl Asking<'_> {
    /// What it asks of the version of its key.
    pub fn condition(&self) -> Condition {
        let values = |name: HeaderName| {
            let all = self.headers.get_all(name);
            all.into_iter().map(HeaderValue::as_bytes)
        };
        Condition::read(values(header::IF_MATCH), values(header::IF_NONE_MATCH))
    }
}

impl Guest {
    /// Answers a request.
    pub async fn answer(self: &Rc<Self>, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if let Some(told) = host::fault(parts.version, &parts.headers) {
            return refuse(&Refusal::new(StatusCode::BAD_REQUEST, told));
        }
        match self.found(&parts, body).await {
            Ok(answer) => answer,
            Err(refusal) => refuse(&refusal),
        }
    }

    async fn found(self: &Rc<Self>, parts: &Parts, body: Incoming) -> Outcome {
        let resource = match Resource::parse(parts.uri.path()) {
            Ok(resource) => resource,
            Err(NoResource::Unknown) => {
                return Ok(plain(StatusCode::NOT_FOUND, "page not found\n"));
            }
            Err(bad) => return Err(bad.into()),
        };
        if !resource.has(parts.method.as_str()) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            let methods = HeaderValue::from_static(resource.methods());
            answer.headers_mut().insert(header::ALLOW, methods);
            return Ok(answer);
        }
        if parts.method == Method::OPTIONS {
            let mut answer = empty(StatusCode::NO_CONTENT);
            let methods = HeaderValue::from_static(resource.methods());
            answer.headers_mut().insert(header::ALLOW, methods);
            return Ok(answer);
        }
        let (sent, wanted) = forms(&resource, parts)?;
        let body = match takes_body(&resource, &parts.method) {
            true => {
                is_plain(&parts.headers)?;
                self.read(parts, body).await?
            }
            false => Bytes::new(),
        };
        let asking = Asking {
            resource: &resource,
            method: &parts.method,
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            sent,
            body,
            wanted,
        };
        self.go(&asking).await
    }

    async fn go(self: &Rc<Self>, asking: &Asking<'_>) -> Outcome {
        match asking.resource {
            Resource::Healthz => return Ok(text(StatusCode::OK, "ok\n".into())),
            Resource::Readyz => return Ok(self.readiness(asking.query)),
            Resource::OpenApi => return Ok(super::openapi::answer()),
            _ => {}
        }
        let mut talk = Talk {
            conversation: self.converse(),
            authorization: asking
                .headers
                .get(header::AUTHORIZATION)
                .map(HeaderValue::as_bytes),
        };
        talk.conversation.begin(talk.authorization);
        let outcome = match asking.resource {
            Resource::Keys => self.keys(asking, &mut talk).await,
            Resource::BulkGet => self.bulk_get(asking, &mut talk).await,
            Resource::BulkPut => self.bulk_put(asking, &mut talk).await,
            Resource::Watch => self.watch(asking, &mut talk).await,
            Resource::Nodes => {
                talk.prove().await?;
                Ok(json(StatusCode::OK, self.site.nodes()))
            }
            Resource::Metrics => {
                talk.prove().await?;
                self.metrics()
            }
            _ => self.document(asking, &mut talk).await,
        };
        self.put_back(talk.conversation);
        outcome
    }

    /// Reads a body.
    async fn read(&self, parts: &Parts, body: Incoming) -> Result<Bytes, Refusal> {
        let reading = &self.progress.reading;
        reading.set(reading.get() + 1);
        let read = read(parts, body).await;
        reading.set(reading.get() - 1);
        read
    }

    fn readiness(&self, query: &str) -> Response<Body> {
        let (status, said) = self.site.subject.readiness(query);
        text(status, said)
    }

    fn metrics(&self) -> Outcome {
        let failed = |e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{e}"));
        let body = self.site.subject.metrics().map_err(failed)?;
        Ok(of_type(StatusCode::OK, METRICS_TYPE, body.into()))
    }
}

/// A conversation about one request.
pub struct Talk<'a> {
    /// Where commands are handed in.
    pub conversation: Conversation,
    authorization: Option<&'a [u8]>,
}

impl Talk<'_> {
    /// The same client's, for an answer that takes longer than the request.
    pub fn fork(&self, guest: &Guest) -> Talk<'static> {
        Talk {
            conversation: self.conversation.fork(guest.door.clone()),
            authorization: None,
        }
    }

    /// Says a command and hears the reply to it. Where a password is asked for, it is given.
    pub async fn ask(&mut self, id: Id, words: &[&[u8]]) -> &[u8] {
        self.conversation.say(id, words).await;
        let refused = self.conversation.hear().await.starts_with(b"-NOAUTH");
        if let (true, Some(authorization)) = (refused, self.authorization)
            && self.conversation.log_in(authorization).await
        {
            self.conversation.say(id, words).await;
            self.conversation.hear().await;
        }
        self.conversation.reply()
    }

    /// Makes sure that the client may ask at all.
    ///
    /// # Errors
    /// It has not given the password.
    pub async fn prove(&mut self) -> Result<(), Refusal> {
        let reply = self.ask(Id::Ping, &[b"PING"]).await;
        match super::document::Said::read(reply) {
            super::document::Said::Error(error) => Err(NOBODY.refused(error)),
            _ => Ok(()),
        }
    }
}

/// When to ask again, in seconds, where a node is away: others take note of that in about as much.
pub const RETRY_AFTER: &str = "1";

/// What errors speak of where no key is asked for.
const NOBODY: Asked<'static> = Asked {
    verb: "load",
    key: b"",
    part: None,
};

impl From<NoResource> for Refusal {
    fn from(why: NoResource) -> Refusal {
        let (status, text) = match why {
            NoResource::Unknown => (StatusCode::NOT_FOUND, "page not found".into()),
            NoResource::BadEscape => (
                StatusCode::BAD_REQUEST,
                "a % in the address is not followed by two hexadecimal digits".into(),
            ),
            NoResource::BadPlace => (
                StatusCode::BAD_REQUEST,
                format!("the place of an element is a number from 0 to {}", u64::MAX),
            ),
        };
        Refusal::new(status, text)
    }
}

/// The forms of the body and of the answer.
fn forms(resource: &Resource<'_>, parts: &Parts) -> Result<(Form, Form), Refusal> {
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    let offers: &[Form] = match resource {
        Resource::Healthz | Resource::Readyz | Resource::Metrics => {
            return Ok((Form::Json, Form::Text));
        }
        Resource::Key(_) if is_read => &[Form::Json, Form::Bytes, Form::Text],
        Resource::Watch => &[Form::Events],
        _ => &[Form::Json],
    };
    let header = |name: HeaderName| parts.headers.get(name).map(HeaderValue::as_bytes);
    let stores =
        matches!(resource, Resource::Key(_)) && matches!(parts.method, Method::PUT | Method::POST);
    let kind = header(header::CONTENT_TYPE);
    let sent = sent(kind)
        .filter(|form| *form == Form::Json || stores)
        .ok_or_else(|| Refusal::of_content_type(kind.unwrap_or_default(), stores))?;
    let wanted = wanted(header(header::ACCEPT), offers);
    let wanted = wanted.ok_or_else(|| Refusal::of_accept(offers))?;
    Ok((sent, wanted))
}

fn takes_body(resource: &Resource<'_>, method: &Method) -> bool {
    matches!(*method, Method::PUT | Method::POST)
        || matches!(resource, Resource::Index(_) | Resource::Item(_))
}

/// Refuses a body that is packed: nothing here unpacks it, and it would be kept as if it were the
/// value.
fn is_plain(headers: &HeaderMap) -> Result<(), Refusal> {
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let codings = value.as_bytes().split(|byte| *byte == b',');
        for coding in codings.map(<[u8]>::trim_ascii) {
            if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
                let coding = String::from_utf8_lossy(coding);
                let text =
                    format!("Content-Encoding {coding} is not supported: send the body as it is");
                return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
            }
        }
    }
    Ok(())
}

/// Reads a body that is not too long.
async fn read(parts: &Parts, mut body: Incoming) -> Result<Bytes, Refusal> {
    let too_long = || {
        let text = format!("the body is longer than {} bytes", limits::HTTP_BODY_BYTES);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits::HTTP_BODY_BYTES) {
        return Err(too_long());
    }
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(frame) = poll_frame(&mut body).await {
        let broken = |e| Refusal::new(StatusCode::BAD_REQUEST, format!("the body is cut: {e}"));
        let Ok(piece) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if all.len() + first.as_ref().map_or(0, Bytes::len) + piece.len() > limits::HTTP_BODY_BYTES
        {
            return Err(too_long());
        }
        // Most bodies come in one piece, which is taken as it is.
        match first.take() {
            None if all.is_empty() => first = Some(piece),
            before => {
                if let Some(before) = before {
                    all.reserve(length.unwrap_or(0).min(limits::RESERVE_BYTES));
                    all.extend_from_slice(&before);
                }
                all.extend_from_slice(&piece);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}

async fn poll_frame(body: &mut Incoming) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

/// An answer with a body of this type.
pub fn of_type(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Body> {
    let body = Body::Whole((!body.is_empty()).then_some(body));
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// An answer in JSON.
pub fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    of_type(status, "application/json", body.into())
}

/// An answer for people.
fn text(status: StatusCode, body: String) -> Response<Body> {
    of_type(status, "text/plain; charset=utf-8", body.into())
}

/// The same, as Go's `http.Error` gives it.
fn plain(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut answer = text(status, body.into());
    let nosniff = HeaderValue::from_static("nosniff");
    answer
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    answer
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::Whole(None));
    *answer.status_mut() = status;
    answer
}

/// Shows the version of what is answered.
pub fn tag(answer: &mut Response<Body>, version: u64) {
    let mut value = Vec::with_capacity(18);
    Tag(version).write(&mut value);
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        answer.headers_mut().insert(header::ETAG, value);
    }
}

/// An answer that says no.
pub fn refuse(refusal: &Refusal) -> Response<Body> {
    let mut answer = json(refusal.status, refusal.to_body());
    if let Some(version) = refusal.version {
        tag(&mut answer, version);
    }
    if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static(RETRY_AFTER);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    if refusal.status == StatusCode::UNAUTHORIZED {
        let how = HeaderValue::from_static("Basic realm=\"heeler\", charset=\"UTF-8\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    }
    answer
}
