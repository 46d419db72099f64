//! Clients that never stop asking and check every reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::servers::{Client, PATIENCE, Value};

/// Some threads, each with one connection on which it sends many requests at a time. A thread
/// panics on a lost connection, an error, or a reply that is not to its request.
pub struct Load {
    threads: Vec<JoinHandle<()>>,
    rounds: Arc<Vec<AtomicU64>>,
    over: Arc<AtomicBool>,
}

impl Load {
    /// Starts so many, each with a connection of its own.
    pub fn start(threads: usize, connect: impl Fn() -> Client + Send + Sync + 'static) -> Load {
        let connect = Arc::new(connect);
        let rounds: Arc<Vec<AtomicU64>> = Arc::new((0..threads).map(|_| 0.into()).collect());
        let over = Arc::new(AtomicBool::new(false));
        let start = |number: usize| {
            let (rounds, over, connect) = (rounds.clone(), over.clone(), connect.clone());
            thread::spawn(move || {
                let mut client = connect();
                while !over.load(SeqCst) {
                    let round = rounds[number].load(SeqCst);
                    one_round(&mut client, &format!("load:{number}"), round);
                    rounds[number].store(round + 1, SeqCst);
                }
            })
        };
        let load = Load {
            threads: (0..threads).map(start).collect(),
            rounds: rounds.clone(),
            over,
        };
        load.goes_on(vec![0; threads]);
        load
    }

    /// How many rounds each has done.
    pub fn rounds(&self) -> Vec<u64> {
        self.rounds.iter().map(|r| r.load(SeqCst)).collect()
    }

    /// Returns when each has done two more rounds than it had then: one that began afterwards.
    pub fn goes_on(&self, before: Vec<u64>) {
        let end = Instant::now() + PATIENCE;
        while self
            .rounds()
            .iter()
            .zip(&before)
            .any(|(now, before)| *now < before + 2)
        {
            let ended = self.threads.iter().position(JoinHandle::is_finished);
            assert!(ended.is_none(), "client {ended:?} has given up");
            assert!(
                Instant::now() < end,
                "it stalls: {before:?} {:?}",
                self.rounds()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends them; panics if one had to complain.
    pub fn stop(self) {
        self.over.store(true, SeqCst);
        for thread in self.threads {
            thread.join().expect("every reply was right");
        }
    }
}

/// Sets and gets keys. While keys move a server may hold an older value of a key, or none, but
/// never another key's.
fn one_round(client: &mut Client, name: &str, round: u64) {
    const KEYS: u64 = 20;
    let mut bytes = Vec::new();
    for i in 0..KEYS {
        let key = format!("{name}:{i}");
        let text = format!(
            "SET {key} {key}={round}\r\nECHO {key}#{round}\r\nGET {key}\r\nMGET {key} {name}:0\r\n"
        );
        bytes.extend_from_slice(text.as_bytes());
    }
    client.send(&bytes);
    for i in 0..KEYS {
        let key = format!("{name}:{i}");
        assert_eq!(client.read_reply(), Value::ok(), "SET {key}");
        assert_eq!(client.read_reply(), Value::bulk(format!("{key}#{round}")));
        is_value_of(&key, &client.read_reply());
        let Value::Array(values) = client.read_reply() else {
            panic!("MGET {key} gives an array");
        };
        is_value_of(&key, &values[0]);
        is_value_of(&format!("{name}:0"), &values[1]);
    }
}

fn is_value_of(key: &str, value: &Value) {
    if *value != Value::Null {
        let text = value.text();
        assert!(text.starts_with(&format!("{key}=")), "{text} for {key}");
    }
}
