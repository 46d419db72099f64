//! What a command on a collection costs the store, without wire and session:
//! `cargo bench -p heeler --bench collections`, or with the name of one line for a profiler.
//!
//! The commands are those of redis-benchmark's default set, on one key and on many. The time is
//! this thread's on its processor, and the least of some rounds, so that what else runs on the
//! machine disturbs it little.

use std::hint::black_box;
use std::time::Duration;

use heeler::command::{Arg, Command, Spec, find};
use heeler::store::Store;
use rustix::time::{ClockId, clock_gettime};

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

fn measure(Line(_, before, measured): &Line) -> Duration {
    let store = Store::new(1);
    for template in *before {
        Script::new(template)
            .iter()
            .for_each(|c| drop(store.execute(1_000, &c)));
    }
    let script = Script::new(measured);
    let start = processor_time();
    for command in script.iter() {
        drop(black_box(store.execute(black_box(1_000), &command)));
    }
    processor_time() - start
}

/// The time that this thread has spent on a processor.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Commands one after the other, as in a read buffer.
struct Script {
    spec: &'static Spec,
    words: usize,
    raw: Vec<u8>,
    args: Vec<Arg>,
}

impl Script {
    fn new(template: &str) -> Script {
        let words: Vec<&str> = template.split(' ').collect();
        let mut script = Script {
            spec: find(words[0].as_bytes()).expect("a command of the table"),
            words: words.len(),
            raw: Vec::new(),
            args: Vec::new(),
        };
        let mut random = 1u64;
        for number in 0..COMMANDS {
            for word in &words {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let chosen = format!("{:012}", (random >> 33) as usize % COMMANDS);
                let word = word.replace('#', &format!("{number:012}"));
                script.push(&word.replace('?', &chosen));
            }
        }
        script
    }

    fn push(&mut self, word: &str) {
        let start = self.raw.len() as u32;
        self.raw.extend_from_slice(word.as_bytes());
        let end = self.raw.len() as u32;
        self.args.push(Arg { start, end });
    }

    fn iter(&self) -> impl Iterator<Item = Command<'_>> {
        let commands = self.args.chunks_exact(self.words);
        commands.map(|args| Command::new(self.spec, &self.raw, args))
    }
}
