//! Many strings of a reply, side by side.

/// Strings in order, some of which may be absent, in one allocation: what a reply with many of them
/// would else allocate for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Strings {
    grouping: Grouping,
    count: usize,
    /// Each with its length before it.
    bytes: Vec<u8>,
}

/// What the strings are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Values in order.
    Array,
    /// Values without order: RESP2 shows an array.
    Set,
    /// Names, each followed by its value: RESP2 shows an array.
    Map,
}

/// Bytes that each string is expected to have.
const EXPECTED: usize = 128;
/// Most bytes for which there is room from the start.
const ROOM: usize = 4096;

/// The length of a string that is absent.
const ABSENT: u32 = u32::MAX;

impl Strings {
    /// None so far.
    pub fn new(grouping: Grouping) -> Strings {
        Strings {
            grouping,
            count: 0,
            bytes: Vec::new(),
        }
    }

    /// None so far, of so many that are expected.
    pub fn expecting(grouping: Grouping, count: usize) -> Strings {
        Strings {
            grouping,
            count: 0,
            bytes: Vec::with_capacity(count.saturating_mul(EXPECTED).min(ROOM)),
        }
    }

    /// Adds a string, of fewer than 4 GiB.
    #[inline]
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.reserve(string.len() + size_of::<u32>());
        let length = string.len() as u32;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(string);
        self.count += 1;
    }

    /// Adds one that is absent.
    pub fn push_absent(&mut self) {
        self.bytes.extend_from_slice(&ABSENT.to_le_bytes());
        self.count += 1;
    }

    /// What they are to each other.
    pub fn grouping(&self) -> Grouping {
        self.grouping
    }

    /// Number of strings, those included that are absent.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all strings, and four for each.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The strings in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk()?;
            let length = u32::from_le_bytes(*length);
            let here = if length == ABSENT { 0 } else { length as usize };
            let (string, after) = after.split_at(here);
            rest = after;
            Some((length != ABSENT).then_some(string))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_come_back_in_order(
            all in vec(prop::option::of(vec(any::<u8>(), 0..50)), 0..20)
        ) {
            let mut strings = Strings::new(Grouping::Array);
            for string in &all {
                match string {
                    Some(string) => strings.push(string),
                    None => strings.push_absent(),
                }
            }
            prop_assert_eq!(strings.len(), all.len());
            prop_assert!(strings.iter().eq(all.iter().map(Option::as_deref)));
        }
    }
}
