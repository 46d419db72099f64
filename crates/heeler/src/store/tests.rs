//! Tests of the store as its callers see it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::entry::Text;
use super::extras::{Extras, Stamp};
use super::*;
use crate::command::Id;

/// A command from its words.
pub(super) fn command(words: &[&[u8]]) -> OwnedCommand {
    OwnedCommand::resolve(words).unwrap()
}

/// The store of a node of a ring, whose versions have this salt.
pub(super) fn of_node(salt: u16) -> Store {
    let store = Store::new(u64::from(salt));
    store.keep_versions();
    store.salt_versions(salt);
    store.keep_tombstones(true);
    store
}

fn line(line: &str) -> OwnedCommand {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    command(&words)
}

pub(super) fn run(store: &Store, now: u64, text: &str) -> Reply {
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

#[test]
fn watches_see_flushes_renames_and_copies() {
    for (meanwhile, done) in [
        ("FLUSHALL", false),
        ("FLUSHDB ASYNC", false),
        ("RENAME a b", false),
        ("RENAME other a", false),
        ("RENAMENX other a", true),
        ("COPY other a", true),
        ("COPY other a REPLACE", false),
        ("COPY a b", true),
        ("SETBIT a 0 0", true),
        ("SETBIT a 0 1", false),
        ("BITFIELD a GET u8 0", true),
        ("BITFIELD a SET u8 0 0", false),
        ("BITOP NOT a other", false),
        ("GETEX a", true),
        ("GETEX a EX 10", false),
        ("SETRANGE a 0 x", false),
        ("INCRBYFLOAT a 1", false),
        ("MSETNX a 1 c 2", true),
        ("TOUCH a", true),
    ] {
        let store = Store::new(1);
        run(&store, 0, "MSET a 1 other 2");
        let watched = [store.watch(b"a", 0)];
        run(&store, 0, meanwhile);
        let replies = store.transaction(0, &watched, &[line("DBSIZE")]);
        assert_eq!(replies.is_some(), done, "{meanwhile}");
        let absent = [store.watch(b"absent", 0)];
        run(&store, 0, "FLUSHALL");
        assert!(store.transaction(0, &absent, &[]).is_some());
        watched
            .into_iter()
            .chain(absent)
            .for_each(|w| store.unwatch(w));
    }
}

#[test]
fn a_transaction_may_be_about_the_whole_keyspace() {
    let store = Store::new(1);
    let commands = [
        "MSET a 1 b 2",
        "DBSIZE",
        "KEYS a",
        "RANDOMKEY",
        "FLUSHALL",
        "RANDOMKEY",
        "SCAN 0",
    ];
    let replies = store.transaction(0, &[], &commands.map(line)).unwrap();
    assert_eq!(replies[..2], [Reply::OK, Reply::Int(2)]);
    assert_eq!(replies[2], Reply::Array(vec![bulk("a")]));
    assert!([bulk("a"), bulk("b")].contains(&replies[3]));
    assert_eq!(replies[4..6], [Reply::OK, Reply::Null]);
    assert_eq!(
        replies[6],
        Reply::Array(vec![bulk("0"), Reply::Array(vec![])])
    );
}

#[test]
fn a_flush_in_the_background_frees_a_budget_at_a_time() {
    let store = Store::new(1);
    (0..5_000).for_each(|i| drop(run(&store, 0, &format!("SET k{i} v"))));
    run(&store, 0, "FLUSHALL ASYNC");
    assert_eq!(store.stats(0).keys, 0);
    let mut freed = 0;
    loop {
        let done = store.expire_due(0, 100);
        freed += done;
        if done < 100 {
            break;
        }
        assert!(done < 200, "{done}");
    }
    assert_eq!(freed, 5_000);
}

/// Few keys, so that most shards have none; as many as there are shards; many in each.
#[test]
fn each_key_is_drawn_about_as_often_as_any_other() {
    for (keys, draws) in [(3, 600), (50, 5_000), (1_000, 40_000), (20_000, 100_000)] {
        let store = Store::new(5);
        for i in 0..keys {
            run(&store, 0, &format!("SET {i} x"));
        }
        // Those that are gone are never drawn.
        run(&store, 0, "SET gone x PX 1");
        let mut counts = vec![0.0f64; keys];
        for _ in 0..draws {
            let Reply::Bulk(key) = run(&store, 2, "RANDOMKEY") else {
                panic!("there are keys");
            };
            let key = String::from_utf8(key.to_vec()).unwrap();
            counts[key.parse::<usize>().unwrap()] += 1.0;
        }
        // Chi-squared: its mean is the number of keys, its variance twice that.
        let mean = draws as f64 / keys as f64;
        let sum: f64 = counts.iter().map(|c| (c - mean).powi(2) / mean).sum();
        let most = keys as f64 + 6.0 * (2.0 * keys as f64).sqrt();
        assert!(sum < most, "{keys} keys: {sum}, not below {most}");
    }
}

#[test]
fn every_key_is_as_likely_as_any_other_to_be_random() {
    let store = Store::new(1);
    assert_eq!(run(&store, 0, "RANDOMKEY"), Reply::Null);
    for key in 0..8 {
        run(&store, 0, &format!("SET {key} v"));
        run(&store, 0, &format!("SET gone{key} v PX 1"));
    }
    let mut counts = BTreeMap::new();
    for _ in 0..8_000 {
        let Reply::Bulk(key) = run(&store, 2, "RANDOMKEY") else {
            panic!("no key");
        };
        *counts.entry(key.to_vec()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 8);
    assert!(
        counts.values().all(|n| (850..1_150).contains(n)),
        "{counts:?}"
    );
}

#[test]
fn stats_count_hits_misses_and_deadlines() {
    let store = Store::new(1);
    run(&store, 0, "SET a v PX 1000");
    run(&store, 0, "SET b v PX 3000");
    run(&store, 0, "SET c v");
    run(&store, 0, "MGET a b none");
    run(&store, 0, "EXISTS none c");
    let stats = store.stats(500);
    assert_eq!((stats.hits, stats.misses), (3, 2));
    assert_eq!((stats.keys, stats.expiring_keys), (3, 2));
    assert_eq!(stats.average_ttl, 1_500);
}

/// A scan that starts with those keys present sees each of them once, while others come and go and
/// the tables grow and shrink, and no reply has many more than were asked for.
#[test]
fn a_scan_sees_every_key_that_stays() {
    for count in [1, 10, 500] {
        let store = Store::new(1);
        for i in 0..4_000 {
            run(&store, 0, &format!("SET stays{i} v"));
            run(&store, 0, &format!("SET goes{i} v"));
        }
        let (mut cursor, mut seen, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let text = format!("SCAN {cursor} COUNT {count} MATCH stays*");
            let Reply::Array(parts) = run(&store, 0, &text) else {
                panic!("no array");
            };
            let [Reply::Bulk(next), Reply::Array(keys)] = &parts[..] else {
                panic!("no cursor: {parts:?}");
            };
            assert!(keys.len() <= 2 * count + 64, "{} keys", keys.len());
            for key in keys {
                let Reply::Bulk(key) = key else { panic!() };
                assert!(seen.insert(key.to_vec()), "a key comes twice");
            }
            cursor = String::from_utf8(next.to_vec()).unwrap();
            if cursor == "0" {
                break;
            }
            calls += 1;
            for i in 0..if calls < 100 { 100 } else { 0 } {
                run(&store, 0, &format!("SET more{calls}:{i} v"));
                run(&store, 0, &format!("DEL goes{}", calls * 7 + i));
                if calls % 3 == 0 {
                    run(&store, 0, &format!("DEL more{}:{i}", calls - 1));
                }
            }
        }
        assert_eq!(seen.len(), 4_000, "COUNT {count}");
    }
}

/// What the store is to be like: a sorted map.
#[derive(Default)]
struct Model(BTreeMap<String, (String, Option<u64>)>);

impl Model {
    fn run(&mut self, now: u64, step: &Step) -> Reply {
        self.0
            .retain(|_, (_, deadline)| deadline.is_none_or(|d| now <= d));
        match step {
            Step::Set(key, value, life) => {
                let deadline = life.map(|life| now + life);
                self.0.insert(key.clone(), (value.clone(), deadline));
                Reply::OK
            }
            Step::Get(key) => self.0.get(key).map_or(Reply::Null, |(v, _)| bulk(v)),
            Step::Append(key, tail) => {
                let (value, _) = self.0.entry(key.clone()).or_default();
                value.push_str(tail);
                Reply::Int(value.len() as i64)
            }
            Step::Del(key) => Reply::Int(i64::from(self.0.remove(key).is_some())),
            Step::Expire(key, life) => match self.0.get_mut(key) {
                Some((_, deadline)) => {
                    *deadline = Some(now + life);
                    Reply::Int(1)
                }
                None => Reply::Int(0),
            },
            Step::Rename(from, to) => match self.0.remove(from) {
                Some(value) => {
                    self.0.insert(to.clone(), value);
                    Reply::OK
                }
                None => Reply::error("ERR no such key"),
            },
            Step::Pttl(key) => Reply::Int(match self.0.get(key) {
                None => -2,
                Some((_, None)) => -1,
                Some((_, Some(deadline))) => (deadline - now) as i64,
            }),
            Step::Wait(_) => Reply::OK,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(String, String, Option<u64>),
    Get(String),
    Append(String, String),
    Del(String),
    Expire(String, u64),
    Rename(String, String),
    Pttl(String),
    Wait(u64),
}

impl Step {
    fn words(&self) -> Vec<String> {
        let words: &[&str] = match self {
            Step::Set(key, value, None) => &["SET", key, value],
            Step::Set(key, value, Some(life)) => &["SET", key, value, "PX", &life.to_string()],
            Step::Get(key) => &["GET", key],
            Step::Append(key, tail) => &["APPEND", key, tail],
            Step::Del(key) => &["DEL", key],
            Step::Expire(key, life) => &["PEXPIRE", key, &life.to_string()],
            Step::Rename(from, to) => &["RENAME", from, to],
            Step::Pttl(key) => &["PTTL", key],
            Step::Wait(_) => &["DBSIZE"],
        };
        words.iter().map(|w| w.to_string()).collect()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = || "[a-h]{1,2}";
    let long = || (2_000..3_000usize).prop_map(|len| "v".repeat(len));
    let value = || prop_oneof!["[0-9]{1,3}", "[a-z]{0,60}", long()];
    let life = || 1..100u64;
    prop_oneof![
        (key(), value(), proptest::option::of(life())).prop_map(|(k, v, l)| Step::Set(k, v, l)),
        key().prop_map(Step::Get),
        (key(), "[a-z0-9]{0,40}").prop_map(|(k, v)| Step::Append(k, v)),
        key().prop_map(Step::Del),
        (key(), life()).prop_map(|(k, l)| Step::Expire(k, l)),
        (key(), key()).prop_map(|(a, b)| Step::Rename(a, b)),
        key().prop_map(Step::Pttl),
        (0..40u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn the_store_is_a_map_whose_keys_expire(
        steps in proptest::collection::vec(step(), 1..300),
        background in any::<bool>(),
    ) {
        let (store, mut model, mut now) = (Store::new(9), Model::default(), 1_000);
        for step in &steps {
            if let Step::Wait(millis) = step {
                now += millis;
                if background {
                    store.expire_due(now, usize::MAX);
                    model.run(now, step);
                    prop_assert_eq!(store.stats(now).keys, model.0.len());
                }
                continue;
            }
            let words = step.words();
            let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
            let reply = store.execute(now, &command(&words).as_command());
            prop_assert_eq!(reply, model.run(now, step), "{:?}", step);
        }
        store.expire_due(now, usize::MAX);
        model.run(now, &Step::Wait(0));
        let expiring = model.0.values().filter(|(_, d)| d.is_some()).count();
        let stats = store.stats(now);
        prop_assert_eq!((stats.keys, stats.expiring_keys), (model.0.len(), expiring));
    }
}

#[test]
fn flags_of_memcached_are_those_that_were_stored_last() {
    let store = Store::new(7);
    let mut before = None;
    for (text, deadline, marks) in [
        ("1", None, 7),
        ("2", None, 7),
        ("2", Some(90), 7),
        ("a text that needs another slot than a number", Some(90), 7),
        ("a text that needs another slot than a number", None, 9),
        ("b text that needs another slot than a number", None, 0),
        ("3", None, u32::MAX),
    ] {
        let mut view = View::of_key(&store, 0, 5, b"k");
        let mut slot = view.slot(b"k");
        slot.set_marked_text(Text::from_value(text.as_bytes()), deadline, marks);
        let version = slot.ensure_version();
        let found = slot.text().expect("a string").expect("it is there");
        let mut buffer = itoa::Buffer::new();
        assert_eq!(found.bytes(&mut buffer), text.as_bytes());
        assert_eq!((slot.extras().marks, slot.deadline()), (marks, deadline));
        assert!(version > before, "{text} {marks}");
        before = version;
        drop(view);
        assert_eq!(
            store.stats(5).expiring_keys,
            usize::from(deadline.is_some())
        );
    }
}

/// What a document's meta is: version, index, created, updated, deadline.
fn meta(store: &Store, now: u64, words: &[&[u8]]) -> [i64; 5] {
    let id = match words[0] {
        b"document.store" => Id::DocumentStore,
        b"document.change" => Id::DocumentChange,
        _ => Id::DocumentLoad,
    };
    let command = OwnedCommand::new(id.spec(), words);
    let Reply::Array(all) = store.execute(now, &command.as_command()) else {
        panic!("no meta: {}", words[0].escape_ascii());
    };
    std::array::from_fn(|i| match all[i] {
        Reply::Int(number) => number,
        _ => panic!("{i} is no number"),
    })
}

/// Whatever was there before, and whatever is stored.
#[test]
fn a_document_has_the_stamp_and_the_version_of_its_last_store() {
    let forms: [(&[u8], &[&[u8]]); 5] = [
        (b"text", &[b"v"]),
        (b"text", &[&[b'x'; 5000]]),
        (b"json", &[b"{\"n\":1}"]),
        (b"list", &[b"a", b"b"]),
        (b"hash", &[b"name", b"value"]),
    ];
    let words = |form: &'static [u8], life: &'static [u8]| {
        vec![&b"document.store"[..], b"k", form, life, b"", b""]
    };
    for (keeps, first, second) in [false, true].into_iter().flat_map(|keeps| {
        let pairs = forms.iter().flat_map(|a| forms.iter().map(move |b| (a, b)));
        pairs.map(move |(a, b)| (keeps, a, b))
    }) {
        let store = Store::new(1);
        if keeps {
            store.keep_versions();
        }
        let load: &[&[u8]] = &[b"document.load", b"k", b"json"];
        let one = [words(first.0, b"500"), first.1.to_vec()].concat();
        let stored = meta(&store, 1000, &one);
        assert_eq!(stored[1..], [1, 1000, 1000, 1500]);
        assert_eq!(meta(&store, 1001, load), stored);
        let two = [words(second.0, b""), second.1.to_vec()].concat();
        let again = meta(&store, 1002, &two);
        assert_eq!(again[1..], [2, 1000, 1002, 1500]);
        assert!(again[0] > stored[0]);
        assert_eq!(meta(&store, 1003, load), again);
        // What another door has stored is not known to be JSON, and nobody knows when it came.
        run(&store, 1004, "SET other {\"n\":1}");
        let other: Vec<&[u8]> = two
            .iter()
            .map(|&word| if word == b"k" { b"other" } else { word })
            .collect();
        let stored = meta(&store, 1005, &other);
        assert_eq!(stored[1..], [2, 0, 1005, 0]);
        run(&store, 1006, "SET k {\"n\":1}");
        let changed = meta(&store, 1007, load);
        assert_eq!(changed[1..], [3, 1000, 1006, 0]);
        assert!(changed[0] > again[0]);
    }
}

/// Each change raises a document's index by one, also where its life is another one afterwards.
#[test]
fn a_change_of_a_document_is_one_change() {
    for keeps in [false, true] {
        let store = Store::new(1);
        if keeps {
            store.keep_versions();
        }
        let mut before = [0; 5];
        for (index, (op, place, data)) in [
            (&b"append"[..], &b""[..], &b"\"a\""[..]),
            (b"append", b"", b"1"),
            (b"set-index", b"0", b"\"b\""),
            (b"delete-index", b"1", b""),
            (b"append", b"", b"\"c\""),
            (b"insert-index", b"0", b"null"),
        ]
        .into_iter()
        .enumerate()
        {
            let index = index as i64;
            let now = 1000 + index;
            let life = (100 + index).to_string();
            let words = [
                &b"document.change"[..],
                b"k",
                op,
                place,
                life.as_bytes(),
                b"",
                b"",
                data,
            ];
            let after = meta(&store, now as u64, &words);
            assert_eq!(after[1..], [index + 1, 1000, now, now + 100 + index]);
            assert!(after[0] > before[0]);
            before = after;
        }
    }
}

/// What memcached's clients are told of: who has read a string, through whatever door.
#[test]
fn a_string_is_one_that_was_read_until_another_is_stored() {
    let store = Store::new(1);
    let was_read = || {
        let mut view = View::of_key(&store, 0, 9, b"k");
        let access = view.slot(b"k").peek().expect("it is there").access();
        aging::was_read(access)
    };
    for (command, expected) in [
        ("SET k 5", false),
        ("INCR k", false),
        ("TTL k", false),
        ("EXISTS k", false),
        ("GET k", true),
        ("INCR k", true),
        ("EXPIRE k 90", true),
        ("SET k 6", false),
        ("STRLEN k", true),
        ("APPEND k 7", false),
        ("TOUCH k", true),
        ("SETRANGE k 0 a", false),
    ] {
        run(&store, 5, command);
        assert_eq!(was_read(), expected, "{command}");
    }
}

/// What is known of a key beside its value: which of it stays, and what a change does to it.
#[test]
fn versions_marks_and_stamps_follow_the_changes_of_a_key() {
    let store = Store::new(1);
    let extras = |key: &[u8]| View::of_key(&store, 0, 0, key).slot(key).extras();
    run(&store, 5, "SET k 1");
    assert_eq!(extras(b"k").version, None);
    let stamp = Stamp {
        index: 1,
        is_json: true,
        created: 5,
        updated: 5,
    };
    let version = {
        let mut view = View::of_key(&store, 0, 5, b"k");
        let mut slot = view.slot(b"k");
        slot.set_marked_text(Text::from_value(b"1"), None, 7);
        slot.set_stamp(Some(stamp));
        slot.ensure_version()
    };
    run(&store, 6, "INCR k");
    let after = extras(b"k");
    assert!(after.version > version);
    assert_eq!(after.marks, 7);
    let (index, updated) = (2, 6);
    assert_eq!(
        after.stamp,
        Some(Stamp {
            index,
            updated,
            ..stamp
        })
    );
    run(&store, 7, "EXPIRE k 100");
    assert_eq!(extras(b"k"), after, "a deadline is no change of the value");
    run(&store, 8, "SET k another");
    let (index, updated, is_json) = (3, 8, false);
    let set = extras(b"k");
    assert!(set.version > after.version);
    assert_eq!(set.marks, 0);
    let renewed = Stamp {
        index,
        updated,
        is_json,
        ..stamp
    };
    assert_eq!(set.stamp, Some(renewed));
    run(&store, 9, "DEL k");
    run(&store, 9, "SET k 1");
    assert_eq!(extras(b"k"), Extras::default());
    store.keep_versions();
    run(&store, 9, "INCR k");
    let first = extras(b"k").version;
    run(&store, 9, "EXPIRE k 100");
    let second = extras(b"k").version;
    assert!(first.is_some() && second > first);
    run(&store, 9, "RPUSH list a");
    let third = extras(b"list").version;
    run(&store, 9, "RPUSH list b");
    assert!(third.is_some() && extras(b"list").version > third);
}

#[test]
fn what_unlink_removes_is_freed_in_the_background() {
    let store = Store::new(1);
    let members = |name: &str| (0..1_000).fold(format!("SADD {name}"), |l, i| format!("{l} m{i}"));
    for (command, waits) in [("DEL set", 0), ("UNLINK set", 1), ("SET set v", 0)] {
        run(&store, 0, &members("set"));
        let full = store.memory();
        run(&store, 0, command);
        assert!(store.memory() + 3_000 < full, "{command}");
        assert_eq!(store.discarded(), waits, "{command}");
        assert_eq!(store.expire_due(0, 10), waits, "{command}");
        assert_eq!(store.discarded(), 0);
        run(&store, 0, "DEL set");
    }
}
