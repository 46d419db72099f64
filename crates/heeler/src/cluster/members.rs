//! The members of a ring, as the gossip tells of them: rings come in, a picture of the owners is
//! published; the data path reads it and never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::{ArcSwap, Cache};
use heeler_ring::Ring;
use tokio::sync::watch;

use crate::route::{Nodes, Terms};

/// For who looks at the picture for each request: that costs a look at whether there is another.
pub type Look = Cache<Arc<ArcSwap<Nodes>>, Arc<Nodes>>;

/// The ring that this node is a member of.
#[derive(Debug)]
pub struct Members {
    me: Arc<str>,
    terms: Terms,
    nodes: Arc<ArcSwap<Nodes>>,
    versions: AtomicU64,
    changed: watch::Sender<u64>,
}

impl Members {
    /// A node with this address in this ring.
    pub fn new(me: &str, terms: Terms, ring: Arc<Ring>) -> Members {
        Members {
            nodes: Arc::new(ArcSwap::from_pointee(Nodes::new(ring, terms, me, 1))),
            me: me.into(),
            terms,
            versions: AtomicU64::new(1),
            changed: watch::Sender::new(1),
        }
    }

    /// This node's address.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// What the owners follow from beside the members.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The picture for a request that comes now.
    pub fn nodes(&self) -> arc_swap::Guard<Arc<Nodes>> {
        self.nodes.load()
    }

    /// The same for one who looks often.
    pub fn look(&self) -> Look {
        Cache::new(self.nodes.clone())
    }

    /// The same to keep.
    pub fn picture(&self) -> Arc<Nodes> {
        self.nodes.load_full()
    }

    /// The ring has changed. Called by one thread only, in the order of the changes.
    pub fn publish(&self, ring: Arc<Ring>) {
        let version = self.versions.fetch_add(1, Relaxed) + 1;
        let nodes = Nodes::new(ring, self.terms, &self.me, version);
        self.nodes.store(Arc::new(nodes));
        self.changed.send_replace(version);
    }

    /// The same picture once more, under another version. Any thread may call it.
    pub fn publish_again(&self) {
        let again = |nodes: &Arc<Nodes>| {
            let version = self.versions.fetch_add(1, Relaxed) + 1;
            Nodes::new(nodes.ring().clone(), self.terms, &self.me, version)
        };
        self.nodes.rcu(|nodes| Arc::new(again(nodes)));
        self.changed
            .send_modify(|version| *version = self.versions.load(Relaxed));
    }

    /// The versions of the pictures that follow.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use heeler_ring::{Member, RingHash};

    use super::*;

    #[test]
    fn each_picture_has_a_version_of_its_own() {
        let mut ring = Ring::new(RingHash::Fingerprint32);
        let members = Members::new("127.0.0.1:1", Terms::default(), Arc::new(ring.clone()));
        let (before, changes) = (members.picture(), members.changes());
        assert_eq!(before.owner(b"k"), None);
        ring.update(["127.0.0.1:1", "127.0.0.1:2"].map(Member::new), &[]);
        members.publish(Arc::new(ring));
        assert!(changes.has_changed().unwrap());
        assert_ne!(before.version(), members.nodes().version());
        assert_eq!(members.nodes().me(), Some(0));
        assert!(members.nodes().owner(b"k").is_some());
    }
}
