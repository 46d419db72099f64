//! What one command costs the store, without wire and session:
//! `cargo bench -p heeler --bench store`.
//!
//! 100,000 keys of 16 bytes, taken at random; values of 32 bytes. The time is this thread's on its
//! processor, so that what else runs on the machine disturbs it little.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use heeler::command::{Arg, Command, Spec, find};
use heeler::store::Store;
use rustix::time::{ClockId, clock_gettime};

const KEYS: u64 = 100_000;
/// Commands that are made before they are measured: more than there are keys.
const COMMANDS: usize = 1 << 18;

/// The time that this thread has spent on a processor.
struct ProcessorTime;

impl ProcessorTime {
    fn now() -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }
}

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        ProcessorTime::now()
    }

    fn end(&self, start: Duration) -> Duration {
        ProcessorTime::now() - start
    }

    fn add(&self, first: &Duration, second: &Duration) -> Duration {
        *first + *second
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Commands of equal length, one after the other as in a read buffer.
struct Script {
    spec: &'static Spec,
    words: usize,
    raw: Vec<u8>,
    args: Vec<Arg>,
}

impl Script {
    /// One command on each of the keys, followed by the rest of its words.
    fn new(name: &str, rest: &[&str], keys: impl Iterator<Item = u64>) -> Script {
        let spec = find(name.as_bytes()).expect("a command of the table");
        let words = 2 + rest.len();
        let mut script = Script {
            spec,
            words,
            raw: Vec::new(),
            args: Vec::new(),
        };
        for key in keys {
            script.push(name);
            script.push(&format!("key:{key:012}"));
            rest.iter().for_each(|word| script.push(word));
        }
        script
    }

    fn push(&mut self, word: &str) {
        let start = self.raw.len() as u32;
        self.raw.extend_from_slice(word.as_bytes());
        let end = self.raw.len() as u32;
        self.args.push(Arg { start, end });
    }

    fn iter(&self) -> impl Iterator<Item = Command<'_>> + Clone {
        let commands = self.args.chunks_exact(self.words);
        commands.map(|args| Command::new(self.spec, &self.raw, args))
    }
}

fn random_keys() -> impl Iterator<Item = u64> {
    let mut random = 1u64;
    let next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % KEYS
    };
    std::iter::repeat_with(next).take(COMMANDS)
}

fn run(c: &mut Criterion<ProcessorTime>, what: &str, value: &str, name: &str, rest: &[&str]) {
    let store = Store::new(1);
    for set in Script::new("SET", &[value], 0..KEYS).iter() {
        store.execute(0, &set);
    }
    let script = Script::new(name, rest, random_keys());
    let mut commands = script.iter().cycle();
    c.bench_function(what, |b| {
        b.iter(|| {
            let command = commands.next().expect("an endless iterator");
            store.execute(black_box(1_000), &command)
        });
    });
}

fn store(c: &mut Criterion<ProcessorTime>) {
    let value = "v".repeat(32);
    run(c, "GET hit", &value, "GET", &[]);
    run(c, "SET overwrite", &value, "SET", &[&value]);
    run(c, "SET with EX", &value, "SET", &[&value, "EX", "100"]);
    run(c, "INCR", "1", "INCR", &[]);
    run(c, "EXISTS", &value, "EXISTS", &[]);
    run(
        c,
        "MGET of 10",
        &value,
        "MGET",
        &["a", "b", "c", "d", "e", "f", "g", "h", "i"],
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = store
}
criterion_main!(benches);
