//! How the proxy finds out that a server is dead, keeps away from it, and takes it back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::fake::Fake;
use crate::servers::{Client, RedisServer, Value};
use crate::{addresses, error, keys_by_server, proxy, redis_servers, wait_until};

const EJECT: [&str; 5] = [
    "hash: md5",
    // Who answers is to be in time on a busy machine, too.
    "timeout: 1000",
    "auto_eject_hosts: true",
    "server_failure_limit: 1",
    "server_retry_timeout: 50",
];

fn with<'a>(settings: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [settings, more].concat()
}

/// A fake whose answers a test switches: each is a function of the words.
struct Switched {
    fake: Fake,
    mode: Arc<AtomicUsize>,
    pings: Arc<AtomicUsize>,
}

impl Switched {
    /// `answers[mode]` is what it says to PING, and to anything else; it begins with the first.
    /// Where that is nothing, the answer comes late: when it is switched.
    fn start(answers: &'static [(&'static str, &'static str)]) -> Switched {
        let (mode, pings) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, count) = (mode.clone(), pings.clone());
        let fake = Fake::start(move |_, words| {
            let is_ping = words[0] == b"PING";
            count.fetch_add(usize::from(is_ping), Ordering::SeqCst);
            loop {
                let (ping, other) = answers[now.load(Ordering::SeqCst)];
                let answer = if is_ping { ping } else { other };
                if !answer.is_empty() {
                    return answer.into();
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Switched { fake, mode, pings }
    }

    fn switch(&self, mode: usize) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    fn pings(&self) -> usize {
        self.pings.load(Ordering::SeqCst)
    }
}

/// A key that the fake has, of two servers with the other a real one.
fn key_of(fake: &Switched, client: &mut Client, answer: &str) -> String {
    fake.switch(0);
    let key = (0..100).map(|i| format!("key:{i}"));
    let mut of_fake = key.filter(|key| {
        let reply = client.run(&format!("GET {key}"));
        reply == Value::Status(answer.into())
    });
    of_fake.next().expect("a key of the fake server")
}

#[test]
fn a_stopped_server_stays_out_until_it_answers_a_probe() {
    let password = ["--requirepass", "secret"];
    let servers = [(); 2].map(|()| RedisServer::start_with(&password));
    let settings = [
        "hash: md5",
        // The server that goes on is to be in time on a busy machine, too.
        "timeout: 2000",
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 50",
        "redis_auth: secret",
        "probe_timeout: 1000",
    ];
    let proxy = proxy(&settings, &addresses(&servers));
    let mut client = proxy.client();
    client.run("AUTH secret");
    let mut direct = servers[0].client();
    assert_eq!(direct.run("AUTH secret"), Value::ok());
    let keys = (0..100).map(|i| format!("key:{i}"));
    let mut of_first = keys.filter(|key| {
        assert_eq!(client.run(&format!("SET {key} v")), Value::ok());
        direct.run(&format!("EXISTS {key}")) == Value::Int(1)
    });
    let key = of_first.next().unwrap();
    drop(of_first);
    servers[0].process.signal(Signal::STOP);
    assert_eq!(
        client.run(&format!("GET {key}")),
        error("Connection timed out")
    );
    // Its time is up many times over, and it takes connections, but it answers nothing.
    let log = || proxy.process.stderr();
    wait_until("a probe has failed", || {
        log().contains("does not answer a probe")
    });
    for _ in 0..100 {
        assert_eq!(client.run(&format!("SET {key} w")), Value::ok());
    }
    servers[0].process.signal(Signal::CONT);
    wait_until("the probe is answered", || {
        log().contains("has its keys again")
    });
    wait_until("its keys come back", || {
        client.run(&format!("GET {key}")) == Value::bulk("v")
    });
    assert!(!log().contains("secret"), "{}", log());
}

#[test]
fn a_server_that_loads_its_data_is_not_taken_back_yet() {
    let fake = Switched::start(&[
        ("+PONG\r\n", "+fake\r\n"),
        ("", ""),
        (
            "-LOADING Redis is loading the dataset in memory\r\n",
            "-LOADING\r\n",
        ),
    ]);
    let real = RedisServer::start();
    let proxy = proxy(&EJECT, &[fake.fake.address(), real.address()]);
    let mut client = proxy.client();
    let key = key_of(&fake, &mut client, "fake");
    assert_eq!(fake.pings(), 0, "servers in use are left alone");
    fake.switch(1);
    let timed_out = error("Connection timed out");
    assert_eq!(client.run(&format!("GET {key}")), timed_out);
    fake.switch(2);
    wait_until("it was asked", || fake.pings() > 1);
    assert_eq!(client.run(&format!("GET {key}")), Value::Null);
    fake.switch(0);
    wait_until("its keys come back", || {
        client.run(&format!("GET {key}")) == Value::Status("fake".into())
    });
}

#[test]
fn without_probes_a_server_is_taken_back_when_its_time_is_up() {
    let fake = Switched::start(&[("+PONG\r\n", "+fake\r\n"), ("", "")]);
    let real = RedisServer::start();
    let settings = with(&EJECT, &["probe_interval: 0"]);
    let proxy = proxy(&settings, &[fake.fake.address(), real.address()]);
    let mut client = proxy.client();
    let key = key_of(&fake, &mut client, "fake");
    fake.switch(1);
    let timed_out = error("Connection timed out");
    assert_eq!(client.run(&format!("GET {key}")), timed_out);
    let mut failures = 0;
    // Ejected, taken back, and tried with a request each time.
    wait_until("it is tried again and again", || {
        let reply = client.run(&format!("GET {key}"));
        assert!(reply == timed_out || reply == Value::Null, "{reply:?}");
        failures += usize::from(reply == timed_out);
        failures == 3
    });
}

#[test]
fn a_server_that_dies_is_noticed_without_a_request() {
    let mut servers = redis_servers(2);
    let settings = [
        "hash: md5",
        "auto_eject_hosts: true",
        "server_retry_timeout: 600000",
        "probe_interval: 20",
    ];
    let proxy = proxy(&settings, &addresses(&servers));
    let keys = keys_by_server(&proxy, &servers);
    servers.remove(0).process.stop();
    wait_until("it is ejected", || {
        proxy.process.stderr().contains("ejected")
    });
    let mut client = proxy.client();
    for key in &keys[0] {
        assert_eq!(client.run(&format!("SET {key} v")), Value::ok());
    }
}

#[test]
fn a_dead_server_is_not_asked_for_every_request() {
    let fake = Switched::start(&[("oops\r\n", "oops\r\n"), ("+PONG\r\n", "+fake\r\n")]);
    let proxy = proxy(&["timeout: 5000"], &[fake.fake.address()]);
    let mut client = proxy.client();
    for i in 0..3000 {
        let reply = client.run(&format!("GET key:{i}"));
        assert_eq!(reply, error("Invalid argument"));
    }
    // A connection for each request would be 3000.
    let connections = fake.fake.connections();
    assert!((2..100).contains(&connections), "{connections}");
    fake.switch(1);
    wait_until("the server is used", || {
        client.run("GET k") == Value::Status("fake".into())
    });
}

#[test]
fn a_silent_connection_is_replaced() {
    // The first connection never answers, as behind a firewall that has forgotten it.
    let fake = Fake::start(|connection, words| match (connection, &*words[0]) {
        (0, _) => Vec::new(),
        (_, b"PING") => b"+PONG\r\n".into(),
        _ => [&b"+"[..], &words[1], b"\r\n"].concat(),
    });
    let proxy = proxy(&["timeout: 1000"], &[fake.address()]);
    let mut client = proxy.client();
    let timed_out = error("Connection timed out");
    assert_eq!(client.run("GET first"), timed_out);
    let mut number = 0;
    wait_until("another connection is used", || {
        number += 1;
        let reply = client.run(&format!("GET k{number}"));
        let own = Value::Status(format!("k{number}"));
        assert!(reply == timed_out || reply == own, "{reply:?}");
        reply == own
    });
    for i in 0..20 {
        let reply = client.run(&format!("GET again{i}"));
        assert_eq!(reply, Value::Status(format!("again{i}")));
    }
}

#[test]
fn what_a_server_says_of_its_state_passes_as_it_is() {
    const SAYS: [&str; 5] = [
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "NOAUTH Authentication required.",
    ];
    let fake = Fake::start(|_, words| {
        let number: usize = String::from_utf8_lossy(&words[1]).parse().unwrap();
        format!("-{}\r\n", SAYS[number]).into_bytes()
    });
    // An answer is an answer: none of these ejects the server.
    let proxy = proxy(&EJECT, &[fake.address()]);
    let mut client = proxy.client();
    for (number, text) in SAYS.iter().enumerate().cycle().take(20) {
        let reply = client.run(&format!("GET {number}"));
        assert_eq!(reply, Value::Error(text.to_string()));
    }
    assert_eq!(fake.connections(), 1);
}

#[test]
fn a_name_that_keeps_its_address_keeps_its_connections() {
    let server = RedisServer::start();
    let settings = ["resolve_interval: 5"];
    let proxy = proxy(&settings, &[format!("localhost:{}", server.port)]);
    let mut client = proxy.client();
    for i in 0..2000 {
        let value = format!("value:{i}");
        assert_eq!(client.run(&format!("SET k {value}")), Value::ok());
        assert_eq!(client.run("GET k"), Value::bulk(value));
    }
    // The one that waited for the server's start, the proxy's, and the one that asks.
    let stats = server.client().run("INFO stats").text();
    let connections = "total_connections_received:3\r\n";
    assert!(stats.contains(connections), "{stats}");
}
