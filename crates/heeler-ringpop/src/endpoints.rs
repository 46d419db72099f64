//! The service `ringpop`: what members and operators ask of a member over TChannel.
//!
//! The names and answers are ringpop-node's. Some of its answers are bare words (`ok`) and no JSON;
//! tools rely on that.

use bytes::Bytes;
use heeler_swim::{Answer, Command, Endpoint, Fault, Status};
use heeler_tchannel::scheme::Scheme;
use heeler_tchannel::{ErrorCode, Failure, Headers, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::channel::Call;
use crate::discovery::Discovery;
use crate::gossip::{SERVICE, wall_ms};
use crate::proxy;
use crate::ringpop::Ringpop;

impl Ringpop {
    /// Answers a call of the service `ringpop`.
    pub(crate) async fn serve(&self, call: Call) -> Result<Response, Failure> {
        let request = call.request;
        let json = Scheme::of(&request.headers) == Some(Scheme::Json);
        let body = &request.arg3;
        let endpoint = String::from_utf8_lossy(&request.arg1);
        if let Some(endpoint) = Endpoint::from_path(&endpoint) {
            let result = self.inner.gossip.answer(endpoint, body).await;
            return Ok(match result {
                Ok(body) => respond(json, body),
                Err(body) => respond(json, body).error(),
            });
        }
        let result = match &*endpoint {
            proxy::ENDPOINT => {
                let result = self.answer_http(&request).await;
                return Ok(result.unwrap_or_else(|error| respond(json, to_json(&error)).error()));
            }
            "/health" => Ok(Vec::from("ok")),
            "/trace/add" => self.inner.tracers.add(body, wall_ms()),
            "/trace/remove" => self.inner.tracers.remove(body, wall_ms()),
            admin if admin.starts_with("/admin/") => match self.administer(admin, body).await {
                Some(result) => result,
                None => return Err(no_such_endpoint(&endpoint)),
            },
            _ => return Err(no_such_endpoint(&endpoint)),
        };
        Ok(match result {
            Ok(body) => respond(json, body),
            Err(fault) => respond(json, fault.to_body()).error(),
        })
    }

    /// `None`: there is no such endpoint.
    async fn administer(&self, endpoint: &str, body: &Bytes) -> Option<Result<Vec<u8>, Fault>> {
        let command = match endpoint {
            "/admin/stats" => return Some(Ok(self.stats())),
            "/admin/lookup" => return Some(self.look_up(body)),
            "/admin/gossip/status" => return Some(Ok(self.gossip_status())),
            "/admin/config/get" => return Some(self.config(body)),
            "/admin/config/set" => return Some(self.configure(body)),
            "/admin/debugSet" => return Some(Ok(self.show_gossip(true))),
            "/admin/debugClear" => return Some(Ok(self.show_gossip(false))),
            "/admin/reload" => return Some(self.reload_seeds().await),
            "/admin/member/join" | "/admin/join" => return Some(self.join().await),
            "/admin/gossip/start" | "/admin/gossip" => Command::StartGossip,
            "/admin/gossip/stop" => Command::StopGossip,
            "/admin/gossip/tick" | "/admin/tick" => Command::Tick,
            "/admin/member/leave" | "/admin/leave" => Command::Leave,
            "/admin/reap" => Command::Reap,
            "/admin/healpartition/disco" => Command::Heal,
            _ => return None,
        };
        let answer = self.command(command).await;
        Some(answer.map(|answer| match answer {
            Answer::Done => Vec::from("ok"),
            Answer::Checksum(checksum) => to_json(&json!({ "checksum": checksum })),
            Answer::Reaped(reaped) => format!("{{\"status\":\"ok\",\"reaped\":{reaped}}}").into(),
            Answer::Targets(targets) => to_json(&json!({ "targets": targets })),
        }))
    }

    /// The fields that ringpop-common's schema for `/admin/stats` has, and no other.
    fn stats(&self) -> Vec<u8> {
        let ringpop = self.inner.gossip.stats();
        to_json(&Stats {
            hooks: None,
            membership: ringpop.membership,
            process: Process {
                memory: memory(),
                pid: std::process::id(),
            },
            protocol: ringpop.protocol,
            ring: ringpop.ring,
            version: env!("CARGO_PKG_VERSION"),
            timestamp: wall_ms(),
            uptime: self.inner.gossip.began().elapsed().as_millis() as u64,
            // Both are of one workspace.
            tchannel_version: env!("CARGO_PKG_VERSION"),
        })
    }

    fn look_up(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        // ringpop-node takes what JavaScript takes for false as no key.
        let key = match &body["key"] {
            Value::String(key) => key.clone(),
            Value::Null | Value::Bool(false) => String::new(),
            Value::Number(number) if number.as_f64() == Some(0.0) => String::new(),
            other => other.to_string(),
        };
        if key.is_empty() {
            return Err(argument_required("key"));
        }
        Ok(to_json(&json!({ "dest": &*self.lookup(key) })))
    }

    fn gossip_status(&self) -> Vec<u8> {
        let started = self.inner.gossip.with(heeler_swim::Swim::is_gossiping);
        let status = if started { "started" } else { "stopped" };
        to_json(&json!({ "status": status }))
    }

    /// After a leave: comes back. Otherwise tells whom it could join.
    async fn join(&self) -> Result<Vec<u8>, Fault> {
        if self.status() == Status::Leave {
            self.rejoin().await?;
            return Ok(Vec::from("rejoined"));
        }
        let Answer::Targets(hosts) = self.command(Command::Heal).await? else {
            return Ok(Vec::from("{\"candidateHosts\":[]}"));
        };
        Ok(to_json(&json!({ "candidateHosts": hosts })))
    }

    /// The configuration under ringpop-node's names: those asked for, or all.
    fn config(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let all = self.configuration();
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let Value::Array(names) = asked else {
            return Ok(to_json(&all));
        };
        let names = names.iter().filter_map(Value::as_str);
        let some: Map<String, Value> = names
            .filter_map(|name| Some((name.to_string(), all.get(name)?.clone())))
            .collect();
        Ok(to_json(&some))
    }

    fn configuration(&self) -> Map<String, Value> {
        let config = self.inner.gossip.with(|swim| swim.config().clone());
        let cross_platform = self.ring().hash() == heeler_ring::RingHash::Fingerprint32;
        let all = json!({
            "TEST_KEY": 100,
            "app": config.app,
            "autoGossip": true,
            "gossipLogLevel": if self.inner.gossip.is_shown() { "info" } else { "error" },
            "isCrossPlatform": cross_platform,
            "useLatestHash32": false,
            "minProtocolPeriod": config.protocol_period_ms,
            "pingTimeout": config.ping_timeout_ms,
            "pingReqTimeout": config.ping_req_timeout_ms,
            "pingReqSize": config.ping_req_size,
            "suspectPeriod": config.suspect_ms,
            "faultyPeriod": config.faulty_ms,
            "tombstonePeriod": config.tombstone_ms,
            "joinSize": config.bootstrap.join_size,
            "joinTimeout": config.bootstrap.join_timeout_ms,
            "joinDelayMin": config.bootstrap.retry_ms,
            "joinDelayMax": config.bootstrap.max_retry_ms,
            "maxJoinDuration": config.bootstrap.give_up_ms,
            "requiresAppInPing": config.require_app,
            "denyJoins": config.deny_joins,
        });
        match all {
            Value::Object(all) => all,
            _ => Map::new(),
        }
    }

    /// Sets what can change while the member runs.
    fn configure(&self, body: &[u8]) -> Result<Vec<u8>, Fault> {
        let wanted: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| bad_request("the body must be an object of names and values"))?;
        let fixed = wanted.keys().find(|name| *name != "gossipLogLevel");
        if let Some(name) = fixed {
            let message = format!("{name} cannot be set while the member runs");
            return Err(bad_request(&message));
        }
        if let Some(level) = wanted.get("gossipLogLevel") {
            let is_shown = level.as_str().and_then(shows_gossip).ok_or_else(|| {
                let levels = LEVELS.map(|(level, _)| level).join(", ");
                bad_request(&format!("gossipLogLevel {level} is none of {levels}"))
            })?;
            self.show_gossip(is_shown);
        }
        Ok(Vec::new())
    }

    /// Whether each ping is in the log.
    fn show_gossip(&self, shown: bool) -> Vec<u8> {
        self.inner.gossip.show(shown);
        Vec::from("ok")
    }

    /// Reads the seeds anew. The path in the body, which ringpop-node reads, is not looked at: who
    /// can reach this port shall not choose files.
    async fn reload_seeds(&self) -> Result<Vec<u8>, Fault> {
        let discovery: &Discovery = self.inner.gossip.discovery();
        let seeds = discovery.seeds().await;
        let seeds = seeds.map_err(|error| bad_request(&error.to_string()))?;
        self.inner.gossip.take_seeds(seeds);
        Ok(Vec::from("ok"))
    }
}

/// ringpop-node's levels (`lib/logging/levels.js`), and whether each ping is in the log with them.
const LEVELS: [(&str, bool); 6] = [
    ("trace", true),
    ("debug", true),
    ("info", true),
    ("warn", false),
    ("error", false),
    ("off", false),
];

fn shows_gossip(level: &str) -> Option<bool> {
    let found = LEVELS.iter().find(|(name, _)| *name == level);
    found.map(|(_, is_shown)| *is_shown)
}

fn bad_request(reason: &str) -> Fault {
    Fault::new("ringpop.bad-request", "RingpopBadRequestError", reason)
}

fn argument_required(argument: &str) -> Fault {
    let message = format!("Expected `{argument}` to be passed");
    Fault::new(
        "ringpop.argument-required",
        "RingpopArgumentRequiredError",
        message,
    )
    .with("argument", argument)
}

/// The member has gone while the channel still serves.
pub(crate) fn gone() -> Failure {
    Failure::here(ErrorCode::Declined, "the member has left")
}

fn respond(json: bool, body: Vec<u8>) -> Response {
    Response {
        headers: if json { Headers::JSON } else { Headers::RAW },
        // ringpop-go reads arg2 as JSON if there is any.
        arg3: body.into(),
        ..Response::default()
    }
}

fn no_such_endpoint(endpoint: &str) -> Failure {
    let message = format!("no such endpoint service=\"{SERVICE}\" endpoint=\"{endpoint}\"");
    Failure::here(ErrorCode::BadRequest, message)
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    // It cannot fail: maps have texts as keys.
    serde_json::to_vec(value).unwrap_or_default()
}

#[derive(Serialize)]
struct Stats {
    hooks: Option<()>,
    membership: heeler_swim::MembershipStats,
    process: Process,
    protocol: heeler_swim::ProtocolStats,
    ring: heeler_swim::RingStats,
    version: &'static str,
    timestamp: u64,
    uptime: u64,
    #[serde(rename = "tchannelVersion")]
    tchannel_version: &'static str,
}

#[derive(Serialize)]
struct Process {
    memory: Memory,
    pid: u32,
}

/// Node.js's words. Here the heap is all memory that is the process's own.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    rss: u64,
    heap_total: u64,
    heap_used: u64,
}

/// Of this process, in bytes, as Linux tells; 0 elsewhere.
fn memory() -> Memory {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bytes = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or(0) * 1024
    };
    Memory {
        rss: bytes("VmRSS:"),
        heap_total: bytes("VmData:"),
        heap_used: bytes("RssAnon:"),
    }
}
