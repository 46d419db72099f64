//! HyperLogLogs whose bytes are wrong, beside a real redis-server. The answers are the same, but
//! where Redis 7.0 reads past the end: a run of two bytes of which the second is missing is corrupt
//! here, while Redis takes what lies behind the string for it, and writes there, too.
//!
//! `HEELER_SEEDS=20000` tries more of them.

mod oracle;
mod servers;

use heeler::store::Limit;
use heeler::wire::resp::Protocol;
use oracle::{Pair, is_cut_sketch, word};

/// Sketches that are tried, where the environment does not say.
const SEEDS: u64 = 500;
const REGISTERS: u32 = 1 << 14;
const CORRUPT: &[u8] = b"-INVALIDOBJ Corrupted HLL object detected\r\n";

/// A sparse form with these runs.
fn sparse(is_cached: bool, runs: &[u8]) -> Vec<u8> {
    let count = if is_cached { 7 } else { 1 << 63 };
    [b"HYLL\x01\0\0\0", &u64::to_le_bytes(count)[..], runs].concat()
}

/// Random runs of all registers, of a few more, or of fewer; sometimes a byte is another or more.
fn runs(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut runs = Vec::new();
    let several = [0, 0, 0, 0, 1, 64].map(|more| REGISTERS + more);
    let all = [&several[..], &[REGISTERS - 1, REGISTERS - 3000]].concat();
    let mut left = all[random.usize(..all.len())];
    while left > 0 {
        let most = left.min(REGISTERS);
        let (kind, few) = (random.u8(..32), random.u32(1..=most.min(4)));
        let length = match kind {
            0..8 => random.u32(1..=most.min(64)),
            8..16 => random.u32(1..=most),
            16 => most,
            _ => few,
        };
        match kind {
            0..8 => runs.push(length as u8 - 1),
            8..17 => runs.extend_from_slice(&(0x4000 | (length - 1) as u16).to_be_bytes()),
            _ => runs.push(0x80 | random.u8(..5) << 2 | (length - 1) as u8),
        }
        left -= length;
    }
    match random.u8(..4) {
        0 => runs.push(random.u8(..)),
        1 => {
            let at = random.usize(..runs.len());
            runs[at] = random.u8(..);
        }
        2 => runs.truncate(random.usize(..=runs.len())),
        _ => {}
    }
    runs
}

fn limit(pair: &mut Pair, most: i64) {
    pair.store.set_encoding_limit(Limit::SketchBytes, most);
    let most = most.to_string();
    let set = ["CONFIG", "SET", "hll-sparse-max-bytes", &most];
    assert_eq!(pair.redis.call(&set), b"+OK\r\n");
}

fn set(pair: &mut Pair, key: &str, value: Vec<u8>) {
    pair.check(&[b"SET".to_vec(), key.into(), value]);
}

#[test]
fn what_is_wrong_is_found_where_redis_finds_it() {
    let seeds = std::env::var("HEELER_SEEDS").ok();
    let seeds = seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let mut pair = Pair::start(Protocol::Resp2);
    for seed in 0..seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        limit(&mut pair, [3000, 40, 0][random.usize(..3)]);
        pair.line("FLUSHALL");
        for key in ["a", "b"] {
            let mut sketch = sparse(random.bool(), &runs(&mut random));
            sketch.truncate(sketch.len() - usize::from(is_cut_sketch(&sketch)));
            set(&mut pair, key, sketch);
        }
        for _ in 0..12 {
            let key = ["a", "b"][random.usize(..2)];
            pair.line(&match random.u8(..10) {
                0..4 => format!("PFADD {key} {} {}", random.u16(..), random.u16(..)),
                4 => format!("PFADD {key}"),
                5 => format!("PFCOUNT {key}"),
                6 => "PFCOUNT a b".to_owned(),
                7 => "PFMERGE a b".to_owned(),
                8 => format!("PFMERGE {key}"),
                _ => format!("PFDEBUG DECODE {key}"),
            });
            pair.lines("GET a\nGET b");
        }
    }
}

#[test]
fn a_run_that_is_cut_is_corrupt_and_nothing_is_read_behind_it() {
    let mut pair = Pair::start(Protocol::Resp2);
    // With the byte that Redis reads behind it, a zero, the third has just as many registers as it
    // should. 1 and 2 are counted in registers of the run that is cut.
    for runs in ["\\x7f", "\\x84\\x7f", "\\x50\\xfe\\x6f", "\\x50\\x00\\x6f"] {
        let cut = sparse(false, &word(runs));
        for line in [
            "PFADD k 1",
            "PFADD k 2 1",
            "PFCOUNT k",
            "PFCOUNT k none",
            "PFMERGE none k",
        ] {
            for most in [3000, 40, 0] {
                limit(&mut pair, most);
                set(&mut pair, "k", cut.clone());
                let words: Vec<Vec<u8>> = line.split(' ').map(word).collect();
                let reply = pair.call_store(&words);
                assert_eq!(reply, CORRUPT, "{line} of {runs}, at most {most} bytes");
                pair.line("GET k");
            }
        }
    }
    // 4 is counted before it, and found there by Redis, too.
    limit(&mut pair, 3000);
    set(&mut pair, "k", sparse(true, &word("\\x50\\xfe\\x6f")));
    pair.lines("PFADD k 4\nGET k\nPFADD k 4");
}
