//! Which server of a pool owns a key: twemproxy's distributions, with hash, tag and ejection.

use crate::hash::Hash;
use crate::ketama::Continuum;
use crate::modula::Modula;
use crate::server::{Server, live_by_name};
use crate::tag::HashTag;

/// How a pool's keys are distributed over its servers (`distribution:` in its configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Distribution {
    /// Consistent hashing on a [`Continuum`]. twemproxy's default.
    #[default]
    Ketama,
    /// The hash modulo the sum of the weights, see [`Modula`].
    Modula,
    /// Any live server, whatever the key and the weights.
    Random,
}

impl Distribution {
    /// All three.
    pub const ALL: [Distribution; 3] = [
        Distribution::Ketama,
        Distribution::Modula,
        Distribution::Random,
    ];

    /// The distribution of this name in a twemproxy configuration. Names are case-sensitive.
    pub fn from_name(name: &str) -> Option<Distribution> {
        Distribution::ALL
            .into_iter()
            .find(|distribution| distribution.name() == name)
    }

    /// The name in a twemproxy configuration.
    pub fn name(self) -> &'static str {
        match self {
            Distribution::Ketama => "ketama",
            Distribution::Modula => "modula",
            Distribution::Random => "random",
        }
    }
}

/// The answer to "which server of this pool owns this key?", for one set of live servers.
///
/// It is immutable: when a server is ejected or comes back, build another and put it in its place.
///
/// ```
/// use heeler_ring::{Distribution, Hash, HashTag, Placement, Server};
///
/// let servers = ["server1", "server2", "server3"].map(|name| Server::named(name, 1));
/// let place = |live: fn(usize) -> bool| {
///     let tag = Some(HashTag::BRACES);
///     Placement::build(Distribution::Ketama, Hash::Fnv1a64, tag, &servers, live)
/// };
/// let all = place(|_| true);
/// assert_eq!(all.pick(b"bar", 0), Some(1));
/// assert_eq!(all.pick(b"{bar}:baz", 0), Some(1));
///
/// // Without server2, its keys go elsewhere and all others stay.
/// let without = place(|server| server != 1);
/// assert_ne!(without.pick(b"bar", 0), Some(1));
/// assert_eq!(without.pick(b"foo", 0), all.pick(b"foo", 0));
/// ```
#[derive(Debug, Clone)]
pub struct Placement {
    hash: Hash,
    tag: Option<HashTag>,
    table: Table,
}

/// How a key came to its server: see [`Placement::explain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps<'k> {
    /// The part of the key that is hashed.
    pub hashed: &'k [u8],
    /// Its hash. `None` if nothing is hashed: there is one live server, or any will do.
    pub hash: Option<u32>,
    /// Under ketama the server's point that the hash came to; under modula the hash's remainder.
    pub point: Option<u64>,
    /// The index of the server.
    pub server: usize,
}

#[derive(Debug, Clone)]
enum Table {
    /// The one live server, if any: there is nothing to hash.
    AtMostOne(Option<usize>),
    Ketama(Continuum),
    Modula(Modula),
    Random(Vec<usize>),
}

impl Placement {
    /// Builds the placement of the servers for whose index `live` is true. Indices are always
    /// those of `servers`, in the order in which it lists them.
    pub fn build(
        distribution: Distribution,
        hash: Hash,
        tag: Option<HashTag>,
        servers: &[Server],
        live: impl Fn(usize) -> bool,
    ) -> Placement {
        let order = live_by_name(servers, &live);
        let table = match (order.as_slice(), distribution) {
            ([], _) => Table::AtMostOne(None),
            ([only], _) => Table::AtMostOne(Some(*only)),
            (_, Distribution::Ketama) => Table::Ketama(Continuum::build(servers, live)),
            (_, Distribution::Modula) => Table::Modula(Modula::build(servers, live)),
            (_, Distribution::Random) => Table::Random(order),
        };
        Placement { hash, tag, table }
    }

    /// The index of the server that owns `key`, or `None` if no server is live.
    ///
    /// `random` is any random number. It decides under [`Distribution::Random`] and is ignored
    /// otherwise.
    #[inline]
    pub fn pick(&self, key: &[u8], random: u64) -> Option<usize> {
        match &self.table {
            Table::AtMostOne(server) => *server,
            Table::Ketama(continuum) => continuum.pick(self.hash_of(key)),
            Table::Modula(table) => table.pick(self.hash_of(key)),
            Table::Random(live) => Some(live[(random % live.len() as u64) as usize]),
        }
    }

    /// How `key` comes to its server, for people to read. `None` if no server is live.
    ///
    /// ```
    /// use heeler_ring::{Distribution, Hash, HashTag, Placement, Server};
    ///
    /// let servers = ["server1", "server2"].map(|name| Server::named(name, 1));
    /// let tag = Some(HashTag::BRACES);
    /// let placement =
    ///     Placement::build(Distribution::Ketama, Hash::Fnv1a64, tag, &servers, |_| true);
    /// let steps = placement.explain(b"user:{7}:name", 0).unwrap();
    /// assert_eq!(steps.hashed, b"7");
    /// assert_eq!(steps.hash, Some(Hash::Fnv1a64.of_key(b"7")));
    /// assert_eq!(Some(steps.server), placement.pick(b"user:{7}:name", 0));
    /// ```
    pub fn explain<'k>(&self, key: &'k [u8], random: u64) -> Option<Steps<'k>> {
        let hashed = self.tag.map_or(key, |tag| tag.of(key));
        let hash = self.hash_of(key);
        let (hash, point) = match &self.table {
            Table::AtMostOne(_) | Table::Random(_) => (None, None),
            Table::Ketama(continuum) => (Some(hash), continuum.point(hash).map(u64::from)),
            Table::Modula(table) => (Some(hash), table.slot(hash)),
        };
        let server = self.pick(key, random)?;
        Some(Steps {
            hashed,
            hash,
            point,
            server,
        })
    }

    #[inline]
    fn hash_of(&self, key: &[u8]) -> u32 {
        let hashed = self.tag.map_or(key, |tag| tag.of(key));
        self.hash.of_key(hashed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> Vec<Server> {
        names.iter().map(|&name| Server::named(name, 1)).collect()
    }

    fn build(
        distribution: Distribution,
        servers: &[Server],
        live: impl Fn(usize) -> bool,
    ) -> Placement {
        Placement::build(distribution, Hash::Fnv1a64, None, servers, live)
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        let names = Distribution::ALL.map(Distribution::name);
        assert_eq!(names, ["ketama", "modula", "random"]);
        for distribution in Distribution::ALL {
            assert_eq!(
                Distribution::from_name(distribution.name()),
                Some(distribution)
            );
        }
        assert_eq!(Distribution::from_name("Ketama"), None);
    }

    #[test]
    fn without_live_servers_there_is_no_owner() {
        let servers = servers(&["a", "b"]);
        for distribution in Distribution::ALL {
            assert_eq!(
                build(distribution, &servers, |_| false).pick(b"key", 1),
                None
            );
            assert_eq!(build(distribution, &[], |_| true).pick(b"key", 1), None);
        }
    }

    #[test]
    fn a_single_live_server_gets_every_key() {
        let servers = servers(&["a", "b", "c"]);
        for distribution in Distribution::ALL {
            let placement = build(distribution, &servers, |server| server == 2);
            for key in ["", "a", "b", "c", "key:1"] {
                assert_eq!(placement.pick(key.as_bytes(), 5), Some(2));
            }
        }
    }

    #[test]
    fn random_takes_live_servers_in_the_order_of_their_names() {
        let mut servers = servers(&["server10", "server9", "b", "dead"]);
        servers[0].weight = 50;
        let placement = build(Distribution::Random, &servers, |server| server != 3);
        let picks: Vec<_> = (0..6)
            .map(|random| placement.pick(b"k", random).unwrap())
            .collect();
        assert_eq!(picks, [2, 1, 0, 2, 1, 0]);
        assert!(placement.pick(b"k", u64::MAX).is_some());
    }

    #[test]
    fn an_empty_key_is_placed_by_hash_zero() {
        let servers = servers(&["server1", "server2", "server3"]);
        for hash in Hash::ALL {
            let placement = Placement::build(Distribution::Modula, hash, None, &servers, |_| true);
            assert_eq!(placement.pick(b"", 0), Some(0));
        }
    }
}
