//! What CONFIG SET changes of connections while the process runs: how long they may be idle, how
//! much they may send and leave unread; and who closes those that are over it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::Process;
use crate::limits;
use crate::store::memory_bytes;

/// How connections of a store are kept.
#[derive(Debug)]
pub struct Settings {
    /// In seconds; 0: they may be idle for ever.
    timeout: AtomicU64,
    /// Seconds after which a silent client is probed; 0: never.
    keepalive: AtomicU64,
    /// How often a second the background does its work.
    hz: AtomicU64,
    /// Longest bulk string in bytes.
    bulk: AtomicUsize,
    /// Most bytes of a request that is not whole.
    query: AtomicUsize,
    /// What a client may leave unread, and one that listens.
    output: [Output; 2],
    /// When connections were looked at last, in milliseconds since 1970.
    looked: AtomicU64,
}

/// How much may be left unread.
#[derive(Debug)]
struct Output {
    /// Bytes past which a connection is closed at once; 0: there is no such number.
    hard: AtomicUsize,
    /// Bytes past which it is closed after `seconds`; 0: there is no such number.
    soft: AtomicUsize,
    seconds: AtomicU64,
}

/// The same as it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutputLimit {
    pub hard: usize,
    soft: usize,
    seconds: u64,
}

/// Whose replies or messages are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Normal,
    Pubsub,
}

/// What Redis has for replicas. There is none here.
const REPLICAS: &str = "slave 268435456 67108864 60";

impl Output {
    fn new(hard: usize, soft: usize, seconds: u64) -> Output {
        Output {
            hard: hard.into(),
            soft: soft.into(),
            seconds: seconds.into(),
        }
    }

    fn limit(&self) -> OutputLimit {
        OutputLimit {
            hard: self.hard.load(Relaxed),
            soft: self.soft.load(Relaxed),
            seconds: self.seconds.load(Relaxed),
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        let (soft, seconds) = limits::SUBSCRIBER_SOFT;
        Settings {
            timeout: AtomicU64::new(0),
            keepalive: AtomicU64::new(limits::KEEPALIVE_S),
            hz: limits::HZ.into(),
            bulk: limits::BULK_BYTES.into(),
            query: limits::REQUEST_BYTES.into(),
            output: [
                Output::new(0, 0, 0),
                Output::new(limits::SUBSCRIBER_BYTES, soft, seconds),
            ],
            looked: AtomicU64::new(0),
        }
    }
}

impl Settings {
    /// Seconds that a connection may be idle; 0: for ever.
    pub fn timeout(&self) -> u64 {
        self.timeout.load(Relaxed)
    }

    pub(super) fn set_timeout(&self, seconds: u64) {
        self.timeout.store(seconds, Relaxed);
    }

    /// Seconds after which a silent client is probed; 0: never.
    pub fn keepalive(&self) -> u64 {
        self.keepalive.load(Relaxed)
    }

    pub(super) fn set_keepalive(&self, seconds: u64) {
        self.keepalive.store(seconds, Relaxed);
    }

    /// How often a second the background removes what has expired and what is too much.
    pub fn hz(&self) -> u64 {
        self.hz.load(Relaxed)
    }

    /// What is out of its bounds is taken for the nearest, as in Redis.
    pub(super) fn set_hz(&self, hz: u64) {
        self.hz.store(hz.clamp(1, limits::HZ_MOST), Relaxed);
    }

    /// Longest bulk string in a request, in bytes.
    #[inline]
    pub fn bulk(&self) -> usize {
        self.bulk.load(Relaxed)
    }

    pub(super) fn set_bulk(&self, bytes: usize) {
        self.bulk.store(bytes, Relaxed);
    }

    /// Most bytes of a request that is not whole yet.
    pub fn query(&self) -> usize {
        self.query.load(Relaxed)
    }

    pub(super) fn set_query(&self, bytes: usize) {
        self.query.store(bytes, Relaxed);
    }

    /// Bytes of replies past which a connection that does not listen is closed; 0: none.
    #[inline]
    pub fn most_unread(&self) -> usize {
        self.output[0].hard.load(Relaxed)
    }

    pub(super) fn set_output(&self, class: Class, limit: OutputLimit) {
        let output = &self.output[class as usize];
        output.hard.store(limit.hard, Relaxed);
        output.soft.store(limit.soft, Relaxed);
        output.seconds.store(limit.seconds, Relaxed);
    }

    /// `client-output-buffer-limit`, as Redis tells it.
    pub(super) fn outputs(&self) -> String {
        let told = |OutputLimit {
                        hard,
                        soft,
                        seconds,
                    }| format!("{hard} {soft} {seconds}");
        let [normal, pubsub] = [0, 1].map(|class: usize| told(self.output[class].limit()));
        format!("normal {normal} {REPLICAS} pubsub {pubsub}")
    }
}

/// What `client-output-buffer-limit` is set to: classes and their limits.
///
/// # Errors
/// What is wrong with it.
pub(super) fn outputs(value: &[u8]) -> Result<Vec<(Class, OutputLimit)>, String> {
    let text = String::from_utf8_lossy(value);
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let (groups, rest) = words.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut found = Vec::new();
    for [class, hard, soft, seconds] in groups {
        let bytes = |text: &str| memory_bytes(text).and_then(|n| usize::try_from(n).ok());
        let numbers = (bytes(hard), bytes(soft), seconds.parse().ok());
        let class = match class.to_ascii_lowercase().as_str() {
            "normal" => Some(Class::Normal),
            "pubsub" => Some(Class::Pubsub),
            "slave" | "replica" => None,
            _ => {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
        };
        let (Some(hard), Some(soft), Some(seconds)) = numbers else {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into(),
            );
        };
        match class {
            Some(class) => found.push((
                class,
                OutputLimit {
                    hard,
                    soft,
                    seconds,
                },
            )),
            None if format!("slave {hard} {soft} {seconds}") == REPLICAS => {}
            None => return Err("there are no replicas here".into()),
        }
    }
    Ok(found)
}

impl Process {
    /// Closes connections that are idle, leave too much unread for too long, or take too much
    /// memory; `keys` is what keys may take, or 0. To be called often; it looks at most of this
    /// once a second, and only where there is such a limit.
    pub(super) fn close_over_limits(&self, now: u64, keys: u64) {
        self.evict_clients(keys);
        let settings = &self.settings;
        let looked = settings.looked.load(Relaxed);
        if now < looked + limits::LOOK_AT_CLIENTS_MS && now >= looked {
            return;
        }
        settings.looked.store(now, Relaxed);
        let listens = |id| self.exchange.counts(id) != [0; 3] || self.monitors.has(id);
        if settings.timeout() > 0 {
            self.clients
                .close_idle(now, settings.timeout() * 1000, listens);
        }
        let [normal, pubsub] = [0, 1].map(|class: usize| settings.output[class].limit());
        if normal.soft > 0 {
            self.clients
                .close_slow(now, normal.soft, normal.seconds * 1000, listens);
        }
        if pubsub.soft > 0 {
            let (most, millis) = (pubsub.soft, pubsub.seconds * 1000);
            self.exchange.close_slow(now, most, millis);
            self.monitors.close_slow(now, most, millis);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_output_are_read_as_redis_reads_them() {
        let limit = |hard, soft, seconds| OutputLimit {
            hard,
            soft,
            seconds,
        };
        for (text, expected) in [
            ("", Ok(vec![])),
            ("normal 0 0 0", Ok(vec![(Class::Normal, limit(0, 0, 0))])),
            (
                "PUBSUB 1mb 512k 10 normal 1 2 3",
                Ok(vec![
                    (Class::Pubsub, limit(1 << 20, 512_000, 10)),
                    (Class::Normal, limit(1, 2, 3)),
                ]),
            ),
            (REPLICAS, Ok(vec![])),
            ("replica 1 1 1", Err("there are no replicas")),
            ("normal 0 0", Err("Wrong number of arguments")),
            ("x 1 1 1", Err("Invalid client class")),
            ("normal -1 1 1", Err("Error in hard, soft")),
            ("normal 1 1 -1", Err("Error in hard, soft")),
        ] {
            match (outputs(text.as_bytes()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn limits_of_output_are_told_as_redis_tells_them() {
        let settings = Settings::default();
        let usual = format!("normal 0 0 0 {REPLICAS} pubsub 33554432 8388608 60");
        assert_eq!(settings.outputs(), usual);
        let again = outputs(usual.as_bytes()).unwrap();
        again
            .into_iter()
            .for_each(|(class, limit)| settings.set_output(class, limit));
        assert_eq!(settings.outputs(), usual);
    }
}
