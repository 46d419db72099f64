//! TCP, with TLS or without, as one kind.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::limits::KEEPALIVE;

/// The bytes' way to a peer.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The peer's socket.
    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Stream::Plain(tcp) => tcp.peer_addr(),
            Stream::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }

    /// Opens a connection to `host_port`: a name or an address, and a port. `name` is the one that
    /// its certificate has to be for, if it is not the host's.
    pub(super) async fn dial(
        host_port: &str,
        tls: Option<&Arc<rustls::ClientConfig>>,
        name: Option<&ServerName<'static>>,
    ) -> io::Result<Self> {
        let tcp = TcpStream::connect(host_port).await?;
        set_options(&tcp)?;
        let Some(config) = tls else {
            return Ok(Stream::Plain(tcp));
        };
        let name = match name {
            Some(name) => name.clone(),
            None => name_of(host_port)?,
        };
        let tls = TlsConnector::from(config.clone())
            .connect(name, tcp)
            .await?;
        Ok(Stream::Tls(Box::new(tls.into())))
    }

    /// Takes a connection that a peer opened.
    pub(super) async fn accept(
        tcp: TcpStream,
        tls: Option<&Arc<rustls::ServerConfig>>,
        patience: Duration,
    ) -> io::Result<Self> {
        set_options(&tcp)?;
        let Some(config) = tls else {
            return Ok(Stream::Plain(tcp));
        };
        let handshake = TlsAcceptor::from(config.clone()).accept(tcp);
        let tls = tokio::time::timeout(patience, handshake).await??;
        Ok(Stream::Tls(Box::new(tls.into())))
    }
}

/// The name of the host, or its address.
fn name_of(host_port: &str) -> io::Result<ServerName<'static>> {
    let host = host_port
        .rsplit_once(':')
        .map_or(host_port, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(io::Error::other)
}

fn set_options(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    SockRef::from(tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
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
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
