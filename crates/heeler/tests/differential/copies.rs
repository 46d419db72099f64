//! Copies that are brought on by what a store notes of its writes: random scripts of all commands,
//! after each step of which the copy has to be as the store is.

use std::collections::BTreeSet;

use heeler::command::{Grouping, Id, OwnedCommand, Reply, Room};
use heeler::store::{Applied, Limit, Numbering, Store};

use crate::grammar::{Generator, Step};
use crate::{from_environment, oracle};

const SEEDS: u64 = 400;
const STEPS: usize = 60;

/// The command, if the store answers it.
fn command(words: &[Vec<u8>]) -> Option<OwnedCommand> {
    let command = oracle::resolve(words).ok()?;
    (command.as_command().spec.room == Room::Store).then_some(command)
}

fn run(store: &Store, now: u64, line: &[&[u8]]) -> Reply {
    let words: Vec<Vec<u8>> = line.iter().map(|word| word.to_vec()).collect();
    let command = command(&words).expect("a command of the store");
    store.execute(now, &command.as_command())
}

/// A store that notes what is written, or a copy of it: each with its own order of elements.
fn store(salt: u16, seed: u64) -> Store {
    let store = Store::with_databases(seed, Numbering::OfRing);
    store.keep_versions();
    store.salt_versions(salt);
    store.keep_tombstones(true);
    store.keep_journal();
    // Nodes cannot differ in what a sketch may take: its bytes can be read.
    let limits = Limit::ALL.into_iter();
    for limit in limits.filter(|limit| seed % 3 == 1 && *limit != Limit::SketchBytes) {
        store.set_encoding_limit(limit, 4);
    }
    store
}

/// Brings the copy on; returns how many steps it took, and how many values.
fn bring_on(from: &Store, to: &Store, now: u64, what: &str) -> [usize; 2] {
    let mut count = [0, 0];
    for written in from.take_written() {
        let applied = written
            .step
            .as_ref()
            .map(|(base, step)| to.apply(now, &written.key, *base, std::slice::from_ref(step)));
        match applied {
            Some(applied) => {
                assert_eq!(applied, Applied::Kept, "{what}: {written:?}");
                count[0] += 1;
            }
            None => {
                let copy = from.export(now, &written.key);
                copy.iter().for_each(|copy| _ = to.import(now, copy));
                count[1] += 1;
            }
        }
    }
    count
}

/// What is under a key, sorted where it has no order.
fn content(store: &Store, now: u64, key: &[u8]) -> String {
    let read: &[&[u8]] = match run(store, now, &[b"TYPE", key]) {
        Reply::Status("list") => &[b"LRANGE", key, b"0", b"-1"],
        Reply::Status("hash") => &[b"HGETALL", key],
        Reply::Status("set") => &[b"SMEMBERS", key],
        Reply::Status("zset") => &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
        _ => &[b"GET", key],
    };
    let found = match run(store, now, read) {
        Reply::Map(pairs) => sorted(pairs),
        Reply::Set(members) => sorted(members),
        Reply::Strings(all) => {
            let strings: Vec<Option<&[u8]>> = all.iter().collect();
            match all.grouping() {
                Grouping::Array => format!("{strings:?}"),
                Grouping::Set => sorted(strings),
                Grouping::Map => sorted(strings.chunks(2).collect()),
            }
        }
        other => format!("{other:?}"),
    };
    // A small sorted set keeps no sign of zero, here as in Redis.
    let found = found.replace("Double(-0.0)", "Double(0.0)");
    let deadline = run(store, now, &[b"PEXPIRETIME", key]);
    format!(
        "{found} until {deadline:?}, version {:?}",
        store.version(now, key)
    )
}

fn sorted(all: Vec<impl std::fmt::Debug>) -> String {
    let mut all: Vec<String> = all.iter().map(|one| format!("{one:?}")).collect();
    all.sort();
    all.join(" ")
}

/// Values of all types, as DUMP has them.
fn payloads() -> Vec<Vec<u8>> {
    let store = Store::new(1);
    let lines: [&[&[u8]]; 5] = [
        &[b"SET", b"v", b"word"],
        &[b"RPUSH", b"v", b"a", b"1"],
        &[b"SADD", b"v", b"1", b"a"],
        &[b"HSET", b"v", b"a", b"1"],
        &[b"ZADD", b"v", b"1", b"a"],
    ];
    let dump = |line: &&[&[u8]]| {
        run(&store, 1, &[b"DEL", b"v"]);
        run(&store, 1, line);
        match run(&store, 1, &[b"DUMP", b"v"]) {
            Reply::Bulk(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    };
    lines.iter().map(dump).collect()
}

#[test]
fn a_copy_that_makes_the_same_changes_stays_equal() {
    let seeds = match from_environment("HEELER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("HEELER_SEEDS").unwrap_or(SEEDS),
    };
    let (payloads, mut total) = (payloads(), [0, 0]);
    for seed in seeds {
        let script = Generator::new(seed, &payloads).script(STEPS);
        let (from, to) = (store(1, seed), store(2, seed + 1));
        let mut keys: BTreeSet<Box<[u8]>> = BTreeSet::new();
        let mut now = 1_800_000_000_000;
        for step in &script {
            now += 7;
            let commands = match step {
                Step::One(words) => std::slice::from_ref(words),
                Step::Exec(commands) | Step::Guard(_, _, commands) => commands,
                // Nobody waits here.
                Step::Wait(..) => continue,
            };
            let is_alone = commands.len() == 1;
            let clears =
                |c: &OwnedCommand| matches!(c.as_command().spec.id, Id::Flushall | Id::Flushdb);
            let commands = commands.iter().filter_map(|words| command(words));
            // In a ring what clears all nodes is no part of a transaction.
            let commands: Vec<_> = commands.filter(|c| is_alone || !clears(c)).collect();
            for owned in &commands {
                let command = owned.as_command();
                if let Ok(places) = command.keys() {
                    keys.extend(places.iter().map(|at| Box::from(command.arg(at))));
                }
                if clears(owned) {
                    // Each node is told.
                    to.execute(now, &command);
                }
            }
            if std::env::var("HEELER_SEED").is_ok() {
                eprintln!("{step}");
            }
            from.transaction(now, &[], &commands);
            let what = format!("HEELER_SEED={seed}, after {step}");
            let [steps, values] = bring_on(&from, &to, now, &what);
            total = [total[0] + steps, total[1] + values];
            for key in &keys {
                let [ours, copy] = [&from, &to].map(|store| content(store, now, key));
                assert_eq!(ours, copy, "{what}");
            }
        }
    }
    let [steps, values] = total;
    assert!(
        steps > values / 4 && values > 0,
        "{steps} steps, {values} values"
    );
}
