//! How long the longest command takes while a store grows, and what a key takes then:
//! `cargo bench -p heeler --bench growth`, with `-- KEYS` for others than 10,000,000.
//!
//! Keys of 16 bytes, values of 64, set one after the other; beside it runs what runs beside it in a
//! node. A command's time is this thread's on its processor, the kernel's share included, so that
//! what else runs on the machine disturbs it little. As in the program the allocator is mimalloc,
//! and memory comes in small pages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use heeler::command::OwnedCommand;
use heeler::store::Store;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keys, if nobody asks for others.
const KEYS: u64 = 10_000_000;
/// The time of all commands, in milliseconds since 1970.
const NOW: u64 = 1_000;

fn main() {
    let keys = std::env::args().filter_map(|arg| arg.parse().ok()).next();
    let keys = keys.unwrap_or(KEYS);
    rustix::thread::disable_transparent_huge_pages(true).expect("a Linux");
    let (store, is_done) = (Store::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                store.expire_due(NOW, 1_000);
                thread::sleep(Duration::from_millis(10));
            }
        });
        load(&store, keys);
        is_done.store(true, Ordering::Relaxed);
    });
}

/// Sets so many keys, and tells of it whenever their number has grown tenfold.
fn load(store: &Store, keys: u64) {
    let value = [b'v'; 64];
    let (mut longest, mut times, mut tell_at) = (Duration::ZERO, Vec::new(), 100_000);
    let start = processor_time();
    for key in 0..keys {
        let name = format!("key:{key:012}");
        let set = OwnedCommand::resolve([&b"SET"[..], name.as_bytes(), &value]);
        let set = set.expect("a command that there is");
        let before = processor_time();
        store.execute(NOW, &set.as_command());
        let took = processor_time() - before;
        longest = longest.max(took);
        times.push(took.as_nanos().min(u128::from(u32::MAX)) as u32);
        if key + 1 == tell_at || key + 1 == keys {
            tell_at *= 10;
            times.sort_unstable();
            let at = |share: f64| f64::from(times[(times.len() as f64 * share) as usize]) / 1e3;
            println!(
                "{:>9} keys: {:.1} B a key; a SET p50 {:.1} p99.9 {:.1} p99.999 {:.1} longest \
                 {:.1} us; {:.1} s in all",
                key + 1,
                store.memory() as f64 / (key + 1) as f64,
                at(0.5),
                at(0.999),
                at(0.99999),
                longest.as_nanos() as f64 / 1e3,
                (processor_time() - start).as_secs_f64(),
            );
        }
    }
}

/// The time that this thread has spent on a processor.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
