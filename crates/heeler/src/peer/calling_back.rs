//! Whether a node can be called at the address that it tells the others.
//!
//! Connections are used both ways: a node that calls others is pinged over its own connections, and
//! is a member like any, though nobody can open one to it. Requests for its keys would fail for
//! ever. So a node that is to join asks others to call it back:
//!
//! | endpoint of the service `heeler` | what it is |
//! | --- | --- |
//! | `who` | tells which process answers: a JSON [`Who`] |
//! | `call-back` | has the one who calls called by a new connection: a JSON [`Found`] |
//!
//! The body of a `call-back` names the process that is to answer. It is called at the address that
//! it says is its own, and at no other; nothing is told of what came back but the kind of it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use heeler_ringpop::Response;
use heeler_ringpop::channel::{Answer, Call, Channel, ErrorCode, Failure, Origin, Request};
use parking_lot::Mutex;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::keyspace::{SERVICE, refused};
use crate::limits;

const WHO: &str = "who";
const CALL_BACK: &str = "call-back";

/// Which process answers.
#[derive(Debug, Deserialize, Serialize)]
struct Who {
    /// The address that it advertises.
    address: String,
    /// A name that no other process has.
    process: String,
}

/// What is found at an address.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Found {
    /// The node that is meant.
    Itself,
    /// Another process.
    Another,
    /// The name has no address.
    Nameless,
    /// Nobody listens.
    Refused,
    /// There is no way to it.
    Unreachable,
    /// Nothing comes back in time.
    Late,
    /// Its certificate is not believed.
    Certificate,
    /// Connections end without an answer.
    #[serde(other)]
    Mute,
}

impl Found {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Found::Itself => "it answers",
            Found::Another => "another process answers there",
            Found::Nameless => "the name has no address",
            Found::Refused => "the connection is refused",
            Found::Unreachable => "there is no way to it",
            Found::Late => "nothing comes back in time",
            Found::Certificate => "the certificate that it shows is not believed",
            Found::Mute => "the connection ends without an answer",
        }
    }

    /// What mends it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Found::Certificate => {
                "needs a certificate (--tls-cert) of the nodes' authority for the host that it \
                 advertises, or to --advertise the host of its certificate"
            }
            Found::Another => "needs an address of its own: --advertise HOST:PORT",
            _ => {
                "has to --advertise HOST:PORT with an address at which they reach it, and \
                 firewalls have to let them"
            }
        }
    }
}

/// This process, as others find it.
pub(super) struct Callable {
    process: String,
    /// How it opens connections to others, where these are TLS.
    tls: Option<ArcSwap<ClientConfig>>,
    /// Another node has called it.
    is_called: AtomicBool,
    places: Semaphore,
    /// Since when calls have been counted, and how many there were.
    counted: Mutex<(Instant, u32)>,
    /// What was found last, and where.
    told: Mutex<Option<(String, Found)>>,
}

impl Callable {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>) -> Arc<Callable> {
        let random = || RandomState::default().hash_one(std::process::id());
        Arc::new(Callable {
            process: format!("{:016x}{:016x}", random(), random()),
            tls: tls.map(ArcSwap::new),
            is_called: AtomicBool::new(false),
            places: Semaphore::new(limits::CALLS_BACK),
            counted: Mutex::new((Instant::now(), 0)),
            told: Mutex::default(),
        })
    }

    /// From now on connections to others are opened so, where they are TLS.
    pub(super) fn renew_tls(&self, client: Arc<ClientConfig>) {
        if let Some(tls) = &self.tls {
            tls.store(client);
        }
    }

    /// Answers whoever asks: also before this is a member.
    pub(super) fn serve(self: &Arc<Self>, channel: &Channel) {
        let who = Who {
            address: channel.host_port().to_owned(),
            process: self.process.clone(),
        };
        let who = serde_json::to_vec(&who).unwrap_or_default();
        let service = channel.service(SERVICE);
        service.endpoint(WHO, move |_: Call| {
            let who = who.clone();
            async move { Ok(Response::json(who)) }
        });
        let this = self.clone();
        service.endpoint(CALL_BACK, move |call| this.clone().call_back(call));
    }

    async fn call_back(self: Arc<Self>, call: Call) -> Answer {
        let _place = self.places.try_acquire().map_err(|_| busy())?;
        if call.from.peer.is_ephemeral() {
            return Err(refused("who does not listen cannot be called".into()));
        }
        if !self.counts(Instant::now()) {
            return Err(busy());
        }
        let (address, body) = (&call.from.host_port, &call.request.arg3);
        let process = std::str::from_utf8(body).ok();
        let process = process.filter(|name| name.len() <= limits::PROCESS_NAME);
        let process = process.ok_or_else(|| refused("the body names a process".into()))?;
        let (found, said) = self.look(address, Some(process)).await;
        // It asks again and again.
        let failure = Some((address.clone(), found)).filter(|_| found != Found::Itself);
        if failure.is_some()
            && std::mem::replace(&mut *self.told.lock(), failure.clone()) != failure
        {
            tracing::warn!("{address} is to join the ring and cannot be called there: {said}");
        }
        Ok(Response::json(
            serde_json::to_vec(&found).unwrap_or_default(),
        ))
    }

    /// Whether one more call is within the bounds.
    fn counts(&self, now: Instant) -> bool {
        let mut counted = self.counted.lock();
        if now.duration_since(counted.0) >= Duration::from_secs(1) {
            *counted = (now, 0);
        }
        counted.1 += 1;
        counted.1 <= limits::CALLS_BACK_A_SECOND
    }

    /// Asks another node to call this one; `None` if it does not say what it finds.
    pub(super) async fn ask(&self, channel: &Channel, address: &str) -> Option<Found> {
        let request = Request::raw(SERVICE, SERVICE, CALL_BACK, self.process.clone());
        let patience = Duration::from_millis(3 * limits::CALL_BACK_MS);
        let answer = channel.call(address, request, patience).await.ok()?;
        let found = serde_json::from_slice(&answer.arg3).ok()?;
        if found == Found::Itself {
            self.is_called.store(true, Relaxed);
        }
        Some(found)
    }

    /// Whether another node has said that it can call this one.
    pub(super) fn is_called(&self) -> bool {
        self.is_called.load(Relaxed)
    }

    /// What is at the address that this node advertises, as it sees it itself.
    pub(super) async fn look_at_itself(&self, channel: &Channel) -> Found {
        let address = channel.host_port();
        self.look(address, Some(&self.process)).await.0
    }

    /// Calls an address by a new connection: what is found there, and why not what is meant. If no
    /// process is named, it is any that advertises the address, or does not tell.
    pub(super) async fn look(&self, address: &str, process: Option<&str>) -> (Found, String) {
        let failure = match self.who(address).await {
            Ok(who) => {
                let meant = match process {
                    Some(process) => who.process == process,
                    None => who.address == address,
                };
                return match meant {
                    true => (Found::Itself, String::new()),
                    false => (Found::Another, format!("{} answers there", who.address)),
                };
            }
            Err(failure) => failure,
        };
        let said = failure.to_string();
        let found = match (failure.code, failure.origin) {
            (ErrorCode::BadRequest, Origin::Peer) => match process {
                Some(_) => Found::Another,
                None => Found::Itself,
            },
            (_, Origin::Peer) => Found::Mute,
            (ErrorCode::Timeout, _) => Found::Late,
            (_, Origin::Here) => without_an_answer(address, &said).await,
        };
        (found, said)
    }

    async fn who(&self, address: &str) -> Result<Who, Failure> {
        let failed = |error: String| Failure::here(ErrorCode::Network, error);
        let mut channel = Channel::builder(SERVICE);
        if let Some(tls) = &self.tls {
            channel = channel.tls_client(tls.load_full());
        }
        let channel = channel.start().await;
        let channel = channel.map_err(|error| failed(error.to_string()))?;
        let request = Request::raw(SERVICE, SERVICE, WHO, "");
        let patience = Duration::from_millis(limits::CALL_BACK_MS);
        let answer = channel.call(address, request, patience).await;
        channel.close("it has answered", Duration::ZERO).await;
        let answer = answer?;
        serde_json::from_slice(&answer.arg3).map_err(|error| failed(error.to_string()))
    }
}

/// Why a call has failed at this end: how far does a connection come?
async fn without_an_answer(address: &str, said: &str) -> Found {
    let patience = Duration::from_millis(limits::CALL_BACK_MS);
    let connected = timeout(patience, async {
        match lookup_host(address).await {
            Ok(_) => Some(TcpStream::connect(address).await),
            Err(_) => None,
        }
    });
    match connected.await {
        Err(_) => Found::Late,
        Ok(None) => Found::Nameless,
        Ok(Some(Err(error))) => match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Found::Refused,
            _ => Found::Unreachable,
        },
        Ok(Some(Ok(_))) if said.contains("certificate") => Found::Certificate,
        Ok(Some(Ok(_))) => Found::Mute,
    }
}

fn busy() -> Failure {
    Failure::here(ErrorCode::Busy, "too many are to be called back: ask later")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listening() -> (Arc<Callable>, Channel) {
        let channel = Channel::builder("kv").listen("127.0.0.1:0");
        let channel = channel.start().await.unwrap();
        let callable = Callable::new(None);
        callable.serve(&channel);
        (callable, channel)
    }

    async fn advertising(address: &str) -> (Arc<Callable>, Channel) {
        let channel = Channel::builder("kv").listen("127.0.0.1:0");
        let channel = channel.advertise(address).start().await.unwrap();
        let callable = Callable::new(None);
        callable.serve(&channel);
        (callable, channel)
    }

    #[tokio::test]
    async fn who_asks_is_called_where_it_says_that_it_is() {
        let ((_seed, at), (joiner, from)) = (listening().await, listening().await);
        let seed = at.host_port();
        assert_eq!(joiner.ask(&from, seed).await, Some(Found::Itself));
        // The seed's own address.
        let (twin, twin_from) = advertising(seed).await;
        assert_eq!(twin.look_at_itself(&twin_from).await, Found::Another);
        let (twin, twin_from) = advertising(from.host_port()).await;
        assert_eq!(twin.ask(&twin_from, seed).await, Some(Found::Another));
        // An address at which nobody listens, over a connection that both can use.
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = nobody.local_addr().unwrap().to_string();
        drop(nobody);
        let (joiner, from) = advertising(&address).await;
        assert_eq!(joiner.ask(&from, seed).await, Some(Found::Refused));
        let (joiner, from) = advertising("no-such-name.invalid:1").await;
        assert_eq!(joiner.ask(&from, seed).await, Some(Found::Nameless));
    }

    #[tokio::test]
    async fn connections_that_end_or_are_silent_are_told_apart() {
        let (callable, _channel) = listening().await;
        let closing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closing.local_addr().unwrap().to_string();
        tokio::spawn(async move { while closing.accept().await.is_ok() {} });
        assert_eq!(callable.look(&address, None).await.0, Found::Mute);
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        assert_eq!(callable.look(&address, None).await.0, Found::Late);
    }

    #[tokio::test]
    async fn members_of_other_programs_can_be_called() {
        let other = Channel::builder("kv").listen("127.0.0.1:0");
        let other = other.start().await.unwrap();
        let (callable, channel) = listening().await;
        let at = other.host_port();
        assert_eq!(callable.look(at, None).await.0, Found::Itself);
        assert_eq!(callable.look(at, Some("another")).await.0, Found::Another);
        // They do not say what they find.
        assert_eq!(callable.ask(&channel, at).await, None);
    }

    #[tokio::test]
    async fn who_does_not_listen_is_not_called_and_nobody_too_often() {
        let (seed, at) = listening().await;
        let client = Channel::builder("kv").start().await.unwrap();
        let asker = Callable::new(None);
        assert_eq!(asker.ask(&client, at.host_port()).await, None);
        let now = Instant::now() + Duration::from_secs(2);
        let most = limits::CALLS_BACK_A_SECOND;
        assert!((0..most).all(|_| seed.counts(now)));
        assert!(!seed.counts(now + Duration::from_millis(999)));
        assert!(seed.counts(now + Duration::from_secs(1)));
    }

    #[test]
    fn kinds_of_failures_of_later_versions_are_failures() {
        let read: Found = serde_json::from_str("\"moonstruck\"").unwrap();
        assert_eq!(read, Found::Mute);
        let told = serde_json::to_string(&Found::Itself).unwrap();
        assert_eq!(told, "\"itself\"");
    }
}
