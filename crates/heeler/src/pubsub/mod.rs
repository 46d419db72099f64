//! Channels: who listens to what, and how a message reaches them.
//!
//! A message is written into the inbox of each [`Subscriber`] by the one who publishes it, on
//! whichever worker that is; then the subscriber's task is woken, and its connection takes what is
//! in the inbox. While one message is handed out nobody begins or ends a subscription, so that a
//! channel's messages come in the same order to all.

mod monitors;
mod prefixes;
mod readers;
mod relay;
mod slowness;
mod subscriber;
mod tracker;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::command::Reply;
use crate::command::pattern::matches;
pub use monitors::Monitors;
pub use prefixes::Prefixes;
pub use readers::Readers;
pub use relay::{Relay, Told, Unheard, Why};
pub use slowness::Slowness;
use subscriber::Message;
pub use subscriber::{Subscriber, Unread};
pub use tracker::{Actor, Tracker};

type Hashing = foldhash::fast::RandomState;
/// Who listens, by the number of the connection.
type Listeners = BTreeMap<u64, Arc<Subscriber>>;
type Names = HashMap<Box<[u8]>, Listeners, Hashing>;

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A channel: SUBSCRIBE.
    Channel,
    /// All channels whose names match a pattern: PSUBSCRIBE.
    Pattern,
    /// A channel of the shards of a cluster: SSUBSCRIBE.
    ShardChannel,
}

/// All subscriptions of a process.
#[derive(Debug, Default)]
pub struct Exchange {
    subscriptions: RwLock<Subscriptions>,
    /// What each who listens may leave unread.
    most: Unread,
}

#[derive(Debug, Default)]
struct Subscriptions {
    channels: Names,
    patterns: Names,
    shard_channels: Names,
    subscribers: Listeners,
}

impl Subscriptions {
    fn names(&self, topic: Topic) -> &Names {
        match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
            Topic::ShardChannel => &self.shard_channels,
        }
    }

    fn names_mut(&mut self, topic: Topic) -> &mut Names {
        match topic {
            Topic::Channel => &mut self.channels,
            Topic::Pattern => &mut self.patterns,
            Topic::ShardChannel => &mut self.shard_channels,
        }
    }
}

impl Exchange {
    /// Begins a subscription; whether there was none yet.
    pub fn subscribe(&self, topic: Topic, name: &[u8], subscriber: &Arc<Subscriber>) -> bool {
        let mut all = self.subscriptions.write();
        let listeners = all.names_mut(topic).entry(name.into()).or_default();
        let is_new = listeners
            .insert(subscriber.id, subscriber.clone())
            .is_none();
        if is_new {
            subscriber.count(topic, 1);
            all.subscribers.insert(subscriber.id, subscriber.clone());
        }
        is_new
    }

    /// Ends a subscription; whether there was one.
    pub fn unsubscribe(&self, topic: Topic, name: &[u8], subscriber: &Subscriber) -> bool {
        let mut all = self.subscriptions.write();
        let names = all.names_mut(topic);
        let Some(listeners) = names.get_mut(name) else {
            return false;
        };
        let was_there = listeners.remove(&subscriber.id).is_some();
        if listeners.is_empty() {
            names.remove(name);
        }
        if was_there {
            subscriber.count(topic, -1);
            if subscriber.counts() == [0; 3] {
                all.subscribers.remove(&subscriber.id);
            }
        }
        was_there
    }

    /// Hands a message to all who listen to a channel, and to patterns that match its name; how
    /// many they are.
    pub fn publish(&self, channel: &[u8], payload: &[u8]) -> usize {
        let all = self.subscriptions.read();
        let mut receivers = 0;
        if let Some(listeners) = all.channels.get(channel) {
            receivers += tell(listeners, &[b"message", channel, payload]);
        }
        for (pattern, listeners) in &all.patterns {
            if matches(pattern, channel, false) {
                receivers += tell(listeners, &[b"pmessage", pattern, channel, payload]);
            }
        }
        receivers
    }

    /// The same for a channel of the shards of a cluster, which no pattern matches.
    pub fn publish_to_shard(&self, channel: &[u8], payload: &[u8]) -> usize {
        let all = self.subscriptions.read();
        let listeners = all.shard_channels.get(channel);
        listeners.map_or(0, |listeners| {
            tell(listeners, &[b"smessage", channel, payload])
        })
    }

    /// The names that somebody listens to; those alone that match a pattern, if one is given.
    pub fn names(&self, topic: Topic, pattern: Option<&[u8]>) -> Vec<Reply> {
        let all = self.subscriptions.read();
        let names = all.names(topic).keys();
        names
            .filter(|name| pattern.is_none_or(|pattern| matches(pattern, name, false)))
            .map(Reply::bulk)
            .collect()
    }

    /// How many names somebody listens to.
    pub fn count(&self, topic: Topic) -> usize {
        self.subscriptions.read().names(topic).len()
    }

    /// How many listen to a name.
    pub fn listeners(&self, topic: Topic, name: &[u8]) -> usize {
        self.subscriptions
            .read()
            .names(topic)
            .get(name)
            .map_or(0, Listeners::len)
    }

    /// What each who listens may leave unread.
    pub fn most_unread(&self) -> &Unread {
        &self.most
    }

    /// Gives up those who have left more than so many bytes unread for so many milliseconds.
    pub fn close_slow(&self, now: u64, most: usize, millis: u64) {
        for subscriber in self.subscriptions.read().subscribers.values() {
            subscriber.give_up_if_slow(now, most, millis);
        }
    }

    /// A connection that listens to something.
    pub fn find(&self, id: u64) -> Option<Arc<Subscriber>> {
        self.subscriptions.read().subscribers.get(&id).cloned()
    }

    /// How many channels, patterns and shard channels a connection listens to, and how many bytes
    /// of messages it has not taken.
    pub fn state_of(&self, id: u64) -> ([usize; 3], usize) {
        let all = self.subscriptions.read();
        let subscriber = all.subscribers.get(&id);
        subscriber.map_or(([0; 3], 0), |s| (s.counts(), s.untaken()))
    }

    /// How many channels, patterns and shard channels a connection listens to.
    pub fn counts(&self, id: u64) -> [usize; 3] {
        let all = self.subscriptions.read();
        all.subscribers.get(&id).map_or([0; 3], |s| s.counts())
    }
}

fn tell(listeners: &Listeners, words: &[&[u8]]) -> usize {
    let mut message = Message::new(words);
    listeners
        .values()
        .for_each(|subscriber| subscriber.tell(&mut message));
    listeners.len()
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::wire::resp::Protocol;

    fn subscriber(id: u64) -> Arc<Subscriber> {
        Arc::new(Subscriber::new(id, Protocol::Resp2, Waker::noop().clone()))
    }

    #[test]
    fn a_message_comes_to_those_who_listen() {
        let (exchange, one, two) = (Exchange::default(), subscriber(1), subscriber(2));
        assert!(exchange.subscribe(Topic::Channel, b"a", &one));
        assert!(!exchange.subscribe(Topic::Channel, b"a", &one));
        assert!(exchange.subscribe(Topic::Pattern, b"*", &two));
        assert!(exchange.subscribe(Topic::ShardChannel, b"a", &two));
        assert_eq!(exchange.publish(b"a", b"x"), 2);
        assert_eq!(exchange.publish(b"b", b"x"), 1);
        assert_eq!(exchange.publish_to_shard(b"a", b"x"), 1);
        assert_eq!(exchange.counts(2), [0, 1, 1]);
        let mut out = Vec::new();
        one.take(&mut out);
        assert_eq!(out, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
        assert!(exchange.unsubscribe(Topic::Channel, b"a", &one));
        assert!(!exchange.unsubscribe(Topic::Channel, b"a", &one));
        assert_eq!(exchange.publish(b"a", b"x"), 1);
        assert_eq!(exchange.count(Topic::Channel), 0);
        assert_eq!(exchange.counts(1), [0; 3]);
    }

    #[test]
    fn who_does_not_read_is_given_up() {
        let (exchange, slow) = (Exchange::default(), subscriber(1));
        exchange.subscribe(Topic::Channel, b"a", &slow);
        let payload = vec![b'x'; 1024 * 1024];
        for _ in 0..40 {
            exchange.publish(b"a", &payload);
        }
        assert!(slow.is_overrun());
        let mut out = Vec::new();
        slow.take(&mut out);
        assert!(out.is_empty());
    }
}
