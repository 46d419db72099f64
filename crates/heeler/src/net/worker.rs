//! A worker: one thread that owns its connections.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::LocalRuntime;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use super::connection::Connection;
use super::{Accepted, Scratch, Service, Stream};
use crate::admin::Process;
use crate::deliver::Door;
use crate::limits;
use crate::stats::Counters;

/// What a worker's thread is made of.
pub(super) struct Worker {
    /// What it serves: each message names one of these.
    pub services: Arc<Vec<Service>>,
    /// The process that it is part of.
    pub process: Arc<Process>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Connections to take over, with the number of their service. Closed when it shall stop.
    pub inbox: UnboundedReceiver<(usize, Accepted)>,
}

impl Worker {
    /// Serves connections until the inbox is closed and the last of them is gone.
    ///
    /// # Errors
    /// The runtime could not be made.
    pub fn run(self) -> io::Result<()> {
        let runtime = LocalRuntime::new()?;
        runtime.block_on(self.serve());
        Ok(())
    }

    async fn serve(mut self) {
        let scratch: Scratch =
            Rc::new(RefCell::new(vec![0; limits::READ_BYTES].into_boxed_slice()));
        let door = |service: &Service| Rc::new((service.door)(&scratch));
        let doors: Vec<Rc<Door>> = self.services.iter().map(door).collect();
        let open = Rc::new(Open::default());
        while let Some((service, accepted)) = self.inbox.recv().await {
            if let Err(error) = self.take_over(&doors[service], accepted, &scratch, &open) {
                tracing::warn!("cannot take over a connection: {error}");
            }
        }
        while open.count.get() > 0 {
            open.changed.notified().await;
        }
    }

    fn take_over(
        &self,
        door: &Rc<Door>,
        accepted: Accepted,
        scratch: &Scratch,
        open: &Rc<Open>,
    ) -> io::Result<()> {
        let (stream, address, local) = match accepted {
            Accepted::Tcp(stream, from, to) => {
                (Stream::Tcp(TcpStream::from_std(stream)?), from.to_string(), to.to_string())
            }
            Accepted::Unix(stream, path) => {
                (Stream::Unix(UnixStream::from_std(stream)?), format!("{path}:0"), path)
            }
        };
        let client = self.process.clients.join(address, local, self.counters.clone());
        let connection = Connection::new(stream, door.clone(), scratch.clone(), client);
        let open = open.clone();
        open.count.set(open.count.get() + 1);
        tokio::task::spawn_local(async move {
            connection.await;
            open.count.set(open.count.get() - 1);
            open.changed.notify_one();
        });
        Ok(())
    }
}

/// How many connections a worker has.
#[derive(Debug, Default)]
struct Open {
    count: Cell<usize>,
    changed: Notify,
}
