//! Whether the members of the ring can be called, this one by the others and the others by this
//! one, as long as they are members.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use heeler_ringpop::Status;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::Keyspace;
use super::calling_back::{Callable, Found};
use super::joining::{Called, can_be_called};
use crate::limits;

/// What is known of it.
pub(super) struct Reachable {
    pub(super) callable: Arc<Callable>,
    /// Members that cannot be called.
    uncallable: Mutex<BTreeMap<Arc<str>, Found>>,
    /// Why this node leaves.
    leaves: watch::Sender<Option<String>>,
}

impl Reachable {
    pub(super) fn new(callable: Arc<Callable>) -> Reachable {
        Reachable {
            callable,
            uncallable: Mutex::default(),
            leaves: watch::Sender::new(None),
        }
    }

    /// How many members this node cannot call.
    pub(super) fn uncallable(&self) -> usize {
        self.uncallable.lock().len()
    }

    /// Why this node leaves the ring, if it does of its own accord.
    pub(super) fn leaves(&self) -> Option<String> {
        self.leaves.borrow().clone()
    }

    /// Ready when it does.
    pub(super) async fn is_to_leave(&self) {
        let mut leaves = self.leaves.subscribe();
        if leaves.wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Looks as long as the member lives.
pub(super) async fn follow(keyspace: Arc<Keyspace>) {
    let (began, mut turn, mut told) = (Instant::now(), 0, None);
    let reachable = &keyspace.reachable;
    loop {
        let others = keyspace.alive();
        let is_young = began.elapsed().as_millis() < limits::YOUNG_MS.into();
        if !reachable.callable.is_called() && !others.is_empty() {
            let nodes: Vec<&str> = others.iter().map(|address| &**address).collect();
            let channel = keyspace.ringpop.channel();
            match can_be_called(&reachable.callable, channel, &nodes).await {
                Called::Never(why) if is_young => {
                    tracing::error!("{why}. It leaves the ring");
                    reachable.leaves.send_replace(Some(why));
                    return;
                }
                Called::Never(why) if told.as_ref() != Some(&why) => {
                    tracing::error!("{why}");
                    told = Some(why);
                }
                _ => {}
            }
        }
        keyspace.look_at_others(&others, &mut turn).await;
        let pause = match is_young && !reachable.callable.is_called() {
            true => limits::CALLABLE_PAUSE_MS,
            false => limits::CALLABLE_EACH_MS,
        };
        sleep(Duration::from_millis(pause)).await;
    }
}

impl Keyspace {
    /// The others that are in the ring, and of whom nobody suspects that they are gone.
    fn alive(&self) -> Vec<Arc<str>> {
        let members = self.ringpop.members().into_iter();
        let others = members.filter(|member| {
            member.status == Status::Alive && *member.address != *self.ringpop.whoami()
        });
        others.map(|member| member.address).collect()
    }

    /// Calls those that could not be called, and one more in its turn.
    async fn look_at_others(&self, others: &[Arc<str>], turn: &mut usize) {
        let reachable = &self.reachable;
        let known: Vec<Arc<str>> = reachable.uncallable.lock().keys().cloned().collect();
        for address in known {
            let found = match others.contains(&address) {
                true => reachable.callable.look(&address, None).await.0,
                false => Found::Itself,
            };
            if found == Found::Itself {
                reachable.uncallable.lock().remove(&address);
                tracing::info!("{address} can be called again, or has left the ring");
            }
        }
        *turn = turn.wrapping_add(1);
        let Some(address) = others.get(*turn % others.len().max(1)) else {
            return;
        };
        if reachable.uncallable.lock().contains_key(address)
            || reachable.callable.look(address, None).await.0 == Found::Itself
        {
            return;
        }
        // Of one that has just died the others will hear in a moment.
        sleep(Duration::from_millis(limits::CALLABLE_MS)).await;
        let (found, said) = reachable.callable.look(address, None).await;
        if found != Found::Itself && self.alive().contains(address) {
            reachable.uncallable.lock().insert(address.clone(), found);
            tracing::warn!(
                "{address} is a member of the ring and calls others, but cannot be called there, \
                 so that requests for its keys fail: {said}. It {}",
                found.remedy()
            );
        }
    }
}
