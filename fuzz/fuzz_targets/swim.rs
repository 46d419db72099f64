//! Membership: whatever peers send, the machine answers each request once, lives, keeps what it
//! knows in bounds, and counts as it did before.
#![no_main]

use heeler_swim::{Config, Endpoint, Failure, Form, Input, Now, Output, Status, Swim, limits};
use libfuzzer_sys::fuzz_target;

// The input is cut at zero bytes. The first byte of each piece says what the rest is.
fuzz_target!(|input: &[u8]| {
    let mut now = Now {
        ms: 1000,
        wall_ms: 1_800_000_000_000,
    };
    let config = Config::new("kv", "127.0.0.1:3000");
    let mut swim = Swim::new(config, now, 1).expect("a sound config");
    let mut sent = Vec::new();
    step(&mut swim, &mut sent, None, |swim, out| {
        let seeds = vec!["127.0.0.1:3001".into(), "127.0.0.1:3000".into()];
        swim.handle(now, Input::Seeds(seeds), out);
    });
    for piece in input.split(|byte| *byte == 0) {
        let Some((&what, body)) = piece.split_first() else {
            continue;
        };
        now.ms += u64::from(what) * 10;
        now.wall_ms += u64::from(what) * 10;
        let id = sent.pop().unwrap_or(0);
        let request = |endpoint| {
            Some(Input::Request {
                token: 1,
                endpoint,
                body,
            })
        };
        let input = match what % 8 {
            0 => request(Endpoint::Join),
            1 | 2 => request(Endpoint::Ping),
            3 => request(Endpoint::PingReq),
            4 => request(Endpoint::DampReq),
            5 | 6 => Some(Input::Response { id, body }),
            _ if id > 0 => Some(Input::Failure {
                id,
                failure: Failure::TimedOut,
            }),
            _ => None,
        };
        let at_once = matches!(what % 8, 0..=2 | 4).then_some(1);
        step(&mut swim, &mut sent, at_once, |swim, out| match input {
            Some(input) => swim.handle(now, input, out),
            None => swim.wake(now, out),
        });
        step(&mut swim, &mut sent, None, |swim, out| swim.wake(now, out));
        check(&swim);
    }
});

/// Takes a step, and remembers the requests. Counts the answers if there must be some at once.
fn step(
    swim: &mut Swim,
    sent: &mut Vec<u64>,
    answers: Option<usize>,
    act: impl FnOnce(&mut Swim, &mut Vec<Output>),
) {
    let mut out = Vec::new();
    act(swim, &mut out);
    let mut answered = 0;
    for output in out {
        match output {
            Output::Send { id, body, .. } => {
                serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
                sent.push(id);
            }
            Output::Respond { result, .. } => {
                let body = result.unwrap_or_else(|error| error);
                serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
                answered += 1;
            }
            _ => {}
        }
    }
    assert!(answers.is_none_or(|answers| answered == answers));
}

fn check(swim: &Swim) {
    assert!(swim.known() <= limits::MEMBERS && swim.members().len() == swim.known());
    for status in Status::ALL {
        let counted = swim
            .members()
            .filter(|member| member.status == status)
            .count();
        assert_eq!(counted, swim.count(status));
    }
    let addresses: Vec<_> = swim.members().map(|member| member.address).collect();
    assert!(addresses.is_sorted() && addresses.iter().all(|it| swim.member(it).is_some()));
    let members: Vec<_> = swim.members().collect();
    let lines = members.iter().map(|it| {
        (
            &*it.address,
            it.status,
            it.incarnation,
            it.labels.as_deref(),
        )
    });
    for form in Form::ALL {
        assert_eq!(swim.checksum(form), form.checksum(lines.clone()));
    }
    if swim.is_ready() {
        let ring: Vec<_> = members.iter().filter(|it| it.status.in_ring()).collect();
        assert!(swim.ring().eq(ring.iter().map(|it| &it.address)));
    }
}
