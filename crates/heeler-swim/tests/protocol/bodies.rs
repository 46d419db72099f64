//! Bodies, byte for byte, beside those of ringpop-node.

use heeler_ring::RingHash;
use heeler_swim::body::{
    DampReqRequest, DampReqResponse, JoinRequest, JoinResponse, PingReqRequest, PingReqResponse,
    PingRequest, PingResponse,
};
use heeler_swim::{Config, Endpoint, Form, Input, Labels, Status, Style};

use crate::member::{BORN, ME, Machine, change, plain, without_ids};

/// The captured bodies: what each is, and its bytes.
pub fn captures() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut lines = include_str!("captures.txt").lines().skip(1);
    std::iter::from_fn(move || Some((lines.next()?, lines.next()?)))
}

fn captured(name: &str) -> &'static str {
    captures()
        .find(|(it, _)| *it == name)
        .unwrap_or_else(|| panic!("no capture {name}"))
        .1
}

#[test]
fn every_captured_change_is_read_and_written_as_it_was() {
    let mut n = 0;
    for (name, body) in captures().filter(|(name, _)| !name.contains("code 1")) {
        let changes = match name {
            name if name.starts_with("req /protocol/ping-req") => {
                PingReqRequest::parse(body.as_bytes()).unwrap().changes
            }
            name if name.starts_with("req /protocol/ping") => {
                PingRequest::parse(body.as_bytes()).unwrap().changes
            }
            name if name.starts_with("res /protocol/ping-req") => {
                PingReqResponse::parse(body.as_bytes()).unwrap().changes
            }
            name if name.starts_with("res /protocol/ping") => {
                PingResponse::parse(body.as_bytes()).unwrap().changes
            }
            name if name.starts_with("res /protocol/join") => {
                JoinResponse::parse(body.as_bytes()).unwrap().membership
            }
            _ => continue,
        };
        let mut written = Vec::new();
        for (i, change) in changes.unwrap().iter().enumerate() {
            if i > 0 {
                written.push(b',');
            }
            change.write(&mut written);
            n += 1;
        }
        let written = format!("[{}]", String::from_utf8(written).unwrap());
        assert!(body.contains(&written), "{name}: {written} in {body}");
    }
    assert_eq!(n, 8);
}

#[test]
fn every_captured_body_is_read() {
    let join = JoinRequest::parse(captured("req /protocol/join").as_bytes()).unwrap();
    assert_eq!(
        (
            join.app.as_deref(),
            join.source.as_deref(),
            join.incarnation
        ),
        (Some("kv"), Some("127.0.0.1:3101"), Some(1_795_163_824_419))
    );
    let tombstone = captured("req /protocol/ping (tombstone)");
    let ping = PingRequest::parse(tombstone.as_bytes()).unwrap();
    let states: Vec<_> = ping
        .changes
        .unwrap()
        .iter()
        .map(|it| it.status.unwrap())
        .collect();
    assert_eq!(states, [Status::Alive, Status::Tombstone]);
    assert_eq!(ping.checksum, Some(2_568_406_915));
    let helped = captured("res /protocol/ping-req (with suspect) code 0");
    let helped = PingReqResponse::parse(helped.as_bytes()).unwrap();
    assert_eq!(
        (helped.ping_status, helped.target.as_deref()),
        (Some(false), Some("127.0.0.1:3102"))
    );
    let flappers = DampReqRequest::parse(captured("req /protocol/damp-req").as_bytes()).unwrap();
    assert_eq!(flappers.flappers.unwrap(), ["127.0.0.1:3101"]);
    let scores = captured("res /protocol/damp-req code 0");
    let scores = DampReqResponse::parse(scores.as_bytes())
        .unwrap()
        .scores
        .unwrap();
    assert_eq!(
        (&*scores[0].member, scores[0].score),
        ("127.0.0.1:3101", 0.0)
    );
}

#[test]
fn the_form_of_a_captured_list_is_found() {
    let body = captured("res /protocol/join code 0");
    let list = JoinResponse::parse(body.as_bytes()).unwrap();
    let members = list.membership.as_ref().unwrap().iter().map(|it| {
        (
            &*it.address,
            it.status.unwrap(),
            it.incarnation.unwrap(),
            it.labels.as_ref(),
        )
    });
    let form = Form::detect(members, list.checksum.unwrap() as u32);
    assert_eq!(form, Some(Form::new(RingHash::Fingerprint32, Style::Node)));
}

#[test]
fn checksums_are_those_of_both_programs() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("checksums.json")).unwrap();
    for vector in vectors.as_array().unwrap() {
        let lines = vector["members"].as_array().unwrap().iter().map(|text| {
            let text = text.as_str().unwrap();
            let (address, rest) = text.split_at("127.0.0.1:3100".len());
            let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap();
            let status = Status::from_name(&rest[..digits]).unwrap();
            (address, status, rest[digits..].parse().unwrap(), None)
        });
        let lines: Vec<_> = lines.collect();
        let hash = RingHash::from_name(vector["hash"].as_str().unwrap()).unwrap();
        for (style, field) in [(Style::Node, "node_form"), (Style::Go, "go_form")] {
            let checksum = Form::new(hash, style).checksum(lines.iter().copied());
            assert_eq!(
                u64::from(checksum),
                vector[field].as_u64().unwrap(),
                "{hash:?} {style:?}"
            );
        }
    }
}

/// The member that the captures come from: its address, and when it was born.
fn captured_member(address: &str, born: u64) -> Machine {
    let config = Config {
        address: address.into(),
        hash: Some(RingHash::Fingerprint32),
        ..plain()
    };
    let now = heeler_swim::Now {
        ms: 1000,
        wall_ms: born,
    };
    let mut machine = Machine::idle(plain());
    machine.swim = heeler_swim::Swim::new(config, now, 1).unwrap();
    machine.now = now;
    machine
}

#[test]
fn joins_are_asked_and_answered_as_captured() {
    let mut joiner = captured_member("127.0.0.1:3101", 1_795_163_824_419);
    joiner.input(Input::Seeds(vec![ME.into(), "127.0.0.1:3101".into()]));
    assert_eq!(joiner.sent[0].body, captured("req /protocol/join"));
    assert_eq!(
        (joiner.sent[0].endpoint, joiner.sent[0].timeout_ms),
        (Endpoint::Join, 1000)
    );

    let mut seed = captured_member(ME, BORN);
    let answer = seed.ask(Endpoint::Join, captured("req /protocol/join"));
    assert_eq!(answer.unwrap(), captured("res /protocol/join code 0"));
}

#[test]
fn a_new_members_ping_is_as_captured() {
    let mut joiner = captured_member("127.0.0.1:3101", 1_795_163_824_419);
    joiner.input(Input::Seeds(vec![ME.into()]));
    let others = [(ME, BORN), ("127.0.0.1:3102", 1_795_163_824_774)];
    let list = others
        .map(|(address, born)| change(address, "alive", born))
        .join(",");
    joiner.answer(joiner.sent[0].id, &format!(r#"{{"membership":[{list}]}}"#));
    let ping = joiner.tick();
    assert_eq!(
        without_ids(&ping.body),
        without_ids(captured("req /protocol/ping (alive)"))
    );
    assert_eq!(ping.timeout_ms, 1500);
}

#[test]
fn a_ping_with_nothing_to_say_and_its_answer_are_as_captured() {
    let body = captured("req /protocol/ping (no changes)");
    let mut machine = captured_member("127.0.0.1:3102", 1_795_163_824_774);
    machine.input(Input::Seeds(vec![ME.into()]));
    let others = [(ME, BORN), ("127.0.0.1:3101", 1_795_163_824_419)];
    let list = others
        .map(|(address, born)| change(address, "alive", born))
        .join(",");
    machine.answer(machine.sent[0].id, &format!(r#"{{"membership":[{list}]}}"#));
    for _ in 0..100 {
        machine.told();
    }
    assert_eq!(machine.tick().body, body);
    let answer = machine.ping_from(ME, BORN, 769_642_718, "").unwrap();
    assert_eq!(answer, captured("res /protocol/ping (no changes) code 0"));
}

#[test]
fn suspicion_and_ping_req_are_as_captured() {
    let born = 1_795_164_511_817;
    let (peer, target) = (ME, "127.0.0.1:3102");
    let mut machine = captured_member("127.0.0.1:3101", born);
    machine.input(Input::Seeds(vec![ME.into()]));
    let others = [(peer, 1_795_164_511_711), (target, 1_795_164_511_829)];
    let list = others
        .map(|(address, born)| change(address, "alive", born))
        .join(",");
    machine.answer(machine.sent[0].id, &format!(r#"{{"membership":[{list}]}}"#));
    for _ in 0..100 {
        machine.told();
    }
    let mut ping = machine.tick();
    while ping.to != target {
        machine.answer(ping.id, "{\"changes\":[]}");
        ping = machine.tick();
    }
    machine.fail(ping.id, heeler_swim::Failure::TimedOut);
    let asked = machine.sent.pop().unwrap();
    assert_eq!(asked.body, captured("req /protocol/ping-req (no changes)"));
    assert_eq!((&*asked.to, asked.timeout_ms), (peer, 5000));
    machine.answer(
        asked.id,
        captured("res /protocol/ping-req (no changes) code 0"),
    );
    assert_eq!(machine.status(target), Some(Status::Suspect));
    machine.sent.clear();
    let ping = machine.tick();
    if ping.to == peer {
        let expected = captured("req /protocol/ping (suspect)");
        assert_eq!(without_ids(&ping.body), without_ids(expected));
    } else {
        machine.fail(ping.id, heeler_swim::Failure::TimedOut);
        let asked = machine.sent.pop().unwrap();
        let expected = captured("req /protocol/ping-req (with suspect)");
        assert_eq!(without_ids(&asked.body), without_ids(expected));
    }
}

#[test]
fn a_tombstone_is_wrapped_on_the_wire_and_kept_as_one() {
    let mut machine = Machine::ready(plain(), &[("a:1", "faulty", 5)]);
    machine.tell(&change("a:1", "tombstone", 5));
    assert_eq!(machine.status("a:1"), Some(Status::Tombstone));
    let told = without_ids(&machine.told());
    assert_eq!(told, change("a:1", "tombstone", 5));
    assert!(told.contains(r#""status":"faulty","incarnationNumber":5,"tombstone":true"#));
}

#[test]
fn ping_req_is_answered_as_captured() {
    let mut machine = Machine::ready(plain(), &[("127.0.0.1:3102", "alive", 5)]);
    let checksum = machine.swim.checksum(machine.swim.form());
    let ask = format!(
        r#"{{"checksum":{checksum},"changes":[],"source":"a:1","target":"127.0.0.1:3102"}}"#
    );
    let token = machine.ask_later(Endpoint::PingReq, &ask);
    let ping = machine.sent.pop().unwrap();
    assert_eq!(
        (ping.endpoint, &*ping.to),
        (Endpoint::Ping, "127.0.0.1:3102")
    );
    assert_eq!(
        machine.answer_to(token),
        None,
        "not before the target was pinged"
    );
    machine.fail(ping.id, heeler_swim::Failure::TimedOut);
    let answer = machine.answer_to(token).unwrap().unwrap();
    assert_eq!(
        answer,
        captured("res /protocol/ping-req (no changes) code 0")
    );
    let token = machine.ask_later(Endpoint::PingReq, &ask);
    let ping = machine.sent.pop().unwrap();
    machine.answer(ping.id, "{\"changes\":[]}");
    assert_eq!(
        machine.answer_to(token).unwrap().unwrap(),
        answer.replace("false", "true")
    );
}

#[test]
fn damp_req_is_answered_as_captured() {
    let mut machine = Machine::ready(plain(), &[("127.0.0.1:3101", "alive", 5)]);
    let answer = machine.ask(Endpoint::DampReq, captured("req /protocol/damp-req"));
    assert_eq!(answer.unwrap(), captured("res /protocol/damp-req code 0"));
    let refused = machine.ask(Endpoint::DampReq, "{}");
    assert_eq!(
        refused.unwrap_err(),
        captured("res /protocol/damp-req code 1")
    );
    let unknown = machine.ask(Endpoint::DampReq, r#"{"flappers":["x:1"]}"#);
    assert_eq!(
        unknown.unwrap(),
        r#"{"scores":[]}"#,
        "who is not known is left out"
    );
}

fn refused(endpoint: Endpoint, cases: &[(&str, &str)]) {
    let mut machine = Machine::ready(plain(), &[]);
    for (body, kind) in cases {
        let error = machine.ask(endpoint, body).expect_err(body);
        let error: serde_json::Value = serde_json::from_str(&error).unwrap();
        assert_eq!(error["type"], *kind, "{body}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn mistakes_in_joins_are_answered_with_an_object_of_type_and_message() {
    let join = |app: &str, source: &str, incarnation: &str| {
        format!(r#"{{"app":"{app}","source":"{source}","incarnationNumber":{incarnation}}}"#)
    };
    let bad = |what| format!("ringpop.server.join.bad-request.{what}");
    refused(
        Endpoint::Join,
        &[
            ("{}", &bad("app-required")),
            (&join("kv", "", "1"), &bad("source-required")),
            (
                &join("kv", "a:1", "null"),
                &bad("incarnationNumber-required"),
            ),
            (&join("kv", "a:1", "-1"), &bad("body")),
            (&join("kv", ME, "1"), "ringpop.self-join"),
            (&join("kv", "a", "1"), "ringpop.invalid-join.source"),
            (&join("other", "a:1", "1"), "ringpop.invalid-join.app"),
            ("{", &bad("body")),
            ("[]", &bad("body")),
            ("", &bad("body")),
        ],
    );
}

#[test]
fn mistakes_in_pings_are_answered_with_an_object_of_type_and_message() {
    let bad = |what| format!("ringpop.server.ping.bad-request.{what}");
    let with = |checksum: &str| format!(r#"{{{checksum}"changes":[],"source":"a:1"}}"#);
    refused(
        Endpoint::Ping,
        &[
            ("{}", &bad("source-required")),
            (r#"{"checksum":1,"source":"a:1"}"#, &bad("changes-required")),
            (&with(""), &bad("checksum-required")),
            (&with("\"checksum\":0,"), &bad("checksum-required")),
            (&with("\"checksum\":\"1\","), &bad("body")),
            (
                &with("\"checksum\":1,\"app\":\"x\","),
                "ringpop.invalid-ping.app",
            ),
        ],
    );
    let other = with(r#""checksum":1,"app":"x","target":"b:1","#);
    refused(
        Endpoint::PingReq,
        &[
            (
                &with("\"checksum\":1,"),
                "ringpop.server.ping-req.bad-request.target-required",
            ),
            (&other, "ringpop.invalid-ping-req.app"),
        ],
    );
    let kind = "ringpop.server.damp-req.bad-request.body";
    refused(Endpoint::DampReq, &[(r#"{"flappers":7}"#, kind)]);
}

#[test]
fn a_self_join_is_refused_as_captured() {
    let mut machine = Machine::ready(plain(), &[]);
    let body = format!(r#"{{"app":"kv","source":"{ME}","incarnationNumber":1}}"#);
    let error = machine.ask(Endpoint::Join, &body).unwrap_err();
    assert_eq!(error, captured("res /protocol/join code 1"));
}

#[test]
fn what_ringpop_go_adds_is_tolerated() {
    let mut machine = Machine::ready(plain(), &[]);
    let join = concat!(
        r#"{"app":"kv","source":"a:1","incarnationNumber":1,"timeout":1000000000,"#,
        r#""labels":{"x":"y"}}"#,
        "\n"
    );
    machine.ask(Endpoint::Join, join).unwrap();
    let change = concat!(
        r#"{"source":"a:1","address":"a:1","sourceIncarnationNumber":1,"status":"alive","#,
        r#""incarnationNumber":1,"timestamp":-62135596800,"labels":{"x":"y"}}"#
    );
    machine.tell(change);
    let mut labels = Labels::default();
    labels.set("x", "y").unwrap();
    assert_eq!(
        machine.swim.member("a:1").unwrap().labels.as_deref(),
        Some(&labels)
    );
    let told = machine.told();
    assert!(
        told.ends_with(r#""labels":{"x":"y"}}"#) && !told.contains("timestamp"),
        "{told}"
    );
    let ping = machine.tick();
    let answer = concat!(
        r#"{"checksum":1,"changes":null,"source":"a:1","sourceIncarnationNumber":1,"app":""}"#,
        "\n"
    );
    machine.answer(ping.id, answer);
    assert_eq!(machine.sent, [], "a good answer");
}

#[test]
fn what_is_not_sound_is_left_out_and_the_rest_taken() {
    let mut machine = Machine::ready(plain(), &[]);
    let long = format!("{}:1", "a".repeat(300));
    let changes = [
        change("", "alive", 1),
        change(&long, "alive", 1),
        change("a\\u0007:1", "alive", 1),
        change("b:1", "undead", 1),
        r#"{"address":"c:1","status":"alive"}"#.into(),
        change("d:1", "alive", u64::MAX),
        r#"{}"#.into(),
        change("good:1", "alive", 1),
    ];
    machine.tell(&changes.join(","));
    let known: Vec<String> = machine
        .swim
        .members()
        .map(|it| it.address.to_string())
        .collect();
    assert_eq!(known, [ME, "good:1"]);
    let doubts = machine.events.iter();
    let doubts = doubts.filter(|event| matches!(event, heeler_swim::Event::Doubt { .. }));
    assert_eq!(doubts.count(), changes.len() - 1);
}

#[test]
fn names_are_escaped() {
    let mut machine = Machine::ready(plain(), &[]);
    machine.tell(&change("a\\\"b\\\\:1", "alive", 1));
    assert!(machine.told().contains(r#""address":"a\"b\\:1""#));
}
