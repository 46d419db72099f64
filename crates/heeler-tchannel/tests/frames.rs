//! Frames and fragments of any shape: cut anywhere, they are the same; written and read, they are
//! the same; broken, they are refused with a reason.

use bytes::{Bytes, BytesMut};
use heeler_tchannel::checksum::Checksum;
use heeler_tchannel::fragment::{Assembled, Assembly, BadMessage, Head, write_message};
use heeler_tchannel::frame::{
    self, BadFrame, Body, CallReq, CallRes, Cancel, Chunks, Claim, ErrorFrame, Fault, Frame, Init,
    NO_ID, Part,
};
use heeler_tchannel::{ChecksumType, ErrorCode, Headers, Pairs, Tracing};
use proptest::prelude::*;

fn bytes(length: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..length).prop_map(Bytes::from)
}

fn tracing() -> impl Strategy<Value = Tracing> {
    any::<(u64, u64, u64, u8)>().prop_map(|(span, parent, trace, flags)| Tracing {
        span,
        parent,
        trace,
        flags,
    })
}

fn headers() -> impl Strategy<Value = Headers> {
    let pairs = prop::collection::btree_map("[a-z]{1,16}", "[ -~]{0,40}", 0..8);
    pairs.prop_map(|pairs| Headers::new(pairs).unwrap())
}

fn init() -> impl Strategy<Value = Init> {
    let pairs = prop::collection::btree_map("[a-z]{1,40}", "[ -~]{0,40}", 0..8);
    (any::<u16>(), pairs).prop_map(|(version, mut pairs)| {
        pairs.insert("host_port".into(), "127.0.0.1:1".into());
        pairs.insert("process_name".into(), String::new());
        Init {
            version,
            headers: Pairs::new(pairs),
        }
    })
}

fn kind() -> impl Strategy<Value = ChecksumType> {
    (0u8..4).prop_map(|byte| ChecksumType::from_wire(byte).unwrap())
}

fn part() -> impl Strategy<Value = Part> {
    let chunks = prop::collection::vec(bytes(300), 0..4).prop_map(|chunks| {
        let one = |c: &Bytes| [&(c.len() as u16).to_be_bytes()[..], c].concat();
        Chunks::new(chunks.iter().flat_map(one).collect()).unwrap()
    });
    (any::<u8>(), kind(), any::<u32>(), chunks).prop_map(|(flags, kind, value, chunks)| {
        let value = if kind == ChecksumType::None { 0 } else { value };
        Part {
            flags,
            checksum: Checksum { kind, value },
            chunks,
        }
    })
}

fn body() -> impl Strategy<Value = Body> {
    let call = (1..=u32::MAX, tracing(), bytes(256), headers(), part());
    let call = call.prop_map(|(ttl, tracing, service, headers, part)| {
        Body::CallReq(CallReq {
            ttl,
            tracing,
            service,
            headers,
            part,
        })
    });
    let answer = (any::<u8>(), tracing(), headers(), part());
    let answer = answer.prop_map(|(code, tracing, headers, part)| {
        Body::CallRes(CallRes {
            code,
            tracing,
            headers,
            part,
        })
    });
    let cancel = (any::<u32>(), tracing(), bytes(100));
    let error = (any::<u8>(), tracing(), bytes(100));
    prop_oneof![
        init().prop_map(Body::InitReq),
        init().prop_map(Body::InitRes),
        call,
        answer,
        part().prop_map(Body::CallReqContinue),
        part().prop_map(Body::CallResContinue),
        cancel.prop_map(|(ttl, tracing, why)| Body::Cancel(Cancel { ttl, tracing, why })),
        (any::<u32>(), tracing()).prop_map(|(ttl, tracing)| Body::Claim(Claim { ttl, tracing })),
        Just(Body::PingReq),
        Just(Body::PingRes),
        error.prop_map(|(code, tracing, message)| {
            Body::Error(ErrorFrame {
                code: ErrorCode::from_wire(code),
                tracing,
                message,
            })
        }),
    ]
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = (any::<u32>(), body()).prop_map(|(id, body)| Frame { id, body });
    prop::collection::vec(frame, 1..6)
}

/// All frames in bytes that come in pieces.
fn read(bytes: &[u8], piece: usize) -> (Vec<Frame>, Result<usize, BadFrame>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            match frame::decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(bad) => return (frames, Err(bad)),
            }
        }
    }
    (frames, Ok(buffer.len()))
}

proptest! {
    #[test]
    fn frames_there_and_back_in_pieces_of_any_size(frames in frames(), piece in 1usize..400) {
        let mut bytes = BytesMut::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes).unwrap());
        prop_assert_eq!(read(&bytes, usize::MAX), (frames.clone(), Ok(0)));
        prop_assert_eq!(read(&bytes, piece), (frames, Ok(0)));
    }

    #[test]
    fn any_bytes_are_frames_or_are_not_however_they_are_cut(
        kind in prop_oneof![Just(3u8), Just(4), Just(0x13), Just(1), Just(0xff), any::<u8>()],
        payload in prop::collection::vec(any::<u8>(), 0..200),
        piece in 1usize..50,
    ) {
        let size = (16 + payload.len()) as u16;
        let header = [&size.to_be_bytes()[..], &[kind], &[0; 13]].concat();
        let bytes = [&header[..], &payload, &header, &payload].concat();
        prop_assert_eq!(read(&bytes, piece), read(&bytes, usize::MAX));
    }

    #[test]
    fn messages_over_frames_of_any_size(
        args in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..700)),
        kind in kind(),
        frame_bytes in 80usize..400,
    ) {
        let args = [&args[0][..], &args[1], &args[2]];
        let frames = message(args, kind, frame_bytes);
        prop_assert_eq!(assemble(&frames).unwrap(), args.map(Bytes::copy_from_slice));
    }

    #[test]
    fn a_byte_that_was_changed_is_found(
        args in prop::array::uniform3(prop::collection::vec(any::<u8>(), 1..300)),
        crc in any::<bool>(),
        at in any::<prop::sample::Index>(),
        frame_bytes in 80usize..400,
    ) {
        let kind = if crc { ChecksumType::Crc32 } else { ChecksumType::Crc32C };
        let mut frames = message([&args[0], &args[1], &args[2]], kind, frame_bytes);
        let nth = at.index(frames.len());
        let part = part_of(&mut frames[nth]);
        prop_assume!(part.chunks.iter().last().is_some_and(|chunk| !chunk.is_empty()));
        let mut raw = part.chunks.raw().to_vec();
        *raw.last_mut().unwrap() ^= 1;
        part.chunks = Chunks::new(raw.into()).unwrap();
        let found = matches!(assemble(&frames), Err(BadMessage::Checksum { .. }));
        prop_assert!(found);
    }
}

fn message(args: [&[u8]; 3], kind: ChecksumType, frame_bytes: usize) -> Vec<Frame> {
    let mut bytes = BytesMut::new();
    let head = Head::Answer {
        code: 0,
        tracing: Tracing::default(),
        headers: &Headers::NONE,
    };
    write_message(&mut bytes, 9, head, args, kind, frame_bytes);
    let (frames, rest) = read(&bytes, usize::MAX);
    assert_eq!(rest, Ok(0));
    for (i, frame) in frames.iter().enumerate() {
        assert_eq!(frame.id, 9);
        let more = i + 1 < frames.len();
        assert_eq!(part_of(&mut frame.clone()).more(), more);
        assert_eq!(frame.body.kind(), if i == 0 { 0x04 } else { 0x14 });
    }
    frames
}

fn part_of(frame: &mut Frame) -> &mut Part {
    match &mut frame.body {
        Body::CallReq(call) => &mut call.part,
        Body::CallRes(call) => &mut call.part,
        Body::CallReqContinue(part) | Body::CallResContinue(part) => part,
        body => panic!("{body:?} has no part"),
    }
}

fn assemble(frames: &[Frame]) -> Result<[Bytes; 3], BadMessage> {
    let mut parts = frames
        .iter()
        .map(|frame| part_of(&mut frame.clone()).clone());
    let mut assembly = match Assembly::begin(&parts.next().unwrap(), 1 << 20)? {
        Assembled::Whole(args) => return Ok(args),
        Assembled::Begun(assembly) => assembly,
    };
    for part in parts {
        if let Some(args) = assembly.add(&part)? {
            return Ok(args);
        }
    }
    panic!("the last part says that more come");
}

#[test]
fn frames_are_filled_and_an_arg_that_ends_with_its_frame_is_closed_in_the_next() {
    let head = 16 + 1 + 1 + 25 + 1 + 1 + 4;
    // arg1 is empty, arg2 fills the frame.
    let fill = vec![b'x'; 65535 - head - 2 - 2];
    let mut frames = message([b"", &fill, b"y"], ChecksumType::Crc32C, 65535);
    let chunks = |frame: &mut Frame| {
        let lengths = part_of(frame).chunks.iter().map(|chunk| chunk.len());
        lengths.collect::<Vec<_>>()
    };
    let mut bytes = BytesMut::new();
    frames[0].encode(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 65535);
    assert_eq!(frames.len(), 2);
    assert_eq!(chunks(&mut frames[0]), [0, fill.len()]);
    assert_eq!(chunks(&mut frames[1]), [0, 1]);
    // As arg3, it is complete: nothing follows.
    assert_eq!(
        message([b"", b"", &fill[2..]], ChecksumType::Crc32C, 65535).len(),
        1
    );
}

#[test]
fn a_body_of_200_kb_takes_as_many_frames_as_tchannel_nodes() {
    let body = vec![b'x'; 200_002];
    let headers = Headers::RAW;
    let head = Head::Answer {
        code: 0,
        tracing: Tracing::default(),
        headers: &headers,
    };
    let mut bytes = BytesMut::new();
    write_message(
        &mut bytes,
        2,
        head,
        [b"", b"", &body],
        ChecksumType::Crc32C,
        65535,
    );
    let mut sizes = Vec::new();
    while !bytes.is_empty() {
        let size = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        sizes.push(size);
        let _ = bytes.split_to(size);
    }
    assert_eq!(sizes, [65535, 65535, 65535, 3531]);
}

#[test]
fn more_bytes_are_needed() {
    let mut bytes = BytesMut::new();
    Frame {
        id: 1,
        body: Body::PingReq,
    }
    .encode(&mut bytes)
    .unwrap();
    for end in 0..16 {
        let mut start = BytesMut::from(&bytes[..end]);
        assert_eq!(frame::decode(&mut start), Ok(None));
        assert_eq!(start, bytes[..end]);
    }
}

/// A frame of any type and payload.
fn raw(kind: u8, id: u32, payload: &[u8]) -> BytesMut {
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

fn fault(kind: u8, payload: &[u8]) -> String {
    let bad = frame::decode(&mut raw(kind, 5, payload)).unwrap_err();
    assert_eq!(bad.id, if [3, 0xc1].contains(&kind) { 5 } else { NO_ID });
    bad.to_string()
}

#[test]
fn bytes_that_are_no_frame() {
    let mut short = BytesMut::from(&[0, 15, 0xd0][..]);
    let bad = BadFrame {
        id: NO_ID,
        fault: Fault::Size(15),
    };
    assert_eq!(frame::decode(&mut short), Err(bad));
    assert_eq!(fault(85, b""), "invalid frame type 85");
    assert_eq!(fault(0xd0, b"x"), "1 bytes follow the frame's last field");
    assert_eq!(
        fault(0xc1, &[0; 28]),
        "the frame is too short for its tracing"
    );
    assert_eq!(
        fault(1, b"\0\x02\0\0"),
        "missing init frame header host_port"
    );
    let host = b"\0\x02\0\x01\0\x09host_port\0\x011";
    assert_eq!(fault(1, host), "missing init frame header process_name");
    let ttl = "Got an invalid ttl. Expected positive ttl but got 0";
    assert_eq!(fault(3, &[0; 50]), ttl);
    // A call: flags, ttl, tracing, service, then headers and the rest.
    let call = |rest: &[u8]| [&[0, 0, 0, 0, 1][..], &[0; 25], &[0], rest].concat();
    assert_eq!(fault(3, &call(b"\x01\0\0")), "null key");
    assert_eq!(
        fault(3, &call(b"\x02\x01a\0\x01a\0")),
        "duplicate header key a"
    );
    let long = [&b"\x01\x11"[..], &[b'k'; 17], b"\0"].concat();
    let text = "transport header: kkkkkkkkkkkkkkkkk exceeds 16 bytes";
    assert_eq!(fault(3, &call(&long)), text);
    let many = "too many transport headers, got 129, expected at most 128";
    assert_eq!(fault(3, &call(&[129])), many);
    assert_eq!(fault(3, &call(b"\0\x04")), "invalid checksum type 4");
    assert_eq!(
        fault(3, &call(b"\0\0\0\x02x")),
        "the frame is too short for an arg"
    );
    let four = call(b"\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(fault(3, &four), "frame parts exceeded stream arity");
}

#[test]
fn messages_that_cannot_be_put_together() {
    let part = |flags, kind, value, chunks: &'static [u8]| Part {
        flags,
        checksum: Checksum { kind, value },
        chunks: Chunks::new(Bytes::from_static(chunks)).unwrap(),
    };
    let none = ChecksumType::None;
    let begin = |part: Part| Assembly::begin(&part, 10);
    let whole = |part| begin(part).unwrap_err().to_string();
    assert_eq!(
        whole(part(0, none, 0, b"\0\0\0\0")),
        "the message ends after 2 of 3 args"
    );
    let long = b"\0\0\0\0\0\x0b01234567890";
    assert_eq!(
        whole(part(0, none, 0, long)),
        "message length 11 is larger than the limit 10"
    );
    let crc = ChecksumType::Crc32C;
    let text = "invalid checksum (type 3) expected: 7 actual: 0";
    assert_eq!(whole(part(0, crc, 7, b"\0\0\0\0\0\0")), text);
    let then = |next: Part| {
        let Ok(Assembled::Begun(mut assembly)) = begin(part(1, crc, 0, b"\0\0\0\0")) else {
            panic!()
        };
        assembly.add(&next).unwrap_err().to_string()
    };
    assert_eq!(
        then(part(0, none, 0, b"\0\0\0\0")),
        "checksum type changed mid-stream"
    );
    assert_eq!(
        then(part(0, crc, 0, b"\0\0\0\0\0\0")),
        "frame parts exceeded stream arity"
    );
    assert_eq!(
        then(part(0, crc, 0, b"\0\0")),
        "the message ends after 2 of 3 args"
    );
    assert_eq!(
        then(part(0, crc, 0, b"")),
        "the message ends after 2 of 3 args"
    );
    let arg1 = [&16385u16.to_be_bytes()[..], &[b'x'; 16385], &[0; 4]].concat();
    let chunks = Chunks::new(arg1.into()).unwrap();
    let part = Part {
        chunks,
        ..part(0, none, 0, b"")
    };
    let text = Assembly::begin(&part, 1 << 20).unwrap_err().to_string();
    assert_eq!(text, "arg1 length 16385 is larger than the limit 16384");
}

#[test]
fn what_does_not_fit_is_not_encoded() {
    let mut out = BytesMut::from(&b"before"[..]);
    let part = Part {
        flags: 0,
        checksum: Checksum::default(),
        chunks: Chunks::new([&[0xff, 0xff][..], &[0; 65535]].concat().into()).unwrap(),
    };
    let frame = Frame {
        id: 1,
        body: Body::CallReqContinue(part),
    };
    assert_eq!(frame.encode(&mut out), Err(Fault::TooLong));
    assert_eq!(out, "before");
}
