//! CLIENT TRACKING: a client that keeps copies of values is told which keys have changed.
//!
//! Not only clients are told. One who watches over HTTP is, of what happens at this node; and
//! another node of the ring is, whose clients have read keys here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::RwLock;

use super::relay::{Relay, Told, Unheard, Why};
use super::{Exchange, Subscriber};
use crate::command::Reply;
use crate::wire::resp::Protocol;

/// One that keeps copies, for those who change keys.
#[derive(Debug)]
pub struct Tracker {
    /// Number of its connection, or of the node that it is.
    pub id: u64,
    ignores_own: AtomicBool,
    role: Role,
    is_on: AtomicBool,
}

/// Who it is.
#[derive(Debug)]
enum Role {
    /// A client of this node.
    Client(Arc<Subscriber>, RwLock<Option<Redirection>>),
    /// One who watches what happens at this node.
    Watcher(Arc<Subscriber>),
    /// Another node of the ring.
    Node(Relay),
}

/// Another connection to which the messages go.
#[derive(Debug)]
struct Redirection {
    to: u64,
    exchange: Arc<Exchange>,
    is_broken: AtomicBool,
}

/// Who makes a change: a client, which may be that of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The [`Tracker`] that it is, or that is its node.
    pub tracker: u64,
    /// Its number at its node.
    pub client: u64,
}

impl Tracker {
    /// A client with its inbox, which may name another connection for the messages.
    pub fn new(
        inbox: Arc<Subscriber>,
        ignores_own: bool,
        redirection: Option<(u64, Arc<Exchange>)>,
    ) -> Tracker {
        let tracker = Tracker::of(inbox.id, Role::Client(inbox, RwLock::default()));
        tracker.set(ignores_own, redirection);
        tracker
    }

    /// A client wants to be told otherwise from now on, also of what it has read before.
    pub fn set(&self, ignores_own: bool, redirection: Option<(u64, Arc<Exchange>)>) {
        self.ignores_own.store(ignores_own, Relaxed);
        if let Role::Client(_, before) = &self.role {
            *before.write() = redirection.map(|(to, exchange)| Redirection {
                to,
                exchange,
                is_broken: AtomicBool::new(false),
            });
        }
    }

    /// One who watches what happens at this node, with its inbox.
    pub fn watcher(inbox: Arc<Subscriber>) -> Tracker {
        Tracker::of(inbox.id, Role::Watcher(inbox))
    }

    /// Another node of the ring, by its number; what it has not heard yet is bounded together with
    /// that of the others.
    pub fn node(id: u64, unheard: &Arc<Unheard>) -> Tracker {
        Tracker::of(id, Role::Node(Relay::new(unheard.clone())))
    }

    fn of(id: u64, role: Role) -> Tracker {
        Tracker {
            id,
            ignores_own: AtomicBool::new(false),
            role,
            is_on: AtomicBool::new(true),
        }
    }

    /// Whether it is told of the keys of a database: one who watches is of those of database 0.
    pub fn cares_for(&self, database: u32) -> bool {
        database == 0 || !matches!(self.role, Role::Watcher(_))
    }

    /// It is told nothing any more.
    pub fn stop(&self) {
        self.is_on.store(false, Relaxed);
        if let Role::Node(relay) = &self.role {
            relay.close();
        }
    }

    /// Whether it is still told of changes.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// Whether it is a client of this node.
    pub fn is_client(&self) -> bool {
        matches!(self.role, Role::Client(..))
    }

    /// Whether it hears of what happens to copies that this node keeps for others: clients and
    /// nodes are told by the node that owns the key.
    pub fn hears_of_copies(&self) -> bool {
        matches!(self.role, Role::Watcher(_))
    }

    /// What is to be told to the node that it is.
    pub fn relay(&self) -> Option<&Relay> {
        match &self.role {
            Role::Node(relay) => Some(relay),
            Role::Client(..) | Role::Watcher(_) => None,
        }
    }

    /// The connection to which the messages go, if it is another one.
    pub fn redirected_to(&self) -> Option<u64> {
        self.of_redirection(|redirection| redirection.to)
    }

    /// Whether that one listens no more.
    pub fn is_broken(&self) -> bool {
        self.of_redirection(|it| it.is_broken.load(Relaxed))
            .unwrap_or(false)
    }

    /// Whether it is not told of its own changes.
    pub fn ignores_own(&self) -> bool {
        self.ignores_own.load(Relaxed)
    }

    fn of_redirection<T>(&self, tell: impl FnOnce(&Redirection) -> T) -> Option<T> {
        match &self.role {
            Role::Client(_, redirection) => redirection.read().as_ref().map(tell),
            Role::Watcher(_) | Role::Node(_) => None,
        }
    }

    /// Tells that a key has changed, unless it has changed that itself and wants not to hear of it.
    pub fn changed(&self, key: &[u8], why: Why, actor: Option<Actor>) {
        let own = actor.filter(|actor| actor.tracker == self.id);
        match &self.role {
            Role::Node(relay) => relay.put(Told::Key {
                key: key.into(),
                why,
                by: own.map_or(0, |actor| actor.client),
            }),
            _ if own.is_some() && self.ignores_own() => {}
            Role::Client(..) | Role::Watcher(_) => self.invalidate(Some(key)),
        }
    }

    /// Tells that a key has changed, or all for `None`.
    pub fn invalidate(&self, key: Option<&[u8]>) {
        if !self.is_on() {
            return;
        }
        match &self.role {
            Role::Client(inbox, redirection) => match &*redirection.read() {
                Some(redirection) => redirection.invalidate(inbox, key),
                None => invalidate(inbox, key),
            },
            Role::Watcher(inbox) => invalidate(inbox, key),
            Role::Node(relay) => relay.put(match key {
                None => Told::All,
                Some(key) => Told::Key {
                    key: key.into(),
                    why: Why::Prefix,
                    by: 0,
                },
            }),
        }
    }
}

fn invalidate(inbox: &Subscriber, key: Option<&[u8]>) {
    if inbox.protocol() == Protocol::Resp3 {
        inbox.put(&Reply::Push(vec![Reply::bulk("invalidate"), keys(key)]));
    }
}

impl Redirection {
    fn invalidate(&self, own: &Subscriber, key: Option<&[u8]>) {
        let target = self.exchange.find(self.to);
        self.is_broken.store(target.is_none(), Relaxed);
        match target {
            Some(target) => target.put(&match target.protocol() {
                Protocol::Resp3 => Reply::Push(vec![Reply::bulk("invalidate"), keys(key)]),
                Protocol::Resp2 => Reply::Push(vec![
                    Reply::bulk("message"),
                    Reply::bulk("__redis__:invalidate"),
                    keys(key),
                ]),
            }),
            None if own.protocol() == Protocol::Resp3 => {
                let to = Reply::Int(self.to as i64);
                own.put(&Reply::Push(vec![Reply::bulk("tracking-redir-broken"), to]));
            }
            None => {}
        }
    }
}

fn keys(key: Option<&[u8]>) -> Reply {
    key.map_or(Reply::Null, |key| Reply::Array(vec![Reply::bulk(key)]))
}
