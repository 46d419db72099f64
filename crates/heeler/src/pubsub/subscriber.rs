//! One connection that listens: what has been said and not been sent to it yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use parking_lot::Mutex;

use super::{Slowness, Topic};
use crate::command::Reply;
use crate::limits;
use crate::wire::resp::{Protocol, encode};

/// A connection that listens, for those who speak.
#[derive(Debug)]
pub struct Subscriber {
    /// Number of the connection.
    pub id: u64,
    speaks_resp3: AtomicBool,
    /// Channels, patterns and shard channels.
    counts: [AtomicUsize; 3],
    /// Messages as bytes; `None` once there were too many.
    inbox: Mutex<Option<Vec<u8>>>,
    /// Bytes that were taken from it and could not be written yet.
    unwritten: AtomicUsize,
    /// How many bytes they may be together.
    most: Unread,
    /// Since when there have been more than it may hold for long.
    slowness: Slowness,
    task: Waker,
}

/// How many bytes may be left unread, by all who share this; 0: any number.
#[derive(Clone, Debug)]
pub struct Unread(Arc<AtomicUsize>);

impl Default for Unread {
    fn default() -> Unread {
        Unread(Arc::new(limits::SUBSCRIBER_BYTES.into()))
    }
}

impl Unread {
    /// It is another number from now on.
    pub fn set(&self, bytes: usize) {
        self.0.store(bytes, Relaxed);
    }

    fn allows(&self, bytes: usize) -> bool {
        let most = self.0.load(Relaxed);
        most == 0 || bytes <= most
    }
}

/// A message, as bytes in each version of the protocol that somebody needs.
pub(super) struct Message<'a> {
    words: &'a [&'a [u8]],
    resp2: Vec<u8>,
    resp3: Vec<u8>,
}

impl<'a> Message<'a> {
    pub(super) fn new(words: &'a [&'a [u8]]) -> Message<'a> {
        Message {
            words,
            resp2: Vec::new(),
            resp3: Vec::new(),
        }
    }

    fn bytes(&mut self, protocol: Protocol) -> &[u8] {
        let bytes = match protocol {
            Protocol::Resp2 => &mut self.resp2,
            Protocol::Resp3 => &mut self.resp3,
        };
        if bytes.is_empty() {
            let words = self.words.iter().map(Reply::bulk).collect();
            encode(&Reply::Push(words), protocol, bytes);
        }
        bytes
    }
}

impl Subscriber {
    /// A connection with its protocol and its task, which is woken when there is something for it.
    pub fn new(id: u64, protocol: Protocol, task: Waker) -> Subscriber {
        Subscriber {
            id,
            speaks_resp3: AtomicBool::new(protocol == Protocol::Resp3),
            counts: Default::default(),
            inbox: Mutex::new(Some(Vec::new())),
            unwritten: AtomicUsize::new(0),
            most: Unread::default(),
            slowness: Slowness::default(),
            task,
        }
    }

    /// One that speaks RESP3, and whose task nobody wakes.
    #[cfg(test)]
    pub fn asleep(id: u64) -> Arc<Subscriber> {
        Arc::new(Subscriber::new(id, Protocol::Resp3, Waker::noop().clone()))
    }

    /// The same, which may leave so much unread.
    #[must_use]
    pub fn with_most(self, most: &Unread) -> Subscriber {
        Subscriber {
            most: most.clone(),
            ..self
        }
    }

    /// The connection speaks this version from now on.
    pub fn set_protocol(&self, protocol: Protocol) {
        self.speaks_resp3
            .store(protocol == Protocol::Resp3, Relaxed);
    }

    /// How many channels, patterns and shard channels it listens to.
    pub fn counts(&self) -> [usize; 3] {
        [0, 1, 2].map(|i| self.counts[i].load(Relaxed))
    }

    pub(super) fn count(&self, topic: Topic, change: isize) {
        let count = &self.counts[topic as usize];
        count.store(count.load(Relaxed).saturating_add_signed(change), Relaxed);
    }

    pub(super) fn tell(&self, message: &mut Message<'_>) {
        self.put_bytes(message.bytes(self.protocol()));
    }

    /// The version that it speaks.
    pub fn protocol(&self) -> Protocol {
        match self.speaks_resp3.load(Relaxed) {
            true => Protocol::Resp3,
            false => Protocol::Resp2,
        }
    }

    /// Puts a message into the inbox.
    pub fn put(&self, message: &Reply) {
        let mut bytes = Vec::new();
        encode(message, self.protocol(), &mut bytes);
        self.put_bytes(&bytes);
    }

    /// Puts bytes into the inbox, unless there are too many.
    pub(super) fn put_bytes(&self, bytes: &[u8]) {
        let mut inbox = self.inbox.lock();
        let Some(waiting) = &mut *inbox else {
            return;
        };
        let unread = waiting.len() + self.unwritten.load(Relaxed);
        if !self.most.allows(unread + bytes.len()) {
            *inbox = None;
        } else {
            waiting.extend_from_slice(bytes);
        }
        drop(inbox);
        self.task.wake_by_ref();
    }

    /// Gives it up if it has left more than so many bytes unread for so many milliseconds.
    pub(super) fn give_up_if_slow(&self, now: u64, most: usize, millis: u64) {
        let mut inbox = self.inbox.lock();
        let unwritten = self.unwritten.load(Relaxed);
        let is_slow = inbox
            .as_ref()
            .is_some_and(|waiting| waiting.len() + unwritten > most);
        if self.slowness.lasts(is_slow, now, millis) {
            *inbox = None;
            drop(inbox);
            self.task.wake_by_ref();
        }
    }

    /// Of what was taken from the inbox, and of replies, so many bytes could not be written yet.
    pub fn leaves_unwritten(&self, count: usize) {
        self.unwritten.store(count, Relaxed);
    }

    /// Moves what is in the inbox to the end of these bytes.
    pub fn take(&self, out: &mut Vec<u8>) {
        if let Some(waiting) = &mut *self.inbox.lock() {
            match out.is_empty() {
                true => std::mem::swap(out, waiting),
                false => out.append(waiting),
            }
            if waiting.capacity() > limits::IDLE_BUFFER_BYTES {
                *waiting = Vec::new();
            }
        }
    }

    /// How many bytes are in the inbox.
    pub(super) fn untaken(&self) -> usize {
        self.inbox.lock().as_ref().map_or(0, Vec::len)
    }

    /// Whether there is something in the inbox.
    pub fn has_messages(&self) -> bool {
        self.inbox
            .lock()
            .as_ref()
            .is_some_and(|waiting| !waiting.is_empty())
    }

    /// Whether it has read too little of what was said: then nothing more comes.
    pub fn is_overrun(&self) -> bool {
        self.inbox.lock().is_none()
    }
}
