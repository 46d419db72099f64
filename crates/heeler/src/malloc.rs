//! The program's allocator, and how it is told to give memory back.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What [`allocator`](heeler::allocator) asks for, which says what it is good for.
#[allow(unsafe_code)]
pub fn collect(force: bool) {
    // SAFETY: it takes no pointer, and any thread may call it at any time; it counts as unsafe
    // because it is foreign code.
    unsafe { libmimalloc_sys::mi_collect(force) }
}
