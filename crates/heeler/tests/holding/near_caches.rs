//! Caches near clients, which keep what they read until they are told that it has changed.
//!
//! A node tells what it knows over a connection that always works while both ends live; where one
//! end dies or leaves, the cache is emptied, as it is by the program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use heeler::admission::Tenure;
use heeler::command::OwnedCommand;
use heeler::holding::{Holding, RangeMap, Standing};
use heeler::pubsub::{Subscriber, Tracker};
use heeler::route::Terms;
use heeler::store::{Reader, Store};
use heeler::wire::resp::{Protocol, Scanner};
use heeler_ring::{Ring, RingHash};

use crate::scenarios::content;

/// What is held, by key.
pub type Held = BTreeMap<String, String>;

/// Those who keep copies, at one node.
pub struct NearCaches {
    /// Of what was read from it.
    reader: Listener,
    pub read: Held,
    /// Of all keys, whichever node they were read from.
    broadcast: Listener,
    tenure: Tenure,
}

struct Listener {
    inbox: Arc<Subscriber>,
    tracker: Arc<Tracker>,
}

/// What a listener was told.
enum Told {
    Key(String),
    All,
}

impl Listener {
    fn new(id: u64, store: &Store, prefixes: &[Box<[u8]>]) -> Listener {
        let inbox = Subscriber::new(id, Protocol::Resp3, Waker::noop().clone());
        let inbox = Arc::new(inbox);
        let tracker = Arc::new(Tracker::new(inbox.clone(), false, None));
        store.track(&tracker, prefixes);
        Listener { inbox, tracker }
    }

    fn take(&self) -> Vec<Told> {
        let mut bytes = Vec::new();
        self.inbox.take(&mut bytes);
        let (mut told, mut rest) = (Vec::new(), &bytes[..]);
        while let Ok(Some(length)) = Scanner::default().scan(rest) {
            let text = String::from_utf8_lossy(&rest[..length]).into_owned();
            rest = &rest[length..];
            told.push(match text.contains("\r\n_\r\n") {
                true => Told::All,
                false => Told::Key(text.lines().last().expect("a key").into()),
            });
        }
        told
    }
}

fn forget(held: &mut Held, told: Vec<Told>) {
    for told in told {
        match told {
            Told::Key(key) => drop(held.remove(&key)),
            Told::All => held.clear(),
        }
    }
}

impl NearCaches {
    pub fn new(store: &Store) -> NearCaches {
        let ring = Arc::new(Ring::new(RingHash::Fingerprint32));
        let nothing = RangeMap::new(Standing::Ask);
        NearCaches {
            reader: Listener::new(1, store, &[]),
            read: Held::new(),
            broadcast: Listener::new(2, store, &[Box::default()]),
            tenure: Tenure::new(nothing, ring, Terms::default()),
        }
    }

    /// A command that reads a key is executed, and both caches keep what is there.
    pub fn reads(&mut self, store: &Store, now: u64, command: &OwnedCommand, all: &mut Held) {
        let tracker = self.reader.tracker.clone();
        let reader = Reader {
            tracker: &tracker,
            client: 1,
            read: 0,
            remembers: true,
        };
        store.execute_for(0, now, &command.as_command(), reader);
        self.listen(all);
        let key = String::from_utf8_lossy(command.as_command().arg(1)).into_owned();
        let content = content(store, now, &key);
        // Its time may be up: then nothing more will be told of it.
        self.listen(all);
        store.execute_for(0, now, &command.as_command(), reader);
        self.read.insert(key.clone(), content.clone());
        all.insert(key, content);
    }

    /// They hear what the node has told them.
    pub fn listen(&mut self, all: &mut Held) {
        forget(&mut self.read, self.reader.take());
        forget(all, self.broadcast.take());
    }

    /// What the node may serve is another thing from now on.
    pub fn turn(&mut self, store: &Store, holding: &Holding) {
        let ring = holding.ring().cloned();
        let ring = ring.unwrap_or_else(|| Arc::new(Ring::new(RingHash::Fingerprint32)));
        let next = Tenure::new(holding.standing(), ring, Terms::default());
        let (lost, got) = self.tenure.turned(&next);
        if lost {
            store.have_moved(|key| next.has_moved(key));
        }
        if got {
            store.have_come();
        }
        self.tenure = next;
    }
}
