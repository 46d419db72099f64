//! Owners, successors and checksums against those of ringpop-node and ringpop-go.

use heeler_ring::{Member, Ring, RingHash};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<String>,
    clusters: Vec<Cluster>,
    membership_checksums: Vec<Membership>,
}

#[derive(Deserialize)]
struct Cluster {
    servers: Vec<String>,
    fingerprint32: Owners,
    hash32v1: Owners,
}

/// What a cluster looks like by one hash function; owners are positions in `servers`.
#[derive(Deserialize)]
struct Owners {
    ring_checksum: u32,
    owner: Vec<usize>,
    lookup_n: LookupN,
}

#[derive(Deserialize)]
struct LookupN {
    n: usize,
    keys: Vec<String>,
    owners: Vec<Vec<usize>>,
}

#[derive(Deserialize)]
struct Membership {
    members: Vec<String>,
    hash: String,
    node_form: u32,
    go_form: u32,
}

#[test]
fn every_cluster_agrees_about_owners_successors_and_checksum() {
    let Vectors { keys, clusters, .. } = vectors();
    for cluster in &clusters {
        for hash in RingHash::ALL {
            let expected = match hash {
                RingHash::Fingerprint32 => &cluster.fingerprint32,
                RingHash::Hash32V1 => &cluster.hash32v1,
            };
            let mut ring = Ring::new(hash);
            ring.update(cluster.servers.iter().map(Member::new), &[]);
            check(&ring, &cluster.servers, &keys, expected);
        }
    }
}

fn check(ring: &Ring, servers: &[String], keys: &[String], expected: &Owners) {
    let name = format!("{} servers, {}", servers.len(), ring.hash().name());
    assert_eq!(ring.checksum(), expected.ring_checksum, "{name}");
    assert_eq!(keys.len(), expected.owner.len());
    for (key, &owner) in keys.iter().zip(&expected.owner) {
        assert_eq!(
            ring.lookup(key.as_bytes()),
            Some(servers[owner].as_str()),
            "{name}: {key}"
        );
    }
    let LookupN { n, keys, owners } = &expected.lookup_n;
    assert_eq!(keys.len(), owners.len());
    for (key, owners) in keys.iter().zip(owners) {
        let owners: Vec<_> = owners
            .iter()
            .map(|&owner| servers[owner].as_str())
            .collect();
        assert_eq!(ring.lookup_n(key.as_bytes(), *n), owners, "{name}: {key}");
    }
}

#[test]
fn membership_checksums_are_hashes_of_the_members_in_order() {
    for Membership {
        mut members,
        hash,
        node_form,
        go_form,
    } in vectors().membership_checksums
    {
        let hash = RingHash::from_name(&hash).unwrap();
        members.sort();
        let joined = members.join(";");
        assert_eq!(
            hash.hash(joined.as_bytes()),
            node_form,
            "node, {}",
            hash.name()
        );
        let closed = joined + ";";
        assert_eq!(hash.hash(closed.as_bytes()), go_form, "go, {}", hash.name());
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/ringpop.json")).unwrap()
}
