//! Frames captured from tchannel-node: they say what `captures.txt` says they say, and are encoded
//! to the same bytes.

use bytes::BytesMut;
use heeler_tchannel::checksum::Checksum;
use heeler_tchannel::fragment::{Assembled, Assembly, Head, write_message};
use heeler_tchannel::frame::{self, Body, Frame, Part};
use heeler_tchannel::{ChecksumType, Headers, Pairs};
use serde_json::{Value, json};

struct Capture {
    name: &'static str,
    says: Value,
    bytes: Vec<u8>,
}

fn captures() -> Vec<Capture> {
    let text = include_str!("captures.txt");
    let capture = |block: &'static str| {
        let mut lines = block.lines();
        let name = lines.next().unwrap();
        let says = serde_json::from_str(lines.next().unwrap()).unwrap();
        let hex = lines.next().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        Capture {
            name,
            says,
            bytes: (0..hex.len()).step_by(2).map(byte).collect(),
        }
    };
    let captures: Vec<_> = text.split("== ").skip(1).map(capture).collect();
    assert_eq!(captures.len(), 73);
    captures
}

fn decode(capture: &Capture) -> Frame {
    let mut bytes = BytesMut::from(&capture.bytes[..]);
    let frame = frame::decode(&mut bytes).unwrap().unwrap();
    assert!(bytes.is_empty(), "{}", capture.name);
    frame
}

#[test]
fn frames_say_what_they_say() {
    for capture in captures() {
        let mut says = describe(&decode(&capture));
        says["size"] = capture.bytes.len().into();
        assert_eq!(says, capture.says, "{}", capture.name);
    }
}

#[test]
fn frames_are_encoded_to_the_same_bytes() {
    for capture in captures() {
        let mut bytes = BytesMut::new();
        decode(&capture).encode(&mut bytes).unwrap();
        assert_eq!(bytes, capture.bytes, "{}", capture.name);
    }
}

#[test]
fn messages_are_written_in_the_same_bytes() {
    for capture in captures() {
        let Frame { id, body } = decode(&capture);
        let (head, part) = match &body {
            Body::CallReq(call) => {
                let (ttl, tracing) = (call.ttl, call.tracing);
                let (service, headers) = (&call.service[..], &call.headers);
                (
                    Head::Call {
                        ttl,
                        tracing,
                        service,
                        headers,
                    },
                    &call.part,
                )
            }
            Body::CallRes(call) => {
                let (code, tracing, headers) = (call.code, call.tracing, &call.headers);
                (
                    Head::Answer {
                        code,
                        tracing,
                        headers,
                    },
                    &call.part,
                )
            }
            _ => continue,
        };
        let Assembled::Whole(args) = Assembly::begin(part, 1 << 20).unwrap() else {
            panic!()
        };
        let mut bytes = BytesMut::new();
        let args = [&args[0][..], &args[1], &args[2]];
        write_message(&mut bytes, id, head, args, ChecksumType::Crc32C, 65535);
        assert_eq!(bytes, capture.bytes, "{}", capture.name);
    }
}

fn describe(frame: &Frame) -> Value {
    let mut says = match &frame.body {
        Body::InitReq(init) => json!({
            "type": "init req", "version": init.version, "headers": pairs(&init.headers),
        }),
        Body::InitRes(init) => json!({
            "type": "init res", "version": init.version, "headers": pairs(&init.headers),
        }),
        Body::CallReq(call) => json!({
            "type": "call req", "ttl": call.ttl, "tracing": hex(&call.tracing.to_bytes()),
            "service": text(&call.service), "headers": headers(&call.headers),
            "part": part(&call.part),
        }),
        Body::CallRes(call) => json!({
            "type": "call res", "code": call.code, "tracing": hex(&call.tracing.to_bytes()),
            "headers": headers(&call.headers), "part": part(&call.part),
        }),
        Body::Error(error) => json!({
            "type": "error", "code": error.code.to_wire(),
            "tracing": hex(&error.tracing.to_bytes()), "message": text(&error.message),
        }),
        body => panic!("{body:?} was not captured"),
    };
    let says = says.as_object_mut().unwrap();
    if let Some(Value::Object(part)) = says.remove("part") {
        says.extend(part);
    }
    says.insert("id".into(), frame.id.into());
    Value::Object(says.clone())
}

fn part(part: &Part) -> Value {
    let Checksum { kind, value } = part.checksum;
    let args: Vec<String> = part.chunks.iter().map(|chunk| text(&chunk)).collect();
    json!({
        "flags": part.flags, "csumtype": kind.to_wire(), "csum": format!("{value:08x}"),
        "args": args,
    })
}

fn headers(headers: &Headers) -> Value {
    headers
        .iter()
        .map(|(k, v)| (text(k), Value::from(text(v))))
        .collect()
}

fn pairs(pairs: &Pairs) -> Value {
    pairs
        .0
        .iter()
        .map(|(k, v)| (text(k), Value::from(text(v))))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
