//! What the door tells of: the process, its store, and the nodes of the ring.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use uuid::Uuid;

use super::document::Node;
use crate::clock;
use crate::cluster::Members;
use crate::http::Subject;
use crate::json;
use crate::store::Store;

/// One for all connections of a process.
pub struct Site {
    /// What health and metrics are told of.
    pub subject: Subject,
    /// The keys of this node.
    pub store: Arc<Store>,
    id: String,
    address: Arc<str>,
    members: Option<Arc<Members>>,
    watchers: AtomicU64,
    events: AtomicU64,
    /// Ids of other nodes, made up where they are first asked for, as memhashd's nodes do.
    others: Mutex<BTreeMap<String, String>>,
}

/// Numbers of watchers are above all numbers of connections.
const FIRST_WATCHER: u64 = 1 << 62;

impl Site {
    /// Of a node with a store. `listen` is where it listens; nodes of a ring have another address.
    pub fn new(
        subject: Subject,
        store: Arc<Store>,
        listen: &str,
        members: Option<Arc<Members>>,
    ) -> Site {
        let address = members
            .as_ref()
            .map_or(listen, |members| members.me())
            .into();
        Site {
            subject,
            store,
            id: Uuid::new_v4().to_string(),
            address,
            members,
            watchers: AtomicU64::new(FIRST_WATCHER),
            // Above those of a process before this one.
            events: AtomicU64::new(clock::now() << 20),
            others: Mutex::default(),
        }
    }

    /// Who answers for a key.
    pub fn owner_of(&self, key: &[u8]) -> Node<'_> {
        let owner = self.members.as_ref().and_then(|members| {
            let nodes = members.nodes();
            let owner = nodes.owner(key)?;
            Some(nodes.address(owner).clone())
        });
        Node {
            id: &self.id,
            address: owner.unwrap_or_else(|| self.address.clone()),
        }
    }

    /// The checksum of the ring; 0 where there is none.
    pub fn ring(&self) -> u32 {
        let members = self.members.as_ref();
        members.map_or(0, |members| members.nodes().ring().checksum())
    }

    fn id_of(&self, address: &str) -> String {
        if *address == *self.address {
            return self.id.clone();
        }
        let mut others = self.others.lock();
        let new = || Uuid::new_v4().to_string();
        others.entry(address.to_owned()).or_insert_with(new).clone()
    }

    /// The id of this process.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A number for an event: each is higher than those before it.
    pub fn next_event(&self) -> u64 {
        self.events.fetch_add(1, Relaxed)
    }

    /// A number for one who watches.
    pub fn next_watcher(&self) -> u64 {
        self.watchers.fetch_add(1, Relaxed)
    }

    /// The nodes of the ring, in its order, as JSON: this one alone where there is no ring.
    pub fn nodes(&self) -> Vec<u8> {
        let nodes = self.members.as_ref().map(|members| members.picture());
        let mut nodes: Vec<&str> = match &nodes {
            Some(nodes) => nodes.addresses().map(|address| &**address).collect(),
            None => vec![&self.address],
        };
        nodes.sort_unstable();
        let nodes = nodes
            .into_iter()
            .map(|address| (address, self.id_of(address)));
        let mut out = vec![b'['];
        for (i, (address, id)) in nodes.enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"id\":\"");
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(b"\",\"addr\":");
            json::write_text(address, &mut out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]\n");
        out
    }
}
