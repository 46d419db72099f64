//! The servers of a pool and their names.

/// A server of a pool, as far as placement goes: its identity and its share.
///
/// The name is the identity. Two pools place a key alike if names and weights are alike, whatever
/// the order in which servers are listed; and an address can change behind an explicit name
/// without moving a single key. The constructors know the rules by which twemproxy names servers
/// that have no explicit name:
///
/// ```
/// use heeler_ring::Server;
///
/// assert_eq!(Server::named("server1", 1).name, "server1");
/// assert_eq!(Server::tcp("10.0.0.1", 6379, 1).name, "10.0.0.1:6379");
/// assert_eq!(Server::tcp("10.0.0.1", 11211, 1).name, "10.0.0.1"); // as in libmemcached
/// assert_eq!(Server::unix("/run/redis.sock", 1).name, "/run/redis.sock:"); // note the colon
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// What is hashed, and sorted by. Names within a pool should differ.
    pub name: String,
    /// The server's share, relative to the other weights. A server of weight 0 gets no keys.
    pub weight: u32,
}

impl Server {
    /// A server with an explicit name.
    pub fn named(name: impl Into<String>, weight: u32) -> Server {
        Server {
            name: name.into(),
            weight,
        }
    }

    /// A server that is named by its address: `host:port`, or only `host` if the port is 11211,
    /// memcached's.
    pub fn tcp(host: &str, port: u16, weight: u32) -> Server {
        match port {
            11211 => Server::named(host, weight),
            _ => Server::named(format!("{host}:{port}"), weight),
        }
    }

    /// A server that is named by its Unix socket: the path and a colon.
    pub fn unix(path: &str, weight: u32) -> Server {
        Server::named(format!("{path}:"), weight)
    }
}

/// The order in which twemproxy numbers servers, as indices into `servers`: by the length of the
/// name, then by its bytes. So `server9` comes before `server10`.
///
/// ```
/// use heeler_ring::{Server, by_name};
///
/// let servers = ["server10", "server9", "b"].map(|name| Server::named(name, 1));
/// assert_eq!(by_name(&servers), [2, 1, 0]);
/// ```
pub fn by_name(servers: &[Server]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.sort_by_key(|&i| (servers[i].name.len(), servers[i].name.as_bytes()));
    order
}

/// The servers that can get keys, in the order of [`by_name`]: live ones with a weight.
pub(crate) fn live_by_name(servers: &[Server], live: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut order = by_name(servers);
    order.retain(|&i| servers[i].weight > 0 && live(i));
    order
}
