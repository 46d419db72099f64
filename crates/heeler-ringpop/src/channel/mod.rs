//! Calls to and from other nodes over TChannel.
//!
//! A [`Channel`] listens on one address, serves calls, and calls its peers. Connections are used
//! both ways: one that a peer opened carries our calls to it, too. Each connection is one task,
//! which does not wait for handlers: a handler that can answer at once does so on the spot, one
//! that waits runs in a task of its own, and answers leave in the order in which they come.
//!
//! ```
//! use std::time::Duration;
//!
//! use heeler_ringpop::channel::{Channel, Request, Response};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server.
//! let server = Channel::builder("server").listen("127.0.0.1:0").start().await?;
//! server.service("greeter").endpoint("hello", async |call| {
//!     let name = String::from_utf8_lossy(call.body()).into_owned();
//!     Ok(call.reply(format!("hello, {name}")))
//! });
//!
//! // A client, which does not listen.
//! let client = Channel::builder("client").start().await?;
//! let request = Request::raw("greeter", "client", "hello", "Ada");
//! let answer = client.call(server.host_port(), request, Duration::from_secs(1)).await?;
//! assert_eq!(answer.arg3, "hello, Ada");
//!
//! // What is not there is an error in words.
//! let request = Request::raw("greeter", "client", "goodbye", "");
//! let failure = client.call(server.host_port(), request, Duration::from_secs(1)).await;
//! assert_eq!(
//!     failure.unwrap_err().to_string(),
//!     "bad request: no such endpoint service=\"greeter\" endpoint=\"goodbye\"",
//! );
//!
//! server.close("done", Duration::from_secs(1)).await;
//! client.close("done", Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Time
//!
//! Every call has a time to live, after which its caller gets [`ErrorCode::Timeout`], and the
//! handler is dropped. A handler that calls on passes its [`Call::deadline`] on by
//! [`Channel::call_until`]. Dropping the future of a call cancels it: the peer is told, and drops
//! its handler.
//!
//! # Load
//!
//! Everything is bounded: calls in flight, bytes in flight, bytes that wait to be written (see
//! [`Limits`] and [`limits`]). The calls of a peer that does not read its answers
//! wait. A call too many fails with [`ErrorCode::Busy`], at once.
//!
//! # Trust
//!
//! A peer is believed what it says its address is, and calls to that address go over its
//! connection. Where not everybody who can connect may be believed, mutual TLS lets in only those
//! who may.
//!
//! # Runtimes
//!
//! It runs on tokio's runtimes of one thread and of many. Each connection is one task, so that
//! several threads help if there are several connections, or handlers that take long. A handler
//! that computes for long without waiting holds up its connection: `tokio::task::spawn_blocking` is
//! for those.

mod counters;
mod link;
mod peers;
mod refusals;
mod services;
mod stream;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast, oneshot};
use tokio::time::timeout_at;

pub use counters::Counters;
pub use heeler_tchannel::{
    ChecksumType, ErrorCode, Failure, Headers, Limits, Origin, Request, Response, Span, Tracing,
};
pub use services::{Answer, Call};

use crate::limits;
use counters::{Tally, count};
use heeler_tchannel::{Connection, Identity, Output};
use link::{Driver, Link, Order, Outcome, Work};
use peers::{Entry, Peers};
use refusals::Refusals;
use services::{Handler, Services};
use stream::Stream;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it can be called: the address that it listens on, or that of its socket if it does not
    /// listen.
    pub host_port: String,
    /// Of its socket.
    pub address: SocketAddr,
    /// Whether we opened the connection.
    pub dialled: bool,
    /// What it says about itself.
    pub peer: heeler_tchannel::Peer,
}

impl Remote {
    fn new(peer: heeler_tchannel::Peer, address: SocketAddr, dialled: bool) -> Self {
        let host_port = if peer.is_ephemeral() {
            address.to_string()
        } else {
            peer.host_port.clone()
        };
        Remote {
            host_port,
            address,
            dialled,
            peer,
        }
    }
}

/// What happens to connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection is open: its handshake is done.
    Connected(Arc<Remote>),
    /// A connection has ended.
    Disconnected {
        /// Who was at the other end; `None` if its handshake was not done.
        remote: Option<Arc<Remote>>,
        /// Of its socket.
        address: SocketAddr,
        /// For people.
        reason: String,
    },
}

/// How a channel is to be.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    process_name: String,
    listen: Option<String>,
    advertise: Option<String>,
    limits: Limits,
    connect_timeout: Duration,
    inbound_connections: usize,
    tls_server: Option<Arc<rustls::ServerConfig>>,
    tls_client: Option<Arc<rustls::ClientConfig>>,
    tls_name: Option<ServerName<'static>>,
}

impl Builder {
    /// The address to listen on. Port 0 takes a free one. Without it, the channel only calls, and
    /// is called over connections that it has opened.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// The address under which others know this node, if it is not the one it listens on.
    ///
    /// tchannel-node takes only `IPv4:port`. Names and `[IPv6]:port` are for peers that take them.
    pub fn advertise(mut self, host_port: impl Into<String>) -> Self {
        self.advertise = Some(host_port.into());
        self
    }

    /// The bounds of each connection.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long opening a connection may take, its handshakes included; 2 s if not set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How many connections peers may have opened; 16384 if not set.
    pub fn inbound_connections(mut self, most: usize) -> Self {
        self.inbound_connections = most;
        self
    }

    /// TLS for connections that peers open. With a verifier of client certificates in it, it is
    /// mutual.
    pub fn tls_server(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls_server = Some(config);
        self
    }

    /// TLS for connections that we open. The peer's certificate has to be for the host under which
    /// it is called, be it a name or an address.
    pub fn tls_client(mut self, config: Arc<rustls::ClientConfig>) -> Self {
        self.tls_client = Some(config);
        self
    }

    /// The name that the certificates of all peers have to be for, and that is told to them,
    /// instead of the host.
    pub fn tls_name(mut self, name: ServerName<'static>) -> Self {
        self.tls_name = Some(name);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on; or it is one of all interfaces, under which nobody can
    /// call, and [`Builder::advertise`] says no other.
    pub async fn start(self) -> io::Result<Channel> {
        let listener = match &self.listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let local = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let host_port = match (&self.advertise, local) {
            (Some(host_port), _) => host_port.clone(),
            (None, Some(local)) if local.ip().is_unspecified() => {
                let what = format!("listening on {local} needs an address to advertise");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            (None, Some(local)) => local.to_string(),
            (None, None) => "0.0.0.0:0".to_owned(),
        };
        let tls = Tls {
            server: self.tls_server.clone(),
            client: self.tls_client.clone(),
        };
        let inner = Arc::new(Inner {
            tls: ArcSwap::from_pointee(tls),
            identity: Identity::new(&host_port, &self.process_name),
            host_port,
            local,
            builder: self,
            seeds: RandomState::default(),
            services: ArcSwap::default(),
            peers: Peers::default(),
            links: Mutex::default(),
            last_link: AtomicU64::new(0),
            inbound: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            stop: Notify::new(),
            ended: Notify::new(),
            tally: Mutex::default(),
            refusals: Mutex::default(),
            events: broadcast::channel(limits::EVENTS).0,
        });
        if let Some(listener) = listener {
            tokio::spawn(accept(listener, inner.clone()));
        }
        Ok(Channel { inner })
    }
}

async fn bind(address: &str) -> io::Result<TcpListener> {
    let what = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    };
    TcpListener::bind(address).await.map_err(what)
}

/// A node's way to other nodes, and theirs to it. Clones are the same channel.
///
/// It lives until [`Channel::close`], or until the runtime ends.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    /// TLS of the connections that are opened from now on.
    tls: ArcSwap<Tls>,
    identity: Identity,
    host_port: String,
    local: Option<SocketAddr>,
    builder: Builder,
    /// For numbers that differ from connection to connection and from process to process.
    seeds: RandomState,
    services: ArcSwap<Services>,
    peers: Peers,
    /// All connections, those included whose handshake is not done.
    links: Mutex<HashMap<u64, Arc<Link>>>,
    last_link: AtomicU64,
    /// Connections that peers opened, those included that shake hands for TLS.
    inbound: AtomicUsize,
    closing: AtomicBool,
    stop: Notify,
    ended: Notify,
    /// What connections that have ended have counted, and what belongs to none.
    tally: Mutex<Tally>,
    refusals: Mutex<Refusals>,
    events: broadcast::Sender<Event>,
}

/// TLS in both directions, where it is spoken.
#[derive(Debug)]
struct Tls {
    server: Option<Arc<rustls::ServerConfig>>,
    client: Option<Arc<rustls::ClientConfig>>,
}

impl Channel {
    /// A new channel. `process_name` is for people who look at connections.
    pub fn builder(process_name: impl Into<String>) -> Builder {
        Builder {
            process_name: process_name.into(),
            listen: None,
            advertise: None,
            limits: Limits::default(),
            connect_timeout: limits::CONNECT,
            inbound_connections: limits::INBOUND_CONNECTIONS,
            tls_server: None,
            tls_client: None,
            tls_name: None,
        }
    }

    /// Has hands shaken so on connections that are opened from now on, as when certificates have
    /// been renewed. Those that are open stay.
    pub fn renew_tls(&self, server: Arc<rustls::ServerConfig>, client: Arc<rustls::ClientConfig>) {
        self.inner.tls.store(Arc::new(Tls {
            server: Some(server),
            client: Some(client),
        }));
    }

    /// The address under which others know this node; `0.0.0.0:0` if it does not listen.
    pub fn host_port(&self) -> &str {
        &self.inner.host_port
    }

    /// The address that it listens on, with the port that was taken.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.local
    }

    /// A service of this node, for its endpoints to be given. Services may be added at any time;
    /// calls that come before are answered with an error.
    pub fn service(&self, name: impl Into<Bytes>) -> Service<'_> {
        Service {
            channel: self,
            name: name.into(),
        }
    }

    /// Calls the node that is known as `host_port`, over a connection that is open, or a new one.
    ///
    /// Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// What an error frame says, or why there is no answer: [`Failure::origin`] tells which. An
    /// error of the application is an answer with a code: see [`Response::is_ok`].
    pub async fn call(&self, host_port: &str, request: Request, timeout: Duration) -> Answer {
        self.call_until(host_port, request, deadline(timeout)).await
    }

    /// The same with a point in time, as a call that is relayed has one: [`Call::deadline`].
    ///
    /// # Errors
    ///
    /// As [`Channel::call`].
    pub async fn call_until(&self, host_port: &str, request: Request, deadline: Instant) -> Answer {
        let entry = self.inner.peers.entry(host_port);
        let answer = self.inner.call(&entry, request, deadline).await;
        if answer.is_err() {
            self.inner.peers.release(&entry);
        }
        answer
    }

    /// A peer that is called often: its connection need not be looked up for each call.
    pub fn peer(&self, host_port: &str) -> Peer {
        let entry = self.inner.peers.entry(host_port);
        Peer {
            inner: self.inner.clone(),
            entry,
        }
    }

    /// Who is connected now.
    pub fn connections(&self) -> Vec<Arc<Remote>> {
        let links = self.inner.links.lock();
        links
            .values()
            .filter_map(|link| link.remote().cloned())
            .collect()
    }

    /// How many addresses it keeps connections to, or is asked to.
    pub fn known_peers(&self) -> usize {
        self.inner.peers.len()
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        let links = self.inner.links.lock();
        self.inner.tally.lock().add_to(&mut sum);
        links.values().for_each(|link| link.tally.add_to(&mut sum));
        sum.connections = links.len() as u64;
        sum
    }

    /// What happens to connections from now on. Who lags behind by more than 1024 misses some.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// Ends it: listens no more, declines new calls, answers those in flight, and closes. What is
    /// not done after `patience` is broken off.
    pub async fn close(&self, reason: &str, patience: Duration) {
        let inner = &self.inner;
        inner.closing.store(true, Relaxed);
        inner.stop.notify_one();
        let reason: Arc<str> = reason.into();
        inner.order(|| Order::Drain(reason.clone()));
        if tokio::time::timeout(patience, inner.all_ended())
            .await
            .is_err()
        {
            inner.order(|| Order::Close(reason.clone()));
            inner.all_ended().await;
        }
        // Handlers may hold this channel, and it them.
        inner.services.store(Arc::default());
    }
}

/// A time to live as a point in time. What is longer than can be said on the wire is cut.
fn deadline(timeout: Duration) -> Instant {
    tokio::time::Instant::now().into_std() + timeout.min(limits::LONGEST_CALL)
}

/// A peer of a channel: see [`Channel::peer`].
#[derive(Clone)]
pub struct Peer {
    inner: Arc<Inner>,
    entry: Arc<Entry>,
}

impl Peer {
    /// The address under which it is known.
    pub fn host_port(&self) -> &str {
        &self.entry.host_port
    }

    /// As [`Channel::call`].
    ///
    /// # Errors
    ///
    /// As [`Channel::call`].
    pub async fn call(&self, request: Request, timeout: Duration) -> Answer {
        self.call_until(request, deadline(timeout)).await
    }

    /// As [`Channel::call_until`].
    ///
    /// # Errors
    ///
    /// As [`Channel::call`].
    pub async fn call_until(&self, request: Request, deadline: Instant) -> Answer {
        self.inner.call(&self.entry, request, deadline).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.inner.peers.release(&self.entry);
    }
}

/// A service of a channel, for its endpoints to be given.
pub struct Service<'a> {
    channel: &'a Channel,
    name: Bytes,
}

impl Service<'_> {
    /// Has `handler` answer the calls of an endpoint, in the place of the one before.
    ///
    /// A handler that panics answers [`ErrorCode::Unexpected`]. One whose call is cancelled, or out
    /// of time, is dropped.
    pub fn endpoint<F, A>(&self, endpoint: impl Into<Bytes>, handler: F) -> &Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.add(endpoint.into(), boxed(handler, false))
    }

    /// The same for calls that depend on each other: those of one connection are handled one after
    /// the other, in the order in which they came.
    pub fn endpoint_in_order<F, A>(&self, endpoint: impl Into<Bytes>, handler: F) -> &Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.add(endpoint.into(), boxed(handler, true))
    }

    fn add(&self, endpoint: Bytes, handler: Handler) -> &Self {
        let services = &self.channel.inner.services;
        services.rcu(|s| s.with_endpoint(&self.name, endpoint.clone(), handler.clone()));
        self
    }

    /// Has `handler` answer the calls of all endpoints that have no handler of their own.
    pub fn fallback<F, A>(&self, handler: F) -> &Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let handler = boxed(handler, false);
        self.channel
            .inner
            .services
            .rcu(|s| s.with_fallback(&self.name, handler.clone()));
        self
    }
}

fn boxed<F, A>(handler: F, in_order: bool) -> Handler
where
    F: Fn(Call) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    Handler {
        run: Arc::new(move |call| Box::pin(handler(call))),
        in_order,
    }
}

impl Inner {
    async fn call(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        request: Request,
        deadline: Instant,
    ) -> Answer {
        let mut request = request;
        for _ in 0..limits::TRIES {
            let link = match entry.link() {
                Some(link) => link,
                None => match timeout_at(deadline.into(), self.connect(entry)).await {
                    Ok(link) => link?,
                    Err(_) => {
                        let what = format!("no connection to {} in time", entry.host_port);
                        return Err(Failure::here(ErrorCode::Timeout, what));
                    }
                },
            };
            match link.call(request, deadline).await {
                Outcome::Done(answer) => return answer,
                Outcome::NotSent(again) => request = again,
            }
        }
        let what = format!(
            "connections to {} end before a call is sent",
            entry.host_port
        );
        Err(Failure::here(ErrorCode::Network, what))
    }

    /// A connection to a peer that has none.
    async fn connect(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<Arc<Link>, Failure> {
        let asked = Instant::now();
        let mut last = entry.dialling.lock().await;
        if let Some(link) = entry.link() {
            return Ok(link);
        }
        if let Some((at, failure)) = &*last
            && *at >= asked
        {
            return Err(failure.clone());
        }
        let patience = self.builder.connect_timeout;
        let dialled = match tokio::time::timeout(patience, self.dial(entry)).await {
            Ok(dialled) => dialled,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no connection within {patience:?}"),
            )),
        };
        dialled.map_err(|error| {
            count(&self.tally.lock().connections_failed, 1);
            let what = format!("cannot connect to {}: {error}", entry.host_port);
            let failure = Failure::here(ErrorCode::Network, what);
            *last = Some((Instant::now(), failure.clone()));
            failure
        })
    }

    async fn dial(self: &Arc<Self>, entry: &Entry) -> io::Result<Arc<Link>> {
        if self.closing.load(Relaxed) {
            return Err(io::Error::other("the channel is closed"));
        }
        let (tls, name) = (self.tls.load_full(), self.builder.tls_name.as_ref());
        let stream = Stream::dial(&entry.host_port, tls.client.as_ref(), name).await?;
        let (opened, open) = oneshot::channel();
        let link = self.drive(stream, true, Some(opened), None)?;
        // Given up, the connection would go on with its handshake for nobody.
        let mut unwanted = CloseOnDrop(Some(&link));
        match open.await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(unopened(&reason, tls.client.is_some())),
            Err(_) => return Err(unopened("", tls.client.is_some())),
        }
        unwanted.0 = None;
        // What the peer calls itself may differ from what we call it: it is filed under both.
        if link
            .remote()
            .is_some_and(|remote| remote.host_port != *entry.host_port)
        {
            self.peers.add(&entry.host_port, &link);
        }
        Ok(link.clone())
    }

    /// Starts the task of a connection.
    fn drive(
        self: &Arc<Self>,
        stream: Stream,
        dialled: bool,
        opened: Option<oneshot::Sender<Result<(), String>>>,
        place: Option<Place>,
    ) -> io::Result<Arc<Link>> {
        let address = stream.peer_addr()?;
        let number = self.last_link.fetch_add(1, Relaxed);
        let limits = self.builder.limits.clone();
        let (link, orders) = Link::new(number, dialled, limits.outbound_calls);
        let seed = self.seeds.hash_one(number);
        let now = tokio::time::Instant::now().into_std();
        let (identity, mut out) = (self.identity.clone(), Output::default());
        let connection = match dialled {
            true => Connection::dial(identity, limits, seed, now, &mut out),
            false => Connection::accept(identity, limits, seed, now),
        };
        let tally = &link.tally;
        count(
            if dialled {
                &tally.connections_dialled
            } else {
                &tally.connections_accepted
            },
            1,
        );
        self.links.lock().insert(number, link.clone());
        let (channel, handle, work) = (self.clone(), link.clone(), Work::new());
        let driver = Driver {
            link,
            channel,
            stream,
            address,
            connection,
            out,
            orders,
            opened,
            work,
            place,
        };
        tokio::spawn(driver.run());
        // It may have been opened while all were told to end.
        if self.closing.load(Relaxed) {
            handle.order(Order::Drain("the channel is closing".into()));
        }
        Ok(handle)
    }

    fn link_opened(&self, link: &Arc<Link>) {
        if let Some(remote) = link.remote() {
            self.peers.add(&remote.host_port, link);
            tracing::debug!(peer = %remote.host_port, address = %remote.address, "connected");
            // Nobody may be listening.
            let _ = self.events.send(Event::Connected(remote.clone()));
        }
    }

    fn link_ended(&self, link: &Arc<Link>, address: SocketAddr, reason: &str) {
        let remote = link.remote().cloned();
        self.peers.remove(link);
        if remote.is_none() && !link.dialled {
            count(&link.tally.connections_failed, 1);
        }
        let mut links = self.links.lock();
        links.remove(&link.number);
        self.tally.lock().absorb(&link.tally);
        drop(links);
        tracing::debug!(%address, reason, "disconnected");
        let reason = reason.to_owned();
        // Nobody may be listening.
        let _ = self.events.send(Event::Disconnected {
            remote,
            address,
            reason,
        });
        self.ended.notify_waiters();
    }

    fn order(&self, order: impl Fn() -> Order) {
        self.links
            .lock()
            .values()
            .for_each(|link| link.order(order()));
    }

    async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.links.lock().is_empty() {
                return;
            }
            ended.await;
        }
    }
}

/// Why a connection that was made has ended before both sides had spoken.
fn unopened(reason: &str, encrypted: bool) -> io::Error {
    let mut what = "the peer does not speak TChannel with us".to_owned();
    if !reason.is_empty() {
        what = format!("{what}: {reason}");
    }
    if !encrypted {
        what.push_str("; if it speaks TLS only, so must we");
    }
    io::Error::other(what)
}

/// Closes a connection whose dialler has gone away.
struct CloseOnDrop<'a>(Option<&'a Arc<Link>>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.0 {
            link.order(Order::Close("nobody waits for the connection".into()));
        }
    }
}

/// Takes the connections that peers open.
async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = inner.stop.notified() => return,
        };
        match accepted {
            Ok((tcp, address)) => welcome(tcp, address, &inner),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn welcome(tcp: TcpStream, address: SocketAddr, inner: &Arc<Inner>) {
    let most = inner.builder.inbound_connections;
    let place = Place::take(inner);
    if inner.inbound.load(Relaxed) > most {
        count(&inner.tally.lock().connections_failed, 1);
        tracing::warn!(most, "a connection too many: closed");
        return;
    }
    let inner = inner.clone();
    tokio::spawn(async move {
        let tls = inner.tls.load_full();
        let patience = inner.builder.limits.handshake;
        let accepted = Stream::accept(tcp, tls.server.as_ref(), patience).await;
        let driven = accepted.and_then(|stream| inner.drive(stream, false, None, Some(place)));
        if let Err(error) = driven {
            count(&inner.tally.lock().connections_failed, 1);
            let now = tokio::time::Instant::now();
            match inner.refusals.lock().tell(now, address, &error) {
                Some(told) => tracing::warn!("{told}"),
                None => tracing::debug!(%error, "a connection failed before it was open"),
            }
        }
    });
}

/// A place among the connections that peers may open.
struct Place(Arc<Inner>);

impl Place {
    fn take(inner: &Arc<Inner>) -> Self {
        inner.inbound.fetch_add(1, Relaxed);
        Place(inner.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inbound.fetch_sub(1, Relaxed);
    }
}
