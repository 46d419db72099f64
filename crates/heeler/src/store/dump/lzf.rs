//! LZF, the compression of long strings: runs of bytes as they are, and copies of earlier ones.

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

#[cfg(test)]
mod tests {
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
}
