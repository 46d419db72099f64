//! How a node takes part in a ring: where, with whom, and with which certificates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use heeler_ringpop::{Builder, Discovery, RingHash, Ringpop, Sink};

use crate::config::tls::{Accept, ClientAuth, Connect, Identity, Version};
use crate::tls::{Acceptor, Connector, Problem};

/// How this node takes part in a ring.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen: `host:port`.
    pub listen: String,
    /// The address that the others are told, if it is another.
    pub advertise: Option<String>,
    /// The name of the application: rings of different applications keep apart.
    pub app: String,
    /// Where the first members are found; alone, if nowhere.
    pub seeds: Option<Discovery>,
    /// How long they are tried before this node begins a ring of its own; as long as
    /// [`ALONE_AFTER_MS`](crate::limits::ALONE_AFTER_MS) if it is not said.
    pub patience: Option<Duration>,
    /// A name for the ring in the place of the address.
    pub identity: Option<String>,
    /// The hash function; that of the others, if it is not said.
    pub hash: Option<RingHash>,
    /// How long a member stays a suspect, how long it stays faulty, and how long a tombstone.
    pub periods: [Duration; 3],
    /// Where statistics go.
    pub statistics: Option<Statistics>,
    /// TLS in both directions.
    pub tls: Option<Tls>,
}

/// Where statistics go.
#[derive(Clone, Debug)]
pub enum Statistics {
    /// To a statsd: `host:port`.
    Udp(String),
    /// Into a file.
    File(PathBuf),
}

/// TLS between nodes. With an authority it is mutual: a node that shows no certificate of it is
/// turned away.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The file of this node's certificate.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
    /// The file of the authority that signs the nodes' certificates. Without it nodes are not
    /// asked for one, and theirs are checked against the system's authorities.
    pub ca: Option<PathBuf>,
}

/// A member to be.
///
/// # Errors
/// A file or an address cannot be used.
pub fn member(options: &Options) -> anyhow::Result<Builder> {
    let [suspect, faulty, tombstone] = options.periods;
    let mut builder = Ringpop::builder(&options.app)
        .listen(&options.listen)
        .periods(suspect, faulty, tombstone);
    if let Some(advertise) = &options.advertise {
        builder = builder.advertise(advertise);
    }
    if let Some(seeds) = &options.seeds {
        builder = builder.seeds(seeds.clone());
    }
    if let Some(identity) = &options.identity {
        builder = builder.identity(identity);
    }
    if let Some(hash) = options.hash {
        builder = builder.hash(hash);
    }
    if let Some(statistics) = &options.statistics {
        builder = builder.statistics_to(sink(statistics)?);
    }
    if let Some(tls) = &options.tls {
        builder = builder.tls(tls.server()?, tls.client()?);
    }
    Ok(builder)
}

fn sink(to: &Statistics) -> anyhow::Result<Sink> {
    match to {
        Statistics::File(path) => {
            Sink::file(path).with_context(|| format!("cannot write to {}", path.display()))
        }
        Statistics::Udp(address) => {
            let failed = || format!("cannot send statistics to {address}");
            let found = std::net::ToSocketAddrs::to_socket_addrs(address);
            let found = found.with_context(failed)?.next();
            let found = found.context("it has no address").with_context(failed)?;
            Sink::statsd(found).with_context(failed)
        }
    }
}

impl Tls {
    /// What this node shows.
    pub fn identity(&self) -> Identity {
        Identity {
            certificate: self.certificate.clone(),
            key: Some(self.key.clone()),
        }
    }

    /// For connections that others open.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn server(&self) -> Result<Arc<rustls::ServerConfig>, Problem> {
        Ok(self.acceptor()?.config())
    }

    pub(super) fn acceptor(&self) -> Result<Acceptor, Problem> {
        let accept = Accept {
            identities: vec![self.identity()],
            client_auth: match self.ca {
                Some(_) => ClientAuth::Require,
                None => ClientAuth::Off,
            },
            ca: self.ca.clone(),
            min_version: Version::default(),
        };
        Acceptor::load(&accept, None)
    }

    /// For connections that this node opens.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn client(&self) -> Result<Arc<rustls::ClientConfig>, Problem> {
        Ok(self.connector()?.parts().0)
    }

    /// The same, as pools take it.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn connector(&self) -> Result<Connector, Problem> {
        let connect = Connect {
            ca: self.ca.clone(),
            name: None,
            identity: Some(self.identity()),
            min_version: Version::default(),
        };
        Connector::load(&connect, None)
    }
}
