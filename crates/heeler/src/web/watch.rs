//! `GET /v1/watch`: changes of keys as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! Whoever changes a key of this node tells the watcher's inbox. What the watcher then hears is the
//! state of the key at that moment: changes that follow each other fast may come as one, and the
//! last always comes.

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};
use hyper::Response;
use indexmap::IndexSet;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Interval, MissedTickBehavior};

use super::answer::{Asking, Body, Outcome, Talk};
use super::connection::Guest;
use super::document::{Document, Envelope, Said, bulk};
use super::path::parameter;
use super::refusal::Refusal;
use crate::command::Id;
use crate::pubsub::{Subscriber, Tracker};
use crate::store::Store;
use crate::wire::resp::{Protocol, Scanner};
use crate::{clock, json, limits};

impl Guest {
    /// Tells of changes until the client goes.
    pub async fn watch(self: &Rc<Self>, asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        talk.prove().await?;
        let prefix = parameter(asking.query, "prefix")?.unwrap_or_default();
        let shows_values = match parameter(asking.query, "values")?.as_deref() {
            None | Some(b"" | b"false") => false,
            Some(b"true") => true,
            Some(_) => {
                let text = "values is true or false";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
            }
        };
        let (sender, pieces) = mpsc::channel(limits::PIECES);
        let mut first =
            format!("retry: {}\n: watching\n\n", limits::HEARTBEAT_MS / 15).into_bytes();
        if asking.headers.contains_key("last-event-id") {
            let told = "changes since that event may have been missed: read the keys anew";
            event(self.site.next_event(), "reset", &note(told), &mut first);
        }
        let watch = Watch::begin(self, talk.fork(self), &prefix, shows_values, sender);
        tokio::task::spawn_local(watch.run(first));
        let mut answer = Response::new(Body::Pieces(pieces));
        let headers = answer.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(answer)
    }
}

/// Wakes who waits for changes.
#[derive(Default)]
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// One who watches.
struct Watch {
    guest: Rc<Guest>,
    talk: Talk<'static>,
    store: Arc<Store>,
    bell: Arc<Bell>,
    inbox: Arc<Subscriber>,
    tracker: Arc<Tracker>,
    shows_values: bool,
    sender: mpsc::Sender<Bytes>,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Change<'a> {
    Key(&'a [u8]),
    All,
}

impl Watch {
    fn begin(
        guest: &Rc<Guest>,
        talk: Talk<'static>,
        prefix: &[u8],
        shows_values: bool,
        sender: mpsc::Sender<Bytes>,
    ) -> Watch {
        let (bell, id) = (Arc::new(Bell::default()), guest.site.next_watcher());
        let waker = Waker::from(bell.clone());
        let inbox = Arc::new(Subscriber::new(id, Protocol::Resp3, waker));
        let tracker = Arc::new(Tracker::watcher(inbox.clone()));
        let store = guest.site.store.clone();
        store.track(&tracker, &[prefix.into()]);
        Watch {
            guest: guest.clone(),
            talk,
            store,
            bell,
            inbox,
            tracker,
            shows_values,
            sender,
        }
    }

    async fn run(mut self, first: Vec<u8>) {
        let mut heartbeat = tokio::time::interval(Duration::from_millis(limits::HEARTBEAT_MS));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        let mut piece = first;
        loop {
            if !piece.is_empty() && !self.send(std::mem::take(&mut piece)).await {
                return;
            }
            if self.inbox.is_overrun() {
                let told = "too many changes were not taken in time: read the keys anew";
                event(
                    self.guest.site.next_event(),
                    "overrun",
                    &note(told),
                    &mut piece,
                );
                self.send(piece).await;
                return;
            }
            let mut messages = Vec::new();
            self.inbox.take(&mut messages);
            match messages.is_empty() {
                true if !self.wait(&mut heartbeat, &mut piece).await => return,
                true => {}
                false => {
                    if !self.tell(&messages).await {
                        return;
                    }
                }
            }
        }
    }

    async fn send(&self, piece: Vec<u8>) -> bool {
        tokio::select! {
            biased;
            () = self.end() => false,
            sent = self.sender.send(piece.into()) => sent.is_ok(),
        }
    }

    /// Waits for a change, or until a sign of life is due. Whether to go on.
    async fn wait(&self, heartbeat: &mut Interval, piece: &mut Vec<u8>) -> bool {
        tokio::select! {
            biased;
            () = self.end() => return false,
            () = self.sender.closed() => return false,
            () = self.bell.0.notified() => {}
            _ = heartbeat.tick() => piece.extend_from_slice(b": alive\n\n"),
        }
        true
    }

    /// Waits until the connection shall end.
    async fn end(&self) {
        // Before the look: what is told in between is heard.
        let ending = self.guest.ending.notified();
        if !self.guest.client.is_stopped() {
            ending.await;
        }
    }

    /// Tells of what messages are about. Whether to go on.
    async fn tell(&mut self, messages: &[u8]) -> bool {
        let mut piece = Vec::new();
        for change in changes(messages) {
            let number = self.guest.site.next_event();
            match change {
                Change::All => event(number, "flush", b"{\"action\":\"flush\"}", &mut piece),
                Change::Key(key) => self.tell_of(number, key, &mut piece).await,
            }
            if piece.len() >= limits::READ_BYTES && !self.send(std::mem::take(&mut piece)).await {
                return false;
            }
        }
        piece.is_empty() || self.send(piece).await
    }

    async fn tell_of(&mut self, number: u64, key: &[u8], piece: &mut Vec<u8>) {
        let words = [b"document.load", key, b"json"];
        let reply = self.talk.ask(Id::DocumentLoad, &words).await;
        let mut data = b"{\"key\":".to_vec();
        json::write_bytes(key, &mut data);
        data.push(b',');
        let name = match Said::read(reply) {
            Said::Document(document) => {
                let shown = document.data.filter(|_| self.shows_values);
                self.guest
                    .envelope("store", &document, key, shown, &mut data);
                "store"
            }
            Said::Error(error) => {
                data.extend_from_slice(b"\"action\":\"store\",\"text\":");
                json::write_text(error, &mut data);
                "store"
            }
            _ => {
                data.extend_from_slice(b"\"action\":\"delete\"");
                "delete"
            }
        };
        data.push(b'}');
        event(number, name, &data, piece);
    }
}

impl Guest {
    fn envelope(
        &self,
        action: &'static str,
        document: &Document<'_>,
        key: &[u8],
        data: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) {
        let envelope = Envelope {
            action,
            document,
            life: None,
            accessed: 0,
            now: clock::moment().now,
            data,
            node: self.site.owner_of(key),
        };
        envelope.write_members(out);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.store.stop_tracking(&self.tracker);
    }
}

/// What messages of [`Tracker`] are about, each thing once.
fn changes(messages: &[u8]) -> IndexSet<Change<'_>> {
    const HEAD: &[u8] = b">2\r\n$10\r\ninvalidate\r\n";
    let mut all = IndexSet::new();
    let mut rest = messages;
    while let Ok(Some(length)) = Scanner::default().scan(rest) {
        let (message, after) = rest.split_at(length);
        rest = after;
        let Some(what) = message.strip_prefix(HEAD) else {
            continue;
        };
        match what.strip_prefix(b"*1\r\n").and_then(bulk) {
            Some(key) => all.insert(Change::Key(key)),
            None => all.insert(Change::All),
        };
    }
    all
}

/// `{"text":"..."}`
fn note(text: &str) -> Vec<u8> {
    let mut out = b"{\"text\":".to_vec();
    json::write_text(text, &mut out);
    out.push(b'}');
    out
}

/// Appends an event. `data` is JSON, which has no line breaks.
fn event(number: u64, name: &str, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"id: ");
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\nevent: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_changed_is_told_once() {
        let message = |key: &str| {
            let length = key.len();
            format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${length}\r\n{key}\r\n")
        };
        let flush = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
        let all = [&message("a"), flush, &message("b\n"), &message("a"), flush].concat();
        let found: Vec<Change<'_>> = changes(all.as_bytes()).into_iter().collect();
        assert_eq!(found, [Change::Key(b"a"), Change::All, Change::Key(b"b\n")]);
        assert!(changes(b"").is_empty());
    }

    #[test]
    fn events_are_lines_with_a_blank_one_after_them() {
        let mut out = Vec::new();
        event(7, "store", &note("a\nb"), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "id: 7\nevent: store\ndata: {\"text\":\"a\\nb\"}\n\n");
    }
}
