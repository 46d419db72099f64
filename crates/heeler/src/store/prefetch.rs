//! Prefetching: asks the processor for memory that is looked at soon, so that several waits become
//! one.

/// Bytes that processors fetch at a time: two cache lines.
const LINES: usize = 128;

/// Begins to fetch the cache line of `place`. A hint, which changes nothing; where the processor
/// has no such instruction this does nothing.
#[inline]
#[allow(unsafe_code)]
pub(super) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads and writes nothing that can be seen, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The same for what is written soon: the processor takes it from those who have written it last.
#[inline]
#[allow(unsafe_code)]
pub(super) fn prefetch_to_write<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads and writes nothing that can be seen, whatever the address.
    // Processors of this kind that do not know it do nothing.
    unsafe {
        let place = std::ptr::from_ref(place);
        std::arch::asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// [`prefetch`] for all of a list, or for the first `most` bytes of it.
#[inline]
pub(super) fn prefetch_all<T>(list: &[T], most: usize) {
    let step = (LINES / size_of::<T>()).max(1);
    let list = &list[..list.len().min(most / size_of::<T>())];
    list.chunks(step).for_each(|lines| prefetch(&lines[0]));
}
