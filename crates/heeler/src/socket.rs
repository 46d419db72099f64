//! The two kinds of sockets, as one, with or without TLS, and the buffer that they are read into.

pub mod calls;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::unconstrained;
use tokio_rustls::TlsStream;

use crate::config::pools::Address;
use crate::limits;
use calls::{Calls, Opening};

/// The buffer into which all connections of a worker read, one after the other: an idle connection
/// needs none of its own.
pub type Scratch = Rc<RefCell<Box<[u8]>>>;

/// A new buffer.
pub fn scratch() -> Scratch {
    Rc::new(RefCell::new(vec![0; limits::READ_BYTES].into_boxed_slice()))
}

/// A stream over either kind of socket.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP, without Nagle's delay.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// TLS over one of them, after the handshake.
    Tls(Box<Tls>),
    /// Requests and replies that travel in calls over one of those.
    Calls(Box<Calls>),
}

/// TLS over a stream. Dropped, it says that it is over (`close_notify`), if that can be written at
/// once, so that the other side can tell the end from a cut.
#[derive(Debug)]
pub struct Tls(TlsStream<Stream>);

impl Drop for Tls {
    fn drop(&mut self) {
        let shutdown = poll_fn(|cx| Pin::new(&mut self.0).poll_shutdown(cx));
        // Also where the task has had its share for now: there is no other time.
        let shutdown = pin!(unconstrained(shutdown));
        let _ = shutdown.poll(&mut Context::from_waker(Waker::noop()));
    }
}

impl Stream {
    /// Connects, to the first address that takes it. A name is looked up anew each time, off this
    /// thread.
    ///
    /// # Errors
    /// The operating system's; `AddrNotAvailable` without a number where a name has no address.
    pub async fn connect(address: &Address) -> io::Result<Stream> {
        match address {
            Address::Unix { path } => UnixStream::connect(path).await.map(Stream::Unix),
            Address::Tcp { host, port } => {
                let found = tokio::net::lookup_host((host.as_str(), *port)).await;
                let all: Vec<_> = found.into_iter().flatten().collect();
                if all.is_empty() {
                    let text = format!("no address found for {host}");
                    return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
                }
                let stream = TcpStream::connect(all.as_slice()).await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }

    /// Has requests and replies travel in calls from now on.
    ///
    /// # Errors
    /// As [`Calls::open`].
    pub async fn in_calls(self, opening: &Opening) -> io::Result<Stream> {
        let calls = Calls::open(self, opening).await?;
        Ok(Stream::Calls(Box::new(calls)))
    }

    /// A stream over which hands have been shaken.
    pub fn secured(stream: TlsStream<Stream>) -> Stream {
        Stream::Tls(Box::new(Tls(stream)))
    }

    /// The application's protocol that was agreed on when hands were shaken (ALPN, RFC 7301).
    pub fn protocol(&self) -> Option<&[u8]> {
        match self {
            Stream::Tls(tls) => tls.0.get_ref().1.alpn_protocol(),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Calls(_) => None,
        }
    }

    /// The address at the other end of a TCP connection.
    pub fn peer(&self) -> Option<IpAddr> {
        match self {
            Stream::Tls(tls) => tls.0.get_ref().0.peer(),
            Stream::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip()),
            Stream::Unix(_) => None,
            Stream::Calls(calls) => calls.below().peer(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Calls(calls) => calls.poll_read(cx, buffer),
            Stream::Tls(tls) => match Pin::new(&mut tls.0).poll_read(cx, buffer) {
                // Many close without a `close_notify`. What is read here says itself where it ends,
                // so that nothing can be cut short unnoticed.
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    Poll::Ready(Ok(()))
                }
                read => read,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(&mut tls.0).poll_write(cx, bytes),
            Stream::Calls(calls) => calls.poll_write(cx, bytes),
        }
    }

    // TLS writes many records at once.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Tls(tls) => Pin::new(&mut tls.0).poll_write_vectored(cx, slices),
            Stream::Calls(calls) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                calls.poll_write(cx, first.map_or(&[], |slice| slice))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(&mut tls.0).poll_flush(cx),
            Stream::Calls(calls) => calls.poll_send(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(&mut tls.0).poll_shutdown(cx),
            Stream::Calls(calls) => calls.poll_shutdown(cx),
        }
    }
}
