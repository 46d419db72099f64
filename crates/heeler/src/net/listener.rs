//! Listening sockets.

use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::config::listening;
use crate::config::pools::{Listen, Pool};

/// A socket that takes connections.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
    backlog: AtomicU32,
    keepalive: AtomicBool,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    // The file goes first: as long as the socket lives no other file has its inode.
    Unix(SocketFile, UnixListener),
}

/// The file of a Unix socket, which goes away with the listener, unless another process has put
/// its own in its place.
#[derive(Debug)]
struct SocketFile {
    path: String,
    /// Its device and inode.
    is: Option<(u64, u64)>,
}

impl SocketFile {
    fn new(path: &str) -> SocketFile {
        SocketFile {
            is: SocketFile::found(path),
            path: path.into(),
        }
    }

    fn found(path: &str) -> Option<(u64, u64)> {
        let found = std::fs::symlink_metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is.is_some() && SocketFile::found(&self.path) == self.is {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// How a listener's sockets are set up.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Probe silent clients.
    pub keepalive: bool,
    /// Let other processes listen on the same port.
    pub reuseport: bool,
}

impl Tuning {
    /// As a pool of the file says.
    pub fn of(pool: &Pool) -> Tuning {
        Tuning {
            backlog: pool.backlog,
            keepalive: pool.tcpkeepalive,
            reuseport: pool.reuseport,
        }
    }
}

/// A connection, on its way from the control thread to a worker.
#[derive(Debug)]
pub enum Accepted {
    /// Over TCP, from there to here.
    Tcp(std::net::TcpStream, SocketAddr, SocketAddr),
    /// Over the Unix socket of this path.
    Unix(std::os::unix::net::UnixStream, String),
}

impl Accepted {
    /// Closes it, with an error reply for the client if that can be written at once.
    pub fn refuse(self, reply: &str) {
        let _ = match self {
            Accepted::Tcp(mut stream, ..) => stream.write_all(reply.as_bytes()),
            Accepted::Unix(mut stream, _) => stream.write_all(reply.as_bytes()),
        };
    }

    /// Has the operating system probe the client when it was silent for so many seconds, thrice,
    /// and then close the connection; 0: never.
    pub fn probe_after(&self, seconds: u64) {
        let Accepted::Tcp(stream, ..) = self else {
            return;
        };
        if seconds > 0 {
            let between = Duration::from_secs((seconds / 3).max(1));
            let probes = TcpKeepalive::new()
                .with_time(Duration::from_secs(seconds))
                .with_interval(between)
                .with_retries(3);
            if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&probes) {
                tracing::debug!("a client is not probed: {error}");
            }
        }
    }
}

impl Listener {
    /// Binds and listens, on this thread's runtime.
    ///
    /// # Errors
    /// What cannot be bound and why, with what to do about it where that is known.
    pub fn bind(listen: &Listen, tuning: Tuning) -> anyhow::Result<Listener> {
        let inner = match listen {
            Listen::Tcp { host, port } => {
                let shown = format!("{host}:{port}");
                let found = (host.as_str(), *port).to_socket_addrs();
                let found = found.with_context(|| format!("cannot find the address of {shown}"))?;
                let first = found
                    .into_iter()
                    .next()
                    .context("the name has no address")?;
                let listener =
                    bind_tcp(first, tuning).map_err(|error| listening::refused(&shown, &error))?;
                Inner::Tcp(listener)
            }
            Listen::Unix { path, permissions } => {
                let listener = bind_unix(Path::new(path), *permissions)
                    .map_err(|error| listening::refused(path, &error))?;
                Inner::Unix(SocketFile::new(path), listener)
            }
        };
        Ok(Listener {
            inner,
            backlog: tuning.backlog.into(),
            keepalive: tuning.keepalive.into(),
        })
    }

    /// The address that was bound: with the port that was chosen where 0 was asked for.
    pub fn address(&self) -> String {
        match &self.inner {
            Inner::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|e| e.to_string(), |a| a.to_string()),
            Inner::Unix(file, _) => file.path.clone(),
        }
    }

    /// The TCP port that was bound.
    pub fn port(&self) -> Option<u16> {
        match &self.inner {
            Inner::Tcp(listener) => listener.local_addr().ok().map(|a| a.port()),
            Inner::Unix(..) => None,
        }
    }

    /// The same socket, set up anew for connections to come. What can be set only before it is
    /// bound, `reuseport`, stays as it was.
    ///
    /// # Errors
    /// The operating system's.
    pub fn retune(&self, listen: &Listen, tuning: Tuning) -> io::Result<()> {
        self.keepalive.store(tuning.keepalive, Relaxed);
        let before = self.backlog.swap(tuning.backlog, Relaxed);
        if let (Inner::Tcp(listener), true) = (&self.inner, before != tuning.backlog) {
            SockRef::from(listener).listen(backlog(tuning))?;
        }
        if let (Inner::Unix(file, _), Listen::Unix { permissions, .. }) = (&self.inner, listen)
            && let Some(mode) = *permissions
        {
            std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// The next connection, detached from this thread's runtime.
    ///
    /// # Errors
    /// The operating system's, for instance that no more files may be open; it may be tried again.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match &self.inner {
            Inner::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                stream.set_nodelay(true)?;
                if self.keepalive.load(Relaxed) {
                    SockRef::from(&stream).set_keepalive(true)?;
                }
                let to = stream.local_addr()?;
                Ok(Accepted::Tcp(stream.into_std()?, from, to))
            }
            Inner::Unix(file, listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(stream.into_std()?, file.path.clone()))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr, tuning: Tuning) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(tuning.reuseport)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog(tuning))?;
    TcpListener::from_std(socket.into())
}

fn backlog(tuning: Tuning) -> i32 {
    i32::try_from(tuning.backlog).unwrap_or(i32::MAX)
}

/// A socket that a process before us has left at the path is replaced; any other file is not.
fn bind_unix(path: &Path, permissions: Option<u32>) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is not a socket",
            ));
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    if let Some(mode) = permissions {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(listener)
}
