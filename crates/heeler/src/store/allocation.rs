//! What memory an allocation takes, so that the store can tell how much it uses, and choose sizes
//! that waste little.

/// What mimalloc cuts allocations of one size from: small ones from 64 KiB, larger ones from
/// 512 KiB. What is left at the end is lost.
const SMALL_PAGE: u32 = 64 * 1024;
const LARGE_PAGE: u32 = 512 * 1024;
/// The largest that is cut from a small page, and from a large one, in bytes.
const SMALL: usize = 10 * 1024;
const LARGE: usize = 64 * 1024;

/// Bytes that one allocation of so many takes.
#[inline]
pub(super) const fn size(bytes: usize) -> usize {
    let given = given(bytes);
    if given == 0 || given > LARGE {
        return given;
    }
    let page = if given <= SMALL {
        SMALL_PAGE
    } else {
        LARGE_PAGE
    };
    (page / (page / given as u32)) as usize
}

/// Bytes that the allocator gives: four sizes for each power of two.
#[inline]
const fn given(bytes: usize) -> usize {
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
        for (asked, expected) in [
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
            assert_eq!(given(asked), expected, "{asked}");
        }
    }

    #[test]
    fn what_is_left_of_a_page_is_counted() {
        for (asked, expected) in [(88, 96), (4_096, 4_096), (10_000, 10_922), (40_000, 43_690)] {
            assert_eq!(size(asked), expected, "{asked}");
        }
        assert!((1..200_000).all(|asked| size(asked) >= asked));
    }
}
