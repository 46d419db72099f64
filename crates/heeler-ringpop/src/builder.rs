//! A member to be.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use heeler_ring::RingHash;
use heeler_swim::{Config, ConfigError, LabelError, Swim};
use rustls::{ClientConfig, ServerConfig};

use crate::channel::{Channel, Limits};
use crate::discovery::{Discovery, DiscoveryError};
use crate::forward::Forwarding;
use crate::gossip::{Gossip, SERVICE, Stage};
use crate::limits;
use crate::proxy::{Consistency, Handler, HttpRequest, HttpResponse};
use crate::ringpop::{Inner, Ringpop};
use crate::statistics::{Sink, Statistics, prefix};

/// A member to be: who it is, whom it asks, how it behaves.
///
/// ```no_run
/// # async fn example() -> Result<(), heeler_ringpop::BootstrapError> {
/// use heeler_ringpop::{Discovery, Ringpop};
///
/// let ringpop = Ringpop::builder("kv")
///     .listen("127.0.0.1:3000")
///     .seeds(Discovery::file("hosts.json"))
///     .bootstrap()
///     .await?;
/// println!("{} is for {}", ringpop.lookup("a key"), ringpop.whoami());
/// # Ok(())
/// # }
/// ```
pub struct Builder {
    config: Config,
    listen: Option<String>,
    advertise: Option<String>,
    channel: Option<Channel>,
    seeds: Option<Discovery>,
    forwarding: Forwarding,
    consistency: Consistency,
    http: Option<Handler>,
    sink: Option<Sink>,
    prefix: Option<String>,
    tls: Option<(Arc<ServerConfig>, Arc<ClientConfig>)>,
    limits: Limits,
}

impl Builder {
    pub(crate) fn new(app: String) -> Builder {
        Builder {
            config: Config::new(app, ""),
            listen: None,
            advertise: None,
            channel: None,
            seeds: None,
            forwarding: Forwarding::default(),
            consistency: Consistency::default(),
            http: None,
            sink: None,
            prefix: None,
            tls: None,
            limits: Limits::default(),
        }
    }

    /// Where to listen, `host:port`; port 0 takes a free one. By default a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Builder {
        self.listen = Some(address.into());
        self
    }

    /// The address that the others are told, if it is another than that listened on. Among
    /// ringpop-node processes it must be an IPv4 address and a port: they close the connection on
    /// anything else.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<String>) -> Builder {
        self.advertise = Some(address.into());
        self
    }

    /// A channel that listens already, and may serve more than the ring.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Builder {
        self.channel = Some(channel);
        self
    }

    /// TLS on the way to other members and from them. For mutual TLS the server's side has a
    /// verifier of client certificates, and the client's side a certificate. A member's certificate
    /// has to be for the host that it advertises.
    #[must_use]
    pub fn tls(mut self, server: Arc<ServerConfig>, client: Arc<ClientConfig>) -> Builder {
        self.tls = Some((server, client));
        self
    }

    /// The bounds of each connection.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Builder {
        self.limits = limits;
        self
    }

    /// Where the first members are found. By default this one is the first.
    #[must_use]
    pub fn seeds(mut self, seeds: Discovery) -> Builder {
        self.seeds = Some(seeds);
        self
    }

    /// The hash function of the ring. By default that of the peers, and
    /// [`Fingerprint32`](RingHash::Fingerprint32) if there are none. The examples of ringpop-node
    /// have [`Hash32V1`](RingHash::Hash32V1).
    #[must_use]
    pub fn hash(mut self, hash: RingHash) -> Builder {
        self.config.hash = Some(hash);
        self
    }

    /// A name for the ring in the place of the address (ringpop-go's identity): keys stay where
    /// they are when the member comes back with another address.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Builder {
        self.config.identity = Some(identity.into());
        self
    }

    /// Something that this member says of itself.
    ///
    /// # Errors
    /// There are too many, or it is too long.
    pub fn label(mut self, key: &str, value: &str) -> Result<Builder, LabelError> {
        self.config.labels.set(key, value)?;
        Ok(self)
    }

    /// How long a suspect may stay one, then a faulty member and a tombstone.
    #[must_use]
    pub fn periods(mut self, suspect: Duration, faulty: Duration, tombstone: Duration) -> Builder {
        self.config.suspect_ms = suspect.as_millis() as u64;
        self.config.faulty_ms = faulty.as_millis() as u64;
        self.config.tombstone_ms = tombstone.as_millis() as u64;
        self
    }

    /// Anything else about the membership.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Builder {
        change(&mut self.config);
        self
    }

    /// How requests are forwarded.
    #[must_use]
    pub fn forwarding(mut self, forwarding: Forwarding) -> Builder {
        self.forwarding = forwarding;
        self
    }

    /// How forwarded HTTP requests are checked.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Builder {
        self.consistency = consistency;
        self
    }

    /// What answers HTTP requests that other members forward to this one, as ringpop-node's
    /// `handleOrProxy` and [`Ringpop::handle_or_proxy`] do.
    #[must_use]
    pub fn on_http<F, A>(mut self, handler: F) -> Builder
    where
        F: Fn(HttpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = HttpResponse> + Send + 'static,
    {
        self.http = Some(Handler::new(handler));
        self
    }

    /// Where statistics go, once a second.
    #[must_use]
    pub fn statistics_to(mut self, sink: Sink) -> Builder {
        self.sink = Some(sink);
        self
    }

    /// The prefix of their names, by default `ringpop.127_0_0_1_3000` for a member at
    /// 127.0.0.1:3000.
    #[must_use]
    pub fn statistics_prefix(mut self, prefix: impl Into<String>) -> Builder {
        self.prefix = Some(prefix.into());
        self
    }

    /// Listens, joins, and returns when this is a member of the ring. Before that it answers the
    /// joins of others, so that all may start at once.
    ///
    /// # Errors
    /// The address cannot be listened on, the seeds cannot be read, the configuration is wrong, or
    /// too few seeds have answered for [`Bootstrap::give_up_ms`](heeler_swim::Bootstrap).
    pub async fn bootstrap(self) -> Result<Ringpop, BootstrapError> {
        let ringpop = self.start().await?;
        ringpop.ready().await?;
        Ok(ringpop)
    }

    /// The same without waiting for the ring: see [`Ringpop::ready`].
    ///
    /// # Errors
    /// As [`bootstrap`](Builder::bootstrap), but for the last.
    pub async fn start(mut self) -> Result<Ringpop, BootstrapError> {
        let channel = self.open().await?;
        let address = channel.host_port().to_string();
        let discovery = self.seeds.take();
        let discovery = discovery.unwrap_or_else(|| Discovery::list([&address]));
        let mut seeds = discovery.seeds().await?;
        if seeds.is_empty() {
            seeds.push(address.clone());
        }
        self.config.address.clone_from(&address);
        let prefix = self.prefix.take().unwrap_or_else(|| prefix(&address));
        let app = self.config.app.clone();
        let statistics = Statistics::default();
        let config = self.config;
        let swim = |now| Swim::new(config, now, RandomState::default().hash_one(&prefix));
        let gossip = Gossip::new(swim, channel.clone(), discovery, statistics.clone())?;
        let mut tasks = vec![tokio::spawn(Gossip::run(Arc::downgrade(&gossip)))];
        if let Some(sink) = self.sink {
            tasks.push(tokio::spawn(report(sink, prefix, statistics.clone())));
        }
        let ringpop = Ringpop {
            inner: Arc::new(Inner {
                app,
                address: address.into(),
                channel,
                gossip,
                forwarding: self.forwarding,
                statistics,
                tracers: Default::default(),
                http: self.http,
                consistency: self.consistency,
                tasks,
            }),
        };
        ringpop.register();
        ringpop.inner.gossip.take_seeds(seeds);
        Ok(ringpop)
    }

    /// Opens the channel, which listens from now on: to serve other services, and to call others,
    /// before this becomes a member by [`start`](Builder::start).
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn open(&mut self) -> Result<Channel, BootstrapError> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let listen = self.listen.take().unwrap_or_else(|| "127.0.0.1:0".into());
        let mut builder = Channel::builder(&self.config.app)
            .listen(&listen)
            .limits(self.limits.clone());
        if let Some(advertise) = &self.advertise {
            builder = builder.advertise(advertise);
        }
        if let Some((server, client)) = self.tls.take() {
            builder = builder.tls_server(server).tls_client(client);
        }
        let channel = builder.start().await.map_err(BootstrapError::Listen)?;
        Ok(self.channel.insert(channel).clone())
    }
}

impl Ringpop {
    /// Waits until this is a member of the ring.
    ///
    /// # Errors
    /// The bootstrap was given up.
    pub async fn ready(&self) -> Result<(), BootstrapError> {
        let mut stage = self.inner.gossip.stage();
        let over = stage.wait_for(|stage| *stage != Stage::Joining).await;
        match over.as_deref() {
            Ok(Stage::Failed(reason)) => Err(BootstrapError::Failed(reason.clone())),
            Err(_) => Err(BootstrapError::Failed("the member is gone".into())),
            Ok(_) => Ok(()),
        }
    }

    /// Serves what members and operators ask, and traces, as long as it is held by somebody.
    fn register(&self) {
        let inner = Arc::downgrade(&self.inner);
        self.inner.channel.service(SERVICE).fallback(move |call| {
            let inner = inner.clone();
            async move {
                match inner.upgrade() {
                    Some(inner) => Ringpop { inner }.serve(call).await,
                    None => Err(crate::endpoints::gone()),
                }
            }
        });
        let inner = Arc::downgrade(&self.inner);
        let mut events = self.events();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let Some(inner) = inner.upgrade() else { break };
                Ringpop { inner }.trace(&event);
            }
        });
    }
}

/// Sends statistics once a second.
async fn report(mut sink: Sink, prefix: String, statistics: Statistics) {
    let mut each = tokio::time::interval(limits::STATISTICS_PERIOD);
    loop {
        each.tick().await;
        if let Err(error) = sink.send(&prefix, &statistics) {
            tracing::debug!("cannot send statistics: {error}");
        }
    }
}

/// Why a member is none.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(io::Error),
    /// The seeds cannot be read.
    #[error(transparent)]
    Seeds(#[from] DiscoveryError),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Too few seeds have answered for too long.
    #[error("cannot join the ring: {0}")]
    Failed(String),
}
