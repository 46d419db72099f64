//! LZF, the compression of long strings: runs of bytes as they are, and copies of earlier ones.
//!
//! What is written is what redis-server writes (`lzf_compress` of liblzf 3.6 with its settings), so
//! that payloads can be compared; any LZF could be read.

/// Longest run of bytes as they are.
const MOST_LITERALS: usize = 1 << 5;
/// How far back a copy may reach.
const MOST_BACK: usize = 1 << 13;
/// Longest copy, two bytes aside.
const MOST_COPIED: usize = (1 << 8) + (1 << 3);
/// Places of three bytes that are remembered, by their hash.
const PLACES: usize = 1 << 16;

/// The `length` bytes that these stand for, if they do.
pub(super) fn unpack(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    // Three bytes stand for 264 at most.
    if length > bytes.len().checked_mul(88)? {
        return None;
    }
    let mut out = Vec::with_capacity(length);
    let mut bytes = bytes.iter();
    while let Some(control) = bytes.next() {
        let control = usize::from(*control);
        if control < 32 {
            let literal = bytes.as_slice().get(..=control)?;
            out.extend_from_slice(literal);
            bytes = bytes.as_slice()[control + 1..].iter();
        } else {
            let count = match control >> 5 {
                7 => 7 + usize::from(*bytes.next()?),
                count => count,
            } + 2;
            let back = (control & 31) << 8 | usize::from(*bytes.next()?);
            let start = out.len().checked_sub(back + 1)?;
            // What is copied may go on into what is being written.
            (start..start + count).for_each(|at| out.push(out[at]));
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}

/// Compresses one string after the other.
#[derive(Default)]
pub(super) struct Packer {
    /// Where three bytes were met last, counted from `before` on; made for the first string. What
    /// is not past `before` is of an earlier string, or the first place of this one, which counts
    /// for nothing.
    places: Vec<u32>,
    before: usize,
}

/// A string that is being compressed.
struct Packing<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// Bytes of the run of literals that is open. Its header stands before them already.
    literals: usize,
    /// The result must be shorter than that.
    most: usize,
}

impl Packer {
    /// The string compressed, if that makes it shorter by four bytes at least.
    pub(super) fn pack(&mut self, input: &[u8]) -> Option<Vec<u8>> {
        let most = input.len().checked_sub(4).filter(|most| *most > 0)?;
        self.make_room(input.len())?;
        let mut packing = Packing {
            input,
            at: 0,
            out: vec![0],
            literals: 0,
            most,
        };
        let packed = self.run(&mut packing);
        self.before += input.len();
        packed
    }

    /// `None`: it is longer than places can be told.
    fn make_room(&mut self, length: usize) -> Option<()> {
        u32::try_from(length).ok()?;
        if self.places.is_empty() || u32::try_from(self.before + length).is_err() {
            self.places.clear();
            self.places.resize(PLACES, 0);
            self.before = 0;
        }
        Some(())
    }

    fn run(&mut self, packing: &mut Packing<'_>) -> Option<Vec<u8>> {
        let end = packing.input.len();
        let mut three = packing.two();
        while packing.at + 2 < end {
            three = packing.next(three);
            let found = self.meet(three, packing.at);
            match found.filter(|&from| packing.repeats(from)) {
                None => packing.literal()?,
                Some(from) => {
                    packing.copy(from)?;
                    if packing.at + 2 >= end {
                        break;
                    }
                    // Of what was copied, the last two places are remembered.
                    packing.at -= 2;
                    three = packing.two();
                    for _ in 0..2 {
                        three = packing.next(three);
                        self.meet(three, packing.at);
                        packing.at += 1;
                    }
                }
            }
        }
        packing.finish()
    }

    /// Remembers where three bytes are, and returns where bytes of the same hash were last.
    fn meet(&mut self, three: u32, at: usize) -> Option<usize> {
        let hash = (three >> 8).wrapping_sub(three.wrapping_mul(5)) as usize % PLACES;
        let last = std::mem::replace(&mut self.places[hash], (self.before + at) as u32);
        let last = (last as usize).checked_sub(self.before)?;
        (last > 0).then_some(last)
    }
}

impl Packing<'_> {
    /// The two bytes at this place.
    fn two(&self) -> u32 {
        u32::from(self.input[self.at]) << 8 | u32::from(self.input[self.at + 1])
    }

    /// The three bytes at this place, behind others, given those before the last.
    fn next(&self, two: u32) -> u32 {
        two << 8 | u32::from(self.input[self.at + 2])
    }

    /// Whether there are the same three bytes, and near enough.
    fn repeats(&self, from: usize) -> bool {
        self.at - from - 1 < MOST_BACK
            && self.input[from..from + 3] == self.input[self.at..self.at + 3]
    }

    /// Takes one byte as it is. `None`: it has become too long.
    fn literal(&mut self) -> Option<()> {
        if self.out.len() >= self.most {
            return None;
        }
        self.take_literal();
        Some(())
    }

    fn take_literal(&mut self) {
        self.out.push(self.input[self.at]);
        self.at += 1;
        self.literals += 1;
        if self.literals == MOST_LITERALS {
            self.end_literals();
            self.out.push(0);
        }
    }

    /// Writes the header of the run, or takes it away if the run is empty.
    fn end_literals(&mut self) {
        let header = self.out.len() - self.literals - 1;
        match self.literals.checked_sub(1) {
            Some(count) => self.out[header] = count as u8,
            None => self.out.truncate(header),
        }
        self.literals = 0;
    }

    /// Takes what is the same as from an earlier place on. `None`: it has become too long.
    fn copy(&mut self, from: usize) -> Option<()> {
        let is_empty = usize::from(self.literals == 0);
        if self.out.len() + 4 - is_empty >= self.most {
            return None;
        }
        self.end_literals();
        let count = self.same(from);
        let (back, more) = (self.at - from - 1, count - 2);
        match more {
            ..7 => self.out.push((back >> 8) as u8 + ((more as u8) << 5)),
            _ => {
                self.out.push((back >> 8) as u8 + (7 << 5));
                self.out.push((more - 7) as u8);
            }
        }
        self.out.push(back as u8);
        self.out.push(0);
        self.at += count;
        Some(())
    }

    /// How many bytes are the same, of those that one copy can have. Where many are, the first are
    /// counted before the bound is looked at, which may add one or two to it.
    fn same(&self, from: usize) -> usize {
        let is_same = |count: usize| self.input[from + count] == self.input[self.at + count];
        let most = (self.input.len() - self.at - 2).min(MOST_COPIED);
        let mut count = 2;
        if most > 16 {
            for _ in 0..16 {
                count += 1;
                if !is_same(count) {
                    return count;
                }
            }
        }
        loop {
            count += 1;
            if count >= most || !is_same(count) {
                return count;
            }
        }
    }

    fn finish(&mut self) -> Option<Vec<u8>> {
        if self.out.len() + 3 > self.most {
            return None;
        }
        while self.at < self.input.len() {
            self.take_literal();
        }
        self.end_literals();
        Some(std::mem::take(&mut self.out))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn copies_may_overlap_themselves() {
        assert_eq!(unpack(b"\x00a\x20\x00", 4).as_deref(), Some(&b"aaaa"[..]));
        assert_eq!(unpack(b"\x02abc", 3).as_deref(), Some(&b"abc"[..]));
        for broken in [&b"\x02ab"[..], b"\x20\x00", b"\xe0\x01", b"\x00a\x20"] {
            assert_eq!(unpack(broken, 3), None, "{broken:?}");
        }
        assert_eq!(unpack(b"\x00a", 2), None);
        assert_eq!(unpack(b"\x00a", usize::MAX), None);
    }

    #[test]
    fn what_does_not_become_shorter_is_left() {
        let all: Vec<u8> = (0..=255).collect();
        for input in [&b""[..], b"aaaa", b"abcdefghijklmnopqrstuvwxyz", &all] {
            assert_eq!(Packer::default().pack(input), None);
        }
    }

    #[test]
    fn one_string_knows_nothing_of_another() {
        let mut packer = Packer::default();
        let (one, two) = (
            b"abcabcabcabcabcabcabcabc".repeat(3),
            b"xyzxyzxyzxyzxyzabcabc".repeat(2),
        );
        let alone = Packer::default().pack(&two);
        packer.pack(&one);
        assert_eq!(packer.pack(&two), alone);
        assert_eq!(unpack(&alone.unwrap(), two.len()), Some(two));
    }

    #[test]
    fn places_begin_anew_before_they_cannot_be_told() {
        let mut packer = Packer::default();
        let input = b"abcd".repeat(20);
        let first = packer.pack(&input);
        packer.before = u32::MAX as usize - 10;
        assert_eq!(packer.pack(&input), first);
        assert!(packer.before < 1000);
    }

    proptest! {
        #[test]
        fn what_is_packed_can_be_unpacked(
            parts in prop::collection::vec(
                (prop::collection::vec(0u8..4, 0..12), 1usize..40),
                0..60,
            ),
        ) {
            let input: Vec<u8> = parts.iter().flat_map(|(part, n)| part.repeat(*n)).collect();
            if let Some(packed) = Packer::default().pack(&input) {
                prop_assert!(packed.len() <= input.len() - 4);
                prop_assert_eq!(unpack(&packed, input.len()), Some(input));
            }
        }
    }
}
