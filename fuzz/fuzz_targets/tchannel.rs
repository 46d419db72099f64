//! A TChannel peer that sends anything: however its bytes are cut, a connection says and does the
//! same; frames are encoded to the bytes they came from; no time that passes makes it panic.
#![no_main]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use heeler_tchannel::frame::{self, Body, Frame, Init};
use heeler_tchannel::scheme::{http, thrift};
use heeler_tchannel::{Connection, Event, Identity, Limits, Output, Pairs, Response};
use libfuzzer_sys::fuzz_target;

// The first byte cuts the others in pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else {
        return;
    };
    let now = Instant::now();
    let whole = talk(now, bytes, usize::MAX);
    assert_eq!(talk(now, bytes, usize::from(piece).max(1)), whole);
    there_and_back(bytes);
});

/// What a listener writes, and what it says happened.
fn talk(now: Instant, bytes: &[u8], piece: usize) -> (BytesMut, Vec<String>) {
    let limits = Limits {
        message_bytes: 1000,
        inbound_calls: 3,
        ..Limits::default()
    };
    let identity = Identity::new("127.0.0.1:1", "fuzz");
    let mut connection = Connection::accept(identity, limits, 1, now);
    let (mut out, mut buffer, mut said) = (Output::default(), BytesMut::new(), Vec::new());
    let headers = Pairs::new([("host_port", "127.0.0.1:2"), ("process_name", "fuzz")]);
    let init = Frame {
        id: 1,
        body: Body::InitReq(Init {
            version: 2,
            headers,
        }),
    };
    connection.handle_frame(now, init, &mut out);
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        connection.handle(now, &mut buffer, &mut out);
    }
    while let Some(event) = out.events.pop_front() {
        said.push(format!("{event:?}"));
        if let Event::Call(call) = event {
            let _ = thrift::Struct::decode(call.request.arg3.clone());
            let _ = http::RequestHead::decode(call.request.arg2.clone());
            let _ = http::ResponseHead::decode(call.request.arg2);
            connection.answer(call.id, Ok(Response::raw(call.request.arg3)), &mut out);
        }
    }
    connection.wake(now + Duration::from_secs(1 << 32), &mut out);
    assert_eq!(connection.inbound_calls(), 0);
    (out.bytes, said)
}

fn there_and_back(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(frame)) = frame::decode(&mut buffer) {
        let mut encoded = BytesMut::new();
        frame
            .encode(&mut encoded)
            .expect("what was a frame is one again");
        assert_eq!(frame::decode(&mut encoded), Ok(Some(frame)));
    }
}
