//! The Redis door of a store.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use crate::admin::{Process, REDIS_VERSION};
use crate::config::pools::Listen;
use crate::deliver::{Behind, Door, Ring};
use crate::net::{Listener, MakeDoor, Service, Tuning};
use crate::peer::Keyspace;
use crate::pool::Peers;
use crate::session::{Access, Greeting};
use crate::socket::Scratch;
use crate::store::Store;
use crate::wire::Wire;
use crate::wire::resp::Protocol;
use crate::{limits, run};

/// The door: over the keys of all nodes where there is a `keyspace` of more than this one.
pub fn service(
    name: &str,
    listener: Listener,
    store: &Arc<Store>,
    process: &Arc<Process>,
    keyspace: Option<Arc<Keyspace>>,
) -> Service {
    let (store, process) = (store.clone(), process.clone());
    let greeting = Greeting {
        version: REDIS_VERSION,
        newest: Protocol::Resp3,
        access: Access::Open,
        database: 0,
    };
    let door: MakeDoor = Arc::new(move |scratch: &_, _| {
        let door = Door::new(
            Behind::Node(store.clone()),
            process.clone(),
            greeting.clone(),
            run::seed(),
        );
        match &keyspace {
            None => door,
            Some(keyspace) => door.in_ring(Ring {
                peers: Peers::new(keyspace.others.clone(), Scratch::clone(scratch)),
                keyspace: keyspace.clone(),
            }),
        }
    });
    Service {
        name: name.into(),
        wire: Wire::Resp,
        tls: None,
        listener: Arc::new(listener),
        most_clients: None,
        door,
    }
}

/// How a store's listeners are set up.
pub fn tuning() -> Tuning {
    Tuning {
        backlog: limits::BACKLOG,
        keepalive: true,
        reuseport: false,
    }
}

/// Whoever reaches the port reads and writes everything.
pub(super) fn warn_if_open(listen: &Listen) {
    let Listen::Tcp { host, port } = listen else {
        return;
    };
    let found = (host.as_str(), *port).to_socket_addrs();
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    if found.is_ok_and(|mut all| all.any(|a| !is_loopback(a.ip()))) {
        tracing::warn!(
            "{host}:{port} can be reached from other machines, and no password protects the data; \
             listen on 127.0.0.1 unless the network is trusted"
        );
    }
}
