//! Traces: an event of this member, sent to a log or to a peer for a while, as `/trace/add` asks.

use std::time::Duration;

use bytes::Bytes;
use heeler_swim::{Event as Membership, Fault, MemberState};
use heeler_tchannel::Request;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Map, json};
use tokio::time::Instant;

use crate::event::Event;
use crate::gossip::{HEADERS, SERVICE, wall_ms};
use crate::limits;
use crate::ringpop::Ringpop;

/// The one event that can be traced.
const CHECKSUM_UPDATE: &str = "membership.checksum.update";
/// Time for a sink to take an event.
const SINK_TIMEOUT: Duration = Duration::from_secs(1);

/// Those who want to be told.
#[derive(Debug, Default)]
pub(crate) struct Tracers(Mutex<Vec<Tracer>>);

#[derive(Debug)]
struct Tracer {
    sink: Sink,
    until: Instant,
}

/// What `/trace/add` and `/trace/remove` are given.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    event: Option<String>,
    #[serde(alias = "expires-in")]
    expires_in: Option<u64>,
    #[serde(alias = "expires-at")]
    expires_at: Option<u64>,
    sink: Option<Sink>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Sink {
    /// This member's log.
    Log {
        /// What the line says.
        message: Option<String>,
    },
    /// A service of somebody.
    TChannel {
        #[serde(rename = "hostPort", alias = "host-port")]
        host_port: String,
        #[serde(rename = "serviceName", alias = "service-name")]
        service: Option<String>,
        endpoint: Option<String>,
    },
}

impl Tracers {
    /// Adds one, or lets it live longer. The answer is what was asked for.
    pub(crate) fn add(&self, body: &[u8], wall_ms: u64) -> Result<Vec<u8>, Fault> {
        let (sink, lives) = read(body, wall_ms)?;
        let lives = lives.ok_or_else(|| {
            invalid(
                "expires",
                "must specify exactly one of expiresAt, expiresIn",
            )
        })?;
        let now = Instant::now();
        let mut tracers = self.0.lock();
        tracers.retain(|tracer| tracer.until > now && tracer.sink != sink);
        if tracers.len() >= limits::TRACERS {
            return Err(invalid("sink", "there are too many tracers"));
        }
        let until = now + lives.min(limits::LONGEST_TRACE);
        tracers.push(Tracer { sink, until });
        Ok(body.to_vec())
    }

    /// Removes one, if it is there.
    pub(crate) fn remove(&self, body: &[u8], wall_ms: u64) -> Result<Vec<u8>, Fault> {
        let (sink, _) = read(body, wall_ms)?;
        let mut tracers = self.0.lock();
        tracers.retain(|tracer| tracer.sink != sink);
        Ok(Vec::new())
    }

    fn sinks(&self) -> Vec<Sink> {
        let now = Instant::now();
        let mut tracers = self.0.lock();
        tracers.retain(|tracer| tracer.until > now);
        tracers.iter().map(|tracer| tracer.sink.clone()).collect()
    }
}

/// The sink, and for how long.
fn read(body: &[u8], wall_ms: u64) -> Result<(Sink, Option<Duration>), Fault> {
    let options: Options = serde_json::from_slice(body)
        .map_err(|error| invalid("opts", &format!("it cannot be read: {error}")))?;
    if options.event.as_deref() != Some(CHECKSUM_UPDATE) {
        return Err(invalid("event", "it is unknown"));
    }
    let lives = match (options.expires_in, options.expires_at) {
        (Some(ms), None) => Some(ms),
        (None, Some(at)) => Some(at.saturating_sub(wall_ms)),
        _ => None,
    };
    let sink = options.sink.ok_or_else(|| invalid("sink", "is missing"))?;
    Ok((sink, lives.map(Duration::from_millis)))
}

fn invalid(option: &str, reason: &str) -> Fault {
    let message = format!("`{option}` option is invalid because {reason}");
    Fault::new(
        "ringpop.invalid-option",
        "RingpopInvalidOptionError",
        message,
    )
    .with("option", option)
    .with("reason", reason)
}

impl Ringpop {
    /// Tells tracers of an event.
    pub(crate) fn trace(&self, event: &Event) {
        let Event::Membership(Membership::ChecksumComputed { checksum }) = event else {
            return;
        };
        let sinks = self.inner.tracers.sinks();
        if sinks.is_empty() {
            return;
        }
        let payload = payload(self.whoami(), *checksum, &self.members());
        for sink in sinks {
            match sink {
                Sink::Log { message } => {
                    let message = message.unwrap_or(format!("/trace/{CHECKSUM_UPDATE}"));
                    tracing::info!(payload, "{message}");
                }
                Sink::TChannel {
                    host_port,
                    service,
                    endpoint,
                } => self.tell(host_port, service, endpoint, payload.clone()),
            }
        }
    }

    fn tell(&self, to: String, service: Option<String>, endpoint: Option<String>, payload: String) {
        let request = Request {
            service: service.unwrap_or(SERVICE.into()).into(),
            headers: HEADERS.clone(),
            arg1: endpoint
                .unwrap_or(format!("/trace/{CHECKSUM_UPDATE}"))
                .into(),
            arg2: Bytes::new(),
            arg3: payload.into(),
            ..Request::default()
        };
        let channel = self.inner.channel.clone();
        tokio::spawn(async move {
            if let Err(failure) = channel.call(&to, request, SINK_TIMEOUT).await {
                tracing::info!(sink = to, "cannot send a trace: {failure}");
            }
        });
    }
}

fn payload(address: &str, checksum: u32, members: &[MemberState]) -> String {
    let mut counts = Map::new();
    for member in members {
        let count = counts.entry(member.status.name()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + 1);
    }
    json!({
        "id": address,
        "address": address,
        "timestamp": wall_ms(),
        "checksum": checksum,
        "membershipStatusCounts": counts,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_tracer_lives_for_its_time() {
        let tracers = Tracers::default();
        let ask = json!({"event": CHECKSUM_UPDATE, "expiresIn": 1000,
                         "sink": {"type": "tchannel", "hostPort": "127.0.0.1:1"}});
        let ask = ask.to_string();
        tracers.add(ask.as_bytes(), 0).unwrap();
        tracers.add(ask.as_bytes(), 0).unwrap();
        assert_eq!(tracers.sinks().len(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tracers.sinks().is_empty());
        tracers.add(ask.as_bytes(), 0).unwrap();
        tracers.remove(ask.as_bytes(), 0).unwrap();
        assert!(tracers.sinks().is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        let tracers = Tracers::default();
        let cases = [
            (
                json!({"event": "x"}),
                "`event` option is invalid because it is unknown",
            ),
            (
                json!({"event": CHECKSUM_UPDATE}),
                "`sink` option is invalid because is missing",
            ),
            (
                json!({"event": CHECKSUM_UPDATE, "sink": {"type": "log"}}),
                "`expires` option is invalid because must specify exactly one of expiresAt, \
                 expiresIn",
            ),
            (
                json!({"event": CHECKSUM_UPDATE, "sink": {"type": "x"}}),
                "`opts` option",
            ),
        ];
        for (ask, words) in cases {
            let fault = tracers.add(ask.to_string().as_bytes(), 0).unwrap_err();
            assert!(fault.to_string().starts_with(words), "{fault}");
        }
    }
}
