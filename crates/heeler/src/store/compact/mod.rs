//! How the elements of collections lie in memory: packed one after the other in few allocations,
//! so that an element costs little more than its own bytes.
//!
//! | | what | kept by |
//! | --- | --- | --- |
//! | [`run`] | records one after the other, in one allocation | what is small |
//! | [`ints`] | integers of one width in order, in one allocation | sets of integers |
//! | [`pages`] | a table of runs, which grows by one at a time | big hashes, sets, scores |
//! | [`strip`] | elements that are read from both ends | lists |
//! | [`chunks`] | many strips one after the other | big lists |
//!
//! [`element`] has the bytes of one element, which all but [`ints`] share.

pub(super) mod chunks;
pub(super) mod element;
pub(super) mod ints;
pub(super) mod pages;
pub(super) mod run;
pub(super) mod strip;

use std::ops::Range;

/// Puts `parts` in the place of some bytes, in an allocation of exactly the new length.
fn splice(bytes: &mut Box<[u8]>, old: Range<usize>, parts: &[&[u8]]) {
    let new: usize = parts.iter().map(|part| part.len()).sum();
    if old.start == bytes.len() {
        let mut longer = std::mem::take(bytes).into_vec();
        longer.reserve_exact(new);
        parts.iter().for_each(|part| longer.extend_from_slice(part));
        *bytes = longer.into_boxed_slice();
        return;
    }
    if new != old.len() {
        let mut moved = std::mem::take(bytes).into_vec();
        let (len, tail) = (moved.len(), old.end..moved.len());
        if new > old.len() {
            let more = new - old.len();
            moved.reserve_exact(more);
            moved.resize(len + more, 0);
            moved.copy_within(tail, old.start + new);
        } else {
            moved.copy_within(tail, old.start + new);
            moved.truncate(len - (old.len() - new));
        }
        *bytes = moved.into_boxed_slice();
    }
    let mut at = old.start;
    for part in parts {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_put_in_the_place_of_bytes() {
        for (old, parts, expected) in [
            (0..0, &["x", "yz"][..], "xyzabcdef"),
            (2..4, &["12"], "ab12ef"),
            (2..4, &["1", "2", "3"], "ab123ef"),
            (2..4, &[], "abef"),
            (6..6, &["x"], "abcdefx"),
            (0..6, &[], ""),
            (5..6, &["longer than it was"], "abcdelonger than it was"),
        ] {
            let mut bytes: Box<[u8]> = b"abcdef"[..].into();
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            splice(&mut bytes, old, &parts);
            assert_eq!(bytes.escape_ascii().to_string(), expected);
        }
    }
}
