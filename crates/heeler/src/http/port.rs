//! The socket of the admin port.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Subject, router};
use crate::config::listening;
use crate::limits;

/// Where the process is asked about itself.
#[derive(Debug)]
pub struct AdminPort {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl AdminPort {
    /// Listens on `host:port`, on this thread's runtime.
    ///
    /// # Errors
    /// It is taken, or is no address of this machine.
    pub fn bind(address: &str) -> anyhow::Result<AdminPort> {
        let bind = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let bound = bind().map_err(|error: io::Error| listening::refused(address, &error));
        let listener = bound.context("--admin")?;
        if listener
            .local_addr()
            .is_ok_and(|a| !a.ip().to_canonical().is_loopback())
        {
            tracing::warn!(
                "the admin port {address} can be reached from other machines, and asks for no \
                 password: whoever reaches it reads the names of servers and can ask for a reload"
            );
        }
        Ok(AdminPort {
            listener,
            places: Arc::new(Semaphore::new(limits::ADMIN_CLIENTS)),
        })
    }

    /// Answers as long as the process lives, on this thread's runtime.
    pub async fn serve(self, subject: Subject) {
        if let Ok(address) = self.listener.local_addr() {
            tracing::info!(listen = %address, "the admin port is open");
        }
        if let Err(error) = axum::serve(self, router(subject)).await {
            tracing::error!("the admin port has closed: {error}");
        }
    }
}

impl Listener for AdminPort {
    type Io = Guest;
    type Addr = SocketAddr;

    /// The next connection, once there is a place for it.
    async fn accept(&mut self) -> (Guest, SocketAddr) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    return (
                        Guest {
                            stream,
                            _place: place,
                        },
                        from,
                    );
                }
                Err(error) => {
                    tracing::warn!("admin port: cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection, and its place among those that may be open at a time.
pub struct Guest {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Guest {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
