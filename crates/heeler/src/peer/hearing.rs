//! Asks the other nodes what has changed of that which this node's clients keep copies of.
//!
//! Each other node is asked by a task, from the first client on that tracks until the node leaves
//! the ring. Where a question fails, or the other node has lost count, nobody knows what has
//! happened meanwhile, and the clients are told that everything has changed: at once, and when the
//! node is reached again, because of what they have read in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::keyspace::Keyspace;
use super::told::{self, body, told_in};
use super::tracking::{HEAR, PREFIXES};
use crate::command::number::natural;
use crate::limits;

/// Asks as long as the member lives, once a client tracks.
pub(super) async fn follow(keyspace: Arc<Keyspace>) {
    let tracking = keyspace.tracking.clone();
    let mut is_needed = tracking.is_needed.subscribe();
    if is_needed.wait_for(|is_needed| *is_needed).await.is_err() {
        return;
    }
    let mut changes = keyspace.members.changes();
    let mut asked: BTreeMap<Arc<str>, JoinHandle<()>> = BTreeMap::new();
    loop {
        let nodes = keyspace.members.picture();
        let me = nodes.me().map(|me| nodes.address(me));
        let others: Vec<&Arc<str>> = nodes.addresses().filter(|it| Some(*it) != me).collect();
        let before = asked.len();
        asked.retain(|address, task| {
            let stays = others.contains(&address);
            if !stays {
                task.abort();
                tracking.knows_nothing(address);
            }
            stays
        });
        if asked.len() < before {
            // Requests are routed by this picture already: what is read there still is told of.
            tracking.has_missed();
        }
        for address in others {
            if !asked.contains_key(address) {
                // An earlier task of it may have heard of a last version while it was ended.
                tracking.knows_nothing(address);
                let hearing = Hearing::of(&keyspace, address);
                asked.insert(address.clone(), keyspace.spawn(hearing.run()));
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// What another node is asked for.
struct Hearing {
    keyspace: Arc<Keyspace>,
    address: Arc<str>,
    /// Something may have been missed.
    misses: bool,
    pause: u64,
}

/// Why a session has ended.
struct Ended;

impl Hearing {
    fn of(keyspace: &Arc<Keyspace>, address: &Arc<str>) -> Hearing {
        Hearing {
            keyspace: keyspace.clone(),
            address: address.clone(),
            misses: false,
            pause: limits::FIRST_PAUSE_MS,
        }
    }

    async fn run(mut self) {
        loop {
            let (node, session) = self.keyspace.tracking.session();
            let (node, session) = (node.to_string(), session.to_string());
            let Err(Ended) = self.listen([&node, &session]).await;
            tokio::time::sleep(Duration::from_millis(self.pause)).await;
            self.pause = (self.pause * 2).min(limits::LONGEST_PAUSE_MS);
        }
    }

    /// Passes on what the node tells, until that fails.
    async fn listen(&mut self, session: [&str; 2]) -> Result<std::convert::Infallible, Ended> {
        let tracking = self.keyspace.tracking.clone();
        let mut versions = tracking.version.subscribe();
        versions.borrow_and_update();
        let is_first = self.open(session).await? == 1;
        if self.misses || !is_first {
            tracking.has_missed();
        }
        self.misses = true;
        self.pause = limits::FIRST_PAUSE_MS;
        let ended = loop {
            let mut told = Box::pin(self.ask(HEAR, session, &[]));
            let answer = loop {
                tokio::select! {
                    answer = &mut told => break answer,
                    _ = versions.changed() => {
                        if let Err(ended) = self.open(session).await {
                            break Err(ended);
                        }
                    }
                }
            };
            match answer.map(|answer| told_in(&answer)) {
                Ok(Some(told)) => told.into_iter().for_each(|told| tracking.hears(told)),
                Ok(None) => break Ended,
                Err(ended) => break ended,
            }
        };
        tracing::debug!(peer = %self.address, "what it tells of changes is lost");
        tracking.knows_nothing(&self.address);
        tracking.has_missed();
        Err(ended)
    }

    /// Tells the node what it is to tell of. Returns which account it keeps.
    async fn open(&self, session: [&str; 2]) -> Result<u64, Ended> {
        let (version, prefixes) = self.keyspace.tracking.prefixes();
        let answer = self.ask(PREFIXES, session, &prefixes).await?;
        let words = told::words(&answer).ok_or(Ended)?;
        let count = words.first().and_then(|word| natural(word));
        let count = count.ok_or(Ended)?;
        self.keyspace.tracking.knows(&self.address, version);
        Ok(count)
    }

    async fn ask(
        &self,
        endpoint: &'static str,
        session: [&str; 2],
        more: &[Box<[u8]>],
    ) -> Result<bytes::Bytes, Ended> {
        let words = session.into_iter().map(str::as_bytes);
        let body = body(words.chain(more.iter().map(|word| &**word)));
        let timeout = Duration::from_millis(limits::HEAR_MS + limits::FORWARD_MS);
        let asked = self.keyspace.ask(&self.address, endpoint, body, timeout);
        asked.await.map_err(|_| Ended)
    }
}
