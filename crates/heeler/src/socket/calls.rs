//! A stream of requests and replies that travels in TChannel calls.
//!
//! ```text
//!   written   GET a  SET b 1         one write: whole requests
//!   sent      call req commands(GET a, SET b 1)
//!   received  call res ($1 x, +OK)
//!   read      $1 x  +OK              in the order of the writes
//! ```
//!
//! What is written at a time goes as the body of one call, cut into frames where it is long, and
//! the bodies of the answers are read in the order of the calls. A call that fails ends the stream:
//! nobody could say which replies are missing.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use heeler_tchannel::{
    ChecksumType, Connection, Event, Identity, Limits, Output, Refused, Request,
};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::Stream;
use crate::limits;

/// Whom the calls are for, and from whom they come.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Who calls, for people who look at connections.
    pub process: String,
    /// The service and its endpoint, and what all calls say beside their body.
    pub request: Arc<Request>,
}

/// One end of such a stream: the one that asks.
#[derive(Debug)]
pub struct Calls {
    stream: Stream,
    connection: Connection,
    request: Request,
    out: Output,
    input: BytesMut,
    /// Calls whose answers have not been read, in order, with the answers that are there.
    in_flight: VecDeque<(u32, Option<Bytes>)>,
    /// The rest of the answer that is being read.
    reading: Bytes,
    failed: Option<io::Error>,
}

/// The bounds of connections that carry requests between nodes. What is large has been let in by a
/// node's door already.
pub fn bounds() -> Limits {
    let longest = limits::REQUEST_BYTES + limits::SERVER_QUEUE_BYTES;
    Limits {
        message_bytes: longest,
        inbound_bytes: longest,
        output_bytes: 2 * longest,
        ..Limits::default()
    }
}

impl Calls {
    /// Shakes hands over a stream that has been opened.
    ///
    /// # Errors
    /// The connection is lost, or the peer does not speak TChannel.
    pub async fn open(stream: Stream, opening: &Opening) -> io::Result<Calls> {
        let mut out = Output::default();
        // This end is called by nobody.
        let identity = Identity::new("0.0.0.0:0", &opening.process);
        let seed = RandomState::new().hash_one(0);
        let connection = Connection::dial(identity, bounds(), seed, Instant::now(), &mut out);
        let mut calls = Calls {
            stream,
            connection,
            request: Request::clone(&opening.request),
            out,
            input: BytesMut::new(),
            in_flight: VecDeque::new(),
            reading: Bytes::new(),
            failed: None,
        };
        calls.request.checksum = ChecksumType::Crc32C;
        calls.stream.write_all_buf(&mut calls.out.bytes).await?;
        calls.stream.flush().await?;
        while !calls.connection.takes_calls() {
            if calls.stream.read_buf(&mut calls.input).await? == 0 {
                let text = "it closed the connection in the handshake";
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
            }
            calls.handle();
            if let Some(error) = calls.failed.take() {
                return Err(error);
            }
        }
        Ok(calls)
    }

    /// The stream below.
    pub(super) fn below(&self) -> &Stream {
        &self.stream
    }

    fn handle(&mut self) {
        let (input, out) = (&mut self.input, &mut self.out);
        self.connection.handle(Instant::now(), input, out);
        while let Some(event) = self.out.events.pop_front() {
            match event {
                Event::Answer { id, result } => match result {
                    Ok(response) if response.is_ok() => self.answered(id, response.arg3),
                    Ok(response) => self.fail(&String::from_utf8_lossy(&response.arg3)),
                    Err(failure) => self.fail(&failure.to_string()),
                },
                Event::Closed(reason) => self.fail(&reason.to_string()),
                _ => {}
            }
        }
    }

    fn answered(&mut self, id: u32, body: Bytes) {
        let place = self.in_flight.iter_mut().find(|(call, _)| *call == id);
        if let Some((_, answer)) = place {
            *answer = Some(body);
        }
    }

    /// The first failure is the cause of those after it.
    fn fail(&mut self, text: &str) {
        let kind = io::ErrorKind::ConnectionAborted;
        self.failed
            .get_or_insert_with(|| io::Error::new(kind, text.to_owned()));
    }

    /// Moves what has been answered to the reader. Returns whether it was anything.
    fn take(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            if self.reading.is_empty() {
                let Some((_, answer)) = self.in_flight.front_mut() else {
                    break;
                };
                let Some(body) = answer.take() else {
                    break;
                };
                self.in_flight.pop_front();
                self.reading = body;
                continue;
            }
            let count = self.reading.len().min(buffer.remaining());
            buffer.put_slice(&self.reading[..count]);
            self.reading.advance(count);
        }
        buffer.filled().len() > before
    }

    /// Reads answers, at the end of the stream nothing.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.take(buffer) {
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Err(error));
            }
            self.input.reserve(limits::READ_BYTES);
            let read = pin!(self.stream.read_buf(&mut self.input)).poll(cx);
            if ready!(read)? == 0 {
                return Poll::Ready(Ok(()));
            }
            self.handle();
            if !self.out.bytes.is_empty() {
                // Such as the answer to a ping; if it cannot leave now, the next write takes it.
                let _ = self.poll_send(cx)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes whole requests as one call.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        requests: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.out.bytes.is_empty() {
            ready!(self.poll_send(cx))?;
        }
        let now = Instant::now();
        self.request.arg3 = Bytes::copy_from_slice(requests);
        let until = now + limits::CALL_LIFE;
        let called = self
            .connection
            .call(now, &self.request, until, &mut self.out);
        self.request.arg3 = Bytes::new();
        match called {
            Ok(id) => {
                self.in_flight.push_back((id, None));
                Poll::Ready(Ok(requests.len()))
            }
            // The next answer makes room for it; where the peer ends, the next connection does.
            Err(Refused::Busy(_)) => Poll::Pending,
            Err(Refused::Draining(_)) if !self.in_flight.is_empty() => Poll::Pending,
            Err(refused) => {
                let kind = io::ErrorKind::ConnectionAborted;
                Poll::Ready(Err(io::Error::new(kind, refused.to_string())))
            }
        }
    }

    /// Sends the calls that have been made.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.bytes.is_empty() {
            let mut stream = Pin::new(&mut self.stream);
            match ready!(stream.as_mut().poll_write(cx, &self.out.bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.out.bytes.advance(count),
            }
        }
        if self.out.bytes.capacity() > limits::KEPT_CALL_BYTES {
            self.out.bytes = BytesMut::new();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Sends what is left, then closes this direction.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
