//! Tests of the store as its callers see it.

use super::*;
use crate::command::{Arg, find};

/// A command from its words.
fn command(words: &[&[u8]]) -> OwnedCommand {
    let (mut raw, mut args) = (Vec::new(), Vec::new());
    for word in words {
        let start = raw.len() as u32;
        raw.extend_from_slice(word);
        let end = raw.len() as u32;
        args.push(Arg { start, end });
    }
    let spec = find(words[0]).unwrap();
    assert!(spec.accepts(words.len()), "{words:?}");
    Command::new(spec, &raw, &args).to_owned()
}

fn line(line: &str) -> OwnedCommand {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    command(&words)
}

fn run(store: &Store, now: u64, text: &str) -> Reply {
    store.execute(now, &line(text).as_command())
}

fn bulk(text: &str) -> Reply {
    Reply::bulk(text)
}

#[test]
fn strings_and_counters_keep_what_they_are_given() {
    let store = Store::new(1);
    assert_eq!(run(&store, 0, "GET k"), Reply::Null);
    assert_eq!(run(&store, 0, "SET k v"), Reply::OK);
    assert_eq!(run(&store, 0, "GET k"), bulk("v"));
    assert!(run(&store, 0, "INCR k").is_error());
    assert_eq!(run(&store, 0, "DEL k other k"), Reply::Int(1));
    assert_eq!(run(&store, 0, "INCR k"), Reply::Int(1));
    assert_eq!(run(&store, 0, "APPEND k 2"), Reply::Int(2));
    assert_eq!(run(&store, 0, "INCR k"), Reply::Int(13));
}

#[test]
fn a_key_is_there_until_its_deadline_has_passed() {
    let store = Store::new(1);
    run(&store, 1_000, "SET k v PX 50");
    assert_eq!(run(&store, 1_050, "PTTL k"), Reply::Int(0));
    assert_eq!(run(&store, 1_050, "GET k"), bulk("v"));
    assert_eq!(run(&store, 1_051, "GET k"), Reply::Null);
    assert_eq!(run(&store, 1_051, "SET k w KEEPTTL"), Reply::OK);
    assert_eq!(run(&store, 1_051, "TTL k"), Reply::Int(-1));
    let stats = store.stats(1_051);
    assert_eq!((stats.keys, stats.expiring_keys, stats.expired), (1, 0, 1));
}

#[test]
fn expire_due_removes_what_is_due_within_its_budget() {
    let store = Store::new(1);
    for i in 0..1_000 {
        run(&store, 0, &format!("SET k{i} v PX {}", i + 1));
        run(&store, 0, &format!("SET p{i} v PX 10"));
        run(&store, 0, &format!("PEXPIRE p{i} 5000"));
    }
    assert_eq!(store.expire_due(1, usize::MAX), 0);
    assert_eq!(store.expire_due(501, 7), 7);
    assert_eq!(store.expire_due(501, 100), 100);
    assert_eq!(store.expire_due(501, usize::MAX), 500 - 107);
    assert_eq!(store.stats(501).keys, 1_500);
    assert_eq!(store.expire_due(4_999, usize::MAX), 500);
    assert_eq!(store.expire_due(5_001, usize::MAX), 1_000);
    assert_eq!(store.stats(0).expired, 2_000);
    assert_eq!(store.stats(0).keys, 0);
}

#[test]
fn a_transaction_is_done_unless_a_watched_key_changed() {
    let commands = [line("INCR a"), line("INCR b"), line("GET a")];
    for (meanwhile, done) in [
        ("GET a", true),
        ("SET other v", true),
        ("SET a 5", false),
        ("DEL a", false),
        ("EXPIRE a 100", false),
        ("EXPIRE absent 100", true),
        ("PERSIST a", true),
        ("GETDEL a", false),
        ("APPEND a 1", false),
        ("DEL absent", true),
        ("SET absent v", false),
        ("SETNX a v", true),
    ] {
        let store = Store::new(1);
        run(&store, 0, "SET a 1");
        let watched = [store.watch(b"a", 0), store.watch(b"absent", 0)];
        run(&store, 0, meanwhile);
        let replies = store.transaction(0, &watched, &commands);
        assert_eq!(replies.is_some(), done, "{meanwhile}");
        if let Some(replies) = replies {
            assert_eq!(replies, [Reply::Int(2), Reply::Int(1), bulk("2")]);
        }
        for watched in watched {
            store.unwatch(watched);
        }
    }
}

#[test]
fn a_watched_key_that_expires_has_changed() {
    let store = Store::new(1);
    run(&store, 0, "SET k v PX 10");
    let early = store.watch(b"k", 5);
    assert!(store.transaction(10, &[], &[]).is_some());
    assert!(store.transaction(11, &[early], &[]).is_none());
    run(&store, 20, "SET k v PX 10");
    let late = store.watch(b"k", 31);
    assert!(store.transaction(32, &[late], &[]).is_some());
}
