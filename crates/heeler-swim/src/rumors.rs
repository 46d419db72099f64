//! What is told with each message, and how often.

use crate::body::Change;
use crate::limits;
use crate::members::{Id, Members};

/// A change that is still told: one for a member, the latest.
#[derive(Debug, Clone)]
pub(crate) struct Rumor {
    /// To know whether it is the one that was sent.
    number: u64,
    /// The JSON object. A rumor is written once and sent many times.
    json: Box<[u8]>,
    source: Option<Box<str>>,
    source_incarnation: Option<u64>,
    told: u32,
}

/// Which members there are rumors of.
#[derive(Debug, Default)]
pub(crate) struct Rumors {
    active: Vec<Id>,
    numbers: u64,
}

/// The rumors in a message: to count them when it has arrived.
pub(crate) type Sent = Vec<(Id, u64)>;

/// Who asks: address and incarnation number. What came from there is not sent back.
pub(crate) type Caller<'a> = (&'a str, Option<u64>);

impl Rumors {
    /// Begins to tell a change of a member, in the place of any older one.
    pub fn record(&mut self, members: &mut Members, id: Id, change: &Change<'_>) {
        self.numbers += 1;
        let mut json = Vec::with_capacity(256);
        change.write(&mut json);
        let rumor = Box::new(Rumor {
            number: self.numbers,
            json: json.into(),
            source: change.source.as_deref().map(Into::into),
            source_incarnation: change.source_incarnation,
            told: 0,
        });
        if members.get_mut(id).rumor.replace(rumor).is_none() {
            self.active.push(id);
        }
    }

    /// Stops to tell of a member.
    pub fn forget(&mut self, members: &mut Members, id: Id) {
        if members.get_mut(id).rumor.take().is_some() {
            self.active.retain(|&other| other != id);
        }
    }

    pub fn len(&self) -> usize {
        self.active.len()
    }

    /// Writes changes for a request, with commas between. They are counted by [`Rumors::told`] when
    /// the answer has come.
    pub fn write_request(&mut self, members: &Members, out: &mut Vec<u8>) -> Sent {
        self.write(members, None, out).0
    }

    /// Writes changes for an answer, and counts them at once. What the caller has said itself is
    /// left out; how many those are is returned with how many are written.
    pub fn write_answer(
        &mut self,
        members: &mut Members,
        caller: Caller<'_>,
        max: u32,
        out: &mut Vec<u8>,
    ) -> (usize, usize) {
        let (sent, filtered) = self.write(members, Some(caller), out);
        self.told(members, &sent, max);
        (sent.len(), filtered)
    }

    fn write(
        &mut self,
        members: &Members,
        caller: Option<Caller<'_>>,
        out: &mut Vec<u8>,
    ) -> (Sent, usize) {
        if self.active.len() > limits::CHANGES_SENT {
            let told = |id: &Id| members.get(*id).rumor.as_ref().map(|rumor| rumor.told);
            self.active.sort_by_key(told);
        }
        let (mut sent, mut filtered) = (Vec::with_capacity(self.active.len()), 0);
        for &id in self.active.iter().take(limits::CHANGES_SENT) {
            let Some(rumor) = &members.get(id).rumor else {
                continue;
            };
            if caller.is_some_and(|caller| rumor.is_of(caller)) {
                filtered += 1;
                continue;
            }
            if !sent.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(&rumor.json);
            sent.push((id, rumor.number));
        }
        (sent, filtered)
    }

    /// Counts what has arrived, and drops what was told often enough.
    pub fn told(&mut self, members: &mut Members, sent: &[(Id, u64)], max: u32) {
        let mut over = false;
        for &(id, number) in sent {
            let rumor = &mut members.get_mut(id).rumor;
            if let Some(same) = rumor.as_mut().filter(|rumor| rumor.number == number) {
                same.told += 1;
                if same.told >= max {
                    *rumor = None;
                    over = true;
                }
            }
        }
        if over {
            self.active.retain(|&id| members.get(id).rumor.is_some());
        }
    }
}

impl Rumor {
    fn is_of(&self, (address, incarnation): Caller<'_>) -> bool {
        self.source.as_deref() == Some(address) && self.source_incarnation == incarnation
    }
}

/// How often a change is told in a ring of so many members: the factor for each digit that their
/// number plus one has, rounded up (`15 x ceil(log10(n + 1))`).
pub(crate) fn times_to_tell(factor: u32, members: usize) -> u32 {
    let mut digits = 1;
    let mut reach = 10;
    while reach < members + 1 {
        digits += 1;
        reach *= 10;
    }
    factor.saturating_mul(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use crate::members::Member;
    use crate::random::Random;

    struct Room(Members, Rumors);

    impl Room {
        fn new(addresses: &[&str]) -> Room {
            let (mut members, mut random) = (Members::default(), Random::new(1));
            for address in addresses {
                members.insert(
                    Member::new((*address).into(), Status::Alive, 1),
                    &mut random,
                );
            }
            Room(members, Rumors::default())
        }

        fn record(&mut self, address: &str, source: &str, incarnation: u64) {
            let id = self.0.find(address).unwrap();
            let change = Change {
                source: Some(source.into()),
                source_incarnation: Some(incarnation),
                address: address.into(),
                ..Change::default()
            };
            self.1.record(&mut self.0, id, &change);
        }

        fn answer(&mut self, caller: Caller<'_>, max: u32) -> ((usize, usize), String) {
            let mut out = Vec::new();
            let counts = self.1.write_answer(&mut self.0, caller, max, &mut out);
            (counts, String::from_utf8(out).unwrap())
        }
    }

    #[test]
    fn times_are_fifteen_for_each_digit() {
        let cases = [
            (0, 15),
            (1, 15),
            (9, 15),
            (10, 30),
            (99, 30),
            (100, 45),
            (999, 45),
        ];
        for (members, times) in cases {
            assert_eq!(times_to_tell(15, members), times, "{members}");
        }
        assert_eq!(times_to_tell(15, 1000), 60);
        assert_eq!(times_to_tell(u32::MAX, 1000), u32::MAX);
    }

    #[test]
    fn an_answer_leaves_out_what_the_caller_has_said_in_its_present_incarnation() {
        let mut room = Room::new(&["a", "b"]);
        room.record("a", "x", 5);
        room.record("b", "y", 5);
        let (counts, text) = room.answer(("x", Some(5)), 9);
        assert_eq!(counts, (1, 1));
        assert!(text.contains("\"address\":\"b\"") && !text.contains("\"address\":\"a\""));
        assert_eq!(room.answer(("x", Some(6)), 9).0, (2, 0));
        assert_eq!(room.answer(("x", None), 9).0, (2, 0));
    }

    #[test]
    fn an_answer_counts_at_once_and_a_request_when_it_has_arrived() {
        let mut room = Room::new(&["a"]);
        room.record("a", "x", 5);
        assert_eq!(room.answer(("z", None), 3).0, (1, 0));
        for _ in 0..10 {
            assert_eq!(room.1.write_request(&room.0, &mut Vec::new()).len(), 1);
        }
        let sent = room.1.write_request(&room.0, &mut Vec::new());
        room.1.told(&mut room.0, &sent, 3);
        assert_eq!(room.answer(("z", None), 3).0, (1, 0));
        assert_eq!(room.answer(("z", None), 3).0, (0, 0));
        assert_eq!(room.1.len(), 0);
    }

    #[test]
    fn the_latest_takes_the_place_of_the_one_before_and_begins_anew() {
        let mut room = Room::new(&["a"]);
        room.record("a", "x", 5);
        room.answer(("z", None), 3);
        let sent = room.1.write_request(&room.0, &mut Vec::new());
        room.record("a", "y", 5);
        // What has arrived is the old one.
        room.1.told(&mut room.0, &sent, 1);
        for _ in 0..3 {
            assert_eq!(room.answer(("z", None), 3).0, (1, 0));
        }
        assert_eq!(room.answer(("z", None), 3).0, (0, 0));
    }
}
