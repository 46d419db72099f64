//! Slots and partitions: fixed shares of the keyspace, assigned to servers by a table.
//!
//! Where a ring derives owners from the servers' names, a slotted store hashes a key into one of
//! a fixed number of slots, and somebody keeps a table of who owns which slot. This module gives
//! the first half for three systems: Redis Cluster, gache and memhashd.
//!
//! ```
//! use heeler_ring::slots;
//!
//! assert_eq!(slots::redis_slot(b"foo"), 12182);
//! assert_eq!(slots::redis_slot(b"{foo}:bar"), 12182);
//! assert_eq!(slots::gache_slot(b"foo"), 14229);
//! ```

use std::num::{NonZeroU32, NonZeroUsize};

use crate::hash::CRC16_TABLE;
use crate::tag::HashTag;

/// How many slots Redis Cluster and gache have.
pub const SLOTS: u16 = 16384;

/// The slot of a key in Redis Cluster: [`crc16`] of its [hash tag](HashTag::BRACES), modulo
/// [`SLOTS`] (Redis Cluster specification, "Key distribution model").
#[inline]
pub fn redis_slot(key: &[u8]) -> u16 {
    crc16(HashTag::BRACES.of(key)) % SLOTS
}

/// The slot of a key in gache: [`crc32q`] of the whole key, modulo [`SLOTS`]. gache knows no
/// hash tags.
#[inline]
pub fn gache_slot(key: &[u8]) -> u16 {
    (crc32q(key) % u32::from(SLOTS)) as u16
}

/// The partition of a key in memhashd: 32-bit FNV-1 (multiply, then xor) modulo the number of
/// partitions.
///
/// ```
/// use heeler_ring::slots::{memhashd_owner, memhashd_partition};
///
/// let partition = memhashd_partition(b"foo", 16384.try_into().unwrap());
/// assert_eq!(partition, 7699);
/// assert_eq!(memhashd_owner(partition, 3.try_into().unwrap()), 1);
/// ```
#[inline]
pub fn memhashd_partition(key: &[u8], partitions: NonZeroU32) -> u32 {
    let hash = key.iter().fold(0x811c_9dc5_u32, |hash, &byte| {
        hash.wrapping_mul(0x0100_0193) ^ u32::from(byte)
    });
    hash % partitions
}

/// The owner of a partition in memhashd: the index of a node in the sorted list of `nodes` nodes.
#[inline]
pub fn memhashd_owner(partition: u32, nodes: NonZeroUsize) -> usize {
    partition as usize % nodes
}

/// CRC-16/XMODEM: polynomial 0x1021, most significant bit first, initial value 0.
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, &byte| {
        (crc << 8) ^ CRC16_TABLE[usize::from((crc >> 8) as u8 ^ byte)]
    })
}

/// gache's CRC: Go's `crc32` with the table of 0xD5828281 (the reflected polynomial of CRC-32Q),
/// inverted before and after.
#[inline]
pub fn crc32q(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        (crc >> 8) ^ CRC32Q_TABLE[usize::from(crc as u8 ^ byte)]
    })
}

const CRC32Q_TABLE: [u32; 256] = reflected_crc_table(0xd582_8281);

/// The table of a 32-bit CRC that works from the least significant bit.
pub(crate) const fn reflected_crc_table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 != 0 {
                (crc >> 1) ^ polynomial
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_and_redis_slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
        // CLUSTER KEYSLOT of redis-server 7.0.15.
        let slots: [(&str, u16); 9] = [
            ("", 0),
            ("foo", 12182),
            ("bar", 5061),
            ("hello", 866),
            ("somekey", 11058),
            ("foo{hash_tag}", 2515),
            ("{hash_tag}.following", 2515),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
        ];
        for (key, slot) in slots {
            assert_eq!(redis_slot(key.as_bytes()), slot, "{key}");
        }
        assert_eq!(redis_slot(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(redis_slot(b"foo{bar}{zap}"), redis_slot(b"bar"));
    }

    #[test]
    fn gache_slots_are_those_of_its_own_table() {
        assert_eq!(crc32q(b"123456789"), 0xa9cc_8179);
        let slots: [(&str, u16); 14] = [
            ("", 0),
            ("0", 4177),
            ("1", 4179),
            ("2", 5462),
            ("3", 5460),
            ("a", 8355),
            ("b", 9638),
            ("abc", 2893),
            ("foo", 14229),
            ("bar", 16078),
            ("hello", 6078),
            ("key", 16109),
            ("user:1000", 13125),
            ("123456789", 377),
        ];
        for (key, slot) in slots {
            assert_eq!(gache_slot(key.as_bytes()), slot, "{key}");
        }
    }

    #[test]
    fn memhashd_partitions_and_owners_are_those_of_its_servers() {
        let partitions = NonZeroU32::new(16384).unwrap();
        let nodes = NonZeroUsize::new(3).unwrap();
        let rows: [(&str, u32, usize); 7] = [
            ("", 7621, 1),
            ("1", 7470, 0),
            ("2", 7469, 2),
            ("a", 7550, 2),
            ("foo", 7699, 1),
            ("hello", 12647, 2),
            ("123456789", 2070, 0),
        ];
        for (key, partition, owner) in rows {
            assert_eq!(
                memhashd_partition(key.as_bytes(), partitions),
                partition,
                "{key}"
            );
            assert_eq!(memhashd_owner(partition, nodes), owner, "{key}");
        }
    }
}
