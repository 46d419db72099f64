//! What a command on a collection costs the store, without wire and session:
//! `cargo bench -p heeler --bench collections`, or with the name of one line for a profiler.
//!
//! The commands are those of redis-benchmark's default set, on one key and on many. The time is
//! this thread's on its processor, and the least of some rounds, so that what else runs on the
//! machine disturbs it little.

mod clock;
mod script;

use std::hint::black_box;
use std::time::Duration;

use clock::processor_time;
use heeler::store::Store;
use script::Script;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COMMANDS: usize = 100_000;
const ROUNDS: usize = 5;

/// One line: its name, the commands that come before, and those that are measured. `#` stands for
/// a number that is another one each time, `?` for a random one.
struct Line(&'static str, &'static [&'static str], &'static str);

const LINES: &[Line] = &[
    Line("LPUSH", &[], "LPUSH list value:data"),
    Line("RPUSH", &[], "RPUSH list value:data"),
    Line("LPOP", &["LPUSH list value:data"], "LPOP list"),
    Line("RPOP", &["LPUSH list value:data"], "RPOP list"),
    Line("SADD one", &[], "SADD set element:one"),
    Line("SADD many", &[], "SADD set element:?"),
    Line("SADD integers", &[], "SADD set 1?"),
    Line("SADD small", &[], "SADD set:# member"),
    Line("SPOP", &["SADD set element:#"], "SPOP set"),
    Line(
        "SISMEMBER",
        &["SADD set element:#"],
        "SISMEMBER set element:?",
    ),
    Line("HSET one", &[], "HSET hash field value:data"),
    Line("HSET many", &[], "HSET hash element:? value:data"),
    Line(
        "HSET small",
        &[],
        "HSET hash:# name Anna age 33 city Bern mail a@b.ch",
    ),
    Line(
        "HGET small",
        &["HSET hash:# name Anna age 33 city Bern"],
        "HGET hash:? city",
    ),
    Line(
        "HGET many",
        &["HSET hash element:# value:data"],
        "HGET hash element:?",
    ),
    Line("ZADD one", &[], "ZADD zset 0 element:one"),
    Line("ZADD many", &[], "ZADD zset ? element:?"),
    Line(
        "ZADD moves",
        &["ZADD zset ? element:#"],
        "ZADD zset ? element:?",
    ),
    Line("ZADD small", &[], "ZADD zset:# 7 member 8 another"),
    Line("ZPOPMIN", &["ZADD zset ? element:#"], "ZPOPMIN zset"),
    Line("ZRANK", &["ZADD zset ? element:#"], "ZRANK zset element:?"),
    Line("LRANGE 100", &["RPUSH list value:data"], "LRANGE list 0 99"),
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    for line in LINES {
        if wanted.is_empty() || wanted.iter().any(|w| w == line.0) {
            let least = (0..ROUNDS).map(|_| measure(line)).min().unwrap_or_default();
            println!(
                "{:<16} {:>7} ns",
                line.0,
                least.as_nanos() / COMMANDS as u128
            );
        }
    }
}

fn script(template: &str) -> Script {
    Script::new(template, COMMANDS, COMMANDS as u64)
}

fn measure(Line(_, before, measured): &Line) -> Duration {
    let store = Store::new(1);
    for template in *before {
        script(template)
            .iter()
            .for_each(|c| drop(store.execute(1_000, &c)));
    }
    let script = script(measured);
    let start = processor_time();
    for command in script.iter() {
        drop(black_box(store.execute(black_box(1_000), &command)));
    }
    processor_time() - start
}
