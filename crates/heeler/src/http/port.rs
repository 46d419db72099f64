//! The socket of the admin port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use super::places::{Guest, Place, Places};
use super::{Subject, router};
use crate::config::listening;
use crate::limits;

/// Where the process is asked about itself.
#[derive(Debug)]
pub struct AdminPort {
    listener: TcpListener,
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
        Ok(AdminPort { listener })
    }

    /// Answers as long as the process lives, on this thread's runtime.
    pub async fn serve(self, subject: Subject) {
        if let Ok(address) = self.listener.local_addr() {
            tracing::info!(listen = %address, "the admin port is open");
        }
        let router = router(subject);
        let mut places = Places::default();
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => seat(stream, from, &router, &mut places),
                Err(error) => {
                    tracing::warn!("admin port: cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }
}

/// Gives a connection a place, and serves it there. Nobody waits for one: a probe that is not
/// answered in time has a process killed that is well.
fn seat(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    router: &Router,
    places: &mut Places,
) {
    places.make_room();
    let place = Arc::new(Place::new(from));
    let router = router.clone();
    let patience = Duration::from_millis(limits::ADMIN_HEAD_MS);
    let served = attend(stream, router, place.clone(), patience);
    let task = tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::debug!(client = %from, "admin port: connection lost: {error}");
        }
    });
    places.take(place, task.abort_handle());
}

/// Answers one connection, until it ends or lets us wait too long for the head of a request.
async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    place: Arc<Place>,
    patience: Duration,
) -> hyper::Result<()> {
    let stream = TokioIo::new(Guest::new(stream, place.clone()));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let (answer, note) = (router.call(request), place.answering());
        async move {
            let answer = answer.await;
            drop(note);
            answer
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(stream, service)
        .await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a client reads that sends these bytes and then waits.
    async fn told(sent: &[u8]) -> String {
        let (mut client, server) = tokio::io::duplex(4096);
        let router = Router::new().route("/healthz", axum::routing::get(async || "ok\n"));
        let place = Arc::new(Place::new(([127, 0, 0, 1], 1).into()));
        let served = attend(server, router, place, Duration::from_millis(20));
        let read = async {
            let mut text = String::new();
            client.write_all(sent).await.unwrap();
            client.read_to_string(&mut text).await.unwrap();
            text
        };
        tokio::join!(served, read).1
    }

    #[tokio::test]
    async fn who_sends_no_whole_head_is_closed() {
        assert_eq!(told(b"").await, "");
        assert_eq!(told(b"GET /healthz HTTP/1.1\r\nHost:").await, "");
        let answer = told(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    }
}
