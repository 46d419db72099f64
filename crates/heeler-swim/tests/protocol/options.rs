//! What can be turned on and off: damping, Lifeguard, strictness about applications, and identity.

use heeler_swim::{
    Command, Config, Damping, Endpoint, Event, Failure, Healing, Input, Lifeguard, Output, Seeking,
    Status,
};

use crate::member::{ME, Machine, change, change_by, plain};

const FIVE: [(&str, &str, u64); 5] = [
    ("a:1", "alive", 1),
    ("b:1", "alive", 1),
    ("c:1", "alive", 1),
    ("d:1", "alive", 1),
    ("e:1", "alive", 1),
];

/// Members enough that one of ten may be damped.
fn many() -> Vec<(String, &'static str, u64)> {
    (0..20).map(|i| (format!("m:{i}"), "alive", 1)).collect()
}

/// A member that has seen another come and go so often that it is a flapper.
fn flapped(damping: Damping) -> Machine {
    let many = many();
    let many: Vec<(&str, &str, u64)> = many.iter().map(|(a, s, i)| (&**a, *s, *i)).collect();
    let mut machine = Machine::ready(Config { damping, ..plain() }, &many);
    for incarnation in 2..13 {
        machine.tell(&change("m:0", "alive", incarnation));
    }
    machine
}

/// Answers the damp-reqs that are under way.
fn agree(machine: &mut Machine, score: u32) {
    let asked: Vec<_> = machine.sent.drain(..).collect();
    assert_eq!(asked.len(), 6);
    for ask in asked {
        assert_eq!(ask.endpoint, Endpoint::DampReq);
        assert!(
            ask.body.ends_with(r#""flappers":["m:0"]}"#) && ask.to != "m:0",
            "{}",
            ask.body
        );
        let body = format!(r#"{{"scores":[{{"member":"m:0","dampScore":{score}}}]}}"#);
        machine.answer(ask.id, &body);
    }
}

fn in_ring(machine: &Machine, address: &str) -> bool {
    machine.swim.ring().any(|it| **it == *address)
}

#[test]
fn each_change_adds_to_the_score_which_halves_with_time() {
    let mut machine = Machine::ready(plain(), &FIVE);
    let scores = |machine: &mut Machine| {
        machine
            .ask(Endpoint::DampReq, r#"{"flappers":["a:1"]}"#)
            .unwrap()
    };
    machine.tell(&change("a:1", "suspect", 1));
    machine.tell(&change("a:1", "alive", 2));
    assert!(scores(&mut machine).contains("\"dampScore\":1000"));
    machine.pass(300_000);
    assert!(scores(&mut machine).contains("\"dampScore\":500"));
    // New members have none.
    machine.tell(&change("n:1", "alive", 1));
    let fresh = machine
        .ask(Endpoint::DampReq, r#"{"flappers":["n:1"]}"#)
        .unwrap();
    assert!(fresh.contains("\"dampScore\":0"));
}

#[test]
fn a_flapper_that_others_find_too_is_out_of_the_ring_until_it_is_calm() {
    let mut machine = flapped(Damping::Act);
    let flapping = Event::Flapping {
        address: "m:0".into(),
        flapping: true,
    };
    assert!(machine.events.contains(&flapping));
    let checksum = machine.swim.checksum(machine.swim.form());
    machine.pass(60_000);
    agree(&mut machine, 5000);
    assert!(!in_ring(&machine, "m:0"));
    assert_eq!(
        machine.status("m:0"),
        Some(Status::Alive),
        "to all others it is as it was"
    );
    assert_eq!(machine.swim.checksum(machine.swim.form()), checksum);
    machine.pass(240_000);
    assert!(!in_ring(&machine, "m:0"));
    machine.pass(240_000);
    assert!(in_ring(&machine, "m:0"), "calm again");
}

#[test]
fn by_default_damping_only_tells() {
    let mut machine = flapped(Damping::default());
    machine.pass(60_000);
    agree(&mut machine, 5000);
    let damped = Event::Damped {
        address: "m:0".into(),
        damped: true,
        acted: false,
    };
    assert!(machine.events.contains(&damped));
    assert!(in_ring(&machine, "m:0"));
}

#[test]
fn without_agreement_nobody_is_damped() {
    let mut machine = flapped(Damping::Act);
    machine.pass(60_000);
    agree(&mut machine, 4999);
    assert!(in_ring(&machine, "m:0"));
    machine.pass(60_000);
    for ask in std::mem::take(&mut machine.sent) {
        machine.fail(ask.id, Failure::Refused("why".into()));
    }
    assert!(in_ring(&machine, "m:0"));
    assert_eq!(machine.counts["damper.damp-req.inconclusive"], 1);
}

#[test]
fn damping_can_be_off() {
    let mut machine = flapped(Damping::Off);
    machine.pass(600_000);
    assert_eq!(machine.sent, []);
}

fn guarded() -> Config {
    Config {
        lifeguard: Some(Lifeguard::default()),
        ..plain()
    }
}

#[test]
fn a_suspicion_lasts_longer_until_others_confirm_it() {
    for confirmations in 0..=3 {
        let mut machine = Machine::ready(guarded(), &FIVE);
        machine.tell(&change_by("b:1", 1, "a:1", "suspect", 1));
        for source in ["c:1", "d:1", "e:1"].iter().take(confirmations) {
            machine.tell(&change_by(source, 1, "a:1", "suspect", 1));
        }
        // The one who began does not confirm itself.
        machine.tell(&change_by("b:1", 1, "a:1", "suspect", 1));
        let most = [10_000, 7500, 6038, 5000][confirmations];
        machine.pass(most - 1);
        assert_eq!(machine.holds("a:1"), "suspect 1", "{confirmations}");
        machine.pass(1);
        assert_eq!(machine.holds("a:1"), "faulty 1", "{confirmations}");
    }
}

#[test]
fn a_confirmation_is_told_on() {
    let mut machine = Machine::ready(guarded(), &FIVE);
    machine.tell(&change_by("b:1", 1, "a:1", "suspect", 1));
    machine.tell(&change_by("c:1", 1, "a:1", "suspect", 1));
    assert!(machine.told().contains(r#""source":"c:1""#));
}

#[test]
fn who_hears_from_nobody_is_slower_to_ping_and_to_judge() {
    let mut machine = Machine::ready(guarded(), &FIVE);
    let mut timeouts = Vec::new();
    for _ in 0..4 {
        let ping = machine.tick();
        timeouts.push(ping.timeout_ms);
        machine.fail(ping.id, Failure::TimedOut);
        for ask in std::mem::take(&mut machine.sent) {
            machine.fail(ask.id, Failure::TimedOut);
        }
    }
    // A ping and three helpers without an answer each time, and at most 8 times slower.
    assert_eq!(timeouts, [1500, 1500 * 5, 1500 * 9, 1500 * 9]);
    assert_eq!(machine.swim.health_score(), 8);
    for _ in 0..8 {
        let ping = machine.tick();
        machine.answer(ping.id, "{\"changes\":[]}");
    }
    assert_eq!(machine.swim.health_score(), 0);
}

#[test]
fn a_suspect_is_told_with_every_ping_that_it_is_suspected() {
    for (config, told) in [(guarded(), true), (plain(), false)] {
        let mut machine = Machine::ready(config, &FIVE[..2]);
        machine.tell(&change("a:1", "suspect", 1));
        while !machine.told().is_empty() {}
        let ping = std::iter::from_fn(|| {
            let ping = machine.tick();
            machine.answer(ping.id, "{\"changes\":[]}");
            Some(ping)
        });
        let ping = ping.take(10).find(|ping| ping.to == "a:1").unwrap();
        assert_eq!(ping.body.contains("suspect"), told, "{}", ping.body);
    }
}

#[test]
fn the_name_of_the_application_can_be_required() {
    let strict = Config {
        require_app: true,
        ..plain()
    };
    let ping = r#"{"checksum":1,"changes":[],"source":"a:1"}"#;
    let ask = r#"{"checksum":1,"changes":[],"source":"a:1","target":"b:1"}"#;
    for (config, required) in [(plain(), false), (strict, true)] {
        let mut machine = Machine::ready(config, &FIVE[..3]);
        let refused = machine.ask(Endpoint::Ping, ping).is_err();
        assert_eq!(refused, required);
        let token = machine.ask_later(Endpoint::PingReq, ask);
        assert_eq!(
            machine.answer_to(token).is_some_and(|it| it.is_err()),
            required
        );
        machine.sent.clear();
        // And then it is sent, too.
        let ping = machine.tick();
        machine.fail(ping.id, Failure::TimedOut);
        assert_eq!(machine.sent[0].body.ends_with(r#","app":"kv"}"#), required);
    }
}

#[test]
fn joins_can_be_denied() {
    let mut machine = Machine::ready(
        Config {
            deny_joins: true,
            ..plain()
        },
        &[],
    );
    let join = r#"{"app":"kv","source":"a:1","incarnationNumber":1}"#;
    let error = machine.ask(Endpoint::Join, join).unwrap_err();
    assert!(error.contains("ringpop.deny-join"));
}

#[test]
fn an_identity_is_a_label_and_a_name_on_the_ring() {
    let config = Config {
        identity: Some("me".into()),
        ..plain()
    };
    let mut machine = Machine::idle(config);
    machine.bootstrap(&FIVE[..1]);
    let other =
        r#"{"address":"a:1","status":"alive","incarnationNumber":2,"labels":{"__identity":"you"}}"#;
    machine.tell(other);
    let mut named = machine.events.iter().filter_map(|event| match event {
        Event::RingChanged { added, .. } => Some(
            added
                .iter()
                .map(|it| (it.address(), it.identity()))
                .collect::<Vec<_>>(),
        ),
        _ => None,
    });
    assert_eq!(
        named.next().unwrap(),
        [("127.0.0.1:3100", "me"), ("a:1", "a:1")]
    );
    assert_eq!(named.next().unwrap(), [("a:1", "you")]);
    let mut labels = heeler_swim::Labels::default();
    labels.set("zone", "x").unwrap();
    machine.command(Command::SetLabels(labels));
    let told = machine.tick().body;
    assert!(
        told.contains(r#""labels":{"__identity":"me","zone":"x"}"#),
        "{told}"
    );
}

#[test]
fn healing_can_be_off() {
    let mut machine = Machine::ready(plain(), &FIVE);
    machine.command(Command::Heal);
    assert!(format!("{:?}", machine.done).contains("partition healing is turned off"));
    assert!(
        !machine
            .done
            .iter()
            .any(|output| matches!(output, Output::FetchSeeds))
    );
}

/// A member that looks for its seeds, which are not there. Returns when it has asked for them, in
/// milliseconds after it was ready.
fn seeks(machine: &mut Machine, for_ms: u64) -> Vec<u64> {
    let began = machine.now.ms;
    let mut asked = Vec::new();
    while machine.now.ms < began + for_ms {
        machine.pass(10);
        let wanted = machine.done.drain(..);
        if wanted
            .into_iter()
            .any(|it| matches!(it, Output::FetchSeeds))
        {
            asked.push(machine.now.ms - began);
            machine.input(Input::Seeds(vec![ME.into(), "a:1".into(), "x:1".into()]));
        }
        for sent in std::mem::take(&mut machine.sent) {
            match sent.endpoint {
                Endpoint::Join => machine.fail(sent.id, Failure::Unreachable("why".into())),
                _ => machine.answer(sent.id, "{\"changes\":[]}"),
            }
        }
    }
    asked
}

fn pauses(asked: &[u64]) -> Vec<u64> {
    let all = [&[0], asked].concat();
    all.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn seeds_that_are_not_in_the_ring_are_looked_for_at_once_and_then_less_often() {
    let mut config = plain();
    config.healing = Some(Healing {
        seeking: Some(Seeking::default()),
        ..Healing::default()
    });
    config.bootstrap.alone_after_ms = Some(0);
    let mut machine = Machine::idle(config.clone());
    machine.input(Input::Seeds(vec!["a:1".into()]));
    machine.pass(0);
    assert!(machine.swim.is_ready());
    let asked = seeks(&mut machine, 60_000);
    let about = |pause: u64, of: u64| (of..=of * 3 / 2 + 10).contains(&pause);
    let seen = pauses(&asked);
    let (first, rest) = seen.split_at(3);
    assert!(about(first[0], 1000) && about(first[1], 2000) && about(first[2], 4000));
    assert!(
        rest.iter().all(|pause| *pause <= 7510),
        "while it is alone: {rest:?}"
    );
    // In a ring in which one seed is missing the pauses grow to the period.
    let mut machine = Machine::idle(config);
    machine.bootstrap(&[("a:1", "alive", 1)]);
    machine.input(Input::Seeds(vec!["a:1".into(), "x:1".into()]));
    machine.tell(&change("b:1", "alive", 1));
    let asked = seeks(&mut machine, 600_000);
    assert!(asked.len() <= 50, "{asked:?}");
    assert!(about(asked[0], 1000), "{asked:?}");
    // Once nobody is missing, it asks no more often than each period.
    machine.tell(&change("x:1", "alive", 1));
    let asked = seeks(&mut machine, 120_000);
    assert!(
        pauses(&asked)[1..].iter().all(|pause| *pause >= 29_000),
        "{asked:?}"
    );
}

#[test]
fn without_seeking_seeds_are_looked_for_in_each_period_alone() {
    let mut config = plain();
    config.healing = Some(Healing::default());
    config.bootstrap.alone_after_ms = Some(0);
    let mut machine = Machine::idle(config);
    machine.input(Input::Seeds(vec!["a:1".into()]));
    machine.pass(0);
    let asked = seeks(&mut machine, 100_000);
    assert_eq!(asked, [30_000, 60_000, 90_000]);
}

#[test]
fn stats_are_those_of_ringpop() {
    let mut machine = Machine::ready(plain(), &FIVE[..1]);
    let ping = machine.tick();
    machine.pass(4);
    machine.answer(ping.id, "{\"changes\":[]}");
    let stats = machine.swim.stats(machine.now);
    let stats = serde_json::to_value(stats).unwrap();
    let fields = |value: &serde_json::Value| -> Vec<String> {
        let mut fields: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        fields.sort();
        fields
    };
    assert_eq!(fields(&stats), ["membership", "protocol", "ring"]);
    let member = &stats["membership"]["members"][1];
    assert_eq!(
        fields(member),
        ["address", "dampScore", "incarnationNumber", "status"]
    );
    assert_eq!(
        (&member["address"], &member["status"]),
        (&"a:1".into(), &"alive".into())
    );
    assert_eq!(
        fields(&stats["protocol"]),
        [
            "clientRate",
            "protocolRate",
            "serverRate",
            "timing",
            "totalRate"
        ]
    );
    let timing = &stats["protocol"]["timing"];
    assert_eq!(
        (&timing["type"], &timing["max"]),
        (&"histogram".into(), &4.into())
    );
    assert_eq!(fields(&stats["ring"]), ["checksum", "servers"]);
}
