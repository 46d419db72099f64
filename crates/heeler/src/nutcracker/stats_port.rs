//! The port that tells the statistics to whoever connects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use super::report::{Summary, json};
use crate::admin::Process;
use crate::config::pools::Listen;
use crate::net::{Accepted, Listener, Tuning};
use crate::socket::Stream;
use crate::{clock, limits};

/// Where the statistics are told.
#[derive(Debug)]
pub struct StatsPort {
    listener: Listener,
}

impl StatsPort {
    /// Listens on a host's port, or on a Unix socket where the address is a path.
    ///
    /// # Errors
    /// It is taken, or is no address of this machine.
    pub fn bind(address: &str, port: u16) -> anyhow::Result<StatsPort> {
        let listen = match address.starts_with('/') {
            true => Listen::Unix {
                path: address.into(),
                permissions: None,
            },
            false => Listen::Tcp {
                host: address.into(),
                port,
            },
        };
        let tuning = Tuning {
            backlog: limits::BACKLOG,
            keepalive: false,
            reuseport: false,
        };
        let listener = Listener::bind(&listen, tuning).context(
            "statistics have no port: choose another one with -s, or another address with -a",
        )?;
        Ok(StatsPort { listener })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.listener.address()
    }

    /// Answers as long as the process lives, on this thread's runtime.
    pub async fn serve(self, process: Arc<Process>) {
        let host = rustix::system::uname();
        let host: Arc<str> = host.nodename().to_string_lossy().into();
        let places = Arc::new(Semaphore::new(limits::STATS_CLIENTS));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            match self.listener.accept().await {
                Ok(accepted) => {
                    let (process, host) = (process.clone(), host.clone());
                    tokio::spawn(async move {
                        if let Err(error) = tell(accepted, &process, &host).await {
                            tracing::debug!("statistics: connection lost: {error}");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("statistics: cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }
}

/// Whatever is asked, the answer is the same, and nothing needs to be asked.
async fn tell(accepted: Accepted, process: &Process, host: &str) -> std::io::Result<()> {
    let mut stream = match accepted {
        Accepted::Tcp(stream, ..) => Stream::Tcp(TcpStream::from_std(stream)?),
        Accepted::Unix(stream, _) => Stream::Unix(UnixStream::from_std(stream)?),
    };
    let now = clock::now();
    let summary = Summary {
        source: host.into(),
        uptime: now.saturating_sub(process.started) / 1000,
        timestamp: now / 1000,
    };
    let pools = process.pools.lock().clone();
    let text = json(&summary, &pools);
    let tell = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    tokio::time::timeout(Duration::from_millis(limits::STATS_MS), tell).await??;
    // To close with a request unread would reset the connection, and the answer with it.
    let leave = async {
        let mut unread = [0; 1024];
        while let Ok(1..) = stream.read(&mut unread).await {}
    };
    let _ = tokio::time::timeout(Duration::from_millis(limits::STATS_LINGER_MS), leave).await;
    Ok(())
}
