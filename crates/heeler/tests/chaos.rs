//! Servers are killed, stopped, slowed down and started again while many clients work: each reply
//! is right or a clear error, and none reaches the wrong client or request.
//!
//! `CHAOS_SECONDS` says how long each run takes, `CHAOS_SEED` repeats the order of events.

mod servers;

#[path = "chaos/clients.rs"]
mod clients;
#[path = "chaos/herd.rs"]
mod herd;
#[path = "chaos/slow.rs"]
mod slow;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clients::{Flock, Tally};
use fastrand::Rng;
use herd::Herd;
use servers::{Heeler, PATIENCE, free_port};

const CLIENTS: u64 = 24;
const SERVERS: usize = 4;
/// What the proxy may grow to under this load, in KiB. A debug build with a full queue of pipelined
/// requests for each client stays far below it; a queue that grows without a bound does not.
const MOST_KIB: u64 = 100 * 1024;

/// How long a run takes: short enough for every day, longer if somebody asks for it.
fn duration() -> Duration {
    let seconds = std::env::var("CHAOS_SECONDS").ok();
    Duration::from_secs(seconds.map_or(10, |text| text.parse().expect("CHAOS_SECONDS: a number")))
}

fn seed() -> u64 {
    let seed = std::env::var("CHAOS_SEED").ok();
    let seed = seed.map(|text| text.parse().expect("CHAOS_SEED: a number"));
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9);
    println!("CHAOS_SEED={seed}");
    seed
}

#[test]
fn whatever_happens_to_servers_each_client_gets_its_own_answers() {
    run(&["server_connections: 2"], false);
}

#[test]
fn ejected_or_not_each_client_gets_its_own_answers() {
    let settings = [
        "auto_eject_hosts: true",
        "server_failure_limit: 3",
        "server_retry_timeout: 200",
        "probe_interval: 100",
        "probe_timeout: 200",
    ];
    run(&settings, true);
}

fn run(settings: &[&str], ejects: bool) {
    let mut random = Rng::with_seed(seed());
    let mut herd = Herd::start(SERVERS);
    let proxy = proxy(settings, &herd);
    let over = Arc::new(AtomicBool::new(false));
    let flock = Flock::start(&proxy, CLIENTS, ejects, &over);
    let end = Instant::now() + duration();
    let mut most_kib = 0;
    while Instant::now() < end {
        herd.disturb(&mut random);
        thread::sleep(Duration::from_millis(20 + random.u64(..300)));
        most_kib = most_kib.max(resident_kib(proxy.process.pid()));
        flock.check();
    }
    herd.heal();
    // Everything answers again, to new clients and to those that have been there all the time.
    let healed = flock.tally();
    let patience = Instant::now() + PATIENCE;
    let mut newcomers = CLIENTS..;
    while !newcomers
        .next()
        .is_some_and(|number| all_answer(&proxy, number, ejects))
    {
        assert!(Instant::now() < patience, "{}", proxy.process.stderr());
    }
    over.store(true, Ordering::SeqCst);
    let tally = flock.finish();
    assert!(tally.right > healed.right, "nothing was answered any more");
    println!("{tally:?}, {most_kib} KiB at most, {:?}", herd.events());
    assert!(tally.right > tally.errors / 100, "{tally:?}");
    assert!(most_kib < MOST_KIB, "the proxy grew to {most_kib} KiB");
}

fn proxy(settings: &[&str], herd: &Herd) -> Heeler {
    let port = free_port();
    let mut file = format!("chaos:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: murmur\n");
    file += "  timeout: 150\n";
    for line in settings {
        file += &format!("  {line}\n");
    }
    file += "  servers:\n";
    for (i, address) in herd.addresses().iter().enumerate() {
        file += &format!("   - {address}:1 s{i}\n");
    }
    Heeler::proxy(port, &file, &["--threads", "2", "--log", "error"])
}

/// Whether a new client gets an answer to everything.
fn all_answer(proxy: &Heeler, number: u64, ejects: bool) -> bool {
    let mut client = clients::Client::new(proxy, number, ejects);
    let mut tally = Tally::default();
    for _ in 0..50 {
        client.round(&mut tally);
    }
    tally.errors == 0
}

/// The memory that a process has in RAM.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the proxy lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    kib.and_then(|kib| kib.parse().ok()).expect("VmRSS in KiB")
}
