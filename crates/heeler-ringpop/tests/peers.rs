//! Channels against tchannel-node, tcurl and Python's tchannel. `.ci/peers` installs them.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use heeler_ringpop::channel::{
    Channel, ChecksumType, ErrorCode, Failure, Headers, Origin, Request, Response, Span, Tracing,
};
use heeler_tchannel::scheme::{http, thrift::Struct};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

fn peers() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let peers = root.join("target/peers");
    for needed in [
        "node_modules/tchannel",
        "node_modules/tcurl",
        "python/bin/python",
    ] {
        assert!(
            peers.join(needed).exists(),
            "{needed} is not there: run .ci/peers"
        );
    }
    peers
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers")
        .join(name)
}

fn node(name: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(script(name))
        .env("NODE_PATH", peers().join("node_modules"))
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command) -> Output {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(PATIENCE, output)
        .await
        .expect("it ends")
        .expect("it starts")
}

async fn succeeds(command: Command) -> String {
    let output = run(command).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What the peers' scripts call.
async fn server() -> Channel {
    let server = Channel::builder("server")
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    server
        .service("test")
        .endpoint("echo", async |call| {
            let arg2 = call.request.arg2.clone();
            Ok(Response {
                arg2,
                ..call.reply(call.body().clone())
            })
        })
        .endpoint("json", async |call| {
            let body: Value = serde_json::from_slice(call.body()).unwrap();
            let arg2 = call.request.arg2.clone();
            Ok(Response {
                arg2,
                ..call.reply(json!({"got": body}).to_string())
            })
        })
        .endpoint("json error", async |call| {
            let body = json!({"type": "test.error", "message": "what went wrong"});
            Ok(call.reply(body.to_string()).error())
        })
        .endpoint("Meta::health", async |_| {
            Ok(Response::thrift(&Struct::health(true, "fine")))
        })
        .endpoint("busy", async |_| {
            Err(Failure::here(ErrorCode::Busy, "not now"))
        })
        .endpoint("never", async |_| std::future::pending().await);
    server.service("web").fallback(async |call| {
        let asked = http::RequestHead::decode(call.request.arg2.clone()).unwrap();
        let head = http::ResponseHead {
            status: 203,
            ..Default::default()
        };
        let (headers, arg2) = (Headers::HTTP, head.encode().unwrap());
        let (method, body) = (text(&asked.method), text(call.body()));
        let arg3 = format!("{method} {} {body}", asked.url.len()).into();
        Ok(Response {
            code: 0,
            headers,
            arg2,
            arg3,
        })
    });
    server
}

#[tokio::test]
async fn tchannel_node_calls_us() {
    let server = server().await;
    let mut command = node("client.js");
    command.arg(server.host_port());
    succeeds(command).await;
    let counters = server.counters();
    assert_eq!(counters.protocol_errors, 0, "{counters:?}");
    assert_eq!(counters.connections_accepted, 1, "{counters:?}");
}

#[tokio::test]
async fn pythons_tchannel_calls_us() {
    let server = server().await;
    let mut command = Command::new(peers().join("python/bin/python"));
    command.arg(script("client.py")).arg(server.host_port());
    succeeds(command).await;
    let counters = server.counters();
    assert_eq!(counters.protocol_errors, 0, "{counters:?}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn tcurl(server: &Channel, args: &[&str]) -> Output {
    let mut command = Command::new(peers().join("node_modules/.bin/tcurl"));
    command
        .args(["-p", server.host_port(), "--timeout", "3000"])
        .args(args);
    run(command).await
}

#[tokio::test]
async fn tcurl_calls_us() {
    let server = server().await;
    let put = tcurl(&server, &["test", "json", "-3", r#"{"key":"foo"}"#]).await;
    let answer: Value = serde_json::from_str(text(&put.stdout).trim()).unwrap();
    assert_eq!((put.status.code(), &answer["ok"]), (Some(0), &json!(true)));
    assert_eq!(answer["body"], json!({"got": {"key": "foo"}}));
    let raw = tcurl(&server, &["test", "echo", "-3", "body", "--raw"]).await;
    assert!(text(&raw.stdout).contains("body"), "{raw:?}");
    let nope = tcurl(&server, &["test", "nope", "-3", "{}"]).await;
    assert_ne!(nope.status.code(), Some(0));
    let said = text(&nope.stdout) + &text(&nope.stderr);
    assert!(said.contains("no such endpoint service"), "{said}");
}

#[tokio::test]
async fn tcurl_asks_for_our_health() {
    let server = server().await;
    let healthy = tcurl(&server, &["test", "--health"]).await;
    let said = text(&healthy.stdout);
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    assert!(said.contains("OK") && !said.contains("NOT OK"), "{said}");
}

#[tokio::test]
async fn tcurl_speaks_http_with_us() {
    let server = server().await;
    // Longer than the seven bits of a length's first byte.
    let url = format!("/{}", "u".repeat(299));
    let put = tcurl(
        &server,
        &["web", &url, "--http", "PUT", "-2", "{}", "-3", r#""body""#],
    )
    .await;
    let said = text(&put.stderr);
    assert!(
        said.contains("203") && said.contains("PUT 300 body"),
        "{put:?}"
    );
}

/// A tchannel-node server, killed on drop.
struct Node {
    _process: Child,
    host_port: String,
}

impl Node {
    async fn start() -> Self {
        let mut process = node("server.js").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        Node {
            host_port: line.expect("the address"),
            _process: process,
        }
    }
}

fn request(endpoint: &'static str, body: impl Into<bytes::Bytes>) -> Request {
    Request::raw("test", "tests", endpoint, body)
}

async fn ask(channel: &Channel, node: &Node, request: Request) -> Value {
    let answer = channel
        .call(&node.host_port, request, PATIENCE)
        .await
        .unwrap();
    serde_json::from_slice(&answer.arg3).unwrap()
}

#[tokio::test]
async fn we_call_tchannel_node() {
    let (node, ours) = (Node::start().await, server().await);
    let call = |request| ours.call(&node.host_port, request, PATIENCE);
    // Lengths around the ends of frames, where args are closed in the next.
    let around = (65_535 - 80)..(65_535 + 10);
    for length in [0, 1].into_iter().chain(around).chain([200_000, 1_000_000]) {
        let body = vec![b'x'; length];
        let echo = Request {
            arg2: "head".into(),
            ..request("echo", body.clone())
        };
        let answer = call(echo).await.unwrap();
        assert!(answer.arg3 == body && answer.arg2 == "head", "{length}");
    }
    let failed = call(request("fail", "")).await.unwrap();
    assert_eq!(
        (failed.is_ok(), &failed.arg3[..]),
        (false, &b"what went wrong"[..])
    );
    let failures = [
        ("refuse", ErrorCode::Declined, "not now"),
        (
            "nope",
            ErrorCode::BadRequest,
            "no such endpoint service=\"test\" endpoint=\"nope\"",
        ),
    ];
    for (endpoint, code, message) in failures {
        let failure = call(request(endpoint, "")).await.unwrap_err();
        let expected = Failure {
            code,
            message: message.into(),
            origin: Origin::Peer,
        };
        assert_eq!(failure, expected);
    }
    let health = Request::thrift("test", "tests", "Meta::health", &Struct::default());
    let answer = call(health).await.unwrap();
    let result = Struct::decode(answer.arg3).unwrap();
    assert_eq!(
        result.to_json(),
        json!({"0": {"rec": {"1": {"tf": true}, "2": {"str": "fine"}}}})
    );
    let asked = Request::json("test", "tests", "json", r#"{"a":1}"#);
    assert_eq!(ask(&ours, &node, asked).await, json!({"got": {"a": 1}}));
}

#[tokio::test]
async fn what_tchannel_node_sees_of_our_calls() {
    let (node, ours) = (Node::start().await, server().await);
    for (kind, number) in [
        (ChecksumType::None, 0),
        (ChecksumType::Crc32, 1),
        (ChecksumType::Crc32C, 3),
    ] {
        let asked = Request {
            checksum: kind,
            ..request("about", "")
        };
        assert_eq!(ask(&ours, &node, asked).await["checksum"], number);
    }
    let tracing = Tracing {
        span: 1,
        parent: 2,
        trace: 3,
        flags: 0,
    };
    let asked = Request {
        span: Span::ChildOf(tracing),
        ..request("about", "")
    };
    let about = ask(&ours, &node, asked).await;
    assert_eq!(about["caller"], "tests");
    assert_eq!(about["from"], ours.host_port());
    assert_eq!(about["trace"], "0000000000000003");
    assert_eq!(about["parent"], "0000000000000001");
    assert_eq!(about["connections"], json!(["in"]));
    assert!(about["timeout"].as_u64().unwrap() <= 30_000, "{about}");
}

#[tokio::test]
async fn tchannel_node_calls_back_over_our_connection() {
    let (node, ours) = (Node::start().await, server().await);
    for length in [1, 200_000] {
        let body = vec![b'x'; length];
        let asked = request("call back", body.clone());
        let answer = ours.call(&node.host_port, asked, PATIENCE).await.unwrap();
        assert!(answer.is_ok() && answer.arg3 == body, "{answer:?}");
    }
    let counters = ours.counters();
    assert_eq!(
        (counters.connections, counters.connections_accepted),
        (1, 0)
    );
    assert_eq!(counters.calls_in, 2);
}

#[tokio::test]
async fn time_and_cancels_against_tchannel_node() {
    let (node, ours) = (Node::start().await, server().await);
    let short = Duration::from_millis(200);
    let late = ours
        .call(&node.host_port, request("never", ""), short)
        .await
        .unwrap_err();
    assert_eq!(late.code, ErrorCode::Timeout);
    let given_up = ours.call(&node.host_port, request("never", ""), PATIENCE);
    assert!(timeout(short, given_up).await.is_err());
    while ours.counters().calls_cancelled == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    // It ignores the cancel, and lives.
    assert!(
        ours.call(&node.host_port, request("echo", "x"), PATIENCE)
            .await
            .is_ok()
    );
}

// The same bytes to both: the same answer.

fn frame(kind: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let size = (16 + payload.len()) as u16;
    [
        &size.to_be_bytes()[..],
        &[kind, 0],
        &id.to_be_bytes(),
        &[0; 8],
        payload,
    ]
    .concat()
}

fn init(host_port: &str) -> Vec<u8> {
    let pair = |key: &str, value: &str| {
        let length = |text: &str| (text.len() as u16).to_be_bytes();
        [
            &length(key),
            key.as_bytes(),
            &length(value),
            value.as_bytes(),
        ]
        .concat()
    };
    let pairs = [pair("host_port", host_port), pair("process_name", "x")].concat();
    frame(1, 1, &[&b"\0\x02\0\x02"[..], &pairs].concat())
}

/// A call, but for its checksum's bytes.
fn call(ttl: u32, service: &str, headers: &[u8], rest: &[u8]) -> Vec<u8> {
    let tracing: Vec<u8> = (1..26).collect();
    let service = [&[service.len() as u8], service.as_bytes()].concat();
    frame(
        3,
        9,
        &[
            &[0][..],
            &ttl.to_be_bytes(),
            &tracing,
            &service,
            headers,
            rest,
        ]
        .concat(),
    )
}

/// The first frame that comes back after the handshake, and whether the connection then ends.
async fn says(host_port: &str, handshake: bool, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut socket = TcpStream::connect(host_port).await.unwrap();
    if handshake {
        socket.write_all(&init("0.0.0.0:0")).await.unwrap();
        assert_eq!(next_frame(&mut socket).await[2], 2);
    }
    socket.write_all(bytes).await.unwrap();
    let said = next_frame(&mut socket).await;
    // A ping finds out whether it goes on.
    let _ = socket.write_all(&frame(0xd0, 77, b"")).await;
    (said, next_frame(&mut socket).await.is_empty())
}

async fn next_frame(socket: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let mut size = [0; 2];
        socket.read_exact(&mut size).await.ok()?;
        let mut frame = vec![0; usize::from(u16::from_be_bytes(size))];
        frame[..2].copy_from_slice(&size);
        socket.read_exact(&mut frame[2..]).await.ok()?;
        Some(frame)
    };
    timeout(PATIENCE, read)
        .await
        .expect("a frame or the end")
        .unwrap_or_default()
}

/// What is wrong, whether after the handshake, and the bytes.
fn faults() -> Vec<(&'static str, bool, Vec<u8>)> {
    let good = b"\x02\x02as\x03raw\x02cn\x01x";
    let args = b"\x00\0\x04echo\0\0\0\x01b";
    let long_key = [&b"\x01\x11"[..], &[b'k'; 17], b"\0"].concat();
    let many = (0..129u8).flat_map(|i| [2, b'a' + i / 16, b'a' + i % 16, 0]);
    let many: Vec<u8> = [129].into_iter().chain(many).collect();
    vec![
        ("a good call", true, call(1000, "test", good, args)),
        ("no such service", true, call(1000, "other", good, args)),
        (
            "no such endpoint",
            true,
            call(1000, "test", good, b"\x00\0\x02no\0\0\0\0"),
        ),
        ("no as", true, call(1000, "test", b"\x01\x02cn\x01x", args)),
        (
            "no cn",
            true,
            call(1000, "test", b"\x01\x02as\x03raw", args),
        ),
        ("no headers", true, call(1000, "test", b"\0", args)),
        (
            "CRC-32",
            true,
            call(1000, "test", good, b"\x01\0\0\0\x07\0\x04echo\0\0\0\x01b"),
        ),
        (
            "CRC-32C",
            true,
            call(1000, "test", good, b"\x03\0\0\0\x07\0\x04echo\0\0\0\x01b"),
        ),
        ("a ping", true, frame(0xd0, 5, b"")),
        ("an unknown type", true, frame(85, 5, b"")),
        ("a ttl of 0", true, call(0, "test", good, args)),
        (
            "a long name of a header",
            true,
            call(1000, "test", &long_key, args),
        ),
        ("too many headers", true, call(1000, "test", &many, args)),
        (
            "two headers of one name",
            true,
            call(1000, "test", b"\x02\x01a\0\x01a\0", args),
        ),
        (
            "a header without a name",
            true,
            call(1000, "test", b"\x01\0\0", args),
        ),
        (
            "no process_name",
            false,
            frame(1, 1, b"\0\x02\0\x01\0\x09host_port\0\x090.0.0.0:0"),
        ),
        ("a call before init", false, call(1000, "test", good, args)),
        ("a second init", true, init("0.0.0.0:0")),
    ]
}

#[tokio::test]
async fn faults_are_answered_as_tchannel_node_answers_them() {
    let (node, ours) = (Node::start().await, server().await);
    let mut differ = Vec::new();
    for (what, handshake, bytes) in faults() {
        let theirs = says(&node.host_port, handshake, &bytes).await;
        let we = says(ours.host_port(), handshake, &bytes).await;
        if we != theirs {
            let text = |(frame, ends): &(Vec<u8>, bool)| {
                let ends = if *ends { ", and the end" } else { "" };
                format!("{}{ends}", frame.escape_ascii())
            };
            differ.push(format!(
                "{what}\n  here  {}\n  there {}",
                text(&we),
                text(&theirs)
            ));
        }
    }
    assert!(differ.is_empty(), "\n{}", differ.join("\n"));
}
