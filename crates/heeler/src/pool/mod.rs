//! Connections to the servers of a pool: each worker keeps its own, and all requests of its clients
//! share them.

mod backoff;
mod directory;
mod link;
mod mailbox;
mod peers;
mod probe;
mod sent;
mod stopwatch;
mod told;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::sync::watch::Receiver;
use tokio::task::AbortHandle;

pub use backoff::Backoff;
pub use directory::{Addresses, Directory, has_left};
pub use link::{Broken, Late, Link};
pub use mailbox::{Letter, Mailbox, ReplyTo};
pub use peers::{Others, Peers};
pub use probe::{Question, ask, is_ready};
pub use stopwatch::Stopwatch;
use told::Event;

use crate::clock::Moment;
use crate::cluster::Cluster;
use crate::config::{Secret, pools};
use crate::slowlog::{Pick, Slow, SlowLog};
use crate::socket::calls::Opening;
use crate::socket::{Scratch, Stream};
use crate::stats::{ErrorKind, ONE_LESS, PoolCounters, PoolStat, PoolStats, ServerStat, Traffic};
use crate::tls::{self, Connector};
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
    /// TLS, if they speak it.
    pub tls: Option<Connector>,
    /// They are nodes of a ring, to which requests travel in calls.
    pub calls: Option<Opening>,
    /// Where the servers are now.
    pub directory: Arc<Directory>,
    /// Where it is counted what passes.
    pub stats: Arc<PoolStats>,
    /// Where it is told what was slow.
    pub slowlog: Arc<SlowLog>,
}

impl Settings {
    /// The settings of a pool in the file, with what it says of TLS loaded, and where it is told
    /// what is slow.
    pub fn of(pool: &pools::Pool, tls: Option<Connector>, slowlog: &Arc<SlowLog>) -> Settings {
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
            tls,
            calls: None,
            stats: Arc::new(new_stats(&pool.name, &pool.servers)),
            directory: Arc::default(),
            slowlog: slowlog.clone(),
        }
    }

    /// Opens a connection to a server, and shakes hands where TLS is spoken. Nothing is sent over
    /// it yet.
    ///
    /// # Errors
    /// As [`Stream::connect`] and [`Connector::connect`].
    pub async fn connect(&self, server: usize, counters: &PoolCounters) -> io::Result<Stream> {
        let stream = self.connect_plainly(server, counters).await?;
        match &self.calls {
            None => Ok(stream),
            Some(opening) => stream.in_calls(opening).await,
        }
    }

    async fn connect_plainly(&self, server: usize, counters: &PoolCounters) -> io::Result<Stream> {
        let address = &self.servers[server].address;
        let stream = Stream::connect(address).await?;
        let Some(tls) = &self.tls else {
            return Ok(stream);
        };
        let host = match address {
            pools::Address::Tcp { host, .. } => host,
            pools::Address::Unix { path } => path,
        };
        let shaken = tls.connect(stream, host).await;
        let stat = match shaken.is_ok() {
            true => ServerStat::TlsHandshakes,
            false => ServerStat::TlsFailures,
        };
        counters.add_of(server, stat, 1);
        shaken
    }

    /// What a connection begins with. SELECT before AUTH: in that order nutcracker sends them, so
    /// that with both set the data is in database 0.
    fn greeting(&self) -> Question {
        let (mut bytes, mut count) = (Vec::new(), 0);
        let mut push = |args: &[&[u8]]| {
            resp::encode_command(args.iter().copied(), &mut bytes);
            count += 1;
        };
        if self.database > 0 {
            push(&[b"SELECT", self.database.to_string().as_bytes()]);
        }
        if let Some(password) = &self.password {
            push(&[b"AUTH", password.expose().as_bytes()]);
        }
        Question { bytes, count }
    }

    /// What a server is asked to see whether it is alive.
    pub fn probe(&self) -> Question {
        let Question { mut bytes, count } = self.greeting();
        bytes.extend_from_slice(match self.wire {
            Wire::Resp => b"*1\r\n$4\r\nPING\r\n",
            Wire::Memcache => b"version\r\n",
        });
        Question {
            bytes,
            count: count + 1,
        }
    }

    /// Counts on from where the statistics of the pool stand whose place this one takes. `origins`
    /// has each server's place there, if it had one.
    pub fn goes_on_counting(&mut self, other: &PoolStats, origins: Vec<Option<usize>>) {
        self.stats = Arc::new(new_stats(&self.pool, &self.servers).succeed(other, origins));
    }

    /// Whether connections to a server are the same under other settings. Certificates that have
    /// been renewed are for the next connection.
    fn connects_as(&self, other: &Settings) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (Some(tls), Some(other)) => tls.is_for(other),
            (tls, other) => tls.is_none() && other.is_none(),
        };
        same_tls
            && self.wire == other.wire
            && self.connections == other.connections
            && self.password == other.password
            && self.database == other.database
    }
}

fn new_stats(pool: &str, servers: &[pools::Server]) -> PoolStats {
    let names = servers.iter().map(|s| s.name.clone()).collect();
    PoolStats::new(pool.into(), names)
}

/// One worker's connections to the servers of a pool.
#[derive(Debug)]
pub struct Pool {
    settings: Arc<Settings>,
    /// By server, then by connection.
    servers: Vec<Vec<Rc<Connection>>>,
    counters: Arc<PoolCounters>,
}

impl Pool {
    /// Starts tasks for each connection on this thread's runtime; they connect when they are
    /// needed.
    ///
    /// With a pool `before` this one, connections that are to be as they were are taken over with
    /// the requests that wait on them. Those that differ (in password, database or number) are made
    /// anew, and carry nothing before the old ones to that server have been answered, so that no
    /// client's requests are reordered. Drop the pool before then: its other connections answer
    /// what is in flight and end.
    pub fn start(
        settings: &Arc<Settings>,
        cluster: &Arc<Cluster>,
        scratch: &Scratch,
        before: Option<&Pool>,
    ) -> Pool {
        let old = before.map_or(&[][..], |before| &before.settings.servers);
        let origins = pools::origins(old, &settings.servers);
        let counters = settings.stats.join(before.map(Pool::counters));
        let connections = |(server, origin): (usize, Option<usize>)| {
            let seat = Rc::new(Seat {
                server,
                settings: settings.clone(),
                cluster: cluster.clone(),
                counters: counters.clone(),
            });
            let old = before
                .zip(origin)
                .map(|(b, o)| (&b.settings, &b.servers[o]));
            match old {
                Some((as_before, old)) if settings.connects_as(as_before) => {
                    old.iter().for_each(|c| c.take_seat(seat.clone()));
                    old.clone()
                }
                old => (0..settings.connections)
                    .map(|number| {
                        let after = old.map_or_else(Vec::new, |(_, old)| old.clone());
                        Connection::start(seat.clone(), number, scratch, after)
                    })
                    .collect(),
            }
        };
        let servers: Vec<Vec<_>> = origins.into_iter().enumerate().map(connections).collect();
        let all = servers.iter().flatten().map(Rc::downgrade).collect();
        tokio::task::spawn_local(follow(settings.directory.follow(), all));
        Pool {
            servers,
            settings: settings.clone(),
            counters,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.pool
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
        let mut link = connection.link.borrow_mut();
        if link.is_shut() && !connection.reopen(&mut link) {
            link.turn_away(request, reply_to);
            drop(link);
            self.counters.add(PoolStat::ForwardError, 1);
            return connection.turned_away();
        }
        let is_queued = link.send(now, request, reply_to);
        drop(link);
        if !is_queued {
            self.counters.add(PoolStat::ForwardError, 1);
            self.counters.add_of(server, ServerStat::SurplusRequests, 1);
        }
        connection.wake();
        // Otherwise the task runs soon, and counts this request with all others of the moment.
        if !connection.is_writable.get() {
            connection.count();
        }
    }
}

/// Moves connections whose servers are elsewhere now, as long as somebody says where they are.
async fn follow(mut addresses: Receiver<Addresses>, connections: Vec<Weak<Connection>>) {
    while addresses.changed().await.is_ok() {
        let found = addresses.borrow_and_update().clone();
        for connection in connections.iter().filter_map(Weak::upgrade) {
            connection.move_if_left(&found);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Those that another pool has taken over have its settings.
        let is_ours = |c: &&Rc<Connection>| Arc::ptr_eq(&c.seat().settings, &self.settings);
        for connection in self.servers.iter().flatten().filter(is_ours) {
            connection.retire();
        }
    }
}

/// What a connection is for. A new file may change it while requests wait on the connection.
#[derive(Debug)]
struct Seat {
    server: usize,
    settings: Arc<Settings>,
    cluster: Arc<Cluster>,
    counters: Arc<PoolCounters>,
}

impl Seat {
    /// The pool's name and the server's, for the log.
    fn names(&self) -> (&str, &str) {
        (
            &self.settings.pool,
            &self.settings.servers[self.server].name,
        )
    }
}

#[derive(Debug)]
struct Connection {
    seat: RefCell<Rc<Seat>>,
    scratch: Scratch,
    link: RefCell<Link>,
    /// The task that writes, while it sleeps.
    task: RefCell<Option<Waker>>,
    /// What has been counted of the link's traffic.
    counted: Cell<Traffic>,
    stopwatch: RefCell<Stopwatch>,
    /// It is connected, and the server takes what is written.
    is_writable: Cell<bool>,
    /// The same, whether it sleeps or waits for its socket.
    owner: RefCell<Option<Waker>>,
    backoff: RefCell<Backoff>,
    /// [`Cluster::returns`] of the server when the link was shut.
    returns: Cell<u64>,
    /// A reply has come over this connection.
    answered: Cell<bool>,
    /// The server has been silent for too long: the connection is to be closed.
    silent: Cell<bool>,
    /// Where the server is, while the connection is open.
    peer: Cell<Option<IpAddr>>,
    life: Life,
}

/// How a connection's tasks learn of its end.
#[derive(Debug, Default)]
struct Life {
    /// No request will be sent on it any more.
    retired: Cell<bool>,
    /// Its requests are answered, and its tasks are over.
    ended: Cell<bool>,
    /// The timeout is another, it is retired, or a retired one has handed out replies.
    changed: Notify,
    /// It has ended.
    end: Notify,
}

/// How a connection ended.
enum End {
    /// It was closed by the server, broke, or never came to be; that is why its requests fail.
    Lost(io::Error, ErrorKind),
    /// All its requests are answered, and the server is elsewhere now.
    Drained,
}

impl Connection {
    /// Starts the tasks of connection `number` to a server, which wait for the end of others.
    fn start(
        seat: Rc<Seat>,
        number: usize,
        scratch: &Scratch,
        after: Vec<Rc<Connection>>,
    ) -> Rc<Connection> {
        // One connection a server is opened ahead, as nutcracker does it.
        let connect_now = seat.settings.preconnect && number == 0;
        let mut link = Link::new(seat.settings.wire, seat.settings.timeout);
        if seat.settings.calls.is_some() {
            link.name_node(seat.names().1);
        }
        if seat.settings.slowlog.threshold().is_some() {
            link.keep_sent();
        }
        if seat.settings.tls.is_some() && seat.settings.wire == Wire::Memcache {
            link.part_values();
        }
        let connection = Rc::new(Connection {
            scratch: scratch.clone(),
            link: RefCell::new(link),
            seat: RefCell::new(seat),
            task: RefCell::new(None),
            counted: Cell::default(),
            stopwatch: RefCell::default(),
            is_writable: Cell::new(false),
            owner: RefCell::new(None),
            backoff: RefCell::default(),
            returns: Cell::new(0),
            answered: Cell::new(false),
            silent: Cell::new(false),
            peer: Cell::new(None),
            life: Life::default(),
        });
        let carrier = tokio::task::spawn_local(connection.clone().run(connect_now, after));
        tokio::task::spawn_local(connection.clone().tend(carrier.abort_handle()));
        connection
    }

    fn seat(&self) -> Rc<Seat> {
        self.seat.borrow().clone()
    }

    /// Goes on for another pool, or for the same one with other settings.
    fn take_seat(&self, seat: Rc<Seat>) {
        self.link.borrow_mut().set_timeout(seat.settings.timeout);
        *self.seat.borrow_mut() = seat;
        self.life.changed.notify_one();
    }

    /// Ends once what is in flight is answered.
    fn retire(&self) {
        let mut link = self.link.borrow_mut();
        let timeout = self.seat().settings.timeout.unwrap_or(limits::DRAIN_MS);
        link.set_timeout(Some(timeout.min(limits::DRAIN_MS)));
        self.life.retired.set(true);
        self.life.changed.notify_one();
    }

    /// Whether a retired connection owes nobody a reply.
    fn is_done(&self) -> bool {
        self.life.retired.get() && !self.link.borrow().owes()
    }

    /// Connects when there is something to send, carries requests and replies until the connection
    /// is lost, and starts over.
    async fn run(self: Rc<Self>, connect_now: bool, after: Vec<Rc<Connection>>) {
        for other in after {
            while !other.life.ended.get() {
                other.life.end.notified().await;
            }
        }
        if !connect_now {
            self.until_wanted().await;
        }
        loop {
            self.answered.set(false);
            self.add(ServerStat::ConnectsEver, 1);
            let end = match self.connect().await {
                Ok(mut stream) => {
                    let _open = Open::new(self.seat());
                    let traffic = self.link.borrow().traffic();
                    self.stopwatch.borrow_mut().start(&traffic);
                    self.peer.set(stream.peer());
                    poll_fn(|cx| Poll::Ready(self.owner.replace(Some(cx.waker().clone())))).await;
                    poll_fn(|cx| self.poll(&mut stream, cx)).await
                }
                Err(error) => End::Lost(error, ErrorKind::Refused),
            };
            self.peer.set(None);
            match end {
                End::Lost(error, why) => {
                    if let Some(text) = self.lost(&error, why) {
                        self.pause(&text).await;
                    }
                }
                End::Drained => {
                    self.is_writable.set(false);
                    let seat = self.seat();
                    let (pool, server) = seat.names();
                    tracing::info!(pool, server, "the server's name has another address: moved");
                }
            }
            self.until_wanted().await;
        }
    }

    /// Until a request waits to be written, or has been turned away.
    async fn until_wanted(&self) {
        poll_fn(|cx| {
            self.sleep(cx);
            let link = self.link.borrow();
            if link.out().is_empty() && !link.is_shut() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Opens a connection and greets. While requests are turned away the server has to answer a
    /// probe, too, so that none ever waits for a server that takes connections and no more.
    async fn connect(&self) -> io::Result<Stream> {
        let (on_trial, seat) = (self.link.borrow().is_shut(), self.seat());
        let connect = async {
            let mut stream = seat.settings.connect(seat.server, &seat.counters).await?;
            if on_trial {
                let answer = ask(&mut stream, &seat.settings.probe()).await?;
                let greetings = answer.iter().rev().skip(1);
                for refusal in greetings.filter(|line| line.starts_with('-')) {
                    self.refused(refusal);
                }
            }
            io::Result::Ok(stream)
        };
        let silence = self.link.borrow().patience().unwrap_or(limits::CONNECT_MS);
        let patience = silence.saturating_add(limits::SILENT_MS);
        let patience = patience.min(limits::CONNECT_MS);
        let stream = tokio::time::timeout(Duration::from_millis(patience), connect)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        self.silent.set(false);
        self.link.borrow_mut().opened(clock::now());
        match on_trial {
            true => self.link.borrow_mut().open(),
            false => {
                let Question { bytes, count } = seat.settings.greeting();
                self.link.borrow_mut().greet(&bytes, count);
            }
        }
        Ok(stream)
    }

    /// Writes and reads until neither can go on. Ready once the connection has ended.
    fn poll(&self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<End> {
        if self.silent.get() {
            let error = io::ErrorKind::TimedOut.into();
            return Poll::Ready(End::Lost(error, ErrorKind::Timeout));
        }
        // What is written and read now bears this time.
        let moment = clock::moment();
        let step = match self.write(stream, cx) {
            Ok(()) => self.read(moment, stream, cx),
            Err(error) => Poll::Ready(error),
        };
        self.count();
        self.measure(moment);
        if self.link.borrow_mut().end_drain() {
            return Poll::Ready(End::Drained);
        }
        step.map(|error| End::Lost(error, ErrorKind::Lost))
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
        // Only TLS keeps back what it was given.
        let is_flushed = Pin::new(&mut *stream).poll_flush(cx)?.is_ready();
        self.is_writable.set(is_flushed);
        if is_flushed {
            self.sleep(cx);
        }
        Ok(())
    }

    fn read(&self, moment: Moment, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Error> {
        for _ in 0..limits::READS_IN_A_ROW {
            let scratch = &mut *self.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(scratch);
            if let Err(error) = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                return Poll::Ready(error);
            }
            if buffer.filled().is_empty() {
                return Poll::Ready(io::ErrorKind::UnexpectedEof.into());
            }
            let received = self.receive(moment, buffer.filled());
            match received {
                Ok(0) => {}
                Ok(_) => self.answered(),
                Err(broken) => return Poll::Ready(io::Error::other(broken)),
            }
            if let Some(refusal) = self.link.borrow_mut().take_refusal() {
                self.refused(&refusal);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands out the replies in the bytes, and logs the requests that were slow.
    fn receive(&self, moment: Moment, bytes: &[u8]) -> Result<usize, Broken> {
        let mut link = self.link.borrow_mut();
        let late = self.late(moment, &link);
        if late.is_none() {
            return link.receive(bytes);
        }
        link.expect_late(late);
        let received = link.receive(bytes);
        let slow = link.take_slow();
        drop(link);
        // One more read of the same moment is not late again.
        self.count();
        self.measure(moment);
        slow.into_iter()
            .for_each(|slow| self.was_slow(moment.now, slow));
        received
    }

    /// Whether the next reply is late: not if it only had to wait for others of this server.
    fn late(&self, moment: Moment, link: &Link) -> Option<Late> {
        let oldest = link.oldest_since()?;
        let seat = self.seat.borrow();
        let slowlog = &seat.settings.slowlog;
        let threshold = slowlog.threshold()?;
        // The other clock counts milliseconds: what it says is certain but for the last.
        let waited = moment.now.saturating_sub(oldest).saturating_sub(1) * 1000;
        let since = moment.ticks.saturating_sub(waited);
        let waited = self.stopwatch.borrow().kept_waiting(moment.ticks, since);
        (waited >= threshold).then(|| Late {
            now: moment.now,
            oldest: (oldest, waited),
            threshold,
            pick: Pick::new(slowlog.most_together()),
        })
    }

    fn was_slow(&self, now: u64, slow: Slow) {
        let seat = self.seat();
        let (pool, server) = seat.names();
        let log = &seat.settings.slowlog;
        log.add(now, slow, Some(pool), Some(server));
    }

    /// Logs the oldest request, which will have no reply of the server, if it was slow.
    fn give_up(&self, now: u64, why: ErrorKind) {
        let threshold = self.seat().settings.slowlog.threshold();
        let slow = threshold.and_then(|least| self.link.borrow().give_up(now, least, why.name()));
        if let Some(slow) = slow {
            self.was_slow(now, slow);
        }
    }

    /// Leaves the waker with those who send.
    fn sleep(&self, cx: &Context<'_>) {
        self.task
            .borrow_mut()
            .get_or_insert_with(|| cx.waker().clone());
    }

    /// Wakes the task, if it sleeps.
    fn wake(&self) {
        if let Some(task) = self.task.borrow_mut().take() {
            task.wake();
        }
    }

    /// Wakes the task wherever it is.
    fn rouse(&self) {
        if let Some(task) = &*self.owner.borrow() {
            task.wake_by_ref();
        }
    }

    fn answered(&self) {
        let seat = self.seat.borrow();
        seat.cluster.succeeded(seat.server);
        if self.life.retired.get() {
            self.life.changed.notify_one();
        }
        if !self.answered.replace(true) && self.backoff.borrow_mut().succeeded() {
            seat.log(Event::Back);
        }
    }

    fn refused(&self, refusal: &str) {
        let seat = self.seat();
        let (pool, server) = seat.names();
        tracing::warn!(pool, server, "the server refused AUTH or SELECT: {refusal}");
    }

    /// Answers everybody who waits. Returns with what to turn requests away for a while, unless
    /// this connection had worked: then the next one probably will, too.
    fn lost(&self, error: &io::Error, why: ErrorKind) -> Option<String> {
        let text = match self.seat().settings.calls {
            None => told(error),
            Some(_) => of_node(error),
        };
        self.give_up(clock::now(), why);
        if tls::reason(error).is_some() {
            // A handshake that failed later: a server checks our certificate after it is done.
            self.add(ServerStat::TlsFailures, 1);
        }
        let mut link = self.link.borrow_mut();
        let on_trial = link.is_shut();
        let is_idle = link.waiting() == 0 && error.kind() == io::ErrorKind::UnexpectedEof;
        let is_silent = error.kind() == io::ErrorKind::TimedOut;
        let worked = link.has_worked();
        let turned_away = if on_trial { link.turned_away() } else { 0 };
        let failed = link.fail(why, &text);
        drop(link);
        if !on_trial {
            // What a trial would count has been counted with the requests that asked for it.
            self.count_loss(error, why, failed);
        }
        let (seat, reason) = (self.seat(), &in_words(error));
        let failed = failed + turned_away;
        seat.log(match self.backoff.borrow().failures() {
            _ if is_idle => Event::Closed,
            0 | 1 => Event::Lost { failed, reason },
            _ => Event::StillAway(reason),
        });
        self.failed();
        if self.life.retired.get() {
            self.life.changed.notify_one();
        }
        (is_silent || !(is_idle || worked)).then_some(text)
    }

    fn count_loss(&self, error: &io::Error, why: ErrorKind, failed: usize) {
        self.is_writable.set(false);
        self.count();
        self.seat()
            .counters
            .add(PoolStat::ForwardError, failed as u64);
        let kind = match error.kind() {
            io::ErrorKind::UnexpectedEof => ServerStat::Eof,
            io::ErrorKind::TimedOut => ServerStat::Timedout,
            _ => ServerStat::Err,
        };
        self.add(kind, 1);
        let requests = match why {
            ErrorKind::Timeout => ServerStat::LateRequests,
            ErrorKind::Refused => ServerStat::RefusedRequests,
            _ => ServerStat::LostRequests,
        };
        self.add(requests, failed as u64);
    }

    /// Turns requests away until it is time to try again, or the server is known to be back.
    async fn pause(&self, text: &str) {
        let seat = self.seat();
        let random = RandomState::new().hash_one(seat.server);
        let pause = self.backoff.borrow_mut().failed(random);
        self.returns.set(seat.cluster.returns(seat.server));
        self.link.borrow_mut().shut(text);
        let opened = poll_fn(|cx| {
            self.sleep(cx);
            match self.link.borrow().is_shut() {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        });
        // Either way the pause is over.
        let _ = tokio::time::timeout(Duration::from_millis(pause), opened).await;
        let link = &mut *self.link.borrow_mut();
        if link.turned_away() == 0 {
            // Nobody has asked: what was known of the server is out of date when somebody does.
            link.open();
        }
    }

    /// A request was answered at once, where nutcracker would have tried to connect, and failed: it
    /// counts as that failure.
    fn turned_away(&self) {
        self.count();
        self.add(ServerStat::Err, 1);
        self.add(ServerStat::RefusedRequests, 1);
        self.failed();
    }

    /// Opens a link that is shut if the server has come back since.
    fn reopen(&self, link: &mut Link) -> bool {
        let seat = self.seat.borrow();
        let is_back = seat.cluster.returns(seat.server) != self.returns.get();
        if is_back {
            link.open();
            self.backoff.borrow_mut().succeeded();
        }
        is_back
    }

    fn move_if_left(&self, addresses: &Addresses) {
        let Some(found) = addresses.get(self.seat().server) else {
            return;
        };
        if self.peer.get().is_some_and(|peer| has_left(peer, found)) {
            self.link.borrow_mut().drain();
            self.rouse();
        }
    }

    fn failed(&self) {
        let (now, seat) = (clock::now(), self.seat());
        if seat.cluster.failed(seat.server, now) {
            seat.counters.ejected(seat.server, now);
            let (pool, server) = seat.names();
            tracing::warn!(pool, server, "ejected: its keys go to the other servers");
        }
    }

    fn add(&self, stat: ServerStat, count: u64) {
        let seat = self.seat();
        seat.counters.add_of(seat.server, stat, count);
    }

    /// Counts what has passed since it was counted last.
    fn count(&self) {
        let mut link = self.link.borrow_mut();
        let (traffic, errors) = (link.traffic(), link.take_errors());
        let counted = self.counted.replace(traffic);
        let seat = self.seat.borrow();
        seat.counters.passed(seat.server, &counted, &traffic);
        if errors > 0 {
            let kind = ServerStat::ErrorReplies;
            seat.counters.add_of(seat.server, kind, errors);
        }
    }

    /// Measures how long the requests have waited whose replies have come.
    fn measure(&self, moment: Moment) {
        let (traffic, mut stopwatch) = (self.counted.get(), self.stopwatch.borrow_mut());
        if stopwatch.has_moved(&traffic) {
            let seat = self.seat.borrow();
            stopwatch.note(&traffic, moment.ticks, |wait, requests| {
                seat.counters.waited(seat.server, wait, requests);
            });
        }
    }

    /// Answers requests whose time is up, until the connection is retired and owes no reply. Then
    /// ends the task that carries.
    async fn tend(self: Rc<Self>, carrier: AbortHandle) {
        while !self.is_done() {
            let now = clock::now();
            let is_due = self.link.borrow().next_wake().is_some_and(|due| due <= now);
            if is_due {
                self.give_up(now, ErrorKind::Timeout);
            }
            let expired = self.link.borrow_mut().wake(now);
            let timeout = self.link.borrow().timeout();
            if let Some(timeout) = timeout.filter(|_| expired > 0) {
                let seat = self.seat();
                self.add(ServerStat::Timedout, expired as u64);
                self.add(ServerStat::LateRequests, expired as u64);
                seat.counters.add(PoolStat::ForwardError, expired as u64);
                seat.log(Event::TimedOut(expired, timeout));
                self.failed();
                continue;
            }
            if self.link.borrow().is_silent(now) && !self.silent.replace(true) {
                self.rouse();
            }
            let changed = self.life.changed.notified();
            let Some(timeout) = timeout else {
                changed.await;
                continue;
            };
            // Without requests nothing can be due sooner than one that came right now.
            let next = self.link.borrow().next_wake().unwrap_or(now + timeout);
            let pause = next.saturating_sub(now).clamp(1, timeout.max(1));
            let _ = tokio::time::timeout(Duration::from_millis(pause), changed).await;
        }
        carrier.abort();
        // What is still to come are late replies, which nobody waits for.
        self.link.borrow_mut().fail(ErrorKind::Lost, "");
        self.count();
        self.life.ended.set(true);
        self.life.end.notify_waiters();
    }
}

/// An open connection, as it is counted: also one that ends with its task.
struct Open(Rc<Seat>);

impl Open {
    fn new(seat: Rc<Seat>) -> Open {
        seat.counters
            .add_of(seat.server, ServerStat::Connections, 1);
        Open(seat)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Seat {
            counters, server, ..
        } = &*self.0;
        counters.add_of(*server, ServerStat::Connections, ONE_LESS);
    }
}

/// What is logged of a lost connection.
fn in_words(error: &io::Error) -> String {
    match tls::reason(error) {
        Some(reason) => format!("TLS failed: {reason}"),
        None => error.to_string(),
    }
}

/// What a client is told of a lost connection to another node.
fn of_node(error: &io::Error) -> String {
    let text = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection".into(),
        io::ErrorKind::TimedOut => "no answer in time".into(),
        _ => in_words(error),
    };
    let line = text.split(" (os error").next().unwrap_or_default();
    line.replace(['\r', '\n'], " ")
}

/// What a client is told of a lost connection: nutcracker's words, where it knew such a loss.
fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "unknown".into(),
        io::ErrorKind::TimedOut => "Connection timed out".into(),
        io::ErrorKind::Other => "Invalid argument".into(),
        io::ErrorKind::AddrNotAvailable if error.raw_os_error().is_none() => "Host is down".into(),
        _ => {
            let text = in_words(error);
            text.split(" (os error").next().unwrap_or_default().into()
        }
    }
}
