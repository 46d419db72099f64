//! The endpoint `wait` of the service `heeler`: commands of other nodes' clients that wait for an
//! element, such as BLPOP. Each is a call of its own, which is cancelled when the client goes away
//! or is unblocked. An element that was taken for it in that very moment is gone with it, as when
//! a client of Redis goes away with a reply under way.
//!
//! When the keys get another owner, whoever waits for them is [sent away](Waiter::send_away) under
//! the lock under which he would be served: either he has his element, or the next owner is asked.
//! That is done for clients of the owner itself, too, who wait at their own door until then.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use heeler_ringpop::channel::{Answer, Call};

use super::commands::{agreed, count};
use super::keyspace::{
    DISAGREE, Denied, Keyspace, command, encoded, error, moved, respond, unreachable_node,
};
use super::pulse::in_time;
use super::tracking::reader;
use crate::admission::kept;
use crate::clock;
use crate::command::{Command, Reply};
use crate::limits;
use crate::route::{Destination, Route};
use crate::store::{Store, gives_up_at, timeout_at};
use crate::waiting::Waiter;
use crate::wire::resp::{Asker, Decoder, encode_command};

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
        Ok(command) => {
            let reply = keyspace.wait_here(&command, asker).await;
            reply.inspect(|reply| count(&keyspace, &command, reply))
        }
        Err(refused) => Some(refused),
    };
    Ok(respond(reply.as_ref(), request))
}

impl Keyspace {
    /// Executes a command that may wait until a time in milliseconds since 1970 (`None`: for ever),
    /// wherever its keys are, and goes on wherever they go. Before it may stand
    /// [who asks](Asker). The reply is in RESP2.
    pub async fn wait(self: Arc<Self>, request: Bytes, until: Option<u64>) -> Vec<u8> {
        let mut patience = Patience::default();
        loop {
            let began = Instant::now();
            let left = with_time_left(&request, until, clock::now());
            let failed = match self.begin_to_wait(left, until).await {
                Ok(reply) => return reply,
                Err(failed) => failed,
            };
            let Some(pause) = patience.pause(began, Instant::now()) else {
                return failed;
            };
            let now = clock::now();
            let pause = until.map_or(pause, |until| pause.min(until.saturating_sub(now)));
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if until.is_some_and(|until| until <= clock::now()) {
                return match failed == error(DISAGREE) {
                    true => encoded(&Reply::NullArray),
                    false => failed,
                };
            }
        }
    }

    /// Waits at the owner of its keys.
    ///
    /// # Errors
    /// It cannot, or not any more: the error to tell if that remains so.
    async fn begin_to_wait(&self, request: Bytes, until: Option<u64>) -> Result<Vec<u8>, Vec<u8>> {
        let (asker, asked) = Asker::split(&request);
        let mut decoder = Decoder::default();
        let command = match command(&mut decoder, asked) {
            Ok(command) => command,
            Err(refused) => return Ok(encoded(&refused)),
        };
        let nodes = self.members.picture();
        let reply = match nodes.route(&command, 0) {
            Route::To(Destination::Store) => match self.wait_here(&command, asker).await {
                Some(reply) => encoded(&reply),
                None => return Err(error(DISAGREE)),
            },
            Route::To(Destination::Server(node)) => {
                let address = nodes.address(node);
                let asked = self.wait_there(address, request.clone(), until).await?;
                match moved(&asked) {
                    Some(_) => return Err(error(DISAGREE)),
                    None => asked.to_vec(),
                }
            }
            Route::Refused(reply) => encoded(&reply),
            Route::Here | Route::Parts(..) => error("ERR the command does not wait"),
        };
        // What a node has taken for it that cannot say so any more is gone with that node.
        match reply.starts_with(b"-CLUSTERDOWN ") {
            true => Err(reply),
            false => Ok(reply),
        }
    }

    /// The same at another node, as long as that is there.
    async fn wait_there(
        &self,
        address: &str,
        request: Bytes,
        until: Option<u64>,
    ) -> Result<Bytes, Vec<u8>> {
        let life = until.map_or(limits::WAITING_CALL, |until| {
            let left = until.saturating_sub(clock::now());
            Duration::from_millis(left.saturating_add(limits::FORWARD_MS)).min(limits::WAITING_CALL)
        });
        tokio::select! {
            asked = self.ask(address, ENDPOINT, request, life) => asked.map_err(Vec::from),
            () = self.is_gone(address) => Err(unreachable_node(address, "it has left the ring")),
        }
    }

    /// Until a node is no member any more, and has had the time to say that its keys have moved.
    async fn is_gone(&self, address: &str) {
        let mut changes = self.members.changes();
        let is_member = || self.members.nodes().addresses().any(|it| **it == *address);
        loop {
            if !is_member() {
                tokio::time::sleep(Duration::from_millis(limits::FORWARD_MS)).await;
                if !is_member() {
                    return;
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The same on this node's own share. `None`: its keys are not this node's, or no longer.
    async fn wait_here(&self, command: &Command<'_>, asker: Option<Asker>) -> Option<Reply> {
        let begun = clock::now();
        let life = gives_up_at(command, begun).map_or(limits::WAITING_CALL, |until| {
            Duration::from_millis(until.saturating_sub(begun))
        });
        let permitted = tokio::time::timeout(life, self.permit(command, begun)).await;
        let (permit, now) = match permitted.unwrap_or(Err(Denied::Refused(Reply::NullArray))) {
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
                let _place = InQueue(&self.store, &waiter);
                served(&waiter).await?
            }
        };
        let pending = self.keeper.written(now, command, &reply);
        Some(kept(reply, pending).await)
    }
}

/// How long a command goes on asking where it can wait.
#[derive(Debug, Default)]
struct Patience {
    /// Attempts in a row that have failed, and since when they do.
    failed: usize,
    since: Option<Instant>,
}

impl Patience {
    /// An attempt has failed: the pause before the next, in milliseconds, if there is to be one.
    /// An attempt that has lasted long had found where to wait.
    fn pause(&mut self, began: Instant, now: Instant) -> Option<u64> {
        if now.duration_since(began) > limits::WAIT_ANEW {
            *self = Patience::default();
        }
        let since = *self.since.get_or_insert(now);
        let pauses = limits::MOVED_PAUSES_MS;
        let pause = pauses[self.failed.min(pauses.len() - 1)];
        self.failed += 1;
        (now.duration_since(since) < limits::WAIT_ANEW).then_some(pause)
    }
}

/// A request with the time that is left until then in the place of its timeout.
fn with_time_left(request: &Bytes, until: Option<u64>, now: u64) -> Bytes {
    let (asker, asked) = Asker::split(request);
    let mut decoder = Decoder::default();
    let (Some(until), Ok(command)) = (until, command(&mut decoder, asked)) else {
        return request.clone();
    };
    // Zero would be for ever.
    let left = until.saturating_sub(now).max(1);
    let left = format!("{}.{:03}", left / 1000, left % 1000);
    let mut words: Vec<&[u8]> = command.args(0).collect();
    words[timeout_at(&command)] = left.as_bytes();
    let mut out = Vec::with_capacity(asked.len() + left.len());
    encode_command(words.into_iter(), &mut out);
    Bytes::from(asker.map_or_else(|| out.clone(), |asker| asker.before(&out)))
}

/// The reply to a command that waits, at its time at the latest. `None`: it is to wait elsewhere.
async fn served(waiter: &Waiter) -> Option<Reply> {
    let left = |until: u64| Duration::from_millis(until.saturating_sub(clock::now()).max(1));
    let mut alarm = pin!(waiter.until.map(|until| tokio::time::sleep(left(until))));
    std::future::poll_fn(|cx| {
        loop {
            if let Some(reply) = waiter.take(clock::now()) {
                return Poll::Ready(Some(reply));
            }
            if waiter.goes_elsewhere() {
                return Poll::Ready(None);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_waiting_has_the_time_that_is_left() {
        let asker = Asker {
            node: 1,
            client: 2,
            read: 3,
        };
        for (command, until, expected) in [
            ("BLPOP k 5", Some(6_234), "BLPOP k 5.234"),
            ("BLPOP k 5", Some(1_000), "BLPOP k 0.001"),
            ("BLPOP k 5", Some(10), "BLPOP k 0.001"),
            ("BLPOP k 0", None, "BLPOP k 0"),
            ("BLMPOP 2 1 k LEFT", Some(1_750), "BLMPOP 0.750 1 k LEFT"),
            ("BZMPOP 2 1 k MIN", Some(1_750), "BZMPOP 0.750 1 k MIN"),
            (
                "BLMOVE a b LEFT LEFT 9",
                Some(2_000),
                "BLMOVE a b LEFT LEFT 1.000",
            ),
            ("BRPOPLPUSH a b 9", Some(2_000), "BRPOPLPUSH a b 1.000"),
            ("BZPOPMAX a b 9", Some(2_000), "BZPOPMAX a b 1.000"),
        ] {
            let encoded = |line: &str| {
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                let mut out = Vec::new();
                encode_command(words.into_iter(), &mut out);
                out
            };
            let (request, expected) = (encoded(command), encoded(expected));
            let left = |request: Vec<u8>| with_time_left(&Bytes::from(request), until, 1_000);
            assert_eq!(left(request.clone()), expected, "{command}");
            let asked = left(asker.before(&request));
            assert_eq!(asked, asker.before(&expected), "{command}");
        }
    }

    #[test]
    fn patience_ends_unless_something_was_found_meanwhile() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let most = limits::MOVED_PAUSES_MS[limits::MOVED_PAUSES_MS.len() - 1];
        assert_eq!(
            patience.pause(start, start),
            Some(limits::MOVED_PAUSES_MS[0])
        );
        assert_eq!(
            patience.pause(start, after(1)),
            Some(limits::MOVED_PAUSES_MS[1])
        );
        for _ in 0..20 {
            patience.pause(after(1), after(2));
        }
        assert_eq!(patience.pause(after(2), after(29)), Some(most));
        assert_eq!(patience.pause(after(29), after(30)), None);
        // It has waited for a minute.
        assert_eq!(
            patience.pause(after(30), after(90)),
            Some(limits::MOVED_PAUSES_MS[0])
        );
    }
}
