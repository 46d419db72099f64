//! Servers that are dead, slow or mad, and clients that break the protocol.

use rustix::process::Signal;

use crate::fake_memcached::Fake;
use crate::servers::{Client, Memcached, free_port};
use crate::{addresses, items, memcacheds, proxy, shown, told, wait_until};

/// Sends a request and reads its reply, which is so long.
fn ask(client: &mut Client, request: &str, reply: &str) {
    client.send(request.as_bytes());
    let read = client.read_exactly(reply.len());
    assert_eq!(shown(&read), shown(reply.as_bytes()), "{request:?}");
}

#[test]
fn a_dead_server_is_told_and_the_others_answer() {
    let live = Memcached::start();
    let dead = format!("127.0.0.1:{}", free_port());
    let proxy = proxy(&[], &[live.address(), dead]);
    let keys: Vec<String> = (0..50).map(|i| format!("k{i}")).collect();
    let mut client = proxy.client();
    let (mut stored, mut refused) = (Vec::new(), Vec::new());
    for key in &keys {
        let answer = told(proxy.port, format!("set {key} 0 0 1\r\nx\r\n"));
        match answer.as_str() {
            r"STORED\r\n" => stored.push(key.as_str()),
            r"SERVER_ERROR Connection refused\r\n" => refused.push(key.as_str()),
            other => panic!("{other}"),
        }
    }
    assert!(stored.len() > 5 && refused.len() > 5);
    let error = "SERVER_ERROR Connection refused\r\n";
    for request in [
        format!("get {}\r\n", refused[0]),
        format!("get {} {}\r\n", stored[0], refused[0]),
        format!("mg {} v q\r\n", refused[0]),
        format!("set {} 0 0 3 noreply\r\nabc\r\nflush_all\r\n", refused[0]),
    ] {
        ask(&mut client, &request, error);
    }
    ask(
        &mut client,
        &format!("add {} 0 0 1\r\nx\r\n", stored[1]),
        "STORED\r\n",
    );
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let port = free_port();
    let proxy = proxy(&[], &[format!("127.0.0.1:{port}")]);
    let mut client = proxy.client();
    ask(
        &mut client,
        "get a\r\n",
        "SERVER_ERROR Connection refused\r\n",
    );
    let server = Memcached::start_at(port);
    wait_until("it is used", || {
        told(proxy.port, "set a 0 0 1\r\nx\r\n") == r"STORED\r\n"
    });
    ask(&mut client, "get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    drop(server);
    let _server = Memcached::start_at(port);
    wait_until("it is used again", || {
        told(proxy.port, "get a\r\n") == r"END\r\n"
    });
    ask(&mut client, "get a\r\n", "END\r\n");
}

#[test]
fn ejected_servers_lose_their_keys_to_the_others() {
    let servers = memcacheds(1);
    let dead = format!("127.0.0.1:{}", free_port());
    let settings = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 600000",
    ];
    let proxy = proxy(&settings, &[addresses(&servers)[0].clone(), dead.clone()]);
    let mut errors = 0;
    for i in 0..100 {
        let answer = told(proxy.port, format!("set k{i} 0 0 1\r\nx\r\n"));
        errors += usize::from(answer != r"STORED\r\n");
    }
    assert_eq!(errors, 1, "the first failure ejects the server");
    assert_eq!(told(proxy.port, "flush_all\r\n"), r"OK\r\n");

    let alone = crate::proxy(&settings, &[dead]);
    let error = r"SERVER_ERROR Connection refused\r\n";
    for request in ["get a\r\n", "get a b\r\n", "version\r\n", "flush_all\r\n"] {
        assert_eq!(told(alone.port, request), error, "{request:?}");
    }
}

#[test]
fn a_stopped_server_stays_out_until_it_answers_a_probe() {
    let servers = memcacheds(2);
    let settings = [
        // The server that goes on is to be in time on a busy machine, too.
        "timeout: 20000",
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 50",
        "probe_interval: 50",
        "probe_timeout: 2000",
    ];
    let proxy = proxy(&settings, &addresses(&servers));
    let set = |key: &str| told(proxy.port, format!("set {key} 0 0 1\r\nx\r\n"));
    let keys = (0..100).map(|i| format!("k{i}"));
    let mut of_first = keys.filter(|key| {
        let before = items(&servers[0]);
        assert_eq!(set(key), r"STORED\r\n");
        items(&servers[0]) > before
    });
    let key = of_first.next().unwrap();
    let log = || proxy.process.stderr();
    servers[0].process.signal(Signal::STOP);
    wait_until("a probe fails", || {
        log().contains("does not answer a probe")
    });
    wait_until("it is ejected", || log().contains("ejected"));
    for _ in 0..50 {
        assert_eq!(set(&key), r"STORED\r\n");
    }
    servers[0].process.signal(Signal::CONT);
    wait_until("it answers", || log().contains("has its keys again"));
    assert_eq!(
        told(proxy.port, format!("delete {key}\r\n")),
        r"DELETED\r\n"
    );
    assert_eq!(told(servers[0].port, format!("get {key}\r\n")), r"END\r\n");
    let other = told(servers[1].port, format!("get {key}\r\n"));
    assert!(other.starts_with("VALUE "), "{other}");
}

#[test]
fn an_ejected_server_that_answers_again_is_taken_back() {
    let servers = memcacheds(1);
    let port = free_port();
    let settings = [
        "hash: md5",
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 100",
    ];
    let both = [addresses(&servers)[0].clone(), format!("127.0.0.1:{port}")];
    let proxy = proxy(&settings, &both);
    let sets: String = (0..50)
        .map(|i| format!("set k{i} 0 0 1 noreply\r\nx\r\n"))
        .collect();
    crate::wait_until("the dead server is ejected", || {
        told(proxy.port, &sets);
        items(&servers[0]) == 50
    });
    let back = Memcached::start_at(port);
    crate::wait_until("it has its keys again", || {
        told(proxy.port, &sets);
        items(&back) > 10
    });
}

#[test]
fn a_request_times_out_alone() {
    let fake = Fake::start(|_, request| match request {
        "get slow\r\n" => Vec::new(),
        // The late reply comes with the next.
        _ => b"VALUE slow 0 1\r\nx\r\nEND\r\nVALUE fast 0 1\r\ny\r\nEND\r\n".to_vec(),
    });
    let proxy = proxy(&["timeout: 1000"], &[fake.address()]);
    let [mut slow, mut fast] = [(); 2].map(|()| proxy.client());
    ask(
        &mut slow,
        "get slow\r\n",
        "SERVER_ERROR Connection timed out\r\n",
    );
    ask(&mut fast, "get fast\r\n", "VALUE fast 0 1\r\ny\r\nEND\r\n");
    ask(&mut slow, "mn\r\n", "MN\r\n");
}

#[test]
fn a_server_that_sends_no_replies_but_bytes() {
    let fake = Fake::start(|connection, _| match connection {
        0 => b"+OK\r\n".to_vec(),
        1 => b"VALUE a 0 x\r\n".to_vec(),
        2 => b"VALUE a 0 1\r\nxyz\r\n".to_vec(),
        3 => b"VALUE a 0 1\r\nx\r\nSTORED\r\n".to_vec(),
        _ => b"END\r\n".to_vec(),
    });
    let proxy = proxy(&[], &[fake.address()]);
    let mut client = proxy.client();
    let error = "SERVER_ERROR Invalid argument\r\n";
    ask(&mut client, "get a\r\n", error);
    wait_until("it sends replies", || {
        let answer = told(proxy.port, "get a\r\n");
        assert!(
            answer == r"END\r\n" || answer == shown(error.as_bytes()),
            "{answer}"
        );
        answer == r"END\r\n"
    });
    ask(&mut client, "get a\r\n", "END\r\n");
}

#[test]
fn a_part_of_another_kind_is_an_error() {
    let fakes = [(); 2].map(|()| Fake::start(|_, _| b"STORED\r\n".to_vec()));
    let proxy = proxy(&[], &fakes.each_ref().map(Fake::address));
    let keys: Vec<String> = (0..20).map(|i| format!("k{i}")).collect();
    let error = r"SERVER_ERROR a server's reply is not of the kind expected\r\n";
    for request in [&format!("get {}\r\n", keys.join(" ")), "flush_all\r\n"] {
        assert_eq!(
            told(proxy.port, request),
            error.replace('\'', r"\'"),
            "{request}"
        );
    }
}

#[test]
fn clients_that_break_the_protocol_are_told_and_closed() {
    let servers = memcacheds(1);
    let proxy = proxy(&[], &addresses(&servers));
    for (bytes, answer) in [
        (
            &b"\x80\x01\0\0"[..],
            "the binary protocol is not spoken here",
        ),
        (&[b'x'; 2 * 1024 * 1024], "line too long"),
    ] {
        let mut client = proxy.client();
        client.send(b"version\r\n");
        // The proxy may close before it has read all.
        let _ = client.try_send(bytes);
        let answers = shown(&client.read_to_close());
        let end = format!(r"CLIENT_ERROR {answer}\r\n");
        assert!(
            answers.starts_with("VERSION ") && answers.ends_with(&end),
            "{answers}"
        );
    }
    assert_eq!(told(proxy.port, "get a\r\n"), r"END\r\n");
}

#[test]
fn a_client_that_leaves_in_the_middle_harms_nobody() {
    let servers = memcacheds(1);
    let proxy = proxy(&[], &addresses(&servers));
    for bytes in [
        "set a 0 0 100\r\nhalf",
        "get a\r\nget",
        "set a 0 0 1 noreply\r\n",
    ] {
        proxy.client().send(bytes.as_bytes());
        assert_eq!(told(proxy.port, "get a\r\n"), r"END\r\n");
    }
}

#[test]
fn one_client_too_many_is_told() {
    let servers = memcacheds(1);
    let proxy = proxy(&["client_connections: 1"], &addresses(&servers));
    crate::wait_until("the first client has its place", || {
        let mut one = proxy.client();
        one.try_send(b"mn\r\n").is_ok()
            && one.try_read_exactly(4).is_ok_and(|r| r == b"MN\r\n")
            && {
                let refused = proxy.client().read_to_close();
                refused == b"SERVER_ERROR max number of clients reached\r\n"
            }
    });
}
