//! The doors of a store: where clients come in, and in which protocol.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use super::{service, tuning};
use crate::admin::Process;
use crate::config::pools::Listen;
use crate::net::{Listener, Service};
use crate::store::Store;
use crate::wire::Wire;

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

    /// What is offered there.
    pub fn services(self, store: &Arc<Store>, process: &Arc<Process>) -> Vec<Service> {
        let mut services = Vec::new();
        if let Some(listener) = self.redis {
            tracing::info!(redis = %listener.address(), "serving");
            services.push(service("redis", Wire::Resp, listener, store, process));
        }
        if let Some(listener) = self.memcached {
            tracing::info!(memcached = %listener.address(), "serving");
            services.push(service(
                "memcached",
                Wire::Memcache,
                listener,
                store,
                process,
            ));
        }
        services
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
