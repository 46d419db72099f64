//! Ziplists: what Redis before 7.0 had in the place of listpacks.
//!
//! ```text
//! length in bytes 4 │ last element 4 │ elements 2 │ element … │ 0xff
//! element: length of the one before 1 or 5, head, bytes
//! ```

const HEADER: usize = 10;
const END: u8 = 0xff;

/// Tells each element, numbers in decimal. `None` if these bytes are no ziplist.
pub(super) fn each(bytes: &[u8], tell: &mut dyn FnMut(&[u8])) -> Option<()> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    if length != bytes.len() {
        return None;
    }
    let mut rest = bytes.get(HEADER..)?;
    while *rest.first()? != END {
        let before = if rest[0] == 0xfe { 5 } else { 1 };
        rest = rest.get(before..)?;
        let (head, number, text) = element(rest)?;
        match number {
            Some(number) => tell(itoa::Buffer::new().format(number).as_bytes()),
            None => tell(rest.get(head..head.checked_add(text)?)?),
        }
        rest = rest.get(head + text..)?;
    }
    (rest.len() == 1).then_some(())
}

/// Bytes of an element's head, its value if it is a number, and the bytes of its text if not.
fn element(bytes: &[u8]) -> Option<(usize, Option<i64>, usize)> {
    let first = *bytes.first()?;
    let number = |count: usize| {
        let mut value = [0; 8];
        value[8 - count..].copy_from_slice(bytes.get(1..=count)?);
        Some((
            1 + count,
            Some(i64::from_le_bytes(value) >> (64 - 8 * count)),
            0,
        ))
    };
    match first {
        0..=0x3f => Some((1, None, usize::from(first))),
        0x40..=0x7f => {
            let length = usize::from(first & 0x3f) << 8 | usize::from(*bytes.get(1)?);
            Some((2, None, length))
        }
        0x80 => {
            let length = u32::from_be_bytes(*bytes.get(1..)?.first_chunk()?);
            Some((5, None, length as usize))
        }
        0xc0 => number(2),
        0xd0 => number(4),
        0xe0 => number(8),
        0xf0 => number(3),
        0xfe => number(1),
        0xf1..=0xfd => Some((1, Some(i64::from(first & 0x0f) - 1), 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of `a`, 5 and 300, as Redis 6 keeps it.
    #[test]
    fn elements_are_read() {
        let bytes = b"\x14\0\0\0\x0f\0\0\0\x03\0\x00\x01a\x03\xf6\x02\xc0\x2c\x01\xff";
        let mut found = Vec::new();
        let whole = each(bytes, &mut |e| {
            found.push(String::from_utf8_lossy(e).into_owned())
        });
        assert_eq!((whole, found.join(" ").as_str()), (Some(()), "a 5 300"));
        for cut in 0..bytes.len() {
            assert_eq!(each(&bytes[..cut], &mut |_| ()), None, "{cut}");
        }
    }
}
