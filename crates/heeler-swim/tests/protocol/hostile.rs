//! Bytes that no peer should send: bodies with bytes changed, cut out and put in.

use fastrand::Rng;
use heeler_swim::{Config, Damping, Endpoint, Failure, Form, Lifeguard, Status, limits};

use crate::bodies::captures;
use crate::member::{Machine, plain};

struct Chance(Rng);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end.max(1))
    }

    /// A body with some damage.
    fn damage(&mut self, body: &str) -> String {
        let mut bytes = body.as_bytes().to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len());
            let other = b"0123456789\"{}[]:,-.e\\nullfatsx"[self.below(30)];
            match self.below(4) {
                0 => bytes[at] = other,
                1 => bytes.insert(at, other),
                2 => drop(bytes.remove(at)),
                _ => {
                    let end = (at + self.below(20)).min(bytes.len());
                    drop(bytes.drain(at..end));
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[test]
fn damaged_bodies_are_answered_once_and_kept_in_bounds() {
    let config = Config {
        lifeguard: Some(Lifeguard::default()),
        damping: Damping::Act,
        faulty_ms: 20_000,
        tombstone_ms: 5000,
        ..plain()
    };
    let bodies: Vec<&str> = captures().map(|(_, body)| body).collect();
    for seed in 0..20 {
        let mut chance = Chance(Rng::with_seed(seed));
        let mut machine = Machine::ready(config.clone(), &[("127.0.0.1:3101", "alive", 1)]);
        for _ in 0..500 {
            let body = bodies[chance.below(bodies.len())];
            let body = chance.damage(body);
            let endpoint = Endpoint::ALL[chance.below(4)];
            match chance.below(4) {
                0 | 1 => {
                    let token = machine.ask_later(endpoint, &body);
                    let answer = machine.answer_to(token);
                    assert!(answer.is_some() || endpoint == Endpoint::PingReq, "{body}");
                }
                2 if !machine.sent.is_empty() => {
                    let at = chance.below(machine.sent.len());
                    let sent = machine.sent.swap_remove(at);
                    machine.answer(sent.id, &body);
                }
                3 if !machine.sent.is_empty() => {
                    let sent = machine.sent.remove(0);
                    machine.fail(sent.id, Failure::Refused("why".into()));
                }
                _ => machine.pass(chance.below(3000) as u64),
            }
            check(&machine);
        }
    }
}

/// What is counted and remembered on the way is what a count anew gives.
fn check(machine: &Machine) {
    let swim = &machine.swim;
    assert!(swim.known() <= limits::MEMBERS);
    let members: Vec<_> = swim.members().collect();
    for status in Status::ALL {
        let counted = members.iter().filter(|it| it.status == status).count();
        assert_eq!(counted, swim.count(status));
    }
    assert!(members.is_sorted_by(|a, b| a.address < b.address));
    let lines = || {
        let members = members.iter();
        members.map(|it| {
            (
                &*it.address,
                it.status,
                it.incarnation,
                it.labels.as_deref(),
            )
        })
    };
    for form in Form::ALL {
        assert_eq!(swim.checksum(form), form.checksum(lines()));
    }
    let ring: Vec<&str> = swim.ring().map(|it| &**it).collect();
    let expected = members
        .iter()
        .filter(|it| it.status.in_ring())
        .map(|it| &*it.address);
    let expected: Vec<&str> = expected.collect();
    assert!(
        ring.iter().all(|it| expected.contains(it)),
        "only damping takes more out"
    );
    assert_eq!(
        swim.ring_checksum(),
        swim.hash().hash(ring.join(";").as_bytes())
    );
}

#[test]
fn a_body_that_is_too_long_or_too_deep_is_refused() {
    let mut machine = Machine::ready(plain(), &[]);
    let deep = format!(r#"{{"source":"a:1","x":{}"#, "[".repeat(100_000));
    let long = format!(r#"{{"source":"{}"}}"#, "a".repeat(limits::BODY_BYTES));
    let many = format!(
        r#"{{"source":"a:1","checksum":1,"changes":[{}{{}}]}}"#,
        "{},".repeat(limits::CHANGES)
    );
    for body in [deep, long, many] {
        let error = machine.ask(Endpoint::Ping, &body).unwrap_err();
        assert!(
            error.contains("ringpop.server.ping.bad-request.body"),
            "{error}"
        );
        assert!(error.len() < 500);
    }
}

#[test]
fn a_machine_can_move_to_another_thread() {
    fn movable<T: Send>() {}
    movable::<heeler_swim::Swim>();
}
