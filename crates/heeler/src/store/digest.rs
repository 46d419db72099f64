//! DEBUG DIGEST: a number of 160 bits for all keys or for one value, by which two servers are found
//! to hold the same. It is that of redis-server 7.0, bit for bit.
//!
//! ```text
//! xor(digest, data)   digest ^ SHA-1(data)              whatever the order
//! mix(digest, data)   SHA-1(digest ^ SHA-1(data))       one after the other
//! ```

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::Store;
use super::compact::element::Piece;
use super::entry::{Entry, Object};
use super::view::View;
use crate::command::number::double;

/// The bytes of a SHA-1.
const BYTES: usize = 20;

/// What is told of a key or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u8; BYTES]);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Digest {
    fn xor(&mut self, data: &[u8]) {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, data);
        for (byte, other) in self.0.iter_mut().zip(hash.as_ref()) {
            *byte ^= other;
        }
    }

    fn mix(&mut self, data: &[u8]) {
        self.xor(data);
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        self.0.copy_from_slice(&hash.as_ref()[..BYTES]);
    }

    fn mix_piece(&mut self, piece: Piece<'_>) {
        self.mix(piece.bytes(&mut itoa::Buffer::new()));
    }

    /// An element of two parts.
    fn of_pair(first: Piece<'_>, second: &[u8]) -> Digest {
        let mut of_pair = Digest::default();
        of_pair.mix_piece(first);
        of_pair.mix(second);
        of_pair
    }

    fn xor_pair(&mut self, first: Piece<'_>, second: &[u8]) {
        self.xor(&Digest::of_pair(first, second).0);
    }

    /// Redis's numbers of the types, as they stand in its digests.
    fn mix_type(&mut self, number: u32) {
        self.mix(&number.to_be_bytes());
    }

    /// Takes in a value, and whether it expires.
    fn take(&mut self, entry: Entry<'_>) {
        match entry.as_object() {
            None | Some(Object::Text(_)) => {
                self.mix_type(0);
                if let Some(text) = entry.as_text() {
                    self.mix(text.bytes(&mut itoa::Buffer::new()));
                }
            }
            Some(Object::List(list)) => {
                self.mix_type(1);
                list.iter().for_each(|element| self.mix_piece(element));
            }
            Some(Object::Set(set)) => {
                self.mix_type(2);
                for member in set.iter() {
                    self.xor(member.bytes(&mut itoa::Buffer::new()));
                }
            }
            Some(Object::SortedSet(set)) => {
                self.mix_type(3);
                for (member, score) in set.ascending(0..set.len()) {
                    self.xor_pair(member, double(score).as_bytes());
                }
            }
            Some(Object::Hash(hash)) => {
                self.mix_type(4);
                for (field, value) in hash.iter() {
                    self.xor_pair(field, value.bytes(&mut itoa::Buffer::new()));
                }
            }
        }
        if entry.deadline().is_some() {
            self.xor(b"!!expire!!");
        }
    }
}

impl Store {
    /// The digest of all keys of all databases: of none it is zero.
    pub fn digest(&self, now: u64) -> Digest {
        let mut all = Digest::default();
        let mut latest = None;
        let shards = self.databases.all_made();
        let held: Vec<_> = shards.map(|(_, shard)| shard.lock()).collect();
        for shard in &held {
            for entry in shard.iter().filter(|entry| !entry.is_expired(now)) {
                let mut of_key = Digest::default();
                of_key.mix(entry.key());
                of_key.take(entry);
                if latest.replace(shard.database()) != Some(shard.database()) {
                    all.mix(&shard.database().to_be_bytes());
                }
                all.xor(&of_key.0);
            }
        }
        all
    }

    /// The digest of one value of a database: where there is none it is zero.
    pub fn digest_of(&self, database: u32, now: u64, key: &[u8]) -> Digest {
        let mut of_value = Digest::default();
        if let Some(entry) = View::of_key(self, database, now, key).slot(key).peek() {
            of_value.take(entry);
        }
        of_value
    }
}
