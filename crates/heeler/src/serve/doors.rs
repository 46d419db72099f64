//! The doors of a store: where clients come in, and in which protocol.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use anyhow::Context;

use super::tls::{AuthClients, Certificates, DoorTls, TlsDoor};
use super::{service, tuning};
use crate::admin::Process;
use crate::config::pools::Listen;
use crate::http::Subject;
use crate::net::{Listener, Service, Speaks};
use crate::peer::{self, Keyspace};
use crate::store::Store;
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
    /// TLS on them, if it shall be spoken.
    pub tls: Option<DoorTls>,
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
            tls: None,
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
        let bind = |at: &Option<Listen>, flag| {
            let bind = |at| Listener::bind(at, tuning()).context(flag);
            at.as_ref().map(bind).transpose()
        };
        let bound = Bound {
            redis: bind(&self.redis, "--redis")?,
            memcached: bind(&self.memcached, "--memcached")?,
            http: bind(&self.http, "--http")?,
            certificates: self.tls.as_ref().map(DoorTls::load).transpose()?,
            tls: self.tls.clone(),
        };
        Ok(bound)
    }
}

/// Doors whose addresses are taken.
pub struct Bound {
    redis: Option<Listener>,
    memcached: Option<Listener>,
    http: Option<Listener>,
    certificates: Option<Certificates>,
    tls: Option<DoorTls>,
}

impl Bound {
    /// The port and the address of the first door, as INFO tells them.
    pub fn first(&self) -> (u16, String) {
        let first = self.redis.as_ref().or(self.memcached.as_ref());
        let first = first.or(self.http.as_ref());
        let port = first.and_then(Listener::port).unwrap_or(0);
        (port, first.map(Listener::address).unwrap_or_default())
    }

    /// What is offered there, and at which doors TLS is spoken. `subject`: what HTTP tells of;
    /// `keyspace`: the keys of all nodes, if there are others.
    pub fn services(
        self,
        subject: &Subject,
        store: &Arc<Store>,
        keyspace: Option<&Arc<Keyspace>>,
    ) -> Offered {
        let keyspace = || keyspace.cloned();
        let process: &Arc<Process> = &subject.process;
        let mut services = Vec::new();
        for (door, wire, listener) in [
            (TlsDoor::Redis, Some(Wire::Resp), self.redis),
            (TlsDoor::Memcached, Some(Wire::Memcache), self.memcached),
            (TlsDoor::Http, None, self.http),
        ] {
            let Some(listener) = listener else { continue };
            let (name, address) = (door.name(), listener.address());
            // Who reaches a Unix socket is on this machine.
            let is_tcp = listener.port().is_some();
            let covered = self
                .tls
                .as_ref()
                .is_some_and(|tls| is_tcp && tls.covers(door));
            let certificates = self.certificates.as_ref().filter(|_| covered);
            tracing::info!(door = name, %address, tls = covered, "serving");
            let mut service = service(
                name,
                wire.unwrap_or_default(),
                listener,
                store,
                process,
                keyspace(),
            );
            if wire.is_none() {
                let members = keyspace().map(|keyspace| keyspace.members.clone());
                let site = Site::new(subject.clone(), store.clone(), &address, members);
                service.speaks = Speaks::Http(Arc::new(site));
            }
            service.tls = certificates.map(|certificates| certificates.at(door));
            services.push((service, covered.then_some(door)));
        }
        Offered {
            services,
            certificates: self.certificates,
        }
    }
}

/// What is to be offered.
pub struct Offered {
    /// The doors, and which of them it is where it speaks TLS.
    pub services: Vec<(Service, Option<TlsDoor>)>,
    /// What clients are shown there.
    pub certificates: Option<Certificates>,
}

impl Doors {
    /// Warns of doors through which everybody may read and write everything.
    pub fn warn_if_open(&self) {
        let checks_clients = |door| {
            let tls = self.tls.as_ref().filter(|tls| tls.covers(door));
            tls.is_some_and(|tls| tls.clients == AuthClients::Yes)
        };
        for (door, listen) in [
            (TlsDoor::Redis, &self.redis),
            (TlsDoor::Memcached, &self.memcached),
            (TlsDoor::Http, &self.http),
        ] {
            if let Some(listen) = listen.as_ref().filter(|_| !checks_clients(door)) {
                warn_if_open(listen);
            }
        }
    }
}

fn warn_if_open(listen: &Listen) {
    let Listen::Tcp { host, port } = listen else {
        return;
    };
    if is_reached_from_elsewhere((host.as_str(), *port)) {
        tracing::warn!(
            "{host}:{port} can be reached from other machines, and no password protects the data; \
             give one (--requirepass-file), or listen on 127.0.0.1 unless the network is trusted"
        );
    }
}

/// Warns of a port between nodes over which everybody may read and write everything, whatever
/// password the doors ask for.
pub fn warn_if_open_to_nodes(peer: &peer::Options) {
    let asks = peer.tls.as_ref().is_some_and(|tls| tls.ca.is_some());
    if !asks && is_reached_from_elsewhere(peer.listen.as_str()) {
        tracing::warn!(
            "{}, the port between nodes, can be reached from other machines, and whoever reaches \
             it may read and write all keys, without a password: give --tls-cert, --tls-key and \
             --tls-ca, or keep it in a network that is trusted",
            peer.listen
        );
    }
}

fn is_reached_from_elsewhere(address: impl ToSocketAddrs) -> bool {
    let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    let found = address.to_socket_addrs();
    found.is_ok_and(|mut all| all.any(|a| !is_loopback(a.ip())))
}
