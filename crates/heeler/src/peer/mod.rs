//! The port on which nodes talk to each other: TChannel, with Ringpop's membership and the services
//! of this node.

mod calling_back;
mod clearing;
mod commands;
mod hearing;
mod joining;
mod keeper;
mod keyspace;
mod kv;
mod options;
mod pulse;
mod reachable;
mod renewal;
mod report;
mod settings;
mod told;
mod tracking;
mod transactions;
mod waiting;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use heeler_ringpop::{BootstrapError, Builder, Event, Events, MembershipEvent, Ringpop, Seeking};
use tokio::runtime::Runtime;

use calling_back::Callable;
use joining::Joining;
pub use keeper::{Keeper, Keeping};
pub use keyspace::{Keyspace, SERVICE, Traffic, command, encoded, moved};
pub use options::{Options, Statistics, Tls, member};
use pulse::Pulse;
use reachable::Reachable;
use renewal::Shown;
pub use report::{ENDPOINT as SHARES, Handover, Place, Question, Share, Shares};
use settings::Alike;
pub use settings::Settings;
pub use tracking::Tracking;

use crate::admin::{Process, RingLines};
use crate::clock;
use crate::cluster::Members;
use crate::config::listening;
use crate::limits;
use crate::pool::Others;
use crate::route::Terms;
use crate::socket::calls::{self, Opening};
use crate::store::Store;

/// The peer port of a store, at work on threads of its own: what nodes say to each other shall
/// not wait for clients.
pub struct Port {
    runtime: Runtime,
    keyspace: Arc<Keyspace>,
}

impl Port {
    /// Listens, serves the keys of the store, and joins the ring by and by. `process`: what this
    /// node is to its own clients.
    ///
    /// # Errors
    /// The address cannot be listened on, or a file is wrong.
    pub fn open(
        options: &Options,
        (terms, keeping): (Terms, Keeping),
        store: Arc<Store>,
        process: Arc<Process>,
        threads: usize,
    ) -> anyhow::Result<Port> {
        let shown = options.tls.as_ref().map(Shown::new);
        let tls = options.tls.as_ref().map(Tls::connector).transpose()?;
        let settings = Settings::new(terms, &keeping, options.identity.as_deref());
        // One seed that answers is enough, and whoever is first begins.
        let patience = options.patience.map(|patience| patience.as_millis() as u64);
        let member = member(options)?
            .limits(calls::bounds())
            .configure(|config| {
                config.bootstrap.join_size = 1;
                config.bootstrap.retry_ms = limits::FIRST_JOIN_PAUSE_MS;
                config.bootstrap.alone_after_ms = Some(patience.unwrap_or(limits::ALONE_AFTER_MS));
                // Others may have begun alone as well.
                if let Some(healing) = &mut config.healing {
                    healing.seeking = Some(Seeking::default());
                }
            });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("peer")
            .enable_all()
            .build()?;
        let callable = Callable::new(tls.as_ref().map(|tls| tls.parts().0));
        let joining = Joining::new(options, &settings, &callable);
        let (runtime, ringpop) = start(runtime, member, joining)?;
        let opening = Opening {
            process: options.app.clone(),
            request: Arc::new(commands::request(terms, commands::ENDPOINT, Bytes::new())),
        };
        let events = ringpop.events();
        let runs_on = runtime.handle();
        let keeper = Keeper::new((terms, keeping), store.clone(), &ringpop, runs_on);
        let keyspace = Arc::new(Keyspace {
            keeper,
            members: Arc::new(Members::new(ringpop.whoami(), terms, ringpop.ring())),
            tracking: Arc::new(Tracking::new(store.clone())),
            store,
            others: Arc::new(Others::new(opening, tls, process.slowlog.clone())),
            process,
            traffic: Traffic::default(),
            alike: Arc::new(Alike::new(settings)),
            pulse: Pulse::new(clock::ticks()),
            reachable: Reachable::new(callable),
            ringpop: ringpop.clone(),
            runtime: runtime.handle().clone(),
        });
        runtime.spawn(follow(keyspace.clone(), events));
        runtime.spawn(hearing::follow(keyspace.clone()));
        runtime.spawn(pulse::follow(keyspace.clone()));
        runtime.spawn(reachable::follow(keyspace.clone()));
        if let Some(shown) = shown {
            runtime.spawn(shown.follow(keyspace.clone()));
        }
        serve(&keyspace);
        tracing::info!(
            peer = ringpop.whoami(),
            app = ringpop.app(),
            "joining the ring"
        );
        Ok(Port { runtime, keyspace })
    }

    /// The member.
    pub fn ringpop(&self) -> &Ringpop {
        &self.keyspace.ringpop
    }

    /// The keys of all nodes.
    pub fn keyspace(&self) -> &Arc<Keyspace> {
        &self.keyspace
    }

    /// Waits until the node is in a ring, or has looked for one for long enough: what clients are
    /// told then is an error.
    pub async fn joined(&self) {
        let (ringpop, members) = (self.ringpop().clone(), self.keyspace.members.clone());
        let ready = async move {
            let mut changes = members.changes();
            ringpop.ready().await?;
            // The picture of the ring follows a moment later.
            while members.nodes().me().is_none() && changes.changed().await.is_ok() {}
            Ok::<(), BootstrapError>(())
        };
        let joined = self.runtime.spawn(async move {
            let patience = Duration::from_millis(limits::JOIN_MS);
            match tokio::time::timeout(patience, ready).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("{error}"),
                Err(_) => tracing::warn!("no ring has been found after {patience:?}"),
            }
        });
        // A task that has panicked has said so.
        let _ = joined.await;
    }

    /// Tells the others, hands over what it holds, answers what is in flight, and ends.
    ///
    /// # Errors
    /// It has left the ring of its own accord: why.
    pub async fn close(self) -> anyhow::Result<()> {
        let left = self.keyspace.reachable.leaves();
        let (ringpop, keeper) = (self.ringpop().clone(), self.keyspace.keeper.clone());
        let closing = self.runtime.spawn(async move {
            match ringpop.leave().await {
                Ok(()) => {
                    // It has to know who its successors are until they have everything.
                    if let Err(fault) = ringpop.start_gossip().await {
                        tracing::debug!("{fault}");
                    }
                    keeper.hand_over().await;
                }
                Err(fault) => tracing::debug!("{fault}"),
            }
            if let Err(fault) = ringpop.self_evict().await {
                tracing::debug!("{fault}");
            }
            // Who has not heard of it yet is told here that the keys have moved.
            tokio::time::sleep(Duration::from_millis(limits::LEAVE_MS)).await;
            ringpop.shut_down().await;
        });
        if closing.await.is_err() {
            tracing::warn!("the ring could not be left in good order");
        }
        self.runtime.shutdown_background();
        left.map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
    }
}

/// Ready once this node is asked to stop, or has to leave its ring.
pub async fn is_to_stop(keyspace: Option<Arc<Keyspace>>, asked: impl Future<Output = ()>) {
    let Some(keyspace) = keyspace else {
        return asked.await;
    };
    tokio::select! {
        () = asked => {}
        () = keyspace.reachable.is_to_leave() => {}
    }
}

/// Starts a member on a runtime once it is known that it may join, and shuts that down where it
/// fails.
fn start(
    runtime: Runtime,
    mut member: Builder,
    joining: Joining,
) -> anyhow::Result<(Runtime, Ringpop)> {
    // On a thread of its own, for the caller's may be one of another runtime.
    let handle = runtime.handle().clone();
    let begin = async move {
        let channel = member.open().await.map_err(cannot_begin)?;
        joining.callable.serve(&channel);
        joining.check(&channel).await?;
        let begun = member.start().await;
        begun.map_err(cannot_begin)
    };
    let error = match std::thread::spawn(move || handle.block_on(begin)).join() {
        Ok(Ok(ringpop)) => return Ok((runtime, ringpop)),
        Ok(Err(error)) => error,
        Err(_) => anyhow::anyhow!("the peer port's thread panicked"),
    };
    // The caller's thread must not wait for others.
    runtime.shutdown_background();
    Err(error)
}

/// Why a member cannot begin, and what to do.
fn cannot_begin(error: BootstrapError) -> anyhow::Error {
    let BootstrapError::Listen(error) = error else {
        return error.into();
    };
    let remedy = match error.kind() {
        io::ErrorKind::InvalidInput => Some(
            "the others have to be told where to call this node: add --advertise HOST:PORT with \
             an address at which they reach it",
        ),
        kind => listening::remedy(kind, false),
    };
    match remedy {
        Some(remedy) => anyhow::anyhow!("the port between nodes: {error}; {remedy}"),
        None => anyhow::anyhow!("the port between nodes: {error}"),
    }
}

/// Answers other nodes, and INFO.
fn serve(keyspace: &Arc<Keyspace>) {
    let told = Arc::downgrade(keyspace);
    let ring = move || {
        told.upgrade()
            .map_or_else(Vec::new, |keyspace| keyspace.info())
    };
    // It is set once, for a process opens one such port.
    let _ = keyspace.process.ring.set(RingLines(Box::new(ring)));
    keyspace.keeper.serve();
    commands::serve(keyspace);
    clearing::serve(keyspace);
    waiting::serve(keyspace);
    transactions::serve(keyspace);
    report::serve(keyspace);
    tracking::serve(keyspace);
    keyspace.alike.serve(&keyspace.ringpop);
    kv::serve(keyspace);
}

/// Publishes who owns what, as long as the member lives.
async fn follow(keyspace: Arc<Keyspace>, mut events: Events) {
    let (members, keeper) = (keyspace.members.clone(), keyspace.keeper.clone());
    let (others, ringpop) = (keyspace.others.clone(), keyspace.ringpop.clone());
    let alike = keyspace.alike.clone();
    drop(keyspace);
    // It may have changed before anybody listened.
    keeper.follow();
    members.publish(ringpop.ring());
    let compare = |address: String| {
        tokio::spawn(alike.clone().compare(ringpop.clone(), address));
    };
    let known = ringpop.members().into_iter();
    known.for_each(|member| compare(member.address.to_string()));
    while let Some(event) = events.next().await {
        if let Some(address) = event.began() {
            others.came_back(address);
            compare(address.to_owned());
        }
        match event {
            Event::Membership(MembershipEvent::Refuted { status, .. }) => {
                if !status.in_ring() {
                    keeper.doubted();
                }
                continue;
            }
            // Those who leave are no members of the ring any more, and have keys.
            Event::Membership(
                MembershipEvent::MemberChanged { .. } | MembershipEvent::Ready { .. },
            )
            | Event::RingChecksumComputed { .. } => keeper.follow(),
            _ => continue,
        }
        let (before, ring) = (members.picture(), ringpop.ring());
        if Arc::ptr_eq(before.ring(), &ring) {
            continue;
        }
        for member in ring.members() {
            if !before.ring().contains(member.address()) {
                others.came_back(member.address());
            }
        }
        members.publish(ring);
    }
}
