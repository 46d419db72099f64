//! A worker: one thread that owns its connections.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::LocalRuntime;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use super::connection::Connection;
use super::{Accepted, Service};
use crate::admin::Process;
use crate::deliver::Door;
use crate::socket::{Scratch, Stream, scratch};
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
        let scratch = scratch();
        let door = |service: &Service| Rc::new((service.door)(&scratch));
        let doors: Vec<Rc<Door>> = self.services.iter().map(door).collect();
        let open = Rc::new(Open::default());
        while let Some((service, accepted)) = self.inbox.recv().await {
            let place = Place::take(&self.services, service, &open);
            if let Err(error) = self.take_over(&doors[service], accepted, &scratch, place) {
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
        place: Place,
    ) -> io::Result<()> {
        let (stream, address, local) = match accepted {
            Accepted::Tcp(stream, from, to) => (
                Stream::Tcp(TcpStream::from_std(stream)?),
                from.to_string(),
                to.to_string(),
            ),
            Accepted::Unix(stream, path) => (
                Stream::Unix(UnixStream::from_std(stream)?),
                format!("{path}:0"),
                path,
            ),
        };
        let client = self
            .process
            .clients
            .join(address, local, self.counters.clone());
        let wire = self.services[place.service].wire;
        let connection = Connection::new(stream, door.clone(), scratch.clone(), client, wire);
        tokio::task::spawn_local(async move {
            let _place = place;
            connection.await;
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

/// A connection's place among those of its worker and its service: given back when it is dropped,
/// whatever the connection ended by.
struct Place {
    services: Arc<Vec<Service>>,
    service: usize,
    open: Rc<Open>,
}

impl Place {
    /// The listener has counted it for the service already.
    fn take(services: &Arc<Vec<Service>>, service: usize, open: &Rc<Open>) -> Place {
        open.count.set(open.count.get() + 1);
        Place {
            services: services.clone(),
            service,
            open: open.clone(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.count.set(self.open.count.get() - 1);
        self.open.changed.notify_one();
        self.services[self.service].clients.fetch_sub(1, Relaxed);
    }
}
