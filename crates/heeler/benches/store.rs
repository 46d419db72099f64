//! What one command costs the store, without wire and session:
//! `cargo bench -p heeler --bench store`.
//!
//! 100,000 keys of 16 bytes, taken at random; values of 32 bytes. The time is this thread's on its
//! processor, so that what else runs on the machine disturbs it little.

mod clock;
mod script;

use std::hint::black_box;
use std::time::Duration;

use clock::processor_time;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use heeler::store::Store;
use script::Script;

const KEYS: usize = 100_000;
/// Commands that are made before they are measured: more than there are keys.
const COMMANDS: usize = 1 << 18;

/// The time that this thread has spent on a processor.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        processor_time()
    }

    fn end(&self, start: Duration) -> Duration {
        processor_time() - start
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

fn run(c: &mut Criterion<ProcessorTime>, what: &str, value: &str, template: &str) {
    let store = Store::new(1);
    let sets = Script::new(&format!("SET key:# {value}"), KEYS, 1);
    for set in sets.iter() {
        store.execute(0, &set);
    }
    let script = Script::new(template, COMMANDS, KEYS as u64);
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
    let set = format!("SET key:? {value}");
    run(c, "GET hit", &value, "GET key:?");
    run(c, "SET overwrite", &value, &set);
    run(c, "SET with EX", &value, &format!("{set} EX 100"));
    run(c, "INCR", "1", "INCR key:?");
    run(c, "EXISTS", &value, "EXISTS key:?");
    run(c, "MGET of 10", &value, "MGET key:? a b c d e f g h i");
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = store
}
criterion_main!(benches);
