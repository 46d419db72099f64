//! A redis-server and a store, side by side.

use heeler::store::Store;
use heeler::wire::resp::Protocol;

use super::{Redis, encode, execute_in, show, word};

/// Both get the same commands.
pub struct Pair {
    pub redis: Redis,
    pub store: Store,
    protocol: Protocol,
    /// The database that is selected.
    database: u32,
    history: Vec<String>,
}

impl Pair {
    pub fn start(protocol: Protocol) -> Pair {
        Pair {
            redis: Redis::start(protocol),
            store: Store::new(42),
            protocol,
            database: 0,
            history: Vec::new(),
        }
    }

    /// Runs a command on the store alone; returns the bytes of the reply.
    pub fn call_store(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        encode(
            &execute_in(&self.store, &mut self.database, words),
            self.protocol,
        )
    }

    /// Sends a command to both, and compares what comes back. Times may differ by a little.
    pub fn check(&mut self, words: &[Vec<u8>]) {
        let expected = self.redis.call(words);
        let found = self.call_store(words);
        self.history.push(show(words));
        let name = words[0].to_ascii_lowercase();
        let same = match &name[..] {
            b"ttl" | b"expiretime" => differ_by(&expected, &found) <= 1,
            b"pttl" | b"pexpiretime" => differ_by(&expected, &found) <= 2_000,
            b"keys" => sorted(&expected) == sorted(&found),
            _ => expected == found,
        };
        let earlier = self.history.len().saturating_sub(25);
        assert!(
            same,
            "redis: {}\nstore: {}\nafter:\n  {}",
            expected.escape_ascii(),
            found.escape_ascii(),
            self.history[earlier..].join("\n  "),
        );
    }

    /// Checks a line of words, in which `\xNN` and `""` may stand.
    pub fn line(&mut self, line: &str) {
        self.check(&line.split(' ').map(word).collect::<Vec<_>>());
    }

    pub fn lines(&mut self, lines: &str) {
        let lines = lines.lines().map(str::trim);
        lines.filter(|l| !l.is_empty()).for_each(|l| self.line(l));
    }
}

fn differ_by(first: &[u8], second: &[u8]) -> u64 {
    let number = |reply: &[u8]| -> Option<i64> {
        let text = std::str::from_utf8(reply).ok()?;
        text.strip_prefix(':')?.trim().parse().ok()
    };
    match (number(first), number(second)) {
        (Some(first), Some(second)) => first.abs_diff(second),
        _ if first == second => 0,
        _ => u64::MAX,
    }
}

/// The lines of a reply, in one order.
pub fn sorted(reply: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = reply.split(|b| *b == b'\n').collect();
    lines.sort_unstable();
    lines
}
