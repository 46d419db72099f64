//! The endpoint `wait` of the service `heeler`: commands of other nodes' clients that wait for an
//! element, such as BLPOP. Each is a call of its own, which is cancelled when the client goes away
//! or is unblocked. An element that was taken for it in that very moment is gone with it, as when
//! a client of Redis goes away with a reply under way.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use heeler_ringpop::channel::{Answer, Call};

use super::commands::{agreed, count};
use super::keyspace::{DISAGREE, Denied, Keyspace, command, encoded, error, moved, respond};
use super::pulse::in_time;
use super::tracking::reader;
use crate::admission::kept;
use crate::clock;
use crate::command::{Command, Reply};
use crate::limits;
use crate::route::{Destination, Route};
use crate::store::Store;
use crate::waiting::{Attempt, Waiter};
use crate::wire::resp::{Asker, Decoder};

const ENDPOINT: &str = "wait";

/// Answers the other nodes.
pub(super) fn serve(keyspace: &Arc<Keyspace>) {
    keyspace.answer_with(ENDPOINT, answer);
}

async fn answer(keyspace: Arc<Keyspace>, call: Call) -> Answer {
    agreed(keyspace.members.terms(), &call)?;
    in_time(&keyspace)?;
    // The task that the store has to wake is the one in which this goes on.
    tokio::task::yield_now().await;
    let request = &call.request.arg3;
    let (asker, asked) = Asker::split(request);
    let mut decoder = Decoder::default();
    let reply = match command(&mut decoder, asked) {
        Ok(command) => keyspace.wait_here(&command, asker).await,
        Err(refused) => Some(refused),
    };
    Ok(respond(reply.as_ref(), request))
}

impl Keyspace {
    /// Executes a command that may wait, wherever its keys are. Before it may stand
    /// [who asks](Asker). The reply is in RESP2.
    pub async fn wait(self: Arc<Self>, request: Bytes) -> Vec<u8> {
        let mut pauses = limits::MOVED_PAUSES_MS.into_iter();
        loop {
            let (asker, asked) = Asker::split(&request);
            let mut decoder = Decoder::default();
            let command = match command(&mut decoder, asked) {
                Ok(command) => command,
                Err(refused) => return encoded(&refused),
            };
            let nodes = self.members.picture();
            let reply = match nodes.route(&command, 0) {
                Route::To(Destination::Store) => {
                    let reply = self.wait_here(&command, asker).await;
                    reply.map(|reply| encoded(&reply))
                }
                Route::To(Destination::Server(node)) => {
                    let (address, life) = (nodes.address(node), limits::WAITING_CALL);
                    let asked = self.ask(address, ENDPOINT, request.clone(), life).await;
                    let reply = asked.unwrap_or_else(|error| error);
                    moved(&reply).is_none().then(|| reply.to_vec())
                }
                Route::Refused(reply) => Some(encoded(&reply)),
                Route::Here | Route::Parts(..) => Some(error("ERR the command does not wait")),
            };
            if let Some(reply) = reply {
                return reply;
            }
            let Some(pause) = pauses.next() else {
                return error(DISAGREE);
            };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// The same on this node's own share. `None`: its keys are not this node's, or no longer.
    async fn wait_here(&self, command: &Command<'_>, asker: Option<Asker>) -> Option<Reply> {
        let mut changes = self.members.changes();
        let (permit, now) = match self.permit(command, clock::now()).await {
            Err(Denied::Moved) => return None,
            Err(Denied::Refused(reply)) => return Some(reply),
            Ok(permitted) => permitted,
        };
        let tracker = asker.and_then(|asker| Some((asker, self.tracking.tracker(asker)?)));
        let begun = std::future::poll_fn(|cx| {
            let reader = tracker.as_ref().map(|(asker, it)| reader(*asker, it));
            let asked = (command, reader);
            Poll::Ready(self.store.execute_or_wait(0, now, asked, cx.waker()))
        });
        let begun = begun.await;
        drop(permit);
        let reply = match begun {
            Ok(reply) => reply,
            Err(waiter) => {
                let place = InQueue(&self.store, &waiter);
                loop {
                    tokio::select! {
                        reply = served(&waiter) => break reply,
                        _ = changes.changed() => {}
                    }
                    if self.members.nodes().owns(command) {
                        continue;
                    }
                    // What has been taken for it meanwhile is its own.
                    match waiter.unblock(None) {
                        Attempt::Gone => break served(&waiter).await,
                        Attempt::Served | Attempt::Waits => {
                            drop(place);
                            return None;
                        }
                    }
                }
            }
        };
        count(self, command, &reply);
        let pending = self.keeper.written(now, command, &reply);
        Some(kept(reply, pending).await)
    }
}

/// The reply to a command that waits, at its time at the latest.
async fn served(waiter: &Waiter) -> Reply {
    let left = |until: u64| Duration::from_millis(until.saturating_sub(clock::now()).max(1));
    let mut alarm = pin!(waiter.until.map(|until| tokio::time::sleep(left(until))));
    std::future::poll_fn(|cx| {
        loop {
            if let Some(reply) = waiter.take(clock::now()) {
                return Poll::Ready(reply);
            }
            match alarm.as_mut().as_pin_mut() {
                None => return Poll::Pending,
                Some(sleep) => {
                    ready!(sleep.poll(cx));
                    let until = waiter.until.unwrap_or_default();
                    alarm.set(Some(tokio::time::sleep(left(until))));
                }
            }
        }
    })
    .await
}

/// A place in the queues of keys.
struct InQueue<'a>(&'a Store, &'a Waiter);

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.0.stop_waiting(self.1);
    }
}
