//! The doors of a store: where clients come in, and in which protocol.

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

/// Where the doors are. One that is not named is not opened.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// The Redis protocol.
    pub redis: Option<Listen>,
    /// memcached's text and meta protocol.
    pub memcached: Option<Listen>,
}

impl Doors {
    /// Those of a store to which nobody has named any: on this machine alone.
    pub fn local() -> Doors {
        Doors {
            redis: Some(Listen::Tcp {
                host: "127.0.0.1".into(),
                port: 6380,
            }),
            memcached: None,
        }
    }

    /// Whether any is named.
    pub fn are_named(&self) -> bool {
        self.redis.is_some() || self.memcached.is_some()
    }

    /// Binds them, on this thread's runtime.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub fn bind(&self) -> anyhow::Result<Bound> {
        let bind = |at: &Option<Listen>| {
            let bound = at.as_ref().map(|at| Listener::bind(at, tuning()));
            bound.transpose()
        };
        let bound = Bound {
            redis: bind(&self.redis)?,
            memcached: bind(&self.memcached)?,
        };
        for listen in [&self.redis, &self.memcached].into_iter().flatten() {
            warn_if_open(listen);
        }
        Ok(bound)
    }
}

/// Doors whose addresses are taken.
pub struct Bound {
    redis: Option<Listener>,
    memcached: Option<Listener>,
}

impl Bound {
    /// The port and the address of the first door, as INFO tells them.
    pub fn first(&self) -> (u16, String) {
        let first = self.redis.as_ref().or(self.memcached.as_ref());
        let port = first.and_then(Listener::port).unwrap_or(0);
        (port, first.map(Listener::address).unwrap_or_default())
    }

    /// What is offered there, over the keys of all nodes where there is a `keyspace` of more than
    /// this one.
    pub fn services(
        self,
        store: &Arc<Store>,
        process: &Arc<Process>,
        keyspace: Option<Arc<Keyspace>>,
    ) -> Vec<Service> {
        let open = |name: &str, wire, listener: Listener| {
            tracing::info!(door = name, address = %listener.address(), "serving");
            service(name, wire, listener, store, process, keyspace.clone())
        };
        let redis = self
            .redis
            .map(|listener| open("redis", Wire::Resp, listener));
        let memcached = self.memcached;
        let memcached = memcached.map(|listener| open("memcached", Wire::Memcache, listener));
        redis.into_iter().chain(memcached).collect()
    }
}

/// A door: over the keys of all nodes where there is a `keyspace` of more than this one.
pub fn service(
    name: &str,
    wire: Wire,
    listener: Listener,
    store: &Arc<Store>,
    process: &Arc<Process>,
    keyspace: Option<Arc<Keyspace>>,
) -> Service {
    let (store, process) = (store.clone(), process.clone());
    let greeting = Greeting {
        version: REDIS_VERSION,
        newest: Protocol::Resp3,
        access: Access::Store(process.password.clone()),
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
        wire,
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
fn warn_if_open(listen: &Listen) {
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
