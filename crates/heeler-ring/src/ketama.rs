//! Ketama: consistent hashing as libmemcached and twemproxy do it.

use crate::hash::md5_words;
use crate::points::{Points, hash_of, owner_of, point};
use crate::server::{Server, live_by_name};

/// A ketama continuum: the points of a pool's live servers.
///
/// Every server has points in proportion to its weight, about 160 for each server of the pool on
/// average, at the words of `md5("name-0")`, `md5("name-1")` and so on. A key belongs to the
/// server of the first point at or after its hash. The number of points is computed in 32-bit
/// floating point as twemproxy does, rounding errors included: 25 servers of equal weight have 156
/// points each, not 160.
///
/// ```
/// use heeler_ring::{Continuum, Hash, Server};
///
/// let servers = ["server1", "server2", "server3"].map(|name| Server::named(name, 1));
/// let continuum = Continuum::build(&servers, |_| true);
/// assert_eq!(continuum.len(), 480);
/// let owner = continuum.pick(Hash::Fnv1a64.of_key(b"bar"));
/// assert_eq!(owner, Some(1)); // server2
/// ```
#[derive(Debug, Clone)]
pub struct Continuum {
    points: Points,
}

impl Continuum {
    /// Builds the continuum of the servers for whose index `live` is true. The others take part
    /// in nothing, as if they were not listed.
    pub fn build(servers: &[Server], live: impl Fn(usize) -> bool) -> Continuum {
        let order = live_by_name(servers, live);
        let total: u64 = order.iter().map(|&i| u64::from(servers[i].weight)).sum();
        let mut points = Vec::new();
        for (rank, &server) in order.iter().enumerate() {
            let Server { name, weight } = &servers[server];
            for i in 0..digests(*weight, total, order.len()) {
                let hashes = md5_words(&label(name, i));
                points.extend(hashes.map(|hash| point(hash, rank as u32)));
            }
        }
        // Points with one hash stand in the order of the names, so ranks are sorted by, and only
        // then replaced by the indices that callers know.
        points.sort_unstable();
        for entry in &mut points {
            let server = order[owner_of(*entry) as usize];
            *entry = point(hash_of(*entry), server as u32);
        }
        Continuum {
            points: Points::new(points),
        }
    }

    /// The index of the server that owns a hash. `None` if no server is live.
    #[inline]
    pub fn pick(&self, hash: u32) -> Option<usize> {
        self.points.owner(hash).map(|server| server as usize)
    }

    /// The point that a hash comes to: the first at or after it, or else the first of all.
    pub fn point(&self, hash: u32) -> Option<u32> {
        self.points.from(hash).next().map(hash_of)
    }

    /// The points in ascending order: hash, and index of the server.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u32, usize)> {
        let points = self.points.as_slice().iter();
        points.map(|&point| (hash_of(point), owner_of(point) as usize))
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.points.as_slice().len()
    }

    /// Whether there are no points, because no server is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many points a server has on average.
const POINTS_PER_SERVER: f32 = 160.0;

/// An MD5 digest gives four points.
const POINTS_PER_DIGEST: f32 = 4.0;

/// twemproxy writes the text to be hashed into a buffer of 273 bytes, with a zero at its end.
const MAX_LABEL: usize = 272;

/// How many digests a server contributes: twemproxy's expression, in its order and in its 32-bit
/// floats, because its rounding decides.
fn digests(weight: u32, total: u64, live: usize) -> u32 {
    let share = weight as f32 / total as f32;
    let exact = share * POINTS_PER_SERVER / POINTS_PER_DIGEST * live as f32;
    (f64::from(exact) + 1e-10) as f32 as u32
}

/// The text of a server's digest number `i`.
fn label(name: &str, i: u32) -> Vec<u8> {
    let mut label = format!("{name}-{i}").into_bytes();
    label.truncate(MAX_LABEL);
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_round_down_at_some_sizes() {
        let exact = |live: usize| 4 * digests(1, live as u64, live);
        for live in [25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110] {
            assert_eq!(exact(live), 156, "{live} servers");
        }
        for live in [1, 2, 3, 4, 5, 10, 24, 26, 46, 48, 99, 101] {
            assert_eq!(exact(live), 160, "{live} servers");
        }
    }

    #[test]
    fn a_tiny_weight_gets_no_points_and_a_huge_one_is_bounded() {
        assert_eq!(digests(100_000, 100_001, 2), 79);
        assert_eq!(digests(1, 100_001, 2), 0);
        assert_eq!(digests(u32::MAX, u64::from(u32::MAX) * 2, 2), 40);
    }

    #[test]
    fn a_long_name_is_cut_as_in_twemproxys_buffer() {
        assert_eq!(label("a", 39), b"a-39");
        assert_eq!(label(&"x".repeat(270), 7).len(), 272);
        assert_eq!(label(&"x".repeat(300), 7), "x".repeat(272).as_bytes());
    }

    #[test]
    fn without_live_servers_nobody_owns_a_hash() {
        let servers = [Server::named("a", 1), Server::named("b", 0)];
        let continuum = Continuum::build(&servers, |i| i == 1);
        assert!(continuum.is_empty());
        assert_eq!(continuum.pick(0), None);
        assert_eq!(Continuum::build(&[], |_| true).pick(7), None);
    }
}
