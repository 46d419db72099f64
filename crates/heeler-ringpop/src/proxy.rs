//! HTTP requests for keys of others, sent to their owners as ringpop-node does: over `/proxy/req`,
//! with the request's head as JSON in arg2 and its body in arg3.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use heeler_tchannel::{Headers, Request, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use serde_json::{Map, Value, json};

use crate::forward::{ForwardError, Forwarding, Handled};
use crate::gossip::{HEADERS, SERVICE};
use crate::ringpop::Ringpop;

/// The endpoint, under the service `ringpop`.
pub(crate) const ENDPOINT: &str = "/proxy/req";

/// An HTTP request with its whole body.
pub type HttpRequest = http::Request<Bytes>;
/// An HTTP response with its whole body.
pub type HttpResponse = http::Response<Bytes>;

type Answering = Pin<Box<dyn Future<Output = HttpResponse> + Send>>;

/// What answers HTTP requests that others have forwarded.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Fn(HttpRequest) -> Answering + Send + Sync>);

impl Handler {
    pub(crate) fn new<F, A>(handler: F) -> Handler
    where
        F: Fn(HttpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = HttpResponse> + Send + 'static,
    {
        Handler(Arc::new(move |request| Box::pin(handler(request))))
    }
}

/// How forwarded HTTP requests are checked before they are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// Refuse requests of members whose ring has another checksum (ringpop-node:
    /// `enforceConsistency`, on as there).
    pub checksum: bool,
    /// Refuse requests for keys that are not this member's (`enforceKeyConsistency`, off as there).
    pub keys: bool,
}

impl Default for Consistency {
    fn default() -> Consistency {
        Consistency {
            checksum: true,
            keys: false,
        }
    }
}

/// Where an HTTP request has been handled.
#[derive(Debug)]
pub enum Proxied {
    /// Nowhere yet: it is this member's.
    Here(HttpRequest),
    /// By its owner.
    There(HttpResponse),
}

/// Why an HTTP request was not handled.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It did not reach the owner.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The owner refused it: the type of its error, and what it says.
    #[error("the owner refuses the request: {kind}: {message}")]
    Refused {
        /// Such as `ringpop.request-proxy.invalid-checksum`.
        kind: String,
        /// For people.
        message: String,
    },
    /// What it answered is no HTTP response.
    #[error("the owner's answer is no HTTP response: {0}")]
    BadAnswer(String),
}

impl Ringpop {
    /// Forwards an HTTP request to the owner of a key, unless this member is the owner. The owner
    /// answers it with the handler that its builder was given for
    /// [HTTP](crate::Builder::on_http).
    ///
    /// # Errors
    /// The owner cannot be reached, or refuses: its ring differs from this one's.
    pub async fn handle_or_proxy(
        &self,
        key: impl AsRef<[u8]>,
        request: HttpRequest,
    ) -> Result<Proxied, ProxyError> {
        if self.owns(&key) {
            return Ok(Proxied::Here(request));
        }
        let head = head(&request, self.checksum(), &[key.as_ref()]);
        let call = Request {
            service: Bytes::from_static(SERVICE.as_bytes()),
            headers: HEADERS.clone(),
            arg1: Bytes::from_static(ENDPOINT.as_bytes()),
            arg2: head.to_string().into(),
            arg3: request.body().clone(),
            ..Request::default()
        };
        let how: &Forwarding = &self.inner.forwarding;
        match self.handle_or_forward_with(&key, call, how).await? {
            Handled::Here(_) => Ok(Proxied::Here(request)),
            Handled::There { response, .. } => answer(&response).map(Proxied::There),
        }
    }

    /// Answers a call of `/proxy/req`; an error is the body of the application's error.
    pub(crate) async fn answer_http(&self, call: &Request) -> Result<Response, Value> {
        self.inner.statistics.count("requestProxy.ingress", 1);
        let head: Value = serde_json::from_slice(&call.arg2)
            .map_err(|error| bad_request(&format!("the request's head: {error}")))?;
        self.check(&head)?;
        let Some(handler) = &self.inner.http else {
            return Err(bad_request("this member answers no HTTP requests"));
        };
        let request = from_head(&head, call.arg3.clone())
            .map_err(|reason| bad_request(&format!("the request's head: {reason}")))?;
        let response = (handler.0)(request).await;
        let head = json!({
            "statusCode": response.status().as_u16(),
            "headers": to_object(response.headers()),
        });
        Ok(Response {
            headers: Headers::RAW,
            arg2: head.to_string().into(),
            arg3: response.into_body(),
            ..Response::default()
        })
    }

    fn check(&self, head: &Value) -> Result<(), Value> {
        let consistency = self.inner.consistency;
        let theirs = head["ringpopChecksum"].as_u64();
        let ours = self.checksum();
        if theirs != Some(u64::from(ours)) {
            self.inner
                .statistics
                .count("requestProxy.checksumsDiffer", 1);
            if consistency.checksum {
                return Err(invalid_checksum(ours, theirs));
            }
        }
        for key in head["ringpopKeys"].as_array().into_iter().flatten() {
            // ringpop-node makes a text of whatever a key is.
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_string);
            if !self.owns(&key) {
                self.inner.statistics.count("requestProxy.keysDiffer", 1);
                if consistency.keys {
                    return Err(invalid_key(&self.lookup(&key), self.whoami()));
                }
            }
        }
        Ok(())
    }
}

fn bad_request(reason: &str) -> Value {
    json!({
        "type": "ringpop.request-proxy.bad-request",
        "message": reason,
        "name": "RingpopRequestProxyBadRequestError",
    })
}

fn invalid_checksum(expected: u32, actual: Option<u64>) -> Value {
    let shown = actual.map_or("none".to_string(), |actual| actual.to_string());
    let message = format!(
        "Expected the remote checksum to match local checksum.\nThe expected checksum ({expected}) \
         did not match actual checksum ({shown}).\n"
    );
    json!({
        "type": "ringpop.request-proxy.invalid-checksum",
        "message": message,
        "actual": actual,
        "expected": expected,
        "name": "RingpopRequestProxyInvalidChecksumError",
    })
}

fn invalid_key(target: &str, whoami: &str) -> Value {
    let message = format!(
        "Expected the local node to resolve to the forwarded key.\nA lookup resulted in {target} \
         instead of {whoami}."
    );
    json!({
        "type": "ringpop.request-proxy.invalid-key",
        "message": message,
        "target": target,
        "whoami": whoami,
        "name": "RingpopRequestProxyInvalidKeyError",
    })
}

/// The head of a request, as ringpop-node writes it.
fn head(request: &HttpRequest, checksum: u32, keys: &[&[u8]]) -> Value {
    let version = match request.version() {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        _ => "1.1",
    };
    let keys: Vec<_> = keys
        .iter()
        .map(|key| String::from_utf8_lossy(key))
        .collect();
    json!({
        "url": request.uri().to_string(),
        "headers": to_object(request.headers()),
        "method": request.method().as_str(),
        "httpVersion": version,
        "ringpopChecksum": checksum,
        "ringpopKeys": keys,
    })
}

fn from_head(head: &Value, body: Bytes) -> Result<HttpRequest, String> {
    let text = |field: &str| head[field].as_str().ok_or(format!("it has no {field}"));
    let version = match head["httpVersion"].as_str() {
        Some("1.0") => Version::HTTP_10,
        Some("2.0") => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    let request = http::Request::builder()
        .method(text("method")?)
        .uri(text("url")?)
        .version(version)
        .body(body);
    let mut request = request.map_err(|error| error.to_string())?;
    *request.headers_mut() = from_object(&head["headers"])?;
    Ok(request)
}

/// An HTTP response out of the answer of `/proxy/req`.
fn answer(response: &Response) -> Result<HttpResponse, ProxyError> {
    if !response.is_ok() {
        let error: Value = serde_json::from_slice(&response.arg3).unwrap_or_default();
        let text = |field: &str| error[field].as_str().unwrap_or("unknown").to_string();
        return Err(ProxyError::Refused {
            kind: text("type"),
            message: text("message"),
        });
    }
    let bad = ProxyError::BadAnswer;
    let head: Value = serde_json::from_slice(&response.arg2).unwrap_or_default();
    let status = head["statusCode"].as_u64().unwrap_or(200);
    let status = u16::try_from(status).map_err(|_| bad(format!("status {status}")))?;
    let answer = http::Response::builder().status(status);
    let mut answer = answer
        .body(response.arg3.clone())
        .map_err(|error| bad(error.to_string()))?;
    *answer.headers_mut() = from_object(&head["headers"]).map_err(bad)?;
    Ok(answer)
}

/// Headers as an object; several of one name as an array, as Node.js has them.
fn to_object(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for name in headers.keys() {
        let all = headers.get_all(name).iter();
        let mut all: Vec<Value> = all
            .map(|value| Value::from(String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let value = match all.len() {
            1 => all.remove(0),
            _ => Value::Array(all),
        };
        object.insert(name.as_str().to_string(), value);
    }
    Value::Object(object)
}

fn from_object(object: &Value) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let name: HeaderName = name.parse().map_err(|_| format!("the header {name:?}"))?;
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_string);
            let value = HeaderValue::from_str(&text);
            let value = value.map_err(|_| format!("the value of the header {name}"))?;
            headers.append(name.clone(), value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_that_of_ringpop_node() {
        let request = http::Request::post("/obj/a")
            .header("x-key", "a")
            .header("accept", "text/plain")
            .header("accept", "text/html")
            .body(Bytes::from("body"))
            .unwrap();
        let head = head(&request, 3_000_583_097, &[b"a"]);
        let expected = json!({
            "url": "/obj/a", "method": "POST", "httpVersion": "1.1",
            "headers": {"x-key": "a", "accept": ["text/plain", "text/html"]},
            "ringpopChecksum": 3_000_583_097_u32, "ringpopKeys": ["a"],
        });
        assert_eq!(head, expected);
        let back = from_head(&head, Bytes::from("body")).unwrap();
        assert_eq!(
            (back.method(), back.uri()),
            (request.method(), request.uri())
        );
        assert_eq!(back.headers(), request.headers());
    }

    #[test]
    fn hostile_heads_are_refused() {
        let bad = [
            json!({}),
            json!({"method": "GET"}),
            json!({"method": "GET", "url": "no url"}),
            json!({"method": "G T", "url": "/"}),
            json!({"method": "GET", "url": "/", "headers": {"a b": "c"}}),
            json!({"method": "GET", "url": "/", "headers": {"a": "b\r\nc: d"}}),
        ];
        for head in bad {
            assert!(from_head(&head, Bytes::new()).is_err(), "{head}");
        }
    }
}
