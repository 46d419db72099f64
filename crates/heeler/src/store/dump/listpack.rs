//! Listpacks: many short strings and numbers in one run of bytes.
//!
//! ```text
//! length in bytes 4 │ elements 2 │ element … │ 0xff        element: head, bytes, length backwards
//! ```

use super::super::compact::element::{Code, Piece};
use super::super::compact::strip::{self, backward_bytes};

const HEADER: usize = 6;
const END: u8 = 0xff;
/// The number of elements is not kept when it is this or more.
const UNCOUNTED: usize = 0xffff;

/// Tells each element, numbers in decimal. `None` if these bytes are no listpack.
pub(super) fn each(bytes: &[u8], tell: &mut dyn FnMut(&[u8])) -> Option<()> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    if u32::from_le_bytes(*length) as usize != bytes.len() {
        return None;
    }
    let mut found = 0;
    while *rest.first()? != END {
        let (head, number, text) = element(rest)?;
        match number {
            Some(number) => tell(itoa::Buffer::new().format(number).as_bytes()),
            None => tell(rest.get(head..head + text)?),
        }
        rest = rest.get(head + text + backward_bytes(head + text)..)?;
        found += 1;
    }
    let counted = usize::from(u16::from_le_bytes(*count));
    (rest.len() == 1 && (counted == UNCOUNTED || counted == found)).then_some(())
}

/// Bytes of an element's head, its value if it is a number, and the bytes of its text if not.
fn element(bytes: &[u8]) -> Option<(usize, Option<i64>, usize)> {
    let first = *bytes.first()?;
    let number = |from: usize, count: usize| {
        let mut value = [0; 8];
        value[8 - count..].copy_from_slice(bytes.get(from..from + count)?);
        Some((
            from + count,
            Some(i64::from_le_bytes(value) >> (64 - 8 * count)),
            0,
        ))
    };
    match first {
        0..=0x7f => Some((1, Some(i64::from(first)), 0)),
        0x80..=0xbf => Some((1, None, usize::from(first & 0x3f))),
        0xc0..=0xdf => {
            let value = u16::from(first & 0x1f) << 8 | u16::from(*bytes.get(1)?);
            Some((2, Some(i64::from((value << 3) as i16 >> 3)), 0))
        }
        0xe0..=0xef => {
            let length = usize::from(first & 0x0f) << 8 | usize::from(*bytes.get(1)?);
            Some((2, None, length))
        }
        0xf0 => {
            let length = u32::from_le_bytes(*bytes.get(1..)?.first_chunk()?);
            Some((5, None, length as usize))
        }
        0xf1 => number(1, 2),
        0xf2 => number(1, 3),
        0xf3 => number(1, 4),
        0xf4 => number(1, 8),
        _ => None,
    }
}

/// A listpack that is being written.
pub(super) struct Writer {
    bytes: Vec<u8>,
    count: usize,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer {
            bytes: vec![0; HEADER],
            count: 0,
        }
    }
}

impl Writer {
    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Elements so far.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds an element.
    pub(super) fn push(&mut self, element: Piece<'_>) {
        let (start, code) = (self.bytes.len(), Code::of(element));
        self.bytes.resize(start + strip::width(&code), 0);
        strip::write(&code, &mut self.bytes[start..]);
        self.count += 1;
    }

    /// The whole listpack.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        let count = self.count.min(UNCOUNTED) as u16;
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let numbers = [
            0,
            127,
            128,
            -1,
            4095,
            4096,
            -4096,
            -4097,
            32_767,
            -32_769,
            8_388_607,
            -8_388_609,
            2_147_483_648,
            i64::MIN,
            i64::MAX,
        ];
        let mut elements: Vec<Vec<u8>> = numbers.map(|n| n.to_string().into_bytes()).to_vec();
        elements.extend([0, 1, 63, 64, 127, 4095, 4096, 20_000, 3_000_000].map(|n| vec![b'x'; n]));
        elements.push(b"007".to_vec());
        let mut writer = Writer::default();
        elements.iter().for_each(|e| writer.push(Piece::of(e)));
        let bytes = writer.finish();
        let mut found = Vec::new();
        let whole = each(&bytes, &mut |e| found.push(e.to_vec()));
        assert_eq!(whole, Some(()));
        assert!(found == elements);
        for cut in [0, 1, 5, 6, 7, bytes.len() - 1] {
            assert_eq!(each(&bytes[..cut], &mut |_| ()), None, "{cut}");
        }
    }
}
