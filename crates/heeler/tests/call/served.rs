//! A channel that answers the calls of a test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use heeler_ringpop::Channel;
use heeler_ringpop::channel::{Builder, Call, ErrorCode, Failure, Headers, Origin, Response};
use heeler_tchannel::frame::{Body, Init};
use heeler_tchannel::scheme::http::{RequestHead, ResponseHead};
use heeler_tchannel::scheme::thrift::{Struct, Type, Value};
use heeler_tchannel::{Frame, Pairs};
use socket2::{Domain, Socket};
use tokio::sync::oneshot;

/// A server on a thread of its own, until it is dropped.
pub struct Served {
    pub address: String,
    seen: Arc<Mutex<[String; 3]>>,
    calls: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An address where nobody listens, nor will: it is held until the test's process ends.
pub fn nobody() -> String {
    let socket = Socket::new(Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address.to_string()
}

/// The address of a peer that shakes hands and says nothing more, until the test's process ends.
pub fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let host_port = address.clone();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, host_port) = (connection.unwrap(), host_port.clone());
            thread::spawn(move || {
                let headers = [
                    ("host_port", host_port.as_str()),
                    ("process_name", "silent"),
                    ("tchannel_language", "rust"),
                    ("tchannel_language_version", "1"),
                    ("tchannel_version", "1"),
                ];
                let headers = Pairs::new(headers);
                let body = Body::InitRes(Init {
                    version: 2,
                    headers,
                });
                let mut hello = [0; 4096];
                connection.read_exact(&mut hello[..16]).unwrap();
                let id = u32::from_be_bytes(hello[4..8].try_into().unwrap());
                let mut bytes = BytesMut::new();
                Frame { id, body }.encode(&mut bytes).unwrap();
                connection.write_all(&bytes).unwrap();
                // Until the other side has enough of it.
                while connection.read(&mut hello).is_ok_and(|n| n > 0) {}
            });
        }
    });
    address
}

impl Served {
    pub fn start() -> Self {
        Served::with(|builder| builder)
    }

    /// As `change` has it.
    pub fn with(change: impl FnOnce(Builder) -> Builder + Send + 'static) -> Self {
        let (started, address) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let seen = Arc::<Mutex<[String; 3]>>::default();
        let calls = Arc::<AtomicUsize>::default();
        let (to_see, to_count) = (seen.clone(), calls.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let builder = change(Channel::builder("served").listen("127.0.0.1:0"));
                let channel = builder.start().await.unwrap();
                serve(&channel, to_see, to_count);
                started.send(channel.host_port().to_owned()).unwrap();
                // An error is the test's end, too.
                let _ = stopped.await;
                channel.close("the test is over", Duration::ZERO).await;
            });
        });
        Served {
            address: address.recv().unwrap(),
            seen,
            calls,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The headers, arg2 and arg3 of the last call of `show`.
    pub fn seen(&self) -> [String; 3] {
        self.seen.lock().unwrap().clone()
    }

    /// How often `count` was called.
    pub fn counted(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap();
        }
    }
}

fn serve(channel: &Channel, seen: Arc<Mutex<[String; 3]>>, calls: Arc<AtomicUsize>) {
    channel
        .service("kv")
        .endpoint("get", async |call| Ok(call.reply(value_of(&call))))
        .endpoint("word", async |call| Ok(call.reply("ok")))
        .endpoint("bytes", async |call| Ok(call.reply(&[0xff][..])))
        .endpoint("nothing", async |call| Ok(call.reply("")))
        .endpoint("numbers", async |call| {
            Ok(call.reply("{\n \"b\": 1.50,\n \"a\": 12345678901234567890\n}"))
        })
        .endpoint("order", async |call| {
            Ok(Response {
                arg2: r#"{"h":1}"#.into(),
                ..call.reply(r#"{"b":[1,"x",null,true],"a":{"é":"√"}}"#)
            })
        })
        .endpoint("error", async |call| {
            let body = r#"{"type":"kv.full","message":"the store is full","limit":7}"#;
            Ok(call.reply(body).error())
        })
        .endpoint("named error", async |call| {
            let body = r#"{"message":"full","name":"FullError","type":"kv.full"}"#;
            Ok(call.reply(body).error())
        })
        .endpoint("fail", async |call| Err(failure(&call)))
        .endpoint("never", async |_| std::future::pending().await)
        .endpoint("show", move |call| {
            *seen.lock().unwrap() = shown(&call);
            async move { Ok(call.reply("{}")) }
        })
        .endpoint("count", move |call| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move { Ok(call.reply("{}")) }
        })
        .endpoint("KV::get", async |call| Ok(thrift_get(&call)))
        .endpoint("KV::put", async |_| Ok(thrift(0, Struct::default())))
        .endpoint("Meta::health", async |_| {
            Ok(thrift(0, Struct::health(true, "")))
        });
    channel.service("sick").endpoint("Meta::health", async |_| {
        Ok(thrift(0, Struct::health(false, "not at all")))
    });
    channel.service("web").fallback(async |call| Ok(web(&call)));
}

fn value_of(call: &Call) -> String {
    let body: serde_json::Value = serde_json::from_slice(call.body()).unwrap();
    serde_json::json!({"value": body["key"]}).to_string()
}

fn failure(call: &Call) -> Failure {
    let name = String::from_utf8_lossy(call.body());
    let code = match name.trim_matches('"') {
        "Timeout" => ErrorCode::Timeout,
        "Cancelled" => ErrorCode::Cancelled,
        "Busy" => ErrorCode::Busy,
        "Declined" => ErrorCode::Declined,
        "Unexpected" => ErrorCode::Unexpected,
        "Network" => ErrorCode::Network,
        "Unhealthy" => ErrorCode::Unhealthy,
        "BadRequest" => ErrorCode::BadRequest,
        name => panic!("no error {name}"),
    };
    Failure {
        code,
        message: format!("said {name}"),
        origin: Origin::Here,
    }
}

fn shown(call: &Call) -> [String; 3] {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let headers = call.request.headers.iter();
    let headers: Vec<String> = headers
        // tcurl's retry flags.
        .filter(|(key, _)| *key != b"re")
        .map(|(key, value)| format!("{}={}", text(key), text(value)))
        .collect();
    [
        headers.join(" "),
        text(&call.request.arg2),
        text(call.body()),
    ]
}

fn thrift(code: u8, answer: Struct) -> Response {
    Response {
        code,
        headers: Headers::THRIFT,
        arg2: Bytes::from_static(&[0, 0]),
        arg3: answer.encode(),
    }
}

/// `Everything get(1: string key) throws (1: Missing missing)`; see `kv.thrift`.
fn thrift_get(call: &Call) -> Response {
    let arguments = Struct::decode(call.body().clone()).unwrap();
    let key = arguments.get(1).unwrap().clone();
    if key.as_str() == Some("nobody") {
        let missing = Value::Struct(Struct::new([(1, key)]));
        return thrift(1, Struct::new([(1, missing)]));
    }
    let mut arg2 = BytesMut::new();
    Pairs::from_bytes(call.request.arg2.clone())
        .unwrap()
        .write(&mut arg2)
        .unwrap();
    let counts = vec![(Value::from("a"), Value::I32(1))];
    let everything = Struct::new([
        (1, key),
        (2, Value::I32(-7)),
        (3, Value::I32(5)),
        (4, Value::Binary(Bytes::from_static(&[0, 255]))),
        (5, Value::Map(Type::Binary, Type::I32, counts)),
        (
            6,
            Value::List(Type::I16, vec![Value::I16(1), Value::I16(2)]),
        ),
        (7, Value::Set(Type::Binary, vec![Value::from("x")])),
        (8, Value::Bool(true)),
        (9, Value::Double(1.5)),
        (10, Value::Struct(Struct::new([(2, Value::I32(3))]))),
    ]);
    Response {
        arg2: arg2.freeze(),
        ..thrift(0, Struct::new([(0, Value::Struct(everything))]))
    }
}

/// Says what was asked.
fn web(call: &Call) -> Response {
    let head = RequestHead::decode(call.request.arg2.clone()).unwrap();
    let found = head.url != "/missing";
    let mut said = [head.method, head.url]
        .map(|b| String::from_utf8(b.to_vec()).unwrap())
        .join(" ");
    for (name, value) in &head.headers.0 {
        let (name, value) = (
            String::from_utf8_lossy(name),
            String::from_utf8_lossy(value),
        );
        said += &format!(" {name}={value}");
    }
    said += &format!(" {}", String::from_utf8_lossy(call.body()));
    let response = ResponseHead {
        status: if found { 200 } else { 404 },
        message: if found { "OK" } else { "Not Found" }.into(),
        headers: Pairs::default(),
    };
    Response {
        code: 0,
        headers: Headers::HTTP,
        arg2: response.encode().unwrap(),
        arg3: said.into(),
    }
}
