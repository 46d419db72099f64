//! The share of requests that each policy of eviction answers from memory:
//! `cargo run --release -p heeler --example policies`.
//!
//! 1 million keys, with memory for about 10,000, 50,000 and 200,000 of them.

#[path = "policies/trace.rs"]
mod trace;

use heeler::store::Policy;
use trace::{Hits, Size, Trace, with_exact_lru, with_policy};

const POLICIES: [Policy; 4] = [
    Policy::AllkeysLru,
    Policy::AllkeysLfu,
    Policy::AllkeysS3fifo,
    Policy::AllkeysRandom,
];

fn main() {
    println!(
        "| trace | room | exact LRU | {} |",
        POLICIES.map(Policy::name).join(" | ")
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for trace in [Trace::Zipf, Trace::Scans] {
        for thousands in [10, 50, 200] {
            let size = Size {
                keys: 1_000_000,
                requests: 4_000_000,
                memory: thousands * 110 * 1000,
            };
            let hits = POLICIES.map(|policy| with_policy(trace, size, policy));
            let exact = with_exact_lru(trace, size, hits[0].room);
            let percent = |hits: &Hits| format!("{:.1} %", hits.ratio * 100.0);
            println!(
                "| {trace:?} | {} | {} | {} |",
                hits[0].room,
                percent(&exact),
                hits.each_ref().map(percent).join(" | ")
            );
        }
    }
}
