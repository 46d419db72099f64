//! Hashes, points and owners against those of twemproxy itself.

use std::collections::HashMap;

use heeler_ring::{Continuum, Distribution, Hash, HashTag, Modula, Placement, Server, by_name};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<Key>,
    hash: HashMap<String, Vec<u32>>,
    ketama_points: HashMap<String, [u32; 4]>,
    pools: Vec<Pool>,
}

#[derive(Deserialize)]
struct Key {
    hex: String,
}

/// A pool and what twemproxy made of it. Only ketama has points, only modula a table.
#[derive(Deserialize)]
struct Pool {
    name: String,
    hash: String,
    distribution: String,
    hash_tag: Option<String>,
    servers: Vec<String>,
    ejected: Vec<usize>,
    sorted_names: Vec<String>,
    pick: Vec<usize>,
    npoints: Option<usize>,
    first_points: Option<Vec<(u32, usize)>>,
    last_point: Option<(u32, usize)>,
    points_per_server: Option<Vec<usize>>,
    ring_crc32: Option<u32>,
    table_len: Option<u64>,
}

#[test]
fn every_hash_of_every_key() {
    let Vectors { keys, hash, .. } = vectors();
    assert_eq!(hash.len(), Hash::ALL.len());
    for (name, values) in hash {
        let hash = Hash::from_name(&name).unwrap();
        assert_eq!(values.len(), keys.len());
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(
                hash.hash(&from_hex(&key.hex)),
                value,
                "{name} of {}",
                key.hex
            );
        }
    }
}

#[test]
fn ketama_points_are_the_words_of_md5() {
    for (label, points) in vectors().ketama_points {
        // The label is the name and the number of a digest, of which a server alone has 40.
        let (name, digest) = label.rsplit_once('-').unwrap();
        assert!(digest.parse::<u32>().unwrap() < 40);
        let alone = Continuum::build(&[Server::named(name, 1)], |_| true);
        let hashes: Vec<u32> = alone.points().map(|(hash, _)| hash).collect();
        for point in points {
            assert!(hashes.contains(&point), "{label}: {point}");
        }
    }
}

#[test]
fn every_pool_picks_as_twemproxy_does() {
    let Vectors { keys, pools, .. } = vectors();
    for pool in &pools {
        let servers = servers(pool);
        let placement = Placement::build(
            Distribution::from_name(&pool.distribution).unwrap(),
            Hash::from_name(&pool.hash).unwrap(),
            pool.hash_tag
                .as_deref()
                .map(|tag| HashTag::from_name(tag).unwrap()),
            &servers,
            |server| !pool.ejected.contains(&server),
        );
        assert_eq!(pool.pick.len(), keys.len());
        for (key, &owner) in keys.iter().zip(&pool.pick) {
            let picked = placement.pick(&from_hex(&key.hex), 0);
            assert_eq!(picked, Some(owner), "{}: key {}", pool.name, key.hex);
        }
    }
}

#[test]
fn every_pool_sorts_its_servers_as_twemproxy_does() {
    for pool in vectors().pools {
        let servers = servers(&pool);
        let names: Vec<_> = by_name(&servers)
            .into_iter()
            .map(|i| &servers[i].name)
            .collect();
        assert_eq!(names, Vec::from_iter(&pool.sorted_names), "{}", pool.name);
    }
}

#[test]
fn every_continuum_has_twemproxys_points() {
    let pools = vectors().pools;
    let ketama: Vec<_> = pools
        .iter()
        .filter(|pool| pool.distribution == "ketama")
        .collect();
    assert!(!ketama.is_empty());
    for pool in ketama {
        let servers = servers(pool);
        let continuum = Continuum::build(&servers, |server| !pool.ejected.contains(&server));
        let points: Vec<_> = continuum.points().collect();
        let name = &pool.name;
        assert_eq!(continuum.len(), pool.npoints.unwrap(), "{name}");
        let first = pool.first_points.as_deref().unwrap();
        assert_eq!(&points[..first.len()], first, "{name}");
        assert_eq!(points.last().copied(), pool.last_point, "{name}");
        let mut per_server = vec![0; servers.len()];
        points
            .iter()
            .for_each(|&(_, server)| per_server[server] += 1);
        assert_eq!(Some(per_server), pool.points_per_server, "{name}");
        assert_eq!(Some(ring_crc32(&points)), pool.ring_crc32, "{name}");
    }
}

#[test]
fn every_modula_table_is_as_long_as_twemproxys() {
    let pools = vectors().pools;
    let modula: Vec<_> = pools
        .iter()
        .filter(|pool| pool.distribution == "modula")
        .collect();
    assert!(!modula.is_empty());
    for pool in modula {
        let table = Modula::build(&servers(pool), |server| !pool.ejected.contains(&server));
        assert_eq!(Some(table.len()), pool.table_len, "{}", pool.name);
    }
}

#[test]
fn crc32_with_ketama_sends_every_key_to_one_server() {
    let pools = vectors().pools;
    let pool = pools
        .iter()
        .find(|pool| pool.name == "ten-ketama-crc32")
        .unwrap();
    assert!(pool.pick.iter().all(|&owner| owner == pool.pick[0]));
}

/// The checksum of a whole continuum: each point as two little-endian words, hash and server.
fn ring_crc32(points: &[(u32, usize)]) -> u32 {
    let words = points
        .iter()
        .flat_map(|&(hash, server)| [hash, server as u32]);
    Hash::Crc32a.hash(&words.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/twemproxy.json")).unwrap()
}

/// The servers of a pool, from lines as in a configuration: `host:port:weight [name]` or
/// `/path:weight [name]`.
fn servers(pool: &Pool) -> Vec<Server> {
    let server = |line: &String| {
        let (address, name) = match line.split_once(' ') {
            Some((address, name)) => (address, Some(name)),
            None => (line.as_str(), None),
        };
        let (address, weight) = address.rsplit_once(':').unwrap();
        let weight = weight.parse().unwrap();
        match (name, address.rsplit_once(':')) {
            (Some(name), _) => Server::named(name, weight),
            (None, Some((host, port))) => Server::tcp(host, port.parse().unwrap(), weight),
            (None, None) => Server::unix(address, weight),
        }
    };
    pool.servers.iter().map(server).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
