//! How a member comes in.

use heeler_ring::RingHash;
use heeler_swim::{
    Bootstrap, BootstrapError, Command, Config, Endpoint, Event, Failure, Input, Swim,
};

use crate::member::{ME, Machine, change, plain};

fn with(bootstrap: Bootstrap) -> Config {
    Config {
        bootstrap: Bootstrap {
            announce: false,
            ..bootstrap
        },
        ..plain()
    }
}

fn seeds(machine: &mut Machine, seeds: &[&str]) {
    machine.input(Input::Seeds(
        seeds.iter().map(|seed| seed.to_string()).collect(),
    ));
}

fn list(address: &str) -> String {
    format!(
        r#"{{"app":"kv","membership":[{}]}}"#,
        change(address, "alive", 1)
    )
}

/// Addresses that are being asked to join.
fn asked(machine: &Machine) -> Vec<&str> {
    let joins = machine
        .sent
        .iter()
        .inspect(|it| assert_eq!(it.endpoint, Endpoint::Join));
    let mut asked: Vec<&str> = joins.map(|it| &*it.to).collect();
    asked.sort();
    asked
}

fn failed(machine: &Machine) -> Option<BootstrapError> {
    machine.events.iter().find_map(|event| match event {
        Event::BootstrapFailed { reason } => Some(*reason),
        _ => None,
    })
}

#[test]
fn the_only_seed_is_ready_at_once() {
    let mut machine = Machine::idle(plain());
    seeds(&mut machine, &[ME]);
    assert!(machine.swim.is_ready());
    let ring: Vec<String> = machine.swim.ring().map(|it| it.to_string()).collect();
    assert_eq!(ring, [ME]);
}

#[test]
fn without_seeds_it_fails_unless_it_may_start_alone_and_can_be_tried_again() {
    let mut machine = Machine::idle(plain());
    seeds(&mut machine, &[]);
    assert_eq!(failed(&machine), Some(BootstrapError::NoSeeds));
    seeds(&mut machine, &[ME]);
    assert!(machine.swim.is_ready());
    let mut machine = Machine::idle(with(Bootstrap {
        alone_after_ms: Some(0),
        ..Bootstrap::default()
    }));
    seeds(&mut machine, &[]);
    assert!(machine.swim.is_ready());
}

#[test]
fn it_is_ready_when_three_have_answered_or_all_if_there_are_fewer() {
    for (others, needed) in [
        (&["a:1"][..], 1),
        (&["a:1", "b:1"], 2),
        (&["a:1", "b:1", "c:1", "d:1"], 3),
    ] {
        let mut machine = Machine::idle(plain());
        let all: Vec<&str> = others.iter().copied().chain([ME]).collect();
        seeds(&mut machine, &all);
        assert!(asked(&machine).iter().all(|it| *it != ME));
        for (i, join) in machine.sent.clone().into_iter().enumerate() {
            assert_eq!(machine.swim.is_ready(), i >= needed);
            machine.answer(join.id, &list(&join.to));
        }
        assert!(machine.swim.is_ready());
    }
}

#[test]
fn one_reachable_seed_can_be_enough() {
    let mut machine = Machine::idle(with(Bootstrap {
        join_size: 1,
        ..Bootstrap::default()
    }));
    seeds(&mut machine, &["a:1", "b:1", "c:1", ME]);
    let joins = machine.sent.clone();
    assert_eq!(joins.len(), 2);
    machine.fail(joins[0].id, Failure::Unreachable("why".into()));
    machine.answer(joins[1].id, &list(&joins[1].to));
    assert!(machine.swim.is_ready());
}

#[test]
fn twice_as_many_are_asked_as_are_missing_and_those_on_other_hosts_first() {
    let mut machine = Machine::idle(plain());
    let near: Vec<String> = (0..10).map(|i| format!("127.0.0.1:{i}")).collect();
    let far: Vec<String> = (0..6).map(|i| format!("10.0.0.{i}:1")).collect();
    let all: Vec<&str> = near.iter().chain(&far).map(String::as_str).collect();
    seeds(&mut machine, &all);
    assert_eq!(asked(&machine), far);
    // Two answer; the others fail: one is missing, and two more are asked.
    for (i, join) in std::mem::take(&mut machine.sent).into_iter().enumerate() {
        match i {
            0 | 1 => machine.answer(join.id, &list(&join.to)),
            _ => machine.fail(join.id, Failure::Unreachable("why".into())),
        }
    }
    assert_eq!(asked(&machine).len(), 2);
}

#[test]
fn it_asks_again_after_pauses_that_double() {
    let mut machine = Machine::idle(plain());
    seeds(&mut machine, &["a:1", ME]);
    for doubled in [100, 200, 400, 800] {
        let join = machine.sent.pop().expect("a join");
        machine.fail(join.id, Failure::Unreachable("why".into()));
        machine.pass(doubled - 1);
        assert_eq!(machine.sent, [], "not within {doubled} ms");
        machine.pass(doubled / 2 + 1);
        assert_eq!(machine.sent.len(), 1, "{doubled} ms and half of it at most");
    }
}

#[test]
fn it_gives_up_in_the_end() {
    let mut machine = Machine::idle(plain());
    seeds(&mut machine, &["a:1", "b:1"]);
    let join = machine.sent[0].clone();
    machine.answer(join.id, &list(&join.to));
    machine.pass(20 * 60 * 1000 - 1);
    assert_eq!(failed(&machine), None);
    machine.pass(1);
    let (joined, needed, ms) = (1, 2, 20 * 60 * 1000);
    assert_eq!(
        failed(&machine),
        Some(BootstrapError::GaveUp { joined, needed, ms })
    );
}

#[test]
fn the_first_may_start_alone() {
    let mut machine = Machine::idle(with(Bootstrap {
        alone_after_ms: Some(3000),
        ..Bootstrap::default()
    }));
    seeds(&mut machine, &["a:1", "b:1", ME]);
    machine.pass(2999);
    assert!(!machine.swim.is_ready());
    machine.pass(1);
    assert!(machine.swim.is_ready());
}

/// What is said of the seeds that did not let it in.
fn missed(machine: &Machine) -> Vec<(&str, &str)> {
    let ready = machine.events.iter().find_map(|event| match event {
        Event::Ready { missed, .. } => Some(missed),
        _ => None,
    });
    let missed = ready.expect("it is ready").iter();
    missed.map(|(seed, why)| (&**seed, &**why)).collect()
}

#[test]
fn who_starts_alone_says_what_each_seed_has_said_last() {
    let mut machine = Machine::idle(with(Bootstrap {
        alone_after_ms: Some(3000),
        max_retry_ms: 100,
        join_timeout_ms: 5000,
        ..Bootstrap::default()
    }));
    seeds(&mut machine, &["a:1", "b:1", "c:1", ME]);
    for (round, why) in ["connection reset", "connection refused"]
        .into_iter()
        .enumerate()
    {
        for join in std::mem::take(&mut machine.sent) {
            match &*join.to {
                "a:1" => machine.fail(join.id, Failure::Unreachable(why.into())),
                "b:1" => machine.answer(join.id, &list("b:1").replace("kv", "other")),
                // One that has failed before, and does not answer now, has said why.
                _ if round == 0 => machine.fail(join.id, Failure::Refused("not yet".into())),
                _ => {}
            }
        }
        machine.pass(100);
    }
    machine.pass(3000);
    let expected = [
        ("a:1", "connection refused"),
        ("b:1", "it belongs to the application \"other\""),
        ("c:1", "it has refused: not yet"),
    ];
    assert_eq!(missed(&machine), expected);
    // What follows is no part of coming in.
    assert!(
        machine
            .events
            .iter()
            .all(|it| !matches!(it, Event::BootstrapFailed { .. }))
    );
}

#[test]
fn seeds_that_have_not_answered_yet_are_told_of_and_those_that_have_are_not() {
    let mut machine = Machine::idle(with(Bootstrap {
        alone_after_ms: Some(500),
        ..Bootstrap::default()
    }));
    seeds(&mut machine, &["a:1", ME]);
    machine.pass(500);
    assert_eq!(missed(&machine), [("a:1", "no answer yet")]);
    let mut machine = Machine::idle(with(Bootstrap {
        join_size: 1,
        ..Bootstrap::default()
    }));
    seeds(&mut machine, &["a:1", ME]);
    let join = machine.sent.pop().expect("a join");
    machine.fail(join.id, Failure::TimedOut);
    machine.pass(200);
    let join = machine.sent.pop().expect("a join");
    machine.answer(join.id, &list("a:1"));
    assert_eq!(missed(&machine), []);
}

#[test]
fn who_is_not_among_the_seeds_is_told_so_unless_it_may_start_alone() {
    let doubts = |alone_after_ms| {
        let mut machine = Machine::idle(with(Bootstrap {
            alone_after_ms,
            ..Bootstrap::default()
        }));
        seeds(&mut machine, &["a:1"]);
        let is_doubt = |event: &&Event| matches!(event, Event::Doubt { .. });
        machine.events.iter().filter(is_doubt).count()
    };
    assert_eq!((doubts(None), doubts(Some(3000))), (1, 0));
}

#[test]
fn who_is_of_another_application_is_not_joined() {
    let mut machine = Machine::idle(plain());
    seeds(&mut machine, &["a:1", ME]);
    let join = machine.sent[0].clone();
    machine.answer(join.id, &list("a:1").replace("kv", "other"));
    assert!(!machine.swim.is_ready());
    assert!(machine.events.iter().any(|event| {
        matches!(event, Event::JoinFailed { reason, .. } if reason.contains("other"))
    }));
}

#[test]
fn of_several_lists_the_newest_counts_and_tombstones_are_dropped() {
    let mut machine = Machine::idle(plain());
    seeds(&mut machine, &["a:1", "b:1", ME]);
    let lists = [
        [change("x:1", "faulty", 5), change("y:1", "tombstone", 5)].join(","),
        [change("x:1", "alive", 6), change("z:1", "suspect", 5)].join(","),
    ];
    for (join, list) in machine.sent.clone().into_iter().zip(lists) {
        machine.answer(join.id, &format!(r#"{{"membership":[{list}]}}"#));
    }
    assert!(machine.swim.is_ready());
    assert_eq!(machine.holds("x:1"), "alive 6");
    assert_eq!(machine.holds("y:1"), "nothing");
    assert_eq!(machine.holds("z:1"), "suspect 5");
}

#[test]
fn the_ring_begins_with_the_whole_list() {
    let mut machine = Machine::idle(plain());
    machine.bootstrap(&[
        ("a:1", "alive", 1),
        ("b:1", "suspect", 1),
        ("c:1", "faulty", 1),
    ]);
    let rings: Vec<Vec<&str>> = machine
        .events
        .iter()
        .filter_map(|event| match event {
            Event::RingChanged { added, .. } => Some(added.iter().map(|it| it.address()).collect()),
            _ => None,
        })
        .collect();
    assert_eq!(rings, [vec![ME, "a:1", "b:1"]]);
    let mut ring = heeler_ring::Ring::new(RingHash::Fingerprint32);
    ring.update([ME, "a:1", "b:1"].map(heeler_ring::Member::new), &[]);
    assert_eq!(machine.swim.ring_checksum(), ring.checksum());
}

#[test]
fn commands_wait_for_readiness() {
    let mut machine = Machine::idle(plain());
    machine.command(Command::Leave);
    assert!(format!("{:?}", machine.done).contains("ringpop.not-ready"));
}

#[test]
fn a_config_that_cannot_be_is_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = plain();
        change(&mut config);
        let now = heeler_swim::Now::default();
        Swim::new(config, now, 1)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused(|it| it.app.clear()), "app is empty");
    assert_eq!(
        refused(|it| it.address = "here".into()),
        "the address \"here\" is not of the form host:port"
    );
    assert_eq!(refused(|it| it.ping_timeout_ms = 0), "ping_timeout_ms is 0");
    let long = refused(|it| it.suspect_ms = u64::MAX);
    assert_eq!(long, "suspect_ms is more than 4398046511104 ms");
    assert_eq!(
        refused(|it| it.app = "a".repeat(257)),
        "app is longer than 256 bytes"
    );
}
