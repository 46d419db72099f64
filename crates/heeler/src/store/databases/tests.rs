use crate::command::{OwnedCommand, Reply};
use crate::limits;
use crate::store::{MemoryLimit, Numbering, Policy, Store};

fn command(line: &str) -> OwnedCommand {
    OwnedCommand::resolve(line.split(' ')).expect("a command")
}

fn run(store: &Store, database: u32, line: &str) -> Reply {
    store.execute_in(database, 0, &command(line).as_command())
}

fn keys(store: &Store) -> Vec<usize> {
    (0..store.databases())
        .map(|database| store.stats_of(database, 0).keys)
        .collect()
}

#[test]
fn a_database_takes_nothing_before_it_is_used_and_little_then() {
    let store = Store::new(7);
    assert_eq!(store.memory(), store.memory_at_start());
    for line in [
        "DBSIZE",
        "KEYS *",
        "SCAN 0",
        "RANDOMKEY",
        "FLUSHDB",
        "SWAPDB 3 4",
    ] {
        run(&store, 3, line);
    }
    assert_eq!(store.memory(), store.memory_at_start());
    run(&store, 3, "GET k");
    let used = store.memory() - store.memory_at_start();
    assert!(used < 16 * 1024, "{used} bytes");
    assert!(used >= limits::SHARDS * size_of::<usize>());
    run(&store, 3, "SET k v");
    run(&store, 3, "DEL k");
    assert!(store.memory() - store.memory_at_start() < 16 * 1024);
    // The most that one may take without a key.
    for i in 0..5_000 {
        run(&store, 3, &format!("GET {i}"));
    }
    assert!(store.memory() - store.memory_at_start() < 512 * 1024);
}

#[test]
fn a_new_shard_is_set_up_as_the_others() {
    let store = Store::new(7);
    let exchange = std::sync::Arc::default();
    store.notify(b"KEA", &exchange);
    store.limit_memory(MemoryLimit {
        policy: Policy::AllkeysLfu,
        ..MemoryLimit::default()
    });
    run(&store, 9, "SET k v");
    assert!(matches!(run(&store, 9, "OBJECT FREQ k"), Reply::Int(_)));
    assert!(run(&store, 9, "OBJECT IDLETIME k").is_error());
    let spot = store.databases.made_in(9).next().expect("a shard").0;
    let shard = store.databases.made(spot).expect("a shard").lock();
    assert!(shard.log.is_some() && shard.database() == 9);
}

#[test]
fn memory_is_made_in_all_databases() {
    let store = Store::new(7);
    let most = store.memory_at_start() + 2_000_000;
    store.limit_memory(MemoryLimit {
        most: most as u64,
        policy: Policy::AllkeysLru,
        ..MemoryLimit::default()
    });
    for i in 0..6_000 {
        let set = format!("SET key{i} {}", "x".repeat(1_000));
        assert_eq!(run(&store, i % 3 * 7, &set), Reply::OK);
    }
    let keys = keys(&store);
    assert!(store.stats(0).evicted > 1_000, "{keys:?}");
    assert!(store.memory() < most + 50_000);
    assert!(
        [0, 7, 14].iter().all(|database| keys[*database] > 50),
        "{keys:?}"
    );
}

#[test]
fn keys_go_in_the_background_in_all_databases() {
    let store = Store::new(7);
    for i in 0..300 {
        run(&store, i % 3, &format!("SET {i} v PX 10"));
    }
    run(&store, 2, "SET stays v");
    assert_eq!(store.expire_due(1_000, 10_000), 300);
    assert_eq!(keys(&store)[..3], [0, 0, 1]);
    assert_eq!(store.stats(0).expired, 300);
}

#[test]
fn a_ring_has_one_database() {
    let store = Store::with_databases(7, Numbering::OfRing);
    assert_eq!(store.databases(), 1);
    let refused = |line: &str| match run(&store, 0, line) {
        Reply::Error(text) => text.into_owned(),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(
        refused("MOVE k 1"),
        "ERR MOVE is not allowed in cluster mode"
    );
    assert_eq!(
        refused("MOVE k x"),
        "ERR MOVE is not allowed in cluster mode"
    );
    assert_eq!(
        refused("SWAPDB 0 0"),
        "ERR SWAPDB is not allowed in cluster mode"
    );
    let elsewhere = "ERR Copying to another database is not allowed in cluster mode";
    assert_eq!(refused("COPY a b DB 1"), elsewhere);
    assert_eq!(refused("COPY a b DB 99"), "ERR DB index is out of range");
    assert_eq!(run(&store, 0, "COPY a b DB 0"), Reply::Int(0));
}

#[test]
fn numbers_are_bounded() {
    for (asked, given) in [(0, 1), (1, 1), (u32::MAX, limits::DATABASES_MOST)] {
        let store = Store::with_databases(7, Numbering::Upto(asked));
        assert_eq!(store.databases(), given);
        run(&store, given - 1, "SET k v");
        assert_eq!(store.stats_of(given - 1, 0).keys, 1);
        assert_eq!(
            run(&store, 0, &format!("SWAPDB 0 {}", given - 1)),
            Reply::OK
        );
        assert_eq!(store.stats_of(0, 0).keys, 1);
    }
}

#[test]
fn a_watch_is_of_a_key_in_a_database() {
    let unchanged = |change: &[(u32, &str)]| {
        let store = Store::new(7);
        run(&store, 1, "SET k v");
        run(&store, 2, "SET other v");
        let watched = [store.watch_in(1, b"k", 0), store.watch_in(1, b"none", 0)];
        change
            .iter()
            .for_each(|(database, line)| _ = run(&store, *database, line));
        let done = store.transaction(0, &watched, &[]).is_some();
        watched
            .into_iter()
            .for_each(|watched| store.unwatch(watched));
        done
    };
    assert!(unchanged(&[
        (0, "SET k v"),
        (2, "SET k v"),
        (0, "FLUSHDB"),
        (1, "MOVE none 2")
    ]));
    assert!(unchanged(&[
        (0, "SWAPDB 3 4"),
        (0, "SWAPDB 1 1"),
        (0, "COPY k k DB 2")
    ]));
    assert!(
        unchanged(&[(2, "SET k w"), (2, "MOVE k 1")]),
        "the name is taken"
    );
    for change in [
        (1, "MOVE k 0"),
        (2, "COPY other none DB 1"),
        (0, "SWAPDB 1 4"),
        (0, "SWAPDB 4 1"),
        (0, "FLUSHALL"),
        (1, "FLUSHDB"),
    ] {
        assert!(!unchanged(&[change]), "{change:?}");
    }
}

#[test]
fn what_waits_or_watches_stays_with_the_number() {
    let store = Store::new(7);
    let waits = |database, line: &str| {
        let command = command(line);
        let waker = std::task::Waker::noop();
        let waiting = store.execute_or_wait(database, 0, (&command.as_command(), None), waker);
        waiting.expect_err("it waits")
    };
    run(&store, 2, "RPUSH l x y");
    let (here, there) = (waits(1, "BLPOP l 0"), waits(3, "BLMOVE m l LEFT LEFT 0"));
    run(&store, 0, "SWAPDB 1 2");
    let popped = |word: &str| Reply::Array(vec![Reply::bulk("l"), Reply::bulk(word)]);
    assert_eq!(here.take(0), Some(popped("x")));
    assert_eq!(there.take(0), None);
    run(&store, 1, "RENAME l m");
    assert_eq!(run(&store, 1, "MOVE m 3"), Reply::Int(1));
    assert_eq!(there.take(0), Some(Reply::bulk("y")));
    assert_eq!(run(&store, 3, "LINDEX l 0"), Reply::bulk("y"));
    assert_eq!(run(&store, 3, "LLEN l"), Reply::Int(1));
    for waiter in [here, there] {
        store.stop_waiting(&waiter);
    }
    assert_eq!(keys(&store)[..4], [0, 0, 0, 1]);
}
