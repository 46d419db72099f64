//! One connection: the handle for those who call over it, and the task that owns its socket.
//!
//! The task does everything for its connection: it reads, lets the state machine say what the bytes
//! mean, runs handlers as far as they come without waiting, and writes what all of that has to say
//! at once. A handler that has to wait goes on in a task of its own.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use foldhash::fast::RandomState;
use heeler_tchannel::{
    CloseReason, Connection, ErrorCode, Event, Failure, InboundCall, Output, Peer, Refused, Request,
};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::counters::{Tally, count};
use super::services::{Answer, Call, Running};
use super::stream::Stream;
use super::{Inner, Place, Remote};
use crate::limits;

/// A connection, for those who call over it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) dialled: bool,
    pub(super) tally: Tally,
    orders: mpsc::UnboundedSender<Order>,
    state: AtomicU8,
    remote: OnceLock<Arc<Remote>>,
    /// Under which it is filed.
    pub(super) names: Mutex<Vec<Arc<str>>>,
    /// Calls whose callers wait.
    callers: AtomicUsize,
    most_callers: usize,
    /// Bytes of calls that the task has not taken yet.
    queued: AtomicUsize,
    /// Bytes that the task has not written yet.
    unwritten: AtomicUsize,
    /// A caller has gone away.
    abandoned: AtomicBool,
}

const OPENING: u8 = 0;
const OPEN: u8 = 1;
const ENDING: u8 = 2;

/// What the task of a link is asked to do.
pub(super) enum Order {
    Call {
        request: Request,
        deadline: Instant,
        reply: oneshot::Sender<Outcome>,
    },
    /// A handler has finished.
    Answer {
        id: u32,
        answer: Answer,
    },
    /// Cancel the calls whose callers have gone away.
    Sweep,
    Drain(Arc<str>),
    Close(Arc<str>),
}

/// What became of a call.
pub(super) enum Outcome {
    Done(Answer),
    /// Nothing was sent: it can be tried over another connection.
    NotSent(Request),
}

impl Link {
    pub(super) fn new(
        number: u64,
        dialled: bool,
        most_callers: usize,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Order>) {
        let (orders, received) = mpsc::unbounded_channel();
        let link = Link {
            number,
            dialled,
            tally: Tally::default(),
            orders,
            state: AtomicU8::new(OPENING),
            remote: OnceLock::new(),
            names: Mutex::default(),
            callers: AtomicUsize::new(0),
            most_callers,
            queued: AtomicUsize::new(0),
            unwritten: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        };
        (Arc::new(link), received)
    }

    /// Who is at the other end; known once the connection is open.
    pub(super) fn remote(&self) -> Option<&Arc<Remote>> {
        self.remote.get()
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.load(Relaxed) == OPEN
    }

    pub(super) fn order(&self, order: Order) {
        // A link that has ended has nothing left to do.
        let _ = self.orders.send(order);
    }

    /// Makes a call. Dropping the future cancels it.
    pub(super) async fn call(&self, request: Request, deadline: Instant) -> Outcome {
        let waiting = Waiting {
            link: self,
            answered: false,
        };
        let callers = self.callers.fetch_add(1, Relaxed);
        if callers >= self.most_callers {
            return waiting.busy(format!("too many calls in flight (limit is {callers})"));
        }
        let bytes = length(&request);
        let queued = self.queued.fetch_add(bytes, Relaxed) + self.unwritten.load(Relaxed);
        if queued > limits::QUEUED_BYTES {
            self.queued.fetch_sub(bytes, Relaxed);
            return waiting.busy(format!("{queued} bytes wait to be written to the peer"));
        }
        let (reply, answer) = oneshot::channel();
        let order = Order::Call {
            request,
            deadline,
            reply,
        };
        if let Err(mpsc::error::SendError(order)) = self.orders.send(order) {
            self.queued.fetch_sub(bytes, Relaxed);
            return match order {
                Order::Call { request, .. } => waiting.done(Outcome::NotSent(request)),
                _ => waiting.lost(),
            };
        }
        match answer.await {
            Ok(outcome) => waiting.done(outcome),
            Err(_) => waiting.lost(),
        }
    }
}

fn length(request: &Request) -> usize {
    request.arg1.len() + request.arg2.len() + request.arg3.len()
}

/// A caller that waits for its answer.
struct Waiting<'a> {
    link: &'a Link,
    answered: bool,
}

impl Waiting<'_> {
    fn done(mut self, outcome: Outcome) -> Outcome {
        self.answered = true;
        outcome
    }

    fn busy(self, why: String) -> Outcome {
        self.done(Outcome::Done(Err(Failure::here(ErrorCode::Busy, why))))
    }

    fn lost(self) -> Outcome {
        self.done(Outcome::Done(Err(Failure::here(
            ErrorCode::Network,
            "connection closed",
        ))))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.link.callers.fetch_sub(1, Relaxed);
        if !self.answered && !self.link.abandoned.swap(true, Relaxed) {
            self.link.order(Order::Sweep);
        }
    }
}

/// The task of a link.
pub(super) struct Driver {
    pub(super) link: Arc<Link>,
    pub(super) channel: Arc<Inner>,
    pub(super) stream: Stream,
    pub(super) address: std::net::SocketAddr,
    pub(super) connection: Connection,
    pub(super) out: Output,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
    /// Told once the connection is open, or why it has ended before.
    pub(super) opened: Option<oneshot::Sender<Result<(), String>>>,
    pub(super) work: Work,
    /// Kept until the end.
    pub(super) place: Option<Place>,
}

/// What the task keeps beside the connection's state.
pub(super) struct Work {
    input: BytesMut,
    read_bytes: usize,
    batch: Vec<Order>,
    /// Calls of the peer whose handlers wait until it reads.
    deferred: VecDeque<InboundCall>,
    /// The call that those after it wait for whose endpoint answers in order, and they.
    turn: Option<u32>,
    queued: VecDeque<InboundCall>,
    waiting: HashMap<u32, oneshot::Sender<Outcome>, RandomState>,
    running: HashMap<u32, AbortHandle, RandomState>,
    timer: Pin<Box<Sleep>>,
    armed: Option<Instant>,
    /// What there is to write waits for one more turn.
    held_back: bool,
    unflushed: bool,
    drained: bool,
    reason: Option<CloseReason>,
}

impl Work {
    pub(super) fn new() -> Self {
        Work {
            input: BytesMut::with_capacity(limits::READ_BYTES),
            read_bytes: limits::READ_BYTES,
            batch: Vec::new(),
            deferred: VecDeque::new(),
            turn: None,
            queued: VecDeque::new(),
            waiting: HashMap::default(),
            running: HashMap::default(),
            timer: Box::pin(tokio::time::sleep_until(tokio::time::Instant::now())),
            armed: None,
            held_back: false,
            unflushed: false,
            drained: false,
            reason: None,
        }
    }
}

impl Driver {
    /// Until the connection has ended. Returns why it has.
    pub(super) async fn run(mut self) {
        std::future::poll_fn(|cx| self.poll(cx)).await;
        self.end().await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = tokio::time::Instant::now().into_std();
        let obeyed = self.obey(now, cx);
        let more = self.read(now, cx);
        self.tick(now, cx);
        // The runtime wakes the one who gets a message before others that are ready, and those may
        // be about to give orders, too: one more turn, and one write carries what all have to say.
        self.work.held_back = obeyed && !self.work.held_back;
        if self.work.held_back {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Err(error) = self.write(cx) {
            self.connection.close(&error.to_string(), &mut self.out);
            self.listen_to_events();
        }
        if self.work.drained && self.out.bytes.is_empty() {
            self.connection.close("drained", &mut self.out);
            self.listen_to_events();
        }
        if self.connection.is_closed() {
            return Poll::Ready(());
        }
        if self.take_up_deferred() || more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Runs handlers that had to wait until the peer has read what was there for it. Returns
    /// whether there were any.
    fn take_up_deferred(&mut self) -> bool {
        let mut any = false;
        while self.out.bytes.len() <= limits::UNWRITTEN_BYTES {
            let Some(call) = self.work.deferred.pop_front() else {
                break;
            };
            self.called(call);
            any = true;
        }
        any
    }

    /// Takes all orders that are there. Returns whether there were any.
    fn obey(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        let mut batch = std::mem::take(&mut self.work.batch);
        let mut any = false;
        while let Poll::Ready(1..) = self.orders.poll_recv_many(cx, &mut batch, 1024) {
            any = true;
            let mut sweep = false;
            for order in batch.drain(..) {
                match order {
                    Order::Call {
                        request,
                        deadline,
                        reply,
                    } => {
                        self.call(now, request, deadline, reply);
                    }
                    Order::Answer { id, answer } => {
                        self.work.running.remove(&id);
                        self.answer(id, answer);
                        self.is_over(id);
                    }
                    Order::Sweep => sweep = true,
                    Order::Drain(reason) => self.connection.drain(&reason, &mut self.out),
                    Order::Close(reason) => self.connection.close(&reason, &mut self.out),
                }
            }
            if sweep {
                self.sweep(now);
            }
        }
        self.work.batch = batch;
        self.listen_to_events();
        any
    }

    fn call(
        &mut self,
        now: Instant,
        request: Request,
        deadline: Instant,
        reply: oneshot::Sender<Outcome>,
    ) {
        self.link.queued.fetch_sub(length(&request), Relaxed);
        if reply.is_closed() {
            return;
        }
        let outcome = match self.connection.call(now, &request, deadline, &mut self.out) {
            Ok(id) => {
                count(&self.link.tally.calls_out, 1);
                self.work.waiting.insert(id, reply);
                return;
            }
            Err(Refused::NotOpen | Refused::Closed | Refused::Draining(_)) => {
                Outcome::NotSent(request)
            }
            Err(refused) => Outcome::Done(Err(failure(refused))),
        };
        // A caller that has gone away meanwhile does not want it.
        let _ = reply.send(outcome);
    }

    /// Cancels the calls whose callers have gone away.
    fn sweep(&mut self, now: Instant) {
        self.link.abandoned.store(false, Relaxed);
        let (connection, out, tally) = (&mut self.connection, &mut self.out, &self.link.tally);
        self.work.waiting.retain(|id, reply| {
            if reply.is_closed() {
                connection.cancel(now, *id, "the caller has gone away", out);
                count(&tally.calls_cancelled, 1);
            }
            !reply.is_closed()
        });
    }

    fn answer(&mut self, id: u32, answer: Answer) {
        if answer.is_err() {
            count(&self.link.tally.errors_out, 1);
        }
        self.connection.answer(id, answer, &mut self.out);
    }

    /// Reads what is there. Returns whether there may be more.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> bool {
        for _ in 0..limits::READS {
            if self.connection.is_closed() {
                return false;
            }
            let work = &mut self.work;
            work.input.reserve(work.read_bytes);
            let room = work.input.capacity() - work.input.len();
            match pin!(self.stream.read_buf(&mut work.input)).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(0)) => {
                    self.connection
                        .close("the peer closed the connection", &mut self.out);
                }
                Poll::Ready(Ok(bytes)) => {
                    count(&self.link.tally.bytes_in, bytes as u64);
                    let full = bytes == room;
                    work.read_bytes = if full {
                        limits::LARGE_READ_BYTES
                    } else {
                        limits::READ_BYTES
                    };
                    self.connection.handle(now, &mut work.input, &mut self.out);
                }
                Poll::Ready(Err(error)) => {
                    self.connection.close(&error.to_string(), &mut self.out);
                }
            }
            self.listen_to_events();
        }
        true
    }

    fn tick(&mut self, now: Instant, cx: &mut Context<'_>) {
        let mut now = now;
        while let Some(at) = self.connection.next_wake() {
            if at <= now {
                self.connection.wake(now, &mut self.out);
                self.listen_to_events();
                continue;
            }
            let work = &mut self.work;
            if work.armed.is_some_and(|armed| armed <= at && armed > now) {
                return;
            }
            work.timer.as_mut().reset(at.into());
            work.armed = Some(at);
            if work.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            now = tokio::time::Instant::now().into_std();
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let out = &mut self.out.bytes;
        while out.has_remaining() {
            match Pin::new(&mut self.stream).poll_write(cx, out)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(bytes) => {
                    out.advance(bytes);
                    self.work.unflushed = true;
                    count(&self.link.tally.bytes_out, bytes as u64);
                }
                Poll::Pending => break,
            }
        }
        if out.is_empty() && out.capacity() > limits::KEPT_WRITE_BYTES {
            *out = BytesMut::new();
        }
        self.link.unwritten.store(out.len(), Relaxed);
        if self.work.unflushed && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.work.unflushed = false;
        }
        Ok(())
    }

    fn listen_to_events(&mut self) {
        while let Some(event) = self.out.events.pop_front() {
            match event {
                Event::Opened(peer) => self.open(peer),
                Event::Call(call) => {
                    let unwritten = self.out.bytes.len() > limits::UNWRITTEN_BYTES;
                    if unwritten || !self.work.deferred.is_empty() {
                        self.work.deferred.push_back(call);
                    } else {
                        self.called(call);
                    }
                }
                Event::Dropped { id, .. } => {
                    count(&self.link.tally.calls_dropped, 1);
                    match self.work.running.remove(&id) {
                        Some(handler) => {
                            handler.abort();
                            self.is_over(id);
                        }
                        None => {
                            self.work.deferred.retain(|call| call.id != id);
                            self.work.queued.retain(|call| call.id != id);
                        }
                    }
                }
                Event::Answer { id, result } => {
                    if result.is_err() {
                        count(&self.link.tally.errors_in, 1);
                    }
                    if let Some(reply) = self.work.waiting.remove(&id) {
                        // A caller that has gone away meanwhile does not want it.
                        let _ = reply.send(Outcome::Done(result));
                    }
                }
                Event::Pong { .. } => {}
                Event::PeerDraining { .. } => self.link.state.store(ENDING, Relaxed),
                Event::Drained => self.work.drained = true,
                Event::Closed(reason) => self.work.reason = Some(reason),
            }
        }
    }

    fn open(&mut self, peer: Peer) {
        let remote = Remote::new(peer, self.address, self.link.dialled);
        if self.link.remote.set(Arc::new(remote)).is_ok() {
            self.link.state.store(OPEN, Relaxed);
            self.channel.link_opened(&self.link);
            if let Some(opened) = self.opened.take() {
                // The dialler may have lost its patience.
                let _ = opened.send(Ok(()));
            }
        }
    }

    /// Runs a call's handler as far as it comes; if it has to wait, in a task of its own.
    fn called(&mut self, call: InboundCall) {
        count(&self.link.tally.calls_in, 1);
        self.begin(call);
    }

    fn begin(&mut self, call: InboundCall) {
        let id = call.id;
        let Some(remote) = self.link.remote.get().cloned() else {
            return;
        };
        let services = self.channel.services.load();
        let handler = match services.handler(&call.request) {
            Ok(handler) => handler.clone(),
            Err(failure) => return self.answer(id, Err(failure)),
        };
        if handler.in_order && self.work.turn.is_some() {
            return self.work.queued.push_back(call);
        }
        let call = Call::new(call, remote);
        let Ok(running) = catch_unwind(AssertUnwindSafe(|| (handler.run)(call))) else {
            return self.answer(id, Err(panicked()));
        };
        let mut running = Guarded(running);
        // Nobody is woken by this context: a handler that waits is polled anew in its task.
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(answer) = Pin::new(&mut running).poll(&mut nobody) {
            return self.answer(id, answer);
        }
        let orders = self.link.orders.clone();
        let task = tokio::spawn(async move {
            let answer = running.await;
            // A connection that has ended takes no answer.
            let _ = orders.send(Order::Answer { id, answer });
        });
        self.work.running.insert(id, task.abort_handle());
        if handler.in_order {
            self.work.turn = Some(id);
        }
    }

    /// A call has been answered, or is not wanted any more: those go on that waited for it.
    fn is_over(&mut self, id: u32) {
        if self.work.turn != Some(id) {
            return;
        }
        self.work.turn = None;
        while self.work.turn.is_none() {
            let Some(call) = self.work.queued.pop_front() else {
                break;
            };
            self.begin(call);
        }
    }

    /// The connection has ended: says the last words, and tells everybody.
    async fn end(mut self) {
        self.link.state.store(ENDING, Relaxed);
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            if let Order::Call { request, reply, .. } = order {
                let _ = reply.send(Outcome::NotSent(request));
            }
        }
        for handler in self.work.running.values() {
            handler.abort();
        }
        let faults = |reason: &CloseReason| {
            use CloseReason::{BadFrame, ByPeer, Protocol};
            matches!(reason, BadFrame(_) | ByPeer(_) | Protocol(_))
        };
        if self.work.reason.as_ref().is_some_and(faults) {
            count(&self.link.tally.protocol_errors, 1);
        }
        let reason = self
            .work
            .reason
            .take()
            .map_or(String::new(), |reason| reason.to_string());
        if let Some(opened) = self.opened.take() {
            // The dialler may have lost its patience.
            let _ = opened.send(Err(reason.clone()));
        }
        let last_words = last_words(&mut self.stream, &self.out.bytes);
        // Who does not listen, does not hear them.
        let _ = tokio::time::timeout(limits::LAST_WORDS, last_words).await;
        self.channel.link_ended(&self.link, self.address, &reason);
        drop(self.place);
    }
}

/// Writes what is left, and reads until the peer has closed, too: a socket that is closed with
/// unread bytes in it takes back what was written.
async fn last_words(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(limits::LAST_READ_BYTES as u64);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

fn failure(refused: Refused) -> Failure {
    let code = match refused {
        Refused::Busy(_) => ErrorCode::Busy,
        Refused::TimedOut => ErrorCode::Timeout,
        _ => ErrorCode::BadRequest,
    };
    Failure::here(code, refused.to_string())
}

fn panicked() -> Failure {
    Failure::here(ErrorCode::Unexpected, "the handler panicked")
}

/// A handler whose panic is an error of its call, and of nothing else.
struct Guarded(Running);

impl Future for Guarded {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Err(panicked())),
        }
    }
}
