//! What memory an allocation takes, so that the store can tell how much it uses, and choose sizes
//! that waste little.

/// Bytes that an allocator takes for one allocation of so many: mimalloc has four sizes for each
/// power of two, and gives whole pages of the system to what is very large.
#[inline]
pub(super) fn size(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=64 => bytes.next_multiple_of(16),
        _ => bytes.next_multiple_of(1 << ((bytes - 1).ilog2() - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_mimalloc() {
        for (asked, given) in [
            (0, 0),
            (1, 16),
            (33, 48),
            (64, 64),
            (65, 80),
            (113, 128),
            (129, 160),
            (4096, 4096),
            (4097, 5120),
            (10_256, 12_288),
        ] {
            assert_eq!(size(asked), given, "{asked}");
        }
    }
}
