//! Elements one after the other that are read from both ends: those of a listpack without its
//! header and its end.
//!
//! ```text
//! element │ bytes of the element 1 to 5, to be read backwards │ element …
//! ```

use super::element::{Code, Piece, read, size};

/// Bytes that an element's length takes behind it.
#[inline]
pub(in crate::store) fn backward_bytes(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Bytes of an element with its length behind it.
#[inline]
pub(in crate::store) fn width(code: &Code<'_>) -> usize {
    code.len() + backward_bytes(code.len())
}

/// Writes an element and its length, which are as long as `out`.
#[inline]
pub(in crate::store) fn write(code: &Code<'_>, out: &mut [u8]) {
    let mut at = 0;
    for part in code.parts() {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    let length = at;
    for (i, byte) in out[length..].iter_mut().rev().enumerate() {
        *byte = (length >> (7 * i)) as u8 | 0x80;
    }
    // The byte that is read last has no mark.
    out[length] &= 0x7f;
}

/// Bytes of the first element of these and of its length.
#[inline]
pub(in crate::store) fn first_width(bytes: &[u8]) -> usize {
    let length = size(bytes);
    length + backward_bytes(length)
}

/// Bytes of the last element of these, and of its length.
#[inline]
fn last_parts(bytes: &[u8]) -> (usize, usize) {
    let (mut length, mut backward) = (0, 0);
    for byte in bytes.iter().rev() {
        length |= usize::from(byte & 0x7f) << (7 * backward);
        backward += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (length, backward)
}

/// Bytes of the last element of these and of its length.
#[inline]
pub(in crate::store) fn last_width(bytes: &[u8]) -> usize {
    let (length, backward) = last_parts(bytes);
    length + backward
}

/// The element at the start of these bytes.
#[inline]
pub(in crate::store) fn first(bytes: &[u8]) -> Piece<'_> {
    read(&bytes[..size(bytes)])
}

/// The elements of these bytes.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Strip<'a>(pub(in crate::store) &'a [u8]);

impl<'a> Iterator for Strip<'a> {
    type Item = Piece<'a>;

    #[inline]
    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let length = size(self.0);
        let (element, rest) = self.0.split_at(length);
        self.0 = &rest[backward_bytes(length)..];
        Some(read(element))
    }
}

impl DoubleEndedIterator for Strip<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (rest, element) = self.0.split_at(self.0.len() - last_width(self.0));
        self.0 = rest;
        Some(first(element))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_from_both_ends() {
        let lengths = [
            0, 1, 63, 64, 125, 126, 127, 128, 4_096, 16_378, 16_379, 3_000_000,
        ];
        let mut elements: Vec<Vec<u8>> = lengths.map(|n| vec![b'x'; n]).to_vec();
        elements.extend([&b"0"[..], b"-1", b"123456789012", b"007"].map(<[u8]>::to_vec));
        let mut bytes = Vec::new();
        for element in &elements {
            let code = Code::of(Piece::of(element));
            let start = bytes.len();
            bytes.resize(start + width(&code), 0);
            write(&code, &mut bytes[start..]);
            assert_eq!(first_width(&bytes[start..]), bytes.len() - start);
            assert_eq!(last_width(&bytes), bytes.len() - start);
        }
        let is_it = |(piece, element): (Piece<'_>, &Vec<u8>)| piece == Piece::of(element);
        assert!(Strip(&bytes).zip(&elements).all(is_it));
        assert!(Strip(&bytes).rev().zip(elements.iter().rev()).all(is_it));
        assert_eq!(Strip(&bytes).rev().count(), elements.len());
    }
}
