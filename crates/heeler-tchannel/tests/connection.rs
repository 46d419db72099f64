//! A connection, sentence by sentence of the protocol: bytes and time in, bytes and events out.

mod pair;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use heeler_tchannel::frame::{self, Body, Frame, Init, NO_ID};
use heeler_tchannel::{
    ChecksumType, CloseReason, Connection, ErrorCode, Event, Failure, Headers, Identity,
    InboundCall, Limits, Origin, Output, Pairs, Refused, Request, Response, Span, Tracing,
};
use pair::{End, Pair, SECOND, request};
use proptest::prelude::*;

fn call_of(event: Event) -> InboundCall {
    match event {
        Event::Call(call) => call,
        event => panic!("{event:?}"),
    }
}

fn answer_of(event: Event) -> Result<Response, Failure> {
    match event {
        Event::Answer { result, .. } => result,
        event => panic!("{event:?}"),
    }
}

fn closed(event: Event) -> CloseReason {
    match event {
        Event::Closed(reason) => reason,
        event => panic!("{event:?}"),
    }
}

/// The one error frame that an end has written: id, code, message.
fn error(end: &mut End) -> (u32, ErrorCode, String) {
    let frames = end.frames();
    let [
        Frame {
            id,
            body: Body::Error(error),
        },
    ] = &frames[..]
    else {
        panic!("{frames:?}")
    };
    (
        *id,
        error.code,
        String::from_utf8(error.message.to_vec()).unwrap(),
    )
}

fn inject(end: &mut End, now: std::time::Instant, frame: Frame) {
    end.connection.handle_frame(now, frame, &mut end.out);
}

fn raw_frame(kind: u8, id: u32, payload: &[u8]) -> BytesMut {
    let size = (16 + payload.len()) as u16;
    let header = [
        &size.to_be_bytes()[..],
        &[kind, 0],
        &id.to_be_bytes(),
        &[0; 8],
    ]
    .concat();
    BytesMut::from(&[&header[..], payload].concat()[..])
}

// The handshake.

#[test]
fn the_dialler_speaks_first_and_both_learn_who_the_other_is() {
    let mut pair = Pair::new(Limits::default());
    assert!(pair.listener.out.bytes.is_empty());
    assert_eq!(
        pair.dialler.out.bytes[..8],
        [0, pair.dialler.out.bytes[1], 1, 0, 0, 0, 0, 1]
    );
    pair.run();
    let Event::Opened(listener) = pair.dialler.event() else {
        panic!()
    };
    assert_eq!(listener.host_port, "127.0.0.1:3000");
    assert_eq!(listener.process_name, "listener");
    assert_eq!(
        (&listener.language[..], listener.is_ephemeral()),
        ("rust", false)
    );
    let Event::Opened(dialler) = pair.listener.event() else {
        panic!()
    };
    assert!(dialler.is_ephemeral());
}

fn init(version: u16, host_port: &str) -> Frame {
    let headers = Pairs::new([
        ("host_port", host_port),
        ("process_name", "x"),
        ("new", "y"),
    ]);
    Frame {
        id: 7,
        body: Body::InitReq(Init { version, headers }),
    }
}

#[test]
fn the_answer_is_version_2_with_the_requests_id() {
    for version in [2, 3] {
        let mut pair = Pair::new(Limits::default());
        inject(&mut pair.listener, pair.now, init(version, "[::1]:3000"));
        let frames = pair.listener.frames();
        let [
            Frame {
                id: 7,
                body: Body::InitRes(init),
            },
        ] = &frames[..]
        else {
            panic!()
        };
        assert_eq!(init.version, 2);
    }
}

#[test]
fn an_init_that_says_nonsense_is_refused() {
    let host_port = "invalid host:port string in init header";
    let version = "unsupported protocol version: this is version 2";
    let cases = [
        (2, "nonsense", host_port),
        (2, ":1", host_port),
        (2, "a:65536", host_port),
        (1, "a:1", version),
    ];
    for (number, address, message) in cases {
        let mut pair = Pair::new(Limits::default());
        inject(&mut pair.listener, pair.now, init(number, address));
        let told = (7, ErrorCode::Protocol, message.to_owned());
        assert_eq!(error(&mut pair.listener), told);
        assert_eq!(
            closed(pair.listener.event()),
            CloseReason::Protocol(message)
        );
    }
}

#[test]
fn an_init_without_a_header_it_needs_is_refused_in_nodes_words() {
    let mut pair = Pair::new(Limits::default());
    let payload = b"\0\x02\0\x01\0\x09host_port\0\x0b127.0.0.1:1";
    let listener = &mut pair.listener;
    let mut bytes = raw_frame(1, 1, payload);
    listener
        .connection
        .handle(pair.now, &mut bytes, &mut listener.out);
    let message = "tchannel read failure: missing init frame header process_name";
    assert_eq!(
        error(listener),
        (NO_ID, ErrorCode::Protocol, message.into())
    );
    assert!(listener.connection.is_closed());
}

#[test]
fn a_second_init_and_a_call_before_init_close_silently() {
    let mut pair = Pair::open(Limits::default());
    inject(&mut pair.listener, pair.now, init(2, "127.0.0.1:1"));
    let reason = CloseReason::Protocol("tchannel: duplicate init request");
    assert_eq!(closed(pair.listener.event()), reason);
    assert!(pair.listener.out.bytes.is_empty());

    let mut pair = Pair::new(Limits::default());
    inject(
        &mut pair.listener,
        pair.now,
        Frame {
            id: 1,
            body: Body::PingReq,
        },
    );
    let reason = CloseReason::Protocol("call request before init request");
    assert_eq!(closed(pair.listener.event()), reason);
    assert!(pair.listener.out.bytes.is_empty());
}

#[test]
fn a_handshake_takes_no_longer_than_allowed() {
    let mut pair = Pair::new(Limits::default());
    pair.dialler.out.bytes.clear();
    pair.pass(Limits::default().handshake - Duration::from_millis(1));
    assert!(!pair.listener.connection.is_closed());
    pair.pass(Duration::from_millis(1));
    for end in [&mut pair.dialler, &mut pair.listener] {
        assert!(matches!(closed(end.event()), CloseReason::Handshake(_)));
    }
}

// Calls.

#[test]
fn a_call_and_its_answer() {
    let mut pair = Pair::open(Limits::default());
    let mut asked = request("key");
    asked.arg2 = Bytes::from("{}");
    let id = pair.call(&asked, SECOND);
    assert_eq!(id, 2, "the dialler's init had 1");
    pair.run();
    let call = call_of(pair.listener.event());
    let got = Request {
        span: Span::Same(call.tracing),
        ..asked
    };
    assert_eq!(call.request, got);
    assert_eq!((call.ttl, call.deadline), (SECOND, pair.now + SECOND));
    assert!(pair.answer(call.id, Response::raw("value").error()));
    pair.run();
    let Event::Answer {
        id: answered,
        result,
    } = pair.dialler.event()
    else {
        panic!()
    };
    assert_eq!(answered, id);
    let answer = result.unwrap();
    assert_eq!((answer.code, &answer.arg3[..]), (1, &b"value"[..]));
    assert!(
        !pair.answer(call.id, Response::raw("again")),
        "it has been answered"
    );
    let calls = (
        pair.dialler.connection.outbound_calls(),
        pair.listener.connection.inbound_calls(),
    );
    assert_eq!(calls, (0, 0));
}

#[test]
fn both_call_each_other_with_the_same_ids() {
    let mut pair = Pair::open(Limits::default());
    let first = pair.call(&request("a"), SECOND);
    pair.run();
    let End { connection, out } = &mut pair.listener;
    let call = call_of(out.events.pop_front().unwrap());
    let mut other = 0;
    for _ in 0..2 {
        other = connection
            .call(pair.now, &request("b"), pair.now + SECOND, out)
            .unwrap();
    }
    assert_eq!((first, other), (2, 2), "each side counts for itself");
    pair.run();
    pair.answer(call.id, Response::raw("to a"));
    for event in pair.dialler.events() {
        let End { connection, out } = &mut pair.dialler;
        assert!(connection.answer(call_of(event).id, Ok(Response::raw("to b")), out));
    }
    pair.run();
    assert_eq!(answer_of(pair.dialler.event()).unwrap().arg3, "to a");
    for event in pair.listener.events() {
        assert_eq!(answer_of(event).unwrap().arg3, "to b");
    }
}

#[test]
fn an_answer_echoes_the_tracing_and_the_type_of_checksum() {
    for byte in 0..4 {
        let kind = ChecksumType::from_wire(byte).unwrap();
        let mut pair = Pair::open(Limits::default());
        let tracing = Tracing {
            span: 1,
            parent: 2,
            trace: 3,
            flags: 1,
        };
        let span = Span::Same(tracing);
        pair.call(
            &Request {
                checksum: kind,
                span,
                ..request("x")
            },
            SECOND,
        );
        let mut frames = pair.dialler.frames();
        let Body::CallReq(call) = &mut frames[0].body else {
            panic!()
        };
        assert_eq!(
            call.part.checksum.kind,
            kind.sent(),
            "farmhash is never sent"
        );
        call.part.checksum.kind = kind;
        inject(&mut pair.listener, pair.now, frames.remove(0));
        let id = call_of(pair.listener.event()).id;
        pair.answer(id, Response::raw("y"));
        let frames = pair.listener.frames();
        let Body::CallRes(answer) = &frames[0].body else {
            panic!()
        };
        assert_eq!(
            (answer.tracing, answer.part.checksum.kind),
            (tracing, kind.sent())
        );
    }
}

#[test]
fn a_call_of_nobody_is_the_root_of_a_tree_and_another_its_child() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    pair.run();
    let root = call_of(pair.listener.event()).tracing;
    assert_eq!(
        root,
        Tracing {
            span: root.span,
            parent: 0,
            trace: root.span,
            flags: 0
        }
    );
    pair.call(
        &Request {
            span: Span::ChildOf(root),
            ..request("")
        },
        SECOND,
    );
    pair.run();
    let child = call_of(pair.listener.event()).tracing;
    assert_eq!((child.parent, child.trace), (root.span, root.trace));
    assert_ne!(child.span, root.span);
}

#[test]
fn a_header_that_every_call_needs() {
    for missing in ["as", "cn"] {
        let present = if missing == "as" { "cn" } else { "as" };
        let headers = Headers::new([(present, "raw")]).unwrap();
        let mut pair = Pair::open(Limits::default());
        let End { connection, out } = &mut pair.dialler;
        let bad = Request {
            headers: headers.clone(),
            ..request("")
        };
        let refused = connection.call(pair.now, &bad, pair.now + SECOND, out);
        assert_eq!(refused, Err(Refused::HeaderRequired(missing)));

        pair.call(&request(""), SECOND);
        let mut frames = pair.dialler.frames();
        let Body::CallReq(call) = &mut frames[0].body else {
            panic!()
        };
        call.headers = headers;
        inject(&mut pair.listener, pair.now, frames.remove(0));
        let message = format!("Expected incoming call request to have \"{missing}\" header set.");
        assert_eq!(
            error(&mut pair.listener),
            (2, ErrorCode::BadRequest, message)
        );
        assert!(!pair.listener.connection.is_closed());
    }
}

#[test]
fn an_answer_without_as_fails_the_caller() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    pair.run();
    let id = call_of(pair.listener.event()).id;
    pair.answer(id, Response::raw(""));
    let mut frames = pair.listener.frames();
    let Body::CallRes(answer) = &mut frames[0].body else {
        panic!()
    };
    answer.headers = Headers::NONE;
    inject(&mut pair.dialler, pair.now, frames.remove(0));
    let failure = answer_of(pair.dialler.event()).unwrap_err();
    let message = "Expected incoming call response to have \"as\" header set.";
    assert_eq!(
        (&failure.message[..], failure.origin),
        (message, Origin::Here)
    );
}

#[test]
fn a_ttl_of_0_closes_the_connection() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    let mut bytes = pair.dialler.out.bytes.split();
    bytes[17..21].fill(0);
    let listener = &mut pair.listener;
    listener
        .connection
        .handle(pair.now, &mut bytes, &mut listener.out);
    let text = "tchannel read failure: Got an invalid ttl. Expected positive ttl but got 0";
    assert_eq!(error(listener), (2, ErrorCode::Protocol, text.into()));
    assert!(listener.connection.is_closed());
}

#[test]
fn a_bad_checksum_is_answered_and_the_connection_stays() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request("x"), SECOND);
    *pair.dialler.out.bytes.last_mut().unwrap() = b'y';
    pair.run();
    let failure = answer_of(pair.dialler.event()).unwrap_err();
    assert_eq!(
        (failure.code, failure.origin),
        (ErrorCode::BadRequest, Origin::Peer)
    );
    let start = "invalid checksum (type 3) expected: ";
    assert!(failure.message.starts_with(start), "{}", failure.message);
    pair.call(&request("x"), SECOND);
    pair.run();
    call_of(pair.listener.event());
}

#[test]
fn a_frame_of_no_known_type_closes_the_connection() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    pair.dialler.frames();
    let listener = &mut pair.listener;
    let mut bytes = raw_frame(85, NO_ID, b"");
    listener
        .connection
        .handle(pair.now, &mut bytes, &mut listener.out);
    let reason = CloseReason::BadFrame(frame::Fault::Type(85));
    assert_eq!(closed(listener.event()), reason);
    pair.run();
    // The peer is told, and its calls fail.
    let mut events = pair.dialler.events().into_iter();
    let failure = answer_of(events.next().unwrap()).unwrap_err();
    assert_eq!(
        (failure.code, failure.origin),
        (ErrorCode::Network, Origin::Here)
    );
    let told = CloseReason::ByPeer("tchannel read failure: invalid frame type 85".into());
    assert_eq!(closed(events.next().unwrap()), told);
}

#[test]
fn an_error_frame_fails_the_call() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    pair.run();
    let id = call_of(pair.listener.event()).id;
    let failure = Failure::here(ErrorCode::BadRequest, "unknown service kv");
    let End { connection, out } = &mut pair.listener;
    assert!(connection.answer(id, Err(failure.clone()), out));
    pair.run();
    let told = answer_of(pair.dialler.event()).unwrap_err();
    assert_eq!(
        told,
        Failure {
            origin: Origin::Peer,
            ..failure
        }
    );
    assert_eq!(told.to_string(), "bad request: unknown service kv");
}

#[test]
fn pings_are_answered_with_their_id() {
    let mut pair = Pair::open(Limits::default());
    let id = pair.dialler.connection.ping(&mut pair.dialler.out);
    pair.run();
    assert!(matches!(pair.dialler.event(), Event::Pong { id: pong } if pong == id));
}

#[test]
fn claims_and_what_belongs_to_no_call_are_ignored() {
    let mut pair = Pair::open(Limits::default());
    let none = |body| Frame { id: 99, body };
    let tracing = Tracing::default();
    let part = frame::Part {
        flags: 0,
        checksum: Default::default(),
        chunks: Default::default(),
    };
    let headers = Headers::RAW;
    let answer = frame::CallRes {
        code: 0,
        tracing,
        headers,
        part: part.clone(),
    };
    let message = Bytes::from("late");
    let error = frame::ErrorFrame {
        code: ErrorCode::Timeout,
        tracing,
        message: message.clone(),
    };
    let bodies = [
        Body::Claim(frame::Claim { ttl: 1, tracing }),
        Body::Cancel(frame::Cancel {
            ttl: 1,
            tracing,
            why: message,
        }),
        Body::CallReqContinue(part.clone()),
        Body::CallResContinue(part),
        Body::CallRes(answer),
        Body::Error(error.clone()),
    ];
    for body in bodies {
        inject(&mut pair.listener, pair.now, none(body));
    }
    inject(
        &mut pair.listener,
        pair.now,
        Frame {
            id: NO_ID,
            body: Body::Error(error),
        },
    );
    assert!(pair.listener.events().is_empty() && pair.listener.out.bytes.is_empty());
}

// Time.

#[test]
fn a_call_whose_time_is_up_is_answered_in_nodes_words() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    pair.run();
    let call = call_of(pair.listener.event());
    // The dialler's clock stands still.
    let End { connection, out } = &mut pair.listener;
    assert_eq!(connection.next_wake(), Some(call.deadline));
    connection.wake(call.deadline - Duration::from_millis(1), out);
    assert!(out.bytes.is_empty());
    connection.wake(call.deadline + Duration::from_millis(70), out);
    let message = "request timed out after 1070ms (limit was 1000ms)";
    assert_eq!(
        error(&mut pair.listener),
        (2, ErrorCode::Timeout, message.into())
    );
    let dropped = pair.listener.event();
    assert!(matches!(
        dropped,
        Event::Dropped {
            id: 2,
            code: ErrorCode::Timeout
        }
    ));
    assert!(!pair.answer(call.id, Response::raw("late")));
    assert_eq!(pair.listener.connection.next_wake(), None);
}

#[test]
fn our_calls_time_out_by_our_clock_and_late_answers_are_ignored() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    let lost = pair.dialler.out.bytes.split();
    pair.pass(SECOND);
    let failure = answer_of(pair.dialler.event()).unwrap_err();
    assert_eq!(
        (failure.code, failure.origin),
        (ErrorCode::Timeout, Origin::Here)
    );
    assert_eq!(
        failure.message,
        "request timed out after 1000ms (limit was 1000ms)"
    );
    pair.dialler.out.bytes.extend_from_slice(&lost);
    pair.run();
    let id = call_of(pair.listener.event()).id;
    pair.answer(id, Response::raw("late"));
    pair.run();
    assert!(pair.dialler.events().is_empty());
}

#[test]
fn the_time_to_live_is_what_is_left() {
    let mut pair = Pair::open(Limits::default());
    let End { connection, out } = &mut pair.dialler;
    let deadline = pair.now + SECOND;
    let later = pair.now + Duration::from_millis(300);
    connection.call(later, &request(""), deadline, out).unwrap();
    let spent = connection.call(deadline, &request(""), deadline, out);
    assert_eq!(spent, Err(Refused::TimedOut));
    pair.run();
    let call = call_of(pair.listener.event());
    assert_eq!(call.ttl, Duration::from_millis(700));
}

#[test]
fn a_peer_that_answers_nothing_is_given_up() {
    let mut pair = Pair::open(Limits::default());
    pair.pass(SECOND);
    pair.call(&request("1"), SECOND);
    pair.call(&request("2"), 2 * SECOND);
    pair.dialler.out.bytes.clear();
    let End { connection, out } = &mut pair.dialler;
    connection.wake(pair.now + SECOND, out);
    assert!(answer_of(out.events.pop_front().unwrap()).is_err());
    connection.wake(pair.now + 2 * SECOND, out);
    assert!(answer_of(out.events.pop_front().unwrap()).is_err());
    connection.wake(pair.now + 3 * SECOND, out);
    assert_eq!(closed(out.events.pop_front().unwrap()), CloseReason::Silent);
}

#[test]
fn a_peer_that_is_only_slow_is_kept() {
    let mut pair = Pair::open(Limits::default());
    pair.pass(SECOND);
    pair.call(&request(""), SECOND);
    pair.run();
    pair.listener.events();
    pair.pass(10 * SECOND);
    assert!(answer_of(pair.dialler.events().remove(0)).is_err());
    assert!(!pair.dialler.connection.is_closed());
    assert_eq!(pair.dialler.connection.next_wake(), None);
}

// Cancel.

#[test]
fn a_cancelled_call_is_answered_with_an_error_and_its_handler_told() {
    let mut pair = Pair::open(Limits::default());
    let id = pair.call(&request(""), SECOND);
    pair.run();
    let call = call_of(pair.listener.event());
    let End { connection, out } = &mut pair.dialler;
    connection.cancel(pair.now, id, "no longer wanted", out);
    assert_eq!(connection.outbound_calls(), 0);
    let bytes = pair.dialler.out.bytes.clone();
    pair.listener
        .connection
        .handle(pair.now, &mut bytes.clone(), &mut pair.listener.out);
    let told = (id, ErrorCode::Cancelled, "no longer wanted".to_owned());
    assert_eq!(error(&mut pair.listener), told);
    let dropped = pair.listener.event();
    assert!(matches!(
        dropped,
        Event::Dropped {
            id: 2,
            code: ErrorCode::Cancelled
        }
    ));
    assert!(!pair.answer(call.id, Response::raw("late")));
}

// Draining.

#[test]
fn a_draining_end_declines_what_is_new_and_answers_what_is_in_flight() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request("before"), SECOND);
    pair.run();
    let before = call_of(pair.listener.event());
    pair.call(&request("crossing"), SECOND);
    pair.listener
        .connection
        .drain("going away", &mut pair.listener.out);
    pair.run();
    let mut events = pair.dialler.events().into_iter();
    let Event::PeerDraining { reason } = events.next().unwrap() else {
        panic!()
    };
    assert_eq!(reason, "going away");
    let declined = answer_of(events.next().unwrap()).unwrap_err();
    assert_eq!(declined.code, ErrorCode::Declined);
    assert_eq!(declined.message, "connection draining: going away");
    let End { connection, out } = &mut pair.dialler;
    let refused = connection.call(pair.now, &request(""), pair.now + SECOND, out);
    assert_eq!(refused, Err(Refused::Draining("going away".into())));
    assert!(pair.listener.events().is_empty());
    pair.answer(before.id, Response::raw("after all"));
    pair.run();
    assert_eq!(answer_of(pair.dialler.event()).unwrap().arg3, "after all");
    assert!(matches!(pair.listener.event(), Event::Drained));
}

#[test]
fn draining_is_told_with_no_id() {
    let mut pair = Pair::open(Limits::default());
    pair.listener
        .connection
        .drain("bye", &mut pair.listener.out);
    let told = (NO_ID, ErrorCode::Declined, "draining: bye".to_owned());
    assert_eq!(error(&mut pair.listener), told);
    // Before the handshake it is told after it.
    let mut pair = Pair::new(Limits::default());
    pair.listener
        .connection
        .drain("bye", &mut pair.listener.out);
    pair.run();
    assert_eq!(pair.dialler.events().len(), 2);
}

// Bounds.

#[test]
fn a_call_too_many_is_told_busy() {
    let mut pair = Pair::open(Limits {
        inbound_calls: 2,
        outbound_calls: 3,
        ..Limits::default()
    });
    for _ in 0..3 {
        pair.call(&request(""), SECOND);
    }
    let End { connection, out } = &mut pair.dialler;
    let refused = connection.call(pair.now, &request(""), pair.now + SECOND, out);
    assert_eq!(refused, Err(Refused::Busy(3)));
    pair.run();
    assert_eq!(pair.listener.events().len(), 2);
    let busy = answer_of(pair.dialler.event()).unwrap_err();
    assert_eq!(
        busy.to_string(),
        "busy: too many calls in flight (limit is 2)"
    );
}

#[test]
fn bytes_in_flight_are_bounded() {
    let limits = Limits {
        message_bytes: 100_000,
        inbound_bytes: 0,
        ..Limits::default()
    };
    let mut pair = Pair::open(limits);
    let first = pair.call(&request(vec![0; 99_000]), SECOND);
    let second = pair.call(&request(vec![0; 99_000]), SECOND);
    pair.run();
    let call = call_of(pair.listener.event());
    let Event::Answer { id, result } = pair.dialler.event() else {
        panic!()
    };
    let busy = result.unwrap_err().to_string();
    assert_eq!(
        (id, &busy[..]),
        (second, "busy: too many bytes in flight (limit is 165535)")
    );
    pair.answer(call.id, Response::raw(vec![0; 99_000]));
    pair.run();
    let Event::Answer { id, result } = pair.dialler.event() else {
        panic!()
    };
    assert_eq!((id, result.unwrap().arg3.len()), (first, 99_000));
    // What was answered counts no more.
    pair.call(&request(vec![0; 99_000]), SECOND);
    pair.run();
    call_of(pair.listener.event());
}

#[test]
fn a_message_that_is_too_long_is_refused_by_both() {
    let small = Limits {
        message_bytes: 1000,
        ..Limits::default()
    };
    let mut pair = Pair::open(small);
    let End { connection, out } = &mut pair.dialler;
    let long = connection.call(pair.now, &request(vec![0; 1000]), pair.now + SECOND, out);
    let refused = Refused::TooLong {
        part: "the message",
        length: 1003,
        limit: 1000,
    };
    assert_eq!(long, Err(refused));
    pair.call(&request(""), SECOND);
    pair.run();
    let id = call_of(pair.listener.event()).id;
    pair.answer(id, Response::raw(vec![0; 1001]));
    pair.run();
    let failure = answer_of(pair.dialler.event()).unwrap_err();
    assert_eq!(
        failure.message,
        "response length 1001 is larger than the limit 1000"
    );

    let mut large = Pair::open(Limits::default());
    large.call(&request(vec![0; 200_000]), SECOND);
    let mut pair = Pair::open(Limits {
        message_bytes: 150_000,
        ..Limits::default()
    });
    for frame in large.dialler.frames() {
        inject(&mut pair.listener, pair.now, frame);
    }
    let (_, code, message) = error(&mut pair.listener);
    assert_eq!(code, ErrorCode::BadRequest);
    assert!(
        message.ends_with("is larger than the limit 150000"),
        "{message}"
    );
    assert_eq!(pair.listener.connection.inbound_calls(), 0);
}

#[test]
fn parts_of_a_call_have_their_bounds() {
    let mut pair = Pair::open(Limits::default());
    let bad = [
        (
            Request {
                service: vec![b's'; 256].into(),
                ..request("")
            },
            "the service's name",
        ),
        (
            Request {
                arg1: vec![b'e'; 16385].into(),
                ..request("")
            },
            "arg1",
        ),
    ];
    let End { connection, out } = &mut pair.dialler;
    for (bad, name) in bad {
        let refused = connection
            .call(pair.now, &bad, pair.now + SECOND, out)
            .unwrap_err();
        assert!(
            matches!(refused, Refused::TooLong { part, .. } if part == name),
            "{refused}"
        );
    }
    assert!(out.bytes.is_empty());
}

#[test]
fn a_peer_that_does_not_read_its_answers_is_closed() {
    let mut pair = Pair::open(Limits {
        output_bytes: 10_000,
        ..Limits::default()
    });
    pair.call(&request(""), SECOND);
    pair.run();
    let id = call_of(pair.listener.event()).id;
    pair.answer(id, Response::raw(vec![0; 20_000]));
    assert!(matches!(
        closed(pair.listener.event()),
        CloseReason::SlowReader(20_000..)
    ));
}

#[test]
fn an_id_that_is_in_flight_may_not_be_used_again() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    let frames = pair.dialler.frames();
    inject(&mut pair.listener, pair.now, frames[0].clone());
    call_of(pair.listener.event());
    inject(&mut pair.listener, pair.now, frames[0].clone());
    let reason = CloseReason::Protocol("call request with an id in flight");
    assert_eq!(closed(pair.listener.event()), reason);
}

#[test]
fn a_closed_connection_fails_all_calls_and_does_nothing_more() {
    let mut pair = Pair::open(Limits::default());
    pair.call(&request(""), SECOND);
    let End { connection, out } = &mut pair.dialler;
    connection.close("enough", out);
    let failure = answer_of(out.events.pop_front().unwrap()).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "network error: connection closed: enough"
    );
    assert_eq!(
        closed(out.events.pop_front().unwrap()),
        CloseReason::Here("enough".into())
    );
    assert_eq!(connection.next_wake(), None);
    let refused = connection.call(pair.now, &request(""), pair.now + SECOND, out);
    assert_eq!(refused, Err(Refused::Closed));
    connection.handle_frame(
        pair.now,
        Frame {
            id: 1,
            body: Body::PingReq,
        },
        out,
    );
    assert!(out.events.is_empty());
}

#[test]
fn nothing_is_called_before_the_handshake_is_done() {
    let mut out = Output::default();
    let (limits, now) = (Limits::default(), std::time::Instant::now());
    let here = Identity::new("0.0.0.0:0", "x");
    let mut connection = Connection::dial(here, limits, 1, now, &mut out);
    let refused = connection.call(now, &request(""), now + SECOND, &mut out);
    assert_eq!(refused, Err(Refused::NotOpen));
    assert!(!connection.takes_calls());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Calls of any length both ways, in reads of any size, answered in any order.
    #[test]
    fn many_calls_in_any_order(
        lengths in prop::collection::vec((0usize..150_000, 0usize..150_000), 1..8),
        piece in prop_oneof![1usize..100, 1000usize..100_000],
        seed in any::<u64>(),
    ) {
        let mut pair = Pair::open(Limits::default());
        // Single bytes only of small messages: else it takes minutes.
        pair.piece = if piece < 100 && lengths.len() > 1 { piece * 100 } else { piece.max(20) };
        let body = |length: usize| vec![length as u8; length];
        let mut expected = std::collections::BTreeMap::new();
        for (asked, answered) in &lengths {
            let id = pair.call(&request(body(*asked)), SECOND);
            expected.insert(id, (*asked, *answered));
        }
        pair.run();
        let mut calls: Vec<_> = pair.listener.events().into_iter().map(call_of).collect();
        prop_assert_eq!(calls.len(), lengths.len());
        calls.sort_by_key(|call| u64::from(call.id).wrapping_mul(seed | 1));
        for call in calls {
            let (asked, answered) = expected[&call.id];
            prop_assert_eq!(&call.request.arg3[..], body(asked));
            pair.answer(call.id, Response::raw(body(answered)));
        }
        pair.run();
        for event in pair.dialler.events() {
            let Event::Answer { id, result } = event else { panic!() };
            let (_, answered) = expected.remove(&id).unwrap();
            prop_assert_eq!(&result.unwrap().arg3[..], body(answered));
        }
        prop_assert!(expected.is_empty());
    }

    /// Whatever bytes come, nothing panics, and the books are kept.
    #[test]
    fn hostile_bytes(
        noise in prop::collection::vec((0usize..400, any::<u8>()), 1..6),
        cut in 0usize..100,
    ) {
        let mut pair = Pair::open(Limits::default());
        for i in 0..4 {
            pair.call(&request(vec![i; usize::from(i) * 30_000]), SECOND);
        }
        let mut bytes = pair.dialler.out.bytes.split();
        for (at, byte) in noise {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let end = bytes.len() - cut % bytes.len();
        bytes.truncate(end);
        let listener = &mut pair.listener;
        listener.connection.handle(pair.now, &mut bytes, &mut listener.out);
        pair.run();
        pair.pass(Duration::from_secs(100_000_000));
        prop_assert_eq!(pair.listener.connection.inbound_calls(), 0);
        prop_assert_eq!(pair.dialler.connection.outbound_calls(), 0);
    }
}
