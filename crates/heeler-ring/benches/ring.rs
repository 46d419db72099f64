//! What a lookup and a change of the ring cost.
//!
//! `cargo bench -p heeler-ring` reports elements per second; an element is one key, hashed and
//! looked up. The keys are distinct, 12 bytes long and in no order that a branch predictor or a
//! cache could learn. Each `binary search` is the naive twin: the same hash, then a binary search.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use heeler_ring::{Continuum, Distribution, Hash, Member, Placement, Ring, RingHash, Server};

const KEYS: u64 = 1 << 16;

criterion_group!(benches, ring_lookups, pool_lookups, ring_changes);
criterion_main!(benches);

fn ring_lookups(criterion: &mut Criterion) {
    let keys = keys();
    let mut group = criterion.benchmark_group("ring of 100 members");
    group.throughput(Throughput::Elements(KEYS));
    for hash in RingHash::ALL {
        let ring = ring(hash);
        group.bench_function(format!("{} only", hash.name()), |bench| {
            bench.iter(|| each(&keys).fold(0, |sum, key| sum ^ hash.hash(key)))
        });
        group.bench_function(hash.name(), |bench| {
            bench.iter(|| count(&keys, |key| black_box(&ring).lookup_index(key)))
        });
        let twin = Twin::new(ring.points());
        group.bench_function(format!("{}, binary search", hash.name()), |bench| {
            bench.iter(|| count(&keys, |key| black_box(&twin).owner(hash.hash(key))))
        });
    }
    let ring = ring(RingHash::Fingerprint32);
    let mut owners = Vec::new();
    group.bench_function("fingerprint32, owner and two successors", |bench| {
        bench.iter(|| {
            count(&keys, |key| {
                black_box(&ring).lookup_n_into(key, 3, &mut owners);
                owners.last().copied()
            })
        })
    });
    group.finish();
}

fn pool_lookups(criterion: &mut Criterion) {
    let keys = keys();
    let servers: Vec<_> = (0..10)
        .map(|i| Server::tcp("10.0.0.1", 6379 + i, 1))
        .collect();
    let mut group = criterion.benchmark_group("pool of 10 servers");
    group.throughput(Throughput::Elements(KEYS));
    for hash in [Hash::Fnv1a64, Hash::Murmur, Hash::Md5] {
        for distribution in [Distribution::Ketama, Distribution::Modula] {
            let placement = Placement::build(distribution, hash, None, &servers, |_| true);
            group.bench_function(
                format!("{}, {}", distribution.name(), hash.name()),
                |bench| bench.iter(|| count(&keys, |key| black_box(&placement).pick(key, 0))),
            );
        }
        let twin = Twin::new(Continuum::build(&servers, |_| true).points());
        group.bench_function(format!("ketama, {}, binary search", hash.name()), |bench| {
            bench.iter(|| count(&keys, |key| black_box(&twin).owner(hash.of_key(key))))
        });
    }
    group.finish();
}

fn ring_changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring of 100 members, changed");
    let mut ring = ring(RingHash::Fingerprint32);
    group.bench_function("add and remove a member", |bench| {
        bench.iter(|| {
            let added = ring.add(Member::new("10.0.1.1:3000"));
            added && ring.remove("10.0.1.1:3000")
        })
    });
    group.bench_function("build from scratch", |bench| {
        bench.iter(|| {
            let mut fresh = Ring::new(RingHash::Fingerprint32);
            fresh.update(ring.members().to_vec(), &[]);
            fresh
        })
    });
    group.finish();
}

/// The sum of all owners, so that no lookup can be left out.
fn count(keys: &[u8], owner: impl FnMut(&[u8]) -> Option<usize>) -> usize {
    each(keys).filter_map(owner).sum()
}

fn ring(hash: RingHash) -> Ring {
    let mut ring = Ring::new(hash);
    ring.update(
        (0..100).map(|i| Member::new(format!("10.0.0.{i}:3000"))),
        &[],
    );
    ring
}

/// Distinct keys, one after the other: a counter in disguise (multiplication by an odd number
/// loses none).
fn keys() -> Vec<u8> {
    let key = |i: u64| format!("{:012x}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16);
    (1..=KEYS).flat_map(|i| key(i).into_bytes()).collect()
}

/// The keys, of a length that the compiler does not know.
fn each(keys: &[u8]) -> impl Iterator<Item = &[u8]> {
    keys.chunks_exact(black_box(12))
}

/// A ring as one would write it first: sorted pairs and a binary search.
struct Twin(Vec<(u32, u32)>);

impl Twin {
    fn new(points: impl Iterator<Item = (u32, usize)>) -> Twin {
        Twin(points.map(|(hash, owner)| (hash, owner as u32)).collect())
    }

    fn owner(&self, hash: u32) -> Option<usize> {
        let at = self.0.partition_point(|&(point, _)| point < hash);
        self.0
            .get(at)
            .or(self.0.first())
            .map(|&(_, owner)| owner as usize)
    }
}
