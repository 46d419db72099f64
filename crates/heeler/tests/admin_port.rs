//! The admin port of a proxy and of a store, over HTTP.

mod servers;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value as Json;
use servers::{ConfigFile, Heeler, PATIENCE, RedisServer, Value, ask, free_port, wait_until};

/// A proxy over some redis-servers, with its file and its admin port.
struct Proxy {
    heeler: Heeler,
    file: ConfigFile,
    admin: u16,
}

impl Proxy {
    fn start(port: u16, text: &str) -> Proxy {
        let (file, admin) = (ConfigFile::new(text), free_port());
        let address = format!("127.0.0.1:{admin}");
        let args = [
            "proxy",
            "-c",
            file.path(),
            "--no-watch",
            "--admin",
            &address,
        ];
        let heeler = Heeler::start(port, &[&args[..], &["--threads", "2"]].concat());
        Proxy {
            heeler,
            file,
            admin,
        }
    }

    fn reload(&self, text: &str) -> (u16, Json) {
        fs::write(self.file.path(), text).unwrap();
        let (status, body) = ask(self.admin, "POST", "/v1/reload");
        (status, serde_json::from_str(&body).expect(&body))
    }

    /// The value of a line of the metrics.
    fn number(&self, name: &str) -> f64 {
        let (status, body) = ask(self.admin, "GET", "/metrics");
        assert_eq!(status, 200, "{body}");
        let line = body
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{body}"));
        line.parse().expect(line)
    }
}

fn pool(port: u16, settings: &[&str], servers: &[&RedisServer]) -> String {
    let mut text = format!("herd:\n  listen: 127.0.0.1:{port}\n  redis: true\n");
    settings.iter().for_each(|s| text += &format!("  {s}\n"));
    text += "  servers:\n";
    for (i, server) in servers.iter().enumerate() {
        text += &format!("   - {}:1 s{i}\n", server.address());
    }
    text
}

#[test]
fn pools_are_told_without_their_passwords() {
    let server = RedisServer::start_with(&["--requirepass", "hunter2"]);
    let port = free_port();
    let settings = ["redis_auth: hunter2", "timeout: 4000", "hash: murmur"];
    let proxy = Proxy::start(port, &pool(port, &settings, &[&server]));
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("AUTH hunter2"), Value::ok());
    assert_eq!(client.run("SET k v"), Value::ok());
    let (status, body) = ask(proxy.admin, "GET", "/v1/pools");
    assert_eq!(status, 200);
    assert!(!body.contains("hunter2"), "{body}");
    let told: Json = serde_json::from_str(&body).unwrap();
    let pool = &told["pools"][0];
    assert_eq!(pool["name"], "herd");
    assert_eq!(pool["listen"], format!("127.0.0.1:{port}"));
    assert_eq!(pool["protocol"], "redis");
    assert_eq!(pool["hash"], "murmur");
    assert_eq!(pool["timeout_ms"], 4000);
    assert_eq!(pool["clients"], 1);
    let one = &pool["servers"][0];
    assert_eq!(one["name"], "s0");
    assert_eq!(one["address"], server.address());
    assert_eq!(one["state"], "live");
    assert_eq!(one["connections"], 1);
    assert_eq!(one["queued"]["unanswered"], 0);
    let (_, metrics) = ask(proxy.admin, "GET", "/metrics");
    assert!(!metrics.contains("hunter2"));
}

#[test]
fn a_reload_answers_with_what_has_changed_or_why_nothing_has() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let port = free_port();
    let both: Vec<&RedisServer> = servers.iter().collect();
    let proxy = Proxy::start(port, &pool(port, &[], &both[..1]));
    let mut client = proxy.heeler.client();
    assert_eq!(client.run("PING"), Value::Status("PONG".into()));
    let (status, told) = proxy.reload(&pool(port, &["timeout: 4000"], &both));
    assert_eq!(status, 200, "{told}");
    let change = told["changes"][0].as_str().unwrap();
    assert!(change.contains("timeout none -> 4000 ms, +s1"), "{change}");
    let (status, told) = proxy.reload(&pool(port, &["timeout: 4000"], &both));
    assert_eq!((status, &told["changes"]), (200, &Json::Array(vec![])));
    let (status, told) = proxy.reload(&pool(port, &["hash: md6"], &both));
    assert_eq!(status, 422);
    let reason = told["error"].as_str().unwrap();
    assert!(
        reason.contains(":4:9") && reason.contains("md6"),
        "{reason}"
    );
    for i in 0..50 {
        assert_eq!(client.run(&format!("SET key:{i} v")), Value::ok());
    }
    let keys = |server: &RedisServer| server.client().run("DBSIZE");
    assert!(servers.iter().all(|s| keys(s) != Value::Int(0)));
    let (_, body) = ask(proxy.admin, "GET", "/v1/pools");
    let told: Json = serde_json::from_str(&body).unwrap();
    assert_eq!(told["pools"][0]["servers"].as_array().unwrap().len(), 2);
    assert_eq!(told["pools"][0]["clients"], 1, "counted on over the reload");
}

#[test]
fn who_asks_is_told_whether_the_proxy_lives_and_is_ready() {
    let port = free_port();
    let settings = [
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "timeout: 400",
    ];
    let settings = [&settings[..], &["server_retry_timeout: 600000"]].concat();
    let server = RedisServer::start();
    let proxy = Proxy::start(port, &pool(port, &settings, &[&server]));
    assert_eq!(ask(proxy.admin, "GET", "/healthz"), (200, "ok\n".into()));
    assert_eq!(ask(proxy.admin, "GET", "/readyz"), (200, "ready\n".into()));
    assert_eq!(ask(proxy.admin, "GET", "/nothing").0, 404);
    assert_eq!(ask(proxy.admin, "GET", "/v1/reload").0, 405);
    drop(server);
    let mut client = proxy.heeler.client();
    assert!(matches!(client.run("GET k"), Value::Error(_)));
    wait_until("it is not ready", || {
        ask(proxy.admin, "GET", "/readyz").0 == 503
    });
    let (_, reason) = ask(proxy.admin, "GET", "/readyz");
    assert_eq!(reason, "pool 'herd' has no live server\n");
    assert_eq!(ask(proxy.admin, "GET", "/healthz").0, 200);
    let (_, body) = ask(proxy.admin, "GET", "/v1/pools");
    let told: Json = serde_json::from_str(&body).unwrap();
    let one = &told["pools"][0]["servers"][0];
    assert_eq!(one["state"], "ejected");
    assert!(one["ejected_until_ms"].as_u64().unwrap() > 1_600_000_000_000);
    assert_eq!(
        proxy.number("heeler_server_ejected{pool=\"herd\",server=\"s0\"}"),
        1.0
    );
    assert_eq!(
        proxy.number("heeler_pool_ejections_total{pool=\"herd\"}"),
        1.0
    );
}

#[test]
fn while_it_stops_it_is_not_ready() {
    let server = RedisServer::start();
    let port = free_port();
    let proxy = Proxy::start(port, &pool(port, &[], &[&server]));
    let mut client = proxy.heeler.client();
    server.process.signal(Signal::STOP);
    client.send(b"PING\r\nGET k\r\n");
    assert_eq!(client.read_reply(), Value::Status("PONG".into()));
    proxy.heeler.process.signal(Signal::TERM);
    wait_until("it says so", || {
        ask(proxy.admin, "GET", "/readyz") == (503, "the process stops\n".into())
    });
    server.process.signal(Signal::CONT);
    assert_eq!(client.read_reply(), Value::Null);
    assert_eq!(proxy.heeler.process.wait().code, Some(0));
}

#[test]
fn numbers_are_those_of_the_requests() {
    let servers = [RedisServer::start(), RedisServer::start()];
    let port = free_port();
    let both: Vec<&RedisServer> = servers.iter().collect();
    let proxy = Proxy::start(port, &pool(port, &["hash: md5"], &both));
    let mut client = proxy.heeler.client();
    for i in 0..100 {
        assert_eq!(client.run(&format!("SET key:{i} v")), Value::ok());
    }
    let of = |name: &str, i: usize| {
        proxy.number(&format!("heeler_{name}{{pool=\"herd\",server=\"s{i}\"}}"))
    };
    let requests = [
        of("server_requests_total", 0),
        of("server_requests_total", 1),
    ];
    assert_eq!(requests[0] + requests[1], 100.0);
    for (i, server) in servers.iter().enumerate() {
        assert_eq!(
            server.client().run("DBSIZE"),
            Value::Int(requests[i] as i64)
        );
        assert_eq!(of("server_responses_total", i), requests[i]);
        assert_eq!(of("server_connections", i), 1.0);
        assert_eq!(of("server_latency_seconds_count", i), requests[i]);
        assert!(of("server_latency_seconds_sum", i) > 0.0);
        let all = format!(
            "heeler_server_latency_seconds_bucket{{le=\"+Inf\",pool=\"herd\",server=\"s{i}\"}}"
        );
        assert_eq!(proxy.number(&all), requests[i]);
        assert_eq!(of("server_unanswered_requests", i), 0.0);
        assert_eq!(of("server_response_size_bytes_total", i), requests[i] * 5.0);
    }
    assert_eq!(
        proxy.number("heeler_pool_client_connections{pool=\"herd\"}"),
        1.0
    );
    assert_eq!(proxy.number("heeler_client_requests_total"), 100.0);
    assert_eq!(proxy.number("heeler_client_sent_bytes_total"), 500.0);
    assert!(proxy.number("heeler_process_resident_memory_bytes") > 1e6);
    let build = format!(
        "heeler_build_info{{version=\"{}\",role=\"proxy\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(proxy.number(&build), 1.0);
    // They go on over a reload, also those of a server that has another place.
    let (status, _) = proxy.reload(&pool(port, &["hash: md5"], &both).replace(" s0", " z0"));
    assert_eq!(status, 200);
    let renamed = "heeler_server_requests_total{pool=\"herd\",server=\"z0\"}";
    assert_eq!(proxy.number(renamed), requests[0]);
    let (_, body) = ask(proxy.admin, "GET", "/metrics");
    assert!(body.ends_with("# EOF\n"), "{body}");
}

#[test]
fn a_store_tells_of_itself_too() {
    let admin = free_port();
    let node = Heeler::serve(&["--admin", &format!("127.0.0.1:{admin}")]);
    assert_eq!(node.client().run("SET k v"), Value::ok());
    assert_eq!(ask(admin, "GET", "/readyz").0, 200);
    let (status, body) = ask(admin, "GET", "/metrics");
    assert_eq!(status, 200);
    assert!(body.contains("heeler_client_requests_total 1\n"), "{body}");
    assert_eq!(ask(admin, "POST", "/v1/reload").0, 404);
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let admin = free_port();
    let store = Heeler::serve(&["--admin", &format!("127.0.0.1:{admin}")]);
    // Who answers has opened all its ports.
    assert_eq!(store.client().run("PING"), Value::Status("PONG".into()));
    let (status, body) = ask(admin, "GET", "/v1/pools");
    assert_eq!(status, 404, "{body}");
    assert!(body.contains("/v1/slowlog\""), "{body}");
    assert!(!body.contains("/v1/pools"), "{body}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = RedisServer::start();
    let address = server.address();
    let stopped = Heeler::spawn(&["serve", "--redis", "127.0.0.1:0", "--admin", &address]).wait();
    assert_eq!(stopped.code, Some(1));
    let told = format!("--admin: cannot listen on {address}: Address already in use");
    assert!(stopped.stderr.contains(&told), "{}", stopped.stderr);
}

#[test]
fn connections_that_say_nothing_do_not_keep_probes_out() {
    let admin = free_port();
    let store = Heeler::serve(&["--admin", &format!("127.0.0.1:{admin}")]);
    let connect = || TcpStream::connect(("127.0.0.1", admin)).unwrap();
    // One that speaks from time to time is not the one that was silent longest.
    let mut scraper = connect();
    scraper.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut scrape = || {
        let head = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        scraper.write_all(head).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok\n") {
            let mut byte = [0];
            scraper.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
    };
    let mut silent = Vec::new();
    for n in 0..200 {
        silent.push(connect());
        if n % 8 == 0 {
            // Answered once all that connected before have got their places.
            assert_eq!(ask(admin, "GET", "/healthz"), (200, "ok\n".into()));
            scrape();
        }
    }
    assert_eq!(ask(admin, "GET", "/readyz"), (200, "ready\n".into()));
    let mut first = silent.swap_remove(0);
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(first.read(&mut [0]), Ok(0) | Err(_)), "closed");
    drop(silent);
    let said = store.process.stop().stderr;
    let told = said.matches("all 64 places were taken").count();
    assert!((1..20).contains(&told), "{said}");
}
