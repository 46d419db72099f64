//! A worker: one thread that owns its connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::LocalRuntime;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use super::Accepted;
use super::connection::Connection;
use super::handshake::Handshake;
use super::server::{Load, MakeDoor, Number, Speaks};
use crate::admin::{Client, Process};
use crate::deliver::Door;
use crate::socket::{Scratch, Stream, scratch};
use crate::stats::Counters;
use crate::tls::Acceptor;
use crate::web;

/// What a worker's thread is made of.
pub(super) struct Worker {
    /// The process that it is part of.
    pub process: Arc<Process>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// What the control thread tells it. Closed when it shall stop.
    pub inbox: UnboundedReceiver<Message>,
}

/// What the control thread tells a worker.
pub(super) enum Message {
    /// A service is offered, or has changed.
    /// With TLS: how hands are shaken, and the service's name.
    Open(
        Number,
        MakeDoor,
        Speaks,
        Arc<Load>,
        Option<(Acceptor, String)>,
    ),
    /// Clients of a service are shown other certificates: how, and the service's name.
    Renew(Number, Acceptor, String),
    /// A connection to take over, to this service.
    Take(Number, Accepted),
    /// A service is not offered any more.
    Close(Number),
}

/// Where connections find what stands behind their service now: a reload may put another door
/// there.
#[derive(Clone)]
pub(super) struct Entrance(Rc<RefCell<Rc<Door>>>);

impl Entrance {
    /// The door that stands there now. Not to be kept: take it anew for each run of requests.
    pub fn door(&self) -> Rc<Door> {
        self.0.borrow().clone()
    }
}

/// A service, as a worker knows it.
struct Offer {
    entrance: Entrance,
    speaks: Speaks,
    load: Arc<Load>,
    tls: Option<Handshake>,
}

impl Worker {
    /// Serves connections until the inbox is closed and the last of them is gone.
    ///
    /// # Errors
    /// The runtime could not be made.
    pub fn run(self) -> io::Result<()> {
        let runtime = LocalRuntime::new()?;
        runtime.block_on(self.serve());
        // A name that is still being looked up must not hold up the end.
        runtime.shutdown_background();
        Ok(())
    }

    async fn serve(mut self) {
        let scratch = scratch();
        let mut offers: HashMap<Number, Offer> = HashMap::new();
        let open = Rc::new(Open::default());
        let process = self.process.clone();
        tokio::task::spawn_local(async move { process.allocator.look().await });
        while let Some(message) = self.inbox.recv().await {
            match message {
                Message::Open(number, make, speaks, load, tls) => {
                    let tls = tls.map(|(acceptor, name)| Handshake::new(acceptor, name));
                    let old = offers.get(&number).map(|offer| offer.entrance.clone());
                    let door = Rc::new(make(&scratch, old.as_ref().map(Entrance::door).as_deref()));
                    let entrance = match old {
                        Some(entrance) => {
                            drop(entrance.0.replace(door));
                            entrance
                        }
                        None => Entrance(Rc::new(RefCell::new(door))),
                    };
                    let offer = Offer {
                        entrance,
                        speaks,
                        load,
                        tls,
                    };
                    offers.insert(number, offer);
                }
                Message::Take(number, accepted) => {
                    let Some(offer) = offers.get(&number) else {
                        continue;
                    };
                    let place = Place::take(&offer.load, &open);
                    let taken = self.take_over(number, offer, accepted, &scratch, place);
                    if let Err(error) = taken {
                        tracing::warn!("cannot take over a connection: {error}");
                    }
                }
                Message::Renew(number, acceptor, name) => {
                    if let Some(offer) = offers.get_mut(&number) {
                        offer.tls = Some(Handshake::new(acceptor, name));
                    }
                }
                Message::Close(number) => {
                    offers.remove(&number);
                    self.process.clients.stop_of(number.0);
                }
            }
        }
        while open.count.get() > 0 {
            open.changed.notified().await;
        }
    }

    fn take_over(
        &self,
        number: Number,
        offer: &Offer,
        accepted: Accepted,
        scratch: &Scratch,
        place: Place,
    ) -> io::Result<()> {
        let file = match &accepted {
            Accepted::Tcp(stream, ..) => stream.as_raw_fd(),
            Accepted::Unix(stream, _) => stream.as_raw_fd(),
        };
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
        let client =
            self.process
                .clients
                .join(number.0, address, local, file, self.counters.clone());
        let (entrance, scratch) = (offer.entrance.clone(), scratch.clone());
        let handshake = offer.tls.clone();
        let wire = match &offer.speaks {
            Speaks::Wire(wire) => *wire,
            Speaks::Http(site) => {
                let site = site.clone();
                client.may_idle();
                tokio::task::spawn_local(async move {
                    let _place = place;
                    if let Some(stream) = shake(handshake, stream, &client, &entrance).await {
                        let door = Rc::new(move || entrance.door());
                        web::serve(stream, client, door, site).await;
                    }
                });
                return Ok(());
            }
        };
        if handshake.is_none() {
            let connection = Connection::new(stream, entrance, scratch, client, wire);
            tokio::task::spawn_local(async move {
                let _place = place;
                connection.await;
            });
            return Ok(());
        }
        tokio::task::spawn_local(async move {
            let _place = place;
            if let Some(stream) = shake(handshake, stream, &client, &entrance).await {
                Connection::new(stream, entrance, scratch, client, wire).await;
            }
        });
        Ok(())
    }
}

/// Shakes hands where that is asked for. `None`: the client is gone.
async fn shake(
    handshake: Option<Handshake>,
    stream: Stream,
    client: &Client,
    entrance: &Entrance,
) -> Option<Stream> {
    let Some(handshake) = handshake else {
        return Some(stream);
    };
    let shaken = handshake.shake(stream, client, entrance).await;
    if shaken.is_none() {
        client.left();
    }
    shaken
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
    load: Arc<Load>,
    open: Rc<Open>,
}

impl Place {
    /// The listener has counted it for the service already.
    fn take(load: &Arc<Load>, open: &Rc<Open>) -> Place {
        open.count.set(open.count.get() + 1);
        Place {
            load: load.clone(),
            open: open.clone(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.count.set(self.open.count.get() - 1);
        self.open.changed.notify_one();
        self.load.clients.fetch_sub(1, Relaxed);
    }
}
