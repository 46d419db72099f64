//! The nodes of a ring, and which of them owns which key.
//!
//! ```text
//!   without partitions    key ───────────────────────────────► ring ─► node
//!   with N of them        key ─► FNV-1 mod N = "17" ─► ring ─► node
//! ```
//!
//! With partitions the ring is asked once for each of them, when it changes, and a key costs a hash
//! and a look into a table. memhashd hashes keys to partitions in the same way.

use std::sync::Arc;

use heeler_ring::{Hash, HashTag, Ring, RingHash};

use super::{Destination, Merge, Owners, Route, Shares, scan};
use crate::command::{Command, Id, Reply, Room, Split};

/// Most partitions.
pub const PARTITIONS: u32 = 1024 * 1024;

/// The error while a node has not found its ring, or has left it and knows no other member.
pub(super) const JOINING: &str = "LOADING this node is not in a ring yet";

/// Before the name of the hash function, where nodes tell it to each other.
const TOLD_HASH: &str = " hash=";

/// What all nodes of a ring must have agreed on before they start, for the owners of keys follow
/// from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How many partitions stand between keys and the ring; 0: none do.
    pub partitions: u32,
    /// Of a key with a hash tag, `{...}`, the tag decides alone.
    pub hash_tags: bool,
    /// The ring's hash function, if this node was told which: else it has that of the others.
    pub hash: Option<RingHash>,
}

impl Terms {
    /// Where a key lies on the ring.
    pub fn position(self, hash: RingHash, key: &[u8]) -> u32 {
        match self.partition(key) {
            Some(partition) => hash.hash(itoa::Buffer::new().format(partition).as_bytes()),
            None => hash.hash(self.hashed(key)),
        }
    }

    /// The partition of a key; `None` if there are none.
    #[inline]
    fn partition(self, key: &[u8]) -> Option<u32> {
        let count = self.partitions;
        (count > 0).then(|| Hash::Fnv1_32.hash(self.hashed(key)) % count)
    }

    /// The part of a key that decides.
    #[inline]
    fn hashed(self, key: &[u8]) -> &[u8] {
        match self.hash_tags {
            true => HashTag::BRACES.of(key),
            false => key,
        }
    }

    /// As nodes tell them to each other.
    pub fn told(self) -> String {
        let mut told = self.told_of_keys();
        if let Some(hash) = self.hash {
            told.extend([TOLD_HASH, hash.name()]);
        }
        told
    }

    fn told_of_keys(self) -> String {
        let tags = if self.hash_tags { " hash-tags" } else { "" };
        format!("partitions={}{tags}", self.partitions)
    }

    /// Whether a node that tells these names the same owners. One that was told no hash function
    /// has that of the others.
    pub fn agree_with(self, told: &str) -> bool {
        let (of_keys, hash) = match told.split_once(TOLD_HASH) {
            Some((of_keys, hash)) => (of_keys, Some(hash)),
            None => (told, None),
        };
        let one_hash = match (self.hash, hash) {
            (Some(ours), Some(theirs)) => ours.name() == theirs,
            _ => true,
        };
        one_hash && of_keys == self.told_of_keys()
    }
}

/// The nodes of a ring at one moment.
#[derive(Clone, Debug)]
pub struct Nodes {
    ring: Arc<Ring>,
    terms: Terms,
    /// This node's place among the members; `None` while it is not one of them.
    me: Option<usize>,
    all: Vec<usize>,
    /// The owner of each partition.
    partitions: Vec<u32>,
    scan: scan::Order,
    version: u64,
}

impl Nodes {
    /// The picture that the node with the address `me` has. `version`: another for each picture.
    pub fn new(ring: Arc<Ring>, terms: Terms, me: &str, version: u64) -> Nodes {
        let members = ring.members();
        let owner = |partition: u32| {
            let mut digits = itoa::Buffer::new();
            ring.lookup_index(digits.format(partition).as_bytes())
        };
        let partitions = match ring.is_empty() {
            true => Vec::new(),
            false => (0..terms.partitions)
                .map(|partition| owner(partition).unwrap_or_default() as u32)
                .collect(),
        };
        let names = members.iter().map(|member| member.address());
        Nodes {
            me: members.iter().position(|member| member.address() == me),
            all: (0..members.len()).collect(),
            scan: scan::Order::new(names, |_| true),
            partitions,
            terms,
            version,
            ring,
        }
    }

    /// Which picture this is.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// This node's place among the members; `None` while it is not one of them.
    pub fn me(&self) -> Option<usize> {
        self.me
    }

    /// What the owners follow from beside the members.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The ring itself.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// The addresses of the members, in the order of their places.
    pub fn addresses(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.ring.members().iter().map(|m| m.shared_address())
    }

    /// The address of the member at a place.
    pub fn address(&self, node: usize) -> &Arc<str> {
        self.ring.members()[node].shared_address()
    }

    /// Whether this node is the only member.
    pub fn is_alone(&self) -> bool {
        self.me.is_some() && self.all.len() == 1
    }

    /// The place of the node that owns a key. `None` if there is no member.
    #[inline]
    pub fn owner(&self, key: &[u8]) -> Option<usize> {
        match self.terms.partition(key) {
            Some(partition) => self.partition_owner(partition),
            None => self.ring.lookup_index(self.terms.hashed(key)),
        }
    }

    /// The partition of a key; `None` if there are none.
    pub fn partition(&self, key: &[u8]) -> Option<u32> {
        self.terms.partition(key)
    }

    /// What the ring is asked for to find the owner of a key.
    pub fn ring_key(&self, key: &[u8]) -> Vec<u8> {
        match self.partition(key) {
            Some(partition) => partition.to_string().into_bytes(),
            None => self.terms.hashed(key).to_vec(),
        }
    }

    /// The place of the node that owns a partition.
    pub fn partition_owner(&self, partition: u32) -> Option<usize> {
        let owner = self.partitions.get(partition as usize)?;
        Some(*owner as usize)
    }

    /// What of the keys this node owns, from 0 to 1: of the partitions, or of the circle of hashes.
    pub fn share(&self) -> f64 {
        self.me.map_or(0.0, |me| self.share_of(me))
    }

    /// The same of the node at a place.
    pub fn share_of(&self, node: usize) -> f64 {
        if !self.partitions.is_empty() {
            return self.partitions_of(node) as f64 / self.partitions.len() as f64;
        }
        if self.all.len() == 1 {
            return 1.0;
        }
        let mut before = self.ring.points().last().map_or(0, |(hash, _)| hash);
        let mut owned = 0u64;
        for (hash, owner) in self.ring.points() {
            if owner == node {
                owned += u64::from(hash.wrapping_sub(before));
            }
            before = hash;
        }
        owned as f64 / 2f64.powi(32)
    }

    /// How many partitions the node at a place owns.
    pub fn partitions_of(&self, node: usize) -> usize {
        let owned = self
            .partitions
            .iter()
            .filter(|&&owner| owner as usize == node);
        owned.count()
    }

    /// Whether this node owns a key.
    #[inline]
    pub fn owns_key(&self, key: &[u8]) -> bool {
        self.me.is_some() && self.owner(key) == self.me
    }

    /// Whether this node owns all keys of a command. One without keys is everybody's.
    pub fn owns(&self, command: &Command<'_>) -> bool {
        if publishes(command) {
            return true;
        }
        match command.keys() {
            Ok(keys) => keys.iter().all(|key| self.owns_key(command.arg(key))),
            // The command's own check of its arguments words the error.
            Err(_) => true,
        }
    }

    /// Decides a command's way. `random` is any random number.
    pub fn route(&self, command: &Command<'_>, random: u64) -> Route {
        match command.spec.room {
            Room::Store if self.is_alone() => Route::To(Destination::Store),
            Room::Store => self.shared(command, random),
            // The store of a lone member knows nobody who listens.
            Room::Process if publishes(command) => {
                self.shares().part_for_each(command, Merge::Reached)
            }
            Room::Session | Room::Process => Route::Here,
            Room::Absent => Route::Refused(command.unknown(super::served_by_node)),
        }
    }

    fn shared(&self, command: &Command<'_>, random: u64) -> Route {
        let split = match command.spec.split {
            // A proxy does not carry it, but another node may well execute it.
            Split::Never | Split::Here | Split::Whole if no_keys(command) => {
                return Route::To(Destination::Store);
            }
            Split::Never | Split::Here => Split::Whole,
            split => split,
        };
        if let Some(refused) = looks_further(command) {
            return Route::Refused(refused);
        }
        self.shares().route(split, command, random)
    }

    fn shares(&self) -> Shares<'_> {
        Shares {
            owners: Owners::Ring(self),
            live: &self.all,
            scan: &self.scan,
            by_first_key: false,
        }
    }
}

/// Whether a command is for the subscribers of all nodes.
fn publishes(command: &Command<'_>) -> bool {
    matches!(command.spec.id, Id::Publish | Id::Spublish)
}

/// Its keys are wrong, or there are none: the store words the error.
fn no_keys(command: &Command<'_>) -> bool {
    let every = matches!(
        command.spec.split,
        Split::Whole | Split::Never | Split::Here
    );
    every && command.keys().map_or(true, |keys| keys.is_empty())
}

/// SORT that looks at keys which may be other nodes'. The texts are Redis Cluster's.
fn looks_further(command: &Command<'_>) -> Option<Reply> {
    if !matches!(command.spec.id, Id::Sort | Id::SortRo) {
        return None;
    }
    let mut words = command.args(2);
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_slice() {
            b"limit" => drop((words.next(), words.next())),
            b"by" if words.next().is_some_and(|pattern| pattern.contains(&b'*')) => {
                let text = "ERR BY option of SORT denied in cluster mode.";
                return Some(Reply::error(text));
            }
            b"get" if words.next().is_some_and(|pattern| pattern != b"#") => {
                let text = "ERR GET option of SORT denied in cluster mode.";
                return Some(Reply::error(text));
            }
            b"store" => drop(words.next()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use heeler_ring::{Member, RingHash};

    use super::*;
    use crate::route::tests::shown;
    use crate::wire::resp::Decoder;

    const NODES: [&str; 3] = ["127.0.0.1:3100", "127.0.0.1:3101", "127.0.0.1:3102"];

    fn nodes(terms: Terms, me: &str) -> Nodes {
        let mut ring = Ring::new(RingHash::Fingerprint32);
        ring.update(NODES.map(Member::new), &[]);
        Nodes::new(Arc::new(ring), terms, me, 1)
    }

    fn way(nodes: &Nodes, line: &str) -> String {
        let line = format!("{line}\r\n");
        let mut decoder = Decoder::default();
        decoder.decode(line.as_bytes()).unwrap();
        let (raw, args) = decoder.request(line.as_bytes());
        shown(nodes.route(&Command::resolve(raw, args).unwrap(), 0))
    }

    #[test]
    fn the_owner_is_ringpops() {
        let plain = nodes(Terms::default(), NODES[0]);
        // The ring crate's example, of a real ringpop-node.
        assert_eq!(plain.owner(b"foo"), Some(2));
        assert!(!plain.owns_key(b"foo"));
        assert!(nodes(Terms::default(), NODES[2]).owns_key(b"foo"));
        assert_eq!(plain.partition(b"foo"), None);
    }

    #[test]
    fn with_partitions_the_ring_is_asked_for_the_partition() {
        let terms = Terms {
            partitions: 16384,
            ..Terms::default()
        };
        let nodes = nodes(terms, NODES[0]);
        // FNV-1 of "foo" is 0x408f5e13 (the vectors of the function's authors).
        let partition = 0x408f_5e13 % 16384;
        assert_eq!(nodes.partition(b"foo"), Some(partition));
        let owner = nodes.ring().lookup_index(partition.to_string().as_bytes());
        assert_eq!(nodes.owner(b"foo"), owner);
        assert_eq!(nodes.ring_key(b"foo"), partition.to_string().as_bytes());
        assert_eq!(nodes.partition_owner(16384), None);
        let shares: f64 = NODES.iter().map(|me| self::nodes(terms, me).share()).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    }

    #[test]
    fn shares_of_the_circle_make_a_whole() {
        let of = |me: &str| nodes(Terms::default(), me).share();
        let shares = NODES.map(of);
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9,
            "{shares:?}"
        );
        assert!(shares.iter().all(|share| *share > 0.2), "{shares:?}");
        assert_eq!(of("127.0.0.1:9"), 0.0);
    }

    #[test]
    fn tags_decide_where_all_nodes_say_so() {
        let tagged = Terms {
            hash_tags: true,
            ..Terms::default()
        };
        let (with, without) = (nodes(tagged, NODES[0]), nodes(Terms::default(), NODES[0]));
        let keys: Vec<String> = (0..50).map(|n| format!("{{foo}}{n}")).collect();
        let owner = |nodes: &Nodes, key: &String| nodes.owner(key.as_bytes());
        assert!(keys.iter().all(|key| owner(&with, key) == Some(2)));
        assert!(keys.iter().any(|key| owner(&without, key) != Some(2)));
        assert_eq!(tagged.told(), "partitions=0 hash-tags");
    }

    #[test]
    fn ways_of_commands() {
        let nodes = nodes(Terms::default(), NODES[2]);
        let key_of = |node| {
            let mut keys = (0..).map(|n| format!("k{n}"));
            keys.find(|key| nodes.owner(key.as_bytes()) == Some(node))
                .unwrap()
        };
        let (a, c) = (key_of(0), key_of(2));
        for (line, expected) in [
            (format!("get {a}"), "Server(0)".to_owned()),
            (format!("get {c}"), "Store".into()),
            (format!("mget {c} {c}"), "Store".into()),
            (
                format!("mget {a} {c}"),
                format!(
                    "Server(0): *2 $4 mget ${} {a} | Store: *2 $4 mget ${} {c}",
                    a.len(),
                    c.len()
                ),
            ),
            (format!("rename {a} {c}"), super::super::CROSS_NODE.into()),
            (format!("blpop {a} 0"), "Server(0)".into()),
            (format!("memory usage {a}"), "Server(0)".into()),
            (
                format!("sort {a} by w*"),
                "ERR BY option of SORT denied in cluster mode.".into(),
            ),
            (format!("sort {a} get #"), "Server(0)".into()),
            ("ping".into(), "here".into()),
            ("info".into(), "here".into()),
            ("object help".into(), "Store".into()),
            (
                "dbsize".into(),
                "Server(0): *1 $6 dbsize | Server(1): *1 $6 dbsize | Store: *1 $6 dbsize".into(),
            ),
            (
                "publish c m".into(),
                "Server(0): *3 $7 publish $1 c $1 m | Server(1): *3 $7 publish $1 c $1 m \
                 | Store: *3 $7 publish $1 c $1 m"
                    .into(),
            ),
        ] {
            assert_eq!(way(&nodes, &line), expected, "{line}");
        }
    }

    #[test]
    fn a_lone_member_executes_all_itself() {
        let mut ring = Ring::new(RingHash::Fingerprint32);
        ring.update([Member::new(NODES[0])], &[]);
        let nodes = Nodes::new(Arc::new(ring), Terms::default(), NODES[0], 1);
        for (line, expected) in [
            ("dbsize", "Store"),
            ("mget a b", "Store"),
            ("rename a b", "Store"),
            ("publish c m", "Store: *3 $7 publish $1 c $1 m"),
            ("spublish c m", "Store: *3 $8 spublish $1 c $1 m"),
            ("pubsub channels", "here"),
        ] {
            assert_eq!(way(&nodes, line), expected, "{line}");
        }
    }

    #[test]
    fn who_was_told_no_hash_function_has_that_of_the_others() {
        let with = |partitions, hash| Terms {
            partitions,
            hash,
            hash_tags: true,
        };
        let (fingerprint, hash32v1) = (Some(RingHash::Fingerprint32), Some(RingHash::Hash32V1));
        assert_eq!(
            with(7, hash32v1).told(),
            "partitions=7 hash-tags hash=hash32v1"
        );
        for (ours, theirs, agree) in [
            (with(7, None), with(7, None), true),
            (with(7, None), with(7, hash32v1), true),
            (with(7, hash32v1), with(7, None), true),
            (with(7, hash32v1), with(7, hash32v1), true),
            (with(7, hash32v1), with(7, fingerprint), false),
            (with(7, None), with(8, hash32v1), false),
            (with(7, hash32v1), Terms::default(), false),
        ] {
            assert_eq!(
                ours.agree_with(&theirs.told()),
                agree,
                "{ours:?} {theirs:?}"
            );
        }
        for bad in [
            "",
            "partitions=7 hash-tags hash=",
            "partitions=7 hash=hash32v1",
        ] {
            assert!(!with(7, hash32v1).agree_with(bad), "{bad}");
        }
    }

    #[test]
    fn without_members_nothing_goes_anywhere() {
        let nodes = Nodes::new(
            Arc::new(Ring::new(RingHash::Fingerprint32)),
            Terms {
                partitions: 7,
                ..Terms::default()
            },
            NODES[0],
            0,
        );
        for line in ["get a", "mget a b", "dbsize"] {
            assert_eq!(way(&nodes, line), JOINING, "{line}");
        }
        assert_eq!(nodes.share(), 0.0);
    }
}
