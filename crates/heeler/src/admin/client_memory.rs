//! How much memory all clients may take together, as Redis's `maxmemory-clients` has it, and which
//! of them go when it is more.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::Process;
use crate::command::number::integer;
use crate::limits;
use crate::store::memory_bytes;

/// The limit.
#[derive(Debug, Default)]
pub struct ClientMemory {
    /// Bytes; below zero, so many hundredths of `maxmemory`; 0: there is no limit.
    most: AtomicI64,
    /// How many connections were closed by it.
    evicted: AtomicU64,
}

impl ClientMemory {
    /// As CONFIG GET tells it.
    pub(super) fn told(&self) -> String {
        match self.most.load(Relaxed) {
            bytes @ 0.. => bytes.to_string(),
            percent => format!("{}%", percent.unsigned_abs()),
        }
    }

    pub(super) fn set(&self, most: i64) {
        self.most.store(most, Relaxed);
    }

    /// How many connections were closed because there was too little of it.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Relaxed)
    }

    pub(super) fn reset(&self) {
        self.evicted.store(0, Relaxed);
    }

    /// Bytes that clients may take; `None`: any number. `keys` is what keys may take, or 0.
    fn bytes(&self, keys: u64) -> Option<u64> {
        let most = match self.most.load(Relaxed) {
            0 => return None,
            bytes @ 1.. => bytes.unsigned_abs(),
            _ if keys == 0 => return None,
            percent => (u128::from(keys) * u128::from(percent.unsigned_abs()) / 100) as u64,
        };
        Some(most.max(limits::LEAST_CLIENT_MEMORY))
    }
}

/// What `maxmemory-clients` is set to: bytes, or below zero hundredths of `maxmemory`.
///
/// # Errors
/// What is wrong with it, in Redis's words.
pub(super) fn parse(value: &[u8]) -> Result<i64, String> {
    let text = String::from_utf8_lossy(value);
    if let Some(bytes) = memory_bytes(&text) {
        let outside = format!("argument must be between -100 and {} inclusive", i64::MAX);
        return i64::try_from(bytes).map_err(|_| outside);
    }
    let percent = text.strip_suffix('%').and_then(|n| integer(n.as_bytes()));
    match percent {
        Some(percent @ 0..=100) => Ok(-percent),
        Some(101..) => Err("percentage argument must be less or equal to 100".into()),
        _ => Err("argument must be a memory or percent value".into()),
    }
}

impl Process {
    /// Closes connections while they take more together than they may: first those that take most.
    pub(super) fn evict_clients(&self, keys: u64) {
        let Some(most) = self.client_memory.bytes(keys) else {
            return;
        };
        let untaken = |id| self.exchange.state_of(id).1;
        self.clients.close_largest(most, untaken, || {
            self.client_memory.evicted.fetch_add(1, Relaxed);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_as_redis_reads_it() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("1mb", Ok(1 << 20)),
            ("5%", Ok(-5)),
            ("0%", Ok(0)),
            ("100%", Ok(-100)),
            (
                "101%",
                Err("percentage argument must be less or equal to 100"),
            ),
            ("-1%", Err("argument must be a memory or percent value")),
            ("-1", Err("argument must be a memory or percent value")),
            ("%", Err("argument must be a memory or percent value")),
            ("x", Err("argument must be a memory or percent value")),
        ] {
            assert_eq!(
                parse(text.as_bytes()),
                expected.map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn hundredths_are_those_of_what_keys_may_take() {
        let memory = ClientMemory::default();
        assert_eq!(memory.bytes(1 << 30), None);
        memory.set(-10);
        assert_eq!(
            (memory.bytes(0), memory.bytes(100 << 20)),
            (None, Some(10 << 20))
        );
        assert_eq!(memory.told(), "10%");
        memory.set(1);
        assert_eq!(memory.bytes(0), Some(limits::LEAST_CLIENT_MEMORY));
    }
}
