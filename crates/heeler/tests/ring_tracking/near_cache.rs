//! A cache near a client: it keeps what it reads, until it is told that this has changed.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::servers::{Client, PATIENCE, Value, request};

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RESP3, over the connection over which it reads. What it is told comes after what it has read
    /// before, so that it keeps every reply.
    Same,
    /// The same, of all keys with a prefix.
    Broadcast,
    /// RESP2, over another connection. What is told while a request is under way may be about it.
    Redirected,
}

/// What a request reads.
#[derive(Debug)]
pub enum Reads {
    Nothing,
    Key(String),
    /// An array of values.
    Keys(Vec<String>),
}

#[derive(Debug, Default)]
struct State {
    cache: HashMap<String, Value>,
    /// Requests without a reply, and how often something was told when they were sent.
    under_way: VecDeque<(Reads, u64)>,
    /// When each key was last told of, and all.
    told: HashMap<String, u64>,
    told_all: u64,
    count: u64,
    is_lost: bool,
}

impl State {
    fn take(&mut self, kind: Kind, reply: Value) {
        let (reads, since) = self.under_way.pop_front().expect("a reply to a request");
        let found = match (reads, reply) {
            (Reads::Nothing, _) | (_, Value::Error(_)) => return,
            (Reads::Key(key), value) => vec![(key, value)],
            (Reads::Keys(keys), Value::Array(values)) => keys.into_iter().zip(values).collect(),
            (reads, reply) => panic!("{reads:?}: {reply:?}"),
        };
        for (key, value) in found {
            let told = self.told.get(&key).copied().unwrap_or(0).max(self.told_all);
            let is_error = matches!(value, Value::Error(_));
            if !is_error && (kind != Kind::Redirected || told <= since) {
                self.cache.insert(key, value);
            }
        }
    }

    fn forget(&mut self, keys: &Value) {
        self.count += 1;
        match keys {
            Value::Array(keys) => {
                for key in keys {
                    self.cache.remove(&key.text());
                    self.told.insert(key.text(), self.count);
                }
            }
            Value::Null => {
                self.cache.clear();
                self.told_all = self.count;
            }
            other => panic!("{other:?} is told"),
        }
    }
}

/// A connection with a cache.
pub struct NearCache {
    shared: Arc<(Mutex<State>, Condvar)>,
    kind: Kind,
    writer: TcpStream,
    others: Vec<TcpStream>,
}

impl NearCache {
    /// Connects to a node, with an empty cache. `None`: nobody is there.
    pub fn connect(node: SocketAddr, kind: Kind) -> Option<NearCache> {
        TcpStream::connect_timeout(&node, Duration::from_secs(1)).ok()?;
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let mut client = Client::connect(node);
        let mut others = Vec::new();
        let begun = match kind {
            Kind::Same | Kind::Broadcast => {
                ask(&mut client, "HELLO 3")?;
                match kind {
                    Kind::Broadcast => ask(&mut client, "CLIENT TRACKING ON BCAST PREFIX key"),
                    _ => ask(&mut client, "CLIENT TRACKING ON"),
                }
            }
            Kind::Redirected => {
                let mut listener = Client::connect(node);
                let id = match ask(&mut listener, "CLIENT ID")? {
                    Value::Int(id) => id,
                    other => panic!("{other:?}"),
                };
                ask(&mut listener, "SUBSCRIBE __redis__:invalidate")?;
                others.push(listener.writer());
                follow(listener, kind, &shared, false);
                ask(&mut client, &format!("CLIENT TRACKING ON REDIRECT {id}"))
            }
        };
        // A push may stand before the reply.
        assert!(matches!(begun?, Value::Status(_) | Value::Push(_)));
        let writer = client.writer();
        follow(client, kind, &shared, true);
        Some(NearCache {
            shared,
            kind,
            writer,
            others,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no panic")
    }

    /// Sends a request once few are under way. Whether the connection is open.
    pub fn send(&mut self, words: &[&[u8]], reads: Reads, most: usize) -> bool {
        let end = std::time::Instant::now() + PATIENCE;
        let mut state = self.shared.0.lock().expect("no panic");
        while state.under_way.len() >= most && !state.is_lost {
            assert!(std::time::Instant::now() < end, "no reply");
            let waited = self.shared.1.wait_timeout(state, PATIENCE);
            state = waited.expect("no panic").0;
        }
        if state.is_lost {
            return false;
        }
        let count = state.count;
        state.under_way.push_back((reads, count));
        drop(state);
        self.writer.write_all(&request(words)).is_ok()
    }

    /// Whether it has all replies, or will get none.
    pub fn is_quiet(&self) -> bool {
        let state = self.state();
        state.is_lost || state.under_way.is_empty()
    }

    /// What it holds.
    pub fn held(&self) -> HashMap<String, Value> {
        let state = self.state();
        match state.is_lost {
            true => HashMap::new(),
            false => state.cache.clone(),
        }
    }

    /// Whether it holds a key.
    pub fn holds(&self, key: &str) -> bool {
        self.state().cache.contains_key(key)
    }

    /// Whether the connection is open.
    pub fn is_open(&self) -> bool {
        !self.state().is_lost
    }

    /// How it is told.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Drop for NearCache {
    fn drop(&mut self) {
        for stream in self.others.iter().chain([&self.writer]) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn ask(client: &mut Client, words: &str) -> Option<Value> {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    client.try_send(&request(&words)).ok()?;
    Some(Value::parse(&client.try_read_raw_reply().ok()?))
}

/// Takes what comes over a connection, until it is closed.
fn follow(
    mut client: Client,
    kind: Kind,
    shared: &Arc<(Mutex<State>, Condvar)>,
    has_replies: bool,
) {
    let shared = shared.clone();
    std::thread::spawn(move || {
        let stops = AtomicBool::new(false);
        while !stops.load(Relaxed) {
            let came = client.try_read_raw_reply();
            let mut state = shared.0.lock().expect("no panic");
            match came {
                Ok(raw) => match Value::parse(&raw) {
                    Value::Push(words) if words[0] == Value::bulk("invalidate") => {
                        state.forget(&words[1]);
                    }
                    Value::Array(words) if !has_replies => state.forget(&words[2]),
                    reply => state.take(kind, reply),
                },
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    state.is_lost = true;
                    stops.store(true, Relaxed);
                }
            }
            drop(state);
            shared.1.notify_all();
        }
    });
}
