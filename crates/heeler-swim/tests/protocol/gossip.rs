//! Pings, who is asked to help, what is told and how often, and full syncs.

use heeler_ring::RingHash;
use heeler_swim::{Answer, Command, Config, Endpoint, Event, Failure, Form, Output, Status, Style};

use crate::member::{BORN, ME, Machine, change, change_by, plain, without_ids};

const FIVE: [(&str, &str, u64); 5] = [
    ("a:1", "alive", 1),
    ("b:1", "alive", 1),
    ("c:1", "alive", 1),
    ("d:1", "alive", 1),
    ("e:1", "alive", 1),
];

const EMPTY: &str = "{\"changes\":[]}";

#[test]
fn one_ping_is_under_way_at_a_time_and_the_next_comes_a_period_after_its_end() {
    let mut machine = Machine::idle(plain());
    machine.bootstrap(&FIVE);
    machine.sent.clear();
    let first = (0..=200).find(|_| {
        let none = machine.sent.is_empty();
        machine.pass(u64::from(none));
        !none
    });
    assert!(first.is_some(), "the first within 200 ms");
    machine.pass(90);
    assert_eq!(machine.sent.len(), 1, "and no other before it has ended");
    let ping = machine.sent.remove(0);
    machine.answer(ping.id, EMPTY);
    machine.pass(199);
    assert_eq!(machine.sent, []);
    machine.pass(1);
    assert_eq!(machine.sent.len(), 1);
}

#[test]
fn the_period_is_twice_the_median_of_the_pings_if_that_is_longer() {
    let mut machine = Machine::idle(plain());
    machine.bootstrap(&FIVE);
    machine.sent.clear();
    for _ in 0..20 {
        machine.pass(200);
        while machine.sent.is_empty() {
            machine.pass(1);
        }
        machine.pass(300);
        let ping = machine.sent.remove(0);
        machine.answer(ping.id, EMPTY);
    }
    machine.pass(599);
    assert_eq!(machine.sent, []);
    machine.pass(1);
    assert_eq!(machine.sent.len(), 1);
}

#[test]
fn everybody_pingable_is_pinged_in_turn() {
    let mut machine = Machine::ready(plain(), &FIVE);
    machine.tell(&[change("d:1", "faulty", 2), change("e:1", "leave", 2)].join(","));
    for _ in 0..10 {
        let mut round: Vec<String> = (0..3)
            .map(|_| {
                let ping = machine.tick();
                machine.answer(ping.id, EMPTY);
                ping.to
            })
            .collect();
        round.sort();
        round.dedup();
        assert!(round.len() >= 2, "{round:?}");
        assert!(
            round
                .iter()
                .all(|to| ["a:1", "b:1", "c:1"].contains(&&**to))
        );
    }
}

/// A member whose ping of somebody has just failed: whom, and the requests to help.
fn ping_failed(others: &[(&str, &str, u64)]) -> (Machine, String, Vec<u64>) {
    let mut machine = Machine::ready(plain(), others);
    let ping = machine.tick();
    machine.fail(ping.id, Failure::TimedOut);
    let asked = machine.sent.drain(..);
    let ids = asked
        .inspect(|it| assert_eq!(it.endpoint, Endpoint::PingReq))
        .map(|it| it.id);
    let ids = ids.collect();
    (machine, ping.to, ids)
}

fn reached(yes: bool) -> String {
    format!(r#"{{"changes":[],"pingStatus":{yes},"target":"x"}}"#)
}

#[test]
fn an_error_of_any_kind_is_no_answer_to_a_ping() {
    for failure in [
        Failure::TimedOut,
        Failure::Unreachable("why".into()),
        Failure::Refused("why".into()),
    ] {
        let mut machine = Machine::ready(plain(), &FIVE);
        let ping = machine.tick();
        machine.fail(ping.id, failure);
        assert_eq!(machine.sent.len(), 3, "three are asked to help");
        assert!(
            machine
                .sent
                .iter()
                .all(|it| it.to != ping.to && it.to != ME)
        );
    }
    for body in ["{}", "", "null", "[]", "{\"changes\":1}"] {
        let mut machine = Machine::ready(plain(), &FIVE);
        let ping = machine.tick();
        machine.answer(ping.id, body);
        assert_eq!(machine.sent.len(), 3, "{body}");
    }
    let mut machine = Machine::ready(plain(), &FIVE);
    machine.tick();
    machine.pass(1499);
    assert_eq!(machine.sent, []);
    machine.pass(1);
    assert_eq!(machine.sent.len(), 3, "no answer in time");
}

#[test]
fn who_answers_somebody_else_is_not_suspected() {
    let (mut machine, target, asked) = ping_failed(&FIVE);
    machine.answer(asked[0], &reached(false));
    machine.answer(asked[1], &reached(true));
    machine.answer(asked[2], &reached(false));
    assert_eq!(machine.status(&target), Some(Status::Alive));
}

#[test]
fn whom_nobody_reaches_is_suspect_when_all_have_said_so() {
    let (mut machine, target, asked) = ping_failed(&FIVE);
    for (i, id) in asked.into_iter().enumerate() {
        assert_eq!(machine.holds(&target), "alive 1", "{i}");
        match i {
            0 => machine.fail(id, Failure::TimedOut),
            _ => machine.answer(id, &reached(false)),
        }
    }
    assert_eq!(machine.holds(&target), "suspect 1");
    let told = without_ids(&machine.told());
    assert_eq!(told, change_by(ME, BORN, &target, "suspect", 1));
}

#[test]
fn errors_alone_prove_nothing_unless_there_are_few_to_ask() {
    for (others, expected) in [(&FIVE[..], "alive 1"), (&FIVE[..3], "suspect 1")] {
        let (mut machine, target, asked) = ping_failed(others);
        asked
            .into_iter()
            .for_each(|id| machine.fail(id, Failure::TimedOut));
        assert_eq!(machine.holds(&target), expected);
        let inconclusive = Event::PingInconclusive {
            target: target.into(),
        };
        assert_eq!(
            machine.events.contains(&inconclusive),
            expected == "alive 1"
        );
    }
}

#[test]
fn with_nobody_to_ask_who_does_not_answer_is_suspect_at_once() {
    let (machine, target, asked) = ping_failed(&FIVE[..1]);
    assert_eq!(
        (machine.holds(&target), asked.len()),
        ("suspect 1".into(), 0)
    );
}

#[test]
fn who_has_refuted_meanwhile_is_not_suspected() {
    let (mut machine, target, asked) = ping_failed(&FIVE);
    machine.tell(&change(&target, "alive", 2));
    asked
        .into_iter()
        .for_each(|id| machine.answer(id, &reached(false)));
    assert_eq!(machine.holds(&target), "alive 2");
}

#[test]
fn what_is_told_is_told_fifteen_times_for_each_digit_of_the_ring() {
    let many: Vec<String> = (0..9).map(|i| format!("m:{i}")).collect();
    let many: Vec<(&str, &str, u64)> = many.iter().map(|it| (&**it, "alive", 1)).collect();
    // The ring has one more: the member itself.
    for (others, times) in [(&FIVE[..], 15), (&many[..8], 15), (&many[..], 30)] {
        let mut machine = Machine::ready(plain(), others);
        machine.tell(&change(others[0].0, "suspect", 1));
        // Once to who told it: its own changes are only those that name it as their source.
        let told = (0..100).take_while(|_| !machine.told().is_empty()).count();
        assert_eq!(told + 1, times, "{} members", others.len());
    }
}

#[test]
fn what_is_sent_counts_when_the_answer_has_come() {
    let mut machine = Machine::ready(plain(), &FIVE);
    machine.tell(&change("a:1", "alive", 2));
    for _ in 0..50 {
        let ping = machine.tick();
        assert!(ping.body.contains("\"incarnationNumber\":2"));
        machine.fail(ping.id, Failure::TimedOut);
        // None of the helpers answers, too.
        machine
            .sent
            .drain(..)
            .map(|it| it.id)
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|id| {
                machine.fail(id, Failure::TimedOut);
            });
    }
    let mut told = 0;
    loop {
        let ping = machine.tick();
        machine.answer(ping.id, EMPTY);
        if !ping.body.contains("\"incarnationNumber\":2") {
            break;
        }
        told += 1;
    }
    assert_eq!(told, 14, "fifteen, with the one who was answered");
}

#[test]
fn a_caller_is_not_told_what_it_has_said_itself() {
    let mut machine = Machine::ready(plain(), &FIVE);
    machine
        .ping_from("a:1", 1, 1, &change_by("a:1", 1, "b:1", "suspect", 1))
        .unwrap();
    machine.sent.clear();
    let checksum = machine.swim.checksum(machine.swim.form());
    assert_eq!(machine.ping_from("a:1", 1, checksum, "").unwrap(), EMPTY);
    assert!(machine.counts["filtered-change"] > 0);
    let other = machine.ping_from("c:1", 1, checksum, "").unwrap();
    assert!(other.contains("suspect"));
    let newer = machine.ping_from("a:1", 2, checksum, "").unwrap();
    assert!(
        newer.contains("suspect"),
        "in a newer life it may have forgotten"
    );
}

#[test]
fn lists_of_the_bootstrap_are_not_told_but_ones_own_coming_is() {
    let mut machine = Machine::idle(plain());
    machine.bootstrap(&FIVE);
    let ping = machine.tick();
    let start = ping.body.find('[').unwrap() + 1;
    let told = &ping.body[start..ping.body.find(']').unwrap()];
    assert_eq!(without_ids(told), change_by(ME, BORN, ME, "alive", BORN));
}

#[test]
fn who_differs_and_gets_nothing_else_gets_the_whole_list_and_is_asked_for_its_own() {
    let mut machine = Machine::ready(plain(), &FIVE[..1]);
    let answer = machine.ping_from("a:1", 1, 1, "").unwrap();
    let member = |address: &str, born: u64| {
        let change = change(address, "alive", born);
        format!(r#"{{"source":"{ME}",{}"#, change.strip_prefix('{').unwrap())
    };
    let all = [member(ME, BORN), member("a:1", 1)].join(",");
    assert_eq!(answer, format!(r#"{{"changes":[{all}]}}"#));
    let [join] = &machine.sent[..] else {
        panic!("{:?}", machine.sent);
    };
    assert_eq!((&*join.to, join.endpoint), ("a:1", Endpoint::Join));
    let id = join.id;
    let list = change("n:1", "alive", 9);
    machine.answer(id, &format!(r#"{{"app":"kv","membership":[{list}]}}"#));
    assert_eq!(machine.holds("n:1"), "alive 9");
    assert_eq!(
        (
            machine.counts["full-sync"],
            machine.counts["full-sync.reverse"]
        ),
        (1, 1)
    );
}

#[test]
fn who_agrees_or_is_told_something_gets_no_list() {
    let mut machine = Machine::ready(plain(), &FIVE);
    let checksum = machine.swim.checksum(machine.swim.form());
    assert_eq!(machine.ping_from("a:1", 1, checksum, "").unwrap(), EMPTY);
    machine.tell(&change("b:1", "suspect", 1));
    let answer = machine.ping_from("a:1", 1, 1, "").unwrap();
    assert!(answer.contains("suspect") && !answer.contains("c:1"));
    assert_eq!(machine.counts.get("full-sync"), None);
}

#[test]
fn a_ping_req_may_be_answered_by_the_whole_list_but_asks_for_none() {
    let mut machine = Machine::ready(plain(), &FIVE);
    let ask = r#"{"checksum":1,"changes":[],"source":"a:1","target":"b:1"}"#;
    let token = machine.ask_later(Endpoint::PingReq, ask);
    let ping = machine.sent.pop().unwrap();
    machine.answer(ping.id, EMPTY);
    let answer = machine.answer_to(token).unwrap().unwrap();
    assert!(answer.contains("e:1") && answer.contains("\"pingStatus\":true"));
    assert_eq!(machine.sent, []);
}

#[test]
fn the_same_full_sync_comes_again_later_and_later() {
    let mut machine = Machine::ready(plain(), &FIVE);
    let mut syncs = Vec::new();
    for second in 0..200 {
        let answer = machine.ping_from("a:1", 1, 1, "").unwrap();
        if answer != EMPTY {
            syncs.push(second);
        }
        machine.pass(1000);
    }
    assert_eq!(syncs, [0, 1, 3, 7, 15, 31, 63, 127, 191]);
    // When something has changed it comes at once.
    assert_ne!(machine.ping_from("a:1", 1, 2, "").unwrap(), EMPTY);
}

#[test]
fn at_most_five_lists_are_fetched_at_once_and_one_of_each() {
    let others: Vec<String> = (0..9).map(|i| format!("m:{i}")).collect();
    let list: Vec<(&str, &str, u64)> = others.iter().map(|it| (&**it, "alive", 1)).collect();
    let mut machine = Machine::ready(plain(), &list);
    for checksum in [1, 2] {
        for other in &others {
            machine.ping_from(other, 1, checksum, "").unwrap();
        }
    }
    assert_eq!(machine.sent.len(), 5);
    assert_eq!(machine.counts["full-sync.reverse-omitted"], 13);
}

#[test]
fn a_peer_is_written_to_in_the_form_that_it_writes() {
    for form in Form::ALL {
        let config = Config {
            hash: Some(RingHash::Fingerprint32),
            ..plain()
        };
        let mut machine = Machine::ready(config, &FIVE[..1]);
        let checksum = machine.swim.checksum(form);
        assert_eq!(
            machine.ping_from("a:1", 1, checksum, "").unwrap(),
            EMPTY,
            "{form:?}"
        );
        assert_eq!(machine.swim.peer_form("a:1"), Some(form));
        let ping = machine.tick();
        assert!(
            ping.body
                .starts_with(&format!("{{\"checksum\":{checksum},")),
            "{form:?}"
        );
        let differs = machine
            .events
            .iter()
            .any(|it| matches!(it, Event::HashDiffers { .. }));
        assert_eq!(differs, form.hash == RingHash::Hash32V1);
    }
}

#[test]
fn a_peer_that_is_another_program_now_is_known_by_its_second_ping() {
    let mut machine = Machine::ready(plain(), &FIVE[..1]);
    let [node, go] =
        [Style::Node, Style::Go].map(|style| Form::new(RingHash::Fingerprint32, style));
    let [checksum, other] = [node, go].map(|form| machine.swim.checksum(form));
    assert_eq!(machine.ping_from("a:1", 1, checksum, "").unwrap(), EMPTY);
    assert_ne!(machine.ping_from("a:1", 1, other, "").unwrap(), EMPTY);
    assert_eq!(machine.ping_from("a:1", 1, other, "").unwrap(), EMPTY);
    assert_eq!(machine.swim.peer_form("a:1"), Some(go));
}

#[test]
fn the_form_of_a_peer_is_known_from_its_list() {
    for form in Form::ALL {
        let mut machine = Machine::idle(plain());
        machine.input(heeler_swim::Input::Seeds(vec!["a:1".into()]));
        let id = machine.sent.pop().unwrap().id;
        let checksum = form.checksum([("a:1", Status::Alive, 1, None)]);
        let list = change("a:1", "alive", 1);
        let body =
            format!(r#"{{"app":"kv","membership":[{list}],"membershipChecksum":{checksum}}}"#);
        machine.answer(id, &body);
        assert_eq!(machine.swim.peer_form("a:1"), Some(form));
        assert_eq!(
            (machine.swim.hash(), machine.swim.form()),
            (form.hash, form)
        );
    }
}

#[test]
fn the_hash_of_a_peer_that_does_not_know_its_own_is_provisional() {
    let mut machine = Machine::idle(plain());
    machine.input(heeler_swim::Input::Seeds(vec!["a:1".into()]));
    let id = machine.sent.pop().unwrap().id;
    let [own, other] =
        [RingHash::Fingerprint32, RingHash::Hash32V1].map(|hash| Form::new(hash, Style::Node));
    let checksum = own.checksum([("a:1", Status::Alive, 1, None)]);
    let list = change("a:1", "alive", 1);
    let body = format!(
        r#"{{"app":"kv","membership":[{list}],"membershipChecksum":{checksum},
             "hashIsProvisional":true}}"#
    );
    machine.answer(id, &body);
    assert_eq!(machine.swim.hash(), RingHash::Fingerprint32);
    // It has met one that knows. The first pings are for what there is to tell.
    for _ in 0..50 {
        let checksum = machine.swim.checksum(other);
        let _ = machine.ping_from("a:1", 1, checksum, "");
    }
    assert_eq!(
        (machine.swim.hash(), machine.swim.form()),
        (RingHash::Hash32V1, other)
    );
}

#[test]
fn the_form_of_ringpop_go_is_known_from_its_answers() {
    let mut machine = Machine::ready(plain(), &FIVE[..1]);
    let form = Form::new(RingHash::Fingerprint32, Style::Go);
    let checksum = machine.swim.checksum(form);
    let ping = machine.tick();
    machine.answer(
        ping.id,
        &format!(r#"{{"changes":[],"checksum":{checksum}}}"#),
    );
    assert_eq!(machine.swim.peer_form("a:1"), Some(form));
}

#[test]
fn who_is_not_ready_lets_nobody_ping_and_calls_back() {
    let mut machine = Machine::idle(Config::new("kv", ME));
    machine.input(heeler_swim::Input::Seeds(vec!["s:1".into()]));
    let error = machine.ping_from("early:1", 1, 1, "").unwrap_err();
    assert!(error.contains("ringpop.not-ready"));
    let join = r#"{"app":"kv","source":"early:1","incarnationNumber":1}"#;
    machine
        .ask(Endpoint::Join, join)
        .expect("joins are answered before");
    let id = machine.sent.pop().unwrap().id;
    let list = change("s:1", "alive", 1);
    machine.answer(id, &format!(r#"{{"membership":[{list}]}}"#));
    let mut pinged: Vec<&str> = machine.sent.iter().map(|it| &*it.to).collect();
    pinged.sort();
    assert_eq!(pinged, ["early:1", "s:1"]);
}

#[test]
fn a_join_does_not_add_the_joiner() {
    let mut machine = Machine::ready(plain(), &[]);
    let join = r#"{"app":"kv","source":"a:1","incarnationNumber":1}"#;
    machine.ask(Endpoint::Join, join).unwrap();
    assert_eq!(machine.holds("a:1"), "nothing");
}

#[test]
fn a_tick_ends_with_the_checksum() {
    let mut machine = Machine::ready(plain(), &FIVE);
    machine.done.clear();
    let ping = machine.tick();
    assert!(machine.done.is_empty());
    machine.answer(ping.id, EMPTY);
    let checksum = machine.swim.checksum(machine.swim.form());
    let expected = Ok(Answer::Checksum(checksum));
    assert!(matches!(&machine.done[..], [Output::Done { result, .. }] if *result == expected));
    machine.pass(10_000);
    assert_eq!(machine.sent, [], "one period and no more");
    machine.command(Command::StartGossip);
    machine.pass(200);
    assert_eq!(machine.sent.len(), 1);
}

#[test]
fn a_late_answer_is_nothing() {
    let mut machine = Machine::ready(plain(), &FIVE);
    let ping = machine.tick();
    machine.pass(1500);
    machine.answer(
        ping.id,
        &format!(r#"{{"changes":[{}]}}"#, change("x:1", "alive", 1)),
    );
    machine.answer(12_345, "{}");
    assert_eq!(machine.holds("x:1"), "nothing");
}
