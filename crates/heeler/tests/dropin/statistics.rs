//! The port with the statistics, beside the real nutcracker's after the same traffic.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::servers::{Client, Heeler, PATIENCE, Process, RedisServer, Value, free_port};
use crate::{Link, pool, ports, real, told_at, wait_until};

/// Heeler and nutcracker with the same pools before the same servers.
struct Both {
    heeler: Proxy,
    nutcracker: Proxy,
    _link: Link,
}

struct Proxy {
    ports: Vec<u16>,
    stats_port: u16,
    _process: Process,
}

impl Proxy {
    fn client(&self, pool: usize) -> Client {
        Client::connect(("127.0.0.1", self.ports[pool]))
    }

    fn told(&self) -> String {
        told_at(self.stats_port)
    }

    fn json(&self) -> Json {
        serde_json::from_str(&self.told()).expect("it is JSON")
    }
}

impl Both {
    /// Each pool by its name, settings and servers.
    fn start(pools: &[(&str, &[&str], Vec<String>)]) -> Both {
        let link = Link::new();
        let proxy = |name: &str| {
            let ports: Vec<u16> = pools.iter().map(|_| free_port()).collect();
            let text = pools.iter().zip(&ports);
            let text: String = text
                .map(|((name, settings, servers), port)| pool(name, *port, settings, servers))
                .collect();
            let file = link.write(name, &text);
            let [stats_port] = crate::ports();
            let stats = stats_port.to_string();
            let args = ["-c", &file, "-a", "127.0.0.1", "-s", &stats, "-i", "50"];
            let mut process = match name {
                "theirs" => real(&args),
                _ => link.spawn(&[&args[..], &["--threads", "1"]].concat()),
            };
            process.wait_until_serves(stats_port);
            process.wait_until_serves(ports[0]);
            Proxy {
                ports,
                stats_port,
                _process: process,
            }
        };
        let (heeler, nutcracker) = (proxy("ours"), proxy("theirs"));
        Both {
            heeler,
            nutcracker,
            _link: link,
        }
    }

    /// The same traffic for both.
    fn each(&self, traffic: impl Fn(&Proxy)) {
        traffic(&self.heeler);
        traffic(&self.nutcracker);
    }

    /// Waits until both tell the same at these places: nutcracker gathers at intervals.
    fn agree(&self, pointers: &[&str]) {
        for pointer in pointers {
            let [mut ours, mut theirs] = [Json::Null, Json::Null];
            wait_until_or(
                || {
                    ours = self.heeler.json().pointer(pointer).cloned().unwrap();
                    theirs = self.nutcracker.json().pointer(pointer).cloned().unwrap();
                    ours == theirs
                },
                || {
                    format!(
                        "{pointer}\n{}{}",
                        self.heeler.told(),
                        self.nutcracker.told()
                    )
                },
            );
        }
    }
}

fn wait_until_or(mut is_so: impl FnMut() -> bool, told: impl Fn() -> String) {
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(std::time::Instant::now() < end, "they differ: {}", told());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Without what differs from one moment to the next, and without `fragments`, which nutcracker
/// never counts.
fn masked(told: &str) -> String {
    let mut text = told.to_owned();
    for name in ["\"uptime\":", "\"timestamp\":", "\"fragments\":"] {
        let mut masked = String::new();
        for (i, part) in text.split(name).enumerate() {
            match i {
                0 => masked += part,
                _ => masked += &format!("{name}N{}", part.trim_start_matches(char::is_numeric)),
            }
        }
        text = masked;
    }
    text
}

#[test]
fn the_same_traffic_gives_the_same_bytes() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let addresses: Vec<String> = servers.iter().map(RedisServer::address).collect();
    let both = Both::start(&[
        ("first", &[], addresses.clone()),
        ("a", &["preconnect: true"], addresses[..1].to_vec()),
        ("second-pool", &["distribution: modula"], addresses.clone()),
    ]);
    let same = || masked(&both.heeler.told()) == masked(&both.nutcracker.told());
    let told = || both.heeler.told() + &both.nutcracker.told();
    // A port that was looked at is a client that has left.
    wait_until_or(same, told);
    let kept: Vec<Client> = [&both.heeler, &both.nutcracker]
        .map(|proxy| {
            let mut client = proxy.client(0);
            for i in 0..50 {
                assert_eq!(client.run(&format!("SET key:{i} {i}")), Value::ok());
                assert_eq!(
                    client.run(&format!("GET key:{i}")),
                    Value::bulk(i.to_string())
                );
            }
            let keys: Vec<String> = (0..50).map(|i| format!("key:{i}")).collect();
            let Value::Array(values) = client.run(&format!("mget {}", keys.join(" "))) else {
                panic!("MGET gives an array")
            };
            assert_eq!(values.len(), 50);
            assert_eq!(
                client.run(&format!("del {}", keys.join(" "))),
                Value::Int(50)
            );
            assert_eq!(client.run("LPUSH {key} 1 2 3"), Value::Int(3));
            assert_eq!(client.run("DEL {key}"), Value::Int(1));
            let mut leaving = proxy.client(2);
            assert_eq!(leaving.run("SET x y"), Value::ok());
            leaving.send(&crate::servers::request(&[b"QUIT"]));
            leaving.read_to_close();
            drop(proxy.client(1));
            proxy.client(0)
        })
        .into();
    wait_until_or(same, told);
    drop(kept);
    wait_until_or(same, told);
    let fragments = |proxy: &Proxy| proxy.json()["first"]["fragments"].clone();
    assert_eq!(
        fragments(&both.heeler),
        4,
        "of MGET and DEL over two servers"
    );
    assert_eq!(fragments(&both.nutcracker), 0);
}

#[test]
fn failures_are_counted_as_nutcracker_counts_them() {
    let dead = format!("127.0.0.1:{}", free_port());
    let ejecting = ["auto_eject_hosts: true", "server_failure_limit: 2"];
    let both = Both::start(&[
        ("ejecting", &ejecting, vec![dead.clone()]),
        ("patient", &[], vec![dead]),
    ]);
    both.each(|proxy| {
        for pool in [0, 1] {
            let mut client = proxy.client(pool);
            for _ in 0..4 {
                let refused = Value::Error("ERR Connection refused".into());
                assert_eq!(client.run("GET a"), refused);
            }
        }
    });
    // Not `/total_connections`: nutcracker opens one to a dead server for every request.
    both.agree(&[
        "/patient",
        "/ejecting/server_ejects",
        "/ejecting/forward_error",
        "/ejecting/s0/server_err",
        "/ejecting/s0/requests",
        "/ejecting/s0/server_connections",
    ]);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    both.each(|proxy| {
        let at = proxy.json()["ejecting"]["s0"]["server_ejected_at"]
            .as_u64()
            .unwrap();
        assert!(
            at.abs_diff(now.as_micros() as u64) < 60_000_000,
            "{at} microseconds"
        );
    });
}

#[test]
fn what_waits_and_what_times_out_is_counted() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let both = Both::start(&[
        ("patient", &[], vec![servers[0].address()]),
        ("hasty", &["timeout: 1000"], vec![servers[1].address()]),
    ]);
    both.each(|proxy| {
        for pool in [0, 1] {
            assert_eq!(proxy.client(pool).run("SET a 1"), Value::ok());
        }
    });
    for server in &servers {
        server.process.signal(Signal::STOP);
    }
    let waiting: Vec<Client> = [&both.heeler, &both.nutcracker]
        .map(|proxy| {
            let mut hasty = proxy.client(1);
            let timed_out = Value::Error("ERR Connection timed out".into());
            assert_eq!(hasty.run("GET a"), timed_out);
            let mut client = proxy.client(0);
            client.send(&crate::servers::request(&[b"GET", b"a"]).repeat(3));
            client
        })
        .into();
    wait_until("three wait", || {
        both.heeler.json()["patient"]["s0"]["out_queue"] == 3
    });
    both.agree(&[
        "/patient/s0",
        "/hasty/forward_error",
        "/hasty/s0/server_timedout",
        "/hasty/s0/requests",
    ]);
    assert_eq!(both.heeler.json()["patient"]["s0"]["out_queue_bytes"], 60);
    for server in &servers {
        server.process.signal(Signal::CONT);
    }
    for mut client in waiting {
        for _ in 0..3 {
            assert_eq!(client.read_reply(), Value::bulk("1"));
        }
    }
    both.agree(&["/patient/s0"]);
    wait_until("the late reply is no longer waited for", || {
        both.heeler.json()["hasty"]["s0"]["out_queue"] == 0
    });
}

#[test]
fn servers_that_close_and_clients_that_err_are_counted() {
    let mut server = Some(RedisServer::start());
    let address = server.as_ref().unwrap().address();
    let both = Both::start(&[("p", &[], vec![address])]);
    both.each(|proxy| {
        assert_eq!(proxy.client(0).run("SET a 1"), Value::ok());
        let mut wrong = proxy.client(0);
        wrong.send(b"*1\r\n!3\r\nGET\r\n");
        wrong.read_to_close();
    });
    both.agree(&["/p/client_err", "/p/client_eof", "/p/s0"]);
    drop(server.take());
    wait_until("the end of the connection is counted", || {
        let s0 = both.heeler.json()["p"]["s0"].clone();
        s0["server_eof"] == 1 && s0["server_connections"] == 0
    });
    both.agree(&["/p/s0", "/curr_connections"]);
}

#[test]
fn all_workers_are_summed_and_whoever_asks_is_answered() {
    let server = RedisServer::start();
    let [port] = ports();
    let file = pool("p", port, &[], &[server.address()]);
    let heeler = Heeler::proxy(port, &file, &["--threads", "3"]);
    let stats_port = heeler.stats_port.unwrap();
    let clients: Vec<Client> = (0..6)
        .map(|i| {
            let mut client = heeler.client();
            assert_eq!(client.run(&format!("SET {i} x")), Value::ok());
            client
        })
        .collect();
    let count = |name: &str| {
        let told: Json = serde_json::from_str(&told_at(stats_port)).unwrap();
        let of_server = told["p"]["s0"].get(name).cloned();
        of_server.unwrap_or_else(|| told["p"][name].clone())
    };
    wait_until("clients are counted", || count("client_connections") == 6);
    assert_eq!(
        (count("requests"), count("server_connections")),
        (6.into(), 3.into())
    );
    drop(clients);
    wait_until("clients have left", || count("client_connections") == 0);

    // An HTTP client sends a request; it must not lose the answer to a reset.
    for _ in 0..20 {
        let mut http = TcpStream::connect(("127.0.0.1", stats_port)).unwrap();
        http.set_read_timeout(Some(PATIENCE)).unwrap();
        http.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut told = String::new();
        http.read_to_string(&mut told).unwrap();
        assert!(told.starts_with('{') && told.ends_with("}\n"), "{told}");
    }
    // Connections that never read or leave keep nobody else away for ever.
    let silent = [(); 200].map(|()| TcpStream::connect(("127.0.0.1", stats_port)).unwrap());
    assert!(told_at(stats_port).starts_with('{'));
    drop(silent);
}
