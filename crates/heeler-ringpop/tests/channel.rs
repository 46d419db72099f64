//! Channels against one another and against hostile bytes, over real sockets.

#[path = "channel/held.rs"]
mod held;
#[path = "channel/tls.rs"]
mod tls;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use heeler_ringpop::channel::{
    Builder, Channel, ErrorCode, Event, Failure, Limits, Origin, Request, Response,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

fn builder(name: &str) -> Builder {
    Channel::builder(name).listen("127.0.0.1:0")
}

/// A channel that serves `echo`, which answers what it got, and some that do otherwise.
async fn server(builder: Builder) -> Channel {
    let server = builder.start().await.unwrap();
    server
        .service("test")
        .endpoint("echo", async |call| Ok(call.reply(call.body().clone())))
        .endpoint("later", async |call| {
            sleep(Duration::from_millis(20)).await;
            Ok(call.reply(call.body().clone()))
        })
        .endpoint("never", async |_| pending().await)
        .endpoint("refuse", async |_| {
            Err(Failure::here(ErrorCode::Declined, "not now"))
        })
        .endpoint("fail", async |_| Ok(Response::json("{}").error()))
        .endpoint("panic", async |_| panic!("a handler's fault"))
        .endpoint("panic later", async |_| {
            tokio::task::yield_now().await;
            panic!("a handler's fault")
        })
        .endpoint("large", async |_| Ok(Response::raw(vec![7; 1 << 20])));
    server
}

async fn client() -> Channel {
    Channel::builder("client").start().await.unwrap()
}

fn request(endpoint: &'static str, body: impl Into<bytes::Bytes>) -> Request {
    Request::raw("test", "tests", endpoint, body)
}

async fn call(from: &Channel, to: &Channel, endpoint: &'static str) -> Result<Response, Failure> {
    from.call(to.host_port(), request(endpoint, "body"), PATIENCE)
        .await
}

/// Waits until something holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let holds = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, holds)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn answers_and_errors_of_all_kinds() {
    let (server, client) = (server(builder("server")).await, client().await);
    assert_eq!(call(&client, &server, "echo").await.unwrap().arg3, "body");
    assert_eq!(call(&client, &server, "later").await.unwrap().arg3, "body");
    let failed = call(&client, &server, "fail").await.unwrap();
    assert!(!failed.is_ok());
    let cases = [
        ("refuse", ErrorCode::Declined, "not now"),
        ("panic", ErrorCode::Unexpected, "the handler panicked"),
        ("panic later", ErrorCode::Unexpected, "the handler panicked"),
        (
            "nope",
            ErrorCode::BadRequest,
            "no such endpoint service=\"test\" endpoint=\"nope\"",
        ),
    ];
    for (endpoint, code, message) in cases {
        let failure = call(&client, &server, endpoint).await.unwrap_err();
        let expected = Failure {
            code,
            message: message.into(),
            origin: Origin::Peer,
        };
        assert_eq!(failure, expected, "{endpoint}");
    }
    let other = Request::raw("other", "tests", "echo", "");
    let failure = client
        .call(server.host_port(), other, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(failure.message, "unknown service other");
    assert_eq!(server.counters().connections, 1);
}

#[tokio::test]
async fn a_fallback_answers_what_has_no_endpoint() {
    let (server, client) = (server(builder("server")).await, client().await);
    server
        .service("test")
        .fallback(async |call| Ok(call.reply(call.endpoint().to_vec())));
    assert_eq!(
        call(&client, &server, "anything").await.unwrap().arg3,
        "anything"
    );
    assert_eq!(call(&client, &server, "echo").await.unwrap().arg3, "body");
}

#[tokio::test]
async fn bodies_over_many_frames_both_ways() {
    let (server, client) = (server(builder("server")).await, client().await);
    for length in [0, 65_000, 65_535, 65_536, 200_000, 10_000_000] {
        let body: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let echo = request("echo", body.clone());
        let answer = client
            .call(server.host_port(), echo, PATIENCE)
            .await
            .unwrap();
        assert!(answer.arg3 == body, "{length}");
    }
    let long = request("echo", vec![0; 17 << 20]);
    let failure = client
        .call(server.host_port(), long, PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code, failure.origin),
        (ErrorCode::BadRequest, Origin::Here)
    );
}

async fn many_calls_at_once() {
    let (server, client) = (server(builder("server")).await, client().await);
    let calls: Vec<_> = (0..2000)
        .map(|i| {
            let peer = client.peer(server.host_port());
            let endpoint = if i % 3 == 0 { "later" } else { "echo" };
            let call = async move { peer.call(request(endpoint, i.to_string()), PATIENCE).await };
            tokio::spawn(call)
        })
        .collect();
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap().arg3, i.to_string());
    }
    let (ours, theirs) = (client.counters(), server.counters());
    assert_eq!((ours.calls_out, theirs.calls_in), (2000, 2000));
    assert_eq!(
        (ours.connections_dialled, theirs.connections_accepted),
        (1, 1)
    );
    assert_eq!(ours.bytes_out, theirs.bytes_in);
}

#[tokio::test]
async fn many_calls_at_once_on_one_thread() {
    many_calls_at_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_calls_at_once_on_many_threads() {
    many_calls_at_once().await;
}

#[tokio::test]
async fn one_connection_carries_the_calls_of_both() {
    let (one, other) = (server(builder("one")).await, server(builder("other")).await);
    call(&one, &other, "echo").await.unwrap();
    call(&other, &one, "echo").await.unwrap();
    assert_eq!(other.counters().connections_dialled, 0);
    assert_eq!(
        (one.counters().connections, other.counters().connections),
        (1, 1)
    );
    assert_eq!(other.connections()[0].host_port, one.host_port());
    // One that does not listen is called at its socket's address.
    let client = client().await;
    client
        .service("test")
        .endpoint("echo", async |call| Ok(call.reply("from a client")));
    call(&client, &one, "echo").await.unwrap();
    let ephemeral = one
        .connections()
        .into_iter()
        .find(|r| r.peer.is_ephemeral())
        .unwrap();
    let answer = one
        .call(&ephemeral.host_port, request("echo", ""), PATIENCE)
        .await
        .unwrap();
    assert_eq!(answer.arg3, "from a client");
}

#[tokio::test]
async fn a_peer_of_two_names_has_one_connection() {
    let (server, client) = (server(builder("server")).await, client().await);
    let port = server.local_addr().unwrap().port();
    for name in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
        client
            .call(&name, request("echo", ""), PATIENCE)
            .await
            .unwrap();
    }
    assert_eq!(
        (client.counters().connections_dialled, client.known_peers()),
        (1, 2)
    );
    server.close("done", PATIENCE).await;
    eventually("both names are forgotten", || client.known_peers() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_dial_each_other_at_once() {
    for _ in 0..20 {
        let (one, other) = (server(builder("one")).await, server(builder("other")).await);
        let calls = tokio::join!(call(&one, &other, "echo"), call(&other, &one, "echo"));
        assert!(calls.0.is_ok() && calls.1.is_ok(), "{calls:?}");
        let calls = tokio::join!(call(&one, &other, "later"), call(&other, &one, "later"));
        assert!(calls.0.is_ok() && calls.1.is_ok(), "{calls:?}");
        assert!(one.counters().connections <= 2);
    }
}

/// Tells when it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn dropping_a_call_cancels_it_and_drops_its_handler() {
    let (server, client) = (server(builder("server")).await, client().await);
    let (sender, mut dropped) = mpsc::unbounded_channel();
    let begun = Arc::new(Semaphore::new(0));
    let told = begun.clone();
    server.service("test").endpoint("wait", move |_| {
        let (dropped, begun) = (Dropped(sender.clone()), told.clone());
        async move {
            begun.add_permits(1);
            pending::<()>().await;
            drop(dropped);
            unreachable!()
        }
    });
    let waiting = async {
        begun.acquire().await.unwrap().forget();
    };
    tokio::select! {
        answer = call(&client, &server, "wait") => panic!("{answer:?}"),
        () = waiting => {}
    }
    timeout(PATIENCE, dropped.recv()).await.unwrap();
    assert_eq!(client.counters().calls_cancelled, 1);
    assert_eq!(server.counters().calls_dropped, 1);
    // The connection lives.
    assert!(call(&client, &server, "echo").await.is_ok());
    // One whose time is up is dropped, too.
    let short = Duration::from_millis(30);
    let late = client
        .call(server.host_port(), request("wait", ""), short)
        .await
        .unwrap_err();
    assert_eq!(late.code, ErrorCode::Timeout);
    assert!(
        late.message.starts_with("request timed out after "),
        "{late}"
    );
    timeout(PATIENCE, dropped.recv()).await.unwrap();
}

#[tokio::test]
async fn a_call_passes_its_deadline_on() {
    let back = server(builder("back")).await;
    let front = builder("front").start().await.unwrap();
    let (relay, to) = (front.clone(), back.host_port().to_owned());
    front.service("test").fallback(move |call| {
        let (relay, to) = (relay.clone(), to.clone());
        async move { relay.call_until(&to, call.request, call.deadline).await }
    });
    let client = client().await;
    assert_eq!(call(&client, &front, "echo").await.unwrap().arg3, "body");
    let short = Duration::from_millis(100);
    let late = client
        .call(front.host_port(), request("never", ""), short)
        .await
        .unwrap_err();
    assert_eq!(late.code, ErrorCode::Timeout);
    eventually("the call further on is dropped", || {
        back.counters().calls_dropped == 1
    })
    .await;
    front.close("done", PATIENCE).await;
}

#[tokio::test]
async fn nobody_there() {
    let client = Channel::builder("client").connect_timeout(Duration::from_millis(100));
    let client = client.start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    let failure = client
        .call(&silent, request("echo", ""), PATIENCE)
        .await
        .unwrap_err();
    let message = format!("cannot connect to {silent}: no connection within 100ms");
    assert_eq!(failure, Failure::here(ErrorCode::Network, message));
    let failure = client
        .call(&held::address(), request("echo", ""), PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(failure.code, ErrorCode::Network);
    assert!(failure.message.contains("refused"), "{failure}");
    let failure = client
        .call("nonsense", request("echo", ""), PATIENCE)
        .await
        .unwrap_err();
    assert!(
        failure.message.starts_with("cannot connect to nonsense: "),
        "{failure}"
    );
    // Nothing is kept of those that were not there.
    assert_eq!(client.known_peers(), 0);
    eventually("all are closed", || client.counters().connections == 0).await;
}

#[tokio::test]
async fn callers_that_wait_for_a_connection_share_its_failure() {
    let patience = Duration::from_millis(200);
    let client = Channel::builder("client")
        .connect_timeout(patience)
        .start()
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (client, silent) = (client.clone(), silent.clone());
            tokio::spawn(async move { client.call(&silent, request("echo", ""), PATIENCE).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code, ErrorCode::Network);
    }
    assert_eq!(client.counters().connections_failed, 1);
}

#[tokio::test]
async fn a_peer_that_comes_back_is_called_again() {
    let address = held::address();
    let serve = || server(Channel::builder("server").listen(&address));
    let (first, client) = (serve().await, client().await);
    call(&client, &first, "echo").await.unwrap();
    first.close("restart", PATIENCE).await;
    let second = serve().await;
    assert_eq!(call(&client, &second, "echo").await.unwrap().arg3, "body");
    assert_eq!(client.counters().connections_dialled, 2);
}

#[tokio::test]
async fn calls_too_many_are_told_busy() {
    let limits = Limits {
        inbound_calls: 2,
        ..Limits::default()
    };
    let server = server(builder("server").limits(limits)).await;
    let limits = Limits {
        outbound_calls: 4,
        ..Limits::default()
    };
    let client = Channel::builder("client")
        .limits(limits)
        .start()
        .await
        .unwrap();
    let busy = Arc::new(AtomicUsize::new(0));
    for _ in 0..6 {
        let (client, to, busy) = (client.clone(), server.host_port().to_owned(), busy.clone());
        tokio::spawn(async move {
            let failure = client
                .call(&to, request("never", ""), PATIENCE)
                .await
                .unwrap_err();
            assert_eq!(failure.code, ErrorCode::Busy);
            busy.fetch_add(1, SeqCst);
        });
    }
    eventually("four are told, here or there", || busy.load(SeqCst) == 4).await;
    assert_eq!(server.counters().calls_in, 2);
}

#[tokio::test]
async fn a_close_answers_what_is_in_flight_and_declines_what_is_new() {
    let (server, client) = (server(builder("server")).await, client().await);
    let begun = Arc::new(Semaphore::new(0));
    let go = Arc::new(Semaphore::new(0));
    let (told, wait) = (begun.clone(), go.clone());
    server.service("test").endpoint("wait", move |call| {
        let (begun, go) = (told.clone(), wait.clone());
        async move {
            begun.add_permits(1);
            go.acquire().await.unwrap().forget();
            Ok(call.reply("after all"))
        }
    });
    let in_flight = tokio::spawn({
        let (client, server) = (client.clone(), server.clone());
        async move { call(&client, &server, "wait").await }
    });
    begun.acquire().await.unwrap().forget();
    let closing = tokio::spawn({
        let server = server.clone();
        async move { server.close("going away", PATIENCE).await }
    });
    let to = server.host_port().to_owned();
    let declined = async {
        loop {
            let call = client.call(&to, request("echo", ""), PATIENCE);
            match call.await {
                Ok(_) => sleep(Duration::from_millis(1)).await,
                Err(failure) => return failure,
            }
        }
    };
    let declined = timeout(PATIENCE, declined).await.unwrap();
    // Over the draining connection, or for want of another.
    assert!(
        matches!(declined.code, ErrorCode::Declined | ErrorCode::Network),
        "{declined}"
    );
    go.add_permits(1);
    assert_eq!(in_flight.await.unwrap().unwrap().arg3, "after all");
    closing.await.unwrap();
    assert_eq!(server.counters().connections, 0);
}

#[tokio::test]
async fn a_close_does_not_wait_for_ever() {
    let (server, client) = (server(builder("server")).await, client().await);
    let stuck = tokio::spawn({
        let (client, server) = (client.clone(), server.clone());
        async move { call(&client, &server, "never").await }
    });
    eventually("it is called", || server.counters().calls_in == 1).await;
    server.close("enough", Duration::from_millis(50)).await;
    let failure = stuck.await.unwrap().unwrap_err();
    assert_eq!(failure.code, ErrorCode::Network);
    let after = client.call("127.0.0.1:1", request("echo", ""), PATIENCE);
    client.close("done", PATIENCE).await;
    let failure = after.await.unwrap_err();
    assert!(
        failure.message.ends_with("the channel is closed"),
        "{failure}"
    );
}

#[tokio::test]
async fn connections_are_told_of() {
    let server = server(builder("server")).await;
    let mut events = server.events();
    let client = client().await;
    call(&client, &server, "echo").await.unwrap();
    let Event::Connected(remote) = events.recv().await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (&remote.peer.process_name[..], remote.dialled),
        ("client", false)
    );
    client.close("done", PATIENCE).await;
    let Event::Disconnected {
        remote: Some(gone),
        reason,
        ..
    } = events.recv().await.unwrap()
    else {
        panic!()
    };
    assert_eq!(
        (gone, &reason[..]),
        (remote, "the peer closed the connection")
    );
}

#[tokio::test]
async fn connections_are_bounded() {
    let server = server(builder("server").inbound_connections(2)).await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(TcpStream::connect(server.host_port()).await.unwrap());
    }
    let mut last = sockets.pop().unwrap();
    assert_eq!(last.read(&mut [0; 1]).await.unwrap_or(0), 0);
    drop(sockets);
    let client = client().await;
    eventually("there is room again", || server.counters().connections == 0).await;
    call(&client, &server, "echo").await.unwrap();
}

#[tokio::test]
async fn all_interfaces_need_an_address_to_advertise() {
    let error = Channel::builder("x")
        .listen("0.0.0.0:0")
        .start()
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().ends_with("needs an address to advertise"),
        "{error}"
    );
    let named = Channel::builder("x")
        .listen("0.0.0.0:0")
        .advertise("10.0.0.1:3000");
    let named = named.start().await.unwrap();
    assert_eq!(named.host_port(), "10.0.0.1:3000");
    let taken = Channel::builder("x").listen(named.local_addr().unwrap().to_string());
    let error = taken.start().await.err().unwrap().to_string();
    assert!(error.starts_with("cannot listen on 0.0.0.0:"), "{error}");
}

// Hostile bytes.

/// A socket whose handshake is done.
async fn raw(server: &Channel) -> TcpStream {
    let mut socket = TcpStream::connect(server.host_port()).await.unwrap();
    let init = b"\0\x02\0\x02\0\x09host_port\0\x090.0.0.0:0\0\x0cprocess_name\0\x01x";
    socket.write_all(&frame(1, init)).await.unwrap();
    let mut size = [0; 2];
    socket.read_exact(&mut size).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes(size)) - 2];
    socket.read_exact(&mut rest).await.unwrap();
    assert_eq!(rest[0], 2, "an init response");
    socket
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = (16 + payload.len()) as u16;
    [
        &size.to_be_bytes()[..],
        &[kind, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0],
        payload,
    ]
    .concat()
}

#[tokio::test]
async fn hostile_bytes_end_their_connection_and_nothing_else() {
    let (server, client) = (server(builder("server")).await, client().await);
    let http = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    for (bytes, error) in [
        (
            frame(85, b""),
            &b"tchannel read failure: invalid frame type 85"[..],
        ),
        (
            frame(3, b"short"),
            b"tchannel read failure: the frame is too short",
        ),
        (
            b"\0\0\0\0".to_vec(),
            b"tchannel read failure: invalid frame size 0",
        ),
    ] {
        let mut socket = raw(&server).await;
        socket.write_all(&bytes).await.unwrap();
        let mut told = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut told))
            .await
            .unwrap()
            .unwrap();
        assert!(
            told[16 + 28..].starts_with(error),
            "{}",
            String::from_utf8_lossy(&told)
        );
    }
    // Before the handshake: an error, or silence, and then the end.
    let mut socket = TcpStream::connect(server.host_port()).await.unwrap();
    socket.write_all(&http).await.unwrap();
    socket.shutdown().await.unwrap();
    timeout(PATIENCE, socket.read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
    eventually("all are closed", || server.counters().connections == 0).await;
    assert_eq!(server.counters().protocol_errors, 3);
    assert!(call(&client, &server, "echo").await.is_ok());
}

#[tokio::test]
async fn the_calls_of_a_peer_that_does_not_read_wait() {
    let limits = Limits {
        output_bytes: 6 << 20,
        ..Limits::default()
    };
    let server = server(builder("server").limits(limits)).await;
    let mut socket = raw(&server).await;
    // Calls for answers of 1 MiB, none of which is read.
    let mut id = 10u32;
    let calls = async {
        loop {
            let head = [&[0u8][..], &60_000u32.to_be_bytes(), &[0; 25], b"\x04test"].concat();
            let args = b"\x02\x02as\x03raw\x02cn\x01x\x00\0\x05large\0\0\0\0";
            let mut call = frame(3, &[&head[..], args].concat());
            call[4..8].copy_from_slice(&id.to_be_bytes());
            id += 1;
            if socket.write_all(&call).await.is_err() {
                return "closed";
            }
        }
    };
    let _ = timeout(Duration::from_secs(1), calls).await;
    let counters = server.counters();
    // What the kernel takes, and what may be in flight: far from what was asked for.
    assert!(counters.calls_in < 64, "{counters:?}");
    assert!(counters.calls_in > 0, "{counters:?}");
    let client = client().await;
    assert!(call(&client, &server, "echo").await.is_ok());
}

#[tokio::test]
async fn two_that_send_each_other_more_than_buffers_hold() {
    let (one, other) = (server(builder("one")).await, server(builder("other")).await);
    call(&one, &other, "echo").await.unwrap();
    let mut calls = Vec::new();
    for i in 0..50 {
        let (from, to) = if i % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let (from, to) = (from.clone(), to.host_port().to_owned());
        let echo = request("echo", vec![i; 1 << 20]);
        calls.push(tokio::spawn(
            async move { from.call(&to, echo, PATIENCE).await },
        ));
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().arg3.len(), 1 << 20);
    }
}
