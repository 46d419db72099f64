//! The doors of a store: where clients come in, and in which protocol.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use super::{service, tuning};
use crate::admin::Process;
use crate::config::pools::Listen;
use crate::config::tls::{Accept, ClientAuth, Version};
use crate::http::Subject;
use crate::net::{Listener, Service, Speaks};
use crate::peer::{self, Keyspace};
use crate::store::Store;
use crate::tls::Acceptor;
use crate::web::Site;
use crate::wire::Wire;

/// Where the doors are. One that is not named is not opened.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// The Redis protocol.
    pub redis: Option<Listen>,
    /// memcached's text and meta protocol.
    pub memcached: Option<Listen>,
    /// HTTP.
    pub http: Option<Listen>,
    /// The certificate with which HTTP is spoken over TLS, if it shall be.
    pub http_tls: Option<peer::Tls>,
}

impl Doors {
    /// Those of a store to which nobody has named any: on this machine alone.
    pub fn local() -> Doors {
        let local = |port| {
            Some(Listen::Tcp {
                host: "127.0.0.1".into(),
                port,
            })
        };
        Doors {
            redis: local(6380),
            memcached: None,
            http: local(8001),
            http_tls: None,
        }
    }

    /// Whether any is named.
    pub fn are_named(&self) -> bool {
        self.redis.is_some() || self.memcached.is_some() || self.http.is_some()
    }

    /// Binds them, on this thread's runtime.
    ///
    /// # Errors
    /// An address cannot be listened on, or a certificate cannot be used.
    pub fn bind(&self) -> anyhow::Result<Bound> {
        let bind = |at: &Option<Listen>| {
            let bound = at.as_ref().map(|at| Listener::bind(at, tuning()));
            bound.transpose()
        };
        let tls = self.http_tls.as_ref().filter(|_| self.http.is_some());
        let bound = Bound {
            redis: bind(&self.redis)?,
            memcached: bind(&self.memcached)?,
            http: bind(&self.http)?,
            http_tls: tls.map(acceptor).transpose()?,
        };
        let doors = [&self.redis, &self.memcached, &self.http];
        for listen in doors.into_iter().flatten() {
            warn_if_open(listen);
        }
        Ok(bound)
    }
}

/// Doors whose addresses are taken.
pub struct Bound {
    redis: Option<Listener>,
    memcached: Option<Listener>,
    http: Option<Listener>,
    http_tls: Option<Acceptor>,
}

impl Bound {
    /// The port and the address of the first door, as INFO tells them.
    pub fn first(&self) -> (u16, String) {
        let first = self.redis.as_ref().or(self.memcached.as_ref());
        let first = first.or(self.http.as_ref());
        let port = first.and_then(Listener::port).unwrap_or(0);
        (port, first.map(Listener::address).unwrap_or_default())
    }

    /// What is offered there. `subject`: what HTTP tells of; `keyspace`: the keys of all nodes, if
    /// there are others.
    pub fn services(
        self,
        subject: &Subject,
        store: &Arc<Store>,
        keyspace: Option<&Arc<Keyspace>>,
    ) -> Vec<Service> {
        let keyspace = || keyspace.cloned();
        let process: &Arc<Process> = &subject.process;
        let mut services = Vec::new();
        for (name, wire, listener) in [
            ("redis", Wire::Resp, self.redis),
            ("memcached", Wire::Memcache, self.memcached),
        ] {
            if let Some(listener) = listener {
                tracing::info!(door = name, address = %listener.address(), "serving");
                services.push(service(name, wire, listener, store, process, keyspace()));
            }
        }
        if let Some(listener) = self.http {
            let address = listener.address();
            tracing::info!(http = %address, tls = self.http_tls.is_some(), "serving");
            let members = keyspace().map(|keyspace| keyspace.members.clone());
            let site = Site::new(subject.clone(), store.clone(), &address, members);
            services.push(Service {
                speaks: Speaks::Http(Arc::new(site)),
                tls: self.http_tls,
                ..service("http", Wire::Resp, listener, store, process, keyspace())
            });
        }
        services
    }
}

fn acceptor(tls: &peer::Tls) -> anyhow::Result<Acceptor> {
    let accept = Accept {
        identities: vec![tls.identity()],
        // Nodes show each other certificates; clients need none.
        client_auth: ClientAuth::Off,
        ca: None,
        min_version: Version::default(),
    };
    Ok(Acceptor::load(&accept, None)?.offering(&[b"h2", b"http/1.1"]))
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
