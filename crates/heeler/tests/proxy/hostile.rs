//! Peers that break the protocol, leave early, or do not listen.

use std::io::Write;
use std::net::Shutdown;

use crate::fake::Fake;
use crate::servers::{Heeler, PATIENCE, RedisServer, Value};
use crate::{addresses, error, proxy, redis_servers, wait_until};

#[test]
fn a_server_that_sends_garbage() {
    let fake = Fake::start(|connection, _| match connection {
        0 => b"this is no reply\r\n".to_vec(),
        1 => b"$5\r\nshort!!\r\n".to_vec(),
        2 => b"*1\r\n*1\r\n*x\r\n".to_vec(),
        3 => b"$-2\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    });
    let proxy = proxy(&[], &[fake.address()]);
    let mut client = proxy.client();
    assert_eq!(client.run("SET k v"), error("Invalid argument"));
    wait_until("the server sends replies", || {
        let reply = client.run("SET k v");
        let refused = error("Invalid argument");
        assert!(reply == refused || reply == Value::ok(), "{reply:?}");
        reply == Value::ok()
    });
}

#[test]
fn a_reply_that_nobody_asked_for_reaches_nobody() {
    let fake = Fake::start(|connection, words| {
        let mut reply = b"$".to_vec();
        write!(reply, "{}\r\n", words[1].len()).unwrap();
        reply.extend_from_slice(&words[1]);
        reply.extend_from_slice(b"\r\n");
        if connection == 0 {
            reply.extend_from_slice(b"+STRAY\r\n");
        }
        reply
    });
    let proxy = proxy(&[], &[fake.address()]);
    let mut clients = [(); 4].map(|()| proxy.client());
    let mut bad = 0;
    for i in 0..20 {
        for client in &mut clients {
            let key = format!("key{i}");
            let reply = client.run(&format!("GET {key}"));
            bad += usize::from(reply == error("Invalid argument"));
            assert!(
                reply == Value::bulk(key) || reply == error("Invalid argument"),
                "{reply:?}"
            );
        }
    }
    assert!(bad <= 1, "{bad} requests were hit");
    assert_eq!(fake.connections(), 2);
}

#[test]
fn a_server_that_closes_after_every_reply() {
    let fake = Fake::start(|_, _| b"-ERR bye\r\n-ERR and more\r\n".to_vec());
    let proxy = proxy(&[], &[fake.address()]);
    let mut client = proxy.client();
    for _ in 0..50 {
        let reply = client.run("GET k");
        assert!(
            reply == error("bye") || reply == error("Invalid argument"),
            "{reply:?}"
        );
    }
}

#[test]
fn a_client_that_sends_garbage() {
    let servers = redis_servers(1);
    let proxy = proxy(&[], &addresses(&servers));
    for garbage in [
        &b"*x\r\n"[..],
        b"*1\r\n$-5\r\n",
        b"*2\r\n$3\r\nGET\r\n$1\r\nkXX",
        b"*999999999999\r\n",
        b"GET \"k\r\n",
    ] {
        let mut client = proxy.client();
        client.send(b"SET k v\r\n");
        client.send(garbage);
        let all = String::from_utf8(client.read_to_close()).unwrap();
        assert!(all.starts_with("+OK\r\n-ERR Protocol error: "), "{all}");
    }
    let mut client = proxy.client();
    for noise in [&[0xff; 70_000][..], &[0; 70_000], &[b'*'; 70_000]] {
        // It is refused while it is still being sent.
        let _ = client.try_send(noise);
        client = proxy.client();
    }
    assert_eq!(client.run("GET k"), Value::bulk("v"));
}

#[test]
fn a_client_that_leaves_in_the_middle() {
    let servers = redis_servers(2);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut stays = proxy.client();
    for i in 0..50 {
        let mut leaves = proxy.client();
        leaves.send(format!("SET big{i} {}\r\nGET big{i}\r\n", "x".repeat(5000)).as_bytes());
        leaves.send(b"MGET a b c d\r\n*2\r\n$3\r\nGET\r\n$10\r\nhal");
        drop(leaves);
        assert_eq!(stays.run(&format!("SET k{i} {i}")), Value::ok());
        assert_eq!(stays.run(&format!("GET k{i}")), Value::bulk(i.to_string()));
    }
}

#[test]
fn a_client_that_sends_no_more_gets_what_it_asked_for() {
    let servers = redis_servers(2);
    let proxy = proxy(&["hash: md5"], &addresses(&servers));
    let mut client = proxy.client();
    client.run(&format!("SET big {}", "x".repeat(200_000)));
    let requests: String = (0..100)
        .map(|i| format!("SET k{i} {i}\r\nGET k{i}\r\n"))
        .collect();
    client.send((requests + "GET big\r\nMGET k0 k1 k2\r\n").as_bytes());
    client.close_writing();
    for i in 0..100 {
        assert_eq!(client.read_reply(), Value::ok());
        assert_eq!(client.read_reply(), Value::bulk(i.to_string()));
    }
    assert_eq!(client.read_reply(), Value::bulk("x".repeat(200_000)));
    assert_eq!(
        client.read_reply(),
        Value::Array(["0", "1", "2"].map(Value::bulk).to_vec())
    );
    assert_eq!(client.read_to_close(), b"");
}

#[test]
fn a_client_that_reads_nothing_costs_little_memory() {
    for (size, requests) in [(10_000, 100_000), (1_000_000, 1000)] {
        let servers = redis_servers(1);
        let proxy = proxy(&[], &addresses(&servers));
        reads_nothing(&proxy, &servers[0], size, requests);
    }
}

/// Asks for a gigabyte and takes nothing of it, until the server has no more to do for it.
pub fn reads_nothing(proxy: &Heeler, server: &RedisServer, size: usize, requests: usize) {
    let mut client = proxy.client();
    assert_eq!(
        client.call(&[b"SET", b"big", &vec![b'x'; size]]),
        Value::ok()
    );
    let mut deaf = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    let sender = deaf.try_clone().unwrap();
    sender.set_write_timeout(Some(PATIENCE)).unwrap();
    let sends = std::thread::spawn(move || {
        let mut sender = sender;
        // It fails once the connection is shut.
        let _ = sender.write_all("GET big\r\n".repeat(requests).as_bytes());
    });
    let (mut seen, mut steady) = (0, 0);
    wait_until("the proxy has nothing more to do", || {
        let now = cpu_ticks(proxy.process.pid()) + cpu_ticks(server.process.pid());
        steady = if now == seen && gets(server) > 0 {
            steady + 1
        } else {
            0
        };
        seen = now;
        let megabytes = resident(proxy.process.pid());
        assert!(megabytes < 200, "{megabytes} MB");
        steady > 40
    });
    // Others are served meanwhile.
    assert_eq!(client.run("STRLEN big"), Value::Int(size as i64));
    deaf.flush().unwrap();
    let _ = deaf.shutdown(Shutdown::Both);
    sends.join().unwrap();
}

/// How many GETs a server has executed.
fn gets(server: &RedisServer) -> i64 {
    let text = server.client().run("INFO commandstats").text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

/// How long a process has run on a processor, in the kernel's ticks.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let ticks = |field: usize| {
        after_name
            .split(' ')
            .nth(field)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    // The state is field 3 of proc(5), user and system time are 14 and 15.
    ticks(11) + ticks(12)
}

/// The most memory that a process has had at a time, in megabytes.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim()
        .trim_end_matches(" kB")
        .trim()
        .parse::<usize>()
        .unwrap()
        / 1000
}
