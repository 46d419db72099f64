//! The program's allocator: in which pages it has memory, and how it is told to give some back.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What [`allocator`](heeler::allocator) asks for, which says what it is good for.
#[allow(unsafe_code)]
pub fn collect(force: bool) {
    // SAFETY: it takes no pointer, and any thread may call it at any time; it counts as unsafe
    // because it is foreign code.
    unsafe { libmimalloc_sys::mi_collect(force) }
}

/// From now on the kernel gives memory in small pages. For a huge one it may compact memory first,
/// while a client waits, and all of it stays resident as long as a part is in use: so what a key
/// takes could not be told, nor memory be given back. It costs some four percent of the processor's
/// time. A kernel that does not know of huge pages has none to give.
pub fn without_huge_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
