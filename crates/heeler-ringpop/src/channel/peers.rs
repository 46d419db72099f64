//! Which connections lead to which peer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;
use heeler_tchannel::Failure;
use parking_lot::Mutex;

use super::link::Link;

/// All peers that are known by an address.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<HashMap<Arc<str>, Arc<Entry>, RandomState>>);

/// One peer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) host_port: Arc<str>,
    /// The one that calls take.
    current: ArcSwapOption<Link>,
    /// All that are open, whoever opened them.
    links: Mutex<Vec<Arc<Link>>>,
    /// One at a time opens a connection; the others wait, and take it, or its failure.
    pub(super) dialling: tokio::sync::Mutex<Option<(Instant, Failure)>>,
}

impl Peers {
    /// The peer's entry, which is made if there is none.
    pub(super) fn entry(&self, host_port: &str) -> Arc<Entry> {
        let mut peers = self.0.lock();
        if let Some(entry) = peers.get(host_port) {
            return entry.clone();
        }
        let host_port: Arc<str> = host_port.into();
        let entry = Arc::new(Entry {
            host_port: host_port.clone(),
            current: ArcSwapOption::empty(),
            links: Mutex::default(),
            dialling: tokio::sync::Mutex::new(None),
        });
        peers.insert(host_port, entry.clone());
        entry
    }

    /// Files a connection that is open under a name.
    pub(super) fn add(&self, host_port: &str, link: &Arc<Link>) {
        let entry = self.entry(host_port);
        link.names.lock().push(entry.host_port.clone());
        let mut links = entry.links.lock();
        links.push(link.clone());
        if entry
            .current
            .load()
            .as_ref()
            .is_none_or(|current| !current.is_open())
        {
            entry.current.store(Some(link.clone()));
        }
        drop(links);
        if !link.is_open() {
            self.remove(link);
        }
    }

    /// Forgets a connection that has ended, and its peer if there is no other and nobody holds it.
    pub(super) fn remove(&self, link: &Arc<Link>) {
        let mut peers = self.0.lock();
        for name in std::mem::take(&mut *link.names.lock()) {
            let Some(entry) = peers.get(&name) else {
                continue;
            };
            let mut links = entry.links.lock();
            links.retain(|other| !Arc::ptr_eq(other, link));
            if entry
                .current
                .load()
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, link))
            {
                entry
                    .current
                    .store(links.iter().find(|link| link.is_open()).cloned());
            }
            let last = links.is_empty();
            drop(links);
            if last && Arc::strong_count(entry) == 1 {
                peers.remove(&name);
            }
        }
    }

    /// Forgets a peer that has no connection and is held by nobody but the caller.
    pub(super) fn release(&self, entry: &Arc<Entry>) {
        let mut peers = self.0.lock();
        if entry.links.lock().is_empty() && Arc::strong_count(entry) == 2 {
            peers.remove(&entry.host_port);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Entry {
    /// A connection that takes calls.
    pub(super) fn link(&self) -> Option<Arc<Link>> {
        let current = self.current.load();
        match current.as_ref() {
            Some(link) if link.is_open() => Some(link.clone()),
            Some(_) => self.other_link(),
            None => None,
        }
    }

    /// The current one is ending: another takes its place, if there is one.
    #[cold]
    fn other_link(&self) -> Option<Arc<Link>> {
        let links = self.links.lock();
        let other = links.iter().find(|link| link.is_open()).cloned()?;
        self.current.store(Some(other.clone()));
        Some(other)
    }
}
