//! `/metrics` and INFO commandstats, counted against known traffic.

use rustix::process::Signal;

use crate::exposition::Samples;
use crate::servers::{Client, Memcached, RedisServer, Value, free_port, request, wait_until};
use crate::{Told, over_two, proxy, store};

impl Told {
    fn samples(&self) -> Samples {
        Samples::read(&self.get("/metrics"))
    }

    /// Once the last replies are counted: that is after they are written.
    fn samples_after(&self, requests: u64) -> Samples {
        wait_until("all requests are counted", || {
            self.samples().sum("heeler_command_latency_seconds_count") == requests as f64
        });
        self.samples()
    }
}

fn is_error(value: Value) -> bool {
    matches!(value, Value::Error(_))
}

#[test]
fn requests_are_counted_by_family() {
    let (_servers, proxy) = over_two(&[], "2");
    let mut client = proxy.heeler.client();
    let mut pipeline = String::new();
    for i in 0..100 {
        pipeline += &format!("SET key:{i} value\r\nLPUSH list:{i} a b\r\nPING\r\n");
    }
    client.send(pipeline.as_bytes());
    for i in 0..300 {
        assert!(!is_error(client.read_reply()), "reply {i}");
    }
    let keys: Vec<String> = (0..100).map(|i| format!("key:{i}")).collect();
    assert!(matches!(
        client.run(&format!("MGET {}", keys.join(" "))),
        Value::Array(values) if values.len() == 100
    ));
    let samples = proxy.samples_after(301);
    for (family, requests) in [("string", 101.0), ("list", 100.0), ("connection", 100.0)] {
        let labels = format!("pool=herd,family={family}");
        assert_eq!(
            samples.get("heeler_command_requests_total", &labels),
            requests
        );
        let count = samples.get("heeler_command_latency_seconds_count", &labels);
        assert_eq!(count, requests, "{family}");
        assert!(samples.get("heeler_command_latency_seconds_sum", &labels) > 0.0);
    }
    assert_eq!(samples.sum("heeler_command_requests_total"), 301.0);
    assert_eq!(samples.sum("heeler_request_errors_total"), 0.0);
    let words: Vec<&[u8]> = std::iter::once("MGET")
        .chain(keys.iter().map(String::as_str))
        .map(str::as_bytes)
        .collect();
    let of_mget = request(&words).len();
    let received = samples.get("heeler_pool_client_received_bytes_total", "pool=herd");
    assert_eq!(received, (pipeline.len() + of_mget) as f64);
    // What is written is counted after the client may have read it.
    let expected = (100 * (5 + 4 + 7) + 6 + 100 * 11) as f64;
    let sent = |samples: &Samples| samples.get("heeler_pool_client_sent_bytes_total", "pool=herd");
    wait_until("all bytes are counted", || {
        sent(&proxy.samples()) >= expected
    });
    assert_eq!(sent(&proxy.samples()), expected);
    let of_servers = samples.sum("heeler_server_requests_total");
    assert_eq!(of_servers, 202.0, "the MGET went to both");
}

#[test]
fn errors_are_counted_by_kind() {
    let (_servers, proxy) = over_two(&["redis_auth: hunter2"], "1");
    let mut client = proxy.heeler.client();
    let one = |client: &mut Client, line: &str| assert!(is_error(client.run(line)), "{line}");
    for line in ["GET k", "AUTH wrong", "HELLO 3 AUTH default wrong"] {
        one(&mut client, line);
    }
    assert_eq!(client.run("AUTH hunter2"), Value::ok());
    for i in 0..20 {
        assert_eq!(client.run(&format!("SET k{i} v")), Value::ok());
    }
    for line in [
        "LPUSH k0 v",
        "INCR k1",
        "NOSUCH",
        "BLPOP a 1",
        "GET",
        "RENAME a b c",
    ] {
        one(&mut client, line);
    }
    let crossed = (0..20).filter(|i| is_error(client.run(&format!("RENAMENX k{i} k19"))));
    let crossed = crossed.count();
    assert!(crossed > 0);
    let mut rude = proxy.heeler.client();
    rude.send(b"*1\r\n+no bulk\r\n");
    rude.read_to_close();
    let samples = proxy.samples_after(3 + 1 + 20 + 6 + 20 + 1);
    for (kind, count) in [
        ("auth", 3),
        ("reply", 2),
        ("unknown", 2),
        ("usage", 2),
        ("cross_slot", crossed),
        ("protocol", 1),
        ("timeout", 0),
        ("refused", 0),
        ("lost", 0),
        ("no_server", 0),
        ("limit", 0),
    ] {
        let labels = format!("pool=herd,kind={kind}");
        let counted = samples.get("heeler_request_errors_total", &labels);
        assert_eq!(counted, count as f64, "{kind}");
    }
    let of = |labels: &str| samples.get("heeler_command_errors_total", labels);
    assert_eq!(of("pool=herd,family=list,kind=reply"), 1.0);
    assert_eq!(of("pool=herd,family=string,kind=reply"), 1.0);
    assert_eq!(of("pool=herd,family=unknown,kind=unknown"), 2.0);
    assert_eq!(
        of("pool=herd,family=generic,kind=cross_slot"),
        crossed as f64
    );
    let of_servers = |kind: &str| {
        (0..2)
            .map(|i| {
                let labels = format!("pool=herd,server=s{i},kind={kind}");
                samples.get("heeler_server_request_errors_total", &labels)
            })
            .sum::<f64>()
    };
    assert_eq!(of_servers("reply"), 2.0);
    assert_eq!(of_servers("timeout"), 0.0);
}

#[test]
fn a_silent_a_dead_and_an_ejected_server_are_told_apart() {
    let server = RedisServer::start();
    let settings = [
        "redis: true",
        "timeout: 2000",
        "auto_eject_hosts: true",
        "server_failure_limit: 3",
        "server_retry_timeout: 600000",
    ];
    let proxy = proxy(&settings, &[server.address()], &["--threads", "1"]);
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    server.process.signal(Signal::STOP);
    assert!(is_error(client.run("GET k")));
    let kind = |samples: &Samples, kind: &str| {
        let of_pool = samples.get(
            "heeler_request_errors_total",
            &format!("pool=herd,kind={kind}"),
        );
        let labels = format!("pool=herd,server=s0,kind={kind}");
        (
            of_pool,
            samples.get("heeler_server_request_errors_total", &labels),
        )
    };
    assert_eq!(kind(&proxy.samples_after(2), "timeout"), (1.0, 1.0));
    client.send(b"GET k\r\n");
    proxy.wait_until_unanswered(2);
    // Killed, it closes the connection.
    drop(server);
    assert!(is_error(client.read_reply()));
    assert_eq!(kind(&proxy.samples_after(3), "lost"), (1.0, 1.0));
    wait_until("all are ejected", || {
        client.run("GET k");
        kind(&proxy.samples(), "no_server").0 == 1.0
    });
    let samples = proxy.samples();
    let (refused, of_server) = kind(&samples, "refused");
    assert!(
        refused == of_server && refused > 0.0,
        "{refused} {of_server}"
    );
    assert_eq!(kind(&samples, "no_server"), (1.0, 0.0));
    let labels = "pool=herd,server=s0";
    assert_eq!(samples.get("heeler_server_ejections_total", labels), 1.0);
}

#[test]
fn clients_wait_longer_than_the_server_takes() {
    let server = RedisServer::start();
    let proxy = proxy(&["redis: true"], &[server.address()], &["--threads", "1"]);
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    server.process.signal(Signal::STOP);
    client.send(b"GET k\r\n");
    proxy.wait_until_unanswered(1);
    std::thread::sleep(std::time::Duration::from_millis(60));
    server.process.signal(Signal::CONT);
    assert_eq!(client.read_reply(), Value::bulk("v"));
    let samples = proxy.samples_after(2);
    let of = |name: &str, labels: &str| samples.get(name, labels);
    let of_client = of(
        "heeler_command_latency_seconds_sum",
        "pool=herd,family=string",
    );
    let of_server = of("heeler_server_latency_seconds_sum", "pool=herd,server=s0");
    assert!(of_server > 0.05, "{of_server}");
    assert!(of_client >= of_server, "{of_client} {of_server}");
    let slow = "le=0.05,pool=herd,family=string";
    assert!(of("heeler_command_latency_seconds_bucket", slow) < 2.0);
}

#[test]
fn the_number_of_series_is_bounded() {
    let server = RedisServer::start();
    let proxy = proxy(&["redis: true"], &[server.address()], &["--threads", "2"]);
    let mut client = proxy.heeler.client();
    let traffic = |client: &mut Client, round: usize| {
        for i in 0..200 {
            for command in [
                "GET", "SET", "HGET", "NOSUCH", "ZADD", "XADD", "CLIENT", "EVAL",
            ] {
                client.run(&format!("{command}{} key{round}:{i}", ["", "x"][i % 2]));
                client.run(&format!("{command} key{round}:{i} v{i}"));
            }
        }
    };
    traffic(&mut client, 0);
    let (before, samples) = (proxy.samples().len(), proxy.samples());
    assert!(samples.sum("heeler_command_requests_total") >= 3200.0);
    traffic(&mut client, 1);
    traffic(&mut proxy.heeler.client(), 2);
    let samples = proxy.samples();
    assert_eq!(samples.len(), before);
    assert!(samples.values_of("family").len() <= 24);
    assert!(samples.values_of("kind").len() <= 11);
    assert_eq!(samples.values_of("pool").len(), 1);
    assert_eq!(samples.values_of("server").len(), 1);
    let all = proxy.get("/metrics");
    assert!(!all.contains("key0") && !all.contains("nosuch") && !all.contains("NOSUCH"));
}

#[test]
fn memcached_has_families_of_its_own() {
    let servers = [Memcached::start(), Memcached::start()];
    let addresses = servers.each_ref().map(Memcached::address);
    let proxy = proxy(&["hash: md5"], &addresses, &["--threads", "1"]);
    let mut client = proxy.heeler.client();
    let (mut lines, mut count) = (String::new(), 0);
    for i in 0..10 {
        lines += &format!("set k{i} 0 0 1\r\n1\r\nset q{i} 0 0 1 noreply\r\n1\r\n");
        lines += &format!("incr k{i} 1\r\nmg k{i} v\r\ntouch k{i} 0\r\n");
        count += 5;
    }
    lines += "get k0 k1 k2 k3 k4 k5 k6 k7 k8 k9\r\nget k0\r\ndelete k0\r\nversion\r\n";
    lines += "incr q0 x\r\nnosuch\r\nset k 0 0 99999999999\r\nquit\r\n";
    client.send(lines.as_bytes());
    client.read_to_close();
    let samples = proxy.samples_after(count + 8);
    for (family, requests, errors) in [
        ("storage", 21.0, 1.0),
        ("arithmetic", 11.0, 1.0),
        ("meta", 10.0, 0.0),
        ("touch", 10.0, 0.0),
        ("retrieval", 2.0, 0.0),
        ("delete", 1.0, 0.0),
        ("admin", 2.0, 0.0),
        ("unknown", 1.0, 1.0),
    ] {
        let labels = format!("pool=herd,family={family}");
        let counted = samples.get("heeler_command_requests_total", &labels);
        assert_eq!(counted, requests, "{family}");
        let kinds = ["reply", "unknown", "usage", "limit"];
        let errors_of = |kind: &&str| {
            let labels = format!("{labels},kind={kind}");
            samples.get("heeler_command_errors_total", &labels)
        };
        assert_eq!(kinds.iter().map(errors_of).sum::<f64>(), errors, "{family}");
    }
}

#[test]
fn a_store_tells_of_its_commands_and_keys() {
    let store = store(&["--threads", "2"]);
    let mut client = store.heeler.client();
    client.send(b"SET a 1\r\nSET b 2 PX 1\r\nLPUSH l x\r\nINCR l\r\nNOSUCH\r\nGET a\r\nGET no\r\n");
    (0..7).for_each(|_| drop(client.read_reply()));
    wait_until("b has expired", || client.run("EXISTS b") == Value::Int(0));
    let samples = store.samples();
    let of = |name: &str, labels: &str| samples.get(&format!("heeler_{name}"), labels);
    assert_eq!(of("command_requests_total", "family=string"), 5.0);
    assert_eq!(of("command_requests_total", "family=list"), 1.0);
    assert_eq!(of("command_latency_seconds_count", "family=list"), 1.0);
    assert_eq!(of("command_errors_total", "family=string,kind=reply"), 1.0);
    assert_eq!(of("request_errors_total", "kind=unknown"), 1.0);
    assert_eq!(of("store_keys", ""), 2.0);
    assert_eq!(of("store_expired_keys_total", ""), 1.0);
    assert!(of("store_hits_total", "") >= 1.0 && of("store_misses_total", "") >= 1.0);
    assert_eq!(of("connections", ""), 1.0);
    assert!(of("client_received_bytes_total", "") > 60.0);
    assert!(of("process_resident_memory_bytes", "") > 1e6);
}

/// `name:calls,rejected,failed` of each command.
fn command_stats(client: &mut Client) -> Vec<String> {
    let info = client.run("INFO commandstats").text();
    let field = |line: &str, name: &str| {
        let rest = line
            .split(&format!("{name}="))
            .nth(1)
            .expect(line)
            .to_owned();
        rest.split([',', '\r']).next().unwrap().to_owned()
    };
    let told = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let fields = ["calls", "rejected_calls", "failed_calls"];
        let fields = fields.map(|f| field(&format!(",{rest}"), &format!(",{f}")));
        Some(format!("{name}:{}", fields.join(",")))
    };
    let mut lines: Vec<String> = info.lines().filter_map(told).collect();
    lines.sort();
    lines
}

#[test]
fn commandstats_are_those_of_redis() {
    let (redis, store) = (RedisServer::start(), store(&["--threads", "1"]));
    let stats = |client: &mut Client| {
        client.run("CONFIG RESETSTAT");
        for line in [
            "SET a 1",
            "GET a",
            "GET a",
            "GET",
            "get a b",
            "LPUSH a x",
            "INCR a",
            "MGET a b",
            "CLIENT GETNAME",
            "CLIENT NOSUCH",
            "NOSUCH",
            "MULTI",
            "SET b 1",
            "LPUSH b x",
            "EXEC",
            "MULTI",
            "GET",
            "EXEC",
            "HSET h f v",
            "PING",
            "ECHO x",
            "SLOWLOG GET x",
            "AUTH x",
        ] {
            client.run(line);
        }
        command_stats(client)
    };
    let (of_redis, of_store) = (
        stats(&mut redis.client()),
        stats(&mut store.heeler.client()),
    );
    assert!(of_redis.len() > 12, "{of_redis:?}");
    assert_eq!(of_store, of_redis);
    let usual = store.heeler.client().run("INFO").text();
    assert!(!usual.contains("Commandstats"));
    let all = store.heeler.client().run("INFO everything").text();
    assert!(all.contains("# Commandstats\r\ncmdstat_"));
}

#[test]
fn numbers_live_on_over_a_reload_of_the_pool() {
    let server = RedisServer::start();
    let (port, admin) = (free_port(), free_port());
    let text = |more: &str| {
        let settings = ["redis: true", more];
        crate::servers::pool(
            "herd",
            &format!("127.0.0.1:{port}"),
            &settings,
            &[server.address()],
        )
    };
    let file = crate::servers::ConfigFile::new(&text("timeout: 1000"));
    let address = format!("127.0.0.1:{admin}");
    let args = [
        "proxy",
        "-c",
        file.path(),
        "--no-watch",
        "--admin",
        &address,
    ];
    let heeler = crate::servers::Heeler::start(port, &args);
    let told = Told { heeler, admin };
    let mut client = told.heeler.client();
    assert_eq!(client.run("SET k v"), Value::ok());
    std::fs::write(file.path(), text("timeout: 2000")).unwrap();
    assert_eq!(crate::servers::ask(admin, "POST", "/v1/reload").0, 200);
    assert!(is_error(client.run("LPUSH k v")));
    let samples = told.samples_after(2);
    let labels = "pool=herd,family=string";
    assert_eq!(samples.get("heeler_command_requests_total", labels), 1.0);
    let labels = "pool=herd,kind=reply";
    assert_eq!(samples.get("heeler_request_errors_total", labels), 1.0);
}
