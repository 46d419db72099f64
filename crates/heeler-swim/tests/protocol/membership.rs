//! What is held of members: which changes count, refutation, and the steps that time takes.

use heeler_swim::{Command, Config, Event, MemberState, Status, overrides};

use crate::member::{BORN, ME, Machine, change, change_by, plain, without_ids};

const STATES: [&str; 5] = ["alive", "suspect", "faulty", "leave", "tombstone"];

/// A member that holds another for this.
fn holding(status: &str, incarnation: u64) -> Machine {
    let mut machine = Machine::ready(plain(), &[("z:1", "alive", 1)]);
    match status {
        // A tombstone of an unknown member is not taken.
        "tombstone" => {
            machine.tell(&change("a:1", "faulty", incarnation));
            machine.tell(&change("a:1", "tombstone", incarnation));
        }
        _ => machine.tell(&change("a:1", status, incarnation)),
    }
    assert_eq!(machine.holds("a:1"), format!("{status} {incarnation}"));
    machine
}

#[test]
fn a_change_counts_if_it_is_newer_or_as_old_and_of_higher_precedence() {
    for old in STATES {
        for new in STATES {
            for incarnation in [6, 7, 8] {
                let mut machine = holding(old, 7);
                machine.tell(&change("a:1", new, incarnation));
                let status = |name| Status::from_name(name).unwrap();
                let counts = overrides((incarnation, status(new)), (7, status(old)));
                let expected = if counts { (new, incarnation) } else { (old, 7) };
                let expected = format!("{} {}", expected.0, expected.1);
                assert_eq!(
                    machine.holds("a:1"),
                    expected,
                    "{new} {incarnation} on {old} 7"
                );
            }
        }
    }
}

#[test]
fn an_unknown_member_is_taken_unless_it_is_a_tombstone() {
    for status in STATES {
        let mut machine = Machine::ready(plain(), &[]);
        machine.tell(&change("a:1", status, 7));
        let expected = match status {
            "tombstone" => "nothing".into(),
            _ => format!("{status} 7"),
        };
        assert_eq!(machine.holds("a:1"), expected);
    }
}

#[test]
fn alive_and_suspect_are_in_the_ring_and_others_are_not() {
    for status in STATES {
        let mut machine = Machine::ready(plain(), &[("a:1", "alive", 1)]);
        machine.tell(&change("a:1", status, 7));
        let ring: Vec<String> = machine.swim.ring().map(|it| it.to_string()).collect();
        match status {
            "alive" | "suspect" => assert_eq!(ring, [ME, "a:1"], "{status}"),
            _ => assert_eq!(ring, [ME], "{status}"),
        }
        let events = machine.events.iter();
        let told = events
            .filter(|event| matches!(event, Event::RingChanged { .. }))
            .count();
        assert_eq!(told, usize::from(ring.len() == 1), "{status}");
    }
}

#[test]
fn many_changes_of_the_ring_are_told_at_once() {
    let mut machine = Machine::ready(plain(), &[("a:1", "alive", 1), ("b:1", "alive", 1)]);
    let [faulty, c, d] = [("a:1", "faulty"), ("c:1", "alive"), ("d:1", "suspect")]
        .map(|(address, status)| change(address, status, 2));
    machine.tell(&[faulty, c, d].join(","));
    let told: Vec<&Event> = machine
        .events
        .iter()
        .filter(|event| matches!(event, Event::RingChanged { .. }))
        .collect();
    let [Event::RingChanged { added, removed }] = told[..] else {
        panic!("{told:?}");
    };
    let added: Vec<&str> = added.iter().map(|member| member.address()).collect();
    assert_eq!(
        (added, &*removed[0], removed.len()),
        (vec!["c:1", "d:1"], "a:1", 1)
    );
}

#[test]
fn a_member_that_changes_is_told_with_what_it_was() {
    let mut machine = Machine::ready(plain(), &[("a:1", "alive", 1)]);
    machine.tell(&change("a:1", "suspect", 1));
    let state = |status| MemberState {
        address: "a:1".into(),
        status,
        incarnation: 1,
        labels: None,
    };
    let (old, new) = (Some(state(Status::Alive)), state(Status::Suspect));
    assert!(machine.events.contains(&Event::MemberChanged { old, new }));
}

#[test]
fn any_change_of_me_that_counts_is_refuted_and_told() {
    for status in ["alive", "suspect", "faulty", "leave", "tombstone"] {
        let mut machine = Machine::ready(plain(), &[("a:1", "alive", 1)]);
        machine.now.wall_ms = BORN + 5000;
        machine.tell(&change(ME, status, BORN + 1));
        assert_eq!(
            machine.holds(ME),
            format!("alive {}", BORN + 5000),
            "{status}"
        );
        assert_eq!(machine.counts["refuted-update"], 1);
        let told = without_ids(&machine.told());
        let born = BORN + 5000;
        assert_eq!(told, change_by(ME, born, ME, "alive", born), "{status}");
    }
}

#[test]
fn what_does_not_count_is_not_refuted() {
    for (status, incarnation) in [("alive", BORN), ("tombstone", BORN - 1)] {
        let mut machine = Machine::ready(plain(), &[]);
        machine.tell(&change(ME, status, incarnation));
        assert_eq!(machine.holds(ME), format!("alive {BORN}"));
        assert!(!machine.counts.contains_key("refuted-update"));
    }
}

#[test]
fn a_clock_that_is_behind_does_not_keep_from_refuting() {
    let mut machine = Machine::ready(plain(), &[]);
    machine.now.wall_ms = BORN - 100_000;
    machine.tell(&change(ME, "suspect", BORN));
    assert_eq!(machine.holds(ME), format!("alive {}", BORN + 1));
    machine.tell(&change(ME, "faulty", BORN + 10_000));
    assert_eq!(machine.holds(ME), format!("alive {}", BORN + 10_001));
}

#[test]
fn who_has_left_refutes_and_stays_away() {
    let mut machine = Machine::ready(plain(), &[]);
    machine.command(Command::Leave);
    machine.tell(&change(ME, "alive", BORN + 1000));
    assert_eq!(machine.holds(ME), format!("leave {}", BORN + 1001));
}

#[test]
fn who_has_evicted_itself_does_not_refute() {
    let mut machine = Machine::ready(plain(), &[]);
    machine.command(Command::SelfEvict);
    machine.tell(&change(ME, "tombstone", BORN + 1000));
    assert_eq!(machine.holds(ME), format!("faulty {}", BORN + 1));
}

#[test]
fn an_entry_of_an_older_life_in_the_list_is_outdone() {
    let mut machine = Machine::idle(plain());
    machine.bootstrap(&[("a:1", "alive", 1), (ME, "faulty", BORN + 50)]);
    assert_eq!(machine.holds(ME), format!("alive {}", BORN + 51));
    assert!(
        !machine
            .events
            .iter()
            .any(|event| matches!(event, Event::Refuted { .. }))
    );
}

fn timed() -> Config {
    Config {
        suspect_ms: 5000,
        faulty_ms: 20_000,
        tombstone_ms: 3000,
        ..plain()
    }
}

#[test]
fn time_makes_a_suspect_faulty_then_a_tombstone_and_then_forgets_it() {
    let mut machine = Machine::ready(timed(), &[("a:1", "alive", 1)]);
    machine.tell(&change("a:1", "suspect", 1));
    for (ms, holds, stat) in [
        (4999, "suspect 1", None),
        (1, "faulty 1", Some("make-faulty")),
        (19_999, "faulty 1", None),
        (1, "tombstone 1", Some("make-tombstone")),
        (2999, "tombstone 1", None),
        (1, "nothing", None),
    ] {
        machine.counts.clear();
        machine.pass(ms);
        assert_eq!(machine.holds("a:1"), holds);
        assert!(stat.is_none_or(|stat| machine.counts[stat] == 1));
    }
    assert!(
        machine
            .events
            .iter()
            .any(|event| matches!(event, Event::MemberEvicted(_)))
    );
    assert_eq!(machine.told(), "");
}

#[test]
fn what_time_makes_of_a_member_is_told_with_me_as_its_source() {
    let mut machine = Machine::ready(timed(), &[("a:1", "alive", 1)]);
    machine.tell(&change("a:1", "suspect", 1));
    machine.pass(5000);
    assert_eq!(
        without_ids(&machine.told()),
        change_by(ME, BORN, "a:1", "faulty", 1)
    );
}

#[test]
fn the_time_of_another_status_takes_the_place_of_the_one_before() {
    let mut machine = Machine::ready(timed(), &[("a:1", "alive", 1)]);
    machine.tell(&change("a:1", "suspect", 1));
    machine.pass(4000);
    machine.tell(&change("a:1", "faulty", 1));
    machine.pass(19_999);
    assert_eq!(machine.holds("a:1"), "faulty 1");
    machine.pass(1);
    assert_eq!(machine.holds("a:1"), "tombstone 1");
}

#[test]
fn the_same_status_again_does_not_begin_its_time_anew() {
    let mut machine = Machine::ready(timed(), &[("a:1", "alive", 1)]);
    machine.tell(&change("a:1", "suspect", 1));
    machine.pass(4000);
    machine.tell(&change("a:1", "suspect", 2));
    machine.pass(1000);
    assert_eq!(machine.holds("a:1"), "faulty 2");
}

#[test]
fn alive_and_leave_end_the_time() {
    for status in ["alive", "leave"] {
        let mut machine = Machine::ready(timed(), &[("a:1", "alive", 1)]);
        machine.tell(&change("a:1", "suspect", 1));
        machine.pass(4000);
        machine.tell(&change("a:1", status, 2));
        machine.pass(100_000);
        assert_eq!(machine.holds("a:1"), format!("{status} 2"));
        // And a new suspicion has its whole time.
        machine.tell(&change("a:1", "suspect", 3));
        machine.pass(4999);
        assert_eq!(machine.holds("a:1"), "suspect 3");
    }
}

#[test]
fn times_start_also_for_members_of_the_list() {
    let mut machine = Machine::idle(timed());
    machine.bootstrap(&[
        ("b:1", "alive", 1),
        ("a:1", "suspect", 1),
        ("c:1", "faulty", 1),
    ]);
    machine.command(Command::StopGossip);
    machine.pass(5000);
    assert_eq!(
        (machine.holds("a:1"), machine.holds("c:1")),
        ("faulty 1".into(), "faulty 1".into())
    );
    machine.pass(15_000);
    assert_eq!(machine.holds("c:1"), "tombstone 1");
}

#[test]
fn a_leave_is_told_at_once_to_some_and_twice_is_a_mistake() {
    let others: Vec<(String, &str, u64)> = (0..9).map(|i| (format!("a:{i}"), "alive", 1)).collect();
    let others: Vec<(&str, &str, u64)> = others.iter().map(|(a, s, i)| (&**a, *s, *i)).collect();
    let mut machine = Machine::ready(plain(), &others);
    machine.command(Command::Leave);
    assert_eq!(machine.holds(ME), format!("leave {}", BORN + 1));
    // 0.4 of the nine that are left to ping, rounded up.
    assert_eq!(machine.sent.len(), 4);
    assert!(
        machine
            .sent
            .iter()
            .all(|ping| ping.body.contains("\"status\":\"leave\""))
    );
    assert!(
        machine.done.len() == 1,
        "not done before they have answered: {:?}",
        machine.done
    );
    for ping in std::mem::take(&mut machine.sent) {
        machine.answer(ping.id, "{\"changes\":[]}");
    }
    assert_eq!(machine.done.len(), 2);
    machine.command(Command::Leave);
    let last = format!("{:?}", machine.done.last().unwrap());
    assert!(last.contains("ringpop.invalid-leave.redundant"), "{last}");
    assert!(!machine.swim.is_gossiping());
    machine
        .ping_from("a:1", 1, 1, "")
        .expect("it still answers");
    machine.command(Command::Rejoin);
    assert_eq!(machine.holds(ME), format!("alive {}", BORN + 2));
    assert!(machine.swim.is_gossiping());
}

#[test]
fn incarnations_far_ahead_are_taken_with_a_warning_or_refused_if_so_configured() {
    let ahead = BORN + 48 * 3_600_000;
    let warned = |machine: &Machine| {
        machine
            .events
            .iter()
            .any(|event| matches!(event, Event::Doubt { .. }))
    };
    let mut machine = Machine::ready(plain(), &[]);
    machine.tell(&change("a:1", "alive", ahead));
    assert_eq!(machine.holds("a:1"), format!("alive {ahead}"));
    assert!(warned(&machine));
    let strict = Config {
        refuse_incarnations_ahead_ms: Some(24 * 3_600_000),
        ..plain()
    };
    let mut machine = Machine::ready(strict, &[]);
    machine.tell(&change("a:1", "alive", ahead));
    assert_eq!(machine.holds("a:1"), "nothing");
    assert!(warned(&machine));
}

#[test]
fn labels_follow_the_incarnation_and_survive_those_who_drop_them() {
    let labelled = |status: &str, incarnation: u64, value: &str| {
        let plain = change("a:1", status, incarnation);
        let open = plain.strip_suffix('}').unwrap();
        format!(r#"{open},"labels":{{"k":"{value}"}}}}"#)
    };
    let label = |machine: &Machine| {
        let labels = machine.swim.member("a:1").unwrap().labels;
        labels.and_then(|labels| labels.get("k").map(str::to_owned))
    };
    let mut machine = Machine::ready(plain(), &[]);
    machine.tell(&labelled("alive", 1, "x"));
    assert_eq!(label(&machine).as_deref(), Some("x"));
    machine.tell(&change("a:1", "suspect", 1));
    assert_eq!(
        label(&machine).as_deref(),
        Some("x"),
        "of the same incarnation"
    );
    assert!(
        machine
            .told()
            .contains(r#""status":"suspect","incarnationNumber":1,"labels":{"k":"x"}"#)
    );
    machine.tell(&labelled("alive", 2, "y"));
    assert_eq!(label(&machine).as_deref(), Some("y"));
    machine.tell(&change("a:1", "alive", 3));
    assert_eq!(label(&machine), None, "the newer life has none");
}

#[test]
fn of_the_same_incarnation_and_status_the_labels_with_the_greater_checksum_count() {
    let labelled = |value: &str| {
        let plain = change("a:1", "alive", 1);
        let open = plain.strip_suffix('}').unwrap();
        format!(r#"{open},"labels":{{"k":"{value}"}}}}"#)
    };
    let sum = |value: &str| {
        let mut labels = heeler_swim::Labels::default();
        labels.set("k", value).unwrap();
        labels.checksum()
    };
    let (low, high) = if sum("x") < sum("y") {
        ("x", "y")
    } else {
        ("y", "x")
    };
    for (first, second) in [(low, high), (high, low)] {
        let mut machine = Machine::ready(plain(), &[]);
        machine.tell(&labelled(first));
        let known = machine
            .swim
            .member("a:1")
            .unwrap()
            .labels
            .unwrap()
            .checksum();
        assert_eq!(known, sum(first));
        machine.tell(&labelled(second));
        let known = machine.swim.member("a:1").unwrap().labels.unwrap();
        assert_eq!(
            known.get("k"),
            Some(if sum(first) > sum(second) {
                first
            } else {
                second
            })
        );
    }
}
