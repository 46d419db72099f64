//! Calls in flight by their id.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// A map from ids to calls. Ids are mostly consecutive numbers, so that a multiplication hashes
/// them well enough; its factor is the connection's own, and how many there are is bounded.
#[derive(Debug)]
pub(super) struct Calls<T>(HashMap<u32, T, Factor>);

impl<T> Calls<T> {
    pub(super) fn new(seed: u64) -> Self {
        Calls(HashMap::with_hasher(Factor(
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        )))
    }

    pub(super) fn insert(&mut self, id: u32, call: T) {
        self.0.insert(id, call);
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<T> {
        self.0.remove(&id)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.0.get_mut(&id)
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.0.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.0.iter().map(|(id, call)| (*id, call))
    }
}

#[derive(Clone, Copy, Debug)]
struct Factor(u64);

impl BuildHasher for Factor {
    type Hasher = Product;

    fn build_hasher(&self) -> Product {
        Product {
            factor: self.0,
            product: 0,
        }
    }
}

struct Product {
    factor: u64,
    product: u64,
}

impl Hasher for Product {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte) ^ self.product as u32);
        }
    }

    fn write_u32(&mut self, id: u32) {
        let product = u128::from(self.factor) * u128::from(u64::from(id) + 1);
        // The high half has what the low bits of the low half lack.
        self.product = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.product
    }
}
