//! CLIENT TRACKING: a client that keeps copies of values is told which keys have changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Exchange, Subscriber};
use crate::command::Reply;
use crate::wire::resp::Protocol;

/// A client that keeps copies, for those who change keys.
#[derive(Debug)]
pub struct Tracker {
    /// Number of its connection.
    pub id: u64,
    /// It is not told of its own changes.
    pub ignores_own: bool,
    inbox: Arc<Subscriber>,
    redirection: Option<Redirection>,
    /// It looks at one database alone.
    database: Option<u32>,
    is_on: AtomicBool,
}

/// Another connection to which the messages go.
#[derive(Debug)]
struct Redirection {
    to: u64,
    exchange: Arc<Exchange>,
    is_broken: AtomicBool,
}

impl Tracker {
    /// A client with its inbox, which may name another connection for the messages.
    pub fn new(
        inbox: Arc<Subscriber>,
        ignores_own: bool,
        redirection: Option<(u64, Arc<Exchange>)>,
    ) -> Tracker {
        Tracker {
            id: inbox.id,
            ignores_own,
            inbox,
            redirection: redirection.map(|(to, exchange)| Redirection {
                to,
                exchange,
                is_broken: AtomicBool::new(false),
            }),
            database: None,
            is_on: AtomicBool::new(true),
        }
    }

    /// The same for one who looks at one database alone.
    #[must_use]
    pub fn of_database(self, database: u32) -> Tracker {
        let database = Some(database);
        Tracker { database, ..self }
    }

    /// The database that it looks at, if it is one alone.
    pub fn looks_at(&self) -> Option<u32> {
        self.database
    }

    /// Whether it is told of the keys of a database.
    pub fn cares_for(&self, database: u32) -> bool {
        self.database.is_none_or(|only| only == database)
    }

    /// It is told nothing any more.
    pub fn stop(&self) {
        self.is_on.store(false, Relaxed);
    }

    /// Whether it is still told of changes.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// The connection to which the messages go, if it is another one.
    pub fn redirected_to(&self) -> Option<u64> {
        self.redirection.as_ref().map(|redirection| redirection.to)
    }

    /// Whether that one listens no more.
    pub fn is_broken(&self) -> bool {
        self.redirection
            .as_ref()
            .is_some_and(|r| r.is_broken.load(Relaxed))
    }

    /// Tells that a key has changed, or all for `None`.
    pub fn invalidate(&self, key: Option<&[u8]>) {
        if !self.is_on() {
            return;
        }
        let keys = key.map_or(Reply::Null, |key| Reply::Array(vec![Reply::bulk(key)]));
        let Some(redirection) = &self.redirection else {
            if self.inbox.protocol() == Protocol::Resp3 {
                self.inbox
                    .put(&Reply::Push(vec![Reply::bulk("invalidate"), keys]));
            }
            return;
        };
        let target = redirection.exchange.find(redirection.to);
        redirection.is_broken.store(target.is_none(), Relaxed);
        match target {
            Some(target) => target.put(&match target.protocol() {
                Protocol::Resp3 => Reply::Push(vec![Reply::bulk("invalidate"), keys]),
                Protocol::Resp2 => Reply::Push(vec![
                    Reply::bulk("message"),
                    Reply::bulk("__redis__:invalidate"),
                    keys,
                ]),
            }),
            None if self.inbox.protocol() == Protocol::Resp3 => {
                let to = Reply::Int(redirection.to as i64);
                self.inbox
                    .put(&Reply::Push(vec![Reply::bulk("tracking-redir-broken"), to]));
            }
            None => {}
        }
    }
}
