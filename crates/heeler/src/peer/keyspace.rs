//! The keyspace of a ring, whichever node has the key: for those who have time to wait, on any
//! thread. What clients of a node's doors send in streams goes over the workers' own connections
//! instead (`pool`), and comes here only when it was not understood at once: when two nodes see the
//! ring differently for a moment, or when a command waits.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use heeler_ringpop::channel::{Answer, Call, ErrorCode, Failure};
use heeler_ringpop::{Response, Ringpop};

use super::clearing::clears;
use super::commands;
use super::keeper::Keeper;
use super::pulse::Pulse;
use super::reachable::Reachable;
use super::settings::Alike;
use super::tracking::Tracking;
use crate::admin::Process;
use crate::admission::{Admission, Pending, Permit, kept};
use crate::clock;
use crate::cluster::Members;
use crate::command::number::integer;
use crate::command::{Arg, Command, Reply};
use crate::limits;
use crate::pool::Others;
use crate::route::{Destination, Gather, Nodes, Part, Route};
use crate::slowlog::{Origin, Slow, shown};
use crate::store::Store;
use crate::wire::resp::{self, Asker, Decoder, IN_DOUBT, Protocol};

/// TChannel's service of what the nodes of one program say to each other.
pub const SERVICE: &str = "heeler";

/// The keyspace of a ring.
pub struct Keyspace {
    /// The ring, and who owns what.
    pub members: Arc<Members>,
    /// This node's share.
    pub store: Arc<Store>,
    /// The process that this node is.
    pub process: Arc<Process>,
    /// What the workers' connections to other nodes share.
    pub others: Arc<Others>,
    /// What has passed between the nodes.
    pub traffic: Traffic,
    /// What this node holds.
    pub keeper: Arc<Keeper>,
    /// Who keeps copies of what is in the ring.
    pub tracking: Arc<Tracking>,
    pub(super) alike: Arc<Alike>,
    pub(super) pulse: Pulse,
    pub(super) reachable: Reachable,
    pub(super) ringpop: Ringpop,
    pub(super) runtime: tokio::runtime::Handle,
}

/// What has passed between this node and the others, beside what the workers' connections count.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Requests that other nodes have sent to this one.
    pub received: AtomicU64,
    /// Those among them whose keys this node does not own, as it sees the ring.
    pub moved: AtomicU64,
    /// Requests of this node's clients that were sent once more, after another node had said that.
    pub retried: AtomicU64,
}

/// Why a command is not executed here.
pub(super) enum Denied {
    /// Its keys have another owner.
    Moved,
    /// It is answered with this error.
    Refused(Reply),
}

/// The reply between nodes to a request whose keys are not the receiver's: the request follows, so
/// that the sender need not keep it.
const MOVED: &[u8] = b">2\r\n$5\r\nmoved\r\n$";

/// The error where they do not come to agree.
pub(super) const DISAGREE: &str =
    "TRYAGAIN the nodes of the ring do not agree yet about the owner of the key";

/// Writes that reply.
pub(super) fn say_moved(request: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(MOVED);
    out.extend_from_slice(itoa::Buffer::new().format(request.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(request);
    out.extend_from_slice(b"\r\n");
}

/// The request in that reply, if it is one. No reply to a client starts with the same byte.
#[inline]
pub fn moved(reply: &[u8]) -> Option<&[u8]> {
    if reply.first() != Some(&b'>') {
        return None;
    }
    let rest = reply.strip_prefix(MOVED)?;
    let start = memchr::memchr(b'\n', rest)? + 1;
    rest[start..].strip_suffix(b"\r\n")
}

impl Keyspace {
    /// Executes a request, wherever its keys are. The reply is in RESP2.
    pub async fn execute(self: &Arc<Self>, request: Bytes) -> Vec<u8> {
        match self.attempt(&request).await {
            Some(reply) => reply,
            None => self.execute_moved(request).await,
        }
    }

    /// Executes a request of which another node has said that it does not own its keys.
    pub async fn execute_moved(self: &Arc<Self>, request: Bytes) -> Vec<u8> {
        for pause in limits::MOVED_PAUSES_MS {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            self.traffic.retried.fetch_add(1, Relaxed);
            if let Some(reply) = self.attempt(&request).await {
                return reply;
            }
        }
        error(DISAGREE)
    }

    /// Has the other nodes tell their subscribers of a message, and returns how many these are.
    /// Whoever cannot be reached does not.
    pub async fn publish_elsewhere(self: &Arc<Self>, publish: Bytes) -> i64 {
        let nodes = self.members.picture();
        let others = nodes
            .addresses()
            .enumerate()
            .filter(|(node, _)| Some(*node) != nodes.me());
        let tell = |(_, address): (usize, &Arc<str>)| {
            let (this, address, publish) = (self.clone(), address.clone(), publish.clone());
            self.spawn(async move {
                let reply = this.there(&address, publish).await;
                let count = reply.as_deref().and_then(receivers_in);
                if count.is_none() {
                    tracing::debug!(%address, "a message was not published");
                }
                count.unwrap_or(0)
            })
        };
        let told: Vec<_> = others.map(tell).collect();
        let mut receivers = 0;
        for count in told {
            receivers += count.await.unwrap_or(0);
        }
        receivers
    }

    /// Has the calls of an endpoint of the service `heeler` answered with this function.
    pub(super) fn answer_with<A>(
        self: &Arc<Self>,
        endpoint: &'static str,
        answer: impl Fn(Arc<Keyspace>, Call) -> A + Send + Sync + 'static,
    ) where
        A: Future<Output = Answer> + Send + 'static,
    {
        let (keyspace, service) = (self.clone(), self.ringpop.channel().service(SERVICE));
        service.endpoint(endpoint, move |call| answer(keyspace.clone(), call));
    }

    /// Runs something on the peer port's threads.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(work)
    }

    /// `None`: another node says that the keys are not its own.
    async fn attempt(self: &Arc<Self>, request: &Bytes) -> Option<Vec<u8>> {
        let (nodes, random) = (self.members.picture(), clock::ticks());
        let (asker, asked) = Asker::split(request);
        let route = {
            let mut decoder = Decoder::default();
            match command(&mut decoder, asked) {
                Ok(command) => nodes.route(&command, random),
                Err(refused) => Route::Refused(refused),
            }
        };
        match route {
            Route::Here => Some(error("ERR the command is about a connection")),
            Route::Refused(reply) => Some(encoded(&reply)),
            Route::To(Destination::Store) => {
                let reply = self.execute_share(request).await;
                moved(&reply).is_none().then_some(reply)
            }
            Route::To(Destination::Server(node)) => {
                self.there(nodes.address(node), request.clone()).await
            }
            Route::Parts(..) if clears(request) => {
                Some(encoded(&self.clear_all(request.clone()).await))
            }
            Route::Parts(mut parts, gather) => {
                if let Some(asker) = asker {
                    let told = parts.iter_mut();
                    told.for_each(|part| part.request = asker.before(&part.request));
                }
                Some(self.parts(&nodes, parts, gather).await)
            }
        }
    }

    /// Executes the parts of a request that was split by this picture of the ring: a later one may
    /// number the nodes otherwise.
    async fn parts(
        self: &Arc<Self>,
        nodes: &Nodes,
        parts: Vec<Part>,
        mut gather: Gather,
    ) -> Vec<u8> {
        let start = |part: Part| {
            let (this, request) = (self.clone(), Bytes::from(part.request));
            let address = match part.to {
                Destination::Server(node) => Some(nodes.address(node).clone()),
                Destination::Store => None,
            };
            self.spawn(async move {
                let reply = match address {
                    None => {
                        Some(this.execute_share(&request).await).filter(|it| moved(it).is_none())
                    }
                    Some(address) => this.there(&address, request.clone()).await,
                };
                match reply {
                    Some(reply) => reply,
                    // It may have to be parted again.
                    None => this.anew(request).await,
                }
            })
        };
        let started: Vec<_> = parts.into_iter().map(start).collect();
        let mut merged = None;
        for (i, part) in started.into_iter().enumerate() {
            let reply = part.await.unwrap_or_else(|_| error("ERR the node stops"));
            merged = gather.put(i, &reply);
        }
        merged.unwrap_or_else(|| error("ERR a reply is missing"))
    }

    fn anew(self: Arc<Self>, request: Bytes) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send>> {
        Box::pin(async move { self.execute_moved(request).await })
    }

    /// Executes a request on this node's own share, whoever owns its keys.
    pub async fn execute_share(&self, request: &Bytes) -> Vec<u8> {
        let mut out = Vec::new();
        self.execute_in_order(request, true, &mut out).await;
        out
    }

    /// Asks another node. `None`: it does not own the keys.
    async fn there(&self, address: &str, request: Bytes) -> Option<Vec<u8>> {
        let timeout = Duration::from_millis(limits::FORWARD_MS);
        let asked = self.ask(address, commands::ENDPOINT, request, timeout);
        let reply = asked.await.unwrap_or_else(|error| error);
        moved(&reply).is_none().then(|| reply.to_vec())
    }

    /// Calls an endpoint of another node.
    ///
    /// # Errors
    /// It cannot be reached, or refuses: the error to tell a client.
    pub(super) async fn ask(
        &self,
        address: &str,
        endpoint: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, Bytes> {
        let call = commands::request(self.members.terms(), endpoint, body);
        let answer = self.ringpop.channel().call(address, call, timeout).await;
        let text = match answer {
            Ok(response) if response.is_ok() => return Ok(response.arg3),
            Ok(response) => String::from_utf8_lossy(&response.arg3).into_owned(),
            Err(failure) if failure.code == ErrorCode::Timeout => format!("{failure}{IN_DOUBT}"),
            Err(failure) => failure.to_string(),
        };
        Err(unreachable_node(address, &text).into())
    }

    /// Executes a command on this node's own share, for a door that knows that it is its owner.
    pub async fn execute_own(&self, command: &Command<'_>) -> Reply {
        let (reply, pending) = match self.permit(command, clock::now()).await {
            Err(Denied::Moved) => return Reply::error(DISAGREE),
            Err(Denied::Refused(reply)) => return reply,
            Ok((permit, now)) => self.execute_with(&permit, now, command, None),
        };
        kept(reply, pending).await
    }

    /// Waits until a command may be executed here. Returns the permit, and the time: `now` if it
    /// did not have to wait.
    ///
    /// # Errors
    /// It may not, and why.
    pub(super) async fn permit(
        &self,
        command: &Command<'_>,
        mut now: u64,
    ) -> Result<(Permit, u64), Denied> {
        loop {
            match self.keeper.admit(command) {
                Admission::Execute(permit) => return Ok((permit, now)),
                Admission::Moved => return Err(Denied::Moved),
                Admission::Wait(pending) => pending.await.map_err(Denied::Refused)?,
            }
            now = clock::now();
        }
    }

    /// Executes a command that is permitted: its reply, and what that has to wait for.
    pub fn execute_with(
        &self,
        _permit: &Permit,
        now: u64,
        command: &Command<'_>,
        asker: Option<Asker>,
    ) -> (Reply, Option<Pending>) {
        let reply = commands::execute(self, now, command, asker);
        let pending = self.keeper.written(now, command, &reply);
        (reply, pending)
    }

    /// Executes requests one after the other and writes their replies. `routed`: they have come
    /// through a door of this node.
    pub(super) async fn execute_in_order(&self, requests: &Bytes, routed: bool, out: &mut Vec<u8>) {
        let mut late: Vec<(usize, usize, Pending)> = Vec::new();
        let (mut decoder, mut at) = (Decoder::default(), 0);
        let (mut now, mut count) = (clock::now(), 0);
        // Who asks next, and where that is said.
        let mut asks: Option<(Asker, usize)> = None;
        // What one command was permitted by does for those behind it.
        let mut held: Option<Permit> = None;
        let is_late = !routed && self.pulse.is_late(clock::ticks());
        while at < requests.len() {
            if decoder.look_ahead(&requests[at..]) > 1 {
                self.store.prefetch(0, decoder.ahead(&requests[at..]));
            }
            let length = match decoder.decode(&requests[at..]) {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(fault) => {
                    out.extend_from_slice(&error(&format!("ERR {fault}")));
                    break;
                }
            };
            let (raw, args) = decoder.request(&requests[at..]);
            let begin = at;
            at += length;
            if let Some(told) = Asker::of(raw, args) {
                asks = Some((told, begin));
                continue;
            }
            let (asker, begin) = asks.take().map_or((None, begin), |(it, at)| (Some(it), at));
            count += 1;
            if args.is_empty() {
                continue;
            }
            let command = match Command::resolve(raw, args) {
                Ok(command) => command,
                Err(refused) => {
                    resp::encode(&refused, Protocol::Resp2, out);
                    continue;
                }
            };
            let permitted = match held.take().filter(|permit| permit.covers(&command)) {
                Some(permit) => Ok((permit, now)),
                None if is_late => Err(Denied::Moved),
                None => self.permit(&command, now).await,
            };
            match permitted {
                Err(Denied::Moved) => {
                    self.traffic.moved.fetch_add(1, Relaxed);
                    say_moved(&requests[begin..at], out);
                }
                Err(Denied::Refused(reply)) => resp::encode(&reply, Protocol::Resp2, out),
                Ok((permit, then)) => {
                    now = then;
                    let start = out.len();
                    let (reply, pending) = self.execute_with(&permit, now, &command, asker);
                    held = Some(permit);
                    resp::encode(&reply, Protocol::Resp2, out);
                    if let Some(pending) = pending {
                        late.push((start, out.len(), pending));
                    }
                }
            }
        }
        drop(held);
        if !routed {
            self.traffic.received.fetch_add(count, Relaxed);
        }
        settle(late, out).await;
    }
}

/// The number in a reply to PUBLISH.
fn receivers_in(reply: &[u8]) -> Option<i64> {
    integer(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

/// Waits until all writes may be told of. Those of which they may not get an error.
async fn settle(late: Vec<(usize, usize, Pending)>, out: &mut Vec<u8>) {
    let mut failed = Vec::new();
    for (start, end, pending) in late {
        if let Err(reply) = pending.await {
            failed.push((start, end, encoded(&reply)));
        }
    }
    for (start, end, reply) in failed.into_iter().rev() {
        out.splice(start..end, reply);
    }
}

/// The first command of the bytes.
pub fn command<'a>(decoder: &'a mut Decoder, request: &'a [u8]) -> Result<Command<'a>, Reply> {
    match decoder.decode(request) {
        Ok(Some(_)) => {}
        Ok(None) => return Err(Reply::error("ERR the request is cut")),
        Err(fault) => return Err(Reply::error(format!("ERR {fault}"))),
    }
    let (raw, args) = decoder.request(request);
    match args.is_empty() {
        true => Err(Reply::error("ERR the request is empty")),
        false => Command::resolve(raw, args),
    }
}

/// A reply as nodes send it to each other: in RESP2.
pub fn encoded(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    resp::encode(reply, Protocol::Resp2, &mut out);
    out
}

/// The answer to a request of another node. `None`: its keys are not this node's.
pub(super) fn respond(reply: Option<&Reply>, request: &[u8]) -> Response {
    Response::raw(match reply {
        Some(reply) => encoded(reply),
        None => {
            let mut out = Vec::new();
            say_moved(request, &mut out);
            out
        }
    })
}

pub(super) fn error(text: &str) -> Vec<u8> {
    format!("-{text}\r\n").into_bytes()
}

pub(super) fn unreachable_node(address: &str, text: &str) -> Vec<u8> {
    let text = text.replace(['\r', '\n'], " ");
    error(&format!(
        "CLUSTERDOWN the node {address}, which owns the key: {text}"
    ))
}

/// A call that cannot be answered.
pub(super) fn refused(text: String) -> Failure {
    Failure::here(ErrorCode::BadRequest, text)
}

/// The answer to the requests in a call.
pub(super) async fn answer(keyspace: &Keyspace, call: &Call) -> Vec<u8> {
    let (began, requests) = (clock::ticks(), &call.request.arg3);
    let mut out = Vec::with_capacity(requests.len());
    keyspace.execute_in_order(requests, false, &mut out).await;
    let took = clock::ticks().saturating_sub(began);
    let least = keyspace.process.slowlog.threshold();
    if least.is_some_and(|least| took >= least) {
        log_slow(keyspace, call, took);
    }
    out
}

/// Logs the requests of a call, which together were slow, under the first of them.
#[cold]
fn log_slow(keyspace: &Keyspace, call: &Call, took: u64) {
    let (mut decoder, mut rest) = (Decoder::default(), &call.request.arg3[..]);
    let (mut words, mut together) = (Vec::new(), 0);
    while !rest.is_empty() {
        rest = Asker::split(rest).1;
        let Ok(Some(length)) = decoder.decode(rest) else {
            break;
        };
        if together == 0 {
            let (raw, args) = decoder.request(rest);
            let word = |arg: &Arg| &raw[arg.start as usize..arg.end as usize];
            words = shown(args.iter().map(word));
        }
        rest = &rest[length..];
        together += 1;
    }
    let slow = Slow {
        words,
        took,
        origin: Arc::new(Origin::new(call.from.host_port.clone())),
        together,
        failed: None,
    };
    keyspace.process.slowlog.add(clock::now(), slow, None, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_has_moved_comes_back_whole() {
        let mut reply = Vec::new();
        say_moved(b"*1\r\n$4\r\nPING\r\n", &mut reply);
        assert_eq!(moved(&reply), Some(&b"*1\r\n$4\r\nPING\r\n"[..]));
        for other in [
            "+OK\r\n",
            "$5\r\nmoved\r\n",
            ">2\r\n$5\r\nother\r\n$1\r\nx\r\n",
        ] {
            assert_eq!(moved(other.as_bytes()), None);
        }
    }

    #[tokio::test]
    async fn a_write_that_may_not_be_told_of_is_an_error_in_its_place() {
        let mut out = b"+A\r\n+B\r\n+C\r\n".to_vec();
        let fails = |fails: bool| -> Pending {
            Box::pin(async move {
                match fails {
                    true => Err(Reply::error("ERR no copy")),
                    false => Ok(()),
                }
            })
        };
        settle(
            vec![
                (0, 4, fails(true)),
                (4, 8, fails(false)),
                (8, 12, fails(true)),
            ],
            &mut out,
        )
        .await;
        let expected = b"-ERR no copy\r\n+B\r\n-ERR no copy\r\n";
        assert_eq!(out, expected);
    }
}
