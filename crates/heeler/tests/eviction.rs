//! What goes when memory is full, by each of the policies. Nothing here depends on a clock.

#[path = "../examples/policies/trace.rs"]
mod trace;

use heeler::command::{OwnedCommand, Reply};
use heeler::store::{MemoryLimit, Policy, Store};
use trace::{Size, Trace, with_exact_lru, with_policy};

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

fn command(line: &str) -> OwnedCommand {
    OwnedCommand::resolve(line.split(' ')).unwrap()
}

fn run(store: &Store, now: u64, line: &str) -> Reply {
    store.execute(now, &command(line).as_command())
}

/// So much memory for keys.
fn limit(store: &Store, policy: Policy, bytes: u64) {
    store.limit_memory(MemoryLimit {
        most: store.memory_at_start() as u64 + bytes,
        policy,
        ..MemoryLimit::default()
    });
}

fn exists(store: &Store, now: u64, key: &str) -> bool {
    run(store, now, &format!("EXISTS {key}")) == Reply::Int(1)
}

#[test]
fn without_eviction_what_needs_memory_is_refused_and_the_rest_is_not() {
    let store = Store::new(1);
    limit(&store, Policy::NoEviction, 200_000);
    let mut keys = 0;
    while run(&store, 0, &format!("SET key:{keys} {}", "v".repeat(64))) == Reply::OK {
        keys += 1;
    }
    assert!((700..2_000).contains(&keys), "{keys}");
    for line in [
        "SET key:0 v",
        "LPUSH list v",
        "APPEND key:0 v",
        "SETRANGE key:0 0 v",
    ] {
        assert_eq!(run(&store, 0, line), Reply::error(OOM), "{line}");
    }
    for line in [
        "GET key:0",
        "EXPIRE key:0 100",
        "RPOP list",
        "DEL key:1",
        "DBSIZE",
    ] {
        assert!(!run(&store, 0, line).is_error(), "{line}");
    }
    (2..keys / 2).for_each(|key| drop(run(&store, 0, &format!("DEL key:{key}"))));
    assert_eq!(run(&store, 0, "SET key:0 v"), Reply::OK);
}

#[test]
fn keys_take_as_much_as_they_may_and_no_more() {
    for (_, policy) in Policy::ALL {
        if policy == Policy::NoEviction {
            continue;
        }
        let store = Store::new(1);
        limit(&store, policy, 2_000_000);
        for key in 0..40_000u64 {
            let value = "v".repeat((key % 300) as usize);
            let line = format!("SET key:{key} {value} EX {}", 100 + key % 7);
            assert_eq!(run(&store, key, &line), Reply::OK, "{policy:?}");
        }
        let stats = store.stats(40_000);
        let over = store.memory() as i64 - (store.memory_at_start() as i64 + 2_000_000);
        assert!(over < 10_000, "{policy:?}: {over}");
        assert!(over > -400_000, "{policy:?}: {over}");
        assert_eq!(stats.keys as u64 + stats.evicted, 40_000, "{policy:?}");
        assert_eq!(stats.expiring_keys, stats.keys, "{policy:?}");
        run(&store, 40_000, "FLUSHALL");
        assert!(
            store.memory() < store.memory_at_start() + 400_000,
            "{policy:?}"
        );
    }
}

#[test]
fn volatile_policies_leave_keys_alone_that_do_not_expire() {
    for policy in [
        Policy::VolatileLru,
        Policy::VolatileLfu,
        Policy::VolatileRandom,
        Policy::VolatileTtl,
    ] {
        let store = Store::new(1);
        for key in 0..2_000 {
            run(&store, 0, &format!("SET stays:{key} v"));
            run(&store, 0, &format!("SET goes:{key} v EX 100"));
        }
        limit(&store, policy, 1);
        assert_eq!(run(&store, 0, "SET k v"), Reply::OK, "{policy:?}");
        while store.expire_due(0, 1_000) > 0 {}
        assert_eq!(run(&store, 0, "SET k v"), Reply::error(OOM), "{policy:?}");
        let stats = store.stats(0);
        assert_eq!((stats.keys, stats.expiring_keys), (2_001, 0), "{policy:?}");
        assert!((0..2_000).all(|key| exists(&store, 0, &format!("stays:{key}"))));
    }
}

/// Fills a store with keys, uses some of them, and evicts half of all; returns the share of those
/// used, and of the others, that have stayed.
fn stayed(policy: Policy, use_them: impl Fn(&Store, &str)) -> (f64, f64) {
    let store = Store::new(1);
    limit(&store, policy, 1 << 40);
    let keys: Vec<String> = (0..20_000).map(|key| format!("key:{key}")).collect();
    for key in &keys {
        run(
            &store,
            0,
            &format!("SET {key} {} EX 100000", "v".repeat(60)),
        );
    }
    for key in keys.iter().step_by(4) {
        use_them(&store, key);
    }
    let half = (store.memory() - store.memory_at_start()) as u64 / 2;
    limit(&store, policy, half);
    while store.expire_due(100_000, 1_000) > 0 {}
    let share = |used: bool| {
        let those = keys
            .iter()
            .enumerate()
            .filter(|(i, _)| (i % 4 == 0) == used);
        let (all, there) = those.fold((0, 0), |(all, there), (_, key)| {
            (all + 1, there + usize::from(exists(&store, 100_000, key)))
        });
        there as f64 / f64::from(all)
    };
    (share(true), share(false))
}

#[test]
fn what_was_used_lately_or_often_stays() {
    for policy in [Policy::AllkeysLru, Policy::VolatileLru] {
        let (used, others) = stayed(policy, |store, key| {
            run(store, 90_000, &format!("GET {key}"));
        });
        assert!(used > 0.5 && others < 0.2, "{policy:?}: {used} {others}");
    }
    for policy in [
        Policy::AllkeysLfu,
        Policy::VolatileLfu,
        Policy::AllkeysS3fifo,
    ] {
        let (used, others) = stayed(policy, |store, key| {
            (0..40).for_each(|_| drop(run(store, 0, &format!("GET {key}"))));
        });
        assert!(used > 0.5 && others < 0.2, "{policy:?}: {used} {others}");
    }
    for policy in [Policy::AllkeysRandom, Policy::VolatileRandom] {
        let (used, others) = stayed(policy, |store, key| {
            run(store, 90_000, &format!("GET {key}"));
        });
        assert!((used - others).abs() < 0.1, "{policy:?}: {used} {others}");
    }
    let (used, others) = stayed(Policy::VolatileTtl, |store, key| {
        run(store, 0, &format!("EXPIRE {key} 1000"));
    });
    assert!(used == 0.0 && others > 0.2, "{used} {others}");
}

#[test]
fn an_evicted_key_is_gone_for_those_who_watch_it() {
    let store = Store::new(1);
    run(&store, 0, "SET k v");
    let watched = [store.watch(b"k", 0)];
    limit(&store, Policy::AllkeysRandom, 1);
    assert_eq!(store.expire_due(0, 10), 1);
    assert_eq!(store.stats(0).evicted, 1);
    assert!(store.transaction(0, &watched, &[]).is_none());
    watched
        .into_iter()
        .for_each(|watched| store.unwatch(watched));
}

#[test]
fn the_use_of_keys_is_shown_as_the_policy_notes_it() {
    let store = Store::new(1);
    limit(&store, Policy::AllkeysLru, 0);
    run(&store, 0, "SET k v");
    assert_eq!(run(&store, 5_000, "OBJECT IDLETIME k"), Reply::Int(5));
    assert!(run(&store, 5_000, "OBJECT FREQ k").is_error());
    limit(&store, Policy::VolatileLfu, 1 << 40);
    run(&store, 5_000, "SET k2 v");
    assert_eq!(run(&store, 5_000, "OBJECT FREQ k2"), Reply::Int(5));
    assert!(run(&store, 5_000, "OBJECT IDLETIME k").is_error());
    run(&store, 5_000, "GET k2");
    assert_eq!(run(&store, 5_000, "OBJECT FREQ k2"), Reply::Int(6));
    assert_eq!(run(&store, 65_000, "OBJECT FREQ k2"), Reply::Int(5));
}

/// The point of S3-FIFO: what is asked for once does not push out what is asked for often.
#[test]
fn scans_cost_s3_fifo_less_than_lru() {
    let size = Size {
        keys: 50_000,
        requests: 200_000,
        memory: 12_000 * 110,
    };
    let s3fifo = with_policy(Trace::Scans, size, Policy::AllkeysS3fifo);
    let lru = with_policy(Trace::Scans, size, Policy::AllkeysLru);
    let exact = with_exact_lru(Trace::Scans, size, lru.room);
    assert!(s3fifo.ratio > lru.ratio + 0.01, "{s3fifo:?} {lru:?}");
    assert!(s3fifo.ratio > exact.ratio + 0.01, "{s3fifo:?} {exact:?}");
    assert!((lru.ratio - exact.ratio).abs() < 0.02, "{lru:?} {exact:?}");
}

#[test]
fn keys_that_are_asked_for_often_are_found_more_often_than_by_chance() {
    let size = Size {
        keys: 20_000,
        requests: 60_000,
        memory: 4_000 * 110,
    };
    let random = with_policy(Trace::Zipf, size, Policy::AllkeysRandom).ratio;
    let lfu = with_policy(Trace::Zipf, size, Policy::AllkeysLfu).ratio;
    assert!(lfu > random + 0.01, "{lfu} {random}");
}

/// With `maxmemory-eviction-tenacity` a command makes more room before it leaves the rest to the
/// background, or less.
#[test]
fn a_command_evicts_as_many_as_tenacity_says() {
    for (tenacity, expected) in [
        (0, 16..=16),
        (1, 16..=16),
        (5, 32..=32),
        (10, 64..=64),
        (15, 128..=129),
        (100, 4_000..=4_999),
    ] {
        let store = Store::new(1);
        for key in 0..5_000 {
            run(&store, 0, &format!("SET key:{key} {}", "v".repeat(100)));
        }
        store.limit_memory(MemoryLimit {
            most: store.memory_at_start() as u64 + 100_000,
            policy: Policy::AllkeysLru,
            tenacity,
            ..MemoryLimit::default()
        });
        assert_eq!(run(&store, 0, "SET k v"), Reply::OK);
        let evicted = store.stats(0).evicted;
        assert!(expected.contains(&evicted), "{tenacity}: {evicted}");
    }
}
