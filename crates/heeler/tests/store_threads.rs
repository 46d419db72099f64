//! Several threads on one store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fastrand::Rng;
use heeler::command::{OwnedCommand, Reply};
use heeler::store::{MemoryLimit, Policy, Store};

const THREADS: u64 = 4;
const ACCOUNTS: u64 = 16;
const TRANSFERS: u64 = 3_000;

fn command(line: &str) -> OwnedCommand {
    OwnedCommand::resolve(line.split(' ')).unwrap()
}

fn run(store: &Store, line: &str) -> Reply {
    run_in(store, 0, line)
}

fn run_in(store: &Store, database: u32, line: &str) -> Reply {
    store.execute_in(database, 0, &command(line).as_command())
}

fn all_accounts() -> String {
    (0..ACCOUNTS).fold("MGET".to_owned(), |line, i| format!("{line} account{i}"))
}

fn total(reply: &Reply) -> i64 {
    let Reply::Strings(balances) = reply else {
        panic!("no strings: {reply:?}");
    };
    let balance = |balance: Option<&[u8]>| -> i64 {
        let balance = balance.unwrap_or(b"0");
        std::str::from_utf8(balance).unwrap().parse().unwrap()
    };
    balances.iter().map(balance).sum()
}

#[test]
fn transactions_of_many_threads_are_atomic() {
    let store = Store::new(3);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let movers: Vec<_> = (0..THREADS)
            .map(|seed| {
                let store = &store;
                scope.spawn(move || {
                    let mut random = Rng::with_seed(seed);
                    for _ in 0..TRANSFERS {
                        let (from, to) = (random.u64(..ACCOUNTS), random.u64(..ACCOUNTS));
                        let amount = random.u64(..100);
                        let commands = [
                            command(&format!("DECRBY account{from} {amount}")),
                            command(&format!("INCRBY account{to} {amount}")),
                        ];
                        assert!(store.transaction(0, &[], &commands).is_some());
                    }
                })
            })
            .collect();
        let watcher = scope.spawn(|| {
            let whole = [command(&all_accounts()), command("DBSIZE")];
            while !done.load(Ordering::Relaxed) {
                assert_eq!(total(&run(&store, &all_accounts())), 0);
                let replies = store.transaction(0, &[], &whole).unwrap();
                assert_eq!(total(&replies[0]), 0);
            }
        });
        movers.into_iter().for_each(|mover| mover.join().unwrap());
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
}

#[test]
fn watched_increments_lose_nothing() {
    let store = Store::new(3);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut added = 0;
                while added < 500 {
                    let watched = store.watch(b"counter", 0);
                    let old = match run(&store, "GET counter") {
                        Reply::Bulk(text) => String::from_utf8(text.to_vec()).unwrap(),
                        _ => "0".to_owned(),
                    };
                    let new = old.parse::<u64>().unwrap() + 1;
                    let set = [command(&format!("SET counter {new}"))];
                    let watched = [watched];
                    added += u64::from(store.transaction(0, &watched, &set).is_some());
                    watched
                        .into_iter()
                        .for_each(|watched| store.unwatch(watched));
                }
            });
        }
    });
    let expected = (THREADS * 500).to_string();
    assert_eq!(run(&store, "GET counter"), Reply::bulk(expected));
}

#[test]
fn crossing_commands_of_many_keys_do_not_wait_for_each_other_for_ever() {
    let store = Store::new(3);
    thread::scope(|scope| {
        for seed in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let mut random = Rng::with_seed(seed);
                for _ in 0..2_000 {
                    let keys = [(); 3].map(|()| random.u64(..50));
                    let [a, b, c] = keys;
                    run(store, &format!("MSET k{a} 1 k{b} 2 k{c} 3"));
                    run(store, &format!("RENAME k{b} k{a}"));
                    run(store, &format!("BITOP OR k{c} k{b} k{a}"));
                    run(store, &format!("DEL k{a} k{c}"));
                    if a == 0 {
                        run(store, "FLUSHALL");
                    }
                }
            });
        }
    });
}

#[test]
fn threads_that_move_both_ways_do_not_wait_for_each_other() {
    const TURNS: usize = 3_000;
    let store = Store::new(7);
    for i in 0..64 {
        run_in(&store, i % 4, &format!("SET key{i} {i}"));
    }
    thread::scope(|scope| {
        for worker in 0..6_usize {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..TURNS {
                    let (here, there) = ((worker % 4) as u32, (worker + 1 + turn % 3) as u32 % 4);
                    let (one, other) = ((turn * 7 + worker) % 64, (turn * 11) % 64);
                    let line = match turn % 64 {
                        20 => format!("SWAPDB {here} {there}"),
                        40 => "SORT none BY w* GET v*".to_owned(),
                        50 => "DBSIZE".to_owned(),
                        n if n % 3 == 0 => format!("COPY key{one} copy DB {there} REPLACE"),
                        _ => format!("MOVE key{one} {there}"),
                    };
                    assert!(!run_in(store, here, &line).is_error(), "{line}");
                    let moves = [
                        (here, command(&format!("MOVE key{one} {there}"))),
                        (there, command(&format!("RENAMENX key{one} key{one}"))),
                        (there, command(&format!("MOVE key{other} {here}"))),
                    ];
                    let moves = moves
                        .iter()
                        .map(|(database, c)| (*database, c.as_command()));
                    store.transaction_for(0, &[], moves, None, |_, _, _| ());
                }
            });
        }
    });
    // Each key is in one database, and none is lost.
    for database in 0..4 {
        run_in(&store, database, "DEL copy");
    }
    assert_eq!(store.stats(0).keys, 64);
    for i in 0..64 {
        let has =
            |database: &u32| run_in(&store, *database, &format!("EXISTS key{i}")) == Reply::Int(1);
        assert_eq!((0..4).filter(has).count(), 1, "key{i}");
    }
}

#[test]
fn settings_reach_databases_that_come_meanwhile() {
    let (store, done) = (Store::new(7), AtomicBool::new(false));
    let policies = [Policy::AllkeysLfu, Policy::NoEviction];
    thread::scope(|scope| {
        scope.spawn(|| {
            for database in 1..16 {
                (0..400).for_each(|i| _ = run_in(&store, database, &format!("SET {i} v")));
            }
            done.store(true, Ordering::Relaxed);
        });
        for policy in policies.into_iter().cycle() {
            store.limit_memory(MemoryLimit {
                policy,
                ..MemoryLimit::default()
            });
            if policy == Policy::AllkeysLfu && done.load(Ordering::Relaxed) {
                return;
            }
        }
    });
    for database in 1..16 {
        for i in 0..400 {
            let counted = run_in(&store, database, &format!("OBJECT FREQ {i}"));
            assert!(
                matches!(counted, Reply::Int(_)),
                "{i} of {database}: {counted:?}"
            );
        }
    }
}
