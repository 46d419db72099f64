//! The list of members.

use std::cell::Cell;
use std::sync::Arc;

use crate::checksum::Line;
use crate::damping::Flaps;
use crate::random::Random;
use crate::rumors::Rumor;
use crate::suspicion::Suspicion;
use crate::{Form, Labels, MemberState, Status};

/// A member's number. It stays with the member until that is forgotten.
pub(crate) type Id = u32;

/// What is held of a member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub address: Arc<str>,
    pub incarnation: u64,
    pub labels: Option<Arc<Labels>>,
    pub status: Status,
    /// Whether those outside were told that it is in the ring.
    pub ringed: bool,
    /// The form of its checksums.
    pub form: Option<Form>,
    /// What is still told of it.
    pub rumor: Option<Box<Rumor>>,
    /// Nothing, for nearly all: members in trouble have more to be known of.
    pub trouble: Option<Box<Trouble>>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    /// When its status goes a step further.
    pub deadline: Option<u64>,
    /// Which status the deadline belongs to.
    pub since: Option<Status>,
    pub suspicion: Option<Suspicion>,
    pub flaps: Flaps,
}

impl Member {
    pub fn new(address: Arc<str>, status: Status, incarnation: u64) -> Member {
        Member {
            address,
            incarnation,
            labels: None,
            status,
            ringed: false,
            form: None,
            rumor: None,
            trouble: None,
        }
    }

    pub fn state(&self) -> MemberState {
        MemberState {
            address: self.address.clone(),
            status: self.status,
            incarnation: self.incarnation,
            labels: self.labels.clone(),
        }
    }

    pub fn identity(&self) -> Option<&str> {
        self.labels.as_ref().and_then(|labels| labels.identity())
    }

    pub fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    pub fn damped(&self) -> bool {
        self.trouble
            .as_ref()
            .is_some_and(|trouble| trouble.flaps.damped_since.is_some())
    }

    fn line(&self) -> Line<'_> {
        (
            &self.address,
            self.status,
            self.incarnation,
            self.labels.as_deref(),
        )
    }
}

/// All members, this one included.
///
/// An address is found by a binary search, which needs no hash function that a peer could choose
/// addresses against, and no memory beside four bytes a member.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// By number. Numbers in `free` belong to nobody.
    all: Vec<Member>,
    free: Vec<Id>,
    /// By address.
    sorted: Vec<Id>,
    /// The order of pings: everybody, shuffled.
    order: Vec<Id>,
    next: usize,
    counts: [usize; Status::ALL.len()],
    /// Checksums of the four forms, until the next change.
    checksums: Cell<[Option<u32>; Form::ALL.len()]>,
}

impl Members {
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    pub fn count(&self, status: Status) -> usize {
        self.counts[status as usize]
    }

    /// Those that are pinged, this one included.
    pub fn pingable(&self) -> usize {
        self.count(Status::Alive) + self.count(Status::Suspect)
    }

    pub fn find(&self, address: &str) -> Option<Id> {
        self.position(address).ok().map(|at| self.sorted[at])
    }

    fn position(&self, address: &str) -> Result<usize, usize> {
        // Lists come sorted, often.
        match self.sorted.last() {
            Some(&last) if *self.get(last).address < *address => return Err(self.sorted.len()),
            _ => {}
        }
        self.sorted
            .binary_search_by(|&id| (*self.get(id).address).cmp(address))
    }

    pub fn get(&self, id: Id) -> &Member {
        &self.all[id as usize]
    }

    /// For all but status, incarnation and labels, which [`Members::set`] changes.
    pub fn get_mut(&mut self, id: Id) -> &mut Member {
        &mut self.all[id as usize]
    }

    /// In the order of addresses.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.sorted.iter().map(|&id| self.get(id))
    }

    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.sorted.iter().copied()
    }

    /// Adds a member whose address is new, at any place in the order of pings.
    pub fn insert(&mut self, member: Member, random: &mut Random) -> Id {
        let at = self.position(&member.address).unwrap_or_else(|at| at);
        self.counts[member.status as usize] += 1;
        let id = match self.free.pop() {
            Some(id) => {
                self.all[id as usize] = member;
                id
            }
            None => {
                self.all.push(member);
                (self.all.len() - 1) as Id
            }
        };
        self.sorted.insert(at, id);
        self.order.push(id);
        let last = self.order.len() - 1;
        self.order.swap(last, random.below(last + 1));
        self.checksums.take();
        id
    }

    pub fn set(&mut self, id: Id, status: Status, incarnation: u64, labels: Option<Arc<Labels>>) {
        let member = &mut self.all[id as usize];
        self.counts[member.status as usize] -= 1;
        self.counts[status as usize] += 1;
        member.status = status;
        member.incarnation = incarnation;
        member.labels = labels;
        self.checksums.take();
    }

    pub fn remove(&mut self, id: Id) -> Member {
        if let Ok(at) = self.position(&self.get(id).address.clone()) {
            self.sorted.remove(at);
        }
        self.order.retain(|&other| other != id);
        self.free.push(id);
        self.checksums.take();
        let nobody = Member::new("".into(), Status::Tombstone, 0);
        let member = std::mem::replace(&mut self.all[id as usize], nobody);
        self.counts[member.status as usize] -= 1;
        member
    }

    /// Whom to ping next: everybody in turn, and in another order when all have had theirs.
    pub fn next_to_ping(&mut self, me: Id, random: &mut Random) -> Option<Id> {
        // Twice as far as there are members: the first turn may end at once.
        for _ in 0..2 * self.order.len() {
            if self.next >= self.order.len() {
                self.next = 0;
                random.shuffle(&mut self.order);
            }
            let id = self.order[self.next];
            self.next += 1;
            if id != me && self.get(id).status.pingable() {
                return Some(id);
            }
        }
        None
    }

    /// Some that can be pinged, chosen by chance.
    pub fn some_pingable(&self, n: usize, except: &[Id], random: &mut Random) -> Vec<Id> {
        let fits = |id: &Id| !except.contains(id) && self.get(*id).status.pingable();
        let mut some = Vec::with_capacity(n.min(self.len()));
        // Among many, a few are soon met.
        for _ in 0..if self.len() > 8 * n { 16 * n } else { 0 } {
            let id = self.sorted[random.below(self.len())];
            if fits(&id) && !some.contains(&id) {
                some.push(id);
                if some.len() == n {
                    return some;
                }
            }
        }
        some = self.ids().filter(fits).collect();
        random.shuffle(&mut some);
        some.truncate(n);
        some
    }

    pub fn checksum(&self, form: Form) -> u32 {
        let mut checksums = self.checksums.get();
        *checksums[form.index()].get_or_insert_with(|| {
            let checksum = form.checksum(self.iter().map(Member::line));
            let mut known = self.checksums.get();
            known[form.index()] = Some(checksum);
            self.checksums.set(known);
            checksum
        })
    }

    /// Whether a checksum is known without computing.
    pub fn has_checksum(&self, form: Form) -> bool {
        self.checksums.get()[form.index()].is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(addresses: &[&str]) -> (Members, Random) {
        let (mut members, mut random) = (Members::default(), Random::new(1));
        for address in addresses {
            members.insert(
                Member::new((*address).into(), Status::Alive, 1),
                &mut random,
            );
        }
        (members, random)
    }

    fn addresses(members: &Members) -> Vec<&str> {
        members.iter().map(|member| &*member.address).collect()
    }

    #[test]
    fn members_are_found_and_listed_by_address() {
        let (mut members, mut random) = members(&["c", "a", "d", "b"]);
        assert_eq!(addresses(&members), ["a", "b", "c", "d"]);
        let c = members.find("c").unwrap();
        assert_eq!(&*members.remove(c).address, "c");
        assert_eq!(members.find("c"), None);
        let e = members.insert(Member::new("e".into(), Status::Faulty, 1), &mut random);
        assert_eq!(e, c, "its number is used again");
        assert_eq!(addresses(&members), ["a", "b", "d", "e"]);
        assert_eq!((members.pingable(), members.count(Status::Faulty)), (3, 1));
    }

    #[test]
    fn everybody_pingable_has_one_turn_in_a_round() {
        let (mut members, mut random) = members(&["a", "b", "c", "d", "e"]);
        let [me, faulty] = ["a", "d"].map(|address| members.find(address).unwrap());
        members.set(faulty, Status::Faulty, 1, None);
        let mut orders = Vec::new();
        // The turn under way ends; then each round is whole.
        while members.next < members.order.len() {
            members.next_to_ping(me, &mut random);
        }
        for _ in 0..20 {
            let round: Vec<Id> = (0..3)
                .map(|_| members.next_to_ping(me, &mut random).unwrap())
                .collect();
            members.next = members.order.len();
            let mut sorted = round.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), 3);
            assert!(!round.contains(&me) && !round.contains(&faulty));
            orders.push(round);
        }
        orders.sort();
        orders.dedup();
        assert!(orders.len() > 2, "rounds are shuffled");
        for address in ["b", "c", "e"] {
            members.set(members.find(address).unwrap(), Status::Leave, 1, None);
        }
        assert_eq!(members.next_to_ping(me, &mut random), None);
    }

    #[test]
    fn some_are_chosen_without_the_excepted() {
        for n in [10, 200] {
            let names: Vec<String> = (0..n).map(|i| format!("{i:03}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let (members, mut random) = members(&names);
            let except = [0, 1];
            for _ in 0..50 {
                let some = members.some_pingable(3, &except, &mut random);
                assert_eq!(some.len(), 3);
                assert!(some.iter().all(|id| !except.contains(id)));
            }
            assert_eq!(members.some_pingable(n, &except, &mut random).len(), n - 2);
        }
    }

    #[test]
    fn checksums_follow_changes() {
        let (mut members, _) = members(&["b", "a"]);
        let form = Form::default();
        let before = members.checksum(form);
        assert_eq!(before, form.hash.hash(b"aalive1;balive1"));
        members.set(members.find("a").unwrap(), Status::Suspect, 1, None);
        assert!(!members.has_checksum(form));
        assert_eq!(members.checksum(form), form.hash.hash(b"asuspect1;balive1"));
        assert!(members.has_checksum(form));
    }
}
