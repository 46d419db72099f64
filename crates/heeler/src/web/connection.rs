//! One client connection: hyper reads requests from it and writes answers to it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::answer::Body;
use super::conversation::{Conversation, FindDoor};
use super::progress::{Patience, Progress};
use super::site::Site;
use crate::admin::Client;
use crate::socket::Stream;
use crate::{clock, limits};

/// One who asks: the connection, for those who answer.
pub struct Guest {
    /// What is told of.
    pub site: Arc<Site>,
    /// The connection, as others see it.
    pub client: Arc<Client>,
    /// Where requests are handed in.
    pub door: FindDoor,
    /// How far it is.
    pub progress: Rc<Progress>,
    /// Told when the connection shall end: answers without an end do then.
    pub ending: Notify,
    idle: RefCell<Vec<Conversation>>,
}

impl Guest {
    /// A conversation that nobody uses: with HTTP/2 several go on at a time.
    pub fn converse(&self) -> Conversation {
        let idle = self.idle.borrow_mut().pop();
        idle.unwrap_or_else(|| Conversation::new(self.door.clone(), self.client.clone()))
    }

    /// Takes a conversation back; one in which replies are still to be heard is given up.
    pub fn put_back(&self, mut conversation: Conversation) {
        conversation.end();
        if conversation.is_settled() {
            self.idle.borrow_mut().push(conversation);
        }
    }
}

/// Serves a connection until it is closed.
pub async fn serve(stream: Stream, client: Arc<Client>, door: FindDoor, site: Arc<Site>) {
    let progress = Rc::new(Progress::default());
    let is_http2 = stream.protocol() == Some(b"h2");
    let io = TokioIo::new(Counted {
        stream,
        client: client.clone(),
        door: door.clone(),
        progress: progress.clone(),
    });
    let guest = Rc::new(Guest {
        site,
        client: client.clone(),
        door,
        progress,
        ending: Notify::new(),
        idle: RefCell::default(),
    });
    let asked = guest.clone();
    let service = service_fn(move |request| answer(asked.clone(), request));
    let ended = match is_http2 {
        true => {
            let connection = http2::Builder::new(LocalTasks)
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits::HTTP_STREAMS)
                .max_header_list_size(limits::HTTP_HEAD_BYTES as u32)
                .serve_connection(io, service);
            attend(&guest, connection, true, |c| c.graceful_shutdown()).await
        }
        false => {
            let connection = http1::Builder::new()
                .title_case_headers(true)
                .max_buf_size(limits::HTTP_HEAD_BYTES)
                .serve_connection(io, service);
            attend(&guest, connection, false, |c| c.graceful_shutdown()).await
        }
    };
    guest.ending.notify_waiters();
    if let Err(error) = ended {
        tracing::debug!(client = %client.origin.address(), "connection lost: {error}");
    }
    client.left();
}

async fn answer(
    guest: Rc<Guest>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let progress = guest.progress.clone();
    progress.answering.set(progress.answering.get() + 1);
    let answer = guest.answer(request).await;
    progress.answering.set(progress.answering.get() - 1);
    progress.answered_at.set(progress.read.get());
    Ok(answer)
}

/// Lets a connection go on until it ends, is killed, or tries our patience. When the process stops
/// it ends after the answer at hand.
async fn attend<C>(
    guest: &Guest,
    connection: C,
    is_http2: bool,
    stop: impl Fn(Pin<&mut C>),
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = pin!(connection);
    let look = Duration::from_millis(limits::HTTP_PATIENCE_MS / 4);
    let mut alarm = pin!(tokio::time::sleep(look));
    let mut patience = Patience::new(clock::ticks() / 1000, is_http2);
    let (mut is_known, mut is_stopping) = (false, false);
    poll_fn(|cx| {
        if !is_known {
            is_known = true;
            guest.client.set_task(cx.waker());
        }
        if guest.client.is_killed() {
            return Poll::Ready(Ok(()));
        }
        if guest.client.is_stopped() && !is_stopping {
            is_stopping = true;
            guest.ending.notify_waiters();
            stop(connection.as_mut());
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if patience.is_over(clock::ticks() / 1000, &guest.progress) {
                tracing::debug!(client = %guest.client.origin.address(), "too slow: closed");
                return Poll::Ready(Ok(()));
            }
            alarm.as_mut().reset(tokio::time::Instant::now() + look);
        }
        connection.as_mut().poll(cx)
    })
    .await
}

/// Runs what HTTP/2 does for each request as a task of this worker.
#[derive(Clone, Copy)]
struct LocalTasks;

impl<F> hyper::rt::Executor<F> for LocalTasks
where
    F: Future + 'static,
{
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// A stream whose bytes are counted.
struct Counted {
    stream: Stream,
    client: Arc<Client>,
    door: FindDoor,
    progress: Rc<Progress>,
}

impl Counted {
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        self.progress.is_stuck.set(written.is_pending());
        if let Poll::Ready(Ok(count)) = written {
            let before = self.progress.written.get();
            self.progress.written.set(before + *count as u64);
            self.client.sent(*count);
            (self.door)().counters().sent(*count);
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        if count > 0 {
            let so_far = this.progress.read.get();
            this.progress.read.set(so_far + count as u64);
            this.client.received(count);
            (this.door)().counters().received(count);
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
