//! The service `kv`: the endpoints of Ringpop's key-value example, on this node's keyspace.
//!
//! | endpoint | arg3 | answer |
//! | --- | --- | --- |
//! | `put` | `{"key":K,"value":V}` | `"OK"` |
//! | `get` | `{"key":K}` | the value as a JSON string, `"undefined"` if there is none |
//! | `health` | anything | `"OK"` |
//!
//! A key or value that is no JSON string stands for its JSON text, as in JavaScript. A request for
//! a key of another node is forwarded to it, once.

use std::borrow::Cow;
use std::sync::Arc;

use heeler_ringpop::channel::{Answer, Call, ErrorCode};
use heeler_ringpop::{Failure, Forwarding, Handled, Response, Ringpop};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::Keyspace;
use crate::command::{self, OwnedCommand, Reply};

/// The service's name.
const SERVICE: &str = "kv";

/// Serves the keys of a store.
pub(super) fn serve(keyspace: &Arc<Keyspace>) {
    let ringpop = &keyspace.ringpop;
    let keys = Keys {
        ringpop: ringpop.clone(),
        keyspace: keyspace.clone(),
        how: Forwarding::default(),
    };
    let service = ringpop.channel().service(SERVICE);
    service.endpoint("health", async |_: Call| Ok(Response::raw("\"OK\"")));
    let put = keys.clone();
    service.endpoint("put", move |call| put.clone().handle(call, Endpoint::Put));
    service.endpoint("get", move |call| keys.clone().handle(call, Endpoint::Get));
}

#[derive(Clone)]
struct Keys {
    ringpop: Ringpop,
    keyspace: Arc<Keyspace>,
    how: Forwarding,
}

#[derive(Clone, Copy, PartialEq)]
enum Endpoint {
    Get,
    Put,
}

/// What is asked. Fields that are not known are skipped.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

impl Keys {
    async fn handle(self, call: Call, endpoint: Endpoint) -> Answer {
        let arg3 = call.request.arg3.clone();
        let body = read(&arg3)?;
        let key = text(body.key)?;
        let how = self.how.until(call.deadline);
        let place = self.keyspace.members.nodes().ring_key(key.as_bytes());
        let handled = self
            .ringpop
            .handle_or_forward_with(&*place, call.request, &how);
        match handled.await {
            Ok(Handled::There { response, .. }) => Ok(response),
            Ok(Handled::Here(_)) => {
                let answer = self.execute(endpoint, key.as_bytes(), body.value).await?;
                Ok(respond(answer))
            }
            Err(error) => Err(error.to_failure()),
        }
    }

    async fn execute(
        &self,
        endpoint: Endpoint,
        key: &[u8],
        value: Option<&RawValue>,
    ) -> Result<Reply, Failure> {
        match endpoint {
            Endpoint::Get => Ok(self.run(command::Id::Get, &[b"GET", key]).await),
            Endpoint::Put => {
                let value = text(value.ok_or_else(|| refused("it has no value"))?)?;
                let words: [&[u8]; 3] = [b"SET", key, value.as_bytes()];
                Ok(self.run(command::Id::Set, &words).await)
            }
        }
    }

    async fn run(&self, id: command::Id, parts: &[&[u8]]) -> Reply {
        let command = OwnedCommand::new(id.spec(), parts);
        self.keyspace.execute_own(&command.as_command()).await
    }
}

fn read(body: &[u8]) -> Result<Body<'_>, Failure> {
    serde_json::from_slice(body).map_err(|error| match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => refused(&error.to_string()),
        Err(error) => refused(&format!("it is no JSON: {error}")),
    })
}

/// The text that a JSON value stands for; copied only where something in it is escaped.
fn text(json: &RawValue) -> Result<Cow<'_, str>, Failure> {
    let json = json.get();
    if !json.starts_with('"') {
        return Ok(Cow::Borrowed(json));
    }
    let text = serde_json::from_str::<Text<'_>>(json);
    text.map(|Text(text)| text)
        .map_err(|error| refused(&error.to_string()))
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn refused(reason: &str) -> Failure {
    let message = format!("the body must be {{\"key\":…}} or {{\"key\":…,\"value\":…}}: {reason}");
    Failure::here(ErrorCode::BadRequest, message)
}

/// In the scheme raw, whatever the call speaks: so does the example.
fn respond(reply: Reply) -> Response {
    match reply {
        Reply::Error(text) => {
            let body = serde_json::json!({ "type": "kv.error", "message": text });
            Response::raw(body.to_string()).error()
        }
        Reply::Null => Response::raw("\"undefined\""),
        Reply::Bulk(bytes) => Response::raw(quoted(&bytes)),
        _ => Response::raw("\"OK\""),
    }
}

/// The JSON string of a value.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    serde_json::to_vec(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let good = [
            (r#"{"key":"foo","value":"bar"}"#, "foo", Some("bar")),
            (r#"{"value":1.50,"key":7,"more":{}}"#, "7", Some("1.50")),
            (
                r#"{"key":"a\"bé","value":[1, "x"]}"#,
                "a\"bé",
                Some("[1, \"x\"]"),
            ),
            (r#" {"key":null} "#, "null", None),
        ];
        for (body, name, found) in good {
            let asked = read(body.as_bytes()).unwrap();
            assert_eq!(text(asked.key).unwrap(), name);
            let value = asked.value.map(|value| text(value).unwrap());
            assert_eq!(value.as_deref(), found, "{body}");
        }
        let bad = [
            ("", "it is no JSON"),
            ("no json", "it is no JSON"),
            ("{\"key\":\"a\"", "it is no JSON"),
            ("[]", "invalid length 0"),
            ("{}", "missing field `key`"),
            ("\"key\"", "invalid type: string"),
        ];
        for (body, words) in bad {
            let failure = read(body.as_bytes()).err().unwrap();
            assert_eq!(failure.code, ErrorCode::BadRequest);
            assert!(failure.message.contains(words), "{body}: {failure}");
        }
    }

    #[test]
    fn a_value_is_a_json_string() {
        assert_eq!(quoted(b"bar"), b"\"bar\"");
        assert_eq!(quoted(b"a \"b\"\n"), b"\"a \\\"b\\\"\\n\"");
    }
}
