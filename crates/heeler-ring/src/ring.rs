//! Ringpop's ring: the owners of keys among the members of a cluster.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::farm::{fingerprint32, hash32v1};
use crate::points::{Points, hash_of, owner_of, point};

/// The hash function of a ring, the same for points, keys and checksums. All members of a cluster
/// must use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RingHash {
    /// [`fingerprint32`]: ringpop-go, and ringpop-node with `isCrossPlatform`.
    #[default]
    Fingerprint32,
    /// [`hash32v1`]: ringpop-node unless told otherwise.
    Hash32V1,
}

impl RingHash {
    /// Both.
    pub const ALL: [RingHash; 2] = [RingHash::Fingerprint32, RingHash::Hash32V1];

    /// The function of this name.
    pub fn from_name(name: &str) -> Option<RingHash> {
        RingHash::ALL.into_iter().find(|hash| hash.name() == name)
    }

    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            RingHash::Fingerprint32 => "fingerprint32",
            RingHash::Hash32V1 => "hash32v1",
        }
    }

    /// The hash of these bytes.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u32 {
        match self {
            RingHash::Fingerprint32 => fingerprint32(bytes),
            RingHash::Hash32V1 => hash32v1(bytes),
        }
    }
}

/// A member of a ring: its address and, if it has one, an identity of its own.
///
/// The points of a member without an identity are the hashes of its address followed by a number
/// (`127.0.0.1:30000`, `127.0.0.1:30001`, ...); those of a member with one are the hashes of
/// `identity#0`, `identity#1` and so on, so that it can change its address and keep its keys.
/// Identities are known to ringpop-go only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    address: Arc<str>,
    identity: Option<String>,
}

impl Member {
    /// A member that is known by its address.
    pub fn new(address: impl Into<String>) -> Member {
        Member {
            address: address.into().into(),
            identity: None,
        }
    }

    /// A member that is known by an identity. If that is its address, it makes no difference.
    pub fn with_identity(address: impl Into<String>, identity: impl Into<String>) -> Member {
        let (address, identity) = (address.into(), identity.into());
        let identity = (identity != address).then_some(identity);
        Member {
            address: address.into(),
            identity,
        }
    }

    /// The address, which is unique in a ring.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address, to keep: a clone of it copies nothing.
    pub fn shared_address(&self) -> &Arc<str> {
        &self.address
    }

    /// The identity: the address, unless the member has another.
    pub fn identity(&self) -> &str {
        self.identity.as_deref().unwrap_or(&self.address)
    }

    /// What is hashed for each point, but for the point's number at its end.
    fn label(&self) -> String {
        match &self.identity {
            None => self.address.to_string(),
            Some(identity) => format!("{identity}#"),
        }
    }
}

/// What an update did to a ring: addresses in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Members that are new.
    pub added: Vec<String>,
    /// Members that were there and have another identity now.
    pub updated: Vec<String>,
    /// Members that are gone.
    pub removed: Vec<String>,
}

impl Change {
    /// Whether the ring is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.updated.is_empty() && self.removed.is_empty()
    }
}

/// A consistent hash ring that agrees with Ringpop's about the owner of every key.
///
/// Each member has a number of points on the circle of 32-bit hashes, 100 unless told otherwise.
/// A key belongs to the member of the first point at or after its hash. Points with one hash stand
/// in the order of their members' addresses. In Ringpop a member is in the ring while it is alive
/// or suspect.
///
/// Adding and removing members hashes and sorts only their own points, and merges them into the
/// others in one pass, however many members come and go.
///
/// ```
/// use heeler_ring::{Member, Ring, RingHash};
///
/// let mut ring = Ring::new(RingHash::Fingerprint32);
/// ring.update(["127.0.0.1:3100", "127.0.0.1:3101", "127.0.0.1:3102"].map(Member::new), &[]);
/// assert_eq!(ring.checksum(), 3000583097);
/// assert_eq!(ring.lookup(b"foo"), Some("127.0.0.1:3102"));
/// assert_eq!(ring.lookup_n(b"foo", 2), ["127.0.0.1:3102", "127.0.0.1:3100"]);
///
/// // The first successor takes over.
/// ring.remove("127.0.0.1:3102");
/// assert_eq!(ring.lookup(b"foo"), Some("127.0.0.1:3100"));
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    hash: RingHash,
    replica_points: NonZeroU32,
    /// Sorted by address. A point's owner is a position here.
    members: Vec<Member>,
    points: Points,
}

impl Ring {
    /// The points of a member, unless told otherwise.
    pub const REPLICA_POINTS: NonZeroU32 = NonZeroU32::new(100).unwrap();

    /// An empty ring with 100 points for each member.
    pub fn new(hash: RingHash) -> Ring {
        Ring::with_replica_points(hash, Ring::REPLICA_POINTS)
    }

    /// An empty ring with another number of points for each member.
    pub fn with_replica_points(hash: RingHash, replica_points: NonZeroU32) -> Ring {
        Ring {
            hash,
            replica_points,
            members: Vec::new(),
            points: Points::default(),
        }
    }

    /// Adds a member. One with the same address is replaced. Returns whether the ring changed.
    pub fn add(&mut self, member: Member) -> bool {
        !self.update([member], &[]).is_empty()
    }

    /// Removes the member with this address. Returns whether there was one.
    pub fn remove(&mut self, address: &str) -> bool {
        !self.update([], &[address]).is_empty()
    }

    /// Removes and adds any number of members at once. An address in both lists stays, or comes;
    /// of several members to add with one address the last counts.
    pub fn update(&mut self, add: impl IntoIterator<Item = Member>, remove: &[&str]) -> Change {
        let mut add: Vec<Member> = add.into_iter().collect();
        // Reversed first, because the sort is stable and the first of equals is kept.
        add.reverse();
        add.sort_by(|a, b| a.address.cmp(&b.address));
        add.dedup_by(|a, b| a.address == b.address);
        let mut remove = remove.to_vec();
        remove.sort_unstable();

        let old = std::mem::take(&mut self.members);
        let merged = Merge::of(old, add, &remove);
        self.members = merged.members;
        if !merged.change.is_empty() {
            let fresh = self.points_of(&merged.fresh);
            self.points = merge_points(self.points.as_slice(), &merged.moves, &fresh);
        }
        merged.change
    }

    /// The address of the member that owns `key`. `None` if the ring is empty.
    #[inline]
    pub fn lookup(&self, key: &[u8]) -> Option<&str> {
        self.lookup_index(key)
            .map(|member| self.members[member].address())
    }

    /// The member that owns `key`, as a position in [`Ring::members`].
    #[inline]
    pub fn lookup_index(&self, key: &[u8]) -> Option<usize> {
        self.lookup_hash(self.hash.hash(key))
    }

    /// The member that owns a hash, as a position in [`Ring::members`].
    #[inline]
    pub fn lookup_hash(&self, hash: u32) -> Option<usize> {
        self.points.owner(hash).map(|member| member as usize)
    }

    /// The addresses of the first `n` members from the key's place on the ring: its owner and the
    /// successors. Fewer if the ring has fewer.
    pub fn lookup_n(&self, key: &[u8], n: usize) -> Vec<&str> {
        let mut members = Vec::new();
        self.lookup_n_into(key, n, &mut members);
        members
            .into_iter()
            .map(|member| self.members[member].address())
            .collect()
    }

    /// As [`Ring::lookup_n`], but writes positions in [`Ring::members`] over what `out` held, so
    /// that a caller can use one list for many lookups.
    pub fn lookup_n_into(&self, key: &[u8], n: usize, out: &mut Vec<usize>) {
        self.successors_into(self.hash.hash(key), n, out);
    }

    /// As [`Ring::lookup_n_into`], from the place of a hash.
    pub fn successors_into(&self, hash: u32, n: usize, out: &mut Vec<usize>) {
        out.clear();
        let n = n.min(self.members.len());
        if n == 0 {
            return;
        }
        for point in self.points.from(hash) {
            let member = owner_of(point) as usize;
            if !out.contains(&member) {
                out.push(member);
                if out.len() == n {
                    return;
                }
            }
        }
    }

    /// The members, sorted by address. Positions in this list are good until the next change.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether a member has this address.
    pub fn contains(&self, address: &str) -> bool {
        self.members
            .binary_search_by(|member| member.address().cmp(address))
            .is_ok()
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The hash function.
    pub fn hash(&self) -> RingHash {
        self.hash
    }

    /// The points of each member.
    pub fn replica_points(&self) -> NonZeroU32 {
        self.replica_points
    }

    /// The points in order: hash, and the member's position in [`Ring::members`].
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u32, usize)> {
        let points = self.points.as_slice().iter();
        points.map(|&point| (hash_of(point), owner_of(point) as usize))
    }

    /// The ring checksum: the hash of all addresses in order, with `;` between them. Members that
    /// agree about it agree about the owner of every key, if they have no identities.
    pub fn checksum(&self) -> u32 {
        let addresses: Vec<&str> = self.members.iter().map(Member::address).collect();
        self.hash.hash(addresses.join(";").as_bytes())
    }

    /// ringpop-go's checksum over identities instead of addresses.
    pub fn identity_checksum(&self) -> u32 {
        let mut identities: Vec<&str> = self.members.iter().map(Member::identity).collect();
        identities.sort_unstable();
        self.hash.hash(identities.join(";").as_bytes())
    }

    /// ringpop-go's checksum `replica`: the hash of `<hash>-<address>;` of every point in order.
    pub fn replica_checksum(&self) -> u32 {
        let mut text = String::new();
        for (hash, member) in self.points() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{hash}-{};", self.members[member].address);
        }
        self.hash.hash(text.as_bytes())
    }

    /// The points of some members, in order.
    fn points_of(&self, members: &[u32]) -> Vec<u64> {
        let replica_points = self.replica_points.get();
        let mut points = Vec::with_capacity(members.len() * replica_points as usize);
        for &member in members {
            let mut label = self.members[member as usize].label();
            let prefix = label.len();
            for i in 0..replica_points {
                label.truncate(prefix);
                // Writing to a string cannot fail.
                let _ = write!(label, "{i}");
                points.push(point(self.hash.hash(label.as_bytes()), member));
            }
        }
        points.sort_unstable();
        points
    }
}

/// Two lists of members made one.
struct Merge {
    members: Vec<Member>,
    /// For each old member its new position, or `None` if its points are to go.
    moves: Vec<Option<u32>>,
    /// The new positions of those whose points are to come.
    fresh: Vec<u32>,
    change: Change,
}

impl Merge {
    /// Merges `add` into `old` without `remove`. All three are sorted by address.
    fn of(old: Vec<Member>, add: Vec<Member>, remove: &[&str]) -> Merge {
        let mut merge = Merge {
            members: Vec::with_capacity(old.len() + add.len()),
            moves: Vec::with_capacity(old.len()),
            fresh: Vec::new(),
            change: Change::default(),
        };
        let mut add = add.into_iter().peekable();
        for member in old {
            while let Some(new) = add.next_if(|new| new.address < member.address) {
                merge.add(new);
            }
            match add.next_if(|new| new.address == member.address) {
                Some(new) if new.identity != member.identity => merge.replace(new),
                None if remove.binary_search(&member.address()).is_ok() => {
                    merge.remove(member);
                }
                _ => merge.keep(member),
            }
        }
        add.for_each(|new| merge.add(new));
        merge
    }

    fn next(&self) -> u32 {
        self.members.len() as u32
    }

    fn keep(&mut self, member: Member) {
        self.moves.push(Some(self.next()));
        self.members.push(member);
    }

    fn add(&mut self, member: Member) {
        self.change.added.push(member.address.to_string());
        self.fresh.push(self.next());
        self.members.push(member);
    }

    fn replace(&mut self, member: Member) {
        self.change.updated.push(member.address.to_string());
        self.moves.push(None);
        self.fresh.push(self.next());
        self.members.push(member);
    }

    fn remove(&mut self, member: Member) {
        self.moves.push(None);
        self.change.removed.push(member.address.to_string());
    }
}

/// Merges two sorted lists of points: the old ones, whose owners have moved or gone, and the
/// fresh ones. Owners keep their order among each other, so the old points stay sorted.
fn merge_points(old: &[u64], moves: &[Option<u32>], fresh: &[u64]) -> Points {
    let kept = old.iter().filter_map(|&old| {
        let owner = moves[owner_of(old) as usize]?;
        Some(point(hash_of(old), owner))
    });
    let mut merged = Vec::with_capacity(old.len() + fresh.len() + 1);
    let mut fresh = fresh.iter().copied().peekable();
    for point in kept {
        while let Some(new) = fresh.next_if(|&new| new < point) {
            merged.push(new);
        }
        merged.push(point);
    }
    merged.extend(fresh);
    Points::new(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(addresses: &[&str]) -> Ring {
        let mut ring = Ring::new(RingHash::Fingerprint32);
        ring.update(addresses.iter().copied().map(Member::new), &[]);
        ring
    }

    fn change(added: &[&str], updated: &[&str], removed: &[&str]) -> Change {
        let [added, updated, removed] = [added, updated, removed]
            .map(|addresses| addresses.iter().copied().map(String::from).collect());
        Change {
            added,
            updated,
            removed,
        }
    }

    #[test]
    fn an_update_says_what_it_did() {
        let mut ring = ring(&["b", "d"]);
        let add = ["c", "a", "b"].map(Member::new);
        assert_eq!(
            ring.update(add, &["d", "nobody"]),
            change(&["a", "c"], &[], &["d"])
        );
        let renamed = Member::with_identity("b", "id");
        assert_eq!(
            ring.update([renamed.clone()], &[]),
            change(&[], &["b"], &[])
        );
        assert_eq!(ring.update([renamed], &[]), Change::default());
        assert!(!ring.add(Member::new("a")) && !ring.remove("nobody"));
        let addresses: Vec<_> = ring.members().iter().map(Member::address).collect();
        assert_eq!(addresses, ["a", "b", "c"]);
    }

    #[test]
    fn of_members_with_one_address_the_last_counts_and_adding_outweighs_removing() {
        let mut ring = ring(&["a"]);
        let twice = ["x", "y"].map(|identity| Member::with_identity("b", identity));
        assert_eq!(ring.update(twice, &[]), change(&["b"], &[], &[]));
        assert_eq!(ring.members()[1].identity(), "y");
        assert_eq!(
            ring.update([Member::new("a")], &["a", "b"]),
            change(&[], &[], &["b"])
        );
        assert!(ring.contains("a") && !ring.contains("b"));
    }

    #[test]
    fn an_identity_that_is_the_address_makes_no_difference() {
        assert_eq!(Member::with_identity("a", "a"), Member::new("a"));
        assert_eq!(Member::with_identity("a", "b").identity(), "b");
        assert_eq!(Member::new("a").identity(), "a");
    }

    #[test]
    fn a_point_that_two_members_share_belongs_to_the_smaller_address() {
        // Point 11 of the one has the label of point 1 of the other.
        let ring = ring(&["127.0.0.1:21001", "127.0.0.1:2100"]);
        assert_eq!(ring.lookup(b"127.0.0.1:210011"), Some("127.0.0.1:2100"));
        assert_eq!(ring.points().len(), 200);
    }

    #[test]
    fn an_empty_ring_has_no_owners() {
        let ring = ring(&[]);
        assert!(ring.is_empty());
        assert_eq!(ring.lookup(b"key"), None);
        assert_eq!(ring.lookup_n(b"key", 3), [""; 0]);
        assert_eq!(ring.checksum(), fingerprint32(b""));
    }

    #[test]
    fn checksums_hash_addresses_identities_and_points() {
        let mut ring = Ring::with_replica_points(RingHash::Hash32V1, NonZeroU32::MIN);
        ring.update([Member::with_identity("a", "z"), Member::new("b")], &[]);
        assert_eq!(ring.checksum(), hash32v1(b"a;b"));
        assert_eq!(ring.identity_checksum(), hash32v1(b"b;z"));
        let mut points = [(hash32v1(b"z#0"), "a"), (hash32v1(b"b0"), "b")];
        points.sort();
        let text = points
            .map(|(hash, address)| format!("{hash}-{address};"))
            .concat();
        assert_eq!(ring.replica_checksum(), hash32v1(text.as_bytes()));
    }

    #[test]
    fn names_are_those_of_the_functions() {
        for hash in RingHash::ALL {
            assert_eq!(RingHash::from_name(hash.name()), Some(hash));
        }
        assert_eq!(RingHash::from_name("farmhash"), None);
    }
}
