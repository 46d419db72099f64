//! Where a command goes. Decided here, once, and nowhere else. Pure.

mod gather;
pub mod memcached;
mod ring;
pub mod scan;

pub use gather::{Gather, Merge};
pub use ring::{Nodes, PARTITIONS, Terms};

use crate::command::{Command, Flags, Keys, Reply, Room, Spec, Split};
use crate::wire::resp;

/// Who answers for which key.
#[derive(Clone, Debug)]
pub enum Placement {
    /// This process holds every key.
    Node,
    /// The servers of a pool share them.
    Pool(Herd),
}

/// The live servers of a pool, and which of them owns which key.
#[derive(Clone, Debug)]
pub struct Herd {
    /// The owner of each key among the live servers.
    pub owners: heeler_ring::Placement,
    /// The servers that are live, by their place in the pool.
    pub live: Vec<usize>,
    /// The order in which SCAN visits them.
    pub scan: scan::Order,
    /// A command whose keys lie on different servers goes to that of its first key, as nutcracker
    /// does it, though the answer may be wrong. Otherwise it is refused.
    pub by_first_key: bool,
}

/// Who executes a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// This node's memory.
    Store,
    /// A server of the pool, or another node of the ring, by its place there.
    Server(usize),
}

/// Who shares the keys, whoever they are.
struct Shares<'a> {
    owners: Owners<'a>,
    live: &'a [usize],
    scan: &'a scan::Order,
    by_first_key: bool,
}

/// How the owner of a key is found.
#[derive(Clone, Copy)]
enum Owners<'a> {
    Pool(&'a heeler_ring::Placement),
    Ring(&'a Nodes),
}

/// The way of one command.
#[derive(Debug)]
pub enum Route {
    /// Answered by the connection's session or by the process.
    Here,
    /// All of it to one place.
    To(Destination),
    /// In parts, whose replies are gathered.
    Parts(Vec<Part>, Gather),
    /// Nowhere: this is the answer.
    Refused(Reply),
}

/// One server's share of a command.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Who executes it.
    pub to: Destination,
    /// The request's bytes.
    pub request: Vec<u8>,
}

/// The error where a command's keys lie on different servers.
pub const CROSS_SLOT: &str = "CROSSSLOT Keys in request don't belong to the same server";
/// The same in a ring.
pub const CROSS_NODE: &str = "CROSSSLOT Keys in request don't belong to the same node";
/// The error where all servers are ejected, in nutcracker's words.
pub const NO_SERVER: &str = "ERR Connection refused";

/// Whether a node answers commands of this line to clients of Redis at all.
pub fn served_by_node(spec: &Spec) -> bool {
    spec.room != Room::Absent && !spec.flags.has(Flags::HIDDEN)
}

/// Whether a proxy carries or answers commands of this line at all.
pub fn served_by_pool(spec: &Spec) -> bool {
    spec.split != Split::Never && !spec.flags.has(Flags::HIDDEN)
}

impl Placement {
    /// Decides a command's way. `random` is any random number: the distribution `random` asks it.
    pub fn route(&self, command: &Command<'_>, random: u64) -> Route {
        match self {
            Placement::Node => match command.spec.room {
                Room::Store => Route::To(Destination::Store),
                Room::Session | Room::Process => Route::Here,
                Room::Absent => Route::Refused(command.unknown(served_by_node)),
            },
            Placement::Pool(herd) => match command.spec.split {
                Split::Never => Route::Refused(command.unknown(served_by_pool)),
                split => herd.route(split, command, random),
            },
        }
    }
}

impl Herd {
    fn route(&self, split: Split, command: &Command<'_>, random: u64) -> Route {
        let shares = Shares {
            owners: Owners::Pool(&self.owners),
            live: &self.live,
            scan: &self.scan,
            by_first_key: self.by_first_key,
        };
        shares.route(split, command, random)
    }
}

impl Owners<'_> {
    fn pick(&self, key: &[u8], random: u64) -> Option<usize> {
        match self {
            Owners::Pool(placement) => placement.pick(key, random),
            Owners::Ring(nodes) => nodes.owner(key),
        }
    }

    fn to(&self, server: usize) -> Destination {
        match self {
            Owners::Ring(nodes) if nodes.me() == Some(server) => Destination::Store,
            _ => Destination::Server(server),
        }
    }

    fn cross_slot(&self) -> Route {
        Route::Refused(Reply::error(match self {
            Owners::Pool(_) => CROSS_SLOT,
            Owners::Ring(_) => CROSS_NODE,
        }))
    }

    fn nobody(&self) -> Route {
        Route::Refused(Reply::error(match self {
            Owners::Pool(_) => NO_SERVER,
            Owners::Ring(_) => ring::JOINING,
        }))
    }
}

impl Shares<'_> {
    fn route(&self, split: Split, command: &Command<'_>, random: u64) -> Route {
        match split {
            Split::Whole => self.whole(command, random),
            Split::Sum => self.by_key(command, random, 1, |_| Merge::Sum),
            Split::Gather => self.by_key(command, random, 1, Merge::InOrder),
            Split::AllOk => self.by_key(command, random, 2, |_| Merge::Ok),
            Split::EverySum => self.every(command, Merge::Sum),
            Split::EveryGather => self.every(command, Merge::Append),
            Split::EveryOk => self.every(command, Merge::Ok),
            Split::EverySame => self.every(command, Merge::Same),
            Split::EveryLeast => self.every(command, Merge::Least),
            Split::EveryAny => self.every(command, Merge::Any(random)),
            Split::Scan => self.scan(command),
            Split::Here | Split::Never => Route::Here,
        }
    }

    /// To the server of its keys, which must be one and the same.
    fn whole(&self, command: &Command<'_>, random: u64) -> Route {
        let keys = match command.keys() {
            Ok(keys) => keys,
            Err(text) => return Route::Refused(Reply::error(text)),
        };
        let mut owner = None;
        for key in keys.iter() {
            let Some(server) = self.owners.pick(command.arg(key), random) else {
                return self.owners.nobody();
            };
            match *owner.get_or_insert(server) {
                first if first == server => {}
                _ if self.by_first_key => break,
                _ => return self.owners.cross_slot(),
            }
        }
        match owner {
            Some(server) => Route::To(self.owners.to(server)),
            None => Route::Refused(Reply::error(format!(
                "ERR '{}' names no key, so there is no server to send it to",
                command.spec.name
            ))),
        }
    }

    /// In one part for each server that owns keys of it: a key is followed by `step - 1` values.
    /// `merge` is given which part answers for each key.
    fn by_key(
        &self,
        command: &Command<'_>,
        random: u64,
        step: usize,
        merge: impl Fn(Vec<u32>) -> Merge,
    ) -> Route {
        let first = match command.spec.keys {
            Keys::Range(first, ..) => usize::from(first),
            _ => 1,
        };
        if !(command.len() - first).is_multiple_of(step) {
            return Route::Refused(crate::command::wrong_arity(command.spec));
        }
        let keys = (command.len() - first) / step;
        let mut servers: Vec<usize> = Vec::new();
        let mut order: Vec<u32> = Vec::with_capacity(keys);
        for i in 0..keys {
            let random = random.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let Some(server) = self.owners.pick(command.arg(first + i * step), random) else {
                return self.owners.nobody();
            };
            let part = servers
                .iter()
                .position(|&s| s == server)
                .unwrap_or_else(|| {
                    servers.push(server);
                    servers.len() - 1
                });
            order.push(part as u32);
        }
        if let [only] = servers.as_slice() {
            return Route::To(self.owners.to(*only));
        }
        let part = |(part, &server): (usize, &usize)| Part {
            to: self.owners.to(server),
            request: request_of_part(command, &order, part as u32, (first, step)),
        };
        let parts = servers.iter().enumerate().map(part).collect();
        Route::Parts(parts, Gather::new(merge(order), servers.len()))
    }

    /// To every live server, as it is.
    fn every(&self, command: &Command<'_>, merge: Merge) -> Route {
        match self.live {
            [only] => Route::To(self.owners.to(*only)),
            _ => self.part_for_each(command, merge),
        }
    }

    /// The same in parts, also if there is one.
    fn part_for_each(&self, command: &Command<'_>, merge: Merge) -> Route {
        let part = |&server: &usize| Part {
            to: self.owners.to(server),
            request: resp::request_of(command).into_owned(),
        };
        match self.live {
            [] => self.owners.nobody(),
            live => Route::Parts(
                live.iter().map(part).collect(),
                Gather::new(merge, live.len()),
            ),
        }
    }

    /// To the server whose turn it is by the cursor.
    fn scan(&self, command: &Command<'_>) -> Route {
        let Some(cursor) = scan::cursor(command.arg(1)) else {
            return Route::Refused(Reply::error("ERR invalid cursor"));
        };
        if self.live.is_empty() {
            return self.owners.nobody();
        }
        let Some(turn) = self.scan.turn(cursor) else {
            let nothing = vec![Reply::bulk("0"), Reply::Array(Vec::new())];
            return Route::Refused(Reply::Array(nothing));
        };
        let cursor = turn.cursor.to_string();
        let mut args: Vec<&[u8]> = vec![command.arg(0), cursor.as_bytes()];
        args.extend(command.args(2));
        let mut request = Vec::new();
        resp::encode_command(args.into_iter(), &mut request);
        let to = self.owners.to(turn.server);
        Route::Parts(
            vec![Part { to, request }],
            Gather::new(Merge::Scan(turn), 1),
        )
    }
}

/// The command again, with the keys of one part only.
fn request_of_part(
    command: &Command<'_>,
    order: &[u32],
    part: u32,
    (first, step): (usize, usize),
) -> Vec<u8> {
    let name = match command.spec.flags.has(Flags::HIDDEN) {
        true => command.spec.name.as_bytes(),
        false => command.arg(0),
    };
    let mut args = vec![name];
    args.extend(command.args(1).take(first - 1));
    for (i, _) in order
        .iter()
        .enumerate()
        .filter(|(_, owner)| **owner == part)
    {
        args.extend(command.args(first + i * step).take(step));
    }
    let mut request = Vec::new();
    resp::encode_command(args.into_iter(), &mut request);
    request
}

#[cfg(test)]
mod tests {
    use heeler_ring::{Distribution, Hash, HashTag, Server};

    use super::*;
    use crate::wire::resp::Decoder;

    /// A pool of so many servers, of which `a` has the first and `e` the second.
    pub(super) fn pool(servers: usize) -> Placement {
        Placement::Pool(herd(servers))
    }

    fn herd(servers: usize) -> Herd {
        let list: Vec<Server> = (1..=servers)
            .map(|i| Server::named(format!("s{i}"), 1))
            .collect();
        let tag = Some(HashTag::BRACES);
        let owners =
            heeler_ring::Placement::build(Distribution::Modula, Hash::Md5, tag, &list, |_| true);
        Herd {
            owners,
            live: (0..servers).collect(),
            scan: scan::Order::new(list.iter().map(|s| s.name.as_str()), |_| true),
            by_first_key: false,
        }
    }

    fn route(placement: &Placement, line: &str) -> Route {
        let line = format!("{line}\r\n");
        let mut decoder = Decoder::default();
        decoder.decode(line.as_bytes()).unwrap();
        let (raw, args) = decoder.request(line.as_bytes());
        placement.route(&Command::resolve(raw, args).unwrap(), 0)
    }

    /// A way, for people.
    pub(super) fn shown(route: Route) -> String {
        match route {
            Route::Here => "here".into(),
            Route::To(to) => format!("{to:?}"),
            Route::Refused(Reply::Error(text)) => text.into_owned(),
            Route::Refused(other) => format!("{other:?}"),
            Route::Parts(parts, _) => {
                let part = |p: &Part| {
                    let request = String::from_utf8_lossy(&p.request).replace("\r\n", " ");
                    format!("{:?}: {}", p.to, request.trim_end())
                };
                parts.iter().map(part).collect::<Vec<_>>().join(" | ")
            }
        }
    }

    #[test]
    fn ways_of_commands() {
        let cross = "CROSSSLOT Keys in request don't belong to the same server";
        let here = "here";
        for (line, way) in [
            ("get a", "Server(0)"),
            ("get e", "Server(1)"),
            ("get {e}a", "Server(1)"),
            ("mget a a", "Server(0)"),
            ("ping", here),
            ("info", here),
            ("rename a e", cross),
            ("rename {e}a {e}b", "Server(1)"),
            ("zunionstore e 2 {e}1 {e}2", "Server(1)"),
            ("zunionstore e 2 {e}1 a", cross),
            (
                "eval x 0",
                "ERR 'eval' names no key, so there is no server to send it to",
            ),
            ("zunion x a", "ERR Invalid arguments specified for command"),
            (
                "mset a 1 e",
                "ERR wrong number of arguments for 'mset' command",
            ),
            (
                "mget a e f a",
                "Server(0): *3 $4 mget $1 a $1 a | Server(1): *3 $4 mget $1 e $1 f",
            ),
            (
                "mset a 1 e 2",
                "Server(0): *3 $4 mset $1 a $1 1 | Server(1): *3 $4 mset $1 e $1 2",
            ),
            (
                "dbsize",
                "Server(0): *1 $6 dbsize | Server(1): *1 $6 dbsize",
            ),
            (
                "monitor",
                "ERR unknown command 'monitor', with args beginning with: ",
            ),
        ] {
            assert_eq!(shown(route(&pool(2), line)), way, "{line}");
        }
    }

    #[test]
    fn nutcrackers_way_looks_at_the_first_key_only() {
        let placement = Placement::Pool(Herd {
            by_first_key: true,
            ..herd(2)
        });
        assert_eq!(shown(route(&placement, "rename a e")), "Server(0)");
        assert_eq!(shown(route(&placement, "rename e a")), "Server(1)");
    }

    #[test]
    fn a_scan_asks_one_server() {
        let Route::Parts(parts, _) = route(&pool(2), "scan 0 match x*") else {
            panic!("a part")
        };
        let request = String::from_utf8_lossy(&parts[0].request).replace("\r\n", " ");
        assert_eq!(request, "*4 $4 scan $1 0 $5 match $2 x* ");
        assert_eq!(shown(route(&pool(2), "scan x")), "ERR invalid cursor");
    }

    #[test]
    fn without_live_servers_nothing_goes_anywhere() {
        for line in ["get a", "mget a b", "dbsize", "scan 0"] {
            assert_eq!(shown(route(&pool(0), line)), "ERR Connection refused");
        }
    }

    #[test]
    fn a_node_keeps_everything() {
        for (line, way) in [("get a", "Store"), ("mget a b", "Store"), ("ping", "here")] {
            assert_eq!(shown(route(&Placement::Node, line)), way);
        }
    }
}
