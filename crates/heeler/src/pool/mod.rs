//! Connections to the servers of a pool: each worker keeps its own, and all requests of its clients
//! share them.

mod link;
mod mailbox;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use link::{Broken, Link};
pub use mailbox::{Mailbox, ReplyTo};

use crate::cluster::Cluster;
use crate::config::{Secret, pools};
use crate::socket::{Scratch, Stream};
use crate::stats::{ONE_LESS, PoolCounters, PoolStat, PoolStats, ServerStat, Traffic};
use crate::wire::{Wire, resp};
use crate::{clock, limits};

/// How the servers of a pool are spoken to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The pool's name, for the log.
    pub pool: String,
    /// The protocol that they speak.
    pub wire: Wire,
    /// The servers, in the order of the file.
    pub servers: Vec<pools::Server>,
    /// Connections to each server from each worker.
    pub connections: usize,
    /// How long a request may wait for its reply, in milliseconds.
    pub timeout: Option<u64>,
    /// Connect before the first request comes.
    pub preconnect: bool,
    /// The password for `AUTH`.
    pub password: Option<Secret>,
    /// The database for `SELECT`.
    pub database: u32,
    /// Where it is counted what passes.
    pub stats: Arc<PoolStats>,
}

impl Settings {
    /// The settings of a pool in the file.
    pub fn of(pool: &pools::Pool) -> Settings {
        Settings {
            pool: pool.name.clone(),
            wire: if pool.redis {
                Wire::Resp
            } else {
                Wire::Memcache
            },
            servers: pool.servers.clone(),
            connections: pool.server_connections as usize,
            timeout: pool.timeout.map(|t| t.as_millis() as u64),
            preconnect: pool.preconnect,
            password: pool.redis_auth.clone(),
            database: if pool.redis { pool.redis_db } else { 0 },
            stats: Arc::new(PoolStats::new(
                pool.name.clone(),
                pool.servers.iter().map(|s| s.name.clone()).collect(),
            )),
        }
    }
}

/// One worker's connections to the servers of a pool.
#[derive(Debug)]
pub struct Pool {
    /// By server, then by connection.
    servers: Vec<Vec<Rc<Connection>>>,
    counters: Arc<PoolCounters>,
}

impl Pool {
    /// Starts a task for each connection on this thread's runtime; they connect when they are
    /// needed.
    pub fn start(settings: &Arc<Settings>, cluster: &Arc<Cluster>, scratch: &Scratch) -> Pool {
        let counters = settings.stats.join();
        let connection = |server: usize, number: usize| {
            let connection = Rc::new(Connection {
                server,
                settings: settings.clone(),
                cluster: cluster.clone(),
                scratch: scratch.clone(),
                link: RefCell::new(Link::new(settings.wire, settings.timeout)),
                task: RefCell::new(None),
                counters: counters.clone(),
                counted: Cell::default(),
                is_writable: Cell::new(false),
            });
            // One connection a server is opened ahead, as nutcracker does it.
            tokio::task::spawn_local(connection.clone().run(settings.preconnect && number == 0));
            tokio::task::spawn_local(connection.clone().expire());
            connection
        };
        let servers = 0..settings.servers.len();
        let connections = |s| {
            (0..settings.connections)
                .map(|n| connection(s, n))
                .collect()
        };
        Pool {
            servers: servers.map(connections).collect(),
            counters,
        }
    }

    /// What this worker counts of the pool.
    pub fn counters(&self) -> &PoolCounters {
        &self.counters
    }

    /// Sends a request to a server. All requests of one client to one server go over the same
    /// connection, so that they are executed in order.
    pub fn send(&self, now: u64, server: usize, client: u64, request: &[u8], reply_to: ReplyTo) {
        let connections = &self.servers[server];
        let connection = &connections[(client % connections.len() as u64) as usize];
        let is_queued = connection.link.borrow_mut().send(now, request, reply_to);
        if !is_queued {
            self.counters.add(PoolStat::ForwardError, 1);
        }
        if let Some(task) = connection.task.borrow_mut().take() {
            task.wake();
        }
        // Otherwise the task runs soon, and counts this request with all others of the moment.
        if !connection.is_writable.get() {
            connection.count();
        }
    }
}

#[derive(Debug)]
struct Connection {
    server: usize,
    settings: Arc<Settings>,
    cluster: Arc<Cluster>,
    scratch: Scratch,
    link: RefCell<Link>,
    /// The task that writes, while it sleeps.
    task: RefCell<Option<Waker>>,
    counters: Arc<PoolCounters>,
    /// What has been counted of the link's traffic.
    counted: Cell<Traffic>,
    /// It is connected, and the server takes what is written.
    is_writable: Cell<bool>,
}

impl Connection {
    /// Connects when there is something to send, carries requests and replies until the connection
    /// is lost, and starts over.
    async fn run(self: Rc<Self>, connect_now: bool) {
        let mut wanted = connect_now;
        loop {
            if !std::mem::take(&mut wanted) {
                self.until_wanted().await;
            }
            self.add(ServerStat::ConnectsEver, 1);
            let error = match self.connect().await {
                Ok(mut stream) => {
                    self.add(ServerStat::Connections, 1);
                    self.greet();
                    let error = poll_fn(|cx| self.poll(&mut stream, cx)).await;
                    self.add(ServerStat::Connections, ONE_LESS);
                    error
                }
                Err(error) => error,
            };
            self.lost(&error);
        }
    }

    /// Until a request waits to be written.
    async fn until_wanted(&self) {
        poll_fn(|cx| {
            self.sleep(cx);
            if self.link.borrow().out().is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    async fn connect(&self) -> io::Result<Stream> {
        let connect = Stream::connect(&self.settings.servers[self.server].address);
        let timeout = Duration::from_millis(limits::CONNECT_MS);
        tokio::time::timeout(timeout, connect)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// SELECT before AUTH: in that order nutcracker sends them, so that with both set the data is
    /// in database 0.
    fn greet(&self) {
        let (mut requests, mut count) = (Vec::new(), 0);
        let mut push = |args: &[&[u8]]| {
            resp::encode_command(args.iter().copied(), &mut requests);
            count += 1;
        };
        if self.settings.database > 0 {
            push(&[b"SELECT", self.settings.database.to_string().as_bytes()]);
        }
        if let Some(password) = &self.settings.password {
            push(&[b"AUTH", password.expose().as_bytes()]);
        }
        self.link.borrow_mut().greet(&requests, count);
    }

    /// Writes and reads until neither can go on. Ready once the connection is lost.
    fn poll(&self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Error> {
        let step = match self.write(stream, cx) {
            Ok(()) => self.read(stream, cx),
            Err(error) => Poll::Ready(error),
        };
        self.count();
        step
    }

    fn write(&self, stream: &mut Stream, cx: &mut Context<'_>) -> io::Result<()> {
        let mut link = self.link.borrow_mut();
        while !link.out().is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, link.out())? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => link.written(count),
                // A request that comes meanwhile is written with the rest.
                Poll::Pending => {
                    self.is_writable.set(false);
                    return Ok(());
                }
            }
        }
        drop(link);
        self.is_writable.set(true);
        self.sleep(cx);
        Ok(())
    }

    fn read(&self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Error> {
        for _ in 0..limits::READS_IN_A_ROW {
            let scratch = &mut *self.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(scratch);
            if let Err(error) = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                return Poll::Ready(error);
            }
            if buffer.filled().is_empty() {
                return Poll::Ready(io::ErrorKind::UnexpectedEof.into());
            }
            let received = self.link.borrow_mut().receive(buffer.filled());
            match received {
                Ok(0) => {}
                Ok(_) => self.cluster.succeeded(self.server),
                Err(broken) => return Poll::Ready(io::Error::other(broken)),
            }
            if let Some(refusal) = self.link.borrow_mut().take_refusal() {
                let (pool, server) = self.names();
                tracing::warn!(pool, server, "the server refused AUTH or SELECT: {refusal}");
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Leaves the waker with those who send.
    fn sleep(&self, cx: &Context<'_>) {
        self.task
            .borrow_mut()
            .get_or_insert_with(|| cx.waker().clone());
    }

    fn lost(&self, error: &io::Error) {
        let failed = self.link.borrow_mut().fail(&told(error));
        self.is_writable.set(false);
        self.count();
        self.counters.add(PoolStat::ForwardError, failed as u64);
        let kind = match error.kind() {
            io::ErrorKind::UnexpectedEof => ServerStat::Eof,
            io::ErrorKind::TimedOut => ServerStat::Timedout,
            _ => ServerStat::Err,
        };
        self.add(kind, 1);
        let (pool, server) = self.names();
        if failed > 0 || error.kind() != io::ErrorKind::UnexpectedEof {
            tracing::warn!(
                pool,
                server,
                failed,
                "lost a connection to a server: {error}"
            );
        } else {
            tracing::info!(pool, server, "the server closed an idle connection");
        }
        self.failed();
    }

    fn failed(&self) {
        let now = clock::now();
        if self.cluster.failed(self.server, now) {
            self.counters.ejected(self.server, now);
            let (pool, server) = self.names();
            tracing::warn!(pool, server, "ejected: its keys go to the other servers");
        }
    }

    fn add(&self, stat: ServerStat, count: u64) {
        self.counters.add_of(self.server, stat, count);
    }

    /// Counts what has passed since it was counted last.
    fn count(&self) {
        let traffic = self.link.borrow().traffic();
        let counted = self.counted.replace(traffic);
        self.counters.passed(self.server, &counted, &traffic);
    }

    /// The pool's name and the server's, for the log.
    fn names(&self) -> (&str, &str) {
        (
            &self.settings.pool,
            &self.settings.servers[self.server].name,
        )
    }

    /// Answers requests whose time is up, as long as the pool lives.
    async fn expire(self: Rc<Self>) {
        let Some(timeout) = self.settings.timeout else {
            return;
        };
        loop {
            let now = clock::now();
            let expired = self.link.borrow_mut().wake(now);
            if expired > 0 {
                self.add(ServerStat::Timedout, expired as u64);
                self.counters.add(PoolStat::ForwardError, expired as u64);
                let (pool, server) = self.names();
                tracing::warn!(
                    pool,
                    server,
                    expired,
                    "requests timed out after {timeout} ms"
                );
                self.failed();
            }
            // Without requests nothing can be due sooner than one that came right now.
            let next = self.link.borrow().next_wake().unwrap_or(now + timeout);
            let pause = next.saturating_sub(now).clamp(1, timeout);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

/// What a client is told of a lost connection: nutcracker's words.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "unknown".into(),
        io::ErrorKind::TimedOut => "Connection timed out".into(),
        io::ErrorKind::Other => "Invalid argument".into(),
        io::ErrorKind::AddrNotAvailable if error.raw_os_error().is_none() => "Host is down".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().into()
        }
    }
}
