//! How long the longest command takes while a store grows, and what a key takes then:
//! `cargo bench -p heeler --bench growth`, with `-- KEYS` for others than 10,000,000.
//!
//! Keys of 16 bytes, values of 64, set one after the other; beside it runs what runs beside it in a
//! node. A command's time is this thread's on its processor, the kernel's share included: what else
//! runs on the machine disturbs it little, but a host that takes the processor away does. As in the
//! program the allocator is mimalloc, and memory comes in small pages.

mod clock;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clock::processor_time;
use heeler::command::OwnedCommand;
use heeler::store::Store;

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
    // Made once: its memory would otherwise be given back while commands run.
    let mut times = Vec::with_capacity(keys as usize);
    println!("nothing, to see what the machine does to a thread:");
    load(keys, &mut times, |set| drop(black_box(set)), || 0);
    println!("a store:");
    let (store, is_done) = (Store::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                store.expire_due(NOW, 1_000);
                thread::sleep(Duration::from_millis(10));
            }
        });
        let set = |set: OwnedCommand| drop(store.execute(NOW, &set.as_command()));
        load(keys, &mut times, set, || store.memory());
        is_done.store(true, Ordering::Relaxed);
    });
}

/// Makes a SET of each of so many keys, and tells how long `run` took whenever their number has
/// grown tenfold.
fn load(keys: u64, times: &mut Vec<u64>, run: impl Fn(OwnedCommand), memory: impl Fn() -> usize) {
    let (value, mut tell_at) = ([b'v'; 64], 100_000);
    times.clear();
    for key in 0..keys {
        let name = format!("key:{key:012}");
        let set = OwnedCommand::resolve([&b"SET"[..], name.as_bytes(), &value]);
        let set = set.expect("a command that there is");
        let before = processor_time();
        run(set);
        times.push((processor_time() - before).as_nanos() as u64);
        if key + 1 == tell_at || key + 1 == keys {
            tell_at *= 10;
            times.sort_unstable();
            let at = |share: f64| times[(times.len() as f64 * share) as usize] as f64 / 1e3;
            println!(
                "{:>9} keys: {:>5.1} B a key; p50 {:.1} p99.9 {:.1} p99.999 {:.1} longest {:.1} us",
                key + 1,
                memory() as f64 / (key + 1) as f64,
                at(0.5),
                at(0.999),
                at(0.99999),
                times.last().copied().unwrap_or(0) as f64 / 1e3,
            );
        }
    }
}
