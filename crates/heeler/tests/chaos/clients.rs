//! Clients that know what each of their replies may be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crate::servers::{self, Heeler, Value, request};

/// Keys of each client.
const KEYS: u64 = 8;
/// Requests that a client sends before it reads the replies.
const PIPELINE: usize = 16;

/// What replies were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// The right ones.
    pub right: u64,
    /// Clear errors.
    pub errors: u64,
}

/// Many clients, each on a thread.
pub struct Flock {
    clients: Vec<JoinHandle<()>>,
    tally: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    right: AtomicU64,
    errors: AtomicU64,
    texts: Mutex<BTreeSet<String>>,
}

impl Flock {
    pub fn start(proxy: &Heeler, count: u64, ejects: bool, over: &Arc<AtomicBool>) -> Flock {
        let tally = Arc::new(Shared::default());
        let start = |number| {
            let mut client = Client::new(proxy, number, ejects);
            let (over, shared) = (over.clone(), tally.clone());
            thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let mut tally = Tally::default();
                    client.round(&mut tally);
                    shared.right.fetch_add(tally.right, Ordering::SeqCst);
                    shared.errors.fetch_add(tally.errors, Ordering::SeqCst);
                    shared.texts.lock().unwrap().append(&mut client.texts);
                }
            })
        };
        Flock {
            clients: (0..count).map(start).collect(),
            tally,
        }
    }

    /// Panics if a client has.
    pub fn check(&self) {
        let gone = self.clients.iter().filter(|c| c.is_finished()).count();
        assert_eq!(gone, 0, "clients have failed: see above");
    }

    /// What replies have been until now.
    pub fn tally(&self) -> Tally {
        Tally {
            right: self.tally.right.load(Ordering::SeqCst),
            errors: self.tally.errors.load(Ordering::SeqCst),
        }
    }

    /// Waits until all have stopped. Panics if one has failed.
    pub fn finish(self) -> Tally {
        for client in self.clients {
            client.join().expect("a client");
        }
        let texts = self.tally.texts.lock().unwrap();
        println!("errors: {texts:?}");
        Tally {
            right: self.tally.right.load(Ordering::SeqCst),
            errors: self.tally.errors.load(Ordering::SeqCst),
        }
    }
}

/// A client with keys of its own. Each value that it writes carries its number, the key, and how
/// often it has written, so that a reply that belongs to anybody else, or to another request, is
/// known for what it is.
pub struct Client {
    number: u64,
    connection: servers::Client,
    sequence: u64,
    /// By key, the values that a server may hold: those written since the last one that is known to
    /// be there, and that one. True for those whose fate is not known: the request may lie in a
    /// server's socket, and be executed when the server wakes up.
    may_be: HashMap<u64, BTreeMap<u64, bool>>,
    /// A key may lie on another server for a while, and come back with an older value.
    ejects: bool,
    /// The errors that have come.
    texts: BTreeSet<String>,
}

enum Sent {
    Set(u64, u64),
    Get(u64),
    /// Keys on several servers.
    Many(Vec<u64>),
    Echo(u64),
}

impl Client {
    pub fn new(proxy: &Heeler, number: u64, ejects: bool) -> Client {
        Client {
            number,
            connection: proxy.client(),
            sequence: 0,
            may_be: HashMap::new(),
            ejects,
            texts: BTreeSet::new(),
        }
    }

    /// Sends a pipeline, and checks each of its replies.
    pub fn round(&mut self, tally: &mut Tally) {
        let (mut bytes, mut sent) = (Vec::new(), Vec::new());
        for _ in 0..PIPELINE {
            let (request, what) = self.next();
            bytes.extend(request);
            sent.push(what);
        }
        self.connection.send(&bytes);
        for what in sent {
            match self.connection.read_reply() {
                Value::Error(text) => {
                    assert!(text.starts_with("ERR "), "no clear error: {text}");
                    assert!(!matches!(what, Sent::Echo(_)), "{text}");
                    if let Sent::Set(key, sequence) = what {
                        self.may_be.entry(key).or_default().insert(sequence, true);
                    }
                    self.texts.insert(text);
                    tally.errors += 1;
                }
                reply => {
                    self.check(&what, &reply);
                    tally.right += 1;
                }
            }
        }
    }

    fn next(&mut self) -> (Vec<u8>, Sent) {
        self.sequence += 1;
        let sequence = self.sequence;
        let key = sequence / 4 % KEYS;
        match sequence % 8 {
            0 | 4 => {
                self.may_be.entry(key).or_default().insert(sequence, false);
                let (key_text, value) = (self.key(key), self.value(key, sequence));
                let request = request(&[b"SET", key_text.as_bytes(), value.as_bytes()]);
                (request, Sent::Set(key, sequence))
            }
            3 => {
                let value = self.value(key, sequence);
                (request(&[b"ECHO", value.as_bytes()]), Sent::Echo(sequence))
            }
            7 => {
                let keys: Vec<u64> = (0..KEYS).collect();
                let texts: Vec<String> = keys.iter().map(|&key| self.key(key)).collect();
                let mut words: Vec<&[u8]> = vec![b"MGET"];
                words.extend(texts.iter().map(|text| text.as_bytes()));
                (request(&words), Sent::Many(keys))
            }
            _ => {
                let request = request(&[b"GET", self.key(key).as_bytes()]);
                (request, Sent::Get(key))
            }
        }
    }

    fn check(&mut self, what: &Sent, reply: &Value) {
        match what {
            Sent::Set(key, sequence) => {
                assert_eq!(*reply, Value::ok());
                // What was written before it cannot come back, unless the key moves.
                let keeps_all = self.ejects;
                let may_be = self.may_be.entry(*key).or_default();
                may_be.retain(|known, lost| keeps_all || *lost || known >= sequence);
            }
            Sent::Get(key) => self.check_value(*key, reply),
            Sent::Many(keys) => match reply {
                Value::Array(values) if values.len() == keys.len() => {
                    for (key, value) in keys.iter().zip(values) {
                        self.check_value(*key, value);
                    }
                }
                other => panic!("MGET of {} keys: {other:?}", keys.len()),
            },
            Sent::Echo(sequence) => {
                let key = sequence / 4 % KEYS;
                assert_eq!(*reply, Value::bulk(self.value(key, *sequence)));
            }
        }
    }

    /// A server that was started again has lost everything; any other has one of the values that
    /// may be there.
    fn check_value(&self, key: u64, reply: &Value) {
        if *reply == Value::Null {
            return;
        }
        let text = reply.text();
        let sequence = text.split(':').nth(2).and_then(|n| n.parse().ok());
        let may_be = &self.may_be.get(&key);
        let is_own = sequence.is_some_and(|sequence: u64| {
            may_be.is_some_and(|may_be| may_be.contains_key(&sequence))
                && self.value(key, sequence) == text
        });
        let last: Vec<_> = may_be
            .iter()
            .flat_map(|m| m.iter().rev().take(20))
            .collect();
        assert!(is_own, "{}: {text:?}, none of {last:?}", self.key(key));
    }

    fn key(&self, key: u64) -> String {
        format!("client:{}:{key}", self.number)
    }

    fn value(&self, key: u64, sequence: u64) -> String {
        // Some are long, so that replies are cut anywhere.
        let length = if sequence.is_multiple_of(64) { 5000 } else { 1 };
        let filler = "x".repeat(length);
        format!("{}:{key}:{sequence}:{filler}", self.number)
    }
}
