//! What holds of every ring and every pool, whatever its members.

use std::collections::BTreeMap;

use heeler_ring::slots::{self, crc16};
use heeler_ring::{
    Distribution, Hash, HashTag, Member, Placement, Ring, RingHash, Server, fingerprint32,
    fingerprint64, hash32v1,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

/// Addresses of which some share points: `:2100` and `11` read like `:21001` and `1`.
fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["h:2100", "h:21001", "h:210", "h:2", "h:21", "g:21"])
            .prop_map(String::from),
        (0u8..40).prop_map(|n| format!("10.0.0.{n}:3000")),
    ]
}

fn identity() -> impl Strategy<Value = Option<String>> {
    prop::option::weighted(0.3, (0u8..20).prop_map(|n| format!("id{n}")))
}

/// A cluster: addresses, with an identity or none.
fn cluster(
    size: std::ops::Range<usize>,
) -> impl Strategy<Value = BTreeMap<String, Option<String>>> {
    btree_map(address(), identity(), size)
}

fn hash() -> impl Strategy<Value = RingHash> {
    prop::sample::select(RingHash::ALL.to_vec())
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z0-9:{}]{0,20}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40)
    ]
}

fn member((address, identity): (&String, &Option<String>)) -> Member {
    match identity {
        Some(identity) => Member::with_identity(address, identity),
        None => Member::new(address),
    }
}

fn ring(hash: RingHash, members: &BTreeMap<String, Option<String>>) -> Ring {
    let mut ring = Ring::new(hash);
    ring.update(members.iter().map(member), &[]);
    ring
}

/// Hashes at which owners can change: each point, its neighbours, and both ends of the circle.
fn edges(rings: [&Ring; 2]) -> Vec<u32> {
    let points = rings
        .into_iter()
        .flat_map(|ring| ring.points().map(|(hash, _)| hash));
    let near = |hash: u32| [hash.wrapping_sub(1), hash, hash.wrapping_add(1)];
    points.chain([0, u32::MAX]).flat_map(near).collect()
}

fn owner(ring: &Ring, hash: u32) -> Option<&str> {
    ring.lookup_hash(hash)
        .map(|member| ring.members()[member].address())
}

/// Ringpop's rule, word for word: the smallest (hash, address) at or after the key's hash, or of
/// all points if there is none.
fn naive_owner<'m>(
    hash: RingHash,
    members: &'m BTreeMap<String, Option<String>>,
    key: &[u8],
) -> Option<&'m str> {
    let mut points = Vec::new();
    for (address, identity) in members {
        for i in 0..100 {
            let label = match identity {
                Some(identity) => format!("{identity}#{i}"),
                None => format!("{address}{i}"),
            };
            points.push((hash.hash(label.as_bytes()), address.as_str(), i));
        }
    }
    let at_or_after = points
        .iter()
        .filter(|point| point.0 >= hash.hash(key))
        .min();
    at_or_after.or(points.iter().min()).map(|point| point.1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn owners_agree_with_a_linear_scan(
        hash in hash(), members in cluster(0..12), keys in vec(key(), 1..20),
    ) {
        let ring = ring(hash, &members);
        for key in keys {
            prop_assert_eq!(ring.lookup(&key), naive_owner(hash, &members, &key));
        }
    }

    #[test]
    fn updates_one_by_one_give_the_ring_built_at_once(
        hash in hash(),
        steps in vec((cluster(0..5), btree_set(address(), 0..4)), 1..8),
    ) {
        let mut grown = Ring::new(hash);
        let mut members = BTreeMap::new();
        for (add, remove) in &steps {
            let before = members.clone();
            let removed: Vec<&str> = remove.iter().map(String::as_str).collect();
            let change = grown.update(add.iter().map(member), &removed);
            members.retain(|address, _| !remove.contains(address) || add.contains_key(address));
            members.extend(add.clone());
            let added = members.keys().filter(|&address| !before.contains_key(address));
            prop_assert_eq!(change.added, added.cloned().collect::<Vec<_>>());
            let removed = before.keys().filter(|&address| !members.contains_key(address));
            prop_assert_eq!(change.removed, removed.cloned().collect::<Vec<_>>());
            let updated = before.iter().filter(|&(address, identity)| {
                members.get(address).is_some_and(|new| new != identity)
            });
            let updated: Vec<_> = updated.map(|(address, _)| address.clone()).collect();
            prop_assert_eq!(change.updated, updated);
        }
        let built = ring(hash, &members);
        prop_assert_eq!(grown.members(), built.members());
        prop_assert!(grown.points().eq(built.points()));
        prop_assert_eq!(grown.checksum(), built.checksum());
        prop_assert_eq!(grown.identity_checksum(), built.identity_checksum());
        prop_assert_eq!(grown.replica_checksum(), built.replica_checksum());
        for hash in edges([&grown, &built]) {
            prop_assert_eq!(grown.lookup_hash(hash), built.lookup_hash(hash));
        }
    }

    #[test]
    fn a_new_member_takes_keys_only_for_itself(
        hash in hash(), mut members in cluster(1..12), new in address(),
    ) {
        members.remove(&new);
        let before = ring(hash, &members);
        let mut after = before.clone();
        prop_assert!(after.add(Member::new(&new)));
        for hash in edges([&before, &after]) {
            let moved = owner(&before, hash) != owner(&after, hash);
            prop_assert!(!moved || owner(&after, hash) == Some(&new), "hash {}", hash);
        }
        // And when it leaves, everything is as it was.
        prop_assert!(after.remove(&new));
        prop_assert!(after.points().eq(before.points()));
    }

    #[test]
    fn a_lost_member_moves_its_own_keys_only_and_to_their_successors(
        hash in hash(), members in cluster(2..12), which in any::<prop::sample::Index>(),
        keys in vec(key(), 1..50),
    ) {
        let before = ring(hash, &members);
        let gone = before.members()[which.index(before.len())].address().to_owned();
        let mut after = before.clone();
        prop_assert!(after.remove(&gone));
        for hash in edges([&before, &after]) {
            let was = owner(&before, hash);
            prop_assert!(was == Some(&gone) || was == owner(&after, hash), "hash {}", hash);
        }
        for key in keys {
            let mut heirs = before.lookup_n(&key, before.len());
            heirs.retain(|&heir| heir != gone);
            prop_assert_eq!(after.lookup_n(&key, after.len()), heirs);
        }
    }

    #[test]
    fn successors_are_distinct_and_start_with_the_owner(
        hash in hash(), members in cluster(0..12), key in key(), n in 0usize..15,
    ) {
        let ring = ring(hash, &members);
        let owners = ring.lookup_n(&key, n);
        prop_assert_eq!(owners.len(), n.min(ring.len()));
        prop_assert!(n == 0 || owners.first().copied() == ring.lookup(&key));
        let mut distinct = owners.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), owners.len());
    }

    #[test]
    fn every_member_owns_a_fair_share_of_the_circle(hash in hash(), nodes in 2u32..60, port: u16) {
        let mut ring = Ring::new(hash);
        ring.update((0..nodes).map(|n| Member::new(format!("10.1.{n}.7:{port}"))), &[]);
        let mut shares = vec![0u64; ring.len()];
        let points: Vec<_> = ring.points().collect();
        for pair in points.windows(2) {
            shares[pair[1].1] += u64::from(pair[1].0 - pair[0].0);
        }
        // With 100 points the standard deviation is a tenth of the mean.
        let mean = (1u64 << 32) / u64::from(nodes);
        for share in shares {
            prop_assert!(share > mean / 2 && share < mean * 2, "{} of {}", share, mean);
        }
    }

    #[test]
    fn an_ejected_server_moves_its_own_keys_only(
        n in 2usize..12, ejected in any::<prop::sample::Index>(), keys in vec(key(), 1..100),
    ) {
        let servers: Vec<_> = (0..n).map(|i| Server::named(format!("node{i}"), 1)).collect();
        let ejected = ejected.index(n);
        let build = |live: &dyn Fn(usize) -> bool| {
            Placement::build(Distribution::Ketama, Hash::Murmur, None, &servers, live)
        };
        let (all, without) = (build(&|_| true), build(&|server| server != ejected));
        for key in keys {
            let (before, after) = (all.pick(&key, 0), without.pick(&key, 0));
            prop_assert!(after != Some(ejected));
            prop_assert!(before == Some(ejected) || before == after);
        }
    }

    #[test]
    fn the_order_in_which_servers_are_listed_does_not_matter(
        names in btree_set("[a-z]{1,3}", 1..12), weight in 1u32..5, keys in vec(key(), 1..50),
        hash in prop::sample::select(Hash::ALL.to_vec()),
    ) {
        let listed: Vec<_> = names.iter().map(|name| Server::named(name, weight)).collect();
        let backwards: Vec<_> = listed.iter().rev().cloned().collect();
        for distribution in Distribution::ALL {
            let forth = Placement::build(distribution, hash, None, &listed, |_| true);
            let back = Placement::build(distribution, hash, None, &backwards, |_| true);
            for (random, key) in (0..).zip(&keys) {
                let (forth, back) = (forth.pick(key, random), back.pick(key, random));
                prop_assert_eq!(forth.map(|i| &listed[i]), back.map(|i| &backwards[i]));
            }
        }
    }

    #[test]
    fn a_tagged_key_lives_with_its_tag(
        before in "[a-z]{0,5}", tag in "[a-z{]{1,8}", after in "[a-z{}]{0,8}",
    ) {
        let key = format!("{before}{{{tag}}}{after}");
        prop_assert_eq!(HashTag::BRACES.of(key.as_bytes()), tag.as_bytes());
        prop_assert_eq!(slots::redis_slot(key.as_bytes()), crc16(tag.as_bytes()) % slots::SLOTS);
        let servers: Vec<_> = (0..7).map(|i| Server::named(format!("s{i}"), 1)).collect();
        let build = |tag| {
            Placement::build(Distribution::Ketama, Hash::Fnv1a64, tag, &servers, |_| true)
        };
        let (tagged, plain) = (build(Some(HashTag::BRACES)), build(None));
        prop_assert_eq!(tagged.pick(key.as_bytes(), 0), plain.pick(tag.as_bytes(), 0));
    }
}

proptest! {
    #[test]
    fn the_tag_agrees_with_a_search_of_all_pairs(
        key in vec(prop::sample::select(b"{}$ab".to_vec()), 0..12),
        open in prop::sample::select(b"{$".to_vec()), close in prop::sample::select(b"}$".to_vec()),
    ) {
        // Of all pairs of delimiters, the first opening one and the first closing one after it.
        let pairs = (0..key.len()).flat_map(|i| (i + 1..key.len()).map(move |j| (i, j)));
        let first_open = key.iter().position(|&byte| byte == open);
        let pair = pairs
            .filter(|&(i, j)| Some(i) == first_open && key[j] == close)
            .min();
        let expected = match pair {
            Some((i, j)) if j - i > 1 => &key[i + 1..j],
            _ => &key[..],
        };
        prop_assert_eq!(HashTag(open, close).of(&key), expected);
    }

    #[test]
    fn functions_of_one_family_agree_where_they_should(bytes in vec(any::<u8>(), 0..600)) {
        let crc32 = Hash::Crc32a.hash(&bytes);
        prop_assert_eq!(Hash::Crc32.hash(&bytes), crc32 >> 16 & 0x7fff);
        prop_assert_eq!(Hash::Crc16.hash(&bytes) as u16, crc16(&bytes));
        let ascii: Vec<u8> = bytes.iter().map(|byte| byte & 0x7f).collect();
        let fnv1a = ascii.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        prop_assert_eq!(Hash::Fnv1a64.hash(&ascii), fnv1a as u32);
    }

    #[test]
    fn every_function_takes_any_bytes_and_sees_every_one(
        bytes in vec(any::<u8>(), 1..600), at in any::<prop::sample::Index>(),
    ) {
        let mut other = bytes.clone();
        other[at.index(bytes.len())] ^= 1;
        prop_assert_ne!(fingerprint64(&bytes), fingerprint64(&other));
        // A collision of 32 bits is no fault, one of both functions at once would be.
        let both = |bytes: &[u8]| (fingerprint32(bytes), hash32v1(bytes));
        prop_assert_ne!(both(&bytes), both(&other));
        let all = |bytes: &[u8]| Hash::ALL.map(|hash| hash.hash(bytes));
        prop_assert_ne!(all(&bytes), all(&other));
    }
}
