//! A member of a ring, as an application holds it.

use std::sync::Arc;

use heeler_ring::Ring;
use heeler_swim::{Answer, Command, Fault, Labels, MemberState, Status};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::builder::Builder;
use crate::channel::Channel;
use crate::event::Event;
use crate::forward::Forwarding;
use crate::gossip::Gossip;
use crate::limits;
use crate::proxy::{Consistency, Handler};
use crate::statistics::Statistics;
use crate::trace::Tracers;

/// A member of a ring. Clones are the same member, which goes on until the last is dropped or it
/// is [shut down](Ringpop::shut_down).
#[derive(Clone)]
pub struct Ringpop {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) app: String,
    pub(crate) address: Arc<str>,
    pub(crate) channel: Channel,
    pub(crate) gossip: Arc<Gossip>,
    pub(crate) forwarding: Forwarding,
    pub(crate) statistics: Statistics,
    pub(crate) tracers: Tracers,
    pub(crate) http: Option<Handler>,
    pub(crate) consistency: Consistency,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Ringpop {
    /// A member to be, of the ring of an application: a name that keeps rings apart.
    pub fn builder(app: impl Into<String>) -> Builder {
        Builder::new(app.into())
    }

    /// The address under which the others know this member.
    pub fn whoami(&self) -> &str {
        &self.inner.address
    }

    /// The name of the application.
    pub fn app(&self) -> &str {
        &self.inner.app
    }

    /// The owner of a key: a member's address. This member's own while the ring is empty.
    ///
    /// The text is the ring's own, and nothing is copied.
    pub fn lookup(&self, key: impl AsRef<[u8]>) -> Arc<str> {
        let ring = self.inner.gossip.ring().load();
        match ring.lookup_index(key.as_ref()) {
            Some(owner) => ring.members()[owner].shared_address().clone(),
            None => self.inner.address.clone(),
        }
    }

    /// The first `n` members for a key, the owner first; fewer if the ring has no more.
    pub fn lookup_n(&self, key: impl AsRef<[u8]>, n: usize) -> Vec<Arc<str>> {
        let ring = self.inner.gossip.ring().load();
        let mut owners = Vec::new();
        ring.lookup_n_into(key.as_ref(), n, &mut owners);
        let address = |&owner: &usize| ring.members()[owner].shared_address().clone();
        owners.iter().map(address).collect()
    }

    /// Whether this member owns a key.
    pub fn owns(&self, key: impl AsRef<[u8]>) -> bool {
        let ring = self.inner.gossip.ring().load();
        let owner = ring.lookup(key.as_ref());
        owner.is_none_or(|owner| owner == self.whoami())
    }

    /// The ring as it is at this moment, for many look-ups in one picture of it.
    pub fn ring(&self) -> Arc<Ring> {
        self.inner.gossip.ring().load_full()
    }

    /// The checksum of the ring's servers. Members that agree about it agree about owners.
    pub fn checksum(&self) -> u32 {
        self.inner.gossip.ring().load().checksum()
    }

    /// The checksum of the membership, as peers compare it.
    pub fn membership_checksum(&self) -> u32 {
        self.inner.gossip.with(|swim| swim.checksum(swim.form()))
    }

    /// All members that this one knows, itself and tombstones included, sorted by address.
    pub fn members(&self) -> Vec<MemberState> {
        self.inner.gossip.with(|swim| swim.members().collect())
    }

    /// What a member says of itself; `None` if it is not known or says nothing.
    pub fn labels(&self, address: &str) -> Option<Arc<Labels>> {
        self.inner.gossip.with(|swim| swim.member(address)?.labels)
    }

    /// Says something else of this member. The others hear of it by gossip.
    ///
    /// # Errors
    /// Too many labels, or too long ones.
    pub async fn set_labels(&self, labels: Labels) -> Result<(), Fault> {
        let command = Command::SetLabels(labels);
        self.command(command).await.map(drop)
    }

    /// This member's own status.
    pub fn status(&self) -> Status {
        self.inner.gossip.with(|swim| swim.state().status)
    }

    /// Whether it is in the ring: the bootstrap is over, and it has not evicted itself since.
    pub fn is_ready(&self) -> bool {
        self.inner.gossip.with(heeler_swim::Swim::is_ready)
    }

    /// What happens from now on. A listener that is slow misses the oldest.
    pub fn events(&self) -> Events {
        Events(self.inner.gossip.events())
    }

    /// What this member counts; a collector for a Prometheus registry, too.
    pub fn statistics(&self) -> &Statistics {
        &self.inner.statistics
    }

    /// The channel: to serve more services, or to call peers.
    pub fn channel(&self) -> &Channel {
        &self.inner.channel
    }

    /// Leaves the ring, and tells the others; goes on answering. [`rejoin`](Ringpop::rejoin) is
    /// the way back.
    ///
    /// # Errors
    /// It has left before.
    pub async fn leave(&self) -> Result<(), Fault> {
        self.command(Command::Leave).await.map(drop)
    }

    /// Comes back after [`leave`](Ringpop::leave).
    ///
    /// # Errors
    /// It has not left.
    pub async fn rejoin(&self) -> Result<(), Fault> {
        self.command(Command::Rejoin).await.map(drop)
    }

    /// Pings others by the clock, also after [`leave`](Ringpop::leave), which ends that: for a
    /// member that leaves and has to know yet who comes and goes.
    ///
    /// # Errors
    /// It is not ready, or has evicted itself.
    pub async fn start_gossip(&self) -> Result<(), Fault> {
        self.command(Command::StartGossip).await.map(drop)
    }

    /// Declares itself faulty and tells others, so that keys have other owners before the process
    /// ends, and nobody waits for timeouts.
    ///
    /// # Errors
    /// It has been done before.
    pub async fn self_evict(&self) -> Result<(), Fault> {
        self.command(Command::SelfEvict).await.map(drop)
    }

    /// [`self_evict`](Ringpop::self_evict), then answers what is in flight, and closes the channel.
    pub async fn shut_down(&self) {
        if let Err(fault) = self.self_evict().await {
            tracing::debug!("{fault}");
        }
        let reason = format!("{} shuts down", self.whoami());
        self.inner.channel.close(&reason, limits::LAST_CALLS).await;
    }

    pub(crate) async fn command(&self, command: Command) -> Result<Answer, Fault> {
        self.inner.gossip.command(command).await
    }
}

/// What happens to a member, one after the other.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next; `None` when the member is gone.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a listener was too slow for the events");
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
