//! Channels: SUBSCRIBE, PUBLISH and their kin.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Caller, Door};
use crate::command::{Command, Id, Reply};
use crate::limits;
use crate::pubsub::{Exchange, Subscriber, Topic};

/// What a connection listens to.
#[derive(Debug)]
pub(super) struct Listening {
    subscriber: Arc<Subscriber>,
    names: BTreeSet<(Topic, Box<[u8]>)>,
}

impl Caller {
    /// Moves messages to what is to be written, if not much waits there.
    pub fn take_messages(&mut self) {
        if self.session.pipeline.out().len() < limits::CLIENT_OUTPUT_BYTES {
            self.take_all_messages();
        }
    }

    /// The same, however much waits.
    pub(super) fn take_all_messages(&mut self) {
        let Some(listening) = &self.listening else {
            return;
        };
        let pipeline = &mut self.session.pipeline;
        if self.copies.is_none() {
            pipeline.push(|out| listening.subscriber.take(out));
        } else if !self.reads_elsewhere {
            // What is told of a key comes after what was read of it before.
            pipeline.push_behind(|out| listening.subscriber.take(out));
        }
    }

    /// What it listens to; where messages for it are put.
    fn listening(&mut self, exchange: &Exchange) -> &mut Listening {
        let (session, task) = (&self.session, &self.task);
        self.listening.get_or_insert_with(|| {
            let subscriber = Subscriber::new(session.id, session.protocol, task.clone());
            Box::new(Listening {
                subscriber: Arc::new(subscriber.with_most(exchange.most_unread())),
                names: BTreeSet::new(),
            })
        })
    }

    /// Where messages for it are put.
    pub(super) fn inbox(&mut self, exchange: &Exchange) -> Arc<Subscriber> {
        self.listening(exchange).subscriber.clone()
    }

    /// Those who have messages for it learn which version of the protocol it speaks.
    pub(super) fn tell_protocol(&self) {
        if let Some(listening) = &self.listening {
            listening.subscriber.set_protocol(self.session.protocol);
        }
    }

    /// Of what was to be written so many bytes could not be.
    #[inline]
    pub fn leaves_unwritten(&self, count: usize) {
        if let Some(listening) = &self.listening {
            listening.subscriber.leaves_unwritten(count);
        }
    }

    /// Whether there are messages for it that it can take now.
    pub fn has_messages(&self) -> bool {
        let has = |l: &Listening| l.subscriber.has_messages();
        self.listening.as_deref().is_some_and(has)
            && (self.copies.is_none()
                || !self.reads_elsewhere && self.session.pipeline.takes_behind())
    }

    /// Whether it has left too many messages unread.
    pub fn is_overrun(&self) -> bool {
        self.listening
            .as_ref()
            .is_some_and(|l| l.subscriber.is_overrun())
    }
}

impl Door {
    /// Answers a command about channels.
    pub(super) fn messages(&self, caller: &mut Caller, command: &Command<'_>) -> Reply {
        let exchange = &self.process.exchange;
        match command.spec.id {
            Id::Subscribe => self.subscribe(caller, command, Topic::Channel),
            Id::Psubscribe => self.subscribe(caller, command, Topic::Pattern),
            Id::Ssubscribe => self.subscribe(caller, command, Topic::ShardChannel),
            Id::Unsubscribe => self.unsubscribe(caller, command, Topic::Channel),
            Id::Punsubscribe => self.unsubscribe(caller, command, Topic::Pattern),
            Id::Sunsubscribe => self.unsubscribe(caller, command, Topic::ShardChannel),
            Id::Publish => {
                let receivers = exchange.publish(command.arg(1), command.arg(2));
                // Its own message comes before the reply.
                caller.take_all_messages();
                Reply::Int(receivers as i64)
            }
            Id::Spublish => {
                let receivers = exchange.publish_to_shard(command.arg(1), command.arg(2));
                caller.take_all_messages();
                Reply::Int(receivers as i64)
            }
            _ => question(exchange, command),
        }
    }

    fn subscribe(&self, caller: &mut Caller, command: &Command<'_>, topic: Topic) -> Reply {
        let listening = caller.listening(&self.process.exchange);
        let mut replies = Vec::with_capacity(command.len() - 1);
        for name in command.args(1) {
            if listening.names.len() >= limits::SUBSCRIPTIONS {
                replies.push(Reply::error("ERR too many subscriptions"));
                break;
            }
            if self
                .process
                .exchange
                .subscribe(topic, name, &listening.subscriber)
            {
                listening.names.insert((topic, name.into()));
            }
            replies.push(told(verbs(topic).0, Some(name), listening, topic));
        }
        let count = listening.names.len();
        caller.session.subscriptions = count;
        Reply::Several(replies)
    }

    fn unsubscribe(&self, caller: &mut Caller, command: &Command<'_>, topic: Topic) -> Reply {
        // What was said before comes before.
        caller.take_all_messages();
        let verb = verbs(topic).1;
        let Some(listening) = &mut caller.listening else {
            let names = command.args(1).map(Some);
            let names: Vec<_> = if command.len() > 1 {
                names.collect()
            } else {
                vec![None]
            };
            let none = |name| push(verb, name, 0);
            return Reply::Several(names.into_iter().map(none).collect());
        };
        let mut names: Vec<Box<[u8]>> = command.args(1).map(Box::from).collect();
        if names.is_empty() {
            let of_topic = listening.names.iter().filter(|(of, _)| *of == topic);
            names.extend(of_topic.map(|(_, name)| name.clone()));
        }
        if names.is_empty() {
            return told(verb, None, listening, topic);
        }
        let mut replies = Vec::with_capacity(names.len());
        for name in names {
            self.process
                .exchange
                .unsubscribe(topic, &name, &listening.subscriber);
            replies.push(told(verb, Some(&name), listening, topic));
            listening.names.remove(&(topic, name));
        }
        caller.session.subscriptions = listening.names.len();
        Reply::Several(replies)
    }

    /// Ends all that a connection listens to.
    pub(super) fn stop_listening(&self, caller: &mut Caller) {
        caller.session.subscriptions = 0;
        let Some(listening) = caller.listening.take() else {
            return;
        };
        for (topic, name) in &listening.names {
            self.process
                .exchange
                .unsubscribe(*topic, name, &listening.subscriber);
        }
    }
}

/// The words by which a subscription's beginning and end are told.
fn verbs(topic: Topic) -> (&'static str, &'static str) {
    match topic {
        Topic::Channel => ("subscribe", "unsubscribe"),
        Topic::Pattern => ("psubscribe", "punsubscribe"),
        Topic::ShardChannel => ("ssubscribe", "sunsubscribe"),
    }
}

/// Tells of a subscription, with how many there are: channels and patterns are counted together.
fn told(verb: &'static str, name: Option<&[u8]>, listening: &Listening, topic: Topic) -> Reply {
    let [channels, patterns, of_shards] = listening.subscriber.counts();
    let count = match topic {
        Topic::ShardChannel => of_shards,
        Topic::Channel | Topic::Pattern => channels + patterns,
    };
    push(verb, name, count)
}

fn push(verb: &'static str, name: Option<&[u8]>, count: usize) -> Reply {
    let name = name.map_or(Reply::Null, Reply::bulk);
    Reply::Push(vec![Reply::bulk(verb), name, Reply::Int(count as i64)])
}

/// PUBSUB.
fn question(exchange: &Exchange, command: &Command<'_>) -> Reply {
    let names = |topic| match command.args(2).collect::<Vec<_>>()[..] {
        [] => Reply::Array(exchange.names(topic, None)),
        [pattern] => Reply::Array(exchange.names(topic, Some(pattern))),
        _ => wrong_number(command),
    };
    let listeners = |topic| {
        let each = |name| {
            let count = exchange.listeners(topic, name);
            [Reply::bulk(name), Reply::Int(count as i64)]
        };
        Reply::Array(command.args(2).flat_map(each).collect())
    };
    match command.spec.id {
        Id::PubsubChannels => names(Topic::Channel),
        Id::PubsubShardchannels => names(Topic::ShardChannel),
        Id::PubsubNumsub => listeners(Topic::Channel),
        Id::PubsubShardnumsub => listeners(Topic::ShardChannel),
        Id::PubsubNumpat => Reply::Int(exchange.count(Topic::Pattern) as i64),
        Id::PubsubHelp => help(),
        _ => command.unknown(|_| false),
    }
}

fn wrong_number(command: &Command<'_>) -> Reply {
    let word = String::from_utf8_lossy(command.arg(1)).into_owned();
    Reply::error(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
    ))
}

fn help() -> Reply {
    const HELP: [&str; 14] = [
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
        "HELP",
        "    Prints this help.",
    ];
    Reply::Array(HELP.map(Reply::Status).to_vec())
}
